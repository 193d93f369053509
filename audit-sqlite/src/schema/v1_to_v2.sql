-- From version 1 to the tables of version 2. v2.sql follows.
--
-- The names get the prefix `audit_`, and each change a time of its own. Indexes can't be renamed; they
-- are built anew, which reads the trail once.

-- By it, a view of the owner's that no longer works is no reason to refuse. What refers to the old names
-- from outside is not followed: they were private.
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
-- NULL in what is there already: the record's started_at is all that is known.
ALTER TABLE audit_field_change ADD COLUMN changed_at INTEGER;

PRAGMA legacy_alter_table = OFF;

ANALYZE sqlite_schema;
DELETE FROM sqlite_stat1 WHERE tbl IN ('record', 'field_change', 'name');
