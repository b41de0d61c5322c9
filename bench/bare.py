"""*Bare*: a small ASGI app that fetches the same SQL with asyncpg. No token, no transaction, no row is checked."""

import json
import os
from typing import Any

import asyncpg
import orjson

_QUERIES: dict[str, list[tuple[str, list[Any]]]] = {}
_pool: asyncpg.Pool | None = None


async def app(scope: dict[str, Any], receive: Any, send: Any) -> None:  # noqa: ANN401
    if scope["type"] == "lifespan":
        await _lifespan(receive, send)
        return
    assert _pool is not None  # noqa: S101
    answer = []
    async with _pool.acquire() as connection:
        for sql, args in _QUERIES[scope["path"].strip("/")]:
            answer.append([dict(row) for row in await connection.fetch(sql, *args)])
    body = orjson.dumps(answer, default=str)
    headers = [(b"content-type", b"application/json"), (b"content-length", str(len(body)).encode())]
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    await send({"type": "http.response.body", "body": body})


async def _lifespan(receive: Any, send: Any) -> None:  # noqa: ANN401
    global _pool  # noqa: PLW0603
    await receive()
    with open(os.environ["BARE_QUERIES"], "rb") as found:  # noqa: ASYNC230, PTH123
        _QUERIES.update(json.load(found, object_hook=_typed))
    entered = json.loads(os.environ["BARE_SETTINGS"])
    _pool = await asyncpg.create_pool(
        os.environ["BARE_DSN"],
        min_size=10,
        max_size=10,
        server_settings={"jit": "off", "timezone": "UTC", **entered},
    )
    await send({"type": "lifespan.startup.complete"})
    await receive()
    await send({"type": "lifespan.shutdown.complete"})


def _typed(found: dict[str, Any]) -> Any:  # noqa: ANN401
    if "uuid" in found:
        import uuid  # noqa: PLC0415

        return uuid.UUID(found["uuid"])
    if "date" in found:
        import datetime  # noqa: PLC0415

        return datetime.date.fromisoformat(found["date"])
    if "time" in found:
        import datetime  # noqa: PLC0415

        return datetime.datetime.fromisoformat(found["time"])
    return found
