"""What goes between the queue and the sender: a claimed delivery, and what came of an attempt."""

from dataclasses import dataclass, field
from datetime import datetime
from typing import Any
from uuid import UUID

import structlog

from app.core import metrics, traces
from app.core.clock import rfc3339
from app.core.ids import new_id, time_of
from app.webhooks.schedule import Verdict

KEPT_CHARACTERS = 2_000
LATE_SECONDS = 60.0  # a delivery made so long after its event is a replay, or an endpoint catching up

_log = structlog.get_logger("tendays.voice")


@dataclass(frozen=True, slots=True)
class Claimed:
    """One delivery under lease, with all that is needed to send it; the fields in the order of app.claim_deliveries."""

    delivery_id: UUID
    endpoint_id: UUID
    org_id: UUID
    event_id: UUID
    event_type: str
    lane: str
    attempts: int
    age: float
    body: bytes = field(repr=False)
    url: str
    signatures: list[str]
    secret_sealed: bytes = field(repr=False)
    private_key_sealed: bytes | None = field(repr=False)
    old_secret_sealed: bytes | None = field(repr=False)
    old_private_key_sealed: bytes | None = field(repr=False)


@dataclass(frozen=True, slots=True)
class Outcome:
    """One attempt: `at` is wall time, `status` None and `error` a text for the endpoint's owner if no answer came."""

    claimed: Claimed
    at: datetime
    elapsed_ms: int
    verdict: Verdict
    headers: dict[str, str]
    status: int | None = None
    error: str | None = None
    answer: str | None = None
    id: UUID = field(default_factory=new_id)

    def written(self) -> dict[str, Any]:
        """As app.record_attempts reads it."""
        return {
            "id": str(self.id),
            "delivery_id": str(self.claimed.delivery_id),
            "endpoint_id": str(self.claimed.endpoint_id),
            "at": rfc3339(self.at),
            "elapsed_ms": self.elapsed_ms,
            "status": self.status,
            "error": self.error,
            "headers": self.headers,
            "answer": self.answer,
            "fate": self.verdict.fate,
            "delay": self.verdict.delay,
            "slow": self.verdict.slow,
            "gone": self.verdict.gone,
        }


def count(outcome: Outcome) -> None:
    """Into the log, the traces and the metrics: what came of it; and the time to the receipt, if it is the first."""
    claimed = outcome.claimed
    _tell(outcome)
    metrics.attempted(claimed.lane, outcome.verdict.fate)
    made = time_of(claimed.event_id)
    fanned_out_late = (outcome.at - made).total_seconds() - claimed.age > LATE_SECONDS
    if outcome.verdict.fate == "delivered" and claimed.attempts == 0 and not fanned_out_late:
        seconds = (outcome.at - made).total_seconds() + outcome.elapsed_ms / 1000
        metrics.received(claimed.lane, max(0.0, seconds))


def _tell(outcome: Outcome) -> None:
    claimed, fate = outcome.claimed, outcome.verdict.fate
    _log.info(
        "webhook.attempt", event_id=str(claimed.event_id), event_type=claimed.event_type, lane=claimed.lane,
        delivery_id=str(claimed.delivery_id), endpoint_id=str(claimed.endpoint_id), attempt=claimed.attempts + 1,
        outcome=fate, status=outcome.status, ms=outcome.elapsed_ms,
    )  # fmt: skip
    said: dict[str, str | int] = {
        "tendays.event.id": str(claimed.event_id), "tendays.event.type": claimed.event_type,
        "tendays.lane": claimed.lane, "tendays.delivery.id": str(claimed.delivery_id),
        "tendays.endpoint.id": str(claimed.endpoint_id), "tendays.attempt": claimed.attempts + 1,
        "tendays.outcome": fate, "http.response.status_code": outcome.status or 0,
    }  # fmt: skip
    traces.ended(
        "webhook.attempt", outcome.at.timestamp(), outcome.elapsed_ms / 1000, said, well=fate == "delivered"
    )


def kept_text(body: bytes) -> str | None:
    """What is stored of an answer: at most 2,000 characters, without NUL (which Postgres cannot keep in text)."""
    return body.decode(errors="replace").replace("\0", "\N{REPLACEMENT CHARACTER}")[:KEPT_CHARACTERS] or None
