-- What operators did. Each row's digest covers the row and the digest of the row before; its seal is a keyed hash of the
-- digest. Numbers begin at 1 and have no gaps, so the database does not give them.
CREATE TABLE audit (
    number  INTEGER PRIMARY KEY,
    at      INTEGER NOT NULL,
    who     TEXT NOT NULL,
    action  TEXT NOT NULL,
    subject TEXT NOT NULL,
    detail  TEXT NOT NULL,
    digest  BLOB NOT NULL,
    seal    BLOB NOT NULL
) STRICT;

-- What the server signed of it, by the number of rows that it covers.
CREATE TABLE audit_heads (
    number  INTEGER PRIMARY KEY,
    compact TEXT NOT NULL
) STRICT;
