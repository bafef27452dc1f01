"""Makes the database fit the catalog: numbers for indexed attributes, and rows for those indexed since."""

import hashlib
from functools import lru_cache
from typing import NamedTuple

import orjson

from rollbook.protocol.catalog import Adjustment, Catalog, build_catalog
from rollbook.protocol.errors import StoreUnavailable, Uniqueness
from rollbook.protocol.schema import ResourceType
from rollbook.storage.documents import decode
from rollbook.storage.sql import parts
from rollbook.storage.sql.connection import ALONE, Connection, Database, Row
from rollbook.storage.sql.editions import next_edition
from rollbook.storage.sql.index import (
    NO_TEXTS,
    IndexRows,
    Layout,
    TypeIndex,
    dictionary_names,
    fingerprint,
    index_rows,
    type_index,
)
from rollbook.storage.sql.tokens import setting
from rollbook.storage.sql.writes import write_index
from rollbook.storage.tenants import DEFAULT

NUMBERS = "SELECT name, number FROM attribute"
NUMBER = "INSERT INTO attribute (name, number) VALUES (?, ?)"
CLEAR = (
    "DELETE FROM value WHERE tenant = ? AND attribute = ?",
    "DELETE FROM unique_value WHERE tenant = ? AND attribute = ?",
)
BATCH = """
    SELECT pk, id, body, extra FROM resource WHERE tenant = ? AND type = ? AND pk > ? ORDER BY pk LIMIT 1000
"""
HAS = "SELECT resources FROM counter WHERE tenant = ? AND type = ? AND resources > 0"

OWN = "SELECT definitions, indexed, edition FROM tenant WHERE number = ?"
MAKE_DEFAULT = """
    INSERT INTO tenant (number, name, host, state, created, settings, definitions, indexed, edition)
    VALUES (1, 'default', NULL, 'open', 0, '[]', '', '{}', 0) ON CONFLICT (number) DO NOTHING
"""
BODY = "SELECT body FROM definition WHERE key = ?"
KEEP = "INSERT INTO definition (key, body) VALUES (?, ?) ON CONFLICT (key) DO NOTHING"
DEFINE = "UPDATE tenant SET definitions = ?, edition = ? WHERE number = ?"
INDEXED = "UPDATE tenant SET indexed = ? WHERE number = ?"
UNUSED = "DELETE FROM definition WHERE key = ? AND NOT EXISTS (SELECT 1 FROM tenant WHERE definitions = ?)"
NAMELESS = "SELECT tenant FROM sequence WHERE tenant NOT IN (SELECT number FROM tenant)"


async def fit(database: Database, tenant: int, catalog: Catalog | None) -> Layout:
    """The layout for a tenant and a catalog, None for the one kept; indexes anew every type of which indexed attributes changed.

    Raises:
        StoreUnavailable: an attribute has become unique, and values in the store are not.
    """

    def wanted(connection: Connection) -> Catalog:
        return kept(connection, tenant) if catalog is None else catalog

    found = await database.read_now(lambda connection: _present(connection, tenant, catalog), snapshot=True)
    if found is not None:
        return found
    return await database.write(
        ALONE, lambda connection: fitted(connection, tenant, wanted(connection)), long=True
    )


class Own(NamedTuple):
    """What a tenant's row says of its definitions: their key, how each type is indexed, and when they changed."""

    key: str
    indexed: str
    edition: int


def own(connection: Connection, tenant: int) -> Own:
    """What holds for a tenant; one without a row of its own has the default's definitions."""
    row = connection.one(OWN, (tenant,)) or connection.one(OWN, (DEFAULT,))
    return Own(*row) if row else Own("", "{}", 0)


def kept(connection: Connection, tenant: int) -> Catalog:
    """The catalog a database keeps for a tenant: the core's if it never kept one."""
    return _catalog(_body(connection, own(connection, tenant).key))[0]


@lru_cache(maxsize=256)
def _catalog(text: str) -> tuple[Catalog, str]:
    """One catalog for all tenants that share it, since a thousand tenants must not have a thousand; and its marks."""
    found = orjson.loads(text)
    if isinstance(found, list):  # as kept before anything could be adjusted
        found = {"documents": found}
    built = build_catalog(found.get("documents", ()), frozenset(map(Adjustment, found.get("adjusted", ()))))
    return built, _marks(built)


def _body(connection: Connection, key: str) -> str:
    row = connection.one(BODY, (key,)) if key else None
    return str(row[0]) if row else "{}"


def _text(catalog: Catalog) -> str:
    return orjson.dumps({"documents": catalog.documents, "adjusted": sorted(catalog.adjusted)}).decode()


def _key(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()[:32]


def _present(connection: Connection, tenant: int, wanted: Catalog | None) -> Layout | None:
    """The layout, if the database fits the catalog already; None for the one it keeps."""
    has = own(connection, tenant)
    body = _body(connection, has.key)
    if wanted is None:
        catalog, marks = _catalog(body)
        return _layout(connection, catalog, has) if has.indexed == marks else None
    text = _text(wanted)
    if has.key != _key(text) and body != text:
        return None
    return _layout(connection, wanted, has) if has.indexed == _marks(wanted) else None


def present(connection: Connection, tenant: int) -> Layout:
    """The layout a tenant has by what the database keeps."""
    return _layout(connection, kept(connection, tenant), own(connection, tenant))


def fitted(connection: Connection, tenant: int, catalog: Catalog) -> Layout:
    """Make the database fit a tenant's catalog, within a transaction that the caller holds.

    Raises:
        StoreUnavailable: see `fit`.
    """
    if tenant == DEFAULT:
        connection.run(MAKE_DEFAULT)
    has = own(connection, tenant)
    _give_numbers(connection, catalog)
    text, key = _text(catalog), _key(_text(catalog))
    if has.key != key:
        connection.run(KEEP, (key, text))
        connection.run(DEFINE, (key, next_edition(connection), tenant))
        connection.run(UNUSED, (has.key, has.key))
    layout = _layout(connection, catalog, own(connection, tenant))
    marked = orjson.loads(has.indexed)
    for resource_type in catalog.resource_types:
        if marked.get(resource_type.name) not in {_mark(resource_type), fingerprint(resource_type)}:
            for one in governed(connection, tenant):
                _index_anew(connection, layout, one, resource_type)
    connection.run(INDEXED, (_marks(catalog), tenant))
    return layout


def governed(connection: Connection, tenant: int) -> list[int]:
    """The tenants that a tenant's definitions are for: itself, and those without a row in case of the default."""
    return [tenant, *(one for (one,) in connection.all(NAMELESS) if tenant == DEFAULT and one != tenant)]


def _give_numbers(connection: Connection, catalog: Catalog) -> None:
    """Give a number to each name that is indexed anywhere: they are the same in all tenants."""
    numbers = _numbers(connection)
    last = max(numbers.values(), default=0)
    for resource_type in catalog.resource_types:
        for name in dictionary_names(resource_type):
            if name not in numbers:
                last += 1
                numbers[name] = last
                connection.run(NUMBER, (name, last))


def _layout(connection: Connection, catalog: Catalog, has: Own) -> Layout:
    numbers = _numbers(connection)
    indexes = {kind.name: type_index(kind, numbers) for kind in catalog.resource_types}
    return Layout(catalog, indexes, setting(connection, "epoch") or "0", has.edition)


def _numbers(connection: Connection) -> dict[str, int]:
    return {str(name): int(number) for name, number in connection.all(NUMBERS)}


def _marks(catalog: Catalog) -> str:
    """How the resources of each type are indexed, for a tenant's row."""
    return orjson.dumps({kind.name: _mark(kind) for kind in catalog.resource_types}).decode()


def _mark(kind: ResourceType) -> str:
    """A digest of the fingerprint; rows from before there were tenants have that itself."""
    return hashlib.sha256(fingerprint(kind).encode()).hexdigest()[:16]


def _index_anew(connection: Connection, layout: Layout, tenant: int, resource_type: ResourceType) -> None:
    if connection.one(HAS, (tenant, resource_type.name)) is None:
        return
    leading = f"{resource_type.name}:"
    numbers = [number for name, number in _numbers(connection).items() if name.startswith(leading)]
    for statement in CLEAR:
        connection.many(statement, [(tenant, sign * number) for number in numbers for sign in (1, -1)])
    after = 0
    while batch := connection.all(BATCH, (tenant, resource_type.name, after)):
        for row in batch:
            _index_one(connection, layout.index(resource_type.name), tenant, row)
        after = batch[-1][0]


def _index_one(connection: Connection, index: TypeIndex, tenant: int, row: Row) -> None:
    pk, identifier, body, extra = row
    rows = index_rows(index, decode(body, extra))
    try:
        write_index(connection, index, tenant, pk, IndexRows(), rows)
        if connection.has_parts:
            connection.run(parts.DROP, (pk,))
            parts.write(connection, pk, NO_TEXTS, rows.texts)
    except Uniqueness as error:
        raise StoreUnavailable(
            f"{index.resource_type.name} {identifier}: {error.detail}, since the schema or the Unicode tables "
            "changed; correct the values with the former schema, then start again"
        ) from error
