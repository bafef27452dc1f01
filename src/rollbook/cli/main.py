"""The command tree. Only the command that is called is loaded, and imports what it needs when it runs: starts are quick."""

import os
import sys
from collections.abc import Iterator, Mapping
from importlib import import_module
from typing import Annotated, Any

import typer
from typer.core import TyperGroup

from rollbook import __version__

TENANT = "ROLLBOOK_TENANT"

COMMANDS = {
    "serve": "serve:serve",
    "doctor": "doctor:doctor",
    "import": "imports:import_",
    "export": "exports:export",
    "history": "history:history",
    "restore": "history:restore",
    "erase": "history:erase",
    "quirks": "quirks:quirks",
    "pull": "provision:pull",
    "plan": "provision:plan",
    "apply": "provision:apply",
    "run": "provision:run",
    "work": "work:work",
    "status": "provision:status",
    "explain": "people:explain",
    "try": "people:try_",
    "runs": "runs:runs",
    "undo": "runs:undo",
    "profiles": "profiles:profiles",
    "report": "targets:report",
    "drift": "targets:drift",
    "pause": "targets:pause",
    "resume": "targets:resume",
    "retry": "targets:retry",
    "reset": "targets:reset",
    "demo": "demo:demo",
    "tenant": "tenants:app",
    "token": "tokens:app",
    "issuer": "issuers:app",
    "client": "clients:app",
    "schema": "schema:app",
    "database": "database:app",
    "key": "keys:app",
    "config": "config:app",
    "map": "people:map_app",
    "matches": "matches:app",
    "audit": "journal:app",
}
"""Each command or family of commands, in the order of `--help`: the module of `rollbook.cli`, and its name there."""


class _Commands(Mapping[str, Any]):
    """The commands by name; one is loaded when it is looked up."""

    def __getitem__(self, name: str) -> Any:
        module, _, attribute = COMMANDS[name].partition(":")
        found = getattr(import_module(f"rollbook.cli.{module}"), attribute)
        around = typer.Typer()
        if isinstance(found, typer.Typer):
            around.add_typer(found, name=name)
        else:
            around.command(name)(found)
        return typer.main.get_group(around).commands[name]

    def __iter__(self) -> Iterator[str]:
        return iter(COMMANDS)

    def __len__(self) -> int:
        return len(COMMANDS)


class _Tree(TyperGroup):
    """Knows its commands by name before any is loaded."""

    def __init__(self, **settings: Any) -> None:
        super().__init__(**settings)
        self.commands: Any = _Commands()

    def list_commands(self, _ctx: Any) -> list[str]:
        """The names, in order."""
        return list(self.commands)


app = typer.Typer(
    cls=_Tree,
    name="rollbook",
    help="SCIM 2.0 server, client and provisioning engine.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)


def _version(value: bool) -> None:
    if value:
        print(f"rollbook {__version__}")
        raise typer.Exit


def _tenant(name: str | None) -> None:
    if name is not None:
        os.environ[TENANT] = name


@app.callback()
def root(
    tenant: Annotated[
        str | None,
        typer.Option(
            help="The tenant that the command is for; without, the default one. ROLLBOOK_TENANT says the same.",
            metavar="NAME",
            callback=_tenant,
        ),
    ] = None,
    version: Annotated[
        bool, typer.Option("--version", help="Print the version.", is_eager=True, callback=_version)
    ] = False,
) -> None:
    """Rollbook."""


def run() -> None:
    """Run the command; what it cannot do becomes one clear message and an exit code, never a traceback."""
    # Pydantic would look for plugins in every package that is installed; we use none, and start sooner.
    os.environ.setdefault("PYDANTIC_DISABLE_PLUGINS", "__all__")
    try:
        app()
    except Exception as error:
        from rollbook.cli.errors import exit_code

        code = exit_code(error)
        if code is None:
            raise
        sys.exit(code)
