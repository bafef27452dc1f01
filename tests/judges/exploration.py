"""schemathesis in this process: an application on a loop of its own, and what a run of the engine found."""

import asyncio
import threading
from collections import Counter
from collections.abc import AsyncIterator, Coroutine, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

from schemathesis.engine import events, from_schema
from schemathesis.schemas import BaseSchema
from tests.blackbox.rollbook_process import TOKEN
from tests.courses import DEFINITIONS

from rollbook.app import Application, build
from rollbook.operations import tokens
from rollbook.operations.rights import Admin, Rights
from rollbook.operations.tenant_settings import read_settings
from rollbook.protocol import urns
from rollbook.protocol.catalog import build_catalog
from rollbook.server.requests import AsgiApp, Message, Receive, Scope, Send
from rollbook.server.routes import PATH
from rollbook.settings import Settings
from rollbook.storage.sql.databases import open_store
from rollbook.testing.asgi import AsgiCaller

T = TypeVar("T")

ORIGIN = "http://testserver"
"""Where schemathesis believes an application in its process to be."""


@dataclass
class Found:
    """What a run found: how many requests and checks there were, and every failure and error as text."""

    requests: int = 0
    checks: int = 0
    statuses: Counter[int] = field(default_factory=Counter)
    operations: set[str] = field(default_factory=set)
    failures: list[str] = field(default_factory=list)


def explore(schema: BaseSchema) -> Found:
    """Run every phase that is on; a failure is told once for each operation and title."""
    found = Found()
    told: set[tuple[str, str]] = set()
    for event in from_schema(schema).execute():
        match event:
            case events.ScenarioFinished(recorder=recorder):
                _count(found, recorder)
                for title, text in _failures(recorder):
                    if (recorder.label, title) not in told:
                        told.add((recorder.label, title))
                        found.failures.append(f"{recorder.label}: {text}")
            case events.NonFatalError(label=label, value=error):
                found.failures.append(f"{label}: {error!r}")
            case events.FatalError(exception=error):
                found.failures.append(repr(error))
            case _:
                pass
    return found


def _count(found: Found, recorder: Any) -> None:
    found.checks += sum(map(len, recorder.checks.values()))
    for case_id, interaction in recorder.interactions.items():
        found.requests += 1
        found.operations.add(recorder.cases[case_id].value.operation.label)
        if interaction.response is not None:
            found.statuses[interaction.response.status_code] += 1


def _failures(recorder: Any) -> Iterator[tuple[str, str]]:
    for case_id, checks in recorder.checks.items():
        for check in checks:
            if check.failure_info is not None:
                failure = check.failure_info.failure
                answer = recorder.interactions[case_id].response
                said = answer.content[:500] if answer is not None else None
                yield failure.title, f"{failure}\n{check.failure_info.code_sample}\n→ {said!r}"


_HER = {"schemas": [urns.USER], "userName": "her own"}


@dataclass(frozen=True)
class Judged:
    """A server as schemathesis sees it, a token that acts for a user of it, and one that administers it."""

    app: AsgiApp
    own: str
    admin: str


@asynccontextmanager
async def _application(directory: Path, assignments: tuple[str, ...]) -> AsyncIterator[Application]:
    """A server over a new SQLite file, with a resource type of our own."""
    url = f"sqlite:///{directory / 'store.db'}"
    store = open_store(url, build_catalog(DEFINITIONS))
    await store.open()
    settings = Settings(
        database=url, bootstrap_token=TOKEN, public_url=ORIGIN, tenant=read_settings(assignments)
    )
    application = await build(settings, store)
    try:
        yield application
    finally:
        application.services.passwords.close()
        await store.close()


async def _token_of_a_user(application: Application) -> str:
    user = await AsgiCaller(application.asgi, TOKEN)("POST", f"{PATH}/Users", _HER)
    at = application.services.now()
    return await tokens.issue(application.store, 1, "hers", now=at, expires=None, user=user.json["id"])


async def _token_of_an_administrator(application: Application) -> str:
    rights = Rights(admin=Admin.WRITE)
    at = application.services.now()
    return await tokens.issue(application.store, 1, "theirs", now=at, expires=None, rights=rights)


@contextmanager
def on_a_loop(directory: Path, *assignments: str) -> Iterator[Judged]:
    """A server on a loop in a thread, as an ASGI app for the loop of schemathesis."""
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever, daemon=True)
    thread.start()

    def there(work: Coroutine[Any, Any, T]) -> T:
        return asyncio.run_coroutine_threadsafe(work, loop).result(60)

    holder = _application(directory, assignments)
    try:
        application = there(holder.__aenter__())
        try:
            yield Judged(
                _bridge(application.asgi, loop),
                there(_token_of_a_user(application)),
                there(_token_of_an_administrator(application)),
            )
        finally:
            there(holder.__aexit__(None, None, None))
    finally:
        loop.call_soon_threadsafe(loop.stop)
        thread.join(10)
        loop.close()


def _bridge(app: AsgiApp, loop: asyncio.AbstractEventLoop) -> AsgiApp:
    """The app, called from another loop: the body goes over as one message, the answer comes back as a list."""

    async def bridged(scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            raise RuntimeError("there is no lifespan here")
        body = await receive()
        sent: list[Message] = []

        async def give() -> Message:
            return body

        async def take(message: Message) -> None:
            sent.append(message)

        await asyncio.wrap_future(asyncio.run_coroutine_threadsafe(_run(app, scope, give, take), loop))
        for message in sent:
            await send(message)

    return bridged


async def _run(app: AsgiApp, scope: Scope, receive: Receive, send: Send) -> None:
    await app(scope, receive, send)
