"""What a document may ask for, as validation rules: depth, aliases, page sizes and cost.

The rules are classes of this module, never made per request: a rule class is part of the validation cache's key, and
a new class each time would never find what was validated before. Introspection is allowed; its own recursion is held
by graphql-core's MaxIntrospectionDepthRule.
"""

from collections.abc import Iterator
from typing import Any, Final

from graphql import (
    DocumentNode,
    FieldNode,
    FragmentDefinitionNode,
    FragmentSpreadNode,
    GraphQLError,
    InlineFragmentNode,
    IntValueNode,
    OperationDefinitionNode,
    SelectionSetNode,
    ValidationContext,
    ValidationRule,
    ValueNode,
    VariableNode,
)

from app.core.paging import DEFAULT_LIMIT, MAX_LIMIT

MAX_DEPTH: Final = 12
MAX_ALIASES: Final = 30
MAX_COST: Final = 60_000
MAX_FIELDS: Final = 1_000
MAX_FRAGMENTS: Final = 50

# The most lines a cut can have, where that is fewer than a page: a page of kinds is never 200 long.
_LINES: Final = {"YEAR_GROUP": 20, "KEY_STAGE": 8, "KIND": 9}
_GROUPS = 30  # of employers: sectors are the most
_ENOUGH = MAX_COST * 1_000  # where counting stops being of interest


def refusal(code: str, message: str, node: Any = None) -> GraphQLError:  # noqa: ANN401
    """A request error with a stable code."""
    return GraphQLError(message, nodes=[node] if node is not None else None, extensions={"code": code})


class _Measured(ValidationRule):
    """Walks each operation once; fragments are measured once however often they are spread."""

    def __init__(self, context: ValidationContext) -> None:
        """Measure at once: the whole document is known."""
        super().__init__(context)
        document = context.document
        self._fragments = {
            one.name.value: one for one in document.definitions if isinstance(one, FragmentDefinitionNode)
        }
        self.judge(document)

    def judge(self, document: DocumentNode) -> None:
        """Report what is too much."""
        raise NotImplementedError

    def fragment(self, spread: FragmentSpreadNode) -> FragmentDefinitionNode | None:
        """The fragment that a spread names."""
        return self._fragments.get(spread.name.value)


class DepthLimit(_Measured):
    """Fields inside fields, fragments followed, at most MAX_DEPTH deep. Introspection is not counted."""

    def judge(self, document: DocumentNode) -> None:
        """Report each operation that is too deep."""
        self._known: dict[str, int] = {}
        for operation in _operations(document):
            depth = self._depth(operation.selection_set)
            if depth > MAX_DEPTH:
                message = f"The operation is {depth} fields deep; {MAX_DEPTH} are allowed."
                self.report_error(refusal("too_deep", message, operation))

    def _depth(self, selections: SelectionSetNode | None) -> int:
        deepest = 0
        for one in selections.selections if selections else ():
            if isinstance(one, FieldNode):
                found = 0 if one.name.value.startswith("__") else 1 + self._depth(one.selection_set)
            elif isinstance(one, FragmentSpreadNode):
                found = self._depth_of(one)
            else:
                found = self._depth(one.selection_set) if isinstance(one, InlineFragmentNode) else 0
            deepest = max(deepest, found)
        return deepest

    def _depth_of(self, spread: FragmentSpreadNode) -> int:
        name = spread.name.value
        if name not in self._known:
            self._known[name] = 0  # a ring of fragments is another rule's business
            definition = self.fragment(spread)
            self._known[name] = self._depth(definition.selection_set) if definition else 0
        return self._known[name]


class SizeLimit(_Measured):
    """At most MAX_ALIASES aliases, MAX_FIELDS fields and MAX_FRAGMENTS fragments as written, pages of 200 at most."""

    def judge(self, document: DocumentNode) -> None:
        """Report what is too many, once each."""
        fields = [one for definition in document.definitions for one in _fields(definition)]
        aliases = sum(one.alias is not None for one in fields)
        if aliases > MAX_ALIASES:
            self.report_error(refusal("too_many_aliases", f"{aliases} aliases; {MAX_ALIASES} are allowed."))
        if len(fields) > MAX_FIELDS:
            self.report_error(refusal("too_wide", f"{len(fields)} fields; {MAX_FIELDS} are allowed."))
        if len(self._fragments) > MAX_FRAGMENTS:
            message = f"{len(self._fragments)} fragments; {MAX_FRAGMENTS} are allowed."
            self.report_error(refusal("too_many_fragments", message))
        for one in fields:
            first = _argument(one, "first")
            if isinstance(first, IntValueNode) and not 1 <= int(first.value) <= MAX_LIMIT:
                self.report_error(refusal("page_too_large", f"`first` is 1 to {MAX_LIMIT}.", one))


class CostLimit(_Measured):
    """Every field costs 1, and what stands inside a page costs its size. A `first` in a variable counts as 200."""

    def judge(self, document: DocumentNode) -> None:
        """Report each operation that costs too much."""
        self._known: dict[str, int] = {}
        for operation in _operations(document):
            cost = self._cost(operation.selection_set)
            if cost > MAX_COST:
                message = (
                    f"The operation may give {cost} values; {MAX_COST} are allowed. Ask for smaller pages."
                )
                self.report_error(refusal("too_costly", message, operation))

    def _cost(self, selections: SelectionSetNode | None) -> int:
        cost = 0
        for one in selections.selections if selections else ():
            if isinstance(one, FieldNode):
                cost += 1 + _page(one) * self._cost(one.selection_set)
            elif isinstance(one, FragmentSpreadNode):
                cost += self._cost_of(one)
            elif isinstance(one, InlineFragmentNode):
                cost += self._cost(one.selection_set)
        return min(cost, _ENOUGH)

    def _cost_of(self, spread: FragmentSpreadNode) -> int:
        name = spread.name.value
        if name not in self._known:
            self._known[name] = 0
            definition = self.fragment(spread)
            self._known[name] = self._cost(definition.selection_set) if definition else 0
        return self._known[name]


RULES: Final = (DepthLimit, SizeLimit, CostLimit)


def _operations(document: DocumentNode) -> Iterator[OperationDefinitionNode]:
    return (one for one in document.definitions if isinstance(one, OperationDefinitionNode))


def _fields(node: Any) -> Iterator[FieldNode]:  # noqa: ANN401
    waiting = [node]
    while waiting:
        for one in getattr(getattr(waiting.pop(), "selection_set", None), "selections", ()):
            if isinstance(one, FieldNode):
                yield one
            waiting.append(one)


def _argument(field: FieldNode, name: str) -> ValueNode | None:
    return next((one.value for one in field.arguments or () if one.name.value == name), None)


def _page(field: FieldNode) -> int:
    """How often what stands inside the field can appear."""
    if field.name.value == "groups":
        return _GROUPS
    if field.name.value not in {"schools", "programmes", "coverage", "gaps", "capacity", "variety", "each"}:
        return 1
    first = _argument(field, "first")
    size = MAX_LIMIT if isinstance(first, VariableNode) else DEFAULT_LIMIT
    if isinstance(first, IntValueNode):
        size = max(1, int(first.value))
    if field.name.value == "gaps":
        return size  # each year group has a line for each value
    return min(size, _LINES.get(getattr(_argument(field, "by"), "value", ""), size))
