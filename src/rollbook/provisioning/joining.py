"""Which hub user a new record is about: by rules in order, and never by guess.

One user who fits a sure rule, and whom no other record of the source feeds, is joined. Several, or one of whom the rule
is not sure, wait for somebody to decide; so do several records that have the same. A record that waits goes on doing so,
whatever becomes of the users, until somebody decides, or until it is another itself in what it is joined by.
"""

import hashlib
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import NamedTuple

from rollbook.protocol import compare
from rollbook.protocol.values import JsonObject, JsonValue
from rollbook.provisioning import model
from rollbook.provisioning.functions import normalize, unaccent
from rollbook.provisioning.hub import Hub
from rollbook.provisioning.mapping import read, tidy
from rollbook.provisioning.people import Person, UserRules
from rollbook.provisioning.survey import Keys, hashed
from rollbook.storage.documents import decode
from rollbook.storage.matches import Case, Decision, Verdict

MOST = 100
"""Users with the same value that are compared further; more of them tell nobody apart."""

SHOWN = 10
"""Candidates that are kept for people to choose from."""


DECISION = "decision"
"""What the reason of a join begins with that somebody has decided."""


class Joined(NamedTuple):
    """What was found for a record: a user and by what, nobody, or a case for people; `ignored` if it is to be left out."""

    user: str | None = None
    by: str = ""
    case: Case | None = None
    ignored: bool = False


class _Compared(NamedTuple):
    """A rule by its place, and what a record has of what it compares."""

    place: int
    rule: model.JoinRule
    values: list[JsonValue]


def compared_of(source: model.Source, person: Person) -> Iterator[_Compared]:
    """The rules that a record has a value for all tests of, in order.

    Raises:
        MappingError: a value cannot be computed.
    """
    for place, rule in enumerate(source.join):
        values = [tidy(test.rule.evaluate(person.inputs)) for test in rule.tests]
        if all(value is not None for value in values):
            yield _Compared(place, rule, values)


def _basis(compared: Sequence[_Compared]) -> str:
    """Stands for what a record is joined by: another whenever it, or a rule, is another."""
    said = [(one.rule.text, one.rule.sure, one.values) for one in compared]
    return hashlib.sha256(repr(said).encode()).hexdigest()[:32]


class Twins:
    """What several records of one reading have in common of what they are joined by; as hashes, so that a million fit."""

    def __init__(self) -> None:
        self._keys = Keys()
        self._repeated: frozenset[int] = frozenset()

    def add(self, source: model.Source, person: Person) -> None:
        """Count a record in.

        Raises:
            MappingError: a value cannot be computed.
        """
        for one in compared_of(source, person):
            self._keys.add(_spelt(one.place, one.values))

    def seal(self) -> None:
        """All were added."""
        self._repeated = self._keys.seal()
        self._keys = Keys()

    def __contains__(self, asked: tuple[int, Sequence[JsonValue]]) -> bool:
        return bool(self._repeated) and hashed(_spelt(*asked)) in self._repeated


NO_TWINS = Twins()
"""For readings that were not looked through."""


def _spelt(place: int, values: Sequence[JsonValue]) -> str:
    """Values as the rules tell them apart at the most: without case."""
    return repr((place, [value.casefold() if isinstance(value, str) else value for value in values]))


def forms(text: str) -> frozenset[str]:
    """The spellings of a text that count as the same: without case, accents and what stands between words."""
    spelt = (normalize(text), unaccent(text))
    return frozenset(" ".join(re.findall(r"\w+", one.casefold())) for one in spelt)


@dataclass
class Joiner:
    """Joins the new records of one source during one pull."""

    rules: UserRules
    hub: Hub
    twins: Twins = NO_TWINS
    _claimed: dict[str, str] = field(default_factory=dict)
    """User → key of the record that took them in this pull."""

    async def decisions(self, keys: Sequence[str]) -> Mapping[str, Case]:
        """What there is about these records: cases that wait, and what people decided."""
        source = self.rules.source
        if not source.peers or self.hub.matches is None or not keys:
            return {}
        return await self.hub.matches.cases(self.hub.tenant, source.name, keys)

    async def find(self, person: Person, document: JsonObject, before: Case | None) -> Joined:
        """Whose record it is, given what there is about it.

        Raises:
            MappingError: what is to be compared cannot be computed.
        """
        if before is not None and before.decision is not None:
            return await self._by_decision(person, document, before.decision)
        compared = list(compared_of(self.rules.source, person))
        found, basis = await self._by_rules(compared, person, document), _basis(compared)
        waits = before is not None and before.basis == basis
        if found.case is not None:
            return Joined(case=replace(found.case, basis=basis))
        if before is not None and waits:
            return Joined(case=replace(before, document=document))
        if found.user is not None:
            self._claimed[found.user] = person.key
        return found

    async def _by_rules(
        self, compared: "Sequence[_Compared]", person: Person, document: JsonObject
    ) -> Joined:
        for place, rule, values in compared:
            users = await self._users(rule, values)
            if users:
                alike = (place, values) in self.twins
                return await self._judge(rule, users, person, document, alike=alike)
        return Joined()

    async def _by_decision(self, person: Person, document: JsonObject, decided: Decision) -> Joined:
        told = f"{DECISION} ({decided.author})"
        match decided.verdict:
            case Verdict.IGNORE:
                return Joined(ignored=True)
            case Verdict.NEW:
                return Joined(by=told)
            case Verdict.JOIN:
                user = decided.user or ""
                found = await self.hub.store.get(
                    self.hub.tenant, self.rules.user_type, user, members=False, groups=False
                )
                taken = (
                    "the user it was to be joined to is gone"
                    if found is None
                    else await self._taken(user, person.key)
                )
                if taken:
                    return Joined(case=self._case(person, document, taken, ()))
                self._claimed[user] = person.key
                return Joined(user, told)

    async def _judge(
        self,
        rule: model.JoinRule,
        users: Sequence[str],
        person: Person,
        document: JsonObject,
        *,
        alike: bool,
    ) -> Joined:
        """Cases: 1. too many to compare; 2. several; 3. another record's; 4. several records; 5. not sure; 6. the one."""
        if len(users) > MOST:
            reason = f"more than {MOST} hub users have the same"
        elif len(users) > 1:
            reason = f"{len(users)} hub users have the same"
        else:
            reason = await self._taken(users[0], person.key)
            reason = reason or ("several records of this source have the same" if alike else "")
            if not reason and rule.sure:
                return Joined(users[0], rule.text)
            reason = reason or "one hub user has the same, and the rule only proposes"
        return Joined(case=self._case(person, document, f"{rule.text}: {reason}", users))

    async def _taken(self, user: str, own: str) -> str:
        """Why a user is not to be had, empty if they are."""
        name = self.rules.source.name
        fed = await self.hub.records.keys_of(self.hub.tenant, name, [user])
        key = fed.get(user) or self._claimed.get(user)
        return f"that user is fed by record {key} of {name} already" if key and key != own else ""

    def _case(self, person: Person, document: JsonObject, reason: str, users: Sequence[str]) -> Case:
        return Case(person.key, self.hub.now(), reason, tuple(users[:SHOWN]), document)

    async def _users(self, rule: model.JoinRule, values: Sequence[JsonValue]) -> list[str]:
        """Those for whom all tests hold; more than `MOST` if the index finds too many to look at."""
        exact = next(index for index, test in enumerate(rule.tests) if not test.normalize)
        test, kind = rule.tests[exact], self.rules.user_type
        found = await self.hub.matching(kind, test.path, values[exact], MOST + 1)
        if len(found) > MOST:
            return [record.id for record in found]
        return [record.id for record in found if _holds(rule, values, decode(record.body, record.extra))]


def _holds(rule: model.JoinRule, values: Sequence[JsonValue], document: JsonObject) -> bool:
    return all(_equal(test, value, document) for test, value in zip(rule.tests, values, strict=True))


def _equal(test: model.JoinTest, value: JsonValue, document: JsonObject) -> bool:
    held = read(document, test.path)
    every = held if isinstance(held, list) else [] if held is None else [held]
    if test.normalize:
        wanted = forms(str(value))
        return any(wanted & forms(str(one)) for one in every)
    wanted_key = compare.key(test.path.leaf, value)
    return any(compare.key(test.path.leaf, one) == wanted_key for one in every)
