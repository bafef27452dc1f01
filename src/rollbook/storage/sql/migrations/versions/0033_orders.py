"""Orders: what is asked for in one process and done by another, lines of what they are about, and when a worker was last there."""

from alembic import op

from rollbook.storage.sql.dialects import WORDS

revision = "0033"
down_revision = "0031"

STATEMENTS = (
    # `is_open` is 1 while it waits or runs; `holder` and `until` say who has it and for how long. Texts are JSON.
    """
    CREATE TABLE work_order (
        tenant {integer} NOT NULL,
        number {integer} NOT NULL,
        kind {text} NOT NULL,
        asked {text} NOT NULL,
        state {text} NOT NULL,
        is_open {integer} NOT NULL,
        author {text} NOT NULL,
        credential {text},
        origin {text},
        created {integer} NOT NULL,
        begun {integer},
        ended {integer},
        holder {text},
        until {integer},
        attempts {integer} NOT NULL,
        run {integer},
        progress {text} NOT NULL,
        result {text} NOT NULL,
        error {text},
        PRIMARY KEY (tenant, number)
    ){clustered}
    """,
    "CREATE INDEX work_order_open ON work_order (tenant, state, number) WHERE is_open = 1",
    """
    CREATE TABLE work_line (
        tenant {integer} NOT NULL,
        work_order {integer} NOT NULL,
        number {integer} NOT NULL,
        line {text} NOT NULL,
        PRIMARY KEY (tenant, work_order, number)
    ){clustered}
    """,
    # Cases that nobody has decided, over all sources.
    "CREATE INDEX source_match_open ON source_match (tenant, source, key) WHERE decision IS NULL",
    "CREATE TABLE work_seen (tenant {integer} NOT NULL PRIMARY KEY, at {integer} NOT NULL){table}",
)


def upgrade() -> None:
    """Create tables."""
    words = WORDS[op.get_context().dialect.name]
    for statement in STATEMENTS:
        op.execute(
            statement.format(
                integer=words.integer, text=words.text, clustered=words.clustered, table=words.table
            )
        )
