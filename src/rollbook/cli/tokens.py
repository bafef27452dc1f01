"""`rollbook token`: make and list access tokens."""

import os
from contextlib import AbstractAsyncContextManager
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from rollbook.storage.sql.store import SqlStore

app = typer.Typer(help="Make and list access tokens.", no_args_is_help=True)

Database = Annotated[
    str | None, typer.Option(help="The server's database; ROLLBOOK_DATABASE says the same.", metavar="URL")
]


@app.command()
def create(
    name: Annotated[str, typer.Option(help="What the token is for, shown in lists and logs.")] = "token",
    expires: Annotated[
        str, typer.Option(help="Life of the token: 90d, 12h, or a date such as 2027-06-30.", metavar="WHEN")
    ] = "365d",
    user: Annotated[
        str | None, typer.Option(help="The id of the user the token acts for.", metavar="ID")
    ] = None,
    database: Database = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Make a token for the default tenant and show it once."""
    import asyncio
    import json

    from rollbook.app import now
    from rollbook.operations.context import DEFAULT_TENANT
    from rollbook.operations.tokens import issue
    from rollbook.protocol.compare import render_date_time
    from rollbook.settings import SettingsError

    end = _expiry(expires, now())
    if not name.isprintable() or not 0 < len(name) <= 100:
        raise SettingsError("--name: write 1 to 100 printable characters")

    async def make() -> str:
        from rollbook.protocol.errors import InvalidValue

        async with _store(database) as store:
            if user is not None:
                user_type = store.catalog.resource_type("User")
                if user_type is None or await store.get(DEFAULT_TENANT, user_type, user) is None:
                    raise InvalidValue(f"--user {user}: there is no user with that id")
            return await issue(store, DEFAULT_TENANT, name, now=now(), expires=end, user=user)

    text = asyncio.run(make())
    if as_json:
        print(json.dumps({"token": text, "name": name, "expires": render_date_time(end), "user": user}))
    else:
        print(text)
        typer.echo(f"shown this once; valid until {render_date_time(end)}", err=True)


@app.command("list")
def list_tokens(
    database: Database = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """List the tokens of the default tenant; their secrets are not kept."""
    import asyncio
    import json

    from rollbook.operations.context import DEFAULT_TENANT
    from rollbook.protocol.compare import render_date_time

    async def read() -> list[dict[str, str | None]]:
        async with _store(database) as store:
            return [
                {
                    "id": token.id,
                    "name": token.name,
                    "created": render_date_time(token.created),
                    "expires": render_date_time(token.expires) if token.expires else None,
                    "user": token.user,
                }
                for token in await store.tokens(DEFAULT_TENANT)
            ]

    rows = asyncio.run(read())
    if as_json:
        print(json.dumps(rows))
        return
    from rich.console import Console
    from rich.table import Table

    table = Table("id", "name", "created", "expires", "user")
    for row in rows:
        table.add_row(*(value or "–" for value in row.values()))
    Console().print(table if rows else "no tokens yet; make one with: rollbook token create")


def _store(database: str | None) -> AbstractAsyncContextManager["SqlStore"]:
    from rollbook.app import opened, prepare_store
    from rollbook.settings import Settings, choose_database

    url, origin = choose_database(database, os.environ)
    settings = Settings(database=url, database_origin=origin)
    store = prepare_store(settings)
    if store.database.is_new:
        typer.echo(
            f"there was no database yet; a new one is made: {store.database.name} ({origin})", err=True
        )
    return opened(settings, store)


def _expiry(text: str, now: int) -> int:
    """Milliseconds since 1970 for `90d`, `12h` or a date."""
    from rollbook.protocol.compare import parse_date_time
    from rollbook.settings import SettingsError

    units = {"d": 86_400_000, "h": 3_600_000}
    number, unit = text[:-1], text[-1:]
    if number.isascii() and number.isdigit() and unit in units and 0 < int(number[:9]) < 100_000:
        return now + int(number) * units[unit]
    try:
        end = parse_date_time(text if "T" in text else f"{text}T00:00:00Z")
    except ValueError:
        end = 0
    if end <= now:
        raise SettingsError(f"--expires {text!r}: write 90d, 12h, or a date to come such as 2027-06-30")
    return end
