"""Hubs, trusts, schools, programmes and the lines of coverage: what dashboards walk along."""

from datetime import date
from uuid import UUID

import strawberry

from app.core.db import Row
from app.core.errors import NotFound
from app.core.paging import DEFAULT_LIMIT
from app.dashboards import figures, gaps
from app.dashboards.figures import Cut, Line, Place, Table
from app.dashboards.sql import Page
from app.graphql.asked import Where
from app.graphql.connections import After, Connection, First, turn
from app.graphql.fields import Whole, answers
from app.graphql.figures import AcademicYear, AsAt, Basis, By, Figures, KnownAt, basis_of
from app.graphql.gaps import GapConnection, GapsAsked, Groups, MaybeBy
from app.graphql.ids import node_id
from app.graphql.market import Around
from app.graphql.programmes import (
    ProgrammeBudgets,
    ProgrammeFigures,
    ProgrammeTarget,
    budgets_of,
    figures_of,
    progress_of,
)
from app.graphql.session import Info, Session, When
from app.rules.words import ExperienceKind, KeyStage

COVERAGE, PROGRAMMES = "coverage:read", "programmes:read"


@strawberry.interface(description="Something with an id of its own.")
class Node:
    """Relay's node."""

    id: strawberry.ID = strawberry.field(description="Opaque; good for `node(id:)`.")


@strawberry.type(description="One line of coverage: a group of pupils and its figures.")
class Coverage:
    """A line, or the whole."""

    line: strawberry.Private[Line]
    on: strawberry.Private[date]
    year: strawberry.Private[int | None]

    @answers("Names the group within its cut: a school's UUID, an NC year, a key stage, a kind, or `all`.")
    def key(self) -> str:
        """As the domain has it."""
        return self.line.key

    @answers("For people.")
    def label(self) -> str:
        """A name."""
        return self.line.label

    @answers("The cut; null for the whole.")
    def by(self) -> Cut | None:
        """As it was asked for."""
        return self.line.cut

    @answers("NC year as the school sent it: R, 1-14, X; null if not cut by it or not recorded.")
    def year_group(self) -> str | None:
        """Of a line by year group."""
        return self._named(Cut.YEAR_GROUP)

    @answers("Null if not cut by it or not recorded.")
    def key_stage(self) -> KeyStage | None:
        """Of a line by key stage."""
        name = self._named(Cut.KEY_STAGE)
        return KeyStage(name) if name else None

    @answers("Null if not cut by it.")
    def kind(self) -> ExperienceKind | None:
        """Of a line by kind."""
        name = self._named(Cut.KIND)
        return ExperienceKind(name) if name else None

    @answers("The figures.")
    def figures(self) -> Figures:
        """Worked out when they are asked for."""
        return Figures(shown=self.line.figures)

    @answers("What they stand on.")
    def stands_on(self) -> Basis:
        """Worked out when it is asked for."""
        return basis_of(self.line.basis, self.on, self.year)

    @answers("The school, where the line is one school's.")
    def school(self) -> "School | None":
        """By its id, without another question."""
        return school_shown(self.line.school) if self.line.school else None

    def _named(self, cut: Cut) -> str | None:
        return self.line.key if self.line.cut is cut and self.line.key != figures.NO_YEAR else None


@strawberry.type(description="Lines of coverage, and the figures of them all.")
class CoverageConnection(Connection[Coverage]):
    """A page of lines."""

    total: Coverage = strawberry.field(
        description="The same figures of the whole set, each pupil counted once."
    )


@strawberry.type(description="A school whose figures you may see.")
class School(Node, Around):
    """A school."""

    uuid: UUID = strawberry.field(description="Its id in REST.")
    name: str = strawberry.field(description="Its name.")
    urn: str | None = strawberry.field(description="Unique reference number, 6 digits.")

    @answers("The hub it belongs to today, if you may know it.")
    async def hub(self, info: Info) -> "Hub | None":
        """Loaded for all schools of the document at once."""
        return next((hub_of(row) for row in await self._parents(info, "hub")), None)

    @answers("The trust it belongs to today, if you may know it.")
    async def trust(self, info: Info) -> "Trust | None":
        """Loaded for all schools of the document at once."""
        return next((trust_of(row) for row in await self._parents(info, "trust")), None)

    @answers("The figures of the whole school.")
    async def figures(
        self, info: Info, academic_year: AcademicYear = None, as_at: AsAt = None, known_at: KnownAt = None
    ) -> Coverage | None:
        """Loaded for all schools of the document at once."""
        asked = Asked(Cut.SCHOOL, (academic_year, as_at, known_at))
        table = await asked.table(info.context, self.uuid)
        return await asked.line(info.context, figures.whole(table, figures.at_school(table, self.uuid)))

    @answers("The school's figures, cut.")
    async def coverage(
        self,
        info: Info,
        by: By,
        academic_year: AcademicYear = None,
        as_at: AsAt = None,
        known_at: KnownAt = None,
        first: First = DEFAULT_LIMIT,
        after: After = None,
    ) -> CoverageConnection | None:
        """Loaded for all schools of the document at once."""
        asked = Asked(by, (academic_year, as_at, known_at), first, after)
        table = await asked.table(info.context, self.uuid)
        return await asked.answer(info.context, table, figures.at_school(table, self.uuid))

    @answers(
        "The school's pupils by characteristic, and who of them has had nothing. For hubs not by YEAR_GROUP."
    )
    async def gaps(
        self,
        info: Info,
        by: MaybeBy = None,
        groups: Groups = None,
        academic_year: AcademicYear = None,
        as_at: AsAt = None,
        known_at: KnownAt = None,
        first: First = DEFAULT_LIMIT,
        after: After = None,
    ) -> GapConnection | None:
        """Loaded for all schools of the document at once."""
        asked = GapsAsked(by, groups, academic_year, as_at, known_at, first, after)
        table = await gap_table(info.context, asked, self.uuid)
        place = figures.at_school(table.coverage, self.uuid)
        return await asked.answer(info.context, place, table, school_shown)

    def asked_of(self, _info: Info) -> tuple[Where, UUID | None]:
        """Of the school."""
        return lambda table: figures.at_school(table, self.uuid), self.uuid

    async def _parents(self, info: Info, relation: str) -> list[Row]:
        return [row for row in await info.context.named.parents(self.uuid) if row["relation"] == relation]


@strawberry.type(description="A careers hub.")
class Hub(Node, Around):
    """A hub."""

    uuid: UUID = strawberry.field(description="Its id in REST.")
    name: str = strawberry.field(description="Its name.")

    @answers("Those of its schools whose figures you may see, by name.")
    async def schools(
        self, info: Info, first: First = DEFAULT_LIMIT, after: After = None
    ) -> Connection[School]:
        """A page."""
        return await school_page(info.context, first, after, hub_id=self.uuid)

    @answers("The hub's figures, cut. For the hub itself and those above it.")
    async def coverage(
        self,
        info: Info,
        by: By,
        academic_year: AcademicYear = None,
        as_at: AsAt = None,
        known_at: KnownAt = None,
        first: First = DEFAULT_LIMIT,
        after: After = None,
    ) -> CoverageConnection | None:
        """Of all its schools together."""
        asked = Asked(by, (academic_year, as_at, known_at), first, after)
        table = await self._table(info, asked)
        return await asked.answer(info.context, table, figures.at_hub(table, self.uuid))

    @answers("The figures of the whole hub. For the hub itself and those above it.")
    async def figures(
        self, info: Info, academic_year: AcademicYear = None, as_at: AsAt = None, known_at: KnownAt = None
    ) -> Coverage | None:
        """Of all its schools together."""
        asked = Asked(Cut.SCHOOL, (academic_year, as_at, known_at))
        table = await self._table(info, asked)
        return await asked.line(info.context, figures.whole(table, figures.at_hub(table, self.uuid)))

    @answers(
        "The hub's pupils by characteristic, and who of them has had nothing. For the hub itself and those above it."
    )
    async def gaps(
        self,
        info: Info,
        by: MaybeBy = None,
        groups: Groups = None,
        academic_year: AcademicYear = None,
        as_at: AsAt = None,
        known_at: KnownAt = None,
        first: First = DEFAULT_LIMIT,
        after: After = None,
    ) -> GapConnection | None:
        """Of all its schools together."""
        self._only_from_above(info)
        asked = GapsAsked(by, groups, academic_year, as_at, known_at, first, after)
        table = await gap_table(info.context, asked)
        return await asked.answer(
            info.context, figures.at_hub(table.coverage, self.uuid), table, school_shown
        )

    async def _table(self, info: Info, asked: "Asked") -> Table:
        self._only_from_above(info)
        return await asked.table(info.context)

    def asked_of(self, info: Info) -> tuple[Where, UUID | None]:
        """Of the hub's schools."""
        self._only_from_above(info)
        return lambda table: figures.at_hub(table, self.uuid), None

    def _only_from_above(self, info: Info) -> None:
        caller = info.context.caller
        if caller.org_kind not in {"authority", "national"} and caller.org_id != self.uuid:
            raise NotFound(
                "coverage"
            )  # a school knows its hub by name, and would see its own figures as the hub's


@strawberry.type(description="A multi-academy trust.")
class Trust(Node, Around):
    """A trust."""

    uuid: UUID = strawberry.field(description="Its id in REST.")
    name: str = strawberry.field(description="Its name.")

    @answers("Those of its academies whose figures you may see, by name.")
    async def schools(
        self, info: Info, first: First = DEFAULT_LIMIT, after: After = None
    ) -> Connection[School]:
        """A page."""
        return await school_page(info.context, first, after, trust_id=self.uuid)

    @answers("The trust's figures, cut; exact. For the trust itself.")
    async def coverage(
        self,
        info: Info,
        by: By,
        academic_year: AcademicYear = None,
        as_at: AsAt = None,
        known_at: KnownAt = None,
        first: First = DEFAULT_LIMIT,
        after: After = None,
    ) -> CoverageConnection | None:
        """Of all its academies together."""
        asked = Asked(by, (academic_year, as_at, known_at), first, after)
        table = await self._table(info, asked)
        return await asked.answer(info.context, table, figures.everywhere(table))

    @answers("The figures of the whole trust; exact. For the trust itself.")
    async def figures(
        self, info: Info, academic_year: AcademicYear = None, as_at: AsAt = None, known_at: KnownAt = None
    ) -> Coverage | None:
        """Of all its academies together."""
        asked = Asked(Cut.SCHOOL, (academic_year, as_at, known_at))
        table = await self._table(info, asked)
        return await asked.line(info.context, figures.whole(table, figures.everywhere(table)))

    @answers(
        "The pupils of the trust's academies by characteristic, and who of them has had nothing; exact. For the trust "
        "itself."
    )
    async def gaps(
        self,
        info: Info,
        by: MaybeBy = None,
        groups: Groups = None,
        academic_year: AcademicYear = None,
        as_at: AsAt = None,
        known_at: KnownAt = None,
        first: First = DEFAULT_LIMIT,
        after: After = None,
    ) -> GapConnection | None:
        """Of all its academies together."""
        if info.context.caller.org_id != self.uuid:
            raise NotFound("coverage")
        asked = GapsAsked(by, groups, academic_year, as_at, known_at, first, after)
        table = await gap_table(info.context, asked)
        return await asked.answer(info.context, figures.everywhere(table.coverage), table, school_shown)

    async def _table(self, info: Info, asked: "Asked") -> Table:
        self._only_itself(info)
        return await asked.table(info.context)

    def asked_of(self, info: Info) -> tuple[Where, UUID | None]:
        """Of the trust's academies."""
        self._only_itself(info)
        return figures.everywhere, None

    def _only_itself(self, info: Info) -> None:
        if info.context.caller.org_id != self.uuid:
            raise NotFound("coverage")


@strawberry.type(description="A model under test within a programme.")
class Strand:
    """A strand."""

    id: UUID = strawberry.field(description="Its id in REST.")
    code: str = strawberry.field(description="Short and unique within the programme.")
    name: str = strawberry.field(description="Its name.")
    model: str | None = strawberry.field(description="What is tried, in words.")
    programme_id: strawberry.Private[UUID]

    @answers("What the strand has come to, beside the others and not ranked.")
    async def figures(
        self, info: Info, as_at: AsAt = None, known_at: KnownAt = None
    ) -> ProgrammeFigures | None:
        """Loaded for all strands of the document at once."""
        return await figures_of(info.context, self.programme_id, self.id, as_at, known_at)


@strawberry.type(description="A school's part in a programme.")
class ProgrammeSchool:
    """An enrolled school."""

    name: str = strawberry.field(description="The school's name.")
    urn: str | None = strawberry.field(description="The school's unique reference number.")
    school_id: UUID = strawberry.field(description="The school's id in REST.")
    strand_id: UUID | None = strawberry.field(description="The strand; null for the programme as a whole.")
    state: str = strawberry.field(description="invited, enrolled or left.")
    joined_on: date | None = strawberry.field(description="When it joined.")
    left_on: date | None = strawberry.field(description="When it left.")
    own_budget: str = strawberry.field(
        description="The school's own money: none, too_little, sufficient, unknown."
    )


@strawberry.type(description="A pilot that a hub or a trust runs.")
class Programme(Node):
    """A programme."""

    uuid: UUID = strawberry.field(description="Its id in REST.")
    name: str = strawberry.field(description="Its name.")
    state: str = strawberry.field(description="draft, running or closed.")
    starts_on: date = strawberry.field(description="First day.")
    ends_on: date = strawberry.field(description="Last day.")
    funder: str | None = strawberry.field(description="Who pays; shown to the owner only.")
    budget_pence: Whole | None = strawberry.field(description="GBP, in pence; shown to the owner only.")

    @answers("Its strands, by code.")
    async def strands(self, info: Info) -> list[Strand]:
        """Loaded for all programmes of the document at once."""
        rows = await info.context.named.strands(self.uuid)
        names = ("id", "code", "name", "model", "programme_id")
        return [Strand(**{name: row[name] for name in names}) for row in rows]

    @answers("What the programme has come to, each person counted once.")
    async def figures(
        self, info: Info, as_at: AsAt = None, known_at: KnownAt = None
    ) -> ProgrammeFigures | None:
        """Loaded for all programmes of the document at once."""
        return await figures_of(info.context, self.uuid, None, as_at, known_at)

    @answers("Its targets: those of the whole, then by strand, each with what is reached and what is booked.")
    async def progress(
        self, info: Info, as_at: AsAt = None, known_at: KnownAt = None
    ) -> list[ProgrammeTarget] | None:
        """Loaded for all programmes of the document at once."""
        return await progress_of(info.context, self.uuid, as_at, known_at)

    @answers("The schools by what they say of their own budget, and the programme's money.")
    async def budgets(
        self, info: Info, as_at: AsAt = None, known_at: KnownAt = None
    ) -> ProgrammeBudgets | None:
        """Loaded for all programmes of the document at once."""
        return await budgets_of(info.context, self.uuid, as_at, known_at)

    @answers("The schools in it that you may see: all for the owner, its own for a school.")
    async def schools(
        self, info: Info, first: First = DEFAULT_LIMIT, after: After = None
    ) -> Connection[ProgrammeSchool]:
        """Loaded for all programmes of the document at once."""
        page = turn(info.context.cursors, f"programme:{self.uuid}:schools", first, after)
        rows = await info.context.named.enrolled(self.uuid)
        left = [row for row in rows if page.after is None or _enrolled_key(row) > page.after]
        edges, where = page.page(left, _enrolled_key, _enrolled)
        return Connection(edges=edges, page_info=where, total_count=len(rows))


@strawberry.type(description="An organisation, as far as you may know it.")
class Organisation:
    """The caller's own."""

    id: UUID = strawberry.field(description="Its id in REST.")
    kind: str = strawberry.field(description="hub, trust, school, employer, vendor, authority or national.")
    name: str = strawberry.field(description="Its name.")


@strawberry.type(description="Who is asking.")
class Viewer:
    """The caller."""

    client_id: UUID = strawberry.field(description="The client the token was given to.")
    scopes: list[str] = strawberry.field(description="What the token may do.")
    today: date = strawberry.field(
        description="The school day, in Europe/London, by which deadlines are judged."
    )
    rounded: bool = strawberry.field(
        description="Whether your figures are rounded and small groups withheld."
    )

    @answers("The organisation the client belongs to.")
    async def organisation(self, info: Info) -> Organisation | None:
        """As it would be named anywhere."""
        row = await info.context.named.organisation(info.context.caller.org_id)
        return Organisation(id=row["id"], kind=row["kind"], name=row["name"]) if row else None


# --- rows into nodes ----------------------------------------------------------------------------------


def school_of(row: Row) -> School:
    """A school's row."""
    return School(id=node_id("School", row["id"]), uuid=row["id"], name=row["name"], urn=row["urn"])


def school_shown(found: figures.School) -> School:
    """A school that was counted."""
    return School(id=node_id("School", found.id), uuid=found.id, name=found.name, urn=found.urn)


def hub_of(row: Row) -> Hub:
    """A hub's row."""
    return Hub(id=node_id("Hub", row["id"]), uuid=row["id"], name=row["name"])


def trust_of(row: Row) -> Trust:
    """A trust's row."""
    return Trust(id=node_id("Trust", row["id"]), uuid=row["id"], name=row["name"])


def programme_of(row: Row, owner: UUID) -> Programme:
    """A programme's row; the money is its owner's business."""
    own = row["owner_id"] == owner
    return Programme(
        id=node_id("Programme", row["id"]),
        uuid=row["id"],
        name=row["name"],
        state=row["state"],
        starts_on=row["starts_on"],
        ends_on=row["ends_on"],
        funder=row["funder"] if own else None,
        budget_pence=row["budget_pence"] if own else None,
    )


def _enrolled_key(row: Row) -> list[str]:
    return [row["name"], str(row["id"])]


def _enrolled(row: Row) -> ProgrammeSchool:
    names = ("name", "urn", "school_id", "strand_id", "state", "joined_on", "left_on", "own_budget")
    return ProgrammeSchool(**{name: row[name] for name in names})


# --- pages --------------------------------------------------------------------------------------------


async def school_page(
    session: Session,
    first: int,
    after: str | None,
    *,
    hub_id: UUID | None = None,
    trust_id: UUID | None = None,
) -> Connection[School]:
    """A page of the schools that the caller may count."""
    session.require(COVERAGE)
    page = turn(session.cursors, f"schools:{hub_id}:{trust_id}", first, after)
    listed = await session.named.schools(Page(first + 1, page.row, hub_id, trust_id))
    edges, where = page.page(listed.rows, lambda row: (row["name"], row["id"]), school_of)
    return Connection(edges=edges, page_info=where, total_count=listed.total)


class Asked:
    """One question for coverage, and the page of it that is wanted."""

    def __init__(self, by: Cut, when: When, first: int = DEFAULT_LIMIT, after: str | None = None) -> None:
        """As the arguments have it: the cut; the academic year, the day and the moment of knowledge; the page."""
        self.by, self.when, self.first, self.after = by, when, first, after

    async def table(self, session: Session, school: UUID | None = None) -> Table:
        """The counts: of one school (loaded with the others of the document), or of all."""
        session.require(COVERAGE)
        loader = session.kinds if self.by is Cut.KIND else session.tables
        return await loader.load((self.when, school))

    async def answer(self, session: Session, table: Table, place: Place) -> CoverageConnection:
        """The page."""
        scope = f"coverage:{place.key}:{self.by}:{':'.join(map(str, self.when))}"
        page = turn(session.cursors, scope, self.first, self.after)
        found = sorted(figures.lines(table, place, self.by), key=lambda line: line.order)
        left = [line for line in found if page.after is None or list(line.order) > page.after]
        on, year = (await session.period(*self.when)).on, self.when[0]
        edges, where = page.page(
            left, lambda line: line.order, lambda line: Coverage(line=line, on=on, year=year)
        )
        total = Coverage(line=figures.whole(table, place), on=on, year=year)
        return CoverageConnection(edges=edges, page_info=where, total_count=len(found), total=total)

    async def line(self, session: Session, line: Line) -> Coverage:
        """One line, dated."""
        return Coverage(line=line, on=(await session.period(*self.when)).on, year=self.when[0])


async def gap_table(session: Session, asked: GapsAsked, school: UUID | None = None) -> gaps.Table:
    """The counts by characteristic: of one school (loaded with the others of the document), or of all."""
    session.require(COVERAGE)
    return await session.gaps.load((asked.period, school))
