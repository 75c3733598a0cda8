-- What a key of a publisher stands for of what earlier ones signed: of the key in use, and of the one that comes next.
CREATE TABLE adoptions (
    publisher BLOB NOT NULL REFERENCES publishers (id),
    name      TEXT NOT NULL,
    key       BLOB NOT NULL,
    compact   TEXT NOT NULL,
    PRIMARY KEY (publisher, name, key)
) STRICT, WITHOUT ROWID;

-- `stands`: 0 if the key in use has neither signed nor adopted it. What was published before this was known stands.
ALTER TABLE resources ADD COLUMN stands INTEGER NOT NULL DEFAULT 1;
