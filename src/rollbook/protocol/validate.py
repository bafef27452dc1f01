"""A body × its resource type → `Resource`; and what creating or replacing with it changes (RFC 7644 §3.3, §3.5.1).

`read_body` decides everything that needs no stored state; `replace` the rest.
"""

from collections.abc import Callable, Container, Iterator
from dataclasses import replace as with_fields

from rollbook.protocol import errors
from rollbook.protocol.attributes import Mutability
from rollbook.protocol.coerce import read_attribute
from rollbook.protocol.declared import FOREIGN, check_schemas, member
from rollbook.protocol.defaults import DEFAULTS
from rollbook.protocol.elements import same_value
from rollbook.protocol.formats import check_formats
from rollbook.protocol.memberships import read_members, same_member
from rollbook.protocol.names import assignments
from rollbook.protocol.places import get, put
from rollbook.protocol.quirks import Leniency, Quirk
from rollbook.protocol.resource import Change, Member, Present, Resource
from rollbook.protocol.schema import AttributePath, ResourceType
from rollbook.protocol.values import JsonObject, JsonValue


def read_body(
    body: JsonValue,
    resource_type: ResourceType,
    leniency: Leniency,
    *,
    at_create: bool,
    foreign: Container[str] = FOREIGN,
) -> Resource:
    """What a client asserts with a POST or PUT body, in canonical form (RFC 7644 §3.3, §3.5.1).

    Args:
        body: any JSON value; an object is due.
        resource_type: the type of the endpoint.
        leniency: asked where the body leaves the RFC.
        at_create: give attributes that are left out their defaults; `replace` does that for PUT.
        foreign: lower-case URNs of other kinds of body, refused where the base URN is due.

    Raises:
        InvalidSyntax: not an object, wrong `schemas`, unknown or repeated names.
        InvalidValue: a value that does not fit its attribute, or a required one is missing.
    """
    if not isinstance(body, dict):
        raise errors.InvalidSyntax(f"the body must be a JSON object, a {resource_type.name} (P-3.3-14)")
    base = resource_type.schema.id
    check_schemas(member(body, "schemas"), base, resource_type.urns, leniency, foreign)
    resource = _assigned(body, resource_type, leniency)
    check_formats(resource.document, {}, base, leniency)
    check_required(resource.document, resource_type)
    return with_defaults(resource, resource_type) if at_create else resource


def _assigned(body: JsonObject, resource_type: ResourceType, leniency: Leniency) -> Resource:
    """Every attribute of the body that a client may write, each by itself."""
    document: JsonObject = {}
    members: tuple[Member, ...] = ()
    cleared = set()
    for path, value in assignments(body, resource_type, leniency):
        urn, attribute, _ = path
        if attribute.mutability is Mutability.READ_ONLY or (urn is None and attribute.name == "schemas"):
            continue
        if urn is None and attribute.name == resource_type.memberships:
            members = read_members(path, value, leniency)
            continue
        one = read_attribute(path, value, leniency)
        if one is not None:
            (document if urn is None else document.setdefault(urn, {}))[attribute.name] = one
        elif urn is None:
            cleared.add(attribute.name)
    return Resource(document, members, frozenset(cleared))


def check_required(document: JsonObject, resource_type: ResourceType) -> None:
    """Refuse a document that lacks something required (P-3.3-13, P-3.3-18).

    Raises:
        InvalidValue: naming the first attribute that is missing.
    """
    for text, path in missing(document, resource_type):
        what = "a value that is not empty" if path else f"the extension, an object under {text!r},"
        raise errors.InvalidValue(f"{text} is required: send {what} (RFC 7643 section 2.2)")


def missing(document: JsonObject, resource_type: ResourceType) -> Iterator[tuple[str, AttributePath | None]]:
    """What is required and has no value: its name, and its path unless it is a whole extension.

    Attributes of an optional extension, and parts of a value, are required only where the whole is there.
    """
    for extension in resource_type.extensions:
        if extension.required and extension.schema.id not in document:
            yield extension.schema.id, None
    for path in resource_type.required_paths:
        holder = document if path.urn is None else document.get(path.urn)
        if holder is None:
            continue
        held = holder.get(path.attribute.name)
        if path.sub is None:
            lacks = held is None or _is_blank(held)
        else:
            values = held if isinstance(held, list) else [] if held is None else [held]
            lacks = any(part is None or _is_blank(part) for part in (v.get(path.sub.name) for v in values))
        if lacks:
            yield path.text, path


def _is_blank(value: JsonValue) -> bool:
    """Whether it is a text that nobody sees: a name of spaces is none (S-50)."""
    return isinstance(value, str) and (not value or value.isspace())


def with_defaults(resource: Resource, resource_type: ResourceType) -> Resource:
    """The resource with defaults for what was left out, not for what was sent as null (P-3.3-03, P-3.3-04)."""
    defaults = {
        name: value
        for name, value in DEFAULTS.get(resource_type.schema.id, {}).items()
        if name not in resource.document and name not in resource.cleared
    }
    return with_fields(resource, document={**resource.document, **defaults}) if defaults else resource


def map_secrets(resource: Resource, resource_type: ResourceType, f: Callable[[str], str]) -> Resource:
    """The resource with `f` applied to its secret attribute, if it has a value (P-7-10)."""
    secret = resource_type.secret
    if secret is None or secret not in resource.document:
        return resource
    return with_fields(resource, document={**resource.document, secret: f(resource.document[secret])})


def create(resource: Resource) -> Change:
    """The change that makes a new resource."""
    return Change(resource.document, resource.members)


def replace(
    resource: Resource, resource_type: ResourceType, leniency: Leniency
) -> Callable[[Present], Change]:
    """PUT as a function of the present state; it has to see all members (RFC 7644 §3.5.1).

    What is left out is cleared or gets its default; readOnly, writeOnly and immutable values are kept (A-05,
    A-06). Members become a difference. Nothing new is the empty change (A-31).

    Raises (the function):
        Mutability: an immutable attribute with a value was sent with another one.
    """

    def decide(present: Present) -> Change:
        document = _kept(resource.document, present.document, resource_type)
        document = _defaulted(document, present.document, resource, resource_type, leniency)
        added, removed = _difference(resource, present, resource_type)
        return Change(None if document == present.document else document, added, removed)

    return decide


def _kept(document: JsonObject, stored: JsonObject, resource_type: ResourceType) -> JsonObject:
    for path in resource_type.kept_paths:
        old, new = get(stored, path), get(document, path)
        if old is None or (path.sub and get(document, path._replace(sub=None)) is None):
            continue
        if new is None:
            document = put(document, path, old)
        elif Mutability.IMMUTABLE in {path.attribute.mutability, path.leaf.mutability}:
            if not same_value(path.leaf, old, new):
                raise errors.Mutability(
                    f"{path.text} is immutable and has a value: leave it out, or send the same value (P-3.5.1-05)"
                )
            document = put(document, path, old)
    return document


def _defaulted(
    document: JsonObject,
    stored: JsonObject,
    resource: Resource,
    resource_type: ResourceType,
    leniency: Leniency,
) -> JsonObject:
    for name, default in DEFAULTS.get(resource_type.schema.id, {}).items():
        if name in document or name in resource.cleared:
            continue
        old = stored.get(name)
        if old == default or not leniency.accepts(Quirk.KEEP_ACTIVE):
            document = {**document, name: default}
        elif old is not None:
            document = {**document, name: old}
    return document


def _difference(
    resource: Resource, present: Present, resource_type: ResourceType
) -> tuple[tuple[Member, ...], tuple[str, ...]]:
    path = resource_type.attribute(resource_type.memberships) if resource_type.memberships else None
    if path is None:
        return (), ()
    wanted = {sent.value: sent for sent in resource.members}
    for key in wanted.keys() & present.members.keys():
        same_member(path, present.members[key], wanted[key])
    added = tuple(sent for sent in resource.members if sent.value not in present.members)
    return added, tuple(key for key in present.members if key not in wanted)
