"""What a source last said where several speak of the same, by what it was joined, and records nobody is sure of."""

from alembic import op

from rollbook.storage.sql.dialects import WORDS

revision = "0022"
down_revision = "0021"

STATEMENTS = (
    # `said` is JSON, attribute → value, of those attributes only that another source fills too.
    "ALTER TABLE source_record ADD COLUMN said {text}",
    "ALTER TABLE source_record ADD COLUMN joined {text} NOT NULL DEFAULT ''",
    # `basis` stands for what the record is joined by: as long as it is the same, nothing but a decision ends the case.
    # `candidates` is a JSON list of ids; `document` what the record would make, NULL once it is decided.
    """
    CREATE TABLE source_match (
        tenant {integer} NOT NULL,
        source {text} NOT NULL,
        key {text} NOT NULL,
        since {integer} NOT NULL,
        reason {text} NOT NULL,
        candidates {text} NOT NULL,
        basis {text} NOT NULL,
        document {text},
        decision {text},
        chosen {text},
        author {text},
        decided {integer},
        PRIMARY KEY (tenant, source, key)
    ){clustered}
    """,
)


def upgrade() -> None:
    """Create columns and table."""
    words = WORDS[op.get_context().dialect.name]
    for statement in STATEMENTS:
        op.execute(statement.format(integer=words.integer, text=words.text, clustered=words.clustered))
