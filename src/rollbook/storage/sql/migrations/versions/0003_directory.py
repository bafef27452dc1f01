"""Records of sources, whom they feed, and the groups made of them."""

from alembic import op

from rollbook.storage.sql.dialects import WORDS

revision = "0003"
down_revision = "0002"

TABLES = (
    # `made` is a JSON list of the names of groups; `missing` the time since when the record is gone.
    """
    CREATE TABLE source_record (
        tenant {integer} NOT NULL,
        source {text} NOT NULL,
        key {text} NOT NULL,
        id {text} NOT NULL,
        digest {text} NOT NULL,
        made {text} NOT NULL,
        missing {integer},
        PRIMARY KEY (tenant, source, key)
    ){clustered}
    """,
    "CREATE UNIQUE INDEX source_record_by_id ON source_record (tenant, source, id)",
    """
    CREATE TABLE source_group (
        tenant {integer} NOT NULL,
        source {text} NOT NULL,
        name {text} NOT NULL,
        id {text} NOT NULL,
        PRIMARY KEY (tenant, source, name)
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
            )
        )
