/** The newest two migrations of 4.5.3, which tests take back to have something pending. */
export const PENDING = ['20250924170259', '20251023210145'] as const

export const TAKE_BACK = `BEGIN;
DELETE FROM schema_migrations WHERE version IN ('${PENDING.join("', '")}');
DROP TABLE IF EXISTS username_blocks;
ALTER TABLE accounts DROP COLUMN IF EXISTS id_scheme, DROP COLUMN IF EXISTS following_url;
TRUNCATE applied_log;
COMMIT`

/** Makes the table `applied_log`, which gets a row each time that a migration is applied. */
export const LOG_APPLIED = `CREATE TABLE applied_log (version varchar);
GRANT ALL ON applied_log TO PUBLIC;
CREATE FUNCTION log_applied() RETURNS trigger LANGUAGE plpgsql AS
  'BEGIN INSERT INTO applied_log VALUES (NEW.version); RETURN NEW; END';
CREATE TRIGGER log_applied AFTER INSERT ON schema_migrations FOR EACH ROW EXECUTE FUNCTION log_applied()`
