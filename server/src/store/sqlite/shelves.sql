-- What a person sees of the catalogue: whether the newest version on sale has a cover, and what is there of a kind and of
-- a publisher.
ALTER TABLE catalogue ADD COLUMN cover INTEGER NOT NULL DEFAULT 0;
UPDATE catalogue SET cover = EXISTS (
    SELECT 1 FROM resources r, json_each(r.manifest, '$.parts') AS part
    WHERE r.digest = catalogue.newest AND json_extract(part.value, '$.public') = 1
      AND json_extract(part.value, '$.kind') = 'asset' AND json_extract(part.value, '$.size') BETWEEN 1 AND 2097152
      AND json_extract(part.value, '$.media_type') IN ('image/avif', 'image/gif', 'image/jpeg', 'image/png', 'image/webp'));
CREATE INDEX catalogue_kinds ON catalogue (kind) WHERE sold = 1;
CREATE INDEX catalogue_of_publisher ON catalogue (publisher, number) WHERE sold = 1;
