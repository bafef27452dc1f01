"""Who made a resource, of those who may see only what is their own; nobody for all others."""

from alembic import op

from rollbook.storage.sql.dialects import WORDS

revision = "0034"
down_revision = "0033"


def upgrade() -> None:
    """Add a column, and an index of the rows that have something in it."""
    text = WORDS[op.get_context().dialect.name].text
    op.execute(f"ALTER TABLE resource ADD COLUMN maker {text}")
    op.execute("CREATE INDEX resource_by_maker ON resource (tenant, type, maker, pk) WHERE maker IS NOT NULL")
