-- The indexes, statistics, triggers and views of version 2, for a new trail and for a migrated one.
--
-- Only the views at the end are public.

-- New times and parents are always the largest, because an id of version 7 begins with its time. So
-- these indexes grow at their end.
CREATE INDEX audit_record_by_started_at  ON audit_record (started_at);
CREATE INDEX audit_record_by_parent      ON audit_record (parent_id) WHERE parent_id IS NOT NULL;

-- Indexes over values in no order begin with the run of the record: each 8,192 records are one run. A
-- batch then writes only to the end of each index, a few pages that stay in memory, however large the
-- trail is. Otherwise, each record would change a different page. A query searches run by run, from
-- the newest, and stops when its page is full.
-- A partial index costs nothing for the records that are not in it, which are most.
CREATE INDEX audit_record_by_action      ON audit_record (seq >> 13, action);
CREATE INDEX audit_record_by_actor       ON audit_record (seq >> 13, actor)          WHERE actor IS NOT NULL;
CREATE INDEX audit_record_by_target      ON audit_record (seq >> 13, target_type, target_id) WHERE target_type IS NOT NULL;
CREATE INDEX audit_record_by_outcome     ON audit_record (seq >> 13, outcome)        WHERE outcome <> 0;
CREATE INDEX audit_record_by_correlation ON audit_record (seq >> 13, correlation_id) WHERE correlation_id IS NOT NULL;

CREATE INDEX audit_field_change_by_target ON audit_field_change (record_seq >> 13, target_type, target_id);

-- For queries for the deleted objects of a type, which are few.
CREATE INDEX audit_field_change_deleted ON audit_field_change (record_seq >> 13, target_type, target_id)
    WHERE change = 2;

-- The statistics of a large trail, for the query planner. With them, a plain `WHERE actor = …` on a
-- view skips from run to run through the index, and does not read each record. This ANALYZE measures
-- nothing: it only creates the table of statistics if there is none. A later one may replace these
-- statistics with measured ones. Those of other tables belong to other programs.
ANALYZE sqlite_schema;
DELETE FROM sqlite_stat1 WHERE tbl IN ('audit_record', 'audit_field_change', 'audit_name');
INSERT INTO sqlite_stat1 (tbl, idx, stat) VALUES
    ('audit_record', 'sqlite_autoindex_audit_record_1', '10000000 1'),
    ('audit_record', 'audit_record_by_started_at', '10000000 1'),
    ('audit_record', 'audit_record_by_parent', '5000000 4'),
    ('audit_record', 'audit_record_by_action', '10000000 8192 80'),
    ('audit_record', 'audit_record_by_actor', '10000000 8192 8'),
    ('audit_record', 'audit_record_by_target', '10000000 8192 100 2'),
    ('audit_record', 'audit_record_by_outcome', '500000 400 130'),
    ('audit_record', 'audit_record_by_correlation', '5000000 4096 4'),
    ('audit_field_change', 'audit_field_change', '10000000 3 1'),
    ('audit_field_change', 'audit_field_change_by_target', '10000000 24576 300 3'),
    ('audit_field_change', 'audit_field_change_deleted', '500000 1200 60 3'),
    ('audit_name', 'sqlite_autoindex_audit_name_1', '100000 1');

-- Append-only. REPLACE deletes rows without firing DELETE triggers, so INSERT triggers refuse it.
CREATE TRIGGER audit_record_insert BEFORE INSERT ON audit_record
WHEN (NEW.seq > 0 AND NEW.seq <> (SELECT ifnull(max(seq), 0) + 1 FROM audit_record))
    OR EXISTS (SELECT 1 FROM audit_record WHERE id = NEW.id)
BEGIN SELECT RAISE(FAIL, 'audit records are append-only: a new record takes the next seq and an id of its own'); END;

CREATE TRIGGER audit_record_update BEFORE UPDATE ON audit_record
BEGIN SELECT RAISE(ABORT, 'audit records are append-only: audit_record cannot be updated'); END;

CREATE TRIGGER audit_record_delete BEFORE DELETE ON audit_record
BEGIN SELECT RAISE(ABORT, 'audit records are append-only: audit_record cannot be deleted from'); END;

CREATE TRIGGER audit_field_change_insert BEFORE INSERT ON audit_field_change
WHEN NEW.record_seq IS NOT (SELECT max(seq) FROM audit_record)
    OR EXISTS (SELECT 1 FROM audit_field_change WHERE record_seq = NEW.record_seq AND position = NEW.position)
BEGIN SELECT RAISE(FAIL, 'audit records are append-only: changes are added together with their record'); END;

CREATE TRIGGER audit_field_change_update BEFORE UPDATE ON audit_field_change
BEGIN SELECT RAISE(ABORT, 'audit records are append-only: audit_field_change cannot be updated'); END;

CREATE TRIGGER audit_field_change_delete BEFORE DELETE ON audit_field_change
BEGIN SELECT RAISE(ABORT, 'audit records are append-only: audit_field_change cannot be deleted from'); END;

CREATE TRIGGER audit_name_insert BEFORE INSERT ON audit_name
WHEN EXISTS (SELECT 1 FROM audit_name WHERE id = NEW.id OR text = NEW.text)
BEGIN SELECT RAISE(FAIL, 'audit records are append-only: audit_name holds this id or text already'); END;

CREATE TRIGGER audit_name_update BEFORE UPDATE ON audit_name
BEGIN SELECT RAISE(ABORT, 'audit records are append-only: audit_name cannot be updated'); END;

CREATE TRIGGER audit_name_delete BEFORE DELETE ON audit_name
BEGIN SELECT RAISE(ABORT, 'audit records are append-only: audit_name cannot be deleted from'); END;

-- Version 4 replaces this view. The remainder of a negative number is negative in SQL; times before
-- 1970 need the floor.
-- LEFT JOIN throughout: SQLite leaves out the tables whose columns are not asked for. It turns one
-- into a lookup by index where its column is compared with a value.
CREATE VIEW audit_log AS
SELECT
    r.seq AS seq,
    lower(substr(hex(r.id), 1, 8) || '-' || substr(hex(r.id), 9, 4) || '-' || substr(hex(r.id), 13, 4)
        || '-' || substr(hex(r.id), 17, 4) || '-' || substr(hex(r.id), 21, 12)) AS id,
    CASE r.kind
        WHEN 0 THEN 'call' WHEN 1 THEN 'change' WHEN 2 THEN 'event' WHEN 3 THEN 'request'
        WHEN 4 THEN 'external' WHEN 5 THEN 'login' WHEN 6 THEN 'export' WHEN 7 THEN 'system'
        WHEN 8 THEN 'note' WHEN 9 THEN 'gap' END AS kind,
    strftime('%Y-%m-%dT%H:%M:%S',
        (r.started_at - (r.started_at % 1000000 + 1000000) % 1000000) / 1000000, 'unixepoch')
        || printf('.%06dZ', (r.started_at % 1000000 + 1000000) % 1000000) AS started_at,
    r.duration_us AS duration_us,
    action.text AS action,
    method.text AS method,
    CASE r.outcome
        WHEN 0 THEN 'success' WHEN 1 THEN 'failure' WHEN 2 THEN 'panic'
        WHEN 3 THEN 'cancelled' WHEN 4 THEN 'unknown' END AS outcome,
    actor.text AS actor,
    on_behalf_of.text AS on_behalf_of,
    ip.text AS ip,
    site.text AS site,
    service.text AS service,
    target_type.text AS target_type,
    r.target_id AS target_id,
    r.target_label AS target_label,
    CASE WHEN typeof(r.correlation_id) = 'text' THEN r.correlation_id
        ELSE lower(substr(hex(ifnull(r.correlation_id, r.id)), 1, 8)
            || '-' || substr(hex(ifnull(r.correlation_id, r.id)), 9, 4)
            || '-' || substr(hex(ifnull(r.correlation_id, r.id)), 13, 4)
            || '-' || substr(hex(ifnull(r.correlation_id, r.id)), 17, 4)
            || '-' || substr(hex(ifnull(r.correlation_id, r.id)), 21, 12)) END AS correlation_id,
    CASE WHEN r.parent_id IS NOT NULL THEN
        lower(substr(hex(r.parent_id), 1, 8) || '-' || substr(hex(r.parent_id), 9, 4)
            || '-' || substr(hex(r.parent_id), 13, 4) || '-' || substr(hex(r.parent_id), 17, 4)
            || '-' || substr(hex(r.parent_id), 21, 12)) END AS parent_id,
    r.input AS input,
    r.output AS output,
    r.log AS log,
    r.error AS error,
    r.traceback AS traceback,
    r.reason AS reason,
    r.notes AS notes,
    r.context AS context,
    r.truncated AS truncated
FROM audit_record AS r
LEFT JOIN audit_name AS action       ON action.id = r.action
LEFT JOIN audit_name AS method       ON method.id = r.method
LEFT JOIN audit_name AS actor        ON actor.id = r.actor
LEFT JOIN audit_name AS on_behalf_of ON on_behalf_of.id = r.on_behalf_of
LEFT JOIN audit_name AS ip           ON ip.id = r.ip
LEFT JOIN audit_name AS site         ON site.id = r.site
LEFT JOIN audit_name AS service      ON service.id = r.service
LEFT JOIN audit_name AS target_type  ON target_type.id = r.target_type;

CREATE VIEW audit_changes AS
SELECT
    lower(substr(hex(r.id), 1, 8) || '-' || substr(hex(r.id), 9, 4) || '-' || substr(hex(r.id), 13, 4)
        || '-' || substr(hex(r.id), 17, 4) || '-' || substr(hex(r.id), 21, 12)) AS record_id,
    strftime('%Y-%m-%dT%H:%M:%S',
        (r.started_at - (r.started_at % 1000000 + 1000000) % 1000000) / 1000000, 'unixepoch')
        || printf('.%06dZ', (r.started_at % 1000000 + 1000000) % 1000000) AS started_at,
    action.text AS action,
    actor.text AS actor,
    target_type.text AS target_type,
    c.target_id AS target_id,
    CASE c.change WHEN 0 THEN 'changed' WHEN 1 THEN 'created' WHEN 2 THEN 'deleted' END AS change,
    field.text AS field,
    c.before AS before,
    c.after AS after,
    strftime('%Y-%m-%dT%H:%M:%S',
        (ifnull(c.changed_at, r.started_at)
            - (ifnull(c.changed_at, r.started_at) % 1000000 + 1000000) % 1000000) / 1000000, 'unixepoch')
        || printf('.%06dZ', (ifnull(c.changed_at, r.started_at) % 1000000 + 1000000) % 1000000) AS changed_at,
    CASE r.kind
        WHEN 0 THEN 'call' WHEN 1 THEN 'change' WHEN 2 THEN 'event' WHEN 3 THEN 'request'
        WHEN 4 THEN 'external' WHEN 5 THEN 'login' WHEN 6 THEN 'export' WHEN 7 THEN 'system'
        WHEN 8 THEN 'note' WHEN 9 THEN 'gap' END AS record_kind,
    CASE r.outcome
        WHEN 0 THEN 'success' WHEN 1 THEN 'failure' WHEN 2 THEN 'panic'
        WHEN 3 THEN 'cancelled' WHEN 4 THEN 'unknown' END AS record_outcome,
    r.seq AS record_seq,
    (SELECT parent.seq FROM audit_record AS parent WHERE parent.id = r.parent_id) AS parent_seq
FROM audit_field_change AS c
JOIN audit_record AS r ON r.seq = c.record_seq
LEFT JOIN audit_name AS action      ON action.id = r.action
LEFT JOIN audit_name AS actor       ON actor.id = r.actor
LEFT JOIN audit_name AS target_type ON target_type.id = c.target_type
LEFT JOIN audit_name AS field       ON field.id = c.field;

-- A view can't be written to. These triggers give a better error message.
CREATE TRIGGER audit_log_insert INSTEAD OF INSERT ON audit_log
BEGIN SELECT RAISE(ABORT, 'audit records are append-only: only the recorder adds to audit_log'); END;

CREATE TRIGGER audit_log_update INSTEAD OF UPDATE ON audit_log
BEGIN SELECT RAISE(ABORT, 'audit records are append-only: audit_log cannot be updated'); END;

CREATE TRIGGER audit_log_delete INSTEAD OF DELETE ON audit_log
BEGIN SELECT RAISE(ABORT, 'audit records are append-only: audit_log cannot be deleted from'); END;

CREATE TRIGGER audit_changes_insert INSTEAD OF INSERT ON audit_changes
BEGIN SELECT RAISE(ABORT, 'audit records are append-only: only the recorder adds to audit_changes'); END;

CREATE TRIGGER audit_changes_update INSTEAD OF UPDATE ON audit_changes
BEGIN SELECT RAISE(ABORT, 'audit records are append-only: audit_changes cannot be updated'); END;

CREATE TRIGGER audit_changes_delete INSTEAD OF DELETE ON audit_changes
BEGIN SELECT RAISE(ABORT, 'audit records are append-only: audit_changes cannot be deleted from'); END;
