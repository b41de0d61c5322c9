"""Wall time, and the calendar of an English school day. Domain time comes with the caller, never from here."""

from datetime import UTC, date, datetime
from zoneinfo import ZoneInfo

LONDON = ZoneInfo("Europe/London")


def wall_now() -> datetime:
    """Wall time in UTC: for tokens, signatures, leases, retries and rate limits only."""
    return datetime.now(UTC)


def school_day(moment: datetime) -> date:
    """The date in Europe/London on which `moment` falls."""
    return moment.astimezone(LONDON).date()


def as_date(value: date | str | None) -> date | None:
    """A date as Postgres put it in JSON."""
    return date.fromisoformat(value) if isinstance(value, str) else value


def rfc3339(moment: datetime) -> str:
    """UTC with milliseconds and `Z`, as every face writes a time."""
    return moment.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
