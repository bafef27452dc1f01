"""Writes to a store from many tasks at once and tells each step, a line each, until someone kills it (`lives`)."""

import asyncio
import os
import sys

from tests.storage.lives import live, make_group

from rollbook.protocol.catalog import core_catalog
from rollbook.storage.sql.databases import open_store

TASKS = 16


def tell(*words: str) -> None:
    """One whole line, at once: what is in the pipe stays there when this process is killed."""
    os.write(sys.stdout.fileno(), (" ".join(words) + "\n").encode())


async def main(url: str, round_number: str) -> None:
    """Write until killed, or until the database is gone."""
    store = open_store(url, core_catalog())
    await store.open()
    await make_group(store)
    await asyncio.gather(*(live(store, f"u{round_number}-{number}", tell) for number in range(TASKS)))


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1], sys.argv[2]))
