"""A receiver that writes down every post, and is at times as bad as receivers are: refuses, hangs up, dawdles.

`python -m bench.torture.receiver PORT FILE SEED`. Of each event, only the first post to an endpoint (the path) meets bad
weather, by chance of the seed; the line `calm` on standard input ends it. The end of standard input ends the receiver.
"""

import asyncio
import random
import sys
import time
from typing import BinaryIO

import orjson

REFUSES, HANGS_UP, DAWDLES = 0.03, 0.06, 0.25
LONGEST = 0.4


class Recorder:
    """Answers posts, and writes one JSON line for each."""

    def __init__(self, notes: BinaryIO, seed: str) -> None:
        self._notes = notes
        self._seed = seed
        self._seen: set[str] = set()
        self.calm = False

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """One connection, until its client is gone."""
        try:
            while await self._one(reader, writer):
                pass
        except (asyncio.IncompleteReadError, ConnectionError):
            pass
        finally:
            writer.close()

    async def _one(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> bool:
        head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1")
        path = head.split(" ", 2)[1].strip("/")
        headers = dict(line.split(": ", 1) for line in head.split("\r\n")[1:] if ": " in line)
        headers = {name.lower(): value for name, value in headers.items()}
        body = await reader.readexactly(int(headers["content-length"]))
        at, weather = time.time(), self._weather(f"{path} {headers['webhook-id']}")
        status = 500 if weather < REFUSES else 0 if weather < HANGS_UP else 204
        note = {"name": path, "at": at, "status": status, "body": body.decode("latin-1")}
        note |= {name: headers[f"webhook-{name}"] for name in ("id", "timestamp", "signature")}
        self._notes.write(orjson.dumps(note, option=orjson.OPT_APPEND_NEWLINE))
        if status == 204 and weather < DAWDLES:
            await asyncio.sleep(LONGEST * weather / DAWDLES)
        if status:
            writer.write(b"HTTP/1.1 %d Said\r\nContent-Length: 0\r\n\r\n" % status)
        return bool(status)

    def _weather(self, what: str) -> float:
        if self.calm or what in self._seen:
            return 1.0
        self._seen.add(what)
        return random.Random(self._seed + what).random()


async def main(port: int, path: str, seed: str) -> None:
    """Listen until standard input ends."""
    with open(path, "ab", buffering=0) as notes:  # noqa: ASYNC230, PTH123
        recorder = Recorder(notes, seed)
        server = await asyncio.start_server(recorder.serve, "127.0.0.1", port)
        lines = asyncio.StreamReader()
        await asyncio.get_running_loop().connect_read_pipe(
            lambda: asyncio.StreamReaderProtocol(lines), sys.stdin
        )
        while await lines.readline():
            recorder.calm = True
        server.close()


if __name__ == "__main__":
    asyncio.run(main(int(sys.argv[1]), sys.argv[2], sys.argv[3]))
