"""Lines of the audit log are signed as they are written: a stamp for each, and for how many there are of each log."""

from alembic import op

from rollbook.storage.sql.dialects import WORDS

revision = "0035"
down_revision = "0034"

STATEMENTS = (
    "ALTER TABLE change ADD COLUMN stamp {blob}",
    # `place` is the number among all acts, without a gap; rows of earlier versions have none.
    "ALTER TABLE act ADD COLUMN place {integer}",
    "ALTER TABLE act ADD COLUMN stamp {blob}",
    "CREATE INDEX act_by_place ON act (place) WHERE place IS NOT NULL",
    # `log` is a tenant's number for its changes, 0 for acts; these rows outlast their tenant.
    """
    CREATE TABLE tally (
        log {integer} NOT NULL PRIMARY KEY,
        lines {integer} NOT NULL,
        stamp {blob}
    ){table}
    """,
)


def upgrade() -> None:
    """Add columns and a table."""
    words = WORDS[op.get_context().dialect.name]
    for statement in STATEMENTS:
        op.execute(statement.format(integer=words.integer, blob=words.blob, table=words.table))
