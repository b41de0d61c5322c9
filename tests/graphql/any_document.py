"""Documents of any shape, drawn from the schema: as many aliases as are allowed, ids of whatever there is, any arguments."""

from collections.abc import Callable, Mapping, Sequence
from random import Random

from graphql import (
    GraphQLArgument,
    GraphQLEnumType,
    GraphQLField,
    GraphQLInterfaceType,
    GraphQLList,
    GraphQLNamedType,
    GraphQLObjectType,
    GraphQLSchema,
    get_named_type,
    get_nullable_type,
    is_required_argument,
)

from app.graphql.limits import MAX_ALIASES, MAX_DEPTH

Giver = Callable[[Random], str]
ALWAYS, OFTEN = {"id"}, 0.7
Composite = GraphQLObjectType | GraphQLInterfaceType


class Documents:
    """Draws documents. `givers` gives the text of an argument by its name, or by its field's and its own: `hub.id`."""

    def __init__(self, schema: GraphQLSchema, givers: Mapping[str, Giver], seed: int) -> None:
        """The same seed draws the same documents."""
        self._schema, self._givers, self._chance = schema, givers, Random(seed)
        self._aliases = 0

    def draw(self, *, roots: int, width: int = 3) -> str:
        """One document with so many fields at its root, each with at most `width` that lead on, some of them twice."""
        self._aliases = 0
        query = self._schema.query_type
        assert query
        names = list(query.fields)
        return f"{{ {self._fields(query, self._chance.choices(names, k=roots), 1, width)} }}"

    def _fields(self, of: Composite, names: Sequence[str], depth: int, width: int) -> str:
        drawn: list[str] = []
        for at, name in enumerate(names):
            alias = ""
            if name in names[:at]:
                self._aliases += 1
                if self._aliases > MAX_ALIASES:
                    continue
                alias = f"a{self._aliases}: "
            field: GraphQLField = of.fields[name]
            below = self._below(get_named_type(field.type), depth + 1, width)
            drawn.append(f"{alias}{name}{self._arguments(name, field.args)}{below}")
        return " ".join(drawn)

    def _below(self, of: GraphQLNamedType, depth: int, width: int) -> str:
        if not isinstance(of, GraphQLObjectType | GraphQLInterfaceType):
            return ""
        plain = [name for name, one in of.fields.items() if not one.args and not _leads(one)]
        drawn = " ".join(["__typename", *self._chance.sample(plain, min(2, len(plain)))])
        on = [name for name, one in of.fields.items() if _leads(one)]
        if on and depth < MAX_DEPTH - 1:
            drawn += " " + self._fields(
                of, self._chance.choices(on, k=self._chance.randint(1, width)), depth, width
            )
        if isinstance(of, GraphQLInterfaceType):
            for kind in self._schema.get_possible_types(of):
                drawn += f" ... on {kind.name} {self._below(kind, depth, 1)}"
        return f" {{ {drawn} }}"

    def _arguments(self, field: str, args: Mapping[str, GraphQLArgument]) -> str:
        given = []
        for name, one in args.items():
            giver = self._givers.get(f"{field}.{name}") or self._givers.get(name)
            if is_required_argument(one) or (giver and (name in ALWAYS or self._chance.random() < OFTEN)):
                given.append(f"{name}: {giver(self._chance) if giver else self._value(one)}")
        return f"({', '.join(given)})" if given else ""

    def _value(self, argument: GraphQLArgument) -> str:
        kind = get_named_type(argument.type)
        assert isinstance(kind, GraphQLEnumType)
        value: str = self._chance.choice(list(kind.values))
        return f"[{value}]" if isinstance(get_nullable_type(argument.type), GraphQLList) else value


def _leads(field: GraphQLField) -> bool:
    return isinstance(get_named_type(field.type), GraphQLObjectType | GraphQLInterfaceType)


def one_of(values: Sequence[object], form: str = '"{}"') -> Giver:
    """Gives one of these at random."""
    return lambda chance: form.format(chance.choice(list(values)))
