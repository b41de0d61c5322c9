"""One party of the story: signs in, sends requests as its system would, and is told exactly why when refused."""

import time
from collections.abc import Mapping
from typing import Any
from uuid import uuid4

import httpx
import orjson

JSON = Mapping[str, Any]


class Refused(Exception):
    """An answer that the story did not expect; `body` is its problem+json."""

    def __init__(self, request: str, status: int, body: str) -> None:
        """What was asked, and the answer to it."""
        super().__init__(f"{request} was answered {status}")
        self.status = status
        self.body = body


class Party:
    """A client of the API. `sign_in` fetches its token; `answered_at` is when the last answer had come (unix seconds)."""

    def __init__(self, http: httpx.AsyncClient, key: str, credentials: JSON) -> None:
        """`credentials` are one entry of the file that the loader wrote."""
        self._http = http
        self._credentials = credentials
        self._token = ""
        self.key = key
        self.name: str = credentials["organisation"]
        self.org_id: str = credentials["org_id"]
        self.answered_at = 0.0

    async def sign_in(self) -> None:
        """OAuth 2.0 client credentials."""
        proof = (self._credentials["client_id"], self._credentials["client_secret"])
        answer = await self._http.post("/oauth/token", data={"grant_type": "client_credentials"}, auth=proof)
        self._token = self._body("POST", "/oauth/token", answer)["access_token"]

    async def get(self, path: str, **query: str | int) -> JSON:
        """GET, with what is asked in the query."""
        return await self._send(
            "GET", path, params={name.rstrip("_"): value for name, value in query.items()}
        )

    async def post(self, path: str, body: JSON | None = None) -> JSON:
        """POST with an Idempotency-Key of its own."""
        return await self._send("POST", path, body or {}, {"Idempotency-Key": str(uuid4())})

    async def put(self, path: str, body: JSON | None = None) -> JSON:
        """PUT."""
        return await self._send("PUT", path, body)

    async def delete(self, path: str) -> JSON:
        """DELETE."""
        return await self._send("DELETE", path)

    async def ask(self, query: str) -> JSON:
        """A GraphQL document; gives its `data`. Any error in the answer is a refusal."""
        answer = await self._send("POST", "/graphql", {"query": query})
        if answer.get("errors"):
            raise Refused("POST /graphql", 200, orjson.dumps(answer["errors"]).decode())
        data: JSON = answer["data"]
        return data

    async def _send(
        self,
        method: str,
        path: str,
        body: JSON | None = None,
        headers: Mapping[str, str] | None = None,
        params: Mapping[str, str | int] | None = None,
    ) -> JSON:
        sent = {"Authorization": f"Bearer {self._token}", **(headers or {})}
        content = None
        if body is not None:
            content = orjson.dumps(body)
            sent["Content-Type"] = "application/json"
        answer = await self._http.request(method, path, content=content, headers=sent, params=params)
        self.answered_at = time.time()
        return self._body(method, path, answer)

    @staticmethod
    def _body(method: str, path: str, answer: httpx.Response) -> JSON:
        if not answer.is_success:
            raise Refused(f"{method} {path}", answer.status_code, answer.text)
        body: JSON = answer.json() if answer.content else {}
        return body
