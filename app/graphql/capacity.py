"""What pupils lack of the mark of their band, and what is open to them, as GraphQL has it."""

from enum import StrEnum

import strawberry

from app.dashboards import figures, market, market_reading
from app.dashboards.figures import Line
from app.dashboards.market import By
from app.dashboards.market_reading import Supply
from app.dashboards.service import Period
from app.graphql.asked import Asked, PupilLine, Where, rest
from app.graphql.connections import Connection
from app.graphql.fields import Whole, answers
from app.graphql.figures import Basis, Share, basis_of, share
from app.graphql.session import Session
from app.rules.coverage import FigureState
from app.rules.words import KeyStage


@strawberry.enum(
    description="Why a figure is not known. ONLY_NOW: it is known of now, and not of the moment that was asked of. NO_DATA: "
    "the school has sent no pupils, and what is open to pupils follows from their year groups."
)
class NotKnown(StrEnum):
    """A reason for null."""

    ONLY_NOW = "only_now"
    NO_DATA = "no_data"


@strawberry.type(
    description="What pupils lack of the mark of their band, in all years so far: 1,500 minutes of activity in Years 7-9 "
    "(virtual at most half), of placement in person in Years 10-11. Other pupils have no mark, and lack nothing."
)
class Shortfall:
    """Of one line."""

    shown: strawberry.Private[market.Shortfall]

    @answers("Whether it is shown; UNKNOWN is never 0.")
    def state(self) -> FigureState:
        """As coverage."""
        return self.shown.state

    @answers("Pupils, each counted once, at their main school.")
    def pupils(self) -> int | None:
        """The base."""
        return self.shown.pupils

    @answers("Pupils below the mark of their band.")
    def below(self) -> Share:
        """Of all pupils of the line."""
        return share(self.shown.below)

    @answers("Minutes that are missing, pupil by pupil, added up; for hubs to the nearest 300.")
    def minutes(self) -> Whole | None:
        """Whole minutes."""
        return self.shown.minutes

    @answers("The same in days of five hours.")
    def days(self) -> float | None:
        """Minutes / 300."""
        return None if self.shown.minutes is None else round(self.shown.minutes / 300, 1)

    @answers(
        "Half days (150 minutes) to go: each pupil's missing minutes in half days begun, added up; for hubs to 5."
    )
    def half_days(self) -> int | None:
        """Begun half days."""
        return self.shown.half_days

    @answers(
        "Whole days (300 minutes) to go: each pupil's missing minutes in days begun, added up; for hubs to 5."
    )
    def whole_days(self) -> int | None:
        """Begun days."""
        return self.shown.whole_days


@strawberry.type(
    description="Open slots ahead that these pupils may be booked into now: their year group is admitted and the kind "
    "lawful for it, the offer is shown to their school, the site approved by someone the school relies on and covered, the "
    "employer not suspended for it, the time for booking not over, places left. A line counts each place once; two "
    "lines may count the same place (a slot for Years 8 and 9, or for two schools): lines do not add up to the total."
)
class OpenCapacity:
    """Of one line."""

    room: strawberry.Private[market.Room]

    @answers("Slots with places left.")
    def slots(self) -> int:
        """Slots."""
        return self.room.slots

    @answers("Places left in them.")
    def places(self) -> int:
        """Places."""
        return self.room.places

    @answers("Minutes that these places would earn, at most the cap of a day each.")
    def pupil_minutes(self) -> Whole:
        """Whole minutes."""
        return self.room.minutes

    @answers(
        "Of the places, those whose minutes fill the mark: any kind in Years 7-9, placements in Years 10-11."
    )
    def filling_places(self) -> int:
        """Places that help."""
        return self.room.filling_places

    @answers("Of the minutes, those that fill the mark: of placements only those in person.")
    def filling_minutes(self) -> Whole:
        """Whole minutes."""
        return self.room.filling_minutes


@strawberry.type(description="What a group of pupils lacks, and what is open to it.")
class CapacityLine(PupilLine):
    """One line, or the whole."""

    lacks: strawberry.Private[market.Shortfall]
    found: strawberry.Private[Supply]
    stage: strawberry.Private[KeyStage | None]
    asked: strawberry.Private[Period]
    room: strawberry.Private[market.Room | None]

    @answers("What the pupils lack.")
    def shortfall(self) -> Shortfall:
        """Its figures."""
        return Shortfall(shown=self.lacks)

    @answers("What is open to them; null of any moment but now, and without data, with the reason.")
    def open(self) -> OpenCapacity | None:
        """Its figures."""
        return None if self.room is None else OpenCapacity(room=self.room)

    @answers("Why `open` is null: what was open on a day gone by is not kept, or there are no data.")
    def open_not_known(self) -> NotKnown | None:
        """A reason."""
        if self.room is not None:
            return None
        return NotKnown.ONLY_NOW if self.found.capacity is None else NotKnown.NO_DATA

    @answers(
        "`fillingMinutes` in per cent of the missing minutes, both as shown: at most that part could be met, as a pupil who "
        "lacks an hour cannot use the rest of a day. Null if nothing is missing or it is not shown."
    )
    def covered_percent(self) -> int | None:
        """Capacity / shortfall."""
        if self.room is None or not self.lacks.minutes:
            return None
        return 100 * self.room.filling_minutes // self.lacks.minutes

    @answers(
        "Minutes that would be missing still if every place were taken, band by band: what is over in one fills nothing in "
        "the other. Null where a band is not shown."
    )
    def left_minutes(self) -> Whole | None:
        """What is left."""
        if self.found.capacity is None or self.lacks.minutes is None:
            return None
        return market.left(self.found.lacking, self.found.capacity, self.line, self.stage)

    @answers("What the shortfall stands on.")
    def stands_on(self) -> Basis:
        """As coverage."""
        return basis_of(self.line.basis, self.asked.on, None)


@strawberry.type(description="Lines of shortfall and capacity, and the whole.")
class CapacityConnection(Connection[CapacityLine]):
    """A page of lines."""

    total: CapacityLine = strawberry.field(
        description="The whole set: each pupil and each place counted once, whatever year groups or schools it would suit."
    )


async def capacity(
    session: Session, where: Where, by: By, stage: KeyStage | None, asked: Asked
) -> CapacityConnection:
    """Shortfall and capacity of a place."""
    found, period = await asked.read(session, market_reading.supply)
    place = where(found.lacking.table)
    page = asked.turn(session, "capacity", place.key, by, stage)
    lines = [
        one for one in market.lines(found.lacking.table, place, by)
        if stage is None or by is By.SCHOOL or found.lacking.within(one, stage)
    ]  # fmt: skip
    edges, info = page.page(
        rest(lines, page), lambda one: one.order, lambda one: _supply(found, one, stage, period)
    )
    total = _supply(found, figures.whole(found.lacking.table, place), stage, period)
    return CapacityConnection(edges=edges, page_info=info, total_count=len(lines), total=total)


def _supply(found: Supply, line: Line, stage: KeyStage | None, period: Period) -> CapacityLine:
    judged = market.narrowed(line, stage) if line.cut in (None, figures.Cut.SCHOOL) else line
    groups = [group for group, _ in found.lacking.within(line, stage)]
    lacks = market.shortfall(found.lacking, judged, stage)
    shown = found.capacity if lacks.state is not FigureState.UNKNOWN else None
    return CapacityLine(
        line=line,
        lacks=lacks,
        found=found,
        stage=stage,
        asked=period,
        room=shown.of(groups) if shown else None,
    )
