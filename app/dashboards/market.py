"""Shortfall against open capacity, the employers around schools, and the variety each pupil has had. Pure.

What is withheld is worked out as for coverage, over the pupils of every group that the caller may count. Capacity and
employers are organisations' affairs and not rounded, but for numbers that stand for pupils.
"""

from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from statistics import median
from typing import Final, Generic, NamedTuple, TypeVar
from uuid import UUID

from app.core.db import Row
from app.dashboards import figures
from app.dashboards.figures import Counts, Cut, Group, Line, Place, School, Table
from app.rules import coverage, intervals
from app.rules.coverage import Cell, Figure, FigureState
from app.rules.offering import year_bit
from app.rules.statutes import YEAR_GROUPS
from app.rules.words import SME_BANDS, CoverageBand, KeyStage, SizeBand, key_stage, values

S = TypeVar("S")
NOT_RECORDED: Final = "unknown"
FEWEST_ANSWERS: Final = 5
"""For hubs an employer's response is shown from this many answers on."""
_STEP = figures.DAY_MINUTES


class By(StrEnum):
    """How shortfall and variety are cut."""

    SCHOOL = "school"
    YEAR_GROUP = "year_group"
    KEY_STAGE = "key_stage"


class EmployersBy(StrEnum):
    """How employers are cut."""

    SIZE = "size"
    SECTOR = "sector"
    RESPONSE = "response"


class ResponseBand(StrEnum):
    """An employer's median time to its first answer. `few`: too few answers to be shown to a hub."""

    WITHIN_A_DAY = "within_a_day"
    WITHIN_3_DAYS = "within_3_days"
    WITHIN_A_WEEK = "within_a_week"
    LONGER = "longer"
    FEW = "few"
    NO_ANSWER = "no_answer"
    NOT_ASKED = "not_asked"


class PlacesBand(StrEnum):
    """Places in bands, so that a booking of one pupil does not show."""

    NONE = "0"
    TO_9 = "1-9"
    TO_24 = "10-24"
    TO_49 = "25-49"
    FROM_50 = "50+"


def places_band(places: int) -> PlacesBand:
    """The band of a number of places."""
    limits = ((0, PlacesBand.NONE), (9, PlacesBand.TO_9), (24, PlacesBand.TO_24), (49, PlacesBand.TO_49))
    return next((band for most, band in limits if places <= most), PlacesBand.FROM_50)


# --- groups of pupils -------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Counted(Generic[S]):
    """Groups of pupils with sums of their own; `table` has their numbers, and what is withheld."""

    table: Table
    sums: Mapping[UUID, Sequence[tuple[Group, S]]]

    def within(self, line: Line, stage: KeyStage | None = None) -> list[tuple[Group, S]]:
        """The groups of a line; of one key stage alone, if that is asked."""
        found = (each for one in line.place.schools for each in self.sums.get(one.id, ()))
        return [each for each in found if _belongs(line, each[0]) and stage in (None, each[0].stage)]


def counted(
    rows: Iterable[Row],
    schools: Mapping[UUID, School],
    sums: Callable[[Row], S],
    *,
    rounds: bool,
    known: datetime | None = None,
) -> Counted[S]:
    """Rows by school and NC year; `known` is the moment of knowledge that was asked for."""
    found: defaultdict[UUID, list[tuple[Group, S]]] = defaultdict(list)
    for row in rows:
        found[row["school_id"]].append((_group(row), sums(row)))
    groups = {school: [group for group, _ in each] for school, each in found.items()}
    held = (
        figures.hidden([one for each in groups.values() for one in each], schools) if rounds else frozenset()
    )
    return Counted(Table(schools, groups, {}, held, rounds, known), dict(found))


def _group(row: Row) -> Group:
    settled = row["settled_year"]
    stage = key_stage(settled) if settled else None
    return Group(row["school_id"], row["nc_year"] or figures.NO_YEAR, stage, Counts(pupils=row["pupils"]))


def _belongs(line: Line, group: Group) -> bool:
    if line.cut is Cut.YEAR_GROUP:
        return group.nc_year == line.key
    return line.cut is not Cut.KEY_STAGE or (group.stage or figures.NO_YEAR) == line.key


def lines(table: Table, place: Place, by: By) -> list[Line]:
    """The lines of one cut, as coverage has them."""
    return figures.lines(table, place, Cut(by.value))


def narrowed(line: Line, stage: KeyStage | None) -> Line:
    """The line of a place, of one key stage alone: withheld where that key stage of the place is."""
    return line if stage is None else line._replace(parts=(f"stage {stage}",))


def state_of(line: Line) -> FigureState:
    """Whether a line is shown: unknown without any data of its schools."""
    table = line.table
    if not any(one.id in table.groups for one in line.place.schools):
        return FigureState.UNKNOWN
    held = any(f"{line.place.key}|{part}" in table.hidden for part in line.parts)
    return FigureState.WITHHELD if held else FigureState.KNOWN


def _figure(table: Table, part: int, base: int) -> Figure:
    if table.rounds and base:
        return coverage.figure(Cell(part, base))
    return Figure(FigureState.KNOWN, part, base, coverage.percent(part, base), coverage.band(part, base))


def _count(table: Table, number: int) -> int:
    return coverage.rounded(number) if table.rounds else number


def _minutes(table: Table, minutes: int) -> int:
    return (minutes + _STEP // 2) // _STEP * _STEP if table.rounds else minutes


# --- what pupils are short of -----------------------------------------------------------------------------


class Lacking(NamedTuple):
    """Pupils below the mark of their band, and what they lack: minutes, and half and whole days begun."""

    below: int = 0
    minutes: int = 0
    half_days: int = 0
    whole_days: int = 0


def lacking_of(row: Row) -> Lacking:
    """A row of the shortfall."""
    return Lacking(row["below"], row["minutes"], row["half_days"], row["whole_days"])


@dataclass(frozen=True, slots=True)
class Shortfall:
    """The shortfall of a line as shown; numbers are None where it is withheld or unknown."""

    state: FigureState
    pupils: int | None
    below: Figure
    minutes: int | None = None
    half_days: int | None = None
    whole_days: int | None = None


def shortfall(found: Counted[Lacking], line: Line, stage: KeyStage | None = None) -> Shortfall:
    """What the pupils of a line lack, all together."""
    state = state_of(line)
    if state is not FigureState.KNOWN:
        return Shortfall(state, None, Figure(state, band=CoverageBand.UNKNOWN))
    table, groups = found.table, found.within(line, stage)
    pupils = sum(group.counts.pupils for group, _ in groups)
    sums = Lacking(*map(sum, zip(*(one for _, one in groups), strict=True)))
    below = _figure(table, sums.below, pupils)
    if table.rounds and not below.reached:
        sums = Lacking()  # nobody is shown as below: then nothing is shown as lacking
    return Shortfall(
        state, _count(table, pupils), below, _minutes(table, sums.minutes),
        _count(table, sums.half_days), _count(table, sums.whole_days),
    )  # fmt: skip


# --- what is open to them ---------------------------------------------------------------------------------


class Open(NamedTuple):
    """Open slots of one kind: the year groups as bits, the schools as bits by position; minutes that count."""

    employer_id: UUID | None
    placement: bool
    years: int
    schools: int
    slots: int
    places: int
    minutes: int
    here_minutes: int


class Room(NamedTuple):
    """Open capacity. `filling`: places whose minutes fill a mark of the pupils', and those minutes."""

    slots: int = 0
    places: int = 0
    minutes: int = 0
    filling_places: int = 0
    filling_minutes: int = 0


def open_of(row: Row) -> Open:
    """A row of what is open."""
    schools = sum(1 << (position - 1) for position in row["schools"])
    return Open(
        row["employer_id"], row["placement"], row["year_mask"], schools, row["slots"], row["places"],
        row["minutes"], row["here_minutes"],
    )  # fmt: skip


def masks_of(table: Table) -> dict[UUID, int]:
    """The year groups each school has pupils in, as bits; schools without any that may be offered to are left out."""
    found = {
        school: sum({year_bit(one.nc_year) for one in groups if one.nc_year in YEAR_GROUPS})
        for school, groups in table.groups.items()
    }
    return {school: mask for school, mask in found.items() if mask}


@dataclass(frozen=True, slots=True)
class Capacity:
    """What is open to the schools of a table, by their positions."""

    rows: tuple[Open, ...]
    positions: Mapping[UUID, int]

    def of(self, groups: Iterable[Group]) -> Room:
        """What these pupils may be booked into; each place once, whichever of them it would suit."""
        years = self._years(groups)
        found = Room()
        for row in self.rows:
            suited = [stage for (bit, stage), at in years.items() if _suits(row, bit, stage, at)]
            if suited:
                found = _added(found, row, suited)
        return found

    def _years(self, groups: Iterable[Group]) -> dict[tuple[int, KeyStage | None], int]:
        found: defaultdict[tuple[int, KeyStage | None], int] = defaultdict(int)
        for group in groups:
            if group.nc_year in YEAR_GROUPS and group.school_id in self.positions:
                found[year_bit(group.nc_year), group.stage] |= 1 << self.positions[group.school_id]
        return found


def capacity_of(rows: Iterable[Row], schools: Sequence[UUID]) -> Capacity:
    """The rows of what is open to these schools, in the order in which they were asked for."""
    return Capacity(tuple(map(open_of, rows)), {school: at for at, school in enumerate(schools)})


def _suits(row: Open, bit: int, stage: KeyStage | None, schools: int) -> bool:
    lawful = not (row.placement and stage is KeyStage.KS3)  # an X banded by date of birth
    return lawful and bool(row.years & bit and row.schools & schools)


def _added(room: Room, row: Open, suited: Sequence[KeyStage | None]) -> Room:
    filling = 0
    if KeyStage.KS3 in suited:
        filling = row.minutes
    elif KeyStage.KS4 in suited and row.placement:
        filling = row.here_minutes
    return Room(
        room.slots + row.slots, room.places + row.places, room.minutes + row.minutes,
        room.filling_places + (row.places if filling else 0), room.filling_minutes + filling,
    )  # fmt: skip


def left(
    found: Counted[Lacking], capacity: Capacity, line: Line, stage: KeyStage | None = None
) -> int | None:
    """What the open places would leave lacking, in minutes, band by band; None where a band is not shown."""
    rest = 0
    for one in (KeyStage.KS3, KeyStage.KS4) if stage is None else (stage,):
        groups = [group for group, _ in found.within(line, one)]
        if not groups:
            continue
        judged = line if line.cut is not None and line.cut is not Cut.SCHOOL else narrowed(line, one)
        lacks = shortfall(found, judged, one)
        if lacks.minutes is None:
            return None
        rest += max(0, lacks.minutes - capacity.of(groups).filling_minutes)
    return rest


# --- how varied it was ------------------------------------------------------------------------------------


class Spread(NamedTuple):
    """How many different ones pupils had, added up, and the pupils with none, one, two, and three or more."""

    sum: int = 0
    none: int = 0
    one: int = 0
    two: int = 0
    more: int = 0


class Minutes(NamedTuple):
    """As attended: all, in person, with a known employer, with a small or medium one."""

    all: int = 0
    in_person: int = 0
    known: int = 0
    sme: int = 0


class Varied(NamedTuple):
    """Sums of a group."""

    employers: Spread
    sectors: Spread
    kinds: Spread
    minutes: Minutes


def varied_of(row: Row) -> Varied:
    """A row of variety."""
    employers, sectors, kinds = (
        Spread(row[name], *row[f"{name}_spread"]) for name in ("employers", "sectors", "kinds")
    )
    minutes = Minutes(row["minutes"], row["in_person"], row["known_minutes"], row["sme_minutes"])
    return Varied(employers, sectors, kinds, minutes)


@dataclass(frozen=True, slots=True)
class ShownSpread:
    """A spread as shown: the mean per pupil and the shares of pupils."""

    mean: float | None
    none: Figure
    one: Figure
    two: Figure
    more: Figure


@dataclass(frozen=True, slots=True)
class Variety:
    """Variety as shown; numbers are None where it is withheld, unknown or of no minutes."""

    state: FigureState
    pupils: int | None
    employers: ShownSpread
    sectors: ShownSpread
    kinds: ShownSpread
    in_person: int | None = None
    sme: int | None = None
    known: int | None = None


def variety(found: Counted[Varied], line: Line) -> Variety:
    """How varied the experiences of the pupils of a line were."""
    state, table = state_of(line), found.table
    if state is not FigureState.KNOWN:
        none = Figure(state, band=CoverageBand.UNKNOWN)
        nothing = ShownSpread(None, none, none, none, none)
        return Variety(state, None, nothing, nothing, nothing)
    groups = found.within(line)
    pupils = sum(group.counts.pupils for group, _ in groups)
    each = [one for _, one in groups]
    silent = table.rounds and not _count(table, pupils - sum(one.kinds.none for one in each))
    sums = Minutes() if silent else Minutes(*map(sum, zip(*(one.minutes for one in each), strict=True)))
    whole, here, known, sme = (_minutes(table, one) for one in sums)
    return Variety(
        state,
        _count(table, pupils),
        _spread(table, [one.employers for one in each], pupils),
        _spread(table, [one.sectors for one in each], pupils),
        _spread(table, [one.kinds for one in each], pupils),
        in_person=coverage.percent(min(here, whole), whole),
        sme=coverage.percent(min(sme, known), known),
        known=coverage.percent(min(known, whole), whole),
    )


def _spread(table: Table, parts: Sequence[Spread], pupils: int) -> ShownSpread:
    sums = Spread(*map(sum, zip(*parts, strict=True))) if parts else Spread()
    shares = (_figure(table, one, pupils) for one in sums[1:])
    base = _count(table, pupils)
    return ShownSpread(round(_count(table, sums.sum) / base, 1) if base else None, *shares)


# --- employers --------------------------------------------------------------------------------------------


class Dealing(NamedTuple):
    """What one employer and one school have had to do with each other in a period."""

    employer_id: UUID
    school_id: UUID
    reached: bool
    requested: int
    confirmed: int
    declined: int
    expired: int
    places: int
    reasons: tuple[str, ...]
    answered: tuple[int, ...]


class Offered(NamedTuple):
    """What one employer offered in a past period; `schools` None: to all."""

    slots: int
    places: int
    filled: int
    schools: frozenset[int] | None


@dataclass(frozen=True, slots=True)
class Profile:
    """Who an employer is."""

    id: UUID
    name: str
    size: SizeBand
    sectors: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Market:
    """The employers around the schools of a table, and all that is between them."""

    table: Table
    positions: Mapping[UUID, int]
    profiles: Mapping[UUID, Profile]
    dealings: Sequence[Dealing]
    offered: Mapping[UUID, Sequence[Offered]] | None  # None: not known of that moment
    open: Sequence[Open] | None


def dealing_of(row: Row) -> Dealing:
    """A row of dealings."""
    return Dealing(
        row["employer_id"], row["school_id"], row["reached"], row["requested"], row["confirmed"], row["declined"],
        row["expired"], row["places"], tuple(row["reasons"]), tuple(row["answered"]),
    )  # fmt: skip


def profiles_of(rows: Iterable[Row]) -> dict[UUID, Profile]:
    """Rows of employers: who they are."""
    return {
        row["employer_id"]: Profile(
            row["employer_id"], row["name"], SizeBand(row["size_band"]), tuple(row["sectors"])
        )
        for row in rows
    }


def offered_of(rows: Iterable[Row]) -> dict[UUID, list[Offered]]:
    """Rows of employers: what they offered."""
    found: defaultdict[UUID, list[Offered]] = defaultdict(list)
    for row in rows:
        schools = None if row["schools"] is None else frozenset(one - 1 for one in row["schools"])
        found[row["employer_id"]].append(Offered(row["slots"], row["places"], row["filled"], schools))
    return found


@dataclass(slots=True)
class Employer:
    """One employer and what it has had to do with the schools of a place. Counts; `answered` in minutes."""

    profile: Profile
    schools: set[UUID]
    reasons: Counter[str]
    answered: list[int]
    requested: int = 0
    confirmed: int = 0
    declined: int = 0
    expired: int = 0
    places: int = 0
    slots: int = 0
    offered: int = 0
    filled: int = 0
    open_slots: int = 0
    open_places: int = 0

    @property
    def sme(self) -> bool:
        """Fewer than 250 employees."""
        return self.profile.size in SME_BANDS


def employers_at(market: Market, place: Place) -> list[Employer]:
    """The employers of a place, by name: those that took part with its schools, or have something open to them.

    One without a profile (registered, and no size said yet) is left out.
    """
    ids = {one.id for one in place.schools}
    at = {market.positions[one] for one in ids if one in market.positions}
    found: dict[UUID, Employer] = {}
    for one in market.dealings:
        if one.school_id in ids and one.employer_id in market.profiles:
            _deal(_one(found, market, one.employer_id), one)
    bits = sum(1 << one for one in at)
    for row in market.open or ():
        if row.employer_id and row.employer_id in market.profiles and row.schools & bits:
            each = _one(found, market, row.employer_id)
            each.open_slots += row.slots
            each.open_places += row.places
    for key, each in found.items():
        for part in (market.offered or {}).get(key, ()):
            if part.schools is None or part.schools & at:
                each.slots += part.slots
                each.offered += part.places
                each.filled += part.filled
    return sorted(found.values(), key=lambda one: (one.profile.name, one.profile.id))


def _one(found: dict[UUID, Employer], market: Market, key: UUID) -> Employer:
    if key not in found:
        found[key] = Employer(market.profiles[key], set(), Counter(), [])
    return found[key]


def _deal(employer: Employer, one: Dealing) -> None:
    if one.reached:
        employer.schools.add(one.school_id)
    employer.requested += one.requested
    employer.confirmed += one.confirmed
    employer.declined += one.declined
    employer.expired += one.expired
    employer.places += one.places
    employer.reasons.update(one.reasons)
    employer.answered += one.answered


@dataclass(frozen=True, slots=True)
class Response:
    """Time to the first answer: the median of `n` in minutes, and its 95 % interval in hours (None of fewer than six)."""

    state: FigureState
    n: int | None = None
    middle: float | None = None
    low_hours: float | None = None
    high_hours: float | None = None


def response(answered: Sequence[int], *, rounds: bool) -> Response:
    """The response of an employer or of several; for hubs from five answers on."""
    if not answered:
        return Response(FigureState.UNKNOWN, 0)
    if rounds and len(answered) < FEWEST_ANSWERS:
        return Response(FigureState.WITHHELD)
    found = intervals.of_median([one / 60 for one in sorted(answered)])
    low, high = intervals.outwards(found, 1) if found else (None, None)
    return Response(FigureState.KNOWN, len(answered), float(median(answered)), low, high)


def band_of(employer: Employer, *, rounds: bool) -> ResponseBand:
    """How soon an employer answers."""
    if not employer.requested:
        return ResponseBand.NOT_ASKED
    if rounds and max(len(employer.answered), employer.requested) < FEWEST_ANSWERS:
        return ResponseBand.FEW
    if not employer.answered:
        return ResponseBand.NO_ANSWER
    if rounds and len(employer.answered) < FEWEST_ANSWERS:
        return ResponseBand.FEW
    hours = median(employer.answered) / 60
    limits = (
        (24, ResponseBand.WITHIN_A_DAY),
        (72, ResponseBand.WITHIN_3_DAYS),
        (168, ResponseBand.WITHIN_A_WEEK),
    )
    return next((band for most, band in limits if hours <= most), ResponseBand.LONGER)


def grouped(employers: Sequence[Employer], by: EmployersBy, *, rounds: bool) -> dict[str, list[Employer]]:
    """Employers by what they are cut by, in order; one of several sectors is in each of them."""
    found: defaultdict[str, list[Employer]] = defaultdict(list)
    for one in employers:
        if by is EmployersBy.SECTOR:
            for sector in one.profile.sectors or (NOT_RECORDED,):
                found[sector].append(one)
        else:
            found[one.profile.size if by is EmployersBy.SIZE else band_of(one, rounds=rounds)].append(one)
    keys = _ORDERS.get(by) or sorted(found, key=lambda key: (key == NOT_RECORDED, key))
    return {key: found[key] for key in keys if key in found}


_ORDERS: Final = {EmployersBy.SIZE: values(SizeBand), EmployersBy.RESPONSE: values(ResponseBand)}


def sme_percent(employers: Sequence[Employer]) -> int | None:
    """Small and medium ones in per cent; None of nobody."""
    return coverage.percent(sum(one.sme for one in employers), len(employers))


def filled_of(places: int, filled: int, *, rounds: bool) -> int:
    """Places taken, as shown: never more than there are."""
    return min(places, coverage.rounded(filled)) if rounds else filled


def reasons_of(employers: Sequence[Employer], *, rounds: bool) -> list[tuple[str, int | None]]:
    """Why these employers declined, the commonest first; for hubs rounded, and None under five."""
    counts: Counter[str] = Counter()
    for one in employers:
        counts.update(one.reasons)
    ordered = sorted(counts.items(), key=lambda each: (-each[1], each[0]))
    if not rounds:
        return [(key, count) for key, count in ordered]
    shown = [(key, coverage.rounded(count)) for key, count in ordered if count >= FEWEST_ANSWERS]
    return [
        *shown,
        *((key, None) for key in sorted(key for key, count in counts.items() if count < FEWEST_ANSWERS)),
    ]
