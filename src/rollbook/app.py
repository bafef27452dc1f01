"""The only wiring: settings → store, catalog, server."""

import json
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

from rollbook.operations import tokens
from rollbook.operations.context import DEFAULT_TENANT, Services, Tenant
from rollbook.operations.cursors import Cursors
from rollbook.operations.passwords import PasswordHasher
from rollbook.protocol.catalog import Catalog, build_catalog
from rollbook.protocol.errors import ScimError, StoreUnavailable
from rollbook.server.requests import AsgiApp
from rollbook.server.routes import PATH, build_app
from rollbook.server.sites import LOOPBACK_NAMES, Sites
from rollbook.settings import Settings, SettingsError, make_private_directory
from rollbook.storage.ids import new_id
from rollbook.storage.sql.files import database_path
from rollbook.storage.sql.store import SqlStore, open_store


@dataclass(frozen=True)
class Application:
    """A server ready to answer: its ASGI app, its services and its tenant."""

    asgi: AsgiApp
    services: Services
    tenant: Tenant
    store: SqlStore


def now() -> int:
    """Milliseconds since 1970, UTC."""
    return time.time_ns() // 1_000_000


def load_catalog(directory: Path | None) -> Catalog | None:
    """The core catalog with every `*.json` definition of a directory; None without a directory.

    Raises:
        SettingsError: names the file and what is wrong with it.
    """
    if directory is None:
        return None
    if not directory.is_dir():
        raise SettingsError(f"--schemas {directory}: there is no such directory")
    documents = []
    for file in sorted(directory.glob("*.json")):
        try:
            documents.append(json.loads(file.read_text("utf-8")))
        except (ValueError, OSError, RecursionError) as error:
            raise SettingsError(f"{file}: not readable as JSON: {error}") from None
    try:
        return build_catalog(documents)
    except ScimError as error:
        raise SettingsError(f"--schemas {directory}: {error.detail}") from None


def store_path(settings: Settings) -> Path:
    """The file that settings name.

    Raises:
        SettingsError: the URL is of a form not known here.
    """
    try:
        return database_path(settings.database)
    except StoreUnavailable as error:
        raise SettingsError(f"{settings.database_origin}: {error.detail}") from None


def prepare_store(settings: Settings) -> SqlStore:
    """The store that settings name, not yet open; only the default directory is made if it is missing.

    With `--schemas` the database takes the definitions over; without, it serves those it keeps.
    """
    path = store_path(settings)
    if settings.database_origin == "default":
        make_private_directory(path.absolute().parent)
    return open_store(settings.database, load_catalog(settings.schemas))


@asynccontextmanager
async def opened(settings: Settings) -> AsyncIterator[SqlStore]:
    """The store that settings name, open; commands use it beside a running server."""
    store = prepare_store(settings)
    await store.open()
    try:
        yield store
    finally:
        await store.close()


@asynccontextmanager
async def running(settings: Settings) -> AsyncIterator[Application]:
    """Everything a server needs, opened; closed again at the end."""
    async with opened(settings) as store:
        application = await build(settings, store)
        try:
            yield application
        finally:
            application.services.passwords.close()


async def build(settings: Settings, store: SqlStore) -> Application:
    """Wire a server over an open store."""
    tenant = Tenant(DEFAULT_TENANT, settings.tenant.served(store.catalog), settings.tenant)
    cursors = Cursors(await tokens.cursor_key(store))
    services = Services(store, store, now, new_id, PasswordHasher(), cursors)
    key = await tokens.pepper(store)
    bootstrap = tokens.digest(key, settings.bootstrap_token) if settings.bootstrap_token else None
    verifier = tokens.Verifier(store, tenant, key, bootstrap)
    host = f"[{settings.host}]" if ":" in settings.host else settings.host
    fallback = f"http://{host}:{settings.port}"
    sites = Sites(PATH, fallback, settings.public_url, LOOPBACK_NAMES | {host.lower()})
    return Application(build_app(services, tenant, verifier, sites), services, tenant, store)
