"""How the audit log is shown, written to files, and sent to log servers."""

import json
import os
import re
import sys
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from rollbook.cli.journal_lines import Told, as_line
from rollbook.settings import SettingsError

if TYPE_CHECKING:
    from rollbook.storage.journal import Verdict

_HEAD = re.compile(r"([0-9]{1,18}:)?[0-9a-fA-F]{64}")

_ADVICE = (
    "What to do: keep the database as it is now (rollbook database backup FILE). Hold the lines beside what you have exported\n"
    "(rollbook audit export), what your log server has, or an earlier backup: that says what was changed. Find out who can\n"
    "write the database beside Rollbook, and change its passwords."
)
_NO_KEY = (
    "The seals were made with a key that this command does not have: give it the server's keys and ask again."
)

_UNSIGNED = (
    "What was written without the key is by somebody who has the database alone, or by a command or worker of yours that was\n"
    "not given the keys: every process needs them (ROLLBOOK_KEY_FILE)."
)


def check_head(head: str | None) -> None:
    """Refuse what cannot be a head."""
    if head is not None and not _HEAD.fullmatch(head.strip()):
        raise SettingsError(f"--head {head[:80]!r}: that is no head; rollbook audit verify prints one")


def show_verdict(verdict: "Verdict", *, as_json: bool) -> None:
    """Say what came of a check."""
    from rollbook.storage.sql.journal_faults import NO_SUCH_KEY, UNSIGNED

    if as_json:
        about = {
            "holds": not verdict.faults,
            "lines": verdict.lines,
            "forgotten": verdict.removed,
            "waiting": verdict.waiting,
            "withoutKey": verdict.without_key,
            "signedFrom": verdict.signed_from,
            "head": verdict.head.text,
            "faults": [fault._asdict() for fault in verdict.faults],
            "moreFaults": verdict.more,
        }
        print(json.dumps(about))
        return
    for fault in verdict.faults:
        lines = f"line {fault.first}" if fault.first == fault.last else f"lines {fault.first} to {fault.last}"
        print(f"{lines}: {fault.what}")
    if verdict.more:
        print(f"and {verdict.more} more")
    if verdict.faults:
        only_keys = all(fault.what == NO_SUCH_KEY for fault in verdict.faults)
        print(_NO_KEY if only_keys else _ADVICE)
        if any(UNSIGNED in fault.what for fault in verdict.faults):
            print(_UNSIGNED)
        return
    forgotten = f" ({verdict.removed:,} of them forgotten by rule)" if verdict.removed else ""
    print(f"the audit log holds: {verdict.lines:,} lines{forgotten}")
    if verdict.signed_from is not None and verdict.signed_from > 1:
        print(
            f"lines from {verdict.signed_from:,} on were signed as they were written, those before were sealed some seconds later"
        )
    if verdict.without_key:
        print(
            f"{verdict.without_key:,} lines are sealed without a key: only a head that is kept elsewhere proves them"
        )
    if verdict.waiting:
        print(f"{verdict.waiting:,} lines wait for their seal, which the server makes")
    print(f"keep this elsewhere: rollbook audit verify --head {verdict.head.text}")


async def show(lines: AsyncIterator[Told], limit: int, *, as_json: bool) -> None:
    """Print lines, newest first: as JSON or in words, while they come."""
    if as_json:
        number = 0
        async for told in lines:
            print(json.dumps(told))
            number += 1
            if number == limit:
                return
        return
    await _text(lines, limit)


async def _text(lines: AsyncIterator[Told], limit: int) -> None:
    """A line each, also where a terminal is narrow."""
    from rollbook.cli.logs import visible

    number, last = 0, 0
    async for told in lines:
        if number == limit:
            print(f"more with --before {last}", file=sys.stderr)
            return
        number, last = number + 1, told["line"]
        print(visible(_sentence(told)))
    if not number:
        print("no such lines")


def _sentence(told: Told) -> str:
    times = f" {told['times']} times" if "times" in told else ""
    about = " ".join(filter(None, (told["act"], told.get("type"), told.get("id"))))
    origin = f" from {told['from']}" if "from" in told else ""
    tenant = f" (tenant {told['tenant']})" if "tenant" in told else ""
    when = told["when"][:19].replace("T", " ")
    return f"{told['line']:>6}  {when}  {told['outcome']}{times}: {about}, by {told['who']}{origin}{tenant}"


Put = Callable[[Told], None]


@contextmanager
def output(file: str, syslog: str | None) -> Iterator[Put]:
    """What takes lines: a log server, standard output, or a file that is added to."""
    if syslog is not None:
        if file != "-":
            raise SettingsError("name a file or --syslog, not both")
        from rollbook.cli.syslog import sender

        with sender(syslog) as send:
            yield send
    elif file == "-":
        yield lambda told: print(as_line(told))
        sys.stdout.flush()
    else:
        number = os.open(file, os.O_CREAT | os.O_APPEND | os.O_WRONLY, 0o600)
        with os.fdopen(number, "w", encoding="ascii") as out:
            yield lambda told: print(as_line(told), file=out)
