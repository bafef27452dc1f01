"""`ROLLBOOK_TRACES=otlp`: OpenTelemetry, loaded only if it is asked for. Where to is said by the OTEL_… variables."""

import os
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, nullcontext
from typing import TYPE_CHECKING, Any

from rollbook.settings import SettingsError

if TYPE_CHECKING:
    from rollbook.client.transport import Transport
    from rollbook.server.traces import Told

VARIABLE = "ROLLBOOK_TRACES"
TO_TARGETS = "ROLLBOOK_TRACES_TO_TARGETS"

EXPORT_SECONDS = 1
"""How long a collector may take, repeats included: one that is away must not hold up the end (FS-24)."""


class Traces:
    """Makes spans with a provider of OpenTelemetry; `to_targets` lets targets know which trace a call is part of."""

    def __init__(self, provider: Any, *, to_targets: bool) -> None:
        from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

        self._provider = provider
        self._tracer = provider.get_tracer("rollbook")
        self._context = TraceContextTextMapPropagator()
        self._to_targets = to_targets

    @contextmanager
    def begin(self, name: str, caller: dict[str, str] | None) -> "Iterator[Told]":
        """A span of a request."""
        from opentelemetry.trace import SpanKind

        context = self._context.extract(caller or {})
        with self._tracer.start_as_current_span(
            name, context=context, kind=SpanKind.SERVER, record_exception=False, set_status_on_exception=False
        ) as span:
            yield _Told(span, fails_from=500)

    @contextmanager
    def span(self, name: str, /, **about: str) -> Iterator[Callable[[str, str | int], None]]:
        """A span of anything else. Of what is raised only the kind is told: words may have values in them."""
        from opentelemetry.trace import SpanKind, StatusCode

        kind = SpanKind.CLIENT if "server.address" in about else SpanKind.INTERNAL
        with self._tracer.start_as_current_span(
            name, kind=kind, attributes=about, record_exception=False, set_status_on_exception=False
        ) as span:
            try:
                yield _Told(span, fails_from=400)
            except Exception as error:
                span.set_attribute("error.type", type(error).__name__)
                span.set_status(StatusCode.ERROR)
                raise

    @contextmanager
    def span_within(self, name: str, /) -> Iterator[object]:
        """The same, but none by itself: a process that looks for work all day asks much that is part of nothing."""
        from opentelemetry.trace import get_current_span

        with self.span(name) if get_current_span().get_span_context().is_valid else nullcontext() as told:
            yield told

    def transport(self, transport: "Transport", target: str) -> "Transport":
        """The same transport, with a span around each call."""
        from rollbook.client.traced import TracedTransport

        return TracedTransport(transport, self.span, target, self._headers)

    def _headers(self) -> Mapping[str, str]:
        headers: dict[str, str] = {}
        if self._to_targets:
            self._context.inject(headers)
        return headers

    def close(self) -> None:
        """Send what is left."""
        self._provider.shutdown()


class _Told:
    """A span that is told its name and attributes; with an HTTP status from `fails_from` on it has failed."""

    def __init__(self, span: Any, fails_from: int) -> None:
        self._span = span
        self._fails_from = fails_from

    def rename(self, name: str) -> None:
        """Its name is known by now."""
        self._span.update_name(name)

    def __call__(self, name: str, value: str | int) -> None:
        """Tell an attribute."""
        from opentelemetry.trace import StatusCode

        self._span.set_attribute(name, value)
        if name == "http.response.status_code" and isinstance(value, int) and value >= self._fails_from:
            self._span.set_status(StatusCode.ERROR)


def traces_of(environment: Mapping[str, str] = os.environ) -> Traces | None:
    """How to trace; None, and nothing of OpenTelemetry is loaded, unless the environment says so.

    Raises:
        SettingsError: it says something else, or the extra is missing.
    """
    told = environment.get(VARIABLE)
    if not told:
        return None
    if told != "otlp":
        raise SettingsError(
            f"{VARIABLE}={told}: write otlp, and say where to with OTEL_EXPORTER_OTLP_ENDPOINT"
        )
    try:
        from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
        from opentelemetry.sdk.resources import Resource
        from opentelemetry.sdk.trace import TracerProvider
        from opentelemetry.sdk.trace.export import BatchSpanProcessor
    except ImportError as error:
        raise SettingsError(
            f"{VARIABLE} needs packages that are not installed ({error.name}): pip install 'rollbook[otel]'"
        ) from None
    name = environment.get("OTEL_SERVICE_NAME", "rollbook")
    provider = TracerProvider(resource=Resource.create({"service.name": name}))
    exporter = OTLPSpanExporter(timeout=EXPORT_SECONDS)
    provider.add_span_processor(BatchSpanProcessor(exporter))
    return Traces(provider, to_targets=environment.get(TO_TARGETS) == "on")
