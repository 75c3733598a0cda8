-- `user` is a function of PostgreSQL, and statements are written once.
ALTER TABLE devices RENAME COLUMN user TO user_code;
