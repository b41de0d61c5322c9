"""Answers of the certification routes."""

from datetime import datetime
from typing import Any, Literal
from uuid import UUID

from pydantic import ConfigDict, Field

from app.rest.models import Out

_CASE: dict[str, Any] = {
    "case": "valid",
    "expected": "2xx",
    "got": 204,
    "error": None,
    "elapsed_ms": 8,
    "passed": True,
}
_CERTIFICATION: dict[str, Any] = {
    "id": "01a2013a-9643-713b-a2d5-339b6a0a0c40",
    "endpoint_id": "01a2013a-9643-713b-a2d5-339b6a0a0c30",
    "state": "done",
    "grade": "A",
    "cases": [_CASE, {**_CASE, "case": "wrong_signature", "expected": "4xx", "got": 401}],
    "created_at": "2026-11-22T09:30:00Z",
    "started_at": "2026-11-22T09:30:01Z",
    "ended_at": "2026-11-22T09:30:07Z",
}
CaseName = Literal[
    "valid", "duplicate", "unknown_type", "out_of_order", "large", "trickled", "wrong_signature", "stale_timestamp"
]  # fmt: skip


class CaseOut(Out):
    """One case of the suite."""

    model_config = ConfigDict(json_schema_extra={"examples": [_CASE]})

    case: CaseName
    expected: Literal["2xx", "4xx"]
    got: int | None = Field(description="The status that came; null if no answer did.")
    error: str | None = Field(description="Why no answer came.")
    elapsed_ms: int = Field(description="Milliseconds for all posts of the case.")
    passed: bool


class CertificationOut(Out):
    """A certification of a receiver: waiting, being played, or done."""

    model_config = ConfigDict(json_schema_extra={"examples": [_CERTIFICATION]})

    id: UUID
    endpoint_id: UUID
    state: Literal["queued", "running", "done", "cancelled"] = Field(
        description="`cancelled`: the endpoint was removed, or its keys cannot be opened any more."
    )
    grade: Literal["A", "B", "C", "F"] | None = Field(
        description="A: all passed. B: safe, takes a message once and again, fails elsewhere. C: fails with a duplicate,"
        " too. F: believed a forged or a stale message, or did not take a valid one."
    )
    cases: list[CaseOut]
    created_at: datetime
    started_at: datetime | None
    ended_at: datetime | None
