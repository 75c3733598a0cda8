-- Orders by intent, public parts, and grants that are issued once more.

-- `intent`: what must not be on order twice while it is pending; NULL if it may be. `again`: the buyer was told that it
-- gives nothing new, or that the same is on order, and wanted it.
ALTER TABLE orders ADD COLUMN intent TEXT;
ALTER TABLE orders ADD COLUMN again INTEGER NOT NULL DEFAULT 0;
CREATE UNIQUE INDEX one_pending_order ON orders (account, intent) WHERE state = 0 AND intent IS NOT NULL;

-- Whether the publisher declared a part public. A free operation opens no other.
ALTER TABLE parts ADD COLUMN public INTEGER NOT NULL DEFAULT 0;
UPDATE parts SET public = coalesce(
    (SELECT json_extract(part.value, '$.public')
     FROM resources r, json_each(r.manifest, '$.parts') AS part
     WHERE r.digest = parts.resource AND json_extract(part.value, '$.name') = parts.name), 0);

-- A grant that was paid for and never acknowledged is issued once more: `replaces` is the one before it. Of a code there
-- is one grant that is not superseded by its own replacement.
CREATE TABLE grants_2 (
    id          BLOB PRIMARY KEY,
    code        BLOB NOT NULL,
    terminal    BLOB NOT NULL,
    resource    BLOB NOT NULL,
    operation   TEXT NOT NULL,
    entitlement BLOB,
    state       INTEGER NOT NULL DEFAULT 0 CHECK (state BETWEEN 0 AND 3),
    compact     TEXT NOT NULL,
    nonce       BLOB NOT NULL,
    keys        TEXT NOT NULL,
    expires_at  INTEGER NOT NULL,
    replaces    BLOB UNIQUE
) STRICT, WITHOUT ROWID;
INSERT INTO grants_2 (id, code, terminal, resource, operation, entitlement, state, compact, nonce, keys, expires_at)
    SELECT id, code, terminal, resource, operation, entitlement, state, compact, nonce, keys, expires_at FROM grants;
DROP TABLE grants;
ALTER TABLE grants_2 RENAME TO grants;
CREATE UNIQUE INDEX one_grant_of_a_code ON grants (code) WHERE replaces IS NULL;
CREATE INDEX grants_unacknowledged ON grants (terminal, resource, operation) WHERE state = 0;
CREATE INDEX grants_open ON grants (entitlement, expires_at) WHERE state IN (0, 1) AND entitlement IS NOT NULL;

-- The answer of a verification is kept for as long as its grant can be issued once more, all others for a week.
DROP INDEX answers_by_time;
CREATE INDEX answers_by_time ON answers (kind, at);
