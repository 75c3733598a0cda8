-- The audit log: see ../sqlite/audit.sql.
CREATE TABLE audit (
    number  BIGINT PRIMARY KEY,
    at      BIGINT NOT NULL,
    who     TEXT COLLATE "C" NOT NULL,
    action  TEXT COLLATE "C" NOT NULL,
    subject TEXT COLLATE "C" NOT NULL,
    detail  TEXT COLLATE "C" NOT NULL,
    digest  BYTEA NOT NULL,
    seal    BYTEA NOT NULL
);

CREATE TABLE audit_heads (
    number  BIGINT PRIMARY KEY,
    compact TEXT COLLATE "C" NOT NULL
);
