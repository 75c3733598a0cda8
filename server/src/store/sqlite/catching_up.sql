-- `caught_up`: the orders of a merchant that wait for it are told anew, some at a time; up to this one they are. NULL:
-- none is to be told anew. `resumes`: 1 if they go on after a suspension, each with a new nonce and a day.
ALTER TABLE merchants ADD COLUMN caught_up BLOB;
ALTER TABLE merchants ADD COLUMN resumes INTEGER NOT NULL DEFAULT 0;

-- What a merchant has to seal, by its deadline: what is there long after it waits for a person.
CREATE INDEX code_orders_by_deadline ON code_orders (deadline)
    WHERE (state IN (0, 1, 2) OR (state IN (3, 4) AND generation > sealed));

-- A merchant is suspended by itself, or because the account is that answers for it. The one place that says so.
CREATE VIEW suspended_merchants AS
    SELECT m.id FROM merchants m JOIN accounts a ON a.id = m.owner
    WHERE m.suspended_at IS NOT NULL OR a.suspended_at IS NOT NULL;
