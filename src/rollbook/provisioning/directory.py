"""A source's people → the hub: joined by the source's key, compared, created, changed, missed.

A pull reads the source twice. The first time nothing is written: only a reading that is whole and has not
shrunk beyond the limit is acted on (T-71, FE-11). The second time people are taken in batches; one who cannot
be taken is reported and stops nobody else. Who waits for somebody (a manager further down, a name that is not
free yet) is looked at again, as long as that moves anybody.
"""

import asyncio
from collections.abc import AsyncIterator, Callable, Iterator
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from itertools import islice

from rollbook.provisioning import model
from rollbook.provisioning.arrivals import Arrivals
from rollbook.provisioning.departures import Departures
from rollbook.provisioning.hub import Hub, LiveWriter, Rehearsal, Writer
from rollbook.provisioning.increments import Increments
from rollbook.provisioning.mapping import day
from rollbook.provisioning.model import MappingError
from rollbook.provisioning.people import Person, UserRules
from rollbook.provisioning.report import Observe, PullProblem, PullReport, nobody_watches
from rollbook.provisioning.sources.base import Reading, Row, Source, SourceError
from rollbook.provisioning.survey import Survey, survey
from rollbook.storage.source_marks import SourceMarks
from rollbook.storage.source_records import SourceRecord

BATCH = 200
"""Records that are looked up and written together: one transaction's worth of writes."""


async def pull(
    source: model.Source,
    place: Source,
    hub: Hub,
    *,
    dry_run: bool = False,
    accept: frozenset[str] = frozenset(),
    observe: Observe = nobody_watches,
    marks: SourceMarks | None = None,
    whole: bool = True,
    reviewed: int | None = None,
) -> PullReport:
    """Bring the hub up to date with a source.

    Args:
        source: its rules.
        place: where to read it.
        hub: where its people go.
        dry_run: decide everything, write nothing; a name that becomes free on the way still counts as taken.
        accept: keys of records that may become another person's.
        observe: told of each person who changes, with old and new values.
        marks: where it is kept how far sources were read; without, everything is read each time.
        whole: read everything, also where the source could tell what has changed since the last time.
        reviewed: the content of the reading that somebody agreed to; nothing else is taken.

    Raises:
        SourceError: the source cannot be acted on; nothing was written, or the file changed on the way.
        StoreUnavailable: the hub cannot be written now; run it again.
    """
    today = _today(hub.now())
    increments = Increments(source, hub.tenant, marks, hub.now(), today)
    mark = await increments.begin(whole=whole)
    reading = await asyncio.to_thread(place.open, mark.mark if mark else None)
    try:
        found = await asyncio.to_thread(survey, reading, place.label, source.shrink_limit)
        if reviewed is not None and found.content != reviewed:
            raise SourceError(f"{place.label} has changed since the plan was made, so nothing was done")
        partial = found.partial or reading.extent.since is not None
        report = PullReport(source.name, rows=found.rows, partial=partial, content=found.content)
        if reading.extent.remark is not None:
            report.report(PullProblem(None, None, reading.extent.remark, warning=True))
        for bad in found.bad:
            report.report(PullProblem(bad.line, bad.key, bad.reason))
        rules = UserRules(source, hub.type_named("User"))
        writer: Writer = Rehearsal(hub) if dry_run else LiveWriter(hub, source.name, reading.extent.hold)
        departures = Departures(rules, hub, writer, report, observe, found)
        walk = _Walk(rules, reading, found, report, today)
        arrivals = Arrivals(rules, hub, writer, report, observe, found, accept, rehearsing=dry_run)
        await _apply(walk, arrivals, departures, place.label)
        if not dry_run:
            await increments.end(reading.extent, mark)
            await asyncio.to_thread(reading.settle, frozenset(report.unsettled))
        return report
    finally:
        await asyncio.to_thread(reading.close)


async def pull_one(source: model.Source, place: Source, hub: Hub, key: str) -> PullReport:
    """Bring the hub up to date with one record; no one is taken to have left. No rows if there is no such record.

    Raises:
        SourceError: the source cannot be acted on; nothing was written.
        StoreUnavailable: the hub cannot be written now.
    """
    reading = await asyncio.to_thread(place.open)
    try:
        found = await asyncio.to_thread(survey, reading, place.label, source.shrink_limit)
        report = PullReport(source.name, rows=int(key in found.keys))
        rules = UserRules(source, hub.type_named("User"))
        writer = LiveWriter(hub, source.name)
        walk = _Walk(rules, reading, found, report, _today(hub.now()))
        arrivals = Arrivals(rules, hub, writer, report, nobody_watches, found, frozenset(), rehearsing=False)
        await arrivals.foresee(walk.quietly().batches())
        async for people in walk.batches(lambda other: other == key):
            await arrivals.take(people)
        while arrivals.next_round():
            async for people in walk.batches(arrivals.is_waiting):
                await arrivals.take(people)
        return report
    finally:
        await asyncio.to_thread(reading.close)


async def release(source: model.Source, hub: Hub, record: SourceRecord) -> None:
    """Take a record away from the user it feeds, with all that it gave them; they have not left because of that.

    Raises:
        RequestError: the user cannot be without it. StoreUnavailable: the hub cannot be written now.
    """
    rules = UserRules(source, hub.type_named("User"))
    report = PullReport(source.name)
    writer = LiveWriter(hub, source.name)
    await Departures(rules, hub, writer, report, nobody_watches, Survey()).release(record)


async def _apply(walk: "_Walk", arrivals: Arrivals, departures: Departures, label: str) -> None:
    """Guard, people, missing people, those who waited."""
    missing = await departures.check(label)
    await arrivals.foresee(walk.quietly().batches())
    async for people in walk.batches():
        await arrivals.take(people)
    if missing:
        await departures.apply()
        arrivals.note_progress()
    while arrivals.next_round():
        async for people in walk.batches(arrivals.is_waiting):
            await arrivals.take(people)
    await departures.close_cases()


def _today(milliseconds: int) -> datetime:
    return day(datetime(1970, 1, 1, tzinfo=UTC) + timedelta(milliseconds=milliseconds))


@dataclass(frozen=True)
class _Walk:
    """The second look at a source: its records as people, in batches."""

    rules: UserRules
    reading: Reading
    survey: Survey
    report: PullReport
    today: datetime

    def quietly(self) -> "_Walk":
        """The same for a look beforehand: what cannot be read is told when it is its turn."""
        return replace(self, report=PullReport(self.rules.source.name))

    async def batches(self, wanted: Callable[[str], bool] | None = None) -> AsyncIterator[list[Person]]:
        """People in the order of the file; only those with wanted keys, if any are named.

        Reading and mapping take processor time and run in a thread.
        """
        people = self._people(wanted)
        while batch := await asyncio.to_thread(lambda: list(islice(people, BATCH))):
            yield batch

    def _people(self, wanted: Callable[[str], bool] | None) -> Iterator[Person]:
        for row in self.reading.rows():
            if isinstance(row, Row) and (wanted is None or wanted(row.key)):
                person = self._person(row)
                if person is not None:
                    yield person

    def _person(self, row: Row) -> Person | None:
        if self.survey.is_repeated(row.key):
            reason = f'"{row.key}" stands in more than one row; none of them is used'
        else:
            try:
                return self.rules.person(row, self.today)
            except MappingError as error:
                reason = str(error)
        self.report.report(PullProblem(row.line, row.key, reason))
        return None
