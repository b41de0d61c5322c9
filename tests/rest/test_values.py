"""A value that one layer takes and the next one chokes on: the cases of 30 November 2026, and tables of their kind."""

import gzip
import logging
from collections.abc import Iterator
from datetime import date
from typing import Any
from urllib.parse import unquote
from uuid import uuid4

import orjson
import pytest
import pytest_asyncio
import structlog

from app.core.embedded import EmbeddedPostgres
from tests.today import date_in
from tests.world import World

pytestmark = pytest.mark.calendar
IN_FIVE_WEEKS = date_in(35)


@pytest_asyncio.fixture(scope="module", autouse=True)
async def signed(world: World) -> None:
    """The trust and the school outside it have recorded agreements."""
    for who in ("trust", "school_c"):
        await world.insert(
            "agreements", controller_id=world[who], agreement_version="1", signed_on=date(2026, 9, 1),
            signatory_role="Head", lawful_basis="public task", recorded_by=world.clients[who],
        )  # fmt: skip


@pytest.fixture
def logged() -> Iterator[structlog.testing.LogCapture]:
    """What is logged, however unimportant."""
    before, caught = structlog.get_config(), structlog.testing.LogCapture()
    structlog.configure(processors=[caught], wrapper_class=structlog.make_filtering_bound_logger(0))
    yield caught
    structlog.configure(**before)


def faults(answer: Any) -> list[tuple[str, str]]:
    """The pointers and codes of a refusal."""
    assert answer.status_code == 422, answer.text
    return [(one["pointer"], one["code"]) for one in answer.json()["errors"]]


async def offer(world: World) -> str:
    slot = await world.slot()
    return str(await world.owner.fetchval("SELECT offer_id FROM slots WHERE id = $1", slot))


def slot(offer_id: str, ref: str, **more: Any) -> dict[str, Any]:
    times = {"starts_at": f"{IN_FIVE_WEEKS}T10:00:00Z", "ends_at": f"{IN_FIVE_WEEKS}T12:00:00Z"}
    return {"external_ref": ref, "offer_id": offer_id, "capacity": 5, "sittings": [{**times, **more}]}


def pupil(**more: Any) -> dict[str, Any]:
    return {
        "external_ref": str(uuid4()), "given_name": "Ada", "family_name": "Example", "date_of_birth": "2014-03-09",
        "nc_year": "8", **more,
    }  # fmt: skip


def approval(world: World, **more: Any) -> dict[str, Any]:
    return {"site_id": world["employer_a.site"], "kind": "workplace_tour", "activity_band": "low", **more}


# --- cases 1 and 2: dates that the database has no room for ---------------------------------------

FAR = [
    ("9999-12-31", "out_of_range"), ("2101-01-01", "out_of_range"), ("1899-12-31", "out_of_range"),
    ("0001-01-01", "out_of_range"), (1394323200, "wrong_type"), (0, "wrong_type"), ("1394323200", "wrong_type"),
    ("2014-03-09 00:00:00", "wrong_type"), ("2027-01-01T00:00:00Z", "wrong_type"), ("20270101", "wrong_type"),
    ("2027-02-30", "wrong_type"), ("infinity", "wrong_type"), ("2027-W01-1", "wrong_type"), ("", "wrong_type"),
    (True, "wrong_type"), (1.5, "wrong_type"), ([], "wrong_type"), ({}, "wrong_type"), ("２０２７-01-01", "wrong_type"),
]  # fmt: skip


@pytest.mark.parametrize(("value", "code"), FAR, ids=repr)
async def test_a_date_is_in_one_form_and_within_bounds_wherever_it_stands(
    world: World, value: Any, code: str
) -> None:
    site = world["employer_a.site"]
    cover = {
        "kind": "nhs_indemnity",
        "liability": "employers_liability",
        "attested_on": "2026-11-01",
        "attested_by": "Head",
    }
    programme = {"name": "A pilot", "starts_on": "2026-09-01", "ends_on": "2027-07-31"}
    routes: list[tuple[str, str, dict[str, Any], str]] = [
        ("school_a", "/v1/approvals", approval(world, expires_on=value), "/expires_on"),
        ("school_a", "/v1/approvals", approval(world, expires_on="2027-08-31", approved_on=value), "/approved_on"),
        ("employer_a", "/v1/cover", {**cover, "site_id": site, "expires_on": value}, "/expires_on"),
        ("employer_a", "/v1/cover", {**cover, "starts_on": value}, "/starts_on"),
        ("employer_a", "/v1/cover", {**cover, "attested_on": value}, "/attested_on"),
        ("hub_a", "/v1/programmes", {**programme, "ends_on": value}, "/ends_on"),
        ("hub_a", "/v1/memberships", {"member_id": world["school_c"], "starts_on": value}, "/starts_on"),
        ("trust", "/v1/grants", {"grantee_id": world["vendor"], "field_groups": ["sen"], "starts_on": value}, "/starts_on"),
    ]  # fmt: skip
    before = await world.fingerprint()
    for who, path, body, pointer in routes:
        assert (pointer, code) in faults(await world.post(who, path, body)), (path, value)
    assert await world.fingerprint() == before


async def test_the_refusal_names_the_last_day_that_is_taken(world: World) -> None:
    answer = await world.post("school_a", "/v1/approvals", approval(world, expires_on="9999-12-31"))
    assert "2100-12-31" in answer.json()["errors"][0]["detail"]


async def test_an_approval_without_an_end_lasts_until_it_is_withdrawn(world: World) -> None:
    site = world["employer_a.site"]
    await world.owner.execute("DELETE FROM approvals WHERE site_id = $1", site)
    slot_id = await world.slot()
    body = {"school_id": world["school_a"], "slot_id": slot_id, "places": 2, "nc_year": "8"}
    assert (await world.post("school_a", "/v1/bookings", body)).status_code == 409
    made = await world.post("school_a", "/v1/approvals", approval(world, expires_on=None))
    assert made.status_code == 201, made.text
    assert made.json()["expires_on"] is None
    booked = await world.post("school_a", "/v1/bookings", body)
    assert booked.status_code == 201, booked.text
    path = f"/v1/bookings/{booked.json()['id']}/confirm"
    assert (await world.post("employer_a", path)).status_code == 200


# --- case 3: moments ------------------------------------------------------------------------------

MOMENTS = [
    ("0001-01-01T00:00:00Z", "out_of_range"), ("1999-12-31T23:59:59Z", "out_of_range"),
    ("9999-12-31T23:59:59.9999999Z", "out_of_range"), ("2101-01-01T00:00:00Z", "out_of_range"),
    ("2027-01-20T10:00:00%2B16:00", "out_of_range"), ("2027-01-20T10:00:00%2B23:59", "out_of_range"),
    ("2027-01-20T10:00:00", "offset_required"), ("2027-01-20", "wrong_type"), ("1799999999", "wrong_type"),
    ("2027-01-20T24:00:00Z", "wrong_type"), ("2027-01-20T10:00:60Z", "wrong_type"), ("2027-01-20T10:00Z", "wrong_type"),
    ("2027-01-20 10:00:00Z", "wrong_type"), ("2027-01-20T10:00:00+01:00", "wrong_type"), ("now", "wrong_type"),
]  # fmt: skip


@pytest.mark.parametrize(("value", "code"), MOMENTS)
async def test_a_moment_in_a_url_is_in_one_form_and_within_bounds(
    world: World, value: str, code: str
) -> None:
    for who, path, name in (
        ("school_a", "/v1/webhook-deliveries", "created_from"),
        ("school_a", "/v1/webhook-deliveries", "created_to"),
        ("school_a", "/v1/bookings", "starts_from"),
        ("school_a", "/v1/bookings", "starts_to"),
        ("employer_a", "/v1/slots", "starts_from"),
        ("school_c", f"/v1/schools/{world['school_c']}/pupils", "updated_after"),
    ):
        assert faults(await world.get(who, f"{path}?{name}={value}")) == [(f"?{name}", code)], path


async def test_a_plus_that_a_url_turned_into_a_blank_is_explained(world: World) -> None:
    answer = await world.get("school_a", "/v1/bookings?starts_from=2027-01-20T10:00:00+01:00")
    assert "%2B" in answer.json()["errors"][0]["detail"]
    good = await world.get("school_a", "/v1/bookings?starts_from=2027-01-20T10:00:00%2B01:00")
    assert good.status_code == 200


async def test_a_replay_from_a_moment_that_is_none_is_refused(world: World) -> None:
    made = await world.post("school_a", "/v1/webhook-endpoints", {"url": "https://example.org/hook"})
    path = f"/v1/webhook-endpoints/{made.json()['id']}/replay"
    for value, code in (("0001-01-01T00:00:00Z", "out_of_range"), (1799999999, "wrong_type")):
        assert faults(await world.post("school_a", path, {"from_time": value})) == [("/from_time", code)]


@pytest.mark.parametrize(
    ("question", "pointer"),
    [
        ('coverage(by: SCHOOL, knownAt: "0001-01-01T00:00:00Z") { totalCount }', "/knownAt"),
        ('coverage(by: SCHOOL, knownAt: "9999-12-31T23:59:59.9999999Z") { totalCount }', "/knownAt"),
        ("coverage(by: SCHOOL, knownAt: 5) { totalCount }", "/knownAt"),
        ('coverage(by: SCHOOL, asAt: "9999-12-31") { totalCount }', "/asAt"),
        ('coverage(by: SCHOOL, asAt: "0001-01-01") { totalCount }', "/asAt"),
        ('coverage(by: SCHOOL, asAt: "20260101") { totalCount }', "/asAt"),
        ("coverage(by: SCHOOL, academicYear: 2147483647) { totalCount }", "/academicYear"),
        ('capacity(by: SCHOOL, until: "9999-12-31") { totalCount }', "/until"),
        ('school(urn: "\\u0000") { name }', "/urn"),
        ('school(urn: "\\uD800") { name }', None),
        ('school(urn: "12345") { name }', "/urn"),
        ('school(id: "\\u0000") { name }', None),
        ('node(id: "\\u0000") { id }', None),
        ('programme(id: "é") { name }', None),
        ('schools(after: "\\u0000") { totalCount }', "/after"),
        ("schools(first: -1) { totalCount }", None),
    ],
)
async def test_graphql_names_the_argument_and_has_no_fault_of_ours(
    world: World, question: str, pointer: str | None
) -> None:
    answer = await world.post("hub_a", "/graphql", {"query": f"{{ {question} }}"})
    assert answer.status_code < 500
    (error,) = answer.json()["errors"]
    assert error["extensions"]["code"] != "internal", error
    if pointer:
        assert [one["pointer"] for one in error["extensions"]["errors"]] == [pointer]


async def test_graphql_names_the_variable(world: World) -> None:
    query = "query Q($k: DateTime, $u: String) { coverage(by: SCHOOL, knownAt: $k) { totalCount } school(urn: $u) { name } }"
    variables = {"k": "0001-01-01T00:00:00Z", "u": "900001"}
    answer = await world.post("hub_a", "/graphql", {"query": query, "variables": variables})
    (error,) = answer.json()["errors"]
    assert error["extensions"]["code"] == "bad_argument"
    assert error["extensions"]["errors"][0]["pointer"] == "/variables/k"
    for raw in (
        b'{"query": "{ viewer { today } }", "variables": {"u": "\\u0000"}}',
        b'{"query": "{ viewer { today } }", "query": "{ viewer { today } }"}',
        b'{"query": "{ viewer { today } }", "variables": {"u": 1e400}}',
        b'{"query": "{ viewer { today } }", "variables": ' + b"[" * 300 + b"]" * 300 + b"}",
        '{"query": "{ viewer { today } }"}'.encode("utf-16"),
    ):
        answer = await world.post("hub_a", "/graphql", raw)
        assert answer.status_code == 400, raw
        assert answer.json()["errors"][0]["extensions"]["code"] == "bad_json"


# --- cases 4 and 5: one bad row ---------------------------------------------------------------------


async def test_one_bad_slot_never_takes_the_others(world: World) -> None:
    offer_id = await offer(world)
    rows = [orjson.dumps(slot(offer_id, ref)) for ref in ("one", "two", "three", "four", "five", "six")]
    rows[1] = rows[1].replace(b'"two"', b'"SG-\\ud83d"')
    rows[3] = rows[3].replace(b"10:00:00Z", b"10:00:00+16:00")
    rows[4] = rows[4].replace(b'"capacity":5', b'"capacity":5,"capacity":6')
    raw = b'{"slots": [' + b",".join(rows) + b"]}"
    answer = await world.post("employer_a", "/v1/slots/bulk", raw)
    assert answer.status_code == 200, answer.text
    results = answer.json()["results"]
    assert [one["status"] for one in results] == [
        "created",
        "refused",
        "created",
        "refused",
        "refused",
        "created",
    ]
    told = [(fault["pointer"], fault["code"]) for one in results for fault in one["errors"]]
    assert told == [
        ("/slots/1/external_ref", "unfit_value"),
        ("/slots/3/sittings/0/starts_at", "out_of_range"),
        ("/slots/4/capacity", "duplicate_member"),
    ]


async def test_one_bad_pupil_never_takes_the_others_and_is_in_no_log(
    world: World,
    cluster: EmbeddedPostgres,
    caplog: pytest.LogCaptureFixture,
    logged: structlog.testing.LogCapture,
) -> None:
    caplog.set_level(logging.DEBUG)
    log = _postgres_log(cluster)
    size = len(log)
    path = f"/v1/schools/{world['school_c']}/pupils/bulk"
    hidden = "Zebediah"
    rows = [
        pupil(),
        pupil(known_as=f"{hidden}\0"),
        pupil(given_name=f" {hidden}"),
        pupil(date_of_birth=f"{hidden}"),
        pupil(),
    ]
    lines = b"\n".join(orjson.dumps(row) for row in rows)
    for body, media in (
        (orjson.dumps({"pupils": rows}), "application/json"),
        (lines, "application/x-ndjson"),
    ):
        answer = await world.post("school_c", path, body, Content_Type=media)
        assert answer.status_code == 200, answer.text
        data = answer.json()["data"]
        refused = [(fault["pointer"], fault["code"]) for one in data for fault in one["errors"]]
        assert refused == [
            ("/pupils/1/known_as", "unfit_value"),
            ("/pupils/2/given_name", "blank_at_end"),
            ("/pupils/3/date_of_birth", "wrong_type"),
        ]
        assert data[0]["status"] in {"created", "unchanged"}
        assert data[4]["status"] == data[0]["status"]
        assert hidden not in answer.text
    assert [one["event"] for one in logged.entries] == ["request"] * 2
    assert hidden not in f"{caplog.text} {logged.entries} {_postgres_log(cluster)[size:]}"


def _postgres_log(cluster: EmbeddedPostgres) -> str:
    """All that the server has said."""
    return (cluster.path / "postgres.log").read_text(errors="replace")


# --- case 6: evidence ---------------------------------------------------------------------------------

EVIDENCE = [
    (b'{"a": 18446744073709551616}', "/evidence/a", "out_of_range"), (b'{"a": "\\ud800"}', "/evidence/a", "unfit_value"),
    (b'{"a": ' + b"[" * 252 + b"]" * 252 + b"}", None, "too_deep"), (b'{"a": NaN}', "/evidence/a", "out_of_range"),
    (b'{"a": 1e400}', "/evidence/a", "out_of_range"), (b'{"a": 1, "a": 2}', "/evidence/a", "duplicate_member"),
    (b'{"a": "\\u0000"}', "/evidence/a", "unfit_value"), (b'{"\\u0000": 1}', "/evidence", "unfit_value"),
    (b'{"a": "' + b"x" * 10_001 + b'"}', "/evidence", "too_long"),
]  # fmt: skip


@pytest.mark.parametrize(("evidence", "pointer", "code"), EVIDENCE, ids=[code for _, _, code in EVIDENCE])
async def test_free_evidence_is_json_that_can_be_kept(
    world: World, evidence: bytes, pointer: str | None, code: str
) -> None:
    child = await world.pupil("school_c")
    row = {
        "pupil_id": child, "kind": "workplace_visit", "employer_name": "A bakery",
        "per_day": [{"on": "2026-11-10", "in_person_minutes": 60}],
    }  # fmt: skip
    good = orjson.dumps(row, default=str)
    bad = good[:-1] + b', "evidence": ' + evidence + b"}"
    single = bad[:-1] + f', "school_id": "{world["school_c"]}"}}'.encode()
    ((at, said),) = faults(await world.post("school_c", "/v1/encounters", single))
    assert said == code
    assert pointer in {at, None}
    path = f"/v1/schools/{world['school_c']}/encounters/bulk"
    answer = await world.post("school_c", path, b'{"encounters": [' + good + b"," + bad + b"," + good + b"]}")
    assert answer.status_code == 200, answer.text
    data = answer.json()["data"]
    assert [one["result"] for one in data] == ["recorded", "refused", "recorded"]
    ((at, said),) = [(one["pointer"], one["code"]) for one in data[1]["errors"]]
    assert (said, at.startswith("/encounters/1/evidence")) == (code, True)


async def test_evidence_that_is_kept_comes_back_as_it_was(world: World) -> None:
    child = await world.pupil("school_c")
    evidence = {
        "big": 2**64 - 1,
        "small": -(2**63),
        "e": 1.5e300,
        "text": "a\tb\nc é 😀",
        "deep": [[[{"a": None}]]],
    }
    body = {
        "school_id": world["school_c"], "pupil_id": child, "kind": "workplace_visit", "employer_name": "A bakery",
        "per_day": [{"on": "2026-11-10", "in_person_minutes": 60}], "evidence": evidence,
    }  # fmt: skip
    made = await world.post("school_c", "/v1/encounters", body)
    assert made.status_code == 201, made.text
    assert made.json()["evidence"] == evidence


# --- case 7: nothing is coerced ---------------------------------------------------------------------

COERCED = [
    ({"starts_on": 0, "ends_on": 0}, ["/starts_on", "/ends_on"]), ({"date_of_birth": 1394323200}, ["/date_of_birth"]),
    ({"date_of_birth": "1394323200"}, ["/date_of_birth"]), ({"date_of_birth": "2014-03-09 00:00:00"}, ["/date_of_birth"]),
    ({"identity_protected": "yes"}, ["/identity_protected"]), ({"identity_protected": 1.0}, ["/identity_protected"]),
    ({"characteristics": {"eal": {"value": "off"}}}, ["/characteristics/eal/value"]),
    ({"characteristics": {"eal": {"value": 1}}}, ["/characteristics/eal/value"]),
    ({"characteristics": {"young_carer": {"value": "N"}}}, ["/characteristics/young_carer/value"]),
    ({"academic_year": "2026"}, ["/academic_year"]), ({"academic_year": 2026.0}, ["/academic_year"]),
    ({"nc_year": 8}, ["/nc_year"]), ({"external_ref": 5}, ["/external_ref"]),
]  # fmt: skip


@pytest.mark.parametrize(("given", "pointers"), COERCED, ids=repr)
async def test_a_pupil_is_taken_as_it_was_sent_or_not_at_all(
    world: World, given: dict[str, Any], pointers: list[str]
) -> None:
    path = f"/v1/schools/{world['school_c']}/pupils/bulk"
    answer = await world.post("school_c", path, {"pupils": [pupil(**given)]})
    (row,) = answer.json()["data"]
    assert row["status"] == "refused"
    assert [one["pointer"] for one in row["errors"]] == [f"/pupils/0{pointer}" for pointer in pointers]
    assert {one["code"] for one in row["errors"]} <= {"wrong_type", "not_one_of"}


@pytest.mark.parametrize("born", ["1989-12-31", "2101-01-01"])
async def test_a_birth_is_from_1990_to_today(world: World, born: str) -> None:
    path = f"/v1/schools/{world['school_c']}/pupils/bulk"
    answer = await world.post("school_c", path, {"pupils": [pupil(date_of_birth=born)]})
    assert [one["code"] for one in answer.json()["data"][0]["errors"]] == ["out_of_range"]


async def test_a_sitting_starts_at_a_moment_that_is_text(world: World) -> None:
    offer_id = await offer(world)
    for value in (1799999999, "1799999999", f"{IN_FIVE_WEEKS}", f"{IN_FIVE_WEEKS} 10:00:00Z", True, None):
        answer = await world.post("employer_a", "/v1/slots", slot(offer_id, str(uuid4()), starts_at=value))
        assert faults(answer) == [("/sittings/0/starts_at", "wrong_type")], value


@pytest.mark.parametrize("value", ["yes", "on", "1", "True", "TRUE", "t", "0", ""])
async def test_a_flag_in_a_url_is_true_or_false(world: World, value: str) -> None:
    assert faults(await world.get("trust", f"/v1/grants?live={value}")) == [("?live", "wrong_type")]


@pytest.mark.parametrize("value", ["1.0", "%2B5", "5%20", "1_0", "0x5", "five", "", "1e1", "٥"])
async def test_a_number_in_a_url_has_digits_and_nothing_else(world: World, value: str) -> None:
    assert faults(await world.get("trust", f"/v1/grants?limit={value}")) == [("?limit", "wrong_type")]


# --- case 8 -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["from", "to"])
async def test_a_midnight_without_an_offset_is_no_whole_day(world: World, name: str) -> None:
    for value, code in (
        ("2027-01-05T00:00:00", "offset_required"),
        ("2027-01-05 00:00:00", "wrong_type"),
        ("1799999999", "wrong_type"),
        ("9999-12-31", "out_of_range"),
        ("1999-12-31", "out_of_range"),
    ):
        assert faults(await world.get("school_a", f"/v1/open-slots?{name}={value}")) == [(f"?{name}", code)]
    for value in ("2027-01-05", "2027-01-05T00:00:00Z", "2100-12-31"):
        assert (await world.get("school_a", f"/v1/open-slots?{name}={value}")).status_code == 200


# --- case 9: references -------------------------------------------------------------------------------

SITE = {"name": "A site", "address": "1 Road", "town": "Stevenage", "postcode": "SG1 2FX"}
REFS = [
    ("SITE-T%20", "SITE-T ", "blank_at_end"), ("%20SITE-T", " SITE-T", "blank_at_end"),
    ("SITE%00T", "SITE\0T", "unfit_value"),
    ("SITE%E2%80%8BT", "SITE\u200bT", "unfit_value"), ("SITE%E2%80%AET", "SITE\u202eT", "unfit_value"),
    ("CAFE%CC%81", "CAFE\u0301", "not_nfc"), ("%C2%A0SITE", "\u00a0SITE", "blank_at_end"),
    ("x" * 201, "x" * 201, "too_long"), ("%20", " ", "blank_at_end"),
]  # fmt: skip


@pytest.mark.parametrize(("in_path", "in_body", "code"), REFS, ids=[one[2] + one[0][:14] for one in REFS])
async def test_a_reference_is_the_same_in_path_and_body_or_refused_in_both(
    world: World, in_path: str, in_body: str, code: str
) -> None:
    before = await world.fingerprint()
    put = await world.send("employer_a", "PUT", f"/v1/sites/by-ref/{in_path}", SITE)
    assert faults(put) == [("{external_ref}", code)]
    post = await world.post("employer_a", "/v1/sites", {**SITE, "external_ref": in_body})
    assert faults(post) == [("/external_ref", code)]
    asked = await world.get("employer_a", f"/v1/sites?external_ref={in_path}")
    assert faults(asked) == [("?external_ref", code)]
    assert await world.fingerprint() == before


@pytest.mark.parametrize("path", ["CAF%C9", "CAF%C8", "%FF", "A%ED%A0%80", "100%", "A%2", "A%zz", "%C0%80"])
async def test_a_path_that_is_not_utf_8_is_refused(world: World, path: str) -> None:
    assert await _raw_status(world, f"/v1/sites/by-ref/{path}") == (400, "bad_url")


async def _raw_status(world: World, path: str) -> tuple[int, str]:
    """The path as a server hands it on: httpx would mend it."""
    sent: list[dict[str, Any]] = []
    body, token = orjson.dumps(SITE), f"Bearer {world.tokens['employer_a']}"
    scope = {
        "type": "http", "asgi": {"version": "3.0"}, "http_version": "1.1", "method": "PUT", "scheme": "http",
        "path": unquote(path), "raw_path": path.encode(), "query_string": b"", "root_path": "",
        "headers": [(b"authorization", token.encode()), (b"content-type", b"application/json")],
        "client": ("127.0.0.1", 5), "server": ("test", 80),
    }  # fmt: skip

    async def receive() -> dict[str, Any]:
        return {"type": "http.request", "body": body, "more_body": False}

    async def send(message: Any) -> None:
        sent.append(message)

    await world.app(scope, receive, send)
    return sent[0]["status"], orjson.loads(sent[1]["body"])["code"]


async def test_a_query_that_is_not_utf_8_is_refused(world: World) -> None:
    for query in ("town=%E9", "town=%", "town=%zz"):
        answer = await world.get("school_a", f"/v1/open-slots?{query}")
        assert (answer.status_code, answer.json()["code"]) == (400, "bad_url"), query
    assert faults(await world.get("school_a", "/v1/open-slots?town=%00")) == [("?town", "unfit_value")]


async def test_nothing_is_stripped_silently(world: World) -> None:
    for body, pointer in (
        ({**SITE, "name": "A site "}, "/name"),
        ({**SITE, "town": " Stevenage"}, "/town"),
        ({**SITE, "name": " "}, "/name"),
        ({**SITE, "name": "A\nsite"}, "/name"),
    ):
        ((where, _),) = faults(await world.post("employer_a", "/v1/sites", body))
        assert where == pointer
    kept = await world.post("employer_a", "/v1/sites", {**SITE, "access": " Two lines:\n one of them. "})
    assert kept.json()["access"] == " Two lines:\n one of them. "


# --- case 10: repeated parameters -----------------------------------------------------------------------


async def test_a_parameter_that_is_given_twice_is_refused_by_name(world: World) -> None:
    for path, name in (
        ("/v1/bookings?state=requested&state=confirmed", "?state"),
        ("/v1/bookings?limit=5&limit=6", "?limit"),
        ("/v1/open-slots?kind=placement&kind=placement", "?kind"),
    ):
        assert faults(await world.get("school_a", path)) == [(name, "repeated_parameter")]


# --- cases 11 and 12: one reader ------------------------------------------------------------------------


async def test_a_byte_order_mark_is_taken_alike_everywhere(world: World) -> None:
    mark, offer_id = b"\xef\xbb\xbf", await offer(world)
    single = await world.post("employer_a", "/v1/sites", mark + orjson.dumps(SITE))
    assert single.status_code == 201, single.text
    slots = await world.post(
        "employer_a", "/v1/slots/bulk", mark + orjson.dumps({"slots": [slot(offer_id, "bom")]})
    )
    assert slots.json()["created"] == 1
    path = f"/v1/schools/{world['school_c']}/pupils/bulk"
    rows = [pupil(), pupil()]
    lines = mark + b"\n".join(orjson.dumps(row) for row in rows)
    for body, media in (
        (lines, "application/x-ndjson"),
        (mark + orjson.dumps({"pupils": rows}), "application/json"),
    ):
        answer = await world.post("school_c", path, body, Content_Type=media)
        assert answer.status_code == 200
        assert answer.json()["refused"] == 0, answer.text
    asked = await world.post("hub_a", "/graphql", mark + b'{"query": "{ viewer { today } }"}')
    assert asked.status_code == 200


@pytest.mark.parametrize("encoding", ["utf-16", "utf-16-le", "utf-32", "latin-1"])
async def test_json_is_in_utf_8_everywhere(world: World, encoding: str) -> None:
    text = orjson.dumps({**SITE, "name": "Café"}).decode()
    for who, path, raw in (
        ("employer_a", "/v1/sites", text.encode(encoding)),
        ("employer_a", "/v1/slots/bulk", f'{{"slots": [{text}]}}'.encode(encoding)),
        (
            "school_c",
            f"/v1/schools/{world['school_c']}/pupils/bulk",
            f'{{"pupils": [{text}]}}'.encode(encoding),
        ),
    ):
        answer = await world.post(who, path, raw)
        assert (answer.status_code, answer.json()["code"]) == (400, "bad_json"), path
    said = await world.post(
        "employer_a", "/v1/sites", SITE, Content_Type="application/json; charset=iso-8859-1"
    )
    assert (said.status_code, said.json()["code"]) == (415, "unsupported_media_type")


async def test_a_member_that_comes_twice_is_refused_by_name(world: World) -> None:
    raw = orjson.dumps(SITE)[:-1] + b', "name": "Another"}'
    assert faults(await world.post("employer_a", "/v1/sites", raw)) == [("/name", "duplicate_member")]
    path = f"/v1/schools/{world['school_c']}/pupils/bulk"
    whole = await world.post("school_c", path, b'{"pupils": [], "pupils": [{}]}')
    assert faults(whole) == [("/pupils", "duplicate_member")]


# --- encodings ------------------------------------------------------------------------------------------


async def test_gzip_is_taken_within_bounds_and_nothing_else(world: World) -> None:
    packed = gzip.compress(orjson.dumps(SITE))
    key = str(uuid4())
    made = await world.post("employer_a", "/v1/sites", packed, key=key, Content_Encoding="gzip")
    assert made.status_code == 201, made.text
    again = await world.post(
        "employer_a", "/v1/sites", orjson.dumps(SITE), key=key
    )  # the same request, not packed
    assert again.headers["idempotent-replayed"] == "true"
    asked = gzip.compress(b'{"query": "{ viewer { today } }"}')
    assert (await world.post("hub_a", "/graphql", asked, Content_Encoding="gzip")).status_code == 200
    bomb = gzip.compress(b" " * 50_000_000)
    for path in ("/v1/sites", "/graphql"):
        refused = await world.post("employer_a", path, bomb, Content_Encoding="gzip")
        assert (refused.status_code, refused.json()["code"]) == (413, "body_too_large"), path
        for raw in (packed[:-9], b"no gzip", packed + b"x"):
            broken = await world.post("employer_a", path, raw, Content_Encoding="gzip")
            assert (broken.status_code, broken.json()["code"]) == (400, "bad_encoding"), raw
        for other in ("br", "deflate", "zstd", "gzip, gzip"):
            answer = await world.post("employer_a", path, packed, Content_Encoding=other)
            assert (answer.status_code, answer.json()["code"]) == (415, "unsupported_encoding")
            assert answer.headers["accept-encoding"] == "gzip"


@pytest.mark.parametrize("member", ["url", "event_types", "signatures", "concurrency"])
async def test_a_webhook_endpoint_is_never_without(world: World, member: str) -> None:
    """Null stands where something can be missing; `test_bodies` of the sweep sends it to every member of every body."""
    made = await world.post("school_a", "/v1/webhook-endpoints", {"url": f"http://127.0.0.1:9/{member}"})
    path = f"/v1/webhook-endpoints/{made.json()['id']}"
    refused = await world.send("school_a", "PATCH", path, {member: None}, If_Match="*")
    assert refused.status_code == 422, refused.text
    assert refused.json()["errors"][0]["pointer"] == f"/{member}"
    lasting = await world.send(
        "school_a", "PATCH", path, {"description": None, "rate_per_second": None}, If_Match="*"
    )
    assert lasting.status_code == 200, lasting.text
