"""People who have a record: found in the hub or adopted, changed or created, moved between groups.

In rounds. What cannot be done because of somebody else (a manager without account yet, a name that is not
free yet) waits for the next one; when a round has moved nobody, what is left is reported.
"""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import TypeVar

from rollbook.protocol.compare import text_key
from rollbook.protocol.errors import Conflict, RequestError, Uniqueness
from rollbook.protocol.schema import AttributePath
from rollbook.protocol.values import JsonObject
from rollbook.provisioning.hub import Hub, Writer
from rollbook.provisioning.joining import Joined, Joiner
from rollbook.provisioning.model import Leave, MappingError
from rollbook.provisioning.people import Person, UserRules, Watched, differences
from rollbook.provisioning.report import MOST_PROBLEMS, Action, Observe, PersonChange, PullProblem, PullReport
from rollbook.provisioning.several import Several, heard
from rollbook.provisioning.source_groups import SourceGroups, moves_of
from rollbook.provisioning.survey import Keys, Survey
from rollbook.provisioning.unique_names import UniqueNames
from rollbook.storage.base import Decide
from rollbook.storage.matches import Case, Verdict
from rollbook.storage.source_records import Feed, SourceRecord

T = TypeVar("T")

_JOIN_BY = ("externalId", "userName")
"""What finds a hub user that nobody feeds yet, best first."""

MOST_ROUNDS = 10
"""More are of no use: each moves at least one link of a chain of names, and the next pull goes on."""


@dataclass(frozen=True)
class _Wish:
    """What should become of one person, and what was known of them before."""

    person: Person
    document: JsonObject
    digest: str
    known: SourceRecord | None
    user: str | None
    """The hub user it is about, None for a new one."""
    by: str = ""
    """What has joined them in this pull."""
    decided: bool = False
    """Whether somebody has decided whose record it is."""

    @property
    def is_met(self) -> bool:
        """Whether nothing has changed since the last time."""
        known = self.known
        return known is not None and known.digest == self.digest and known.missing_since is None

    @property
    def groups_before(self) -> tuple[str, ...]:
        """The groups the person was in because of the source."""
        return self.known.groups if self.known else ()


@dataclass(frozen=True)
class _Done:
    """What became of one person's wish."""

    wish: _Wish
    user: str
    action: Action | None
    before: JsonObject = field(default_factory=dict)
    after: JsonObject = field(default_factory=dict)
    feeds: Sequence[Feed] = ()
    """The records of other sources that were taken into account."""


@dataclass
class _Round:
    """One walk over those who have something to be done."""

    waiting: Keys = field(default_factory=Keys)
    batch: set[str] = field(default_factory=set)
    """Those of the batch under way who wait."""
    reasons: list[PullProblem] = field(default_factory=list)
    """Why, for those who will be reported if nothing moves any more."""
    idle: int = 0
    """Those who wait and are otherwise as they should be."""
    progress: bool = False

    def wait(self, problem: PullProblem) -> None:
        """Note that a person waits, and for what."""
        self.batch.add(problem.person or "")
        if len(self.reasons) < MOST_PROBLEMS:
            self.reasons.append(problem)


@dataclass
class Arrivals:
    """Those a source has."""

    rules: UserRules
    hub: Hub
    writer: Writer
    report: PullReport
    observe: Observe
    survey: Survey
    accept: frozenset[str]
    rehearsing: bool
    _groups: SourceGroups = field(init=False)
    _names: UniqueNames = field(init=False)
    _several: Several = field(init=False)
    _joiner: Joiner = field(init=False)
    _cases: list[Case] = field(init=False, default_factory=list)
    """Those of the batch under way that nobody is sure of."""
    _claimed: set[str] = field(init=False, default_factory=set)
    """Users taken over and not yet remembered: two records must not take the same one."""
    _counted: Keys = field(init=False, default_factory=Keys)
    """Those who wait and are in the figures already."""
    _before: Keys = field(init=False, default_factory=Keys)
    """Those who waited in the round before."""
    _round: _Round = field(init=False, default_factory=_Round)
    _rounds: int = field(init=False, default=1)

    def __post_init__(self) -> None:
        self._groups = SourceGroups(self.hub, self.rules.source.name, self.writer)
        self._names = UniqueNames(self.hub, self.rules.user_type, self.rehearsing)
        self._several = Several(self.rules)
        self._joiner = Joiner(self.rules, self.hub)

    def note_progress(self) -> None:
        """Something else has changed that people may have waited for."""
        self._round.progress = True

    def is_waiting(self, key: str) -> bool:
        """Whether the person is to be looked at in this round."""
        return key in self._before

    def next_round(self) -> bool:
        """Whether it is worth looking at those who wait once more; if not, they are reported."""
        ended = self._round
        ended.waiting.seal()
        if ended.progress and len(ended.waiting) and self._rounds < MOST_ROUNDS:
            self._counted.seal()
            self._before, self._round = ended.waiting, _Round()
            self._rounds += 1
            return True
        self.report.unchanged += ended.idle
        for problem in ended.reasons:
            self.report.report(problem)
        for name, reason in self._groups.refused.items():
            self.report.report(PullProblem(None, None, f"group {name}: {reason}"))
        return False

    async def foresee(self, people: AsyncIterator[Sequence[Person]]) -> None:
        """Look at all records before any is taken, so that their order decides nothing of whom they are joined to."""
        if not self.rules.source.join:
            return
        async for batch in people:
            await self.writer.park(await self._joiner.foresee(batch))
        self._joiner.rivals.seal()

    async def take(self, people: Sequence[Person]) -> None:
        """Do what a batch of records asks for."""
        self._round.batch.clear()
        self._cases.clear()
        joined: list[_Wish] = []
        wishes = await self._wishes(people)
        known = await self._joiner.decisions([one.person.key for one in wishes if one.known is None])
        for wish in wishes:
            if wish.is_met:
                self._count(None, wish)
                continue
            found = await self._attempt(wish.person, self._join(wish, known.get(wish.person.key)))
            joined += [] if found is None else [found]
        feeds = await self._feeds(wish.user for wish in joined)
        # Reading went one after the other, so that who comes first is joined first; writes share transactions.
        written = await asyncio.gather(
            *(
                self._attempt(wish.person, self._write(wish, feeds.get(wish.user or "", ())))
                for wish in joined
            ),
            return_exceptions=True,
        )
        await self._settle([_raised(outcome) for outcome in written if outcome is not None])
        parked = {case.key for case in self._cases}
        await self.writer.park(self._cases)
        await self.writer.close_cases([key for key in known if key not in parked])

    async def _feeds(self, users: Iterable[str | None]) -> Mapping[str, Sequence[Feed]]:
        """What other sources say of these users."""
        ids = sorted({user for user in users if user is not None})
        return await self.hub.records.feeds(self.hub.tenant, self._several.peers, ids) if ids else {}

    async def _settle(self, done: Sequence[_Done]) -> None:
        """Move people between groups, remember their records, tell."""
        moves = moves_of((one.user, one.wish.groups_before, one.wish.person.groups) for one in done)
        failed = await self._groups.apply(moves)
        await self.writer.keep([self._record(one, failed) for one in done])
        await self._listen(done)
        if not self.rehearsing:
            self._claimed.clear()
        self._names.written()
        for one in done:
            self._count(one.action, one.wish)
            if one.action is not None:
                self._show(one, one.action, failed)
        for key in self._round.batch:
            self._round.waiting.add(key)

    async def _listen(self, done: Sequence[_Done]) -> None:
        """Decide anew where another source said something else while this one was deciding.

        Each remembers what it says before it listens again, so whichever is later has heard the other.
        """
        if not self._several.peers or self.rehearsing:
            return
        feeds = await self._feeds(one.user for one in done)
        for one in done:
            now = feeds.get(one.user, ())
            if heard(now) != heard(one.feeds):
                decide = self._revision(one.wish, now, hold=False)
                await self._attempt(
                    one.wish.person, self.writer.update(self.rules.user_type, one.user, decide)
                )

    async def _wishes(self, people: Sequence[Person]) -> list[_Wish]:
        keys = {person.key for person in people} | {key for one in people for _, key in one.references}
        known = await self.hub.records.find(self.hub.tenant, self.rules.source.name, sorted(keys))
        wishes = []
        for read in people:
            person = _spelled_as_before(read, known.get(read.key))
            document = person.resolved(self._references(person, known))
            record = known.get(person.key)
            user = record.id if record else None
            beside = [[one.path.text, *one.order] for one in self.rules.source.shared]
            wishes.append(_Wish(person, document, person.digest(document, *beside), record, user))
        return wishes

    def _references(self, person: Person, known: Mapping[str, SourceRecord]) -> dict[str, str]:
        """Key → id of the people a record names, as far as they have accounts."""
        ids: dict[str, str] = {}
        for path, key in person.references:
            if key in known:
                ids[key] = known[key].id
            elif key not in self.survey.keys:
                reason = "is not known yet" if self.survey.partial else "is no record of this source"
                self.report.report(_left_empty(person, path, f"{key} {reason}"))
            elif self.rehearsing:
                ids[key] = f"(record {key})"
            else:
                self._round.wait(_left_empty(person, path, f"the record of {key} cannot be used"))
        return ids

    async def _attempt(self, person: Person, work: Awaitable[T]) -> T | None:
        """Do it; None if the person has to wait, or was reported."""
        try:
            return await work
        except Uniqueness as error:
            self._round.wait(PullProblem(person.line, person.key, error.detail))
        except RequestError as error:
            self.report.report(PullProblem(person.line, person.key, error.detail))
        return None

    async def _join(self, wish: _Wish, case: Case | None) -> _Wish | None:
        """The wish with the user it is about; None if nothing is to be done about the record."""
        found = wish if wish.known else await self._found(wish, case)
        if found is None:
            return None
        document = await self._names.named(found.person, found.document, found.user)
        return replace(found, document=document)

    async def _found(self, wish: _Wish, case: Case | None) -> _Wish | None:
        """The same of a record that is not known yet."""
        found, person = Joined(), wish.person
        decision = case.decision if case else None
        if self.rules.source.join or decision:
            try:
                found = await self._joiner.find(person, wish.document, case)
            except MappingError as error:
                self.report.report(PullProblem(person.line, person.key, f"join: {error.reason}"))
                self._cases += [case] if case is not None and decision is None else []
                return None
        else:
            user, by = await self._adopt(wish)
            found = Joined(user, by)
        if found.case is not None:
            self._park(person, found.case)
            return None
        is_new = decision is not None and decision.verdict is Verdict.NEW
        if found.ignored:
            self.report.ignored += 1
            return None
        if found.user is None and not self.rules.source.create and not is_new:
            self.report.unmatched += 1
            return None
        return replace(wish, user=found.user, by=found.by, decided=decision is not None)

    def _park(self, person: Person, case: Case) -> None:
        """Leave a record alone until somebody has decided."""
        self.report.uncertain += 1
        self._cases.append(case)
        reason = f"whose it is has to be decided: {case.reason}; see rollbook matches"
        self.report.report(PullProblem(person.line, person.key, reason, warning=True))

    def _revision(self, wish: _Wish, feeds: Sequence[Feed], *, hold: bool) -> Decide:
        """The change of a user who is there."""
        if not self.rules.source.is_joined:
            was_off = wish.known is not None and wish.known.missing_since is not None
            revive = was_off and self.rules.source.missing is Leave.DISABLE and not self.rules.owns_active
            return self.rules.revision(wish.document, active=True if revive else None, hold=hold)
        made = self._several.arriving(wish.document, wish.known, feeds)
        return self.rules.revision(made.document, places=made.places, active=made.active, hold=hold)

    async def _write(self, wish: _Wish, feeds: Sequence[Feed]) -> _Done | None:
        """Write it, with another name if the one that was chosen is somebody else's meanwhile."""
        while True:
            try:
                return await self._put(wish, feeds)
            except Uniqueness:
                document = await self._names.named_again(wish.person, wish.document, wish.user)
                if document is None:
                    raise
                wish = replace(wish, document=document)

    async def _put(self, wish: _Wish, feeds: Sequence[Feed]) -> _Done | None:
        key = wish.person.key
        if wish.user is not None:
            hold = key not in self.accept and not wish.decided
            decide = Watched(self._revision(wish, feeds, hold=hold))
            changed = await self.writer.update(self.rules.user_type, wish.user, decide)
            if changed is not None:
                moved = set(wish.groups_before) != set(wish.person.groups)
                action = Action.CHANGE if changed or moved else None
                return _Done(wish, wish.user, action, decide.before, decide.after, feeds)
            for source, record in feeds:
                await self.writer.drop_of(source, [record.key])  # whom they fed is gone: they are joined anew
            if not self.rules.source.create:
                await self.writer.drop([key])
                self.report.unmatched += 1
                return None
        user = self.hub.new_id()
        change = self.rules.new(wish.document)
        await self.writer.insert(self.rules.user_type, user, change)
        return _Done(wish, user, Action.CREATE, {}, change.document or {})

    async def _adopt(self, wish: _Wish) -> tuple[str | None, str]:
        """The hub user to join a new record to, if there is one that no other record feeds, and by what.

        Raises:
            Uniqueness: it is another record's; that one may move on in this run.
            Conflict: there are several.
        """
        for attribute in _JOIN_BY:
            value = wish.document.get(attribute)
            if not isinstance(value, str):
                continue
            found = await self.hub.search(self.rules.user_type, attribute, value)
            if len(found) > 1:
                raise Conflict(f'{attribute}: several hub users have "{value}"; which of them is it?')
            if found:
                await self._claim(found[0].id, f'{attribute}: "{value}" is in use')
                return found[0].id, attribute
        return None, ""

    async def _claim(self, user: str, taken: str) -> None:
        fed = await self.hub.records.keys_of(self.hub.tenant, self.rules.source.name, [user])
        if user in fed:
            raise Uniqueness(f"{taken} by the person of record {fed[user]}")
        if user in self._claimed:
            raise Uniqueness(f"{taken} by the person of another record in this file")
        self._claimed.add(user)

    def _record(self, one: _Done, failed: set[str]) -> SourceRecord:
        """What to remember; where a group failed, that the record has to be looked at again."""
        wish = one.wish
        before, after = wish.groups_before, wish.person.groups
        joined = wish.by or (wish.known.joined if wish.known else "")
        found = SourceRecord(
            wish.person.key,
            one.user,
            wish.digest,
            after,
            None,
            self._several.said(wish.document, wish.known),
            joined,
        )
        if not failed.intersection({*before, *after}):
            return found
        groups = [name for name in after if name in before or name not in failed]
        groups += [name for name in before if name not in after and name in failed]
        return replace(found, digest="", groups=tuple(groups))

    def _count(self, action: Action | None, wish: _Wish) -> None:
        """Count a person once: at once if something was done, else when nobody is waited for any more."""
        key = wish.person.key
        waits = key in self._round.batch
        self._round.progress |= action is not None
        if key in self._counted:
            return
        if waits and action is None:
            self._round.idle += 1
            return
        counter = _COUNTERS[action]
        setattr(self.report, counter, getattr(self.report, counter) + 1)
        if waits:
            self._counted.add(key)

    def _show(self, one: _Done, action: Action, failed: set[str]) -> None:
        before, after = set(one.wish.groups_before), set(one.wish.person.groups)
        change = PersonChange(
            one.wish.person.key,
            one.after.get("userName"),
            action,
            differences(self.rules, one.before, one.after),
            joins=tuple(sorted(after - before - failed)),
            leaves=tuple(sorted(before - after - failed)),
        )
        self.observe(change)


def _left_empty(person: Person, path: AttributePath, reason: str) -> PullProblem:
    return PullProblem(
        person.line, person.key, f"{path._replace(sub=None).text}: {reason}; left empty", warning=True
    )


_COUNTERS: Mapping[Action | None, str] = {
    Action.CREATE: "created",
    Action.CHANGE: "changed",
    None: "unchanged",
}


def _raised(outcome: _Done | BaseException) -> _Done:
    if isinstance(outcome, BaseException):
        raise outcome
    return outcome


def _spelled_as_before(person: Person, known: SourceRecord | None) -> Person:
    """The person in the same groups, under the names they were remembered by: Navy is navy, nobody leaves it."""
    before = {text_key(name, exact=False): name for name in (known.groups if known else ())}
    groups = {key: before.get(key, name) for name in person.groups for key in [text_key(name, exact=False)]}
    return replace(person, groups=tuple(groups.values()))
