"""One request: who asks, one reader that resolvers take in turn, and loaders that ask once for many."""

import asyncio
from collections import defaultdict
from collections.abc import Awaitable, Callable, Sequence
from contextlib import AsyncExitStack
from datetime import date, datetime
from typing import Concatenate, ParamSpec, TypeVar
from uuid import UUID

import strawberry
from strawberry.dataloader import DataLoader

from app.core.caller import Caller
from app.core.clock import school_day
from app.core.db import Database, Door, Reader, Row
from app.core.errors import Forbidden, Problem
from app.core.paging import Cursors
from app.dashboards import service, sql
from app.dashboards.figures import Table, merged

P = ParamSpec("P")
T = TypeVar("T")
When = tuple[int | None, date | None, datetime | None]
"""An academic year (None: all of them), the day as at which (None: today), and the moment of knowledge (None: now)."""
Key = tuple[When, UUID | None]
"""What is asked of when, and a school (None: all that the caller may count)."""


class Session:
    """Resolvers run side by side and one connection cannot: whoever asks waits for the one before.

    The transaction begins with the first question, so that a document that asks nothing of the database (or is
    refused) takes no connection. Close it with `close`.
    """

    def __init__(self, db: Database, caller: Caller, cursors: Cursors) -> None:
        """Nothing is opened yet."""
        self.caller = caller
        self.cursors = cursors
        self._db = db
        self._lock = asyncio.Lock()
        self._stack = AsyncExitStack()
        self._reader: Reader | None = None
        self._known: dict[tuple[date, datetime | None], Table] = {}
        self.tables: DataLoader[Key, Table] = DataLoader(self._tables)
        self.kinds: DataLoader[Key, Table] = DataLoader(self._tables_with_kinds)
        self.parents: DataLoader[UUID, Sequence[Row]] = DataLoader(self._parents)
        self.strands: DataLoader[UUID, Sequence[Row]] = DataLoader(self._strands)
        self.enrolled: DataLoader[UUID, Sequence[Row]] = DataLoader(self._enrolled)

    @property
    def statements(self) -> int:
        """How many statements this request has sent (beside BEGIN and ROLLBACK)."""
        return self._reader.statements if self._reader else 0

    async def ask(
        self, read: Callable[Concatenate[Door, P], Awaitable[T]], *args: P.args, **kwargs: P.kwargs
    ) -> T:
        """Run one query function on the request's reader, alone."""
        async with self._lock:
            return await read(await self._open(), *args, **kwargs)

    async def today(self) -> date:
        """The school day of the domain clock."""
        async with self._lock:
            return school_day((await self._open()).caller.now)

    async def period(
        self, year: int | None, as_at: date | None = None, known_at: datetime | None = None
    ) -> service.Period:
        """The period that an academic year (or its absence), a day and a moment of knowledge stand for."""
        async with self._lock:
            return service.period((await self._open()).caller, year, as_at, known_at)

    def require(self, scope: str) -> None:
        """Forbidden without the scope."""
        if scope not in self.caller.scopes:
            raise Forbidden(
                "insufficient_scope", f"This needs the scope {scope}.", extra={"required_scope": scope}
            )

    async def close(self) -> None:
        """Give the connection back, and let go of what was read: loaders know their session, and would keep it."""
        await self._stack.aclose()
        self._known.clear()
        for loader in (self.tables, self.kinds, self.parents, self.strands, self.enrolled):
            loader.clear_all()

    async def _open(self) -> Reader:
        if self._reader is None:
            self._reader = await self._stack.enter_async_context(self._db.read(self.caller))
        return self._reader

    async def _tables(self, keys: list[Key]) -> list[Table | Exception]:
        return await _each_period(keys, self._table)

    async def _table(self, when: When, schools: Sequence[UUID] | None) -> Table:
        asked = await self.period(*when)
        basis = asked.on, asked.known
        made = await self.ask(service.table, asked, schools, known=self._known.get(basis))
        self._known.setdefault(basis, made)
        return made

    async def _tables_with_kinds(self, keys: list[Key]) -> list[Table | Exception]:
        return await _each_period(keys, self._table_with_kinds)

    async def _table_with_kinds(self, when: When, schools: Sequence[UUID] | None) -> Table:
        parts = await self.tables.load_many([(when, one) for one in schools] if schools else [(when, None)])
        return await self.ask(service.with_kinds, await self.period(*when), merged(parts), schools)

    async def _parents(self, keys: list[UUID]) -> list[Sequence[Row]]:
        return _grouped(await self.ask(sql.parents, keys, await self.today()), "member_id", keys)

    async def _strands(self, keys: list[UUID]) -> list[Sequence[Row]]:
        return _grouped(await self.ask(sql.strands_of, keys), "programme_id", keys)

    async def _enrolled(self, keys: list[UUID]) -> list[Sequence[Row]]:
        return _grouped(await self.ask(sql.enrolled, keys), "programme_id", keys)


Info = strawberry.Info[Session, None]


async def _each_period(
    keys: Sequence[Key], read: Callable[[When, Sequence[UUID] | None], Awaitable[Table]]
) -> list[Table | Exception]:
    """One table per period for all who want it. A refused one is refused for its own fields alone."""
    found: dict[When, Table | Exception] = {}
    for when, schools in _by_period(keys).items():
        try:
            found[when] = await read(when, schools)
        except Problem as refusal:
            found[when] = refusal
    return [found[when] for when, _ in keys]


def _by_period(keys: Sequence[Key]) -> dict[When, list[UUID] | None]:
    """The schools wanted of each period; None where all are."""
    found: defaultdict[When, list[UUID]] = defaultdict(list)
    every = {when for when, school in keys if school is None}
    for when, school in keys:
        if school is not None:
            found[when].append(school)
    return {when: None if when in every else found[when] for when, _ in keys}


def _grouped(rows: Sequence[Row], column: str, keys: Sequence[UUID]) -> list[Sequence[Row]]:
    found: defaultdict[UUID, list[Row]] = defaultdict(list)
    for row in rows:
        found[row[column]].append(row)
    return [found[key] for key in keys]
