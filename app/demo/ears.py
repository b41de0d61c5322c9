"""What `tendays listen` does: take webhooks on a local port, verify them, and print a line for each.

A line says type, id, `sequence`, which signatures fitted or why none did, and the milliseconds from the event's
`timestamp` until its last byte had come. As JSON it is an object per line, with the headers and the bytes themselves.
"""

import asyncio
import base64
import sys
import time
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

import httpx
import orjson
from aiohttp import web

from app.demo.party import Party, Refused
from app.demo.stage import http_to
from app.webhooks.signing import HmacKey, SignatureError, VerifyingKey, verify, verifying_key

Tell = Callable[["Heard"], None]
REFUSALS = (ValueError, OSError, KeyError, Refused, httpx.HTTPError)
"""What keeps it from listening: a key that is none, a port that is taken, an API that does not answer as it should."""
LARGEST = 1_000_000
HEARD_HEADERS = ("content-type", "webhook-id", "webhook-timestamp", "webhook-signature")


@dataclass(frozen=True, slots=True)
class Heard:
    """One post. `at` is unix seconds, taken when its last byte had come; `refused` is empty for a genuine one."""

    at: float
    headers: Mapping[str, str]
    body: bytes
    versions: Sequence[str]
    refused: str
    again: bool

    @property
    def event(self) -> Mapping[str, Any]:
        """The body, if it is a JSON object; an empty one otherwise."""
        try:
            said = orjson.loads(self.body)
        except orjson.JSONDecodeError:
            return {}
        return said if isinstance(said, dict) else {}

    @property
    def milliseconds(self) -> int | None:
        """Since the event's own timestamp; None where it has none."""
        try:
            happened = datetime.fromisoformat(str(self.event.get("timestamp"))).timestamp()
        except ValueError:
            return None
        return round((self.at - happened) * 1000)

    def line(self) -> str:
        """For a person."""
        event, late = self.event, self.milliseconds
        said = f"verified {'+'.join(self.versions)}" if not self.refused else f"NOT verified: {self.refused}"
        parts = (
            "✗" if self.refused else "✓",
            _visible(event.get("type")),
            _visible(self.headers.get("webhook-id")),
            f"#{_visible(event.get('sequence'))}",
            said + (" (again)" if self.again else ""),
            "- ms" if late is None else f"{late} ms",
        )
        return "  ".join(parts)

    def json(self) -> bytes:
        """For a program: the same, with the headers and the body in base64."""
        return orjson.dumps(
            {
                "at": self.at,
                "type": self.event.get("type"),
                "id": self.headers.get("webhook-id"),
                "sequence": self.event.get("sequence"),
                "verified": list(self.versions),
                "refused": self.refused or None,
                "again": self.again,
                "milliseconds": self.milliseconds,
                "headers": self.headers,
                "body_base64": base64.b64encode(self.body).decode(),
            }
        )


def _visible(value: object) -> str:
    """A stranger's text on a terminal: short, and nothing that steers it."""
    return "".join(one if one.isprintable() else "?" for one in str("-" if value is None else value))[:80]


class Ears:
    """Judges what arrives by `keys` (none: nothing is genuine), and tells of each post."""

    def __init__(self, tell: Tell) -> None:
        """`tell` is called once for each post, after it has been judged."""
        self.keys: list[VerifyingKey] = []
        self._tell = tell
        self._seen: set[str] = set()

    async def take(self, request: web.Request) -> web.Response:
        """204 to what is genuine, 401 to everything else."""
        body = await request.read()
        at = time.time()
        headers = {name: request.headers[name] for name in HEARD_HEADERS if name in request.headers}
        versions, refused = self._judged(headers, body, at)
        again = not refused and headers["webhook-id"] in self._seen
        if not refused:
            self._seen.add(headers["webhook-id"])
        self._tell(Heard(at, headers, body, versions, refused, again))
        return web.Response(status=401 if refused else 204)

    def _judged(self, headers: Mapping[str, str], body: bytes, now: float) -> tuple[list[str], str]:
        """Which versions fitted, or else why none did."""
        if not self.keys:
            return [], "no key was given to verify with (--secret or --credentials)"
        fitted, why = [], ""
        for key in self.keys:
            try:
                verify(headers, body, [key], now=now)
            except SignatureError as error:
                why = str(error)
            else:
                fitted.append("v1" if isinstance(key, HmacKey) else "v1a")
        return sorted(set(fitted)), "" if fitted else why


async def listen(
    port: int, secrets: Sequence[str], credentials: Path | None, client: str, *, as_json: bool
) -> None:
    """Listen on this machine until cancelled. `port` 0 is a free one; where it listens is said on standard error.

    `secrets` are `whsec_` or `whpk_` texts (ValueError otherwise). With `credentials`, the file that the demonstration
    wrote, an endpoint of that client is registered for the time being: it signs in both ways and is removed at the end.
    """
    ears = Ears(_as_json if as_json else _as_line)
    ears.keys = [verifying_key(text) for text in secrets]
    app = web.Application(client_max_size=LARGEST)
    app.router.add_post("/{path:.*}", ears.take)
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    try:
        await web.TCPSite(runner, "127.0.0.1", port).start()
        url = f"http://127.0.0.1:{runner.addresses[0][1]}/"
        async with _registered(ears, url, credentials, client) as where:
            sys.stderr.write(f"Listening at {url} {where}(Ctrl-C ends it)\n")
            sys.stderr.flush()
            await asyncio.Event().wait()
    finally:
        await runner.cleanup()


@asynccontextmanager
async def _registered(ears: Ears, url: str, credentials: Path | None, client: str) -> AsyncIterator[str]:
    """An endpoint of the client for as long as we listen, and how that is said. Without a file there is none."""
    if credentials is None:
        yield ""
        return
    said = orjson.loads(credentials.read_bytes())  # noqa: ASYNC240 (nobody waits for the loop yet)
    if client not in said["clients"]:
        raise ValueError(f"{credentials} has no client {client!r}; it has {', '.join(said['clients'])}")
    async with http_to(said["base_url"]) as http:
        party = Party(http, client, said["clients"][client])
        await party.sign_in()
        wanted = {"url": url, "signatures": ["v1", "v1a"], "description": "tendays listen"}
        made = await party.post("/v1/webhook-endpoints", wanted)
        ears.keys += [verifying_key(made["secret"]), verifying_key(made["public_key"])]
        try:
            yield f"as {party.name}, endpoint {made['id']} "
        finally:
            await party.sign_in()  # the token of the beginning may be too old by now
            await party.delete(f"/v1/webhook-endpoints/{made['id']}")


def _as_line(heard: Heard) -> None:
    sys.stdout.write(heard.line() + "\n")
    sys.stdout.flush()


def _as_json(heard: Heard) -> None:
    sys.stdout.buffer.write(heard.json() + b"\n")
    sys.stdout.buffer.flush()
