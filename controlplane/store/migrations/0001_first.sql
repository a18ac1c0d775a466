-- Identities are the digits of an IMSI; keys are sealed (see src/seal.rs); times are milliseconds since the Unix epoch.
-- WITHOUT ROWID: one tree to search instead of two.

CREATE TABLE meta (
    name  TEXT NOT NULL PRIMARY KEY,
    value BLOB NOT NULL
) WITHOUT ROWID;

CREATE TABLE subscriber (
    supi            TEXT    NOT NULL PRIMARY KEY,
    sealed_keys     BLOB    NOT NULL,
    amf             INTEGER NOT NULL,
    -- The last sequence number that was reserved.
    sqn             INTEGER NOT NULL,
    profile         TEXT    NOT NULL,
    created_unix_ms INTEGER NOT NULL,
    updated_unix_ms INTEGER NOT NULL
) WITHOUT ROWID;

CREATE TABLE ue (
    supi   TEXT NOT NULL PRIMARY KEY,
    record BLOB NOT NULL
) WITHOUT ROWID;

CREATE TABLE session (
    supi       TEXT    NOT NULL,
    session_id INTEGER NOT NULL,
    record     BLOB    NOT NULL,
    PRIMARY KEY (supi, session_id)
) WITHOUT ROWID;
