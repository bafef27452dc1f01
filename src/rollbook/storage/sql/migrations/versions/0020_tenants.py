"""Tenants: their names, what they were told, and definitions of their own, kept once for all that share them."""

from alembic import op

from rollbook.storage.sql.dialects import WORDS

revision = "0020"
down_revision = "0015"

STATEMENTS = (
    # Schemas and resource types as JSON, by a digest of it; tenants with the same share the row.
    """
    CREATE TABLE definition (
        key {text} NOT NULL PRIMARY KEY,
        body {text} NOT NULL
    ){table}
    """,
    # `indexed` says how the type's resources were indexed: a JSON object by name of the type.
    """
    CREATE TABLE tenant (
        number {integer} NOT NULL PRIMARY KEY,
        name {text} NOT NULL UNIQUE,
        host {text} UNIQUE,
        state {text} NOT NULL CHECK (state IN ('open', 'disabled', 'deleting')),
        created {integer} NOT NULL,
        settings {text} NOT NULL,
        definitions {text} NOT NULL,
        indexed {text} NOT NULL,
        edition {integer} NOT NULL
    ){table}
    """,
    "CREATE INDEX tenant_by_edition ON tenant (edition)",
    "CREATE INDEX tenant_by_definitions ON tenant (definitions)",
    "INSERT INTO definition (key, body) SELECT 'before-tenants', value FROM setting WHERE name = 'definitions'",
    """
    INSERT INTO tenant (number, name, host, state, created, settings, definitions, indexed, edition)
    SELECT 1, 'default', NULL, 'open', 0, '[]', 'before-tenants',
        (SELECT coalesce({object}, '{{}}') FROM setting WHERE name LIKE 'index of %'),
        coalesce((SELECT CAST(value AS {integer}) FROM setting WHERE name = 'definitions-edition'), 0)
    FROM setting WHERE name = 'definitions'
    """,
    "DELETE FROM setting WHERE name LIKE 'index of %' OR name = 'definitions'",
)

OBJECT = {
    "sqlite": "json_group_object(substr(name, 10), value)",
    "postgresql": "CAST(json_object_agg(substr(name, 10), value) AS TEXT)",
}


def upgrade() -> None:
    """Create the tables; the default tenant has a row if the database was in use, else it is made at the first opening."""
    name = op.get_context().dialect.name
    words = WORDS[name]
    for statement in STATEMENTS:
        op.execute(
            statement.format(integer=words.integer, text=words.text, table=words.table, object=OBJECT[name])
        )
