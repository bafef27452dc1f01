"""A database fits the catalog it is opened with: what is indexed since is indexed then."""

from pathlib import Path
from typing import Any

import pytest

from rollbook.protocol.catalog import Catalog, build_catalog, core_catalog
from rollbook.protocol.errors import StoreUnavailable
from rollbook.protocol.filter_parser import parse_filter
from rollbook.protocol.query import Page, Query
from rollbook.protocol.quirks import Leniency
from rollbook.protocol.resolve import resolve
from rollbook.protocol.resource import Change
from rollbook.protocol.schema import ResourceType
from rollbook.protocol.values import JsonObject, JsonValue
from rollbook.storage.base import Author
from rollbook.storage.sql import layout
from rollbook.storage.sql.databases import open_store
from rollbook.storage.sql.store import SqlStore

pytestmark = pytest.mark.anyio

TAG = "urn:example:tag:1.0:User"
AUTHOR = Author("test", 1)


def _catalog(**characteristics: object) -> Catalog:
    attribute: JsonObject = {"name": "tag", "type": "string", **characteristics}
    return build_catalog(
        [{"id": TAG, "name": "Tag", "attributes": [attribute, {"name": "note", "type": "string"}]}]
    )


async def _open(directory: Path, catalog: Catalog | None) -> SqlStore:
    store = open_store(f"sqlite:///{directory}/rollbook.db", catalog)
    await store.open()
    return store


def _user(catalog: Catalog) -> ResourceType:
    found = catalog.resource_type("User")
    assert found is not None
    return found


async def _add(store: SqlStore, id: str, tag: str, tenant: int = 1) -> None:
    document = {"userName": id, TAG: {"tag": tag}}
    await store.insert(tenant, _user(store.catalog), id, Change(document), AUTHOR)


async def _found(store: SqlStore, text: str, tenant: int = 1) -> list[str]:
    resource_type = _user(store.catalog)
    condition = resolve(parse_filter(text, Leniency()), resource_type, Leniency())
    found = await store.search(tenant, Query(resource_type, condition, Page(1, 10)))
    return [record.id for record in found.records]


async def test_a_changed_attribute_is_indexed_anew(tmp_path: Path) -> None:
    """Values written under other case rules are found by the present ones, in every tenant."""
    store = await _open(tmp_path, _catalog())
    for tenant in (1, 2):
        await _add(store, "a", "One", tenant)
        await _add(store, "b", "one", tenant)
    assert await _found(store, f'{TAG}:tag eq "ONE"') == ["a", "b"]
    await store.close()
    store = await _open(tmp_path, _catalog(caseExact=True))
    for tenant in (1, 2):
        assert await _found(store, f'{TAG}:tag eq "One"', tenant) == ["a"]
    assert await store.check() == []
    await store.close()


async def test_an_attribute_that_became_unique_is_kept_unique(tmp_path: Path) -> None:
    """I-05 holds from the moment the schema says so."""
    store = await _open(tmp_path, _catalog())
    await _add(store, "a", "one")
    await store.close()
    store = await _open(tmp_path, _catalog(uniqueness="server"))
    with pytest.raises(Exception, match="tag"):
        await _add(store, "b", "ONE")
    assert await store.check() == []
    await store.close()


async def test_values_that_are_not_unique_keep_the_store_from_opening(tmp_path: Path) -> None:
    """T-56: clashes are reported with the resource, and nothing is changed."""
    store = await _open(tmp_path, _catalog())
    await _add(store, "a", "one")
    await _add(store, "b", "ONE")
    await store.close()
    with pytest.raises(StoreUnavailable, match=f"User b: {TAG}:tag"):
        await _open(tmp_path, _catalog(uniqueness="server"))
    store = await _open(tmp_path, _catalog())
    assert await _found(store, f'{TAG}:tag eq "one"') == ["a", "b"]
    assert await store.check() == []
    await store.close()


async def test_the_catalog_is_kept(tmp_path: Path) -> None:
    """Who opens a database without a catalog serves the one it was last opened with."""
    first = await _open(tmp_path, _catalog())
    await first.close()
    second = await _open(tmp_path, None)
    assert [kind.name for kind in second.catalog.resource_types] == ["User", "Group"]
    assert second.catalog.schema(TAG) == first.catalog.schema(TAG)
    await second.close()


async def test_a_new_database_without_a_catalog_serves_the_core(tmp_path: Path) -> None:
    """User and Group are served when nobody says otherwise."""
    store = await _open(tmp_path, None)
    assert store.catalog == core_catalog()
    await store.close()


async def test_t_52_numbers_are_given_in_linear_time(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each new name looked at all former ones, of all tenants: 40,000 took two minutes in one transaction."""
    looks = 0

    class Numbers(dict[str, int]):
        def values(self) -> Any:
            nonlocal looks
            looks += 1
            return super().values()

    usual = layout._numbers
    monkeypatch.setattr(layout, "_numbers", lambda connection: Numbers(usual(connection)))
    attributes: list[JsonValue] = [{"name": f"a{each}", "type": "string"} for each in range(50)]
    catalog = build_catalog([{"id": TAG, "name": "Tag", "attributes": attributes}])
    await (await _open(tmp_path, None)).close()
    looks = 0
    await (await _open(tmp_path, catalog)).close()
    assert 1 <= looks < 5
