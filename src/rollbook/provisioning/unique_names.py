"""Names that nobody else has: candidates in order, then the last one with a number; chosen once, then kept.

A name is chosen for who has none: somebody new, or adopted without one. It is looked for in the hub; that it is
nobody's when it is written is the store's to say, and if it says no the next one is tried.
"""

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass, field

from rollbook.protocol import compare
from rollbook.protocol.errors import InvalidValue, Uniqueness
from rollbook.protocol.places import get, put
from rollbook.protocol.schema import ResourceType
from rollbook.protocol.values import JsonObject
from rollbook.provisioning.hub import Hub
from rollbook.provisioning.people import Candidates, Person
from rollbook.storage.documents import decode

MOST_TRIES = 1000
"""Numbers that are tried: a source with more people of one name has a rule that says too little."""

_TAKEN = 0
"""Who has a name that is somebody's in the hub."""


@dataclass
class UniqueNames:
    """The names chosen in one pull. Not to be asked for two people at the same time: who comes first has the first."""

    hub: Hub
    user_type: ResourceType
    rehearsing: bool
    _holders: dict[int, int] = field(default_factory=dict)
    """Name → whose it is, both as hashes, as far as the hub does not know it yet."""

    async def named(self, person: Person, document: JsonObject, user: str | None) -> JsonObject:
        """The document with names for what the hub's user has none of.

        Raises:
            InvalidValue: no candidate gives a name. Uniqueness: all are taken.
        """
        if not person.names:
            return document
        present = await self._present(user)
        for name in person.names:
            if get(present, name.path) in {None, ""}:
                document = put(document, name.path, await self._free(person.key, name))
        return document

    async def named_again(self, person: Person, document: JsonObject, user: str | None) -> JsonObject | None:
        """The document with other names for those that are somebody else's by now; None if none is.

        Raises:
            Uniqueness: all are taken.
        """
        other = document
        for name in person.names:
            value = get(document, name.path)
            if isinstance(value, str) and await self._is_taken(name, value, user):
                self._holders[_mark(name, value)] = _TAKEN
                other = put(other, name.path, await self._free(person.key, name))
        return None if other is document else other

    def written(self) -> None:
        """What was chosen is in the hub now, or was not taken."""
        if not self.rehearsing:
            self._holders.clear()

    async def _present(self, user: str | None) -> JsonObject:
        if user is None:
            return {}
        hub = self.hub
        record = await hub.store.get(hub.tenant, self.user_type, user, members=False, groups=False)
        return {} if record is None else decode(record.body, record.extra)

    async def _free(self, key: str, name: Candidates) -> str:
        own = _hash(key.encode("utf-8", "surrogateescape"))
        for text in _tries(name):
            mark = _mark(name, text)
            if mark not in self._holders:
                self._holders[mark] = _TAKEN if await self._is_taken(name, text, None) else own
            if self._holders[mark] == own:
                return text
        raise Uniqueness(
            f"{name.path.text}: {name.texts[-1]} and {MOST_TRIES - 1} with a number are all taken"
        )

    async def _is_taken(self, name: Candidates, text: str, user: str | None) -> bool:
        found = await self.hub.search(self.user_type, name.path.text, text)
        return any(record.id != user for record in found)


def _tries(name: Candidates) -> Iterator[str]:
    """The candidates, then the last one with 2, 3, … behind it, or before its @."""
    if not name.texts:
        raise InvalidValue(f"{name.path.text}: no candidate gives a name, which needs a letter or a digit")
    yield from name.texts
    head, at, domain = name.texts[-1].partition("@")
    for number in range(2, MOST_TRIES + 1):
        yield f"{head}{number}{at}{domain}"


def _mark(name: Candidates, text: str) -> int:
    return _hash(name.path.text.encode(), compare.key(name.path.leaf, text))


def _hash(*parts: bytes) -> int:
    return int.from_bytes(hashlib.blake2b(b"\0".join(parts), digest_size=8).digest()) | 1
