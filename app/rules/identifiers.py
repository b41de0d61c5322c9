"""Numbers that others give: URN, LAESTAB, Companies House, postcode. Each comes back in one form or is refused."""

import re
from typing import Final

from app.rules.answers import Refusal

URN: Final = re.compile(r"[1-9][0-9]{5}")
LAESTAB: Final = re.compile(r"[1-9][0-9]{2}[0-9]{4}")
COMPANY: Final = re.compile(
    r"[0-9]{8}|[A-Z]{2}[0-9]{6}|[A-Z]{2}[0-9]{4}[A-Z]{2}|[A-Z]{2}[0-9]{5}[A-Z]|R[0-9]{7}"
)
POSTCODE: Final = re.compile(r"[A-Z]{1,2}[0-9][A-Z0-9]?[0-9][A-Z]{2}")
_LETTERS_THEN_REST: Final = re.compile(r"([A-Z]{0,2})([0-9]+)([A-Z]{0,2})")


def urn(text: str) -> str | Refusal:
    """A school's unique reference number: six digits, the first not 0. Code: `urn_format`."""
    number = _bare(text)
    return number if URN.fullmatch(number) else Refusal("urn_format", "A URN has six digits.")


def laestab(text: str) -> str | Refusal:
    """Authority and establishment, seven digits; `919/4001` and `919-4001` are read too. Code:
    `laestab_format`.
    """
    number = re.sub(r"[/-]", "", _bare(text))
    if LAESTAB.fullmatch(number):
        return number
    return Refusal("laestab_format", "A LAESTAB has three digits for the authority and four for the school.")


def company_number(text: str) -> str | Refusal:
    """A Companies House number: eight characters, upper case, its digits padded with zeros. Code:
    `company_format`.

    `1234567` is `01234567`, `sc12345` is `SC012345`.
    """
    number = _padded(_bare(text))
    if COMPANY.fullmatch(number) and number != "00000000":
        return number
    return Refusal(
        "company_format", "A Companies House number has eight characters: digits, or two letters first."
    )


def _padded(number: str) -> str:
    parts = _LETTERS_THEN_REST.fullmatch(number)
    if not parts:
        return number
    before, digits, after = parts.groups()
    return before + digits.zfill(8 - len(before) - len(after)) + after


def _bare(text: str) -> str:
    return "".join(text.split()).upper()


def postcode(text: str) -> str | Refusal:
    """A UK postcode, upper case with one space: `sg13eh` is `SG1 3EH`. Code: `postcode_format`.

    The form is checked, not whether the post office has given it out.
    """
    bare = _bare(text)
    if POSTCODE.fullmatch(bare):
        return f"{bare[:-3]} {bare[-3:]}"
    return Refusal("postcode_format", "A postcode looks like SG1 3EH.")
