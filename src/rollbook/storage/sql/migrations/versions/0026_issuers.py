"""Outside issuers of tokens, clients of our own token endpoint, and the assertions they have used."""

from alembic import op

from rollbook.storage.sql.dialects import WORDS

revision = "0026"
down_revision = "0023"

STATEMENTS = (
    # `told` is JSON: what its tokens may do, and how they are read.
    """
    CREATE TABLE issuer (
        tenant {integer} NOT NULL,
        name {text} NOT NULL,
        url {text} NOT NULL,
        audience {text} NOT NULL,
        created {integer} NOT NULL,
        told {text} NOT NULL,
        PRIMARY KEY (tenant, name)
    ){table}
    """,
    # A token is of one tenant: whose issuer and audience are in it.
    "CREATE UNIQUE INDEX issuer_by_audience ON issuer (url, audience)",
    # `digest` and `former` are keyed hashes of secrets; `keys` a JWK set of public keys.
    """
    CREATE TABLE oauth_client (
        id {text} NOT NULL PRIMARY KEY,
        tenant {integer} NOT NULL,
        name {text} NOT NULL,
        created {integer} NOT NULL,
        rights {text} NOT NULL,
        seconds {integer} NOT NULL,
        digest {blob},
        expires {integer},
        former {blob},
        former_until {integer},
        keys {text}
    ){table}
    """,
    "CREATE INDEX oauth_client_by_tenant ON oauth_client (tenant, created, id)",
    # `jti` is a hash of it.
    """
    CREATE TABLE used_assertion (
        tenant {integer} NOT NULL,
        client {text} NOT NULL,
        jti {blob} NOT NULL,
        until {integer} NOT NULL,
        PRIMARY KEY (tenant, client, jti)
    ){table}
    """,
    "CREATE INDEX used_assertion_by_time ON used_assertion (tenant, client, until)",
    # Empty for tokens made by the command, `client ID` for those of the token endpoint, `certificate` for what stands for one.
    "ALTER TABLE token ADD COLUMN origin {text} NOT NULL DEFAULT ''",
    "CREATE INDEX token_by_origin ON token (tenant, origin, created)",
)


def upgrade() -> None:
    """Create tables and column; tokens that are there are of the command."""
    words = WORDS[op.get_context().dialect.name]
    for statement in STATEMENTS:
        op.execute(
            statement.format(integer=words.integer, text=words.text, blob=words.blob, table=words.table)
        )
