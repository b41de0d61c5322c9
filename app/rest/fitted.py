"""A route's handler made to measure: of the query parameters it declares, it looks at those that a request names.

FastAPI works out for each declared parameter, at each request, what it is called and whether it is a list or a model: ten
microseconds apiece, named or not. A search has sixteen, and is mostly asked with three; the others have their defaults.
"""

from collections.abc import Awaitable, Callable, Iterable, Iterator
from copy import copy
from dataclasses import replace

from fastapi import Request
from fastapi.dependencies.models import Dependant
from fastapi.responses import Response
from fastapi.routing import APIRoute

Handler = Callable[[Request], Awaitable[Response]]
MOST = 256
"""How many sets of names a route remembers a handler for; who asks with yet another gets the whole one."""


class Fitted:
    """The handlers of one route, by what is named."""

    def __init__(self, route: APIRoute, handler_of: Callable[[APIRoute], Handler]) -> None:
        """`handler_of` is what makes a route's handler, without the frame around it."""
        self._route = route
        self._handler_of = handler_of
        self._whole = handler_of(route)
        self._known = frozenset(names_of(route.dependant))
        self._made: dict[frozenset[str], Handler] = {}

    def to(self, named: Iterable[str]) -> Handler:
        """The handler for a request that names these query parameters; those the route does not know change nothing."""
        names = self._known.intersection(named)
        made = self._made.get(names)
        if made is None:
            if len(self._made) >= MOST:
                return self._whole
            route = copy(self._route)
            route.dependant = _only(self._route.dependant, names)
            made = self._made[names] = self._handler_of(route)
        return made


def names_of(dependant: Dependant) -> Iterator[str]:
    """The names of all query parameters, those of its dependencies among them."""
    yield from (one.alias for one in dependant.query_params)
    for below in dependant.dependencies:
        yield from names_of(below)


def _only(dependant: Dependant, names: frozenset[str]) -> Dependant:
    """The same with just the parameters that are named or must be: the others have the defaults of the function."""
    return replace(
        dependant,
        query_params=[
            one for one in dependant.query_params if one.alias in names or one.field_info.is_required()
        ],
        dependencies=[_only(below, names) for below in dependant.dependencies],
    )
