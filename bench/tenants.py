"""`python -m bench.tenants`: what a request costs on a server of ten thousand tenants, against a server of one.

Both are applications in this process, without a socket, over SQLite files of their own, where each tenant has the same few users. Requests are timed alone,
in turns at both: medians. `one of many` asks the same tenant again and again, `any` another at random each time, which every one has
been asked before; `first` is the first request that a tenant gets in the process. What the process holds for each tenant is told, too.
"""

import argparse
import asyncio
import random
import resource
import statistics
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from concurrent.futures import ProcessPoolExecutor
from contextlib import asynccontextmanager
from dataclasses import dataclass
from multiprocessing import get_context
from pathlib import Path
from tempfile import TemporaryDirectory

from rollbook.app import Application, now, running
from rollbook.operations import tokens
from rollbook.operations.tenant_care import TenantCare
from rollbook.protocol import urns
from rollbook.protocol.resource import Change
from rollbook.settings import Settings
from rollbook.storage.base import Author
from rollbook.testing.asgi import AsgiCaller

USERS = 10
"""Of each tenant."""


@dataclass
class Customer:
    """A tenant and its token."""

    name: str
    number: int
    token: str

    def path(self, rest: str) -> str:
        """A path of this tenant."""
        return f"/t/{self.name}/scim/v2{rest}"


@dataclass
class Server:
    """An application with its tenants."""

    application: Application
    customers: list[Customer]

    async def ask(self, customer: Customer, method: str, path: str, body: object = None) -> None:
        """Send a request as that customer; it must succeed."""
        caller = AsgiCaller(self.application.asgi, customer.token)
        answer = await caller(method, customer.path(path), body)
        if answer.status >= 300:
            raise SystemExit(f"{method} {path}: {answer.status} {answer.body!r}")


Ask = Callable[[Server, Customer, int], Awaitable[None]]


def _user(name: str) -> dict[str, object]:
    return {"schemas": [urns.USER], "userName": name, "name": {"familyName": name}, "active": True}


ASKED: dict[str, Ask] = {
    "read": lambda server, one, turn: server.ask(one, "GET", f"/Users/{one.name}-{turn % USERS}"),
    "filter": lambda server, one, turn: server.ask(
        one, "GET", f"/Users?filter=userName%20eq%20%22user{turn % USERS}%22"
    ),
    "list": lambda server, one, _: server.ask(one, "GET", f"/Users?count={USERS}"),
    "create": lambda server, one, turn: server.ask(one, "POST", "/Users", _user(f"new{turn}")),
}


async def fill(application: Application, many: int) -> list[Customer]:
    """Make tenants, each with a token and users; a hundred at once share a flush."""
    made: list[Customer] = []
    for begin in range(0, many, 100):
        numbers = range(begin, min(many, begin + 100))
        made += await asyncio.gather(*(_customer(application, number) for number in numbers))
    return made


async def _customer(application: Application, number: int) -> Customer:
    care, store, name = TenantCare(application.store, application.tenants), application.store, f"t{number}"
    record = await care.create(name, now())
    text = await tokens.issue(store, record.number, "bench", now=now(), expires=None)
    kind = (await store.catalog_of(record.number)).resource_type("User")
    assert kind is not None
    users = [(f"{name}-{user}", Change(_user(f"user{user}"))) for user in range(USERS)]
    author = Author("bench", now())
    await asyncio.gather(*(store.insert(record.number, kind, key, change, author) for key, change in users))
    return Customer(name, record.number, text)


@asynccontextmanager
async def served(folder: Path, many: int) -> AsyncIterator[Server]:
    """A server that was just started, whose tenants were made before."""
    url = f"sqlite:///{folder / f'{many}.db'}"
    # In a process of its own: what this one has had in memory would hide what it takes for tenants.
    with ProcessPoolExecutor(1, get_context("spawn")) as beside:
        customers = beside.submit(prepared, url, many).result()
    async with running(Settings(database=url)) as application:
        yield Server(application, customers)


def prepared(url: str, many: int) -> list[Customer]:
    """Fill a database."""

    async def go() -> list[Customer]:
        async with running(Settings(database=url)) as application:
            return await fill(application, many)

    return asyncio.run(go())


async def timed(server: Server, customer: Customer, ask: Ask, turn: int) -> float:
    """Seconds of one request."""
    begun = time.perf_counter()
    await ask(server, customer, turn)
    return time.perf_counter() - begun


def _memory() -> float:
    """Megabytes of this process."""
    return int(Path("/proc/self/statm").read_text("utf-8").split()[1]) * resource.getpagesize() / 1e6


async def measure(folder: Path, many: int, turns: int) -> None:
    """Print the tables."""
    chance = random.Random(1)
    async with served(folder, 1) as one, served(folder, many) as other:
        before = _memory()
        first = [await timed(other, each, ASKED["read"], 0) for each in other.customers]
        held = _memory() - before
        alone = [await timed(one, one.customers[0], ASKED["read"], turn) for turn in range(turns)]
        print(
            f"| median ms | one tenant | one of {many:,} | ratio | any of {many:,} | ratio |\n|---|---|---|---|---|---|"
        )
        for name, ask in ASKED.items():
            taken: tuple[list[float], ...] = ([], [], [])
            for turn in range(turns):
                asked = (
                    (one, one.customers[0], turn),
                    (other, other.customers[0], turn),
                    (other, chance.choice(other.customers), turn + turns),
                )
                for times, (server, customer, number) in zip(taken, asked, strict=True):
                    times.append(await timed(server, customer, ask, number))
            base, same, any_ = (statistics.median(times) * 1000 for times in taken)
            print(
                f"| {name} | {base:.3f} | {same:.3f} | {same / base:.2f} | {any_:.3f} | {any_ / base:.2f} |"
            )
        cold = statistics.median(first) * 1000
        print(
            f"\nfirst read of a tenant in a process: {cold:.3f} ms, later ones {statistics.median(alone) * 1000:.3f} ms"
        )
        print(f"memory for {many:,} tenants that were asked: {held:.0f} MB, {held * 1e3 / many:.1f} kB each")


def main() -> None:
    """Measure, and print the tables."""
    parser = argparse.ArgumentParser(prog="python -m bench.tenants", description=__doc__)
    parser.add_argument("--tenants", type=int, default=10_000)
    parser.add_argument("--turns", type=int, default=1_000, help="Requests of each kind, at each.")
    options = parser.parse_args()
    with TemporaryDirectory(prefix="rollbook-tenants-") as name:
        asyncio.run(measure(Path(name), options.tenants, options.turns))


if __name__ == "__main__":
    main()
