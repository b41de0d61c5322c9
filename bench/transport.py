"""The ceiling: httpx with the aiohttp transport alone, 64 posts at a time. Prints how many a second there were."""

import asyncio
import sys
import time

import httpx
import uvloop
from httpx_aiohttp import AiohttpTransport

AT_A_TIME = 64


async def main(base: str, paths: int, posts: int, size: int) -> None:
    """Post so many bodies of so many bytes, to each path in turn; nothing is signed, nothing recorded."""
    left, body = iter(range(posts)), b"x" * size
    headers = {"content-type": "application/json"}
    async with httpx.AsyncClient(transport=AiohttpTransport(), timeout=20) as http:

        async def work() -> None:
            for number in left:
                (
                    await http.post(f"{base}/{number % paths}", content=body, headers=headers)
                ).raise_for_status()

        began = time.perf_counter()
        await asyncio.gather(*(work() for _ in range(AT_A_TIME)))
        print(posts / (time.perf_counter() - began))


if __name__ == "__main__":
    uvloop.run(main(sys.argv[1], *(int(one) for one in sys.argv[2:5])))
