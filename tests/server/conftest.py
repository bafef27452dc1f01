"""A whole server in-process, over a real SQLite file."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from rollbook.app import Application, running
from rollbook.settings import Settings
from rollbook.testing.asgi import AsgiCaller

TOKEN = "the-token-of-these-tests"


@pytest.fixture
async def application(tmp_path: Path, anyio_backend: str) -> AsyncIterator[Application]:
    """An application over a new database."""
    settings = Settings(database=f"sqlite:///{tmp_path / 'store.db'}", bootstrap_token=TOKEN)
    async with running(settings) as application:
        yield application


@pytest.fixture
def call(application: Application) -> AsgiCaller:
    """Sends requests with a token that has all rights."""
    return AsgiCaller(application.asgi, TOKEN)


@pytest.fixture
def anonymous(application: Application) -> AsgiCaller:
    """Sends requests without a token."""
    return AsgiCaller(application.asgi)
