-- Sign-ins are listed and end: what the terminal is called, when it was last heard of, and until when it can be renewed.
ALTER TABLE sessions ADD COLUMN label TEXT NOT NULL DEFAULT '';
ALTER TABLE sessions ADD COLUMN used_at INTEGER NOT NULL DEFAULT 0;
ALTER TABLE sessions ADD COLUMN expires_at INTEGER NOT NULL DEFAULT 0;
UPDATE sessions SET used_at = created_at, expires_at = created_at;
UPDATE sessions SET expires_at = last.expires_at
    FROM (SELECT session, max(expires_at) AS expires_at FROM tokens GROUP BY session) AS last
    WHERE last.session = sessions.id;
CREATE INDEX sessions_by_account ON sessions (account) WHERE ended_at IS NULL;
CREATE INDEX sessions_by_expiry ON sessions (expires_at);
CREATE INDEX tokens_by_session ON tokens (session);
CREATE INDEX devices_by_account ON devices (account) WHERE account IS NOT NULL;

-- Browsers are listed too. Sessions made before this were made for twelve hours.
ALTER TABLE web_sessions ADD COLUMN created_at INTEGER NOT NULL DEFAULT 0;
UPDATE web_sessions SET created_at = expires_at - 43200000;

-- When the owner of the e-mail address proved that it is his. A change of the address clears it.
ALTER TABLE accounts ADD COLUMN verified_at INTEGER;
