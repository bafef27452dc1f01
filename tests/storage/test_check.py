"""The check of a database sees every kind of damage it is there for."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from rollbook.protocol import urns
from rollbook.protocol.catalog import core_catalog
from rollbook.storage.sql.databases import open_store
from rollbook.storage.sql.log import version_number
from rollbook.storage.sql.store import SqlStore
from rollbook.testing.store_steps import LATER, TENANT, USER, add_group, add_user, join, leave

pytestmark = pytest.mark.anyio


_BODY = (
    f'{{"schemas":[],"userName":"ann","{urns.ENTERPRISE_USER}":{{"manager":{{"$ref":"x","value":"bob"}}}}}}'
)
STRANGE = f"UPDATE resource SET body = CAST('{_BODY}' AS BLOB) WHERE id = 'ann'"
"""What the server makes of a reference is stored."""


@pytest.fixture
async def store(tmp_path: Path) -> AsyncIterator[SqlStore]:
    """Two users, a group of both, and a user that is gone."""
    opened = open_store(f"sqlite:///{tmp_path}/rollbook.db", core_catalog())
    await opened.open()
    for name in ("ann", "bob", "gone"):
        await add_user(opened, name, emails=[{"value": f"{name}@x.org"}])
    await add_group(opened, "g", "ann", "gone")
    await join(opened, "g", "bob")
    await opened.delete(TENANT, USER, "gone", LATER)
    await leave(opened, "g", "bob")
    yield opened
    await opened.close()


async def test_a_sound_database_has_no_faults(store: SqlStore) -> None:
    """Nothing is said of a database that nobody damaged."""
    assert await store.check() == []


@pytest.mark.parametrize(
    ("damage", "words"),
    [
        ("DELETE FROM value WHERE key = x'616e6e40782e6f7267'", "User ann: no index row"),
        ("UPDATE value SET element = 1 WHERE key = x'616e6e40782e6f7267'", "User ann: no index row"),
        ("INSERT INTO value VALUES (1, 1, x'00', 1, 0)", "table value has"),
        ("DELETE FROM unique_value WHERE key = x'616e6e'", "User ann: no unique value"),
        ("INSERT INTO unique_value VALUES (1, 1, x'00', 1)", "table unique_value has"),
        (
            "DELETE FROM part WHERE rowid = (SELECT pk FROM resource WHERE id = 'ann')",
            "User ann: not found by parts of its texts",
        ),
        ("INSERT INTO part (rowid, c0) VALUES (1, 'abc')", "parts of texts are kept of"),
        ("UPDATE resource SET display = 'x' WHERE id = 'ann'", "User ann: its label"),
        (STRANGE, "a reference is stored with more than its id"),
        ("UPDATE resource SET version = 0 WHERE id = 'ann'", "User ann: version 0"),
        ("UPDATE counter SET resources = 3 WHERE type = 'User'", "2 resources of type User, counted as 3"),
        ("DELETE FROM counter WHERE type = 'Group'", "1 resources of type Group, counted as 0"),
        ("INSERT INTO counter VALUES (1, 'Device', 1)", "0 resources of type Device, counted as 1"),
        ("UPDATE sequence SET resource = 1", "a sequence is behind"),
        ("UPDATE sequence SET change = 1", "a sequence is behind"),
        ("INSERT INTO membership VALUES (1, 1, 1)", "one does not exist"),
        ("UPDATE membership SET tenant = 2", "one does not exist"),
        ("UPDATE departed SET tenant = 2", "noted as a former member"),
        ("DELETE FROM resource WHERE id = 'bob'", "noted as a former member"),
        ("UPDATE resource SET version = 7 WHERE id = 'g'", "g is at version 7, its last log entry says"),
        ("DELETE FROM change WHERE id = 'bob'", "bob has no log entry"),
        ("DELETE FROM change WHERE id = 'gone' AND operation = 'delete'", "gone is gone without a log entry"),
        ("UPDATE change SET operation = 'delete' WHERE id = 'bob'", "bob is there, although"),
        ("INSERT INTO past VALUES (1, 1, x'7b7d', NULL, NULL)", "kept for log entry 1, which ended none"),
        ("UPDATE past SET sequence = 999 WHERE sequence = 6", "kept for log entry 999"),
        ("UPDATE past SET sequence = 2 WHERE sequence = 6", "what gone was before log entry 6 is not kept"),
    ],
)  # fmt: skip
async def test_damage_is_seen(store: SqlStore, damage: str, words: str) -> None:
    """I-02, I-03, I-06, I-07: each broken invariant is named."""
    assert await store.database.write(1, lambda connection: connection.run(damage)) > 0
    assert any(words in fault for fault in await store.check())


def test_version_numbers_are_read_from_their_text() -> None:
    """The epoch may hold anything but does not count."""
    assert version_number('W/"ab-c-12"') == 12
