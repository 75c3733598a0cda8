-- See ../sqlite/lanes.sql.
ALTER TABLE effect_lanes ADD COLUMN places BIGINT NOT NULL DEFAULT 8;
CREATE INDEX webhook_keys_ended ON webhook_keys (ends_at) WHERE ends_at IS NOT NULL;
CREATE INDEX webhook_endpoints_removed ON webhook_endpoints (changed_at) WHERE state = 2;
