"""`--metrics HOST:PORT`: figures on an address of their own, told by the serving process or, of several, by one more."""

import os
import tempfile
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from typing import TYPE_CHECKING

from rollbook.settings import SettingsError, is_loopback

if TYPE_CHECKING:
    from rollbook.server.metrics import Families, Metrics
    from rollbook.settings import Settings
    from rollbook.storage.sql.connection import Database
    from rollbook.storage.sql.target_figures import TargetFigures


def address(text: str, *, insecure_http: bool) -> tuple[str, int]:
    """Host and port of `127.0.0.1:9464` or `[::1]:9464`.

    Raises:
        SettingsError: not of that form, or other machines could read along.
    """
    host, _, port = text.rpartition(":")
    if not host or not port.isascii() or not port.isdigit() or not 0 < int(port[:6]) < 65536:
        raise SettingsError(f"--metrics {text}: write an address and a port, such as 127.0.0.1:9464")
    if not is_loopback(host) and not insecure_http:
        raise SettingsError(
            f"--metrics {text}: other machines can reach {host}, and without TLS others could read along.\n"
            "Take 127.0.0.1 and let a proxy or an agent on this machine fetch them, or say --insecure-http"
        )
    return host, int(port)


def counting(settings: "Settings") -> "Metrics | None":
    """What counts in this process; None, and prometheus-client is not even loaded, without `--metrics`."""
    if settings.metrics is None:
        return None
    from rollbook.server.metrics import Metrics

    return Metrics()


@contextmanager
def shared_folder(settings: "Settings") -> Iterator[None]:
    """An empty folder for what several processes count, while they do; they inherit its name."""
    if settings.metrics is None:
        yield
        return
    variable = "PROMETHEUS_MULTIPROC_DIR"  # before prometheus-client is imported, which decides by it once
    with tempfile.TemporaryDirectory(prefix="rollbook-metrics-", ignore_cleanup_errors=True) as folder:
        os.environ[variable] = folder
        try:
            yield
        finally:
            del os.environ[variable]


@asynccontextmanager
async def telling(
    settings: "Settings", database: "Database", metrics: "Metrics | None"
) -> AsyncIterator[None]:
    """Tell figures at the address meanwhile, if there is one."""
    if metrics is None or settings.metrics is None:
        yield
        return
    import asyncio

    from granian.constants import HTTPModes, Interfaces
    from granian.server.embed import Server

    from rollbook.server.errors import ErrorBoundary
    from rollbook.server.metrics import Page

    host, port = address(settings.metrics, insecure_http=settings.insecure_http)
    page = ErrorBoundary(Page(metrics, lambda: _families(database)))
    server = Server(
        page,
        host,
        port,
        interface=Interfaces.ASGINL,
        http=HTTPModes.http1,
        websockets=False,
        log_enabled=False,
    )
    serving = asyncio.get_running_loop().create_task(server.serve())
    try:
        yield
    finally:
        server.stop()  # type: ignore[no-untyped-call]  # granian has no types for it
        await asyncio.wait({serving}, timeout=2)


async def _families(database: "Database") -> "Families":
    """How targets stand, as gauges."""
    from rollbook.app import now
    from rollbook.storage.sql.target_figures import target_figures

    targets, more = await target_figures(database, now())
    families: dict[str, tuple[str, tuple[str, ...], list[tuple[tuple[str, ...], float]]]] = {
        f"rollbook_target_{name}": (
            text,
            ("tenant", "target"),
            [((each.tenant, each.target), float(value(each))) for each in targets],
        )
        for name, (text, value) in _GAUGES.items()
    }
    families["rollbook_targets_left_out"] = (
        "Whether there are more targets than are shown.",
        (),
        [((), more)],
    )
    return families


_MOST = "; 10001 says more than 10000"
_GAUGES: "dict[str, tuple[str, Callable[[TargetFigures], float]]]" = {
    "waiting": (
        f"People and groups that are still to be looked at or sent{_MOST}.",
        lambda each: each.waiting,
    ),
    "behind": ("Entries of the change log that were not looked at yet.", lambda each: each.behind),
    "lag_seconds": ("For how long the first of what waits has been waiting.", lambda each: each.lag),
    "parked": (
        f"People and groups that were given up until something changes{_MOST}.",
        lambda each: each.parked,
    ),
    "quarantined": (
        "Whether the target is left alone for a while, by its own word or since it refuses us.",
        lambda each: each.paused,
    ),
    "stopped": ("Whether nothing is sent there until somebody says so.", lambda each: each.stopped),
}
