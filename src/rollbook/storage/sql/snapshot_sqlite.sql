-- What the migrations make of an empty database; printed by
-- python -m rollbook.storage.sql.migrate --snapshot
-- Revision: 0001

CREATE TABLE alembic_version (
    version_num VARCHAR(32) NOT NULL, 
    CONSTRAINT alembic_version_pkc PRIMARY KEY (version_num)
);

CREATE TABLE setting (
        name TEXT NOT NULL PRIMARY KEY,
        value TEXT NOT NULL
    ) STRICT, WITHOUT ROWID;

CREATE TABLE token (
        id TEXT NOT NULL PRIMARY KEY,
        tenant INTEGER NOT NULL,
        name TEXT NOT NULL,
        digest BLOB NOT NULL,
        created INTEGER NOT NULL,
        expires INTEGER,
        account TEXT,
        revoked INTEGER
    ) STRICT, WITHOUT ROWID;

CREATE INDEX token_by_tenant ON token (tenant, created, id);

CREATE TABLE attribute (
        number INTEGER NOT NULL PRIMARY KEY,
        name TEXT NOT NULL UNIQUE
    ) STRICT;

CREATE TABLE sequence (
        tenant INTEGER NOT NULL PRIMARY KEY,
        resource INTEGER NOT NULL,
        change INTEGER NOT NULL
    ) STRICT;

CREATE TABLE counter (
        tenant INTEGER NOT NULL,
        type TEXT NOT NULL,
        resources INTEGER NOT NULL CHECK (resources >= 0),
        PRIMARY KEY (tenant, type)
    ) STRICT, WITHOUT ROWID;

CREATE TABLE resource (
        pk INTEGER NOT NULL PRIMARY KEY,
        tenant INTEGER NOT NULL CHECK (tenant = pk >> 40),
        type TEXT NOT NULL,
        id TEXT NOT NULL,
        version INTEGER NOT NULL,
        created INTEGER NOT NULL,
        modified INTEGER NOT NULL,
        display TEXT,
        body BLOB NOT NULL,
        extra BLOB
    ) STRICT;

CREATE UNIQUE INDEX resource_by_id ON resource (tenant, id);

CREATE INDEX resource_by_type ON resource (tenant, type, pk);

CREATE INDEX resource_by_created ON resource (tenant, type, created, pk);

CREATE INDEX resource_by_modified ON resource (tenant, type, modified, pk);

CREATE TABLE membership (
        tenant INTEGER NOT NULL,
        container INTEGER NOT NULL,
        member INTEGER NOT NULL,
        PRIMARY KEY (tenant, container, member)
    ) STRICT, WITHOUT ROWID;

CREATE UNIQUE INDEX membership_by_member ON membership (tenant, member, container);

CREATE TABLE value (
        tenant INTEGER NOT NULL,
        attribute INTEGER NOT NULL,
        key BLOB NOT NULL,
        pk INTEGER NOT NULL,
        element INTEGER NOT NULL,
        PRIMARY KEY (tenant, attribute, key, pk, element)
    ) STRICT, WITHOUT ROWID;

CREATE TABLE unique_value (
        tenant INTEGER NOT NULL,
        attribute INTEGER NOT NULL,
        key BLOB NOT NULL,
        pk INTEGER NOT NULL,
        PRIMARY KEY (tenant, attribute, key)
    ) STRICT, WITHOUT ROWID;

CREATE TABLE change (
        tenant INTEGER NOT NULL,
        sequence INTEGER NOT NULL,
        type TEXT NOT NULL,
        id TEXT NOT NULL,
        operation TEXT NOT NULL CHECK (operation IN ('create', 'update', 'delete')),
        version TEXT NOT NULL,
        author TEXT NOT NULL,
        at INTEGER NOT NULL,
        detail BLOB NOT NULL,
        PRIMARY KEY (tenant, sequence)
    ) STRICT, WITHOUT ROWID;

INSERT INTO alembic_version (version_num) VALUES ('0001');
