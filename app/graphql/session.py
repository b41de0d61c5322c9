"""One request: who asks, one reader that resolvers take in turn, and loaders that ask once for many."""

import asyncio
from collections import defaultdict
from collections.abc import Awaitable, Callable, Hashable, Sequence
from contextlib import AsyncExitStack
from datetime import date, datetime
from functools import partial
from typing import Any, Concatenate, Final, ParamSpec, TypeVar
from uuid import UUID

import strawberry
from strawberry.dataloader import DataLoader

from app.core.caller import Caller
from app.core.clock import school_day
from app.core.db import Database, Door, Reader
from app.core.errors import Forbidden, Problem, invalid
from app.core.paging import Cursors
from app.dashboards import figures, gaps, programmes, service, sql, targets
from app.dashboards.figures import Table
from app.dashboards.programmes import Sheet
from app.dashboards.service import Period
from app.dashboards.targets import Budgets, Target
from app.graphql.named import Named

P = ParamSpec("P")
T = TypeVar("T")
U = TypeVar("U", bound=Hashable)
When = tuple[int | None, date | None, datetime | None]
"""An academic year (None: all of them), the day as at which (None: today), and the moment of knowledge (None: now)."""
Key = tuple[When, UUID | None]
"""What is asked of when, and a school (None: all that the caller may count)."""
Asked = tuple[Period, UUID]
"""A day and a moment of knowledge, and a programme."""
MarketQuestion = Callable[..., Awaitable[Any]]
Reading = tuple[MarketQuestion, When, date | None, UUID | None]
"""A question of `dashboards/market_reading`, what it is asked of, until when slots are asked for, and a school or all."""
Schools = Sequence[UUID] | None
"""Some schools, or all that the caller may count."""

FEW: Final = 200
"""Schools that are read together in no time: a large trust's."""
MOST_MOMENTS: Final = 4
"""Of how many periods a document may ask: each has statements of its own. A year's formal dates and today are four."""


class Session:
    """Resolvers run side by side and one connection cannot: whoever asks waits for the one before.

    The transaction begins with the first question, so that a document that asks nothing of the database (or is
    refused) takes no connection. Close it with `close`.
    """

    def __init__(self, db: Database, caller: Caller, cursors: Cursors) -> None:
        """Nothing is opened yet."""
        self.caller = caller
        self.cursors = cursors.of(caller.org_id)
        self._db = db
        self._lock = asyncio.Lock()
        self._stack = AsyncExitStack()
        self._reader: Reader | None = None
        self._moments: set[tuple[Period, date | None]] = set()
        self._levels: defaultdict[Hashable, _Level] = defaultdict(_Level)
        self.named = Named(self.ask, self.today)
        self.tables: DataLoader[Key, Table] = DataLoader(self._tables)
        self.kinds: DataLoader[Key, Table] = DataLoader(self._tables_with_kinds)
        self.gaps: DataLoader[Key, gaps.Table] = DataLoader(self._gaps)
        self.sheets: DataLoader[Asked, Sheet | None] = DataLoader(self._sheets)
        self.targets: DataLoader[Asked, Sequence[Target]] = DataLoader(self._targets)
        self.budgets: DataLoader[Asked, Budgets | None] = DataLoader(self._budgets)
        self.market: DataLoader[Reading, Any] = DataLoader(self._market)

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
        return school_day((await self._begun()).now)

    async def period(
        self,
        year: int | None,
        as_at: date | None = None,
        known_at: datetime | None = None,
        until: date | None = None,
    ) -> service.Period:
        """The period that an academic year (or its absence), a day and a moment of knowledge stand for.

        Of one with another `until` there is more to read. Invalid: more than MOST_MOMENTS of them in one document.
        """
        found = service.period(await self._begun(), year, as_at, known_at)
        moment = found, until
        if moment not in self._moments and (until or all(one != found for one, _ in self._moments)):
            if len(self._moments) == MOST_MOMENTS:
                raise invalid(
                    "/asAt",
                    "too_many_moments",
                    f"One document asks of {MOST_MOMENTS} different academicYear, asAt, knownAt and until at most. "
                    "Ask for the rest in another.",
                )
            self._moments.add(moment)
        return found

    def require(self, scope: str) -> None:
        """Forbidden without the scope."""
        if scope not in self.caller.scopes:
            raise Forbidden(
                "insufficient_scope", f"This needs the scope {scope}.", extra={"required_scope": scope}
            )

    async def close(self) -> None:
        """Give the connection back, and let go of what was read: loaders know their session, and would keep it."""
        await self._stack.aclose()
        self._levels.clear()
        self.named.clear()
        self.market.clear_all()
        for loader in (self.tables, self.kinds, self.gaps):
            loader.clear_all()
        for of_programmes in (self.sheets, self.targets, self.budgets):
            of_programmes.clear_all()

    async def _begun(self) -> Caller:
        """The caller with the transaction's domain time. Nobody waits for it but at the beginning: fields that did, behind
        a reading, would go on one by one and have each its own turn of the loaders.
        """
        if self._reader is None:
            async with self._lock:
                return (await self._open()).caller
        return self._reader.caller

    async def _open(self) -> Reader:
        if self._reader is None:
            self._reader = await self._stack.enter_async_context(self._db.read(self.caller))
        return self._reader

    async def _counted(self, asked: Period) -> figures.Schools:
        """The schools counted: one statement for all that is asked of a day and a moment of knowledge."""
        level = self._levels["counted", asked.on, asked.known]
        async with level.turn:
            if level.whole is None:
                level.whole = await self.ask(service.counted, asked.on, asked.known)
            counted: figures.Schools = level.whole
            return counted

    async def _tables(self, keys: list[Key]) -> list[Table | Exception]:
        return await self._each_period(keys, self._table)

    async def _table(self, asked: Period, schools: Schools) -> Table:
        return await self.ask(service.table, asked, schools, known=await self._counted(asked))

    async def _tables_with_kinds(self, keys: list[Key]) -> list[Table | Exception]:
        return await self._each_period(keys, self._table_with_kinds)

    async def _table_with_kinds(self, asked: Period, schools: Schools) -> Table:
        return await self.ask(service.with_kinds, asked, await self._counts(asked, schools), schools)

    async def _gaps(self, keys: list[Key]) -> list[gaps.Table | Exception]:
        return await self._each_period(keys, self._gap_table)

    async def _gap_table(self, asked: Period, schools: Schools) -> gaps.Table:
        return await self.ask(service.by_characteristic, asked, await self._counts(asked, schools), schools)

    async def _counts(self, asked: Period, schools: Schools) -> Table:
        return await self._level((self._table, asked), asked, schools, partial(self._table, asked))

    async def _each_period(
        self, keys: Sequence[Key], read: Callable[[Period, Schools], Awaitable[T]]
    ) -> list[T | Exception]:
        """One table per period for all who want it, in whatever words they ask of it."""

        async def level(asked: Period, _: None, schools: Schools) -> T:
            return await self._level((read, asked), asked, schools, partial(read, asked))

        return await self._each([(when, None, school) for when, school in keys], level)

    async def _each(
        self,
        keys: Sequence[tuple[When, U, UUID | None]],
        read: Callable[[Period, U, Schools], Awaitable[T]],
    ) -> list[T | Exception]:
        """What is read of each period and whatever else is said, once for all schools that are wanted of it; what is
        refused is refused to its own fields alone.
        """
        asked = {(when, more): await _or_refusal(self.period(*when, _until(more))) for when, more, _ in keys}
        wanted: defaultdict[tuple[Period, U], list[UUID | None]] = defaultdict(list)
        for when, more, school in keys:
            period = asked[when, more]
            if isinstance(period, Period):
                wanted[period, more].append(school)
        found = {
            (period, more): await _or_refusal(read(period, more, _all_or_some(schools)))
            for (period, more), schools in wanted.items()
        }
        return [
            found[period, more] if isinstance(period := asked[when, more], Period) else period
            for when, more, _ in keys
        ]

    async def _level(
        self, question: Hashable, asked: Period, schools: Schools, read: Callable[[Schools], Awaitable[T]]
    ) -> T:
        """Read a question of some schools, or take what is known of them.

        What stands deeper in a document is asked later. So that it is not read level by level, a question that is asked
        again is read of all schools, once and for the rest: of those who count more than FEW, who would wait for it, of
        the schools asked for each time. Where figures are rounded it is at once: what is withheld depends on the whole.
        """
        level = self._levels[question]
        async with level.turn:
            known: T | None = level.of(schools)
            if known is not None:
                return known
            if service.rounds(self.caller) or (level.parts and len(await self._counted(asked)) <= FEW):
                schools = None
            found = await read(schools)
            level.keep(schools, found)
            return found

    async def _market(self, keys: list[Reading]) -> list[Any]:
        async def level(asked: Period, more: tuple[MarketQuestion, date | None], schools: Schools) -> Any:  # noqa: ANN401
            return await self._level((asked, *more), asked, schools, partial(self._market_of, asked, *more))

        return await self._each([(when, (read, until), school) for read, when, until, school in keys], level)

    async def _market_of(
        self, asked: Period, read: MarketQuestion, until: date | None, schools: Schools
    ) -> Any:  # noqa: ANN401
        return await self.ask(read, asked, await self._counted(asked), schools, until)

    async def _sheets(self, keys: list[Asked]) -> list[Sheet | None]:
        found = {}
        for asked, ids in _programmes_by_period(keys).items():
            found[asked] = programmes.sheets(
                await self.ask(sql.programme_figures, ids, asked.on, asked.known)
            )
        return [found[asked].get(key) for asked, key in keys]

    async def _targets(self, keys: list[Asked]) -> list[Sequence[Target]]:
        found = {}
        for asked, ids in _programmes_by_period(keys).items():
            rows = await self.ask(sql.programme_targets, ids, asked.on, asked.known)
            sheets = dict(zip(ids, await self.sheets.load_many([(asked, one) for one in ids]), strict=True))
            strands = await asyncio.gather(*map(self.named.strands, ids))
            codes = {one["id"]: one["code"] for each in strands for one in each}
            found[asked] = targets.targets(
                rows, {key: one for key, one in sheets.items() if one}, codes, asked.on
            )
        return [found[asked].get(key, ()) for asked, key in keys]

    async def _budgets(self, keys: list[Asked]) -> list[Budgets | None]:
        found = {}
        for asked, ids in _programmes_by_period(keys).items():
            found[asked] = targets.budgets(await self.ask(sql.programme_budgets, ids, asked.on, asked.known))
        return [found[asked].get(key) for asked, key in keys]


Info = strawberry.Info[Session, None]


def _programmes_by_period(keys: Sequence[Asked]) -> dict[Period, list[UUID]]:
    """The programmes wanted of each day and moment of knowledge."""
    found: defaultdict[Period, list[UUID]] = defaultdict(list)
    for asked, key in keys:
        found[asked].append(key)
    return dict(found)


def _all_or_some(schools: Sequence[UUID | None]) -> Schools:
    """The schools that are wanted; None where all are."""
    return None if None in schools else [one for one in schools if one]


def _until(more: object) -> date | None:
    """Until when slots are asked for, where they are."""
    return more[1] if isinstance(more, tuple) else None


async def _or_refusal(reading: Awaitable[T]) -> T | Problem:
    try:
        return await reading
    except Problem as refusal:
        return refusal


class _Level:
    """How far a question has been read: of all schools, or of some and of others."""

    def __init__(self) -> None:
        self.turn = asyncio.Lock()
        self.whole: Any = None
        self.parts: list[tuple[frozenset[UUID], Any]] = []

    def of(self, schools: Schools) -> Any:  # noqa: ANN401
        """What has been read with all of these schools in it, or None."""
        if self.whole is not None or schools is None:
            return self.whole
        return next((found for known, found in self.parts if known.issuperset(schools)), None)

    def keep(self, schools: Schools, found: Any) -> None:  # noqa: ANN401
        """Remember what was read."""
        if schools is None:
            self.whole = found
        else:
            self.parts.append((frozenset(schools), found))
