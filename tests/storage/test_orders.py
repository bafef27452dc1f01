"""Orders in the database, on both kinds: taken up once, one at a time, and gone on with after a worker's death."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from tests.postgres_server import empty

from rollbook.protocol.catalog import core_catalog
from rollbook.protocol.errors import Conflict
from rollbook.storage.orders import Ending, Orderer, OrderKind, OrderState
from rollbook.storage.sql.databases import open_store
from rollbook.storage.sql.orders import LATEST, LINES, MOST_OPEN, NEXT, ONE, SqlOrders
from rollbook.storage.sql.store import SqlStore

pytestmark = pytest.mark.anyio

BOSS = Orderer("token ops", "tok1", "192.0.2.7")
LEASE = 60


@pytest.fixture(params=["sqlite", "postgresql"])
async def store(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[SqlStore]:
    """An empty store."""
    url = f"sqlite:///{tmp_path}/store.db"
    if request.param == "postgresql":
        url = request.getfixturevalue("postgres_database")
        empty(url)
    opened = open_store(url, core_catalog())
    await opened.open()
    yield opened
    await opened.close()


@pytest.fixture
def orders(store: SqlStore) -> SqlOrders:
    """What is to be tried."""
    return SqlOrders(store.database)


async def test_one_at_a_time_in_order(orders: SqlOrders) -> None:
    """Nobody else takes one up while somebody is at work; then the next one, each once."""
    for kind in (OrderKind.PLAN, OrderKind.APPLY):
        await orders.add(1, kind, {"targets": ["app"]}, BOSS, 5)
    first = await orders.take(1, "a", 10, 10 + LEASE)
    assert first is not None
    assert (first.number, first.state, first.by, first.begun, first.attempts) == (
        1, OrderState.RUNNING, BOSS, 10, 1,
    )  # fmt: skip
    assert await orders.take(1, "b", 11, 11 + LEASE) is None
    assert await orders.end(1, 1, "a", Ending(OrderState.DONE, {"x": 1}), 12)
    second = await orders.take(1, "b", 13, 13 + LEASE)
    assert second is not None
    assert (second.number, second.asked) == (2, {"targets": ["app"]})
    assert await orders.end(1, 2, "b", Ending(OrderState.FAILED, {}, "why"), 14)
    assert await orders.take(1, "a", 15, 15 + LEASE) is None
    assert [(one.number, one.result, one.error, one.ended) for one in await orders.page(1, 9)] == [
        (2, {}, "why", 14), (1, {"x": 1}, None, 12),
    ]  # fmt: skip


async def test_fe_14_a_dead_workers_order_is_taken_up_and_its_late_word_is_nothing(orders: SqlOrders) -> None:
    """What it has noted is there for the next; what it says when it comes back is not taken."""
    await orders.add(1, OrderKind.APPLY, {}, BOSS, 5)
    await orders.take(1, "a", 10, 10 + LEASE)
    assert await orders.note(1, 1, "a", run=7, progress={"reviewed": 1})
    assert await orders.hold(1, 1, "a", 20 + LEASE)
    assert await orders.take(1, "b", 10 + LEASE, 99) is None
    taken = await orders.take(1, "b", 20 + LEASE, 200)
    assert taken is not None
    assert (taken.run, taken.progress, taken.attempts, taken.begun) == (7, {"reviewed": 1}, 2, 10)
    for late in (
        orders.hold(1, 1, "a", 999),
        orders.note(1, 1, "a", run=8),
        orders.give_back(1, 1, "a"),
        orders.end(1, 1, "a", Ending(OrderState.DONE), 30),
    ):
        assert not await late
    assert await orders.note(1, 1, "b", run=9)
    again = await orders.order(1, 1)
    assert again is not None
    assert (again.run, again.state) == (7, OrderState.RUNNING)


async def test_what_is_given_back_or_left_by_the_dead_waits_for_nobody(orders: SqlOrders) -> None:
    """The next worker goes on at once; to give back is no attempt."""
    await orders.add(1, OrderKind.PULL, {}, BOSS, 5)
    await orders.take(1, "a", 10, 10 + LEASE)
    assert await orders.give_back(1, 1, "a")
    taken = await orders.take(1, "b", 11, 11 + LEASE)
    assert taken is not None
    assert taken.attempts == 1
    await orders.free(1)
    taken = await orders.take(1, "c", 12, 12 + LEASE)
    assert taken is not None
    assert taken.attempts == 2


async def test_only_what_waits_is_cancelled(orders: SqlOrders) -> None:
    """What runs or has ended is not, and what was cancelled is never taken up."""
    for _ in range(2):
        await orders.add(1, OrderKind.PULL, {}, BOSS, 5)
    await orders.take(1, "a", 10, 10 + LEASE)
    assert not await orders.cancel(1, 1, 11)
    assert await orders.cancel(1, 2, 11)
    assert not await orders.cancel(1, 2, 12)
    assert not await orders.cancel(2, 1, 12)
    await orders.end(1, 1, "a", Ending(OrderState.DONE), 12)
    assert await orders.take(1, "a", 13, 13 + LEASE) is None


async def test_lines_are_written_anew_by_whoever_begins_again(orders: SqlOrders) -> None:
    """Half a book of a worker that has died is written over, and none of it is left beyond the end."""
    await orders.add(1, OrderKind.PLAN, {}, BOSS, 5)
    await orders.write_lines(1, 1, 0, [{"who": name} for name in "abc"])
    await orders.write_lines(1, 1, 3, [{"who": name} for name in "de"])
    await orders.write_lines(1, 1, 0, [{"who": name} for name in "xy"])
    assert list(await orders.lines(1, 1, 0, 9)) == [(1, {"who": "x"}), (2, {"who": "y"})]
    assert list(await orders.lines(1, 1, 1, 9)) == [(2, {"who": "y"})]
    assert list(await orders.lines(2, 1, 0, 9)) == []


async def test_old_ones_are_forgotten(orders: SqlOrders) -> None:
    """Lines first, then all of them; what is open stays."""
    for _ in range(2):
        await orders.add(1, OrderKind.PLAN, {}, BOSS, 5)
    await orders.write_lines(1, 1, 0, [{"who": "a"}])
    await orders.take(1, "a", 10, 10 + LEASE)
    await orders.end(1, 1, "a", Ending(OrderState.DONE), 20)
    await orders.forget(1, 20, 20)
    assert await orders.lines(1, 1, 0, 9)
    await orders.forget(1, 21, 20)
    assert not await orders.lines(1, 1, 0, 9)
    await orders.forget(1, 21, 21)
    assert [one.number for one in await orders.page(1, 9)] == [2]
    assert (await orders.add(1, OrderKind.PLAN, {}, BOSS, 30)).number == 3


async def test_so_many_wait(orders: SqlOrders) -> None:
    """No more than can be looked over; another tenant's are counted there."""
    for _ in range(MOST_OPEN):
        await orders.add(1, OrderKind.PLAN, {}, BOSS, 5)
    with pytest.raises(Conflict):
        await orders.add(1, OrderKind.PLAN, {}, BOSS, 5)
    await orders.add(2, OrderKind.PLAN, {}, BOSS, 5)


async def test_a_worker_is_seen(orders: SqlOrders) -> None:
    """Each tenant has its own."""
    assert await orders.last_seen(1) is None
    await orders.see(1, 5)
    await orders.see(1, 7)
    assert (await orders.last_seen(1), await orders.last_seen(2)) == (7, None)


@pytest.mark.parametrize(
    ("statement", "index"),
    [(NEXT, "work_order_open"), (ONE, "work_order"), (LATEST, "work_order"), (LINES, "work_line")],
)
async def test_statements_are_served_by_an_index(tmp_path: Path, statement: str, index: str) -> None:
    """However many there are; what is looked for twice a second is not sorted."""
    opened = open_store(f"sqlite:///{tmp_path}/store.db", core_catalog())
    await opened.open()
    values = (1,) * statement.count("?")
    rows = await opened.database.read(
        lambda connection: connection.all(f"EXPLAIN QUERY PLAN {statement}", values)
    )
    await opened.close()
    plan = " ".join(str(row[-1]) for row in rows)
    assert "SCAN" not in plan, plan
    assert "TEMP B-TREE" not in plan, plan
    assert index in plan
