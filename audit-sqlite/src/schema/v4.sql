-- Version 4 adds to each record the recorder session that wrote it, and how long its call waited for
-- durability. The view audit_log shows both, and the seq of the call around each record.

-- An audit_session.number. NULL if the record was written without a recorder session, or by an older
-- version.
ALTER TABLE audit_record ADD COLUMN session INTEGER;
-- In microseconds. NULL if the call did not wait.
ALTER TABLE audit_record ADD COLUMN wait_us INTEGER;

-- A new view, because a view can't be altered. Its triggers go with the old one.
DROP VIEW audit_log;

-- LEFT JOIN throughout: SQLite leaves out the tables whose columns are not asked for. It turns one
-- into a lookup by index where its column is compared with a value. So `parent_seq = 17` finds the
-- nested calls through audit_record_by_parent. The seq of a parent can't be stored in the record,
-- because a nested call is stored before the call around it.
-- The remainder of a negative number is negative in SQL; times before 1970 need the floor.
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
    r.truncated AS truncated,
    CASE WHEN session.id IS NOT NULL THEN
        lower(substr(hex(session.id), 1, 8) || '-' || substr(hex(session.id), 9, 4)
            || '-' || substr(hex(session.id), 13, 4) || '-' || substr(hex(session.id), 17, 4)
            || '-' || substr(hex(session.id), 21, 12)) END AS session_id,
    r.wait_us AS wait_us,
    parent.seq AS parent_seq
FROM audit_record AS r
LEFT JOIN audit_name AS action       ON action.id = r.action
LEFT JOIN audit_name AS method       ON method.id = r.method
LEFT JOIN audit_name AS actor        ON actor.id = r.actor
LEFT JOIN audit_name AS on_behalf_of ON on_behalf_of.id = r.on_behalf_of
LEFT JOIN audit_name AS ip           ON ip.id = r.ip
LEFT JOIN audit_name AS site         ON site.id = r.site
LEFT JOIN audit_name AS service      ON service.id = r.service
LEFT JOIN audit_name AS target_type  ON target_type.id = r.target_type
LEFT JOIN audit_session AS session   ON session.number = r.session
LEFT JOIN audit_record AS parent     ON parent.id = r.parent_id;

CREATE TRIGGER audit_log_insert INSTEAD OF INSERT ON audit_log
BEGIN SELECT RAISE(ABORT, 'audit records are append-only: only the recorder adds to audit_log'); END;

CREATE TRIGGER audit_log_update INSTEAD OF UPDATE ON audit_log
BEGIN SELECT RAISE(ABORT, 'audit records are append-only: audit_log cannot be updated'); END;

CREATE TRIGGER audit_log_delete INSTEAD OF DELETE ON audit_log
BEGIN SELECT RAISE(ABORT, 'audit records are append-only: audit_log cannot be deleted from'); END;
