"""A real Chromium over the DevTools protocol: a tab that can be driven, and that tells all it asked for and complained of.

Only what the tests of the pages need; aiohttp's websocket is the whole of the client. The browser resolves no name
but the loopback address, so that a page that needs a CDN fails here as it would in a school without internet.
"""

import asyncio
import base64
import itertools
import json
import os
import shutil
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any
from urllib.parse import urlsplit

import aiohttp

PROGRAMS = ("chromium", "chromium-browser", "google-chrome")
LOOPBACK = "127.0.0.1"
FLAGS = (
    "--headless",
    "--no-sandbox",  # a container's root has no other way
    "--disable-gpu",
    "--disable-quic",
    "--disable-dev-shm-usage",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--disable-extensions",
    "--no-proxy-server",
    "--window-size=1400,1000",
    f"--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE {LOOPBACK}",
    "--remote-debugging-port=0",
)
PATIENCE = 30.0
"""Seconds that anything on a page may take, on a busy machine."""


def program() -> str | None:
    """The browser of this machine, if it has one."""
    return next((found for name in PROGRAMS if (found := shutil.which(name))), None)


@dataclass
class Tab:
    """One page in a context of its own: no cookies, no storage, no cache from another."""

    browser: "Browser"
    session: str
    requests: list[str] = field(default_factory=list)
    complaints: list[str] = field(default_factory=list)
    answers: dict[str, int] = field(default_factory=dict)

    async def send(self, method: str, **params: Any) -> dict[str, Any]:
        return await self.browser.send(method, session=self.session, **params)

    async def open(self, url: str) -> None:
        """Go there and wait until its document has been read."""
        gone = await self.send("Page.navigate", url=url)
        assert "errorText" not in gone, f"{url}: {gone['errorText']}"
        await self.until("document.readyState === 'complete'")

    async def js(self, expression: str) -> Any:
        """What the expression comes to in the page (a promise is awaited)."""
        found = await self._evaluated(expression)
        assert "exceptionDetails" not in found, found["exceptionDetails"]
        return found["result"].get("value")

    async def until(self, expression: str) -> Any:
        """Wait until it is true in the page; gives what it came to."""
        limit = time.monotonic() + PATIENCE
        while not (found := await self._tried(expression)):
            if time.monotonic() > limit:
                text = await self.text()
                raise AssertionError(
                    f"not within {PATIENCE} s: {expression}\n{self.complaints}\n{text[:3000]}"
                )
            await asyncio.sleep(0.05)
        return found

    async def _tried(self, expression: str) -> Any:
        found = await self._evaluated(
            f"(one => one instanceof Node || one)({expression})"
        )  # a node has no value
        return None if "exceptionDetails" in found else found["result"].get("value")

    async def _evaluated(self, expression: str) -> dict[str, Any]:
        return await self.send(
            "Runtime.evaluate",
            expression=expression,
            awaitPromise=True,
            returnByValue=True,
            userGesture=True,
            allowUnsafeEvalBlockedByCSP=False,  # the page's policy binds us too
        )

    async def text(self) -> str:
        """What a reader sees on the page."""
        return str(await self.js("document.body ? document.body.innerText : ''"))

    async def click(self, selector: str) -> None:
        """Press what the selector finds, once it is there: a real press of the mouse at its middle."""
        found = json.dumps(selector)
        await self.until(f"document.querySelector({found}) !== null")
        x, y = await self.js(
            f"(e => {{ e.scrollIntoView({{block: 'center', behavior: 'instant'}}); const r = e.getBoundingClientRect();"
            f" return [r.x + r.width / 2, r.y + r.height / 2]; }})(document.querySelector({found}))"
        )
        for kind in ("mousePressed", "mouseReleased"):
            await self.send("Input.dispatchMouseEvent", type=kind, x=x, y=y, button="left", clickCount=1)

    async def type(self, selector: str, text: str) -> None:
        """Put the caret into a field, take out what is there, and type."""
        await self.click(selector)
        await self.js("document.activeElement.select && document.activeElement.select()")
        await self.send("Input.insertText", text=text)

    async def picture(self, path: Path) -> None:
        """A screenshot, for people."""
        taken = await self.send("Page.captureScreenshot", format="png")
        path.write_bytes(base64.b64decode(taken["data"]))

    @property
    def strangers(self) -> list[str]:
        """The requests that went, or tried to go, to anybody but the loopback address."""
        local = {"data", "blob", "about"}
        return [
            url
            for url in self.requests
            if urlsplit(url).scheme not in local and urlsplit(url).hostname != LOOPBACK
        ]

    def hear(self, method: str, params: dict[str, Any]) -> None:
        """Note an event of this tab."""
        if method == "Network.requestWillBeSent":
            self.requests.append(params["request"]["url"])
        elif method == "Network.responseReceived":
            self.answers[params["response"]["url"]] = params["response"]["status"]
        elif method == "Runtime.exceptionThrown":
            self.complaints.append(json.dumps(params["exceptionDetails"])[:1000])
        elif method == "Runtime.consoleAPICalled" and params["type"] in {"error", "assert"}:
            self.complaints.append(json.dumps(params["args"])[:1000])
        elif method == "Log.entryAdded" and params["entry"]["level"] == "error":
            self.complaints.append(f"{params['entry']['text']} {params['entry'].get('url', '')}")


class Browser:
    """A running browser and the one websocket to it."""

    def __init__(self, socket: aiohttp.ClientWebSocketResponse) -> None:
        self._socket = socket
        self._numbers = itertools.count(1)
        self._waiting: dict[int, asyncio.Future[dict[str, Any]]] = {}
        self._tabs: dict[str, Tab] = {}

    async def send(self, method: str, *, session: str | None = None, **params: Any) -> dict[str, Any]:
        """One command; gives its result."""
        number = next(self._numbers)
        answer = self._waiting[number] = asyncio.get_running_loop().create_future()
        command = {"id": number, "method": method, "params": params}
        await self._socket.send_json(command | ({"sessionId": session} if session else {}))
        return await asyncio.wait_for(answer, PATIENCE)

    async def listen(self) -> None:
        """Hand answers and events to whom they belong, as long as the browser speaks."""
        async for message in self._socket:
            said = json.loads(message.data)
            if "id" not in said:
                if tab := self._tabs.get(said.get("sessionId", "")):
                    tab.hear(said["method"], said["params"])
            elif (waiting := self._waiting.pop(said["id"])) and not waiting.done():
                if "error" in said:
                    waiting.set_exception(RuntimeError(said["error"]["message"]))
                else:
                    waiting.set_result(said["result"])

    @asynccontextmanager
    async def tab(self) -> AsyncIterator[Tab]:
        """A fresh tab; it is gone afterwards with all it knew."""
        context = (await self.send("Target.createBrowserContext"))["browserContextId"]
        target = await self.send("Target.createTarget", url="about:blank", browserContextId=context)
        attached = await self.send("Target.attachToTarget", targetId=target["targetId"], flatten=True)
        tab = self._tabs[attached["sessionId"]] = Tab(self, attached["sessionId"])
        for domain in ("Page", "Network", "Runtime", "Log"):
            await tab.send(f"{domain}.enable")
        try:
            yield tab
        finally:
            del self._tabs[tab.session]
            await self.send("Target.disposeBrowserContext", browserContextId=context)


@asynccontextmanager
async def running(path: str) -> AsyncIterator[Browser]:
    """A browser with an empty profile, ended and forgotten afterwards."""
    # It may still write to its profile while it ends.
    with TemporaryDirectory(prefix="tendays-browser-", ignore_cleanup_errors=True) as profile:
        process = await asyncio.create_subprocess_exec(
            path,
            *FLAGS,
            f"--user-data-dir={profile}",
            "about:blank",
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.DEVNULL,
            stderr=asyncio.subprocess.DEVNULL,
            env={"HOME": profile, "PATH": os.environ.get("PATH", ""), "LANG": "en_GB.UTF-8"},
        )
        try:
            async with _connected(await _address(Path(profile), process)) as browser:
                yield browser
                with suppress(RuntimeError, TimeoutError):
                    await browser.send("Browser.close")
                    await asyncio.wait_for(process.wait(), 5)
        finally:
            with suppress(ProcessLookupError):
                process.kill()
            await process.wait()


async def _address(profile: Path, process: asyncio.subprocess.Process) -> str:
    """Where it listens: it writes port and path into its profile."""
    told = profile / "DevToolsActivePort"
    limit = time.monotonic() + 2 * PATIENCE
    while not told.exists() or len(told.read_text().split()) < 2:
        assert process.returncode is None, f"the browser ended at once with {process.returncode}"
        assert time.monotonic() < limit, "the browser does not say where it listens"
        await asyncio.sleep(0.05)
    port, path = told.read_text().split()
    return f"ws://{LOOPBACK}:{port}{path}"


@asynccontextmanager
async def _connected(address: str) -> AsyncIterator[Browser]:
    async with aiohttp.ClientSession() as http, http.ws_connect(address, max_msg_size=0) as socket:
        browser = Browser(socket)
        ears = asyncio.create_task(browser.listen())
        try:
            yield browser
        finally:
            ears.cancel()
            with suppress(asyncio.CancelledError):
                await ears
