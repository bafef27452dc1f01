"""What Prometheus is told: requests, the database, quirks; and, asked for at the time, how targets stand.

Every label is from a closed set, or from one with a cap: no ids, no values, nothing that callers choose (T-94). Several
processes count into files of one folder, which whoever is asked adds up.
"""

import asyncio
import os
import time
from bisect import bisect_left
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from typing import Any, TypeVar

import structlog
from prometheus_client import CollectorRegistry, Counter, Histogram, generate_latest
from prometheus_client.core import GaugeMetricFamily
from prometheus_client.multiprocess import MultiProcessCollector

from rollbook.operations.context import Caller
from rollbook.protocol.quirks import Quirk
from rollbook.server.requests import AsgiApp, Message, Receive, Scope, Send
from rollbook.server.responses import Answer, send_answer
from rollbook.server.watching import OTHER, WATCHED, Watched, known_method

log = structlog.get_logger("rollbook.metrics")

T = TypeVar("T")

FOLDER = "PROMETHEUS_MULTIPROC_DIR"
"""Names the folder of several processes; read by prometheus-client when it is imported first."""

PATH = "/metrics"
MOST_TENANTS = 100
"""Tenants with figures of their own; all others share one."""

MOST_ROUTES = 200
"""Routes with figures of their own: tenants may have many resource types."""

REMEMBERED_SECONDS = 5.0
"""For how long figures from the database are believed: asking often must not be a load."""

HAND_OVER_SECONDS = 0.25
"""How old figures may be."""

_GROUPS = ("0xx", "1xx", "2xx", "3xx", "4xx", "5xx")

BUCKETS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 10.0)


class Metrics:
    """What is counted in a process."""

    def __init__(self) -> None:
        # With several processes values are in files, and this registry is not what is shown.
        self.registry = CollectorRegistry()
        self._seconds = Histogram(
            "rollbook_request_seconds",
            "Requests by route, method and class of status, with how long each took.",
            ("route", "method", "status"),
            buckets=BUCKETS,
            registry=self.registry,
        )
        self._tenants = Counter(
            "rollbook_tenant_requests",
            f"Requests by tenant: the first {MOST_TENANTS} by name, all others together.",
            ("tenant", "status"),
            registry=self.registry,
        )
        self._database = Histogram(
            "rollbook_database_seconds",
            "What was asked of the database, with how long it took, waiting for a turn included.",
            ("kind",),
            buckets=BUCKETS,
            registry=self.registry,
        )
        self._quirks = Counter(
            "rollbook_quirk_uses",
            "Requests that were understood by a quirk only.",
            ("quirk",),
            registry=self.registry,
        )
        self._routes = _Capped(MOST_ROUTES)
        self._names = _Capped(MOST_TENANTS)
        self._times: dict[tuple[str, ...], _Times] = {}
        self._counts: dict[tuple[str, str], float] = {}
        self._is_due = False

    def request(self, watched: Watched, method: str, status: int, seconds: float) -> None:
        """One request is answered."""
        group = _GROUPS[status // 100]
        times = self._times.get((watched.route, method, group))
        if times is None:
            times = self._of_route(watched.route, known_method(method), group)
        times.add(seconds)
        of = (watched.tenant, group)
        self._counts[of] = self._counts.get(of, 0) + 1
        if not self._is_due:
            self._hand_over_soon()

    def _of_route(self, route: str, method: str, group: str) -> "_Times":
        labels = (self._routes.of(route), method, group)
        if labels not in self._times:
            self._times[labels] = _Times(self._seconds.labels(*labels))
        return self._times[labels]

    def _hand_over_soon(self) -> None:
        """To count is cheap, and to tell prometheus-client is not, so that is done for many requests at once."""
        self._is_due = True
        asyncio.get_running_loop().call_later(HAND_OVER_SECONDS, self.hand_over)

    def hand_over(self) -> None:
        """Tell prometheus-client what was counted since the last time."""
        self._is_due = False
        for times in self._times.values():
            times.hand_over()
        counts, self._counts = self._counts, {}
        for (tenant, group), count in counts.items():
            self._tenants.labels(self._names.of(tenant), group).inc(count)

    def time_database(self, database: Any) -> None:
        """Time what is asked of a database from now on."""
        for kind in ("read_now", "read", "write"):
            times = self._times[kind,] = _Times(self._database.labels(kind))
            setattr(database, kind, self._timed(getattr(database, kind), times))

    def _timed(self, work: Callable[..., Awaitable[T]], times: "_Times") -> Callable[..., Awaitable[T]]:
        async def timed(*arguments: Any, **options: Any) -> T:
            begun = time.perf_counter()
            try:
                return await work(*arguments, **options)
            finally:
                times.add(time.perf_counter() - begun)
                if not self._is_due:
                    self._hand_over_soon()

        return timed

    def counting_quirks(
        self, note: Callable[[Caller, Iterable[Quirk], int], None]
    ) -> Callable[[Caller, Iterable[Quirk], int], None]:
        """The same, counted."""

        def counted(caller: Caller, used: Iterable[Quirk], at: int) -> None:
            kept = tuple(used)
            for quirk in kept:
                self._quirks.labels(quirk.value).inc()
            note(caller, kept, at)

        return counted


class _Capped:
    """The first so many names, and one for all others."""

    def __init__(self, most: int) -> None:
        self._most = most
        self._known: set[str] = set()

    def of(self, name: str) -> str:
        """The name, or what it is counted under."""
        if name in self._known:
            return name
        if len(self._known) >= self._most:
            return OTHER
        self._known.add(name)
        return name


class _Times:
    """Counts by bucket that a series of a histogram is told of later."""

    def __init__(self, series: Any) -> None:
        self._series = series
        self.counts = [0] * (len(BUCKETS) + 1)
        self.sum = 0.0

    def add(self, seconds: float) -> None:
        """Count one."""
        self.counts[bisect_left(BUCKETS, seconds)] += 1
        self.sum += seconds

    def hand_over(self) -> None:
        """Add what was counted, by what `observe` of a histogram does for one value; tests hold the two together."""
        for place, count in enumerate(self.counts):
            if count:
                self._series._buckets[place].inc(count)  # noqa: SLF001 - see above
        if self.sum:
            self._series._sum.inc(self.sum)  # noqa: SLF001 - see above
        self.counts, self.sum = [0] * (len(BUCKETS) + 1), 0.0


class Measured:
    """ASGI middleware: tells of each request that an app answers."""

    def __init__(self, app: AsgiApp, metrics: Metrics) -> None:
        self._app = app
        self._metrics = metrics

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the request on; what is cut off counts as a failure of ours."""
        watched = scope.setdefault(WATCHED, Watched())
        status, begun, method = 500, time.perf_counter(), scope["method"]

        def sending(message: Message) -> Awaitable[None]:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
            return send(message)

        try:
            await self._app(scope, receive, sending)
        finally:
            self._metrics.request(watched, method, status, time.perf_counter() - begun)


Families = Mapping[str, tuple[str, Sequence[str], Sequence[tuple[Sequence[str], float]]]]
"""Gauges by name: what they say, their labels, and each one's labels and value."""


class Page:
    """ASGI app: `/metrics`, for an address of its own. `ask` says how things stand now."""

    def __init__(self, metrics: Metrics, ask: Callable[[], Awaitable[Families]]) -> None:
        self._metrics = metrics
        self._ask = ask
        self._families: Families = {}
        self._at = float("-inf")
        self._asking = asyncio.Lock()

    async def __call__(self, scope: Scope, _receive: Receive, send: Send) -> None:
        """Answer one request."""
        if scope["path"] != PATH or scope["method"] not in {"GET", "HEAD"}:
            await send_answer(send, Answer(404))
            return
        families = await self._asked()
        self._metrics.hand_over()
        text = await asyncio.to_thread(_render, self._metrics.registry, families)
        await send_answer(send, Answer(200, text), _TEXT, head=scope["method"] == "HEAD")

    async def _asked(self) -> Families:
        async with self._asking:
            if time.monotonic() - self._at >= REMEMBERED_SECONDS:
                self._families = await _unless_away(self._ask)
                self._at = time.monotonic()
        return self._families


_TEXT = "text/plain; version=0.0.4; charset=utf-8"
DATABASE_UP = "rollbook_database_up"
_UP = "Whether the database has answered."
SECONDS = 10.0
"""How long the database may take for its figures."""


async def _unless_away(ask: Callable[[], Awaitable[Families]]) -> Families:
    """What the database says; that it is away is a figure, too, and no reason to show none of the others."""
    try:
        async with asyncio.timeout(SECONDS):
            found = await ask()
    except Exception as error:  # noqa: BLE001 - whatever it is, the other figures are told
        log.warning("no figures from the database", error=type(error).__name__)
        return {DATABASE_UP: (_UP, (), [((), 0)])}
    return {**found, DATABASE_UP: (_UP, (), [((), 1)])}


class _Asked:
    """Figures that were asked for, as prometheus-client collects them."""

    def __init__(self, families: Families) -> None:
        self._families = families

    def collect(self) -> Iterable[GaugeMetricFamily]:
        for name, (says, labels, values) in self._families.items():
            family = GaugeMetricFamily(name, says, labels=labels)
            for labelled, value in values:
                family.add_metric(labelled, value)
            yield family


def _render(counted: CollectorRegistry, families: Families) -> bytes:
    if os.environ.get(FOLDER):
        counted = CollectorRegistry()
        collect: Any = MultiProcessCollector  # comes without types
        collect(counted)
    asked = CollectorRegistry()
    collector: Any = _Asked(families)  # anything that collects
    asked.register(collector)
    text: bytes = generate_latest(counted) + generate_latest(asked)
    return text
