"""`message` says what is wrong, so that a dashboard can show it; `extensions` names the argument."""

import pytest

from tests.graphql.test_graphql import Face, face

__all__ = ["face"]
pytestmark = pytest.mark.calendar

GENERIC = {"The request is not acceptable.", "No such thing.", "The request holds values that are not taken."}

WRONG = {
    "schools(after: $v) { totalCount }": ("String", "x", "after"),
    "schools(first: $v) { totalCount }": ("Int!", 0, "first"),
    "school(urn: $v) { name }": ("String", "12345", "urn"),
    "node(id: $v) { id }": ("ID!", "x", "id"),
    "coverage(by: SCHOOL, academicYear: $v) { totalCount }": ("Int", 1, "academicYear"),
    "coverage(by: SCHOOL, knownAt: $v) { totalCount }": ("DateTime", "2026-01-01T00:00:00", "knownAt"),
    "coverage(by: SCHOOL, first: $v) { totalCount }": ("Int!", 201, "first"),
    "gaps(after: $v) { totalCount }": ("String", "x", "after"),
    "programmes(first: $v) { totalCount }": ("Int!", -1, "first"),
    "capacity(by: SCHOOL, until: $v) { totalCount }": ("Date", "2020-01-01", "until"),
    "hub { schools(first: $v) { totalCount } }": ("Int!", 0, "first"),
    "school { name }": (None, None, ""),
}


@pytest.mark.parametrize("question", WRONG)
async def test_a_refused_argument_is_named_in_the_message(face: Face, question: str) -> None:
    kind, value, argument = WRONG[question]
    document = f"query Q($v: {kind}) {{ {question} }}" if kind else f"{{ {question} }}"
    (error,) = (await face.post("hub_a", document, {"v": value} if kind else None)).json()["errors"]
    (fault,) = error["extensions"]["errors"]
    assert fault["pointer"] == (f"/{argument}" if argument else "")
    assert error["message"] == (f"Argument '{argument}': {fault['detail']}" if argument else fault["detail"])
    assert error["message"] not in GENERIC
    assert error["message"][0].isupper()
    assert error["message"].endswith(".")


@pytest.mark.parametrize(
    ("field", "value"),
    [("knownAt", "0001-01-01T00:00:00Z"), ("knownAt", 5), ("asAt", "9999-12-31"), ("asAt", "x")],
)
async def test_a_value_that_is_not_taken_is_named_as_argument_and_as_variable(
    face: Face, field: str, value: object
) -> None:
    literal = f'"{value}"' if isinstance(value, str) else value
    (error,) = (
        await face.post("hub_a", f"{{ coverage(by: SCHOOL, {field}: {literal}) {{ totalCount }} }}")
    ).json()["errors"]
    assert error["message"] == f"Argument '{field}': {error['extensions']['errors'][0]['detail']}"
    kind = "DateTime" if field == "knownAt" else "Date"
    document = f"query Q($v: {kind}) {{ coverage(by: SCHOOL, {field}: $v) {{ totalCount }} }}"
    (error,) = (await face.post("hub_a", document, {"v": value})).json()["errors"]
    assert error["message"] == f"Variable '$v': {error['extensions']['errors'][0]['detail']}"
    assert error["extensions"]["errors"][0]["pointer"] == "/variables/v"


async def test_a_member_that_is_not_taken_is_named(face: Face) -> None:
    answer = await face.raw("hub_a", b'{"query": "{ viewer { today } }", "query": "{ viewer { today } }"}')
    assert answer.json()["errors"][0]["message"] == "Member 'query': This object has the member twice."
    answer = await face.raw(
        "hub_a", b'{"query": "{ viewer { today } }", "variables": {"a": NaN, "b": "\\u0000"}}'
    )
    message = answer.json()["errors"][0]["message"]
    assert message not in GENERIC, message
