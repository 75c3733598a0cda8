-- Orders whose provider decides later, disputes, and means of payment that providers keep.

-- state: 0 pending, 1 paid, 2 declined, 3 refunding, 4 refunded, 5 disputed, 6 charged back.
-- `reference`: the provider's own name for the payment. `next`: what the buyer has to do, as JSON, while it is pending.
-- `ends_at`: by when it has to be paid. `look_at`: when its provider is looked up next; NULL: not again in this state.
-- `looks`: how often it was in this state. `lease`: the process that does it now.
CREATE TABLE orders_3 (
    id           BLOB PRIMARY KEY,
    account      BLOB NOT NULL REFERENCES accounts (id),
    state        INTEGER NOT NULL DEFAULT 0 CHECK (state BETWEEN 0 AND 6),
    offer_digest BLOB REFERENCES offers (digest),
    provider     TEXT NOT NULL,
    receipt      TEXT,
    created_at   INTEGER NOT NULL,
    changed_at   INTEGER NOT NULL,
    amount       INTEGER CHECK (amount > 0),
    currency     TEXT,
    returned     INTEGER CHECK (returned > 0 AND returned <= amount),
    intent       TEXT,
    again        INTEGER NOT NULL DEFAULT 0,
    place        INTEGER,
    reference    TEXT,
    next         TEXT,
    ends_at      INTEGER NOT NULL DEFAULT 0,
    look_at      INTEGER,
    looks        INTEGER NOT NULL DEFAULT 0,
    lease        INTEGER,
    CHECK ((offer_digest IS NULL) = (amount IS NOT NULL) AND (amount IS NULL) = (currency IS NULL))
) STRICT, WITHOUT ROWID;
-- A day after it was opened an order ends, if its provider has no money for it.
INSERT INTO orders_3 (id, account, state, offer_digest, provider, receipt, created_at, changed_at, amount, currency,
                      returned, intent, again, place, ends_at, look_at)
    SELECT id, account, state, offer_digest, provider, receipt, created_at, changed_at, amount, currency,
           returned, intent, again, place, created_at + 86400000, iif(state IN (0, 3), changed_at, NULL)
    FROM orders;
DROP TABLE orders;
ALTER TABLE orders_3 RENAME TO orders;
CREATE UNIQUE INDEX one_pending_order ON orders (account, intent) WHERE state = 0 AND intent IS NOT NULL;
CREATE UNIQUE INDEX orders_by_place ON orders (account, place);
CREATE INDEX receipts_of_rights ON orders (account, place) WHERE receipt IS NOT NULL AND offer_digest IS NOT NULL;
CREATE INDEX receipts_of_top_ups ON orders (account, place) WHERE receipt IS NOT NULL AND amount IS NOT NULL;
CREATE INDEX top_ups_pending ON orders (account, currency) WHERE state = 0 AND amount IS NOT NULL;
CREATE INDEX orders_by_offer ON orders (account, offer_digest) WHERE offer_digest IS NOT NULL;
CREATE INDEX orders_not_final ON orders (id) WHERE state IN (0, 3, 5);
CREATE INDEX orders_to_look_up ON orders (look_at) WHERE look_at IS NOT NULL;
CREATE INDEX orders_taken ON orders (lease) WHERE lease IS NOT NULL;

-- Means of payment that a provider keeps for an account: its reference is sealed.
CREATE TABLE saved_means (
    account   BLOB NOT NULL REFERENCES accounts (id),
    provider  TEXT NOT NULL,
    reference BLOB NOT NULL,
    label     TEXT NOT NULL,
    saved_at  INTEGER NOT NULL,
    PRIMARY KEY (account, provider)
) STRICT, WITHOUT ROWID;
