"""What this process counts, for Prometheus. No label names an organisation, a client, a pupil or a thing of theirs.

Counting is cheap and always done; whether anybody is told is for the settings to say.
"""

from collections.abc import Mapping
from typing import Final

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, ProcessCollector, generate_latest
from prometheus_client import start_http_server as _start

__all__ = [
    "MEDIA_TYPE",
    "answered",
    "attempted",
    "raised",
    "received",
    "serve",
    "state_of_queue",
    "text",
    "undelivered",
]

MEDIA_TYPE: Final = "text/plain; version=0.0.4; charset=utf-8"
REGISTRY: Final = CollectorRegistry()
ProcessCollector(registry=REGISTRY)

_SECONDS = (0.005, 0.01, 0.015, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60)
_requests = Counter(
    "tendays_requests", "Requests answered, by route and status.", ("method", "route", "status"), registry=REGISTRY
)  # fmt: skip
_attempts = Counter(
    "tendays_webhook_attempts", "Attempts to deliver a webhook, by what came of them.", ("lane", "outcome"),
    registry=REGISTRY,
)  # fmt: skip
_received = Histogram(
    "tendays_webhook_commit_to_receipt_seconds",
    "From the making of an event to the 2xx of its receiver, where the first attempt brought it; without replays.",
    ("lane",), buckets=_SECONDS, registry=REGISTRY,
)  # fmt: skip
_raised = Counter(
    "tendays_webhook_raised",
    "Deliveries listed as undelivered, by why: not received in time, not sent although due, or without a due time.",
    ("lane", "reason"), registry=REGISTRY,
)  # fmt: skip
_undelivered = Gauge(
    "tendays_webhook_undelivered", "Deliveries listed as undelivered that are still pending.", ("lane",),
    registry=REGISTRY,
)  # fmt: skip
_depth = Gauge("tendays_webhook_queue_depth", "Deliveries that are pending.", ("lane",), registry=REGISTRY)
_oldest = Gauge(
    "tendays_webhook_queue_oldest_seconds", "Age of the oldest pending delivery.", ("lane",), registry=REGISTRY
)  # fmt: skip
_overdue = Gauge(
    "tendays_webhook_queue_overdue_seconds",
    "For how long the most overdue delivery to an active endpoint has been due.", ("lane",), registry=REGISTRY,
)  # fmt: skip
_endpoints = Gauge(
    "tendays_webhook_endpoints", "Endpoints by state; `failing` are active ones whose last attempts failed.",
    ("state",), registry=REGISTRY,
)  # fmt: skip


def answered(method: str, route: str, status: int) -> None:
    """A request was answered. `route` is the template of its path, never the path."""
    _requests.labels(method, route, str(status)).inc()


def attempted(lane: str, outcome: str) -> None:
    """An attempt ended: delivered, retry or failed."""
    _attempts.labels(lane, outcome).inc()


def raised(lane: str, reason: str) -> None:
    """A delivery was listed as undelivered: `not_received`, `not_sent` or `no_due_time`."""
    _raised.labels(lane, reason).inc()


def undelivered(lanes: Mapping[str, int]) -> None:
    """How many deliveries are listed as undelivered and still pending, per lane."""
    for lane, number in lanes.items():
        _undelivered.labels(lane).set(number)


def received(lane: str, seconds: float) -> None:
    """An event was received at the first attempt, so many seconds after it was made."""
    _received.labels(lane).observe(seconds)


def state_of_queue(lanes: Mapping[str, tuple[int, float, float]], endpoints: Mapping[str, int]) -> None:
    """How the queue stands: per lane its depth, the age of the oldest, the delay of the most overdue (seconds)."""
    for lane, (depth, oldest, overdue) in lanes.items():
        _depth.labels(lane).set(depth)
        _oldest.labels(lane).set(oldest)
        _overdue.labels(lane).set(overdue)
    for state, number in endpoints.items():
        _endpoints.labels(state).set(number)


def text() -> bytes:
    """All of it, in Prometheus' text format."""
    return generate_latest(REGISTRY)


class serve:  # noqa: N801  (read as `with serve(port, host):`)
    """While the block lasts, tell whoever asks on this port. OSError if it is taken. `port` None: nobody is told."""

    def __init__(self, port: int | None, host: str) -> None:
        self._port, self._host = port, host

    def __enter__(self) -> None:
        """Listen, in a thread of its own."""
        self._served = _start(self._port, self._host, REGISTRY) if self._port else None

    def __exit__(self, *_: object) -> None:
        """Stop listening."""
        if self._served:
            server, thread = self._served
            server.shutdown()
            server.server_close()
            thread.join(2)
