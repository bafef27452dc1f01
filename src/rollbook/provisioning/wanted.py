"""What a target should hold for a hub resource: scope, mapping, references. Pure.

References stay hub ids until `resolved` turns those into accounts of the target that have one.
"""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from functools import cached_property

import orjson

from rollbook.protocol.catalog import Catalog
from rollbook.protocol.match import matches
from rollbook.protocol.resolved import ResolvedFilter
from rollbook.protocol.schema import AttributePath, ResourceType
from rollbook.protocol.values import JsonObject, JsonValue
from rollbook.provisioning.differences import Managed, managed_by, reference_paths, value_at
from rollbook.provisioning.expressions import Subject
from rollbook.provisioning.mapping import apply_mapping, named_by, overlay, resource_inputs, write
from rollbook.provisioning.model import Apply, ObjectMapping, Target
from rollbook.provisioning.names import Names
from rollbook.storage.base import Record
from rollbook.storage.documents import view

DELETED = "deleted"
OUT_OF_SCOPE = "out of scope"
INACTIVE = "inactive"

_JOINED_BY = {"User": ("externalId", "userName"), "Group": ("externalId", "displayName")}
"""The attributes that find an account that exists already, best first (client.md 5)."""


@dataclass(frozen=True)
class Kind:
    """One resource type as it goes to one target. Those of lower `rank` go first."""

    resource_type: ResourceType
    subject: Subject
    rank: int
    scope: ResolvedFilter | None
    mapping: ObjectMapping
    members: bool = False
    scope_text: str | None = None
    lookup: tuple[str, ...] | None = None
    """The attributes that find an account, where the target's profile says so."""
    updatable: tuple[str, ...] = ()
    """The only ones that can be changed, all if empty."""
    fixed: tuple[str, ...] = ()
    """Those that cannot be changed once there is an account."""
    single_valued: tuple[str, ...] = ()
    """Those of which the target keeps one value."""
    one_per_type: tuple[str, ...] = ()
    """Those of which it keeps one value of each type."""

    @cached_property
    def managed(self) -> tuple[Managed, ...]:
        """The attributes that the mapping fills."""
        return managed_by(self.mapping)

    @cached_property
    def initial(self) -> tuple[AttributePath, ...]:
        """The places that are written with the account only."""
        rules = self.mapping.assignments
        found = (one.path for one in rules if one.way.apply is Apply.CREATE)
        many = (path._replace(sub=None) if path.attribute.multi_valued else path for path in found)
        return tuple(dict.fromkeys(many))

    @cached_property
    def names(self) -> Names:
        """Short names of extensions, for expressions."""
        return Names(self.resource_type)

    @cached_property
    def named(self) -> frozenset[str] | None:
        """The attributes that its expressions look at, None if they may look at any."""
        return named_by(self.mapping)

    @cached_property
    def references(self) -> tuple[AttributePath, ...]:
        """The managed attributes that name other resources."""
        return reference_paths(self.managed)

    @cached_property
    def joins(self) -> tuple[AttributePath, ...]:
        """The attributes an existing account is found by; only mapped ones, since they go into a URL (I-12)."""
        mapped = {item.path for item in self.managed}
        usual = _JOINED_BY.get(self.resource_type.name, ("externalId",))
        paths = map(self.resource_type.find, usual if self.lookup is None else self.lookup)
        return tuple(path for path in paths if path is not None and path in mapped)


@dataclass(frozen=True)
class Wish:
    """What should be at the target.

    `document` is None if nothing about the resource may be sent; `left` says why its account has no right to
    be there, None if it has; `references` are the hub ids the document names; `label` is what people call it.
    """

    document: JsonObject | None
    left: str | None
    references: frozenset[str] = frozenset()
    label: str | None = None


def kinds_of(target: Target, catalog: Catalog) -> dict[str, Kind]:
    """The resource types that go to a target, by name: users before groups (C-6-10)."""
    found: dict[str, Kind] = {}
    user, group = catalog.resource_type("User"), catalog.resource_type("Group")
    profile = target.profile
    if user is not None:
        found[user.name] = Kind(
            user,
            Subject.USER,
            0,
            target.scope,
            target.users,
            scope_text=target.scope_text,
            lookup=profile.lookup.get(user.name),
            updatable=profile.updatable,
            fixed=profile.fixed.get(user.name, ()),
            single_valued=profile.single_valued,
            one_per_type=profile.one_per_type,
        )
    if group is not None and target.groups is not None:
        groups = target.groups
        found[group.name] = Kind(
            group,
            Subject.GROUP,
            1,
            groups.scope,
            groups.mapping,
            groups.members,
            groups.scope_text,
            profile.lookup.get(group.name),
            fixed=profile.fixed.get(group.name, ()),
        )
    return found


def hub_document(record: Record, resource_type: ResourceType) -> JsonObject:
    """The hub's resource as scopes and mappings see it: everything but its secret."""
    document = view(record, resource_type)
    if resource_type.secret is not None:
        document.pop(resource_type.secret, None)
    return document


def left_because(kind: Kind, document: JsonObject | None) -> str | None:
    """Why the account has no right to be there, None if it has, given the hub's resource, None if it is deleted."""
    if document is None:
        return DELETED
    if kind.scope is not None and not matches(kind.scope, document):
        return OUT_OF_SCOPE
    return INACTIVE if document.get("active") is False else None


def wish_for(kind: Kind, document: JsonObject | None, today: datetime) -> Wish:
    """What the target should hold, given the hub's resource, None if it is deleted.

    Raises:
        MappingError: a rule failed on this resource.
    """
    left = left_because(kind, document)
    if document is None:
        return Wish(None, left)
    label = label_of(document)
    if left == OUT_OF_SCOPE:
        return Wish(None, left, label=label)
    inputs = resource_inputs(kind.names, kind.subject, document, today, kind.named)
    mapped = apply_mapping(kind.mapping, inputs)
    mapped |= _kept(kind, mapped)
    named = (value_at(mapped, path) for path in kind.references)
    ids = (value.get("value") for value in named if isinstance(value, dict))
    return Wish(mapped, left, frozenset(other for other in ids if isinstance(other, str)), label)


def _kept(kind: Kind, mapped: JsonObject) -> JsonObject:
    """Of what the target keeps fewer values than we have, those that it keeps: the primary one comes first."""
    found: JsonObject = {}
    for names, type_of in ((kind.single_valued, _no_type), (kind.one_per_type, _type)):
        for name in names:
            if isinstance(mapped.get(name), list):
                best: dict[JsonValue, JsonValue] = {}
                for value in sorted(mapped[name], key=_is_secondary):
                    best.setdefault(type_of(value), value)
                found[name] = list(best.values())
    return found


def _no_type(value: JsonValue) -> JsonValue:  # noqa: ARG001 - the form of _type
    return None


def _type(value: JsonValue) -> JsonValue:
    return str(value.get("type", "")).lower() if isinstance(value, dict) else None


def _is_secondary(value: JsonValue) -> bool:
    return not (isinstance(value, dict) and value.get("primary") is True)


def resolved(kind: Kind, wish: Wish, accounts: Mapping[str, str]) -> JsonObject | None:
    """The wanted document with references to accounts of the target; those without one are left out."""
    if wish.document is None:
        return None
    document = dict(wish.document)
    for path in kind.references:
        if path.urn:
            document[path.urn] = dict(document.get(path.urn, {}))
        value = value_at(document, path)
        account = accounts.get(str(value.get("value"))) if isinstance(value, dict) else None
        write(document, path, None if account is None else {"value": account})
    return document


def digest_of(kind: Kind, wish: Wish, document: JsonObject | None, leave: str) -> bytes:
    """A digest that stays while the wanted state stays; what goes out with the account only does not count."""
    if document is not None and kind.initial:
        document = overlay(document, kind.initial, {})
    parts = [document, wish.left, leave if wish.left else None]
    return hashlib.blake2b(orjson.dumps(parts, option=orjson.OPT_SORT_KEYS), digest_size=16).digest()


def label_of(document: JsonObject) -> str | None:
    """What people call a resource: its user name, else its display name."""
    found = document.get("userName") or document.get("displayName")
    return found if isinstance(found, str) else None


def record_label(record: Record, resource_type: ResourceType) -> str | None:
    """The same for a stored resource."""
    return label_of(view(record, resource_type))
