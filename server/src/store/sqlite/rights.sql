-- What is recorded of rights, whatever their model: `total` counts them, and they may be used from `starts_at` on until
-- `ends_at`, on `seats` terminals at once. NULL: not counted, no time of their own, no end, any number.
ALTER TABLE entitlements ADD COLUMN starts_at INTEGER;
ALTER TABLE entitlements ADD COLUMN ends_at INTEGER;
ALTER TABLE entitlements ADD COLUMN seats INTEGER CHECK (seats > 0);

-- For good is what is neither counted nor ends.
DROP INDEX one_entitlement_for_good;
CREATE UNIQUE INDEX one_entitlement_for_good ON entitlements (account, publisher, name, operation)
    WHERE total IS NULL AND ends_at IS NULL AND revoked_at IS NULL;
-- What ends, that which ends first before the others.
CREATE INDEX entitlements_by_end ON entitlements (account, publisher, name, operation, ends_at)
    WHERE ends_at IS NOT NULL AND revoked_at IS NULL;
