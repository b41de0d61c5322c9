"""Targets about a characteristic, as a hub reads them: no few young people follow, whatever targets it sets itself."""

from fractions import Fraction
from typing import Any
from uuid import UUID

from hypothesis import given, settings
from hypothesis import strategies as st

from app.dashboards.traits import Aim, withheld
from app.rules.characteristics import PEERS, VALUES
from app.rules.words import FieldGroup

NUMBERS = st.one_of(st.integers(0, 12), st.integers(0, 60))
SMALL = 10


def aim(at: int, said: str, part: int, base: int, strand: int | None = None, *, alone: bool = False) -> Aim:
    return Aim(UUID(int=at), UUID(int=strand) if strand else None, said, part, base, alone)


def held(*aims: Aim) -> set[int]:
    return {one.int for one in withheld(aims)}


def test_a_few_and_all_but_a_few_are_held_back_and_a_part_in_the_middle_is_not() -> None:
    assert held(aim(1, "sen", 20, 60)) == set()
    assert held(aim(1, "sen", 9, 60)) == {1}
    assert held(aim(1, "sen", 0, 60)) == {1}
    assert held(aim(1, "sen", 51, 60)) == {1}
    assert held(aim(1, "sen", 4, 9)) == {1}


def test_what_is_left_between_a_value_and_all_values_is_protected() -> None:
    assert held(aim(1, "sen", 30, 90), aim(2, "sen:K", 15, 90)) == set()
    assert held(aim(1, "sen", 20, 90), aim(2, "sen:K", 15, 90)) & {1, 2}
    assert held(aim(1, "sen", 30, 90), aim(2, "sen:K", 15, 90), aim(3, "sen:E", 15, 90)) == set()


def test_a_strand_does_not_follow_from_the_whole_and_the_others() -> None:
    whole, one, other = aim(1, "sen", 50, 200), aim(2, "sen", 25, 100, 1), aim(3, "sen", 25, 100, 2)
    assert held(whole, one, other) == set()
    few = aim(3, "sen", 5, 100, 2)
    assert held(aim(1, "sen", 30, 200), one, few) > {3}


def test_looked_after_children_are_told_of_over_several_schools_and_never_of_a_strand() -> None:
    assert held(aim(1, "looked_after", 20, 900)) == set()
    assert held(aim(1, "looked_after", 20, 900, 1)) == {1}
    assert held(aim(1, "young_carer:true", 20, 900, alone=True)) == {1}
    assert held(aim(1, "sen", 20, 900, 1)) == set()


@st.composite
def programmes(draw: Any) -> tuple[dict[tuple[int, str], int], list[Aim]]:
    """How many of each value there are in each of three strands (0: in none), and some targets."""
    group = draw(st.sampled_from([FieldGroup.SEN, FieldGroup.ATTENDANCE, FieldGroup.EAL]))
    pieces = {(strand, value): draw(NUMBERS) for strand in range(4) for value in VALUES[group]}
    said = [group.value, *(f"{group}:{value}" for value in VALUES[group])]
    chosen = draw(st.lists(st.tuples(st.sampled_from([None, 1, 2, 3]), st.sampled_from(said)), unique=True))
    aims = []
    for at, (strand, one) in enumerate(chosen):
        values = _values(one)
        part = sum(n for (where, value), n in pieces.items() if strand in {None, where} and value in values)
        base = sum(n for (where, _), n in pieces.items() if strand in {None, where})
        if base:
            aims.append(aim(at + 1, one, part, base, strand))
    return pieces, aims


def _values(said: str) -> set[str]:
    group, _, value = said.partition(":")
    kind = FieldGroup(group)
    return {value} if value else set(VALUES[kind]) - {PEERS[kind]}


@settings(max_examples=400, deadline=None)
@given(programmes())
def test_nobody_who_subtracts_finds_a_few(made: tuple[dict[tuple[int, str], int], list[Aim]]) -> None:
    pieces, aims = made
    gone, order = withheld(aims), sorted(pieces)
    shown = [one for one in aims if one.target_id not in gone]
    rows = []
    for one in shown:
        rows.append(_row(order, one, _values(one.characteristic)))
        rows.append(_row(order, one, set(VALUES[one.group])))
    known = _reduced(rows)
    for one in aims:
        for values in (_values(one.characteristic), set(VALUES[one.group]) - _values(one.characteristic)):
            wanted = _row(order, one, values)
            people = sum(pieces[piece] for piece, times in zip(order, wanted, strict=True) if times)
            if people < SMALL:
                assert not _follows(wanted, known), (one, values)


def _row(order: list[tuple[int, str]], one: Aim, values: set[str]) -> list[Fraction]:
    strand = one.strand_id.int if one.strand_id else None
    return [Fraction(strand in {None, where} and value in values) for where, value in order]


def _reduced(rows: list[list[Fraction]]) -> list[tuple[int, list[Fraction]]]:
    found: list[tuple[int, list[Fraction]]] = []
    for row in rows:
        rest = _less(row, found)
        lead = next((at for at, one in enumerate(rest) if one), None)
        if lead is not None:
            found.append((lead, [one / rest[lead] for one in rest]))
    return found


def _less(row: list[Fraction], known: list[tuple[int, list[Fraction]]]) -> list[Fraction]:
    for lead, other in known:
        if row[lead]:
            times = row[lead]
            row = [one - times * each for one, each in zip(row, other, strict=True)]
    return row


def _follows(row: list[Fraction], known: list[tuple[int, list[Fraction]]]) -> bool:
    return not any(_less(row, known))
