-- See ../sqlite/catching_up.sql.
ALTER TABLE merchants ADD COLUMN caught_up BYTEA;
ALTER TABLE merchants ADD COLUMN resumes BIGINT NOT NULL DEFAULT 0;
CREATE INDEX code_orders_by_deadline ON code_orders (deadline)
    WHERE (state IN (0, 1, 2) OR (state IN (3, 4) AND generation > sealed));
CREATE VIEW suspended_merchants AS
    SELECT m.id FROM merchants m JOIN accounts a ON a.id = m.owner
    WHERE m.suspended_at IS NOT NULL OR a.suspended_at IS NOT NULL;
