"""People from a file of JSON lines: one object for each, in any order of its names."""

import os
from collections.abc import Callable, Iterator
from pathlib import Path

import orjson

from rollbook.provisioning.sources.base import SourceError
from rollbook.provisioning.sources.flat import flat
from rollbook.provisioning.sources.spool import Fields, Problem, SpooledSource

_LONGEST_LINE = 1_048_576


def json_lines(path: Path, key: str, needed: tuple[str, ...]) -> SpooledSource:
    """The source in a file."""
    return SpooledSource(str(path), key, needed, lambda _: _records(path))


def _records(path: Path) -> Iterator[Fields | Problem]:
    try:
        if not path.is_file():
            raise SourceError(f"{path} {'is not a file' if path.exists() else 'does not exist'}")
        with path.open("rb") as file:
            before = _state(file.fileno())
            yield from _lines(path, file.readline)
            if _state(file.fileno()) != before:
                raise SourceError(f"{path} was changed while it was read; try again when it is finished")
    except OSError as error:
        raise SourceError(f"{path} cannot be read: {error.strerror}") from error


def _lines(path: Path, readline: Callable[[int], bytes]) -> Iterator[Fields | Problem]:
    number = 0
    while line := readline(_LONGEST_LINE):
        number += 1
        if len(line) >= _LONGEST_LINE and not line.endswith(b"\n"):
            raise SourceError(f"{path}, line {number}: longer than {_LONGEST_LINE} bytes; is it JSON lines?")
        text = line.removeprefix(b"\xef\xbb\xbf").strip()
        if text:
            yield _record(path, number, text, whole=line.endswith(b"\n"))


def _record(path: Path, number: int, text: bytes, *, whole: bool) -> Fields | Problem:
    try:
        found = orjson.loads(text)
    except orjson.JSONDecodeError as error:
        if number == 1:
            raise SourceError(
                f"{path}, line 1: not a JSON object; write one object in each line ({error})"
            ) from None
        if not whole:
            raise SourceError(f"{path} ends in the middle of line {number}; it was cut") from None
        return f"not JSON: {error}"
    if not isinstance(found, dict):
        if number == 1:
            raise SourceError(f"{path}, line 1: not a JSON object; write one object in each line")
        return "not a JSON object"
    try:
        return flat(found)
    except ValueError as error:
        return str(error)


def _state(descriptor: int) -> tuple[int, int]:
    found = os.fstat(descriptor)
    return found.st_size, found.st_mtime_ns
