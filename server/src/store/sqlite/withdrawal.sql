-- Who withdrew a resource: what the store's operator took down, its publisher does not restore. Of what is withdrawn
-- already nobody knows, so only the operator restores that.
ALTER TABLE resources ADD COLUMN taken_down INTEGER NOT NULL DEFAULT 0 CHECK (taken_down IN (0, 1));
UPDATE resources SET taken_down = 1 WHERE withdrawn_at IS NOT NULL;
