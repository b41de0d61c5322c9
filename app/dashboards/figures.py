"""Figures out of counts: groups that add up, what each stands on, and what a hub may be shown of them. Pure.

A school's own figures, and those of a trust's own academies, are exact. For hubs and above `rules/coverage` rounds
them, and `hidden` says which groups are withheld: worked out over the whole of what the caller may count, whatever
part is asked for, so that no figure follows from two answers.
"""

from collections import defaultdict
from collections.abc import Hashable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from functools import lru_cache
from itertools import pairwise
from typing import NamedTuple
from uuid import UUID

from app.core.db import Row
from app.dashboards.suppression import Sums
from app.rules import coverage
from app.rules.coverage import Cell, Figure, FigureState
from app.rules.entitlement import DEFAULT_POLICY, Policy
from app.rules.statutes import COVER_RULES, CoverRule
from app.rules.words import NC_YEARS, CoverageBand, ExperienceKind, KeyStage, key_stage

DAY_MINUTES = 300  # five hours: what minutes are rounded to for hubs
NO_YEAR = "unknown"

# Pure functions remember their last answers, by everything these follow from: nothing ever has to be forgotten.
_TABLES_KEPT = 32
_LARGEST_KEPT = 5_000  # groups: the hubs and authorities, and not the whole country
_FIGURES_KEPT = 8_192


class Cut(StrEnum):
    """How a figure is cut: the whole list, fixed and published, as safe figures need it."""

    SCHOOL = "school"
    YEAR_GROUP = "year_group"
    KEY_STAGE = "key_stage"
    KIND = "kind"


class Counts(NamedTuple):
    """Exact counts of pupils, and sums of whole minutes and of distinct calendar days, of one group."""

    pupils: int = 0
    reached: int = 0
    minutes: int = 0
    days: int = 0
    at_week: int = 0
    at_total: int = 0
    activity_base: int = 0
    at_activity: int = 0
    placement_base: int = 0
    at_placement: int = 0
    bm5: int = 0
    bm6: int = 0


def _sum(counts: Iterable[Counts]) -> Counts:
    return Counts(*map(sum, zip(*counts, strict=True)))  # of none: 0 everywhere


@dataclass(frozen=True, slots=True)
class School:
    """One school of the caller's scope: a row even if it has no data."""

    id: UUID
    hub_id: UUID | None
    name: str
    urn: str | None
    roll_complete_at: datetime | None
    last_sync_at: datetime | None
    field_groups: frozenset[str]
    attendance_overdue: int


class Schools(dict[UUID, School]):
    """The schools counted, and the law by which they are: the entitlement of the day, and the rules of cover."""

    policy: Policy = DEFAULT_POLICY
    cover: tuple[CoverRule, ...] = COVER_RULES


@dataclass(frozen=True, slots=True)
class Group:
    """Pupils of one school and one NC year (as it was sent; `stage` bands an X by date of birth)."""

    school_id: UUID
    nc_year: str
    stage: KeyStage | None
    counts: Counts


@dataclass(frozen=True, slots=True)
class Basis:
    """What a figure stands on. `partial`: some school of the set has no data, and the figure leaves it out.

    Rolls, syncs, grants and overdue attendance are of now; None where a past moment of knowledge was asked for.
    """

    schools: int
    schools_unknown: int
    roll_complete: bool | None
    schools_roll_complete: int | None
    oldest_sync: datetime | None
    newest_sync: datetime | None
    field_groups: tuple[str, ...] | None
    attendance_overdue: int | None
    rounded: bool
    known: datetime | None = None

    @property
    def partial(self) -> bool:
        """Whether some of the set is unknown."""
        return self.schools_unknown > 0


@dataclass(frozen=True, slots=True)
class Figures:
    """A group as shown. Numbers are None where it is withheld or unknown; a share that does not apply is None."""

    state: FigureState
    pupils: int | None
    minutes: int | None
    days: int | None
    reached: Figure
    at_zero: Figure
    bm5: Figure
    bm6: Figure
    at_week: Figure | None = None
    at_total: Figure | None = None
    at_activity: Figure | None = None
    at_placement: Figure | None = None


@dataclass(frozen=True, slots=True)
class Table:
    """Everything a caller may count on one date: schools, groups, and by-kind counts where they were asked for.

    `known` is the moment of knowledge that was asked for; None is all that is known. `policy` has the marks to reach.
    """

    schools: Mapping[UUID, School]
    groups: Mapping[UUID, Sequence[Group]]
    kinds: Mapping[UUID, Mapping[ExperienceKind, Counts]]
    hidden: frozenset[str]
    rounds: bool
    known: datetime | None = None
    policy: Policy = DEFAULT_POLICY
    # Figures of lines worked out before; a table made from this one by `replace` begins with none.
    shown: "dict[tuple[str, ...], Figures]" = field(default_factory=dict, init=False, compare=False)


def table_of(
    schools: Mapping[UUID, School], cells: Sequence[Row], *, rounds: bool, known: datetime | None,
    policy: Policy = DEFAULT_POLICY
) -> Table:  # fmt: skip
    """The table of these rows: the one made of them before, if the very same are asked of again."""
    made = tuple(schools.values()), tuple(cells), rounds, known, policy
    remembered = len(cells) <= _LARGEST_KEPT and all(isinstance(row, Hashable) for row in cells[:1])
    return _table(*made) if remembered else _table.__wrapped__(*made)


@lru_cache(_TABLES_KEPT)
def _table(
    schools: tuple[School, ...],
    cells: tuple[Row, ...],
    rounds: bool,  # noqa: FBT001  (a remembered call takes its arguments in order)
    known: datetime | None,
    policy: Policy,
) -> Table:
    found = {one.id: one for one in schools}
    groups = [group_of(row) for row in cells]
    held = hidden(groups, found) if rounds else frozenset()
    return Table(found, by_school(groups), {}, held, rounds, known, policy)


def school_of(row: Row) -> School:
    """A row of the basis."""
    return School(
        row["school_id"], row["hub_id"], row["name"], row["urn"], row["roll_complete_at"], row["last_sync_at"],
        frozenset(row["field_groups"] or ()), row["attendance_overdue"] or 0,
    )  # fmt: skip


_stage = lru_cache(len(NC_YEARS))(key_stage)


def group_of(row: Row) -> Group:
    """A row of cells. The bands' bases are the pupils of Years 7-9 and of Years 10-11."""
    settled = row["settled_year"]
    stage = _stage(settled) if settled else None
    activity, placement = stage == KeyStage.KS3, stage == KeyStage.KS4
    counts = Counts(
        pupils=row["pupils"], reached=row["reached"], minutes=row["minutes"], days=row["days"],
        at_week=row["at_week"], at_total=row["at_total"],
        activity_base=row["pupils"] if activity else 0, at_activity=row["at_activity"] if activity else 0,
        placement_base=row["pupils"] if placement else 0, at_placement=row["at_placement"] if placement else 0,
        bm5=row["bm5"], bm6=row["bm6"],
    )  # fmt: skip
    return Group(row["school_id"], row["nc_year"] or NO_YEAR, stage, counts)


def by_school(groups: Iterable[Group]) -> dict[UUID, list[Group]]:
    """The groups of each school that has any."""
    found: defaultdict[UUID, list[Group]] = defaultdict(list)
    for group in groups:
        found[group.school_id].append(group)
    return dict(found)


def kinds_of(rows: Iterable[Row]) -> dict[UUID, dict[ExperienceKind, Counts]]:
    """By school and kind; the base of a kind is all pupils, so `pupils` stays 0 here."""
    found: dict[UUID, dict[ExperienceKind, Counts]] = defaultdict(dict)
    for row in rows:
        found[row["school_id"]][ExperienceKind(row["kind"])] = Counts(
            reached=row["reached"], minutes=row["minutes"], days=row["days"], bm5=row["bm5"], bm6=row["bm6"]
        )
    return found


# --- what is withheld ---------------------------------------------------------------------------------


def hidden(groups: Sequence[Group], schools: Mapping[UUID, School]) -> frozenset[str]:
    """Which groups no hub is shown: small ones, and those that would follow from what is left.

    Every sum that is shown anywhere takes part: a hub over its schools, a school over its years and key stages, a
    key stage over its years.
    """
    sizes = tuple((_places(one, schools), _parts(one), one.counts.pupils) for one in groups)
    return _hidden(sizes) if len(sizes) <= _LARGEST_KEPT else _hidden.__wrapped__(sizes)


Size = tuple[tuple[str, ...], tuple[str, ...], int]
"""All of a group that decides what is withheld: the places and parts it counts in, and its pupils."""


@lru_cache(_TABLES_KEPT)
def _hidden(sizes: tuple[Size, ...]) -> frozenset[str]:
    bases: defaultdict[str, int] = defaultdict(int)
    ranks: dict[str, int] = {}
    for places, parts, pupils in sizes:
        for place, by_part in zip(places, _RANKS, strict=True):
            for part, rank in zip(parts, by_part, strict=True):
                bases[f"{place}|{part}"] += pupils
                ranks[f"{place}|{part}"] = rank
    if not any(base < coverage.SMALLEST_BASE for base in bases.values()):
        return frozenset()  # nothing is small, and so nothing has to go for its sake
    sums: defaultdict[str, set[str]] = defaultdict(set)
    for places, parts, _ in sizes:
        _relate(sums, places, parts)
    return Sums(bases, ranks).held_together(sums.values())


_RANKS = ((4, 1, 0), (5, 3, 2), (6, 3, 2))
"""Places (school, hub, all) by parts (whole, key stage, year): the lower, the sooner it is given up."""


def _relate(sums: defaultdict[str, set[str]], places: tuple[str, ...], parts: tuple[str, ...]) -> None:
    everyone, stage, year = parts
    for part in parts:
        for inner, outer in pairwise(places):
            sums[f"places of {outer}|{part}"] |= {f"{inner}|{part}", f"{outer}|{part}"}
    for place in places:
        sums[f"stages of {place}"] |= {f"{place}|{everyone}", f"{place}|{stage}"}
        sums[f"years of {place}"] |= {f"{place}|{everyone}", f"{place}|{year}"}
        sums[f"years of {place}|{stage}"] |= {f"{place}|{stage}", f"{place}|{year}"}


def _places(group: Group, schools: Mapping[UUID, School]) -> tuple[str, ...]:
    return (str(group.school_id), f"hub {schools[group.school_id].hub_id}", "all")


def _parts(group: Group) -> tuple[str, str, str]:
    # A year X may lie in several key stages: its part of each is a group of its own.
    year = group.nc_year if group.nc_year != "X" else f"X {group.stage}"
    return "*", f"stage {group.stage}", f"year {year}"


# --- what is shown ------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Place:
    """A part of the table: one school, one hub, or all of it."""

    key: str
    schools: tuple[School, ...]


class Line(NamedTuple):
    """One line of coverage. `order` is its sort key within the list; `key` names the group within its cut.

    Its figures and their basis are worked out when they are asked for: a page shows few of the lines of a list.
    """

    table: Table
    place: Place
    cut: Cut | None
    key: str
    label: str
    order: tuple[str, ...]
    school: School | None = None
    parts: tuple[str, ...] = ("*",)
    counts: Counts | None = None  # None: of everybody at the place

    @property
    def figures(self) -> Figures:
        """As this caller may be shown them."""
        if self.cut is Cut.KIND:
            return self._worked_out()
        name = (self.place.key, str(self.cut), self.key, *self.parts)
        found = self.table.shown.get(name)
        if found is None:
            found = self.table.shown[name] = self._worked_out()
        return found

    def _worked_out(self) -> Figures:
        by_kind = self.cut is Cut.KIND
        counts = self.counts or _sum(group.counts for group in _within(self.table, self.place))
        return _shown(self.table, counts, self.place, *self.parts, by_kind=by_kind)

    @property
    def basis(self) -> Basis:
        """What the figures stand on."""
        return _basis(self.table, self.place.schools)


def everywhere(table: Table) -> Place:
    """All that the caller may count."""
    return Place("all", tuple(table.schools.values()))


def at_school(table: Table, school_id: UUID) -> Place:
    """One school; without schools if it is not among those counted."""
    found = table.schools.get(school_id)
    return Place(str(school_id), (found,) if found else ())


def at_hub(table: Table, hub_id: UUID) -> Place:
    """The schools of one hub."""
    return Place(f"hub {hub_id}", tuple(one for one in table.schools.values() if one.hub_id == hub_id))


def whole(table: Table, place: Place) -> Line:
    """The figure of the whole place."""
    only = place.schools[0] if len(place.schools) == 1 and place.key != "all" else None
    return Line(table, place, None, "all", only.name if only else "All", ("all",), only)


def lines(table: Table, place: Place, cut: Cut) -> list[Line]:
    """The lines of one cut, in order: schools by name (the unknown too), years, stages and kinds by their own."""
    if cut is Cut.SCHOOL:
        return [_school_line(table, one) for one in place.schools]
    if cut is Cut.KIND:
        return list(_kind_lines(table, place))
    return list(_part_lines(table, place, cut))


def _school_line(table: Table, school: School) -> Line:
    key = str(school.id)
    return Line(table, Place(key, (school,)), Cut.SCHOOL, key, school.name, (school.name, key), school)


def _part_lines(table: Table, place: Place, cut: Cut) -> Iterator[Line]:
    found: defaultdict[str, list[Counts]] = defaultdict(list)
    parts: defaultdict[str, set[str]] = defaultdict(set)
    for group in _within(table, place):
        name = group.nc_year if cut is Cut.YEAR_GROUP else (group.stage or NO_YEAR)
        found[name].append(group.counts)
        parts[name].add(_parts(group)[2 if cut is Cut.YEAR_GROUP else 1])
    known: Sequence[str] = NC_YEARS if cut is Cut.YEAR_GROUP else tuple(KeyStage)
    for position, name in enumerate((*known, NO_YEAR)):
        if name in found:
            order, within = (f"{position:02d}",), tuple(sorted(parts[name]))
            counts = _sum(found[name])
            yield Line(table, place, cut, name, _label(cut, name), order, parts=within, counts=counts)


def _label(cut: Cut, name: str) -> str:
    if name == NO_YEAR:
        return "Not recorded"
    return f"Year {name}" if cut is Cut.YEAR_GROUP else name


def _kind_lines(table: Table, place: Place) -> Iterator[Line]:
    pupils = sum(group.counts.pupils for group in _within(table, place))
    for position, kind in enumerate(ExperienceKind):
        counts = _sum(table.kinds.get(one.id, {}).get(kind, Counts()) for one in place.schools)
        counts = counts._replace(pupils=pupils)
        label = kind.value.replace("_", " ").capitalize()
        yield Line(table, place, Cut.KIND, kind.value, label, (f"{position:02d}",), counts=counts)


def _within(table: Table, place: Place) -> Iterator[Group]:
    return (group for one in place.schools for group in table.groups.get(one.id, ()))


def _shown(table: Table, counts: Counts, place: Place, *parts: str, by_kind: bool = False) -> Figures:
    if counts.pupils == 0:
        return _nothing(FigureState.UNKNOWN, by_kind=by_kind)
    if any(f"{place.key}|{part}" in table.hidden for part in parts):
        return _nothing(FigureState.WITHHELD, by_kind=by_kind)
    reached = _figure(table, counts.reached, counts.pupils)
    silent = table.rounds and not reached.reached  # nobody is shown as reached: then nothing is shown as done
    minutes, days = (0, 0) if silent else (counts.minutes, counts.days)
    return Figures(
        state=FigureState.KNOWN,
        pupils=coverage.rounded(counts.pupils) if table.rounds else counts.pupils,
        minutes=_nearest(minutes, DAY_MINUTES) if table.rounds else minutes,
        days=coverage.rounded(days) if table.rounds else days,
        reached=reached,
        at_zero=_figure(table, counts.pupils - counts.reached, counts.pupils),
        bm5=_figure(table, counts.bm5, counts.pupils),
        bm6=_figure(table, counts.bm6, counts.pupils),
        at_week=None if by_kind else _figure(table, counts.at_week, counts.pupils),
        at_total=None if by_kind else _figure(table, counts.at_total, counts.pupils),
        at_activity=_banded(table, place, KeyStage.KS3, counts.at_activity, counts.activity_base),
        at_placement=_banded(table, place, KeyStage.KS4, counts.at_placement, counts.placement_base),
    )


def _figure(table: Table, part: int, base: int) -> Figure:
    return _rounded(part, base) if table.rounds else _exact(part, base)


@lru_cache(_FIGURES_KEPT)
def _rounded(part: int, base: int) -> Figure:
    return coverage.figure(Cell(part, base))


@lru_cache(_FIGURES_KEPT)
def _exact(part: int, base: int) -> Figure:
    return Figure(FigureState.KNOWN, part, base, coverage.percent(part, base), coverage.band(part, base))


def _banded(table: Table, place: Place, stage: KeyStage, part: int, base: int) -> Figure | None:
    """A share of the pupils of one band: withheld wherever that key stage of the place is."""
    if base == 0:
        return None
    if f"{place.key}|stage {stage}" in table.hidden:
        return Figure(FigureState.WITHHELD)
    return _figure(table, part, base)


def alone(counts: Counts, *, rounds: bool) -> Figures:
    """A group that may be shown whatever else is withheld; nobody is a figure like any other."""
    table, place = Table({}, {}, {}, frozenset(), rounds), Place("", ())
    if counts.pupils:
        return _shown(table, counts, place)
    none = _figure(table, 0, 0)
    return Figures(FigureState.KNOWN, 0, 0, 0, none, none, none, none, none, none)


def withheld() -> Figures:
    """A group that this caller is not shown."""
    return _nothing(FigureState.WITHHELD, by_kind=False)


def unknown() -> Figures:
    """A group of which there are no data."""
    return _nothing(FigureState.UNKNOWN, by_kind=False)


def places(group: Group, schools: Mapping[UUID, School]) -> tuple[str, str, str]:
    """The places that a group counts in: its school, the hub of that, all there is."""
    school, hub, everything = _places(group, schools)
    return school, hub, everything


def parts(group: Group) -> tuple[str, str, str]:
    """The parts of each place that a group counts in: everybody, its key stage, its year."""
    return _parts(group)


def total(counts: Iterable[Counts]) -> Counts:
    """All of them together."""
    return _sum(counts)


def _nothing(state: FigureState, *, by_kind: bool) -> Figures:
    none = Figure(state, band=CoverageBand.UNKNOWN)
    marks = None if by_kind else none
    return Figures(state, None, None, None, none, none, none, none, marks, marks)


def _nearest(number: int, step: int) -> int:
    return (number + step // 2) // step * step


def _basis(table: Table, schools: Sequence[School]) -> Basis:
    if table.known is not None:
        unknown = sum(one.id not in table.groups for one in schools)
        return Basis(len(schools), unknown, None, None, None, None, None, None, table.rounds, table.known)
    syncs = sorted(one.last_sync_at for one in schools if one.last_sync_at)
    complete = sum(one.roll_complete_at is not None for one in schools)
    granted = [one.field_groups for one in schools if one.id in table.groups]
    return Basis(
        schools=len(schools),
        schools_unknown=sum(one.id not in table.groups for one in schools),
        roll_complete=bool(schools) and complete == len(schools),
        schools_roll_complete=complete,
        oldest_sync=syncs[0] if syncs else None,
        newest_sync=syncs[-1] if syncs else None,
        field_groups=tuple(sorted(frozenset.intersection(*granted))) if granted else (),
        attendance_overdue=sum(one.attendance_overdue for one in schools),
        rounded=table.rounds,
    )
