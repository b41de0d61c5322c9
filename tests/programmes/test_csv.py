"""Parts of a programme as CSV: out and in again, row by row, and every broken table refused with its row and field."""

import csv
import io
from typing import Any
from uuid import uuid4

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from app.core.errors import Problem
from app.core.values import UNFIT
from app.programmes.parts import MOST
from app.rest.programme_sheets import COLUMNS, read, write
from tests.programmes.pilot import TODAY, Pilot, cost, pilot
from tests.world import World

pytestmark = pytest.mark.calendar

HEADS = {part: ",".join(column.name for column in columns) for part, columns in COLUMNS.items()}


async def _filled(world: World, owner: str = "hub_a") -> Pilot:
    run = await pilot(world, owner)
    strand = await run.strand("tours")
    await run.made("strands", {"code": "-odd", "name": '=SUM(A1:A9), "quoted"', "model": "Two\nlines"})
    await run.enrol("school_a", strand, own_budget="none")
    await run.enrol("school_b", state="invited")
    await run.made("targets", {"measure": "share", "value": 30, "characteristic": "sen:K", "due_on": TODAY})
    await run.made("targets", {"measure": "minutes", "value": 3000, "strand_id": strand})
    await run.allocate("school_a", 12_345)
    await run.made("costs", cost(world, "school_a", 99, external_ref="@inv", strand_id=strand))
    await run.made("costs", cost(world, "school_a", 5, stage="spend", paid_by="parent"))
    return run


@pytest.mark.parametrize("part", COLUMNS)
async def test_what_is_exported_is_imported_unchanged(world: World, part: str) -> None:
    run = await _filled(world)
    table = await run.export(part)
    rows = len(list(csv.reader(io.StringIO(table, newline="")))) - 1
    assert rows >= 1
    state, lines = await _state(run), await run.rows("changes")
    for query in ("", "&atomic=true"):
        done = await run.load(part, table, query=query)
        assert (done.status_code, done.json()["unchanged"]) == (200, rows), done.text
    assert (await _state(run), await run.rows("changes")) == (state, lines)
    assert await run.export(part) == table


async def _state(run: Pilot) -> list[Any]:
    version = (await run.world.get(run.owner, run.path)).headers["etag"]
    return [version, *[await run.rows(part) for part in COLUMNS]]


async def test_an_export_goes_into_another_programme(world: World) -> None:
    run, other = await _filled(world), await pilot(world)
    for part in ("strands", "schools", "targets", "allocations", "costs"):
        table = await run.export(part)
        if part == "costs":  # the ids are the other programme's
            lines = [line.split(",", 1) for line in table.splitlines()]
            table = "\r\n".join(f"{'id' if at == 0 else ''},{rest}" for at, (_, rest) in enumerate(lines))
        done = await other.load(part, table, query="&atomic=true")
        assert done.status_code == 200, done.text
        assert done.json()["refused"] == done.json()["unchanged"] == 0
        if part != "costs":
            assert await other.export(part) == await run.export(part)
    assert len(await other.rows("costs")) == 2


async def test_the_cells_are_safe_to_open_and_money_is_in_pounds(world: World) -> None:
    run = await _filled(world)
    strands = list(csv.reader(io.StringIO(await run.export("strands"), newline="")))
    assert strands[1] == ["'-odd", '\'=SUM(A1:A9), "quoted"', "Two\nlines"]
    assert (await run.export("allocations")).split("\r\n")[1] == f"{await _urn(world, 'school_a')},123.45,GBP"
    assert "'@inv" in await run.export("costs")
    assert (await run.export("schools")).startswith(HEADS["schools"] + "\r\n")


async def test_rows_are_answered_one_by_one_and_good_ones_are_kept(world: World) -> None:
    run = await _filled(world)
    urns = {name: await _urn(world, name) for name in ("school_a", "school_c", "school_b")}
    table = (
        f"{HEADS['schools']}\r\n"
        f"{urns['school_a']},tours,enrolled,,too_little\r\n"  # changed
        f"{urns['school_c']},,enrolled,2026-09-01,none\r\n"  # new
        f"{world['school_b']},,invited,,unknown\r\n"  # as it is
        f"{urns['school_b']},tours,enrolled,,unknown\r\n"  # not a member
        "999999,,enrolled,,unknown\r\n"
        f"{urns['school_c']},nowhere,enrolled,,unknown\r\n"
        f"{urns['school_c']},,enrolled,,sufficient\r\n"  # twice
        f"{urns['school_c']},tours,enrolled,1.9.2026,lots\r\n"
        "short\r\n"
    )
    done = await run.load("schools", table)
    assert done.status_code == 200, done.text
    said = done.json()
    assert [said[name] for name in ("created", "updated", "unchanged", "refused")] == [1, 1, 1, 6]
    shown = [
        (row["line"], row["status"], [(one["field"], one["code"]) for one in row["errors"]])
        for row in said["data"]
    ]
    assert shown == [
        (2, "updated", []), (3, "created", []), (4, "unchanged", []), (5, "refused", [("state", "invite_only")]),
        (6, "refused", [("school", "unknown_school")]), (7, "refused", [("strand", "unknown_strand")]),
        (8, "refused", [(None, "repeated_row")]),
        (9, "refused", [("joined_on", "wrong_type"), ("own_budget", "not_one_of")]),
        (10, "refused", [(None, "wrong_cell_count")]),
    ]  # fmt: skip
    assert said["data"][3]["errors"][0]["pointer"] == "/3/state"
    rows = {row["school_id"]: row for row in await run.rows("schools")}
    assert rows[str(world["school_a"])]["own_budget"] == "too_little"
    assert rows[str(world["school_a"])]["joined_on"] == TODAY.isoformat()  # a blank cell left it as it was
    assert rows[str(world["school_c"])]["joined_on"] == "2026-09-01"
    left = await run.load("schools", f"{HEADS['schools']}\n{urns['school_c']},,left,,none\n")
    assert left.json()["data"][0]["status"] == "updated", left.text


async def _urn(world: World, name: str) -> str:
    return str(await world.owner.fetchval("SELECT urn FROM organisations WHERE id = $1", world[name]))


async def test_one_refused_row_refuses_all_where_that_is_asked_for(world: World) -> None:
    run = await _filled(world)
    before = await world.fingerprint()
    urn = await _urn(world, "school_a")
    table = f"{HEADS['allocations']}\n{urn},200.00,GBP\n{urn},1.999,EUR\n"
    answer = await run.load("allocations", table, query="&atomic=true")
    assert answer.status_code == 422, answer.text
    assert [(one["pointer"], one["code"]) for one in answer.json()["errors"]] == [
        ("/1/amount", "too_many_decimals"), ("/1/currency", "unsupported_currency"),
    ]  # fmt: skip
    assert answer.json()["errors"][0]["detail"].startswith("Line 3: ")
    assert await world.fingerprint() == before


@pytest.mark.parametrize(
    ("cells", "field", "code"),
    [
        ("1.005,GBP", "amount", "too_many_decimals"),
        ("5.00,EUR", "currency", "unsupported_currency"),
        ("5.00,", "currency", "required"),
        (",GBP", "amount", "required"),
        ("£5,GBP", "amount", "not_an_amount"),
        ("-5,GBP", "amount", "not_an_amount"),
        ("5.,GBP", "amount", "not_an_amount"),
        ("1e3,GBP", "amount", "not_an_amount"),
        ('"1,000.00",GBP', "amount", "not_an_amount"),
        ("٣,GBP", "amount", "not_an_amount"),
        ("9999999999999999,GBP", "amount", "not_an_amount"),
        ("1000.01,GBP", "amount", "over_budget"),
        ("0.98,GBP", "amount", "below_committed"),
    ],
)
async def test_money_that_is_none_is_refused_by_row_and_field(
    world: World, cells: str, field: str, code: str
) -> None:
    run = await _filled(world)
    state = await _state(run)
    done = await run.load("allocations", f"{HEADS['allocations']}\n{await _urn(world, 'school_a')},{cells}\n")
    assert (done.status_code, done.json()["refused"]) == (200, 1), done.text
    (row,) = done.json()["data"]
    assert (row["line"], row["errors"][0]["field"], row["errors"][0]["code"]) == (2, field, code)
    assert await _state(run) == state


async def test_money_moves_between_schools_in_one_table_whatever_its_order(world: World) -> None:
    run = await pilot(world)
    for school, pence in (("school_a", 60_000), ("school_c", 40_000)):
        await run.enrol(school)
        await run.allocate(school, pence)
    rows = [f"{await _urn(world, 'school_c')},600,GBP", f"{await _urn(world, 'school_a')},400,GBP"]
    done = await run.load("allocations", "\n".join([HEADS["allocations"], *rows]), query="&atomic=true")
    assert (done.status_code, done.json()["updated"]) == (200, 2), done.text
    over = await run.load("allocations", f"{HEADS['allocations']}\n{rows[1].replace('400', '400.01')}\n")
    assert over.json()["data"][0]["errors"][0]["code"] == "over_budget"


async def test_a_school_that_is_named_twice_is_refused_where_it_is_named_again(world: World) -> None:
    run = await pilot(world)
    await run.enrol("school_a")
    await run.allocate("school_a", 10_000)
    urn = await _urn(world, "school_a")
    done = await run.load("allocations", f"{HEADS['allocations']}\n{urn},200,GBP\n{urn},50,GBP\n")
    assert [(row["line"], row["status"]) for row in done.json()["data"]] == [(2, "updated"), (3, "refused")]
    assert done.json()["data"][1]["errors"][0]["code"] == "repeated_row"


async def test_costs_change_in_one_table_whatever_its_order(world: World) -> None:
    run = await pilot(world)
    await run.enrol("school_a")
    await run.allocate("school_a", 5_000)
    for ref, pence in (("one", 4_000), ("two", 1_000)):
        await run.made("costs", cost(world, "school_a", pence, external_ref=ref))
    rest = f"{TODAY},{await _urn(world, 'school_a')},,,coach,commitment"
    rows = [f",new,{rest},programme,5,GBP", f",two,{rest},programme,30,GBP", f",one,{rest},programme,15,GBP"]
    done = await run.load("costs", "\n".join([HEADS["costs"], *rows]), query="&atomic=true")
    assert (done.status_code, done.json()["updated"], done.json()["created"]) == (200, 2, 1), done.text
    rows = [f",two,{rest},programme,45,GBP", f",one,{rest},school,15,GBP"]  # who pays another pays less
    assert (await run.load("costs", "\n".join([HEADS["costs"], *rows]))).json()["updated"] == 2


async def test_a_blank_strand_is_the_bookings_and_the_same_table_again_changes_nothing(world: World) -> None:
    run = await pilot(world)
    strand = await run.strand("tours")
    await run.enrol("school_a")
    await run.allocate("school_a", 1_000)
    asked = {"school_id": world["school_a"], "slot_id": await world.slot(), "places": 2}
    asked |= {"programme_id": run.id, "strand_id": strand}
    booking = (await world.post("school_a", "/v1/bookings", asked)).json()["id"]
    row = f",inv,{TODAY},{await _urn(world, 'school_a')},,{booking},coach,spend,programme,2.50,GBP"
    for status in ("created", "unchanged", "unchanged"):
        done = await run.load("costs", f"{HEADS['costs']}\n{row}\n")
        assert done.json()["data"][0]["status"] == status, done.text
    (line,) = await run.rows("costs")
    assert line["strand_id"] == strand
    await run.strand("projects")
    wrong = await run.load(
        "costs", f"{HEADS['costs']}\n{row.replace(f',,{booking}', f',projects,{booking}')}\n"
    )
    (fault,) = wrong.json()["data"][0]["errors"]
    assert (fault["field"], fault["code"]) == ("strand", "strand_differs")


async def test_a_reference_of_another_school_is_refused_in_its_row_and_the_others_stand(world: World) -> None:
    run = await pilot(world)
    for school in ("school_a", "school_c"):
        await run.enrol(school)
    await run.allocate("school_a", 1_000)
    await run.made("costs", cost(world, "school_c", 5, paid_by="school", external_ref="theirs"))
    await run.add("costs", cost(world, "school_a", 900, external_ref="ours"), who="school_a")
    rest = f"{TODAY},{await _urn(world, 'school_a')},,,coach,spend,programme"
    rows = [f",new,{rest},5.00,GBP", f",theirs,{rest},1.00,GBP", f",ours,{rest},4.00,GBP"]
    table = "\n".join([HEADS["costs"], *rows])
    before = await world.fingerprint()
    whole = await run.load("costs", table, who="school_a", query="&atomic=true")
    await run.refused(whole, 422, "external_ref_taken", "/1/external_ref")
    assert whole.json()["errors"][0]["detail"].startswith("Line 3: ")
    assert await world.fingerprint() == before
    done = await run.load("costs", table, who="school_a")
    said = done.json()["data"]
    assert [row["status"] for row in said] == ["created", "refused", "updated"], done.text
    assert (said[1]["line"], said[1]["errors"][0]["field"]) == (3, "external_ref")
    lines = {row["external_ref"]: row["amount_pence"] for row in await run.rows("costs")}
    assert lines == {"theirs": 5, "new": 500, "ours": 400}


async def test_money_that_a_refused_row_would_have_given_back_is_not_spent(world: World) -> None:
    """A line is to take another school's reference and less money: it is refused, so what it has is not free."""
    run = await pilot(world)
    for school in ("school_a", "school_c"):
        await run.enrol(school)
    await run.allocate("school_a", 1_000)
    await run.made("costs", cost(world, "school_c", 5, paid_by="school", external_ref="theirs"))
    held = (await run.add("costs", cost(world, "school_a", 900, external_ref="ours"), who="school_a")).json()
    rest = f"{TODAY},{await _urn(world, 'school_a')},,,coach,spend,programme"
    rows = [f",new,{rest},5.00,GBP", f"{held['id']},theirs,{rest},1.00,GBP"]
    done = await run.load("costs", "\n".join([HEADS["costs"], *rows]), who="school_a")
    faults = [row["errors"][0]["code"] for row in done.json()["data"]]
    assert faults == ["over_allocation", "external_ref_taken"], done.text
    assert {row["external_ref"] for row in await run.rows("costs")} == {"theirs", "ours"}


async def test_many_references_of_another_school_are_each_refused(world: World) -> None:
    run = await pilot(world)
    for school in ("school_a", "school_c"):
        await run.enrol(school)
    urns = [await _urn(world, school) for school in ("school_c", "school_a")]
    tables = [
        "\n".join([HEADS["costs"], *(f",r{at},{TODAY},{urn},,,kit,spend,school,1,GBP" for at in range(60))])
        for urn in urns
    ]
    assert (await run.load("costs", tables[0])).json()["created"] == 60
    table = f"{tables[1]}\n,mine,{TODAY},{urns[1]},,,kit,spend,school,1,GBP"
    answer = (await run.load("costs", table, who="school_a")).json()
    assert (answer["created"], answer["refused"]) == (1, 60)
    assert {fault["code"] for row in answer["data"] for fault in row["errors"]} == {"external_ref_taken"}
    single = await run.add(
        "costs", cost(world, "school_a", 1, paid_by="school", external_ref="r7"), who="school_a"
    )
    await run.refused(single, 409, "external_ref_taken", "/external_ref")


async def test_the_largest_amount_goes_out_and_comes_in(world: World) -> None:
    run = await pilot(world, budget_pence=10**14)
    await run.enrol("school_a")
    await run.allocate("school_a", 10**14)
    table = await run.export("allocations")
    assert "1000000000000.00" in table
    assert (await run.load("allocations", table)).json()["unchanged"] == 1
    more = await run.load("allocations", table.replace("000.00", "000.01"))
    assert more.json()["data"][0]["errors"][0]["code"] == "out_of_range"


async def test_a_line_of_costs_that_differs_takes_the_place_of_the_old_one(world: World) -> None:
    run = await _filled(world)
    table = await run.export("costs")
    old = {row["external_ref"]: row for row in await run.rows("costs")}
    done = await run.load("costs", table.replace("0.99", "1.99"))
    assert (done.status_code, done.json()["updated"], done.json()["unchanged"]) == (200, 1, 1), done.text
    new = {row["external_ref"]: row for row in await run.rows("costs")}
    assert (new["@inv"]["amount_pence"], new["@inv"]["id"] == old["@inv"]["id"]) == (199, False)
    lines = [one for one in await run.rows("changes") if one["part"] == "cost"]
    assert [one["change"] for one in lines] == ["added", "added", "removed", "added"]
    wild = (
        f"{HEADS['costs']}\n{uuid4()},,{TODAY},{await _urn(world, 'school_a')},,,coach,spend,school,1,GBP\n"
    )
    assert (await run.load("costs", wild)).json()["data"][0]["errors"][0]["code"] == "unknown_cost"


async def test_a_school_exports_and_imports_the_costs_of_its_own(world: World) -> None:
    run = await _filled(world)
    assert (await run.export("costs", "school_a")).count("\r\n") == 3
    row = f",ours,{TODAY},{await _urn(world, 'school_a')},,,lunch,spend,school,4.50,GBP"
    done = await run.load("costs", f"{HEADS['costs']}\n{row}\n", who="school_a")
    assert done.json()["created"] == 1, done.text
    assert (await run.load("strands", f"{HEADS['strands']}\na,b,c\n", who="school_a")).status_code == 404


# --- tables that are none ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("head", "missing", "unknown"),
    [
        ("school,amount", ["currency"], []),
        ("school,amount,currency,note", [], ["note"]),
        ("School,amount,currency", ["school"], ["School"]),
        ("amount,school,currency", [], []),
        ("school;amount;currency", ["school", "amount", "currency"], ["school;amount;currency"]),
        ("", ["school", "amount", "currency"], []),
    ],
)
async def test_a_wrong_header_is_refused_and_says_what_is_wrong(
    world: World, head: str, missing: list[str], unknown: list[str]
) -> None:
    run = await pilot(world)
    before = await world.fingerprint()
    answer = await run.load("allocations", f"{head}\n900006,1.00,GBP\n" if head else "")
    said = answer.json()
    assert (answer.status_code, said["code"]) == (422, "wrong_header"), answer.text
    assert (said["missing"], said["unknown"]) == (missing, unknown)
    for name in missing + unknown:
        assert name in said["detail"]
    assert await world.fingerprint() == before


@pytest.mark.parametrize(
    ("body", "media", "status", "code"),
    [
        (b"code,name,model\n\xff\xfe,b,c\n", "text/csv", 400, "not_utf8"),
        (b'code,name,model\na,"b"x,c\n', "text/csv", 400, "bad_csv"),
        (b"code,name,model\n", "application/json", 415, "unsupported_media_type"),
        (b"code,name,model\n", "text/csv; charset=windows-1252", 415, "unsupported_media_type"),
        (b"code,name,model\n" + b"a,b,c\n" * (MOST + 1), "text/csv", 422, "row_count"),
        (None, "text/csv", 413, "body_too_large"),
    ],
)
async def test_what_is_no_table_is_refused_whole(
    world: World, body: bytes | None, media: str, status: int, code: str
) -> None:
    run = await pilot(world)
    before = await world.fingerprint()
    body = b"a" * (world.app.state.house.body_limit + 1) if body is None else body
    answer = await run.load("strands", body, media=media)
    await run.refused(answer, status, code, None)
    assert await world.fingerprint() == before


@pytest.mark.parametrize(
    ("body", "words"),
    [
        (b"code,name,model\na,b,c\n\xa35,b,c\n", "line 3 "),
        (b'code,name,model\na,b,c\nd,"e,f\ng,h,i\nj,k,l\n', "begins on line 3:"),
        (b"code,name,model,,\na,b,c,,\n", "unknown: (no name)"),
        (b"code;name;model\na;b;c\n", "separated by commas"),
        (b"code\tname\tmodel\n", "separated by commas"),
    ],
)
async def test_a_broken_table_is_refused_with_where_it_breaks(world: World, body: bytes, words: str) -> None:
    answer = await (await pilot(world)).load("strands", body)
    assert answer.status_code in {400, 422}
    assert words in answer.json()["detail"], answer.text


async def test_a_row_that_was_emptied_is_no_row_and_a_day_has_one_form(world: World) -> None:
    run = await pilot(world)
    table = f"strand,measure,characteristic,value,due_on\n,,,,\n,schools,,9,{TODAY:%G-W%V-%u}\n ,,,,\n,schools,,9,{TODAY}\n"
    said = (await run.load("targets", table)).json()["data"]
    assert [(row["line"], row["status"]) for row in said] == [(3, "refused"), (5, "created")]
    assert said[0]["errors"][0]["field"] == "due_on"


@pytest.mark.parametrize("ends", ["\n", "\r\n"])
@pytest.mark.parametrize("bom", [b"", b"\xef\xbb\xbf"])
async def test_either_line_end_and_a_byte_order_mark_are_taken(world: World, ends: str, bom: bytes) -> None:
    run = await pilot(world)
    table = ends.join(["code,name,model", "tours,Tours,", "", '"a,b","Say ""hello""",x', ""])
    done = await run.load("strands", bom + table.encode(), media='text/csv; charset="UTF-8"')
    assert [row["line"] for row in done.json()["data"]] == [2, 4], done.text
    assert {row["code"]: row["name"] for row in await run.rows("strands")} == {
        "tours": "Tours", "a,b": 'Say "hello"'
    }  # fmt: skip


async def test_the_same_key_answers_again_and_asks_for_a_known_part(world: World) -> None:
    run = await pilot(world)
    path, key = f"{run.path}/import?part=strands", str(uuid4())
    answers = [
        await world.post("hub_a", path, b"code,name,model\na,b,\n", key=key, Content_Type="text/csv")
        for _ in range(2)
    ]
    assert answers[0].json() == answers[1].json()
    assert answers[1].headers["idempotent-replayed"] == "true"
    for answer in (await run.load("cakes", ""), await world.get("hub_a", f"{run.path}/export?part=cakes")):
        await run.refused(answer, 422, "not_one_of", "?part")


# --- any text goes out and comes in again ------------------------------------------------------------------------

TEXT = (
    st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), min_size=1, max_size=20)
    .map(str.strip)
    .filter(lambda text: text and text.isprintable() and not UNFIT.search(text))
)
ROWS = st.lists(
    st.fixed_dictionaries({"code": TEXT, "name": TEXT, "model": st.none() | TEXT}),
    unique_by=lambda row: row["code"],
    max_size=5,
)


@settings(max_examples=300, deadline=None)
@given(ROWS)
def test_any_text_is_read_as_it_was_written(rows: list[dict[str, Any]]) -> None:
    back = read("strands", write("strands", rows, {}, {}).encode())
    assert not [one for one in back.rows if one.faults]
    order = {row["code"]: row for row in rows}
    assert {one.given["code"]: dict(one.given) for one in back.rows} == order


@given(st.binary(max_size=200))
def test_no_bytes_break_the_reader(body: bytes) -> None:
    for start in (b"", b"code,name,model\n"):
        said = None
        try:
            read("strands", start + body)
        except Problem as refused:
            said = refused.code
        assert said in {None, "not_utf8", "bad_csv", "wrong_header"}
