"""People who have a record: found in the hub or adopted, changed or created, moved between groups.

Two rounds. What cannot be done in the first because of somebody else (a manager without account yet, a name
that is not free yet) waits for the second; what cannot be done then is reported.
"""

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

from rollbook.protocol.errors import Conflict, RequestError, Uniqueness
from rollbook.protocol.values import JsonObject
from rollbook.provisioning.hub import Hub, Writer
from rollbook.provisioning.model import Leave
from rollbook.provisioning.people import Person, UserRules, Watched, differences
from rollbook.provisioning.report import Action, Observe, PersonChange, PullProblem, PullReport
from rollbook.provisioning.source_groups import SourceGroups, moves_of
from rollbook.provisioning.survey import Keys, Survey
from rollbook.storage.source_records import SourceRecord

_JOIN_BY = ("externalId", "userName")
"""What finds a hub user that nobody feeds yet, best first."""


@dataclass(frozen=True)
class _Wish:
    """What should become of one person, and what was known of them before."""

    person: Person
    document: JsonObject
    digest: str
    known: SourceRecord | None

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
    id: str
    action: Action | None
    before: JsonObject = field(default_factory=dict)
    after: JsonObject = field(default_factory=dict)


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
    _claimed: set[str] = field(init=False, default_factory=set)
    """Users taken over in the batch under way: two records must not take the same one."""
    _waiting: Keys = field(init=False, default_factory=Keys)
    _counted: Keys = field(init=False, default_factory=Keys)
    """Those who wait and are in the figures already."""
    _last: bool = field(init=False, default=False)

    def __post_init__(self) -> None:
        self._groups = SourceGroups(self.hub, self.rules.source.name, self.writer)

    def begin_last_round(self) -> bool:
        """From now on nobody is told to wait; whether anybody does."""
        self._waiting.seal()
        self._counted.seal()
        self._last = True
        return len(self._waiting) > 0

    def is_waiting(self, key: str) -> bool:
        """Whether the person is to be looked at in the last round."""
        return key in self._waiting

    def finish(self) -> None:
        """Report the groups that could not be had."""
        for name, reason in self._groups.refused.items():
            self.report.report(PullProblem(None, None, f"group {name}: {reason}"))

    async def take(self, people: Sequence[Person]) -> None:
        """Do what a batch of records asks for."""
        wishes = [wish for wish in await self._wishes(people) if not self._is_met(wish)]
        outcomes = await asyncio.gather(*map(self._fulfil, wishes), return_exceptions=True)
        done: list[_Done] = []
        for outcome in outcomes:
            if isinstance(outcome, BaseException):
                raise outcome
            if outcome is not None:
                done.append(outcome)
        moves = moves_of((one.id, one.wish.groups_before, one.wish.person.groups) for one in done)
        failed = await self._groups.apply(moves)
        await self.writer.keep([_record(one, failed) for one in done])
        if not self.rehearsing:
            self._claimed.clear()
        for one in done:
            self._tell(one, failed)

    async def _wishes(self, people: Sequence[Person]) -> list[_Wish]:
        keys = {person.key for person in people} | {key for one in people for _, key in one.references}
        known = await self.hub.records.find(self.hub.tenant, self.rules.source.name, sorted(keys))
        wishes = []
        for person in people:
            document = person.resolved(self._references(person, known))
            wishes.append(_Wish(person, document, person.digest(document), known.get(person.key)))
        return wishes

    def _references(self, person: Person, known: Mapping[str, SourceRecord]) -> dict[str, str]:
        """Key → id of the people a record names, as far as they have accounts."""
        ids: dict[str, str] = {}
        for path, key in person.references:
            comes = key in self.survey.keys
            if key in known:
                ids[key] = known[key].id
            elif comes and self.rehearsing:
                ids[key] = f"(record {key})"
            elif comes and not self._last:
                self._wait(person.key)
            else:
                reason = "has a record that could not be used" if comes else "is no record of this source"
                self._problem(person, f"{path._replace(sub=None).text}: {key} {reason}; left empty")
        return ids

    def _wait(self, key: str) -> None:
        self._waiting.add(key)

    def _is_met(self, wish: _Wish) -> bool:
        if not wish.is_met:
            return False
        if self._last or wish.person.key not in self._told_to_wait:
            self.report.unchanged += 1
        return True
