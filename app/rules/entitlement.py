"""The entitlement: how far a pupil has come, by band, under a dated policy.

Source: DfE statutory guidance on careers (in force September 2025) and the Careers & Enterprise Company's
framework: a week of workplace activity in Years 7-9, a week of placement in Years 10-11, 50 hours in all, 5
hours to the day.
"""

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import date
from fractions import Fraction
from typing import Final

from app.rules.hours import DAY_MINUTES, capped
from app.rules.school_calendar import band_on
from app.rules.words import EntitlementBand, ExperienceKind


@dataclass(frozen=True)
class BandRule:
    """One band's target. `kinds` None means every kind; `virtual_share` is the part that virtual minutes may
    fill.
    """

    band: EntitlementBand
    minutes: int
    kinds: frozenset[ExperienceKind] | None = None
    virtual_share: Fraction = Fraction(1, 2)


@dataclass(frozen=True)
class Policy:
    """A dated policy: its targets in minutes, valid from a day until (and without) another."""

    code: str
    valid_from: date
    valid_until: date | None
    bands: tuple[BandRule, ...]
    total_minutes: int = 3_000
    day_minutes: int = DAY_MINUTES
    daily_cap: int | None = DAY_MINUTES


DEFAULT_POLICY: Final = Policy(
    code="dfe-2025",
    valid_from=date(2025, 9, 1),
    valid_until=None,
    bands=(
        BandRule(EntitlementBand.YEARS_7_9, 1_500),
        BandRule(
            EntitlementBand.YEARS_10_11,
            1_500,
            frozenset({ExperienceKind.PLACEMENT}),
            virtual_share=Fraction(0),
        ),
    ),
)
POLICIES: Final[tuple[Policy, ...]] = (DEFAULT_POLICY,)


@dataclass(frozen=True)
class Entry:
    """Confirmed minutes of one pupil on one London date; negative in a reversal. `nc_year` is that of the
    date.
    """

    on: date
    nc_year: str
    kind: ExperienceKind
    in_person: int = 0
    virtual: int = 0


@dataclass(frozen=True)
class BandProgress:
    """One band. `raw` is what was attended, `credited` after the daily cap, `counted` what fills the target.

    `surplus` is credited minutes of the right kind beyond the target; it counts to the total, never to
    another band.
    """

    band: EntitlementBand
    target: int
    raw: int
    credited: int
    counted: int
    surplus: int
    calendar_days: int

    @property
    def met(self) -> bool:
        """Whether the target is reached."""
        return self.counted >= self.target


@dataclass(frozen=True)
class Progress:
    """A pupil's way through the entitlement, in minutes and in distinct calendar days."""

    policy: str
    bands: tuple[BandProgress, ...]
    raw: int
    credited: int
    target: int
    calendar_days: int

    @property
    def met(self) -> bool:
        """Whether every band and the total are reached."""
        return self.credited >= self.target and all(band.met for band in self.bands)


def policy_on(day: date, policies: Sequence[Policy] = POLICIES) -> Policy:
    """The policy in force on a day; before the first, the first. Refuses no policies with ValueError."""
    if not policies:
        raise ValueError("there is no policy")
    oldest_first = sorted(policies, key=lambda policy: policy.valid_from)
    begun = [policy for policy in oldest_first if policy.valid_from <= day]
    return begun[-1] if begun else oldest_first[0]


def policies_with(kept: Iterable[Policy]) -> tuple[Policy, ...]:
    """Ours and those kept as data: ours end where the data begin."""
    kept = tuple(kept)
    begins = min((policy.valid_from for policy in kept), default=None)
    ours = (policy for policy in POLICIES if begins is None or policy.valid_from < begins)
    return (*ours, *kept)


def progress(entries: Iterable[Entry], policy: Policy, *, date_of_birth: date | None = None) -> Progress:
    """How far these entries carry a pupil. `X` is banded by `date_of_birth`, and only to the total without
    it.

    Reversals are netted per day and kind before the cap; the cap of a day is filled with in-person placement
    first, then other in-person, then virtual minutes. Total minutes are those credited, of any kind, in any
    year.
    """
    net = _net(entries)
    credited = _credited(net, policy.daily_cap)
    bands = tuple(_band(rule, net, credited, date_of_birth) for rule in policy.bands)
    return Progress(
        policy=policy.code,
        bands=bands,
        raw=_sum(net),
        credited=_sum(credited),
        target=policy.total_minutes,
        calendar_days=_days(net),
    )


def credited(entries: Iterable[Entry], policy: Policy) -> list[Entry]:
    """What these entries come to: reversals netted, the daily cap applied. One in-person or virtual part each."""
    return _credited(_net(entries), policy.daily_cap)


def toward(rule: BandRule, kept: Iterable[Entry], *, date_of_birth: date | None = None) -> int:
    """Credited minutes that work towards a band's target, beyond it too: virtual ones up to their share of it."""
    fitting = [entry for entry in kept if _fits(entry, rule, date_of_birth)]
    virtual = min(sum(entry.virtual for entry in fitting), int(rule.minutes * rule.virtual_share))
    return sum(entry.in_person for entry in fitting) + virtual


def _net(entries: Iterable[Entry]) -> list[Entry]:
    sums: defaultdict[tuple[date, str, ExperienceKind], list[int]] = defaultdict(lambda: [0, 0])
    for entry in entries:
        pair = sums[entry.on, entry.nc_year, entry.kind]
        pair[0] += entry.in_person
        pair[1] += entry.virtual
    return [Entry(*key, max(0, here), max(0, virtual)) for key, (here, virtual) in sums.items()]


def _credited(net: Iterable[Entry], cap: int | None) -> list[Entry]:
    room: dict[date, int] = {}
    result = []
    parts = [(entry, False) for entry in net] + [(entry, True) for entry in net]
    for entry, virtual in sorted(parts, key=_worth):
        minutes = entry.virtual if virtual else entry.in_person
        given = minutes if cap is None else capped(minutes, room.setdefault(entry.on, cap))
        room[entry.on] = room.get(entry.on, 0) - given
        result.append(_part(entry, given, virtual=virtual))
    return result


def _worth(part: tuple[Entry, bool]) -> tuple[bool, bool, date, str, str]:
    entry, virtual = part
    return virtual, entry.kind != ExperienceKind.PLACEMENT, entry.on, entry.nc_year, entry.kind.value


def _part(entry: Entry, minutes: int, *, virtual: bool) -> Entry:
    here, there = (0, minutes) if virtual else (minutes, 0)
    return Entry(entry.on, entry.nc_year, entry.kind, here, there)


def _band(rule: BandRule, net: list[Entry], credited: list[Entry], born: date | None) -> BandProgress:
    raw = [entry for entry in net if _fits(entry, rule, born)]
    kept = [entry for entry in credited if _fits(entry, rule, born)]
    in_person = sum(entry.in_person for entry in kept)
    virtual = min(sum(entry.virtual for entry in kept), int(rule.minutes * rule.virtual_share))
    counted = min(rule.minutes, in_person + virtual)
    return BandProgress(
        band=rule.band,
        target=rule.minutes,
        raw=_sum(raw),
        credited=_sum(kept),
        counted=counted,
        surplus=_sum(kept) - counted,
        calendar_days=_days([entry for entry in kept if entry.in_person or rule.virtual_share]),
    )


def _fits(entry: Entry, rule: BandRule, born: date | None) -> bool:
    right_kind = rule.kinds is None or entry.kind in rule.kinds
    return right_kind and band_on(entry.nc_year, born, entry.on) == rule.band


def _sum(entries: Iterable[Entry]) -> int:
    return sum(entry.in_person + entry.virtual for entry in entries)


def _days(entries: Iterable[Entry]) -> int:
    return len({entry.on for entry in entries if entry.in_person or entry.virtual})
