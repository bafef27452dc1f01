"""Traces, as OpenTelemetry's own SDK keeps them: requests, the database, targets; and nothing of anybody in them (T-94)."""

import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from rollbook.app import running
from rollbook.cli.traces import Traces, traces_of
from rollbook.client.transport import HttpRequest, HttpResponse
from rollbook.protocol.errors import TargetUnavailable
from rollbook.server.traces import Traced, trace_database
from rollbook.settings import Settings, SettingsError
from rollbook.testing.asgi import AsgiCaller

pytest.importorskip("opentelemetry.sdk", reason="needs the extra: pip install 'rollbook[otel]'")

from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.trace import SpanKind, StatusCode

pytestmark = pytest.mark.anyio

TOKEN = "a-bootstrap-token"
CALLER = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"


def _kept(*, to_targets: bool = False) -> tuple[Traces, Any]:
    exporter, provider = InMemorySpanExporter(), TracerProvider()
    provider.add_span_processor(SimpleSpanProcessor(exporter))
    return Traces(provider, to_targets=to_targets), exporter


async def test_a_request_and_what_it_asks_of_the_database(tmp_path: Path) -> None:
    """One trace: the request by its route's template, the caller's trace above it, the database below; no ids and no values."""
    traces, exporter = _kept()
    settings = Settings(database=f"sqlite:///{tmp_path}/rollbook.db", bootstrap_token=TOKEN)
    async with running(settings) as application:
        trace_database(application.store.database, traces.span, traces.span_within)
        call = AsgiCaller(Traced(application.asgi, traces.begin), TOKEN)
        own = (await call("POST", "/scim/v2/Users", {"userName": "marker-ann"})).json["id"]
        exporter.clear()
        assert (await call("GET", f"/scim/v2/Users/{own}", headers={"traceparent": CALLER})).status == 200
        read = exporter.get_finished_spans()
        exporter.clear()
        assert (await call("GET", '/scim/v2/Users?filter=userName eq "marker-ann"')).status == 200
        assert (await call("GET", "/scim/v2/Users/marker-none")).status == 404
        assert (await call("BREW", "/marker-coffee")).status == 404
        others = exporter.get_finished_spans()
        exporter.clear()
        database = application.store.database
        await database.read_now(lambda connection: connection.one("SELECT 1"))
        await database.read(lambda connection: connection.one("SELECT 1"))
        assert exporter.get_finished_spans() == ()  # a process that looks for work fills nobody's collector
        await database.write(1, lambda connection: connection.one("SELECT 1"))
        assert [span.name for span in exporter.get_finished_spans()] == ["database write"]
    request = next(span for span in read if span.name == "GET /scim/v2/Users/{id}")
    assert request.status.status_code is StatusCode.UNSET
    assert dict(request.attributes) == {
        "http.request.method": "GET",
        "http.route": "/scim/v2/Users/{id}",
        "http.response.status_code": 200,
        "rollbook.tenant": "default",
    }
    assert f"{request.context.trace_id:032x}" == CALLER.split("-")[1]
    below = [span for span in read if span.name == "database read_now"]
    assert below
    assert {span.parent.span_id for span in below} == {request.context.span_id}
    names = {span.name for span in others}
    assert {"GET /scim/v2/Users", "GET /scim/v2/Users/{id}", "other none"} <= names
    told = "".join(span.to_json() for span in (*read, *others))
    assert "marker" not in told
    assert own not in told


class _Target:
    """Keeps what it is sent."""

    def __init__(self, *, fails: bool = False) -> None:
        self.sent: list[HttpRequest] = []
        self.fails = fails

    async def send(self, request: HttpRequest) -> HttpResponse:
        self.sent.append(request)
        if self.fails:
            raise TargetUnavailable("no answer from marker-host")
        return HttpResponse(200)

    async def close(self) -> None:
        pass


@pytest.mark.parametrize("to_targets", [False, True])
async def test_a_call_to_a_target(to_targets: bool) -> None:
    """A span within the delivery's, without path and query; the target learns of the trace only if it may."""
    traces, exporter = _kept(to_targets=to_targets)
    target = _Target()
    request = HttpRequest("GET", "https://wiki.example.com/scim/v2/Users/marker-id?filter=marker", {"a": "b"})
    with traces.span("deliver wiki", **{"rollbook.target": "wiki"}):
        await traces.transport(target, "wiki").send(request)
    call, delivery = exporter.get_finished_spans()
    assert (call.name, delivery.name) == ("GET wiki", "deliver wiki")
    assert call.parent.span_id == delivery.context.span_id
    assert call.attributes["http.response.status_code"] == 200
    assert call.attributes["server.address"] == "wiki.example.com"
    assert "marker" not in call.to_json()
    (sent,) = target.sent
    assert ("traceparent" in sent.headers) is to_targets
    assert sent.headers["a"] == "b"


async def test_of_an_error_only_its_kind_is_told() -> None:
    """The words of an error may have values in them."""
    traces, exporter = _kept()
    with pytest.raises(TargetUnavailable):
        await traces.transport(_Target(fails=True), "wiki").send(HttpRequest("GET", "https://x.example/"))
    (call,) = exporter.get_finished_spans()
    assert call.attributes["error.type"] == "TargetUnavailable"
    assert (call.status.status_code, call.status.description) == (StatusCode.ERROR, None)
    assert call.kind is SpanKind.CLIENT
    assert "marker" not in call.to_json()


@pytest.mark.parametrize(("status", "fails"), [(200, False), (404, False), (500, True), (503, True)])
async def test_requests_that_fail_are_seen(status: int, fails: bool) -> None:
    """By the status of a span a collector finds what went wrong; a request that was refused is none of our failures."""
    traces, exporter = _kept()
    with traces.begin("GET", None) as told:
        told("http.response.status_code", status)
    (request,) = exporter.get_finished_spans()
    assert request.status.status_code is (StatusCode.ERROR if fails else StatusCode.UNSET)


@pytest.mark.parametrize(
    ("environment", "words"),
    [({}, None), ({"ROLLBOOK_TRACES": ""}, None), ({"ROLLBOOK_TRACES": "yes"}, "write otlp")],
)
def test_traces_are_asked_for(environment: dict[str, str], words: str | None) -> None:
    """Nobody traces unless told so, in words that are known."""
    if words is None:
        assert traces_of(environment) is None
    else:
        with pytest.raises(SettingsError, match=words):
            traces_of(environment)


def test_fs_24_a_collector_that_is_away_holds_nothing_up(monkeypatch: pytest.MonkeyPatch) -> None:
    """FS-24: what cannot be sent is given up soon, so that a server ends in time."""
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", "http://127.0.0.1:9")
    traces = traces_of({"ROLLBOOK_TRACES": "otlp"})
    assert traces is not None
    with traces.span("lost"):
        pass
    begun = time.monotonic()
    traces.close()
    assert time.monotonic() - begun < 5


def test_nothing_is_loaded_unless_it_is_asked_for() -> None:
    """A server without traces and figures loads neither library's SDK."""
    code = (
        "import sys, rollbook.app, rollbook.cli.serve, rollbook.cli.traces, rollbook.cli.metrics;"
        "print([name for name in sys.modules if name.startswith(('opentelemetry.sdk', 'prometheus_client'))])"
    )
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert ran.stdout.strip() == "[]"
