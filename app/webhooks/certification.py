"""The certification of a receiver: what is sent to it, what it should say to that, and the grade that comes of it.

Pure but for ids and keys that are made at random. A play is eight cases in a fixed order; every body is a `webhook.test`
as the catalogue describes it (but for the one of an unknown type), made for the purpose: nothing of it is in the feed.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Final
from uuid import UUID

import orjson

from app.core.clock import rfc3339
from app.core.ids import new_id

TEST_TYPE: Final = "webhook.test"
UNKNOWN_TYPE: Final = "certification.of_a_type_nobody_knows"
LARGE, SLOW = 20_000, 2_000  # bytes
TRICKLE_SECONDS: Final = 5.0
STALE_SECONDS: Final = 600
GOOD, BAD = "2xx", "4xx"
_FIRST = {GOOD: 200, BAD: 400}


@dataclass(frozen=True, slots=True)
class Post:
    """One post of a case: signed with `seconds_ago`, by strangers' keys if it is `forged`, sent over so many seconds."""

    msg_id: UUID
    body: bytes
    seconds_ago: int = 0
    forged: bool = False
    over_seconds: float = 0.0


@dataclass(frozen=True, slots=True)
class Case:
    """Posts that follow each other; all of them should be answered as `expected` says (`2xx` or `4xx`)."""

    name: str
    expected: str
    posts: tuple[Post, ...]


@dataclass(frozen=True, slots=True)
class Said:
    """What came back to one post: a status, or None and a text that may be shown."""

    status: int | None
    elapsed_ms: int
    error: str | None = None


def cases(endpoint_id: UUID, org_id: UUID, side: str, now: datetime) -> Sequence[Case]:
    """The graded suite for one endpoint of an organisation. `side` is an audience's; `now` is wall time."""

    def made(kind: str = TEST_TYPE, sequence: int = 1, order_key: UUID = endpoint_id, least: int = 0) -> Post:
        identifier = new_id()
        event = {
            "id": identifier,
            "type": kind,
            "version": 1,
            "timestamp": rfc3339(now.astimezone(UTC)),
            "audience": {"side": side, "id": org_id},
            "order_key": order_key,
            "data": {"endpoint_id": endpoint_id},
            "sequence": sequence,
        }
        body = orjson.dumps(event, default=str)
        # White space, which JSON allows: long, and still what the schema of its type says.
        return Post(identifier, body[:-1] + b" " * (least - len(body)) + b"}")

    def like(post: Post, **other: Any) -> Post:  # noqa: ANN401
        return Post(post.msg_id, post.body, **other)

    valid, key = made(), new_id()
    return (
        Case("valid", GOOD, (valid,)),
        Case("duplicate", GOOD, (valid,)),
        Case("unknown_type", GOOD, (made(UNKNOWN_TYPE),)),
        Case("out_of_order", GOOD, (made(sequence=2, order_key=key), made(sequence=1, order_key=key))),
        Case("large", GOOD, (made(least=LARGE),)),
        Case("trickled", GOOD, (like(made(least=SLOW), over_seconds=TRICKLE_SECONDS),)),
        Case("wrong_signature", BAD, (like(made(), forged=True),)),
        Case("stale_timestamp", BAD, (like(made(), seconds_ago=STALE_SECONDS),)),
    )


def result_of(case: Case, said: Sequence[Said]) -> dict[str, Any]:
    """What is reported of a case: the first answer that was not as expected, or else the last one."""
    wrong = [one for one in said if not _fits(case.expected, one.status)]
    shown = (wrong or list(said))[0 if wrong else -1]
    return {
        "case": case.name,
        "expected": case.expected,
        "got": shown.status,
        "error": shown.error,
        "elapsed_ms": sum(one.elapsed_ms for one in said),
        "passed": not wrong,
    }


def _fits(expected: str, status: int | None) -> bool:
    return status is not None and _FIRST[expected] <= status < _FIRST[expected] + 100


def grade_of(results: Sequence[Mapping[str, Any]]) -> str:
    """A: every case. B: it takes what is genuine once and again, refuses what is not, and fails elsewhere. C: as B, but

    not with a duplicate. F: it believed a forged or a stale message, or did not take a plain valid one.
    """
    passed = {one["case"] for one in results if one["passed"]}
    if not {"valid", "wrong_signature", "stale_timestamp"} <= passed:
        return "F"
    if len(passed) == len(results):
        return "A"
    return "B" if "duplicate" in passed else "C"
