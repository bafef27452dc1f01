"""A plan that somebody has agreed to: made anew before it is acted on, and refused if it is not the same any more (I-27)."""

import hashlib
import json
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from tempfile import TemporaryFile

from rollbook.desk.desk import Desk
from rollbook.desk.errors import DeskError
from rollbook.desk.plan_lines import Entry, Recorder, entry_of, moved
from rollbook.desk.planning import plan
from rollbook.desk.reports import Planned
from rollbook.desk.reviewed import ANEW, Reviewed
from rollbook.protocol.values import JsonObject
from rollbook.provisioning.brake import Approval, Way

Waves = Mapping[Way, Mapping[str, Approval]]
"""What the brake would not let happen, by target."""

_OTHERS = {
    Way.DEPARTURES: "other accounts than those of the plan would be taken away",
    Way.ARRIVALS: "other accounts than those of the plan would be made or taken over",
}


@dataclass(frozen=True)
class AgreedPlan:
    """What is to be done, at which targets, and which departures and arrivals have to be approved for it."""

    targets: Sequence[str]
    reads_sources: bool
    differences: Callable[[Iterator[Entry]], tuple[Iterable[str], int]]
    """Where the plan differs from other lines: the first differences in words, and how many there are."""
    waves: Waves = field(default_factory=dict)
    settings: Mapping[str, str] = field(default_factory=dict)
    """The digest of each target's configuration; nothing of it in plans of versions that did not say."""

    async def check(self, desk: Desk) -> None:
        """Make the plan anew, and compare; what was read for it is all that the desk then takes of the sources.

        Raises:
            DeskError: it would not be the same any more; says where.
        """
        change = await desk.store.last_change(desk.store.home)
        with TemporaryFile("w+", encoding="utf-8") as lines:
            again = Recorder(desk.config.sensitive, lines)
            planned = await plan(desk, self.targets, again, read_sources=self.reads_sources)
            lines.seek(0)
            found, number = self.differences(entry_of(json.loads(line)) for line in lines)
        told = list(found)
        waves = waves_of(planned)
        broken = [text for way, text in _OTHERS.items() if self.waves.get(way, {}) != waves.get(way, {})]
        broken += self._broken(desk, planned)
        told += broken
        number += len(broken)
        if number:
            text = "\n".join(f"  {line}" for line in told)
            more = f"\n  and {number - len(told)} more" if number > len(told) else ""
            raise DeskError(
                f"the world has moved since the plan was made, so nothing was done:\n{text}{more}\n{ANEW}"
            )
        read = {one.source: one.report.content for one in planned.sources if one.report}
        desk.reviewed = Reviewed(read, change)

    def _broken(self, desk: Desk, planned: Planned) -> list[str]:
        return [
            *(
                f"target {one.name}: it is configured otherwise now"
                for one in desk.targets(self.targets)
                if self.settings.get(one.name, one.digest) != one.digest
            ),
            *(f"source {one.source}: {one.error}" for one in planned.sources if one.error),
            *(f"target {one.target}: {one.stopped}" for one in planned.targets if one.stopped),
        ]


def waves_of(planned: Planned) -> Waves:
    """What the brake would not let happen."""
    found: dict[Way, dict[str, Approval]] = {}
    for one in planned.targets:
        for wave in one.braked:
            found.setdefault(wave.way, {})[one.target] = wave.approval
    return found


def from_digest(digest: str) -> Callable[[Iterator[Entry]], tuple[list[str], int]]:
    """Whether there is any difference, of a plan whose lines were not all kept."""

    def differs(now: Iterator[Entry]) -> tuple[list[str], int]:
        again = Digest()
        for entry in now:
            again.add({entry.kind: entry.name, **entry.line})
        return (
            ([], 0) if again.text == digest else (["other changes than those of the plan would be made"], 1)
        )

    return differs


class Digest:
    """Stands for lines of a plan in any order."""

    def __init__(self) -> None:
        self._sum = 0

    def add(self, line: JsonObject) -> None:
        """Count a line."""
        text = json.dumps(line, sort_keys=True, ensure_ascii=False)
        self._sum += int.from_bytes(hashlib.sha256(text.encode()).digest())

    @property
    def text(self) -> str:
        """What it comes to."""
        return f"{self._sum % 2**256:064x}"


def from_lines(before: Callable[[], Iterable[Entry]]) -> Callable[[Iterator[Entry]], tuple[list[str], int]]:
    """Differences from lines that were kept, in any order."""
    return lambda now: moved(before(), now)
