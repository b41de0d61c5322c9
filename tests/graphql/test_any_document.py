"""However a document is made, it takes a handful of statements: none for each alias, each element or each level."""

from collections import Counter
from collections.abc import AsyncIterator
from datetime import timedelta
from typing import Any

import pytest
import pytest_asyncio
from graphql import parse, validate

from app.core.clock import rfc3339, wall_now
from app.core.roles import Dsns
from app.graphql import session
from app.graphql.ids import node_id
from app.graphql.limits import RULES
from app.graphql.schema import schema
from app.rules.reporting import closing_until, reporting_day_until
from tests.graphql.any_document import Documents, one_of
from tests.graphql.test_programmes import Programmes, opened
from tests.programme_counted import begin
from tests.pupils_counted import ORGS, TODAY, YEAR

pytestmark = pytest.mark.calendar

OTHERS = ("fir", "hub_b", "other_trust")
SEEN = {
    "hub_a": ("hub_a", "ash", "beech", "cedar", "dogwood"),
    "authority": ("hub_a", "ash", "beech", "cedar"),
    "pilot_hub": ("pilot_hub", "oak", "pine", "rowan"),
    "trust": ("trust", "ash", "elm", "hub_a"),
    "pilot_trust": ("pilot_trust", "pilot_hub", "oak", "pine"),
    "ash": ("ash", "hub_a", "trust"),
    "vendor": ("beech", "hub_a"),
}
"""Who asks, and what of it may be found."""
TRUSTS = ("trust", "pilot_trust", "other_trust")
MOST, MOST_DATED = 30, 60
"""Statements of a document that asks of now, and of one that asks of as many moments as it may."""


@pytest_asyncio.fixture(scope="module")
async def face(dsns: Dsns) -> AsyncIterator[Programmes]:
    async with opened(dsns) as made:
        yield made


def _documents(face: Programmes, who: str, seed: int, moments: int) -> Documents:
    ids = face.counted.ids
    seen = SEEN[who]
    schools, hubs, trusts = (
        [node_id(kind.title(), ids[name]) for name in (*seen, *OTHERS) if ORGS[name] == kind]
        for kind in ("school", "hub", "trust")
    )
    programmes = [node_id("Programme", one.id) for one in (face.pilot, face.trusts)]
    nobody = "00000000-0000-0000-0000-000000000001"
    known = wall_now() - timedelta(minutes=5)
    of_moments = {
        "asAt": one_of([reporting_day_until(TODAY - timedelta(weeks=at)) for at in range(moments)]),
        "knownAt": one_of([rfc3339(closing_until(known - timedelta(weeks=at))) for at in range(moments)]),
        "academicYear": one_of([YEAR - at for at in range(moments)], "{}"),
        "until": one_of([TODAY + timedelta(days=at) for at in range(moments)]),
    }
    return Documents(
        schema._schema,
        {
            **(of_moments if moments else {}),
            "node.id": one_of([*schools, *hubs, *trusts, *programmes]),
            "school.id": one_of([*schools, nobody]),
            "hub.id": one_of(hubs),
            "trust.id": one_of(trusts),
            "programme.id": one_of([*programmes, nobody]),
            "first": one_of([1, 2, 3], "{}"),
        },
        seed,
    )


def _allowed(query: str) -> bool:
    return not validate(schema._schema, parse(query), [*RULES])


def _codes(found: dict[str, Any]) -> list[str]:
    """Why parts of a document were refused."""
    said = [one["extensions"] for one in found.get("errors", ())]
    return [inner["code"] for one in said for inner in one.get("errors", [one])]


@pytest.mark.parametrize("who", SEEN)
async def test_documents_of_any_shape_take_a_handful_of_statements(face: Programmes, who: str) -> None:
    why: Counter[str] = Counter()
    for seed in range(16):
        dated = seed % 2
        query = _documents(face, who, seed, 4 * dated).draw(roots=3 + seed % 7)
        if _allowed(query):
            sent, found = await face.sent(who, query)
            why.update(_codes(found))
            assert sent <= (MOST_DATED if dated else MOST), query
    assert set(why) <= {"not_found", "out_of_range", "not_by_year_group", "too_many_moments"}
    assert why["too_many_moments"], "some asked of more moments than one may"


ABOUT = """coverage(by: KIND) { totalCount } gaps(by: SCHOOL) { totalCount } capacity(by: KEY_STAGE) { totalCount }
  variety(by: SCHOOL) { totalCount } employers(by: SIZE) { total { employers } }"""
FRAGMENTS = (
    "fragment Of on School { name hub { name schools { totalCount edges { node { name } } } } "
    "figures { figures { pupils } } "
    + ABOUT
    + """} fragment In on Programme { name strands { code figures { minutes } } schools { totalCount }
  figures { minutes } progress { reached } budgets { schools } }"""
)


def _all(face: Programmes, most: int) -> str:
    """Every question there is, of the whole and of so many schools, pages, programmes and trusts."""
    ids = face.counted.ids
    schools = [ids[name] for name in ("oak", "pine", "ash", "elm", "rowan", "fir")]
    trusts = [ids[name] for name in ("pilot_trust", "trust", "other_trust")]
    programmes = [node_id("Programme", one.id) for one in (face.pilot, face.trusts)]
    fields = [f'a{at}: school(id: "{one}") {{ ...Of }}' for at, one in enumerate(schools[:most])]
    fields += [f"b{at}: schools(first: {at + 1}) {{ edges {{ node {{ ...Of }} }} }}" for at in range(most)]
    fields += [f'c{at}: node(id: "{one}") {{ ...In }}' for at, one in enumerate(programmes[:most])]
    fields += [f"d{at}: programmes(first: {at + 1}) {{ edges {{ node {{ ...In }} }} }}" for at in range(most)]
    fields += [f'e{at}: trust(id: "{one}") {{ name }}' for at, one in enumerate(trusts[:most])]
    return f"{{ viewer {{ organisation {{ name }} }} {ABOUT} {' '.join(fields)} }} {FRAGMENTS}"


async def test_aliases_pages_and_levels_are_read_together(face: Programmes) -> None:
    """The same of one school, page and programme, and of as many as aliases allow."""
    for who in ("pilot_trust", "pilot_hub", "oak"):
        few, found = await face.sent(who, _all(face, 1))
        assert set(_codes(found)) <= {"not_found"}
        many, found = await face.sent(who, _all(face, 6))
        assert set(_codes(found)) <= {"not_found"}
        assert many <= few <= MOST


async def test_who_counts_many_schools_has_the_same_answer_school_by_school(
    face: Programmes, monkeypatch: pytest.MonkeyPatch
) -> None:
    query = _all(face, 6).replace(ABOUT, "", 1)  # nothing of the whole, which would be known to all
    few, found = await face.sent("pilot_trust", query)
    monkeypatch.setattr(session, "FEW", 0)
    many, again = await face.sent("pilot_trust", query)
    assert again == found
    assert few <= many <= 2 * MOST


async def test_a_moment_in_other_words_is_read_once(face: Programmes) -> None:
    """An academic year that is over ends with its last day, whatever later day is asked of."""
    days = [TODAY - timedelta(days=at) for at in range(8)]
    fields = [
        f'{what}(academicYear: {YEAR - 2}, asAt: "{day}", by: SCHOOL) {{ totalCount }}'
        for day in days
        for what in ("coverage", "gaps", "variety")
    ]
    sent = []
    for count in (3, len(fields)):
        query = " ".join(f"a{at}: {one}" for at, one in enumerate(fields[:count]))
        number, found = await face.sent("pilot_trust", f"{{ {query} }}")
        assert not _codes(found)
        sent.append(number)
    assert sent[0] == sent[1]


async def test_what_waits_behind_another_reading_is_still_read_together(face: Programmes) -> None:
    for at in range(12):
        await begin(face.counted, "hub_b", f"Programme {at:02}")

    def asked(programmes: int) -> str:
        of = "figures { minutes } strands { figures { days } } progress { reached } budgets { schools }"
        return f"{{ {ABOUT} programmes(first: {programmes}) {{ edges {{ node {{ {of} }} }} }} }}"

    one, found = await face.sent("hub_b", asked(1))
    assert not _codes(found)
    twelve, found = await face.sent("hub_b", asked(50))
    assert len(found["data"]["programmes"]["edges"]) == 12
    assert twelve == one


@pytest.mark.parametrize(
    "who", ["ash", "trust", "hub_a", "vendor", "stranger_vendor", "other_trust", "employer"]
)
async def test_what_is_read_together_is_told_to_whom_it_belongs(face: Programmes, who: str) -> None:
    """Ids of one's own beside those of others, in one document: each answers as it does alone."""
    ids = face.counted.ids
    urns = {
        row["urn"] for row in await face.counted.owner.fetch("SELECT urn FROM organisations WHERE urn <> ''")
    }
    asked = [f'school(id: "{ids[name]}") {{ name hub {{ name }} figures {{ figures {{ pupils }} }} }}'
             for name in ("ash", "beech", "elm", "oak", "fir", "dogwood")]  # fmt: skip
    asked += [f'school(urn: "{one}") {{ name }}' for one in sorted(urns)[:6]]
    asked += [
        f'hub(id: "{ids[name]}") {{ name schools {{ totalCount }} }}'
        for name in ("hub_a", "hub_b", "pilot_hub")
    ]
    asked += [
        f'trust(id: "{ids[name]}") {{ name schools {{ totalCount }} }}' for name in ("trust", "other_trust")
    ]
    asked += [
        f'programme(id: "{one.id}") {{ name figures {{ minutes }} }}' for one in (face.pilot, face.trusts)
    ]
    _, together = await face.sent(
        who, "{ " + " ".join(f"a{at}: {one}" for at, one in enumerate(asked)) + " }"
    )
    for at, one in enumerate(asked):
        _, alone = await face.sent(who, f"{{ a{at}: {one} }}")
        assert together["data"][f"a{at}"] == alone["data"][f"a{at}"], one
    seen = {one["name"] for one in list(together["data"].values())[:6] if one}
    mine = {
        "ash": {"Ash"},
        "trust": {"Ash", "Elm"},
        "hub_a": {"Ash", "Beech", "Dogwood"},
        "vendor": {"Beech"},
    }
    assert seen == mine.get(who, set())
