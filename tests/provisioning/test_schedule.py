"""When things are due: cron in a zone, every so often, quiet hours."""

from datetime import UTC, datetime

import pytest

from rollbook.provisioning.schedule import Schedule, Unreadable, milliseconds, quiet_hours


def at(text: str) -> int:
    """Milliseconds of a moment in UTC."""
    return int(datetime.fromisoformat(text).replace(tzinfo=UTC).timestamp() * 1000)


@pytest.mark.parametrize(
    ("text", "expected"),
    [("30s", 30_000), ("15m", 900_000), ("6h", 21_600_000), ("1d", 86_400_000), ("2 h", 7_200_000)],
)
def test_lengths_of_time(text: str, expected: int) -> None:
    """A number and a unit."""
    assert milliseconds(text) == expected


@pytest.mark.parametrize("text", ["", "15", "m", "0s", "-1m", "1w", "1.5h", "9999999s", "15m "])
def test_other_texts_are_none(text: str) -> None:
    """Refused, with what would be one."""
    with pytest.raises(Unreadable, match="write 30s, 15m, 6h or 1d"):
        milliseconds(text)


@pytest.mark.parametrize(
    ("schedule", "last", "now", "expected"),
    [
        (Schedule(every=60_000), None, "2026-01-05T10:00", "2026-01-05T10:00"),  # never yet: at once
        (Schedule(every=60_000), "2026-01-05T09:59:30", "2026-01-05T10:00", "2026-01-05T10:00:30"),
        (Schedule(every=60_000), "2026-01-01T00:00", "2026-01-05T10:00", "2026-01-01T00:01"),  # missed: due
        (Schedule(cron="30 6 * * *"), None, "2026-01-05T10:00", "2026-01-06T06:30"),
        (Schedule(cron="30 6 * * *"), "2026-01-05T06:30", "2026-01-05T10:00", "2026-01-06T06:30"),
        (Schedule(cron="30 6 * * *"), "2026-01-03T06:30", "2026-01-05T10:00", "2026-01-04T06:30"),  # missed: due
        (Schedule(cron="30 6 * * *", zone="Europe/Berlin"), "2026-01-05T06:00", "2026-01-05T10:00", "2026-01-06T05:30"),
        (Schedule(cron="30 6 * * *", zone="Europe/Berlin"), "2026-07-05T06:00", "2026-07-05T10:00", "2026-07-06T04:30"),
        # the night the clocks go back has 02:30 twice, and is due once
        (Schedule(cron="30 2 * * *", zone="Europe/Berlin"), "2026-10-25T00:30", "2026-10-25T01:00", "2026-10-26T01:30"),
        (Schedule(cron="0 9 * * 1-5"), "2026-01-09T09:00", "2026-01-09T10:00", "2026-01-12T09:00"),
    ],
)  # fmt: skip
def test_due(schedule: Schedule, last: str | None, now: str, expected: str) -> None:
    """What was missed is due at once, and once."""
    assert schedule.after(None if last is None else at(last), at(now)) == at(expected)


@pytest.mark.parametrize(
    ("schedule", "words"),
    [
        (Schedule(cron="61 * * * *"), "no cron expression"),
        (Schedule(cron="0 0 31 2 *"), "no cron expression"),
        (Schedule(cron="nonsense"), "write minute hour day month weekday"),
        (Schedule(cron="0 0 * * *", zone="Europe/Atlantis"), "no time zone 'Europe/Atlantis'"),
        (Schedule(cron="0 0 * * *", zone="../etc/passwd"), "no time zone"),
    ],
)
def test_never_due(schedule: Schedule, words: str) -> None:
    """A schedule that will never be due is refused when it is read."""
    with pytest.raises(Unreadable, match=words):
        schedule.check()


@pytest.mark.parametrize(
    ("begin", "end", "zone", "now", "until"),
    [
        ("22:00", "06:00", "UTC", "2026-01-05T23:00", "2026-01-06T06:00"),
        ("22:00", "06:00", "UTC", "2026-01-06T05:59", "2026-01-06T06:00"),
        ("22:00", "06:00", "UTC", "2026-01-06T06:00", None),
        ("22:00", "06:00", "UTC", "2026-01-06T12:00", None),
        ("09:00", "17:00", "UTC", "2026-01-06T12:00", "2026-01-06T17:00"),
        ("09:00", "17:00", "UTC", "2026-01-06T18:00", None),
        ("22:00", "06:00", "America/New_York", "2026-01-06T04:00", "2026-01-06T11:00"),
    ],
)
def test_quiet_hours(begin: str, end: str, zone: str, now: str, until: str | None) -> None:
    """Also over midnight, and in another zone."""
    assert quiet_hours(begin, end, zone).until(at(now)) == (None if until is None else at(until))


@pytest.mark.parametrize(("begin", "end", "zone"), [("25:00", "06:00", "UTC"), ("x", "y", "UTC"), ("06:00", "06:00", "UTC"), ("22:00", "06:00", "Mars")])  # fmt: skip
def test_hours_that_are_none(begin: str, end: str, zone: str) -> None:
    """Refused."""
    with pytest.raises(Unreadable):
        quiet_hours(begin, end, zone)
