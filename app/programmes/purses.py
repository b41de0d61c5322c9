"""The judges of money: allocations within the budget, costs within the allocation."""

from collections.abc import Hashable, Iterable, Mapping, Sequence
from typing import Any, ClassVar, Final, Self
from uuid import UUID

from app.core.db import Row, Writer
from app.core.errors import Forbidden, NotFound, invalid
from app.programmes import sql
from app.programmes.held import refused
from app.programmes.judge import Judge, Plan, same

_OURS: Final = frozenset({"id", "programme_id", "owner_id", "removed_at", "recorded_by"})
"""What a row of a table does not say."""


def refuse_owners_line(line: Row, caller: UUID) -> None:
    """Forbidden `not_yours` for whoever ends a line of costs that the owner of the programme has recorded, but the owner:
    it would free the programme's money.
    """
    if line["recorded_by"] == line["owner_id"] != caller:
        raise Forbidden("not_yours", "The owner of the programme has recorded this line; it removes it.")


class Allocations(Judge):
    """Money for a school that takes part: together not over the budget, each not below what is committed or spent."""

    part = "allocations"
    taken = ("/school_id", "already_allocated", "There is an allocation for this school already.")
    defaults: ClassVar[Mapping[str, Any]] = {"removed_at": None}

    def __init__(
        self, programme: Row, standing: Sequence[Row], joined: Iterable[UUID], used: Mapping[UUID, int]
    ) -> None:
        """`joined`: the schools that take part; `used`: what each has committed and spent of the programme's money."""
        super().__init__(programme, standing)
        self.joined, self.used = frozenset(joined), used
        self.total = sum(row["amount_pence"] for row in standing)

    @classmethod
    async def load(cls, tx: Writer, programme: Row, given: Sequence[Mapping[str, Any]]) -> Self:
        """Four statements."""
        joined = await sql.standing(tx, "schools", programme["id"])
        used = await sql.used(tx, programme["id"])
        standing = await sql.standing(tx, "allocations", programme["id"])
        made = cls(programme, standing, (row["school_id"] for row in joined), used)
        await made.know(tx, given, strands=False)
        return made

    def key(self, row: Row) -> Hashable:
        """The school."""
        school: UUID = row["school_id"]
        return school

    def about(self, given: Mapping[str, Any]) -> Hashable:
        """The school."""
        return self._school(given)

    def asks_more(self, given: Mapping[str, Any]) -> bool:
        """More than the school has."""
        held = self.by_key.get(self._school(given))
        return held is None or bool(given["amount_pence"] > held["amount_pence"])

    def check(self, after: dict[str, Any], before: Row | None) -> None:
        """See the class."""
        school, amount = after["school_id"], after["amount_pence"]
        if before is None and school not in self.schools:
            raise NotFound("school")
        if before is None and school not in self.joined:
            raise refused("/school_id", "not_enrolled", "This school does not take part in the programme.")
        budget, total = (
            self.programme["budget_pence"],
            self.total + amount - (before["amount_pence"] if before else 0),
        )
        if budget is not None and total > budget:
            detail = f"The budget is {budget} pence; with this, {total} would be set aside."
            raise refused(
                "/amount_pence", "over_budget", detail, budget_pence=budget, allocated_pence=self.total
            )
        used = self.used.get(school, 0)
        if amount < used:
            detail = f"This school has committed and spent {used} pence."
            raise refused("/amount_pence", "below_committed", detail, committed_pence=used)
        self.total = total


class Costs(Judge):
    """A line of money committed or spent. What the programme pays is within the school's allocation."""

    part = "costs"
    taken = ("/external_ref", "external_ref_taken", "There is a line of this reference already.")
    defaults: ClassVar[Mapping[str, Any]] = {
        "booking_id": None, "strand_id": None, "external_ref": None, "removed_at": None,
    }  # fmt: skip

    def __init__(
        self,
        programme: Row,
        lines: Iterable[Row],
        *,
        joined: Iterable[UUID],
        aside: Mapping[UUID, int],
        used: Mapping[UUID, int],
        bookings: Mapping[UUID, Row],
        caller: UUID,
        hidden: Iterable[str],
    ) -> None:
        """`aside`: the allocation of each school; `bookings`: those of the programme among the ones named; `hidden`:
        references that are taken by lines which the caller does not see.
        """
        super().__init__(programme, lines)
        self.by_id = {row["id"]: row for row in self.by_key.values()}
        self.joined, self.aside, self.used = frozenset(joined), aside, dict(used)
        self.bookings, self.caller, self.hidden = bookings, caller, frozenset(hidden)

    @classmethod
    async def load(cls, tx: Writer, programme: Row, given: Sequence[Mapping[str, Any]]) -> Self:
        """Seven statements; one more for references of who sees its own lines only."""
        key = programme["id"]
        ids = [row["id"] for row in given if row.get("id")]
        refs = [row["external_ref"] for row in given if row.get("external_ref")]
        named = {row["booking_id"] for row in given if row.get("booking_id")}
        made = cls(
            programme,
            await sql.lines_like(tx, key, ids, refs),
            joined=[row["school_id"] for row in await sql.ever_enrolled(tx, key)],
            aside={
                row["school_id"]: row["amount_pence"] for row in await sql.standing(tx, "allocations", key)
            },
            used=await sql.used(tx, key),
            bookings=await sql.bookings_of(tx, key, named),
            caller=tx.caller.org_id,
            hidden=await sql.references_taken(tx, key, refs)
            if refs and programme["owner_id"] != tx.caller.org_id
            else (),
        )
        await made.know(tx, given)
        return made

    def key(self, row: Row) -> Hashable:
        """Its reference if it has one, else its id."""
        key: Hashable = row.get("external_ref") or row["id"]
        return key

    def _line(self, given: Mapping[str, Any]) -> Row | None:
        """The line that a row of a table is about: of its id, else of its reference."""
        return self.by_id.get(given["id"]) if given.get("id") else self.by_key.get(given.get("external_ref"))

    def _alone(self, after: Row, before: Row | None) -> None:
        if after["external_ref"] in self.hidden:
            raise refused(*self.taken)
        super()._alone(after, before)

    def _fresh(self) -> dict[str, Any]:
        return {**super()._fresh(), "recorded_by": self.caller}

    def about(self, given: Mapping[str, Any]) -> Hashable:
        """The line, or the reference of a new one."""
        line = self._line(given)
        key: Hashable = line["id"] if line else given.get("external_ref")
        return key

    def asks_more(self, given: Mapping[str, Any]) -> bool:
        """More of its school's allocation than the line that it takes the place of."""
        asked = given["amount_pence"] if given["paid_by"] == "programme" else 0
        line = self._line(given)
        had = line is not None and line["paid_by"] == "programme" and line["school_id"] == self._school(given)
        return bool(asked > (line["amount_pence"] if line and had else 0))

    def kept(self, given: Mapping[str, Any]) -> Plan:
        """A line of a table: a new one, the same, or one in place of the line of its id or reference."""
        row = {name: value for name, value in self.resolved(given).items() if name != "id"}
        before = self._line({**row, "id": given.get("id")})
        if before is None and given.get("id"):
            raise refused("/id", "unknown_cost", "This programme has no such line.")
        self._first(key := before["id"] if before else row.get("external_ref"))
        plan = self._in_place_of(before, row) if before else self.added(row)
        self.seen |= {key, plan.after["id"]} - {None}
        return plan

    def _in_place_of(self, before: Row, row: Mapping[str, Any]) -> Plan:
        row = {**self._fresh(), **row}
        if row["booking_id"] and row["booking_id"] == before["booking_id"] and row["strand_id"] is None:
            # a blank strand is the booking's: the same table again says the same
            row["strand_id"] = self.bookings.get(row["booking_id"], before)["strand_id"]
        if all(same(value, before[name]) for name, value in row.items() if name not in _OURS):
            return Plan("unchanged", before, before)
        refuse_owners_line(before, self.caller)
        self.forget(before)
        try:
            self._alone(row, None)
            self.check(row, before)
        except Exception:
            self.remember(before)
            raise
        self.by_key[self.key(row)] = row
        return Plan("replaced", row, before)

    def forget(self, line: Row) -> None:
        """As if the line were not there."""
        self.by_key.pop(self.key(line), None)
        self._count(line, -1)

    def remember(self, line: Row) -> None:
        """The line is there after all."""
        self.by_key[self.key(line)] = line
        self._count(line, 1)

    def _count(self, line: Row, sign: int) -> None:
        if line["paid_by"] == "programme":
            school = line["school_id"]
            self.used[school] = self.used.get(school, 0) + sign * line["amount_pence"]

    def check(self, after: dict[str, Any], before: Row | None) -> None:
        """See the class. `before` is the line whose place it takes: a line may keep the booking it was written for."""
        school = after["school_id"]
        if school not in self.schools:
            raise NotFound("school")
        if school not in self.joined:
            raise refused("/school_id", "not_enrolled", "This school does not take part in the programme.")
        if after["booking_id"] is not None:
            self._of_its_booking(after, before)
        if after["paid_by"] == "programme":
            aside, used = self.aside.get(school, 0), self.used.get(school, 0)
            if used + after["amount_pence"] > aside:
                detail = f"{aside} pence are set aside for this school; {used} are committed or spent."
                figures = {"allocated_pence": aside, "committed_pence": used}
                raise refused("/amount_pence", "over_allocation", detail, **figures)
        self._count(after, 1)

    def _of_its_booking(self, after: dict[str, Any], before: Row | None) -> None:
        booking = self.bookings.get(after["booking_id"])
        if booking is None and before is not None and before["booking_id"] == after["booking_id"]:
            # the booking is part of another programme now; what it has cost this one may still be put right
            booking = before
        if booking is None or booking["school_id"] != after["school_id"]:
            raise invalid(
                "/booking_id", "unknown_booking", "This school has no such booking in the programme."
            )
        after["strand_id"] = after["strand_id"] or booking["strand_id"]
        if booking["strand_id"] not in {None, after["strand_id"]}:
            raise invalid("/strand_id", "strand_differs", "The booking is part of another strand.")
