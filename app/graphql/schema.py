"""The schema: the questions one can ask, and its SDL."""

from collections.abc import Iterator
from datetime import date, datetime
from typing import Annotated, Any
from uuid import UUID

import strawberry
import structlog
from graphql import GraphQLError, OperationDefinitionNode
from graphql.validation.rules.max_introspection_depth_rule import MaxIntrospectionDepthRule
from strawberry.extensions import AddValidationRules, ParserCache, SchemaExtension, ValidationCache
from strawberry.schema.config import StrawberryConfig
from strawberry.types import ExecutionContext
from strawberry.types.scalar import ScalarDefinition

from app.core import values
from app.core.clock import rfc3339
from app.core.db import Row
from app.core.errors import NotFound, Problem, invalid
from app.core.paging import DEFAULT_LIMIT
from app.core.values import BadValue
from app.dashboards import figures
from app.dashboards.service import rounds
from app.dashboards.sql import Page
from app.graphql.connections import After, Connection, First, turn
from app.graphql.executor import Executor
from app.graphql.fields import Whole, answers
from app.graphql.figures import AcademicYear, AsAt, By, KnownAt
from app.graphql.gaps import GapConnection, GapsAsked, Groups, MaybeBy
from app.graphql.ids import of_kind, read
from app.graphql.limits import RULES, refusal
from app.graphql.market import Around
from app.graphql.nodes import (
    COVERAGE,
    PROGRAMMES,
    Asked,
    CoverageConnection,
    Hub,
    Node,
    Programme,
    School,
    Trust,
    Viewer,
    gap_table,
    hub_of,
    programme_of,
    school_of,
    school_page,
    school_shown,
    trust_of,
)
from app.graphql.session import Info, Session
from app.rules.identifiers import URN

NodeId = Annotated[
    strawberry.ID, strawberry.argument(description="An id of this API, or the UUID from REST.")
]
MaybeId = Annotated[
    strawberry.ID | None,
    strawberry.argument(description="An id of this API, or the UUID from REST; your own without it."),
]


@strawberry.type(
    description="Read-only. What is not yours is null with the code `not_found`, and never told apart from what does "
    "not exist. Times are UTC; minutes are whole; days are Europe/London."
)
class Query(Around):
    """The root."""

    @answers("Who you are.")
    async def viewer(self, info: Info) -> Viewer:
        """The caller."""
        caller = info.context.caller
        return Viewer(
            client_id=caller.client_id,
            scopes=sorted(caller.scopes),
            today=await info.context.today(),
            rounded=rounds(caller),
        )

    @answers("Anything with an id: School, Hub, Trust, Programme.")
    async def node(self, info: Info, id: NodeId) -> Node | None:  # noqa: A002  (Relay's name)
        """By its opaque id."""
        kind, key = read(id)
        if kind not in _FINDERS:
            raise NotFound("node")
        found: Node = await _FINDERS[kind](info.context, key)
        return found

    @answers("A hub: your own, the one your school belongs to, or one below you.")
    async def hub(self, info: Info, id: MaybeId = None) -> Hub | None:  # noqa: A002
        """By id, or the only one there is."""
        return await _find_hub(info.context, of_kind(id, "Hub") if id else None)

    @answers("A trust: your own, or the one your school belongs to.")
    async def trust(self, info: Info, id: MaybeId = None) -> Trust | None:  # noqa: A002
        """By id, or the only one there is."""
        return await _find_trust(info.context, of_kind(id, "Trust") if id else None)

    @answers("The schools whose figures you may see, by name.")
    async def schools(
        self, info: Info, first: First = DEFAULT_LIMIT, after: After = None
    ) -> Connection[School] | None:
        """A page."""
        return await school_page(info.context, first, after)

    @answers("One school, by id or URN.")
    async def school(
        self,
        info: Info,
        id: Annotated[strawberry.ID | None, strawberry.argument(description="Its id.")] = None,  # noqa: A002
        urn: Annotated[str | None, strawberry.argument(description="Its URN, 6 digits.")] = None,
    ) -> School | None:
        """Exactly one of the two."""
        if id is not None and urn is None:
            return await _find_school(info.context, of_kind(id, "School"))
        if urn is not None and id is None:
            if not URN.fullmatch(urn):
                raise invalid("/urn", "urn_format", "A URN has six digits.")
            return await _find_school(info.context, urn)
        raise NotFound("school")

    @answers("The programmes you run, or that your schools have joined, by name.")
    async def programmes(
        self, info: Info, first: First = DEFAULT_LIMIT, after: After = None
    ) -> Connection[Programme] | None:
        """A page."""
        session = info.context
        session.require(PROGRAMMES)
        page = turn(session.cursors, "programmes", first, after)
        listed = await session.named.programmes(Page(first + 1, page.row))
        edges, where = page.page(
            listed.rows,
            lambda row: (row["name"], row["id"]),
            lambda row: programme_of(row, session.caller.org_id),
        )
        return Connection(edges=edges, page_info=where, total_count=listed.total)

    @answers("One programme.")
    async def programme(self, info: Info, id: NodeId) -> Programme | None:  # noqa: A002
        """By id."""
        return await _find_programme(info.context, of_kind(id, "Programme"))

    @answers("The figures of all the schools whose figures you may see, cut.")
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
        """The caller's whole scope."""
        asked = Asked(by, (academic_year, as_at, known_at), first, after)
        table = await asked.table(info.context)
        return await asked.answer(info.context, table, figures.everywhere(table))

    @answers(
        "The pupils of all the schools whose figures you may see, by characteristic, and who of them has had nothing."
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
        """The caller's whole scope."""
        asked = GapsAsked(by, groups, academic_year, as_at, known_at, first, after)
        table = await gap_table(info.context, asked)
        return await asked.answer(info.context, figures.everywhere(table.coverage), table, school_shown)


async def _find_school(session: Session, key: UUID | str) -> School:
    session.require(COVERAGE)
    row = await session.named.school(key)
    if row is None:
        raise NotFound("school")
    return school_of(row)


async def _find_hub(session: Session, key: UUID | None) -> Hub:
    session.require(COVERAGE)
    return hub_of(await _parent(session, key, "hub"))


async def _find_trust(session: Session, key: UUID | None) -> Trust:
    session.require(COVERAGE)
    return trust_of(await _parent(session, key, "trust"))


async def _parent(session: Session, key: UUID | None, kind: str) -> Row:
    if key is None and session.caller.org_kind == kind:
        key = session.caller.org_id
    if key is not None:
        row = await session.named.organisation(key)
    else:
        rows = await session.named.own_parents(kind)
        row = rows[0] if len(rows) == 1 else None
    if row is None or row["kind"] != kind:
        raise NotFound(kind)
    return row


async def _find_programme(session: Session, key: UUID) -> Programme:
    session.require(PROGRAMMES)
    row = await session.named.programme(key)
    if row is None:
        raise NotFound("programme")
    return programme_of(row, session.caller.org_id)


_FINDERS: dict[str | None, Any] = {
    "School": _find_school,
    "Hub": _find_hub,
    "Trust": _find_trust,
    "Programme": _find_programme,
}
CACHED = 256
"""How many documents are kept parsed and validated."""

_log = structlog.get_logger("tendays.graphql")


class _Schema(strawberry.Schema):
    """Logs what is a fault of ours; what the caller is meant to read is none."""

    def process_errors(
        self, errors: list[GraphQLError], execution_context: ExecutionContext | None = None
    ) -> None:
        del execution_context  # it holds the document, which may hold what a log should not
        for error in errors:
            cause = error.original_error
            # without a path it is what was asked that is wrong, and the log is not told what that was
            if error.path and cause is not None and not isinstance(cause, Problem | GraphQLError):
                _log.error("fault", path=error.path, exc_info=error.original_error)


class NamedOperation(SchemaExtension):
    """Of several operations one must be named. Strawberry would take the first, against the specification."""

    def on_validate(self) -> Iterator[None]:
        """Refuse before anything is validated or run."""
        asked = self.execution_context
        definitions = asked.graphql_document.definitions if asked.graphql_document else ()
        operations = sum(isinstance(one, OperationDefinitionNode) for one in definitions)
        if operations > 1 and asked._provided_operation_name is None:  # noqa: SLF001 (the public one is a guess)
            raise refusal("operation_unknown", "Name one of the document's operations in `operationName`.")
        yield


def _moment(value: object) -> datetime:
    """As REST reads it; without an offset it is refused to its own field alone, and not with the whole document."""
    try:
        return values.moment(value)
    except BadValue as bad:
        if bad.code != "offset_required":
            raise
        return datetime.fromisoformat(str(value))


_MOMENT: ScalarDefinition = strawberry.scalar(
    name="DateTime",
    description="RFC 3339 in UTC, with milliseconds and `Z`, as in REST; from 2000 to 2100",
    serialize=rfc3339,
    parse_value=_moment,
)
_DAY: ScalarDefinition = strawberry.scalar(
    name="Date",
    description="Date (isoformat), such as 2026-09-01; from 1900 to 2100",
    serialize=date.isoformat,
    parse_value=values.day,
)

_WHOLE: ScalarDefinition = strawberry.scalar(
    name="Whole",
    description="A whole number, as a JSON number: of pence, of minutes, of a target. Unlike an Int it may be over "
    "2,147,483,647.",
    serialize=int,
    parse_value=int,
)

# The rules' classes are the same for every request: see limits.py.
schema = _Schema(
    query=Query,
    types=[School, Hub, Trust, Programme],
    execution_context_class=Executor,
    extensions=[
        NamedOperation,
        lambda: AddValidationRules([*RULES, MaxIntrospectionDepthRule]),
        lambda: ParserCache(maxsize=CACHED),
        lambda: ValidationCache(maxsize=CACHED),
    ],
    config=StrawberryConfig(
        disable_field_suggestions=False, scalar_map={datetime: _MOMENT, date: _DAY, Whole: _WHOLE}
    ),
)


def print_sdl() -> str:
    """The schema in its definition language, as `openapi/schema.graphql` holds it."""
    return schema.as_str() + "\n"
