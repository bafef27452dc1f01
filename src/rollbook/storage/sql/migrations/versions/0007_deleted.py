"""The way to those who were deleted last: they are found by what they were called, to bring them back."""

from alembic import op

revision = "0007"
down_revision = "0006"


def upgrade() -> None:
    """Create the index."""
    op.execute("CREATE INDEX change_by_end ON change (tenant, type, sequence, id) WHERE operation = 'delete'")
