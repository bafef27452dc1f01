"""When something is due: by cron in a named time zone, every so often, and never in quiet hours. Pure."""

import re
from dataclasses import dataclass
from datetime import UTC, datetime, time, timedelta
from zoneinfo import ZoneInfo

from cronsim import CronSim, CronSimError

_UNITS = {"s": 1_000, "m": 60_000, "h": 3_600_000, "d": 86_400_000}
_DURATION = re.compile(r"([0-9]{1,6})\s*([smhd])\Z")


class Unreadable(ValueError):
    """A schedule that cannot be read; says what would be."""


def milliseconds(text: str) -> int:
    """A length of time such as 30s, 15m, 6h or 1d.

    Raises:
        Unreadable: it is none.
    """
    found = _DURATION.match(text)
    if found is None or int(found[1]) == 0:
        raise Unreadable(f"{text[:40]!r} is no length of time; write 30s, 15m, 6h or 1d")
    return int(found[1]) * _UNITS[found[2]]


def zone_named(name: str) -> ZoneInfo:
    """The time zone of that name.

    Raises:
        Unreadable: there is none.
    """
    try:
        return ZoneInfo(name)
    except (KeyError, ValueError, OSError):
        raise Unreadable(
            f"there is no time zone {name[:40]!r}; write one such as Europe/Berlin or UTC"
        ) from None


@dataclass(frozen=True)
class Schedule:
    """Every so many milliseconds, or by a cron expression in a time zone."""

    every: int | None = None
    cron: str | None = None
    zone: str = "UTC"

    def check(self) -> None:
        """Refuse what will never be due.

        Raises:
            Unreadable: not a cron expression, or no such time zone.
        """
        zone = zone_named(self.zone)
        if self.cron is not None:
            try:
                next(CronSim(self.cron, datetime.now(zone)))
            except (CronSimError, StopIteration) as error:
                reason = str(error) or "it is never due"
                raise Unreadable(
                    f"{self.cron[:60]!r} is no cron expression ({reason}); write minute hour day month weekday,"
                    " such as 30 6 * * 1-5"
                ) from None

    def after(self, last: int | None, begun: int) -> int:
        """When it is due next, given when it was done last, or since when it might have been if never. Milliseconds since 1970."""
        if self.cron is None:
            return begun if last is None else last + (self.every or 0)
        # What was due while nobody was there is done once, not as often as it was missed.
        start = datetime.fromtimestamp((begun if last is None else last) / 1000, UTC)
        return round(next(CronSim(self.cron, start.astimezone(zone_named(self.zone)))).timestamp() * 1000)


@dataclass(frozen=True)
class Quiet:
    """Hours of the day in which nothing is sent; over midnight if they end before they begin."""

    begin: time
    end: time
    zone: str = "UTC"

    def until(self, now: int) -> int | None:
        """When the quiet ends, None if there is none now. Milliseconds since 1970."""
        zone = zone_named(self.zone)
        moment = datetime.fromtimestamp(now / 1000, zone)
        for day in (moment.date() - timedelta(days=1), moment.date()):
            begin = datetime.combine(day, self.begin, zone)
            over = self.end <= self.begin
            end = datetime.combine(day + timedelta(days=over), self.end, zone)
            if begin <= moment < end:
                return round(end.timestamp() * 1000)
        return None


def quiet_hours(begin: str, end: str, zone: str) -> Quiet:
    """Quiet hours as they are written, such as 22:00 to 06:00.

    Raises:
        Unreadable: not times of day, or no such time zone.
    """
    zone_named(zone)
    try:
        found = Quiet(time.fromisoformat(begin), time.fromisoformat(end), zone)
    except ValueError:
        raise Unreadable(
            f"{begin[:20]!r} to {end[:20]!r} are no times of day; write from: '22:00', to: '06:00'"
        ) from None
    if found.begin == found.end:
        raise Unreadable("quiet hours that end when they begin; pause the target instead")
    return found
