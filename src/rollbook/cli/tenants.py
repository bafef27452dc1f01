"""`rollbook tenant`: the customers of one server, each with an endpoint of its own."""

import json
import os
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, TypeVar

import typer

from rollbook.cli.transfer import AsJson, Database, opened_store

if TYPE_CHECKING:
    from rollbook.operations.tenant_care import TenantCare
    from rollbook.storage.tenants import TenantRecord

T = TypeVar("T")

app = typer.Typer(
    help="Tenants: customers of one server, each with an endpoint, schemas, settings and tokens of its own.",
    no_args_is_help=True,
)

Name = Annotated[str, typer.Argument(help="The tenant's name: a-z, 0-9 and -.", metavar="NAME")]
Host = Annotated[
    str | None,
    typer.Option(help="A host name under which it is served beside its path.", metavar="HOST"),
]


@app.command()
def create(
    name: Name,
    setting: Annotated[
        list[str] | None,
        typer.Option("--set", help="A setting; may be repeated.", metavar="NAME=VALUE"),
    ] = None,
    host: Host = None,
    schemas: Annotated[
        Path | None,
        typer.Option(
            help="Directory with Schema and ResourceType files (*.json) in RFC form.", metavar="DIR"
        ),
    ] = None,
    origin: Annotated[
        Path | None,
        typer.Option("--from", help="An export of a tenant: take its settings and schemas.", metavar="FILE"),
    ] = None,
    database: Database = None,
    as_json: AsJson = False,
) -> None:
    """Make a tenant; a server that runs serves it within a second."""
    from rollbook.app import now, read_definitions
    from rollbook.settings import SettingsError

    if schemas is not None and not schemas.is_dir():
        raise SettingsError(f"--schemas {schemas}: there is no such directory")
    told, documents = ([], []) if origin is None else _of_export(origin)
    told += setting or ()
    documents += read_definitions([schemas]) if schemas else []

    async def make(care: "TenantCare") -> "TenantRecord":
        return await care.create(name, now(), settings=told, host=host, documents=documents)

    made = _run(database, make, makes=True)
    if as_json:
        print(json.dumps(_shown(made)))
        return
    print(f"tenant {made.name}: {_path(made)}")
    typer.echo(f"make a token for it with: rollbook --tenant {made.name} token create", err=True)


@app.command("list")
def list_tenants(database: Database = None, as_json: AsJson = False) -> None:
    """List all tenants, and how many resources each has."""

    async def read(care: "TenantCare") -> list[dict[str, Any]]:
        rows, after = [], ""
        while page := await care.tenants.page(after, 500):
            rows += [_shown(record) | {"resources": await _numbers(care, record)} for record in page]
            after = page[-1].name
        return rows

    rows = _run(database, read)
    if as_json:
        print(json.dumps(rows))
        return
    from rich.console import Console
    from rich.table import Table

    table = Table("name", "state", "where", "resources", "settings")
    for row in rows:
        numbers = ", ".join(f"{number} {kind}" for kind, number in row["resources"].items())
        table.add_row(
            row["name"], row["state"], row["where"], numbers or "–", " ".join(row["settings"]) or "–"
        )
    Console().print(table)


@app.command()
def show(name: Name, database: Database = None, as_json: AsJson = False) -> None:
    """Show one tenant: where it is, what it serves and what it was told."""
    from rollbook.app import now
    from rollbook.operations.tokens import TokenState, state

    async def read(care: "TenantCare") -> dict[str, Any]:
        record = await _called(care, name)
        catalog = await care.store.catalog_of(record.number)
        tokens = await care.store.tokens(record.number)
        valid = [token for token in tokens if state(token, now()) is TokenState.VALID]
        return _shown(record) | {
            "resources": await _numbers(care, record),
            "types": [kind.name for kind in catalog.resource_types],
            "schemas": [str(each.get("id") or each.get("name")) for each in catalog.documents],
            "tokens": len(valid),
        }

    found = _run(database, read)
    if as_json:
        print(json.dumps(found))
        return
    for key, value in found.items():
        print(f"{key:10} {_text(value)}")


@app.command("set")
def set_(
    name: Name,
    settings: Annotated[
        list[str] | None,
        typer.Argument(help="NAME=VALUE each; NAME= for as it is without.", metavar="NAME=VALUE"),
    ] = None,
    host: Annotated[
        str | None,
        typer.Option(help='Serve it under this host name, too; "" takes that back.', metavar="HOST"),
    ] = None,
    database: Database = None,
    as_json: AsJson = False,
) -> None:
    """Tell a tenant something; a server that runs follows within a second."""
    from rollbook.app import by
    from rollbook.settings import SettingsError

    if not settings and host is None:
        raise SettingsError("name a setting, such as profile=entra, or --host")

    async def tell(care: "TenantCare") -> "TenantRecord":
        return await care.tell(await _called(care, name), settings or (), by("rollbook tenant"), host=host)

    _say(_run(database, tell), as_json=as_json)


@app.command()
def disable(name: Name, database: Database = None, as_json: AsJson = False) -> None:
    """Switch a tenant off: no request of it is answered, and nothing of it is gone."""
    _switch(name, "disabled", database, as_json=as_json)


@app.command()
def enable(name: Name, database: Database = None, as_json: AsJson = False) -> None:
    """Switch a tenant on again."""
    _switch(name, "open", database, as_json=as_json)


@app.command()
def delete(
    name: Name,
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask.")] = False,
    database: Database = None,
    as_json: AsJson = False,
) -> None:
    """Delete a tenant with everything it has: resources, history, tokens, links. Broken off, it goes on when asked again."""
    from rich.console import Console

    from rollbook.app import now
    from rollbook.settings import SettingsError

    async def look(care: "TenantCare") -> dict[str, int]:
        return await _numbers(care, await _called(care, name, going=True))

    numbers = _run(database, look)
    told = ", ".join(f"{number} {kind}" for kind, number in numbers.items()) or "no resources"
    if not yes:
        typer.echo(f"tenant {name} has {told}; what is deleted cannot be brought back", err=True)
        if typer.prompt("write its name to delete it", err=True) != name:
            raise SettingsError("that is not its name; nothing was deleted")

    async def go(care: "TenantCare") -> None:
        record = await _called(care, name, going=True)
        with Console(stderr=True).status(f"deleting {name} …") as status:
            await care.delete(
                record, lambda steps: status.update(f"deleting {name}: {steps * 2000:,} rows or less"), now()
            )

    _run(database, go)
    print(json.dumps({"name": name, "deleted": numbers}) if as_json else f"tenant {name} is deleted: {told}")


@app.command()
def export(
    name: Name,
    file: Annotated[str, typer.Argument(help="Where to; .gz packs it; - for standard output.")] = "-",
    database: Database = None,
    secrets: Annotated[
        bool, typer.Option("--secrets", help="With hashes of passwords; for an import elsewhere.")
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Write a tenant with its settings and schemas, for `tenant create --from` and `import` elsewhere. Tokens stay here."""
    from rollbook.cli import exports
    from rollbook.settings import TENANT

    os.environ[TENANT] = name
    exports.export(file, database=database, secrets=secrets, as_json=as_json)


def _text(value: Any) -> str:
    if isinstance(value, dict):
        value = [f"{number} {kind}" for kind, number in value.items()]
    return (", ".join(map(str, value)) if isinstance(value, list) else str(value)) or "–"


def _switch(name: str, state: str, database: str | None, *, as_json: bool) -> None:
    from rollbook.storage.tenants import TenantState

    async def switch(care: "TenantCare") -> "TenantRecord":
        return await care.switch(await _called(care, name), TenantState(state))

    _say(_run(database, switch), as_json=as_json)


def _say(record: "TenantRecord", *, as_json: bool) -> None:
    told = " ".join(record.settings) or "nothing but the usual"
    print(json.dumps(_shown(record)) if as_json else f"tenant {record.name} is {record.state}; told: {told}")


def _shown(record: "TenantRecord") -> dict[str, Any]:
    return {
        "name": record.name,
        "state": record.state.value,
        "where": _path(record),
        "settings": list(record.settings),
    }


def _path(record: "TenantRecord") -> str:
    from rollbook.storage.tenants import DEFAULT

    if record.host is not None:
        return f"https://{record.host}/scim/v2"
    return "/scim/v2" if record.number == DEFAULT else f"/t/{record.name}/scim/v2"


async def _numbers(care: "TenantCare", record: "TenantRecord") -> dict[str, int]:
    return {kind: number for kind, number in (await care.store.numbers(record.number)).items() if number}


async def _called(care: "TenantCare", name: str, *, going: bool = False) -> "TenantRecord":
    """The tenant of that name; with `going` also one that is being deleted."""
    from rollbook.app import tenant_called

    if going and (found := await care.tenants.by_name(name)) is not None:
        return found
    return await tenant_called(care.tenants, name)


def _of_export(file: Path) -> tuple[list[str], list[Any]]:
    """The settings and definitions in the first line of an export."""
    import gzip

    from rollbook.operations.lines import read_head
    from rollbook.settings import SettingsError

    opener: Callable[..., Any] = gzip.open if file.name.endswith(".gz") else open
    try:
        with opener(file, "rt", encoding="utf-8") as lines:
            head = read_head(json.loads(lines.readline()))
    except ValueError:
        head = None
    if head is None:
        raise SettingsError(f"{file}: not an export of Rollbook; its first line says what the others are")
    definitions = head.definitions if isinstance(head.definitions, dict) else {}
    documents = definitions.get("documents")
    return list(head.settings), documents if isinstance(documents, list) else []


def _run(database: str | None, work: "Callable[[TenantCare], Awaitable[T]]", *, makes: bool = False) -> T:
    """Do something with the tenants of a database."""
    import asyncio

    @asynccontextmanager
    async def opened() -> AsyncIterator["TenantCare"]:
        from rollbook.app import by
        from rollbook.operations.tenant_care import TenantCare
        from rollbook.storage.sql.tenants import SqlTenants

        async with opened_store(database, makes=makes) as store:
            yield TenantCare(store, SqlTenants(store.database), by("rollbook tenant"))

    async def go() -> T:
        async with opened() as care:
            return await work(care)

    return asyncio.run(go())
