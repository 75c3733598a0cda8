-- When the password was last typed in a browser session. What was signed in before this was known types it again.
ALTER TABLE web_sessions ADD COLUMN proven_at INTEGER NOT NULL DEFAULT 0;

-- `claimant`: the terminal that the account's holder lets take the order over. `delivered_at`: when what was sealed last
-- was first handed to its terminal.
ALTER TABLE code_orders ADD COLUMN claimant BLOB;
ALTER TABLE code_orders ADD COLUMN delivered_at INTEGER;
