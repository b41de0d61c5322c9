"""What may be written of a part of a programme. One row or five hundred are judged alike: by a judge that has loaded what
stands, in a number of statements that does not grow, and remembers each row that it has let pass.
"""

from abc import ABC, abstractmethod
from collections.abc import Hashable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, Self
from uuid import UUID

from app.core.db import Row, Writer
from app.core.errors import Invalid, invalid
from app.core.ids import new_id
from app.programmes import sql
from app.programmes.held import refused


@dataclass(frozen=True, slots=True)
class Plan:
    """What becomes of a row: `created`, `updated`, `unchanged` or `replaced` (a line of costs is never changed)."""

    status: str
    after: Row
    before: Row | None = None


class Judge(ABC):
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
    @abstractmethod
    async def load(cls, tx: Writer, programme: Row, given: Sequence[Mapping[str, Any]]) -> Self:
        """A judge of these rows."""

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

    @abstractmethod
    def key(self, row: Row) -> Hashable:
        """By what a row is known to be the same."""

    @abstractmethod
    def check(self, after: dict[str, Any], before: Row | None) -> None:
        """Raise a Problem if the row may not be so."""

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

    def about(self, given: Mapping[str, Any]) -> Hashable:
        """What a row of a table is about, where it matters which rows are judged first; None: it does not."""
        del given
        return None

    def asks_more(self, given: Mapping[str, Any]) -> bool:
        """Whether a row takes more money than what stands. What gives money back is judged first, so that the order of
        a table does not matter.
        """
        del given
        return False

    def _school(self, given: Mapping[str, Any]) -> UUID | None:
        said: UUID | str = given["school_id"]
        return self.urns.get(said) if isinstance(said, str) else said

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

    def _alone(self, after: Row, before: Row | None) -> None:
        twin = self.by_key.get(self.key(after))
        if twin is not None and (before is None or twin["id"] != before["id"]):
            raise refused(*self.taken)

    def _passed(self, after: dict[str, Any], before: Row | None) -> Plan:
        self._alone(after, before)
        if before is not None and all(same(after[name], before[name]) for name in after):
            return Plan("unchanged", before, before)
        self.check(after, before)
        if before is not None:
            self.by_key.pop(self.key(before), None)
        self.by_key[self.key(after)] = after
        return Plan("updated" if before is not None else "created", after, before)


def same(one: object, other: object) -> bool:
    """Whether two values of a field are one: a text of no characters is none."""
    return one == other or (one in (None, "") and other in (None, ""))
