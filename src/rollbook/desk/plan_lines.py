"""The lines of a plan in a file: one for each person or group, written and compared one after another, never all at once."""

import json
from collections.abc import Iterable, Iterator
from itertools import zip_longest
from typing import TYPE_CHECKING, NamedTuple, Protocol

from rollbook.protocol.values import JsonObject
from rollbook.provisioning.entries import changes_of
from rollbook.provisioning.masking import shown

if TYPE_CHECKING:
    from rollbook.desk.reports import PlanWatch, SourceReport
    from rollbook.provisioning import model
    from rollbook.provisioning.items import Item
    from rollbook.provisioning.report import PersonChange

TOLD = 20
"""Differences that a refusal names."""


class Entry(NamedTuple):
    """What is to be done for one person or group: at a source or a target, its name, and the rest of the line."""

    kind: str
    name: str
    line: JsonObject


class Writable(Protocol):
    """What lines are written to."""

    def write(self, text: str, /) -> object:
        """Take a line, which ends in a line break."""


class Recorder:
    """Writes the lines of a plan while another one prints it."""

    def __init__(self, sensitive: frozenset[str], file: Writable, also: "PlanWatch | None" = None) -> None:
        self._sensitive = sensitive
        self._file = file
        self._also = also
        self._place: dict[str, str] = {}

    def source(self, source: "model.Source") -> None:
        """Begin a source."""
        self._place = {"source": source.name}
        if self._also:
            self._also.source(source)

    def person(self, change: "PersonChange") -> None:
        """One person of a source."""
        self._write(
            {
                "who": change.key,
                "action": change.action.value,
                "changes": [
                    {
                        "attribute": one.attribute,
                        "old": shown(one, one.old, self._sensitive),
                        "new": shown(one, one.new, self._sensitive),
                    }
                    for one in change.differences
                ],
                "joins": list(change.joins),
                "leaves": list(change.leaves),
            }
        )
        if self._also:
            self._also.person(change)

    def source_end(self, report: "SourceReport") -> None:
        """That was the source."""
        if self._also:
            self._also.source_end(report)

    def target(self, target: "model.Target") -> None:
        """Begin a target."""
        self._place = {"target": target.name}
        if self._also:
            self._also.target(target)

    def item(self, item: "Item") -> None:
        """One person or group of a target."""
        # Without ids: who is new gets another one each time a plan is made.
        self._write(
            {
                "who": item.label,
                "type": item.resource_type,
                "action": item.action.value,
                "reason": item.reason,
                "changes": changes_of(item),
                "added": item.added,
                "removed": item.removed,
                "failure": item.failure,
            }
        )
        if self._also:
            self._also.item(item)

    def _write(self, line: JsonObject) -> None:
        self._file.write(json.dumps({**self._place, **line}, ensure_ascii=False) + "\n")


def entry_of(line: JsonObject) -> Entry:
    """The entry that a line of a file is, which anybody may have edited.

    Raises:
        KeyError, TypeError, AttributeError: it is none.
    """
    kind = "source" if "source" in line else "target"
    rest = {name: value for name, value in line.items() if name != kind}
    hash((line[kind], rest["who"], rest["action"], *(one["attribute"] for one in rest["changes"])))
    return Entry(kind, line[kind], rest)


def moved(before: Iterable[Entry], now: Iterable[Entry]) -> tuple[list[str], int]:
    """Where two plans differ: the first differences in words, and how many there are.

    Held is only what has not been met in the other plan yet: nothing, while they are the same line by line.
    """
    unmet: dict[tuple[str, str, str], tuple[list[JsonObject], list[JsonObject]]] = {}
    for pair in zip_longest(before, now):
        if pair[0] == pair[1]:
            continue
        for side, entry in enumerate(pair):
            if entry is None:
                continue
            key = (entry.kind, entry.name, entry.line["who"])
            sides = unmet.setdefault(key, ([], []))
            if entry.line in sides[1 - side]:
                sides[1 - side].remove(entry.line)
            else:
                sides[side].append(entry.line)
            if not any(sides):
                del unmet[key]
    return list(_told(unmet)), len(unmet)


def _told(unmet: dict[tuple[str, str, str], tuple[list[JsonObject], list[JsonObject]]]) -> Iterator[str]:
    for (kind, name, who), (old, new) in list(unmet.items())[:TOLD]:
        yield f"{kind} {name}: {who}: {_words(old)}, now {_words(new)}"


def _words(lines: list[JsonObject]) -> str:
    if not lines:
        return "nothing to do"
    told = []
    for line in lines:
        names = ", ".join(one["attribute"] for one in line["changes"])
        told.append(f"{line['action']} {names}".strip())
    return "; ".join(told)
