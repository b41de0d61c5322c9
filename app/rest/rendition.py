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
_NULL = {"type": "null"}


def for_renderer(document: Mapping[str, Any]) -> dict[str, Any]:
    """The document in OpenAPI 3.0: its webhooks come last, as operations under a tag of their own.

    A token that was got elsewhere can be pasted too (security scheme `token`): clients that sign with a key
    cannot get one in a browser.
    """
    made: dict[str, Any] = {name: _older(part) for name, part in document.items() if name != "webhooks"}
    made["openapi"] = VERSION
    made["components"].setdefault("securitySchemes", {})[PASTED] = {
        "type": "http",
        "scheme": "bearer",
        "description": "An access token from POST /oauth/token.",
    }
    for operation in operations(made):
        if any(operation.get("security", ())):
            operation["security"] = [*operation["security"], {PASTED: []}]
    for name, item in document.get("webhooks", {}).items():
        made["paths"][name] = {how: {**_older(what), "tags": [WEBHOOKS]} for how, what in item.items()}
    return made


def operations(document: Mapping[str, Any]) -> list[dict[str, Any]]:
    """The operations of all paths, in order."""
    return [
        what for item in document["paths"].values() for how, what in item.items() if how in _OPERATIONS
    ]


def _older(part: Any) -> Any:  # noqa: ANN401  (any JSON)
    if isinstance(part, list):
        return [_older(one) for one in part]
    if not isinstance(part, dict):
        return part
    made = {
        name: value if name in {"example", "examples", "default", "enum"} else _older(value)
        for name, value in part.items()
        if name != "$schema"
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
    """`nullable` instead of a type null, alone beside one schema or in a list of types."""
    kind, choices = part.get("type"), part.get("anyOf")
    if isinstance(kind, list):
        left = [one for one in kind if one != "null"]
        part |= {"type": left[0], "nullable": "null" in kind} if len(left) == 1 else {}
    if isinstance(choices, list) and _NULL in choices:
        others = [one for one in choices if one != _NULL]
        part["nullable"] = True
        if len(others) == 1 and "$ref" not in others[0]:
            del part["anyOf"]
            return {**others[0], **part}
        part["anyOf" if len(others) > 1 else "allOf"] = others
        if len(others) == 1:
            del part["anyOf"]
    return part
