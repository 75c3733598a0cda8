-- The schema as it was when there was a second database. Tables, columns and what may be null are those of SQLite, whose
-- migrations (../sqlite/) have every column with its meaning. Texts are compared byte by byte, as there: pages are named
-- by them. Identifiers and digests are bytes, times are milliseconds since the Unix epoch by the database's clock.

CREATE TABLE schema_version (number BIGINT NOT NULL);
INSERT INTO schema_version (number) VALUES (0);

CREATE TABLE accounts (
    id           BYTEA PRIMARY KEY,
    lookup       BYTEA NOT NULL UNIQUE,
    name         BYTEA NOT NULL,
    password     TEXT COLLATE "C" NOT NULL,
    operator     BIGINT NOT NULL,
    created_at   BIGINT NOT NULL,
    suspended_at BIGINT,
    verified_at  BIGINT
);

CREATE TABLE invitations (
    token      BYTEA PRIMARY KEY,
    operator   BIGINT NOT NULL,
    expires_at BIGINT NOT NULL,
    used_at    BIGINT
);
CREATE INDEX invitations_by_expiry ON invitations (expires_at);

CREATE TABLE web_sessions (
    token      BYTEA PRIMARY KEY,
    account    BYTEA NOT NULL REFERENCES accounts (id),
    expires_at BIGINT NOT NULL,
    created_at BIGINT NOT NULL DEFAULT 0
);
CREATE INDEX web_sessions_by_account ON web_sessions (account);
CREATE INDEX web_sessions_by_expiry ON web_sessions (expires_at);

-- state: 0 pending, 1 approved, 2 denied, 3 used. `session`: what a used code became.
CREATE TABLE devices (
    device     BYTEA PRIMARY KEY,
    user_code  BYTEA NOT NULL UNIQUE,
    key        BYTEA NOT NULL,
    label      TEXT COLLATE "C" NOT NULL,
    state      BIGINT NOT NULL DEFAULT 0,
    account    BYTEA REFERENCES accounts (id),
    pause      BIGINT NOT NULL,
    polled_at  BIGINT,
    created_at BIGINT NOT NULL,
    expires_at BIGINT NOT NULL,
    session    BYTEA
);
CREATE INDEX devices_by_expiry ON devices (expires_at);
CREATE INDEX devices_by_account ON devices (account) WHERE account IS NOT NULL;

CREATE TABLE sessions (
    id         BYTEA PRIMARY KEY,
    account    BYTEA NOT NULL REFERENCES accounts (id),
    key        BYTEA NOT NULL,
    created_at BIGINT NOT NULL,
    ended_at   BIGINT,
    label      TEXT COLLATE "C" NOT NULL DEFAULT '',
    used_at    BIGINT NOT NULL DEFAULT 0,
    expires_at BIGINT NOT NULL DEFAULT 0
);
CREATE INDEX sessions_by_account ON sessions (account) WHERE ended_at IS NULL;
CREATE INDEX sessions_by_expiry ON sessions (expires_at);

-- kind: 0 access, 1 refresh
CREATE TABLE tokens (
    hash       BYTEA PRIMARY KEY,
    session    BYTEA NOT NULL REFERENCES sessions (id),
    kind       BIGINT NOT NULL,
    expires_at BIGINT NOT NULL,
    used_at    BIGINT
);
CREATE INDEX tokens_by_expiry ON tokens (expires_at);
CREATE INDEX tokens_by_session ON tokens (session);

CREATE TABLE terminals (
    id          BYTEA PRIMARY KEY,
    account     BYTEA NOT NULL REFERENCES accounts (id),
    key         BYTEA NOT NULL,
    release     BYTEA NOT NULL,
    label       TEXT COLLATE "C" NOT NULL,
    statement   TEXT COLLATE "C" NOT NULL,
    enrolled_at BIGINT NOT NULL,
    revoked_at  BIGINT,
    UNIQUE (account, key)
);
CREATE INDEX terminals_by_account ON terminals (account, id);
CREATE INDEX terminals_in_use ON terminals (account, id) WHERE revoked_at IS NULL;
CREATE INDEX terminals_revoked ON terminals (account, id) WHERE revoked_at IS NOT NULL;

CREATE TABLE publishers (
    id         BYTEA PRIMARY KEY,
    name       TEXT COLLATE "C" NOT NULL UNIQUE,
    key        BYTEA NOT NULL,
    owner      BYTEA NOT NULL REFERENCES accounts (id),
    created_at BIGINT NOT NULL
);
CREATE INDEX publishers_by_owner ON publishers (owner, name);

CREATE TABLE vouches (
    publisher BYTEA NOT NULL REFERENCES publishers (id),
    seq       BIGINT NOT NULL,
    compact   TEXT COLLATE "C" NOT NULL,
    PRIMARY KEY (publisher, seq)
);

CREATE TABLE resources (
    digest           BYTEA PRIMARY KEY,
    publisher        BYTEA NOT NULL REFERENCES publishers (id),
    name             TEXT COLLATE "C" NOT NULL,
    version          TEXT COLLATE "C" NOT NULL,
    kind             TEXT COLLATE "C" NOT NULL,
    title            TEXT COLLATE "C" NOT NULL,
    description      TEXT COLLATE "C" NOT NULL,
    manifest         TEXT COLLATE "C" NOT NULL,
    run_max          BIGINT,
    size             BIGINT NOT NULL,
    published_at     BIGINT NOT NULL,
    withdrawn_at     BIGINT,
    withdrawn_reason TEXT COLLATE "C",
    taken_down       BIGINT NOT NULL DEFAULT 0 CHECK (taken_down IN (0, 1)),
    UNIQUE (publisher, name, version)
);

-- parts: names in the manifest's order, separated by spaces
CREATE TABLE operations (
    resource BYTEA NOT NULL REFERENCES resources (digest),
    name     TEXT COLLATE "C" NOT NULL,
    parts    TEXT COLLATE "C" NOT NULL,
    PRIMARY KEY (resource, name)
);

CREATE TABLE parts (
    resource BYTEA NOT NULL REFERENCES resources (digest),
    name     TEXT COLLATE "C" NOT NULL,
    key      BYTEA NOT NULL,
    public   BIGINT NOT NULL DEFAULT 0,
    PRIMARY KEY (resource, name)
);

-- A part belongs to whoever published it first.
CREATE TABLE commitments (
    commitment BYTEA PRIMARY KEY,
    publisher  BYTEA NOT NULL REFERENCES publishers (id)
);

-- A revision never changes; it ends. `offer` is the payload that is signed, `digest` its SHA-256.
CREATE TABLE offers (
    digest    BYTEA PRIMARY KEY,
    id        BYTEA NOT NULL,
    publisher BYTEA NOT NULL REFERENCES publishers (id),
    name      TEXT COLLATE "C" NOT NULL,
    operation TEXT COLLATE "C" NOT NULL,
    offer     TEXT COLLATE "C" NOT NULL,
    since     BIGINT NOT NULL,
    ended_at  BIGINT
);
CREATE INDEX offers_in_force ON offers (publisher, name, operation) WHERE ended_at IS NULL;
CREATE UNIQUE INDEX one_revision_in_force ON offers (id) WHERE ended_at IS NULL;
CREATE INDEX offers_by_subject ON offers (publisher, name, operation);

-- One per paid order, under its identifier. `held` counts holds until they are released, expired ones too. `total`
-- counts rights; they may be used from `starts_at` on until `ends_at`, on `seats` terminals at once. `place` counts the
-- rows of an account, from 1: pages are named by it.
CREATE TABLE entitlements (
    id         BYTEA PRIMARY KEY,
    account    BYTEA NOT NULL REFERENCES accounts (id),
    publisher  BYTEA NOT NULL REFERENCES publishers (id),
    name       TEXT COLLATE "C" NOT NULL,
    operation  TEXT COLLATE "C" NOT NULL,
    rights     TEXT COLLATE "C" NOT NULL,
    total      BIGINT,
    used       BIGINT NOT NULL DEFAULT 0 CHECK (used >= 0),
    held       BIGINT NOT NULL DEFAULT 0 CHECK (held >= 0),
    since      BIGINT NOT NULL,
    revoked_at BIGINT,
    place      BIGINT,
    starts_at  BIGINT,
    ends_at    BIGINT,
    seats      BIGINT CHECK (seats > 0),
    CHECK (total IS NULL OR used + held <= total)
);
CREATE UNIQUE INDEX entitlements_by_place ON entitlements (account, place);
CREATE INDEX entitlements_left ON entitlements (account, publisher, name, operation, id)
    WHERE total IS NOT NULL AND revoked_at IS NULL AND used < total;
CREATE INDEX entitlements_by_rest ON entitlements (account, publisher, name, operation, (total - used - held))
    WHERE total IS NOT NULL AND revoked_at IS NULL AND used < total;
CREATE INDEX entitlements_used_up ON entitlements (account, publisher, name, operation)
    WHERE total IS NOT NULL AND revoked_at IS NULL AND used = total;
CREATE INDEX entitlements_revoked ON entitlements (account, publisher, name, operation) WHERE revoked_at IS NOT NULL;
CREATE UNIQUE INDEX one_entitlement_for_good ON entitlements (account, publisher, name, operation)
    WHERE total IS NULL AND ends_at IS NULL AND revoked_at IS NULL;
CREATE INDEX entitlements_by_end ON entitlements (account, publisher, name, operation, ends_at)
    WHERE ends_at IS NOT NULL AND revoked_at IS NULL;

-- state: 0 held, 1 consumed, 2 released. `offer`, `cost`, `currency`: the accepted metered offer, and the money held.
CREATE TABLE authorisations (
    code        BYTEA PRIMARY KEY,
    account     BYTEA NOT NULL,
    terminal    BYTEA NOT NULL,
    binding     BYTEA NOT NULL,
    resource    BYTEA NOT NULL,
    operation   TEXT COLLATE "C" NOT NULL,
    rights      TEXT COLLATE "C" NOT NULL,
    entitlement BYTEA,
    quantity    BIGINT NOT NULL,
    units       BIGINT NOT NULL CHECK (units >= 0),
    state       BIGINT NOT NULL DEFAULT 0 CHECK (state BETWEEN 0 AND 2),
    expires_at  BIGINT NOT NULL,
    offer       BYTEA,
    cost        BIGINT NOT NULL DEFAULT 0 CHECK (cost >= 0),
    currency    TEXT COLLATE "C"
);
CREATE INDEX holds_by_expiry ON authorisations (expires_at) WHERE state = 0;
CREATE INDEX holds_of_units ON authorisations (entitlement, expires_at) WHERE state = 0 AND units > 0;
CREATE INDEX holds_of_money ON authorisations (account, currency, expires_at) WHERE state = 0 AND cost > 0;

-- kind: 0 under way, 1 a code, 2 a grant, 3 an order, 4 a body, 5 an order that another request opened
CREATE TABLE answers (
    scope   BYTEA NOT NULL,
    key     TEXT COLLATE "C" NOT NULL,
    request BYTEA NOT NULL,
    kind    BIGINT NOT NULL,
    subject BYTEA,
    body    TEXT COLLATE "C",
    at      BIGINT NOT NULL,
    ends_at BIGINT,
    lease   BIGINT,
    PRIMARY KEY (scope, key)
);
CREATE INDEX answers_by_end ON answers (ends_at) WHERE ends_at IS NOT NULL;

-- The user as each publisher sees him: random, never derived.
CREATE TABLE pairwise (
    account   BYTEA NOT NULL,
    publisher BYTEA NOT NULL,
    id        BYTEA NOT NULL,
    PRIMARY KEY (account, publisher)
);

-- Double entry by construction: what one account gives another takes, so every commodity sums to zero.
CREATE TABLE ledger (
    number    BIGINT GENERATED BY DEFAULT AS IDENTITY PRIMARY KEY,
    at        BIGINT NOT NULL,
    giver     TEXT COLLATE "C" NOT NULL,
    taker     TEXT COLLATE "C" NOT NULL,
    amount    BIGINT NOT NULL CHECK (amount > 0),
    commodity TEXT COLLATE "C" NOT NULL,
    subject   BYTEA NOT NULL,
    CHECK (giver <> taker)
);
CREATE FUNCTION ledger_is_only_appended_to() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION 'the ledger is only appended to';
END $$;
CREATE TRIGGER ledger_is_not_changed BEFORE UPDATE OR DELETE OR TRUNCATE ON ledger
    FOR EACH STATEMENT EXECUTE FUNCTION ledger_is_only_appended_to();

CREATE VIEW balances AS
    SELECT account, commodity, CAST(sum(amount) AS BIGINT) AS amount FROM (
        SELECT taker AS account, commodity, amount FROM ledger
        UNION ALL
        SELECT giver, commodity, -amount FROM ledger
    ) AS sides GROUP BY account, commodity;

-- What happened, for whoever has to answer for it.
CREATE TABLE log (
    number   BIGINT GENERATED BY DEFAULT AS IDENTITY PRIMARY KEY,
    at       BIGINT NOT NULL,
    kind     TEXT COLLATE "C" NOT NULL,
    account  BYTEA,
    terminal BYTEA,
    subject  BYTEA
);

CREATE TABLE server_keys (
    role TEXT COLLATE "C" PRIMARY KEY,
    key  BYTEA NOT NULL
);

CREATE TABLE signing_keys (
    number     BIGINT GENERATED BY DEFAULT AS IDENTITY PRIMARY KEY,
    public     BYTEA NOT NULL UNIQUE,
    seed       BYTEA NOT NULL,
    not_before BIGINT NOT NULL,
    expires_at BIGINT NOT NULL
);

-- `amount` is what is left, `held` counts holds until they are released, expired ones too. In minor units.
CREATE TABLE prepaid (
    account  BYTEA NOT NULL REFERENCES accounts (id),
    currency TEXT COLLATE "C" NOT NULL,
    amount   BIGINT NOT NULL DEFAULT 0 CHECK (amount >= 0),
    held     BIGINT NOT NULL DEFAULT 0 CHECK (held >= 0),
    PRIMARY KEY (account, currency),
    CHECK (held <= amount)
);

-- state: 0 issued, 1 acknowledged, 2 superseded, 3 revoked. `replaces`: the grant in whose place this one was issued.
CREATE TABLE grants (
    id          BYTEA PRIMARY KEY,
    code        BYTEA NOT NULL,
    terminal    BYTEA NOT NULL,
    resource    BYTEA NOT NULL,
    operation   TEXT COLLATE "C" NOT NULL,
    entitlement BYTEA,
    state       BIGINT NOT NULL DEFAULT 0 CHECK (state BETWEEN 0 AND 3),
    compact     TEXT COLLATE "C" NOT NULL,
    nonce       BYTEA NOT NULL,
    keys        TEXT COLLATE "C" NOT NULL,
    expires_at  BIGINT NOT NULL,
    replaces    BYTEA UNIQUE
);
CREATE UNIQUE INDEX one_grant_of_a_code ON grants (code) WHERE replaces IS NULL;
CREATE INDEX grants_unacknowledged ON grants (terminal, resource, operation) WHERE state = 0;
CREATE INDEX grants_open ON grants (entitlement, expires_at) WHERE state IN (0, 1) AND entitlement IS NOT NULL;
CREATE INDEX grants_of_terminals ON grants (terminal, id) WHERE state IN (0, 1);

-- The catalogue as it is searched: a row per resource. `number` names pages.
CREATE TABLE catalogue (
    number    BIGINT GENERATED BY DEFAULT AS IDENTITY PRIMARY KEY,
    publisher BYTEA NOT NULL REFERENCES publishers (id),
    name      TEXT COLLATE "C" NOT NULL,
    newest    BYTEA NOT NULL REFERENCES resources (digest),
    kind      TEXT COLLATE "C" NOT NULL,
    versions  TEXT COLLATE "C" NOT NULL,
    texts     TEXT COLLATE "C" NOT NULL,
    sold      BIGINT NOT NULL,
    cover     BIGINT NOT NULL DEFAULT 0,
    UNIQUE (publisher, name)
);
CREATE INDEX catalogue_on_sale ON catalogue (sold, number);
CREATE INDEX catalogue_by_kind ON catalogue (kind, sold, number);
CREATE INDEX catalogue_kinds ON catalogue (kind) WHERE sold = 1;
CREATE INDEX catalogue_of_publisher ON catalogue (publisher, number) WHERE sold = 1;

-- Three characters as a number, and the listings that have them.
CREATE TABLE trigrams (
    trigram BIGINT NOT NULL,
    weight  BIGINT NOT NULL,
    listing BIGINT NOT NULL,
    PRIMARY KEY (trigram, weight, listing)
);

-- One row: which server this database belongs to, and when one last worked on it.
CREATE TABLE server (
    "only"    BIGINT PRIMARY KEY CHECK ("only" = 1),
    origin    TEXT COLLATE "C",
    key_check BYTEA,
    seen_at   BIGINT NOT NULL,
    CHECK ((origin IS NULL) = (key_check IS NULL))
);
INSERT INTO server ("only", seen_at) VALUES (1, 0);

-- Which processes are alive. A number is never used again: it is the fence.
CREATE TABLE leases (
    number  BIGINT GENERATED BY DEFAULT AS IDENTITY PRIMARY KEY,
    ends_at BIGINT NOT NULL
);

-- Accounts that asked for a publisher's name, and those that may claim names.
CREATE TABLE approvals (
    account     BYTEA PRIMARY KEY REFERENCES accounts (id),
    name        TEXT COLLATE "C",
    asked_at    BIGINT,
    approved_at BIGINT,
    CHECK ((name IS NULL) = (asked_at IS NULL))
);
CREATE INDEX approvals_by_name ON approvals (name, asked_at) WHERE approved_at IS NULL;
CREATE INDEX approvals_by_time ON approvals (asked_at) WHERE approved_at IS NULL;

-- state: 0 pending, 1 paid, 2 declined, 3 refunding, 4 refunded, 5 disputed, 6 charged back.
CREATE TABLE orders (
    id           BYTEA PRIMARY KEY,
    account      BYTEA NOT NULL REFERENCES accounts (id),
    state        BIGINT NOT NULL DEFAULT 0 CHECK (state BETWEEN 0 AND 6),
    offer_digest BYTEA REFERENCES offers (digest),
    provider     TEXT COLLATE "C" NOT NULL,
    receipt      TEXT COLLATE "C",
    created_at   BIGINT NOT NULL,
    changed_at   BIGINT NOT NULL,
    amount       BIGINT CHECK (amount > 0),
    currency     TEXT COLLATE "C",
    returned     BIGINT CHECK (returned > 0 AND returned <= amount),
    intent       TEXT COLLATE "C",
    again        BIGINT NOT NULL DEFAULT 0,
    place        BIGINT,
    reference    TEXT COLLATE "C",
    next         TEXT COLLATE "C",
    ends_at      BIGINT NOT NULL DEFAULT 0,
    look_at      BIGINT,
    looks        BIGINT NOT NULL DEFAULT 0,
    lease        BIGINT,
    CHECK ((offer_digest IS NULL) = (amount IS NOT NULL) AND (amount IS NULL) = (currency IS NULL))
);
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
    account   BYTEA NOT NULL REFERENCES accounts (id),
    provider  TEXT COLLATE "C" NOT NULL,
    reference BYTEA NOT NULL,
    label     TEXT COLLATE "C" NOT NULL,
    saved_at  BIGINT NOT NULL,
    PRIMARY KEY (account, provider)
);
