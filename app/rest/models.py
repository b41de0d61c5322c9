"""The bases of request and response models, and the one type for each kind of value that a request can have.

What arrives is checked, never coerced: see `core/values.py`. The types of bodies take JSON's own kinds (pydantic's
StrictInt and StrictBool); `Flag` and `WholeNumber` are for URLs, where everything is text.
"""

from collections.abc import Callable
from datetime import date, datetime
from typing import Annotated, Any, TypeVar

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, StrictInt
from pydantic_core import PydanticCustomError

from app.core import values
from app.core.values import BadValue

T = TypeVar("T")


class Body(BaseModel):
    """A request body: an unknown field is refused by name, and nothing is coerced or stripped silently."""

    model_config = ConfigDict(extra="forbid", hide_input_in_errors=True)

    def given(self) -> dict[str, Any]:
        """Only the fields that were sent."""
        return self.model_dump(exclude_unset=True)


class Out(BaseModel):
    """A response body, for the contract."""

    model_config = ConfigDict(extra="forbid")


def _checked(read: Callable[[Any], T]) -> Callable[[Any], T]:
    """A reader of `core/values.py` as pydantic wants it, with our own codes."""

    def check(value: Any) -> T:  # noqa: ANN401
        try:
            return read(value)
        except BadValue as bad:
            raise PydanticCustomError(bad.code, bad.detail) from None

    return check


def _not_blank(text: str) -> str:
    if not text.strip():
        raise PydanticCustomError("too_short", "It is not blank.")
    return text


def _of_days(first: date) -> dict[str, Any]:
    return {"formatMinimum": first.isoformat(), "formatMaximum": values.LAST_DAY.isoformat()}


Day = Annotated[
    date,
    BeforeValidator(_checked(values.day)),
    Field(json_schema_extra=_of_days(values.FIRST_DAY)),
]
"""A date as 2026-09-01, 1900 to 2100."""
BirthDay = Annotated[
    date,
    BeforeValidator(_checked(values.birth)),
    Field(json_schema_extra=_of_days(values.FIRST_BIRTH)),
]
"""A date of birth, 1990 to today (which the domain's clock says)."""
Moment = Annotated[
    datetime,
    BeforeValidator(_checked(values.moment)),
    Field(
        json_schema_extra={
            "formatMinimum": "2000-01-01T00:00:00Z",
            "formatMaximum": "2100-12-31T23:59:59.999999Z",
        }
    ),
]
"""A moment with its offset, 2000 to 2100; the model has it in UTC."""
DayOrMoment = Annotated[datetime | date, BeforeValidator(_checked(values.day_or_moment))]
Line = Annotated[str, AfterValidator(_checked(values.line))]
"""A text of one line, without blanks at its ends."""
Text = Annotated[str, AfterValidator(_not_blank)]
"""A text that is not blank; it may have several lines."""
Ref = Annotated[
    str,
    Field(min_length=1, max_length=200, description="Your own reference; unique in your system."),
    AfterValidator(_checked(values.reference)),
]
AcademicYear = Annotated[StrictInt, Field(ge=2000, le=2100)]
Flag = Annotated[bool, BeforeValidator(_checked(values.flag))]
"""`true` or `false` in a URL."""
WholeNumber = Annotated[int, BeforeValidator(_checked(values.whole))]
"""A whole number in a URL."""
MoreErrors = Annotated[
    int,
    Field(
        description="How many errors are not listed: 100 are, and of every further row that is refused the first one. "
        "Of one row 100 are counted at most."
    ),
]
HORIZON = "e1d3a95f7b2.48210"
HorizonOut = Annotated[
    str,
    Field(
        description="Up to where this list is whole; the same on every page of one pull. Keep it, and send it as "
        "`changed_since` next time. It is opaque.",
        examples=[HORIZON],
    ),
]
