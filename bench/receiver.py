"""A receiver that notes the instant of the last byte of each event, and answers 204."""

import asyncio
import sys
import time


async def main(port: int, path: str) -> None:
    with open(path, "wb", buffering=0) as notes:  # noqa: ASYNC230, PTH123

        async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            try:
                while True:
                    head = (await reader.readuntil(b"\r\n\r\n")).lower()
                    at = head.find(b"content-length:")
                    body = await reader.readexactly(int(head[at + 15 : head.index(b"\r", at)]))
                    now = time.time()
                    writer.write(b"HTTP/1.1 204 No Content\r\nContent-Length: 0\r\n\r\n")
                    notes.write(b"%.6f " % now + body + b"\n")
            except (asyncio.IncompleteReadError, ConnectionError):
                writer.close()

        server = await asyncio.start_server(serve, "127.0.0.1", port)
        async with server:
            await server.serve_forever()


if __name__ == "__main__":
    asyncio.run(main(int(sys.argv[1]), sys.argv[2]))
