"""What only has to be read off an object is read at once, without graphql-core's ceremony for each field.

A page of coverage is hundreds of attributes. For each of them graphql-core makes a path and an info, calls the
resolver, asks whether the answer can be awaited and walks the type; none of that is needed where a field, and all that
is asked below it, is an attribute or a method that takes nothing and waits for nothing. Such a part of a document is
turned into a reader: once per request, or once for all requests where the document has no directives, as then nothing
about it depends on the request. A reader never reports: whatever is not as it should be (an error, a null where
none may be) sends the field the ordinary way, which says what is wrong and where.
"""

from collections import OrderedDict
from collections.abc import Callable, Mapping
from contextlib import suppress
from operator import attrgetter
from typing import Any

from graphql import (
    GraphQLBoolean,
    GraphQLError,
    GraphQLField,
    GraphQLID,
    GraphQLInt,
    GraphQLLeafType,
    GraphQLList,
    GraphQLNamedType,
    GraphQLNonNull,
    GraphQLObjectType,
    GraphQLOutputType,
    GraphQLString,
    OperationDefinitionNode,
    Undefined,
    is_leaf_type,
)
from graphql.execution.collect_fields import FieldDetailsList
from graphql.pyutils import Path
from strawberry.schema.schema import StrawberryGraphQLCoreExecutionContext
from strawberry.schema.schema_converter import GraphQLCoreConverter
from strawberry.types.field import StrawberryField

Read = Callable[[Any], Any]

_SAME: Mapping[GraphQLNamedType, Any] = {
    GraphQLString: str,
    GraphQLID: str,
    GraphQLBoolean: bool,
    GraphQLInt: int,
}
"""What is answered as it is, an Int within the bounds of GraphQL."""

_LEAST, _MOST = -(2**31), 2**31 - 1


Readers = dict[tuple[Any, ...], Read | None]

_KEPT = 64
_readers: OrderedDict[int, tuple[OperationDefinitionNode, Readers]] = OrderedDict()


class _NotPlain(Exception):
    """This has to go the ordinary way."""


def _readers_for(operation: OperationDefinitionNode) -> Readers:
    """Those of earlier requests with the same parsed document (`ParserCache` keeps it), or none yet."""
    text = operation.loc.source.body if operation.loc else "@"
    if "@" in text:
        return {}
    _, readers = _readers.setdefault(id(operation), (operation, {}))  # held, so that its id stays its own
    _readers.move_to_end(id(operation))
    if len(_readers) > _KEPT:
        _readers.popitem(last=False)
    return readers


class Executor(StrawberryGraphQLCoreExecutionContext):
    """Strawberry's executor with a short way for plain fields; what it answers is the same."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:  # noqa: ANN401
        """As graphql-core makes it, once per request."""
        super().__init__(*args, **kwargs)
        manager = self.middleware_manager
        self._short = manager is None or not manager.middlewares  # middleware wants to see every field
        self._readers = _readers_for(self.operation)

    def execute_field(
        self,
        parent_type: GraphQLObjectType,
        source: Any,  # noqa: ANN401
        field_details_list: FieldDetailsList,
        path: Path,
        position_context: Any,  # noqa: ANN401
    ) -> Any:  # noqa: ANN401
        """The short way if there is one and it comes to an end."""
        read = self._reader(parent_type, field_details_list) if self._short else None
        if read is not None and position_context is None:
            try:
                return read(source)
            except Exception:  # noqa: BLE001, S110  (the ordinary way below reports it)
                pass
        return super().execute_field(parent_type, source, field_details_list, path, position_context)

    def _reader(self, parent: GraphQLObjectType, asked: FieldDetailsList) -> Read | None:
        """Made once for each place of the document. Its nodes stand for the place, and live as long as it does."""
        key = (parent, *(id(one.node) for one in asked))
        if key not in self._readers:
            read: Read | None = None
            with suppress(_NotPlain, GraphQLError):
                read = self._field(parent, asked)
            self._readers[key] = read
        return self._readers[key]

    def _field(self, parent: GraphQLObjectType, asked: FieldDetailsList) -> Read:
        node = asked[0].node
        name = parent.name
        if node.name.value == "__typename":
            return lambda _: name
        definition = self.schema.get_field(parent, node.name.value)
        if definition is None or definition.args or node.arguments:
            raise _NotPlain
        return self._completed(_getter(definition), definition.type, asked)

    def _completed(self, get: Read, declared: GraphQLOutputType, asked: FieldDetailsList) -> Read:
        """From the object that has the field to what is answered."""
        nullable = not isinstance(declared, GraphQLNonNull)
        kind = declared.of_type if isinstance(declared, GraphQLNonNull) else declared
        if is_leaf_type(kind):
            return _leaf(get, kind, nullable)
        if isinstance(kind, GraphQLList):
            return _list(get, self._completed(_itself, kind.of_type, asked), nullable)
        if not isinstance(kind, GraphQLObjectType) or kind.is_type_of:
            raise _NotPlain
        collected = self.collect_subfields(kind, asked)
        if collected.new_defer_usages:
            raise _NotPlain
        fields = [(name, self._field(kind, one)) for name, one in collected.grouped_field_set.items()]
        return _object(get, fields, nullable)


def _getter(definition: GraphQLField) -> Read:
    """An attribute, or a method that takes nothing and waits for nothing."""
    field = definition.extensions.get(GraphQLCoreConverter.DEFINITION_BACKREF)
    if not isinstance(field, StrawberryField) or field.extensions or field.is_async:
        raise _NotPlain
    resolver = field.base_resolver
    if resolver is None:
        return attrgetter(field.python_name)
    special = (resolver.info_parameter, resolver.root_parameter, resolver.parent_parameter)
    if any(special) or not resolver.self_parameter or not callable(resolver.wrapped_func):
        raise _NotPlain
    return resolver.wrapped_func


def _itself(value: Any) -> Any:  # noqa: ANN401
    return value


def _leaf(get: Read, kind: GraphQLLeafType, nullable: bool) -> Read:  # noqa: FBT001
    coerce = kind.coerce_output_value
    same = int if coerce is int else _SAME.get(kind)
    bounded = kind is GraphQLInt

    def read(source: Any) -> Any:  # noqa: ANN401
        value = get(source)
        if value.__class__ is same and (not bounded or _LEAST <= value <= _MOST):
            return value
        if value is None and nullable:
            return None
        if _wrong(value) or _wrong(found := coerce(value)):
            raise _NotPlain
        return found

    return read


def _list(get: Read, complete: Read, nullable: bool) -> Read:  # noqa: FBT001
    def read(source: Any) -> list[Any] | None:  # noqa: ANN401
        value = get(source)
        if value is None and nullable:
            return None
        if not isinstance(value, list):
            raise _NotPlain
        return [complete(one) for one in value]

    return read


def _object(get: Read, fields: list[tuple[str, Read]], nullable: bool) -> Read:  # noqa: FBT001
    def read(source: Any) -> dict[str, Any] | None:  # noqa: ANN401
        value = get(source)
        if value is None and nullable:
            return None
        if _wrong(value):
            raise _NotPlain
        found = {}
        for name, field in fields:
            found[name] = field(value)
        return found

    return read


def _wrong(value: Any) -> bool:  # noqa: ANN401
    return value is None or value is Undefined or isinstance(value, Exception)
