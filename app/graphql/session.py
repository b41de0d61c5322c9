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
from app.core.errors import Forbidden
from app.core.paging import Cursors
from app.dashboards import programmes, service, sql, targets
from app.dashboards.figures import Table, merged
from app.dashboards.programmes import Sheet
from app.dashboards.service import Period
from app.dashboards.targets import Budgets, Target

P = ParamSpec("P")
T = TypeVar("T")
Key = tuple[int | None, UUID | None]
"""An academic year (None: all of them) and a school (None: all that the caller may count)."""
Asked = tuple[Period, UUID]
"""A day and a moment of knowledge, and a programme."""


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
        self._known: dict[date, Table] = {}
        self.tables: DataLoader[Key, Table] = DataLoader(self._tables)
        self.kinds: DataLoader[Key, Table] = DataLoader(self._tables_with_kinds)
        self.parents: DataLoader[UUID, Sequence[Row]] = DataLoader(self._parents)
        self.strands: DataLoader[UUID, Sequence[Row]] = DataLoader(self._strands)
        self.enrolled: DataLoader[UUID, Sequence[Row]] = DataLoader(self._enrolled)
        self.sheets: DataLoader[Asked, Sheet | None] = DataLoader(self._sheets)
        self.targets: DataLoader[Asked, Sequence[Target]] = DataLoader(self._targets)
        self.budgets: DataLoader[Asked, Budgets | None] = DataLoader(self._budgets)

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
        for of_programmes in (self.sheets, self.targets, self.budgets):
            of_programmes.clear_all()

    async def _open(self) -> Reader:
        if self._reader is None:
            self._reader = await self._stack.enter_async_context(self._db.read(self.caller))
        return self._reader

    async def _tables(self, keys: list[Key]) -> list[Table]:
        found = {year: await self._table(year, schools) for year, schools in _by_year(keys).items()}
        return [found[year] for year, _ in keys]

    async def _table(self, year: int | None, schools: Sequence[UUID] | None) -> Table:
        asked = await self.period(year)
        made = await self.ask(service.table, asked, schools, known=self._known.get(asked.on))
        self._known.setdefault(asked.on, made)
        return made

    async def _tables_with_kinds(self, keys: list[Key]) -> list[Table]:
        found = {}
        for year, schools in _by_year(keys).items():
            parts = await self.tables.load_many(
                [(year, one) for one in schools] if schools else [(year, None)]
            )
            asked = await self.period(year)
            found[year] = await self.ask(service.with_kinds, asked, merged(parts), schools)
        return [found[year] for year, _ in keys]

    async def _parents(self, keys: list[UUID]) -> list[Sequence[Row]]:
        return _grouped(await self.ask(sql.parents, keys, await self.today()), "member_id", keys)

    async def _strands(self, keys: list[UUID]) -> list[Sequence[Row]]:
        return _grouped(await self.ask(sql.strands_of, keys), "programme_id", keys)

    async def _enrolled(self, keys: list[UUID]) -> list[Sequence[Row]]:
        return _grouped(await self.ask(sql.enrolled, keys), "programme_id", keys)

    async def _sheets(self, keys: list[Asked]) -> list[Sheet | None]:
        found = {}
        for asked, ids in _by_period(keys).items():
            found[asked] = programmes.sheets(
                await self.ask(sql.programme_figures, ids, asked.on, asked.known)
            )
        return [found[asked].get(key) for asked, key in keys]

    async def _targets(self, keys: list[Asked]) -> list[Sequence[Target]]:
        found = {}
        for asked, ids in _by_period(keys).items():
            rows = await self.ask(sql.programme_targets, ids, asked.on, asked.known)
            sheets = dict(zip(ids, await self.sheets.load_many([(asked, one) for one in ids]), strict=True))
            codes = {one["id"]: one["code"] for each in await self.strands.load_many(ids) for one in each}
            found[asked] = targets.targets(
                rows, {key: one for key, one in sheets.items() if one}, codes, asked.on
            )
        return [found[asked].get(key, ()) for asked, key in keys]

    async def _budgets(self, keys: list[Asked]) -> list[Budgets | None]:
        found = {}
        for asked, ids in _by_period(keys).items():
            found[asked] = targets.budgets(await self.ask(sql.programme_budgets, ids, asked.on, asked.known))
        return [found[asked].get(key) for asked, key in keys]


Info = strawberry.Info[Session, None]


def _by_period(keys: Sequence[Asked]) -> dict[Period, list[UUID]]:
    """The programmes wanted of each day and moment of knowledge."""
    found: defaultdict[Period, list[UUID]] = defaultdict(list)
    for asked, key in keys:
        found[asked].append(key)
    return dict(found)


def _by_year(keys: Sequence[Key]) -> dict[int | None, list[UUID] | None]:
    """The schools wanted of each year; None where all are."""
    found: defaultdict[int | None, list[UUID]] = defaultdict(list)
    every = {year for year, school in keys if school is None}
    for year, school in keys:
        if school is not None:
            found[year].append(school)
    return {year: None if year in every else found[year] for year, _ in keys}


def _grouped(rows: Sequence[Row], column: str, keys: Sequence[UUID]) -> list[Sequence[Row]]:
    found: defaultdict[UUID, list[Row]] = defaultdict(list)
    for row in rows:
        found[row[column]].append(row)
    return [found[key] for key in keys]
