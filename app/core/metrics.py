"""What this process counts, for Prometheus. No label names an organisation, a client, a pupil or a thing of theirs.

Counting is cheap and always done; whether anybody is told is for the settings to say.
"""

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Final

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, ProcessCollector, generate_latest
from prometheus_client import start_http_server as _start
from prometheus_client.multiprocess import MultiProcessCollector, mark_process_dead

__all__ = [
    "MEDIA_TYPE",
    "answered",
    "attempted",
    "raised",
    "read_from",
    "received",
    "row_failed",
    "rows_set_aside",
    "serve",
    "state_of_endpoints",
    "state_of_queue",
    "storage_refused",
    "task_failed",
    "text",
    "turn_ended",
    "undelivered",
    "worker_fault",
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
    registry=REGISTRY, multiprocess_mode="mostrecent",
)  # fmt: skip
_depth = Gauge(
    "tendays_webhook_queue_depth",
    "Deliveries that are pending.",
    ("lane",),
    registry=REGISTRY,
    multiprocess_mode="mostrecent",
)
_oldest = Gauge(
    "tendays_webhook_queue_oldest_seconds", "Age of the oldest pending delivery.", ("lane",), registry=REGISTRY,
    multiprocess_mode="mostrecent",
)  # fmt: skip
_overdue = Gauge(
    "tendays_webhook_queue_overdue_seconds",
    "For how long the most overdue delivery to an active endpoint has been due.", ("lane",), registry=REGISTRY,
    multiprocess_mode="mostrecent",
)  # fmt: skip
_endpoints = Gauge(
    "tendays_webhook_endpoints", "Endpoints by state; `failing` are active ones whose last attempts failed.",
    ("state",), registry=REGISTRY, multiprocess_mode="mostrecent",
)  # fmt: skip
_storage = Counter(
    "tendays_storage_refused", "Writes that the database had no room or no partition for.", ("reason",), registry=REGISTRY
)  # fmt: skip
_task_failures = Counter(
    "tendays_task_failures", "Turns and steps of a periodic task that failed.", ("task",), registry=REGISTRY
)  # fmt: skip
_rows_failed = Counter(
    "tendays_task_rows_failed", "Rows that a periodic task could not handle; it went on with the others.", ("task",),
    registry=REGISTRY,
)  # fmt: skip
_rows_aside = Gauge(
    "tendays_task_rows_set_aside", "Rows that failed and are tried again later.", ("task",), registry=REGISTRY,
    multiprocess_mode="livesum",
)  # fmt: skip
_turns = Gauge(
    "tendays_task_last_turn_seconds", "When a periodic task last came to its end, in seconds since 1970.", ("task",),
    registry=REGISTRY, multiprocess_mode="mostrecent",
)  # fmt: skip

_faults = Gauge(
    "tendays_worker_unfit", "1 while a check of the worker fails: schema and clock stop its sending, key that of some.",
    ("check",), registry=REGISTRY,
)  # fmt: skip

_reads = Counter(
    "tendays_reads_with_replica",
    "Reads while a replica is set: by `replica`, or by the primary as the replica was `behind`, `away` or `not_a_replica`.",
    ("by",), registry=REGISTRY,
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


def storage_refused(reason: str) -> None:
    """Something could not be stored: `storage_full` or `partition_missing`."""
    _storage.labels(reason).inc()


def task_failed(task: str) -> None:
    """A turn or a step of a periodic task failed."""
    _task_failures.labels(task).inc()


def row_failed(task: str) -> None:
    """A row of a periodic task could not be handled."""
    _rows_failed.labels(task).inc()


def rows_set_aside(task: str, number: int) -> None:
    """So many rows of a task have failed and are tried again later."""
    _rows_aside.labels(task).set(number)


def turn_ended(task: str) -> None:
    """A periodic task came to the end of a turn."""
    _turns.labels(task).set_to_current_time()


def state_of_queue(lanes: Mapping[str, tuple[int, float, float]]) -> None:
    """How the queue stands: per lane its depth, the age of the oldest, the delay of the most overdue (seconds)."""
    for lane, (depth, oldest, overdue) in lanes.items():
        _depth.labels(lane).set(depth)
        _oldest.labels(lane).set(oldest)
        _overdue.labels(lane).set(overdue)


def state_of_endpoints(endpoints: Mapping[str, int]) -> None:
    """How many endpoints are in each state."""
    for state, number in endpoints.items():
        _endpoints.labels(state).set(number)


def worker_fault(check: str, *, is_there: bool) -> None:
    """Whether a check of the worker (schema, key, clock) fails."""
    _faults.labels(check).set(int(is_there))


def read_from(by: str) -> None:
    """Who answered a read: `replica`, or the primary because the replica was `behind`, `away` or `not_a_replica`."""
    _reads.labels(by).inc()


def text() -> bytes:
    """All of it, in Prometheus' text format; of all processes together where several serve one listener.

    Those keep what they count in the folder PROMETHEUS_MULTIPROC_DIR; what a process counted that has ended stays.
    """
    folder = os.environ.get("PROMETHEUS_MULTIPROC_DIR")
    if not folder:
        return generate_latest(REGISTRY)
    for file in Path(folder).glob("gauge_live*.db"):
        pid = file.stem.rpartition("_")[2]
        if pid.isdigit() and not Path(f"/proc/{pid}").exists():
            mark_process_dead(int(pid), folder)  # type: ignore[no-untyped-call] # the library leaves it untyped
    together = CollectorRegistry()
    MultiProcessCollector(together, folder)  # type: ignore[no-untyped-call] # as above
    return generate_latest(together)


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
