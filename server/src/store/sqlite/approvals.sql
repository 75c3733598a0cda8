-- Accounts that asked for a publisher's name where an operator approves, and those that may claim names. One row for an
-- account: who asks again asks for the newer name.
CREATE TABLE approvals (
    account     BLOB PRIMARY KEY REFERENCES accounts (id),
    name        TEXT,
    asked_at    INTEGER,
    approved_at INTEGER,
    CHECK ((name IS NULL) = (asked_at IS NULL))
) STRICT, WITHOUT ROWID;
CREATE INDEX approvals_by_name ON approvals (name, asked_at) WHERE approved_at IS NULL;
CREATE INDEX approvals_by_time ON approvals (asked_at) WHERE approved_at IS NULL;
