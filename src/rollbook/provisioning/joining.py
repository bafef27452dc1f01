"""Which hub user a new record is about: by rules in order, and never by guess.

One user who fits a sure rule, and whom no other record of the source feeds, is joined. Several, or one of whom the rule
is not sure, wait for somebody to decide; so do several records that claim one user, or would make one twice (`rivals.py`).
A record that waits goes on doing so, whatever becomes of the users, until somebody decides, or until it is another itself
in what it is joined by.
"""

from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from typing import NamedTuple

from rollbook.protocol import compare
from rollbook.protocol.values import JsonObject, JsonValue
from rollbook.provisioning import model
from rollbook.provisioning.hub import Hub
from rollbook.provisioning.mapping import read
from rollbook.provisioning.model import MappingError
from rollbook.provisioning.people import Person, UserRules
from rollbook.provisioning.rivals import Compared, Rivals, basis_of, compared_of, forms
from rollbook.storage.documents import decode
from rollbook.storage.matches import Case, Decision, Verdict

MOST = 100
"""Users with the same value that are compared further; more of them tell nobody apart."""

SHOWN = 10
"""Candidates that are kept for people to choose from."""


_ALIKE = "several records of this source have the same"

DECISION = "decision"
"""What the reason of a join begins with that somebody has decided."""


class Joined(NamedTuple):
    """What was found for a record: a user and by what, nobody, or a case for people; `ignored` if it is to be left out."""

    user: str | None = None
    by: str = ""
    case: Case | None = None
    ignored: bool = False


@dataclass
class Joiner:
    """Joins the new records of one source during one pull."""

    rules: UserRules
    hub: Hub
    rivals: Rivals = field(default_factory=Rivals)
    _claimed: dict[str, str] = field(default_factory=dict)
    """User → key of the record that took them in this pull."""

    async def decisions(self, keys: Sequence[str]) -> Mapping[str, Case]:
        """What there is about these records: cases that wait, and what people decided."""
        source = self.rules.source
        if not source.is_joined or self.hub.matches is None or not keys:
            return {}
        return await self.hub.matches.cases(self.hub.tenant, source.name, keys)

    async def foresee(self, people: Sequence[Person]) -> list[Case]:
        """Count records in, before any is joined, with whom they claim; the cases there are whoever comes first.

        Nothing may be written of the source until all were looked at, and `rivals` is sealed.
        """
        source, keys = self.rules.source, [person.key for person in people]
        known = await self.hub.records.find(self.hub.tenant, source.name, keys)
        before = await self.decisions([key for key in keys if key not in known])
        cases: list[Case] = []
        for person in people:
            with suppress(MappingError):  # told when the record itself is looked at
                compared = list(compared_of(source, person))
                self.rivals.add(compared)
                if person.key not in known:
                    cases += await self._claim(person, compared, before.get(person.key))
        return cases

    async def _claim(
        self, person: Person, compared: Sequence[Compared], before: Case | None
    ) -> tuple[Case, ...]:
        """Count in whom a new record will be joined to, as things are; its case if it is one."""
        decision = before.decision if before else None
        if decision is not None:
            if decision.user is not None:
                self.rivals.claim(decision.user)
            return ()
        basis = basis_of(compared)
        waits = before is not None and before.basis == basis
        found = Joined(case=before) if waits else await self._by_rules(compared, person, person.document)
        alone = [found.user] if found.user else found.case.candidates if found.case else ()
        if len(alone) == 1:  # who waits for one user claims them as well
            self.rivals.claim(alone[0])
        return () if waits or found.case is None else (replace(found.case, basis=basis),)

    async def find(self, person: Person, document: JsonObject, before: Case | None) -> Joined:
        """Whose record it is, given what there is about it.

        Raises:
            MappingError: what is to be compared cannot be computed.
        """
        if before is not None and before.decision is not None:
            return await self._by_decision(person, document, before.decision)
        compared = list(compared_of(self.rules.source, person))
        found, basis = await self._by_rules(compared, person, document), basis_of(compared)
        if found.case is not None:
            return Joined(case=replace(found.case, basis=basis))
        if before is not None and before.basis == basis:
            return Joined(case=replace(before, document=document))
        if found.user is not None:
            self._claimed[found.user] = person.key
        return found

    async def _by_rules(self, compared: Sequence[Compared], person: Person, document: JsonObject) -> Joined:
        for one in compared:
            users = await self._users(one.rule, one.values)
            if users:
                return await self._judge(one, users, person, document)
        twin = next((one for one in compared if one in self.rivals), None)
        if twin is None or not self.rules.source.create:
            return Joined()
        return Joined(case=self._case(person, document, f"{twin.rule.text}: {_ALIKE}", ()))

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
        self, compared: Compared, users: Sequence[str], person: Person, document: JsonObject
    ) -> Joined:
        """Cases: 1. too many to compare; 2. several; 3. another record's; 4. several records; 5. not sure; 6. the one."""
        rule = compared.rule
        if len(users) > MOST:
            reason = f"more than {MOST} hub users have the same"
        elif len(users) > 1:
            reason = f"{len(users)} hub users have the same"
        else:
            reason = await self._taken(users[0], person.key) or self._contested(compared, users[0])
            if not reason and rule.sure:
                return Joined(users[0], rule.text)
            reason = reason or "one hub user has the same, and the rule only proposes"
        return Joined(case=self._case(person, document, f"{rule.text}: {reason}", users))

    def _contested(self, compared: Compared, user: str) -> str:
        """What other new records stand in the way, empty if none does."""
        if compared in self.rivals:
            return _ALIKE
        return "several records of this source claim that user" if self.rivals.are_after(user) else ""

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
