"""The audit log: by which credential, from where and in which run resources were changed; other acts; and seals over both."""

from alembic import op

from rollbook.storage.sql.dialects import WORDS

revision = "0028"
down_revision = "0027"

STATEMENTS = (
    "ALTER TABLE change ADD COLUMN credential {text}",
    "ALTER TABLE change ADD COLUMN origin {text}",
    "ALTER TABLE change ADD COLUMN run {integer}",
    # What was done that is no change of a resource, and what was refused. `owner` is a tenant's number, 0 for what is of
    # none: these rows outlast their tenant. `number` is the line in the audit log, NULL until it is sealed.
    """
    CREATE TABLE act (
        id {text} NOT NULL PRIMARY KEY,
        number {integer},
        owner {integer} NOT NULL,
        at {integer} NOT NULL,
        author {text} NOT NULL,
        credential {text},
        origin {text},
        run {integer},
        act {text} NOT NULL,
        type {text} NOT NULL,
        subject {text} NOT NULL,
        outcome {text} NOT NULL,
        times {integer} NOT NULL,
        detail {blob} NOT NULL
    ){clustered}
    """,
    "CREATE UNIQUE INDEX act_by_number ON act (number)",
    "CREATE INDEX act_waiting ON act (at, id) WHERE number IS NULL",
    # A seal is over some lines that follow each other: `number` is the first of them. `log` is a tenant's number, for its
    # changes `first` to `last`; 0 for acts, by their numbers. `digests` has 32 bytes for each line.
    """
    CREATE TABLE seal (
        number {integer} NOT NULL PRIMARY KEY,
        lines {integer} NOT NULL,
        log {integer} NOT NULL,
        first {integer} NOT NULL,
        last {integer} NOT NULL,
        at {integer} NOT NULL,
        key {text} NOT NULL,
        digests {blob} NOT NULL,
        hash {blob} NOT NULL
    ){table}
    """,
    "CREATE INDEX seal_by_log ON seal (log, last)",
    "CREATE INDEX seal_by_time ON seal (at)",
)


def upgrade() -> None:
    """Create columns and tables."""
    words = WORDS[op.get_context().dialect.name]
    for statement in STATEMENTS:
        op.execute(
            statement.format(
                integer=words.integer,
                text=words.text,
                blob=words.blob,
                clustered=words.clustered,
                table=words.table,
            )
        )
