-- One hosted core. What is here survives the process and, once a transaction is committed, the machine.

-- How the file was made: the check value that only the right master key opens.
CREATE TABLE meta (
    name  TEXT PRIMARY KEY,
    value BLOB NOT NULL
) WITHOUT ROWID;

-- Hot and short: one row is rewritten with every authentication.
CREATE TABLE authentication (
    supi TEXT PRIMARY KEY,
    keys BLOB NOT NULL,              -- K and OPc: nonce, AES-256-GCM ciphertext, tag; bound to the SUPI
    amf  BLOB NOT NULL,              -- authentication management field, two octets
    sqn  INTEGER NOT NULL            -- the last one that was given out, 48 bits
) WITHOUT ROWID;

CREATE TABLE subscription (
    supi            TEXT PRIMARY KEY REFERENCES authentication (supi) ON DELETE CASCADE,
    profile         TEXT NOT NULL,   -- JSON, coeur_model::SubscriptionProfile
    created_unix_ms INTEGER NOT NULL,
    updated_unix_ms INTEGER NOT NULL
) WITHOUT ROWID;

CREATE TABLE ue (
    supi   TEXT PRIMARY KEY,
    record BLOB NOT NULL             -- the AMF's affair
) WITHOUT ROWID;

CREATE TABLE session (
    supi    TEXT NOT NULL,
    session INTEGER NOT NULL,
    record  BLOB NOT NULL,           -- the SMF's affair
    PRIMARY KEY (supi, session)
) WITHOUT ROWID;
