"""Which attributes an answer shows, and how a stored resource is split by that (RFC 7644 §3.4.2.5, §3.9).

Works on full representations in canonical spelling; what a store keeps apart is decided here too, since both
follow the `returned` characteristic.
"""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property

from rollbook.protocol.attributes import Mutability, Returned
from rollbook.protocol.errors import InvalidValue
from rollbook.protocol.quirks import Leniency, Quirk
from rollbook.protocol.schema import AttributePath, ResourceType
from rollbook.protocol.values import JsonObject, JsonValue


@dataclass(frozen=True)
class Projection:
    """Names as `AttributePath.text` has them, or URNs of extensions; `only` None means the default set."""

    only: frozenset[str] | None = None
    without: frozenset[str] = frozenset()

    @property
    def is_default(self) -> bool:
        """Whether it asks for nothing but the default set."""
        return self.only is None and not self.without

    @cached_property
    def holders(self) -> frozenset[str]:
        """The attributes and extensions that hold what `only` names."""
        return frozenset(holder for name in self.only or () for holder in _holders(name))

    @cached_property
    def concerned(self) -> frozenset[str]:
        """Every name given, and what holds it: attributes not among them follow the default alone."""
        names = self.without.union(self.only or ())
        return names.union(holder for name in names for holder in _holders(name))


DEFAULT = Projection()
"""What an answer shows when nobody asked for anything else."""


def parse_projection(
    attributes: Sequence[str] | None,
    excluded: Sequence[str] | None,
    resource_type: ResourceType,
    leniency: Leniency,
) -> Projection:
    """The projection that two lists of names ask for; names the type does not have are ignored (A-18).

    Raises:
        InvalidValue: both are given (P-3.4.2.5-05).
    """
    if attributes is None and excluded is None:
        return DEFAULT
    wanted, unwanted = _given(attributes), _given(excluded)
    if wanted and unwanted and not leniency.accepts(Quirk.BOTH_PROJECTIONS):
        raise InvalidValue(
            "attributes and excludedAttributes exclude each other; send one of them (RFC 7644 section 3.9)",
            quirk=Quirk.BOTH_PROJECTIONS,
        )
    if wanted:
        return Projection(only=_known(wanted, resource_type, leniency))
    return Projection(without=_known(unwanted, resource_type, leniency))


def shows(projection: Projection, path: AttributePath, written: frozenset[str] = frozenset()) -> bool:
    """Whether an answer may show the attribute or part; `written` as in `project`."""
    return _shows(path._replace(sub=None), projection, written) and _shows(path, projection, written)


def wants(projection: Projection, resource_type: ResourceType, name: str | None) -> bool:
    """Whether an answer may show that attribute of the base schema, or may not, so that it need not be read."""
    if name is None:
        return False
    if projection.is_default:
        return name in resource_type.open_names
    path = resource_type.attribute(name)
    return path is not None and shows(projection, path)


def project(
    resource: JsonObject,
    resource_type: ResourceType,
    projection: Projection,
    requested_by_write: frozenset[str] = frozenset(),
) -> JsonObject:
    """The part of a full representation that an answer shows.

    `requested_by_write` are paths the request wrote: they show what is else shown on request only, unless
    `attributes` says otherwise (P-3.4.2.5-07, A-78).
    """

    def choose(path: AttributePath, value: JsonValue) -> JsonValue:
        concerned = projection.concerned
        if requested_by_write or path.text in concerned or path.urn in concerned:
            return _asked_value(path, value, projection, requested_by_write)
        if projection.only is None or path.attribute.returned is Returned.ALWAYS:
            return _open_value(path, value)
        return None

    return _filtered(resource, resource_type, choose)


def split_stored(document: JsonObject, resource_type: ResourceType) -> tuple[JsonObject, JsonObject]:
    """What is returned always or by default, and what is returned on request or never.

    An attribute with parts of both kinds is whole in the second, so that `join_stored` restores the document.
    """
    body = _filtered(document, resource_type, _open_value)
    return body, _filtered(document, resource_type, _hidden_value)


def join_stored(body: JsonObject, extra: JsonObject) -> JsonObject:
    """The document that `split_stored` split: what is in `extra` holds."""
    joined = {**body, **extra}
    for name, value in extra.items():
        if _is_urn(name) and name in body:
            joined[name] = {**body[name], **value}
    return joined


def schemas_of(document: JsonObject, resource_type: ResourceType) -> list[str]:
    """The base URN and those of the extensions with data: what `schemas` says (A-04)."""
    extensions = (extension.schema.id for extension in resource_type.extensions)
    return [resource_type.schema.id, *(urn for urn in extensions if document.get(urn))]


def _given(names: Sequence[str] | None) -> list[str]:
    return [name.strip() for name in names or () if name.strip()]


def _known(names: Iterable[str], resource_type: ResourceType, leniency: Leniency) -> frozenset[str]:
    return frozenset(text for name in names for text in _texts(name, resource_type, leniency))


def _texts(name: str, resource_type: ResourceType, leniency: Leniency) -> list[str]:
    """The canonical names one name stands for: none if it is unknown, many for the URN of the base schema."""
    path = resource_type.find(name)
    if path is None:
        schema, rest = resource_type.split_urn(name)
        if schema is resource_type.schema and not rest:
            return [attribute.name for attribute in schema.attributes]
        if schema is not None:
            return [] if rest else [schema.id]
        path = resource_type.find_in_extensions(name)
        if path is not None and not leniency.accepts(Quirk.UNQUALIFIED_EXTENSION):
            path = None
    return [path.text] if path else []


def _holders(name: str) -> list[str]:
    urn, _, local = name.rpartition(":")
    attribute, dot, _ = local.partition(".")
    whole = f"{urn}:{attribute}" if urn else attribute
    return [*([whole] if dot else []), *([urn] if urn else [])]


def _shows(path: AttributePath, projection: Projection, written: frozenset[str]) -> bool:
    """Whether an attribute or part is shown, given that what holds it is."""
    returned = path.leaf.returned
    if returned in _SETTLED:
        return _SETTLED[returned]
    around = {path.text, *_holders(path.text)}
    if projection.only is not None:
        named = path.text in projection.holders or not projection.only.isdisjoint(around)
        return named or (returned is Returned.DEFAULT and _whole(path, projection))
    always = path.attribute.returned is Returned.ALWAYS  # then only the part's own name can take it away
    if not projection.without.isdisjoint({path.text} if always else around):
        return False
    if returned is Returned.DEFAULT or path.leaf.mutability is Mutability.READ_ONLY:
        return returned is Returned.DEFAULT  # nobody writes what is readOnly
    return not written.isdisjoint(around) or _holds_any(path, written)


_SETTLED = {Returned.ALWAYS: True, Returned.NEVER: False}


def _whole(path: AttributePath, projection: Projection) -> bool:
    """Whether a part is shown as its attribute is, always and not for the sake of some named part."""
    always = path.sub is not None and path.attribute.returned is Returned.ALWAYS
    return always and path._replace(sub=None).text not in projection.holders


def _holds_any(path: AttributePath, written: frozenset[str]) -> bool:
    return path.sub is None and any(path.text in _holders(name) for name in written)


_Choose = Callable[[AttributePath, JsonValue], JsonValue]


def _filtered(document: JsonObject, resource_type: ResourceType, choose: _Choose) -> JsonObject:
    """The document with each attribute as `choose` has it, without those it gives None or nothing for."""
    out: JsonObject = {}
    for name, value in document.items():
        if _is_urn(name):
            extension = resource_type.extension(name)
            schema = extension.schema if extension else None
            inner = {
                key: chosen
                for key, held in value.items()
                if schema is not None
                and (attribute := schema.attribute(key)) is not None
                and (chosen := choose(AttributePath(schema.id, attribute), held)) is not None
            }
            if inner:
                out[name] = inner
        elif (path := resource_type.attribute(name)) is not None:
            chosen = choose(path, value)
            if chosen is not None:
                out[name] = chosen
    return out


def _is_urn(name: str) -> bool:
    return ":" in name  # attribute names have no colon (RFC 7643 §2.1)


def _asked_value(
    path: AttributePath, value: JsonValue, projection: Projection, written: frozenset[str]
) -> JsonValue:
    if not _shows(path, projection, written):
        return None
    if not path.attribute.is_complex:
        return value
    subs = path.attribute.sub_attributes
    names = {sub.name for sub in subs if _shows(path._replace(sub=sub), projection, written)}
    return _with_parts(value, names)


def _with_parts(value: JsonValue, names: set[str]) -> JsonValue:
    """The value or values of a complex attribute with those parts only, None if nothing is left."""
    if isinstance(value, list):
        return [kept for element in value if (kept := _with_parts(element, names))] or None
    return {name: part for name, part in value.items() if name in names} or None


def _open_value(path: AttributePath, value: JsonValue) -> JsonValue:
    """The value or values without what is hidden: what is sent when nobody asks for anything else."""
    attribute = path.attribute
    if attribute.is_hidden:
        return None
    if not attribute.hidden_parts:
        return value
    return _with_parts(value, {sub.name for sub in attribute.sub_attributes} - attribute.hidden_parts)


def _hidden_value(path: AttributePath, value: JsonValue) -> JsonValue:
    """The whole value if it is hidden, or some part of it is; else None."""
    if path.attribute.is_hidden:
        return value
    hidden = path.attribute.hidden_parts
    if not hidden:
        return None
    elements = value if isinstance(value, list) else [value]
    return None if all(map(hidden.isdisjoint, elements)) else value
