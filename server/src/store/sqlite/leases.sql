-- Which server a database belongs to, which of its processes are alive, and who works on what.

-- One row. `key_check` tells whether a master key is the one that sealed this database; `seen_at` is the latest moment at
-- which a server worked on it.
CREATE TABLE server (
    only      INTEGER PRIMARY KEY CHECK (only = 1),
    origin    TEXT,
    key_check BLOB,
    seen_at   INTEGER NOT NULL,
    CHECK ((origin IS NULL) = (key_check IS NULL))
) STRICT;
INSERT INTO server (only, seen_at)
    SELECT 1, max(coalesce((SELECT max(at) FROM log), 0), coalesce((SELECT max(at) FROM answers), 0));

-- A number is never used again: it is the fence.
CREATE TABLE leases (
    number  INTEGER PRIMARY KEY AUTOINCREMENT,
    ends_at INTEGER NOT NULL
) STRICT;

-- The lease under which a request in progress (kind 0) was begun.
ALTER TABLE answers ADD COLUMN lease INTEGER;
-- The session that a used device code became: whoever lost the answer gets the same one again.
ALTER TABLE devices ADD COLUMN session BLOB;
