"""A whole server in-process, over a real SQLite file."""

import json
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable
from contextlib import AsyncExitStack
from pathlib import Path

import pytest
from tests.postgres_server import empty

from rollbook.app import Application, running
from rollbook.operations.tenant_settings import read_settings
from rollbook.protocol.values import JsonObject
from rollbook.settings import Settings
from rollbook.storage.sql.store import SqlStore
from rollbook.testing.asgi import AsgiCaller

TOKEN = "the-token-of-these-tests"


@pytest.fixture
async def application(tmp_path: Path, anyio_backend: str) -> AsyncIterator[Application]:
    """An application over a new database."""
    settings = Settings(database=f"sqlite:///{tmp_path / 'store.db'}", bootstrap_token=TOKEN)
    async with running(settings) as application:
        yield application


@pytest.fixture(params=["sqlite", "postgresql"])
def url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """A new database of either kind."""
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path / 'store.db'}"
    named: str = request.getfixturevalue("postgres_database")
    empty(named)
    return named


@pytest.fixture
async def server(url: str, anyio_backend: str) -> AsyncIterator[Application]:
    """A server over either; the store is whole when the test is over."""
    async with running(Settings(database=url, database_origin="test")) as application:
        yield application
        assert await application.store.check() == []


Told = Callable[..., Awaitable[AsgiCaller]]
"""Starts a server over the test's database that has been told `NAME=VALUE` settings; how to call it.

`definitions` are schemas and resource types beside the core.
"""

STORES: dict[AsgiCaller, SqlStore] = {}
"""The stores of the servers that `told` has started."""


@pytest.fixture
async def told(tmp_path: Path, anyio_backend: str) -> AsyncIterator[Told]:
    """Starts servers with settings of their own, one after another."""
    async with AsyncExitStack() as stack:

        async def start(*assignments: str, definitions: Iterable[JsonObject] = ()) -> AsgiCaller:
            await stack.aclose()
            settings = Settings(
                schemas=_written(tmp_path / "schemas", definitions),
                database=f"sqlite:///{tmp_path / 'told.db'}",
                bootstrap_token=TOKEN,
                tenant=read_settings(assignments),
            )
            application = await stack.enter_async_context(running(settings))
            caller = AsgiCaller(application.asgi, TOKEN)
            STORES[caller] = application.store
            return caller

        yield start
    STORES.clear()


def _written(directory: Path, definitions: Iterable[JsonObject]) -> Path | None:
    for number, definition in enumerate(definitions):
        directory.mkdir(exist_ok=True)
        (directory / f"{number}.json").write_text(json.dumps(definition))
    return directory if directory.is_dir() else None


@pytest.fixture
def call(application: Application) -> AsgiCaller:
    """Sends requests with a token that has all rights."""
    return AsgiCaller(application.asgi, TOKEN)


@pytest.fixture
def anonymous(application: Application) -> AsgiCaller:
    """Sends requests without a token."""
    return AsgiCaller(application.asgi)
