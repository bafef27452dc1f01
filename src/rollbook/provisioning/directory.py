"""A source's people → the hub: joined by the source's key, compared, created, changed, missed.

A pull reads the source twice. The first time nothing is written: only a reading that is whole and has not
shrunk beyond the limit is acted on (T-71, FE-11). The second time people are taken in batches; one who cannot
be taken is reported and stops nobody else. Who waited for somebody (a manager further down, a name that is
not free yet) is looked at once more at the end.
"""

import asyncio
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from itertools import islice

from rollbook.provisioning import model
from rollbook.provisioning.arrivals import Arrivals
from rollbook.provisioning.departures import Departures
from rollbook.provisioning.hub import Hub, LiveWriter, Rehearsal, Writer
from rollbook.provisioning.mapping import day
from rollbook.provisioning.model import MappingError
from rollbook.provisioning.people import Person, UserRules
from rollbook.provisioning.report import Observe, PullProblem, PullReport, nobody_watches
from rollbook.provisioning.sources.base import Reading, Row, Source
from rollbook.provisioning.survey import Survey, check_shrinkage, survey

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
) -> PullReport:
    """Bring the hub up to date with a source.

    Args:
        source: its rules.
        place: where to read it.
        hub: where its people go.
        dry_run: decide everything, write nothing.
        accept: keys of records that may become another person's.
        observe: told of each person who changes, with old and new values.

    Raises:
        SourceError: the source cannot be acted on; nothing was written, or the file changed on the way.
        StoreUnavailable: the hub cannot be written now; run it again.
    """
    reading = await asyncio.to_thread(place.open)
    try:
        found = await asyncio.to_thread(survey, reading, place.label, source.shrink_limit)
        writer: Writer = Rehearsal(hub) if dry_run else LiveWriter(hub, source.name)
        report = PullReport(source.name, rows=found.rows)
        rules = UserRules(source, hub.type_named("User"))
        departures = Departures(rules, hub, writer, report, observe, found)
        missing = await departures.check(place.label)
        arrivals = Arrivals(rules, hub, writer, report, observe, found, accept, rehearsing=dry_run)
        walk = _Walk(rules, reading, found, report, _today(hub.now()))
        await walk.batches(arrivals.take)
        if missing:
            await departures.apply()
        arrivals.begin_last_round()
        if arrivals.anyone_waits:
            await walk.batches(arrivals.take, only=arrivals.is_waiting)
        arrivals.finish()
    finally:
        reading.close()
    return report
