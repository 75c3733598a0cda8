-- Schema 2: prepaid balances, paid into by orders that are for no offer, and drawn by authorisations.

-- `amount` is what is left, `held` counts holds until they are released, expired ones too. In minor units.
CREATE TABLE prepaid (
    account  BLOB NOT NULL REFERENCES accounts (id),
    currency TEXT NOT NULL,
    amount   INTEGER NOT NULL DEFAULT 0 CHECK (amount >= 0),
    held     INTEGER NOT NULL DEFAULT 0 CHECK (held >= 0),
    PRIMARY KEY (account, currency),
    CHECK (held <= amount)
) STRICT, WITHOUT ROWID;

-- `offer`, `cost` and `currency`: the accepted metered offer, and the money that is held under it.
ALTER TABLE authorisations ADD COLUMN offer BLOB;
ALTER TABLE authorisations ADD COLUMN cost INTEGER NOT NULL DEFAULT 0 CHECK (cost >= 0);
ALTER TABLE authorisations ADD COLUMN currency TEXT;
CREATE INDEX holds_of_money ON authorisations (account, currency, expires_at) WHERE state = 0 AND cost > 0;

-- An order is for an offer, or for money: then `amount` and `currency` say how much is paid in, and `returned` how much
-- of it was still there when it was paid back.
CREATE TABLE orders_2 (
    id           BLOB PRIMARY KEY,
    account      BLOB NOT NULL REFERENCES accounts (id),
    state        INTEGER NOT NULL DEFAULT 0 CHECK (state BETWEEN 0 AND 4),
    offer_digest BLOB REFERENCES offers (digest),
    provider     TEXT NOT NULL,
    receipt      TEXT,
    created_at   INTEGER NOT NULL,
    changed_at   INTEGER NOT NULL,
    amount       INTEGER CHECK (amount > 0),
    currency     TEXT,
    returned     INTEGER CHECK (returned > 0 AND returned <= amount),
    CHECK ((offer_digest IS NULL) = (amount IS NOT NULL) AND (amount IS NULL) = (currency IS NULL))
) STRICT, WITHOUT ROWID;
INSERT INTO orders_2 (id, account, state, offer_digest, provider, receipt, created_at, changed_at)
    SELECT id, account, state, offer_digest, provider, receipt, created_at, changed_at FROM orders;
DROP TABLE orders;
ALTER TABLE orders_2 RENAME TO orders;
CREATE INDEX orders_by_account ON orders (account);
CREATE INDEX orders_not_final ON orders (created_at) WHERE state IN (0, 3);
