"""`rollbook audit`: the audit log (`verify`, `list`, `export`, `forget`), and what somebody changed at targets (`target`).

`rollbook audit` was for targets alone once, and goes on taking their names: what is no command of this family is one.
"""

import json
import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Annotated, Any

import typer
from typer.core import TyperGroup

from rollbook.cli import targets

if TYPE_CHECKING:
    from rollbook.cli.journal_lines import Wanted
    from rollbook.storage.sql.journal import SqlJournal
    from rollbook.storage.sql.store import SqlStore

TARGET = "target"


class _Family(TyperGroup):
    """Takes whatever is no command for the names of targets."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """The arguments, with the command that is meant in front."""
        if not args or (args[0] not in self.commands and args[0] not in ctx.help_option_names):
            args = [TARGET, *args]
        return super().parse_args(ctx, args)


app = typer.Typer(
    cls=_Family,
    help="The audit log: who did what, when and from where. With names of targets: compare them with the hub.",
)

Database = Annotated[
    str | None, typer.Option(help="The server's database; ROLLBOOK_DATABASE says the same.", metavar="URL")
]
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON.")]
Since = Annotated[
    str | None, typer.Option(help="What happened since then: 24h, 7d, or a date or time.", metavar="WHEN")
]
Until = Annotated[
    str | None, typer.Option(help="What happened until then: 24h, 7d, or a date or time.", metavar="WHEN")
]
Who = Annotated[
    str | None, typer.Option(help="Part of the name of who did it, or the id of a token.", metavar="TEXT")
]
What = Annotated[
    str | None,
    typer.Option(
        "--act", help="What was done: create, update, token.revoke, or all of token.", metavar="ACT"
    ),
]
Outcome = Annotated[str | None, typer.Option(help="done, refused, begun or failed.", metavar="OUTCOME")]
Tenant = Annotated[
    str | None,
    typer.Option(help="Lines about this tenant only; without, of all tenants.", metavar="NAME"),
]

app.command(TARGET)(targets.audit)


@app.command()
def verify(
    head: Annotated[
        str | None,
        typer.Option(help="A head that an earlier verify has printed: lines cut off since are found, too."),
    ] = None,
    database: Database = None,
    as_json: AsJson = False,
) -> None:
    """Look at every line of the audit log: whether it was altered, removed, inserted or put elsewhere since it was written.

    May run beside a server. Exit codes: 0 all holds, 1 something was found.
    """
    import asyncio

    from rich.console import Console

    from rollbook.app import now
    from rollbook.cli import journal_output
    from rollbook.cli.errors import FAILED
    from rollbook.storage.journal import Verdict

    journal_output.check_head(head)

    async def look() -> Verdict:
        async with _opened(database) as (_, journal):
            await journal.seal(now())
            with Console(stderr=True).status("looking at every line …") as status:
                return await journal.check(
                    head, lambda lines: status.update(f"looking at every line: {lines:,}")
                )

    verdict = asyncio.run(look())
    journal_output.show_verdict(verdict, as_json=as_json)
    if verdict.faults:
        raise typer.Exit(FAILED)


@app.command("list")
def list_lines(
    since: Since = None,
    until: Until = None,
    who: Who = None,
    act: What = None,
    outcome: Outcome = None,
    tenant: Tenant = None,
    limit: Annotated[int, typer.Option(help="Lines to show, newest first.", min=1)] = 100,
    before: Annotated[
        int | None,
        typer.Option(help="Only lines with numbers below that one: the next page.", metavar="LINE"),
    ] = None,
    database: Database = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON lines.")] = False,
) -> None:
    """Show the latest lines of the audit log, newest first."""
    import asyncio

    from rollbook.app import now
    from rollbook.cli import journal_output

    async def show() -> None:
        async with _opened(database) as (store, journal):
            wanted = await _wanted(store, since, until, who, act, outcome, tenant)
            await journal.seal(now())
            await journal_output.show(wanted.newest(journal, before or _END), limit, as_json=as_json)

    asyncio.run(show())


@app.command()
def export(
    file: Annotated[str, typer.Argument(help="Where to; - for standard output.")] = "-",
    after: Annotated[
        int,
        typer.Option(help="Go on behind this line, where an earlier export ended.", metavar="LINE", min=0),
    ] = 0,
    syslog: Annotated[
        str | None,
        typer.Option(
            help="Send it to a log server in place of a file, as RFC 5424 has it: udp://host:514, tcp://host:601, or a"
            " socket such as /dev/log.",
            metavar="ADDRESS",
        ),
    ] = None,
    since: Since = None,
    until: Until = None,
    who: Who = None,
    act: What = None,
    outcome: Outcome = None,
    tenant: Tenant = None,
    database: Database = None,
    as_json: AsJson = False,
) -> None:
    """Write the audit log as JSON lines, oldest first, with mail addresses and the like masked; a file is added to.

    Says at which line it ended, for --after.
    """
    import asyncio

    from rollbook.app import now
    from rollbook.cli import journal_output

    async def write() -> tuple[int, int]:
        async with _opened(database) as (store, journal):
            wanted = await _wanted(store, since, until, who, act, outcome, tenant)
            await journal.seal(now())
            number, last = 0, max((await journal.head()).number, after)
            with journal_output.output(file, syslog) as put:
                async for line in wanted.between(journal, after, last):
                    put(line)
                    number += 1
            return number, last

    number, last = asyncio.run(write())
    if as_json:
        typer.echo(json.dumps({"lines": number, "last": last}), err=file == "-" and syslog is None)
    else:
        typer.echo(f"{number} lines; go on later with --after {last}", err=True)


@app.command()
def forget(
    older_than: Annotated[
        str, typer.Option(help="Forget lines older than that: 365d, at least 1d.", metavar="AGE")
    ],
    database: Database = None,
    as_json: AsJson = False,
) -> None:
    """Forget old lines of acts and refused requests; one line says which went, and verify holds as before.

    May run beside a server. Lines of changes of resources go with the history: rollbook database compact.
    """
    import asyncio

    from rollbook.app import by
    from rollbook.cli.tokens import length
    from rollbook.settings import SettingsError

    age, author = length("--older-than", older_than), by("rollbook audit forget")
    if age < _DAY:
        raise SettingsError(f"--older-than {older_than!r}: at least 1d")

    async def drop() -> int:
        async with _opened(database) as (_, journal):
            await journal.seal(author.at)
            return await journal.forget(author.at - age, author)

    gone = asyncio.run(drop())
    print(json.dumps({"lines": gone}) if as_json else f"{gone} lines were forgotten")


_DAY = 86_400_000
_END = 1 << 62


@asynccontextmanager
async def _opened(database: str | None) -> "AsyncIterator[tuple[SqlStore, SqlJournal]]":
    from rollbook.cli.transfer import opened_store
    from rollbook.storage.sql.journal import SqlJournal
    from rollbook.storage.sql.signing_start import line_keys

    async with opened_store(database, makes=False) as store:
        yield store, SqlJournal(store.database, await line_keys(store.secrets))


async def _wanted(
    store: "SqlStore",
    since: str | None,
    until: str | None,
    who: str | None,
    act: str | None,
    outcome: str | None,
    tenant: str | None,
) -> "Wanted":
    """The filter that the options are."""
    from rollbook.app import tenant_called
    from rollbook.cli.journal_lines import Wanted, moment, outcome_of
    from rollbook.settings import TENANT
    from rollbook.storage.sql.tenants import SqlTenants

    tenants = SqlTenants(store.database)
    name = tenant or os.environ.get(TENANT)
    number = (await tenant_called(tenants, name)).number if name else None
    begin, end = moment("--since", since), moment("--until", until)
    return Wanted(tenants, begin, end, who, act, outcome_of(outcome), number)
