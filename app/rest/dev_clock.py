"""The domain clock over REST, in development only: read it, move it, put it back.

The routes are there only where the settings say development, and the database refuses them anywhere else.
"""

from datetime import datetime, timedelta
from math import ceil
from typing import Annotated, Any

from fastapi.responses import Response
from pydantic import ConfigDict, Field, StrictInt

from app.core import sql
from app.core.clock import wall_now
from app.core.errors import NotFound, invalid
from app.rest.frame import Read, Write, framed, json_answer, needs
from app.rest.models import Body, Moment, Out

router = framed("/v1", "development")
_FURTHEST = timedelta(days=3 * 366)
_CLOCK: dict[str, Any] = {
    "now": "2026-12-15T10:05:00Z",
    "wall_now": "2026-11-22T09:30:00Z",
    "offset_seconds": 1989300,
}


class ClockIn(Body):
    """Where the clock is to stand."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"now": _CLOCK["now"]}, {"offset_seconds": 0}]})

    now: Moment | None = Field(None, description="The domain time wanted, with an offset such as Z.")
    offset_seconds: Annotated[
        StrictInt | None, Field(description="Seconds ahead of wall time instead; 0 puts the clock back.")
    ] = None


class ClockOut(Out):
    """Domain time, and how it stands to wall time."""

    model_config = ConfigDict(json_schema_extra={"examples": [_CLOCK]})

    now: datetime = Field(description="Domain time: deadlines, visits, NC years are judged by it.")
    wall_now: datetime = Field(description="Real time: tokens, signatures, event timestamps.")
    offset_seconds: int = Field(description="Whole seconds by which domain time is ahead.")


@router.get(
    "/dev/clock", response_model=ClockOut, summary="Read the development clock", operation_id="read_clock"
)
@needs("clock:read")
async def read_clock(tx: Read) -> Response:
    """Domain time and wall time."""
    return json_answer(_shown(await sql.clock_offset(tx)))


@router.put(
    "/dev/clock", response_model=ClockOut, summary="Move the development clock", operation_id="move_clock"
)
@needs("clock:write")
async def move_clock(body: ClockIn, tx: Write) -> Response:
    """Move domain time for everybody, within three years of wall time. `{"offset_seconds": 0}` puts it back.

    What is due by then (expiries, alarms) happens as if the time had passed.
    """
    seconds = _seconds(body)
    if not await sql.clock_door_open(tx):
        raise NotFound("clock")
    await sql.move_clock(tx, seconds)
    return json_answer(_shown(seconds))


def _seconds(body: ClockIn) -> int:
    if (body.now is None) == (body.offset_seconds is None):
        raise invalid("/now", "one_of", "Give now or offset_seconds, one of the two.")
    if body.now is not None and body.now.tzinfo is None:
        raise invalid("/now", "offset_required", "A time needs an offset, such as Z.")
    name = "now" if body.offset_seconds is None else "offset_seconds"
    ahead = (body.now - wall_now()).total_seconds() if body.now else float(body.offset_seconds or 0)
    if abs(ahead) > _FURTHEST.total_seconds():
        raise invalid(f"/{name}", "out_of_range", "Within three years of wall time.")
    return ceil(ahead)  # not a second earlier than asked


def _shown(offset: int) -> dict[str, Any]:
    wall = wall_now()
    return {"now": wall + timedelta(seconds=offset), "wall_now": wall, "offset_seconds": offset}
