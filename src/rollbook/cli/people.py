"""`rollbook explain`, `try` and `map test`: one person at all sources and targets."""

from typing import TYPE_CHECKING, Annotated

import typer

from rollbook.cli.provision import DEFAULT_CONFIG, ConfigFile, Database, Json, Schemas, run_work

if TYPE_CHECKING:
    from rollbook.desk.desk import Desk

Who = Annotated[
    str,
    typer.Argument(help="An id, userName, externalId, or the key of a source's record.", metavar="USER"),
]
AtTargets = Annotated[
    list[str] | None, typer.Option("--target", help="Only this target; once for each.", metavar="TARGET")
]
TypeName = Annotated[str, typer.Option("--type", help="Its resource type, if not a user.")]

map_app = typer.Typer(help="Test mapping rules.", no_args_is_help=True)


def explain(
    who: Who,
    target: AtTargets = None,
    config: ConfigFile = DEFAULT_CONFIG,
    database: Database = None,
    schemas: Schemas = None,
    type_name: TypeName = "User",
    as_json: Json = False,
) -> None:
    """Say why somebody is at a target or not, and why every attribute there is what it is. Asks no target."""
    from rollbook.cli import people_output
    from rollbook.desk import people

    async def work(desk: "Desk") -> int:
        people_output.show_explanation(
            await people.explain(desk, who, target or [], type_name), as_json=as_json
        )
        return 0

    run_work(work, config, database, schemas)


def try_(
    who: Who,
    target: AtTargets = None,
    config: ConfigFile = DEFAULT_CONFIG,
    database: Database = None,
    schemas: Schemas = None,
    type_name: TypeName = "User",
    as_json: Json = False,
) -> None:
    """Bring one person up to date everywhere, now, and show each step: record, scope, attributes, calls, answers."""
    from rollbook.cli import people_output
    from rollbook.desk import people

    async def work(desk: "Desk") -> int:
        trial = await people.try_one(desk, who, target or [], type_name)
        people_output.show_trial(trial, as_json=as_json)
        return 1 if trial.failed else 0

    run_work(work, config, database, schemas)


@map_app.command("test")
def map_test(
    who: Who,
    target: AtTargets = None,
    config: ConfigFile = DEFAULT_CONFIG,
    database: Database = None,
    schemas: Schemas = None,
    type_name: TypeName = "User",
    as_json: Json = False,
) -> None:
    """Show what every rule makes of one person: the input, each rule, the result. Sends nothing."""
    from rollbook.cli import people_output
    from rollbook.desk import people

    async def work(desk: "Desk") -> int:
        sources, targets = await people.rules_on(desk, who, target or [], type_name)
        people_output.show_rules(sources, targets, desk.config.sensitive, as_json=as_json)
        every = [*(rule for view in sources for rule in view.rules)]
        every += [rule for _, rules in targets.values() for rule in rules]
        return 1 if any(rule.error for rule in every) else 0

    run_work(work, config, database, schemas)
