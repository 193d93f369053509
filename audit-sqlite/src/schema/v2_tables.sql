-- The tables of version 2, for a database without a trail. An older trail gets the same tables from
-- v1_to_v2.sql. v2.sql creates the rest for both.
--
-- The tables are private: their layout is made for fast inserts, and a later version may change them.
-- Each name begins with `audit_`, because the database may also hold the tables of another program.

-- Strings that repeat from record to record, each stored once.
CREATE TABLE audit_name (
    id   INTEGER PRIMARY KEY,
    text TEXT NOT NULL UNIQUE
) STRICT;

-- Columns whose comment is `name` hold an `audit_name.id`. Short columns that queries filter by come
-- first, so that no query has to read past a long input or log.
CREATE TABLE audit_record (
    seq            INTEGER PRIMARY KEY CHECK (seq > 0), -- 1, 2, 3 … without gaps: see the trigger audit_record_insert
    id             BLOB    NOT NULL UNIQUE, -- 16 bytes, UUID version 7: grows with time
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
    parent_id      BLOB,                 -- 16 bytes
    target_label   TEXT,
    reason         TEXT,
    input          TEXT,                 -- JSON, as all that follow but traceback
    output         TEXT,
    log            TEXT,
    error          TEXT,
    traceback      TEXT,
    notes          TEXT,
    context        TEXT,
    truncated      TEXT
) STRICT;

CREATE TABLE audit_field_change (
    record_seq  INTEGER NOT NULL,
    position    INTEGER NOT NULL,        -- 0, 1, 2 … within the record
    target_type INTEGER NOT NULL,        -- name
    target_id   TEXT    NOT NULL,
    change      INTEGER NOT NULL,        -- numbers: see the view audit_changes
    field       INTEGER NOT NULL,        -- name
    before      TEXT,                    -- JSON
    after       TEXT,                    -- JSON
    changed_at  INTEGER,                 -- as started_at; NULL if recorded under version 1: the record's started_at
    PRIMARY KEY (record_seq, position)
) STRICT, WITHOUT ROWID;
