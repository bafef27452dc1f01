"""`rollbook client`: programs that fetch short-lived tokens at a tenant's token endpoint (OAuth 2 client credentials)."""

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from rollbook.cli.tokens import Hold, Own, Without
from rollbook.cli.transfer import AsJson, Database, on_store

if TYPE_CHECKING:
    from rollbook.storage.oauth_clients import ClientRecord
    from rollbook.storage.sql.store import SqlStore

_AUTHOR = "rollbook client"

app = typer.Typer(
    help="Programs that fetch short-lived tokens by OAuth 2 client credentials.", no_args_is_help=True
)

Client = Annotated[
    str, typer.Argument(help="The id of a client, as rollbook client list shows it.", metavar="ID")
]
Expires = Annotated[
    str, typer.Option(help="Life of the secret: 90d, 12h, or a date such as 2027-06-30.", metavar="WHEN")
]
Key = Annotated[
    Path | None,
    typer.Option(
        help="Its public key (PEM, or a JWK set): it signs what it shows, and has no secret.", metavar="FILE"
    ),
]

_COLUMNS = ("id", "name", "shows", "scopes", "bounds", "until")


@app.command()
def add(
    name: Annotated[
        str, typer.Argument(help="What it is called in lists, logs and histories.", metavar="NAME")
    ],
    scope: Annotated[
        list[str] | None,
        typer.Option(
            help="The most its tokens may do: read, write, users, groups, or type:NAME; may be repeated.",
            metavar="SCOPE",
        ),
    ] = None,
    within: Annotated[
        str | None,
        typer.Option(
            help="A SCIM filter: resources that do not match are not there for it.", metavar="FILTER"
        ),
    ] = None,
    own: Own = False,
    without: Without = None,
    hold: Hold = None,
    profile: Annotated[
        str | None, typer.Option(help="Whose deviations from the RFCs it may use.", metavar="NAME")
    ] = None,
    key: Key = None,
    expires: Expires = "365d",
    seconds: Annotated[
        int, typer.Option(help="How long each of its tokens lasts.", metavar="SECONDS")
    ] = 3600,
    database: Database = None,
    as_json: AsJson = False,
) -> None:
    """Make a client; its secret is shown once."""
    from rollbook.app import by
    from rollbook.cli.tokens import expiry
    from rollbook.operations import client_care as care
    from rollbook.operations.token_care import check_token_name
    from rollbook.protocol.errors import InvalidValue
    from rollbook.settings import SettingsError

    try:
        check_token_name(name)
    except InvalidValue as error:
        raise SettingsError(error.detail) from None
    author, keys = by(_AUTHOR), _keys(key)
    end = expiry(expires, author.at)
    wish = care.ClientWish(
        name,
        end,
        scope or (),
        within,
        profile,
        seconds,
        keys,
        without=without or (),
        hold=hold or (),
        own=own,
    )

    async def make(store: "SqlStore") -> "tuple[ClientRecord, str | None]":
        return await care.add(store, store.home, wish, author)

    client, secret = on_store(database, make, makes=True)
    _say(client, secret, as_json=as_json)


@app.command("list")
def list_clients(database: Database = None, as_json: AsJson = False) -> None:
    """List the clients of the tenant; their secrets are not kept."""
    from rich.console import Console
    from rich.table import Table

    async def read(store: "SqlStore") -> list[dict[str, Any]]:
        from rollbook.operations.client_care import clients_of

        return [_shown(client) for client in await clients_of(store, store.home)]

    rows = on_store(database, read)
    if as_json:
        print(json.dumps(rows))
        return
    table = Table()
    for column in _COLUMNS:
        table.add_column(column, no_wrap=column == "id")
    for row in rows:
        table.add_row(*(str(row[column] or "–") for column in _COLUMNS))
    Console().print(table if rows else "no clients yet; make one with: rollbook client add")


@app.command()
def rotate(
    id: Client,
    overlap: Annotated[
        str,
        typer.Option(
            help="How long the former secret goes on: 24h, 7d, or 0h to end it now.", metavar="TIME"
        ),
    ] = "24h",
    key: Key = None,
    expires: Expires = "365d",
    database: Database = None,
    as_json: AsJson = False,
) -> None:
    """Give a client a new secret, shown once; or with --key, other keys, at once. Tokens it has go on."""
    from rollbook.app import by
    from rollbook.cli.tokens import expiry, length
    from rollbook.operations.client_care import client_of, needs_keys
    from rollbook.operations.client_care import rotate as give_another
    from rollbook.settings import SettingsError

    author, keys = by(_AUTHOR), _keys(key)
    until, end = author.at + length("--overlap", overlap), expiry(expires, author.at)

    async def change(store: "SqlStore") -> "tuple[ClientRecord, str | None]":
        client = await client_of(store, store.home, id)
        if needs_keys(client, keys):
            raise SettingsError(f"client {client.id} has keys and no secret; name the new ones with --key")
        return await give_another(store, client, author, expires=end, until=until, keys=keys)

    client, secret = on_store(database, change)
    _say(client, secret, as_json=as_json)


@app.command()
def remove(id: Client, database: Database = None, as_json: AsJson = False) -> None:
    """End a client and all tokens it has: no write with them happens any more, and within a second no read."""

    async def drop(store: "SqlStore") -> str:
        from rollbook.app import by
        from rollbook.operations import client_care

        found = await client_care.client_of(store, store.home, id)
        await client_care.remove(store, found, by(_AUTHOR))
        return found.id

    gone = on_store(database, drop)
    print(
        json.dumps({"id": gone, "removed": True}) if as_json else f"client {gone} and its tokens have ended"
    )


def _keys(file: Path | None) -> str | None:
    from rollbook.operations.oauth_clients import key_set
    from rollbook.protocol.errors import InvalidValue
    from rollbook.settings import SettingsError

    if file is None:
        return None
    try:
        return key_set(file.read_text("utf-8"))
    except OSError as error:
        raise SettingsError(f"--key {file}: {error.strerror}") from None
    except (UnicodeDecodeError, InvalidValue) as error:
        raise SettingsError(f"--key {file}: {getattr(error, 'detail', 'not text')}") from None


def _say(client: "ClientRecord", secret: str | None, *, as_json: bool) -> None:
    from rollbook.protocol.compare import render_date_time

    if as_json:
        print(json.dumps(_shown(client) | {"secret": secret}))
        return
    print(f"client_id      {client.id}")
    if secret is None:
        typer.echo("it shows assertions signed with its key", err=True)
        return
    print(f"client_secret  {secret}")
    typer.echo(f"shown this once; valid until {render_date_time(client.expires or 0)}", err=True)


def _shown(client: "ClientRecord") -> dict[str, Any]:
    from rollbook.operations.rights import rights_of
    from rollbook.protocol.compare import render_date_time

    rights = rights_of(client.rights)
    return {
        "id": client.id,
        "name": client.name,
        "shows": "a secret" if client.keys is None else "an assertion",
        "scopes": " ".join(rights.scopes),
        **rights.bounds,
        "bounds": rights.bounds_text,
        "seconds": client.seconds,
        "created": render_date_time(client.created),
        "until": render_date_time(client.expires) if client.expires else None,
    }
