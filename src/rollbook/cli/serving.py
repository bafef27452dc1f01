"""One serving process: what it opens, what it does beside answering, and how it ends."""

import os
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import asyncio

    from rollbook.app import Application
    from rollbook.cli.reload import Reload
    from rollbook.cli.traces import Traces
    from rollbook.provisioning.model import Config
    from rollbook.server.health import Health
    from rollbook.server.hooks import Hooks
    from rollbook.server.listening import Listener
    from rollbook.server.metrics import Metrics
    from rollbook.server.requests import AsgiApp
    from rollbook.settings import Settings

GRACE_SECONDS = 7.0
"""How long requests in flight may take once the server is asked to end."""

HELD_SECONDS = 0.0005
"""How long a thread may keep Python's lock when another wants it: the loop has it back that soon from one that reads a long page."""

REFUSING_SECONDS = 1.0
"""How long it takes after that to tell those that only read that they are given up."""


async def serve_here(settings: "Settings", *, listens: bool = True, works: bool = False) -> None:
    """Say what is served, and serve it if told to; `works`: keep targets in step, too."""
    from rollbook.app import prepare_store, running
    from rollbook.cli import tls
    from rollbook.cli.metrics import counting, telling
    from rollbook.cli.reload import Reload
    from rollbook.cli.serve_output import about_keys, announce, first_token

    check_port(settings)
    tls.pair_of(settings)
    metrics = counting(settings) if listens else None
    store = prepare_store(settings)
    is_new, lock = store.database.is_new, store.database.serve_lock()
    async with running(settings, store, metrics) as application:
        hooks = hooks_of(settings, application)
        token = await first_token(settings, application)
        keys = await about_keys(application)
        announce(settings, application, is_new=is_new, token=token, works=works, keys=keys)
        await _tell_start(settings, application)
        if listens:
            reload = Reload()
            reload.listen()
            async with (
                telling(settings, store.database, metrics),
                _working(settings, application, hooks, reload, works=works),
            ):
                await listen(settings, application, hooks, metrics, reload)
    lock.release()


async def _tell_start(settings: "Settings", application: "Application") -> None:
    """Tell the audit log how it is served from now on."""
    from rollbook import __version__
    from rollbook.cli.acts import act
    from rollbook.desk.telling import tell

    about: dict[str, Any] = {
        "version": __version__, "origin": settings.origin, "publicUrl": settings.public_url,
        "tls": settings.tls is not None, "clientCertificates": settings.clients and settings.clients.demand,
        "trustedProxies": [str(each) for each in settings.trusted],
        "configuration": settings.config and settings.config.name,
    }  # fmt: skip
    await tell(application.store, act(application.store, "serve", "server.start", **about))


@asynccontextmanager
async def _working(
    settings: "Settings", application: "Application", hooks: "Hooks | None", reload: "Reload", *, works: bool
) -> AsyncIterator[None]:
    """Keep targets in step meanwhile, if there is a configuration."""
    import asyncio

    from rollbook.app import webhooks
    from rollbook.cli.traces import traces_of
    from rollbook.cli.work import keep

    if settings.config is None or not works:
        follow_webhooks(settings, application, hooks, reload)
        yield
        return

    def reloaded(config: "Config") -> None:
        if hooks is not None:
            hooks.hooks = webhooks(config)

    lock, alone = application.store.database.work_lock()
    stop = asyncio.Event()
    working = asyncio.get_running_loop().create_task(
        keep(
            application.store,
            settings.config,
            stop,
            reload,
            alone=alone,
            reloaded=reloaded,
            traces=traces_of(),
        )
    )
    try:
        yield
    finally:
        stop.set()
        await working
        lock.release()


def follow_webhooks(
    settings: "Settings", application: "Application", hooks: "Hooks | None", reload: "Reload"
) -> None:
    """Where nobody works by the configuration, it is read again for its webhooks; with mistakes, the former one holds."""
    config = settings.config
    if hooks is None or config is None:
        return
    import asyncio

    import structlog

    from rollbook.app import webhooks
    from rollbook.provisioning.config import ConfigError, load_config

    tasks = set()  # the loop itself holds tasks weakly

    async def read() -> None:
        try:
            fresh = await asyncio.to_thread(load_config, config, application.store.catalog, os.environ)
        except (ConfigError, OSError) as error:
            text = error.render() if isinstance(error, ConfigError) else str(error)
            structlog.get_logger().error("configuration refused", file=str(config), mistakes=text)
        else:
            hooks.hooks = webhooks(fresh)

    def begin() -> None:
        task = asyncio.get_running_loop().create_task(read())
        tasks.add(task)
        task.add_done_callback(tasks.discard)

    reload.add(begin)


def hooks_of(settings: "Settings", application: "Application") -> "Hooks | None":
    """What takes the messages of webhooks, None without a configuration; one with mistakes is refused here."""
    if settings.config is None:
        return None
    from rollbook import app
    from rollbook.provisioning.config import load_config

    return app.hooks_of(application, load_config(settings.config, application.tenant.catalog, os.environ))


async def listen(
    settings: "Settings",
    application: "Application",
    hooks: "Hooks | None",
    metrics: "Metrics | None",
    reload: "Reload",
) -> None:
    """Serve until SIGTERM or SIGINT; requests in flight are finished first."""
    import asyncio
    import gc

    from rollbook.cli import tls
    from rollbook.cli.traces import traces_of
    from rollbook.server.edge import Edge
    from rollbook.server.health import Health
    from rollbook.server.request_ids import RequestIds
    from rollbook.storage.sql import readiness

    traces = traces_of()
    app = _watched(application, hooks, metrics, traces)
    health = Health(app, readiness.checks(application.store.database))
    pair = tls.pair_of(settings)
    named = RequestIds(health, tells=settings.access_log)
    server = tls.listener_of(settings, Edge(named, settings.trusted), pair)
    # What is loaded by now stays: a full collection that walks it holds every request up for tens of milliseconds.
    gc.collect()
    gc.freeze()
    sys.setswitchinterval(HELD_SECONDS)
    freshening = asyncio.get_running_loop().create_task(tls.keep_fresh(settings, server, pair, reload))
    serving = await _until_told(server)
    freshening.cancel()
    await _end(settings, application, health, server, serving)
    if metrics is not None:
        metrics.hand_over()
    if traces is not None:
        await asyncio.to_thread(traces.close)
    if serving.done():
        await serving


def _watched(
    application: "Application", hooks: "Hooks | None", metrics: "Metrics | None", traces: "Traces | None"
) -> "AsgiApp":
    """What answers, with whatever counts and traces around it."""
    from rollbook.server.errors import ErrorBoundary

    app = application.asgi if hooks is None else ErrorBoundary(hooks, refusals=application.refusals)
    if metrics is not None:
        from rollbook.server.metrics import Measured

        app = Measured(app, metrics)
    if traces is not None:
        from rollbook.server.traces import Traced, trace_database

        trace_database(application.store.database, traces.span, traces.span_within)
        app = Traced(app, traces.begin)
    return app


async def _until_told(server: "Listener") -> "asyncio.Task[object]":
    """Serve until somebody asks for the end, or the server gives up by itself; what serves."""
    import asyncio

    asked = asyncio.Event()
    end_when_told(asked)
    loop = asyncio.get_running_loop()
    serving = loop.create_task(server.serve())
    stopping = loop.create_task(asked.wait())
    await asyncio.wait({serving, stopping}, return_when=asyncio.FIRST_COMPLETED)
    stopping.cancel()
    return serving


async def _end(
    settings: "Settings",
    application: "Application",
    health: "Health",
    server: "Listener",
    serving: "asyncio.Task[object]",
) -> None:
    """Tell load balancers, begin nothing more, and let what is under way finish in its time."""
    import asyncio

    health.end()
    await asyncio.wait({serving}, timeout=settings.drain)
    server.stop()
    # A body that trickles in must not hold up the end (FS-24); nothing of it was acknowledged.
    await asyncio.wait({serving}, timeout=GRACE_SECONDS)
    application.attendance.end()
    await asyncio.wait({serving}, timeout=REFUSING_SECONDS)
    server.close()


def end_when_told(asked: "asyncio.Event") -> None:
    """Note SIGTERM and SIGINT; and the end of the command above, if this is one of several processes: none goes on alone."""
    import asyncio
    import multiprocessing
    import signal

    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, asked.set)
    above = multiprocessing.parent_process()
    if above is not None:
        loop.add_reader(above.sentinel, asked.set)


def check_port(settings: "Settings") -> None:
    """Refuse a port that is taken, in words, before anything is opened."""
    import socket

    from rollbook.settings import SettingsError

    family = socket.AF_INET6 if ":" in settings.host else socket.AF_INET
    with socket.socket(family, socket.SOCK_STREAM) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((settings.host.strip("[]"), settings.port))
        except OSError as error:
            raise SettingsError(
                f"cannot listen on {settings.host} port {settings.port}: {error.strerror};"
                " choose another with --port"
            ) from None
