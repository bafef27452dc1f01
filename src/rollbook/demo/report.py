"""Tells the story of the demo on the terminal; decides nothing."""

from collections.abc import Iterable, Mapping, Sequence

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from rollbook.demo.compare import SECRETS, Movement
from rollbook.demo.expected import SYSTEMS
from rollbook.demo.scim import Service, Snapshot

STORY: Mapping[int, str] = {
    1: "HR sends its list for the first time",
    2: "new colleagues, people who move, a marriage, and a row without an employee number",
    3: "people leave, among them the head of Engineering; one row is simply gone",
    4: "two who had left come back, and one who had moved returns to the old team",
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
    table = Table(title="Five systems, one hub", title_justify="left")
    for heading in ("system", "who should be there", "played by", "address"):
        table.add_column(heading, overflow="fold")
    for system in SYSTEMS:
        table.add_row(system.name, system.purpose, players[system.name], services[system.name].url)
    console.print(table)


def show_day(
    console: Console,
    movements: Mapping[str, Movement],
    snapshots: Mapping[str, Snapshot],
    names: Mapping[str, str],
) -> None:
    """What happened to whom in each system, as read back over SCIM."""
    table = Table(show_lines=True)
    table.add_column("system")
    table.add_column("accounts", justify="right")
    table.add_column("what happened there", overflow="fold")
    for system in SYSTEMS:
        lines = _lines(movements[system.name], names)
        accounts = str(len(snapshots[system.name].accounts))
        table.add_row(system.name, accounts, "\n".join(lines) or "nothing")
    console.print(table)


def _lines(moved: Movement, names: Mapping[str, str]) -> list[str]:
    lines = []
    for kind, mark, colour in _KINDS:
        keys: Sequence[str] = getattr(moved, kind)
        if keys:
            people = escape(", ".join(names.get(key, key) for key in keys[:_SHOWN]))
            more = f" and {len(keys) - _SHOWN} more" if len(keys) > _SHOWN else ""
            lines.append(f"[{colour}]{mark} {len(keys)} {kind}[/]: {people}{more}")
    return lines


def show_withheld(console: Console, counts: Mapping[str, Mapping[str, int]]) -> None:
    """How many values of each sensitive column were found in all the bytes each system answered."""
    table = Table(title="Withheld: values found in everything each system answers", title_justify="left")
    table.add_column("")
    for name in counts:
        table.add_column(name, justify="right")
    for secret in SECRETS:
        table.add_row(secret.title, *(str(found[secret.title]) for found in counts.values()))
    console.print(table)


def show_differences(console: Console, differences: Iterable[tuple[str, str]]) -> None:
    """What is not as HR said."""
    for system, difference in differences:
        console.print(f"[bold red]differs[/] {escape(system)}: {escape(difference)}")


def show_kept(console: Console, services: Iterable[Service], directory: str, stop: str) -> None:
    """Where everything is that was left running."""
    table = Table(title="Left running", title_justify="left")
    for heading in ("system", "address", "token"):
        table.add_column(heading, overflow="fold")
    for service in services:
        table.add_row(service.name, service.url, service.token)
    console.print(table)
    first = next(iter(services))
    console.print(f"Files, databases and logs: {directory}")
    console.print("Look at somebody, for instance:", highlight=False)
    console.print(
        f"  curl -H 'Authorization: Bearer {first.token}' '{first.url}/Users?count=1'",
        highlight=False,
        soft_wrap=True,
    )
    console.print(f"To end it all and remove the files: sh {stop}", highlight=False, soft_wrap=True)
