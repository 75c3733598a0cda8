-- See ../sqlite/published_bytes.sql.
CREATE INDEX resources_by_size ON resources (publisher, size);
