"""Schedules, quiet hours and grace periods of the file."""

from datetime import UTC, datetime
from typing import Any

from rollbook.provisioning import model
from rollbook.provisioning.config.document import Document, Place
from rollbook.provisioning.schedule import Quiet, Schedule, Unreadable, milliseconds, quiet_hours


def _leave(text: Any) -> model.Leave:
    return model.Leave(text) if text in set(model.Leave) else model.Leave.DISABLE


class TimeReader:
    """Reads them, and reports what is never due."""

    def __init__(self, document: Document) -> None:
        self._document = document

    def schedule(self, place: Place, raw: Any) -> Schedule | None:
        """When something is done, None if it is not said."""
        if not isinstance(raw, dict):
            return None
        every, cron = raw.get("every"), raw.get("cron")
        if (every is None) == (cron is None):
            self._document.report("RB105", "a schedule is one of every and cron", self._document.value(place))
            return None
        try:
            found = Schedule(
                milliseconds(str(every)) if every is not None else None,
                str(cron) if cron is not None else None,
                str(raw.get("zone", "UTC")),
            )
            found.check()
        except Unreadable as error:
            key = "zone" if "time zone" in str(error) else "cron" if cron is not None else "every"
            self._document.report("RB105", str(error), self._document.value((*place, key)))
            return None
        return found

    def moment(self, place: Place, raw: Any) -> int | None:
        """A day or a moment in milliseconds since 1970, in UTC unless it says otherwise; None if it is not said."""
        if not isinstance(raw, str):
            return None
        try:
            found = datetime.fromisoformat(raw)
            return int((found if found.tzinfo else found.replace(tzinfo=UTC)).timestamp() * 1000)
        except (ValueError, OverflowError):
            text = f"{raw[:40]!r} is no date; write 2027-03-01, or 2027-03-01T12:00:00Z"
            self._document.report("RB105", text, self._document.value(place))
            return None

    def changes(self, place: Place, raw: Any) -> model.Changes | None:
        """How changes of a source are read, None if everything is."""
        if not isinstance(raw, dict):
            return None
        full = self.schedule((*place, "full"), raw.get("full", {"every": "1d"}))
        overlap = 0
        try:
            overlap = milliseconds(str(raw.get("overlap", "5m")))
        except Unreadable as error:
            self._document.report("RB105", str(error), self._document.value((*place, "overlap")))
        column, query = (
            raw.get(name) if isinstance(raw.get(name), str) else None for name in ("column", "query")
        )
        return None if full is None else model.Changes(full, overlap, column, query)

    def leave(self, place: Place, raw: Any) -> model.LeavePolicy:
        """What happens to accounts of those who leave; the shape says what is wrong with names."""
        if not isinstance(raw, dict):
            return model.LeavePolicy.same(_leave(raw))
        grace = 0
        if isinstance(raw.get("grace"), str):
            try:
                grace = milliseconds(raw["grace"])
            except Unreadable as error:
                self._document.report("RB105", str(error), self._document.value((*place, "grace")))
        leaver, out, suspended = (
            _leave(raw.get(name, "disable")) for name in ("leaver", "out_of_scope", "suspended")
        )
        return model.LeavePolicy(leaver, out, suspended, grace)

    def quiet(self, place: Place, raw: Any) -> Quiet | None:
        """Hours in which nothing is sent, None for none."""
        if (
            not isinstance(raw, dict)
            or not isinstance(raw.get("from"), str)
            or not isinstance(raw.get("to"), str)
        ):
            return None
        try:
            return quiet_hours(raw["from"], raw["to"], str(raw.get("zone", "UTC")))
        except Unreadable as error:
            self._document.report("RB105", str(error), self._document.value(place))
            return None
