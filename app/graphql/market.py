"""Shortfall and open capacity, employers, and the variety pupils have had, as GraphQL has them."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import date, datetime
from enum import StrEnum
from typing import Annotated, Any
from uuid import UUID

import strawberry

from app.core.paging import DEFAULT_LIMIT
from app.dashboards import figures, market, market_reading
from app.dashboards.figures import Line, Place, Table
from app.dashboards.market import (
    By,
    Counted,
    Employer,
    EmployersBy,
    Market,
    PlacesBand,
    ResponseBand,
    Varied,
)
from app.dashboards.market_reading import Supply
from app.dashboards.service import Period, rounds
from app.graphql.connections import After, Connection, First, Turn, turn
from app.graphql.fields import answers
from app.graphql.figures import AcademicYear, AsAt, Basis, KnownAt, Share, basis_of, share
from app.graphql.session import Info, MarketQuestion, Session
from app.rules.coverage import FigureState
from app.rules.words import KeyStage, SizeBand

COVERAGE = "coverage:read"

PupilsBy = strawberry.enum(
    By, name="PupilsBy", description="How pupils are cut: SCHOOL, YEAR_GROUP (their NC year), KEY_STAGE."
)
_EmployersBy = strawberry.enum(
    EmployersBy,
    name="EmployersBy",
    description="How employers are cut. SIZE, SECTOR (one of several is in each of them), RESPONSE (how soon it answers).",
)
_ResponseBand = strawberry.enum(
    ResponseBand,
    name="ResponseBand",
    description="The median time to an employer's first answer: WITHIN_A_DAY 24 hours, WITHIN_3_DAYS 72, WITHIN_A_WEEK "
    "168, LONGER. FEW: for hubs, asked or answered fewer than five times. NO_ANSWER: asked, and never answered. NOT_ASKED.",
)
_PlacesBand = strawberry.enum(
    PlacesBand,
    name="PlacesBand",
    description="Places in bands: NONE 0, TO_9 1-9, TO_24 10-24, TO_49 25-49, FROM_50 50 and more.",
)
_Size = strawberry.enum(
    SizeBand,
    name="SizeBand",
    description="Employees: MICRO 0-9, SMALL 10-49, MEDIUM 50-249, LARGE 250 and more.",
)


@strawberry.enum(description="Why a figure is not known of the moment that was asked of.")
class NotKnown(StrEnum):
    """A reason for null."""

    ONLY_NOW = "only_now"


Cut = Annotated[By, strawberry.argument(description="How to cut the pupils.")]
EmployersCut = Annotated[EmployersBy, strawberry.argument(description="How to cut the employers.")]
Until = Annotated[
    date | None,
    strawberry.argument(
        description="The last day (Europe/London) on which an open slot may begin: from today to the end of the academic "
        "year, which it is without it."
    ),
]
OfStage = Annotated[
    KeyStage | None,
    strawberry.argument(
        description="Only the pupils of this key stage: KS3 or KS4 have a mark to reach. All without it."
    ),
]


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
    def minutes(self) -> int | None:
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
    def pupil_minutes(self) -> int:
        """Whole minutes."""
        return self.room.minutes

    @answers(
        "Of the places, those whose minutes fill the mark: any kind in Years 7-9, placements in Years 10-11."
    )
    def filling_places(self) -> int:
        """Places that help."""
        return self.room.filling_places

    @answers("Of the minutes, those that fill the mark: of placements only those in person.")
    def filling_minutes(self) -> int:
        """Whole minutes."""
        return self.room.filling_minutes


@strawberry.type(description="What a group of pupils lacks, and what is open to it.")
class CapacityLine:
    """One line, or the whole."""

    line: strawberry.Private[Line]
    lacks: strawberry.Private[market.Shortfall]
    found: strawberry.Private[Supply]
    stage: strawberry.Private[KeyStage | None]
    asked: strawberry.Private[Period]
    room: strawberry.Private[market.Room | None]

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

    @answers("What the pupils lack.")
    def shortfall(self) -> Shortfall:
        """Its figures."""
        return Shortfall(shown=self.lacks)

    @answers("What is open to them; null of any moment but now, with the reason.")
    def open(self) -> OpenCapacity | None:
        """Its figures."""
        return None if self.room is None else OpenCapacity(room=self.room)

    @answers("Why `open` is null: what was open on a day gone by is not kept.")
    def open_not_known(self) -> NotKnown | None:
        """A reason."""
        return NotKnown.ONLY_NOW if self.room is None else None

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
    def left_minutes(self) -> int | None:
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
class VarietyLine:
    """One line, or the whole."""

    line: strawberry.Private[Line]
    shown: strawberry.Private[market.Variety]
    asked: strawberry.Private[Period]

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


# --- employers --------------------------------------------------------------------------------------------


@strawberry.type(
    description="Time from a request to the employer's first answer (confirmed, declined, countered). Low and high are the "
    "95 % order-statistic interval of the median, null of fewer than six. For hubs withheld under five answers."
)
class Response:
    """Of an employer or a group of them."""

    shown: strawberry.Private[market.Response]

    @answers("UNKNOWN: nothing was answered.")
    def state(self) -> FigureState:
        """Whether it is shown."""
        return self.shown.state

    @answers("Requests answered.")
    def n(self) -> int | None:
        """The base."""
        return self.shown.n

    @answers("Hours, to one decimal.")
    def median_hours(self) -> float | None:
        """The median."""
        return _hours(self.shown.middle)

    @answers("Hours, to one decimal.")
    def low_hours(self) -> float | None:
        """Where the interval begins."""
        return _hours(self.shown.low)

    @answers("Hours, to one decimal.")
    def high_hours(self) -> float | None:
        """Where the interval ends."""
        return _hours(self.shown.high)


@strawberry.type(description="How often employers declined for a reason.")
class Declined:
    """One reason."""

    reason: str = strawberry.field(description="Reason code, as in REST.")
    count: int | None = strawberry.field(description="Bookings; for hubs to the nearest 5, and null under 5.")


@strawberry.type(
    description="What was offered to these schools and has begun in the period. Places were filled by whichever school."
)
class Offered:
    """Past capacity."""

    slots: int = strawberry.field(description="Slots that have begun, cancelled ones left out.")
    places: int = strawberry.field(
        description="Their places; of a slot that was closed those that had been taken."
    )
    filled: int = strawberry.field(
        description="Places taken, by whichever school; for hubs to the nearest 5."
    )
    unfilled: int = strawberry.field(description="Places that stayed empty: `places` less `filled`.")


@strawberry.type(
    description="Employers that took part with these schools in the period or have something open to them."
)
class EmployersGroup:
    """One line of employers, or the whole."""

    name: strawberry.Private[str]
    members: strawberry.Private[list[Employer]]
    whole: strawberry.Private[Market]

    @answers(
        "Names the group within its cut: a size, a sector (`unknown` if not recorded), a response band, or `all`."
    )
    def key(self) -> str:
        """As the domain has it."""
        return self.name

    @answers("Employers.")
    def employers(self) -> int:
        """How many."""
        return len(self.members)

    @answers("Of them, those with fewer than 250 employees.")
    def small_or_medium(self) -> int:
        """SMEs."""
        return sum(one.sme for one in self.members)

    @answers("SMEs in per cent.")
    def sme_percent(self) -> int | None:
        """A share of employers."""
        return market.sme_percent(self.members)

    @answers("Bookings asked for in the period.")
    def requested(self) -> int:
        """Bookings."""
        return sum(one.requested for one in self.members)

    @answers("Of them, those that were confirmed.")
    def confirmed(self) -> int:
        """Bookings."""
        return sum(one.confirmed for one in self.members)

    @answers("Of them, those the employer declined.")
    def declined(self) -> int:
        """Bookings."""
        return sum(one.declined for one in self.members)

    @answers("Why the employer declined, the commonest first.")
    def declined_for(self) -> list[Declined]:
        """By reason code."""
        found = market.reasons_of(self.members, rounds=self.whole.table.rounds)
        return [Declined(reason=reason, count=count) for reason, count in found]

    @answers("Of them, those that expired without an answer from the employer.")
    def expired(self) -> int:
        """Bookings."""
        return sum(one.expired for one in self.members)

    @answers("Time to the first answer.")
    def response(self) -> Response:
        """All answers together."""
        answered = [minutes for one in self.members for minutes in one.answered]
        return Response(shown=market.response(answered, rounds=self.whole.table.rounds))

    @answers(
        "What they offered in the period; null with `knownAt`, as places are kept as they are and not as they were."
    )
    def offered(self) -> Offered | None:
        """Past capacity."""
        if self.whole.offered is None:
            return None
        slots, places = (
            sum(one.slots for one in self.members),
            sum(one.offered for one in self.members),
        )
        filled = sum(one.filled for one in self.members)
        shown = market.filled_of(places, filled, rounds=self.whole.table.rounds)
        return Offered(slots=slots, places=places, filled=shown, unfilled=places - shown)

    @answers("Slots open to these schools now; null of any moment but now.")
    def open_slots(self) -> int | None:
        """Capacity ahead."""
        return None if self.whole.open is None else sum(one.open_slots for one in self.members)

    @answers("Places left in them; null of any moment but now.")
    def open_places(self) -> int | None:
        """Capacity ahead."""
        return None if self.whole.open is None else sum(one.open_places for one in self.members)


@strawberry.type(
    name="MarketEmployer", description="One employer and what it has had to do with these schools."
)
class EmployerNode:
    """An employer."""

    one: strawberry.Private[Employer]
    whole: strawberry.Private[Market]

    @answers("Its id in REST.")
    def id(self) -> UUID:
        """Of the organisation."""
        return self.one.profile.id

    @answers("Its name.")
    def name(self) -> str:
        """As registered."""
        return self.one.profile.name

    @answers("Its size, as known at `knownAt`.")
    def size(self) -> SizeBand:
        """In bands."""
        return self.one.profile.size

    @answers("Its sectors, as known at `knownAt`.")
    def sectors(self) -> list[str]:
        """As registered."""
        return list(self.one.profile.sectors)

    @answers("How many of these schools had pupils with it in the period.")
    def schools_reached(self) -> int:
        """Distinct schools."""
        return len(self.one.schools)

    @answers("Bookings asked for in the period.")
    def requested(self) -> int:
        """Bookings."""
        return self.one.requested

    @answers("Of them, those that were confirmed.")
    def confirmed(self) -> int:
        """Bookings."""
        return self.one.confirmed

    @answers("Places of these schools in bookings that stand, in bands.")
    def places(self) -> PlacesBand:
        """In bands for everybody."""
        return market.places_band(self.one.places)

    @answers("Time to its first answer.")
    def response(self) -> Response:
        """Its own."""
        return Response(shown=market.response(self.one.answered, rounds=self.whole.table.rounds))

    @answers("How soon it answers.")
    def response_band(self) -> ResponseBand:
        """In bands."""
        return market.band_of(self.one, rounds=self.whole.table.rounds)

    @answers("Places left in its slots open to these schools now; null of any moment but now.")
    def open_places(self) -> int | None:
        """Capacity ahead."""
        return None if self.whole.open is None else self.one.open_places


@strawberry.type(description="The employers around these schools.")
class Employers:
    """All of them, and cut."""

    found: strawberry.Private[list[Employer]]
    whole: strawberry.Private[Market]
    by: strawberry.Private[EmployersBy]
    scope: strawberry.Private[str]

    @answers("Everybody, each employer once.")
    def total(self) -> EmployersGroup:
        """The whole."""
        return EmployersGroup(name="all", members=self.found, whole=self.whole)

    @answers("The groups of the cut, in order; those without anybody are left out.")
    def groups(self) -> list[EmployersGroup]:
        """The cut."""
        found = market.grouped(self.found, self.by, rounds=self.whole.table.rounds)
        return [EmployersGroup(name=key, members=each, whole=self.whole) for key, each in found.items()]

    @answers("The employers, by name.")
    def each(self, info: Info, first: First = DEFAULT_LIMIT, after: After = None) -> Connection[EmployerNode]:
        """A page."""
        page = turn(info.context.cursors, self.scope, first, after)
        rest = [one for one in self.found if page.after is None or _employer_key(one) > page.after]
        edges, where = page.page(rest, _employer_key, lambda one: EmployerNode(one=one, whole=self.whole))
        return Connection(edges=edges, page_info=where, total_count=len(self.found))


def _hours(minutes: float | None) -> float | None:
    return None if minutes is None else round(minutes / 60, 1)


def _employer_key(one: Employer) -> list[str]:
    return [one.profile.name, str(one.profile.id)]


def _named(line: Line, cut: figures.Cut) -> str | None:
    return line.key if line.cut is cut and line.key != figures.NO_YEAR else None


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
        _rest(lines, page), lambda one: one.order, lambda one: _supply(found, one, stage, period)
    )
    total = _supply(found, figures.whole(found.lacking.table, place), stage, period)
    return CapacityConnection(edges=edges, page_info=info, total_count=len(lines), total=total)


def _supply(found: Supply, line: Line, stage: KeyStage | None, period: Period) -> CapacityLine:
    judged = market.narrowed(line, stage) if line.cut in (None, figures.Cut.SCHOOL) else line
    groups = [group for group, _ in found.lacking.within(line, stage)]
    return CapacityLine(
        line=line,
        lacks=market.shortfall(found.lacking, judged, stage),
        found=found,
        stage=stage,
        asked=period,
        room=found.capacity.of(groups) if found.capacity else None,
    )


async def variety(session: Session, where: Where, by: By, asked: Asked) -> VarietyConnection:
    """Variety of a place."""
    found, period = await asked.read(session, market_reading.varieties)
    place = where(found.table)
    page = asked.turn(session, "variety", place.key, by)
    lines = market.lines(found.table, place, by)
    edges, info = page.page(
        _rest(lines, page), lambda one: one.order, lambda one: _varied(found, one, period)
    )
    total = _varied(found, figures.whole(found.table, place), period)
    return VarietyConnection(edges=edges, page_info=info, total_count=len(lines), total=total)


def _varied(found: Counted[Varied], line: Line, period: Period) -> VarietyLine:
    return VarietyLine(line=line, shown=market.variety(found, line), asked=period)


async def employers(session: Session, where: Where, by: EmployersBy, asked: Asked) -> Employers:
    """The employers of a place."""
    found, _ = await asked.read(session, market_reading.employers)
    place = where(found.table)
    scope = f"employers:{place.key}:{asked.year}:{asked.as_at}:{asked.known_at}:{asked.until}"
    return Employers(found=market.employers_at(found, place), whole=found, by=by, scope=scope)


def _rest(lines: list[Line], page: Turn) -> list[Line]:
    ordered = sorted(lines, key=lambda line: line.order)
    return [line for line in ordered if page.after is None or list(line.order) > page.after]


# --- where they are asked for -----------------------------------------------------------------------------


def _part(source: "Around | None", info: Info) -> tuple[Where, UUID | None]:
    """What is asked of; at the root, where there is nothing above, all the schools that the caller may count."""
    return (figures.everywhere, None) if source is None else source.asked_of(info)


@strawberry.type
class Around:
    """The fields of whatever has schools. All that a document asks of the same period is read once."""

    def asked_of(self, info: Info) -> tuple[Where, UUID | None]:
        """The part of a table that is meant, and the school if it is one; refuses who may not ask."""
        del info
        return figures.everywhere, None

    @answers("What pupils lack of the mark of their band, and what is open to them.")
    async def capacity(
        self,
        info: Info,
        by: Cut,
        key_stage: OfStage = None,
        until: Until = None,
        as_at: AsAt = None,
        known_at: KnownAt = None,
        first: First = DEFAULT_LIMIT,
        after: After = None,
    ) -> CapacityConnection | None:
        """Shortfall against open capacity."""
        where, school = _part(self, info)
        asked = Asked(None, as_at, known_at, until, school, first, after)
        return await capacity(info.context, where, by, key_stage, asked)

    @answers("How varied pupils' experiences were: employers, sectors and kinds per pupil.")
    async def variety(
        self,
        info: Info,
        by: Cut,
        academic_year: AcademicYear = None,
        as_at: AsAt = None,
        known_at: KnownAt = None,
        first: First = DEFAULT_LIMIT,
        after: After = None,
    ) -> VarietyConnection | None:
        """Variety."""
        where, school = _part(self, info)
        return await variety(
            info.context, where, by, Asked(academic_year, as_at, known_at, None, school, first, after)
        )

    @answers("The employers that took part with the schools in the period, or have something open to them.")
    async def employers(
        self,
        info: Info,
        by: EmployersCut,
        academic_year: AcademicYear = None,
        until: Until = None,
        as_at: AsAt = None,
        known_at: KnownAt = None,
    ) -> Employers | None:
        """Employers."""
        where, school = _part(self, info)
        return await employers(info.context, where, by, Asked(academic_year, as_at, known_at, until, school))
