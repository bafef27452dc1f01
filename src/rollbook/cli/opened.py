"""A desk for a command: the hub, open, and its configuration; whoever runs the command sits at it."""

import os
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path

from rollbook.app import by, now, opened
from rollbook.desk.desk import Desk, Sitter
from rollbook.provisioning import model
from rollbook.provisioning.config import load_config
from rollbook.settings import Settings, choose_database, choose_lease
from rollbook.storage.base import Author
from rollbook.storage.orders import Order, Orderer
from rollbook.storage.sql.store import SqlStore


@asynccontextmanager
async def opened_desk(
    config: Path, database: str | None, schemas: Path | None, environment: Mapping[str, str]
) -> AsyncIterator[Desk]:
    """The hub, open, and its configuration.

    Raises:
        ConfigError: with every mistake in the file.
    """
    url, origin = choose_database(database, environment)
    settings = Settings(database=url, database_origin=origin, schemas=schemas)
    async with opened(settings) as store:
        yield desk_of(load_config(config, store.catalog, environment), store)


def desk_of(config: model.Config, store: SqlStore, order: Order | None = None) -> Desk:
    """A desk with that configuration; whoever gave an order sits at one that it is for.

    Raises:
        SettingsError: the lease that was chosen is too short for the targets.
    """
    longest = max((target.timeout for target in config.targets.values()), default=0.0)
    lease = int(choose_lease(os.environ, longest) * 1000)
    author: Callable[[str], Author] = _commander if order is None else partial(_orderer, order.by)
    return Desk(config, store, Sitter(author, now, lease))


def _commander(command: str) -> Author:
    return by(f"rollbook {command}")


def _orderer(whose: Orderer, _: str) -> Author:
    return Author(whose.name, now(), whose.credential, whose.origin)
