-- The catalogue as it is searched: a row per resource, whatever versions it has, kept by the transactions that publish,
-- withdraw and suspend. `number` orders it by first publication and names pages. `newest` is the version that is shown,
-- `versions` those that a search shows, `texts` what is searched of it, folded, and `sold` whether any of it is on sale.
CREATE TABLE catalogue (
    number    INTEGER PRIMARY KEY,
    publisher BLOB NOT NULL REFERENCES publishers (id),
    name      TEXT NOT NULL,
    newest    BLOB NOT NULL REFERENCES resources (digest),
    kind      TEXT NOT NULL,
    versions  TEXT NOT NULL,
    texts     TEXT NOT NULL,
    sold      INTEGER NOT NULL,
    UNIQUE (publisher, name)
) STRICT;
CREATE INDEX catalogue_on_sale ON catalogue (sold, number);
CREATE INDEX catalogue_by_kind ON catalogue (kind, sold, number);

-- Three characters as a number, and the listings that have them: the best of them first, then the newest.
CREATE TABLE trigrams (
    trigram INTEGER NOT NULL,
    weight  INTEGER NOT NULL,
    listing INTEGER NOT NULL,
    PRIMARY KEY (trigram, weight, listing)
) STRICT, WITHOUT ROWID;
