-- What the shop knows. Amounts are minor units; times are Unix seconds.

-- Every revision of a product that was ever sold: orders of an older one may still come.
CREATE TABLE products (
    digest  TEXT PRIMARY KEY,
    name    TEXT NOT NULL,
    payload TEXT NOT NULL,
    is_sold INTEGER NOT NULL CHECK (is_sold IN (0, 1)),
    -- When it was sold last, if it is not any more.
    ended   INTEGER
) STRICT;
CREATE UNIQUE INDEX one_revision_is_sold ON products (name) WHERE is_sold = 1;

-- What customers were asked to pay. A request stands for one order at most.
CREATE TABLE requests (
    digest   TEXT PRIMARY KEY,
    payload  TEXT NOT NULL,
    order_id TEXT UNIQUE REFERENCES orders (id)
) STRICT;

-- The webhooks that were acted on.
CREATE TABLE messages (
    id    TEXT PRIMARY KEY,
    heard INTEGER NOT NULL
) STRICT;
CREATE INDEX messages_heard ON messages (heard);

CREATE TABLE orders (
    id      TEXT PRIMARY KEY,
    state   TEXT NOT NULL CHECK (state IN ('open', 'accepted', 'refunded', 'reversed', 'stuck')),
    -- When the next step is due; absent if there is none.
    due     INTEGER,
    tries   INTEGER NOT NULL DEFAULT 0,
    product TEXT REFERENCES products (digest),
    minor   INTEGER,
    currency TEXT,
    note    TEXT NOT NULL DEFAULT '',
    -- How many webhooks told of it.
    notices INTEGER NOT NULL DEFAULT 1,
    heard   INTEGER NOT NULL
) STRICT;
CREATE INDEX orders_due ON orders (due) WHERE due IS NOT NULL;

-- What the store sent with its notifications. Messages come in any order: which one is in force, the store knows.
CREATE TABLE nonces (
    id       INTEGER PRIMARY KEY,
    order_id TEXT NOT NULL REFERENCES orders (id),
    nonce    TEXT NOT NULL,
    UNIQUE (order_id, nonce)
) STRICT;

-- One row per code. A code that was given to an order is never given to another one, unless the store has signed that
-- it never accepted a code for it.
CREATE TABLE stock (
    id       INTEGER PRIMARY KEY,
    product  TEXT NOT NULL,
    sealed   BLOB NOT NULL,
    -- A keyed hash of the code: no code is there twice.
    lookup   BLOB NOT NULL UNIQUE,
    order_id TEXT REFERENCES orders (id),
    -- It was sent for an order that the store says it never accepted: whether it is sold again, a person decides.
    is_held  INTEGER NOT NULL DEFAULT 0 CHECK (is_held IN (0, 1))
) STRICT;
CREATE INDEX stock_free ON stock (product, id) WHERE order_id IS NULL;
CREATE INDEX stock_of_order ON stock (order_id) WHERE order_id IS NOT NULL;

-- What was sealed, exactly as it is sent: one per order and generation.
CREATE TABLE sealings (
    order_id   TEXT NOT NULL REFERENCES orders (id),
    generation INTEGER NOT NULL,
    code       TEXT NOT NULL,
    enc        TEXT NOT NULL,
    ciphertext TEXT NOT NULL,
    -- Whether it may have left this machine.
    is_sent    INTEGER NOT NULL DEFAULT 0 CHECK (is_sent IN (0, 1)),
    accepted   TEXT,
    PRIMARY KEY (order_id, generation)
) STRICT;

-- Each entry has the document that the store signed for it.
CREATE TABLE ledger (
    order_id TEXT NOT NULL REFERENCES orders (id),
    kind     TEXT NOT NULL CHECK (kind IN ('sale', 'reversal')),
    minor    INTEGER NOT NULL CHECK (minor > 0),
    currency TEXT NOT NULL,
    document TEXT NOT NULL,
    entered  INTEGER NOT NULL,
    PRIMARY KEY (order_id, kind)
) STRICT;

CREATE TABLE webhook_keys (
    v1      TEXT NOT NULL,
    v1a     TEXT NOT NULL,
    starts  INTEGER NOT NULL,
    ends    INTEGER
) STRICT;

-- The version of the newest key document of the store. An older one is refused.
CREATE TABLE store_keys (
    version INTEGER NOT NULL
) STRICT;
INSERT INTO store_keys (version) VALUES (0);
