"""Which lines of the audit log may be missing: those that were forgotten by rule, which acts tell that are lines themselves.

`FORGETTING` names which went; a tenant that was deleted has taken its changes along. Who has not the key cannot say so.
"""

from bisect import bisect_right
from collections.abc import Iterable
from dataclasses import dataclass, field

import orjson

from rollbook.protocol.values import JsonObject
from rollbook.storage.journal import SealKeys
from rollbook.storage.sql.connection import Connection, Row
from rollbook.storage.sql.seals import ACT_COLUMNS
from rollbook.storage.sql.signing import act_text, holds

FORGETTING = "audit.forget"
"""The act that tells which lines went."""

DELETING, CREATING = "tenant.delete", "tenant.create"

TOLD = f"SELECT {ACT_COLUMNS}, place, stamp FROM act WHERE act IN (?, ?, ?)"
FIRST_SIGNED = "SELECT number FROM seal WHERE key = ? ORDER BY number LIMIT 1"
THERE = "SELECT number FROM tenant WHERE state <> 'deleting'"

_PLACES = -1
"""In place of a log: numbers among acts that went."""


def ranges(numbers: Iterable[int]) -> list[list[int]]:
    """Numbers in order as first and last of each unbroken run."""
    found: list[list[int]] = []
    for number in sorted(numbers):
        if found and found[-1][1] == number - 1:
            found[-1][1] = number
        else:
            found.append([number, number])
    return found


@dataclass
class Forgotten:
    """What may be missing: runs of sequences of each log, and tenants that are gone."""

    runs: dict[int, list[tuple[int, int]]] = field(default_factory=dict)
    tenants: set[int] = field(default_factory=set)
    created: set[int] = field(default_factory=set)
    """Tenants that are told to have been made, and are not gone."""

    def has(self, log: int, sequence: int) -> bool:
        """Whether that line of a log may be missing."""
        return log in self.tenants or self._within(log, sequence)

    def has_place(self, place: int) -> bool:
        """Whether the act of that number may be missing."""
        return self._within(_PLACES, place)

    def _within(self, log: int, number: int) -> bool:
        runs = self.runs.get(log, [])
        at = bisect_right(runs, (number, 1 << 62)) - 1
        return at >= 0 and runs[at][0] <= number <= runs[at][1]


def first_signed(connection: Connection, keys: SealKeys) -> int | None:
    """The first line that was signed when it was written, by the key that is used now."""
    if not keys.signs(keys.current):
        return None
    row = connection.one(FIRST_SIGNED, (keys.current,))
    return None if row is None else int(row[0])


def read_forgotten(connection: Connection, keys: SealKeys) -> Forgotten:
    """What acts tell that may be believed."""
    found, signed = Forgotten(), first_signed(connection, keys)
    for row in connection.all(TOLD, (FORGETTING, DELETING, CREATING)):
        if not _is_believed(row, keys, signed):
            continue
        owner, act = row[1], row[7]
        if act == DELETING:
            found.tenants.add(owner)
        elif act == CREATING:
            found.created.add(owner)
        else:
            _read_runs(found, owner, _read(row[12]))
    found.tenants -= {number for (number,) in connection.all(THERE)}
    found.created -= found.tenants
    for runs in found.runs.values():
        runs.sort()
    return found


def _is_believed(row: Row, keys: SealKeys, signed: int | None) -> bool:
    """Whether it is signed, or from before there was signing: its seal is another matter."""
    number, place, stamp = row[0], row[13], row[14]
    if not keys.signs(keys.current) or (number is not None and (signed is None or number < signed)):
        return True
    return place is not None and holds(keys, stamp, act_text(place, row[1:]))


def _read_runs(found: Forgotten, owner: int, told: JsonObject) -> None:
    log = owner if told.get("of") == "changes" else 0
    for key, name in ((log, "lines"), (_PLACES, "places")):
        found.runs.setdefault(key, []).extend((first, last) for first, last in told.get(name, ()))


def _read(detail: bytes) -> JsonObject:
    try:
        told = orjson.loads(detail)
    except ValueError:
        told = None
    return told if isinstance(told, dict) else {}
