"""`rollbook doctor`: look at everything a server stands on, and say what to do."""

import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from rollbook.cli.doctor_checks import Finding
    from rollbook.provisioning.model import Config
    from rollbook.storage.sql.connection import Backend

DEFAULT_CONFIG = Path("rollbook.yaml")


def doctor(
    database: Annotated[
        str | None,
        typer.Option(help="The server's database; ROLLBOOK_DATABASE says the same.", metavar="URL"),
    ] = None,
    config: Annotated[
        Path | None,
        typer.Option(help="The configuration; rollbook.yaml is looked at if it is there.", metavar="FILE"),
    ] = None,
    certificate: Annotated[
        list[Path] | None,
        typer.Option(
            help="A PEM file that is served with: a chain, authorities of clients, or what these revoked; may be repeated.",
            metavar="FILE",
        ),
    ] = None,
    targets: Annotated[
        bool, typer.Option("--targets", help="Ask each target, too, whether it answers and knows us.")
    ] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Look at database, clock, disk, files, keys, certificates and configuration, and say what to do. Changes nothing.

    Ends with 1 if something has failed. May run beside a server.
    """
    from rollbook.app import prepare_store
    from rollbook.settings import Settings, choose_database

    url, origin = choose_database(database, os.environ)
    backend = prepare_store(Settings(database=url, database_origin=origin)).database
    named = config or (DEFAULT_CONFIG if DEFAULT_CONFIG.exists() else None)
    findings = list(_findings(backend, database, named, certificate or [], targets=targets))
    if as_json:
        print(json.dumps({"findings": [_as_json(each) for each in findings]}, ensure_ascii=False))
    else:
        for each in findings:
            print(f"{each.state.value:4}  {each.check:11}  {each.text}")
            if each.advice is not None:
                print(f"{'':19}→ {each.advice}")
    if any(each.state == "fail" for each in findings):
        raise typer.Exit(1)


def _as_json(finding: "Finding") -> dict[str, str | None]:
    return {
        "check": finding.check,
        "state": finding.state.value,
        "text": finding.text,
        "advice": finding.advice,
    }


def _findings(
    backend: "Backend", database: str | None, config: Path | None, certificates: list[Path], *, targets: bool
) -> "Iterator[Finding]":
    import asyncio

    from rollbook.app import now
    from rollbook.cli import doctor_checks as checks
    from rollbook.cli.doctor_keys import keys
    from rollbook.cli.doctor_tokens import tokens

    on_database = list(checks.database(backend, now))
    yield from on_database
    yield from checks.files(backend, config)
    if not any(each.state == "fail" for each in on_database if each.check in {"database", "migrations"}):
        yield from keys(backend)
    is_current = any((each.check, each.state) == ("migrations", "ok") for each in on_database)
    if is_current:
        yield from tokens(backend, now())
    yield from checks.certificates(certificates)
    loaded: Config | None = None
    if config is not None:
        # Opening a file of an earlier version would bring it up to date, and nothing is changed here.
        finding, loaded = _configuration(config, database, by_database=is_current)
        yield finding
    if loaded is not None:
        yield from checks.files_of_sources(loaded)
        yield from checks.own_certificates(loaded)
        if targets:
            yield from asyncio.run(checks.targets(loaded))
    elif targets:
        text = "none was asked: there is no configuration to know them by"
        yield checks.Finding("target", checks.State.WARN, text, "name one with --config")


def _configuration(
    config: Path, database: str | None, *, by_database: bool
) -> "tuple[Finding, Config | None]":
    """Whether it has mistakes, secrets that cannot be had among them; by the schemas in the database if these can be read."""
    from rollbook.cli.config import catalog_of
    from rollbook.cli.doctor_advice import counted
    from rollbook.cli.doctor_checks import Finding, State
    from rollbook.protocol.catalog import core_catalog
    from rollbook.provisioning.config import ConfigError, load_config

    catalog = catalog_of(None, database) if by_database else core_catalog()
    aside = "" if by_database else "; looked at without the schemas in the database"
    try:
        loaded = load_config(config, catalog, os.environ)
    except ConfigError as error:
        first = error.problems[0]
        text = f"{config}: {counted(len(error.problems), 'mistake')}, the first in line {first.mark.line}: {first.title}{aside}"
        return Finding("config", State.FAIL, text, f"see them: rollbook config check {config}"), None
    except OSError as error:
        return Finding("config", State.FAIL, f"{config}: {error.strerror}", "name it with --config"), None
    told = f"{counted(len(loaded.sources), 'source')}, {counted(len(loaded.targets), 'target')}"
    return Finding("config", State.OK, f"{config}: no mistakes ({told}){aside}"), loaded
