"""What is wrong with an answer to an odd value."""

from typing import Any

LARGEST = 100_000
"""Bytes of an answer that names what is wrong."""


def fault_of(answer: Any, *, allowed: bool) -> str | None:
    """None if nothing is. `allowed`: the value may be taken."""
    if answer.status_code >= 500:
        return f"{answer.status_code} {answer.text[:300]}"
    if answer.status_code in {401, 429}:
        return f"{answer.status_code}: the value was never looked at"
    if len(answer.content) > LARGEST:
        return f"{len(answer.content)} bytes of answer"
    if answer.status_code < 300 and not allowed:
        return f"{answer.status_code}: taken"
    if answer.status_code >= 400 and answer.headers.get("content-type") != "application/problem+json":
        return f"{answer.status_code} {answer.headers.get('content-type')}"
    return None


def refuses_a_row(answer: Any) -> bool:
    """Whether an answer row by row refuses one of them."""
    if answer.status_code != 200:
        return False
    told = answer.json()
    rows = (told.get("data") or told.get("results")) if isinstance(told, dict) else None
    return any(
        "refused" in {one.get("status"), one.get("result")} for one in rows or () if isinstance(one, dict)
    )


def shown(value: bytes) -> str:
    """A value as a failing test names it."""
    return repr(value[:60])
