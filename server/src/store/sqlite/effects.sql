-- What is done outside the database, what receivers are told, and which process may do it.

-- A charge, a refund, a webhook: one row for each, whose identifier is the key under which it is asked for.
-- kind, subject, part: what it is, once. `part` tells the periods of a subscription apart; 0 otherwise.
-- state: 0 due, 1 claimed, 2 done, 3 failed. `next_at`: due: not before; claimed: until when; NULL once it has ended.
-- `fence` counts the claims: a result is written under the last one only. `tries`: how often it was begun. `lease`: the
-- process that claimed it. `lane`: of the effects of one lane few are claimed at once.
CREATE TABLE effects (
    id         BLOB PRIMARY KEY,
    kind       TEXT NOT NULL,
    subject    BLOB NOT NULL,
    part       INTEGER NOT NULL DEFAULT 0,
    lane       BLOB,
    state      INTEGER NOT NULL DEFAULT 0 CHECK (state BETWEEN 0 AND 3),
    next_at    INTEGER,
    fence      INTEGER NOT NULL DEFAULT 0,
    tries      INTEGER NOT NULL DEFAULT 0,
    lease      INTEGER,
    created_at INTEGER NOT NULL,
    ended_at   INTEGER,
    UNIQUE (kind, subject, part),
    CHECK ((next_at IS NULL) = (state >= 2) AND (ended_at IS NULL) = (state < 2) AND (lease IS NULL) = (state <> 1))
) STRICT, WITHOUT ROWID;
CREATE INDEX effects_due ON effects (next_at) WHERE state = 0 AND lane IS NULL;
CREATE INDEX effects_due_in_lane ON effects (lane, next_at) WHERE state = 0 AND lane IS NOT NULL;
CREATE INDEX effects_claimed ON effects (next_at) WHERE state = 1;
CREATE INDEX effects_claimed_in_lane ON effects (lane) WHERE state = 1 AND lane IS NOT NULL;
CREATE INDEX effects_ended ON effects (ended_at) WHERE ended_at IS NOT NULL;

-- When the first effect of a lane is due; NULL if none is.
CREATE TABLE effect_lanes (
    lane   BLOB PRIMARY KEY,
    due_at INTEGER
) STRICT, WITHOUT ROWID;
CREATE INDEX effect_lanes_due ON effect_lanes (due_at) WHERE due_at IS NOT NULL;

-- Orders were looked up by themselves. Providers know them by the order's identifier, and so they stay known.
INSERT INTO effects (id, kind, subject, state, next_at, tries, created_at)
    SELECT id, CASE state WHEN 3 THEN 'refund' ELSE 'charge' END, id, 0, look_at, 1, created_at
    FROM orders WHERE look_at IS NOT NULL;
INSERT INTO effects (id, kind, subject, state, tries, created_at, ended_at)
    SELECT id, 'refund', id, 3, 1, created_at, changed_at FROM orders WHERE look_at IS NULL AND state = 3;
DROP INDEX orders_to_look_up;
DROP INDEX orders_taken;
ALTER TABLE orders DROP COLUMN look_at;
ALTER TABLE orders DROP COLUMN looks;
ALTER TABLE orders DROP COLUMN lease;

-- kind: 0 terminal, 1 merchant, 2 backend, 3 the store itself. `seq` is the last event of a receiver, and is
-- incremented in the transaction that causes one: what is committed has no gap. `first` is the oldest that is kept.
CREATE TABLE event_receivers (
    kind  INTEGER NOT NULL CHECK (kind BETWEEN 0 AND 3),
    id    BLOB NOT NULL,
    seq   INTEGER NOT NULL DEFAULT 0,
    first INTEGER NOT NULL DEFAULT 1,
    PRIMARY KEY (kind, id)
) STRICT, WITHOUT ROWID;
-- `number` is the order of commits in SQLite alone, by which its processes hear of each other.
CREATE TABLE events (
    number   INTEGER PRIMARY KEY AUTOINCREMENT,
    kind     INTEGER NOT NULL,
    receiver BLOB NOT NULL,
    seq      INTEGER NOT NULL,
    type     TEXT NOT NULL,
    data     TEXT NOT NULL,
    at       INTEGER NOT NULL,
    UNIQUE (kind, receiver, seq)
) STRICT;
CREATE INDEX events_by_time ON events (at);
-- Changes when a database is restored or copied: what was told since is not in it, and its numbers come again.
ALTER TABLE server ADD COLUMN epoch BLOB;
UPDATE server SET epoch = randomblob(16);

-- Where webhooks are sent. state: 0 active, 1 disabled by its receiver (410), 2 removed. `seq` counts its messages.
CREATE TABLE webhook_endpoints (
    id         BLOB PRIMARY KEY,
    kind       INTEGER NOT NULL CHECK (kind BETWEEN 0 AND 3),
    owner      BLOB NOT NULL,
    url        TEXT NOT NULL,
    state      INTEGER NOT NULL DEFAULT 0 CHECK (state BETWEEN 0 AND 2),
    seq        INTEGER NOT NULL DEFAULT 0,
    created_at INTEGER NOT NULL,
    changed_at INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
CREATE INDEX webhook_endpoints_of_owner ON webhook_endpoints (kind, owner, id) WHERE state < 2;
CREATE INDEX webhook_endpoints_by_id ON webhook_endpoints (id) WHERE state < 2;
-- Keys of an endpoint, both sealed: `secret` for `v1`, `seed` for `v1a`, whose public half is `public`.
CREATE TABLE webhook_keys (
    endpoint   BLOB NOT NULL REFERENCES webhook_endpoints (id),
    number     INTEGER NOT NULL,
    secret     BLOB NOT NULL,
    seed       BLOB NOT NULL,
    public     BLOB NOT NULL,
    not_before INTEGER NOT NULL,
    ends_at    INTEGER,
    PRIMARY KEY (endpoint, number)
) STRICT, WITHOUT ROWID;
-- `id` is that of its effect, and the `webhook-id`. `subject`: what it is about; once that is final, nothing is retried.
CREATE TABLE webhook_messages (
    id         BLOB PRIMARY KEY,
    endpoint   BLOB NOT NULL REFERENCES webhook_endpoints (id),
    seq        INTEGER NOT NULL,
    type       TEXT NOT NULL,
    subject    BLOB NOT NULL,
    data       TEXT NOT NULL,
    created_at INTEGER NOT NULL,
    status     INTEGER,
    UNIQUE (endpoint, seq)
) STRICT, WITHOUT ROWID;
CREATE INDEX webhook_messages_of_subject ON webhook_messages (subject);
CREATE INDEX webhook_messages_by_time ON webhook_messages (created_at);
