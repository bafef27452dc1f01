"""Makes the database fit the catalog: numbers for indexed attributes, and rows for those indexed since."""

import orjson

from rollbook.protocol.catalog import Adjustment, Catalog, build_catalog
from rollbook.protocol.errors import StoreUnavailable, Uniqueness
from rollbook.protocol.schema import ResourceType
from rollbook.storage.documents import decode
from rollbook.storage.sql import parts
from rollbook.storage.sql.connection import ALONE, Connection, Database, Row
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
from rollbook.storage.sql.tokens import SET, setting
from rollbook.storage.sql.writes import write_index

NUMBERS = "SELECT name, number FROM attribute"
NUMBER = "INSERT INTO attribute (name, number) VALUES (?, ?)"
TENANTS = "SELECT tenant FROM counter WHERE type = ? AND resources > 0"
CLEAR = (
    "DELETE FROM value WHERE tenant = ? AND attribute = ?",
    "DELETE FROM unique_value WHERE tenant = ? AND attribute = ?",
)
BATCH = """
    SELECT pk, id, body, extra FROM resource WHERE tenant = ? AND type = ? AND pk > ? ORDER BY pk LIMIT 1000
"""


DEFINITIONS = "definitions"
"""The setting that keeps the catalog, so that whoever opens the database beside its server serves the same."""

EDITION = "definitions-edition"
"""The setting that counts its changes: whoever holds an older catalog must not write by it."""

PRESENT_EDITION = f"SELECT value FROM setting WHERE name = '{EDITION}'"


async def fit(database: Database, catalog: Catalog | None) -> Layout:
    """The layout for a catalog, None for the one kept; indexes anew every type whose indexed attributes changed.

    Raises:
        StoreUnavailable: an attribute has become unique, and values in the store are not.
    """

    def wanted(connection: Connection) -> Catalog:
        return kept(connection) if catalog is None else catalog

    found = await database.read_now(
        lambda connection: _present(connection, wanted(connection)), snapshot=True
    )
    if found is not None:
        return found
    return await database.write(ALONE, lambda connection: fitted(connection, wanted(connection)), long=True)


def kept(connection: Connection) -> Catalog:
    """The catalog a database keeps: the core's if it never kept one."""
    found = orjson.loads(setting(connection, DEFINITIONS) or "{}")
    if isinstance(found, list):  # as kept before anything could be adjusted
        found = {"documents": found}
    return build_catalog(found.get("documents", ()), frozenset(map(Adjustment, found.get("adjusted", ()))))


def edition(connection: Connection) -> int:
    """How often the definitions of a database have changed."""
    row = connection.one(PRESENT_EDITION)
    return int(row[0]) if row else 0


def _text(catalog: Catalog) -> str:
    return orjson.dumps({"documents": catalog.documents, "adjusted": sorted(catalog.adjusted)}).decode()


def _present(connection: Connection, catalog: Catalog) -> Layout | None:
    """The layout, if the database fits the catalog already."""
    types = catalog.resource_types
    if setting(connection, DEFINITIONS) != _text(catalog) or any(
        setting(connection, _mark(kind)) != fingerprint(kind) for kind in types
    ):
        return None
    return _layout(connection, catalog)


def fitted(connection: Connection, catalog: Catalog) -> Layout:
    """Make the database fit the catalog, within a transaction that the caller holds.

    Raises:
        StoreUnavailable: see `fit`.
    """
    numbers = _numbers(connection)
    for resource_type in catalog.resource_types:
        for name in dictionary_names(resource_type):
            if name not in numbers:
                numbers[name] = max(numbers.values(), default=0) + 1
                connection.run(NUMBER, (name, numbers[name]))
    if setting(connection, DEFINITIONS) != _text(catalog):
        connection.run(SET, (DEFINITIONS, _text(catalog)))
        connection.run(SET, (EDITION, str(edition(connection) + 1)))
    layout = _layout(connection, catalog)
    for resource_type in catalog.resource_types:
        if setting(connection, _mark(resource_type)) != fingerprint(resource_type):
            _index_anew(connection, layout, resource_type)
            connection.run(SET, (_mark(resource_type), fingerprint(resource_type)))
    return layout


def _layout(connection: Connection, catalog: Catalog) -> Layout:
    numbers = _numbers(connection)
    indexes = {kind.name: type_index(kind, numbers) for kind in catalog.resource_types}
    return Layout(catalog, indexes, setting(connection, "epoch") or "0", edition(connection))


def _numbers(connection: Connection) -> dict[str, int]:
    return {str(name): int(number) for name, number in connection.all(NUMBERS)}


def _mark(resource_type: ResourceType) -> str:
    return f"index of {resource_type.name}"


def _index_anew(connection: Connection, layout: Layout, resource_type: ResourceType) -> None:
    leading = f"{resource_type.name}:"
    numbers = [number for name, number in _numbers(connection).items() if name.startswith(leading)]
    for (tenant,) in connection.all(TENANTS, (resource_type.name,)):
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
