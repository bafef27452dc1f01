"""Resource → rows of the value index and of the unique values; which attributes are indexed (architecture §2)."""

import hashlib
import unicodedata
from collections.abc import Container, Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from types import MappingProxyType

from rollbook.protocol import compare, urns
from rollbook.protocol.attributes import Attribute, Returned, Type, Uniqueness
from rollbook.protocol.catalog import Catalog
from rollbook.protocol.errors import InvalidValue
from rollbook.protocol.match import values
from rollbook.protocol.schema import AttributePath, ResourceType, Schema
from rollbook.protocol.values import JsonObject

INDEXED: Mapping[str, frozenset[str]] = MappingProxyType(
    {
        urns.USER: frozenset(
            {"userName", "displayName", "name.givenName", "name.familyName", "emails.value"}
        ),
        urns.ENTERPRISE_USER: frozenset({"employeeNumber", "department", "manager.value"}),
        urns.GROUP: frozenset({"displayName"}),
    }
)
"""Schema → the attributes people look up by. Each row costs a page at every create, so not `active` or titles.

Schemas that are not listed: every text or reference, and the `value` part of every complex attribute.
"""

COMMON = frozenset({"externalId"})
"""Common attributes that are indexed; `id` and `meta` are columns."""

TENANT_SHIFT = 40
"""Row keys: tenant number * 2^40 + sequence."""

CUT = 512
"""Length of a cut key; those kept whole are shorter."""

KEPT = 480
"""How much of a long key is kept, before a digest that keeps equality exact."""


@dataclass(frozen=True)
class Indexed:
    """An attribute in the index: its number, and whether `unique_value` holds it, and `value` as well.

    `none` is the number under which resources without a value are listed: so an order by the attribute is
    two walks of an index, and those without it are found. None where all have one, or may have several.
    """

    number: int
    path: AttributePath
    unique: bool
    listed: bool
    none: int | None = None

    @cached_property
    def name(self) -> str:
        """The top-level attribute it is, or is a part of."""
        return self.path._replace(sub=None).text

    @cached_property
    def leaf(self) -> Attribute:
        """The attribute whose values they are."""
        return self.path.leaf

    @cached_property
    def column(self) -> int | None:
        """The column its texts are in, None if nobody looks into them."""
        return self.number % COLUMNS if compare.searches_key(self.leaf) else None

    @cached_property
    def is_single(self) -> bool:
        """Whether a resource has at most one value of it."""
        return not self.path.attribute.multi_valued and not self.path.leaf.multi_valued

    @cached_property
    def equal(self) -> tuple[str, str]:
        """A SELECT of resources with a value, and the same as a condition on `r`: both take tenant, number, key."""
        return self.equal_to("= ?")

    def equal_to(self, wanted: str) -> tuple[str, str]:
        """The same for any condition on the key."""
        select = f"SELECT pk FROM {self.table} WHERE tenant = ? AND attribute = ? AND key {wanted}"
        check = (
            f"EXISTS (SELECT 1 FROM {self.table} v"
            f" WHERE v.tenant = ? AND v.attribute = ? AND v.key {wanted} AND v.pk = r.pk)"
        )
        return select, check

    @property
    def table(self) -> str:
        """The table that serves searches: unique values of one element need no second row."""
        return "value" if self.listed else "unique_value"


@dataclass(frozen=True)
class TypeIndex:
    """What is indexed of one resource type; `schemas` is the number of the attribute of that name."""

    resource_type: ResourceType
    attributes: tuple[Indexed, ...]
    schemas: int

    @cached_property
    def _by_text(self) -> dict[str, Indexed]:
        return {indexed.path.text: indexed for indexed in self.attributes}

    def get(self, path: AttributePath) -> Indexed | None:
        """How that attribute is indexed, or None."""
        return self._by_text.get(path.text)

    @cached_property
    def by_number(self) -> dict[int, Indexed]:
        """The attributes by their numbers."""
        return {indexed.number: indexed for indexed in self.attributes}


COLUMNS = 16
"""Columns for texts that are looked into; attributes take them in turn by their numbers."""

Texts = tuple[str | None, ...]
"""What each column has; all None where there is nothing to look for."""

NO_TEXTS: Texts = (None,) * COLUMNS


@dataclass(frozen=True, slots=True)
class IndexRows:
    """Rows of one document in the index: (attribute, key, element), unique values (attribute, key), and texts."""

    values: frozenset[tuple[int, bytes, int]] = frozenset()
    uniques: frozenset[tuple[int, bytes]] = frozenset()
    texts: Texts = NO_TEXTS


def cut(key: bytes) -> bytes:
    """The key as the index has it: a long one keeps its beginning, and a digest of the whole."""
    return key if len(key) < CUT else key[:KEPT] + hashlib.sha256(key).digest()


def index_rows(index: TypeIndex, document: JsonObject, attributes: Container[str] | None = None) -> IndexRows:
    """The rows that the document has in the index; only those of some top-level attributes, if these are named.

    A long key has a second one under the negative number: what looks into texts must look at those whole. Texts are
    those of the named attributes only, too, and so of no use but for comparing them.
    """
    listed: set[tuple[int, bytes, int]] = set()
    uniques: set[tuple[int, bytes]] = set()
    texts: list[str | None] = [*NO_TEXTS]
    for indexed in index.attributes:
        if attributes is not None and indexed.name not in attributes:
            continue
        number, column, has_none = indexed.number, indexed.column, indexed.none is not None
        for element, whole in _keys(indexed, document):
            key, has_none = cut(whole), False
            if indexed.unique:
                uniques.add((number, key))
            if indexed.listed:
                listed.add((number, key, element))
            if len(key) == CUT:
                listed.add((-number, key, element))
            if column is not None:
                texts[column] = _joined(texts[column], whole.decode())
        if has_none and indexed.none is not None:
            listed.add((indexed.none, b"", 0))
    for extension in index.resource_type.extensions:
        urn = extension.schema.id
        listed.update([(index.schemas, schema_key(urn), 0)] if document.get(urn) else ())
    return IndexRows(frozenset(listed), frozenset(uniques), tuple(texts))


def _joined(before: str | None, text: str) -> str:
    return text if before is None else f"{before}\n{text}"


def _keys(indexed: Indexed, document: JsonObject) -> Iterator[tuple[int, bytes]]:
    """The keys of an attribute's values with their element numbers.

    A value stored before its attribute changed type has no key: it is equal to nothing.
    """
    path, leaf = indexed.path, indexed.leaf
    holder = document.get(path.urn) if path.urn else document
    if not holder or path.attribute.name not in holder:  # most attributes have no value
        return
    for element, value in values(path, document):
        try:
            yield element, compare.key(leaf, value)
        except InvalidValue:
            continue


def schema_key(urn: str) -> bytes:
    """The key of a URN in `schemas`; the base schema's has no row, since every resource would have it."""
    return compare.text_key(urn, exact=False)


def indexed_paths(resource_type: ResourceType) -> Iterator[AttributePath]:
    """The attributes of a type that are indexed: those listed, or the usual ones; unique ones always."""
    for attribute in resource_type.common:
        if attribute.name in COMMON:
            yield AttributePath(None, attribute)
    yield from _of_schema(None, resource_type.schema, resource_type)
    for extension in resource_type.extensions:
        yield from _of_schema(extension.schema.id, extension.schema, resource_type)


def _of_schema(urn: str | None, schema: Schema, resource_type: ResourceType) -> Iterator[AttributePath]:
    apart = {resource_type.memberships, resource_type.derived, resource_type.secret}
    for attribute in schema.attributes:
        if urn is None and attribute.name in apart:
            continue
        for path in (AttributePath(urn, attribute), *_parts(urn, attribute)):
            if not path.leaf.is_complex and _is_indexed(path, schema):
                yield path


def _parts(urn: str | None, attribute: Attribute) -> Iterator[AttributePath]:
    for sub in attribute.sub_attributes:
        yield AttributePath(urn, attribute, sub)


def _is_indexed(path: AttributePath, schema: Schema) -> bool:
    leaf = path.leaf
    if is_unique(path) or (path.attribute.refers and leaf.name == "value"):
        return True  # who refers to a resource has to be found when that is deleted
    if Returned.NEVER in {leaf.returned, path.attribute.returned}:
        return False
    chosen = INDEXED.get(schema.id)
    if chosen is not None:
        return path._replace(urn=None).text in chosen
    return leaf.type in {Type.STRING, Type.REFERENCE} and (path.sub is None or leaf.name == "value")


def is_unique(path: AttributePath) -> bool:
    """Whether the store has to keep values of the attribute unique (I-05)."""
    return path.leaf.uniqueness is not Uniqueness.NONE


def dictionary_names(resource_type: ResourceType) -> list[str]:
    """What the attribute dictionary calls the indexed attributes of a type, and its `schemas`."""
    paths = list(indexed_paths(resource_type))
    none = [_none(path) for path in paths if _may_lack(path)]
    return [f"{resource_type.name}:{text}" for text in (*(path.text for path in paths), *none, "schemas")]


def _none(path: AttributePath) -> str:
    return f"{path.text} (none)"


def _may_lack(path: AttributePath) -> bool:
    """Whether resources without the attribute are listed: it has one value at most, and need not have it."""
    always = path.urn is None and path.sub is None and path.leaf.required
    return not (always or path.attribute.multi_valued or path.leaf.multi_valued)


def type_index(resource_type: ResourceType, numbers: Mapping[str, int]) -> TypeIndex:
    """The index of a type, given the numbers of the names in `dictionary_names`."""
    attributes = []
    for path in indexed_paths(resource_type):
        unique = is_unique(path)
        many = path.attribute.multi_valued or path.leaf.multi_valued
        number = numbers[f"{resource_type.name}:{path.text}"]
        none = numbers[f"{resource_type.name}:{_none(path)}"] if _may_lack(path) else None
        attributes.append(Indexed(number, path, unique, not unique or many, none))
    return TypeIndex(resource_type, tuple(attributes), numbers[f"{resource_type.name}:schemas"])


def fingerprint(resource_type: ResourceType) -> str:
    """Changes whenever rows made before would not be made today; then the type is indexed anew (T-56)."""
    parts = [f"unicode {unicodedata.unidata_version}", "parts"]
    for path in indexed_paths(resource_type):
        leaf = path.leaf
        kind = f"{leaf.type} {'exact' if leaf.compares_exactly else 'folded'}"
        marks = (" unique" if is_unique(path) else "") + (" or none" if _may_lack(path) else "")
        parts.append(f"{path.text} {kind}{marks}")
    return "; ".join((*parts, *sorted(extension.schema.id for extension in resource_type.extensions)))


@dataclass(frozen=True)
class Layout:
    """What this store knows of its own database: the catalog and its edition, its indexes, the epoch of versions."""

    catalog: Catalog
    indexes: Mapping[str, TypeIndex]
    epoch: str
    edition: int = 0

    def index(self, type_name: str) -> TypeIndex:
        """The index of a type.

        Raises:
            InvalidValue: the catalog this store was opened with has no such type.
        """
        found = self.indexes.get(type_name)
        if found is None:
            raise InvalidValue(f"this store was opened without resource type {type_name!r}")
        return found

    def version(self, number: int) -> str:
        """The text of a version: it never repeats, also after a restored backup (A-31)."""
        return f'W/"{self.epoch}-{number}"'

    def contains(self, type_name: str) -> bool:
        """Whether resources of that type have members."""
        found = self.indexes.get(type_name)
        return found is not None and found.resource_type.memberships is not None
