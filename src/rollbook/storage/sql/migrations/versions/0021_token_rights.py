"""What tokens may do, and when each was last used."""

from alembic import op

from rollbook.storage.sql.dialects import WORDS

revision = "0021"
down_revision = "0020"

STATEMENTS = (
    "ALTER TABLE token ADD COLUMN rights {text} NOT NULL DEFAULT '{{}}'",
    "ALTER TABLE token ADD COLUMN used {integer}",
)


def upgrade() -> None:
    """Add the columns; tokens that are there have all rights, as before."""
    words = WORDS[op.get_context().dialect.name]
    for statement in STATEMENTS:
        op.execute(statement.format(integer=words.integer, text=words.text))
