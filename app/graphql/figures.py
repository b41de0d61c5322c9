"""The figures of coverage as GraphQL has them: shares, marks, and what they stand on."""

from datetime import date, datetime
from typing import Annotated

import strawberry

from app.dashboards import figures
from app.graphql.fields import Whole, answers
from app.rules.coverage import Figure, FigureState
from app.rules.words import CoverageBand, ExperienceKind, KeyStage

State = strawberry.enum(
    FigureState,
    description="KNOWN: shown. WITHHELD: too few pupils, or another figure would follow. UNKNOWN: no data.",
)
Band = strawberry.enum(
    CoverageBand,
    description="Share in the bands hubs report, in per cent: NONE 0, TO_25 1-25, TO_50 26-50, TO_75 51-75, "
    "TO_99 76-99, ALL 100, UNKNOWN without data.",
)
Stage = strawberry.enum(KeyStage, description="KS3 is Years 7-9, KS4 Years 10-11, KS5 Years 12-14.")
Kind = strawberry.enum(ExperienceKind, description="What an experience was.")
CoverageBy = strawberry.enum(
    figures.Cut,
    name="CoverageBy",
    description="How coverage is cut. SCHOOL, YEAR_GROUP (the pupil's NC year in the academic year), KEY_STAGE, KIND "
    "(of experience).",
)

By = Annotated[figures.Cut, strawberry.argument(description="How to cut the figures.")]
AcademicYear = Annotated[
    int | None,
    strawberry.argument(
        description="2026 is 2026/27: only what was experienced in that year, by the pupils and memberships of its "
        "last day (or of today). Without it: all years so far, by the pupils and memberships of today."
    ),
]


AsAt = Annotated[
    date | None,
    strawberry.argument(
        description="The day of which is asked (Europe/London): the pupils, memberships and characteristics of that "
        "day, and what had happened by then. Today without it. For hubs and those over them: today, a Sunday, 31 December, "
        "31 March or 31 July."
    ),
]
KnownAt = Annotated[
    datetime | None,
    strawberry.argument(
        description="Only what had been recorded by this moment (UTC, over for at least a minute). With the same "
        "`asAt` and `knownAt` the answer stays the same for good, whatever is corrected later. Everything without it. For "
        "hubs and those over them: the end of such a day, midnight in London."
    ),
]


@strawberry.type(
    description="How many pupils of how many. For hubs both are rounded to 5 and the rate follows from them."
)
class Share:
    """A part of a whole."""

    state: FigureState = strawberry.field(description="Whether it is shown.")
    count: int | None = strawberry.field(description="Pupils it is true of.")
    base: int | None = strawberry.field(description="Pupils in all.")
    percent: int | None = strawberry.field(
        description="Per cent of the counts as shown, whole; 0 only if the count is 0, 100 only if it is the base."
    )
    band: CoverageBand = strawberry.field(description="The band hubs report.")


@strawberry.type(description="What a figure stands on. Read it before you compare.")
class Basis:
    """Where the figure comes from."""

    on: date = strawberry.field(
        description="The day whose pupils and memberships are counted (Europe/London)."
    )
    academic_year: int | None = strawberry.field(
        description="The academic year counted; null for all years so far."
    )
    schools: int = strawberry.field(description="Schools in the set.")
    schools_unknown: int = strawberry.field(
        description="Schools of the set without data; figures leave them out."
    )
    partial: bool = strawberry.field(description="Whether some school of the set has no data.")
    known_at: datetime | None = strawberry.field(
        description="Only what had been recorded by this moment is counted (UTC); null for all that is known. What is "
        "said below of rolls, syncs, grants and attendance is of now, and null where `knownAt` was asked for."
    )
    roll_complete: bool | None = strawberry.field(
        description="Whether every school of the set has sent its whole roll, as of now."
    )
    schools_roll_complete: int | None = strawberry.field(
        description="Schools that have sent their whole roll, as of now."
    )
    oldest_sync: datetime | None = strawberry.field(
        description="The school whose roll is oldest: when it came (UTC)."
    )
    newest_sync: datetime | None = strawberry.field(
        description="The school whose roll is newest: when it came (UTC)."
    )
    field_groups: list[str] | None = strawberry.field(
        description="Field groups granted by every school that has data, as of now."
    )
    attendance_overdue: int | None = strawberry.field(
        description="Bookings whose attendance has not been reported yet, as of now."
    )
    rounded: bool = strawberry.field(description="Whether counts are rounded to 5 and small groups withheld.")


@strawberry.type(description="Pupils, what they have done, and the share of them at each mark.")
class Figures:
    """The figures of one group; a share is made when it is asked for."""

    shown: strawberry.Private[figures.Figures]

    @answers("Whether the group is shown; UNKNOWN is never 0.")
    def state(self) -> FigureState:
        """As the domain says."""
        return self.shown.state

    @answers("Pupils, each counted once, at their main school.")
    def pupils(self) -> int | None:
        """The base."""
        return self.shown.pupils

    @answers("Pupils with at least one minute.")
    def reached(self) -> Share:
        """More than nothing."""
        return share(self.shown.reached)

    @answers(
        "Confirmed minutes of all pupils together, after the policy's cap on a day; for hubs to the nearest "
        "300 (five hours)."
    )
    def minutes(self) -> Whole | None:
        """Credited minutes."""
        return self.shown.minutes

    @answers(
        "Calendar days with an experience, added up over pupils (and over kinds within one academic year); "
        "for hubs to the nearest 5."
    )
    def days(self) -> int | None:
        """Distinct days."""
        return self.shown.days

    @answers("Pupils without a single minute.")
    def at_zero(self) -> Share:
        """Nothing."""
        return share(self.shown.at_zero)

    @answers("Pupils with 1,500 minutes of any kind. Null by KIND.")
    def at25_hours(self) -> Share | None:
        """A week."""
        return _maybe(self.shown.at_week)

    @answers(
        "Of pupils in Years 7-9: those with 1,500 minutes of activity, virtual at most half. Null if none."
    )
    def at25_hours_of_activity(self) -> Share | None:
        """The mark of Years 7-9."""
        return _maybe(self.shown.at_activity)

    @answers("Of pupils in Years 10-11: those with 1,500 minutes of placement in person. Null if none.")
    def at25_hours_of_placement(self) -> Share | None:
        """The mark of Years 10-11."""
        return _maybe(self.shown.at_placement)

    @answers("Pupils with 3,000 minutes of any kind. Null by KIND.")
    def at50_hours(self) -> Share | None:
        """Both weeks."""
        return _maybe(self.shown.at_total)

    @answers("Pupils with a meaningful encounter with an employer (Gatsby 5).")
    def bm5(self) -> Share:
        """Benchmark 5."""
        return share(self.shown.bm5)

    @answers("Pupils with a meaningful experience of a workplace (Gatsby 6).")
    def bm6(self) -> Share:
        """Benchmark 6."""
        return share(self.shown.bm6)

    @answers("Confirmed hours of all pupils together: minutes / 60.")
    def hours(self) -> float | None:
        """Minutes in hours."""
        minutes = self.shown.minutes
        return None if minutes is None else round(minutes / 60, 2)

    @answers("Minutes per pupil, from the two figures as shown.")
    def minutes_per_pupil(self) -> float | None:
        """The mean."""
        pupils, minutes = self.shown.pupils, self.shown.minutes
        return round(minutes / pupils, 1) if pupils and minutes is not None else None


def share(figure: Figure) -> Share:
    """A figure as a share."""
    return Share(
        state=figure.state, count=figure.reached, base=figure.base, percent=figure.percent, band=figure.band
    )


def basis_of(basis: figures.Basis, on: date, year: int | None) -> Basis:
    """What figures stand on."""
    return Basis(
        on=on,
        academic_year=year,
        schools=basis.schools,
        schools_unknown=basis.schools_unknown,
        partial=basis.partial,
        roll_complete=basis.roll_complete,
        schools_roll_complete=basis.schools_roll_complete,
        oldest_sync=basis.oldest_sync,
        newest_sync=basis.newest_sync,
        known_at=basis.known,
        field_groups=None if basis.field_groups is None else list(basis.field_groups),
        attendance_overdue=basis.attendance_overdue,
        rounded=basis.rounded,
    )


def _maybe(figure: Figure | None) -> Share | None:
    return None if figure is None else share(figure)
