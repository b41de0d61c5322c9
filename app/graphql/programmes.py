"""A programme's figures as GraphQL has them: strands side by side, targets with a forecast, budgets and money."""

from datetime import date, datetime
from uuid import UUID

import strawberry

from app.core.errors import NotFound
from app.dashboards import programmes, targets
from app.dashboards.programmes import Measure, Part, Share
from app.dashboards.service import Period
from app.dashboards.targets import Budgets, Measured, Money, Outlook, OwnBudget, SchoolBudget, Target
from app.graphql.fields import Whole, answers
from app.graphql.session import Session
from app.rules.coverage import FigureState

COVERAGE = "coverage:read"

strawberry.enum(
    Part,
    name="ProgrammePart",
    description="Whose part was counted. WHOLE: of all schools, for the owner and those over it. OWN: of your own "
    "schools alone.",
)
strawberry.enum(
    Measured,
    name="TargetMeasure",
    description="What a target counts. SHARE is in per cent of the young people reached.",
)
strawberry.enum(
    Outlook,
    name="TargetOutlook",
    description="From the figures as shown. REACHED: met already. ON_COURSE: met if what is booked takes place, at the "
    "attendance so far. SHORT: not. UNKNOWN: no data, withheld, a share whose time is not over, or not the whole.",
)
strawberry.enum(
    OwnBudget,
    name="OwnBudget",
    description="What a school says of its own money for this: NONE, TOO_LITTLE, SUFFICIENT, UNKNOWN.",
)


@strawberry.type(
    description="A part of a whole with its 95 % interval (Wilson's score interval). For hubs rounded, and the interval "
    "follows from what is shown."
)
class ProgrammeShare:
    """A share and how far it can be trusted."""

    state: FigureState = strawberry.field(description="Whether it is shown; UNKNOWN of nobody, never 0.")
    count: int | None = strawberry.field(description="Of how many it is true.")
    base: int | None = strawberry.field(description="The n: how many there are in all.")
    percent: int | None = strawberry.field(description="Per cent, whole; 0 only for none, 100 only for all.")
    lower: float | None = strawberry.field(description="Where the interval begins, in per cent.")
    upper: float | None = strawberry.field(description="Where the interval ends, in per cent.")


@strawberry.type(description="A number made of `n` others, with its 95 % interval.")
class ProgrammeMeasure:
    """A mean, a median or a ratio and how far it can be trusted."""

    state: FigureState = strawberry.field(
        description="Whether it is shown; UNKNOWN where nothing was recorded."
    )
    value: float | None = strawberry.field(description="The number.")
    n: int | None = strawberry.field(description="Of how many it is made.")
    lower: float | None = strawberry.field(
        description="Where the interval begins; null where n is too small."
    )
    upper: float | None = strawberry.field(description="Where the interval ends; null where n is too small.")


@strawberry.type(
    description="What a strand, or a programme as a whole, has come to. Strands stand in the order of their codes and are "
    "not ranked: their schools were not drawn by lot, so a difference between two strands may be one between their schools. "
    "Compare the intervals, and ask why. A person in two strands counts in both, and once in the whole. For hubs counts "
    "are rounded to 5 and minutes to 300, groups of fewer than 10 young people are withheld, and so much beside them that "
    "none follows from the whole."
)
class ProgrammeFigures:
    """The figures of one group."""

    state: FigureState = strawberry.field(
        description="Whether the young people are shown; UNKNOWN where no school takes part or none has sent a pupil."
    )
    on: date = strawberry.field(
        description="The day of which was asked: nothing after it counts (Europe/London)."
    )
    known_at: datetime | None = strawberry.field(
        description="Only what was recorded by then counts (UTC); null for all that is known."
    )
    part: Part = strawberry.field(description="Whose part was counted.")
    rounded: bool = strawberry.field(description="Whether counts are rounded and small groups withheld.")
    schools: int = strawberry.field(
        description="Schools enrolled on the day: on the strand, or on the whole programme and with a booking of the strand."
    )
    schools_unknown: int = strawberry.field(
        description="Of these, schools that have sent no pupils; their young people are not in the figures."
    )
    young_people: int | None = strawberry.field(
        description="Distinct persons with credited minutes from bookings of the strand."
    )
    minutes: Whole | None = strawberry.field(
        description="Minutes credited, corrections taken off, before the policy's cap on a day."
    )
    days: int | None = strawberry.field(
        description="Distinct days with credited minutes, added up over persons."
    )
    minutes_per_young_person: ProgrammeMeasure = strawberry.field(
        description="The mean over the young people reached (n), with Student's t interval."
    )
    days_per_young_person: ProgrammeMeasure = strawberry.field(description="The same of their days.")
    bm5: ProgrammeShare = strawberry.field(
        description="Of the young people reached: with a meaningful encounter with an employer in the strand (Gatsby 5)."
    )
    bm6: ProgrammeShare = strawberry.field(
        description="Of the young people reached: with a meaningful experience of a workplace in the strand (Gatsby 6)."
    )
    no_shows: ProgrammeShare = strawberry.field(
        description="No-shows opened, of the sittings at which a pupil was expected and somebody has said whether they "
        "came. The interval takes sittings as independent, which a missed bus is not."
    )
    cost_per_pupil_hour: ProgrammeMeasure = strawberry.field(
        description="Pence spent by everybody for an hour of one pupil, over the schools (n) of which spend is recorded; "
        "the others are unknown and left out, hours and all. The interval is that of a ratio over schools, by Student's t. "
        "A cost that names neither strand nor booking counts in the whole programme alone."
    )
    cost_per_pupil_hour_to_programme: ProgrammeMeasure = strawberry.field(
        description="The same of what the programme itself paid."
    )
    employer_response_hours: ProgrammeMeasure = strawberry.field(
        description="From the request to the employer's first confirmation, counter-proposal or decline: the median of the "
        "answered requests (n) in hours, with its order-statistic interval (null under six). For hubs withheld under 5 "
        "requests."
    )
    requests_answered: ProgrammeShare = strawberry.field(
        description="Of the requests that the employer answered or let lapse: those answered. Still open ones, and those "
        "taken back, do not count. For hubs withheld under 5."
    )


@strawberry.type(
    description="A target and how it stands. `lower` and `upper` add to what is reached what is booked already: confirmed "
    "bookings of the day asked of, with sittings after it and up to the due date (or the programme's last day). For hubs "
    "everything is rounded, and bookings of fewer than 10 young people count as none in `lower` and as 10 in `upper`. "
    "A target itself is as known at `knownAt`, whatever the day."
)
class ProgrammeTarget:
    """One target."""

    id: UUID = strawberry.field(description="Its id in REST.")
    strand_id: UUID | None = strawberry.field(description="The strand; null for the programme as a whole.")
    measure: Measured = strawberry.field(description="What it counts.")
    characteristic: str | None = strawberry.field(
        description="Of a share, or of young people with it: the field group, with the value after a colon, or any value "
        "but the none."
    )
    target: Whole = strawberry.field(
        description="What is to be reached: schools, young people, minutes or per cent."
    )
    due_on: date | None = strawberry.field(description="By when; null for the programme's last day.")
    part: Part = strawberry.field(description="Whose part was counted; the target is always the whole's.")
    state: FigureState = strawberry.field(description="Whether `reached` is shown.")
    reached: Whole | None = strawberry.field(
        description="What is reached, in the unit of the target, by the day asked of: as the strand's figures have it. "
        "Once `dueOn` is over, ask `asAt` that day for what it was then."
    )
    percent_of_target: Whole | None = strawberry.field(
        description="Reached of the target, in per cent, rounded down."
    )
    lower: Whole | None = strawberry.field(
        description="Forecast, at least: with the named pupils not reached yet (of minutes: the named pupils'). Invitations "
        "do not count."
    )
    upper: Whole | None = strawberry.field(
        description="Forecast, at most: with every place without a name, each taken as somebody new, and every "
        "invited school. For hubs in persons rounded to 5, so that it may be up to two persons' worth too low."
    )
    expected: Whole | None = strawberry.field(
        description="Reached, and of all that is booked as much as the attendance so far lets expect. Null for schools, "
        "for shares and other targets about a characteristic, and without attendance so far."
    )
    outlook: Outlook = strawberry.field(description="Whether it is met, or will be.")
    share: ProgrammeShare | None = strawberry.field(
        description="Of a share: who has the characteristic on their first day in the group, of those reached whose school "
        "has granted the field group. Null for other measures."
    )


@strawberry.type(description="Money in whole pence (GBP). Null where nothing was recorded: unknown, not 0.")
class ProgrammeMoney:
    """What was allocated, committed and spent."""

    allocated_pence: Whole | None = strawberry.field(description="Allocated to schools, as known.")
    committed_pence: Whole | None = strawberry.field(
        description="Committed, by whomever: every commitment that stands, whatever its day."
    )
    committed_to_date_pence: Whole | None = strawberry.field(
        description="Of what is committed: on days up to the day asked of."
    )
    spent_pence: Whole | None = strawberry.field(
        description="Spent, by whomever, on days up to the day asked of."
    )
    spent_by_programme_pence: Whole | None = strawberry.field(
        description="Of what was spent: by the programme."
    )


@strawberry.type(description="How many of the enrolled schools say this of their own budget.")
class OwnBudgetCount:
    """One line; schools are no children, and are not suppressed."""

    own_budget: OwnBudget = strawberry.field(description="What they say.")
    schools: int = strawberry.field(description="How many say it.")
    percent: int | None = strawberry.field(
        description="Of the schools that have said what they have, per cent; null for UNKNOWN, and if none has."
    )


@strawberry.type(description="A school that takes part, its own budget, and the programme's money for it.")
class ProgrammeSchoolBudget:
    """One school."""

    school_id: UUID = strawberry.field(description="Its id in REST.")
    name: str = strawberry.field(description="Its name.")
    urn: str | None = strawberry.field(description="Its unique reference number.")
    own_budget: OwnBudget = strawberry.field(description="What it says of its own money.")
    money: ProgrammeMoney = strawberry.field(description="The money for this school.")


@strawberry.type(
    description="The schools of a programme by what they say of their own budget, and the programme's money. For the owner "
    "and those over it of all schools, for a school of itself."
)
class ProgrammeBudgets:
    """Who has money, and what is given."""

    found: strawberry.Private[Budgets]

    on: date = strawberry.field(description="The day of which was asked (Europe/London).")
    known_at: datetime | None = strawberry.field(description="Only what was recorded by then; null for all.")
    part: Part = strawberry.field(description="Whose part was counted.")

    @answers("Schools enrolled on the day.")
    def schools(self) -> int:
        """Each once, on however many strands."""
        return len(self.found.schools)

    @answers("A line for each of NONE, TOO_LITTLE, SUFFICIENT and UNKNOWN.")
    def by_own_budget(self) -> list[OwnBudgetCount]:
        """In this order."""
        return [_own_budget(self.found, own) for own in OwnBudget]

    @answers("The schools that say they have no budget at all, by name.")
    def without_budget(self) -> list[ProgrammeSchoolBudget]:
        """NONE alone: what is unknown is not nothing."""
        return [_school(one) for one in self.found.by(OwnBudget.NONE)]

    @answers("The programme's budget in whole pence (GBP); shown to the owner only, null where none was set.")
    def budget_pence(self) -> Whole | None:
        """As known."""
        return self.found.budget

    @answers("The money of all schools of the part together.")
    def money(self) -> ProgrammeMoney:
        """What was recorded."""
        return _money(self.found.money)


# --- figures into types -------------------------------------------------------------------------------


async def figures_of(
    session: Session,
    programme_id: UUID,
    strand_id: UUID | None,
    as_at: date | None,
    known_at: datetime | None,
) -> ProgrammeFigures:
    """The figures of a strand or of the whole; loaded for all programmes of the document at once."""
    session.require(COVERAGE)
    asked = await session.period(None, as_at, known_at)
    sheet = await session.sheets.load((asked, programme_id))
    found = sheet.of(strand_id) if sheet else None
    if found is None:
        raise NotFound("programme")
    return _figures(found, asked)


async def progress_of(
    session: Session, programme_id: UUID, as_at: date | None, known_at: datetime | None
) -> list[ProgrammeTarget]:
    """The targets of a programme; loaded for all programmes of the document at once."""
    session.require(COVERAGE)
    asked = await session.period(None, as_at, known_at)
    return [_target(one) for one in await session.targets.load((asked, programme_id))]


async def budgets_of(
    session: Session, programme_id: UUID, as_at: date | None, known_at: datetime | None
) -> ProgrammeBudgets:
    """The budgets of a programme; loaded for all programmes of the document at once."""
    asked = await session.period(None, as_at, known_at)
    found = await session.budgets.load((asked, programme_id))
    if found is None:
        raise NotFound("programme")
    return ProgrammeBudgets(found=found, on=asked.on, known_at=asked.known, part=found.part)


def _figures(found: programmes.Figures, asked: Period) -> ProgrammeFigures:
    return ProgrammeFigures(
        state=found.state,
        on=asked.on,
        known_at=asked.known,
        part=found.part,
        rounded=found.rounded,
        schools=found.schools,
        schools_unknown=found.schools_unknown,
        young_people=found.young_people,
        minutes=found.minutes,
        days=found.days,
        minutes_per_young_person=_measure(found.minutes_each),
        days_per_young_person=_measure(found.days_each),
        bm5=_share(found.bm5),
        bm6=_share(found.bm6),
        no_shows=_share(found.no_shows),
        cost_per_pupil_hour=_measure(found.cost),
        cost_per_pupil_hour_to_programme=_measure(found.cost_to_programme),
        employer_response_hours=_measure(found.response),
        requests_answered=_share(found.answered),
    )


def _share(one: Share) -> ProgrammeShare:
    return ProgrammeShare(
        state=one.state, count=one.count, base=one.base, percent=one.percent, lower=one.lower, upper=one.upper
    )


def _measure(one: Measure) -> ProgrammeMeasure:
    return ProgrammeMeasure(state=one.state, value=one.value, n=one.n, lower=one.lower, upper=one.upper)


def _target(one: Target) -> ProgrammeTarget:
    return ProgrammeTarget(
        id=one.id,
        strand_id=one.strand_id,
        measure=one.measure,
        characteristic=one.characteristic,
        target=one.value,
        due_on=one.due_on,
        part=one.part,
        state=one.state,
        reached=one.reached,
        percent_of_target=one.percent_of_target,
        lower=one.lower,
        upper=one.upper,
        expected=one.expected,
        outlook=one.outlook,
        share=_share(one.share) if one.share else None,
    )


def _own_budget(found: Budgets, own: OwnBudget) -> OwnBudgetCount:
    return OwnBudgetCount(own_budget=own, schools=len(found.by(own)), percent=targets.percent_of(own, found))


def _school(one: SchoolBudget) -> ProgrammeSchoolBudget:
    return ProgrammeSchoolBudget(
        school_id=one.school_id,
        name=one.name,
        urn=one.urn,
        own_budget=one.own_budget,
        money=_money(one.money),
    )


def _money(one: Money) -> ProgrammeMoney:
    return ProgrammeMoney(
        allocated_pence=one.allocated,
        committed_pence=one.committed,
        committed_to_date_pence=one.committed_to_date,
        spent_pence=one.spent,
        spent_by_programme_pence=one.spent_by_programme,
    )
