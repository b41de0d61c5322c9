"""What the acts of the story share: the parties, the references of this run, and one line for each thing done."""

import secrets
import time
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from typing import Any

import httpx
from rich.console import Console
from rich.markup import escape

from app.core.clock import LONDON
from app.demo.listening import Listener
from app.demo.party import JSON, Party
from app.demo.terms import is_term_day

CAST = ("employer", "vendor", "school", "hub")
PLACES = 25
NC_YEAR = 8
_SLOWEST = 30.0


class Done:
    """What a step found out, to be printed at its end."""

    def __init__(self) -> None:
        """Nothing yet."""
        self.result = ""

    def __call__(self, result: str) -> None:
        """Say it."""
        self.result = result


@dataclass
class Stage:
    """The state of one run. `ref` makes every reference unique to it."""

    parties: Mapping[str, Party]
    listener: Listener
    console: Console
    ref: str = field(default_factory=lambda: secrets.token_hex(3).upper())
    offset: int | None = None
    endpoint_id: str = ""
    offer: dict[str, Any] = field(default_factory=dict)
    slots: list[tuple[date, str]] = field(default_factory=list)
    slot: dict[str, Any] = field(default_factory=dict)
    booking: dict[str, Any] = field(default_factory=dict)
    days: list[date] = field(default_factory=list)
    before: dict[str, Any] = field(default_factory=dict)

    @property
    def employer(self) -> Party:
        """An employer's HR system."""
        return self.parties["employer"]

    @property
    def vendor(self) -> Party:
        """The school's MIS, under the school's grant."""
        return self.parties["vendor"]

    @property
    def school(self) -> Party:
        """The school's own staff."""
        return self.parties["school"]

    @property
    def hub(self) -> Party:
        """The careers hub."""
        return self.parties["hub"]

    @property
    def school_id(self) -> str:
        """The school that the story is about."""
        return self.school.org_id

    def about(self, data: JSON) -> bool:
        """Whether an event's `data` is about this run's booking."""
        return bool(data.get("booking_id") == self.booking.get("id"))

    @asynccontextmanager
    async def step(self, number: int, doing: str) -> AsyncIterator[Done]:
        """One thing done: a line with its result and the milliseconds it took; in red if it failed."""
        done, began = Done(), time.perf_counter()
        try:
            with self.console.status(f"{number}  {escape(doing)} ..."):
                yield done
        except BaseException:
            self.console.print(f"[red]✗[/] {number}  {escape(doing)}")
            raise
        took = (time.perf_counter() - began) * 1000
        result = f" [bold]{escape(done.result)}[/]" if done.result else ""
        self.console.print(f"[green]✓[/] {number}  {escape(doing)}{result} [dim]{took:.0f} ms[/]")


def http_to(base_url: str) -> httpx.AsyncClient:
    """A client of the API at this address."""
    return httpx.AsyncClient(base_url=base_url, timeout=_SLOWEST)


def moment(text: str) -> datetime:
    """A time of the API."""
    return datetime.fromisoformat(text)


def on(day: date, hour: int) -> str:
    """A London hour of a day, as the API takes it."""
    return datetime(day.year, day.month, day.day, hour, tzinfo=LONDON).astimezone(UTC).isoformat()


def term_days(after: date, taken: frozenset[date], count: int) -> list[date]:
    """The next so many term days from `after` on, without those that are taken."""
    found: list[date] = []
    day = after
    while len(found) < count:
        if is_term_day(day) and day not in taken:
            found.append(day)
        day += timedelta(days=1)
    return found
