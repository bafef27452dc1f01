"""New records of one reading that are after the same user, or would make one twice: none comes first. Pure.

As hashes, so that a million fit.
"""

import hashlib
import re
from collections.abc import Iterator, Sequence
from itertools import product
from typing import NamedTuple

from rollbook.protocol import compare
from rollbook.protocol.values import JsonValue
from rollbook.provisioning import model
from rollbook.provisioning.functions import normalize, unaccent
from rollbook.provisioning.mapping import tidy
from rollbook.provisioning.people import Person
from rollbook.provisioning.survey import Keys, hashed


class Compared(NamedTuple):
    """A rule by its place, and what a record has of what it compares."""

    place: int
    rule: model.JoinRule
    values: list[JsonValue]


def compared_of(source: model.Source, person: Person) -> Iterator[Compared]:
    """The rules that a record has a value for all tests of, in order.

    Raises:
        MappingError: a value cannot be computed.
    """
    for place, rule in enumerate(source.join):
        values = [tidy(test.rule.evaluate(person.inputs)) for test in rule.tests]
        if all(value is not None for value in values):
            yield Compared(place, rule, values)


def basis_of(compared: Sequence[Compared]) -> str:
    """Stands for what a record is joined by: another whenever it, or a rule, is another."""
    said = [(one.rule.text, one.rule.sure, one.values) for one in compared]
    return hashlib.sha256(repr(said).encode()).hexdigest()[:32]


def forms(text: str) -> frozenset[str]:
    """The spellings of a text that count as the same: without case, accents and what stands between words."""
    spelt = (normalize(text), unaccent(text))
    return frozenset(" ".join(re.findall(r"\w+", one.casefold())) for one in spelt)


def _spellings(compared: Compared) -> frozenset[str]:
    """What two records have in common of a rule if it holds them to be the same."""
    every = [
        forms(str(value)) if test.normalize else [repr(compare.key(test.path.leaf, value))]
        for test, value in zip(compared.rule.tests, compared.values, strict=True)
    ]
    return frozenset(repr((compared.place, *one)) for one in product(*every))


class Rivals:
    """What several records have in common of what they are joined by, and users whom several new ones claim."""

    def __init__(self) -> None:
        self._keys = Keys()
        self._repeated: frozenset[int] = frozenset()

    def add(self, compared: Sequence[Compared]) -> None:
        """Count in what a record is joined by."""
        for spelling in {text for one in compared for text in _spellings(one)}:
            self._keys.add(spelling)

    def claim(self, user: str) -> None:
        """Count in whom a new record will be joined to."""
        self._keys.add(_claimed(user))

    def seal(self) -> None:
        """All were counted in."""
        self._repeated = self._keys.seal()
        self._keys = Keys()

    def are_after(self, user: str) -> bool:
        """Whether several records claim a user."""
        return bool(self._repeated) and hashed(_claimed(user)) in self._repeated

    def __contains__(self, compared: Compared) -> bool:
        return bool(self._repeated) and any(hashed(one) in self._repeated for one in _spellings(compared))


def _claimed(user: str) -> str:
    return repr(("user", user))
