-- Schema 1. Identifiers and digests are blobs, times are milliseconds since the Unix epoch by the database's clock.
-- Tables that grow with every request are keyed by identifiers that begin with the time, so that they grow at their
-- end. No row holds a secret in the clear: tokens are keyed hashes, keys and sign-in names are sealed.

CREATE TABLE accounts (
    id           BLOB PRIMARY KEY,
    lookup       BLOB NOT NULL UNIQUE,
    name         BLOB NOT NULL,
    password     TEXT NOT NULL,
    operator     INTEGER NOT NULL,
    created_at   INTEGER NOT NULL,
    suspended_at INTEGER
) STRICT, WITHOUT ROWID;

CREATE TABLE invitations (
    token      BLOB PRIMARY KEY,
    operator   INTEGER NOT NULL,
    expires_at INTEGER NOT NULL,
    used_at    INTEGER
) STRICT, WITHOUT ROWID;

CREATE TABLE web_sessions (
    token      BLOB PRIMARY KEY,
    account    BLOB NOT NULL REFERENCES accounts (id),
    expires_at INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
CREATE INDEX web_sessions_by_account ON web_sessions (account);

-- state: 0 pending, 1 approved, 2 denied, 3 used
CREATE TABLE devices (
    device       BLOB PRIMARY KEY,
    user         BLOB NOT NULL UNIQUE,
    key          BLOB NOT NULL,
    label        TEXT NOT NULL,
    state        INTEGER NOT NULL DEFAULT 0,
    account      BLOB REFERENCES accounts (id),
    pause        INTEGER NOT NULL,
    polled_at    INTEGER,
    created_at   INTEGER NOT NULL,
    expires_at   INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

CREATE TABLE sessions (
    id         BLOB PRIMARY KEY,
    account    BLOB NOT NULL REFERENCES accounts (id),
    key        BLOB NOT NULL,
    created_at INTEGER NOT NULL,
    ended_at   INTEGER
) STRICT, WITHOUT ROWID;

-- kind: 0 access, 1 refresh
CREATE TABLE tokens (
    hash       BLOB PRIMARY KEY,
    session    BLOB NOT NULL REFERENCES sessions (id),
    kind       INTEGER NOT NULL,
    expires_at INTEGER NOT NULL,
    used_at    INTEGER
) STRICT, WITHOUT ROWID;
CREATE INDEX tokens_by_expiry ON tokens (expires_at);

CREATE TABLE terminals (
    id          BLOB PRIMARY KEY,
    account     BLOB NOT NULL REFERENCES accounts (id),
    key         BLOB NOT NULL,
    release     BLOB NOT NULL,
    label       TEXT NOT NULL,
    statement   TEXT NOT NULL,
    enrolled_at INTEGER NOT NULL,
    revoked_at  INTEGER,
    UNIQUE (account, key)
) STRICT, WITHOUT ROWID;

CREATE TABLE publishers (
    id         BLOB PRIMARY KEY,
    name       TEXT NOT NULL UNIQUE,
    key        BLOB NOT NULL,
    owner      BLOB NOT NULL REFERENCES accounts (id),
    created_at INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
CREATE INDEX publishers_by_owner ON publishers (owner);

CREATE TABLE vouches (
    publisher BLOB NOT NULL REFERENCES publishers (id),
    seq       INTEGER NOT NULL,
    compact   TEXT NOT NULL,
    PRIMARY KEY (publisher, seq)
) STRICT, WITHOUT ROWID;

CREATE TABLE resources (
    digest           BLOB PRIMARY KEY,
    publisher        BLOB NOT NULL REFERENCES publishers (id),
    name             TEXT NOT NULL,
    version          TEXT NOT NULL,
    kind             TEXT NOT NULL,
    title            TEXT NOT NULL,
    description      TEXT NOT NULL,
    manifest         TEXT NOT NULL,
    run_max          INTEGER,
    size             INTEGER NOT NULL,
    published_at     INTEGER NOT NULL,
    withdrawn_at     INTEGER,
    withdrawn_reason TEXT,
    UNIQUE (publisher, name, version)
) STRICT;

-- parts: names in the manifest's order, separated by spaces
CREATE TABLE operations (
    resource BLOB NOT NULL REFERENCES resources (digest),
    name     TEXT NOT NULL,
    parts    TEXT NOT NULL,
    PRIMARY KEY (resource, name)
) STRICT, WITHOUT ROWID;

CREATE TABLE parts (
    resource BLOB NOT NULL REFERENCES resources (digest),
    name     TEXT NOT NULL,
    key      BLOB NOT NULL,
    PRIMARY KEY (resource, name)
) STRICT, WITHOUT ROWID;

-- A part belongs to whoever published it first.
CREATE TABLE commitments (
    commitment BLOB PRIMARY KEY,
    publisher  BLOB NOT NULL REFERENCES publishers (id)
) STRICT, WITHOUT ROWID;

-- A revision never changes; it ends. `offer` is the payload that is signed, `digest` its SHA-256.
CREATE TABLE offers (
    digest    BLOB PRIMARY KEY,
    id        BLOB NOT NULL,
    publisher BLOB NOT NULL REFERENCES publishers (id),
    name      TEXT NOT NULL,
    operation TEXT NOT NULL,
    offer     TEXT NOT NULL,
    since     INTEGER NOT NULL,
    ended_at  INTEGER
) STRICT, WITHOUT ROWID;
CREATE INDEX offers_in_force ON offers (publisher, name, operation) WHERE ended_at IS NULL;
CREATE UNIQUE INDEX one_revision_in_force ON offers (id) WHERE ended_at IS NULL;

-- state: 0 pending, 1 paid, 2 declined, 3 refunding, 4 refunded
CREATE TABLE orders (
    id           BLOB PRIMARY KEY,
    account      BLOB NOT NULL REFERENCES accounts (id),
    state        INTEGER NOT NULL DEFAULT 0 CHECK (state BETWEEN 0 AND 4),
    offer_digest BLOB NOT NULL REFERENCES offers (digest),
    provider     TEXT NOT NULL,
    receipt      TEXT,
    created_at   INTEGER NOT NULL,
    changed_at   INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
CREATE INDEX orders_by_account ON orders (account);
CREATE INDEX orders_not_final ON orders (created_at) WHERE state IN (0, 3);

-- One per paid order, under its identifier. `held` counts holds until they are released, expired ones too.
CREATE TABLE entitlements (
    id         BLOB PRIMARY KEY,
    account    BLOB NOT NULL REFERENCES accounts (id),
    publisher  BLOB NOT NULL REFERENCES publishers (id),
    name       TEXT NOT NULL,
    operation  TEXT NOT NULL,
    rights     TEXT NOT NULL,
    total      INTEGER,
    used       INTEGER NOT NULL DEFAULT 0 CHECK (used >= 0),
    held       INTEGER NOT NULL DEFAULT 0 CHECK (held >= 0),
    since      INTEGER NOT NULL,
    revoked_at INTEGER,
    CHECK (total IS NULL OR used + held <= total)
) STRICT, WITHOUT ROWID;
CREATE INDEX entitlements_by_subject ON entitlements (account, publisher, name, operation);

-- state: 0 held, 1 consumed, 2 released
CREATE TABLE authorisations (
    code        BLOB PRIMARY KEY,
    account     BLOB NOT NULL,
    terminal    BLOB NOT NULL,
    binding     BLOB NOT NULL,
    resource    BLOB NOT NULL,
    operation   TEXT NOT NULL,
    rights      TEXT NOT NULL,
    entitlement BLOB,
    quantity    INTEGER NOT NULL,
    units       INTEGER NOT NULL CHECK (units >= 0),
    state       INTEGER NOT NULL DEFAULT 0 CHECK (state BETWEEN 0 AND 2),
    expires_at  INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
CREATE INDEX holds_by_expiry ON authorisations (expires_at) WHERE state = 0;
CREATE INDEX holds_of_units ON authorisations (entitlement, expires_at) WHERE state = 0 AND units > 0;

-- state: 0 issued, 1 acknowledged, 2 superseded, 3 revoked
CREATE TABLE grants (
    id          BLOB PRIMARY KEY,
    code        BLOB NOT NULL UNIQUE,
    terminal    BLOB NOT NULL,
    resource    BLOB NOT NULL,
    operation   TEXT NOT NULL,
    entitlement BLOB,
    state       INTEGER NOT NULL DEFAULT 0 CHECK (state BETWEEN 0 AND 3),
    compact     TEXT NOT NULL,
    nonce       BLOB NOT NULL,
    keys        TEXT NOT NULL,
    expires_at  INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
CREATE INDEX grants_unacknowledged ON grants (terminal, resource, operation) WHERE state = 0;
CREATE INDEX grants_open ON grants (entitlement, expires_at) WHERE state IN (0, 1) AND entitlement IS NOT NULL;

-- kind: 0 under way, 1 a code, 2 a grant, 3 an order, 4 a body
CREATE TABLE answers (
    scope   BLOB NOT NULL,
    key     TEXT NOT NULL,
    request BLOB NOT NULL,
    kind    INTEGER NOT NULL,
    subject BLOB,
    body    TEXT,
    at      INTEGER NOT NULL,
    PRIMARY KEY (scope, key)
) STRICT, WITHOUT ROWID;
CREATE INDEX answers_by_time ON answers (at);

-- The user as each publisher sees him: random, never derived.
CREATE TABLE pairwise (
    account   BLOB NOT NULL,
    publisher BLOB NOT NULL,
    id        BLOB NOT NULL,
    PRIMARY KEY (account, publisher)
) STRICT, WITHOUT ROWID;

-- Double entry by construction: what one account gives another takes, so every commodity sums to zero.
CREATE TABLE ledger (
    number    INTEGER PRIMARY KEY,
    at        INTEGER NOT NULL,
    giver     TEXT NOT NULL,
    taker     TEXT NOT NULL,
    amount    INTEGER NOT NULL CHECK (amount > 0),
    commodity TEXT NOT NULL,
    subject   BLOB NOT NULL,
    CHECK (giver <> taker)
) STRICT;
CREATE TRIGGER ledger_is_not_changed BEFORE UPDATE ON ledger
BEGIN SELECT RAISE(ABORT, 'the ledger is only appended to'); END;
CREATE TRIGGER ledger_is_not_deleted BEFORE DELETE ON ledger
BEGIN SELECT RAISE(ABORT, 'the ledger is only appended to'); END;

CREATE VIEW balances AS
    SELECT account, commodity, sum(amount) AS amount FROM (
        SELECT taker AS account, commodity, amount FROM ledger
        UNION ALL
        SELECT giver, commodity, -amount FROM ledger
    ) GROUP BY account, commodity;

-- What happened, for whoever has to answer for it.
CREATE TABLE log (
    number   INTEGER PRIMARY KEY,
    at       INTEGER NOT NULL,
    kind     TEXT NOT NULL,
    account  BLOB,
    terminal BLOB,
    subject  BLOB
) STRICT;

CREATE TABLE server_keys (
    role TEXT PRIMARY KEY,
    key  BLOB NOT NULL
) STRICT, WITHOUT ROWID;

CREATE TABLE signing_keys (
    number     INTEGER PRIMARY KEY,
    public     BLOB NOT NULL UNIQUE,
    seed       BLOB NOT NULL,
    not_before INTEGER NOT NULL,
    expires_at INTEGER NOT NULL
) STRICT;
