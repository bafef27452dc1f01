"""One person through the engine: explained, tried, their rules tested. Prints nothing."""

import asyncio
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from rollbook.client import Call
from rollbook.desk.desk import Desk
from rollbook.desk.errors import DeskError
from rollbook.desk.pulls import pull_record
from rollbook.desk.reports import SourceReport
from rollbook.protocol.errors import NotFound
from rollbook.protocol.schema import ResourceType
from rollbook.protocol.values import JsonObject
from rollbook.provisioning import model
from rollbook.provisioning.explain import (
    RuleResult,
    TargetView,
    explain_at,
    masked_record,
    record_rules,
    resource_rules,
)
from rollbook.provisioning.finding import Ambiguous, find_resource
from rollbook.provisioning.items import Item
from rollbook.provisioning.orders import Report
from rollbook.provisioning.several import Given, given
from rollbook.provisioning.sources import source_of
from rollbook.provisioning.sources.base import Row, SourceError
from rollbook.provisioning.targets.base import Target
from rollbook.provisioning.targets.scim import connect
from rollbook.provisioning.wanted import hub_document, kinds_of, label_of
from rollbook.provisioning.work import document_of
from rollbook.provisioning.worker import Worker
from rollbook.storage.sql.source_records import SqlSourceRecords


@dataclass(frozen=True)
class SourceView:
    """A person at a source: the key of their record, whether it is gone, and what rules make of it."""

    source: str
    key: str
    missing_since: int | None = None
    groups: tuple[str, ...] = ()
    line: int | None = None
    record: JsonObject | None = None
    rules: tuple[RuleResult, ...] = ()
    error: str | None = None
    joined: str = ""
    """What found the user for this record, if something did."""


@dataclass(frozen=True)
class Explanation:
    """Everything that decides about one person."""

    resource_type: str
    id: str
    label: str
    is_deleted: bool
    sources: tuple[SourceView, ...]
    targets: tuple[TargetView, ...]
    given: tuple[Given, ...] = ()
    """Which source gives each attribute, where several feed one person."""


@dataclass
class Trial:
    """What was done for one person, step by step."""

    source: SourceReport | None
    explanation: Explanation
    items: dict[str, list[Item]] = field(default_factory=dict)
    calls: dict[str, list[Call]] = field(default_factory=dict)
    reports: list[Report] = field(default_factory=list)

    @property
    def failed(self) -> bool:
        """Whether anything could not be done."""
        stuck = any(report.stopped for report in self.reports)
        return stuck or any(item.failure for items in self.items.values() for item in items)


async def subject(desk: Desk, who: str, type_name: str = "User") -> tuple[ResourceType, str]:
    """The resource that is meant.

    Raises:
        DeskError: there is no such type, or several are called so. NotFound: nobody is.
    """
    kind = desk.store.catalog.resource_type(type_name)
    if kind is None:
        known = ", ".join(kind.name for kind in desk.store.catalog.resource_types)
        raise DeskError(f"--type {type_name}: there are {known}")
    records = SqlSourceRecords(desk.store.database)
    try:
        return kind, await find_resource(desk.engine, kind, who, records, list(desk.config.sources))
    except Ambiguous as error:
        raise DeskError(str(error)) from None


async def explain(desk: Desk, who: str, targets: Iterable[str], type_name: str = "User") -> Explanation:
    """Why somebody is where they are, and why every attribute there is what it is."""
    kind, own = await subject(desk, who, type_name)
    engine = desk.engine
    history = await engine.links.deliveries_of(engine.tenant, own, 200)
    views = [await explain_at(engine, target, kind.name, own, history) for target in desk.targets(targets)]
    label = await _label(desk, kind, own) or next(
        (one.detail["label"] for one in history if "label" in one.detail), own
    )
    is_there = await engine.store.get(engine.tenant, kind, own, members=False, groups=False) is not None
    return Explanation(
        kind.name,
        own,
        label,
        not is_there,
        tuple(await _sources(desk, own)),
        tuple(view for view in views if view is not None),
        await _given(desk, own),
    )


async def rules_on(
    desk: Desk, who: str, names: Iterable[str], type_name: str = "User"
) -> tuple[list[SourceView], dict[str, tuple[JsonObject, tuple[RuleResult, ...]]]]:
    """What each rule of sources and targets makes of one person: the input of each, and the results."""
    kind, own = await subject(desk, who, type_name)
    engine = desk.engine
    found: dict[str, tuple[JsonObject, tuple[RuleResult, ...]]] = {}
    for target in desk.targets(names):
        mapped = kinds_of(target, engine.catalog).get(kind.name)
        document = None if mapped is None else await document_of(engine, mapped, own)
        if mapped is not None and document is not None:
            rules = resource_rules(mapped, document, engine.today, target.sensitive)
            found[target.name] = (document, rules)
    record = await engine.store.get(engine.tenant, kind, own, members=False, groups=False)
    present = None if record is None else hub_document(record, kind)
    return [await _with_rules(desk, view, present) for view in await _sources(desk, own)], found


async def try_one(desk: Desk, who: str, targets: Sequence[str], type_name: str = "User") -> Trial:
    """Read one person's record again and bring their accounts up to date, now.

    Raises:
        NotFound: neither the hub nor a source has such a person.
    """
    source = None
    try:
        kind, own = await subject(desk, who, type_name)
    except NotFound:
        source = await _pull_key(desk, who)
        if source is None:
            raise
        kind, own = await subject(desk, who, type_name)
    else:
        for view in await _sources(desk, own):
            source = await pull_record(desk, desk.config.sources[view.source], view.key)
    trial = Trial(source, await explain(desk, own, targets, kind.name))
    for target in desk.targets(targets):
        if kind.name in kinds_of(target, desk.engine.catalog):
            await _deliver(desk, target, own, trial)
    return trial


async def _deliver(desk: Desk, target: model.Target, id: str, trial: Trial) -> None:
    items, calls = trial.items.setdefault(target.name, []), trial.calls.setdefault(target.name, [])

    def watched(one: model.Target) -> Target:
        return connect(one, calls.append)

    worker = Worker(desk.engine, watched, patience=2.0, watch=items.append)
    trial.reports.append(await worker.one(target, id, batch=desk.batch))


async def _pull_key(desk: Desk, key: str) -> SourceReport | None:
    """Take over the record of that key, from the first source that has one."""
    for source in desk.sources():
        report = await pull_record(desk, source, key)
        if report.report is not None and report.report.rows:
            return report
    return None


async def _label(desk: Desk, kind: ResourceType, id: str) -> str | None:
    for target in desk.targets():
        mapped = kinds_of(target, desk.engine.catalog).get(kind.name)
        document = None if mapped is None else await document_of(desk.engine, mapped, id)
        if document is not None:
            return label_of(document)
    return None


async def _given(desk: Desk, id: str) -> tuple[Given, ...]:
    sources = desk.sources()
    feeds = await SqlSourceRecords(desk.store.database).feeds(
        desk.store.home, [source.name for source in sources], [id]
    )
    return tuple(given(sources, feeds.get(id, ())))


async def _sources(desk: Desk, id: str) -> list[SourceView]:
    records = SqlSourceRecords(desk.store.database)
    found = []
    for source in desk.sources():
        key = (await records.keys_of(desk.store.home, source.name, [id])).get(id)
        if key is None:
            continue
        record = (await records.find(desk.store.home, source.name, [key])).get(key)
        missing, groups = (record.missing_since, record.groups) if record else (None, ())
        joined = record.joined if record else ""
        found.append(SourceView(source.name, key, missing, groups, joined=joined))
    return found


async def _with_rules(desk: Desk, view: SourceView, present: JsonObject | None) -> SourceView:
    source = desk.config.sources[view.source]
    try:
        row = await asyncio.to_thread(_row, source, view.key)
    except SourceError as error:
        return SourceView(view.source, view.key, error=error.detail)
    if row is None:
        return SourceView(view.source, view.key, error="the source has no such record now")
    sensitive = desk.config.sensitive
    rules = record_rules(source, dict(row.record), desk.engine.today, sensitive, present)
    record = masked_record(source, dict(row.record), sensitive)
    return SourceView(view.source, view.key, view.missing_since, view.groups, row.line, record, rules)


def _row(source: model.Source, key: str) -> Row | None:
    """The record of that key, None if there is none."""
    reading = source_of(source).open()
    try:
        return next((row for row in reading.rows() if isinstance(row, Row) and row.key == key), None)
    finally:
        reading.close()
