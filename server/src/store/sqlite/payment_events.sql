-- `ahead`: what was heard of a dispute before what it follows. 0 nothing, 1 a dispute was opened and the payment is not
-- settled yet, 2 a dispute was won that was not heard to be open yet.
ALTER TABLE orders ADD COLUMN ahead INTEGER NOT NULL DEFAULT 0;

-- Events about disputes that were heard, by the digest of the provider's own name for each: what is delivered again
-- changes nothing.
CREATE TABLE dispute_events (
    subject  BLOB NOT NULL REFERENCES orders (id),
    id       BLOB NOT NULL,
    heard_at INTEGER NOT NULL,
    PRIMARY KEY (subject, id)
) STRICT, WITHOUT ROWID;
