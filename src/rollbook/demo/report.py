"""Tells the story of the demo on the terminal; decides nothing."""

from collections.abc import Mapping, Sequence
from pathlib import Path

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from rollbook.demo.compare import SECRETS, Movement
from rollbook.demo.day import Company, Outcome
from rollbook.demo.expected import SYSTEMS
from rollbook.demo.scim import Service

STORY: Mapping[int, str] = {
    1: "HR sends its list for the first time: 250 people, two of whom have left already.",
    2: "New colleagues, people who move, a marriage, and a row that somebody typed in without an employee number.",
    3: "People leave, among them the head of Engineering; one row is simply gone.",
    4: "Two who had left come back, and one who had moved returns to the old team.",
}

_SHOWN = 3
_KINDS: tuple[tuple[str, str, str], ...] = (
    ("created", "+", "green"),
    ("changed", "~", "yellow"),
    ("disabled", "-", "red"),
    ("enabled", "+", "green"),
    ("deleted", "x", "red"),
)


def show_systems(console: Console, services: Mapping[str, Service], players: Mapping[str, str]) -> None:
    """Which systems take part, and who plays them."""
    table = Table(
        "system", "who should be there", "played by", title="One hub, five systems", title_justify="left"
    )
    table.add_column("address", no_wrap=True)
    for system in SYSTEMS:
        address = services[system.name].url.removeprefix("http://")
        table.add_row(system.name, system.purpose, players[system.name], address)
    console.print(table)


def begin_day(console: Console, day: int) -> None:
    """Which day it is."""
    console.print()
    console.rule(f"[bold]Day {day}", align="left")
    console.print(STORY[day])


def show_day(console: Console, outcome: Outcome, company: Company) -> None:
    """What happened to whom in each system, as read back over SCIM, and whether it was right."""
    table = Table(show_lines=True)
    table.add_column("system")
    table.add_column("accounts", justify="right")
    table.add_column("what happened there", overflow="fold")
    for system in SYSTEMS:
        lines = _lines(outcome.movements[system.name], company.names)
        accounts = str(len(company.found[system.name].accounts))
        table.add_row(system.name, accounts, "\n".join(lines) or "nothing")
    console.print(table)
    _show_withheld(console, outcome)
    for line in outcome.strays:
        console.print(
            f"rollbook apply said that line {line} has no employee number, and went on with the others."
        )
    for one in outcome.brakes:
        console.print(f"[bold yellow]The brake[/] has stopped {one.target}: {escape(one.reason)}.")
        console.print("HR has confirmed that they have left; so exactly that plan was approved:")
        console.print(f"  {one.command}", soft_wrap=True)
    for system_name, difference in outcome.wrong:
        console.print(f"[bold red]differs[/] {escape(system_name)}: {escape(difference)}")
    _show_verdict(console, outcome, company)


def _lines(moved: Movement, names: Mapping[str, str]) -> list[str]:
    lines = []
    for kind, mark, colour in _KINDS:
        keys: Sequence[str] = getattr(moved, kind)
        if keys:
            people = escape(", ".join(names.get(key, key) for key in keys[:_SHOWN]))
            more = f" and {len(keys) - _SHOWN} more" if len(keys) > _SHOWN else ""
            lines.append(f"[{colour}]{mark} {len(keys)} {kind}[/]: {people}{more}")
    return lines


def _show_withheld(console: Console, outcome: Outcome) -> None:
    """How many values of each sensitive column were found in all the bytes each system answered."""
    console.print("Withheld? How many values can be found anywhere in what each system answers:")
    table = Table()
    table.add_column("")
    for name in outcome.exposed:
        table.add_column(name.replace("-", "\n"), justify="right")
    for secret in SECRETS:
        table.add_row(secret.title, *(str(found[secret.title]) for found in outcome.exposed.values()))
    console.print(table)


def _show_verdict(console: Console, outcome: Outcome, company: Company) -> None:
    found = [company.found[system.name] for system in SYSTEMS]
    accounts = sum(len(snapshot.accounts) for snapshot in found)
    members = sum(len(members) for snapshot in found for members in snapshot.groups.values())
    verdict = f"[red]{len(outcome.wrong)} differences[/]" if outcome.wrong else "[green]all as HR said[/]"
    console.print(f"{accounts} accounts and {members} memberships read back over SCIM: {verdict}.")
    console.print(
        f"rollbook apply took {outcome.first.seconds:.1f} s;"
        f" run once more it took {outcome.second.seconds:.1f} s and wrote nothing."
        if not outcome.wrong
        else f"rollbook apply took {outcome.first.seconds:.1f} s."
    )


def begin_evening(console: Console) -> None:
    """What comes after the four days."""
    console.print()
    console.rule("[bold]And what if", align="left")


def show_scene(console: Console, told: Sequence[str], wrong: Sequence[str]) -> None:
    """What was tried, and what came of it."""
    for line in told:
        console.print(line, soft_wrap=True)
    for line in wrong:
        console.print(f"[bold red]differs[/]: {escape(line)}")


def show_end(console: Console, wrong: int, seconds: float) -> None:
    """How it all ended."""
    console.print()
    console.rule()
    if wrong:
        console.print(f"[bold red]FAILED[/]: {wrong} differences between HR and the systems, see above.")
    else:
        console.print(f"[bold green]Four days, five systems, no difference.[/] {seconds:.0f} s in all.")


def show_kept(console: Console, services: Sequence[Service], directory: Path, stop: Path) -> None:
    """Where everything is that was left running."""
    table = Table(title="Left running", title_justify="left")
    for heading in ("system", "address", "token"):
        table.add_column(heading, overflow="fold")
    for service in services:
        table.add_row(service.name, service.url, service.token)
    console.print(table)
    hub = services[0]
    for line in (
        f"Configuration, HR's list, databases and logs: {directory}",
        "Look at somebody, for instance:",
        f"  curl -H 'Authorization: Bearer {hub.token}' '{hub.url}/Users?count=1'",
        f"To end it all and remove the files: sh {stop}",
    ):
        console.print(line, soft_wrap=True)
