-- What the migrations make of an empty database; written by
-- python -m rollbook.storage.sql.migrate --snapshot
-- Revision: 0035

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
    , rights TEXT NOT NULL DEFAULT '{}', used INTEGER, origin TEXT NOT NULL DEFAULT '') STRICT, WITHOUT ROWID;

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
    , maker TEXT) STRICT;

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
        detail BLOB NOT NULL, credential TEXT, origin TEXT, run INTEGER, stamp BLOB,
        PRIMARY KEY (tenant, sequence)
    ) STRICT, WITHOUT ROWID;

CREATE TABLE target (
        tenant INTEGER NOT NULL,
        number INTEGER NOT NULL,
        name TEXT NOT NULL,
        digest TEXT NOT NULL,
        position INTEGER NOT NULL,
        walked INTEGER,
        paused_until INTEGER NOT NULL,
        error TEXT, approved INTEGER NOT NULL DEFAULT 0, stopped TEXT, flat INTEGER NOT NULL DEFAULT 0, audited INTEGER, audit_after INTEGER, audit_until INTEGER NOT NULL DEFAULT 0, warned TEXT, arrivals_from INTEGER,
        PRIMARY KEY (tenant, number),
        UNIQUE (tenant, name)
    ) STRICT, WITHOUT ROWID;

CREATE TABLE link (
        tenant INTEGER NOT NULL,
        target INTEGER NOT NULL,
        pk INTEGER NOT NULL,
        id TEXT NOT NULL,
        type TEXT NOT NULL,
        rank INTEGER NOT NULL,
        state TEXT NOT NULL CHECK (state IN ('ready', 'claimed', 'done', 'left', 'parked')),
        due INTEGER NOT NULL,
        marked INTEGER NOT NULL,
        fence INTEGER NOT NULL,
        attempts INTEGER NOT NULL,
        remote_id TEXT,
        sought TEXT,
        confirmed BLOB,
        disabled INTEGER NOT NULL,
        members_read INTEGER NOT NULL,
        error TEXT, left_at INTEGER,
        PRIMARY KEY (tenant, target, pk)
    ) STRICT, WITHOUT ROWID;

CREATE UNIQUE INDEX link_by_id ON link (tenant, target, id);

CREATE UNIQUE INDEX link_by_remote_id ON link (tenant, target, type, remote_id) WHERE remote_id IS NOT NULL;

CREATE INDEX link_due ON link (tenant, target, rank, due, pk) WHERE state IN ('ready', 'claimed');

CREATE INDEX link_parked ON link (tenant, target, pk) WHERE state = 'parked';

CREATE TABLE link_reference (
        tenant INTEGER NOT NULL,
        target INTEGER NOT NULL,
        refers_to TEXT NOT NULL,
        pk INTEGER NOT NULL,
        PRIMARY KEY (tenant, target, refers_to, pk)
    ) STRICT, WITHOUT ROWID;

CREATE INDEX link_reference_by_pk ON link_reference (tenant, target, pk);

CREATE TABLE link_member (
        tenant INTEGER NOT NULL,
        target INTEGER NOT NULL,
        pk INTEGER NOT NULL,
        remote_id TEXT NOT NULL,
        sure INTEGER NOT NULL,
        PRIMARY KEY (tenant, target, pk, remote_id)
    ) STRICT, WITHOUT ROWID;

CREATE INDEX link_member_by_remote_id ON link_member (tenant, target, remote_id);

CREATE TABLE run (
        tenant INTEGER NOT NULL,
        number INTEGER NOT NULL,
        kind TEXT NOT NULL,
        subject TEXT NOT NULL,
        started INTEGER NOT NULL,
        ended INTEGER,
        counts TEXT NOT NULL,
        error TEXT, batch INTEGER, from_change INTEGER, to_change INTEGER,
        PRIMARY KEY (tenant, number)
    ) STRICT, WITHOUT ROWID;

CREATE INDEX run_by_subject ON run (tenant, kind, subject, number);

CREATE TABLE source_record (
        tenant INTEGER NOT NULL,
        source TEXT NOT NULL,
        key TEXT NOT NULL,
        id TEXT NOT NULL,
        digest TEXT NOT NULL,
        made TEXT NOT NULL,
        missing INTEGER, said TEXT, joined TEXT NOT NULL DEFAULT '',
        PRIMARY KEY (tenant, source, key)
    ) STRICT, WITHOUT ROWID;

CREATE UNIQUE INDEX source_record_by_id ON source_record (tenant, source, id);

CREATE TABLE source_group (
        tenant INTEGER NOT NULL,
        source TEXT NOT NULL,
        name TEXT NOT NULL,
        id TEXT NOT NULL,
        PRIMARY KEY (tenant, source, name)
    ) STRICT, WITHOUT ROWID;

CREATE TABLE departed (
        tenant INTEGER NOT NULL,
        member INTEGER NOT NULL,
        PRIMARY KEY (tenant, member)
    ) STRICT, WITHOUT ROWID;

CREATE TABLE quirk_use (
        tenant INTEGER NOT NULL,
        token TEXT NOT NULL,
        quirk TEXT NOT NULL,
        uses INTEGER NOT NULL,
        first INTEGER NOT NULL,
        last INTEGER NOT NULL,
        PRIMARY KEY (tenant, token, quirk)
    ) STRICT, WITHOUT ROWID;

CREATE VIRTUAL TABLE part USING fts5(c0, c1, c2, c3, c4, c5, c6, c7, c8, c9, c10, c11, c12, c13, c14, c15,
    content='', contentless_delete=1, detail=column, tokenize='trigram case_sensitive 1');

CREATE TABLE past (
        tenant INTEGER NOT NULL,
        sequence INTEGER NOT NULL,
        body BLOB NOT NULL,
        extra BLOB,
        members BLOB,
        PRIMARY KEY (tenant, sequence)
    ) STRICT, WITHOUT ROWID;

CREATE INDEX change_by_id ON change (tenant, id, sequence);

CREATE INDEX change_by_end ON change (tenant, type, sequence, id) WHERE operation = 'delete';

CREATE TABLE delivery (
        tenant INTEGER NOT NULL,
        target INTEGER NOT NULL,
        at INTEGER NOT NULL,
        pk INTEGER NOT NULL,
        fence INTEGER NOT NULL,
        run INTEGER NOT NULL,
        id TEXT NOT NULL,
        type TEXT NOT NULL,
        action TEXT NOT NULL,
        detail BLOB NOT NULL,
        PRIMARY KEY (tenant, target, at, pk, fence)
    ) STRICT, WITHOUT ROWID;

CREATE INDEX delivery_by_id ON delivery (tenant, id, at);

CREATE INDEX delivery_by_run ON delivery (tenant, run, target, at);

CREATE INDEX delivery_departed ON delivery (tenant, target, type, at) WHERE action IN ('disable', 'delete');

CREATE INDEX run_by_batch ON run (tenant, batch);

CREATE INDEX link_grace ON link (tenant, target, due) WHERE state = 'left' AND left_at IS NOT NULL;

CREATE TABLE turn (
        tenant INTEGER NOT NULL,
        target INTEGER NOT NULL,
        name TEXT NOT NULL,
        until INTEGER NOT NULL,
        PRIMARY KEY (tenant, target, name)
    ) STRICT, WITHOUT ROWID;

CREATE TABLE source_mark (
        tenant INTEGER NOT NULL,
        source TEXT NOT NULL,
        digest TEXT NOT NULL,
        mark TEXT NOT NULL,
        full_at INTEGER NOT NULL,
        PRIMARY KEY (tenant, source)
    ) STRICT, WITHOUT ROWID;

CREATE TABLE arrival (
        tenant INTEGER NOT NULL,
        source TEXT NOT NULL,
        key TEXT NOT NULL,
        sequence INTEGER NOT NULL,
        body BLOB,
        tried INTEGER NOT NULL,
        PRIMARY KEY (tenant, source, key)
    ) STRICT, WITHOUT ROWID;

CREATE INDEX arrival_in_order ON arrival (tenant, source, sequence);

CREATE INDEX arrival_new ON arrival (tenant, source) WHERE tried = 0;

CREATE TABLE arrived (
        tenant INTEGER NOT NULL,
        source TEXT NOT NULL,
        id TEXT NOT NULL,
        at INTEGER NOT NULL,
        PRIMARY KEY (tenant, source, id)
    ) STRICT, WITHOUT ROWID;

CREATE INDEX arrived_by_time ON arrived (tenant, source, at);

CREATE TABLE source_lease (
        tenant INTEGER NOT NULL,
        source TEXT NOT NULL,
        holder TEXT NOT NULL,
        until INTEGER NOT NULL,
        PRIMARY KEY (tenant, source)
    ) STRICT, WITHOUT ROWID;

CREATE TABLE link_wait (
        tenant INTEGER NOT NULL,
        target INTEGER NOT NULL,
        waits_for TEXT NOT NULL,
        pk INTEGER NOT NULL,
        PRIMARY KEY (tenant, target, waits_for, pk)
    ) STRICT, WITHOUT ROWID;

CREATE INDEX link_wait_by_pk ON link_wait (tenant, target, pk);

CREATE TABLE drift (
        tenant INTEGER NOT NULL,
        target INTEGER NOT NULL,
        pk INTEGER NOT NULL,
        id TEXT NOT NULL,
        type TEXT NOT NULL,
        since INTEGER NOT NULL,
        detail BLOB NOT NULL,
        PRIMARY KEY (tenant, target, pk)
    ) STRICT, WITHOUT ROWID;

CREATE TABLE definition (
        key TEXT NOT NULL PRIMARY KEY,
        body TEXT NOT NULL
    ) STRICT;

CREATE TABLE tenant (
        number INTEGER NOT NULL PRIMARY KEY,
        name TEXT NOT NULL UNIQUE,
        host TEXT UNIQUE,
        state TEXT NOT NULL CHECK (state IN ('open', 'disabled', 'deleting')),
        created INTEGER NOT NULL,
        settings TEXT NOT NULL,
        definitions TEXT NOT NULL,
        indexed TEXT NOT NULL,
        edition INTEGER NOT NULL
    ) STRICT;

CREATE INDEX tenant_by_edition ON tenant (edition);

CREATE INDEX tenant_by_definitions ON tenant (definitions);

CREATE TABLE source_match (
        tenant INTEGER NOT NULL,
        source TEXT NOT NULL,
        key TEXT NOT NULL,
        since INTEGER NOT NULL,
        reason TEXT NOT NULL,
        candidates TEXT NOT NULL,
        basis TEXT NOT NULL,
        document TEXT,
        decision TEXT,
        chosen TEXT,
        author TEXT,
        decided INTEGER,
        PRIMARY KEY (tenant, source, key)
    ) STRICT, WITHOUT ROWID;

CREATE TABLE issuer (
        tenant INTEGER NOT NULL,
        name TEXT NOT NULL,
        url TEXT NOT NULL,
        audience TEXT NOT NULL,
        created INTEGER NOT NULL,
        told TEXT NOT NULL,
        PRIMARY KEY (tenant, name)
    ) STRICT;

CREATE UNIQUE INDEX issuer_by_audience ON issuer (url, audience);

CREATE TABLE oauth_client (
        id TEXT NOT NULL PRIMARY KEY,
        tenant INTEGER NOT NULL,
        name TEXT NOT NULL,
        created INTEGER NOT NULL,
        rights TEXT NOT NULL,
        seconds INTEGER NOT NULL,
        digest BLOB,
        expires INTEGER,
        former BLOB,
        former_until INTEGER,
        keys TEXT
    ) STRICT;

CREATE INDEX oauth_client_by_tenant ON oauth_client (tenant, created, id);

CREATE TABLE used_assertion (
        tenant INTEGER NOT NULL,
        client TEXT NOT NULL,
        jti BLOB NOT NULL,
        until INTEGER NOT NULL,
        PRIMARY KEY (tenant, client, jti)
    ) STRICT;

CREATE INDEX used_assertion_by_time ON used_assertion (tenant, client, until);

CREATE INDEX token_by_origin ON token (tenant, origin, created);

CREATE TABLE secret (
        tenant INTEGER NOT NULL,
        name TEXT NOT NULL,
        key TEXT NOT NULL,
        value TEXT NOT NULL,
        PRIMARY KEY (tenant, name)
    ) STRICT, WITHOUT ROWID;

CREATE TABLE act (
        id TEXT NOT NULL PRIMARY KEY,
        number INTEGER,
        owner INTEGER NOT NULL,
        at INTEGER NOT NULL,
        author TEXT NOT NULL,
        credential TEXT,
        origin TEXT,
        run INTEGER,
        act TEXT NOT NULL,
        type TEXT NOT NULL,
        subject TEXT NOT NULL,
        outcome TEXT NOT NULL,
        times INTEGER NOT NULL,
        detail BLOB NOT NULL
    , place INTEGER, stamp BLOB) STRICT, WITHOUT ROWID;

CREATE UNIQUE INDEX act_by_number ON act (number);

CREATE INDEX act_waiting ON act (at, id) WHERE number IS NULL;

CREATE TABLE seal (
        number INTEGER NOT NULL PRIMARY KEY,
        lines INTEGER NOT NULL,
        log INTEGER NOT NULL,
        first INTEGER NOT NULL,
        last INTEGER NOT NULL,
        at INTEGER NOT NULL,
        key TEXT NOT NULL,
        digests BLOB NOT NULL,
        hash BLOB NOT NULL
    ) STRICT;

CREATE INDEX seal_by_log ON seal (log, last);

CREATE INDEX seal_by_time ON seal (at);

CREATE TABLE work_order (
        tenant INTEGER NOT NULL,
        number INTEGER NOT NULL,
        kind TEXT NOT NULL,
        asked TEXT NOT NULL,
        state TEXT NOT NULL,
        is_open INTEGER NOT NULL,
        author TEXT NOT NULL,
        credential TEXT,
        origin TEXT,
        created INTEGER NOT NULL,
        begun INTEGER,
        ended INTEGER,
        holder TEXT,
        until INTEGER,
        attempts INTEGER NOT NULL,
        run INTEGER,
        progress TEXT NOT NULL,
        result TEXT NOT NULL,
        error TEXT,
        PRIMARY KEY (tenant, number)
    ) STRICT, WITHOUT ROWID;

CREATE INDEX work_order_open ON work_order (tenant, state, number) WHERE is_open = 1;

CREATE TABLE work_line (
        tenant INTEGER NOT NULL,
        work_order INTEGER NOT NULL,
        number INTEGER NOT NULL,
        line TEXT NOT NULL,
        PRIMARY KEY (tenant, work_order, number)
    ) STRICT, WITHOUT ROWID;

CREATE INDEX source_match_open ON source_match (tenant, source, key) WHERE decision IS NULL;

CREATE TABLE work_seen (tenant INTEGER NOT NULL PRIMARY KEY, at INTEGER NOT NULL) STRICT;

CREATE INDEX resource_by_maker ON resource (tenant, type, maker, pk) WHERE maker IS NOT NULL;

CREATE INDEX act_by_place ON act (place) WHERE place IS NOT NULL;

CREATE TABLE tally (
        log INTEGER NOT NULL PRIMARY KEY,
        lines INTEGER NOT NULL,
        stamp BLOB
    ) STRICT;

INSERT INTO alembic_version (version_num) VALUES ('0035');
