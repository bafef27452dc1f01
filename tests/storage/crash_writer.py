"""Writes to a store from many tasks at once and tells each step, until someone kills it.

Every task has a user of its own, which it creates, changes, puts into a group, takes out and removes, again and
again. A line `try TASK STATE` is printed before a write, `ok TASK STATE` after it: `STATE` is what the user is
then, `gone` or its title and whether it is a member.
"""

import asyncio
import itertools
import os
import sys
from collections.abc import AsyncIterator
from contextlib import suppress

from rollbook.protocol.catalog import core_catalog
from rollbook.protocol.errors import StoreUnavailable
from rollbook.protocol.resource import Change, Member, Scope
from rollbook.storage.base import Author
from rollbook.storage.sql.databases import open_store
from rollbook.storage.sql.store import SqlStore
from rollbook.testing.store_steps import GROUP, TENANT, USER

TASKS = 16
GROUP_ID = "group"
AUTHOR = Author("crash test", 1)


def tell(*words: str) -> None:
    """One whole line, at once: what is in the pipe stays there when this process is killed."""
    os.write(sys.stdout.fileno(), (" ".join(words) + "\n").encode())


async def change(store: SqlStore, id: str, title: str) -> None:
    """Give a user a title, which is also a value in the index."""
    document = {"userName": id, "title": title, "displayName": title}
    await store.update(TENANT, USER, id, lambda _: Change(document), Scope(), AUTHOR)


async def group(store: SqlStore, change: Change) -> None:
    """Change the members of the group."""
    await store.update(TENANT, GROUP, GROUP_ID, lambda _: change, Scope(), AUTHOR)


async def life(store: SqlStore, id: str) -> AsyncIterator[tuple[str, object]]:
    """The writes of one task, each with the state it leads to; the next is begun when the last is done."""
    for number in itertools.count():
        first, second = f"{number}a", f"{number}b"
        document = {"userName": id, "title": first, "displayName": first}
        yield f"{first} out", store.insert(TENANT, USER, id, Change(document), AUTHOR)
        yield f"{first} in", group(store, Change(None, (Member(id),)))
        yield f"{second} in", change(store, id, second)
        if number % 2:
            yield f"{second} out", group(store, Change(None, (), (id,)))
        yield "gone", store.delete(TENANT, USER, id, AUTHOR)


async def task(store: SqlStore, id: str) -> None:
    """Live, and tell of it; what becomes of the last write before the database is gone is not known."""
    with suppress(StoreUnavailable):
        async for state, write in life(store, id):
            tell("try", id, state)
            await write  # type: ignore[misc]  # any of the store's calls
            tell("ok", id, state)


async def main(url: str, round_number: str) -> None:
    """Write until killed, or until the database is gone."""
    store = open_store(url, core_catalog())
    await store.open()
    if await store.get(TENANT, GROUP, GROUP_ID) is None:
        await store.insert(TENANT, GROUP, GROUP_ID, Change({"displayName": "all"}), AUTHOR)
    await asyncio.gather(*(task(store, f"u{round_number}-{number}") for number in range(TASKS)))


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1], sys.argv[2]))
