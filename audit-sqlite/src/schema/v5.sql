-- Version 5 stores ids as text, so that look-ups and joins by id in the views use an index.
--
-- SQLite can't use an index on the bytes of an id for a comparison with the text that the views show.
-- An index on the text beside the bytes takes as much space as the text itself, and twice the time:
-- an expression that formats an id takes 2 µs. A stored text costs 20 bytes in the table and in each
-- index, and no time. Sessions are few, so they get a generated column.
--
-- SQLite can't change the type of a column, so both tables are copied.

-- Lets the migration succeed although the owner has a view that no longer works.
PRAGMA legacy_alter_table = ON;

-- New views, because a view can't be altered. Their triggers go with the old ones.
DROP VIEW IF EXISTS audit_log;
DROP VIEW IF EXISTS audit_changes;
DROP VIEW IF EXISTS audit_sessions;
DROP VIEW IF EXISTS audit_intents;

-- Columns whose comment is `name` hold an `audit_name.id`. Short columns that queries filter by come
-- first, so that no query has to read past a long input or log.
CREATE TABLE audit_record_v5 (
    seq            INTEGER PRIMARY KEY CHECK (seq > 0), -- 1, 2, 3 … without gaps: see the trigger audit_record_insert
    id             TEXT    NOT NULL UNIQUE, -- UUID version 7, in lower case: grows with time
    kind           INTEGER NOT NULL,     -- numbers: see the view audit_log
    outcome        INTEGER NOT NULL,     -- numbers: see the view audit_log
    started_at     INTEGER NOT NULL,     -- microseconds since 1970-01-01 UTC
    duration_us    INTEGER NOT NULL,
    action         INTEGER NOT NULL,     -- name
    method         INTEGER NOT NULL,     -- name
    actor          INTEGER,              -- name
    on_behalf_of   INTEGER,              -- name
    ip             INTEGER,              -- name
    site           INTEGER,              -- name
    service        INTEGER,              -- name
    target_type    INTEGER,              -- name
    target_id      TEXT,
    correlation_id ANY,                  -- UUID: 16 bytes; other: text; the record's own id: NULL
    parent_id      TEXT,                 -- UUID
    target_label   TEXT,
    reason         TEXT,
    input          TEXT,                 -- JSON, as all that follow but traceback
    output         TEXT,
    log            TEXT,
    error          TEXT,
    traceback      TEXT,
    notes          TEXT,
    context        TEXT,
    truncated      TEXT,
    session        INTEGER,              -- an audit_session.number; NULL without a recorder session
    wait_us        INTEGER               -- NULL if the call did not wait
) STRICT;

INSERT INTO audit_record_v5 (
    seq, id, kind, outcome, started_at, duration_us, action, method, actor, on_behalf_of, ip,
    site, service, target_type, target_id, correlation_id, parent_id, target_label, reason, input,
    output, log, error, traceback, notes, context, truncated, session, wait_us
) SELECT
    seq,
    lower(hex(substr(id, 1, 4)) || '-' || hex(substr(id, 5, 2)) || '-' || hex(substr(id, 7, 2))
        || '-' || hex(substr(id, 9, 2)) || '-' || hex(substr(id, 11))),
    kind, outcome, started_at, duration_us, action, method, actor, on_behalf_of, ip, site,
    service, target_type, target_id, correlation_id,
    nullif(lower(hex(substr(parent_id, 1, 4)) || '-' || hex(substr(parent_id, 5, 2)) || '-' || hex(substr(parent_id, 7, 2))
        || '-' || hex(substr(parent_id, 9, 2)) || '-' || hex(substr(parent_id, 11))), '----'),
    target_label, reason, input, output, log, error, traceback, notes, context, truncated,
    session, wait_us
FROM audit_record ORDER BY seq;
DROP TABLE audit_record;
ALTER TABLE audit_record_v5 RENAME TO audit_record;

-- The columns are those of audit_record.
CREATE TABLE audit_intent_v5 (
    number         INTEGER PRIMARY KEY,
    session        INTEGER NOT NULL,
    id             TEXT    NOT NULL UNIQUE,
    kind           INTEGER NOT NULL,
    started_at     INTEGER NOT NULL,
    action         INTEGER NOT NULL,
    method         INTEGER NOT NULL,
    actor          INTEGER,
    on_behalf_of   INTEGER,
    ip             INTEGER,
    site           INTEGER,
    service        INTEGER,
    target_type    INTEGER,
    target_id      TEXT,
    correlation_id ANY,
    parent_id      TEXT,
    target_label   TEXT,
    reason         TEXT,
    input          TEXT,
    notes          TEXT,
    context        TEXT,
    truncated      TEXT
) STRICT;

INSERT INTO audit_intent_v5 (
    number, session, id, kind, started_at, action, method, actor, on_behalf_of, ip, site, service,
    target_type, target_id, correlation_id, parent_id, target_label, reason, input, notes,
    context, truncated
) SELECT
    number, session,
    lower(hex(substr(id, 1, 4)) || '-' || hex(substr(id, 5, 2)) || '-' || hex(substr(id, 7, 2))
        || '-' || hex(substr(id, 9, 2)) || '-' || hex(substr(id, 11))),
    kind, started_at, action, method, actor, on_behalf_of, ip, site, service, target_type,
    target_id, correlation_id,
    nullif(lower(hex(substr(parent_id, 1, 4)) || '-' || hex(substr(parent_id, 5, 2)) || '-' || hex(substr(parent_id, 7, 2))
        || '-' || hex(substr(parent_id, 9, 2)) || '-' || hex(substr(parent_id, 11))), '----'),
    target_label, reason, input, notes, context, truncated
FROM audit_intent ORDER BY number;
DROP TABLE audit_intent;
ALTER TABLE audit_intent_v5 RENAME TO audit_intent;

PRAGMA legacy_alter_table = OFF;

ALTER TABLE audit_session ADD COLUMN id_text TEXT GENERATED ALWAYS AS (
    lower(hex(substr(id, 1, 4)) || '-' || hex(substr(id, 5, 2)) || '-' || hex(substr(id, 7, 2))
    || '-' || hex(substr(id, 9, 2)) || '-' || hex(substr(id, 11)))) VIRTUAL;
CREATE UNIQUE INDEX audit_session_by_id_text ON audit_session (id_text);

-- Intents are few, but a join must not read all of them for each.
CREATE INDEX audit_intent_by_parent ON audit_intent (parent_id) WHERE parent_id IS NOT NULL;

-- The rest of the table audit_record is as in v2.sql. Dropping the old one has dropped this too.
CREATE INDEX audit_record_by_started_at  ON audit_record (started_at);
CREATE INDEX audit_record_by_parent      ON audit_record (parent_id) WHERE parent_id IS NOT NULL;

CREATE INDEX audit_record_by_action      ON audit_record (seq >> 13, action);
CREATE INDEX audit_record_by_actor       ON audit_record (seq >> 13, actor)          WHERE actor IS NOT NULL;
CREATE INDEX audit_record_by_target      ON audit_record (seq >> 13, target_type, target_id) WHERE target_type IS NOT NULL;
CREATE INDEX audit_record_by_outcome     ON audit_record (seq >> 13, outcome)        WHERE outcome <> 0;
CREATE INDEX audit_record_by_correlation ON audit_record (seq >> 13, correlation_id) WHERE correlation_id IS NOT NULL;

INSERT INTO sqlite_stat1 (tbl, idx, stat) VALUES
    ('audit_record', 'sqlite_autoindex_audit_record_1', '10000000 1'),
    ('audit_record', 'audit_record_by_started_at', '10000000 1'),
    ('audit_record', 'audit_record_by_parent', '5000000 4'),
    ('audit_record', 'audit_record_by_action', '10000000 8192 80'),
    ('audit_record', 'audit_record_by_actor', '10000000 8192 8'),
    ('audit_record', 'audit_record_by_target', '10000000 8192 100 2'),
    ('audit_record', 'audit_record_by_outcome', '500000 400 130'),
    ('audit_record', 'audit_record_by_correlation', '5000000 4096 4');

CREATE TRIGGER audit_record_insert BEFORE INSERT ON audit_record
WHEN (NEW.seq > 0 AND NEW.seq <> (SELECT ifnull(max(seq), 0) + 1 FROM audit_record))
    OR EXISTS (SELECT 1 FROM audit_record WHERE id = NEW.id)
BEGIN SELECT RAISE(FAIL, 'audit records are append-only: a new record takes the next seq and an id of its own'); END;

CREATE TRIGGER audit_record_update BEFORE UPDATE ON audit_record
BEGIN SELECT RAISE(ABORT, 'audit records are append-only: audit_record cannot be updated'); END;

CREATE TRIGGER audit_record_delete BEFORE DELETE ON audit_record
BEGIN SELECT RAISE(ABORT, 'audit records are append-only: audit_record cannot be deleted from'); END;

CREATE TRIGGER audit_intent_insert BEFORE INSERT ON audit_intent
WHEN EXISTS (SELECT 1 FROM audit_intent WHERE number = NEW.number OR id = NEW.id)
BEGIN SELECT RAISE(FAIL, 'audit records are append-only: audit_intent holds this call already'); END;

CREATE TRIGGER audit_intent_update BEFORE UPDATE ON audit_intent
BEGIN SELECT RAISE(ABORT, 'audit records are append-only: audit_intent cannot be updated'); END;

CREATE TRIGGER audit_intent_delete BEFORE DELETE ON audit_intent
WHEN NOT EXISTS (SELECT 1 FROM audit_record WHERE id = OLD.id)
BEGIN SELECT RAISE(ABORT, 'audit records are append-only: an intent goes only when its record is there'); END;

-- LEFT JOIN throughout: SQLite leaves out the tables whose columns are not asked for. It turns one
-- into a lookup by index where its column is compared with a value. So `parent_seq = 17` finds the
-- nested calls through audit_record_by_parent. The seq of a parent can't be stored in the record,
-- because a nested call is stored before the call around it.
-- The remainder of a negative number is negative in SQL; times before 1970 need the floor.
CREATE VIEW audit_log AS
SELECT
    r.seq AS seq,
    r.id AS id,
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
    CASE typeof(r.correlation_id)
        WHEN 'text' THEN r.correlation_id
        WHEN 'null' THEN r.id
        ELSE lower(hex(substr(r.correlation_id, 1, 4)) || '-' || hex(substr(r.correlation_id, 5, 2))
            || '-' || hex(substr(r.correlation_id, 7, 2))
            || '-' || hex(substr(r.correlation_id, 9, 2)) || '-' || hex(substr(r.correlation_id, 11))) END AS correlation_id,
    r.parent_id AS parent_id,
    r.input AS input,
    r.output AS output,
    r.log AS log,
    r.error AS error,
    r.traceback AS traceback,
    r.reason AS reason,
    r.notes AS notes,
    r.context AS context,
    r.truncated AS truncated,
    session.id_text AS session_id,
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

CREATE VIEW audit_changes AS
SELECT
    r.id AS record_id,
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

-- Which recorders wrote to the trail, from when to when, and how they ended.
CREATE VIEW audit_sessions AS
SELECT
    s.id_text AS id,
    s.service AS service,
    s.host AS host,
    s.pid AS pid,
    strftime('%Y-%m-%dT%H:%M:%S',
        (s.started_at - (s.started_at % 1000000 + 1000000) % 1000000) / 1000000, 'unixepoch')
        || printf('.%06dZ', (s.started_at % 1000000 + 1000000) % 1000000) AS started_at,
    strftime('%Y-%m-%dT%H:%M:%S',
        (s.stored_at - (s.stored_at % 1000000 + 1000000) % 1000000) / 1000000, 'unixepoch')
        || printf('.%06dZ', (s.stored_at % 1000000 + 1000000) % 1000000) AS latest_stored_at,
    CASE s.state WHEN 0 THEN 'open' WHEN 1 THEN 'closed' WHEN 2 THEN 'died' END AS state,
    strftime('%Y-%m-%dT%H:%M:%S',
        (s.ended_at - (s.ended_at % 1000000 + 1000000) % 1000000) / 1000000, 'unixepoch')
        || printf('.%06dZ', (s.ended_at % 1000000 + 1000000) % 1000000) AS ended_at
FROM audit_session AS s;

-- Running calls that were announced before their body ran (`on_audit_failure = "refuse"`).
CREATE VIEW audit_intents AS
SELECT
    i.id AS id,
    CASE i.kind
        WHEN 0 THEN 'call' WHEN 1 THEN 'change' WHEN 2 THEN 'event' WHEN 3 THEN 'request'
        WHEN 4 THEN 'external' WHEN 5 THEN 'login' WHEN 6 THEN 'export' WHEN 7 THEN 'system'
        WHEN 8 THEN 'note' WHEN 9 THEN 'gap' END AS kind,
    strftime('%Y-%m-%dT%H:%M:%S',
        (i.started_at - (i.started_at % 1000000 + 1000000) % 1000000) / 1000000, 'unixepoch')
        || printf('.%06dZ', (i.started_at % 1000000 + 1000000) % 1000000) AS started_at,
    action.text AS action,
    method.text AS method,
    actor.text AS actor,
    on_behalf_of.text AS on_behalf_of,
    ip.text AS ip,
    site.text AS site,
    service.text AS service,
    target_type.text AS target_type,
    i.target_id AS target_id,
    i.target_label AS target_label,
    CASE typeof(i.correlation_id)
        WHEN 'text' THEN i.correlation_id
        WHEN 'null' THEN i.id
        ELSE lower(hex(substr(i.correlation_id, 1, 4)) || '-' || hex(substr(i.correlation_id, 5, 2))
            || '-' || hex(substr(i.correlation_id, 7, 2))
            || '-' || hex(substr(i.correlation_id, 9, 2)) || '-' || hex(substr(i.correlation_id, 11))) END AS correlation_id,
    i.parent_id AS parent_id,
    i.input AS input,
    i.reason AS reason,
    i.notes AS notes,
    i.context AS context,
    i.truncated AS truncated,
    (SELECT s.id_text
        FROM audit_session AS s WHERE s.number = i.session) AS session_id
FROM audit_intent AS i
LEFT JOIN audit_name AS action       ON action.id = i.action
LEFT JOIN audit_name AS method       ON method.id = i.method
LEFT JOIN audit_name AS actor        ON actor.id = i.actor
LEFT JOIN audit_name AS on_behalf_of ON on_behalf_of.id = i.on_behalf_of
LEFT JOIN audit_name AS ip           ON ip.id = i.ip
LEFT JOIN audit_name AS site         ON site.id = i.site
LEFT JOIN audit_name AS service      ON service.id = i.service
LEFT JOIN audit_name AS target_type  ON target_type.id = i.target_type;

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

CREATE TRIGGER audit_sessions_insert INSTEAD OF INSERT ON audit_sessions
BEGIN SELECT RAISE(ABORT, 'audit records are append-only: only the recorder adds to audit_sessions'); END;

CREATE TRIGGER audit_sessions_update INSTEAD OF UPDATE ON audit_sessions
BEGIN SELECT RAISE(ABORT, 'audit records are append-only: audit_sessions cannot be updated'); END;

CREATE TRIGGER audit_sessions_delete INSTEAD OF DELETE ON audit_sessions
BEGIN SELECT RAISE(ABORT, 'audit records are append-only: audit_sessions cannot be deleted from'); END;

CREATE TRIGGER audit_intents_insert INSTEAD OF INSERT ON audit_intents
BEGIN SELECT RAISE(ABORT, 'audit records are append-only: only the recorder adds to audit_intents'); END;

CREATE TRIGGER audit_intents_update INSTEAD OF UPDATE ON audit_intents
BEGIN SELECT RAISE(ABORT, 'audit records are append-only: audit_intents cannot be updated'); END;

CREATE TRIGGER audit_intents_delete INSTEAD OF DELETE ON audit_intents
BEGIN SELECT RAISE(ABORT, 'audit records are append-only: audit_intents cannot be deleted from'); END;
