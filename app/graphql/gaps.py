"""Who has had nothing, by characteristic, as GraphQL has it: each value, its peers, and the gap between them."""

from dataclasses import dataclass
from datetime import date, datetime
from typing import TYPE_CHECKING, Annotated

import strawberry

from app.core.paging import DEFAULT_LIMIT
from app.dashboards import figures, gaps
from app.dashboards.figures import Place
from app.graphql.connections import Connection, turn
from app.graphql.fields import answers
from app.graphql.figures import Basis, Figures, basis_of
from app.rules.words import CHARACTERISTIC_GROUPS, FieldGroup

if TYPE_CHECKING:
    from collections.abc import Callable

    from app.graphql.nodes import School
    from app.graphql.session import Session

GapBy = strawberry.enum(
    gaps.Cut,
    name="GapBy",
    description="How a characteristic is cut further: SCHOOL or YEAR_GROUP. For hubs and above this list and the whole "
    "are all there is: looked-after children and young carers over the whole hub only, and no school by year group.",
)
Characteristic = strawberry.enum(
    FieldGroup,
    name="FieldGroup",
    description="What a school grants, one by one. Gaps are of the characteristics, that is all but IDENTITY, ENROLMENT "
    "and ACCESS_NEEDS.",
)

MaybeBy = Annotated[
    gaps.Cut | None, strawberry.argument(description="How to cut further; the whole without it.")
]
Groups = Annotated[
    list[FieldGroup] | None,
    strawberry.argument(
        description="Which characteristics; without it all that the cut is answered for. Asked for by name, one that is "
        "not is refused (`hub_level_only`)."
    ),
]


@strawberry.type(
    description="Pupils of one value of a characteristic, their peers, and how many more of them have had nothing."
)
class Gap:
    """One line of gaps."""

    line: strawberry.Private[gaps.Line]
    on: strawberry.Private[date]
    year: strawberry.Private[int | None]
    school: Annotated["School", strawberry.lazy("app.graphql.nodes")] | None = strawberry.field(
        description="The school, where the line is one school's."
    )

    @answers("Names the line within its list.")
    def key(self) -> str:
        """As the domain has it."""
        return self.line.key

    @answers("The cut; null for the whole.")
    def by(self) -> gaps.Cut | None:
        """As it was asked for."""
        return self.line.cut

    @answers("The characteristic.")
    def group(self) -> FieldGroup:
        """The field group."""
        return self.line.field

    @answers(
        "The value, as REST has it: SEN N, K or E; none, ever_6 or current; none, persistent or severe; true or false. "
        "Null: pupils of whom nothing is told, which is not `no`."
    )
    def value(self) -> str | None:
        """As it was told."""
        return self.line.value

    @answers("NC year as the school sent it: R, 1-14, X; null if not cut by it or not recorded.")
    def year_group(self) -> str | None:
        """Of a line by year group."""
        year = self.line.at.year
        return None if year == figures.NO_YEAR else year

    @answers(
        "The figures of these pupils. The marks of the two bands (activity, placement) are null for hubs, except by "
        "YEAR_GROUP."
    )
    def figures(self) -> Figures:
        """Worked out when they are asked for."""
        return Figures(shown=self.line.figures)

    @answers(
        "The value it is compared with; null of that value itself, and of pupils of whom nothing is told."
    )
    def peers_value(self) -> str | None:
        """The ordinary value of the group."""
        return self.line.peers_value

    @answers("The figures of the peers, of the same place and year group. Null where `peersValue` is.")
    def peers(self) -> Figures | None:
        """Worked out when they are asked for."""
        beside = self.line.peers
        return Figures(shown=beside) if beside else None

    @answers(
        "Share of these pupils with nothing less that of their peers, in percentage points: `atZero.percent` less "
        "`peers.atZero.percent`. Null where either is withheld, unknown or of nobody."
    )
    def gap(self) -> int | None:
        """From the two as shown."""
        return self.line.gap

    @answers("Schools with pupils here that have told the characteristic of any: the figures are of these.")
    def schools_told(self) -> int:
        """How many stand on it."""
        return self.line.schools_told

    @answers("Schools left out, as they have no data or have told nothing of this characteristic: unknown.")
    def schools_unknown(self) -> int:
        """How many do not."""
        return self.line.schools_unknown

    @answers("What all figures of the place stand on.")
    def stands_on(self) -> Basis:
        """Worked out when it is asked for."""
        return basis_of(self.line.basis, self.on, self.year)


@strawberry.type(description="Lines of gaps.")
class GapConnection(Connection[Gap]):
    """A page of lines."""

    left_out: list[FieldGroup] = strawberry.field(
        description="Characteristics that this cut is not answered for, as hubs see them over the whole hub only."
    )


@dataclass(frozen=True, slots=True)
class GapsAsked:
    """One question for gaps, and the page of it that is wanted."""

    by: gaps.Cut | None = None
    groups: list[FieldGroup] | None = None
    year: int | None = None
    as_at: date | None = None
    known_at: datetime | None = None
    first: int = DEFAULT_LIMIT
    after: str | None = None

    @property
    def period(self) -> tuple[int | None, date | None, datetime | None]:
        """What is asked of when."""
        return self.year, self.as_at, self.known_at

    async def answer(
        self, session: "Session", place: Place, table: gaps.Table, show: "Callable[[figures.School], School]"
    ) -> GapConnection:
        """The page; `show` makes a node of a school. Forbidden as `gaps.published`."""
        name = ":".join(map(str, ("gaps", place.key, self.by, *(self.groups or ()), *self.period)))
        page = turn(session.cursors, name, self.first, self.after)
        fields = gaps.published(
            self.by, self.groups, rounds=table.coverage.rounds, one_school=gaps.is_school(place)
        )
        found = sorted(gaps.lines(table, place, self.by, fields), key=lambda line: line.order)
        left = [line for line in found if page.after is None or list(line.order) > page.after]
        on = (await session.period(*self.period)).on

        def shown(line: gaps.Line) -> Gap:
            return Gap(
                line=line, on=on, year=self.year, school=show(line.at.school) if line.at.school else None
            )

        edges, where = page.page(left, lambda line: line.order, shown)
        out = [] if self.groups is not None else [one for one in CHARACTERISTIC_GROUPS if one not in fields]
        return GapConnection(edges=edges, page_info=where, total_count=len(found), left_out=out)
