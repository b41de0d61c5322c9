"""Who is asking: the client, its organisation, its scopes, the school it acts for, and domain time."""

from dataclasses import dataclass, replace
from datetime import datetime
from uuid import UUID


@dataclass(frozen=True, slots=True)
class Caller:
    """The party behind one request. `now` is domain time (UTC); wall time is never read from here."""

    client_id: UUID
    org_id: UUID
    org_kind: str
    scopes: frozenset[str]
    now: datetime
    school_id: UUID | None = None
    token_id: UUID | None = None

    def at(self, now: datetime) -> "Caller":
        """The same caller at another domain time."""
        return replace(self, now=now)

    def acting_for(self, school_id: UUID) -> "Caller":
        """The same caller, naming the school it acts for."""
        return replace(self, school_id=school_id)

    @property
    def side(self) -> str:
        """`employer` for an employer's client, else `school`: the two sides of a booking."""
        return "employer" if self.org_kind == "employer" else "school"
