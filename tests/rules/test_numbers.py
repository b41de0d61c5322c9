"""UPNs and the numbers of schools and companies."""

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from app.rules import identifiers, upn
from app.rules.answers import Refusal


@pytest.mark.parametrize("number", ["B801200005001", "N823432113104", " b801 2000 05001 "])
def test_a_good_upn_comes_back_in_one_form(number: str) -> None:
    assert upn.upn(number) == "".join(number.split()).upper()
    assert upn.is_valid(number)


@pytest.mark.parametrize(
    ("number", "code"),
    [
        ("", "upn_format"),
        ("B80120000500", "upn_format"),
        ("I801200005001", "upn_format"),
        ("B80120000500S", "upn_format"),
        ("B80120000500١", "upn_format"),
        ("A801200005001", "upn_check_letter"),
        ("B801200005002", "upn_check_letter"),
    ],
)
def test_a_bad_upn_is_refused_without_being_repeated(number: str, code: str) -> None:
    answer = upn.upn(number)
    assert isinstance(answer, Refusal)
    assert answer.code == code
    assert number == "" or number not in answer.detail


bodies = st.from_regex(r"[0-9]{11}[0-9A-HJ-NP-RT-Z]", fullmatch=True)


@given(bodies)
def test_a_number_with_its_check_letter_is_valid(body: str) -> None:
    number = upn.check_letter(body) + body
    assert upn.is_valid(number)
    assert upn.is_temporary(number) == body[-1].isalpha()


def same_value(one: str, other: str) -> bool:
    """A thirteenth digit and the letter of the same index weigh the same: the scheme cannot tell them."""
    return upn._value(one) == upn._value(other)


@given(bodies, st.integers(0, 12), st.sampled_from("0123456789" + upn.ALPHABET))
def test_any_single_wrong_character_shows(body: str, place: int, sign: str) -> None:
    number = upn.check_letter(body) + body
    assume(number[place] != sign)
    assume(not (place == 12 and same_value(number[place], sign)))
    assert not upn.is_valid(number[:place] + sign + number[place + 1 :])


@pytest.mark.parametrize(
    ("text", "number"),
    [
        ("01234567", "01234567"),
        ("1234567", "01234567"),
        (" sc12345 ", "SC012345"),
        ("NI000001", "NI000001"),
        ("IP12345R", "IP12345R"),
        ("oc 301234", "OC301234"),
    ],
)
def test_a_company_number_is_padded_and_upper_case(text: str, number: str) -> None:
    assert identifiers.company_number(text) == number


@pytest.mark.parametrize("text", ["", "0", "123456789", "ABC12345", "12-34", "SC1234567"])
def test_no_company_number_is_refused(text: str) -> None:
    assert isinstance(identifiers.company_number(text), Refusal)


@given(st.integers(1, 99_999_999))
def test_a_company_number_in_its_one_form_stays_as_it_is(number: int) -> None:
    once = identifiers.company_number(str(number))
    assert isinstance(once, str)
    assert len(once) == 8
    assert identifiers.company_number(once) == once


@pytest.mark.parametrize(("text", "number"), [("136789", "136789"), (" 100000", "100000")])
def test_a_urn_has_six_digits(text: str, number: str) -> None:
    assert identifiers.urn(text) == number


@pytest.mark.parametrize("text", ["", "12345", "1234567", "012345", "12345a"])
def test_no_urn_is_refused(text: str) -> None:
    assert isinstance(identifiers.urn(text), Refusal)


@pytest.mark.parametrize("text", ["9194001", "919/4001", "919-4001"])
def test_a_laestab_loses_its_stroke(text: str) -> None:
    assert identifiers.laestab(text) == "9194001"


@pytest.mark.parametrize("text", ["", "919400", "0194001", "91940011"])
def test_no_laestab_is_refused(text: str) -> None:
    assert isinstance(identifiers.laestab(text), Refusal)
