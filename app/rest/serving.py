"""How the API is served: one process or several, within the limits of `protocol`, and stopped in order.

Told to stop, a process first says so at `/health/ready`, so that no new request is sent to it; after a pause it closes its
listener; then it lets the requests under way finish.
"""

import asyncio
import os
import shutil
import signal
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from socket import socket
from types import FrameType
from typing import Any, Final

import uvicorn
from uvicorn.supervisors import Multiprocess

FINISH_SECONDS: Final = 15
START_SECONDS: Final = 60
"""A process that says nothing for so long is replaced: on a busy machine one needs more than uvicorn's 5 s to begin."""
_SHARED_METRICS: Final = "PROMETHEUS_MULTIPROC_DIR"


@dataclass(frozen=True, slots=True)
class Served:
    """`app` is an import string of a factory; `proxies` are the addresses whose X-Forwarded-* are believed."""

    app: str
    host: str
    port: int
    processes: int = 1
    proxies: str = ""
    pause: float = 2.0
    metrics: bool = False

    def config(self) -> uvicorn.Config:
        """What every process is served with."""
        return uvicorn.Config(
            self.app,
            factory=True,
            host=self.host,
            port=self.port,
            workers=self.processes,
            loop="uvloop",
            http="app.rest.protocol:Limited",
            ws="none",
            log_config=None,  # its lines go where ours go
            log_level="warning",
            access_log=False,
            server_header=False,
            proxy_headers=bool(self.proxies),
            forwarded_allow_ips=self.proxies or None,
            timeout_graceful_shutdown=FINISH_SECONDS,
            timeout_worker_healthcheck=START_SECONDS,
        )


class _Processes(Multiprocess):
    """Several processes at one listener, of which this one holds a copy."""

    pause = 0.0

    def terminate_all(self) -> None:
        """Tell them; close our copy of the listener when they have closed theirs."""
        super().terminate_all()
        time.sleep(self.pause)
        for each in self.sockets:
            each.close()


def run(served: Served) -> None:
    """Serve until SIGTERM or SIGINT. Exits with 3 if it could not start."""
    config = served.config()
    if served.processes == 1:
        server = uvicorn.Server(config)
        with suppress(KeyboardInterrupt):
            server.run()
        if not server.started:
            raise SystemExit(3)
        return
    with _shared_metrics(wanted=served.metrics):
        sockets: list[socket] = [config.bind_socket()]
        processes = _Processes(config, sockets=sockets)
        processes.pause = served.pause
        processes.run()


@contextmanager
def _shared_metrics(*, wanted: bool) -> Iterator[None]:
    """A folder in which the processes keep what they count, so that each can tell the sum."""
    if not wanted or _SHARED_METRICS in os.environ:
        yield
        return
    folder = Path(tempfile.mkdtemp(prefix="tendays-metrics-"))
    os.environ[_SHARED_METRICS] = str(folder)
    try:
        yield
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def stop_in_order(turn_away: Callable[[], None], pause: float) -> None:
    """Where uvicorn hears SIGTERM and SIGINT: `turn_away` first, and let it hear after so many seconds.

    A second signal is heard at once. Does nothing where another server runs the application.
    """
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        heard = signal.getsignal(number)
        if callable(heard) and isinstance(getattr(heard, "__self__", None), uvicorn.Server):
            signal.signal(number, _later(loop, heard, turn_away, pause))


def _later(
    loop: asyncio.AbstractEventLoop, heard: Callable[..., Any], turn_away: Callable[[], None], pause: float
) -> Callable[[int, FrameType | None], None]:  # fmt: skip
    told: list[int] = []

    def tell(number: int, frame: FrameType | None) -> None:
        told.append(number)
        if len(told) > 1 or not pause:
            heard(number, frame)
            return
        turn_away()
        loop.call_soon_threadsafe(loop.call_later, pause, heard, number, None)

    return tell
