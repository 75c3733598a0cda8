-- What of an account waits for its payment, and which codes nobody has acknowledged.
CREATE INDEX orders_pending ON orders (account) WHERE state = 0;
CREATE INDEX code_orders_unacknowledged ON code_orders (changed_at) WHERE state = 4;

-- An order that has no key yet stands for no payment request.
UPDATE code_orders SET spent = NULL WHERE spent IS NOT NULL AND recipient IS NULL;
