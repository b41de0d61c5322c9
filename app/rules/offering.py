"""What an employer may offer, and when: year groups, visibility, the sittings of a slot and its deadlines.

Each `problems_with_...` gives every fault at once as (JSON pointer into the request, Refusal); an empty list is a yes.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import pairwise
from typing import Any, Final

from app.rules.advice import warnings
from app.rules.answers import Reason, Refusal
from app.rules.eligibility import BookingFacts
from app.rules.hours import Sitting, planned
from app.rules.statutes import PLACEMENT_NC_YEARS, YEAR_GROUPS
from app.rules.words import NC_YEARS, ActivityBand, ExperienceKind, Mode, Visibility

BOOK_BEFORE: Final = timedelta(days=2)
NAME_BEFORE: Final = timedelta(days=7)
LONGEST_SITTING: Final = timedelta(hours=24)
FURTHEST: Final = timedelta(days=3 * 366)
_BIT_OF_X: Final = 15

AUDIENCE_OF: Final[Mapping[str, str]] = {
    Visibility.NAMED_HUBS: "hub",
    Visibility.NAMED_PROGRAMMES: "programme",
    Visibility.NAMED_SCHOOLS: "school",
}
"""What the audience ids of a restricted offer stand for."""

Fault = tuple[str, Refusal]


def year_bit(year: str) -> int:
    """The bit of an NC year in a year mask: `1 << int(year)` for 7 to 14, bit 15 for `X`."""
    return 1 << (_BIT_OF_X if year == "X" else int(year))


def year_mask(kind: ExperienceKind | str, years: Iterable[str]) -> int:
    """The year groups as bits. None named is every one that is lawful for the kind."""
    every = PLACEMENT_NC_YEARS if kind == ExperienceKind.PLACEMENT else YEAR_GROUPS
    return sum(year_bit(year) for year in set(years) or every)


def problems_with_offer(offer: Mapping[str, Any]) -> list[Fault]:
    """What stands against an offer as a whole (all its members present).

    Codes: `not_one_of` (year group), `placement_unlawful` (Education Act 1996 s.560), `required` (a description
    of what is innovative; an audience), `not_here` (an audience where every school is shown it).
    """
    faults = [
        (f"/year_groups/{i}", Refusal("not_one_of", f"One of: {', '.join(_secondary())}."))
        for i, year in enumerate(offer["year_groups"])
        if year not in YEAR_GROUPS
    ]
    if offer["kind"] == ExperienceKind.PLACEMENT:
        faults += [
            (
                f"/year_groups/{i}",
                Refusal("placement_unlawful", f"A placement is not lawful for Year {year}."),
            )
            for i, year in enumerate(offer["year_groups"])
            if year in YEAR_GROUPS - PLACEMENT_NC_YEARS
        ]
    if offer["kind"] == ExperienceKind.INNOVATIVE and not offer.get("description"):
        faults.append(("/description", Refusal("required", "Say what is new about it.")))
    named, shown_to_all = bool(offer["audience_ids"]), offer["visibility"] == Visibility.ALL_SCHOOLS
    if named and shown_to_all:
        faults.append(("/audience_ids", Refusal("not_here", "An offer to all schools has no audience.")))
    if not named and not shown_to_all:
        faults.append(("/audience_ids", Refusal("required", "Name those that are shown the offer.")))
    return faults


def _secondary() -> list[str]:
    return [year for year in NC_YEARS if year in YEAR_GROUPS]


# --- slots ------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Timing:
    """One sitting as it was sent. `virtual` None follows the mode of the offer."""

    starts_at: datetime
    ends_at: datetime
    break_minutes: int = 0
    virtual: bool | None = None


def problems_with_sittings(timings: Sequence[Timing], mode: Mode | str, now: datetime) -> list[Fault]:
    """What stands against the times of a slot.

    Codes: `out_of_order` (ends before it starts), `too_long` (over 24 hours, or more break than time),
    `in_the_past`, `too_far_ahead` (over three years), `overlap`, `not_in_this_mode`.
    """
    faults: list[Fault] = []
    for i, timing in enumerate(timings):
        faults += [(f"/sittings/{i}/{field}", refusal) for field, refusal in _with_one(timing, mode, now)]
    ordered = sorted(enumerate(timings), key=lambda one: one[1].starts_at)
    for (_, before), (i, after) in pairwise(ordered):
        if after.starts_at < before.ends_at:
            faults.append((f"/sittings/{i}/starts_at", Refusal("overlap", "Sittings do not overlap.")))
    return faults


def _with_one(timing: Timing, mode: Mode | str, now: datetime) -> Iterable[Fault]:
    length = timing.ends_at - timing.starts_at
    if length <= timedelta(0):
        yield "ends_at", Refusal("out_of_order", "A sitting ends after it starts.")
    elif length > LONGEST_SITTING:
        yield "ends_at", Refusal("too_long", "A sitting lasts 24 hours at most; make one for each day.")
    elif timedelta(minutes=timing.break_minutes) >= length:
        yield "break_minutes", Refusal("too_long", "A sitting is longer than its breaks.")
    if timing.starts_at <= now:
        yield "starts_at", Refusal("in_the_past", "A slot lies in the future.")
    if timing.starts_at > now + FURTHEST:
        yield "starts_at", Refusal("too_far_ahead", "A slot lies within three years.")
    if timing.virtual is not None and mode != Mode.HYBRID and timing.virtual != (mode == Mode.VIRTUAL):
        yield "virtual", Refusal("not_in_this_mode", f"The offer is {mode}.")


def sittings_of(timings: Iterable[Timing], mode: Mode | str) -> tuple[Sitting, ...]:
    """The sittings, in the order of their start; a virtual one is virtual as a whole. ValueError if they cannot be."""
    return tuple(_sitting(timing, mode) for timing in sorted(timings, key=lambda one: one.starts_at))


def _sitting(timing: Timing, mode: Mode | str) -> Sitting:
    bare = Sitting(timing.starts_at, timing.ends_at, break_minutes=timing.break_minutes)
    if not is_virtual(timing, mode):
        return bare
    return Sitting(
        timing.starts_at, timing.ends_at, break_minutes=timing.break_minutes, virtual_minutes=planned(bare)
    )


def minutes_of(sittings: Iterable[Sitting]) -> int:
    """The planned minutes of a slot: the sum of its sittings, breaks left out."""
    return sum(planned(one) for one in sittings)


def is_virtual(timing: Timing, mode: Mode | str) -> bool:
    """Whether a sitting is on a screen: as it says, else as the offer is."""
    return mode == Mode.VIRTUAL if timing.virtual is None else timing.virtual


def deadlines(
    starts_at: datetime, now: datetime, book_by: datetime | None, name_by: datetime | None
) -> tuple[datetime, datetime]:
    """Until when schools can book and name their pupils.

    By default two and seven days before the start. Where that has passed, booking stays open until the start,
    and names are due when booking ends.
    """
    usual = starts_at - BOOK_BEFORE
    until = book_by or (usual if usual > now else starts_at)
    names = starts_at - NAME_BEFORE
    return until, name_by or (names if names > now else until)


def deadlines_sent_whole(
    starts_at: datetime,
    now: datetime,
    held: tuple[datetime, datetime],
    book_by: datetime | None,
    name_by: datetime | None,
) -> tuple[datetime, datetime]:
    """As `deadlines`, for a slot that is sent whole again: a default that it has already stays, whatever the time is now."""
    until, names = deadlines(starts_at, now, book_by, name_by)
    if book_by is None and held[0] in {starts_at - BOOK_BEFORE, starts_at}:
        until = held[0]
    usual = starts_at - NAME_BEFORE
    if name_by is None:
        names = held[1] if held[1] in {usual, until} else usual if usual > now else until
    return until, names


def problems_with_deadlines(
    starts_at: datetime, now: datetime, book_by: datetime | None, name_by: datetime | None
) -> list[Fault]:
    """Given deadlines lie between now and the start. Codes: `out_of_order`, `in_the_past`."""
    faults: list[Fault] = []
    for field, moment in (("/book_by", book_by), ("/name_by", name_by)):
        if moment is not None and moment > starts_at:
            faults.append((field, Refusal("out_of_order", "Not after the slot starts.")))
        elif moment is not None and moment <= now:
            faults.append((field, Refusal("in_the_past", "A deadline lies in the future.")))
    return faults


def warnings_about(
    kind: ExperienceKind | str, mode: Mode | str, band: ActivityBand | str, sittings: tuple[Sitting, ...]
) -> list[Reason]:
    """What a school will be warned of in a slot with these sittings; see `advice`."""
    return warnings(
        BookingFacts(
            kind=ExperienceKind(kind), mode=Mode(mode), activity_band=ActivityBand(band), sittings=sittings
        )
    )
