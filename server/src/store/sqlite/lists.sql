-- Schema: lists that are read page by page, one entitlement for what does not run out, and rows that leave.

-- An account holds for good what it bought for good, however often it was ordered: the oldest stays.
CREATE TABLE merged (id BLOB PRIMARY KEY, kept BLOB NOT NULL) STRICT, WITHOUT ROWID;
INSERT INTO merged (id, kept)
    SELECT id, kept FROM (
        SELECT id, first_value(id) OVER (PARTITION BY account, publisher, name, operation ORDER BY id) AS kept
        FROM entitlements WHERE total IS NULL AND revoked_at IS NULL
    ) WHERE id <> kept;
UPDATE authorisations SET entitlement = (SELECT kept FROM merged WHERE merged.id = entitlement)
    WHERE entitlement IN (SELECT id FROM merged);
UPDATE grants SET entitlement = (SELECT kept FROM merged WHERE merged.id = entitlement)
    WHERE entitlement IN (SELECT id FROM merged);
DELETE FROM entitlements WHERE id IN (SELECT id FROM merged);
DROP TABLE merged;
CREATE UNIQUE INDEX one_entitlement_for_good ON entitlements (account, publisher, name, operation)
    WHERE total IS NULL AND revoked_at IS NULL;

-- `place` counts the rows of an account, from 1: pages are named by it, newest first.
ALTER TABLE entitlements ADD COLUMN place INTEGER;
UPDATE entitlements SET place = n.place
    FROM (SELECT id, row_number() OVER (PARTITION BY account ORDER BY id) AS place FROM entitlements) AS n
    WHERE n.id = entitlements.id;
CREATE UNIQUE INDEX entitlements_by_place ON entitlements (account, place);
ALTER TABLE orders ADD COLUMN place INTEGER;
UPDATE orders SET place = n.place
    FROM (SELECT id, row_number() OVER (PARTITION BY account ORDER BY id) AS place FROM orders) AS n
    WHERE n.id = orders.id;
DROP INDEX orders_by_account;
CREATE UNIQUE INDEX orders_by_place ON orders (account, place);
CREATE INDEX receipts_of_rights ON orders (account, place) WHERE receipt IS NOT NULL AND offer_digest IS NOT NULL;
CREATE INDEX receipts_of_top_ups ON orders (account, place) WHERE receipt IS NOT NULL AND amount IS NOT NULL;
CREATE INDEX top_ups_pending ON orders (account, currency) WHERE state = 0 AND amount IS NOT NULL;
CREATE INDEX orders_by_offer ON orders (account, offer_digest) WHERE offer_digest IS NOT NULL;
DROP INDEX orders_not_final;
CREATE INDEX orders_not_final ON orders (id) WHERE state IN (0, 3);
CREATE INDEX offers_by_subject ON offers (publisher, name, operation);

-- What an authorisation asks of an account, each question with an index of its own: what is left, oldest first; where
-- enough is left at once; whether anything was used up; whether anything was taken back.
DROP INDEX entitlements_by_subject;
CREATE INDEX entitlements_left ON entitlements (account, publisher, name, operation, id)
    WHERE total IS NOT NULL AND revoked_at IS NULL AND used < total;
CREATE INDEX entitlements_by_rest ON entitlements (account, publisher, name, operation, total - used - held)
    WHERE total IS NOT NULL AND revoked_at IS NULL AND used < total;
CREATE INDEX entitlements_used_up ON entitlements (account, publisher, name, operation)
    WHERE total IS NOT NULL AND revoked_at IS NULL AND used = total;
CREATE INDEX entitlements_revoked ON entitlements (account, publisher, name, operation) WHERE revoked_at IS NOT NULL;

DROP INDEX publishers_by_owner;
CREATE INDEX publishers_by_owner ON publishers (owner, name);
CREATE INDEX terminals_by_account ON terminals (account, id);
CREATE INDEX terminals_in_use ON terminals (account, id) WHERE revoked_at IS NULL;
CREATE INDEX terminals_revoked ON terminals (account, id) WHERE revoked_at IS NOT NULL;
CREATE INDEX grants_of_terminals ON grants (terminal, id) WHERE state IN (0, 1);

-- An answer says when it leaves, and takes the authorisation or grant with it that it leads to. Those of orders stay.
ALTER TABLE answers ADD COLUMN ends_at INTEGER;
UPDATE answers SET ends_at = at + 2678400000 WHERE kind <> 3;
DROP INDEX answers_by_time;
CREATE INDEX answers_by_end ON answers (ends_at) WHERE ends_at IS NOT NULL;
-- What no answer leads to any more ended more than a week ago.
DELETE FROM authorisations WHERE state <> 0 AND code NOT IN (SELECT subject FROM answers WHERE kind = 1);
DELETE FROM grants WHERE id NOT IN (SELECT subject FROM answers WHERE kind = 2);

CREATE INDEX devices_by_expiry ON devices (expires_at);
CREATE INDEX web_sessions_by_expiry ON web_sessions (expires_at);
CREATE INDEX invitations_by_expiry ON invitations (expires_at);
