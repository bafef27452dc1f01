"""`python -m bench.costs`: what requests cost in a large store against a small one, on both databases, in one run.

Both stores have users whose attributes are shared by 1 or by 100, so that a request matches as many in either. The
requests go to the application in this process, without a socket; each is timed alone, in turns at both sizes.
"""

import argparse
import asyncio
import json
import os
import statistics
import sys
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import orjson

from rollbook.app import now, running
from rollbook.operations import tokens
from rollbook.protocol import urns
from rollbook.settings import Settings
from rollbook.testing.asgi import AsgiCaller

SMALL, LARGE = 10_000, 1_000_000
READS, WRITES = 1.3, 2.0
"""What a request may cost in the large store, as a multiple of the small one."""

DOCUMENT = Path(__file__).parents[1] / "docs" / "performance.md"
BEGIN, END = "<!-- costs: begin -->", "<!-- costs: end -->"

USERS = "/scim/v2/Users"
GROUPS = "/scim/v2/Groups"


def user(number: int) -> dict[str, Any]:
    """A user; those of one hundred share family name, department and a word in their title."""
    hundred = number // 100
    return {
        "schemas": [urns.USER, urns.ENTERPRISE_USER],
        "id": f"u{number}",
        "userName": f"user{number:08}@corp.example",
        "externalId": f"ext-{number}",
        "name": {"givenName": f"Given{number}", "familyName": f"Family{hundred}"},
        "displayName": f"Person {number}"
        + (" needle" if number == 77 else " haystack" if hundred == 5 else ""),
        "title": f"title{number % 7}",
        "active": True,
        "emails": [
            {"value": f"mail{number}@corp.example", "type": "work", "primary": True},
            {"value": f"home{hundred}@home.example", "type": "home"},
        ],
        urns.ENTERPRISE_USER: {"employeeNumber": str(number), "department": f"department {hundred}"},
    }


def group(number: int, members: Iterator[int]) -> dict[str, Any]:
    """A group."""
    values = [{"value": f"u{member}"} for member in members]
    return {"schemas": [urns.GROUP], "id": f"g{number}", "displayName": f"group {number}", "members": values}


def lines(users: int) -> Iterator[bytes]:
    """An import file: users, one group of a tenth of them (of all, in the small store), user 5 in 1,000 groups."""
    for number in range(users):
        yield orjson.dumps(user(number)) + b"\n"
    yield orjson.dumps(group(0, iter(range(max(SMALL, users // 10))))) + b"\n"
    for number in range(1, max(1_101, users // 100)):
        few = {(number * 37 + each * 7919) % users for each in range(10)} - {5}
        yield orjson.dumps(group(number, iter([*few, *([5] if number <= 1_000 else [])]))) + b"\n"


@dataclass
class Store:
    """An open application over a store of so many users."""

    call: AsgiCaller
    users: int
    made: int = field(default_factory=lambda: time.time_ns() // 1000)
    seen: dict[str, list[float]] = field(default_factory=dict)
    cursors: dict[str, str] = field(default_factory=dict)

    async def get(self, target: str, found: int | None = None) -> Any:
        """A GET whose answer has so many results, if a list is due."""
        answer = await self.call("GET", target)
        assert answer.status == 200, (target, answer.status, answer.body[:300])
        if found is not None:
            counted = answer.json["totalResults"]
            assert counted == found, (target, counted, found)
        return answer

    async def send(self, method: str, target: str, body: Any, *statuses: int) -> Any:
        """A write."""
        answer = await self.call(method, target, body)
        assert answer.status in statuses, (method, target, answer.status, answer.body[:300])
        return answer


def _filter(text: str, **more: object) -> str:
    from urllib.parse import quote

    rest = "".join(f"&{name}={value}" for name, value in more.items())
    return f"{USERS}?filter={quote(text)}{rest}"


def _patch(op: str, **operation: object) -> dict[str, Any]:
    return {"schemas": [urns.PATCH_OP], "Operations": [{"op": op, **operation}]}


Work = Callable[[Store], Awaitable[Any]]


@dataclass(frozen=True)
class Case:
    """A request, what it may cost, and what has to be done before each without being timed."""

    name: str
    work: Work
    limit: float = READS
    before: Work | None = None
    times: int = 60


def _lists(name: str, text: str, found: int, **more: object) -> Case:
    return Case(name, lambda store: store.get(_filter(text, **more), found))


def _page(name: str, query: str, at: Callable[[int], int]) -> Case:
    """A page by startIndex, after the page before it was asked for: clients walk pages in order."""

    def target(start: int) -> str:
        return f"{USERS}?startIndex={start}&count=100{query}"

    async def before(store: Store) -> None:
        start = at(store.users)
        if start > 100:
            await store.get(target(start - 100))

    return Case(name, lambda store: store.get(target(at(store.users))), READS, before, 12)


async def _make(store: Store) -> str:
    store.made += 1
    body = user(10_000_000 + store.made)
    del body["id"]
    return str((await store.send("POST", USERS, body, 201)).json["id"])


def _with_fresh(
    name: str,
    work: Callable[[Store, str], Awaitable[Any]],
    prepare: Callable[[Store, str], Awaitable[Any]] | None = None,
) -> Case:
    """A write on a user that was made for it."""
    kept: dict[int, str] = {}

    async def before(store: Store) -> None:
        kept[id(store)] = await _make(store)
        if prepare is not None:
            await prepare(store, kept[id(store)])

    return Case(name, lambda store: work(store, kept[id(store)]), WRITES, before, 40)


async def _add(store: Store, member: str) -> Any:
    return await store.send(
        "PATCH", f"{GROUPS}/g0", _patch("add", path="members", value=[{"value": member}]), 200, 204
    )


async def _remove(store: Store, member: str) -> Any:
    return await store.send(
        "PATCH", f"{GROUPS}/g0", _patch("remove", path=f'members[value eq "{member}"]'), 200, 204
    )


async def _into_a_thousand(store: Store, member: str) -> None:
    for number in range(1, 1_001):
        body = _patch("add", path="members", value=[{"value": member}])
        await store.send("PATCH", f"{GROUPS}/g{number}", body, 200, 204)


async def _walk_to_a_cursor(store: Store) -> None:
    """The cursor of a page in the middle of a walk, kept for all times."""
    if "middle" not in store.cursors:
        target = f"{USERS}?cursor&count=1000&attributes=userName"
        for _ in range(store.users // 2_000):
            answer = (await store.get(target)).json
            target = f"{USERS}?cursor={answer['nextCursor']}&count=1000&attributes=userName"
        store.cursors["middle"] = target.replace("count=1000", "count=1000")


CASES = (
    Case("read by id", lambda store: store.get(f"{USERS}/u{1234}"), times=200),
    _lists("userName eq, 0", 'userName eq "nobody"', 0),
    _lists("userName eq, 1", 'userName eq "user00001234@corp.example"', 1),
    _lists("externalId eq, 1", 'externalId eq "ext-1234"', 1),
    _lists("id eq, 1", 'id eq "u1234"', 1),
    _lists("emails.value eq, 1", 'emails.value eq "mail1234@corp.example"', 1),
    _lists("emails.value eq, 100", 'emails.value eq "home12@home.example"', 100),
    _lists("department eq, 100", f'{urns.ENTERPRISE_USER}:department eq "department 12"', 100),
    _lists("userName sw, 0", 'userName sw "nobody"', 0),
    _lists("userName sw, 1", 'userName sw "user00001234"', 1),
    _lists("userName sw, 100", 'userName sw "user000012"', 100),
    _lists("value path on emails, 1", 'emails[type eq "work" and value eq "mail1234@corp.example"]', 1),
    _lists("value path on emails, 100", 'emails[type eq "home" and value eq "home12@home.example"]', 100),
    _lists("indexed and unindexed", 'name.familyName eq "Family12" and title eq "title3"', 15),
    _lists("co, 0", 'displayName co "zzzzz"', 0),
    _lists("co, 1", 'displayName co "eedl"', 1),
    _lists("co, 100", 'displayName co "aystac"', 100),
    _lists("ew, 0", 'displayName ew "zzzzz"', 0),
    _lists("ew, 1", 'displayName ew "needle"', 1),
    _lists("ew, 100", 'displayName ew "haystack"', 100),
    _page("first page", "", lambda _: 1),
    _page("page in the middle", "", lambda users: users // 2 + 1),
    _page("last page", "", lambda users: users - 99),
    Case("page by cursor, in the middle", lambda store: store.get(store.cursors["middle"]), READS, _walk_to_a_cursor, 12),
    _page("first page by userName", "&sortBy=userName", lambda _: 1),
    _page("page by userName, in the middle", "&sortBy=userName", lambda users: users // 2 + 1),
    _page("last page by familyName", "&sortBy=name.familyName", lambda users: users - 99),
    _page("first page by lastModified", "&sortBy=meta.lastModified&sortOrder=descending", lambda _: 1),
    Case("group without members", lambda store: store.get(f"{GROUPS}/g0?excludedAttributes=members")),
    Case("member of the large group tested", lambda store: store.get(f'{GROUPS}?filter=id+eq+"g0"+and+members.value+eq+"u77"&attributes=id', 1)),
    Case("user in 1,000 groups", lambda store: store.get(f"{USERS}/u5"), times=30),
    Case("POST", _make, WRITES),
    _with_fresh("PATCH", lambda store, made: store.send("PATCH", f"{USERS}/{made}", _patch("replace", path="title", value="new"), 200)),
    _with_fresh("PATCH of indexed attributes", lambda store, made: store.send("PATCH", f"{USERS}/{made}", _patch("replace", path="displayName", value=f"New {made}"), 200)),
    _with_fresh("PUT", lambda store, made: store.send("PUT", f"{USERS}/{made}", {**user(10_000_000 + store.made), "title": "new"}, 200)),
    _with_fresh("member added to the large group", _add),
    _with_fresh("member removed from the large group", _remove, _add),
    _with_fresh("DELETE", lambda store, made: store.send("DELETE", f"{USERS}/{made}", None, 204)),
)  # fmt: skip

THOUSAND = _with_fresh(
    "DELETE of a user in 1,000 groups",
    lambda store, made: store.send("DELETE", f"{USERS}/{made}", None, 204),
    _into_a_thousand,
)


async def compare(small: Store, large: Store, case: Case, times: int) -> tuple[float, float]:
    """The medians of a case in both stores, in seconds, asked in turns."""
    found: tuple[list[float], list[float]] = ([], [])
    for number in range(times + 3):
        for store, seconds in zip((small, large), found, strict=True):
            if case.before is not None:
                await case.before(store)
            begun = time.perf_counter()
            await case.work(store)
            if number >= 3:
                seconds.append(time.perf_counter() - begun)
    return statistics.median(found[0]), statistics.median(found[1])


@asynccontextmanager
async def opened(url: str, users: int) -> AsyncIterator[Store]:
    """The application over a database."""
    async with running(Settings(database=url, database_origin="bench")) as application:
        token = await tokens.issue(application.store, 1, "bench", now=now(), expires=None)
        yield Store(AsgiCaller(application.asgi, token), users)


async def run(small: str, large: str, options: argparse.Namespace) -> list[dict[str, Any]]:
    """Every case, told as it comes."""
    rows: list[dict[str, Any]] = []
    async with opened(small, SMALL) as one, opened(large, options.users) as other:
        for case in (*CASES, *([THOUSAND] if options.slow else [])):
            if options.only and not any(part in case.name for part in options.only):
                continue
            times = 3 if case is THOUSAND else case.times
            before, after = await compare(one, other, case, times)
            row = {
                "case": case.name,
                "small": before,
                "large": after,
                "ratio": after / before,
                "limit": case.limit,
            }
            rows.append(row)
            mark = "" if after <= before * case.limit else "  over"
            print(
                f"{case.name:40} {before * 1e3:9.3f} {after * 1e3:9.3f} {row['ratio']:6.2f}{mark}", flush=True
            )
    return rows


def load(url: str, users: int, directory: Path) -> None:
    """Fill a database that is empty, by the command."""
    import subprocess

    file = directory / f"{users}.jsonl"
    if not file.exists():
        with file.open("wb") as out:
            out.writelines(lines(users))
    command = [sys.executable, "-m", "rollbook"]
    environment = {**os.environ, "ROLLBOOK_DATABASE": url}
    subprocess.run([*command, "database", "migrate"], env=environment, check=True)
    begun = time.perf_counter()
    subprocess.run([*command, "import", str(file)], env=environment, check=True)
    print(f"{users:,} users: {users / (time.perf_counter() - begun):,.0f} users per second", flush=True)
    subprocess.run([*command, "database", "vacuum"], env=environment, check=True)


def main() -> int:
    """Measure SQLite, or the PostgreSQL databases that are named."""
    parser = argparse.ArgumentParser(prog="python -m bench.costs", description=__doc__)
    parser.add_argument("--directory", type=Path, required=True, help="where the stores are, or will be made")
    parser.add_argument(
        "--postgres", help="URL of a PostgreSQL database beside which two are made: costs_small, costs_large"
    )
    parser.add_argument("--users", type=int, default=LARGE, help="users in the large store")
    parser.add_argument("--only", nargs="*", default=[], help="cases, by parts of their names")
    parser.add_argument("--slow", action="store_true", help="with the user in 1,000 groups that is deleted")
    parser.add_argument(
        "--write", action="store_true", help="update docs/performance.md with what both have given"
    )
    options = parser.parse_args()
    options.directory.mkdir(parents=True, exist_ok=True)
    small, large = _databases(options)
    rows = asyncio.run(run(small, large, options))
    name = "postgresql" if options.postgres else "sqlite"
    (options.directory / f"costs-{name}.json").write_text(json.dumps(rows, indent=1))
    if options.write:
        write(options.directory)
    return 0


def write(directory: Path) -> None:
    """Put the last figures of both databases into the documentation, between two markers."""
    lines = [
        "| milliseconds | SQLite, 10,000 | 1,000,000 | ratio | PostgreSQL, 10,000 | 1,000,000 | ratio | at most |"
    ]
    lines += ["|---|---|---|---|---|---|---|---|"]
    found = [_kept(directory / f"costs-{name}.json") for name in ("sqlite", "postgresql")]
    for case in (*CASES, THOUSAND):
        cells = "".join(_cells(kept.get(case.name)) for kept in found)
        lines.append(f"| {case.name}{cells} | {case.limit:g} |")
    text = DOCUMENT.read_text("utf-8")
    head, rest = text.split(BEGIN)
    table = "\n".join(lines)
    DOCUMENT.write_text(f"{head}{BEGIN}\n\n{table}\n\n{END}{rest.split(END)[1]}", "utf-8")


def _kept(file: Path) -> dict[str, dict[str, Any]]:
    return {row["case"]: row for row in json.loads(file.read_text())} if file.exists() else {}


def _cells(row: dict[str, Any] | None) -> str:
    if row is None:
        return " | – | – | –"
    return f" | {row['small'] * 1e3:.2f} | {row['large'] * 1e3:.2f} | {row['ratio']:.2f}"


def _databases(options: argparse.Namespace) -> tuple[str, str]:
    urls = []
    for name, users in (("small", SMALL), ("large", options.users)):
        if options.postgres:
            url, is_new = _postgres(options.postgres, f"costs_{name}")
        else:
            path = options.directory / f"{name}-{users}.db"
            url, is_new = f"sqlite:///{path.absolute()}", not path.exists()
        if is_new:
            load(url, users, options.directory)
        urls.append(url)
    return urls[0], urls[1]


def _postgres(url: str, name: str) -> tuple[str, bool]:
    import psycopg

    scheme, _, rest = url.partition("://")
    place, question, parameters = rest.partition("?")
    with psycopg.connect(url, autocommit=True) as connection:
        known = connection.execute("SELECT 1 FROM pg_database WHERE datname = %s", (name,)).fetchone()
        if known is None:
            connection.execute(f"CREATE DATABASE {name}".encode())
    return f"{scheme}://{place.rpartition('/')[0]}/{name}{question}{parameters}", known is None


if __name__ == "__main__":
    sys.exit(main())
