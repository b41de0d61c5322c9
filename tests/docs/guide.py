"""The guides as programs: the requests in their fenced blocks, with what is expected of each answer.

An `http` block is a request line, headers, a blank line, a body, and lines that begin with `->`:

    -> 201                        the status; `-> 200, soon` waits for it up to twenty seconds
    -> $BOOKING_ID = id           remembers a member of the answer, `@ETag` a header
    -> state = "requested"        the member has this value (JSON)

`$NAME` and `${NAME}` are replaced wherever they stand; `$NEW_KEY` is another one each time.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from uuid import uuid4

import orjson

ROOT = Path(__file__).parents[2]
DOCS = ROOT / "docs"
_FENCE = re.compile(r"^```(\w+)([^\n]*)\n(.*?)^```$", re.DOTALL | re.MULTILINE)
_NAME = re.compile(r"\$(\{)?([A-Z][A-Z0-9_]*)(?(1)\})")
_STEP = re.compile(r"\.?([\w-]+)|\[(\d+)\]")


@dataclass(frozen=True)
class Block:
    """One fenced block, and the line of the page on which its content begins."""

    language: str
    note: str
    text: str
    line: int


def blocks(page: Path, *languages: str) -> list[Block]:
    """The fenced blocks of a page in these languages (all, if none is named), in their order."""
    text = page.read_text(encoding="utf-8")
    found = (
        Block(one[1], one[2].strip(), one[3], text.count("\n", 0, one.start()) + 2)
        for one in _FENCE.finditer(text)
    )
    return [one for one in found if not languages or one.language in languages]


@dataclass
class Values:
    """What stands for each `$NAME`."""

    known: dict[str, str] = field(default_factory=dict)

    def put_into(self, text: str) -> str:
        """The text with every name replaced; a name nobody knows fails by name."""
        return _NAME.sub(lambda one: self._of(one[2]), text)

    def _of(self, name: str) -> str:
        if name == "NEW_KEY":
            return str(uuid4())
        assert name in self.known, f"nobody says what ${name} is"
        return self.known[name]


@dataclass(frozen=True)
class Request:
    """A request of a guide, names not replaced yet, and what is expected of its answer."""

    method: str
    path: str
    headers: dict[str, str]
    body: str
    status: int
    soon: bool
    expected: tuple[tuple[str, str], ...]

    def asked(self, values: Values) -> dict[str, Any]:
        """The request, as httpx takes it."""
        return {
            "method": self.method,
            "url": values.put_into(self.path),
            "headers": {name: values.put_into(value) for name, value in self.headers.items()},
            "content": values.put_into(self.body).encode() or None,
        }


def request_in(block: Block) -> Request:
    """Read an `http` block. One without a status, or with JSON that is none, is refused."""
    lines = block.text.splitlines()
    said = [line[3:].strip() for line in lines if line.startswith("-> ")]
    head, _, body = "\n".join(line for line in lines if not line.startswith("-> ")).strip().partition("\n\n")
    first, *headers = head.splitlines()
    method, path = first.split(" ", 1)
    assert "".join(said[:1])[:3].isdigit(), f"line {block.line}: the block does not say which status comes"
    parsed = dict(one.split(": ", 1) for one in headers)
    if parsed.get("Content-Type") == "application/json":
        orjson.loads(_NAME.sub("0", body))
    expected = tuple((left, right) for left, right in (one.split(" = ", 1) for one in said[1:]))
    return Request(method, path, parsed, body.strip(), int(said[0][:3]), "soon" in said[0], expected)


def problems_with(answer: Any, request: Request, values: Values) -> Iterator[str]:
    """What is not as the guide says. Remembers what the guide remembers."""
    if answer.status_code != request.status:
        yield f"{answer.status_code} instead of {request.status}: {answer.text[:600]}"
        return
    for left, right in request.expected:
        try:
            if left.startswith("$"):
                values.known[left[1:]] = str(member(answer, right))
            elif member(answer, left) != orjson.loads(values.put_into(right)):
                yield f"{left} is {member(answer, left)!r} instead of {right}: {answer.text[:600]}"
        except (KeyError, IndexError, TypeError):
            yield f"no {right if left.startswith('$') else left} in {answer.text[:600]}"


def member(answer: Any, path: str) -> Any:
    """`data[0].id` of the JSON answer, or `@ETag`, a header."""
    if path.startswith("@"):
        return answer.headers[path[1:]]
    found = answer.json()
    for name, number in _STEP.findall(path):
        found = found[int(number)] if number else found[name]
    return found


def unlike(shown: Any, answer: Any, where: str = "") -> Iterator[str]:
    """Where an answer differs from the one that a guide shows. `"…"` stands for anything."""
    if shown == "…":
        return
    if isinstance(shown, dict) and isinstance(answer, dict):
        if shown.keys() != answer.keys():
            yield f"{where}: {sorted(answer)} instead of {sorted(shown)}"
            return
        for name in shown:
            yield from unlike(shown[name], answer[name], f"{where}/{name}")
    elif isinstance(shown, list) and isinstance(answer, list):
        if len(shown) != len(answer):
            yield f"{where}: {len(answer)} instead of {len(shown)}: {answer}"
            return
        for at, one in enumerate(shown):
            yield from unlike(one, answer[at], f"{where}/{at}")
    elif shown != answer:
        yield f"{where}: {answer!r} instead of {shown!r}"
