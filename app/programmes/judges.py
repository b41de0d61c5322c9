"""The judges of strands, schools and targets, and the table of all judges."""

from collections.abc import Hashable, Iterable, Mapping, Sequence
from datetime import date
from typing import Any, ClassVar, Final, Self
from uuid import UUID

from app.core.clock import school_day
from app.core.db import Row, Writer
from app.core.errors import NotFound, invalid
from app.programmes import sql
from app.programmes.held import refused
from app.programmes.judge import Judge
from app.programmes.purses import Allocations, Costs
from app.programmes.targets import problem_with_aim, shown_as
from app.rules.words import OrganisationKind as Kind

OVERSEERS: Final = frozenset({Kind.HUB, Kind.AUTHORITY, Kind.NATIONAL})
"""Who sees aggregates only, and those rounded."""


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
        if will == "left" and was == "invited":
            after["joined_on"] = None  # the day it was invited for: it never joined
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
        standing = await sql.standing(tx, "targets", programme["id"])
        strands = await sql.standing(tx, "strands", programme["id"])
        codes = {row["code"]: row["id"] for row in strands}
        named = {codes.get(row["strand_id"], row["strand_id"]) for row in given if row.get("strand_id")}
        asked = [None, *named.intersection(codes.values())]
        rounds = tx.caller.org_kind in OVERSEERS
        made = cls(programme, standing, await sql.reached(tx, programme["id"], asked), rounds=rounds)
        made.strands = {row["id"]: row for row in strands}
        made.codes = codes
        return made

    def key(self, row: Row) -> Hashable:
        """All but the value."""
        return row["strand_id"], row["measure"], row["characteristic"], row["due_on"]

    def check(self, after: dict[str, Any], before: Row | None) -> None:
        """See the class. A target that has been passed may still be moved to another day."""
        if fault := problem_with_aim(after, rounds=self.rounds):
            raise fault
        if after["measure"] == "share" or after["characteristic"]:
            return
        if before is not None and after["value"] == before["value"]:
            return
        reached = int(self.reached[after["strand_id"]][after["measure"]])
        if after["value"] < reached:
            about = "about " if self.rounds and after["measure"] != "schools" else ""
            detail = f"{about}{reached} {after['measure'].replace('_', ' ')} are reached already."
            raise refused(
                "/value", "below_reached", detail.capitalize(), reached=reached, rounded=self.rounds
            )


JUDGES: Final[Mapping[str, type[Judge]]] = {
    one.part: one for one in (Strands, Schools, Targets, Allocations, Costs)
}
