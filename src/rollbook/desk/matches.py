"""Records of which nobody is sure whose they are: looked at, and decided. Prints nothing."""

from collections.abc import AsyncIterator, Iterable
from dataclasses import dataclass

from rollbook.desk.desk import Desk
from rollbook.desk.errors import DeskError
from rollbook.desk.people import subject
from rollbook.desk.pulls import pull_record
from rollbook.desk.reports import SourceReport
from rollbook.desk.telling import tell
from rollbook.protocol.values import JsonObject, JsonValue
from rollbook.provisioning import model
from rollbook.provisioning.differences import compare, value_at
from rollbook.provisioning.directory import release
from rollbook.provisioning.joining import DECISION
from rollbook.provisioning.masking import shown
from rollbook.provisioning.people import UserRules
from rollbook.provisioning.wanted import label_of
from rollbook.storage.base import Act
from rollbook.storage.documents import decode
from rollbook.storage.matches import Case, Decision, Verdict
from rollbook.storage.sql.source_records import SqlSourceRecords

_PAGE = 500


@dataclass(frozen=True)
class Candidate:
    """A hub user that a record may be about: what both say alike, and what they do not (attribute, hub, record)."""

    id: str
    label: str
    agree: tuple[str, ...]
    differ: tuple[tuple[str, JsonValue, JsonValue], ...]


@dataclass(frozen=True)
class Waiting:
    """A record that waits for a decision."""

    source: str
    key: str
    since: int
    reason: str
    label: str
    candidates: tuple[Candidate, ...]


@dataclass(frozen=True)
class Decided:
    """What was decided, and what came of it; `report` is None where nothing could be done at once."""

    told: str
    report: SourceReport | None = None


async def waiting(desk: Desk, sources: Iterable[str]) -> AsyncIterator[Waiting]:
    """Everything that waits, by source and key."""
    for source in desk.sources(sources):
        after = ""
        while page := await desk.matches.open_cases(desk.store.home, source.name, after, _PAGE):
            after = page[-1].key
            for case in page:
                yield await _waiting(desk, source, case)


async def _waiting(desk: Desk, source: model.Source, case: Case) -> Waiting:
    found = [await _candidate(desk, source, case, user) for user in case.candidates]
    label = label_of(case.document or {}) or case.key
    return Waiting(
        source.name, case.key, case.since, case.reason, label, tuple(one for one in found if one is not None)
    )


async def _candidate(desk: Desk, source: model.Source, case: Case, user: str) -> Candidate | None:
    hub = desk.hub
    rules = UserRules(source, hub.type_named("User"))
    record = await hub.store.get(hub.tenant, rules.user_type, user, members=False, groups=False)
    if record is None:
        return None
    document: JsonObject = decode(record.body, record.extra)
    wanted = case.document or {}
    sensitive = desk.config.sensitive
    found = compare(rules.managed, wanted, document)
    differ = tuple(
        (one.attribute, shown(one, one.old, sensitive), shown(one, one.new, sensitive)) for one in found
    )
    apart = {one.path._replace(sub=None) for one in found}
    agree = tuple(
        item.path.text
        for item in rules.managed
        if item.path not in apart and value_at(wanted, item.path) is not None
    )
    return Candidate(user, label_of(document) or user, agree, differ)


async def decide(desk: Desk, name: str, key: str, verdict: Verdict, who: str | None = None) -> Decided:
    """Decide whose record it is, and do it at once if the source can be read.

    Raises:
        DeskError: there is no such source or case. NotFound: there is no such user.
    """
    (source,) = desk.sources([name])
    case = (await desk.matches.cases(desk.store.home, name, [key])).get(key)
    if case is None:
        raise DeskError(f"record {key} of {name} waits for no decision; rollbook matches lists those that do")
    await _refuse_applied(desk, name, key)
    user = None if who is None else (await subject(desk, who))[1]
    decision = Decision(verdict, desk.sitter.author(f"matches {verdict.value}").name, desk.now(), user)
    await desk.matches.decide(desk.store.home, name, key, decision)
    words = {Verdict.JOIN: f"is {who}", Verdict.NEW: "is somebody new", Verdict.IGNORE: "is left out"}
    return await _decided(desk, source, key, f"record {key} of {name} {words[verdict]}")


async def _refuse_applied(desk: Desk, name: str, key: str) -> None:
    records = SqlSourceRecords(desk.store.database)
    if key in await records.find(desk.store.home, name, [key]):
        raise DeskError(
            f"record {key} of {name} feeds somebody already; rollbook matches forget {name} {key} comes first"
        )


async def forget(desk: Desk, name: str, key: str) -> Decided:
    """Take a decision back: a record that was joined by it is taken away from its user, and asked about again.

    Raises:
        DeskError: nobody has decided about it, or it has made a user. RequestError: the user needs the record.
    """
    (source,) = desk.sources([name])
    case = (await desk.matches.cases(desk.store.home, name, [key])).get(key)
    if case is None or case.decision is None:
        raise DeskError(f"nobody has decided about record {key} of {name}")
    records = SqlSourceRecords(desk.store.database)
    record = (await records.find(desk.store.home, name, [key])).get(key)
    if record is not None and case.decision.verdict is Verdict.NEW:
        raise DeskError(
            f"record {key} of {name} has made the user {record.id}; rollbook runs shows the run, rollbook undo takes"
            " it back"
        )
    if record is not None and record.joined.startswith(DECISION):
        await release(source, desk.hub, record)
    await desk.matches.decide(desk.store.home, name, key, None)
    return await _decided(desk, source, key, f"the decision about record {key} of {name} is taken back")


async def _decided(desk: Desk, source: model.Source, key: str, told: str) -> Decided:
    """Do at once what was decided, and tell the audit log."""
    report = await pull_record(desk, source, key)
    author, home = desk.sitter.author("matches"), desk.store.home
    await tell(desk.store, Act(author, home, "match.decide", "record", detail={"decision": told}))
    return Decided(told, report)
