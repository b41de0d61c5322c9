"""Which figures by characteristic are held back for hubs, so that nobody follows from them. Pure.

Shown, each beside the coverage of the same place (`figures.hidden` has decided on that, and is not asked again): a value
over a hub and over all hubs; a value at a school and a value of a year group, except of groups that hubs see at hub level
only. Three things are kept, of a figure with fewer than 10 pupils and of any combination that is not shown at all:

1. It is not shown, nor is any split of a group that coverage withholds.
2. No single sum gives it away (`suppression.Sums`): a value and its peers and their total, schools and their hub, years
   and their hub, hubs and all.
3. No combination of sums does, coverage included: judged on the smallest pieces there are (school by year by value) with
   `linear.move`. As long as something does, the least interesting figure that has a part in it goes too.

A value that nobody has at a school is as small as one that few have, and treated alike. Of how many nothing was told is no
characteristic: it is taken as known, though not shown under 10. Exact counts are taken as the reader's knowledge, although
only rounded ones are shown.
"""

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import lru_cache
from itertools import pairwise
from typing import NamedTuple

from app.dashboards.linear import PRIME, Equation, move
from app.dashboards.suppression import Sums
from app.rules.characteristics import VALUES
from app.rules.coverage import SMALLEST_BASE
from app.rules.words import HUB_LEVEL_ONLY_GROUPS, FieldGroup

_KEPT = 8  # the last few answers, by everything they follow from


class Roll(NamedTuple):
    """Pupils of one school and year as coverage counts them: its places (school, hub, all) and parts (all, stage, year)."""

    places: tuple[str, str, str]
    parts: tuple[str, str, str]
    year: str
    pupils: int


class Told(NamedTuple):
    """Of those, how many have a value of a field group; None: nothing was told of them."""

    school: str
    part: str
    group: FieldGroup
    value: str | None
    pupils: int


def key(place: str, group: FieldGroup, value: str | None, year: str | None = None) -> str:
    """The name of a figure: of a value at a place, of one year group if that is given."""
    return f"{place}|{'' if year is None else f'year {year}|'}{group}={value}"


@lru_cache(_KEPT)
def withheld(rolls: tuple[Roll, ...], told: tuple[Told, ...], hidden: frozenset[str]) -> frozenset[str]:
    """The figures to hold back, by `key`. `hidden` are the groups of coverage that are not shown, as it names them."""
    grid = _Grid(rolls, told, hidden)
    held = grid.closed(frozenset())
    while more := grid.given_away(held):
        held = grid.closed(held | more)
    return held | grid.untold


class _Piece(NamedTuple):
    """The smallest part of a figure: of a school, a year (None where no year is ever shown) and a value."""

    places: tuple[str, str, str]
    part: str | None
    year: str | None
    group: FieldGroup
    value: str | None
    pupils: int

    @property
    def sensitive(self) -> bool:
        """Whether nobody may learn how many these are."""
        if self.value is None:
            return False
        return self.pupils < SMALLEST_BASE or self.group in HUB_LEVEL_ONLY_GROUPS


class _Grid:
    """All pieces, and the figures that they add up to."""

    def __init__(self, rolls: Iterable[Roll], told: Iterable[Told], hidden: frozenset[str]) -> None:
        self._hidden = hidden
        self._rolls = _by_part(rolls)
        self.pieces = list(_pieces(self._rolls, told))
        self._of: defaultdict[str, list[int]] = defaultdict(list)
        self._ranks: dict[str, int] = {}
        self._also: set[str] = set()
        self._totals: defaultdict[str, int] = defaultdict(int)
        self._sums: defaultdict[str, set[str]] = defaultdict(set)
        self._silent: set[str] = set()
        for at, one in enumerate(self.pieces):
            self._place(at, one)
        self._bases = {
            name: sum(self.pieces[at].pupils for at in parts) for name, parts in self._of.items()
        } | self._totals
        self.untold = frozenset(
            one for one in self._silent if one in self._also or self._bases[one] < SMALLEST_BASE
        )

    # --- one sum at a time ---

    def closed(self, held: frozenset[str]) -> frozenset[str]:
        """These, those that are small, those of a hidden part of coverage, and what has to go beside them."""
        ranks = self._ranks | dict.fromkeys(self._totals, 9)
        known = self._totals.keys() | self._silent
        bases = self._bases | {name: max(self._bases[name], SMALLEST_BASE) for name in known}
        found = Sums(bases, ranks).held(
            self._sums.values(), also=(self._also | held) - self._silent, never=known
        )
        return found - known

    def _place(self, at: int, one: _Piece) -> None:
        school_too = one.group not in HUB_LEVEL_ONLY_GROUPS
        for place, rank in zip(one.places, (0, 4, 5), strict=True):
            if rank or school_too:
                self._figure(at, one, place, None, rank)
            if rank and school_too:
                self._figure(at, one, place, one.year, rank - 3)
                self._sums[f"years|{key(place, one.group, one.value)}"] |= {
                    key(place, one.group, one.value), key(place, one.group, one.value, one.year)
                }  # fmt: skip
        for inner, outer in pairwise(one.places if school_too else one.places[1:]):
            for year in (None, one.year) if inner != one.places[0] and school_too else (None,):
                total = key(outer, one.group, one.value, year)
                self._sums[f"places|{total}"] |= {total, key(inner, one.group, one.value, year)}

    def _figure(self, at: int, one: _Piece, place: str, year: str | None, rank: int) -> None:
        name, total = key(place, one.group, one.value, year), f"total|{key(place, one.group, None, year)}"
        self._of[name].append(at)
        self._ranks[name] = rank
        self._totals[total] += one.pupils
        self._sums[total] |= {total, name}
        if one.value is None:
            self._silent.add(name)
        if f"{place}|{'*' if year is None else one.part}" in self._hidden:
            self._also.add(name)

    # --- all sums together ---

    def given_away(self, held: frozenset[str]) -> frozenset[str]:
        """What has to go because something small follows from all that is shown; empty if nothing does."""
        unseen = [at for at in self._rolls if f"{at[0]}|{at[1]}" in self._hidden]
        number = {at: len(self.pieces) + no for no, at in enumerate(unseen)}
        moved = move(self._equations(held, number), len(self.pieces) + len(unseen))
        return frozenset(
            name for near in self._still(moved, held, number) for name in self._least(near, held)
        )

    def _equations(self, held: frozenset[str], number: Mapping[tuple[str, str], int]) -> Iterator[Equation]:
        unseen: defaultdict[str, list[str]] = defaultdict(list)
        for school, part in number:
            unseen[school].append(part)
        for (school, _, year), pieces in self._rows().items():
            parts = [one for one in unseen[school] if year in {None, one}]
            yield dict.fromkeys(pieces, 1) | {number[school, one]: PRIME - 1 for one in parts}
        yield from (dict.fromkeys(some, 1) for some in self._unseen_sums(number).values())
        yield from ({at: 1} for at, one in enumerate(self.pieces) if one.value is None)
        shown = {tuple(pieces) for name, pieces in self._of.items() if name not in held}
        yield from (dict.fromkeys(pieces, 1) for pieces in sorted(shown))

    def _rows(self) -> Mapping[tuple[str, FieldGroup, str | None], list[int]]:
        """The pieces of each pupil group of coverage, for each field group."""
        found: defaultdict[tuple[str, FieldGroup, str | None], list[int]] = defaultdict(list)
        for at, one in enumerate(self.pieces):
            found[one.places[0], one.group, one.part].append(at)
        return found

    def _unseen_sums(self, number: Mapping[tuple[str, str], int]) -> Mapping[str, list[int]]:
        """What coverage shows that contains something it does not show."""
        found: defaultdict[str, list[int]] = defaultdict(list)
        for at, unknown in number.items():
            roll = self._rolls[at]
            for name in (f"{place}|{part}" for place in roll.places for part in roll.parts):
                if name not in self._hidden:
                    found[name].append(unknown)
        return found

    def _still(
        self, moved: Sequence[int], held: frozenset[str], number: Mapping[tuple[str, str], int]
    ) -> Iterator[set[str]]:
        """Of each thing that must not be known and does not move: the figures that split the same pupils."""
        for at, one in enumerate(self.pieces):
            if one.sensitive and not moved[at]:
                yield self._near([one], held)
        for name in held:
            if self._bases[name] < SMALLEST_BASE and not sum(moved[at] for at in self._of[name]) % PRIME:
                yield self._near([self.pieces[at] for at in self._of[name]], held)
        if any(
            self._rolls[at].pupils < SMALLEST_BASE and not moved[unknown] for at, unknown in number.items()
        ):
            for group in FieldGroup:
                yield self._beside(group, number)

    def _near(self, pieces: Sequence[_Piece], held: frozenset[str]) -> set[str]:
        """The shown figures of the same pupils, whatever their value; of the whole group if none of these is left."""
        group = pieces[0].group
        near = {
            key(place, group, value, year)
            for one in pieces for place in one.places for value in VALUES[group] for year in (None, one.year)
        }  # fmt: skip
        if near & self._ranks.keys() - held:
            return near
        return {name for name in self._ranks if name not in self._silent and f"|{group}=" in name}

    def _beside(self, group: FieldGroup, number: Iterable[tuple[str, str]]) -> set[str]:
        """What tells how many pupils are where coverage does not: sums over places that contain such."""
        unseen = [self._rolls[at] for at in number]
        return {
            key(place, group, value, year)
            for roll in unseen for place in roll.places[1:] for value in VALUES.get(group, ()) for year in (None, roll.year)
        }  # fmt: skip

    def _least(self, near: set[str], held: frozenset[str]) -> set[str]:
        """The figure of least interest among those that are shown."""
        shown = [name for name in near if name in self._ranks and name not in held]
        return {min(shown, key=lambda name: (self._ranks[name], self._bases[name], name))} if shown else set()


def _by_part(rolls: Iterable[Roll]) -> dict[tuple[str, str], Roll]:
    found: dict[tuple[str, str], Roll] = {}
    for one in rolls:
        at = one.places[0], one.parts[2]
        more = found[at].pupils if at in found else 0
        found[at] = one._replace(pupils=one.pupils + more)
    return found


def _pieces(rolls: Mapping[tuple[str, str], Roll], told: Iterable[Told]) -> Iterator[_Piece]:
    """Every value of every group that a school stands on, of every year it has, told or not."""
    counts: defaultdict[tuple[str, str | None, FieldGroup, str | None], int] = defaultdict(int)
    groups: defaultdict[str, set[FieldGroup]] = defaultdict(set)
    for one in told:
        if (one.school, one.part) not in rolls:
            raise ValueError(
                "a split of pupils that coverage does not count"
            )  # and so not judged: never show it
        whole = one.group in HUB_LEVEL_ONLY_GROUPS
        counts[one.school, None if whole else one.part, one.group, one.value] += one.pupils
        groups[one.school].add(one.group)
    seen: set[tuple[str, FieldGroup]] = set()
    for (school, part), roll in rolls.items():
        for group in sorted(groups[school]):
            whole = group in HUB_LEVEL_ONLY_GROUPS
            if whole and (school, group) in seen:
                continue
            seen.add((school, group))
            at, year = (None, None) if whole else (part, roll.year)
            for value in (*VALUES[group], None) if counts[school, at, group, None] else VALUES[group]:
                yield _Piece(roll.places, at, year, group, value, counts[school, at, group, value])
