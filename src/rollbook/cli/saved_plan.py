"""A plan in a file: written by `plan -o`, done by `apply FILE`, which refuses if the world has moved since.

The file has a line of JSON for each person or group, between one that says what it is and one that says that it is whole. It is read and written
line by line: a plan may be about everybody.
"""

import json
import shutil
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO

from rollbook import __version__
from rollbook.desk.agreed import AgreedPlan, Waves, from_lines
from rollbook.desk.plan_lines import Entry, entry_of
from rollbook.protocol.values import JsonObject
from rollbook.provisioning import model
from rollbook.provisioning.brake import OPTIONS, Approval, Way
from rollbook.settings import SettingsError

_DOES = {Way.DEPARTURES: "takes away", Way.ARRIVALS: "makes or takes over"}

FORMAT, FORMER = 2, 1
"""The form of a file now; and that of files which are one JSON document, still read."""

_NO_PLAN = (OSError, ValueError, KeyError, TypeError, AttributeError, RecursionError)
"""What comes of reading something else."""


def named(names: Sequence[str], targets: Iterable[str]) -> AgreedPlan | None:
    """The plan in the file that is named in place of targets, None if targets are named.

    Raises:
        SettingsError: the file is no plan.
    """
    if len(names) != 1 or names[0] in set(targets) or not Path(names[0]).is_file():
        return None
    return load(Path(names[0]))


@dataclass(frozen=True)
class Word:
    """What somebody says to the brake: how many may go, how many may come, and the names of the plans that say which."""

    deletions: int | None = None
    arrivals: int | None = None
    plans: tuple[str, ...] = ()

    @property
    def told(self) -> JsonObject:
        """It as the audit log has it."""
        plan = " ".join(self.plans) or None
        return {"acceptDeletions": self.deletions, "acceptArrivals": self.arrivals, "plan": plan}


def approvals(saved: AgreedPlan | None, word: Word) -> tuple[Approval, ...]:
    """What somebody has agreed to.

    Raises:
        SettingsError: a number without a plan, or the other way round, or not that of the file.
    """
    said = {Way.DEPARTURES: word.deletions, Way.ARRIVALS: word.arrivals}
    if saved is not None and saved.waves:
        due = {way: sum(one.number for one in waves.values()) for way, waves in saved.waves.items()}
        if any(said[way] != number for way, number in due.items()):
            told = " and ".join(f"{_DOES[way]} {number} accounts" for way, number in due.items())
            options = " ".join(f"{OPTIONS[way]} {number}" for way, number in due.items())
            raise SettingsError(
                f"this plan {told}, which the brake would not let happen; if it is right, say so: {options}"
            )
        return tuple(one for waves in saved.waves.values() for one in waves.values())
    numbers = [number for number in said.values() if number is not None]
    if len(numbers) != len(word.plans):
        option = OPTIONS[Way.ARRIVALS if word.arrivals is not None else Way.DEPARTURES]
        raise SettingsError(f"{option} and --plan go together; rollbook plan prints both")
    # Each number with each name: a name is of one plan, and of one way only.
    return tuple(Approval(number, plan) for number in numbers for plan in word.plans)


def save(
    file: Path,
    lines: IO[str],
    targets: Sequence[model.Target],
    waves: Waves,
    *,
    reads_sources: bool,
) -> None:
    """Write a plan; it holds personal data, so that nobody else may read it.

    Raises:
        SettingsError: the file cannot be written.
    """
    head = {
        "rollbook": __version__,
        "format": FORMAT,
        "readsSources": reads_sources,
        "targets": [one.name for one in targets],
        "settings": {one.name: one.digest for one in targets},
    }
    end = {
        way.value: {name: [one.number, one.plan] for name, one in waves.get(way, {}).items()} for way in Way
    }
    lines.seek(0)
    try:
        if file.is_symlink() and (file.is_file() or not file.exists()):
            file.unlink()  # a link that somebody laid there would have its file written over (T-90)
        file.touch(mode=0o600)
        if file.is_file():  # it may have been there before, open to others
            file.chmod(0o600)
        with file.open("w", encoding="utf-8") as out:
            out.write(json.dumps(head, ensure_ascii=False) + "\n")
            shutil.copyfileobj(lines, out)
            out.write(json.dumps(end, ensure_ascii=False) + "\n")
    except OSError as error:
        raise SettingsError(f"{file} cannot be written: {error.strerror}") from None


def load(file: Path) -> AgreedPlan:
    """Read a plan: look at every line, and keep none.

    Raises:
        SettingsError: it is none, or of another version.
    """
    try:
        head, end = _head(file), _End()
        if head["format"] not in {FORMAT, FORMER}:
            raise SettingsError(f"{file} is a plan of another Rollbook ({head['rollbook']}); make it anew")
        for _ in entries(file, end):
            pass
        waves = {
            way: {name: Approval(int(number), plan) for name, (number, plan) in end.waves[way].items()}
            for way in Way
            if way in end.waves
        }
        waves = {way: due for way, due in waves.items() if due}
        if not head["targets"]:  # to the engine no name at all means every target
            raise SettingsError(f"{file} names no target; make it anew: rollbook plan -o {file}")
        targets = [str(name) for name in head["targets"]]
        settings = {str(name): str(text) for name, text in head.get("settings", {}).items()}
        return AgreedPlan(
            targets, bool(head["readsSources"]), from_lines(lambda: entries(file)), waves, settings
        )
    except _NO_PLAN as error:
        raise SettingsError(f"{file} is no plan of rollbook plan -o: {type(error).__name__}") from None


@dataclass
class _End:
    """What the last line of a plan says."""

    waves: JsonObject = field(default_factory=dict)
    """Departures, and arrivals unless the version that wrote it knew of none: by target."""


def _head(file: Path) -> JsonObject:
    with file.open(encoding="utf-8") as lines:
        first = lines.readline()
    try:
        found: JsonObject = json.loads(first)
    except ValueError:  # one document over many lines
        found = json.loads(file.read_text("utf-8"))
    return found


def entries(file: Path, end: _End | None = None) -> Iterator[Entry]:
    """What a plan says of each, one after another; what its last line says goes to `end`.

    Raises:
        ValueError, KeyError, TypeError, AttributeError: it is no plan, or not a whole one.
    """
    end = end or _End()
    if _head(file)["format"] == FORMER:
        yield from _former(file, end)
        return
    with file.open(encoding="utf-8") as lines:
        next(lines)
        for text in lines:
            line = json.loads(text)
            if Way.DEPARTURES in line:
                end.waves = line
                return
            yield entry_of(line)
    raise ValueError("its end is missing")


def _former(file: Path, end: _End) -> Iterator[Entry]:
    found = json.loads(file.read_text("utf-8"))
    end.waves = {Way.DEPARTURES: found["departures"]}
    for kind in ("source", "target"):
        for name, lines in found[f"{kind}s"].items():
            for line in lines:
                yield entry_of({kind: name, **{part: line[part] for part in line}})
