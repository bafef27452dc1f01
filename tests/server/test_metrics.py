"""What Prometheus is told of requests, the database, quirks and targets: right, and of bounded size (T-94)."""

import asyncio
from pathlib import Path
from typing import Any

import pytest
from prometheus_client import CollectorRegistry, Histogram
from prometheus_client.parser import text_string_to_metric_families

from rollbook.app import opened, running
from rollbook.cli.metrics import _families, address
from rollbook.protocol.errors import StoreUnavailable
from rollbook.server.metrics import BUCKETS, MOST_ROUTES, MOST_TENANTS, Families, Measured, Metrics, Page
from rollbook.server.watching import Watched
from rollbook.settings import Settings, SettingsError
from rollbook.storage.sql.connection import Connection
from rollbook.storage.sql.link_marks import AHEAD
from rollbook.testing.asgi import AsgiCaller

pytestmark = pytest.mark.anyio

TOKEN = "a-bootstrap-token"


async def _nothing() -> Families:
    return {}


async def _samples(page: Page) -> dict[tuple[str, tuple[str, ...]], float]:
    answer = await AsgiCaller(page)("GET", "/metrics")
    assert answer.status == 200
    families = text_string_to_metric_families(answer.body.decode())
    return {
        (sample.name, tuple(value for _, value in sorted(sample.labels.items()))): sample.value
        for family in families
        for sample in family.samples
        if not sample.name.endswith(("_bucket", "_created"))
    }


async def test_requests_are_counted_by_route(tmp_path: Path) -> None:
    """By template, method and class of status; no id, name or other value of anybody is in it (T-94, T-32)."""
    metrics = Metrics()
    settings = Settings(database=f"sqlite:///{tmp_path}/rollbook.db", bootstrap_token=TOKEN)
    async with running(settings, metrics=metrics) as application:
        call = AsgiCaller(Measured(application.asgi, metrics), TOKEN)
        made = await call("POST", "/scim/v2/Users", {"userName": "marker-ann", "password": "marker-secret"})
        own = made.json["id"]
        for _ in range(3):
            assert (await call("GET", f"/scim/v2/Users/{own}")).status == 200
        assert (await call("GET", "/scim/v2/Users/marker-none")).status == 404
        assert (await call("GET", '/scim/v2/Users?filter=userName eq "marker-ann"')).status == 200
        assert (await call("BREW", "/marker-coffee")).status == 404
        assert (await AsgiCaller(call.app)("GET", "/scim/v2/Users")).status == 401
        patch = {"Operations": [{"op": "Replace", "path": "active", "value": "False"}]}
        assert (await call("PATCH", f"/scim/v2/Users/{own}", patch)).status < 300
        page = Page(metrics, _nothing)
        found = await _samples(page)
        text = (await AsgiCaller(page)("GET", "/metrics")).body.decode()
    one = "/scim/v2/Users/{id}"
    assert found["rollbook_request_seconds_count", ("GET", one, "2xx")] == 3
    assert found["rollbook_request_seconds_count", ("GET", one, "4xx")] == 1
    assert found["rollbook_request_seconds_count", ("POST", "/scim/v2/Users", "2xx")] == 1
    assert found["rollbook_request_seconds_count", ("GET", "/scim/v2/Users", "4xx")] == 1
    assert found["rollbook_request_seconds_count", ("other", "none", "4xx")] == 1
    assert found["rollbook_tenant_requests_total", ("2xx", "default")] == 6
    assert found["rollbook_database_seconds_count", ("write",)] >= 2
    assert found["rollbook_database_seconds_count", ("read_now",)] >= 4
    assert any(name == "rollbook_quirk_uses_total" for name, _ in found)
    assert found["rollbook_database_up", ()] == 1
    assert "marker" not in text
    assert own not in text


@pytest.mark.parametrize("seconds", [0.0, 0.0005, 0.001, 0.0011, 0.2, 10.0, 11.0])
async def test_times_are_counted_as_a_histogram_counts(seconds: float) -> None:
    """What is handed over later is what `observe` would have told at once, at the edges of buckets, too."""
    metrics, plain = Metrics(), CollectorRegistry()
    usual = Histogram("rollbook_request_seconds", "", registry=plain, buckets=BUCKETS)
    for _ in range(3):
        usual.observe(seconds)
        metrics.request(Watched(), "GET", 200, seconds)
    metrics.hand_over()
    for name, more in (("count", {}), ("sum", {}), *(("bucket", {"le": str(each)}) for each in BUCKETS)):
        labels = {"route": "none", "method": "GET", "status": "2xx", **more}
        told = metrics.registry.get_sample_value(f"rollbook_request_seconds_{name}", labels)
        assert told == plain.get_sample_value(f"rollbook_request_seconds_{name}", more)


async def test_t_94_labels_are_capped() -> None:
    """T-94: however many tenants, routes and methods there are, the number of series is bounded."""
    metrics = Metrics()
    for number in range(MOST_ROUTES * 3):
        watched = Watched(f"/scim/v2/Type{number}", f"tenant-{number}")
        metrics.request(watched, f"METHOD{number}", 200 + 100 * (number % 4), 0.001)
    metrics.hand_over()
    samples: list[Any] = [sample for family in metrics.registry.collect() for sample in family.samples]
    routes = {sample.labels["route"] for sample in samples if "route" in sample.labels}
    tenants = {sample.labels["tenant"] for sample in samples if "tenant" in sample.labels}
    methods = {sample.labels["method"] for sample in samples if "method" in sample.labels}
    assert (len(routes), len(tenants), methods) == (MOST_ROUTES + 1, MOST_TENANTS + 1, {"other"})
    counted = [sample.value for sample in samples if sample.name == "rollbook_request_seconds_count"]
    assert sum(counted) == MOST_ROUTES * 3


def _targets(connection: Connection) -> None:
    connection.run(
        "INSERT INTO target (tenant, number, name, digest, position, paused_until, stopped)"
        " VALUES (1, 1, 'wiki', '', 2, 99000, NULL), (1, 2, 'chat', '', 5, 0, 'the brake')"
    )
    for sequence, at in ((1, 1000), (2, 2000), (3, 30_000), (4, 40_000), (5, 50_000)):
        connection.run(
            "INSERT INTO change (tenant, sequence, type, id, operation, version, author, at, detail) VALUES (1, ?, 'User', ?, 'create', 'v', 'hr', ?, ?)",
            (sequence, f"u{sequence}", at, b""),
        )
    for key, state in enumerate(("ready", "claimed", "parked", "done", "ready")):
        connection.run(
            "INSERT INTO link (tenant, target, pk, id, type, rank, state, due, marked, fence, attempts, disabled,"
            " members_read) VALUES (1, 2, ?, ?, 'User', 0, ?, ?, 0, 0, 0, 0, 0)",
            (key, f"u{key}", state, 90_000 + key),
        )


async def test_how_targets_stand_is_asked_of_the_database(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Depth and lag per target, what is parked, paused and stopped, as it is at the time."""
    monkeypatch.setattr("rollbook.app.now", lambda: 100_000)
    settings = Settings(database=f"sqlite:///{tmp_path}/rollbook.db")
    async with opened(settings) as store:
        await store.database.write(1, _targets)
        found = await _samples(Page(Metrics(), lambda: _families(store.database)))
    wiki, chat = ("wiki", "default"), ("chat", "default")
    expected = {
        ("waiting", wiki): 0, ("behind", wiki): 3, ("lag_seconds", wiki): 70, ("parked", wiki): 0,
        ("quarantined", wiki): 0, ("stopped", wiki): 0,
        ("waiting", chat): 3, ("behind", chat): 0, ("lag_seconds", chat): 10, ("parked", chat): 1,
        ("quarantined", chat): 0, ("stopped", chat): 1,
    }  # fmt: skip
    assert {(name, of): found[f"rollbook_target_{name}", of] for name, of in expected} == expected
    assert found["rollbook_targets_left_out", ()] == 0


_LINK = """
    INSERT INTO link (tenant, target, pk, id, type, rank, state, due, marked, fence, attempts, disabled, members_read)
    VALUES (1, 1, ?, ?, 'User', 0, ?, ?, 0, ?, ?, 0, 0)
"""
_TRY = """
    INSERT INTO delivery (tenant, target, at, pk, fence, run, id, type, action, detail)
    VALUES (1, 1, ?, ?, ?, 1, ?, 'User', ?, x'7b7d')
"""


def _outage(connection: Connection) -> None:
    connection.run(
        "INSERT INTO target (tenant, number, name, digest, position, paused_until) VALUES (1, 1, 'wiki', '', 0, 0)"
    )
    # `ann` failed long ago, was done, fails since 40 s: with a try given back in between. `bob` is new.
    connection.run(_LINK, (1, "ann", "ready", 400_000, 7, 3))
    for at, fence, action in (
        (5_000, 2, "wait"),
        (9_000, 3, "update"),
        (60_000, 4, "wait"),
        (70_000, 6, "wait"),
        (90_000, 7, "wait"),
    ):
        connection.run(_TRY, (at, 1, fence, "ann", action))
    connection.run(_LINK, (2, "bob", "claimed", 300_000, 2, 1))
    connection.run(_TRY, (95_000, 2, 1, "bob", "wait"))


def _put_ahead(connection: Connection) -> None:
    connection.run("DELETE FROM link WHERE id = 'ann'")
    connection.run(_LINK, (3, "cyn", "ready", 93_000 - AHEAD, 0, 0))


async def test_what_is_tried_in_vain_is_waiting_since_then(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A target that is away has a lag that grows, though each try puts the next one off; and who goes first has none of years."""
    monkeypatch.setattr("rollbook.app.now", lambda: 100_000)
    settings = Settings(database=f"sqlite:///{tmp_path}/rollbook.db")
    lag = "rollbook_target_lag_seconds", ("wiki", "default")
    async with opened(settings) as store:
        await store.database.write(1, _outage)
        assert (await _samples(Page(Metrics(), lambda: _families(store.database))))[lag] == 40
        await store.database.write(1, _put_ahead)
        assert (await _samples(Page(Metrics(), lambda: _families(store.database))))[lag] == 7


async def test_a_database_that_is_away_is_a_figure() -> None:
    """All other figures are told; and asked again at once, the database is left alone (T-94)."""
    asked = []

    async def away() -> Families:
        asked.append(1)
        raise StoreUnavailable("postgresql://marker: no")

    page = Page(Metrics(), away)
    answers = await asyncio.gather(*(_samples(page) for _ in range(5)))
    assert answers[0]["rollbook_database_up", ()] == 0
    assert len(asked) == 1


@pytest.mark.parametrize(
    ("text", "insecure", "expected"),
    [
        ("127.0.0.1:9464", False, ("127.0.0.1", 9464)),
        ("[::1]:9464", False, ("[::1]", 9464)),
        ("0.0.0.0:9464", True, ("0.0.0.0", 9464)),
        ("0.0.0.0:9464", False, None),
        ("9464", False, None),
        ("127.0.0.1:0", False, None),
        ("127.0.0.1:x", False, None),
    ],
)
def test_t_91_the_address_of_figures(text: str, insecure: bool, expected: tuple[str, int] | None) -> None:
    """T-91: on this machine only, unless told."""
    if expected is None:
        with pytest.raises(SettingsError, match=r"--metrics"):
            address(text, insecure_http=insecure)
    else:
        assert address(text, insecure_http=insecure) == expected
