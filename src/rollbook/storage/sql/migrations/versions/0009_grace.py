"""Since when somebody has left whose account is deleted after a while, and the way to those whose time has come."""

from alembic import op

from rollbook.storage.sql.dialects import WORDS

revision = "0009"
down_revision = "0008"

STATEMENTS = (
    "ALTER TABLE link ADD COLUMN left_at {integer}",
    "CREATE INDEX link_grace ON link (tenant, target, due) WHERE state = 'left' AND left_at IS NOT NULL",
)


def upgrade() -> None:
    """Create column and index."""
    words = WORDS[op.get_context().dialect.name]
    for statement in STATEMENTS:
        op.execute(statement.format(integer=words.integer))
