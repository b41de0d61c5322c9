"""Every code that the house answers with, read from its source."""

import ast
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Final

APP: Final = Path(__file__).parents[2] / "app"
_AT: Final = {
    "Conflict": 0, "Forbidden": 0, "Invalid": 0, "TooMany": 0, "Unauthenticated": 0, "Missing": 0, "Problem": 0,
    "Refusal": 0, "Reason": 0, "OAuthRefusal": 0, "_BadRequest": 0, "__init__": 0, "NotFound": 1, "refusal": 1,
    "_refusal": 1, "Fault": 1, "invalid": 1, "refused": 1, "_refuse": 1, "CellError": 0, "BadValue": 0,
}  # fmt: skip
"""Where the code stands among the arguments of what makes a refusal."""
_WORDS_OF: Final = {"_CODES", "_TAKEN", "_TWICE", "codes"}
"""Tables whose values are codes, or (pointer, code)."""


def codes() -> dict[str, set[str]]:
    """Every code, with the modules that say it."""
    found: dict[str, set[str]] = {}
    for path in sorted(APP.rglob("*.py")):
        if path.is_relative_to(APP / "demo"):
            continue
        tree = ast.parse(path.read_text(encoding="utf-8"))
        for node in ast.walk(tree):
            for code in _in(node, in_limits=path.name == "limits.py"):
                found.setdefault(code, set()).add(str(path.relative_to(APP)))
    return found


def _in(node: ast.AST, *, in_limits: bool) -> Iterator[str]:
    if isinstance(node, ast.Call):
        yield from _in_call(node, in_limits=in_limits)
    elif isinstance(node, ast.Tuple) and len(node.elts) == 2:
        yield from _of_pair(*node.elts)
    elif isinstance(node, (ast.Assign, ast.AnnAssign)) and node.value is not None:
        yield from _in_assignment(node.targets if isinstance(node, ast.Assign) else [node.target], node.value)
    elif isinstance(node, ast.Dict):
        for key, value in zip(node.keys, node.values, strict=True):
            if isinstance(key, ast.Constant) and (key.value == "code" or isinstance(key.value, int)):
                yield from _words(value)


def _in_call(node: ast.Call, *, in_limits: bool) -> Iterator[str]:
    name = node.func.id if isinstance(node.func, ast.Name) else getattr(node.func, "attr", "")
    at = 0 if in_limits and name == "refusal" else _AT.get(name)
    if at is not None and len(node.args) > at:
        yield from _words(node.args[at])
    if name == "_fault":
        yield from (word for arg in node.args[1:] for word in _words(arg))
    if name == "setdefault" and len(node.args) == 2:  # the extensions of a GraphQL error
        yield from _words(node.args[1])


def _in_assignment(targets: Iterable[ast.expr], value: ast.expr) -> Iterator[str]:
    names = {target.id for target in targets if isinstance(target, ast.Name)}
    if "code" in names:
        yield from _words(value)
    elif names & _WORDS_OF and isinstance(value, ast.Dict):
        yield from (word for one in value.values for word in _words(one))


def _of_pair(left: ast.expr, right: ast.expr) -> Iterator[str]:
    """`("bad_key", "A JSON Web Key is an object.")`, or `("/urn", "urn_taken")`."""
    if not (isinstance(left, ast.Constant) and isinstance(right, ast.Constant)):
        return
    if isinstance(right.value, str) and right.value.endswith("."):
        yield from _words(left)
    elif isinstance(left.value, str) and left.value.startswith("/"):
        yield from _words(right)


def _words(node: ast.expr) -> Iterator[str]:
    if isinstance(node, ast.Constant) and isinstance(node.value, str):
        if node.value.replace("_", "").isalnum() and node.value == node.value.lower():
            yield node.value
    elif isinstance(node, ast.IfExp):
        yield from _words(node.body)
        yield from _words(node.orelse)
