"""The only wiring: settings → store, catalog, server."""

import asyncio
import json
import os
import time
from collections.abc import AsyncIterator, Callable, Iterable, Mapping
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, replace
from difflib import get_close_matches
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

from rollbook.keys import own_keys
from rollbook.operations import tokens
from rollbook.operations.context import Caller, Services, Tenant
from rollbook.operations.cursors import Cursors
from rollbook.operations.definitions import lines, text_of
from rollbook.operations.logs import Log
from rollbook.operations.password_check import PasswordCheck
from rollbook.operations.passwords import PasswordHasher
from rollbook.operations.quirk_uses import QuirkUses
from rollbook.operations.tenant_care import TenantCare
from rollbook.operations.tenants import settings_of
from rollbook.protocol.catalog import Catalog, build_catalog, check_definition
from rollbook.protocol.errors import ScimError, StoreUnavailable
from rollbook.protocol.quirks import Quirk
from rollbook.protocol.values import JsonValue
from rollbook.settings import Settings, SettingsError, make_private_directory
from rollbook.storage.base import Author
from rollbook.storage.ids import new_id
from rollbook.storage.sql.archive import Archive
from rollbook.storage.sql.databases import backend
from rollbook.storage.sql.files import database_path
from rollbook.storage.sql.journal import SqlJournal
from rollbook.storage.sql.signing_start import line_keys
from rollbook.storage.sql.store import SqlStore
from rollbook.storage.sql.tenants import SqlTenants
from rollbook.storage.tenants import DEFAULT_NAME, TenantRecord, TenantState

if TYPE_CHECKING:
    from rollbook.provisioning.messages import Hook
    from rollbook.provisioning.model import Config
    from rollbook.server.attendance import Attendance
    from rollbook.server.background import Background
    from rollbook.server.hooks import Hooks
    from rollbook.server.live import Live
    from rollbook.server.metrics import Metrics
    from rollbook.server.refusals import Refusals
    from rollbook.server.requests import AsgiApp


NoteQuirks = Callable[[Caller, Iterable[Quirk], int], None]


@dataclass(frozen=True)
class Application:
    """A server ready to answer: its ASGI app, its services, and its tenant as it was at the start."""

    asgi: "AsgiApp"
    services: Services
    tenant: Tenant
    store: SqlStore
    live: "Live"
    quirk_uses: QuirkUses
    tenants: SqlTenants
    settings: Settings
    verifier: tokens.Verifier
    background: "Background"
    journal: SqlJournal
    refusals: "Refusals"
    attendance: "Attendance"


def now() -> int:
    """Milliseconds since 1970, UTC."""
    return time.time_ns() // 1_000_000


def by(name: str, *, at: int | None = None) -> Author:
    """Who writes from this machine, now: a command or a service, and whoever runs it (I-29)."""
    return Author(name, now() if at is None else at, origin=here())


def here() -> str:
    """From where commands write: whose process it is."""
    return f"command line: {_user()}"


@cache
def _user() -> str:
    """The name of the user that this process is of; its number where it has none."""
    try:
        import pwd

        return pwd.getpwuid(os.getuid()).pw_name
    except (ImportError, KeyError, AttributeError):
        return str(getattr(os, "getuid", lambda: "unknown")())


def read_definitions(paths: Iterable[Path]) -> list[JsonValue]:
    """The documents of files, and of every `*.json` in directories.

    Raises:
        SettingsError: names the file and what is wrong with it.
    """
    documents: list[JsonValue] = []
    for path in paths:
        for file in sorted(path.glob("*.json")) if path.is_dir() else [path]:
            try:
                documents.append(json.loads(file.read_text("utf-8")))
                check_definition(documents[-1])
            except (ValueError, RecursionError) as error:
                raise SettingsError(f"{file}: not readable as JSON: {error}") from None
            except OSError as error:
                raise SettingsError(f"{file}: {error.strerror}") from None
            except ScimError as error:
                raise SettingsError(f"{file}: {error.detail}") from None
    return documents


def load_catalog(directory: Path | None) -> Catalog | None:
    """The core catalog with every `*.json` definition of a directory; None without a directory.

    Raises:
        SettingsError: names the file and what is wrong with it.
    """
    if directory is None:
        return None
    if not directory.is_dir():
        raise SettingsError(f"--schemas {directory}: there is no such directory")
    try:
        return build_catalog(read_definitions([directory]))
    except ScimError as error:
        raise SettingsError(f"--schemas {directory}: {error.detail}") from None


def prepare_store(settings: Settings) -> SqlStore:
    """The store that settings name, not yet open; only the default directory is made if it is missing.

    Raises:
        SettingsError: the URL is of a form not known here.
    """
    try:
        database = backend(settings.database)
    except StoreUnavailable as error:
        raise SettingsError(f"{settings.database_origin}: {error.detail}") from None
    if settings.database_origin == "default":
        make_private_directory(database_path(settings.database).absolute().parent)
    return SqlStore(database, keys=own_keys(database.usual_keys))


async def tenant_called(tenants: SqlTenants, name: str) -> TenantRecord:
    """The tenant of that name, if it is not being deleted.

    Raises:
        SettingsError: there is none; names one that is called nearly so.
    """
    found = await tenants.by_name(name)
    if found is not None and found.state is TenantState.DELETING:
        raise SettingsError(
            f"tenant {name} is being deleted; rollbook tenant delete {name} goes on with that"
        )
    if found is None:
        near = get_close_matches(name, [each.name for each in await tenants.page("", 1_000)], 1)
        hint = f"did you mean {near[0]}?" if near else "see rollbook tenant list"
        raise SettingsError(f"there is no tenant {name[:80]!r}; {hint}")
    return found


@asynccontextmanager
async def opened(settings: Settings, store: SqlStore | None = None) -> AsyncIterator[SqlStore]:
    """The store that settings name, open; commands use it beside a running server."""
    named = store or prepare_store(settings)
    await named.open()
    try:
        if settings.home != DEFAULT_NAME:
            await named.settle((await tenant_called(SqlTenants(named.database), settings.home)).number)
        yield named
    finally:
        await named.close()


@asynccontextmanager
async def running(
    settings: Settings, prepared: SqlStore | None = None, metrics: "Metrics | None" = None
) -> AsyncIterator[Application]:
    """Everything a server needs, opened; closed again at the end. What it does is counted in `metrics`."""
    given = load_catalog(settings.schemas)
    async with opened(replace(settings, home=DEFAULT_NAME), prepared) as store:
        await take_definitions(store, settings, given)
        application = await build(settings, store, metrics)
        beside = [
            asyncio.create_task(work)
            for work in (
                application.live.watch(),
                application.quirk_uses.keep_writing(),
                application.verifier.keep_noting(),
                application.refusals.keep_writing(),
                keep_sealing(application.journal),
                keep_forgetting(application),
            )
        ]
        try:
            yield application
        finally:
            for task in beside:
                task.cancel()
            await application.background.close()
            await application.quirk_uses.close()
            with suppress(StoreUnavailable):
                await application.verifier.note_uses()
            await application.refusals.close()
            with suppress(Exception):
                await application.journal.seal(now())
            application.services.passwords.close()
            await application.services.aside.close()
            if application.verifier.basic is not None:
                application.verifier.basic.close()


SEALING_SECONDS = 5.0
"""How long a line of the audit log waits for its number and its seal; it was signed when it was written."""

TELLING_SECONDS = 3600.0
"""How often the head of the audit log is told in the server's log, which is kept elsewhere."""


async def keep_sealing(journal: SqlJournal) -> None:
    """Seal the audit log for as long as this runs; while the store cannot, later."""
    log = Log("rollbook.audit")
    told_at, has_key = 0.0, True
    while True:
        await asyncio.sleep(SEALING_SECONDS)
        with suppress(Exception):
            sealed = await journal.seal(now())
            if has_key and not sealed:
                log.error("audit log not sealed: the key of its last seal is not here")
            has_key = sealed
            if sealed and time.monotonic() >= told_at:
                told_at = time.monotonic() + TELLING_SECONDS
                log.info("audit log sealed", head=(await journal.head()).text)


FORGETTING_SECONDS = 3600.0
"""How often former versions that are too old are forgotten."""

DAY = 86_400_000
"""In milliseconds."""


async def keep_forgetting(application: Application) -> None:
    """Finish what was to be deleted, and forget what is older than tenants want; while the store cannot, later."""
    while True:
        await asyncio.sleep(FORGETTING_SECONDS)
        with suppress(Exception):
            await TenantCare(application.store, application.tenants, by("rollbook serve")).finish_deleting()
            await forget_old(application, now())


async def forget_old(application: Application, at: int) -> int:
    """Forget former versions that are older by then than their tenant wants; how many rows went."""
    gone, after, told, author = 0, "", application.settings.tenant, by("rollbook: history", at=at)
    while page := await application.tenants.page(after, 500):
        for record in page:
            days = settings_of(record, told).history
            if days is not None:
                gone += await Archive(application.store, record.number).compact(
                    at - days * DAY, author, application.journal
                )
        after = page[-1].name
    return gone


async def take_definitions(store: SqlStore, settings: Settings, given: Catalog | None) -> None:
    """Make the store serve the definitions given, if any, and what settings adjust of them.

    Raises:
        SettingsError: resources of the store would no longer be valid; says which, and what to do.
    """
    documents = (store.catalog if given is None else given).documents
    record = await SqlTenants(store.database).by_name(DEFAULT_NAME)
    told = settings_of(record, settings.tenant) if record else settings.tenant
    wanted = build_catalog(documents, told.adjustments)
    if wanted == store.catalog and wanted.documents == store.catalog.documents:
        return
    survey = await store.survey(wanted)
    if not survey.is_lossless:
        raise SettingsError(
            "the database has resources that would not be valid by these schemas and settings:\n"
            + "\n".join(map(text_of, lines(survey)))
        )
    await store.redefine(survey, by("rollbook serve"), drop=False)


def hooks_of(application: Application, config: "Config") -> "Hooks":
    """What stands before the server if there is a configuration: it takes what is sent to its webhook sources."""
    from rollbook.server.hooks import Hooks
    from rollbook.storage.sql.arrivals import SqlArrivals

    services, tenant = application.services, application.tenant.number
    store = SqlArrivals(application.store.database)
    return Hooks(application.asgi, store, tenant, services.now, webhooks(config))


def webhooks(config: "Config") -> "Mapping[str, Hook]":
    """The webhook sources of a configuration."""
    from rollbook.provisioning.messages import Hook

    return {
        name: Hook(source.key, source.options["secrets"])
        for name, source in config.sources.items()
        if source.type == "webhook"
    }


async def build(settings: Settings, store: SqlStore, metrics: "Metrics | None" = None) -> Application:
    """Wire a server over an open store; it follows when the definitions there change."""
    # Commands that only need the store load none of this: it is most of what a server is.
    from rollbook.operations.basic import BasicVerifier
    from rollbook.operations.jwt_tokens import JwtVerifier
    from rollbook.operations.token_endpoint import TokenEndpoint
    from rollbook.server.admin.app import Admin, Beside
    from rollbook.server.admin.desk import Desk
    from rollbook.server.admin.problems import problem_answer
    from rollbook.server.background import Background
    from rollbook.server.errors import ErrorBoundary
    from rollbook.server.live import Live
    from rollbook.server.oauth import OauthDoor
    from rollbook.server.refusals import Refusals
    from rollbook.server.sites import LOOPBACK_NAMES
    from rollbook.server.tenants import Address, TenantDoors
    from rollbook.storage.sql.issuers import SqlIssuers
    from rollbook.storage.sql.links import SqlLinks
    from rollbook.storage.sql.oauth_clients import SqlClients

    cursors = Cursors(await tokens.cursor_key(store))
    uses = QuirkUses(store)
    note: NoteQuirks = uses.note
    if metrics is not None:
        metrics.time_database(store.database)
        note = metrics.counting_quirks(note)
    judged = PasswordCheck(settings.password_check) if settings.password_check else None
    services = Services(store, store, now, new_id, PasswordHasher(check=judged), cursors, note)
    key = await tokens.pepper(store)
    bootstrap = tokens.digest(key, settings.bootstrap_token) if settings.bootstrap_token else None
    host = f"[{settings.host}]" if ":" in settings.host else settings.host

    tenants = SqlTenants(store.database)
    address = Address(settings.origin, settings.public_url, LOOPBACK_NAMES | {host.lower()})
    outside = JwtVerifier(SqlIssuers(store.database), store, store.catalog_of)
    endpoint = TokenEndpoint(SqlClients(store.database), key)
    basic = BasicVerifier(store, endpoint, key)
    verifier = tokens.Verifier(store, key, bootstrap, outside, basic)
    oauth = OauthDoor(endpoint, now)
    doors = TenantDoors(services, verifier, tenants, store.catalog_of, address, settings.tenant, oauth)
    store.subscribe(doors.changed)
    live = Live(doors, store.follow)
    tenant = (await doors.default()).shell.tenant
    journal = SqlJournal(store.database, await line_keys(store.secrets))
    refusals = Refusals(journal.write, now)
    background = Background()
    links = SqlLinks(store.database)
    desk = Desk(store, TenantCare(store, tenants), links, address, now, background, journal)
    admin = ErrorBoundary(Live(Admin(desk, doors, live.follow), live.follow), problem_answer, refusals)
    asgi = Beside(admin, ErrorBoundary(live, refusals=refusals))
    return Application(
        asgi,
        services,
        tenant,
        store,
        live,
        uses,
        tenants,
        settings,
        verifier,
        background,
        journal,
        refusals,
        doors.attendance,
    )
