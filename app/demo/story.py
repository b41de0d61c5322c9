"""The story, over HTTP: from an employer's offer to a hub's dashboard. Every step is one line with its result and time."""

import time
from contextlib import AsyncExitStack, suppress
from pathlib import Path
from typing import Any

import httpx
import orjson
from rich.console import Console

from app.demo import booked, the_day
from app.demo.listening import Listener, NotReceived
from app.demo.party import Party, Refused
from app.demo.stage import CAST, Stage, http_to

FAILURES = (Refused, NotReceived, httpx.HTTPError, StopIteration, KeyError, OSError)


async def play(base_url: str, credentials_path: Path, console: Console | None = None) -> int:
    """Play it against the API at `base_url`, as the clients of the file that the loader wrote.

    0 if every step was green, or if it ended after step 4 because there is no clock door; 1 if a step failed, after
    printing the problem. The clock is put back and the receiver's endpoint removed, whatever happens.
    """
    shown = console or Console(highlight=False, soft_wrap=True)
    try:
        credentials = _read(credentials_path)
    except (OSError, orjson.JSONDecodeError) as error:
        shown.print(f"[red]✗[/] The credentials cannot be read: {error}")
        return 1
    began = time.monotonic()
    try:
        async with AsyncExitStack() as stack:
            stage = await _set(stack, base_url, credentials, shown)
            await _acts(stage)
    except FAILURES as failure:
        _explain(shown, failure)
        return 1
    shown.print(f"[green]✓[/] The story is told in {time.monotonic() - began:.1f} s.")
    return 0


def _read(path: Path) -> Any:  # noqa: ANN401  (what the loader wrote)
    return orjson.loads(path.read_bytes())


async def _set(stack: AsyncExitStack, base_url: str, credentials: Any, console: Console) -> Stage:  # noqa: ANN401
    http = await stack.enter_async_context(http_to(base_url))
    listener = await stack.enter_async_context(Listener())
    stage = Stage({key: Party(http, key, credentials["clients"][key]) for key in CAST}, listener, console)
    console.print(f"[bold]The story[/], at {base_url}; the references of this run end in {stage.ref}")
    stack.push_async_callback(_tidy, stage)
    return stage


async def _acts(stage: Stage) -> None:
    await booked.sign_in(stage)
    await booked.offer(stage)
    await booked.book(stage)
    await booked.confirm(stage)
    await booked.name(stage)
    if not await the_day.clock_door(stage):
        stage.console.print(
            "[cyan]·[/] This system has no clock door, so the day itself cannot come early: the story ends here."
        )
        return
    await the_day.ask_before(stage)
    await the_day.arrive(stage)
    await the_day.complete(stage)
    await the_day.ask_after(stage)


async def _tidy(stage: Stage) -> None:
    """Put the clock back and take the receiver away; what fails here is not the story's failure."""
    with suppress(Refused, httpx.HTTPError):
        await the_day.put_clock_back(stage)
    if stage.endpoint_id:
        with suppress(Refused, httpx.HTTPError):
            await stage.vendor.delete(f"/v1/webhook-endpoints/{stage.endpoint_id}")


def _explain(console: Console, failure: BaseException) -> None:
    console.print(f"[red]✗[/] {type(failure).__name__}: {failure}", markup=True)
    if isinstance(failure, Refused):
        try:
            body = orjson.dumps(orjson.loads(failure.body), option=orjson.OPT_INDENT_2).decode()
        except orjson.JSONDecodeError:
            body = failure.body
        console.print(body, markup=False)
