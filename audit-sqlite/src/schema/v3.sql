-- Version 3 adds recorder sessions, and the intents of calls that have not ended.
--
-- Both tables add to the records. They never replace a record.

-- One row for each recorder session: the life of one recorder, from its start to its end.
CREATE TABLE audit_session (
    number          INTEGER PRIMARY KEY,
    id              BLOB    NOT NULL UNIQUE, -- 16 bytes, UUID; also in the name of its lock file
    service         TEXT,
    host            TEXT,
    pid             INTEGER NOT NULL,
    boot_id         TEXT,                -- with the two that follow, says which process it was; NULL elsewhere than on Linux
    pid_namespace   TEXT,
    process_start   INTEGER,             -- clock ticks after boot
    file            TEXT,                -- device and inode of the database: in a copy, they are those of the original
    started_at      INTEGER NOT NULL,    -- microseconds since 1970-01-01 UTC, as all times
    in_flight       INTEGER NOT NULL,    -- records that may have been accepted and not be stored, at most
    ended           INTEGER NOT NULL DEFAULT 0, -- accepted records that are stored, or told of by a gap
    dropped_told    INTEGER NOT NULL DEFAULT 0, -- dropped records that gaps tell of
    stored_at       INTEGER,             -- of its latest batch
    state           INTEGER NOT NULL DEFAULT 0, -- 0 open, 1 closed, 2 died
    ended_at        INTEGER              -- if it died, when that was found
) STRICT;

-- Few sessions are open, however many there were.
CREATE INDEX audit_session_open ON audit_session (number) WHERE state = 0;

-- What is known of a call before its body runs. The columns are those of audit_record. The record of
-- the call replaces the intent.
CREATE TABLE audit_intent (
    number         INTEGER PRIMARY KEY,
    session        INTEGER NOT NULL,
    id             BLOB    NOT NULL UNIQUE,
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
    parent_id      BLOB,
    target_label   TEXT,
    reason         TEXT,
    input          TEXT,
    notes          TEXT,
    context        TEXT,
    truncated      TEXT
) STRICT;

CREATE TRIGGER audit_session_insert BEFORE INSERT ON audit_session
WHEN EXISTS (SELECT 1 FROM audit_session WHERE number = NEW.number OR id = NEW.id)
BEGIN SELECT RAISE(FAIL, 'audit records are append-only: audit_session holds this session already'); END;

CREATE TRIGGER audit_session_update BEFORE UPDATE ON audit_session
WHEN OLD.state <> 0
BEGIN SELECT RAISE(ABORT, 'audit records are append-only: a session that has ended cannot be updated'); END;

CREATE TRIGGER audit_session_update_of BEFORE UPDATE
OF number, id, service, host, pid, boot_id, pid_namespace, process_start, file, started_at, in_flight ON audit_session
BEGIN SELECT RAISE(ABORT, 'audit records are append-only: only the end of a session can be added to it'); END;

CREATE TRIGGER audit_session_delete BEFORE DELETE ON audit_session
BEGIN SELECT RAISE(ABORT, 'audit records are append-only: audit_session cannot be deleted from'); END;

CREATE TRIGGER audit_intent_insert BEFORE INSERT ON audit_intent
WHEN EXISTS (SELECT 1 FROM audit_intent WHERE number = NEW.number OR id = NEW.id)
BEGIN SELECT RAISE(FAIL, 'audit records are append-only: audit_intent holds this call already'); END;

CREATE TRIGGER audit_intent_update BEFORE UPDATE ON audit_intent
BEGIN SELECT RAISE(ABORT, 'audit records are append-only: audit_intent cannot be updated'); END;

CREATE TRIGGER audit_intent_delete BEFORE DELETE ON audit_intent
WHEN NOT EXISTS (SELECT 1 FROM audit_record WHERE id = OLD.id)
BEGIN SELECT RAISE(ABORT, 'audit records are append-only: an intent goes only when its record is there'); END;

-- Which recorders wrote to the trail, from when to when, and how they ended.
CREATE VIEW audit_sessions AS
SELECT
    lower(substr(hex(s.id), 1, 8) || '-' || substr(hex(s.id), 9, 4) || '-' || substr(hex(s.id), 13, 4)
        || '-' || substr(hex(s.id), 17, 4) || '-' || substr(hex(s.id), 21, 12)) AS id,
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
    lower(substr(hex(i.id), 1, 8) || '-' || substr(hex(i.id), 9, 4) || '-' || substr(hex(i.id), 13, 4)
        || '-' || substr(hex(i.id), 17, 4) || '-' || substr(hex(i.id), 21, 12)) AS id,
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
    CASE WHEN typeof(i.correlation_id) = 'text' THEN i.correlation_id
        ELSE lower(substr(hex(ifnull(i.correlation_id, i.id)), 1, 8)
            || '-' || substr(hex(ifnull(i.correlation_id, i.id)), 9, 4)
            || '-' || substr(hex(ifnull(i.correlation_id, i.id)), 13, 4)
            || '-' || substr(hex(ifnull(i.correlation_id, i.id)), 17, 4)
            || '-' || substr(hex(ifnull(i.correlation_id, i.id)), 21, 12)) END AS correlation_id,
    CASE WHEN i.parent_id IS NOT NULL THEN
        lower(substr(hex(i.parent_id), 1, 8) || '-' || substr(hex(i.parent_id), 9, 4)
            || '-' || substr(hex(i.parent_id), 13, 4) || '-' || substr(hex(i.parent_id), 17, 4)
            || '-' || substr(hex(i.parent_id), 21, 12)) END AS parent_id,
    i.input AS input,
    i.reason AS reason,
    i.notes AS notes,
    i.context AS context,
    i.truncated AS truncated,
    (SELECT lower(substr(hex(s.id), 1, 8) || '-' || substr(hex(s.id), 9, 4) || '-' || substr(hex(s.id), 13, 4)
        || '-' || substr(hex(s.id), 17, 4) || '-' || substr(hex(s.id), 21, 12))
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
