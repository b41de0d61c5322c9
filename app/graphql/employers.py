"""The employers around schools, as GraphQL has them: who they are, how they answer, what they offer."""

from uuid import UUID

import strawberry

from app.core.paging import DEFAULT_LIMIT
from app.dashboards import market, market_reading
from app.dashboards.market import Employer, EmployersBy, Market, PlacesBand, ResponseBand
from app.graphql.asked import Asked, Where
from app.graphql.connections import After, Connection, First, turn
from app.graphql.fields import answers
from app.graphql.session import Info, Session
from app.rules.coverage import FigureState
from app.rules.words import SizeBand

_EmployersBy = strawberry.enum(
    EmployersBy,
    name="EmployersBy",
    description="How employers are cut. SIZE, SECTOR (one of several is in each of them), RESPONSE (how soon it answers).",
)
_ResponseBand = strawberry.enum(
    ResponseBand,
    name="ResponseBand",
    description="The median time to an employer's first answer: WITHIN_A_DAY 24 hours, WITHIN_3_DAYS 72, WITHIN_A_WEEK "
    "168, LONGER. FEW: for hubs, asked or answered fewer than five times. NO_ANSWER: asked, and never answered. NOT_ASKED.",
)
_PlacesBand = strawberry.enum(
    PlacesBand,
    name="PlacesBand",
    description="Places in bands: NONE 0, TO_9 1-9, TO_24 10-24, TO_49 25-49, FROM_50 50 and more.",
)
_Size = strawberry.enum(
    SizeBand,
    name="SizeBand",
    description="Employees: MICRO 0-9, SMALL 10-49, MEDIUM 50-249, LARGE 250 and more.",
)


@strawberry.type(
    description="Time from a request to the employer's first answer (confirmed, declined, countered). Low and high are the "
    "95 % order-statistic interval of the median, rounded outwards and never the same, null of fewer than six. For hubs "
    "withheld under five answers."
)
class Response:
    """Of an employer or a group of them."""

    shown: strawberry.Private[market.Response]

    @answers("UNKNOWN: nothing was answered.")
    def state(self) -> FigureState:
        """Whether it is shown."""
        return self.shown.state

    @answers("Requests answered.")
    def n(self) -> int | None:
        """The base."""
        return self.shown.n

    @answers("Hours, to one decimal.")
    def median_hours(self) -> float | None:
        """The median."""
        return _hours(self.shown.middle)

    @answers("Hours, to one decimal.")
    def low_hours(self) -> float | None:
        """Where the interval begins."""
        return self.shown.low_hours

    @answers("Hours, to one decimal.")
    def high_hours(self) -> float | None:
        """Where the interval ends."""
        return self.shown.high_hours


@strawberry.type(description="How often employers declined for a reason.")
class Declined:
    """One reason."""

    reason: str = strawberry.field(description="Reason code, as in REST.")
    count: int | None = strawberry.field(description="Bookings; for hubs to the nearest 5, and null under 5.")


@strawberry.type(
    description="What was offered to these schools and has begun in the period. Places were filled by whichever school."
)
class Offered:
    """Past capacity."""

    slots: int = strawberry.field(description="Slots that have begun, cancelled ones left out.")
    places: int = strawberry.field(
        description="Their places; of a slot that was closed those that had been taken."
    )
    filled: int = strawberry.field(
        description="Places taken, by whichever school; for hubs to the nearest 5."
    )
    unfilled: int = strawberry.field(description="Places that stayed empty: `places` less `filled`.")


@strawberry.type(
    description="Employers that took part with these schools in the period or have something open to them."
)
class EmployersGroup:
    """One line of employers, or the whole."""

    name: strawberry.Private[str]
    members: strawberry.Private[list[Employer]]
    whole: strawberry.Private[Market]

    @answers(
        "Names the group within its cut: a size, a sector (`unknown` if not recorded), a response band, or `all`."
    )
    def key(self) -> str:
        """As the domain has it."""
        return self.name

    @answers("Employers.")
    def employers(self) -> int:
        """How many."""
        return len(self.members)

    @answers("Of them, those with fewer than 250 employees.")
    def small_or_medium(self) -> int:
        """SMEs."""
        return sum(one.sme for one in self.members)

    @answers("SMEs in per cent.")
    def sme_percent(self) -> int | None:
        """A share of employers."""
        return market.sme_percent(self.members)

    @answers("Bookings asked for in the period.")
    def requested(self) -> int:
        """Bookings."""
        return sum(one.requested for one in self.members)

    @answers("Of them, those that were confirmed.")
    def confirmed(self) -> int:
        """Bookings."""
        return sum(one.confirmed for one in self.members)

    @answers("Of them, those the employer declined.")
    def declined(self) -> int:
        """Bookings."""
        return sum(one.declined for one in self.members)

    @answers("Why the employer declined, the commonest first.")
    def declined_for(self) -> list[Declined]:
        """By reason code."""
        found = market.reasons_of(self.members, rounds=self.whole.table.rounds)
        return [Declined(reason=reason, count=count) for reason, count in found]

    @answers("Of them, those that expired without an answer from the employer.")
    def expired(self) -> int:
        """Bookings."""
        return sum(one.expired for one in self.members)

    @answers("Time to the first answer.")
    def response(self) -> Response:
        """All answers together."""
        answered = [minutes for one in self.members for minutes in one.answered]
        return Response(shown=market.response(answered, rounds=self.whole.table.rounds))

    @answers(
        "What they offered in the period; null with `knownAt`, as places are kept as they are and not as they were."
    )
    def offered(self) -> Offered | None:
        """Past capacity."""
        if self.whole.offered is None:
            return None
        slots, places = (
            sum(one.slots for one in self.members),
            sum(one.offered for one in self.members),
        )
        filled = sum(one.filled for one in self.members)
        shown = market.filled_of(places, filled, rounds=self.whole.table.rounds)
        return Offered(slots=slots, places=places, filled=shown, unfilled=places - shown)

    @answers("Slots open to these schools now; null of any moment but now.")
    def open_slots(self) -> int | None:
        """Capacity ahead."""
        return None if self.whole.open is None else sum(one.open_slots for one in self.members)

    @answers("Places left in them; null of any moment but now.")
    def open_places(self) -> int | None:
        """Capacity ahead."""
        return None if self.whole.open is None else sum(one.open_places for one in self.members)


@strawberry.type(
    name="MarketEmployer", description="One employer and what it has had to do with these schools."
)
class EmployerNode:
    """An employer."""

    one: strawberry.Private[Employer]
    whole: strawberry.Private[Market]

    @answers("Its id in REST.")
    def id(self) -> UUID:
        """Of the organisation."""
        return self.one.profile.id

    @answers("Its name.")
    def name(self) -> str:
        """As registered."""
        return self.one.profile.name

    @answers("Its size, as known at `knownAt`.")
    def size(self) -> SizeBand:
        """In bands."""
        return self.one.profile.size

    @answers("Its sectors, as known at `knownAt`.")
    def sectors(self) -> list[str]:
        """As registered."""
        return list(self.one.profile.sectors)

    @answers("How many of these schools had pupils with it in the period.")
    def schools_reached(self) -> int:
        """Distinct schools."""
        return len(self.one.schools)

    @answers("Bookings asked for in the period.")
    def requested(self) -> int:
        """Bookings."""
        return self.one.requested

    @answers("Of them, those that were confirmed.")
    def confirmed(self) -> int:
        """Bookings."""
        return self.one.confirmed

    @answers("Places of these schools in bookings that stand, in bands.")
    def places(self) -> PlacesBand:
        """In bands for everybody."""
        return market.places_band(self.one.places)

    @answers("Time to its first answer.")
    def response(self) -> Response:
        """Its own."""
        return Response(shown=market.response(self.one.answered, rounds=self.whole.table.rounds))

    @answers("How soon it answers.")
    def response_band(self) -> ResponseBand:
        """In bands."""
        return market.band_of(self.one, rounds=self.whole.table.rounds)

    @answers("Places left in its slots open to these schools now; null of any moment but now.")
    def open_places(self) -> int | None:
        """Capacity ahead."""
        return None if self.whole.open is None else self.one.open_places


@strawberry.type(description="The employers around these schools.")
class Employers:
    """All of them, and cut."""

    found: strawberry.Private[list[Employer]]
    whole: strawberry.Private[Market]
    by: strawberry.Private[EmployersBy]
    scope: strawberry.Private[str]

    @answers("Everybody, each employer once.")
    def total(self) -> EmployersGroup:
        """The whole."""
        return EmployersGroup(name="all", members=self.found, whole=self.whole)

    @answers("The groups of the cut, in order; those without anybody are left out.")
    def groups(self) -> list[EmployersGroup]:
        """The cut."""
        found = market.grouped(self.found, self.by, rounds=self.whole.table.rounds)
        return [EmployersGroup(name=key, members=each, whole=self.whole) for key, each in found.items()]

    @answers("The employers, by name.")
    def each(self, info: Info, first: First = DEFAULT_LIMIT, after: After = None) -> Connection[EmployerNode]:
        """A page."""
        page = turn(info.context.cursors, self.scope, first, after)
        rest = [one for one in self.found if page.after is None or _employer_key(one) > page.after]
        edges, where = page.page(rest, _employer_key, lambda one: EmployerNode(one=one, whole=self.whole))
        return Connection(edges=edges, page_info=where, total_count=len(self.found))


def _hours(minutes: float | None) -> float | None:
    return None if minutes is None else round(minutes / 60, 1)


def _employer_key(one: Employer) -> list[str]:
    return [one.profile.name, str(one.profile.id)]


async def employers(session: Session, where: Where, by: EmployersBy, asked: Asked) -> Employers:
    """The employers of a place."""
    found, _ = await asked.read(session, market_reading.employers)
    place = where(found.table)
    scope = f"employers:{place.key}:{asked.year}:{asked.as_at}:{asked.known_at}:{asked.until}"
    return Employers(found=market.employers_at(found, place), whole=found, by=by, scope=scope)
