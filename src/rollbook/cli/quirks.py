"""`rollbook quirks`: what clients send outside the RFCs, and which of it was needed by whom."""

import os
from typing import TYPE_CHECKING, Annotated, Any

import typer

if TYPE_CHECKING:
    from rollbook.storage.base import QuirkUse, TokenRecord


def quirks(
    everything: Annotated[
        bool, typer.Option("--all", help="Every quirk that is known, needed or not, and what it accepts.")
    ] = False,
    database: Annotated[
        str | None,
        typer.Option(help="The server's database; ROLLBOOK_DATABASE says the same.", metavar="URL"),
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Show which quirks each token's client has needed, and how often."""
    import asyncio
    import json

    found = {"quirks": _known()} if everything else {"tokens": asyncio.run(_needed(database))}
    if as_json:
        print(json.dumps(found, indent=2, ensure_ascii=False))
    elif everything:
        _show_known(found["quirks"])
    else:
        _show_needed(found["tokens"])


def _known() -> list[dict[str, Any]]:
    from rollbook.protocol.quirks import PROFILES, TABLE

    return [
        {
            "name": quirk.value,
            "accepts": row.accepts,
            "source": row.source,
            "profiles": [profile.name for profile in PROFILES.values() if quirk in profile.quirks],
        }
        for quirk, row in TABLE.items()
    ]


async def _needed(database: str | None) -> list[dict[str, Any]]:
    from rollbook.app import opened, prepare_store
    from rollbook.settings import Settings, SettingsError, choose_database

    url, origin = choose_database(database, os.environ)
    settings = Settings(database=url, database_origin=origin)
    store = prepare_store(settings)
    if store.database.is_new:
        raise SettingsError(
            f"there is no database {store.database.name} ({origin}); start rollbook serve first"
        )
    async with opened(settings, store):
        uses = await store.quirk_uses(store.home)
        known = {token.id: token for token in await store.tokens(store.home)}
    return [
        _of_token(token, known.get(token), [use for use in uses if use.token == token])
        for token in dict.fromkeys(use.token for use in uses)
    ]


def _of_token(id: str, token: "TokenRecord | None", uses: "list[QuirkUse]") -> dict[str, Any]:
    from rollbook.operations.quirk_uses import senders
    from rollbook.protocol.compare import render_date_time
    from rollbook.protocol.quirks import Quirk

    known = {quirk.value for quirk in Quirk}
    return {
        "token": id,
        "name": token.name if token else None,
        "looksLike": list(senders(Quirk(use.quirk) for use in uses if use.quirk in known)),
        "quirks": [
            {
                "name": use.quirk,
                "uses": use.uses,
                "first": render_date_time(use.first),
                "last": render_date_time(use.last),
            }
            for use in uses
        ],
    }


def _show_known(rows: list[dict[str, Any]]) -> None:
    from rich.console import Console
    from rich.markup import escape
    from rich.table import Column, Table

    folded = [Column(name, overflow="fold") for name in ("accepts", "profiles")]
    table = Table(Column("quirk", no_wrap=True), *folded)
    for row in rows:
        table.add_row(row["name"], escape(row["accepts"]), _clients(row["profiles"]))
    Console().print(table)


def _clients(profiles: list[str]) -> str:
    from rollbook.protocol.quirks import CLIENTS

    named = [name for name in profiles if name in CLIENTS]
    others = [name for name in profiles if name not in CLIENTS]
    return ", ".join(others + (["every client's"] if len(named) == len(CLIENTS) else named)) or "–"


def _show_needed(tokens: list[dict[str, Any]]) -> None:
    from rich.console import Console
    from rich.table import Column, Table

    table = Table("token", "looks like", "quirk", Column("requests", justify="right"), "first", "last")
    for token in tokens:
        for number, row in enumerate(token["quirks"]):
            who = (
                (token["name"] or token["token"], ", ".join(token["looksLike"]) or "–")
                if number == 0
                else ("", "")
            )
            table.add_row(*who, row["name"], str(row["uses"]), row["first"], row["last"])
    Console().print(
        table
        if tokens
        else "no request has needed a quirk so far; rollbook quirks --all lists those there are"
    )
