"""`python -m bench.scale`: what a large store costs beside single requests, on the stores that `bench.costs` has made.

Memory of the server while it sends what is large; counting half a million matches; short reads while a filter runs
that no index serves; many writes that share a commit against a commit for each; SCIM Bulk against single requests; and
a page against the bare SQL for its rows.
"""

import argparse
import asyncio
import json
import os
import statistics
import sys
import time
from collections.abc import Awaitable, Callable
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any
from urllib.parse import quote

import psutil
import pyqwest
from bench.cases import user
from bench.costs import opened
from bench.report import machine_facts
from bench.soak import serving

from rollbook.protocol.catalog import core_catalog
from rollbook.protocol.resource import Change
from rollbook.storage.base import Author
from rollbook.storage.sql.group_commit import BATCH
from rollbook.storage.sql.sqlite import SqliteConnection
from rollbook.storage.sql.sqlite_file import SqliteFile
from rollbook.storage.sql.store import SqlStore
from rollbook.testing.store_steps import TENANT, USER

DOCUMENT = Path(__file__).parent.parent / "docs" / "performance.md"
BEGIN, END = "<!-- scale: begin -->", "<!-- scale: end -->"
USERS = "/scim/v2/Users"
CLIENTS = 32
WRITES = 4_000
BULK = 1_000

Row = tuple[str, str, str]
"""What was measured, the figure, and what was expected."""


class Http:
    """A client of a server, over one connection for each call that waits."""

    def __init__(self, port: int, token: str) -> None:
        self._base = f"http://127.0.0.1:{port}"
        self._headers = {"Authorization": f"Bearer {token}", "Content-Type": "application/scim+json"}
        self._client = pyqwest.Client(pyqwest.HTTPTransport())

    async def __call__(self, method: str, path: str, body: str | None = None) -> bytes:
        answer = await self._client.execute(
            method, self._base + path, self._headers, body.encode() if body else None
        )
        if answer.status >= 400:
            raise RuntimeError(f"{method} {path}: {answer.status} {answer.content[:300]!r}")
        return answer.content


async def memory(ask: Http, process: psutil.Process) -> list[Row]:
    """Most memory over the idle process, by what is asked for; caches are part of it."""
    await ask("GET", f"{USERS}/u5?attributes=id")
    idle, rows = _resident(process), []
    cases = (
        ("a group of 100,000 members", "/scim/v2/Groups/g0", 1),
        ("a list of 1,000 users", f"{USERS}?count=1000", 1),
        ("the group, 8 at once", "/scim/v2/Groups/g0", 8),
    )
    for name, path, at_once in cases:
        most = 0.0
        for _ in range(3):
            calls = asyncio.gather(*(ask("GET", path) for _ in range(at_once)))
            while not calls.done():
                await asyncio.sleep(0.005)
                most = max(most, _resident(process))
            await calls
        rows.append(
            (f"memory over the idle server ({idle:.0f} MB): {name}", f"{most - idle:.0f} MB", "< 100 MB")
        )
    return rows


def _resident(process: psutil.Process) -> float:
    return float(sum(each.memory_info().rss for each in [process, *process.children(recursive=True)])) / 1e6


async def counting(ask: Http, users: int) -> list[Row]:
    """The first page of half of all users, which are counted; and a page by cursor, for which they are not."""
    text = quote(f'userName lt "user{users // 2:08}"')
    target = f"{USERS}?filter={text}&count=10&attributes=userName"
    first, answer = await _median(lambda: ask("GET", f"{target}&cursor"), 5)
    found = json.loads(answer)
    later, _ = await _median(lambda: ask("GET", f"{target}&cursor={found['nextCursor']}"), 20)
    name = f"{found['totalResults']:,} matches counted"
    return [
        (f"{name}, first page", f"{first * 1e3:.0f} ms", "once per query"),
        (f"{name}, next page by cursor", f"{later * 1e3:.1f} ms", "–"),
    ]


async def beside_a_filter(ask: Http) -> list[Row]:
    """Short reads, alone and while others ask for what no index serves."""
    alone = await _reads(ask, 2_000)
    text = quote('title eq "title3" and userName lt "user00045000"')
    target = f"{USERS}?filter={text}&count=10"
    stop = False
    times: list[float] = []

    async def search() -> None:
        while not stop:
            begun = time.perf_counter()
            await ask("GET", target)
            times.append(time.perf_counter() - begun)

    searching = [asyncio.create_task(search()) for _ in range(2)]
    await asyncio.sleep(0.5)
    beside = await _reads(ask, 2_000)
    stop = True
    await asyncio.gather(*searching)
    name = f"read by id, p99 (p50), one client, beside two with filters that look at 45,000 documents ({statistics.median(times):.1f} s each)"
    return [
        ("read by id, p99 (p50), one client, nothing beside", _tail(alone), "–"),
        (name, _tail(beside), "–"),
    ]


async def _reads(ask: Http, number: int) -> list[float]:
    times = []
    for at in range(number):
        begun = time.perf_counter()
        await ask("GET", f"{USERS}/u{at * 7}")
        times.append(time.perf_counter() - begun)
    return sorted(times)


def _tail(times: list[float]) -> str:
    return f"{times[len(times) * 99 // 100] * 1e3:.1f} ({times[len(times) // 2] * 1e3:.2f}) ms"


async def _median(work: Callable[[], Awaitable[Any]], times: int) -> tuple[float, Any]:
    seconds, answer = [], None
    for _ in range(times):
        begun = time.perf_counter()
        answer = await work()
        seconds.append(time.perf_counter() - begun)
    return statistics.median(seconds), answer


def _user(name: str, number: int) -> str:
    """A user that no filter of `bench.costs` finds: the stores are the same."""
    return user(name, number).replace('"department":"', '"department":"Scale ')


async def bulk(ask: Http) -> list[Row]:
    """A thousand creates in one request, against as many by one client one after the other; they sort after all others."""
    run = time.time_ns()
    begun = time.perf_counter()
    for number in range(BULK):
        await ask("POST", USERS, _user(f"z{run}{number}", number))
    single = BULK / (time.perf_counter() - begun)
    rates = []
    for turn in range(3):
        operations = [
            {
                "method": "POST",
                "path": "/Users",
                "bulkId": str(at),
                "data": json.loads(_user(f"z{run}{turn}-{at}", at)),
            }
            for at in range(BULK)
        ]
        message = {"schemas": ["urn:ietf:params:scim:api:messages:2.0:BulkRequest"], "Operations": operations}
        content = json.dumps(message)
        begun = time.perf_counter()
        await ask("POST", "/scim/v2/Bulk", content)
        rates.append(BULK / (time.perf_counter() - begun))
    rate = statistics.median(rates)
    return [
        (
            f"Bulk of {BULK:,} creates against one client's POST ({rate:,.0f}/s, {single:,.0f}/s)",
            f"{rate / single:.1f} ×",
            "≥ 4 ×",
        )
    ]


def group_commit(directory: Path) -> list[Row]:
    """Creates of 32 tasks that share transactions, against a transaction for each; in this process, both durable."""
    flush = machine_facts(directory)["disk flush"]
    rates: dict[int, list[float]] = {}
    for turn in range(3):
        for batch in (BATCH, 1):
            rates.setdefault(batch, []).append(asyncio.run(_creates(directory / f"{turn}-{batch}.db", batch)))
    together, alone = (statistics.median(found) for found in rates.values())
    name = f"32 clients that share commits against a commit for each ({together:,.0f}/s, {alone:,.0f}/s; a flush of the disk takes {flush})"
    return [(name, f"{together / alone:.1f} ×", "≥ 2.5 ×")]


async def _creates(path: Path, batch: int) -> float:
    database = SqliteFile(path)
    database.batch = batch
    store = SqlStore(database, core_catalog())
    await store.open()
    numbers = iter(range(WRITES))
    documents = [json.loads(user(f"g{number}", number)) for number in range(WRITES)]
    for document in documents:
        del document["schemas"]

    async def work() -> None:
        for number in numbers:
            await store.insert(TENANT, USER, f"g{number}", Change(documents[number]), Author("bench", 1))

    begun = time.perf_counter()
    await asyncio.gather(*(work() for _ in range(CLIENTS)))
    rate = WRITES / (time.perf_counter() - begun)
    await store.close()
    return rate


async def page(url: str, users: int) -> list[Row]:
    """A page of 100 users through the whole application, against SQL for what it is made of, in this process."""
    path = Path(url.removeprefix("sqlite:///"))
    connection = SqliteConnection(path)
    sql = """SELECT r.id, r.version, r.created, r.modified, r.body,
        (SELECT json_group_array(json_array(o.id, o.type, o.display)) FROM membership m CROSS JOIN resource o ON o.pk = m.container
            WHERE m.tenant = r.tenant AND m.member = r.pk)
        FROM resource r WHERE r.tenant = 1 AND r.type = 'User' AND r.pk > ? ORDER BY r.pk LIMIT 100"""
    after = (1 << 40) + users // 2
    async with opened(url, users) as store:
        target = f"{USERS}?startIndex={users // 2 + 1}&count=100"
        await store.get(f"{USERS}?startIndex={users // 2 - 99}&count=100")
        times: dict[str, list[float]] = {"ours": [], "sql": []}
        for _ in range(300):
            begun = time.perf_counter()
            await store.get(target)
            middle = time.perf_counter()
            connection.all(sql, (after,))
            times["ours"].append(middle - begun)
            times["sql"].append(time.perf_counter() - middle)
    connection.close()
    ours, bare = (statistics.median(found) for found in times.values())
    return [
        (
            f"page of 100 users against SQL for its rows ({ours * 1e3:.2f}, {bare * 1e3:.2f} ms)",
            f"{bare / ours:.2f} ×",
            "≥ 0.6 ×",
        )
    ]


async def over_http(port: int, token: str, process: psutil.Process, users: int) -> list[Row]:
    """What is measured at a server of its own."""
    ask = Http(port, token)
    return [
        *await memory(ask, process),
        *await counting(ask, users),
        *await beside_a_filter(ask),
        *await bulk(ask),
    ]


def main() -> int:
    """Measure on SQLite, and on a PostgreSQL database if one is named."""
    parser = argparse.ArgumentParser(prog="python -m bench.scale", description=__doc__)
    parser.add_argument("--directory", type=Path, required=True, help="where bench.costs has made its stores")
    parser.add_argument("--users", type=int, default=1_000_000, help="users in the large store")
    parser.add_argument("--postgres", help="URL of the large store in PostgreSQL")
    parser.add_argument("--write", action="store_true", help="update docs/performance.md")
    options = parser.parse_args()
    os.environ.setdefault("NO_COLOR", "1")
    found: dict[str, list[Row]] = {}
    with TemporaryDirectory(prefix="rollbook-scale-", ignore_cleanup_errors=True) as named:
        directory = Path(named)
        url = f"sqlite:///{(options.directory / f'large-{options.users}.db').absolute()}"
        found["SQLite"] = [*group_commit(directory), *asyncio.run(page(url, options.users))]
        for name, each in (
            ("SQLite", url),
            *([("PostgreSQL", options.postgres)] if options.postgres else []),
        ):
            with serving(each, 1, directory) as (port, token, process):
                found.setdefault(name, []).extend(asyncio.run(over_http(port, token, process, options.users)))
    text = _table(found)
    print(text)
    if options.write:
        document = DOCUMENT.read_text("utf-8")
        head, rest = document.split(BEGIN)
        DOCUMENT.write_text(f"{head}{BEGIN}\n\n{text}\n\n{END}{rest.split(END)[1]}", "utf-8")
    return 0


def _table(found: dict[str, list[Row]]) -> str:
    lines = ["| | | measured | expected |", "|---|---|---|---|"]
    lines += [
        f"| {name} | {title} | {figure} | {wanted} |"
        for name, rows in found.items()
        for title, figure, wanted in rows
    ]
    return "\n".join(lines)


if __name__ == "__main__":
    sys.exit(main())
