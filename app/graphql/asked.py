"""What the fields around schools have in common: of which part they are asked, of when, and the lines they answer with."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any
from uuid import UUID

import strawberry

from app.core.paging import DEFAULT_LIMIT
from app.dashboards import figures
from app.dashboards.figures import Line, Place, Table
from app.dashboards.service import Period, rounds
from app.graphql.connections import Turn, turn
from app.graphql.fields import answers
from app.graphql.session import MarketQuestion, Session
from app.rules.words import KeyStage

COVERAGE = "coverage:read"

Where = Callable[[Table], Place]
"""Which part of a table is asked of."""


@dataclass(frozen=True, slots=True)
class Asked:
    """The day, the moment of knowledge, until when slots count; of one school alone, or of all; which page."""

    year: int | None = None
    as_at: date | None = None
    known_at: datetime | None = None
    until: date | None = None
    school: UUID | None = None
    first: int = DEFAULT_LIMIT
    after: str | None = None

    async def read(self, session: Session, what: MarketQuestion) -> tuple[Any, Period]:
        """What `dashboards/market_reading` found, with everything else of the document that asks the same."""
        session.require(COVERAGE)
        when = (self.year, self.as_at, self.known_at)
        school = None if rounds(session.caller) else self.school  # what is withheld depends on the whole
        found = await session.market.load((what, when, self.until, school))
        return found, await session.period(*when)

    def turn(self, session: Session, *scope: object) -> Turn:
        """The page; its cursors are good for the same question only."""
        named = ":".join(map(str, (*scope, self.year, self.as_at, self.known_at, self.until)))
        return turn(session.cursors, named, self.first, self.after)


def rest(lines: list[Line], page: Turn) -> list[Line]:
    """The lines in order, from the page's first one on."""
    ordered = sorted(lines, key=lambda line: line.order)
    return [line for line in ordered if page.after is None or list(line.order) > page.after]


@strawberry.type
class PupilLine:
    """A group of pupils within a cut, or all of them: what names it."""

    line: strawberry.Private[Line]

    @answers("Names the group within its cut: a school's UUID, an NC year, a key stage, or `all`.")
    def key(self) -> str:
        """As coverage."""
        return self.line.key

    @answers("For people.")
    def label(self) -> str:
        """A name."""
        return self.line.label

    @answers("NC year as the school sent it; null if not cut by it or not recorded.")
    def year_group(self) -> str | None:
        """Of a line by year group."""
        return _named(self.line, figures.Cut.YEAR_GROUP)

    @answers("Null if not cut by it or not recorded.")
    def key_stage(self) -> KeyStage | None:
        """Of a line by key stage."""
        name = _named(self.line, figures.Cut.KEY_STAGE)
        return KeyStage(name) if name else None

    @answers("The school's id in REST, where the line is one school's.")
    def school_id(self) -> UUID | None:
        """Of a line by school."""
        return self.line.school.id if self.line.school else None


def _named(line: Line, cut: figures.Cut) -> str | None:
    return line.key if line.cut is cut and line.key != figures.NO_YEAR else None
