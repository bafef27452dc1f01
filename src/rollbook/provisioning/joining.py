"""Which hub user a new record is about: by rules in order, and never by guess.

One user who fits a sure rule, and whom no other record of the source feeds, is joined. Several, or one of whom the rule
is not sure, wait for somebody to decide.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

from rollbook.protocol import compare
from rollbook.protocol.values import JsonObject, JsonValue
from rollbook.provisioning import model
from rollbook.provisioning.functions import normalize, unaccent
from rollbook.provisioning.hub import Hub
from rollbook.provisioning.mapping import read, tidy
from rollbook.provisioning.people import Person, UserRules
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


def forms(text: str) -> frozenset[str]:
    """The spellings of a text that count as the same: without case, accents and what stands between words."""
    spelt = (normalize(text), unaccent(text))
    return frozenset(" ".join(re.findall(r"\w+", one.casefold())) for one in spelt)


@dataclass
class Joiner:
    """Joins the new records of one source during one pull."""

    rules: UserRules
    hub: Hub
    _claimed: dict[str, str] = field(default_factory=dict)
    """User → key of the record that took them in this pull."""

    async def decisions(self, keys: Sequence[str]) -> Mapping[str, Case]:
        """What there is about these records: cases that wait, and what people decided."""
        source = self.rules.source
        if not source.peers or self.hub.matches is None or not keys:
            return {}
        return await self.hub.matches.cases(self.hub.tenant, source.name, keys)

    async def find(self, person: Person, document: JsonObject, decided: Decision | None) -> Joined:
        """Whose record it is.

        Raises:
            MappingError: what is to be compared cannot be computed.
        """
        if decided is not None:
            return await self._by_decision(person, document, decided)
        for rule in self.rules.source.join:
            values = [tidy(test.rule.evaluate(person.inputs)) for test in rule.tests]
            if any(value is None for value in values):
                continue
            users = await self._users(rule, values)
            if users:
                return await self._judge(rule, users, person, document)
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
        self, rule: model.JoinRule, users: Sequence[str], person: Person, document: JsonObject
    ) -> Joined:
        """Cases: 1. too many to compare; 2. several; 3. another record's; 4. not sure; 5. the one."""
        if len(users) > MOST:
            reason = f"more than {MOST} hub users have the same"
        elif len(users) > 1:
            reason = f"{len(users)} hub users have the same"
        else:
            reason = await self._taken(users[0], person.key)
            if not reason and rule.sure:
                self._claimed[users[0]] = person.key
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
