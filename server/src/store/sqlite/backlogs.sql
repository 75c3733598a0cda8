-- What grows for ever is not gone through: each question has an index of what it asks about alone.

-- Orders of an account that ended unpaid.
CREATE INDEX orders_ended_unpaid ON orders (account, ends_at) WHERE state = 2;

-- `spent`: 1 once an order stands for the request. Then it neither ends nor leaves.
ALTER TABLE payment_requests ADD COLUMN spent INTEGER NOT NULL DEFAULT 0;
UPDATE payment_requests SET spent = 1
    WHERE EXISTS (SELECT 1 FROM code_orders c WHERE c.spent = payment_requests.digest);
DROP INDEX payment_requests_by_expiry;
DROP INDEX payment_requests_of_merchant;
CREATE INDEX payment_requests_by_expiry ON payment_requests (expires_at) WHERE spent = 0;
CREATE INDEX payment_requests_of_merchant ON payment_requests (merchant, expires_at) WHERE ended_at IS NULL AND spent = 0;

-- `provider`: the payment provider that is asked; empty if none is. Of the effects in no lane, those of one kind at one
-- provider are a group, which holds up no other.
ALTER TABLE effects ADD COLUMN provider TEXT NOT NULL DEFAULT '';
UPDATE effects SET provider = coalesce((SELECT o.provider FROM orders o WHERE o.id = effects.subject), '')
    WHERE kind IN ('charge', 'refund');
CREATE INDEX effects_due_in_group ON effects (kind, provider, next_at) WHERE state = 0 AND lane IS NULL;
