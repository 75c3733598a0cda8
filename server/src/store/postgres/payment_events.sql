-- See ../sqlite/payment_events.sql.
ALTER TABLE orders ADD COLUMN ahead BIGINT NOT NULL DEFAULT 0;

CREATE TABLE dispute_events (
    subject  BYTEA NOT NULL REFERENCES orders (id),
    id       BYTEA NOT NULL,
    heard_at BIGINT NOT NULL,
    PRIMARY KEY (subject, id)
);
