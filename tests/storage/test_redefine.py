"""Other definitions for a database with data: what is found, when they are taken, and who follows."""

from collections.abc import AsyncIterator
from pathlib import Path

import orjson
import pytest

from rollbook.protocol.catalog import Adjustment, Catalog, build_catalog
from rollbook.protocol.errors import Conflict, DefinitionsChanged, StoreUnavailable
from rollbook.protocol.resource import Change, Member, Present, Scope
from rollbook.protocol.schema import ResourceType
from rollbook.protocol.schema_change import Fault
from rollbook.protocol.values import JsonObject
from rollbook.storage.base import Author
from rollbook.storage.sql.databases import open_store
from rollbook.storage.sql.redefine import Survey
from rollbook.storage.sql.sqlite_file import SqliteFile
from rollbook.storage.sql.store import SqlStore

pytestmark = pytest.mark.anyio

TAG, THING = "urn:example:tag:1.0:User", "urn:example:Thing"
AUTHOR, LATER = Author("test", 1), Author("change", 2)


def catalog(*tags: JsonObject, thing: bool = False, adjusted: frozenset[Adjustment] = frozenset()) -> Catalog:
    """The core with those attributes in an extension of User, and a type Thing."""
    definitions: list[JsonObject] = []
    if tags:
        definitions.append({"id": TAG, "name": "Tag", "attributes": list(tags)})
    if thing:
        definitions.append({"id": THING, "name": "Thing", "attributes": [{"name": "label"}]})
        definitions.append({"name": "Thing", "endpoint": "/Things", "schema": THING})
    return build_catalog(definitions, adjusted)


def tag(**characteristics: object) -> JsonObject:
    """The attribute tag."""
    return {"name": "tag", **characteristics}


@pytest.fixture
async def store(tmp_path: Path) -> AsyncIterator[SqlStore]:
    """Users with tags and notes, in two tenants, a group and a thing."""
    opened = open_store(f"sqlite:///{tmp_path}/rollbook.db", catalog(tag(), {"name": "note"}, thing=True))
    await opened.open()
    for tenant in (1, 2):
        for name, value in (("a", "One"), ("b", "one"), ("c", "two")):
            document = {"userName": name, TAG: {"tag": value, "note": f"n{name}"}, "externalId": "e"}
            await opened.insert(tenant, kind(opened, "User"), f"{name}{tenant}", Change(document), AUTHOR)
    members = (Member("a1"), Member("b1"))
    await opened.insert(1, kind(opened, "Group"), "g", Change({"displayName": "G"}, members), AUTHOR)
    await opened.insert(1, kind(opened, "Thing"), "t", Change({"label": "L"}), AUTHOR)
    yield opened
    assert await opened.check() == []
    await opened.close()


def kind(store: SqlStore, name: str) -> ResourceType:
    """A resource type as the store has it."""
    found = store.catalog.resource_type(name)
    assert found is not None
    return found


def counts(survey: Survey) -> dict[tuple[str, Fault, str], int]:
    """What was found how often."""
    return {(name, each.fault, each.where): number for (name, each), number in survey.counts.items()}


@pytest.mark.parametrize(
    ("wanted", "expected"),
    [
        (catalog(tag(), {"name": "note"}, thing=True), {}),
        (catalog(tag(caseExact=True), {"name": "note"}, {"name": "more"}, thing=True), {}),
        (catalog(tag(), thing=True), {("User", Fault.DROPPED, f"{TAG}:note"): 6}),
        (catalog(thing=True), {("User", Fault.DROPPED, TAG): 6}),
        (catalog(tag(type="integer"), {"name": "note"}, thing=True), {("User", Fault.UNFIT, f"{TAG}:tag"): 6}),
        (catalog(tag(uniqueness="server"), {"name": "note"}, thing=True), {("User", Fault.NOT_UNIQUE, f"{TAG}:tag"): 2}),
        (catalog(tag(caseExact=True, uniqueness="server"), {"name": "note"}, thing=True), {}),
        (catalog(tag(), {"name": "note"}), {("Thing", Fault.NO_TYPE, ""): 1}),
        (catalog(tag(), {"name": "note"}, {"name": "must", "required": True}, thing=True),
         {("User", Fault.MISSING, f"{TAG}:must"): 6}),
        (catalog(tag(), {"name": "note"}, thing=True, adjusted=frozenset({Adjustment.UNIQUE_EXTERNAL_IDS})),
         {("User", Fault.NOT_UNIQUE, "externalId"): 4}),
        (catalog(tag(), {"name": "note"}, thing=True, adjusted=frozenset({Adjustment.UNIQUE_GROUP_NAMES})), {}),
    ],
)  # fmt: skip
async def test_survey(store: SqlStore, wanted: Catalog, expected: dict[tuple[str, Fault, str], int]) -> None:
    """Every resource of a type that changes is judged, in every tenant; uniqueness is per tenant and type."""
    before = await store.last_change(1)
    seen: list[tuple[int, int]] = []
    survey = await store.survey(wanted, lambda done, of: seen.append((done, of)))
    assert counts(survey) == expected
    assert seen[-1][0] == seen[-1][1] == survey.looked_at
    assert all(1 <= len(examples) <= 3 for examples in survey.examples.values())
    assert await store.last_change(1) == before


@pytest.mark.parametrize("drop", [False, True])
async def test_what_would_not_be_valid_is_not_taken(store: SqlStore, drop: bool) -> None:
    """A survey with faults is refused as a whole, drops agreed to or not, and nothing changes."""
    before = store.catalog
    survey = await store.survey(catalog(tag(type="integer"), thing=True))
    with pytest.raises(Conflict, match="nothing was changed"):
        await store.redefine(survey, LATER, drop=drop)
    assert store.catalog == before
    record = await store.get(1, kind(store, "User"), "a1")
    assert record is not None
    assert b"na" in record.body


async def test_drops_must_be_agreed_to(store: SqlStore) -> None:
    """Values are dropped only when that is said; then each resource has a new version and a log entry."""
    wanted = catalog(tag(), thing=True)
    with pytest.raises(Conflict):
        await store.redefine(await store.survey(wanted), LATER, drop=False)
    log = await store.last_change(2)
    assert await store.redefine(await store.survey(wanted), LATER, drop=True) == 6
    assert store.catalog == wanted
    record = await store.get(2, kind(store, "User"), "a2")
    assert record is not None
    assert b"note" not in record.body
    assert b'"tag":"One"' in record.body
    assert record.version.endswith('-2"')
    entries = await store.changes(2, log, 10)
    assert [(entry.author, entry.operation, entry.detail) for entry in entries] == [
        ("change", "update", {"attributes": [f"{TAG}:note"]})
    ] * 3


async def test_what_was_written_since_the_survey_is_judged(store: SqlStore) -> None:
    """A resource that would not be valid is found although it was written after the survey."""
    wanted = catalog(tag(type="integer"), {"name": "note"}, thing=True)
    for identifier in ("a1", "b1", "c1", "a2", "b2", "c2"):
        await store.update(int(identifier[1]), kind(store, "User"), identifier, _untagged, Scope(), AUTHOR)
    survey = await store.survey(wanted)
    assert survey.is_lossless
    late = Change({"userName": "late", TAG: {"tag": "text"}})
    await store.insert(2, kind(store, "User"), "late", late, AUTHOR)
    with pytest.raises(Conflict):
        await store.redefine(survey, LATER, drop=True)
    assert await store.delete(2, kind(store, "User"), "late", AUTHOR)
    assert await store.redefine(survey, LATER, drop=False) == 0


def _untagged(present: Present) -> Change:
    return Change({"userName": present.document["userName"]})


async def test_late_clashes_are_decided_by_the_index(store: SqlStore) -> None:
    """Values that stopped being unique after the survey keep the definitions from being taken."""
    wanted = catalog(tag(caseExact=True, uniqueness="server"), {"name": "note"}, thing=True)
    survey = await store.survey(wanted)
    assert survey.is_lossless
    await store.insert(
        1, kind(store, "User"), "late", Change({"userName": "late", TAG: {"tag": "One"}}), AUTHOR
    )
    with pytest.raises(StoreUnavailable, match=f"{TAG}:tag"):
        await store.redefine(survey, LATER, drop=False)
    assert store.catalog.resource_type("Thing") is not None


async def test_another_process_follows(store: SqlStore) -> None:
    """Who holds older definitions cannot write by them, is told so, and goes on once it has followed."""
    other = SqlStore(SqliteFile(Path(store.database.name)))
    await other.open()
    try:
        assert not await other.follow()
        wanted = catalog(tag(), {"name": "note"}, {"name": "more"}, thing=True)
        await other.redefine(await other.survey(wanted), LATER, drop=False)
        before = await store.last_change(1)
        change = Change({"userName": "new"})
        with pytest.raises(DefinitionsChanged, match="ask again"):
            await store.insert(1, kind(store, "User"), "new", change, AUTHOR)
        assert await store.last_change(1) == before
        assert await store.follow()
        assert store.catalog == wanted
        await store.insert(1, kind(store, "User"), "new", change, AUTHOR)
    finally:
        await other.close()


async def test_i_06_a_write_that_waited_out_a_change(store: SqlStore) -> None:
    """Decided before the change, and its turn only after this process has followed: it is not written by the former layout."""
    known = await store.layout(1)
    await store.redefine(await store.survey(catalog(tag(), thing=True)), LATER, drop=True)
    with pytest.raises(DefinitionsChanged):
        await store._write(1, known, lambda connection, _: connection.run("DELETE FROM resource"))
    assert await store.check() == []


async def test_two_changes_at_once(store: SqlStore) -> None:
    """Of two who surveyed the same definitions the second is told that they have changed."""
    first = await store.survey(catalog(tag(), {"name": "note"}, {"name": "x"}, thing=True))
    second = await store.survey(catalog(tag(), {"name": "note"}, {"name": "y"}, thing=True))
    await store.redefine(first, LATER, drop=False)
    with pytest.raises(DefinitionsChanged):
        await store.redefine(second, LATER, drop=False)


async def test_older_form_is_read(store: SqlStore) -> None:
    """Definitions as they were kept before anything could be adjusted are understood."""
    text = orjson.dumps(list(store.catalog.documents)).decode()
    await store.database.write(
        1,
        lambda connection: connection.run("UPDATE setting SET value = ? WHERE name = 'definitions'", (text,)),
    )
    other = SqlStore(SqliteFile(Path(store.database.name)))
    await other.open()
    assert other.catalog == store.catalog
    await other.close()
