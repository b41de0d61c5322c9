"""What may be written of each part of a programme. One row or five hundred are judged alike: by a judge that has loaded
what stands, in a number of statements that does not grow, and remembers each row that it has let pass.
"""

from collections.abc import Hashable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from typing import Any, ClassVar, Final, Self
from uuid import UUID

from app.core.clock import school_day
from app.core.db import Row, Writer
from app.core.errors import Invalid, NotFound, invalid
from app.core.ids import new_id
from app.programmes import sql
from app.programmes.held import refused
from app.programmes.targets import problem_with_aim, shown_as
from app.rules.words import OrganisationKind as Kind

OVERSEERS: Final = frozenset({Kind.HUB, Kind.AUTHORITY, Kind.NATIONAL})
"""Who sees aggregates only, and those rounded."""


@dataclass(frozen=True, slots=True)
class Plan:
    """What becomes of a row: `created`, `updated`, `unchanged` or `replaced` (a line of costs is never changed)."""

    status: str
    after: Row
    before: Row | None = None


class Judge:
    """What stands of one part, by its key; subclasses say what a row must be."""

    part: ClassVar[str]
    taken: ClassVar[tuple[str, str, str]]
    defaults: ClassVar[Mapping[str, Any]] = {}

    def __init__(self, programme: Row, standing: Iterable[Row]) -> None:
        """`programme` is locked; `standing` are the rows of the part that have not ended."""
        self.programme = programme
        self.by_key: dict[Hashable, Row] = {self.key(row): row for row in standing}
        self.seen: set[Hashable] = set()
        self.strands: dict[UUID, Row] = {}
        self.codes: dict[str, UUID] = {}
        self.schools: dict[UUID, Row] = {}
        self.urns: dict[str, UUID] = {}

    @classmethod
    async def load(cls, tx: Writer, programme: Row, given: Sequence[Mapping[str, Any]]) -> Self:
        """A judge of these rows."""
        raise NotImplementedError

    async def know(
        self, tx: Writer, given: Sequence[Mapping[str, Any]], *, strands: bool = True, schools: bool = True
    ) -> None:
        """Load what rows name: the programme's strands, and schools by id or URN."""
        if strands:
            rows = await sql.standing(tx, "strands", self.programme["id"])
            self.strands = {row["id"]: row for row in rows}
            self.codes = {row["code"]: row["id"] for row in rows}
        if schools:
            said = [row.get("school_id") for row in given]
            ids = [one for one in said if isinstance(one, UUID)]
            found = await sql.schools_named(tx, ids, [one for one in said if isinstance(one, str)])
            self.schools = {row["id"]: row for row in found}
            self.urns = {row["urn"]: row["id"] for row in found if row["urn"]}

    def key(self, row: Row) -> Hashable:
        """By what a row is known to be the same."""
        raise NotImplementedError

    def check(self, after: dict[str, Any], before: Row | None) -> None:
        """Raise a Problem if the row may not be so."""
        raise NotImplementedError

    def resolved(self, given: Mapping[str, Any]) -> dict[str, Any]:
        """The row with ids where it named a school by URN or a strand by code; refuses what is not known."""
        row = dict(given)
        if isinstance(row.get("school_id"), str):
            row["school_id"] = self.urns.get(row["school_id"])
            if row["school_id"] is None:
                raise invalid("/school_id", "unknown_school", "There is no such school.")
        if isinstance(row.get("strand_id"), str):
            row["strand_id"] = self.codes.get(row["strand_id"])
            if row["strand_id"] is None:
                raise self.no_strand()
        if row.get("strand_id") is not None and row["strand_id"] not in self.strands:
            raise self.no_strand()
        return row

    @staticmethod
    def no_strand() -> Invalid:
        """The refusal of a strand that is not there."""
        return invalid("/strand_id", "unknown_strand", "This programme has no such strand.")

    def added(self, given: Mapping[str, Any]) -> Plan:
        """A new row; Conflict if there is one of its key already."""
        return self._passed({**self._fresh(), **self.resolved(given)}, None)

    def changed(self, given: Mapping[str, Any], before: Row) -> Plan:
        """A row with some fields changed."""
        return self._passed({**before, **self.resolved(given)}, before)

    def kept(self, given: Mapping[str, Any]) -> Plan:
        """A row of a table: added, or changed where there is one of its key."""
        said = self.resolved(given)
        row = {**self._fresh(), **said}
        self._first(key := self.key(row))
        before = self.by_key.get(key)
        plan = self._passed({**before, **said} if before else row, before)
        self.seen.add(key)
        return plan

    def _first(self, key: Hashable) -> None:
        if key in self.seen:
            raise refused("", "repeated_row", "A row before this one is about the same.")

    def _fresh(self) -> dict[str, Any]:
        ours = {
            "id": new_id(),
            "programme_id": self.programme["id"],
            "owner_id": self.programme["owner_id"],
        }
        return {**ours, **self.defaults}

    def _passed(self, after: dict[str, Any], before: Row | None) -> Plan:
        twin = self.by_key.get(self.key(after))
        if twin is not None and (before is None or twin["id"] != before["id"]):
            raise refused(*self.taken)
        if before is not None and all(_same(after[name], before[name]) for name in after):
            return Plan("unchanged", before, before)
        self.check(after, before)
        if before is not None:
            self.by_key.pop(self.key(before), None)
        self.by_key[self.key(after)] = after
        return Plan("updated" if before is not None else "created", after, before)


def _same(one: object, other: object) -> bool:
    return one == other or (one in (None, "") and other in (None, ""))


class Strands(Judge):
    """A strand has a code of its own."""

    part = "strands"
    taken = ("/code", "code_taken", "There is a strand of this code already.")
    defaults: ClassVar[Mapping[str, Any]] = {"model": None, "removed_at": None}

    @classmethod
    async def load(cls, tx: Writer, programme: Row, given: Sequence[Mapping[str, Any]]) -> Self:
        """One statement."""
        del given
        return cls(programme, await sql.standing(tx, "strands", programme["id"]))

    def key(self, row: Row) -> Hashable:
        """Its code."""
        return str(row["code"])

    def check(self, after: dict[str, Any], before: Row | None) -> None:
        """Nothing else is asked of it."""


class Schools(Judge):
    """A school takes part in a strand once. The owner enrols its own members; any other school is invited."""

    part = "schools"
    taken = ("/school_id", "already_enrolled", "This school takes part in this strand already.")
    defaults: ClassVar[Mapping[str, Any]] = {
        "strand_id": None, "state": "enrolled", "joined_on": None, "left_on": None, "own_budget": "unknown",
    }  # fmt: skip

    def __init__(self, programme: Row, standing: Iterable[Row], today: date) -> None:
        """`today` is the school day of the caller."""
        super().__init__(programme, standing)
        self.today = today

    @classmethod
    async def load(cls, tx: Writer, programme: Row, given: Sequence[Mapping[str, Any]]) -> Self:
        """Three statements."""
        standing = await sql.standing(tx, "schools", programme["id"])
        made = cls(programme, standing, school_day(tx.caller.now))
        await made.know(tx, [*given, *standing])
        return made

    def key(self, row: Row) -> Hashable:
        """The school and the strand."""
        return row["school_id"], row["strand_id"]

    def check(self, after: dict[str, Any], before: Row | None) -> None:
        """See the class."""
        school = self.schools.get(after["school_id"])
        if school is None:
            raise NotFound("school")
        was, will = before["state"] if before else None, after["state"]
        if was is None and will == "left":
            raise refused("/state", "not_enrolled", "This school does not take part, so it cannot leave.")
        if was == "enrolled" and will == "invited":
            raise refused(
                "/state", "already_enrolled", "This school takes part already; there is nothing to ask."
            )
        if will == "enrolled" and was != "enrolled" and not school["member"]:
            raise refused("/state", "invite_only", "Not a member of yours today: invite it, and it answers.")
        if will == "enrolled":
            after["joined_on"] = after["joined_on"] or self.today
        after["left_on"] = (after["left_on"] or self.today) if will == "left" else None
        if after["left_on"] and after["joined_on"] and after["left_on"] < after["joined_on"]:
            raise invalid(
                "/left_on", "leaves_before_joining", "A school leaves on the day it joined, or after."
            )


class Targets(Judge):
    """What is to be reached, once per strand, measure, characteristic and day; never below what is reached already."""

    part = "targets"
    taken = (
        "/measure",
        "target_taken",
        "There is a target of this measure, for the same and by the same day.",
    )
    defaults: ClassVar[Mapping[str, Any]] = {
        "strand_id": None, "characteristic": None, "due_on": None, "removed_at": None,
    }  # fmt: skip

    def __init__(
        self, programme: Row, standing: Iterable[Row], reached: Mapping[UUID | None, Row], *, rounds: bool
    ) -> None:
        """`reached`, exact, by strand; `rounds`: the caller may know it only rounded."""
        super().__init__(programme, standing)
        self.reached = {strand: shown_as(row, rounds=rounds) for strand, row in reached.items()}
        self.rounds = rounds

    @classmethod
    async def load(cls, tx: Writer, programme: Row, given: Sequence[Mapping[str, Any]]) -> Self:
        """Three statements."""
        del given
        standing = await sql.standing(tx, "targets", programme["id"])
        strands = await sql.standing(tx, "strands", programme["id"])
        reached = await sql.reached(tx, programme["id"], [None, *(row["id"] for row in strands)])
        made = cls(programme, standing, reached, rounds=tx.caller.org_kind in OVERSEERS)
        made.strands = {row["id"]: row for row in strands}
        made.codes = {row["code"]: row["id"] for row in strands}
        return made

    def key(self, row: Row) -> Hashable:
        """All but the value."""
        return row["strand_id"], row["measure"], row["characteristic"], row["due_on"]

    def check(self, after: dict[str, Any], before: Row | None) -> None:  # noqa: ARG002
        """See the class."""
        if fault := problem_with_aim(after):
            raise fault
        if after["measure"] == "share" or after["characteristic"]:
            return
        reached = int(self.reached[after["strand_id"]][after["measure"]])
        if after["value"] < reached:
            about = "about " if self.rounds else ""
            detail = f"{about}{reached} {after['measure'].replace('_', ' ')} are reached already."
            raise refused(
                "/value", "below_reached", detail.capitalize(), reached=reached, rounded=self.rounds
            )


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
    ) -> None:
        """`aside`: the allocation of each school; `bookings`: those of the programme among the ones named."""
        super().__init__(programme, lines)
        self.by_id = {row["id"]: row for row in self.by_key.values()}
        self.joined, self.aside, self.used = frozenset(joined), aside, dict(used)
        self.bookings = bookings

    @classmethod
    async def load(cls, tx: Writer, programme: Row, given: Sequence[Mapping[str, Any]]) -> Self:
        """Seven statements."""
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
        )
        await made.know(tx, given)
        return made

    def key(self, row: Row) -> Hashable:
        """Its reference if it has one, else its id."""
        key: Hashable = row.get("external_ref") or row["id"]
        return key

    def kept(self, given: Mapping[str, Any]) -> Plan:
        """A line of a table: a new one, the same, or one in place of the line of its id or reference."""
        row = {name: value for name, value in self.resolved(given).items() if name != "id"}
        before = self.by_id.get(given["id"]) if given.get("id") else self.by_key.get(row.get("external_ref"))
        if before is None and given.get("id"):
            raise refused("/id", "unknown_cost", "This programme has no such line.")
        self._first(key := before["id"] if before else row.get("external_ref"))
        plan = self._in_place_of(before, row) if before else self.added(row)
        self.seen |= {key, plan.after["id"]} - {None}
        return plan

    def _in_place_of(self, before: Row, row: Mapping[str, Any]) -> Plan:
        if all(_same(value, before[name]) for name, value in row.items()):
            return Plan("unchanged", before, before)
        self.forget(before)
        try:
            plan = self._passed({**self._fresh(), **row}, None)
        except Exception:
            self.remember(before)
            raise
        return Plan("replaced", plan.after, before)

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

    def check(self, after: dict[str, Any], before: Row | None) -> None:  # noqa: ARG002  (a line is never changed)
        """See the class."""
        school = after["school_id"]
        if school not in self.schools:
            raise NotFound("school")
        if school not in self.joined:
            raise refused("/school_id", "not_enrolled", "This school does not take part in the programme.")
        if after["booking_id"] is not None:
            booking = self.bookings.get(after["booking_id"])
            if booking is None or booking["school_id"] != school:
                raise invalid(
                    "/booking_id", "unknown_booking", "This school has no such booking in the programme."
                )
            after["strand_id"] = after["strand_id"] or booking["strand_id"]
        if after["paid_by"] == "programme":
            aside, used = self.aside.get(school, 0), self.used.get(school, 0)
            if used + after["amount_pence"] > aside:
                detail = f"{aside} pence are set aside for this school; {used} are committed or spent."
                figures = {"allocated_pence": aside, "committed_pence": used}
                raise refused("/amount_pence", "over_allocation", detail, **figures)
        self._count(after, 1)


JUDGES: Final[Mapping[str, type[Judge]]] = {
    one.part: one for one in (Strands, Schools, Targets, Allocations, Costs)
}
