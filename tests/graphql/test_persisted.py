"""Persisted queries: none are kept, and clients are told so in the words that they look for."""

from hashlib import sha256
from typing import Any
from urllib.parse import quote

import httpx
import orjson
import pytest

from tests.graphql.test_graphql import OURS, Face, face

__all__ = ["face"]
pytestmark = pytest.mark.calendar

QUERY = "query Me { viewer { clientId } }"
HASHED = {"persistedQuery": {"version": 1, "sha256Hash": sha256(QUERY.encode()).hexdigest()}}


def apollo_falls_back(answer: dict[str, Any]) -> bool:
    """The rule of Apollo Client's persisted query link: by message or by code, whatever the status."""
    told = answer["errors"]
    return any(
        one["message"] == "PersistedQueryNotSupported"
        or one["extensions"].get("code") == "PERSISTED_QUERY_NOT_SUPPORTED"
        for one in told
    )


def urql_falls_back(answer: dict[str, Any]) -> bool:
    """The rule of urql's persisted exchange: by message alone."""
    return any(one["message"] == "PersistedQueryNotSupported" for one in answer["errors"])


async def ask(face: Face, method: str, body: dict[str, Any], accept: str) -> httpx.Response:
    headers = {"Accept": accept, "Authorization": "Bearer hub_a"}
    if method == "POST":
        headers["Content-Type"] = "application/json"
        return await face.http.post("/graphql", content=orjson.dumps(body), headers=headers)
    shown = {name: one if isinstance(one, str) else orjson.dumps(one).decode() for name, one in body.items()}
    params = "&".join(f"{name}={quote(one)}" for name, one in shown.items())
    return await face.http.get(f"/graphql?{params}", headers=headers)


@pytest.mark.parametrize("method", ["GET", "POST"])
@pytest.mark.parametrize(("accept", "status"), [(OURS, 400), ("application/json", 200), ("*/*", 400)])
@pytest.mark.parametrize("more", [{}, {"operationName": "Me", "variables": {}}, {"query": ""}])
async def test_a_hash_without_a_document_makes_clients_send_the_document(
    face: Face, method: str, accept: str, status: int, more: dict[str, Any]
) -> None:
    answer = await ask(face, method, {"extensions": HASHED, **more}, accept)
    assert answer.status_code == status
    assert answer.headers["cache-control"] == "private, no-store"
    assert "data" not in answer.json()
    assert apollo_falls_back(answer.json()), answer.text
    assert urql_falls_back(answer.json()), answer.text
    assert "NotFound" not in answer.text, "a client that is told so goes on sending hashes for ever"


@pytest.mark.parametrize("method", ["GET", "POST"])
@pytest.mark.parametrize(
    "extensions",
    [HASHED, {}, None, {"another": {"x": [1]}}, {"persistedQuery": None}, {"persistedQuery": "odd"}],
)
async def test_a_document_is_answered_whatever_the_extensions_say(
    face: Face, method: str, extensions: dict[str, Any] | None
) -> None:
    answer = await ask(face, method, {"query": QUERY, "extensions": extensions}, OURS)
    assert (answer.status_code, "errors" in answer.json()) == (200, False), answer.text


@pytest.mark.parametrize("method", ["GET", "POST"])
@pytest.mark.parametrize("extensions", [5, "x", [HASHED], True])
async def test_extensions_that_are_no_object_are_refused(face: Face, method: str, extensions: object) -> None:
    raw = orjson.dumps(extensions).decode() if method == "GET" else extensions
    answer = await ask(face, method, {"query": QUERY, "extensions": raw}, OURS)
    (error,) = answer.json()["errors"]
    assert (answer.status_code, error["extensions"]["code"]) == (400, "bad_request")
    assert error["message"] == "`extensions` is a JSON object."


async def test_without_a_document_and_without_a_hash_the_document_is_missing(face: Face) -> None:
    for extensions in ({}, {"another": 1}, None):
        answer = await ask(face, "POST", {"extensions": extensions}, OURS)
        assert answer.json()["errors"][0]["extensions"]["code"] == "query_missing"


async def test_a_stranger_is_refused_before_anything_is_said(face: Face) -> None:
    answer = await face.raw(None, orjson.dumps({"extensions": HASHED}))
    assert answer.status_code == 401
