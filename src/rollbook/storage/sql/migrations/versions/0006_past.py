"""What resources were: the document before each change of it, and the way from a resource to its changes."""

from alembic import op

from rollbook.storage.sql.dialects import WORDS

revision = "0006"
down_revision = "0005"

TABLES = (
    # `sequence` is that of the change which ended this document.
    """
    CREATE TABLE past (
        tenant {integer} NOT NULL,
        sequence {integer} NOT NULL,
        body {blob} NOT NULL,
        extra {blob},
        members {blob},
        PRIMARY KEY (tenant, sequence)
    ){clustered}
    """,
    "CREATE INDEX change_by_id ON change (tenant, id, sequence)",
)


def upgrade() -> None:
    """Create table and index."""
    words = WORDS[op.get_context().dialect.name]
    for statement in TABLES:
        op.execute(statement.format(integer=words.integer, blob=words.blob, clustered=words.clustered))
