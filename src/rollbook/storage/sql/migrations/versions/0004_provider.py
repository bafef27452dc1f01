"""Who has left a group, and which quirks each token's client needs."""

from alembic import op

from rollbook.storage.sql.dialects import WORDS

revision = "0004"
down_revision = "0003"

TABLES = (
    # Resources that were members once: what they showed then went without a new version of theirs.
    """
    CREATE TABLE departed (
        tenant {integer} NOT NULL,
        member {integer} NOT NULL,
        PRIMARY KEY (tenant, member)
    ){clustered}
    """,
    """
    CREATE TABLE quirk_use (
        tenant {integer} NOT NULL,
        token {text} NOT NULL,
        quirk {text} NOT NULL,
        uses {integer} NOT NULL,
        first {integer} NOT NULL,
        last {integer} NOT NULL,
        PRIMARY KEY (tenant, token, quirk)
    ){clustered}
    """,
)


def upgrade() -> None:
    """Create the tables."""
    words = WORDS[op.get_context().dialect.name]
    for statement in TABLES:
        op.execute(
            statement.format(
                text=words.text,
                integer=words.integer,
                short=words.short,
                blob=words.blob,
                table=words.table,
                clustered=words.clustered,
            )
        )
