"""From a source's record to the hub's user, and what a change of the record changes there. Pure.

The source owns the attributes its rules fill and no others: what someone else put beside them stays.
"""

import hashlib
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from functools import cached_property

import orjson

from rollbook.protocol.errors import Conflict
from rollbook.protocol.places import get, put
from rollbook.protocol.projection import schemas_of
from rollbook.protocol.quirks import RFC, Leniency
from rollbook.protocol.resource import Change, Present
from rollbook.protocol.schema import AttributePath, ResourceType
from rollbook.protocol.validate import create, read_body, replace
from rollbook.protocol.values import JsonObject, JsonValue
from rollbook.provisioning import model
from rollbook.provisioning.differences import Difference, Managed, compare, is_open, managed_by
from rollbook.provisioning.mapping import apply_mapping, overlay, record_inputs
from rollbook.provisioning.sources.base import Row
from rollbook.storage.base import Decide


@dataclass(frozen=True)
class Candidates:
    """An attribute that nobody else has the same value of, and what its value may be, best first."""

    path: AttributePath
    texts: tuple[str, ...]


@dataclass(frozen=True)
class Person:
    """What one record asks for: a document, references by key, and groups by name."""

    key: str
    line: int
    document: JsonObject
    references: tuple[tuple[AttributePath, str], ...]
    groups: tuple[str, ...]
    names: tuple[Candidates, ...] = ()
    inputs: Mapping[str, JsonValue] = field(default_factory=dict, repr=False, compare=False)
    """What rules read of the record."""

    def resolved(self, ids: Mapping[str, str]) -> JsonObject:
        """The document with those references whose ids are known."""
        document = self.document
        for path, key in self.references:
            if key in ids:
                document = put(document, path, ids[key])
        return document

    def digest(self, document: JsonObject, *beside: JsonValue) -> str:
        """Changes with everything that is made of the record, and with what else decides."""
        content = orjson.dumps([document, self.groups, *beside], option=orjson.OPT_SORT_KEYS)
        return hashlib.blake2b(content, digest_size=16).hexdigest()


@dataclass(frozen=True)
class UserRules:
    """A source's rules, and the attributes they own in a user."""

    source: model.Source
    user_type: ResourceType

    @cached_property
    def managed(self) -> tuple[Managed, ...]:
        """The attributes the rules fill."""
        return managed_by(model.ObjectMapping((*_plain(self.source).assignments, *self.source.references)))

    @cached_property
    def owned(self) -> tuple[AttributePath, ...]:
        """The same as single places: whole lists, whole values, or the parts that have rules."""
        return owned_places(self.source)

    @cached_property
    def owns_active(self) -> bool:
        """Whether the rules decide who is active."""
        return any(path.urn is None and path.attribute.name == "active" for path in self.owned)

    @cached_property
    def identity(self) -> tuple[AttributePath, ...]:
        """Those of the owned places that tell people apart."""
        found = (self.user_type.find(name) for name in _IDENTITY)
        return tuple(
            path for path in found if path is not None and path in self.owned and path not in self._ways
        )

    def person(self, row: Row, today: datetime) -> Person:
        """What a record asks for.

        Raises:
            MappingError: a rule failed on it.
        """
        inputs = record_inputs(row.record, today)
        document = apply_mapping(self.source.users, inputs)
        references = [(one.path, _text(one.rule.evaluate(inputs))) for one in self.source.references]
        groups = [
            _text(rule.display_name.evaluate(record_inputs({**row.record, rule.column: value}, today)))
            for rule in self.source.groups
            for value in row.record[rule.column].splitlines()
            if value.strip()
        ]
        return Person(
            row.key,
            row.line,
            document,
            tuple((path, key) for path, key in references if key),
            tuple(dict.fromkeys(name for name in groups if name)),
            tuple(Candidates(one.path, tuple(one.rule.evaluate(inputs))) for one in self.source.names),
            inputs,
        )

    @cached_property
    def _ways(self) -> Mapping[AttributePath, model.Way]:
        """How the owned places are kept up, where that is not the usual way."""
        found: dict[AttributePath, model.Way] = {}
        for item in managed_by(_plain(self.source)):
            found |= {path: item.way_of(path.sub.name if path.sub else None) for path in _places(item)}
        found |= {one.path._replace(sub=None): one.way for one in self.source.references}
        return {path: way for path, way in found.items() if way != model.USUAL}

    def _writable(
        self, places: Iterable[AttributePath], present: JsonObject, wanted: JsonObject
    ) -> Iterator[AttributePath]:
        """Those places that a record may change in a user who exists; what several sources say is decided elsewhere."""
        shared = {one.path for one in self.source.shared}
        for path in places:
            if path in shared:
                yield path
                continue
            way = self._ways.get(path, model.USUAL)
            kept = way.clear is model.Clear.KEEP and get(wanted, path) is None
            if not kept and is_open(way, get(present, path)):
                yield path

    def new(self, document: JsonObject) -> Change:
        """The change that makes the user.

        Raises:
            RequestError: the document breaks a rule of the schema; says which.
        """
        leniency = Leniency(RFC)
        return create(read_body(self._body(document), self.user_type, leniency, at_create=True))

    def revision(
        self,
        document: JsonObject,
        *,
        places: tuple[AttributePath, ...] | None = None,
        active: bool | None = None,
        hold: bool = False,
    ) -> Decide:
        """The change of a user that exists, at the places that are owned or named; `active` switches it on or off.

        `hold` refuses, with Conflict, a record that has become somebody else's.
        """

        def decide(present: Present) -> Change:
            if hold:
                _refuse_other_person(self.identity, present.document, document)
            writable = self._writable(self.owned if places is None else places, present.document, document)
            merged = overlay(present.document, writable, document)
            if active is not None:
                merged = {**merged, "active": active}
            leniency = Leniency(RFC)
            body = read_body(self._body(merged), self.user_type, leniency, at_create=False)
            return replace(body, self.user_type, leniency)(present)

        return decide

    def _body(self, document: JsonObject) -> JsonObject:
        return {"schemas": schemas_of(document, self.user_type), **document}


def owned_places(source: model.Source) -> tuple[AttributePath, ...]:
    """What a source fills, as single places: whole lists, whole values, or the parts that have rules."""
    rules = managed_by(_plain(source))
    references = (one.path._replace(sub=None) for one in source.references)
    return (*(path for item in rules for path in _places(item)), *references)


def _plain(source: model.Source) -> model.ObjectMapping:
    """The rules but for references."""
    return model.ObjectMapping((*source.users.assignments, *source.names))


class Watched:
    """A decision that remembers what it last saw and made."""

    def __init__(self, decide: Decide) -> None:
        self._decide = decide
        self.before: JsonObject = {}
        self.after: JsonObject = {}

    def __call__(self, present: Present) -> Change:
        """The decision's change."""
        change = self._decide(present)
        self.before, self.after = present.document, change.document or present.document
        return change


def disabled(present: Present) -> Change:
    """The change that switches an account off."""
    off = {**present.document, "active": False}
    return Change() if off == present.document else Change(off)


def differences(rules: UserRules, before: JsonObject, after: JsonObject) -> tuple[Difference, ...]:
    """What a change does, attribute by attribute, the state of the account included."""
    active = rules.user_type.find("active")
    managed = rules.managed
    if active is not None and not rules.owns_active:
        managed = (*managed, Managed(active))
    return compare(managed, after, before)


_IDENTITY = ("userName", "displayName", "name.givenName", "name.familyName", "emails", "phoneNumbers")


def _refuse_other_person(paths: tuple[AttributePath, ...], present: JsonObject, wanted: JsonObject) -> None:
    """Hold a record in which everything that tells people apart has changed at once (T-70)."""
    pairs = [(get(present, path), get(wanted, path)) for path in paths]
    both = [(old, new) for old, new in pairs if old is not None and new is not None]
    if len(both) >= _ENOUGH and all(old != new for old, new in both):
        names = ", ".join(path.text for path in paths)
        raise Conflict(
            f"the record seems to have become another person's: {names} all differ. Give a new person a new key;"
            " if it is the same person, say so with --accept"
        )


_ENOUGH = 3
"""So many identifying attributes have to differ, and all there are: a marriage changes less."""


def _places(item: Managed) -> tuple[AttributePath, ...]:
    if item.parts is None or item.path.attribute.multi_valued:
        return (item.path,)
    subs = (item.path.attribute.sub(name) for name in sorted(item.parts))
    return tuple(item.path._replace(sub=sub) for sub in subs)


def _text(value: object) -> str:
    return "" if value is None else str(value).strip()
