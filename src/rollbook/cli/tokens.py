"""`rollbook token`: make, list, rotate and revoke access tokens."""

import os
from contextlib import AbstractAsyncContextManager
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from rollbook.cli.transfer import opened_store

if TYPE_CHECKING:
    from rollbook.storage.sql.store import SqlStore

app = typer.Typer(help="Make, list, rotate and revoke access tokens.", no_args_is_help=True)

Database = Annotated[
    str | None, typer.Option(help="The server's database; ROLLBOOK_DATABASE says the same.", metavar="URL")
]

AsJson = Annotated[bool, typer.Option("--json", help="Print JSON.")]
Token = Annotated[
    str, typer.Argument(help="The id of a token, as rollbook token list shows it.", metavar="ID")
]

Without = Annotated[
    list[str] | None,
    typer.Option(
        help="Attributes that it does not see, and so does not change: roles,name.familyName; may be repeated.",
        metavar="NAMES",
    ),
]
Hold = Annotated[
    list[str] | None,
    typer.Option(
        help="Attributes that it sees and does not change: userName,active; may be repeated.", metavar="NAMES"
    ),
]

Own = Annotated[bool, typer.Option("--own", help="Only what it has made itself is there for it.")]

_TIMES = ("expires", "used")
_DAY = len("2027-06-30")
_COLUMNS = ("id", "name", "state", "expires", "used", "scopes", "bounds", "user")


class Pin(StrEnum):
    """What a certificate is known by again."""

    KEY = "key"
    NAMES = "names"


def _pin(file: Path, pin: Pin) -> str:
    from rollbook.operations.pins import by_key, by_names
    from rollbook.server.certificates import read_pem
    from rollbook.settings import SettingsError

    try:
        found = read_pem(file.read_bytes())
    except OSError as error:
        raise SettingsError(f"--certificate {file}: {error.strerror}") from None
    if found is None:
        raise SettingsError(f"--certificate {file}: there is no certificate (PEM) in it")
    return by_key(found.key_sha256) if pin is Pin.KEY else by_names(found.issuer, found.subject)


@app.command()
def create(
    name: Annotated[str, typer.Option(help="What the token is for, shown in lists and logs.")] = "token",
    expires: Annotated[
        str, typer.Option(help="Life of the token: 90d, 12h, or a date such as 2027-06-30.", metavar="WHEN")
    ] = "365d",
    user: Annotated[
        str | None, typer.Option(help="The id of the user the token acts for.", metavar="ID")
    ] = None,
    scope: Annotated[
        list[str] | None,
        typer.Option(
            help="What it may do: read, write, users, groups, or type:NAME; admin:read or admin, for /admin/v1;"
            " may be repeated. Without, everything but admin.",
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
        str | None,
        typer.Option(
            help="Whose deviations from the RFCs it may use, in place of the tenant's.", metavar="NAME"
        ),
    ] = None,
    certificate: Annotated[
        Path | None,
        typer.Option(
            help="A client's certificate (PEM) that stands for the token, in place of a text.", metavar="FILE"
        ),
    ] = None,
    pin: Annotated[
        Pin, typer.Option(help="What it is known by again: its key, or its issuer and subject.")
    ] = Pin.KEY,
    database: Database = None,
    as_json: AsJson = False,
) -> None:
    """Make a token and show it once; or let a client's certificate stand for one."""
    import asyncio
    import json

    from rollbook.app import by, now
    from rollbook.cli.acts import say_key
    from rollbook.operations.token_care import Wish, grant
    from rollbook.operations.tokens import token_id
    from rollbook.protocol.compare import render_date_time

    end = expiry(expires, now())
    pinned = None if certificate is None else _pin(certificate, pin)
    apart = tuple(without or ()), tuple(hold or ())
    wish = Wish(name, end, tuple(scope or ()), within, profile, user, *apart, own, pinned)

    async def make() -> str:
        async with _store(database) as store:
            made = await grant(store, store.home, wish, by("rollbook token"))
            say_key(store)
            return made

    text = asyncio.run(make())
    if pinned is not None:
        print(json.dumps({"id": text, "name": name, "expires": render_date_time(end)}) if as_json else text)
        return
    if as_json:
        made = {
            "id": token_id(text),
            "token": text,
            "name": name,
            "expires": render_date_time(end),
            "user": user,
        }
        print(json.dumps(made))
    else:
        print(text)
        typer.echo(f"shown this once; valid until {render_date_time(end)}", err=True)


@app.command()
def rotate(
    id: Token,
    overlap: Annotated[
        str,
        typer.Option(help="How long the former token goes on: 24h, 7d, or 0h to end it now.", metavar="TIME"),
    ] = "24h",
    expires: Annotated[
        str, typer.Option(help="Life of the new one: 90d, 12h, or a date.", metavar="WHEN")
    ] = "365d",
    database: Database = None,
    as_json: AsJson = False,
) -> None:
    """Make a token with the same name and rights as another, which ends after a while. Shown once."""
    import asyncio
    import json

    from rollbook.app import by, now
    from rollbook.operations.token_care import token_of
    from rollbook.operations.tokens import rotate as make_anew
    from rollbook.operations.tokens import token_id
    from rollbook.protocol.compare import render_date_time

    at = now()
    until, end = at + length("--overlap", overlap), expiry(expires, at)

    async def make() -> tuple[str, str, int]:
        async with opened_store(database, makes=False) as store:
            former, author = await token_of(store, store.home, id), by("rollbook token")
            text = await make_anew(store, former, now=at, expires=end, until=until, author=author)
            return text, former.id, until if former.expires is None else min(until, former.expires)

    text, former, last = asyncio.run(make())
    over = render_date_time(last)
    if as_json:
        made = {"id": token_id(text), "token": text, "expires": render_date_time(end)}
        print(json.dumps({**made, "former": former, "former_until": over}))
    else:
        print(text)
        typer.echo(
            f"shown this once; valid until {render_date_time(end)}; {former} goes on until {over}",
            err=True,
        )


@app.command()
def revoke(id: Token, database: Database = None, as_json: AsJson = False) -> None:
    """End a token at once: no write with it happens any more, and within a second no read."""
    import asyncio
    import json

    from rollbook.app import by
    from rollbook.operations import tokens
    from rollbook.operations.token_care import token_of

    async def end() -> tuple[str, bool]:
        async with opened_store(database, makes=False) as store:
            found = await token_of(store, store.home, id)
            return found.id, await tokens.revoke(store, found, by("rollbook token"))

    found, ended = asyncio.run(end())
    if as_json:
        print(json.dumps({"id": found, "revoked": ended}))
    else:
        print(f"token {found} is revoked" if ended else f"token {found} had ended already")


@app.command("list")
def list_tokens(
    database: Database = None,
    as_json: AsJson = False,
) -> None:
    """List the tokens of a tenant, with times in UTC; their secrets are not kept."""
    import asyncio
    import json

    from rollbook.app import now
    from rollbook.operations.rights import rights_of
    from rollbook.operations.tokens import state
    from rollbook.protocol.compare import render_date_time

    async def read() -> list[dict[str, Any]]:
        async with opened_store(database, makes=False) as store:
            return [
                {
                    "id": token.id,
                    "name": token.name,
                    "kind": token.origin or "token",
                    "created": render_date_time(token.created),
                    "expires": render_date_time(token.expires) if token.expires else None,
                    "user": token.user,
                    "scopes": " ".join(rights_of(token.rights).scopes),
                    **rights_of(token.rights).bounds,
                    "bounds": rights_of(token.rights).bounds_text,
                    "used": render_date_time(token.used) if token.used else None,
                    "state": state(token, now()).value,
                }
                for token in await store.tokens(store.home)
            ]

    rows = asyncio.run(read())
    if as_json:
        print(json.dumps(rows))
        return
    from rich.console import Console
    from rich.table import Table

    table = Table()
    for column in _COLUMNS:
        table.add_column(column, no_wrap=column == "id", min_width=_DAY if column in _TIMES else None)
    for row in rows:
        table.add_row(*(_minute(row[name]) if name in _TIMES else row[name] or "–" for name in _COLUMNS))
    Console().print(table if rows else "no tokens yet; make one with: rollbook token create")


def _minute(time: str | None) -> str:
    """A time as a list shows it, to the minute; the day alone has a line where there is little room."""
    return "–" if time is None else time[:16].replace("T", " ")


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


_UNITS = {"d": 86_400_000, "h": 3_600_000}


_MOST = 100_000


def length(option: str, text: str) -> int:
    """Milliseconds for `7d` or `24h`."""
    from rollbook.settings import SettingsError

    number, unit = text[:-1], text[-1:]
    if (
        not (number.isascii() and number.isdigit() and unit in _UNITS and int(number[:9]) < _MOST)
        or len(number) > 9
    ):
        raise SettingsError(f"{option} {text!r}: write 24h or 7d")
    return int(number) * _UNITS[unit]


def expiry(text: str, now: int) -> int:
    """Milliseconds since 1970 for `90d`, `12h` or a date."""
    from rollbook.protocol.compare import parse_date_time
    from rollbook.settings import SettingsError

    number, unit = text[:-1], text[-1:]
    if (
        number.isascii()
        and number.isdigit()
        and unit in _UNITS
        and 0 < int(number[:9]) < _MOST
        and len(number) < 10
    ):
        return now + int(number) * _UNITS[unit]
    try:
        end = parse_date_time(text if "T" in text else f"{text}T00:00:00Z")
    except ValueError:
        end = 0
    if end <= now:
        raise SettingsError(f"--expires {text!r}: write 90d, 12h, or a date to come such as 2027-06-30")
    return end
