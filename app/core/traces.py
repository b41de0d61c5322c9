"""Traces for OpenTelemetry, where its SDK is installed (`tendays[otel]`) and OTEL_EXPORTER_OTLP_ENDPOINT names a collector.

The requests of the API are traced by FastAPI itself; here are what happens beside a request, and what it announced.
No span says whose anything is: ids, types, times and outcomes.
"""

import os
from collections.abc import Iterable, Mapping

import structlog
from opentelemetry import trace
from opentelemetry.trace import SpanKind, Status, StatusCode

_log = structlog.get_logger("tendays.traces")
_tracer = trace.get_tracer("tendays")


def begin(service: str) -> bool:
    """Send the spans of this process to the collector of OTEL_EXPORTER_OTLP_ENDPOINT. False where none is named.

    For a process without an API, which FastAPI has nothing to do with. A missing SDK is said once, and no reason to stop.
    """
    named = "OTEL_EXPORTER_OTLP_ENDPOINT" in os.environ or "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT" in os.environ
    if not named or os.environ.get("OTEL_SDK_DISABLED", "").lower() == "true":
        return False
    try:
        from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter  # noqa: PLC0415
        from opentelemetry.sdk.resources import Resource  # noqa: PLC0415
        from opentelemetry.sdk.trace import TracerProvider  # noqa: PLC0415
        from opentelemetry.sdk.trace.export import BatchSpanProcessor  # noqa: PLC0415
    except ImportError:
        _log.warning("traces.not_installed", needed="tendays[otel]")
        return False
    named_already = "OTEL_SERVICE_NAME" in os.environ
    provider = TracerProvider(resource=Resource.create({} if named_already else {"service.name": service}))
    provider.add_span_processor(BatchSpanProcessor(OTLPSpanExporter()))
    trace.set_tracer_provider(provider)
    return True


def announced(events: Iterable[tuple[str, str]]) -> None:
    """Write the events of a request, by id and type, on its span."""
    span = trace.get_current_span()
    if span.is_recording():
        for identifier, kind in events:
            span.add_event("event.announced", {"tendays.event.id": identifier, "tendays.event.type": kind})


def ended(name: str, began: float, seconds: float, said: Mapping[str, str | int], *, well: bool) -> None:
    """Write a span of something that was sent and has ended. `began` is in seconds since 1970."""
    start = int(began * 1_000_000_000)
    span = _tracer.start_span(name, kind=SpanKind.CLIENT, start_time=start, attributes=dict(said))
    if not well:
        span.set_status(Status(StatusCode.ERROR))
    span.end(start + int(seconds * 1_000_000_000))
