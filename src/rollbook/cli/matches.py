"""`rollbook matches`: records of which nobody is sure whose they are, and the decisions about them."""

from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Annotated

import typer

from rollbook.cli.provision import DEFAULT_CONFIG, ConfigFile, Database, Json, Schemas, run_work

if TYPE_CHECKING:
    from rollbook.desk.desk import Desk
    from rollbook.desk.matches import Decided

SourceName = Annotated[str, typer.Argument(help="The source of the record.", metavar="SOURCE")]
Key = Annotated[str, typer.Argument(help="The record's key.", metavar="KEY")]

app = typer.Typer(
    help="Decide whose records are that fit several people, or nobody for sure.", invoke_without_command=True
)


@app.callback()
def matches(
    context: typer.Context,
    source: Annotated[
        list[str] | None, typer.Option(help="Only this source; once for each.", metavar="SOURCE")
    ] = None,
    config: ConfigFile = DEFAULT_CONFIG,
    database: Database = None,
    schemas: Schemas = None,
    as_json: Json = False,
) -> None:
    """List records that wait for somebody to decide whose they are, with the people they may be."""
    if context.invoked_subcommand is not None:
        return
    from rollbook.cli import matches_output
    from rollbook.desk import matches as matching

    async def work(desk: "Desk") -> int:
        found = [one async for one in matching.waiting(desk, source or [])]
        matches_output.show_waiting(found, as_json=as_json)
        return 0

    run_work(work, config, database, schemas)


@app.command()
def join(
    source: SourceName,
    key: Key,
    user: Annotated[str, typer.Argument(help="An id, userName or externalId of the hub.", metavar="USER")],
    config: ConfigFile = DEFAULT_CONFIG,
    database: Database = None,
    schemas: Schemas = None,
) -> None:
    """The record is about that user of the hub."""
    from rollbook.desk import matches as matching
    from rollbook.storage.matches import Verdict

    _decide(lambda desk: matching.decide(desk, source, key, Verdict.JOIN, user), config, database, schemas)


@app.command()
def new(
    source: SourceName,
    key: Key,
    config: ConfigFile = DEFAULT_CONFIG,
    database: Database = None,
    schemas: Schemas = None,
) -> None:
    """The record is about somebody whom the hub does not have."""
    from rollbook.desk import matches as matching
    from rollbook.storage.matches import Verdict

    _decide(lambda desk: matching.decide(desk, source, key, Verdict.NEW), config, database, schemas)


@app.command()
def ignore(
    source: SourceName,
    key: Key,
    config: ConfigFile = DEFAULT_CONFIG,
    database: Database = None,
    schemas: Schemas = None,
) -> None:
    """The record is left out."""
    from rollbook.desk import matches as matching
    from rollbook.storage.matches import Verdict

    _decide(lambda desk: matching.decide(desk, source, key, Verdict.IGNORE), config, database, schemas)


@app.command()
def forget(
    source: SourceName,
    key: Key,
    config: ConfigFile = DEFAULT_CONFIG,
    database: Database = None,
    schemas: Schemas = None,
) -> None:
    """Take a decision back; a record that was joined by it is taken away from its user."""
    from rollbook.desk import matches as matching

    _decide(lambda desk: matching.forget(desk, source, key), config, database, schemas)


def _decide(
    decide: "Callable[[Desk], Awaitable[Decided]]", config: ConfigFile, database: Database, schemas: Schemas
) -> None:
    from rollbook.cli import matches_output

    async def work(desk: "Desk") -> int:
        decided = await decide(desk)
        matches_output.show_decided(decided)
        report = decided.report
        return 1 if report is not None and report.report is not None and report.failed else 0

    run_work(work, config, database, schemas)
