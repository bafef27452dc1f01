"""What was done at targets, one row for each delivery, and what people decided about a target (architecture 8)."""

from alembic import op

from rollbook.storage.sql.dialects import WORDS

revision = "0008"
down_revision = "0007"

STATEMENTS = (
    # `pk` and `fence` are those of the link; `detail` is JSON with values masked where they must not be seen.
    """
    CREATE TABLE delivery (
        tenant {integer} NOT NULL,
        target {integer} NOT NULL,
        at {integer} NOT NULL,
        pk {integer} NOT NULL,
        fence {integer} NOT NULL,
        run {integer} NOT NULL,
        id {text} NOT NULL,
        type {text} NOT NULL,
        action {text} NOT NULL,
        detail {blob} NOT NULL,
        PRIMARY KEY (tenant, target, at, pk, fence)
    ){clustered}
    """,
    "CREATE INDEX delivery_by_id ON delivery (tenant, id, at)",
    "CREATE INDEX delivery_by_run ON delivery (tenant, run, target, at)",
    "CREATE INDEX delivery_departed ON delivery (tenant, target, type, at) WHERE action IN ('disable', 'delete')",
    # Runs that one command made share a batch; the changes they made in the hub lie between two log numbers.
    "ALTER TABLE run ADD COLUMN batch {integer}",
    "ALTER TABLE run ADD COLUMN from_change {integer}",
    "ALTER TABLE run ADD COLUMN to_change {integer}",
    "CREATE INDEX run_by_batch ON run (tenant, batch)",
    # Until when departures were approved, and why nothing happens at the target until somebody says so.
    "ALTER TABLE target ADD COLUMN approved {integer} NOT NULL DEFAULT 0",
    "ALTER TABLE target ADD COLUMN stopped {text}",
)


def upgrade() -> None:
    """Create table, indexes and columns."""
    words = WORDS[op.get_context().dialect.name]
    for statement in STATEMENTS:
        op.execute(
            statement.format(
                integer=words.integer, text=words.text, blob=words.blob, clustered=words.clustered
            )
        )
