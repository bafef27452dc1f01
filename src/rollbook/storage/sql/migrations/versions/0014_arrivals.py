"""How far each source was read, and what others send us of their own accord until it is applied."""

from alembic import op

from rollbook.storage.sql.dialects import WORDS

revision = "0014"
down_revision = "0013"

STATEMENTS = (
    # `digest` is of the configuration that the mark was made by; `full_at` when everything was read last.
    """
    CREATE TABLE source_mark (
        tenant {integer} NOT NULL,
        source {text} NOT NULL,
        digest {text} NOT NULL,
        mark {text} NOT NULL,
        full_at {integer} NOT NULL,
        PRIMARY KEY (tenant, source)
    ){clustered}
    """,
    # One row a key: the newest word on it. No body says that it is gone. `tried` counts the pulls that it stood through.
    """
    CREATE TABLE arrival (
        tenant {integer} NOT NULL,
        source {text} NOT NULL,
        key {text} NOT NULL,
        sequence {integer} NOT NULL,
        body {blob},
        tried {integer} NOT NULL,
        PRIMARY KEY (tenant, source, key)
    ){clustered}
    """,
    "CREATE INDEX arrival_in_order ON arrival (tenant, source, sequence)",
    "CREATE INDEX arrival_new ON arrival (tenant, source) WHERE tried = 0",
    # Messages that were taken, so that one that is sent again has no effect.
    """
    CREATE TABLE arrived (
        tenant {integer} NOT NULL,
        source {text} NOT NULL,
        id {text} NOT NULL,
        at {integer} NOT NULL,
        PRIMARY KEY (tenant, source, id)
    ){clustered}
    """,
    "CREATE INDEX arrived_by_time ON arrived (tenant, source, at)",
    # Who applies a source's arrivals, so that an older word never overtakes a newer one.
    """
    CREATE TABLE source_lease (
        tenant {integer} NOT NULL,
        source {text} NOT NULL,
        holder {text} NOT NULL,
        until {integer} NOT NULL,
        PRIMARY KEY (tenant, source)
    ){clustered}
    """,
)


def upgrade() -> None:
    """Create tables and indexes."""
    words = WORDS[op.get_context().dialect.name]
    for statement in STATEMENTS:
        op.execute(
            statement.format(
                integer=words.integer, text=words.text, blob=words.blob, clustered=words.clustered
            )
        )
