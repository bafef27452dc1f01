"""Secrets, sealed by a key that is kept elsewhere. Those of earlier versions are taken from `setting` at their next use."""

from alembic import op

from rollbook.storage.sql.dialects import WORDS

revision = "0027"
down_revision = "0026"

STATEMENTS = (
    # `key` is the id of the key that sealed `value`, so that rotation finds what it has not reached yet.
    """
    CREATE TABLE secret (
        tenant {integer} NOT NULL,
        name {text} NOT NULL,
        key {text} NOT NULL,
        value {text} NOT NULL,
        PRIMARY KEY (tenant, name)
    ){clustered}
    """,
)


def upgrade() -> None:
    """Create the table."""
    words = WORDS[op.get_context().dialect.name]
    for statement in STATEMENTS:
        op.execute(statement.format(integer=words.integer, text=words.text, clustered=words.clustered))
