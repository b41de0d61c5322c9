"""Every place of a body where a value may stand, from the contract, and bodies with a value at one of them."""

from collections.abc import Iterator
from typing import Any

from app.core.ids import new_id
from tests.proof.test_strangers import _DOCUMENT
from tests.proof.test_strangers import _resolved as resolved
from tests.today import date_in, time_in

Schema = dict[str, Any]
Place = tuple[str | int, ...]
COMPONENTS: Schema = _DOCUMENT["components"]
HOLE = "@@value@@"


def shown_place(place: Place) -> str:
    """As a JSON pointer."""
    return "/" + "/".join(map(str, place))


def places(schema: Schema, at: Place = ()) -> Iterator[tuple[Place, Schema]]:
    """Every member and every item of a body, with its schema; arrays have one item."""
    schema = resolved(schema)
    if at:
        yield at, schema
    for choice in (*schema.get("anyOf", ()), *schema.get("allOf", ()), *schema.get("oneOf", ())):
        yield from ((place, inner) for place, inner in places(choice, at) if place != at)
    for name, inner in schema.get("properties", {}).items():
        yield from places(inner, (*at, name))
    if isinstance(schema.get("additionalProperties"), dict) and schema["additionalProperties"]:
        yield from places(schema["additionalProperties"], (*at, "any"))
    if "items" in schema:
        yield from places(schema["items"], (*at, 0))


def with_value(schema: Schema, body: Any, at: Place, value: Any) -> Any:
    """The body with a value at a place; what has to stand around it and is missing is made from the schema."""
    if not at:
        return value
    schema = _holder(schema)
    if isinstance(at[0], int):
        items = list(body) if body else [sample(schema["items"])]
        items[0] = with_value(schema["items"], items[0], at[1:], value)
        return items
    whole = dict(body) if isinstance(body, dict) else sample(schema)
    inner = schema.get("properties", {}).get(at[0]) or schema.get("additionalProperties") or {}
    return whole | {at[0]: with_value(inner, whole.get(at[0]), at[1:], value)}


def _holder(schema: Schema) -> Schema:
    schema = resolved(schema)
    for choice in (*schema.get("anyOf", ()), *schema.get("allOf", ())):
        found = _holder(choice)
        if "properties" in found or "items" in found or "additionalProperties" in found:
            return found
    return schema


def at_place(body: Any, place: Place) -> Any:
    """What stands at a place; None if nothing does."""
    for key in place:
        try:
            body = body[key]
        except (KeyError, IndexError, TypeError):
            return None
    return body


def sample(schema: Schema) -> Any:
    """A value that fits a schema: its example, else the least that does."""
    schema = resolved(schema)
    for known in ("examples", "enum"):
        if schema.get(known):
            return schema[known][0]
    for known in ("example", "const"):
        if known in schema:
            return schema[known]
    choices = [one for one in schema.get("anyOf", ()) if one.get("type") != "null"] or schema.get("allOf", [])
    if choices:
        return sample(choices[0])
    kind = schema.get("type")
    if kind == "object":
        return {name: sample(schema["properties"][name]) for name in schema.get("required", ())}
    if kind == "array":
        return [sample(schema["items"])] * max(1, schema.get("minItems", 1))
    formats = {"date": str(date_in(30)), "date-time": time_in(30).isoformat(), "uuid": str(new_id())}
    plain = {"integer": int(schema.get("minimum", 1)), "number": 1, "boolean": True, "null": None}
    return formats.get(schema.get("format", "")) or plain.get(
        str(kind), "a text"[: schema.get("maxLength", 6)]
    )
