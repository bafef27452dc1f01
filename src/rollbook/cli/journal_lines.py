"""Which lines of the audit log are wanted, and what each is told as."""

import json
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from rollbook.protocol.compare import parse_date_time, render_date_time
from rollbook.settings import SettingsError

if TYPE_CHECKING:
    from rollbook.storage.journal import Line
    from rollbook.storage.sql.journal import SqlJournal
    from rollbook.storage.sql.tenants import SqlTenants

Told = dict[str, Any]

_UNITS = {"d": 86_400_000, "h": 3_600_000, "m": 60_000}
_OUTCOMES = ("done", "refused", "begun", "failed")
_MOST_NAMES = 20_000


@dataclass
class Wanted:
    """What a line must be. Times are milliseconds since 1970; None asks for nothing."""

    tenants: "SqlTenants"
    since: int | None = None
    until: int | None = None
    who: str | None = None
    act: str | None = None
    outcome: str | None = None
    tenant: int | None = None
    _names: dict[int, str | None] = field(default_factory=dict)

    async def newest(self, journal: "SqlJournal", before: int) -> AsyncIterator[Told]:
        """Those below a number, newest first."""
        async for line in journal.newest(before):
            if self.since is not None and line.sealed < self.since:
                return  # what happened earlier was sealed earlier
            if self._fits(line):
                yield await self._told(line)

    async def between(self, journal: "SqlJournal", after: int, last: int) -> AsyncIterator[Told]:
        """Those above a number and up to another, oldest first."""
        if self.since is not None:
            first = await journal.first_since(self.since)
            if first is None:
                return
            after = max(after, first - 1)
        async for line in journal.lines(after):
            if line.number > last:
                return
            if self._fits(line):
                yield await self._told(line)

    def _fits(self, line: "Line") -> bool:
        return (
            (self.since is None or line.at >= self.since)
            and (self.until is None or line.at <= self.until)
            and (self.tenant is None or line.tenant == self.tenant)
            and (self.outcome is None or line.outcome == self.outcome)
            and (self.act is None or line.act == self.act or line.act.startswith(f"{self.act}."))
            and (self.who is None or self.who == line.credential or self.who.lower() in line.author.lower())
        )

    async def _told(self, line: "Line") -> Told:
        """A line as JSON has it."""
        told: Told = {
            "line": line.number,
            "when": render_date_time(line.at),
            "sealed": render_date_time(line.sealed),
            "tenant": await self._name(line.tenant),
            "who": line.author,
            "credential": line.credential,
            "from": line.origin,
            "act": line.act,
            "type": line.type or None,
            "id": line.subject or None,
            "outcome": line.outcome,
            "times": line.times,
            "run": line.run,
            "version": line.version,
            "detail": line.detail,
        }
        return {
            name: value
            for name, value in told.items()
            if value not in (None, {}) and (name, value) != ("times", 1)
        }

    async def _name(self, number: int) -> str | None:
        """What a tenant is called; one that is gone by its number."""
        if number == 0:
            return None
        if number not in self._names:
            if len(self._names) >= _MOST_NAMES:
                self._names.clear()
            record = await self.tenants.by_number(number)
            self._names[number] = record.name if record else f"deleted, number {number}"
        return self._names[number]


def moment(option: str, text: str | None) -> int | None:
    """Milliseconds since 1970 for `24h` ago, a date or a time."""
    from rollbook.app import now

    if text is None:
        return None
    number, unit = text[:-1], text[-1:]
    if number.isascii() and number.isdigit() and unit in _UNITS and int(number[:9]) < 1_000_000:
        return now() - int(number) * _UNITS[unit]
    try:
        return parse_date_time(text if "T" in text else f"{text}T00:00:00Z")
    except ValueError:
        raise SettingsError(f"{option} {text!r}: write 24h, 7d, 2027-06-30 or 2027-06-30T12:00:00Z") from None


def outcome_of(text: str | None) -> str | None:
    """The outcome, if it is one."""
    if text is not None and text not in _OUTCOMES:
        raise SettingsError(f"--outcome {text!r}: there are {', '.join(_OUTCOMES)}")
    return text


def masked(value: Any) -> Any:
    """A line without what has the look of a secret or of a mail address, as in logs (T-94)."""
    from rollbook.cli.logs import mask

    match value:
        case str():
            return mask(value)
        case dict():
            return {name: masked(each) for name, each in value.items()}
        case list():
            return [masked(each) for each in value]
        case _:
            return value


def as_line(told: Told) -> str:
    """One line of ASCII, whatever is in it: control characters are escaped (T-89)."""
    return json.dumps(masked(told)).replace("\x7f", "\\u007f")
