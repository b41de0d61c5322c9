"""History that was earned before it came to us: entries of pupils who have none yet, by COPY, and what they come to."""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from datetime import date, datetime
from operator import attrgetter
from typing import Any, NamedTuple
from uuid import UUID

from app.core.clock import school_day
from app.core.db import Writer
from app.ledger import sql
from app.ledger.balances import come_to
from app.ledger.policies import policy_in_force

_SUMMED = ("encounters", "minutes", "virtual_minutes", "bm5", "bm6")


class Earned(NamedTuple):
    """Minutes of one encounter on one school day, in the order in which COPY takes them (`sql.ENTRY_COLUMNS`)."""

    academic_year: int
    id: UUID
    school_id: UUID
    enrolment_id: UUID
    person_no: int
    encounter_id: UUID
    entry: str
    on_date: date
    nc_year: str
    kind: str
    mode: str
    in_person: int
    virtual: int
    bm5: bool
    bm6: bool
    employer_id: UUID | None
    happened_at: datetime


class Account(NamedTuple):
    """All that one pupil has earned at one school: at least one entry, credits only."""

    date_of_birth: date
    entries: Sequence[Earned]


async def bring_in(tx: Writer, accounts: Iterable[Account]) -> int:
    """Write entries, balances and summaries of pupils who have none; gives how many entries.

    The same as `service.credit` leaves, for a hundred thousand entries at a time: the law is the same, the rows go
    in by COPY. A pupil who has a balance already is refused (ConstraintBroken `pk_balances`).
    """
    policy = await policy_in_force(tx, school_day(tx.caller.now))
    entries: list[Earned] = []
    balances: list[Mapping[str, Any]] = []
    yearly: list[Mapping[str, Any]] = []
    for account in accounts:
        # In the order in which a rebuild reads them: an encounter counts under the first of its days.
        mine = sorted(account.entries, key=attrgetter("on_date", "encounter_id"))
        rows = [_net(one, account.date_of_birth) for one in mine]
        entries += mine
        balance, years = come_to(rows, policy)
        balances.append({**balance, "school_id": mine[0].school_id, "person_no": mine[0].person_no})
        yearly += years
    await sql.keep_calm(tx, sorted({row["school_id"] for row in balances}))
    await sql.copy_history(tx, entries, balances, yearly, _summaries(yearly))
    return len(entries)


def _net(one: Earned, born: date) -> dict[str, Any]:
    return {**one._asdict(), "net": 1, "date_of_birth": born}


def _summaries(yearly: Iterable[Mapping[str, Any]]) -> list[dict[str, Any]]:
    names = ("school_id", "academic_year", "nc_year", "kind")
    sums: defaultdict[tuple[Any, ...], list[int]] = defaultdict(lambda: [0] * len(_SUMMED))
    for row in yearly:
        mine = sums[tuple(row[name] for name in names)]
        for at, name in enumerate(_SUMMED):
            mine[at] += row[name]
    return [
        {**dict(zip(names, key, strict=True)), **dict(zip(_SUMMED, counts, strict=True))}
        for key, counts in sums.items()
    ]
