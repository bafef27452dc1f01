"""Parts of texts, for `co` and `ew`; what they are made of is indexed anew when the database is opened."""

from alembic import op

revision = "0005"
down_revision = "0004"

# Both extensions come with PostgreSQL, and the owner of a database may create them. Where that is forbidden,
# or they were not installed, such filters read the keys of their attribute.
POSTGRES = """
DO $do$
BEGIN
    CREATE EXTENSION IF NOT EXISTS pg_trgm;
    CREATE EXTENSION IF NOT EXISTS btree_gin;
    CREATE INDEX value_by_part ON value USING gin (tenant, attribute, (encode(key, 'escape')) gin_trgm_ops)
        WITH (gin_pending_list_limit = 128);  -- kB: each search reads what is pending
EXCEPTION WHEN insufficient_privilege OR undefined_file OR feature_not_supported OR undefined_object THEN
    RAISE NOTICE 'without pg_trgm and btree_gin: filters with co and ew read all keys of their attribute';
END
$do$
"""
SQLITE = """
CREATE VIRTUAL TABLE part USING fts5(c0, c1, c2, c3, c4, c5, c6, c7, c8, c9, c10, c11, c12, c13, c14, c15,
    content='', contentless_delete=1, detail=column, tokenize='trigram case_sensitive 1')
"""


def upgrade() -> None:
    """Create the table, or the index."""
    op.execute(SQLITE if op.get_context().dialect.name == "sqlite" else POSTGRES)
