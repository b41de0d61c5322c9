"""The short way of the executor answers what the ordinary way answers, errors and all, and is really taken."""

from enum import Enum
from typing import Any

import pytest
import strawberry
from strawberry.extensions import ParserCache, SchemaExtension
from strawberry.schema.schema import StrawberryGraphQLCoreExecutionContext

from app.graphql.executor import Executor


@strawberry.enum
class Colour(Enum):
    RED = "r"
    BLUE = "b"


@strawberry.interface
class Named:
    name: str


@strawberry.type
class Leaf(Named):
    size: int


@strawberry.type
class Part:
    number: int
    maybe: int | None
    colour: Colour
    words: list[str]
    holes: list[int | None]
    strict: int
    share: float
    identifier: strawberry.ID
    good: bool

    @strawberry.field
    def doubled(self) -> int:
        return self.number * 2

    @strawberry.field
    def risky(self) -> int | None:
        if self.number == 2:
            raise ValueError("two")
        return self.number

    @strawberry.field
    def fault(self) -> int | None:
        found: Any = ValueError("given, not raised") if self.number == 2 else 1
        return found

    @strawberry.field
    def times(self, by: int = 3) -> int:
        return self.number * by

    @strawberry.field
    def named(self) -> Named:
        return Leaf(name="leaf", size=self.number)

    @strawberry.field
    async def later(self) -> int:
        return self.number


def part(number: int) -> Part:
    return Part(
        number=number, maybe=number if number % 2 else None, colour=Colour.BLUE, words=["a", "b"], holes=[1, None],
        strict=1, share=number / 2, identifier=strawberry.ID(str(number)), good=number > 1,
    )  # fmt: skip


@strawberry.type
class Whole:
    parts: list[Part]
    first: Part | None
    none: Part | None = None


@strawberry.type
class Query:
    @strawberry.field
    async def whole(self, info: strawberry.Info) -> Whole | None:
        parts = [part(number) for number in info.context["numbers"]]
        for one in parts:
            one.strict = info.context.get("strict", 1)
        return Whole(parts=parts, first=parts[0] if parts else None)


def _schema(executor: type[StrawberryGraphQLCoreExecutionContext], **more: Any) -> strawberry.Schema:
    extensions = more.pop("extensions", [lambda: ParserCache(maxsize=100)])
    return strawberry.Schema(Query, types=[Leaf], execution_context_class=executor, extensions=extensions)


SHORT, ORDINARY = _schema(Executor), _schema(StrawberryGraphQLCoreExecutionContext)

DOCUMENTS = [
    "{ whole { parts { number maybe colour words holes strict share identifier good doubled } first { number } } }",
    "{ whole { none { number } again: first { a: number b: number number } __typename parts { __typename } } }",
    "{ whole { parts { number later } first { times } parts { times(by: 2) } } }",
    "{ whole { parts { named { name ... on Leaf { size } __typename } } } }",
    "{ whole { parts { number risky } } }",
    "{ whole { parts { fault } first { fault } } }",
    "{ whole { ...w parts { doubled } } } fragment w on Whole { parts { number ...p } } fragment p on Part { maybe }",
    "query Q($yes: Boolean!) { whole { parts { number @include(if: $yes) maybe @skip(if: $yes) colour } } }",
    "query Q($by: Int) { whole { parts { times(by: $by) number } } }",
    "{ whole { parts { number @skip(if: true) good } } }",
    "{ __schema { queryType { name } } whole { parts { number } } }",
]
CONTEXTS: list[dict[str, Any]] = [
    {"numbers": [1, 2, 3]},
    {"numbers": []},
    {"numbers": [2]},
    {"numbers": [2**31]},  # no Int
    {"numbers": [1], "strict": None},
    {"numbers": [1], "strict": "no number"},
]


async def answered(schema: strawberry.Schema, document: str, context: dict[str, Any], *, yes: bool) -> object:
    variables = {"yes": yes} if "$yes" in document else {"by": 5} if "$by" in document else None
    result = await schema.execute(document, variables, context_value=context)
    return result.data, [error.formatted for error in result.errors or []]


@pytest.mark.parametrize("document", DOCUMENTS)
async def test_both_ways_answer_the_same_each_time(document: str) -> None:
    for context in (*CONTEXTS, *CONTEXTS):
        for yes in (True, False):
            short = await answered(SHORT, document, context, yes=yes)
            assert short == await answered(ORDINARY, document, context, yes=yes)


async def test_the_short_way_is_taken_where_it_can_be(monkeypatch: pytest.MonkeyPatch) -> None:
    went: list[str] = []
    ordinary = StrawberryGraphQLCoreExecutionContext.execute_field

    def noting(self: Any, parent: Any, source: Any, asked: Any, *more: Any) -> Any:
        went.append(asked[0].node.name.value)
        return ordinary(self, parent, source, asked, *more)

    monkeypatch.setattr(StrawberryGraphQLCoreExecutionContext, "execute_field", noting)
    await SHORT.execute(
        "{ whole { parts { number doubled colour } first { times } } }", context_value=CONTEXTS[0]
    )
    assert went == ["whole", "first", "times"]


class Shouting(SchemaExtension):
    def resolve(self, _next: Any, root: Any, info: Any, *args: Any, **kwargs: Any) -> Any:
        found = _next(root, info, *args, **kwargs)
        return found.upper() if isinstance(found, str) else found


async def test_an_extension_that_wants_to_see_each_field_sees_it() -> None:
    schema = _schema(Executor, extensions=[Shouting])
    result = await schema.execute(
        "{ whole { first { identifier named { name } } } }", context_value=CONTEXTS[0]
    )
    assert result.data == {"whole": {"first": {"identifier": "1", "named": {"name": "LEAF"}}}}
