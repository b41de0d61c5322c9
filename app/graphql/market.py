"""Where shortfall and capacity, employers and variety are asked for: the fields of whatever has schools."""

from datetime import date
from typing import Annotated
from uuid import UUID

import strawberry

from app.core.paging import DEFAULT_LIMIT
from app.dashboards import figures
from app.dashboards.market import By, EmployersBy
from app.graphql.asked import Asked, Where
from app.graphql.capacity import CapacityConnection, capacity
from app.graphql.connections import After, First
from app.graphql.employers import Employers, employers
from app.graphql.fields import answers
from app.graphql.figures import AcademicYear, AsAt, KnownAt
from app.graphql.session import Info
from app.graphql.variety import VarietyConnection, variety
from app.rules.words import KeyStage

PupilsBy = strawberry.enum(
    By, name="PupilsBy", description="How pupils are cut: SCHOOL, YEAR_GROUP (their NC year), KEY_STAGE."
)

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
