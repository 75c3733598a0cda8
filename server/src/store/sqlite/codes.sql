-- Merchants, what they sell, orders of electronic codes, and codes that redeem to rights.

-- A merchant is `claimed`, then `proven` (its endpoint is its own), then `approved` by the operator. `webhook`: where it
-- is told of orders. `probe_at`: when an order was last paid although it fails too often. `successor`: the thumbprint of
-- the key that the operator lets follow one that was stolen.
CREATE TABLE merchants (
    id           BLOB PRIMARY KEY,
    name         TEXT NOT NULL UNIQUE,
    title        TEXT NOT NULL,
    key          BLOB NOT NULL UNIQUE,
    owner        BLOB NOT NULL REFERENCES accounts (id),
    webhook      TEXT NOT NULL,
    created_at   INTEGER NOT NULL,
    proven_at    INTEGER,
    approved_at  INTEGER,
    suspended_at INTEGER,
    probe_at     INTEGER NOT NULL DEFAULT 0,
    successor    BLOB
) STRICT, WITHOUT ROWID;
CREATE INDEX merchants_by_owner ON merchants (owner, name);

CREATE TABLE merchant_vouches (
    merchant BLOB NOT NULL REFERENCES merchants (id),
    seq      INTEGER NOT NULL,
    signer   BLOB NOT NULL,
    compact  TEXT NOT NULL,
    PRIMARY KEY (merchant, seq)
) STRICT, WITHOUT ROWID;

-- A revision never changes; it ends. `product` is the payload, `compact` what the merchant signed, `digest` names both.
CREATE TABLE products (
    digest   BLOB PRIMARY KEY,
    merchant BLOB NOT NULL REFERENCES merchants (id),
    name     TEXT NOT NULL,
    product  TEXT NOT NULL,
    compact  TEXT NOT NULL,
    since    INTEGER NOT NULL,
    ended_at INTEGER
) STRICT, WITHOUT ROWID;
CREATE UNIQUE INDEX one_product_on_sale ON products (merchant, name) WHERE ended_at IS NULL;

CREATE TABLE payment_requests (
    digest     BLOB PRIMARY KEY,
    merchant   BLOB NOT NULL REFERENCES merchants (id),
    product    BLOB NOT NULL REFERENCES products (digest),
    request    TEXT NOT NULL,
    compact    TEXT NOT NULL,
    expires_at INTEGER NOT NULL,
    ended_at   INTEGER
) STRICT, WITHOUT ROWID;
CREATE INDEX payment_requests_by_expiry ON payment_requests (expires_at);
CREATE INDEX payment_requests_of_merchant ON payment_requests (merchant) WHERE ended_at IS NULL;

-- How the orders of a merchant went, minute by minute.
CREATE TABLE merchant_health (
    merchant BLOB NOT NULL REFERENCES merchants (id),
    minute   INTEGER NOT NULL,
    decided  INTEGER NOT NULL DEFAULT 0,
    in_time  INTEGER NOT NULL DEFAULT 0,
    PRIMARY KEY (merchant, minute)
) STRICT, WITHOUT ROWID;
CREATE INDEX merchant_health_by_minute ON merchant_health (minute);

-- An order of codes: its payment is the row of the same identifier in `orders`. state: NULL while it is not paid for, then
-- 0 paid, 1 notified, 2 verified, 3 code-received, 4 delivered, 5 acknowledged, 6 failed, 7 refunding, 8 refunded,
-- 9 charged-back, 10 disputed, 11 kept, 12 reversed.
-- `nonce`: what the merchant was sent for this generation. `spent`: the payment request, once this order is the one that
-- has paid it. `terminal`: where it is delivered. `recipient`: the key of the order; NULL while that terminal is to
-- make it, and until then the merchant is told nothing. `verification`: what the merchant was answered for
-- `generation`.
-- `sealed`: the generation of what was accepted last: what the merchant signed, and the code, which nobody can open who
-- has only this row; both go when nobody fetches them any more, and `digest`, which names them, stays. `sealed_for`,
-- `sealed_to`, `sealed_under`: terminal, key and verification of that generation, which stay in force until the next one
-- is accepted. `complaint`: who disputes the code (0 its terminal, 1 nobody sealed it again in time, 2 the operator),
-- beside whoever disputes the payment. `reason`: why its merchant declined it.
CREATE TABLE code_orders (
    id           BLOB PRIMARY KEY REFERENCES orders (id),
    merchant     BLOB NOT NULL REFERENCES merchants (id),
    product      BLOB NOT NULL REFERENCES products (digest),
    quantity     INTEGER NOT NULL CHECK (quantity > 0),
    request      BLOB,
    spent        BLOB,
    terminal     BLOB,
    recipient    BLOB,
    nonce        BLOB,
    state        INTEGER CHECK (state BETWEEN 0 AND 12),
    generation   INTEGER NOT NULL DEFAULT 1 CHECK (generation > 0),
    deadline     INTEGER,
    verification TEXT,
    sealed       INTEGER,
    code         TEXT,
    enc          BLOB,
    ciphertext   BLOB,
    digest       BLOB,
    sealed_for   BLOB,
    sealed_to    BLOB,
    sealed_under TEXT,
    accepted_at  INTEGER,
    complaint    INTEGER CHECK (complaint BETWEEN 0 AND 2),
    reason       TEXT,
    changed_at   INTEGER NOT NULL,
    CHECK ((sealed IS NULL) = (accepted_at IS NULL) AND (state IS NULL) = (deadline IS NULL)
           AND (state IS NULL OR recipient IS NULL) = (nonce IS NULL))
) STRICT, WITHOUT ROWID;
CREATE UNIQUE INDEX one_order_of_a_request ON code_orders (spent) WHERE spent IS NOT NULL;
CREATE INDEX code_orders_not_final ON code_orders (merchant, id) WHERE state IN (0, 1, 2, 3, 4, 6, 7, 10);
CREATE INDEX code_orders_open ON code_orders (id) WHERE state IN (0, 1, 2, 3, 4, 6, 7, 10);
CREATE INDEX code_orders_kept ON code_orders (changed_at) WHERE state IN (5, 11, 12) AND code IS NOT NULL;

-- 1 if the order is for codes: then `code_orders` has its row.
ALTER TABLE orders ADD COLUMN codes INTEGER NOT NULL DEFAULT 0;
DROP INDEX receipts_of_top_ups;
DROP INDEX top_ups_pending;
CREATE INDEX receipts_of_top_ups ON orders (account, place)
    WHERE receipt IS NOT NULL AND amount IS NOT NULL AND codes = 0;
CREATE INDEX top_ups_pending ON orders (account, currency) WHERE state = 0 AND amount IS NOT NULL AND codes = 0;
CREATE INDEX orders_of_codes ON orders (account, place) WHERE codes = 1;

-- Redemption codes are made in batches, from the batch, the number and a key that is not here; `lookup` is a keyed hash.
CREATE TABLE code_batches (
    id         BLOB PRIMARY KEY,
    publisher  BLOB NOT NULL REFERENCES publishers (id),
    offer      BLOB NOT NULL REFERENCES offers (digest),
    count      INTEGER NOT NULL CHECK (count > 0),
    note       TEXT NOT NULL,
    created_at INTEGER NOT NULL,
    expires_at INTEGER
) STRICT, WITHOUT ROWID;
CREATE INDEX code_batches_of_publisher ON code_batches (publisher, created_at);

-- state: 0 open, 1 redeemed, 2 void. `sold`: the order by which a merchant sold it.
CREATE TABLE redemption_codes (
    lookup      BLOB PRIMARY KEY,
    batch       BLOB NOT NULL REFERENCES code_batches (id),
    number      INTEGER NOT NULL,
    serial      BLOB NOT NULL UNIQUE,
    state       INTEGER NOT NULL DEFAULT 0 CHECK (state BETWEEN 0 AND 2),
    account     BLOB,
    sold        BLOB,
    redeemed_at INTEGER,
    UNIQUE (batch, number)
) STRICT, WITHOUT ROWID;
CREATE INDEX redemption_codes_sold ON redemption_codes (sold) WHERE sold IS NOT NULL;

-- How many codes that there are not an account has tried since `since`.
CREATE TABLE redemption_tries (
    account BLOB PRIMARY KEY REFERENCES accounts (id),
    since   INTEGER NOT NULL,
    tries   INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

-- The terminal of the account that makes the keys of what is bought in a browser.
ALTER TABLE accounts ADD COLUMN preset BLOB;

-- What merchants sell stands in the catalogue beside resources: a row per product, with `merchant` in the place of
-- `publisher` and `newest`, and `product` as long as a revision of it is sold.
CREATE TABLE catalogue_with_products (
    number    INTEGER PRIMARY KEY,
    publisher BLOB REFERENCES publishers (id),
    name      TEXT NOT NULL,
    newest    BLOB REFERENCES resources (digest),
    kind      TEXT NOT NULL,
    versions  TEXT NOT NULL,
    texts     TEXT NOT NULL,
    sold      INTEGER NOT NULL,
    cover     INTEGER NOT NULL DEFAULT 0,
    merchant  BLOB REFERENCES merchants (id),
    product   BLOB REFERENCES products (digest),
    UNIQUE (publisher, name),
    CHECK ((publisher IS NULL) = (newest IS NULL) AND (publisher IS NULL) <> (merchant IS NULL))
) STRICT;
INSERT INTO catalogue_with_products (number, publisher, name, newest, kind, versions, texts, sold, cover)
    SELECT number, publisher, name, newest, kind, versions, texts, sold, cover FROM catalogue;
DROP TABLE catalogue;
ALTER TABLE catalogue_with_products RENAME TO catalogue;
CREATE INDEX catalogue_on_sale ON catalogue (sold, number);
CREATE INDEX catalogue_by_kind ON catalogue (kind, sold, number);
CREATE INDEX catalogue_kinds ON catalogue (kind) WHERE sold = 1;
CREATE INDEX catalogue_of_publisher ON catalogue (publisher, number) WHERE sold = 1;
CREATE UNIQUE INDEX catalogue_of_merchant ON catalogue (merchant, name) WHERE merchant IS NOT NULL;
