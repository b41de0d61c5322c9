"""What is done about webhook endpoints: registered, changed, paused, their secrets rotated; deliveries sent again."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any, Final
from uuid import UUID

from app.core.addresses import Policy, problems_with_url
from app.core.caller import Caller
from app.core.clock import wall_now
from app.core.db import Row, Writer
from app.core.errors import Conflict, Fault, Invalid, NotFound, Stale
from app.core.ids import new_id
from app.core.secrets import Keyring
from app.core.versions import Expected, is_expected
from app.outbox import sql as outbox
from app.outbox.catalogue import TYPES
from app.outbox.positions import Position
from app.webhooks.keys import new_keys
from app.webhooks.sql import deliveries, endpoints

SIGNATURES: Final = ("v1", "v1a")
LONGEST_GRACE: Final = 7
MOST_ENDPOINTS: Final = 50
MOST_CONCURRENCY: Final = 64
MOST_RATE: Final = 1000
CHANGEABLE: Final = frozenset(
    {"url", "description", "event_types", "signatures", "rate_per_second", "concurrency"}
)


@dataclass(frozen=True, slots=True)
class NewEndpoint:
    """What is asked of a new endpoint.

    `event_types` are names of the catalogue, `booking.*`, or `*`. `school_id` limits it to one school and to what is
    told to its own organisation; None is everything the organisation may see. `from_position` is the last position
    of the feed it does not want: None is the newest, 0 sends it all that is kept. `rate_per_second` holds on average.
    """

    url: str
    event_types: Sequence[str] = ("*",)
    description: str | None = None
    signatures: Sequence[str] = ("v1",)
    rate_per_second: int | None = None
    concurrency: int = 8
    school_id: UUID | None = None
    from_position: int | None = None


@dataclass(frozen=True, slots=True)
class Registered:
    """An endpoint, and its secret: shown now and never again."""

    endpoint: Row
    secret: str = field(repr=False)


async def register(
    tx: Writer, caller: Caller, keyring: Keyring, policy: Policy, new: NewEndpoint
) -> Registered:
    """A new endpoint, active at once. Invalid names the faulty fields; Conflict at 50 endpoints.

    A school that the caller does not act for is not found.
    """
    asked = {name: getattr(new, name) for name in CHANGEABLE}
    kept = await outbox.kept(tx)
    _refuse([*problems_with(asked, policy), *_position_faults(new.from_position)])
    if new.from_position is not None:
        kept.check(Position(new.from_position), "/from_position")
    school_id = new.school_id or caller.school_id
    if school_id is not None and not await endpoints.reaches_school(tx, caller, school_id):
        raise NotFound("school")
    if await endpoints.count(tx, caller) >= MOST_ENDPOINTS:
        raise Conflict(
            "too_many_endpoints", f"An organisation has at most {MOST_ENDPOINTS} webhook endpoints."
        )
    identifier, position = new_id(), kept.newest if new.from_position is None else new.from_position
    keys = new_keys(keyring, identifier)
    values = {"id": identifier, "school_id": school_id, **_plain(asked), **keys.columns()}
    # Behind until the worker has looked: what is numbered while this commits is not missed.
    row = await endpoints.add(tx, caller, {**values, "from_position": position, "filled_to": position})
    await endpoints.wake_worker(tx)
    return Registered(row, keys.secret)


async def update(
    tx: Writer,
    caller: Caller,
    policy: Policy,
    endpoint_id: UUID,
    changes: Mapping[str, Any],
    *,
    version: Expected = None,
) -> Row:
    """Change some of url, description, event_types, signatures, rate_per_second, concurrency.

    With `version` it is Stale if the endpoint has another one by now. What is fanned out already stays.
    """
    unknown = [
        Fault(f"/{name}", "unknown_field", "Cannot be changed.") for name in changes if name not in CHANGEABLE
    ]
    _refuse([*unknown, *problems_with(changes, policy)])
    await _held(tx, caller, endpoint_id, version)
    row = await endpoints.change(
        tx, caller, endpoint_id, {**_plain(changes), "slow_level": 0, "slow_until": None}
    )
    return _found(row)


async def pause(tx: Writer, caller: Caller, endpoint_id: UUID, *, version: Expected = None) -> Row:
    """Send nothing until it is resumed. Deliveries are kept, so nothing is missed. Conflict if it is off."""
    held = await _held(tx, caller, endpoint_id, version)
    if held["state"] == "off":
        raise Conflict("endpoint_off", "The endpoint is switched off; resume it first.")
    return _found(await endpoints.change(tx, caller, endpoint_id, {"state": "paused"}))


async def resume(tx: Writer, caller: Caller, endpoint_id: UUID, *, version: Expected = None) -> Row:
    """Go on after a pause, or after it was switched off: all that happened meanwhile is delivered, in order."""
    await _held(tx, caller, endpoint_id, version)
    fresh = {"failing_since": None, "warned": 0, "slow_until": None, "slow_level": 0}
    row = await endpoints.change(tx, caller, endpoint_id, {"state": "active", "off_reason": None, **fresh})
    await endpoints.wake_worker(tx)
    return _found(row)


async def delete(tx: Writer, caller: Caller, endpoint_id: UUID, *, version: Expected = None) -> None:
    """Remove it: what was still to be sent is cancelled. Its deliveries can be read until they are too old."""
    await _held(tx, caller, endpoint_id, version)
    await endpoints.change(tx, caller, endpoint_id, {"state": "off", "off_reason": endpoints.DELETED})
    await endpoints.cancel_pending(tx, caller, endpoint_id)


async def rotate(
    tx: Writer,
    caller: Caller,
    keyring: Keyring,
    endpoint_id: UUID,
    *,
    grace_days: int = 1,
    version: Expected = None,
) -> Registered:
    """A new secret and key pair. For 0 to 7 days both the new and the old ones sign; an older pair ends now."""
    if not 0 <= grace_days <= LONGEST_GRACE:
        _refuse([Fault("/grace_days", "out_of_range", f"Between 0 and {LONGEST_GRACE} days.")])
    held = await _held(tx, caller, endpoint_id, version)
    keys = new_keys(keyring, endpoint_id)
    old = {
        "old_secret_sealed": held["secret_sealed"] if grace_days else None,
        "old_private_key_sealed": held["private_key_sealed"] if grace_days else None,
        "old_public_key": held["public_key"] if grace_days else None,
        "old_until": wall_now() + timedelta(days=grace_days) if grace_days else None,
    }
    row = await endpoints.change(tx, caller, endpoint_id, {**keys.columns(), **old})
    return Registered(_found(row), keys.secret)


async def resend(tx: Writer, caller: Caller, delivery_id: UUID) -> Row:
    """The event of a delivery once more, at once, with the same id and bytes and outside of any order.

    Conflict if its endpoint is off or gone. Whether it may still be seen is asked when it is sent.
    """
    given = await deliveries.by_id(tx, caller, delivery_id)
    if given is None:
        raise NotFound("delivery")
    endpoint = await endpoints.by_id(tx, caller, given["endpoint_id"])
    if endpoint is None or endpoint["state"] == "off":
        raise Conflict("endpoint_off", "The endpoint of this delivery is switched off or gone.")
    made = await deliveries.add_replay(tx, caller, delivery_id)
    if made is None:
        raise NotFound("delivery")
    await endpoints.wake_worker(tx)
    return made


def problems_with(asked: Mapping[str, Any], policy: Policy) -> list[Fault]:
    """What is wrong with the given fields of an endpoint; fields that are not given are not judged."""
    return [fault for name, judge in _JUDGES.items() if name in asked for fault in judge(asked[name], policy)]


def _url_faults(url: str, policy: Policy) -> Iterator[Fault]:
    for text in problems_with_url(url, policy):
        yield Fault("/url", "url_refused", f"The URL {text}.")


def _type_faults(types: Sequence[str], _policy: Policy) -> Iterator[Fault]:
    if not types:
        yield Fault("/event_types", "empty", "Name at least one event type; `*` is all of them.")
    for number, pattern in enumerate(types):
        if not _names_something(pattern):
            yield Fault(
                f"/event_types/{number}", "unknown_event_type", "No event type has this name or beginning."
            )


def _names_something(pattern: str) -> bool:
    if pattern.endswith(".*"):
        return any(name.startswith(pattern[:-1]) for name in TYPES)
    return pattern == "*" or pattern in TYPES


def _signature_faults(signatures: Sequence[str], _policy: Policy) -> Iterator[Fault]:
    if not signatures or len(set(signatures)) != len(signatures) or not set(signatures) <= set(SIGNATURES):
        yield Fault(
            "/signatures", "unknown_signature", "One or both of `v1` (HMAC-SHA256) and `v1a` (ed25519)."
        )


def _description_faults(text: str | None, _policy: Policy) -> Iterator[Fault]:
    if text is not None and (len(text) > 500 or "\0" in text):  # noqa: PLR2004
        yield Fault("/description", "too_long", "At most 500 characters.")


def _rate_faults(rate: int | None, _policy: Policy) -> Iterator[Fault]:
    if rate is not None and not 1 <= rate <= MOST_RATE:
        yield Fault(
            "/rate_per_second", "out_of_range", f"Between 1 and {MOST_RATE} a second, or null for no limit."
        )


def _concurrency_faults(concurrency: int, _policy: Policy) -> Iterator[Fault]:
    if not 1 <= concurrency <= MOST_CONCURRENCY:
        yield Fault("/concurrency", "out_of_range", f"Between 1 and {MOST_CONCURRENCY} posts at a time.")


_JUDGES: Final[Mapping[str, Callable[[Any, Policy], Iterator[Fault]]]] = {
    "url": _url_faults,
    "event_types": _type_faults,
    "signatures": _signature_faults,
    "description": _description_faults,
    "rate_per_second": _rate_faults,
    "concurrency": _concurrency_faults,
}


def _position_faults(position: int | None) -> Iterator[Fault]:
    if position is not None and position < 0:
        yield Fault("/from_position", "out_of_range", "Between 0 and the newest position of the feed.")


def _refuse(faults: Sequence[Fault]) -> None:
    if faults:
        raise Invalid("invalid", "The request is not acceptable.", faults)


def _plain(asked: Mapping[str, Any]) -> dict[str, Any]:
    return {
        name: list(value) if name in ("event_types", "signatures") else value for name, value in asked.items()
    }


async def _held(tx: Writer, caller: Caller, endpoint_id: UUID, version: Expected) -> Row:
    row = _found(await endpoints.lock(tx, caller, endpoint_id))
    if not is_expected(row["version"], version):
        raise Stale
    return row


def _found(row: Row | None) -> Row:
    if row is None:
        raise NotFound("webhook endpoint")
    return row
