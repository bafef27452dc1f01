"""Resources, their value index and memberships, the change log, tokens and settings (architecture 1-5).

Every key starts with the tenant. Row keys (`pk`, `container`, `member`) are tenant * 2^40 + a sequence, so
that they also order resources by creation and bound any range of them to one tenant.
"""

from alembic import op

from rollbook.storage.sql.dialects import WORDS

revision = "0001"
down_revision = None

TABLES = (
    """
    CREATE TABLE setting (
        name {text} NOT NULL PRIMARY KEY,
        value {text} NOT NULL
    ){clustered}
    """,
    """
    CREATE TABLE token (
        id {text} NOT NULL PRIMARY KEY,
        tenant {integer} NOT NULL,
        name {text} NOT NULL,
        digest {blob} NOT NULL,
        created {integer} NOT NULL,
        expires {integer},
        account {text},
        revoked {integer}
    ){clustered}
    """,
    "CREATE INDEX token_by_tenant ON token (tenant, created, id)",
    # Numbers for "ResourceType:path" in the value index, where the text would be repeated in every row.
    """
    CREATE TABLE attribute (
        number {integer} NOT NULL PRIMARY KEY,
        name {text} NOT NULL UNIQUE
    ){table}
    """,
    # The last numbers given out, so that none is given twice when the newest rows are gone.
    """
    CREATE TABLE sequence (
        tenant {integer} NOT NULL PRIMARY KEY,
        resource {integer} NOT NULL,
        change {integer} NOT NULL
    ){table}
    """,
    """
    CREATE TABLE counter (
        tenant {integer} NOT NULL,
        type {text} NOT NULL,
        resources {integer} NOT NULL CHECK (resources >= 0),
        PRIMARY KEY (tenant, type)
    ){clustered}
    """,
    """
    CREATE TABLE resource (
        pk {integer} NOT NULL{row_key},
        tenant {integer} NOT NULL CHECK (tenant = pk >> 40),
        type {text} NOT NULL,
        id {text} NOT NULL,
        version {integer} NOT NULL,
        created {integer} NOT NULL,
        modified {integer} NOT NULL,
        display {text},
        body {blob} NOT NULL,
        extra {blob}
    ){table}
    """,
    "CREATE UNIQUE INDEX resource_by_id ON resource (tenant, id)",
    "CREATE INDEX resource_by_type ON resource (tenant, type, pk)",
    "CREATE INDEX resource_by_created ON resource (tenant, type, created, pk)",
    "CREATE INDEX resource_by_modified ON resource (tenant, type, modified, pk)",
    """
    CREATE TABLE membership (
        tenant {integer} NOT NULL,
        container {integer} NOT NULL,
        member {integer} NOT NULL,
        PRIMARY KEY (tenant, container, member)
    ){clustered}
    """,
    "CREATE UNIQUE INDEX membership_by_member ON membership (tenant, member, container)",
    """
    CREATE TABLE value (
        tenant {integer} NOT NULL,
        attribute {short} NOT NULL,
        key {blob} NOT NULL,
        pk {integer} NOT NULL,
        element {short} NOT NULL,
        PRIMARY KEY (tenant, attribute, key, pk, element)
    ){clustered}
    """,
    """
    CREATE TABLE unique_value (
        tenant {integer} NOT NULL,
        attribute {short} NOT NULL,
        key {blob} NOT NULL,
        pk {integer} NOT NULL,
        PRIMARY KEY (tenant, attribute, key)
    ){clustered}
    """,
    """
    CREATE TABLE change (
        tenant {integer} NOT NULL,
        sequence {integer} NOT NULL,
        type {text} NOT NULL,
        id {text} NOT NULL,
        operation {text} NOT NULL CHECK (operation IN ('create', 'update', 'delete')),
        version {text} NOT NULL,
        author {text} NOT NULL,
        at {integer} NOT NULL,
        detail {blob} NOT NULL,
        PRIMARY KEY (tenant, sequence)
    ){clustered}
    """,
)


def upgrade() -> None:
    """Create the tables."""
    words = WORDS[op.get_context().dialect.name]
    for statement in TABLES:
        op.execute(
            statement.format(
                text=words.text,
                integer=words.integer,
                short=words.short,
                blob=words.blob,
                table=words.table,
                clustered=words.clustered,
                row_key=words.row_key,
            )
        )
    if (
        not words.row_key
    ):  # keyed by tenant first, so that a database that is spread by tenant has it in every key
        op.execute("ALTER TABLE resource ADD PRIMARY KEY (tenant, pk)")
