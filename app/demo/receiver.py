"""A school's webhook receiver: listens, verifies each signature over the raw body, tells its parent what came.

`python -m app.demo.receiver` speaks JSON lines. It first writes `{"url": ...}`; each line it reads is a signing secret
from then on accepted; each verified message becomes `{"at", "id", "type", "body"}` with `at` in unix seconds, taken
when the last byte had come. What does not verify is answered 401 and becomes `{"refused": reason}`.
"""

import asyncio
import sys
import time
from typing import Any

import orjson
from aiohttp import web

from app.webhooks.signing import SignatureError, VerifyingKey, verify, verifying_key

PATH = "/tendays"


class Receiver:
    """One endpoint. A message that comes again is answered 204 and not told again."""

    def __init__(self) -> None:
        """Without a secret nothing verifies."""
        self.keys: list[VerifyingKey] = []
        self._seen: set[str] = set()

    async def take(self, request: web.Request) -> web.Response:
        """Verify, answer at once, tell."""
        body = await request.read()
        at = time.time()
        try:
            verified = verify(request.headers, body, self.keys, now=at)
        except SignatureError as refused:
            _tell({"refused": str(refused)})
            return web.Response(status=401)
        if verified.msg_id not in self._seen:
            self._seen.add(verified.msg_id)
            message = orjson.loads(body)
            _tell({"at": at, "id": verified.msg_id, "type": message["type"], "body": message})
        return web.Response(status=204)


def _tell(what: dict[str, Any]) -> None:
    sys.stdout.buffer.write(orjson.dumps(what, option=orjson.OPT_APPEND_NEWLINE))
    sys.stdout.buffer.flush()


async def listen() -> None:
    """Listen on a free port of this machine until standard input ends."""
    receiver = Receiver()
    app = web.Application()
    app.router.add_post(PATH, receiver.take)
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    _tell({"url": f"http://127.0.0.1:{runner.addresses[0][1]}{PATH}"})
    try:
        await _read_secrets(receiver)
    finally:
        await runner.cleanup()


async def _read_secrets(receiver: Receiver) -> None:
    reader = asyncio.StreamReader()
    await asyncio.get_running_loop().connect_read_pipe(
        lambda: asyncio.StreamReaderProtocol(reader), sys.stdin
    )
    while line := await reader.readline():
        receiver.keys.append(verifying_key(line.decode().strip()))


if __name__ == "__main__":
    asyncio.run(listen())
