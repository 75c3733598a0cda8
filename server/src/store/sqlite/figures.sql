-- Figures for monitoring. How many orders are in a state: a row for each sixteenth of the orders, which may be below zero;
-- their sum counts.
CREATE TABLE order_counts (
    state  INTEGER NOT NULL,
    shard  INTEGER NOT NULL,
    orders INTEGER NOT NULL,
    PRIMARY KEY (state, shard)
) STRICT, WITHOUT ROWID;
INSERT INTO order_counts (state, shard, orders) SELECT state, 0, count(*) FROM orders GROUP BY state;

-- What the accounts of the ledger hold by class (publisher, prepaid, …), and the number of the last transfer that is in it.
CREATE TABLE books (
    class     TEXT NOT NULL,
    commodity TEXT NOT NULL,
    amount    INTEGER NOT NULL,
    PRIMARY KEY (class, commodity)
) STRICT, WITHOUT ROWID;
ALTER TABLE server ADD COLUMN ledger_folded INTEGER NOT NULL DEFAULT 0;
