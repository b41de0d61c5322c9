"""What only has to be read off an object is read at once, without graphql-core's ceremony for each field.

A page of coverage is hundreds of attributes. For each of them graphql-core makes a path and an info, calls the
resolver, asks whether the answer can be awaited and walks the type; none of that is needed where a field, and all that
is asked below it, is an attribute or a method that takes nothing and waits for nothing. Such a part of a document is
turned into a reader once per request. A reader never reports: whatever is not as it should be (an error, a null where
none may be) sends the field the ordinary way, which says what is wrong and where.
"""

from collections.abc import Callable
from contextlib import suppress
from operator import attrgetter
from typing import Any

from graphql import (
    GraphQLError,
    GraphQLField,
    GraphQLList,
    GraphQLNonNull,
    GraphQLObjectType,
    GraphQLOutputType,
    Undefined,
    is_leaf_type,
)
from graphql.execution.collect_fields import FieldDetailsList
from graphql.pyutils import Path
from strawberry.schema.schema import StrawberryGraphQLCoreExecutionContext
from strawberry.schema.schema_converter import GraphQLCoreConverter
from strawberry.types.field import StrawberryField

Read = Callable[[Any], Any]


class _NotPlain(Exception):
    """This has to go the ordinary way."""


class Executor(StrawberryGraphQLCoreExecutionContext):
    """Strawberry's executor with a short way for plain fields; what it answers is the same."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:  # noqa: ANN401
        """As graphql-core makes it, once per request."""
        super().__init__(*args, **kwargs)
        manager = self.middleware_manager
        self._short = manager is None or not manager.middlewares  # middleware wants to see every field
        self._readers: dict[tuple[GraphQLObjectType, int], tuple[FieldDetailsList, Read | None]] = {}

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
        """Made once for each place of the document. The list is kept with it, as its id stands for it."""
        key = (parent, id(asked))
        known = self._readers.get(key)
        if known is None:
            read: Read | None = None
            with suppress(_NotPlain, GraphQLError):
                read = self._field(parent, asked)
            known = self._readers[key] = (asked, read)
        return known[1]

    def _field(self, parent: GraphQLObjectType, asked: FieldDetailsList) -> Read:
        node = asked[0].node
        name = parent.name
        if node.name.value == "__typename":
            return lambda _: name
        definition = self.schema.get_field(parent, node.name.value)
        if definition is None or definition.args or node.arguments:
            raise _NotPlain
        return _then(_getter(definition), self._completer(definition.type, asked))

    def _completer(self, kind: GraphQLOutputType, asked: FieldDetailsList) -> Read:
        """From what a resolver gives to what is answered; for null too."""
        if isinstance(kind, GraphQLNonNull):
            return self._present(kind.of_type, asked)
        complete = self._present(kind, asked)
        return lambda value: None if value is None else complete(value)

    def _present(self, kind: GraphQLOutputType, asked: FieldDetailsList) -> Read:
        """For what must not be null."""
        if is_leaf_type(kind):
            return _leaf(kind.coerce_output_value)
        if isinstance(kind, GraphQLList):
            return _list(self._completer(kind.of_type, asked))
        if not isinstance(kind, GraphQLObjectType) or kind.is_type_of:
            raise _NotPlain
        collected = self.collect_subfields(kind, asked)
        if collected.new_defer_usages:
            raise _NotPlain
        return _object([(name, self._field(kind, one)) for name, one in collected.grouped_field_set.items()])


def _getter(definition: GraphQLField) -> Read:
    """An attribute, or a method that takes nothing and waits for nothing."""
    field = definition.extensions.get(GraphQLCoreConverter.DEFINITION_BACKREF)
    if not isinstance(field, StrawberryField) or field.extensions or field.is_async:
        raise _NotPlain
    resolver = field.base_resolver
    if resolver is None:
        return attrgetter(field.python_name)
    if resolver.info_parameter or resolver.root_parameter or resolver.parent_parameter:
        raise _NotPlain
    if not resolver.self_parameter:
        raise _NotPlain
    method: Read = resolver
    return method


def _then(get: Read, complete: Read) -> Read:
    return lambda source: complete(get(source))


def _leaf(coerce: Read) -> Read:
    def read(value: Any) -> Any:  # noqa: ANN401
        if value is None or value is Undefined or isinstance(value, Exception):
            raise _NotPlain
        found = coerce(value)
        if found is None or found is Undefined:
            raise _NotPlain
        return found

    return read


def _list(complete: Read) -> Read:
    def read(value: Any) -> list[Any]:  # noqa: ANN401
        if not isinstance(value, list):
            raise _NotPlain
        return [complete(one) for one in value]

    return read


def _object(fields: list[tuple[str, Read]]) -> Read:
    def read(value: Any) -> dict[str, Any]:  # noqa: ANN401
        if value is None or value is Undefined or isinstance(value, Exception):
            raise _NotPlain
        return {name: field(value) for name, field in fields}

    return read
