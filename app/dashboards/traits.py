"""Which targets about a characteristic are held back for hubs, so that no few young people follow from them. Pure.

Nobody may learn of fewer than 10 young people that they have a characteristic, nor that all but fewer than 10 have it: not
from one target, not from a value and all values of the same strand, and not from the strands and the whole. Of looked-after
children and young carers a hub is told over a whole programme of several schools alone, and never of a strand. As with
gaps, exact counts are taken as the reader's knowledge, although only rounded ones are shown.
"""

from collections.abc import Iterator, Sequence
from itertools import permutations
from typing import NamedTuple
from uuid import UUID

from app.dashboards.suppression import Sums
from app.rules.characteristics import PEERS, VALUES
from app.rules.words import HUB_LEVEL_ONLY_GROUPS, FieldGroup

_UNSHOWN, _STRAND, _WHOLE = range(3)  # what is given up first
_EVERYWHERE = ""


class Aim(NamedTuple):
    """A target about a characteristic: `part` of `base` young people of the strand (None: the whole) have it; `alone`: all
    of them are of one school.
    """

    target_id: UUID
    strand_id: UUID | None
    characteristic: str
    part: int
    base: int
    alone: bool

    @property
    def group(self) -> FieldGroup:
        """The field group."""
        return FieldGroup(self.characteristic.partition(":")[0])

    @property
    def counted(self) -> "_Some":
        """Those who have it."""
        value = self.characteristic.partition(":")[2]
        some = {value} if value else set(VALUES[self.group]) - {PEERS[self.group]}
        return _Some(str(self.strand_id or _EVERYWHERE), self.group, frozenset(some))

    @property
    def told(self) -> "_Some":
        """All of whom something is told."""
        return self.counted._replace(values=frozenset(VALUES[self.group]))


class _Some(NamedTuple):
    """Those with one of these values: of a strand, everywhere, or everywhere but in the strands that `place` names."""

    place: str
    group: FieldGroup
    values: frozenset[str]

    @property
    def key(self) -> str:
        """Its name among the sums."""
        return f"{self.place}|{self.group}|{','.join(sorted(self.values))}"


def withheld(aims: Sequence[Aim]) -> frozenset[UUID]:
    """The targets of one programme that are held back, by id."""
    counts = {one.counted: one.part for one in aims} | {one.told: one.base for one in aims}
    ranks = {one.key: _STRAND if one.place else _WHOLE for one in counts}
    sums = set()
    for _ in range(2):  # those of no strand are cut by value too, and what is left of values by strand
        sums |= {*_within(counts), *_over_strands(counts)}
    found = Sums(
        {one.key: people for one, people in counts.items()},
        {one.key: ranks.get(one.key, _UNSHOWN) for one in counts},
    )
    held = found.held_together(
        [[each.key for each in one] for one in sums], [one.counted.key for one in aims if _is_too_near(one)]
    )
    return frozenset(one.target_id for one in aims if one.counted.key in held or one.told.key in held)


def _is_too_near(one: Aim) -> bool:
    return one.group in HUB_LEVEL_ONLY_GROUPS and (one.strand_id is not None or one.alone)


def _within(counts: dict[_Some, int]) -> Iterator[tuple[_Some, ...]]:
    """Of two of which one is within the other: what is left between them."""
    for one, other in permutations(tuple(counts), 2):
        if one[:2] == other[:2] and one.values < other.values:
            left = one._replace(values=other.values - one.values)
            counts.setdefault(left, max(counts[other] - counts[one], 0))
            yield one, left, other


def _over_strands(counts: dict[_Some, int]) -> Iterator[tuple[_Some, ...]]:
    """Of everywhere and of some strands: those of none of these, as if nobody were in two strands."""
    for whole in [one for one in counts if one.place == _EVERYWHERE]:
        strands = sorted(one for one in counts if one[1:] == whole[1:] and _is_strand(one))
        rest = counts[whole] - sum(counts[one] for one in strands)
        if strands and rest >= 0:
            elsewhere = whole._replace(place=f"not {' '.join(one.place for one in strands)}")
            counts.setdefault(elsewhere, rest)
            yield (whole, *strands, *([elsewhere] if rest else []))


def _is_strand(one: _Some) -> bool:
    return bool(one.place) and not one.place.startswith("not ")
