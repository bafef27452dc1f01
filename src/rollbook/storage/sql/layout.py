"""Makes the database fit the catalog: numbers for indexed attributes, and rows for those indexed since."""

from rollbook.protocol.catalog import Catalog
from rollbook.protocol.errors import StoreUnavailable, Uniqueness
from rollbook.protocol.schema import ResourceType
from rollbook.storage.documents import decode
from rollbook.storage.sql.connection import Connection, Database
from rollbook.storage.sql.index import (
    Layout,
    Rows,
    dictionary_names,
    fingerprint,
    index_rows,
    type_index,
)
from rollbook.storage.sql.tokens import SET, setting
from rollbook.storage.sql.writes import write_index

NUMBERS = "SELECT name, number FROM attribute"
NUMBER = "INSERT INTO attribute (name, number) SELECT ?, coalesce(max(number), 0) + 1 FROM attribute"
TENANTS = "SELECT tenant FROM counter WHERE type = ? AND resources > 0"
CLEAR = ("DELETE FROM value WHERE tenant = ? AND attribute = ?", "DELETE FROM unique_value WHERE tenant = ? AND attribute = ?")
BATCH = """
    SELECT pk, id, body, extra FROM resource WHERE tenant = ? AND type = ? AND pk > ? ORDER BY pk LIMIT 1000
"""


async def fit(database: Database, catalog: Catalog) -> Layout:
    """The layout for a catalog; indexes anew every type whose indexed attributes changed.

    Raises:
        StoreUnavailable: an attribute has become unique, and values in the store are not.
    """
    found = database.read_now(lambda connection: _present(connection, catalog))
    if found is not None:
        return found
    return await database.write(lambda connection: _fitted(connection, catalog), long=True)


def _present(connection: Connection, catalog: Catalog) -> Layout | None:
    """The layout, if the database fits the catalog already."""
    types = catalog.resource_types
    if any(setting(connection, _mark(type)) != fingerprint(type) for type in types):
        return None
    return _layout(connection, catalog)


def _fitted(connection: Connection, catalog: Catalog) -> Layout:
    numbers = dict(connection.all(NUMBERS))
    for resource_type in catalog.resource_types:
        for name in dictionary_names(resource_type):
            if name not in numbers:
                connection.run(NUMBER, (name,))
                numbers = dict(connection.all(NUMBERS))
    layout = _layout(connection, catalog)
    for resource_type in catalog.resource_types:
        if setting(connection, _mark(resource_type)) != fingerprint(resource_type):
            _index_anew(connection, layout, resource_type)
            connection.run(SET, (_mark(resource_type), fingerprint(resource_type)))
    return layout


def _layout(connection: Connection, catalog: Catalog) -> Layout:
    numbers = dict(connection.all(NUMBERS))
    indexes = {type.name: type_index(type, numbers) for type in catalog.resource_types}
    return Layout(catalog, indexes, setting(connection, "epoch") or "0")


def _mark(resource_type: ResourceType) -> str:
    return f"index of {resource_type.name}"


def _index_anew(connection: Connection, layout: Layout, resource_type: ResourceType) -> None:
    names = f"{resource_type.name}:"
    numbers = [number for name, number in connection.all(NUMBERS) if name.startswith(names)]
    for (tenant,) in connection.all(TENANTS, (resource_type.name,)):
        for number in numbers:
            for statement in CLEAR:
                connection.run(statement, (tenant, number))
                connection.run(statement, (tenant, -number))
        after = 0
        while batch := connection.all(BATCH, (tenant, resource_type.name, after)):
            for pk, identifier, body, extra in batch:
                _index_one(connection, layout, resource_type, tenant, pk, identifier, decode(body, extra))
            after = batch[-1][0]


def _index_one(connection, layout, resource_type, tenant, pk, identifier, document) -> None:  # type: ignore
    index = layout.index(resource_type.name)
    try:
        write_index(connection, index, tenant, pk, Rows(), index_rows(index, document))
    except Uniqueness as error:
        raise StoreUnavailable(f"{identifier}") from error
