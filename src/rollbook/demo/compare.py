"""Expected against found, before against after: pure functions on snapshots."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from rollbook.demo.expected import Row, State, System
from rollbook.demo.scim import Snapshot


@dataclass(frozen=True)
class Movement:
    """What became of the accounts of a system in a day, by employee number."""

    created: tuple[str, ...]
    changed: tuple[str, ...]
    disabled: tuple[str, ...]
    enabled: tuple[str, ...]
    deleted: tuple[str, ...]


def differences(wanted: State, found: Snapshot, before: Snapshot | None) -> Iterator[str]:
    """Everything that is not as HR said, one line each; nothing if all is well."""
    yield from found.faults
    for key in sorted({*wanted.accounts, *found.accounts}):
        expected = wanted.accounts.get(key)
        present = found.accounts.get(key)
        if expected is None:
            yield f"{key}: has an account and should have none"
        elif present is None:
            yield f"{key}: has no account and should have one"
        else:
            yield from _unlike(key, flatten(expected), flatten(present.attributes))
            if before and key in before.accounts and before.accounts[key].id != present.id:
                yield f"{key}: is not the same account as yesterday"
    for name in sorted({*wanted.groups, *found.groups}):
        expected_members = wanted.groups.get(name, frozenset())
        if name not in found.groups:
            yield f"group {name}: is missing"
        elif name not in wanted.groups:
            yield f"group {name}: should not be there"
        for key in sorted(expected_members ^ found.groups.get(name, frozenset())):
            yield f"group {name}: {key} should {'' if key in expected_members else 'not '}be a member"


def _unlike(key: str, expected: Mapping[str, Any], present: Mapping[str, Any]) -> Iterator[str]:
    for path in sorted({*expected, *present}):
        if expected.get(path) != present.get(path):
            yield f"{key}: {path} is {present.get(path)!r}, should be {expected.get(path)!r}"


def flatten(value: Any, path: str = "") -> dict[str, Any]:
    """A JSON value as paths and plain values: `name.givenName`, `emails[0].value`."""
    if isinstance(value, dict):
        parts = [flatten(item, f"{path}.{name}" if path else name) for name, item in value.items()]
    elif isinstance(value, list):
        parts = [flatten(item, f"{path}[{number}]") for number, item in enumerate(value)]
    else:
        return {path: value}
    return {name: item for part in parts for name, item in part.items()}


def movement(before: Snapshot | None, after: Snapshot) -> Movement:
    """Which accounts came, changed and went between two readings."""
    old = dict(before.accounts) if before else {}
    new = dict(sorted(after.accounts.items()))
    both = [key for key in new if key in old]
    was = {key: old[key].attributes.get("active", True) for key in both}
    now = {key: new[key].attributes.get("active", True) for key in both}
    return Movement(
        created=tuple(key for key in new if key not in old),
        changed=tuple(k for k in both if was[k] == now[k] and old[k].attributes != new[k].attributes),
        disabled=tuple(key for key in both if was[key] and not now[key]),
        enabled=tuple(key for key in both if now[key] and not was[key]),
        deleted=tuple(key for key in sorted(old) if key not in new),
    )


def exposed(values: Iterable[str], answers: bytes) -> int:
    """How many of the values appear anywhere in what a server answered."""
    return sum(1 for value in values if value.encode() in answers)


@dataclass(frozen=True)
class Secret:
    """A column of the HR export, and the systems that are meant to see it."""

    title: str
    column: str
    allowed: frozenset[str]

    def values(self, rows: Iterable[Row]) -> set[str]:
        """Every way in which the column's values could be written."""
        plain = {row[self.column] for row in rows if row[self.column]}
        if self.column != "birth_date":
            return plain
        parts = [value.split("-") for value in plain]
        return plain | {f"{d}.{m}.{y}" for y, m, d in parts} | {f"{d}/{m}/{y}" for y, m, d in parts}


SECRETS: tuple[Secret, ...] = (
    Secret("birth date", "birth_date", frozenset({"hub"})),
    Secret("telephone", "phone", frozenset({"hub", "support-desk"})),
    Secret("cost center", "cost_center", frozenset({"hub", "accounting"})),
)


def leaks(system: System, counts: Mapping[str, int]) -> Iterator[str]:
    """What a system shows although it should never have seen it."""
    for secret in SECRETS:
        if counts[secret.title] and system.name not in secret.allowed:
            yield f"{counts[secret.title]} values of {secret.title} have reached it"
