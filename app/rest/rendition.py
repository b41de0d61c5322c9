"""The contract in the older words of the docs page's renderer.

Swagger UI 4, the newest that a plain package of assets brings, renders OpenAPI 3.0 only. What it is given says the
same as the published 3.1 document as far as 3.0 can say it; nobody but the docs page should build on it.
"""

from collections.abc import Mapping
from typing import Any

VERSION = "3.0.3"
WEBHOOKS = "webhooks sent to you"
PASTED = "token"
_OPERATIONS = frozenset({"get", "put", "post", "delete", "patch", "head", "options", "trace"})
_DATA = frozenset({"example", "examples", "default", "enum"})
_NULL = {"type": "null"}


def for_renderer(document: Mapping[str, Any]) -> dict[str, Any]:
    """The document in OpenAPI 3.0: its webhooks come last, as operations under a tag of their own.

    A token that was got elsewhere can be pasted too (security scheme `token`): clients that sign with a key
    cannot get one in a browser.
    """
    made: dict[str, Any] = {name: _older(part) for name, part in document.items() if name != "webhooks"}
    made["openapi"] = VERSION
    made["components"]["securitySchemes"] = _ways_in(made["components"].get("securitySchemes", {}))
    for operation in operations(made):
        if any(operation.get("security", ())):
            operation["security"] = [*operation["security"], {PASTED: []}]
    for name, item in document.get("webhooks", {}).items():
        made["paths"][name] = {how: _sent(_older(what)) for how, what in item.items()}
    return made


def operations(document: Mapping[str, Any]) -> list[dict[str, Any]]:
    """The operations of all paths, in order."""
    return [what for item in document["paths"].values() for how, what in item.items() if how in _OPERATIONS]


def _ways_in(schemes: Mapping[str, Any]) -> dict[str, Any]:
    pasted = {"type": "http", "scheme": "bearer", "description": "An access token that you have already."}
    ours = {
        name: {"description": "Tick no scope for all that the client has.", **scheme}
        for name, scheme in schemes.items()
    }
    return {PASTED: pasted, **ours}


def _sent(operation: dict[str, Any]) -> dict[str, Any]:
    """A webhook: what it says of itself instead of its name, which stands where a path would."""
    first, _, _ = str(operation.get("description", "")).partition(". ")
    return {**operation, "summary": first.rstrip(".").replace("`", ""), "tags": [WEBHOOKS]}


# --- schemas ------------------------------------------------------------------------------------------


def _older(part: Any) -> Any:  # noqa: ANN401  (any JSON)
    if isinstance(part, list):
        return [_older(one) for one in part]
    if not isinstance(part, dict):
        return part
    made = {
        name: value if name in _DATA else _older(value) for name, value in part.items() if name != "$schema"
    }
    return _without_null(_with_one_example(made))


def _with_one_example(part: dict[str, Any]) -> dict[str, Any]:
    """A schema's list of examples is 3.1 (a media type's is a mapping, in both); so is `const`."""
    examples = part.get("examples")
    if isinstance(examples, list):
        del part["examples"]
        if examples:
            part.setdefault("example", examples[0])
    if "const" in part and not isinstance(part["const"], dict):
        part["enum"] = [part.pop("const")]
    return part


def _without_null(part: dict[str, Any]) -> dict[str, Any]:
    """`nullable` instead of null among the types or the choices; a reference keeps its brackets, as 3.0 asks."""
    kinds, choices = part.get("type"), part.get("anyOf")
    if isinstance(kinds, list) and len(left := [one for one in kinds if one != "null"]) == 1:
        part |= {"type": left[0], "nullable": "null" in kinds}
    if not isinstance(choices, list) or _NULL not in choices:
        return part
    others = [one for one in choices if one != _NULL]
    rest = {name: value for name, value in part.items() if name != "anyOf"} | {"nullable": True}
    if len(others) > 1:
        return rest | {"anyOf": others}
    return rest | {"allOf": others} if "$ref" in others[0] else {**others[0], **rest}
