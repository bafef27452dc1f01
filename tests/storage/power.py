"""A disk that remembers in which order it was written to, and what a loss of power at any moment could leave of it.

Until a file is flushed, each of its writes may be there, missing, or there in part: by sectors of 512 bytes, in any
combination (faults, 3.1). All else is the platform's.
"""

import random
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

import apsw

SECTOR = 512


class Event(NamedTuple):
    """Something that happened to a file, or a word of the test (`kind` is then `said`)."""

    kind: str
    file: str = ""
    offset: int = 0
    data: bytes = b""
    said: Any = None


class _File(apsw.VFSFile):
    """A file that tells what is done to it."""

    def __init__(self, disk: "Disk", name: Any, flags: list[int]) -> None:
        self._disk = disk
        self._name = Path(name.filename() if isinstance(name, apsw.URIFilename) else str(name)).name
        super().__init__(disk.platform, name, flags)

    def xWrite(self, data: bytes, offset: int) -> None:  # noqa: N802 - SQLite's name
        self._disk.happens(Event("write", self._name, offset, bytes(data)))
        super().xWrite(data, offset)

    def xSync(self, flags: int) -> None:  # noqa: N802 - SQLite's name
        self._disk.fail_if_due()
        super().xSync(flags)
        self._disk.events.append(Event("flush", self._name))

    def xTruncate(self, size: int) -> None:  # noqa: N802 - SQLite's name
        self._disk.happens(Event("truncate", self._name, size))
        super().xTruncate(size)


class Disk(apsw.VFS):
    """The platform's files; every database opened while it is there is on it."""

    def __init__(self) -> None:
        self.events: list[Event] = []
        self.calls = 0
        self.fails_at: int | None = None
        """Which call fails, counted from 0; later ones work again."""
        self.platform = apsw.vfs_names()[0]
        super().__init__("rollbook-power", self.platform, makedefault=True)

    def xOpen(self, name: Any, flags: list[int]) -> apsw.VFSFile:  # noqa: N802 - SQLite's name
        self.fail_if_due()
        file = _File(self, name, flags)
        flags[1] = flags[0]
        return file

    def happens(self, event: Event) -> None:
        """Remember it, unless it fails."""
        self.fail_if_due()
        self.events.append(event)

    def fail_if_due(self) -> None:
        """The call that was chosen to fail does."""
        self.calls += 1
        if self.fails_at is not None and self.calls == self.fails_at + 1:
            raise apsw.IOError

    def say(self, *said: str) -> None:
        """Note what the test knows at this moment."""
        self.events.append(Event("said", said=said))


@dataclass
class _Platter:
    """One file: what was flushed, and what was not."""

    kept: bytearray
    unflushed: list[Event] = field(default_factory=list)

    def flush(self) -> None:
        for event in self.unflushed:
            _apply(self.kept, event)
        self.unflushed.clear()

    def after_a_loss(self, chance: random.Random) -> bytes:
        """What is there when power is back."""
        found = bytearray(self.kept)
        share = chance.choice((0.0, 0.5, 1.0))
        for event in self.unflushed:
            for part in _sectors(event):
                if chance.random() < share:
                    _apply(found, part)
        return bytes(found)


def _sectors(event: Event) -> Iterator[Event]:
    """A write in the pieces in which a disk does it."""
    if event.kind != "write":
        yield event
        return
    at, end = event.offset, event.offset + len(event.data)
    while at < end:
        stop = min(end, (at // SECTOR + 1) * SECTOR)
        yield event._replace(offset=at, data=event.data[at - event.offset : stop - event.offset])
        at = stop


def _apply(content: bytearray, event: Event) -> None:
    if event.kind == "truncate":
        del content[event.offset :]
        return
    content.extend(bytes(max(0, event.offset - len(content))))
    content[event.offset : event.offset + len(event.data)] = event.data


def losses(
    before: dict[str, bytes], events: list[Event], cuts: set[int], chance: random.Random
) -> Iterator[tuple[dict[str, bytes], list[Any]]]:
    """For each cut, so many events after the beginning: files as they could be found then, and what was said before."""
    platters = {name: _Platter(bytearray(content)) for name, content in before.items()}
    said: list[Any] = []
    for number, event in enumerate(events):
        if number in cuts:
            yield {name: platter.after_a_loss(chance) for name, platter in platters.items()}, said
        if event.kind == "said":
            said.append(event.said)
            continue
        platter = platters.setdefault(event.file, _Platter(bytearray()))
        if event.kind == "flush":
            platter.flush()
        else:
            platter.unflushed.append(event)
