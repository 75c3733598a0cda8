-- Merchants, what they sell, orders of electronic codes, and codes that redeem to rights: ../sqlite/codes.sql says what
-- the columns mean.

CREATE TABLE merchants (
    id           BYTEA PRIMARY KEY,
    name         TEXT COLLATE "C" NOT NULL UNIQUE,
    title        TEXT COLLATE "C" NOT NULL,
    key          BYTEA NOT NULL UNIQUE,
    owner        BYTEA NOT NULL REFERENCES accounts (id),
    webhook      TEXT COLLATE "C" NOT NULL,
    created_at   BIGINT NOT NULL,
    proven_at    BIGINT,
    approved_at  BIGINT,
    suspended_at BIGINT,
    probe_at     BIGINT NOT NULL DEFAULT 0,
    successor    BYTEA
);
CREATE INDEX merchants_by_owner ON merchants (owner, name);

CREATE TABLE merchant_vouches (
    merchant BYTEA NOT NULL REFERENCES merchants (id),
    seq      BIGINT NOT NULL,
    signer   BYTEA NOT NULL,
    compact  TEXT COLLATE "C" NOT NULL,
    PRIMARY KEY (merchant, seq)
);

CREATE TABLE products (
    digest   BYTEA PRIMARY KEY,
    merchant BYTEA NOT NULL REFERENCES merchants (id),
    name     TEXT COLLATE "C" NOT NULL,
    product  TEXT COLLATE "C" NOT NULL,
    compact  TEXT COLLATE "C" NOT NULL,
    since    BIGINT NOT NULL,
    ended_at BIGINT
);
CREATE UNIQUE INDEX one_product_on_sale ON products (merchant, name) WHERE ended_at IS NULL;

CREATE TABLE payment_requests (
    digest     BYTEA PRIMARY KEY,
    merchant   BYTEA NOT NULL REFERENCES merchants (id),
    product    BYTEA NOT NULL REFERENCES products (digest),
    request    TEXT COLLATE "C" NOT NULL,
    compact    TEXT COLLATE "C" NOT NULL,
    expires_at BIGINT NOT NULL,
    ended_at   BIGINT
);
CREATE INDEX payment_requests_by_expiry ON payment_requests (expires_at);
CREATE INDEX payment_requests_of_merchant ON payment_requests (merchant) WHERE ended_at IS NULL;

CREATE TABLE merchant_health (
    merchant BYTEA NOT NULL REFERENCES merchants (id),
    minute   BIGINT NOT NULL,
    decided  BIGINT NOT NULL DEFAULT 0,
    in_time  BIGINT NOT NULL DEFAULT 0,
    PRIMARY KEY (merchant, minute)
);
CREATE INDEX merchant_health_by_minute ON merchant_health (minute);

CREATE TABLE code_orders (
    id           BYTEA PRIMARY KEY REFERENCES orders (id),
    merchant     BYTEA NOT NULL REFERENCES merchants (id),
    product      BYTEA NOT NULL REFERENCES products (digest),
    quantity     BIGINT NOT NULL CHECK (quantity > 0),
    request      BYTEA,
    spent        BYTEA,
    terminal     BYTEA,
    recipient    BYTEA,
    nonce        BYTEA,
    state        BIGINT CHECK (state BETWEEN 0 AND 12),
    generation   BIGINT NOT NULL DEFAULT 1 CHECK (generation > 0),
    deadline     BIGINT,
    verification TEXT COLLATE "C",
    sealed       BIGINT,
    code         TEXT COLLATE "C",
    enc          BYTEA,
    ciphertext   BYTEA,
    digest       BYTEA,
    sealed_for   BYTEA,
    sealed_to    BYTEA,
    sealed_under TEXT COLLATE "C",
    accepted_at  BIGINT,
    complaint    BIGINT CHECK (complaint BETWEEN 0 AND 2),
    reason       TEXT COLLATE "C",
    changed_at   BIGINT NOT NULL,
    CHECK ((sealed IS NULL) = (accepted_at IS NULL) AND (state IS NULL) = (deadline IS NULL)
           AND (state IS NULL OR recipient IS NULL) = (nonce IS NULL))
);
CREATE UNIQUE INDEX one_order_of_a_request ON code_orders (spent) WHERE spent IS NOT NULL;
CREATE INDEX code_orders_not_final ON code_orders (merchant, id) WHERE state IN (0, 1, 2, 3, 4, 6, 7, 10);
CREATE INDEX code_orders_open ON code_orders (id) WHERE state IN (0, 1, 2, 3, 4, 6, 7, 10);
CREATE INDEX code_orders_kept ON code_orders (changed_at) WHERE state IN (5, 11, 12) AND code IS NOT NULL;

ALTER TABLE orders ADD COLUMN codes BIGINT NOT NULL DEFAULT 0;
DROP INDEX receipts_of_top_ups;
DROP INDEX top_ups_pending;
CREATE INDEX receipts_of_top_ups ON orders (account, place)
    WHERE receipt IS NOT NULL AND amount IS NOT NULL AND codes = 0;
CREATE INDEX top_ups_pending ON orders (account, currency) WHERE state = 0 AND amount IS NOT NULL AND codes = 0;
CREATE INDEX orders_of_codes ON orders (account, place) WHERE codes = 1;

CREATE TABLE code_batches (
    id         BYTEA PRIMARY KEY,
    publisher  BYTEA NOT NULL REFERENCES publishers (id),
    offer      BYTEA NOT NULL REFERENCES offers (digest),
    count      BIGINT NOT NULL CHECK (count > 0),
    note       TEXT COLLATE "C" NOT NULL,
    created_at BIGINT NOT NULL,
    expires_at BIGINT
);
CREATE INDEX code_batches_of_publisher ON code_batches (publisher, created_at);

CREATE TABLE redemption_codes (
    lookup      BYTEA PRIMARY KEY,
    batch       BYTEA NOT NULL REFERENCES code_batches (id),
    number      BIGINT NOT NULL,
    serial      BYTEA NOT NULL UNIQUE,
    state       BIGINT NOT NULL DEFAULT 0 CHECK (state BETWEEN 0 AND 2),
    account     BYTEA,
    sold        BYTEA,
    redeemed_at BIGINT,
    UNIQUE (batch, number)
);
CREATE INDEX redemption_codes_sold ON redemption_codes (sold) WHERE sold IS NOT NULL;

CREATE TABLE redemption_tries (
    account BYTEA PRIMARY KEY REFERENCES accounts (id),
    since   BIGINT NOT NULL,
    tries   BIGINT NOT NULL
);

ALTER TABLE accounts ADD COLUMN preset BYTEA;

ALTER TABLE catalogue ALTER COLUMN publisher DROP NOT NULL;
ALTER TABLE catalogue ALTER COLUMN newest DROP NOT NULL;
ALTER TABLE catalogue ADD COLUMN merchant BYTEA REFERENCES merchants (id);
ALTER TABLE catalogue ADD COLUMN product BYTEA REFERENCES products (digest);
ALTER TABLE catalogue
    ADD CHECK ((publisher IS NULL) = (newest IS NULL) AND (publisher IS NULL) <> (merchant IS NULL));
CREATE UNIQUE INDEX catalogue_of_merchant ON catalogue (merchant, name) WHERE merchant IS NOT NULL;
