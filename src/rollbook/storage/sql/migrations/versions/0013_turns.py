"""How far the turns at a target are given away that its rate limits leave, so that several workers share them."""

from alembic import op

from rollbook.storage.sql.dialects import WORDS

revision = "0013"
down_revision = "0009"

STATEMENTS = (
    # `until` is in microseconds since 1970; `name` says which limit.
    """
    CREATE TABLE turn (
        tenant {integer} NOT NULL,
        target {integer} NOT NULL,
        name {text} NOT NULL,
        until {integer} NOT NULL,
        PRIMARY KEY (tenant, target, name)
    ){clustered}
    """,
)


def upgrade() -> None:
    """Create the table."""
    words = WORDS[op.get_context().dialect.name]
    for statement in STATEMENTS:
        op.execute(statement.format(integer=words.integer, text=words.text, clustered=words.clustered))
