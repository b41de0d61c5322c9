"""Bodies and answers of a programme's costs, money and history. Money is in whole pence (GBP)."""

from datetime import date, datetime
from typing import Annotated, Any, Literal
from uuid import UUID

from pydantic import ConfigDict, Field

from app.rest.models import Day, Out, Ref
from app.rest.programme_models import MoneyBody, Pence

_ID = "01a2013a-9643-713b-a2d5-339b6a0a0c26"
_PROGRAMME = "01a2013a-0000-7000-8000-00000000000b"
_SCHOOL = "01a2013a-0000-7000-8000-000000000001"

CostKind = Literal["coach", "supply_cover", "kit", "lunch", "insurance", "other"]
Stage = Literal["commitment", "spend"]
Payer = Literal["programme", "school", "employer", "trust", "parent"]
Part = Literal["programme", "strand", "school", "target", "allocation", "cost"]


def _example(**values: Any) -> ConfigDict:  # noqa: ANN401
    return ConfigDict(json_schema_extra={"examples": [values]})


class CostIn(MoneyBody):
    """Money committed or spent. A commitment that is paid is removed, and written anew as spend."""

    model_config = _example(
        school_id=_SCHOOL, kind="supply_cover", stage="spend", paid_by="school", amount_pence=180_00,
        on_date="2026-11-20",
    )  # fmt: skip

    school_id: UUID = Field(description="A school that takes part.")
    booking_id: UUID | None = Field(None, description="A booking of that school's in this programme.")
    strand_id: UUID | None = Field(None, description="The booking's, if left out.")
    kind: CostKind
    stage: Stage
    paid_by: Payer
    amount_pence: Pence
    on_date: Day
    external_ref: Annotated[Ref | None, Field(description="Your own reference; unique in the programme.")] = (
        None
    )


class CostOut(Out):
    """A line of costs. It is never changed: a correction removes it and writes another."""

    model_config = _example(
        id=_ID, programme_id=_PROGRAMME, school_id=_SCHOOL, booking_id=None, strand_id=None, kind="coach",
        stage="commitment", paid_by="programme", amount_pence=240_00, currency="GBP", on_date="2026-11-20",
        external_ref=None, recorded_by="01a2013a-0000-7000-8000-00000000000f", created_at="2026-11-22T09:30:00Z",
    )  # fmt: skip

    id: UUID
    programme_id: UUID
    school_id: UUID
    booking_id: UUID | None
    strand_id: UUID | None
    kind: CostKind
    stage: Stage
    paid_by: Payer
    amount_pence: int
    currency: Literal["GBP"]
    on_date: date
    external_ref: str | None
    recorded_by: UUID | None = Field(
        description="The organisation that recorded it; null where that was not kept yet."
    )
    created_at: datetime


class CostPage(Out):
    """A page of costs."""

    data: list[CostOut]
    next: str | None


class SchoolMoney(Out):
    """What is set aside for a school, and used of it."""

    school_id: UUID
    allocated_pence: int
    committed_pence: int = Field(description="By the programme.")
    spent_pence: int = Field(description="By the programme.")
    left_pence: int = Field(description="Allocated, less committed and spent.")


class PayerMoney(Out):
    """What one side pays."""

    paid_by: Payer
    committed_pence: int
    spent_pence: int


class MoneyOut(Out):
    """A programme's money. A school reads its own lines of it, and neither the budget nor what others have."""

    model_config = _example(
        programme_id=_PROGRAMME, currency="GBP", budget_pence=25_000_00, allocated_pence=500_00,
        unallocated_pence=24_500_00, committed_pence=240_00, committed_to_date_pence=0, spent_pence=0,
        by_school=[{
            "school_id": _SCHOOL, "allocated_pence": 500_00, "committed_pence": 240_00, "spent_pence": 0,
            "left_pence": 260_00,
        }],
        by_payer=[{"paid_by": "programme", "committed_pence": 240_00, "spent_pence": 0}],
    )  # fmt: skip

    programme_id: UUID
    currency: Literal["GBP"]
    budget_pence: int | None = Field(description="Null where none was stated.")
    allocated_pence: int
    unallocated_pence: int | None
    committed_pence: int = Field(
        description="By whoever pays: every commitment that stands, whatever its day."
    )
    committed_to_date_pence: int = Field(description="Of what is committed: on days up to today.")
    spent_pence: int = Field(description="By whoever pays.")
    by_school: list[SchoolMoney]
    by_payer: list[PayerMoney]


class ChangeOut(Out):
    """One line of the history: what was added, changed or removed, when, by which client, and how it is since."""

    model_config = _example(
        id=_ID, programme_id=_PROGRAMME, part="allocation", part_id=_ID, change="changed", school_id=_SCHOOL,
        now={"school_id": _SCHOOL, "amount_pence": 500_00}, client_id="01a2013a-0000-7000-8000-00000000000e",
        org_id="01a2013a-0000-7000-8000-00000000000f", recorded_at="2026-11-22T09:30:00Z",
    )  # fmt: skip

    id: UUID
    programme_id: UUID
    part: Part
    part_id: UUID
    change: Literal["added", "changed", "removed"]
    school_id: UUID | None
    now: dict[str, Any] = Field(description="The part after the change; of what was removed, as it was.")
    client_id: UUID | None = Field(
        description="Who did it; null for what was there before histories were kept."
    )
    org_id: UUID | None = Field(description="The organisation whose client it is; null with it.")
    recorded_at: datetime


class ChangePage(Out):
    """A page of history."""

    data: list[ChangeOut]
    next: str | None


class CellFault(Out):
    """What is wrong with a cell, or with the row as a whole (`field` is null)."""

    pointer: str = Field(description="`/<index>/<field>`.")
    field: str | None = Field(description="The column.")
    code: str
    detail: str


class LineOut(Out):
    """What became of one row."""

    index: int = Field(description="Of the rows below the header, from 0.")
    line: int = Field(description="Where the row begins in the file; the header is line 1.")
    id: UUID | None
    status: Literal["created", "updated", "unchanged", "refused"]
    errors: list[CellFault]


class ImportOut(Out):
    """The answer to an import, row by row."""

    model_config = _example(
        created=1, updated=0, unchanged=0, refused=1,
        data=[
            {"index": 0, "line": 2, "id": _ID, "status": "created", "errors": []},
            {"index": 1, "line": 3, "id": None, "status": "refused", "errors": [
                {"pointer": "/1/amount", "field": "amount", "code": "too_many_decimals",
                 "detail": "Pounds with at most two decimals, as 1250.50."},
            ]},
        ],
    )  # fmt: skip

    created: int
    updated: int
    unchanged: int
    refused: int
    data: list[LineOut]
