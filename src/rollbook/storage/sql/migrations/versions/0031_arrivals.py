"""From when on new accounts at a target count, for its brake."""

from alembic import op

from rollbook.storage.sql.dialects import WORDS

revision = "0031"
down_revision = "0028"


def upgrade() -> None:
    """Add a column; it is empty until the next run has come through."""
    integer = WORDS[op.get_context().dialect.name].integer
    op.execute(f"ALTER TABLE target ADD COLUMN arrivals_from {integer}")
