"""A receiver that costs little: notes when each post's last byte came and its path; answers 204, or never below `/hang`."""

import asyncio
import sys
import time
from typing import Any, BinaryIO

import uvloop

_ANSWER = b"HTTP/1.1 204 No Content\r\nContent-Length: 0\r\n\r\n"
_HANGS = b"/hang"


class Sink(asyncio.Protocol):
    """One connection, one post after the other."""

    def __init__(self, notes: BinaryIO) -> None:
        self._notes = notes
        self._seen = b""

    def connection_made(self, transport: Any) -> None:  # noqa: ANN401
        """Remember where to answer."""
        self._transport = transport

    def data_received(self, data: bytes) -> None:
        """Answer each post that is whole."""
        self._seen += data
        while (ends := self._seen.find(b"\r\n\r\n")) >= 0:
            head = self._seen[:ends].lower() + b"\r"
            at = head.find(b"content-length:")
            whole = ends + 4 + int(head[at + 15 : head.index(b"\r", at)])
            if len(self._seen) < whole:
                return
            path = head[5 : head.index(b" ", 5)]
            self._notes.write(b"%.6f %s\n" % (time.time(), path))
            self._seen = self._seen[whole:]
            if not path.startswith(_HANGS):
                self._transport.write(_ANSWER)


async def main(port: int, path: str) -> None:
    """Receive until ended; what is noted can be read a tenth of a second later."""
    with open(path, "wb", buffering=1 << 16) as notes:  # noqa: ASYNC230, PTH123
        await asyncio.get_running_loop().create_server(lambda: Sink(notes), "127.0.0.1", port, backlog=2048)
        while True:
            await asyncio.sleep(0.1)
            notes.flush()


if __name__ == "__main__":
    uvloop.run(main(int(sys.argv[1]), sys.argv[2]))
