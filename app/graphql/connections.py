"""Relay connections: edges with opaque, signed cursors, and how many there are in all."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Annotated, Any, Generic, TypeVar
from uuid import UUID

import strawberry

from app.core.errors import invalid
from app.core.paging import DEFAULT_LIMIT, MAX_LIMIT, Cursors
from app.graphql.fields import answers

N = TypeVar("N")
S = TypeVar("S")

First = Annotated[
    int, strawberry.argument(description=f"How many, 1 to {MAX_LIMIT}; {DEFAULT_LIMIT} if not said.")
]
After = Annotated[
    str | None, strawberry.argument(description="The cursor after which to begin; the first page without.")
]


@strawberry.type(description="Where a page stands within its list. Lists are read forwards only.")
class PageInfo:
    """Relay's page info."""

    has_next_page: bool = strawberry.field(description="Whether there is more after this page.")
    has_previous_page: bool = strawberry.field(description="Whether this page began after a cursor.")
    edges: strawberry.Private[Sequence["Edge[Any]"]]

    @answers("The cursor of the first edge.")
    def start_cursor(self) -> str | None:
        """None of an empty page."""
        return self.edges[0].cursor() if self.edges else None

    @answers("The cursor of the last edge: the next page's `after`.")
    def end_cursor(self) -> str | None:
        """None of an empty page."""
        return self.edges[-1].cursor() if self.edges else None


@strawberry.type(description="One element of a list and its cursor.")
class Edge(Generic[N]):
    """Relay's edge."""

    node: N = strawberry.field(description="The element.")
    turn: strawberry.Private["Turn"]
    key: strawberry.Private[Sequence[Any]]

    @answers("Opaque and signed; good for `after` of this list only.")
    def cursor(self) -> str:
        """Signed when it is asked for."""
        return self.turn.cursors.make(self.turn.scope, self.key)


@strawberry.type(description="A page of a list.")
class Connection(Generic[N]):
    """Relay's connection."""

    edges: list[Edge[N]] = strawberry.field(description="The elements of this page.")
    page_info: PageInfo = strawberry.field(description="Where this page stands.")
    total_count: int = strawberry.field(description="How many elements the whole list has.")


@dataclass(frozen=True, slots=True)
class Turn:
    """Which page of which list is wanted; `after` is the sort key inside the cursor."""

    cursors: Cursors
    scope: str
    first: int
    after: list[Any] | None

    @property
    def row(self) -> tuple[str, UUID] | None:
        """`after` of a list by name: a name and an id."""
        return (self.after[0], UUID(self.after[1])) if self.after else None

    def page(
        self, rows: Sequence[S], key: Callable[[S], Sequence[Any]], show: Callable[[S], N]
    ) -> tuple[list[Edge[N]], PageInfo]:
        """Edges and page info; `rows` begins after the cursor and has one row more if there is a next page."""
        kept = rows[: self.first]
        edges = [Edge(node=show(row), turn=self, key=key(row)) for row in kept]
        more = len(rows) > self.first
        return edges, PageInfo(has_next_page=more, has_previous_page=self.after is not None, edges=edges)


def turn(cursors: Cursors, scope: str, first: int, after: str | None) -> Turn:
    """The page wanted; Invalid at `/first` or `?after`."""
    if not 1 <= first <= MAX_LIMIT:
        raise invalid("/first", "out_of_range", f"Ask for 1 to {MAX_LIMIT}.")
    return Turn(cursors, scope, first, cursors.read(scope, after) if after else None)
