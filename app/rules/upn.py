"""Unique pupil numbers: their form and check letter. Never to an employer, never in a URL, never on a
dashboard.

Source: DfE, Unique Pupil Numbers: a guide. The local authority number inside is not judged.
"""

import re
from typing import Final

from app.rules.answers import Refusal

ALPHABET: Final = "ABCDEFGHJKLMNPQRTUVWXYZ"
FORMAT: Final = re.compile(r"[A-HJ-NP-RT-Z][0-9]{11}[0-9A-HJ-NP-RT-Z]")


def check_letter(body: str) -> str:
    """The check letter of the twelve characters that follow it: position times value, positions 2 to 13,
    modulo 23.

    A letter at position 13 (a temporary number) counts as its index in the alphabet. A single wrong character
    always shows, but for a thirteenth digit read as the letter of the same index.
    """
    return ALPHABET[sum(place * _value(sign) for place, sign in enumerate(body, start=2)) % len(ALPHABET)]


def _value(sign: str) -> int:
    return int(sign) if sign in "0123456789" else ALPHABET.index(sign)


def upn(text: str) -> str | Refusal:
    """The number in its one form: upper case, without blanks. Codes: `upn_format`, `upn_check_letter`.

    The refusal's detail never repeats the number.
    """
    number = "".join(text.split()).upper()
    if not FORMAT.fullmatch(number):
        return Refusal("upn_format", "A UPN is a letter, eleven digits, and a digit or a letter.")
    if number[0] != check_letter(number[1:]):
        return Refusal("upn_check_letter", "The check letter does not fit: one character is wrong.")
    return number


def is_valid(text: str) -> bool:
    """Whether a text is a UPN with the right check letter."""
    return isinstance(upn(text), str)


def is_temporary(number: str) -> bool:
    """Whether a valid UPN is a temporary one: it ends in a letter."""
    return number[-1:].isalpha()
