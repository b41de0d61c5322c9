"""Loaders of what a document names: hubs, trusts, schools and programmes, and pages of them, each read once for all."""

from collections import defaultdict
from collections.abc import Awaitable, Callable, Hashable, Sequence
from dataclasses import dataclass
from datetime import date
from typing import Any, TypeVar
from uuid import UUID

from strawberry.dataloader import DataLoader

from app.core.db import Row
from app.dashboards import sql
from app.dashboards.sql import Page

T = TypeVar("T")
Ask = Callable[..., Awaitable[Any]]
Sort = Callable[[list[Any]], Awaitable[list[Any]]]
"""Finds many of one sort by their keys, in the same order."""


@dataclass(frozen=True, slots=True)
class Listed:
    """A page's rows, one more than was wanted if there is a next page, and how many the whole list has."""

    rows: Sequence[Row]
    total: int


class Named:
    """What one request has named.

    Everything that is named side by side, of whatever sort, is one turn of one loader: a statement for each sort, and what
    a document asks of it all afterwards comes together again.
    """

    def __init__(self, ask: Ask, today: Callable[[], Awaitable[date]]) -> None:
        """`ask` runs a query function on the request's reader."""
        self._ask, self._today = ask, today
        self._found: DataLoader[tuple[Sort, Hashable], Any] = DataLoader(self._turn)

    async def organisation(self, org_id: UUID) -> Row | None:
        """One that the caller may know of."""
        return await self._one(self._organisations, org_id)

    async def own_parents(self, kind: str) -> Sequence[Row]:
        """The hubs, or the trusts, of the caller's own schools: two at most."""
        return await self._one(self._own_parents, kind)

    async def school(self, key: UUID | str) -> Row | None:
        """One whose figures the caller may see, by id or URN."""
        return await self._one(self._schools, key)

    async def schools(self, page: Page) -> Listed:
        """A page of those whose figures the caller may see, by name."""
        return await self._one(self._school_pages, page)

    async def parents(self, school_id: UUID) -> Sequence[Row]:
        """The hub and the trust of a school."""
        return await self._one(self._parents, school_id)

    async def programme(self, programme_id: UUID) -> Row | None:
        """One that the caller runs or that its schools have joined."""
        return await self._one(self._programmes, programme_id)

    async def programmes(self, page: Page) -> Listed:
        """A page of them, by name."""
        return await self._one(self._programme_pages, page)

    async def strands(self, programme_id: UUID) -> Sequence[Row]:
        """A programme's, by code."""
        return await self._one(self._strands, programme_id)

    async def enrolled(self, programme_id: UUID) -> Sequence[Row]:
        """A programme's schools, by name."""
        return await self._one(self._enrolled, programme_id)

    def clear(self) -> None:
        """Let go of what was read."""
        self._found.clear_all()

    async def _one(self, sort: Callable[[list[Any]], Awaitable[list[T]]], key: Hashable) -> T:
        found: T = await self._found.load((sort, key))
        return found

    async def _turn(self, keys: list[tuple[Sort, Hashable]]) -> list[Any]:
        wanted: defaultdict[Sort, list[Hashable]] = defaultdict(list)
        for sort, key in keys:
            wanted[sort].append(key)
        found = {(sort, key): one for sort, some in wanted.items()
                 for key, one in zip(some, await sort(some), strict=True)}  # fmt: skip
        return [found[key] for key in keys]

    async def _organisations(self, keys: list[UUID]) -> list[Row | None]:
        return _each(await self._ask(sql.organisations_of, keys), keys)

    async def _schools(self, keys: list[UUID | str]) -> list[Row | None]:
        ids = [one for one in keys if isinstance(one, UUID)]
        urns = [one for one in keys if isinstance(one, str)]
        rows = await self._ask(sql.schools_of, await self._today(), ids, urns)
        found = {row["urn"]: row for row in rows} | {row["id"]: row for row in rows}
        return [found.get(key) for key in keys]

    async def _school_pages(self, keys: list[Page]) -> list[Listed]:
        return _listed(await self._ask(sql.school_pages, await self._today(), keys), keys)

    async def _programme_pages(self, keys: list[Page]) -> list[Listed]:
        return _listed(await self._ask(sql.programme_pages, keys), keys)

    async def _parents(self, keys: list[UUID]) -> list[Sequence[Row]]:
        return _grouped(await self._ask(sql.parents, keys, await self._today()), "member_id", keys)

    async def _own_parents(self, keys: list[str]) -> list[Sequence[Row]]:
        today = await self._today()
        return [await self._ask(sql.own_parents, kind, today) for kind in keys]  # there are two kinds

    async def _programmes(self, keys: list[UUID]) -> list[Row | None]:
        return _each(await self._ask(sql.programmes_of, keys), keys)

    async def _strands(self, keys: list[UUID]) -> list[Sequence[Row]]:
        return _grouped(await self._ask(sql.strands_of, keys), "programme_id", keys)

    async def _enrolled(self, keys: list[UUID]) -> list[Sequence[Row]]:
        return _grouped(await self._ask(sql.enrolled, keys), "programme_id", keys)


def _each(rows: Sequence[Row], keys: Sequence[UUID]) -> list[Row | None]:
    found = {row["id"]: row for row in rows}
    return [found.get(key) for key in keys]


def _grouped(rows: Sequence[Row], column: str, keys: Sequence[UUID]) -> list[Sequence[Row]]:
    found: defaultdict[UUID, list[Row]] = defaultdict(list)
    for row in rows:
        found[row[column]].append(row)
    return [found[key] for key in keys]


def _listed(rows: Sequence[Row], keys: Sequence[Page]) -> list[Listed]:
    """The pages of one statement; a page that is empty has a row without an id."""
    found: list[list[Row]] = [[] for _ in keys]
    totals = [0] * len(keys)
    for row in rows:
        totals[row["page"]] = row["total"]
        if row["id"] is not None:
            found[row["page"]].append(row)
    return [Listed(*one) for one in zip(found, totals, strict=True)]
