-- Migrates the tables of version 1 to those of version 2. v2.sql creates the rest.
--
-- All names get the prefix `audit_`, and each change gets its own time. SQLite can't rename an index,
-- so the indexes are created again, which reads the trail once.

-- Lets the migration succeed although the owner has a view that no longer works. Views and triggers of
-- the owner that use the old tables are not updated, because these were private.
PRAGMA legacy_alter_table = ON;

DROP VIEW IF EXISTS audit_log;
DROP VIEW IF EXISTS audit_changes;

DROP TRIGGER IF EXISTS record_insert;
DROP TRIGGER IF EXISTS record_update;
DROP TRIGGER IF EXISTS record_delete;
DROP TRIGGER IF EXISTS field_change_insert;
DROP TRIGGER IF EXISTS field_change_update;
DROP TRIGGER IF EXISTS field_change_delete;
DROP TRIGGER IF EXISTS name_insert;
DROP TRIGGER IF EXISTS name_update;
DROP TRIGGER IF EXISTS name_delete;

DROP INDEX IF EXISTS record_by_started_at;
DROP INDEX IF EXISTS record_by_parent;
DROP INDEX IF EXISTS record_by_action;
DROP INDEX IF EXISTS record_by_actor;
DROP INDEX IF EXISTS record_by_target;
DROP INDEX IF EXISTS record_by_outcome;
DROP INDEX IF EXISTS record_by_correlation;
DROP INDEX IF EXISTS field_change_by_target;

ALTER TABLE name RENAME TO audit_name;
ALTER TABLE record RENAME TO audit_record;
ALTER TABLE field_change RENAME TO audit_field_change;
-- NULL in existing rows, for which only the started_at of the record is known.
ALTER TABLE audit_field_change ADD COLUMN changed_at INTEGER;

PRAGMA legacy_alter_table = OFF;

ANALYZE sqlite_schema;
DELETE FROM sqlite_stat1 WHERE tbl IN ('record', 'field_change', 'name');
