"""Who has had nothing, by characteristic: each value beside its peers, and the gap between them. Pure.

The peers of a value are those of the same place (and year group) of whom the group's ordinary value is told: SEN support
beside no SEN. A school that does not stand on a field group is unknown for it, and left out of both sides; a pupil of whom
nothing is told is on neither side. Schools and trusts see exact figures in every cut; hubs and those above them a fixed list
(`published`), rounded, and what `withheld` lets them see.
"""

from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import NamedTuple
from uuid import UUID

from app.core.db import Row
from app.core.errors import Forbidden, invalid
from app.dashboards import figures
from app.dashboards.figures import NO_YEAR, Basis, Counts, Figures, Group, Place, School
from app.dashboards.withheld import Roll, Told, key, withheld
from app.rules.characteristics import PEERS, VALUES
from app.rules.words import CHARACTERISTIC_GROUPS, HUB_LEVEL_ONLY_GROUPS, NC_YEARS, FieldGroup


class Cut(StrEnum):
    """How a characteristic is cut further: the whole list."""

    SCHOOL = "school"
    YEAR_GROUP = "year_group"


@dataclass(frozen=True, slots=True)
class Trait:
    """Pupils of one school and NC year with one value of a field group; None: nothing was told of them."""

    group: Group
    field: FieldGroup
    value: str | None


@dataclass(frozen=True, slots=True)
class Table:
    """Everything a caller may count on one date, by characteristic. `coverage` has the schools and what it withholds."""

    coverage: figures.Table
    traits: Mapping[UUID, Sequence[Trait]]
    held: frozenset[str]


class Tally(NamedTuple):
    """The counts of one list of lines: by school, year or `all`; how many of its schools have pupils there, and how many
    of them stand on a field group.
    """

    counts: Mapping[tuple[str, FieldGroup, str | None], Counts]
    schools: Mapping[str, int]
    told: Mapping[tuple[str, FieldGroup], int]


class Line(NamedTuple):
    """One value of one field group at a place, of one year group if `year` is given. Figures are made on demand."""

    table: Table
    tally: Tally
    at: "At"
    cut: Cut | None
    field: FieldGroup
    value: str | None
    order: tuple[str, ...]

    @property
    def key(self) -> str:
        """Names the line within its list."""
        return f"{self.at.name}/{self.field}/{self.value or 'untold'}"

    @property
    def figures(self) -> Figures:
        """As this caller may be shown them."""
        return self._shown(self.value)

    @property
    def peers_value(self) -> str | None:
        """The value it is compared with; None of that value itself, and where nothing is told."""
        peers = PEERS[self.field]
        return None if self.value in {None, peers} else peers

    @property
    def peers(self) -> Figures | None:
        """The figures of its peers, as this caller may be shown them."""
        return self._shown(self.peers_value) if self.peers_value else None

    @property
    def gap(self) -> int | None:
        """Share with nothing less that of its peers, in percentage points of the two as shown; None without either."""
        beside = self.peers
        ours, theirs = self.figures.at_zero.percent, beside.at_zero.percent if beside else None
        return None if ours is None or theirs is None else ours - theirs

    @property
    def basis(self) -> Basis:
        """What all figures of the place stand on."""
        return figures.whole(self.table.coverage, self.at.place).basis

    @property
    def schools_told(self) -> int:
        """Schools with pupils here that stand on the field group."""
        return self.tally.told.get((self.at.name, self.field), 0)

    @property
    def schools_unknown(self) -> int:
        """Schools that are unknown here and left out: without data at all, or not standing on the field group."""
        empty = sum(one.id not in self.table.coverage.groups for one in self.at.place.schools)
        return empty + self.tally.schools.get(self.at.name, 0) - self.schools_told

    def _shown(self, value: str | None) -> Figures:
        if not self.schools_told:
            return figures.unknown()
        if key(self.at.place.key, self.field, value, self.at.year) in self.table.held:
            return figures.withheld()
        rounds = self.table.coverage.rounds
        found = self.tally.counts.get((self.at.name, self.field, value), Counts())
        if rounds and self.at.year is None:
            # Of the years of one band together: a cut that is not published.
            found = found._replace(activity_base=0, at_activity=0, placement_base=0, at_placement=0)
        return figures.alone(found, rounds=rounds)


def trait_of(row: Row) -> Trait:
    """A row of traits."""
    return Trait(figures.group_of(row), FieldGroup(row["field_group"]), row["value"])


def table(coverage: figures.Table, traits: Iterable[Trait]) -> Table:
    """The table with what is withheld in it. A group of which a school has told nothing of anybody is unknown there."""
    found: defaultdict[tuple[UUID, FieldGroup], list[Trait]] = defaultdict(list)
    for one in traits:
        found[one.group.school_id, one.field].append(one)
    by_school: defaultdict[UUID, list[Trait]] = defaultdict(list)
    for (school, _), some in found.items():
        if any(one.value is not None for one in some):
            by_school[school] += some
    held = _held(coverage, by_school) if coverage.rounds else frozenset()
    return Table(coverage, dict(by_school), held)


def _held(coverage: figures.Table, traits: Mapping[UUID, Sequence[Trait]]) -> frozenset[str]:
    rolls = [
        Roll(figures.places(one, coverage.schools), figures.parts(one), one.nc_year, one.counts.pupils)
        for some in coverage.groups.values()
        for one in some
    ]
    # The same few names for thousands of counts.
    names = {school: str(school) for school in traits}
    parts = {
        (one.nc_year, one.stage): figures.parts(one)[2] for some in coverage.groups.values() for one in some
    }
    told = [
        Told(names[school], parts[one.group.nc_year, one.group.stage], one.field, one.value, one.group.counts.pupils)
        for school, some in traits.items()
        for one in some
    ]  # fmt: skip
    by_value = sorted(told, key=lambda one: (*one[:3], one.value or "", one.pupils))
    return withheld(tuple(sorted(rolls)), tuple(by_value), coverage.hidden)


def published(
    cut: Cut | None, fields: Sequence[FieldGroup] | None, *, rounds: bool, one_school: bool
) -> list[FieldGroup]:
    """The field groups that this cut is answered for: those asked for, or all there are (`fields` None).

    Forbidden for hubs and above: `cut_not_published` (one school by year group), `hub_level_only` (looked-after children
    and young carers of one school, by school or by year group). Invalid at `/groups`: one that is no characteristic.
    """
    if set(fields or ()) - set(CHARACTERISTIC_GROUPS):
        raise invalid("/groups", "out_of_range", f"Characteristics: {', '.join(CHARACTERISTIC_GROUPS)}.")
    asked = list(dict.fromkeys(fields)) if fields is not None else list(CHARACTERISTIC_GROUPS)
    if not rounds:
        return asked
    if one_school and cut is Cut.YEAR_GROUP:
        raise Forbidden(
            "cut_not_published", "Hubs see a characteristic by school and by year group, not by both at once."
        )
    if not one_school and cut is None:
        return asked
    closed = [one for one in asked if one in HUB_LEVEL_ONLY_GROUPS]
    if closed and fields is not None:
        raise Forbidden(
            "hub_level_only",
            f"Hubs see {' and '.join(closed)} over the whole hub only, neither by school nor by year group.",
        )
    return [one for one in asked if one not in HUB_LEVEL_ONLY_GROUPS]


def is_school(place: Place) -> bool:
    """Whether a place is one school by itself."""
    return [place.key] == [str(one.id) for one in place.schools]


def lines(table: Table, place: Place, cut: Cut | None, fields: Sequence[FieldGroup]) -> list[Line]:
    """The lines of one cut, in order: schools by name (the unknown too) or years, then groups and their values."""
    tally = _tally(table, place, cut)
    return [line for at in _cut(table, place, cut) for line in _values(table, tally, at, cut, fields)]


class At(NamedTuple):
    """Where the lines of one group stand: the place, and the year group or school that the list is cut by."""

    name: str
    place: Place
    year: str | None
    school: School | None
    order: tuple[str, ...]


def _cut(table: Table, place: Place, cut: Cut | None) -> Iterator[At]:
    if cut is Cut.SCHOOL:
        for one in place.schools:
            name = str(one.id)
            yield At(name, Place(name, (one,)), None, one, (one.name, name))
    elif cut is Cut.YEAR_GROUP:
        groups = (group for one in place.schools for group in table.coverage.groups.get(one.id, ()))
        found = {group.nc_year for group in groups}
        for position, year in enumerate((*NC_YEARS, NO_YEAR)):
            if year in found:
                yield At(year, place, year, None, (f"{position:02d}",))
    else:
        yield At("all", place, None, place.schools[0] if is_school(place) else None, ("all",))


def _tally(table: Table, place: Place, cut: Cut | None) -> Tally:
    found: defaultdict[tuple[str, FieldGroup, str | None], list[Counts]] = defaultdict(list)
    schools: Counter[str] = Counter()
    told: Counter[tuple[str, FieldGroup]] = Counter()
    for school in place.schools:

        def name(group: Group, school: School = school) -> str:
            return group.nc_year if cut is Cut.YEAR_GROUP else str(school.id) if cut is Cut.SCHOOL else "all"

        traits = table.traits.get(school.id, ())
        schools.update({name(one) for one in table.coverage.groups.get(school.id, ())})
        told.update({(name(one.group), one.field) for one in traits})
        for one in traits:
            found[name(one.group), one.field, one.value].append(one.group.counts)
    return Tally({at: figures.total(counts) for at, counts in found.items()}, schools, told)


def _values(
    table: Table, tally: Tally, at: At, cut: Cut | None, fields: Sequence[FieldGroup]
) -> Iterator[Line]:
    """Every value there is, also those that nobody has; those of whom nothing was told only if there are any."""
    for position, field in enumerate(CHARACTERISTIC_GROUPS):
        if field not in fields:
            continue
        untold = (at.name, field, None) in tally.counts
        values: list[str | None] = [*VALUES[field], *([None] if untold else [])]
        for number, value in enumerate(values):
            order = (*at.order, f"{position:02d}", f"{number:02d}")
            yield Line(table, tally, at, cut, field, value, order)
