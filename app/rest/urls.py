"""What a request's line and headers say, before a route reads them: path and query in UTF-8, each parameter once."""

import re
from typing import Final
from urllib.parse import unquote_to_bytes

from fastapi import Request

from app.core import values
from app.core.errors import Fault, Invalid
from app.rest.problems import refusal

_NO_ESCAPE: Final = re.compile(rb"%(?![0-9A-Fa-f]{2})")
_SHOWN: Final = 60
"""Characters of a parameter's name that is not known."""


def media_of(request: Request) -> tuple[str, str]:
    """The media type of the body and its charset, in lower case; "" for one that is not said."""
    media, _, more = request.headers.get("content-type", "").lower().partition(";")
    _, _, said = more.partition("charset=")
    return media.strip(), said.partition(";")[0].strip(' "')


def refuse_unfit(request: Request, known: frozenset[str]) -> None:
    """Refuse a URL that is not UTF-8 (400 `bad_url`), and parameters that are unknown, repeated, or hold characters that
    nobody sees (422). A filter misspelt must not answer everything.
    """
    raw = request.scope.get("raw_path") or b""
    if b"%" in raw or not raw.isascii():
        _refuse_bytes(raw, "path")
    query = request.scope["query_string"]
    if not query:
        return
    if b"%" in query or not query.isascii():
        _refuse_bytes(query.replace(b"+", b" "), "query")
    faults = _faults(request, known)
    if faults:
        raise Invalid("invalid", "The request is not acceptable.", faults)


def _refuse_bytes(raw: bytes, where: str) -> None:
    if not raw.isascii():
        raise refusal(400, "bad_url", f"In the {where} what is not ASCII is written with %.")
    if _NO_ESCAPE.search(raw):
        raise refusal(400, "bad_url", f"In the {where} a % is followed by two hexadecimal digits.")
    try:
        unquote_to_bytes(raw).decode()
    except UnicodeDecodeError:
        raise refusal(400, "bad_url", f"The {where} is not UTF-8.") from None


def _faults(request: Request, known: frozenset[str]) -> list[Fault]:
    faults: list[Fault] = []
    seen: set[str] = set()
    for name, value in request.query_params.multi_items():
        shown = f"?{name[:_SHOWN]}"
        wrong = values.unfit(value)
        if name in seen:
            faults.append(Fault(shown, "repeated_parameter", "Give this query parameter once."))
        elif name not in known:
            faults.append(Fault(shown, "unknown_parameter", "There is no such query parameter."))
        elif wrong:
            faults.append(Fault(shown, "unfit_value", wrong))
        seen.add(name)
    return faults
