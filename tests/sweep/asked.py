"""Every argument of every field of the GraphQL schema, as a document in which it is the variable `$value`."""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any

from graphql import (
    GraphQLEnumType,
    GraphQLInterfaceType,
    GraphQLList,
    GraphQLObjectType,
    GraphQLSchema,
    build_schema,
    get_named_type,
    get_nullable_type,
    is_required_argument,
)

from app.published import documents

SCHEMA: GraphQLSchema = build_schema(documents()["schema.graphql"])
ROOTS = {"hub": "Hub", "trust": "Trust", "school": "School", "programme": "Programme", "node": "School"}
"""The kind of the id with which each root is asked."""
DEEPEST = 4
"""Fields around an argument: nothing of the schema is reached below that was not above."""


@dataclass(frozen=True)
class Argument:
    """One argument of one field, and the document around it."""

    owner: str
    field: str
    name: str
    kind: str
    document: str
    root: str

    def __str__(self) -> str:
        return f"{self.owner}.{self.field}({self.name}:)"

    @property
    def base(self) -> str:
        """The name of the type without `!` and `[]`."""
        return self.kind.strip("[]!")

    def example(self) -> Any:
        """A value that is taken."""
        kind = SCHEMA.type_map[self.base]
        if isinstance(kind, GraphQLEnumType):
            value = (
                "SEN" if self.base == "FieldGroup" else next(iter(kind.values))
            )  # not all of it can be cut by
            return [value] if "[" in self.kind else value
        return {"academicYear": "@year", "urn": "@urn", "id": "@id"}.get(self.name) or {
            "Int": 1, "Date": "@day", "DateTime": "@moment", "String": None,
        }[self.base]  # fmt: skip


@dataclass(frozen=True)
class _Around:
    """A type that has been reached, and by which document (with a hole) under which root."""

    kind: Any
    document: str
    depth: int
    root: str


def _written(value: Any, kind: Any) -> str:
    nullable = get_nullable_type(kind)
    return f"[{value}]" if isinstance(nullable, GraphQLList) else str(value)


def _needed(said: Any, root: str, but: str = "") -> str:
    """The arguments that a field must have, but one."""
    given = []
    for name, about in said.args.items():
        kind = get_named_type(about.type)
        if name == but or not (is_required_argument(about) or (name == "id" and root in ROOTS)):
            continue
        value = next(iter(kind.values)) if isinstance(kind, GraphQLEnumType) else "$id"
        given.append(f"{name}: {_written(value, about.type)}")
    return ", ".join(given)


def _below(around: _Around) -> Iterator[_Around]:
    if isinstance(around.kind, GraphQLInterfaceType):
        for one in SCHEMA.get_possible_types(around.kind):
            yield replace(around, kind=one, document=around.document % f"... on {one.name} {{%s}}")
        return
    for name, said in around.kind.fields.items():
        kind = get_named_type(said.type)
        if isinstance(kind, GraphQLObjectType | GraphQLInterfaceType) and around.depth < DEEPEST:
            root = around.root or name
            given = _needed(said, root if not around.root else "")
            call = f"{name}({given})" if given else name
            yield _Around(kind, around.document % f"{call} {{%s}}", around.depth + 1, root)


def _of(around: _Around) -> Iterator[Argument]:
    """The arguments of the fields of a type."""
    for name, said in getattr(around.kind, "fields", {}).items():
        leaf = " {__typename}" if hasattr(get_named_type(said.type), "fields") else ""
        for argument, about in said.args.items():
            root = around.root or name
            others = _needed(said, "" if around.root or argument == "urn" else root, argument)
            given = ", ".join(filter(None, (f"{argument}: $value", others)))
            document = around.document % f"{name}({given}){leaf}"
            yield Argument(around.kind.name, name, argument, str(about.type), document, root)


def arguments() -> dict[str, Argument]:
    """By name, each at the place nearest to the root."""
    found: dict[str, Argument] = {}
    seen: set[str] = set()
    waiting = [_Around(SCHEMA.query_type, "{%s}", 0, "")]
    while waiting:
        around = waiting.pop(0)
        if isinstance(around.kind, GraphQLObjectType):
            if around.kind.name in seen:
                continue
            seen.add(around.kind.name)
            for one in _of(around):
                found.setdefault(str(one), one)
        waiting += _below(around)
    return found


def every_argument() -> set[str]:
    """The names of all there are, whether they can be reached or not."""
    return {
        f"{kind.name}.{field}({name}:)"
        for kind in SCHEMA.type_map.values()
        if not kind.name.startswith("__")
        for field, said in getattr(kind, "fields", {}).items()
        for name in getattr(said, "args", {})
    }
