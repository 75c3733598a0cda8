-- See ../sqlite/bounds.sql.
ALTER TABLE code_batches ADD COLUMN ends_at BIGINT;
UPDATE code_batches SET ends_at = expires_at;
CREATE INDEX code_batches_by_end ON code_batches (ends_at) WHERE ends_at IS NOT NULL;
CREATE INDEX redemption_codes_kept ON redemption_codes (batch) WHERE state <> 1 AND sold IS NULL;

CREATE INDEX catalogue_by_name ON catalogue (name, number) WHERE sold = 1;
CREATE INDEX catalogue_of_merchant_on_sale ON catalogue (merchant, number) WHERE sold = 1 AND merchant IS NOT NULL;
