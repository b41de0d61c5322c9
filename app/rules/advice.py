"""Safe defaults for a working day, as warnings: what a school should know and may accept. No refusals."""

from collections.abc import Callable, Iterator
from datetime import timedelta
from itertools import pairwise
from typing import Final

from app.rules.answers import Reason
from app.rules.eligibility import BookingFacts, first_and_last_day, on_site
from app.rules.hours import Sitting, calendar_days, planned
from app.rules.school_calendar import london_date, london_midnight, london_time

MAX_DAY_MINUTES: Final = 480
MAX_STRETCH: Final = timedelta(hours=4, minutes=30)
MAX_DAYS_IN_SEVEN: Final = 5
EARLIEST_HOUR: Final = 7
LATEST_HOUR: Final = 19
LONG: Final = timedelta(days=14)


def long_days(facts: BookingFacts) -> Iterator[Reason]:
    """More than eight hours, breaks left out, on one day."""
    for day in calendar_days(facts.sittings):
        minutes = sum(planned(each) for each in facts.sittings if london_date(each.starts_at) == day)
        if minutes > MAX_DAY_MINUTES:
            yield Reason("more_than_8_hours", f"{minutes} minutes on {day.isoformat()}.")


def too_many_days(facts: BookingFacts) -> Iterator[Reason]:
    """More than five days in any seven."""
    days = calendar_days(facts.sittings)
    spans = zip(days, days[MAX_DAYS_IN_SEVEN:], strict=False)
    if any((sixth - first).days < 7 for first, sixth in spans):  # noqa: PLR2004 -- a week
        yield Reason("more_than_5_days_in_7", "More than five days in seven.")


def odd_hours(facts: BookingFacts) -> Iterator[Reason]:
    """Before 07:00 or after 19:00 in London."""
    for sitting in facts.sittings:
        midnight = london_midnight(london_date(sitting.starts_at))
        begins = london_time(sitting.starts_at)
        ends_late = london_time(sitting.ends_at) > london_time(midnight).replace(hour=LATEST_HOUR)
        if begins.hour < EARLIEST_HOUR or ends_late:
            yield Reason("outside_7_to_19", f"Outside 07:00 to 19:00 on {begins.date().isoformat()}.")


def missing_breaks(facts: BookingFacts) -> Iterator[Reason]:
    """More than four and a half hours without a break."""
    for sitting in facts.sittings:
        if longest_stretch(sitting) > MAX_STRETCH:
            day = london_date(sitting.starts_at).isoformat()
            yield Reason("no_break_after_4_5_hours", f"More than 4.5 hours without a break on {day}.")


def insurer_to_know(facts: BookingFacts) -> Iterator[Reason]:
    """An insurer is told of more than two weeks."""
    first, last = first_and_last_day(facts.sittings)
    if last - first >= LONG and not facts.insurer_notified and on_site(facts):
        yield Reason("insurer_not_notified", "The insurer is to be told of more than two weeks.")


def longest_stretch(sitting: Sitting) -> timedelta:
    """The longest time without a break. A break without a time is taken to fall in the middle."""
    edges = sorted(
        [sitting.starts_at, sitting.ends_at]
        + [edge for pause in sitting.breaks for edge in (pause.starts_at, pause.ends_at)]
    )
    longest = max(end - start for start, end in list(pairwise(edges))[::2])
    pause = timedelta(minutes=sitting.break_minutes)
    return (longest - pause) / 2 if pause else longest


WARNING_RULES: Final[tuple[Callable[[BookingFacts], Iterator[Reason]], ...]] = (
    long_days,
    too_many_days,
    odd_hours,
    missing_breaks,
    insurer_to_know,
)


def warnings(facts: BookingFacts) -> list[Reason]:
    """What a school should know and may accept, in the order of the rules. Never a refusal.

    Codes: `more_than_8_hours`, `more_than_5_days_in_7`, `outside_7_to_19`, `no_break_after_4_5_hours`,
    `insurer_not_notified`.
    """
    return [warning for rule in WARNING_RULES for warning in rule(facts)]
