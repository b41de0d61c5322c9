"""How varied pupils' experiences were, as GraphQL has it: employers, sectors and kinds per pupil."""

import strawberry

from app.dashboards import figures, market, market_reading
from app.dashboards.figures import Line
from app.dashboards.market import By, Counted, Varied
from app.dashboards.service import Period
from app.graphql.asked import Asked, PupilLine, Where, rest
from app.graphql.connections import Connection
from app.graphql.fields import answers
from app.graphql.figures import Basis, Share, basis_of, share
from app.graphql.session import Session
from app.rules.coverage import FigureState


@strawberry.type(
    description="How many different ones pupils have had. `mean` is over all pupils, those with none among them."
)
class Spread:
    """Employers, sectors or kinds."""

    shown: strawberry.Private[market.ShownSpread]

    @answers(
        "Different ones per pupil, to one decimal; for hubs from the rounded numbers. Null if not shown."
    )
    def mean(self) -> float | None:
        """Over all pupils."""
        return self.shown.mean

    @answers("Pupils with none.")
    def none(self) -> Share:
        """0."""
        return share(self.shown.none)

    @answers("Pupils with one.")
    def one(self) -> Share:
        """1."""
        return share(self.shown.one)

    @answers("Pupils with two.")
    def two(self) -> Share:
        """2."""
        return share(self.shown.two)

    @answers("Pupils with three or more.")
    def three_or_more(self) -> Share:
        """3 and more."""
        return share(self.shown.more)


@strawberry.type(
    description="How varied a group's experiences were: of those confirmed, without what was taken back. An experience "
    "without an employer that is registered here has a kind, and neither an employer nor a sector. The sector is that of "
    "the offer that was booked, else those of the employer; sectors and sizes of employers are those known at `knownAt`."
)
class VarietyLine(PupilLine):
    """One line, or the whole."""

    shown: strawberry.Private[market.Variety]
    asked: strawberry.Private[Period]

    @answers("Whether it is shown; UNKNOWN is never 0.")
    def state(self) -> FigureState:
        """As coverage."""
        return self.shown.state

    @answers("Pupils, each counted once, at their main school: the n of every mean.")
    def pupils(self) -> int | None:
        """The base."""
        return self.shown.pupils

    @answers("Different employers, as registered here.")
    def employers(self) -> Spread:
        """Its figures."""
        return Spread(shown=self.shown.employers)

    @answers("Different sectors.")
    def sectors(self) -> Spread:
        """Its figures."""
        return Spread(shown=self.shown.sectors)

    @answers("Different kinds of experience.")
    def kinds(self) -> Spread:
        """Its figures."""
        return Spread(shown=self.shown.kinds)

    @answers("Minutes in person in per cent of all minutes, as attended. Null without any.")
    def in_person_percent(self) -> int | None:
        """A share of minutes."""
        return self.shown.in_person

    @answers(
        "Minutes with employers of fewer than 250 people in per cent of those with an employer registered here."
    )
    def sme_percent(self) -> int | None:
        """A share of minutes."""
        return self.shown.sme

    @answers("Minutes with an employer registered here in per cent of all minutes.")
    def employer_known_percent(self) -> int | None:
        """A share of minutes."""
        return self.shown.known

    @answers("What it stands on.")
    def stands_on(self) -> Basis:
        """As coverage."""
        return basis_of(self.line.basis, self.asked.on, self.asked.year if self.asked.year_only else None)


@strawberry.type(description="Lines of variety, and the whole.")
class VarietyConnection(Connection[VarietyLine]):
    """A page of lines."""

    total: VarietyLine = strawberry.field(description="The whole set, each pupil counted once.")


async def variety(session: Session, where: Where, by: By, asked: Asked) -> VarietyConnection:
    """Variety of a place."""
    found, period = await asked.read(session, market_reading.varieties)
    place = where(found.table)
    page = asked.turn(session, "variety", place.key, by)
    lines = market.lines(found.table, place, by)
    edges, info = page.page(rest(lines, page), lambda one: one.order, lambda one: _varied(found, one, period))
    total = _varied(found, figures.whole(found.table, place), period)
    return VarietyConnection(edges=edges, page_info=info, total_count=len(lines), total=total)


def _varied(found: Counted[Varied], line: Line, period: Period) -> VarietyLine:
    return VarietyLine(line=line, shown=market.variety(found, line), asked=period)
