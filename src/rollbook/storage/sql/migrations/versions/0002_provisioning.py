"""Links between resources and accounts at targets, the progress of each target, and runs (architecture 8).

`link.pk` is the key of the resource; a link outlives its resource until the account is dealt with.
"""

from alembic import op

from rollbook.storage.sql.dialects import WORDS

revision = "0002"
down_revision = "0001"

TABLES = (
    # `position` is the last row of the change log that is marked; `walked` the last resource of a walk over
    # all of them, NULL when there is none under way.
    """
    CREATE TABLE target (
        tenant {integer} NOT NULL,
        number {integer} NOT NULL,
        name {text} NOT NULL,
        digest {text} NOT NULL,
        position {integer} NOT NULL,
        walked {integer},
        paused_until {integer} NOT NULL,
        error {text},
        PRIMARY KEY (tenant, number),
        UNIQUE (tenant, name)
    ){clustered}
    """,
    # `sought` is by what an account that was perhaps made can be found, as JSON. `due` is when a ready link may be taken up, and when the lease of a claimed one ends.
    """
    CREATE TABLE link (
        tenant {integer} NOT NULL,
        target {integer} NOT NULL,
        pk {integer} NOT NULL,
        id {text} NOT NULL,
        type {text} NOT NULL,
        rank {integer} NOT NULL,
        state {text} NOT NULL CHECK (state IN ('ready', 'claimed', 'done', 'left', 'parked')),
        due {integer} NOT NULL,
        marked {integer} NOT NULL,
        fence {integer} NOT NULL,
        attempts {integer} NOT NULL,
        remote_id {text},
        sought {text},
        confirmed {blob},
        disabled {integer} NOT NULL,
        members_read {integer} NOT NULL,
        error {text},
        PRIMARY KEY (tenant, target, pk)
    ){clustered}
    """,
    "CREATE UNIQUE INDEX link_by_id ON link (tenant, target, id)",
    "CREATE UNIQUE INDEX link_by_remote_id ON link (tenant, target, type, remote_id) WHERE remote_id IS NOT NULL",
    "CREATE INDEX link_due ON link (tenant, target, rank, due, pk) WHERE state IN ('ready', 'claimed')",
    "CREATE INDEX link_parked ON link (tenant, target, pk) WHERE state = 'parked'",
    # Whose wanted document names another resource: it is looked at again when that one's account changes.
    """
    CREATE TABLE link_reference (
        tenant {integer} NOT NULL,
        target {integer} NOT NULL,
        refers_to {text} NOT NULL,
        pk {integer} NOT NULL,
        PRIMARY KEY (tenant, target, refers_to, pk)
    ){clustered}
    """,
    "CREATE INDEX link_reference_by_pk ON link_reference (tenant, target, pk)",
    # The members a group has at the target; of those not `sure` nobody knows, since a change was sent.
    """
    CREATE TABLE link_member (
        tenant {integer} NOT NULL,
        target {integer} NOT NULL,
        pk {integer} NOT NULL,
        remote_id {text} NOT NULL,
        sure {integer} NOT NULL,
        PRIMARY KEY (tenant, target, pk, remote_id)
    ){clustered}
    """,
    "CREATE INDEX link_member_by_remote_id ON link_member (tenant, target, remote_id)",
    """
    CREATE TABLE run (
        tenant {integer} NOT NULL,
        number {integer} NOT NULL,
        kind {text} NOT NULL,
        subject {text} NOT NULL,
        started {integer} NOT NULL,
        ended {integer},
        counts {text} NOT NULL,
        error {text},
        PRIMARY KEY (tenant, number)
    ){clustered}
    """,
    "CREATE INDEX run_by_subject ON run (tenant, kind, subject, number)",
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
