"""One person of several sources: whose value counts for each attribute, and whether anybody still has them. Pure.

What counts is a function of what every source said last, so the order in which they are read does not matter.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import NamedTuple

from rollbook.protocol.places import get, put
from rollbook.protocol.schema import AttributePath
from rollbook.protocol.values import JsonObject, JsonValue
from rollbook.provisioning import model
from rollbook.provisioning.people import UserRules, owned_places
from rollbook.storage.source_records import Feed, SourceRecord

_MILDEST = (model.Leave.KEEP, model.Leave.DISABLE, model.Leave.DELETE)


class Voice(NamedTuple):
    """What a source said last of a person; `gone` if it has no record of them any more."""

    source: str
    said: JsonObject | None
    gone: bool


class Composed(NamedTuple):
    """What a write makes of a user: values, the places it may touch, and the state of the account if that is forced."""

    document: JsonObject
    places: tuple[AttributePath, ...]
    active: bool | None = None


class Winner(NamedTuple):
    """Whose value counts; None for nobody's. `known` is False while a source with more say has yet to be read."""

    source: str | None
    value: JsonValue = None
    known: bool = True


def winner(shared: model.Shared, voices: Iterable[Voice]) -> Winner:
    """The first source in order that has a value; those that have lost the person come after those that have not."""
    ranks = {name: rank for rank, name in enumerate(shared.order)}
    heard = sorted(
        (voice for voice in voices if voice.source in ranks),
        key=lambda voice: (voice.gone, ranks[voice.source]),
    )
    for voice in heard:
        if voice.said is None or shared.path.text not in voice.said:
            if not voice.gone:
                return Winner(voice.source, None, known=False)
            continue
        value = voice.said[shared.path.text]
        if value is not None:
            return Winner(voice.source, value)
    return Winner(None)


@dataclass(frozen=True)
class Several:
    """A source among others that may feed the same people."""

    rules: UserRules

    @property
    def source(self) -> model.Source:
        """The source."""
        return self.rules.source

    @cached_property
    def peers(self) -> tuple[str, ...]:
        """The names of the others; none if the source has people of its own."""
        return tuple(sorted(self.source.peers))

    @cached_property
    def _apart(self) -> tuple[AttributePath, ...]:
        """The places that no other source fills."""
        shared = {one.path for one in self.source.shared}
        return tuple(
            path for path in self.rules.owned if path not in shared and path._replace(sub=None) not in shared
        )

    def said(self, document: JsonObject, known: SourceRecord | None) -> JsonObject | None:
        """What is to be remembered of a record's document; a name that was chosen once is said for ever."""
        if not self.source.is_joined:
            return None
        mine = [one.path for one in self.source.shared if self.source.name in one.order]
        said = {path.text: get(document, path) for path in mine}
        before = known.said if known is not None and known.said is not None else {}
        chosen = [one.path.text for one in self.source.names if said.get(one.path.text) is None]
        return said | {name: before[name] for name in chosen if name in before}

    def arriving(self, document: JsonObject, known: SourceRecord | None, feeds: Sequence[Feed]) -> Composed:
        """What becomes of a user whose record is there."""
        was_gone = known is not None and known.missing_since is not None
        own = Voice(self.source.name, self.said(document, known), gone=False)
        composed, places = self._values(document, self._apart, [own, *_voices(feeds)])
        left_before = self.departure(feeds, own=self.source.missing if was_gone else None)
        if not self.source.create:
            off = left_before in {model.Leave.DISABLE, model.Leave.DELETE}
            return Composed(composed, places, False if off else None)
        is_new = known is None or was_gone
        back = is_new and left_before in {model.Leave.DISABLE, model.Leave.DELETE}
        decided = any(map(_is_active, places))
        return Composed(composed, places, True if back and not decided else None)

    def leaving(
        self, record: SourceRecord, feeds: Sequence[Feed], *, forget: bool, left: bool = True
    ) -> Composed:
        """What becomes of a user whose record is gone, but who stays; to `forget` it is to take its values back.

        A person of whom a record was taken away has not `left`.
        """
        voices = _voices(feeds)
        if not forget:
            voices.append(Voice(self.source.name, record.said, gone=True))
        composed, places = self._values({}, self._apart if forget else (), voices)
        kept = tuple(path for path in places if not path.leaf.required or get(composed, path) is not None)
        own = self.source.missing if self.source.create and left else None
        off = self.departure(feeds, own=own) in {model.Leave.DISABLE, model.Leave.DELETE}
        return Composed(composed, kept, False if off else None)

    def departure(self, feeds: Iterable[Feed], own: model.Leave | None) -> model.Leave | None:
        """What happens to an account that no source with people of its own has any more: the mildest; None if one has.

        `own` is the policy of this source if it has lost the record.
        """
        policies = [own] if own is not None else []
        for source, record in feeds:
            peer = self.source.peers.get(source)
            if peer is None or not peer.create:
                continue
            if record.missing_since is None:
                return None
            policies.append(peer.missing)
        return min(policies, key=_MILDEST.index, default=None)

    def _values(
        self, document: JsonObject, apart: tuple[AttributePath, ...], voices: Sequence[Voice]
    ) -> tuple[JsonObject, tuple[AttributePath, ...]]:
        places = [*apart]
        heard = {voice.source for voice in voices}
        for one in self.source.shared:
            found = winner(one, voices)
            if not found.known or (self.source.name not in one.order and not heard.intersection(one.order)):
                continue
            if _is_active(one.path) and found.value is None:
                continue  # who is active stays as it is where nobody says so any more
            places.append(one.path)
            document = put(document, one.path, found.value)
        return document, tuple(places)


def _voices(feeds: Iterable[Feed]) -> list[Voice]:
    return [Voice(source, record.said, record.missing_since is not None) for source, record in feeds]


class Given(NamedTuple):
    """An attribute of a user, the source that gives it (None for nobody any more), and why that one."""

    attribute: str
    source: str | None
    why: str


def given(sources: Iterable[model.Source], feeds: Sequence[Feed]) -> Iterator[Given]:
    """Where each attribute comes from of a user whom these records feed; nothing if each source has its own people."""
    told: set[AttributePath] = set()
    present = {source for source, _ in feeds}
    for source in sources:
        shared = {one.path: one for one in source.shared if len(one.order) > 1}
        if not source.is_joined or source.name not in present:
            continue
        for place in owned_places(source):
            whole = place._replace(sub=None)
            one = shared.get(place) or shared.get(whole)
            path = one.path if one else place
            if path in told:
                continue
            told.add(path)
            if one is None:
                yield Given(path.text, source.name, f"only {source.name} fills it")
            else:
                yield _given(one, feeds)


def _given(shared: model.Shared, feeds: Sequence[Feed]) -> Given:
    name, order = shared.path.text, ", ".join(shared.order)
    found = winner(shared, _voices(feeds))
    if not found.known:
        return Given(
            name, None, f"authority: {order}; {found.source} has yet to be read again: rollbook pull"
        )
    if found.source is None:
        return Given(name, None, f"authority: {order}; none of them has a value")
    passed = shared.order[: shared.order.index(found.source)]
    because = f"; {', '.join(passed)} {'has' if len(passed) == 1 else 'have'} no value" if passed else ""
    return Given(name, found.source, f"authority: {order}{because}")


def heard(feeds: Iterable[Feed]) -> frozenset[tuple[str, str, bool]]:
    """What a decision was made on, to see whether another source has said something else meanwhile."""
    return frozenset((source, repr(record.said), record.missing_since is None) for source, record in feeds)


def _is_active(path: AttributePath) -> bool:
    return path.urn is None and path.attribute.name == "active"
