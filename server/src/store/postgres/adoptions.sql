-- See ../sqlite/adoptions.sql.
CREATE TABLE adoptions (
    publisher BYTEA NOT NULL REFERENCES publishers (id),
    name      TEXT COLLATE "C" NOT NULL,
    key       BYTEA NOT NULL,
    compact   TEXT COLLATE "C" NOT NULL,
    PRIMARY KEY (publisher, name, key)
);

ALTER TABLE resources ADD COLUMN stands BIGINT NOT NULL DEFAULT 1;
