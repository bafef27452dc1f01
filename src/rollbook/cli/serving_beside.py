"""Several serving processes beside each other, and what the others of the crew do."""

from typing import TYPE_CHECKING

import typer

if TYPE_CHECKING:
    from collections.abc import Coroutine

    from rollbook.settings import Settings


def serve_by_several(settings: "Settings", number: int, *, works: bool) -> None:
    """Serve by so many processes, until they are asked to end; targets are kept in step by one more."""
    import asyncio

    from rollbook.app import prepare_store
    from rollbook.cli import workers
    from rollbook.cli.metrics import shared_folder
    from rollbook.cli.serving import serve_here
    from rollbook.settings import SettingsError

    database = prepare_store(settings).database
    if database.has_one_server:
        raise SettingsError(
            f"--workers {number}: {database.name} is a SQLite file, which one process serves; "
            "use PostgreSQL for more (--database postgresql://user@host/name)"
        )
    asyncio.run(serve_here(settings, listens=False, works=works))
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
    from rollbook.cli.serving import follow_webhooks, hooks_of, listen

    async def serve_quietly() -> None:
        reload, metrics = Reload(), counting(settings)
        reload.listen()
        async with running(settings, metrics=metrics) as application:
            hooks = hooks_of(settings, application)
            follow_webhooks(settings, application, hooks, reload)
            await listen(settings, application, hooks, metrics, reload)

    _run_beside(serve_quietly())


def _tell_beside(settings: "Settings") -> None:
    """What the process does that tells the figures of all of them."""
    import asyncio

    from rollbook.app import opened
    from rollbook.cli.metrics import counting, telling
    from rollbook.cli.serving import end_when_told

    async def tell_quietly() -> None:
        asked = asyncio.Event()
        end_when_told(asked)
        async with opened(settings) as store, telling(settings, store.database, counting(settings)):
            await asked.wait()

    _run_beside(tell_quietly())


def _keep_beside(settings: "Settings") -> None:
    """What the process does that keeps targets in step beside them."""
    import asyncio

    from rollbook.app import opened
    from rollbook.cli.reload import Reload
    from rollbook.cli.serving import end_when_told
    from rollbook.cli.traces import traces_of
    from rollbook.cli.work import keep

    async def keep_quietly() -> None:
        config = settings.config
        if config is None:
            return
        async with opened(settings) as store:
            lock, alone = store.database.work_lock()
            asked = asyncio.Event()
            end_when_told(asked)
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
