"""Pulls of changes: nobody goes by silence, references lead to known people, marks count only as long as nothing is in doubt."""

from collections.abc import AsyncIterator, Iterable
from dataclasses import dataclass, field, replace
from pathlib import Path

import pytest
from tests.provisioning.people_hub import World, a_world

from rollbook.provisioning import model
from rollbook.provisioning.directory import pull
from rollbook.provisioning.model import Leave
from rollbook.provisioning.report import PullReport
from rollbook.provisioning.schedule import Schedule
from rollbook.provisioning.sources.base import SourceError
from rollbook.provisioning.sources.spool import Anew, Course, Item, Left, SpooledSource, There
from rollbook.storage.sql.source_marks import SqlSourceMarks

pytestmark = pytest.mark.anyio

DAY = 86_400_000


@dataclass
class Place:
    """A place that tells changes: what it will say is set by the tests, and what it was asked is kept."""

    everything: list[Item] = field(default_factory=list)
    changes: list[Item] = field(default_factory=list)
    complete: bool = False
    """Whether changes name all that are there."""
    mark: str | None = "m1"
    refuses: bool = False
    breaks: bool = False
    asked: list[str | None] = field(default_factory=list)

    @property
    def source(self) -> SpooledSource:
        """As a pull reads it."""
        return SpooledSource("the place", "id", ("email",), self._walk)

    def _walk(self, course: Course) -> Iterable[Item]:
        self.asked.append(course.since)
        if course.since is not None and self.refuses:
            raise Anew("the mark is too old")
        course.partial = course.since is not None and not self.complete
        course.mark = self.mark
        yield from self.everything if course.since is None else self.changes
        if self.breaks:
            raise SourceError("the place: broke off")


def person(key: str, manager: str = "", department: str = "", end: str = "") -> dict[str, str]:
    """A record."""
    return {
        "id": key, "first": key, "last": "X", "email": f"{key}@example.com",
        "department": department, "manager": manager, "end": end,
    }  # fmt: skip


@dataclass
class Company:
    """A hub, and a place that tells changes."""

    world: World
    place: Place
    source: model.Source

    async def pull(self, *, whole: bool = False, **changes: object) -> PullReport:
        """Pull what has changed."""
        marks = SqlSourceMarks(self.world.store.database)
        source = replace(self.source, **changes)  # type: ignore[arg-type]  # tests name real fields
        return await pull(source, self.place.source, self.world.hub, marks=marks, whole=whole)

    async def active(self) -> set[str]:
        """Who is."""
        users = await self.world.users()
        return {name.partition("@")[0] for name, user in users.items() if user.get("active") is not False}

    def later(self, milliseconds: int) -> None:
        """Move the clock."""
        moment = self.world.hub.now() + milliseconds
        self.world.hub = replace(self.world.hub, now=lambda: moment)


@pytest.fixture
async def company(tmp_path: Path) -> AsyncIterator[Company]:
    """Eight people, read once."""
    async with a_world(tmp_path) as world:
        rules = world.rules.replace('record.end == "" || date(record.end) > today', 'record.end == ""')
        world.rules = rules
        source = replace(
            world.source, changes=model.Changes(Schedule(every=DAY)), missing=Leave.DISABLE, digest="d"
        )
        made = Company(world, Place([person(f"p{n}") for n in range(8)]), source)
        await made.pull()
        yield made


EVERYBODY = {f"p{n}" for n in range(8)}


async def test_only_changes_are_read(company: Company) -> None:
    """From the mark on; who is not among them stays as they are, and the next mark takes its place."""
    company.place.changes, company.place.mark = [person("p1", department="Sales"), person("new")], "m2"
    report = await company.pull()
    assert (report.rows, report.changed, report.created, report.partial) == (2, 1, 1, True)
    assert await company.active() == {*EVERYBODY, "new"}
    assert await company.world.groups() == {"dept-Sales": {"p1@example.com"}}
    company.place.changes = []
    report = await company.pull()
    assert (report.rows, report.changes, list(report.problems)) == (0, 0, [])
    assert company.place.asked == [None, "m1", "m2"]
    assert await company.active() == {*EVERYBODY, "new"}


async def test_pain_point_who_is_said_to_be_gone_goes(company: Company) -> None:
    """By the source's policy, and nobody else; who was never known is no problem."""
    company.place.changes = [Left("p1"), Left("stranger"), person("p2", department="Sales")]
    report = await company.pull()
    assert (report.disabled, report.changed) == (1, 1)
    assert await company.active() == EVERYBODY - {"p1"}
    company.place.changes = [Left("p2")]
    report = await company.pull(missing=Leave.DELETE)
    assert report.deleted == 1
    assert "p2@example.com" not in await company.world.users()
    company.place.changes = [person("p1")]
    await company.pull()
    assert await company.active() == EVERYBODY - {"p2"}


async def test_a_list_of_all_that_are_there_is_complete(company: Company) -> None:
    """Who is neither changed nor named has left (RFC 4533's present phase); the others are not looked at."""
    company.place.complete = True
    company.place.changes = [person("p1", department="Sales"), *(There(f"p{n}") for n in range(2, 8))]
    report = await company.pull()
    assert (report.rows, report.changed, report.disabled) == (1, 1, 1)
    assert await company.active() == EVERYBODY - {"p0"}


async def test_too_many_departures_stop_the_pull(company: Company) -> None:
    """FE-11: the limit holds for those who are named, too; nothing is done, and the mark stays."""
    company.place.changes, company.place.mark = [*(Left(f"p{n}") for n in range(5)), person("new")], "m2"
    with pytest.raises(SourceError, match="5 of 8 known records are gone"):
        await company.pull()
    assert await company.active() == EVERYBODY
    company.place.changes = []
    await company.pull()
    assert company.place.asked == [None, "m1", "m1"]


async def test_a_manager_who_has_not_changed_is_known(company: Company) -> None:
    """A reference leads to people who are not among the changes; to one that nobody knows, it is left empty and said."""
    company.place.changes = [person("p1", manager="p0"), person("p2", manager="nobody")]
    report = await company.pull()
    users = await company.world.users()
    assert users["p1@example.com"]["manager"] == users["p0@example.com"]["id"]
    assert users["p2@example.com"]["manager"] is None
    assert [(one.person, one.warning) for one in report.problems] == [("p2", True)]
    assert "not known yet" in report.problems[0].reason


async def test_changes_that_cannot_be_used_stop_nobody_else(company: Company) -> None:
    """However many of them there are: what share of all they are is not known."""
    company.place.changes = [*(["broken"] * 6), person("p1", department="Sales"), Left("p2")]
    report = await company.pull()
    assert (report.changed, report.disabled, len(report.problems)) == (1, 1, 6)


async def test_after_a_crash_changes_are_read_again(company: Company) -> None:
    """A reading that breaks off changes no mark; the next one repeats it, and does nothing twice."""
    company.place.changes, company.place.mark, company.place.breaks = [person("new")], "m2", True
    with pytest.raises(SourceError, match="broke off"):
        await company.pull()
    assert "new" not in await company.active()
    company.place.breaks = False
    before = await company.world.last_change()
    assert (await company.pull()).created == 1
    mark = await SqlSourceMarks(company.world.store.database).mark(1, "hr")
    assert mark is not None
    await SqlSourceMarks(company.world.store.database).keep_mark(1, "hr", replace(mark, mark="m1"))
    after = await company.world.last_change()
    assert after > before
    assert (await company.pull()).changes == 0
    assert await company.world.last_change() == after
    assert company.place.asked == [None, "m1", "m1", "m1"]


@pytest.mark.parametrize("doubt", ["digest", "full", "refused", "lost", "asked", "off"])
async def test_in_doubt_everything_is_read(company: Company, doubt: str) -> None:
    """Other rules, a day gone by, a mark that the source refuses or that is not there, or somebody asks for it."""
    company.place.changes, company.place.mark = [], "m2"
    company.place.everything = [person(f"p{n}") for n in range(1, 8)]
    changed: dict[str, object] = {}
    match doubt:
        case "digest":
            changed["digest"] = "other"
        case "full":
            company.later(DAY)
        case "refused":
            company.place.refuses = True
        case "lost":
            await SqlSourceMarks(company.world.store.database).keep_mark(1, "hr", None)
        case "off":
            changed["changes"] = None
    report = await company.pull(whole=doubt == "asked", **changed)
    assert company.place.asked[-1] is None
    assert (report.rows, report.disabled, report.partial) == (7, 1, False)
    told = [one.reason for one in report.problems]
    assert told == (["the mark is too old; everything was read"] if doubt == "refused" else [])
    if doubt not in {"digest", "off"}:
        company.place.refuses = False
        await company.pull()
        assert company.place.asked[-1] == "m2"


async def test_a_day_counts_from_the_last_full_reading(company: Company) -> None:
    """However often changes are read in between."""
    for _ in range(3):
        company.later(DAY // 4)
        await company.pull()
    company.later(DAY // 4)
    await company.pull()
    await company.pull()
    assert company.place.asked == [None, "m1", "m1", "m1", None, "m1"]


async def test_rules_that_ask_for_the_day_are_asked_each_day(tmp_path: Path) -> None:
    """Somebody's last day passes without a change of the record: the first reading of a day has everybody."""
    async with a_world(tmp_path) as world:
        source = replace(world.source, changes=model.Changes(Schedule(every=7 * DAY)), digest="d")
        company = Company(world, Place([person("p0", end="2026-11-24"), person("p1")]), source)
        await company.pull()
        assert await company.active() == {"p0", "p1"}
        await company.pull()
        company.later(DAY)
        await company.pull()
        assert await company.active() == {"p1"}
        assert company.place.asked == [None, "m1", None]


async def test_a_rehearsal_moves_no_mark(company: Company) -> None:
    """A plan reads, and leaves everything as it is."""
    company.place.changes, company.place.mark = [person("new")], "m2"
    marks = SqlSourceMarks(company.world.store.database)
    before = await marks.mark(1, "hr")
    source = company.place.source
    report = await pull(company.source, source, company.world.hub, dry_run=True, marks=marks, whole=False)
    assert report.created == 1
    assert await marks.mark(1, "hr") == before
