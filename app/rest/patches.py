"""What a PATCH changes: the members that were sent, null only where the thing may be without."""

from typing import Any

from app.core.errors import Fault, Invalid
from app.rest.models import Body


def changes(body: Body, *nullable: str) -> dict[str, Any]:
    """The members sent. Raises Invalid `required` for a null where there has to be a value."""
    given = body.given()
    faults = [
        Fault(f"/{name}", "required", "It cannot be null; leave it out to leave it as it is.")
        for name, value in given.items()
        if value is None and name not in nullable
    ]
    if faults:
        raise Invalid("invalid", "The request is not acceptable.", faults)
    return given


def whole(body: Body, *optional: str) -> dict[str, Any]:
    """Every member, for a PUT; what is `optional` is left as it is where it was not given."""
    values = body.model_dump()
    return {name: value for name, value in values.items() if value is not None or name not in optional}
