"""Groups without groups in them, what parked links wait for, and what audits have found and how far they have come."""

from alembic import op

from rollbook.storage.sql.dialects import WORDS

revision = "0015"
down_revision = "0014"

STATEMENTS = (
    # Whether groups at the target have people only: whoever is in a group of a group is a member there.
    "ALTER TABLE target ADD COLUMN flat {integer} NOT NULL DEFAULT 0",
    # When the last audit began, behind which link it goes on if it was broken off, and how long somebody is at it.
    "ALTER TABLE target ADD COLUMN audited {integer}",
    "ALTER TABLE target ADD COLUMN audit_after {integer}",
    "ALTER TABLE target ADD COLUMN audit_until {integer} NOT NULL DEFAULT 0",
    # Whose account is in the way of a parked link: the id of a resource, or * and a type for any account of it.
    """
    CREATE TABLE link_wait (
        tenant {integer} NOT NULL,
        target {integer} NOT NULL,
        waits_for {text} NOT NULL,
        pk {integer} NOT NULL,
        PRIMARY KEY (tenant, target, waits_for, pk)
    ){clustered}
    """,
    "CREATE INDEX link_wait_by_pk ON link_wait (tenant, target, pk)",
    # What an audit has found different and left; `detail` is JSON with values masked where they must not be seen.
    """
    CREATE TABLE drift (
        tenant {integer} NOT NULL,
        target {integer} NOT NULL,
        pk {integer} NOT NULL,
        id {text} NOT NULL,
        type {text} NOT NULL,
        since {integer} NOT NULL,
        detail {blob} NOT NULL,
        PRIMARY KEY (tenant, target, pk)
    ){clustered}
    """,
)


def upgrade() -> None:
    """Create tables, index and columns."""
    words = WORDS[op.get_context().dialect.name]
    for statement in STATEMENTS:
        op.execute(
            statement.format(
                integer=words.integer, text=words.text, blob=words.blob, clustered=words.clustered
            )
        )
