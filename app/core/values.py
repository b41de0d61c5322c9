"""How a value that arrives as text is read: days, moments, references, and the characters that no text may hold.

REST and GraphQL both read by these functions, so that no value is taken by one and refused by the next. Nothing is
coerced: a number is no date, a midnight without an offset is no moment.
"""

import re
import unicodedata
from datetime import UTC, date, datetime, timedelta
from typing import Final

FIRST_DAY: Final = date(1900, 1, 1)
LAST_DAY: Final = date(2100, 12, 31)
FIRST_BIRTH: Final = date(1990, 1, 1)
FIRST_MOMENT: Final = datetime(2000, 1, 1, tzinfo=UTC)
LAST_MOMENT: Final = datetime(2100, 12, 31, 23, 59, 59, 999999, tzinfo=UTC)
FURTHEST_OFFSET: Final = timedelta(hours=14)
"""No place on earth is further from UTC."""

_DAY: Final = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}")
_MOMENT: Final = re.compile(
    r"([0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2})(\.[0-9]{1,9})?(Z|[+-][0-9]{2}:[0-9]{2})?"
)
_BLANK_FOR_PLUS: Final = re.compile(r":[0-9.]{2,} [0-9]{2}:[0-9]{2}")
UNFIT: Final = re.compile(
    "[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\u061c\u180e\u200b-\u200f\u2028-\u202e\u2060-\u206f\ufeff"
    "\ud800-\udfff\ufffe\uffff]"
)
"""Characters that nobody sees or that turn the reading direction, and halves of characters. A text of several lines may
have tab, line feed and carriage return.
"""
_LINE_BREAKS: Final = re.compile("[\t\n\r]")


class BadValue(ValueError):
    """A value that is not taken: a stable code, and words for people."""

    def __init__(self, code: str, detail: str) -> None:
        """Keep both; the value itself is never repeated."""
        super().__init__(detail)
        self.code = code
        self.detail = detail


def day(value: object) -> date:
    """A date as `2026-09-01`, 1900 to 2100. BadValue `wrong_type`, `out_of_range`."""
    if type(value) is date:
        found = value
    elif isinstance(value, str) and _DAY.fullmatch(value):
        found = _date(value)
    else:
        raise BadValue("wrong_type", "Give a date as text, such as 2026-09-01.")
    if found < FIRST_DAY:
        raise BadValue("out_of_range", f"The first day that is taken is {FIRST_DAY}.")
    if found > LAST_DAY:
        raise BadValue("out_of_range", f"The last day that is taken is {LAST_DAY}.")
    return found


def _date(text: str) -> date:
    try:
        return date.fromisoformat(text)
    except ValueError:
        raise BadValue("wrong_type", "There is no such date.") from None


def birth(value: object) -> date:
    """A date of birth: a day from 1990 on. BadValue `wrong_type`, `out_of_range`. Today's bound is the domain's."""
    found = day(value)
    if found < FIRST_BIRTH:
        raise BadValue("out_of_range", f"The first date of birth that is taken is {FIRST_BIRTH}.")
    return found


def moment(value: object) -> datetime:
    """A moment as RFC 3339 has it, in UTC, 2000 to 2100; what is below a microsecond is cut off.

    BadValue `wrong_type`, `offset_required`, `out_of_range`.
    """
    if isinstance(value, str):
        found = _moment(value)
    elif isinstance(value, datetime) and value.tzinfo is not None:
        found = value
    else:
        raise BadValue("wrong_type", "Give a moment as text, such as 2026-09-01T09:00:00Z.")
    if found < FIRST_MOMENT:
        raise BadValue("out_of_range", "The first moment that is taken is 2000-01-01T00:00:00Z.")
    if found > LAST_MOMENT:
        raise BadValue("out_of_range", "The last moment that is taken is 2100-12-31T23:59:59.999999Z.")
    return found


def _moment(text: str) -> datetime:
    parts = _MOMENT.fullmatch(text)
    if parts is None:
        hint = " Write + as %2B in a URL." if _BLANK_FOR_PLUS.search(text) else ""
        raise BadValue("wrong_type", f"Give a moment as text, such as 2026-09-01T09:00:00Z.{hint}")
    whole, fraction, offset = parts.groups()
    if offset is None:
        raise BadValue("offset_required", "A moment needs an offset, as in 2026-09-01T09:00:00Z.")
    try:
        found = datetime.fromisoformat(f"{whole}{(fraction or '')[:7]}{offset}")
    except ValueError:
        raise BadValue("wrong_type", "There is no such moment.") from None
    if abs(found.utcoffset() or timedelta()) > FURTHEST_OFFSET:
        raise BadValue("out_of_range", "An offset from UTC is 14 hours at most.")
    try:
        return found.astimezone(UTC)
    except OverflowError:
        raise BadValue("out_of_range", "A moment lies in the years 2000 to 2100.") from None


def day_or_moment(value: object) -> date | datetime:
    """A date, or a moment with its offset: the form says which. BadValue as `day` and `moment`."""
    if isinstance(value, str) and not _DAY.fullmatch(value):
        return moment(value)
    return day(value)


def unfit(text: str) -> str | None:
    """What is wrong with a text that holds a character which nobody sees; None for a fit text."""
    found = UNFIT.search(text)
    if found is None:
        return None
    return f"A text does not hold the character U+{ord(found[0]):04X}, which nobody sees."


def fit(text: str) -> str:
    """The text as it is. BadValue `unfit_value`."""
    wrong = unfit(text)
    if wrong:
        raise BadValue("unfit_value", wrong)
    return text


def line(text: str) -> str:
    """A text of one line that does not begin or end with a blank. BadValue `unfit_value`, `blank_at_end`."""
    if _LINE_BREAKS.search(text):
        raise BadValue("unfit_value", "This is one line: it holds no tab and no line break.")
    if text != text.strip():
        raise BadValue("blank_at_end", "It does not begin or end with a blank.")
    return fit(text)


def reference(text: str) -> str:
    """A reference of the caller's own: a line whose characters are composed (NFC), so that equal ones are the same bytes.

    BadValue `unfit_value`, `blank_at_end`, `not_nfc`.
    """
    line(text)
    if not unicodedata.is_normalized("NFC", text):
        raise BadValue("not_nfc", "Send a reference in Unicode's composed form, NFC.")
    return text


def flag(value: object) -> bool:
    """`true` or `false`, in a URL as in JSON. BadValue `wrong_type`."""
    if isinstance(value, bool):
        return value
    if value in ("true", "false"):
        return value == "true"
    raise BadValue("wrong_type", "It is true or false.")


_WHOLE: Final = re.compile(r"-?(0|[1-9][0-9]{0,18})")
MOST_WHOLE: Final = 2**63 - 1
"""The largest whole number that the database keeps."""


def whole(value: object) -> int:
    """A whole number in a URL: digits and nothing else. BadValue `wrong_type`, `out_of_range`."""
    if type(value) is int:
        return value
    if not isinstance(value, str) or not re.fullmatch(r"-?[0-9]+", value):
        raise BadValue("wrong_type", "A whole number, such as 50.")
    if not _WHOLE.fullmatch(value) or abs(int(value)) > MOST_WHOLE:
        raise BadValue("out_of_range", f"A whole number up to {MOST_WHOLE}, without leading zeros.")
    return int(value)
