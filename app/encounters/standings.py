"""From the rows of a day to what the rules ask, and back: reports, standings, minutes."""

from collections.abc import Iterable, Mapping
from dataclasses import replace
from datetime import datetime
from typing import Any

from app.bookings.facts import moment, sittings_of
from app.core.db import Row
from app.rules import hours
from app.rules.attendance import OUTCOMES, Report, Standing, last_arrival, standing, status_from_times
from app.rules.hours import ATTENDED, Minutes, Sitting
from app.rules.words import AttendanceStatus, NoShowResolution, Reporter

_S = AttendanceStatus


def sitting_of(row: Row) -> Sitting:
    """The sitting of a row of the day."""
    return sittings_of([row])[0]


def reports_of(row: Row) -> list[Report]:
    """All that was said of a participant at a sitting, in the order in which it was said."""
    return [_report(one) for one in row["reports"]]


def _report(one: Mapping[str, Any]) -> Report:
    return Report(
        reporter=Reporter(one["reporter"]),
        status=_S(one["status"]),
        reported_at=moment(one["reported_at"]),
        arrived_at=_maybe(one["arrived_at"]),
        left_at=_maybe(one["left_at"]),
        decides=one["decides"],
    )


def _maybe(value: datetime | str | None) -> datetime | None:
    return None if value is None else moment(value)


def resolution_of(row: Row) -> NoShowResolution | None:
    """How the no-show that stands was resolved. One that was resolved and then came and went is a new one."""
    stands = row["status"] == _S.NO_SHOW and row["resolution"]
    return NoShowResolution(row["resolution"]) if stands else None


def before(row: Row) -> Standing:
    """What is held true of a row now."""
    return standing(reports_of(row), resolution_of(row), row["resolved_at"])


def after(row: Row, report: Report) -> Standing:
    """What will be held true with one more report."""
    return standing([*reports_of(row), report], resolution_of(row), row["resolved_at"])


def held(row: Row) -> Standing:
    """The standing as it is written on a row: for settling, where reports need not be read again."""
    resolution = NoShowResolution(row["resolution"]) if row["resolution"] else None
    return Standing(_S(row["status"]), row["disputed"], row["arrived_at"], row["left_at"], resolution)


def minutes_of(row: Row) -> Minutes:
    """Minutes earned by a row that has an outcome; none where there is a conflict or no outcome."""
    if row["disputed"] or _S(row["status"]) not in OUTCOMES:
        return Minutes()
    return hours.attended(
        sitting_of(row), _S(row["status"]), arrived_at=row["arrived_at"], left_at=row["left_at"]
    )


def with_times(row: Row, report: Report) -> Report:
    """A report made whole: `present` with times that say otherwise becomes what the times say. An arrival that was
    reported when it happened is kept, and need not be timed again; `present` alone earns the planned minutes.
    """
    if report.status == _S.PRESENT and (report.arrived_at or report.left_at):
        status = status_from_times(sitting_of(row), report.arrived_at, report.left_at)
        report = replace(report, status=status)
    if report.status in ATTENDED and report.arrived_at is None:
        return replace(report, arrived_at=last_arrival(reports_of(row), report.reporter))
    return report


def take(row: dict[str, Any], now_holds: Standing) -> None:
    """Write a standing on a row, with its minutes (None until there is an outcome)."""
    row |= {
        "status": now_holds.status.value,
        "arrived_at": now_holds.arrived_at,
        "left_at": now_holds.left_at,
        "disputed": now_holds.conflict,
    }
    settled = now_holds.status in OUTCOMES and not now_holds.conflict
    row["minutes"] = minutes_of(row).total if settled else None


def written(rows: Iterable[Row]) -> list[dict[str, Any]]:
    """What is written back of rows."""
    names = ("id", "status", "arrived_at", "left_at", "minutes", "disputed")
    return [{name: row[name] for name in names} for row in rows]
