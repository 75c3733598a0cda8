-- Figures for monitoring: see ../sqlite/figures.sql.
CREATE TABLE order_counts (
    state  BIGINT NOT NULL,
    shard  BIGINT NOT NULL,
    orders BIGINT NOT NULL,
    PRIMARY KEY (state, shard)
);
INSERT INTO order_counts (state, shard, orders) SELECT state, 0, count(*) FROM orders GROUP BY state;

CREATE TABLE books (
    class     TEXT COLLATE "C" NOT NULL,
    commodity TEXT COLLATE "C" NOT NULL,
    amount    BIGINT NOT NULL,
    PRIMARY KEY (class, commodity)
);
ALTER TABLE server ADD COLUMN ledger_folded BIGINT NOT NULL DEFAULT 0;
