"""Which warning of the end of a target's credentials people were given last."""

from alembic import op

from rollbook.storage.sql.dialects import WORDS

revision = "0023"
down_revision = "0022"


def upgrade() -> None:
    """Add the column; nobody has been warned yet."""
    words = WORDS[op.get_context().dialect.name]
    op.execute(f"ALTER TABLE target ADD COLUMN warned {words.text}")
