-- See ../sqlite/step_up.sql.
ALTER TABLE web_sessions ADD COLUMN proven_at BIGINT NOT NULL DEFAULT 0;
ALTER TABLE code_orders ADD COLUMN claimant BYTEA;
ALTER TABLE code_orders ADD COLUMN delivered_at BIGINT;
