"""The command tree. Commands import what they need when they run, so that `--help` is quick."""

import os
import sys
from typing import Annotated

import typer

from rollbook import __version__
from rollbook.cli import (
    clients,
    config,
    database,
    demo,
    doctor,
    exports,
    history,
    imports,
    issuers,
    journal,
    keys,
    matches,
    people,
    profiles,
    provision,
    quirks,
    runs,
    schema,
    serve,
    targets,
    tenants,
    tokens,
    work,
)

TENANT = "ROLLBOOK_TENANT"

app = typer.Typer(
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


app.command()(serve.serve)
app.add_typer(tenants.app, name="tenant")
app.add_typer(tokens.app, name="token")
app.add_typer(issuers.app, name="issuer")
app.add_typer(clients.app, name="client")
app.add_typer(schema.app, name="schema")
app.add_typer(database.app, name="database")
app.add_typer(keys.app, name="key")
app.command()(doctor.doctor)
app.command("import")(imports.import_)
app.command()(exports.export)
app.command()(history.history)
app.command()(history.restore)
app.command()(history.erase)
app.command()(quirks.quirks)
app.add_typer(config.app, name="config")
app.command()(provision.pull)
app.command()(provision.plan)
app.command()(provision.apply)
app.command()(provision.run)
app.command()(work.work)
app.command()(provision.status)
app.command()(people.explain)
app.command("try")(people.try_)
app.add_typer(people.map_app, name="map")
app.add_typer(matches.app, name="matches")
app.command()(runs.runs)
app.command()(runs.undo)
app.command()(profiles.profiles)
app.command()(targets.report)
app.add_typer(journal.app, name="audit")
app.command()(targets.drift)
app.command()(targets.pause)
app.command()(targets.resume)
app.command()(targets.retry)
app.command()(targets.reset)
app.command()(demo.demo)


def run() -> None:
    """Run the command; what it cannot do becomes one clear message and an exit code, never a traceback."""
    from rollbook.cli.errors import exit_code

    try:
        app()
    except Exception as error:
        code = exit_code(error)
        if code is None:
            raise
        sys.exit(code)
