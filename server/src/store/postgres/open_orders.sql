-- See ../sqlite/open_orders.sql.
CREATE INDEX orders_pending ON orders (account) WHERE state = 0;
CREATE INDEX code_orders_unacknowledged ON code_orders (changed_at) WHERE state = 4;

UPDATE code_orders SET spent = NULL WHERE spent IS NOT NULL AND recipient IS NULL;
