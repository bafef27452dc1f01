"""`rollbook serve`: run the SCIM server."""

import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

if TYPE_CHECKING:
    import asyncio
    from collections.abc import Coroutine

    from rollbook.app import Application
    from rollbook.cli.reload import Reload
    from rollbook.provisioning.model import Config
    from rollbook.server.hooks import Hooks
    from rollbook.server.metrics import Metrics
    from rollbook.settings import Settings


GRACE_SECONDS = 7.0
"""How long requests in flight may take once the server is asked to end."""

REFUSING_SECONDS = 1.0
"""How long it takes after that to tell those that only read that they are given up."""


def serve(
    host: Annotated[str, typer.Option(help="Address to listen on.")] = "127.0.0.1",
    port: Annotated[int, typer.Option(help="Port to listen on.", min=1, max=65535)] = 8080,
    database: Annotated[
        str | None,
        typer.Option(
            help="sqlite:///relative.db, sqlite:////absolute.db or postgresql://user@host/name; ROLLBOOK_DATABASE"
            " says the same. Without either, a SQLite file in your data directory.",
            metavar="URL",
        ),
    ] = None,
    schemas: Annotated[
        Path | None,
        typer.Option(
            help="Directory with Schema and ResourceType files (*.json) in RFC form.", metavar="DIR"
        ),
    ] = None,
    profile: Annotated[
        str,
        typer.Option(
            help="Whose deviations from the RFCs are accepted: auto, rfc for nobody's, or one client's.",
            metavar="NAME",
        ),
    ] = "auto",
    setting: Annotated[
        list[str] | None,
        typer.Option("--set", help="A setting of the tenant; may be repeated.", metavar="NAME=VALUE"),
    ] = None,
    workers: Annotated[
        int, typer.Option(help="Serving processes; more than one with PostgreSQL only.", min=1, max=256)
    ] = 1,
    config: Annotated[
        Path | None,
        typer.Option(
            help="A rollbook.yaml: its targets are kept in step beside serving, by one process.",
            metavar="FILE",
        ),
    ] = None,
    works: Annotated[
        bool, typer.Option("--work/--no-work", help="Whether it does; without, --config is only checked.")
    ] = True,
    insecure_http: Annotated[
        bool, typer.Option("--insecure-http", help="Serve other machines without TLS.")
    ] = False,
    drain: Annotated[
        float,
        typer.Option(
            help="Seconds for which /readyz says no before connections are refused, once asked to end: as long as"
            " a load balancer needs to notice.",
            min=0,
            max=300,
            metavar="SECONDS",
        ),
    ] = 0.0,
    metrics: Annotated[
        str | None,
        typer.Option(
            help="Tell figures to Prometheus at an address of their own, such as 127.0.0.1:9464, under /metrics.",
            metavar="HOST:PORT",
        ),
    ] = None,
    tls_cert: Annotated[
        Path | None,
        typer.Option(
            help="Certificates to serve HTTPS with (PEM, the server's own first); they are read anew when they change.",
            metavar="FILE",
        ),
    ] = None,
    tls_key: Annotated[
        Path | None, typer.Option(help="The key of the first certificate (PEM).", metavar="FILE")
    ] = None,
    trusted_proxy: Annotated[
        list[str] | None,
        typer.Option(
            help="A network whose proxies say who asks, in X-Forwarded-* or Forwarded; may be repeated. Nobody else's"
            " such headers are read.",
            metavar="CIDR",
        ),
    ] = None,
    public_url: Annotated[
        str | None,
        typer.Option(help="What issued URIs start with, such as https://scim.example.com.", metavar="URL"),
    ] = None,
    access_log: Annotated[
        bool, typer.Option("--access-log", help="Log a line of every request, with nothing of anybody in it.")
    ] = False,
) -> None:
    """Run the SCIM server. Without options: on this machine only, on SQLite, with a first token."""
    import asyncio

    from rollbook.cli.logs import configure_logs
    from rollbook.cli.metrics import address
    from rollbook.settings import (
        BOOTSTRAP_TOKEN,
        Settings,
        SettingsError,
        check_exposure,
        check_public_url,
        choose_database,
        choose_password_check,
        tenant_settings,
        tls_files,
        trusted_proxies,
    )

    configure_logs()
    url, origin = choose_database(database, os.environ)
    settings = Settings(
        host=host,
        port=port,
        database=url,
        database_origin=origin,
        schemas=schemas,
        tenant=tenant_settings([f"profile={profile}", *(setting or ())]),
        config=config,
        insecure_http=insecure_http,
        tls=tls_files(tls_cert, tls_key),
        trusted=trusted_proxies(trusted_proxy or ()),
        public_url=public_url,
        drain=drain,
        access_log=access_log,
        metrics=metrics,
        password_check=choose_password_check(os.environ),
        bootstrap_token=os.environ.get(BOOTSTRAP_TOKEN) or None,
    )
    check_exposure(settings)
    check_public_url(settings)
    if metrics is not None:
        address(metrics, insecure_http=insecure_http)
    if config is not None and not config.is_file():
        raise SettingsError(f"--config {config}: there is no such file")
    if workers == 1:
        asyncio.run(_serve(settings, works=works))
    else:
        _serve_by_several(settings, workers, works=works)
    print("stopped: every request was answered, the store is closed", flush=True)


async def _serve(settings: "Settings", *, listens: bool = True, works: bool = False) -> None:
    """Say what is served, and serve it if told to; `works`: keep targets in step, too."""
    from rollbook.app import prepare_store, running
    from rollbook.cli import tls
    from rollbook.cli.metrics import counting, telling
    from rollbook.cli.reload import Reload

    _check_port(settings)
    tls.pair_of(settings)
    metrics = counting(settings) if listens else None
    store = prepare_store(settings)
    is_new, lock = store.database.is_new, store.database.serve_lock()
    async with running(settings, store, metrics) as application:
        hooks = _hooks(settings, application)
        token = await _first_token(settings, application)
        keys = await _about_keys(application)
        _announce(settings, application, is_new=is_new, token=token, works=works, keys=keys)
        await _tell_start(settings, application)
        if listens:
            reload = Reload()
            reload.listen()
            async with (
                telling(settings, store.database, metrics),
                _working(settings, application, hooks, reload, works=works),
            ):
                await _listen(settings, application, hooks, metrics, reload)
    lock.release()


async def _tell_start(settings: "Settings", application: "Application") -> None:
    """Tell the audit log how it is served from now on."""
    from rollbook import __version__
    from rollbook.cli.acts import act
    from rollbook.desk.telling import tell

    about: dict[str, Any] = {
        "version": __version__, "origin": settings.origin, "publicUrl": settings.public_url,
        "tls": settings.tls is not None, "trustedProxies": [str(each) for each in settings.trusted],
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
        _follow_webhooks(settings, application, hooks, reload)
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


def _follow_webhooks(
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


def _serve_by_several(settings: "Settings", number: int, *, works: bool) -> None:
    import asyncio

    from rollbook.app import prepare_store
    from rollbook.cli import workers
    from rollbook.cli.metrics import shared_folder
    from rollbook.settings import SettingsError

    database = prepare_store(settings).database
    if database.has_one_server:
        raise SettingsError(
            f"--workers {number}: {database.name} is a SQLite file, which one process serves; "
            "use PostgreSQL for more (--database postgresql://user@host/name)"
        )
    asyncio.run(_serve(settings, listens=False, works=works))
    posts = [workers.Post("a serving process", _serve_beside, hears_hup=True)] * number
    if settings.config is not None and works:
        posts.append(
            workers.Post("the process that keeps targets in step", _keep_beside, vital=False, hears_hup=True)
        )
    if settings.metrics is not None:
        posts.append(workers.Post("the process that tells figures", _tell_beside, vital=False))
    with shared_folder(settings):
        if workers.run(settings, posts):
            raise typer.Exit(1)


def _serve_beside(settings: "Settings") -> None:
    """What each of several serving processes does."""
    from rollbook.app import running
    from rollbook.cli.metrics import counting
    from rollbook.cli.reload import Reload

    async def serve_quietly() -> None:
        reload, metrics = Reload(), counting(settings)
        reload.listen()
        async with running(settings, metrics=metrics) as application:
            hooks = _hooks(settings, application)
            _follow_webhooks(settings, application, hooks, reload)
            await _listen(settings, application, hooks, metrics, reload)

    _run_beside(serve_quietly())


def _tell_beside(settings: "Settings") -> None:
    """What the process does that tells the figures of all of them."""
    import asyncio

    from rollbook.app import opened
    from rollbook.cli.metrics import counting, telling

    async def tell_quietly() -> None:
        asked = asyncio.Event()
        _end_when_told(asked)
        async with opened(settings) as store, telling(settings, store.database, counting(settings)):
            await asked.wait()

    _run_beside(tell_quietly())


def _keep_beside(settings: "Settings") -> None:
    """What the process does that keeps targets in step beside them."""
    import asyncio

    from rollbook.app import opened
    from rollbook.cli.reload import Reload
    from rollbook.cli.traces import traces_of
    from rollbook.cli.work import keep

    async def keep_quietly() -> None:
        config = settings.config
        if config is None:
            return
        async with opened(settings) as store:
            lock, alone = store.database.work_lock()
            asked = asyncio.Event()
            _end_when_told(asked)
            reload = Reload()
            reload.listen()
            try:
                await keep(store, config, asked, reload, alone=alone, traces=traces_of())
            finally:
                lock.release()

    _run_beside(keep_quietly())


def _run_beside(work: "Coroutine[None, None, None]") -> None:
    """Run a process's work; what goes wrong has its exit code, as in a command."""
    import asyncio

    from rollbook.cli.errors import exit_code
    from rollbook.cli.logs import configure_logs

    configure_logs()
    try:
        asyncio.run(work)
    except Exception as error:
        code = exit_code(error)
        if code is None:
            raise
        raise SystemExit(code) from None


def _hooks(settings: "Settings", application: "Application") -> "Hooks | None":
    """What takes the messages of webhooks, None without a configuration; one with mistakes is refused here."""
    if settings.config is None:
        return None
    from rollbook.app import hooks_of
    from rollbook.provisioning.config import load_config

    return hooks_of(application, load_config(settings.config, application.tenant.catalog, os.environ))


async def _listen(
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
    from rollbook.server.errors import ErrorBoundary
    from rollbook.server.health import Health
    from rollbook.server.listening import Listener
    from rollbook.server.request_ids import RequestIds
    from rollbook.storage.sql import readiness

    app = application.asgi if hooks is None else ErrorBoundary(hooks, refusals=application.refusals)
    if metrics is not None:
        from rollbook.server.metrics import Measured

        app = Measured(app, metrics)
    traces = traces_of()
    if traces is not None:
        from rollbook.server.traces import Traced, trace_database

        trace_database(application.store.database, traces.span)
        app = Traced(app, traces.begin)
    health = Health(app, readiness.checks(application.store.database))
    pair = tls.pair_of(settings)
    named = RequestIds(health, tells=settings.access_log)
    server = Listener(Edge(named, settings.trusted), settings.host, settings.port, pair)
    # What is loaded by now stays: a full collection that walks it holds every request up for tens of milliseconds.
    gc.collect()
    gc.freeze()
    asked = asyncio.Event()
    loop = asyncio.get_running_loop()
    _end_when_told(asked)
    serving = loop.create_task(server.serve())
    stopping = loop.create_task(asked.wait())
    freshening = loop.create_task(tls.keep_fresh(settings, server, pair, reload))
    await asyncio.wait({serving, stopping}, return_when=asyncio.FIRST_COMPLETED)
    freshening.cancel()
    health.end()
    await asyncio.wait({serving}, timeout=settings.drain)
    server.stop()  # type: ignore[no-untyped-call]  # granian has no types for it
    # A body that trickles in must not hold up the end (FS-24); nothing of it was acknowledged.
    await asyncio.wait({serving}, timeout=GRACE_SECONDS)
    application.attendance.end()
    await asyncio.wait({serving}, timeout=REFUSING_SECONDS)
    stopping.cancel()
    server.close()
    if metrics is not None:
        metrics.hand_over()
    if traces is not None:
        await asyncio.to_thread(traces.close)
    if serving.done():
        await serving


def _end_when_told(asked: "asyncio.Event") -> None:
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


def _check_port(settings: "Settings") -> None:
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


async def _first_token(settings: "Settings", application: "Application") -> str | None:
    """A token for a store that has none; nothing when one comes from the environment."""
    from rollbook.app import by, now
    from rollbook.operations import tokens

    store, tenant = application.store, application.tenant.number
    if settings.bootstrap_token is not None or await store.tokens(tenant):
        return None
    at = now()
    return await tokens.issue(
        store, tenant, "first", now=at, expires=at + tokens.YEAR, author=by("rollbook serve")
    )


def _shown(settings: "Settings", application: "Application") -> str:
    """The database as it was named, or without the password it may have been named with."""
    name = application.store.database.name
    return settings.database if settings.database.startswith("sqlite:") else name


async def _about_keys(application: "Application") -> list[str]:
    """What is new, or not as it should be, of the keys of secrets."""
    made = application.store.secrets.made
    if made is not None:
        return [f"  key      {made} is made: it seals the secrets of the database; keep a copy elsewhere"]
    if await application.store.secrets.are_in_clear():
        return ["  key      NONE: secrets stand in clear in the database; make one: rollbook key create FILE"]
    return []


def _announce(
    settings: "Settings",
    application: "Application",
    *,
    is_new: bool,
    token: str | None,
    works: bool,
    keys: list[str],
) -> None:
    """Say what was chosen and why."""
    from rollbook import __version__

    origin = settings.public_url or settings.origin
    state = "new" if is_new else "found"
    types = ", ".join(kind.endpoint for kind in application.tenant.catalog.resource_types)
    source = (
        f"from {settings.schemas}"
        if settings.schemas
        else "as the database keeps them; change with rollbook schema"
    )
    exposure = "bound to this machine only" if not settings.is_public else "told so by --insecure-http"
    lines = [
        f"rollbook {__version__}",
        f"  store    {_shown(settings, application)} ({settings.database_origin}, {state})",
        f"  serving  {types} ({source})",
        f"  TLS      {f'from {settings.tls[0]}' if settings.tls else f'off: {exposure}'}",
        f"  SCIM     {origin.rstrip('/')}/scim/v2",
    ]
    lines += keys
    if settings.config is not None:
        lines.append(f"  targets  {'kept in step' if works else 'not kept in step here'} ({settings.config})")
    if token is not None:
        lines += [f"  token    {token}", "           shown this once; valid for one year"]
    elif settings.bootstrap_token is not None:
        lines += ["  token    the one in ROLLBOOK_BOOTSTRAP_TOKEN"]
    else:
        lines += ["  token    make more with: rollbook token create"]
    print("\n".join(lines), flush=True)
