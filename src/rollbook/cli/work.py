"""`rollbook work`: keep targets in step until told to stop; `rollbook serve --config` carries the same."""

import asyncio
import os
import signal
from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from rollbook.cli.provision import DEFAULT_CONFIG, ConfigFile, Database, Schemas

if TYPE_CHECKING:
    from rollbook.cli.reload import Reload
    from rollbook.cli.traces import Traces
    from rollbook.desk.clerk import Clerk
    from rollbook.desk.desk import Desk
    from rollbook.provisioning.alerts import Alert, Send
    from rollbook.provisioning.keeper import Keeper
    from rollbook.provisioning.model import Alerts, Config
    from rollbook.storage.sql.store import SqlStore


def work(config: ConfigFile = DEFAULT_CONFIG, database: Database = None, schemas: Schemas = None) -> None:
    """Keep all targets in step until told to stop: changes go out at once, sources are read by their schedules.

    With PostgreSQL any number of these may run, on any machines. SIGHUP reads the configuration again; one with mistakes is refused as
    a whole, and work goes on by the former one. SIGTERM and SIGINT finish what is under way.
    """
    from rollbook.cli.logs import configure_logs
    from rollbook.cli.opened import opened_desk
    from rollbook.cli.reload import Reload
    from rollbook.cli.traces import traces_of
    from rollbook.settings import SettingsError

    if not config.is_file():
        raise SettingsError(f"{config}: there is no such file; name another one with --config")
    configure_logs()

    async def main() -> None:
        async with opened_desk(config, database, schemas, os.environ) as desk:
            lock, alone = desk.store.database.work_lock()
            stop = asyncio.Event()
            loop = asyncio.get_running_loop()
            for sign in (signal.SIGTERM, signal.SIGINT):
                loop.add_signal_handler(sign, stop.set)
            reload, traces = Reload(), traces_of()
            reload.listen()
            told = ", ".join(desk.config.targets) or "none"
            print(f"keeping in step: {told}; sources: {sources_in_words(desk)}", flush=True)
            try:
                await keep(desk.store, config, stop, reload, alone=alone, traces=traces)
            finally:
                if traces is not None:
                    traces.close()
                lock.release()
        print("stopped: what was under way is finished", flush=True)

    asyncio.run(main())


def sources_in_words(desk: "Desk") -> str:
    """Which sources are read by whom."""
    told = [
        name if source.schedule or source.type == "webhook" else f"{name} (by hand: rollbook pull {name})"
        for name, source in desk.config.sources.items()
    ]
    return ", ".join(told) or "none"


async def keep(
    store: "SqlStore",
    config: Path,
    stop: asyncio.Event,
    reload: "Reload",
    *,
    alone: bool,
    reloaded: "Callable[[Config], None]" = lambda _: None,
    traces: "Traces | None" = None,
) -> None:
    """Work by the configuration until told to stop; `reload` reads it again, and whoever else goes by it is told.

    `alone`: nobody else works on these targets, so that what is claimed was claimed by somebody who has died.
    """
    again = asyncio.Event()
    loop = asyncio.get_running_loop()
    reload.add(again.set)
    desk = _desk(store, config)
    if alone:
        await _take_over(desk)
    while not stop.is_set():
        clerk = _clerk(desk)
        keeper = _keeper(desk, clerk, traces)
        working = loop.create_task(_together(keeper, clerk))
        desk = await _until(stop, again, working, desk, config)
        reloaded(desk.config)
        keeper.stop()
        clerk.stop()
        await working


async def _take_over(desk: "Desk") -> None:
    """Go on at once with what the dead have left."""
    from rollbook.storage.sql.orders import SqlOrders

    engine = desk.engine
    await engine.keep_time()
    await SqlOrders(desk.store.database).free(engine.tenant)
    for name in desk.config.targets:
        progress = await engine.links.target(engine.tenant, name)
        if progress is not None:
            await engine.links.bring_forward(engine.tenant, progress.number, engine.now(), claimed=True)


async def _together(keeper: "Keeper", clerk: "Clerk") -> None:
    """Keep targets in step, and take up orders."""
    async with asyncio.TaskGroup() as group:
        group.create_task(clerk.run())
        await clerk.has_looked.wait()
        group.create_task(keeper.run())


def _clerk(desk: "Desk") -> "Clerk":
    from rollbook.cli.opened import desk_of
    from rollbook.desk.clerk import Clerk

    return Clerk(desk.store, partial(desk_of, desk.config, desk.store), desk.clock, desk.sitter.lease)


async def _until(
    stop: asyncio.Event, again: asyncio.Event, working: "asyncio.Task[None]", desk: "Desk", config: Path
) -> "Desk":
    """Wait for the end, or for a configuration without mistakes."""
    import structlog

    from rollbook.provisioning.config import ConfigError

    while True:
        waits = [asyncio.ensure_future(event.wait()) for event in (stop, again)]
        await asyncio.wait([*waits, working], return_when=asyncio.FIRST_COMPLETED)
        for wait in waits:
            wait.cancel()
        if stop.is_set() or working.done():
            return desk
        again.clear()
        try:
            fresh = await asyncio.to_thread(_desk, desk.store, config)  # a command for a secret may take long
        except (ConfigError, OSError) as error:
            text = error.render() if isinstance(error, ConfigError) else str(error)
            structlog.get_logger().error("configuration refused", file=str(config), mistakes=text)
            await _tell(desk, config, "failed")
            continue
        structlog.get_logger().info("configuration read again", file=str(config))
        await _tell(desk, config, "done")
        return fresh


async def _tell(desk: "Desk", config: Path, outcome: str) -> None:
    """Tell the audit log that the configuration was read again, if it can be told now."""
    from rollbook.cli.acts import act
    from rollbook.desk.telling import tell
    from rollbook.protocol.errors import StoreUnavailable

    told = act(desk.store, "work", "configuration.reload", "configuration", config.name)
    with suppress(StoreUnavailable):
        await tell(desk.store, replace(told, outcome=outcome))


def _desk(store: "SqlStore", config: Path) -> "Desk":
    from rollbook.cli.opened import desk_of
    from rollbook.provisioning.config import load_config

    return desk_of(load_config(config, store.catalog, os.environ), store)


def _keeper(desk: "Desk", clerk: "Clerk", traces: "Traces | None") -> "Keeper":
    from rollbook.desk.pulls import Intake
    from rollbook.provisioning.alerts import Alerter
    from rollbook.provisioning.keeper import Keeper
    from rollbook.provisioning.targets.scim import connect

    alerter, intake = Alerter(_ways(desk.config.alerts), desk.now, _logged()), Intake(desk)
    engine, opening = desk.engine, partial(connect)
    if traces is not None:
        engine, opening = replace(engine, span=traces.span), partial(connect, wrap=traces.transport)
    keeper = Keeper(
        engine,
        desk.config,
        opening,
        intake.pull_when_due,
        alerter,
        undecided=desk.undecided,
        leaves=clerk.is_at,
    )
    keeper.follow(intake)
    return keeper


def _ways(alerts: "Alerts") -> "list[Send]":
    from rollbook.provisioning.alerts import mail, webhook

    ways = [webhook(alerts.webhook, private=alerts.private)] if alerts.webhook else []
    if alerts.mail_to:
        ways.append(mail(alerts.mail_server, alerts.mail_from, alerts.mail_to))
    return ways


def _logged() -> "Callable[[Alert, str | None], None]":
    import structlog

    logger = structlog.get_logger()

    def log(alert: "Alert", error: str | None) -> None:
        if error is None:
            logger.warning(
                "alert", subject=alert.subject, kind=alert.kind.value, text=alert.text, hint=alert.hint
            )
        else:
            logger.error("alert not sent", subject=alert.subject, kind=alert.kind.value, error=error)

    return log
