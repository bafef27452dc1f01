"""The command in this process, and the stores it works on."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

from typer.testing import CliRunner

from rollbook.cli.main import app
from rollbook.keys import own_keys
from rollbook.storage.sql.databases import backend
from rollbook.storage.sql.store import SqlStore


def run(*arguments: str, given: bytes | None = None) -> tuple[int, str, str]:
    """Exit code, output and messages of the command."""
    from rollbook.cli.errors import exit_code

    result = CliRunner().invoke(app, list(arguments), input=given)
    if isinstance(result.exception, Exception) and not isinstance(result.exception, SystemExit):
        return exit_code(result.exception) or 99, result.stdout, str(result.exception)
    return result.exit_code, result.stdout, result.stderr


def within(url: str, work: Callable[[SqlStore], Awaitable[Any]]) -> Any:
    """What the work comes to on an open store."""

    async def go() -> Any:
        database = backend(url)
        store = SqlStore(database, keys=own_keys(database.usual_keys))
        await store.open()
        try:
            return await work(store)
        finally:
            await store.close()

    return asyncio.run(go())
