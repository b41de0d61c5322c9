"""Clients that ask for places, confirm, decline, move and cancel, and that do not give up: the same key until an answer.

A connection that breaks, a 5xx, and a 409 that says "under way" or "busy" are asked again. What was asked and what came
of it is written down as an `Act` before the first byte is sent.
"""

import asyncio
import random
import time
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any
from uuid import uuid4

import httpx
import orjson

from bench.torture.history import Act, Answer, Feed

AGAIN = frozenset({"idempotency_in_flight", "busy"})
ANSWER_SECONDS = 4.0
PATIENCE = 60.0
IMPATIENT = 0.15
SERVER, CONFLICT, MULTIPLE, CREATED = 500, 409, 300, 201


@dataclass(slots=True)
class Known:
    """What the clients know of the world together: who they are, the slots, and the bookings they have heard of."""

    base: str
    tokens: Mapping[str, str]
    schools: Mapping[str, str]
    slots: list[str]
    bookings: dict[str, dict[str, Any]] = field(default_factory=dict)
    acts: list[Act] = field(default_factory=list)
    stop: asyncio.Event = field(default_factory=asyncio.Event)


WISHES: Mapping[str, Mapping[str, tuple[int, tuple[str, ...]]]] = {
    "employer": {
        "confirm": (6, ("requested",)),
        "decline": (1, ("requested",)),
        "cancel": (1, ("confirmed",)),
        "accept_proposal": (3, ("confirmed",)),
        "decline_proposal": (1, ("confirmed",)),
    },
    "school": {
        "request": (5, ()),
        "cancel": (2, ("requested", "confirmed")),
        "reschedule": (2, ("confirmed",)),
        "withdraw_proposal": (1, ("confirmed",)),
    },
}
"""How often each side wishes what, and in which states a booking may be for it."""


PROPOSALS: Mapping[str, str] = {
    "accept_proposal": "proposal/accept",
    "decline_proposal": "proposal/decline",
    "withdraw_proposal": "proposal/withdraw",
}
"""The moves that need an open proposal, and their paths."""


class Client:
    """One of a party's systems, one thing after the other until told to stop."""

    def __init__(self, known: Known, who: str, seed: str) -> None:
        self._known = known
        self._who = who
        self._wishes = WISHES[who.rstrip("0123456789")]
        self._chance = random.Random(f"{seed} {who}")
        self._headers = {"Authorization": f"Bearer {known.tokens[who]}", "Content-Type": "application/json"}
        self._has_repeated = False

    async def work(self) -> None:
        """Until `known.stop`; what has been begun is brought to an answer."""
        async with _http(self._known) as http:
            while not self._known.stop.is_set():
                if wish := self._next():
                    await self._do(http, *wish)
                await asyncio.sleep(self._chance.uniform(0, 0.1))

    async def once(self, path: str, body: dict[str, Any] | None = None) -> Answer:
        """Post one thing until there is an answer."""
        async with _http(self._known) as http:
            return await self._insist(http, path, body or {}, str(uuid4()))

    async def _do(self, http: httpx.AsyncClient, path: str, body: dict[str, Any], act: Act) -> None:
        self._known.acts.append(act)
        times = 2 if self._chance.random() < IMPATIENT else 1
        act.answers = await asyncio.gather(*(self._insist(http, path, body, act.key) for _ in range(times)))
        if not self._has_repeated and any(0 < answer.status < MULTIPLE for answer in act.answers):
            # Kills alone lose an answer by chance: the first that came is treated as lost, so that one is replayed.
            self._has_repeated = True
            act.answers.append(await self._insist(http, path, body, act.key))
        self._learn(act)

    def _next(self) -> tuple[str, dict[str, Any], Act] | None:
        """A wish that fits what is known; None if nothing does."""
        key, weights = str(uuid4()), [weight for weight, _ in self._wishes.values()]
        action = self._chance.choices([*self._wishes], weights)[0]
        found = self._mine(self._wishes[action][1], proposed=action in PROPOSALS)
        if "request" in self._wishes and not found:
            return self._request(key)
        if not found:
            return None
        body: dict[str, Any] = {"note": key}
        if action in ("cancel", "decline"):
            body["reason_code"] = "no_supervisor" if self._who == "employer" else "transport"
        if action == "reschedule":
            body["slot_id"] = self._chance.choice(self._known.slots)
        booking = self._chance.choice(found)
        return f"/v1/bookings/{booking}/{PROPOSALS.get(action, action)}", body, Act(key, action, booking)

    def _request(self, key: str) -> tuple[str, dict[str, Any], Act]:
        body: dict[str, Any] = {"note": key, "nc_year": "8", "places": self._chance.randint(1, 6)}
        body |= {
            "school_id": self._known.schools[self._who],
            "slot_id": self._chance.choice(self._known.slots),
        }
        return "/v1/bookings", body, Act(key, "request", None)

    def _mine(self, states: tuple[str, ...], *, proposed: bool) -> list[str]:
        """The newest bookings that are in one of these states, as far as is known: the sides meet on them."""
        school = self._known.schools.get(self._who)
        known = self._known.bookings.items()
        return [
            key
            for key, one in known
            if one["state"] in states
            and school in (None, one["school_id"])
            and (not proposed or one["proposal"])
        ][-12:]

    def _learn(self, act: Act) -> None:
        for answer in act.answers:
            if 0 < answer.status < 300:
                told = orjson.loads(answer.body)
                self._known.bookings[told["id"]] = told
                return
        if act.booking_id:  # somebody else was first: it is not what it was thought to be
            self._known.bookings.pop(act.booking_id, None)

    async def _insist(self, http: httpx.AsyncClient, path: str, body: dict[str, Any], key: str) -> Answer:
        """The same request with the same key until there is an answer to it."""
        headers, until = {**self._headers, "Idempotency-Key": key}, time.monotonic() + PATIENCE
        tries = 0
        while time.monotonic() < until:
            tries += 1
            with suppress(httpx.TransportError):
                answer = await http.post(path, content=orjson.dumps(body), headers=headers)
                if not _ask_again(answer):
                    replayed = "idempotent-replayed" in answer.headers
                    return Answer(answer.status_code, tries, answer.content.decode("latin-1"), replayed)
            await asyncio.sleep(0.05 + 0.1 * self._chance.random())
        return Answer(0, tries)


class SlotChanger:
    """The employer's system changes slots while schools are booked on them: one change, told to several audiences."""

    def __init__(self, known: Known, seed: str) -> None:
        self._known = known
        self._chance = random.Random(seed)
        self._headers = {
            "Authorization": f"Bearer {known.tokens['employer']}",
            "Content-Type": "application/json",
        }

    async def work(self) -> None:
        """Until `known.stop`; what is lost or refused on the way is left."""
        async with _http(self._known) as http:
            while not self._known.stop.is_set():
                with suppress(httpx.TransportError):
                    await self._change(http, f"/v1/slots/{self._chance.choice(self._known.slots)}")
                await asyncio.sleep(self._chance.uniform(0.05, 0.3))

    async def _change(self, http: httpx.AsyncClient, path: str) -> None:
        read = await http.get(path, headers=self._headers)
        if etag := read.headers.get("etag"):
            body = orjson.dumps({"capacity": self._chance.randint(60, 70)})
            await http.patch(path, content=body, headers={**self._headers, "If-Match": etag})


class Granter:
    """A school grants, and revokes: both told to the school and to the vendor, whose endpoint hears the school, too."""

    def __init__(self, known: Known, who: str, grantee: str, seed: str) -> None:
        self._known, self._grantee = known, grantee
        self._client = Client(known, who, seed)
        self._chance = random.Random(seed)

    async def work(self) -> None:
        """Until `known.stop`; each grant that was answered is revoked."""
        while not self._known.stop.is_set():
            body = {"grantee_id": self._grantee, "field_groups": ["sen"]}
            made = await self._client.once("/v1/grants", body)
            if made.status == CREATED:
                await asyncio.sleep(self._chance.uniform(0, 0.3))
                await self._client.once(f"/v1/grants/{orjson.loads(made.body)['id']}/revoke")
            await asyncio.sleep(self._chance.uniform(0.1, 0.5))


def _ask_again(answer: httpx.Response) -> bool:
    if answer.status_code >= SERVER:
        return True
    return answer.status_code == CONFLICT and answer.json()["code"] in AGAIN


class Follower:
    """A reader of the feed who follows it while all this goes on, and never looks back."""

    def __init__(self, known: Known, who: str, sees: list[str]) -> None:
        self._known = known
        self._headers = {"Authorization": f"Bearer {known.tokens[who]}"}
        self.feed = Feed(f"{who}, following", sees)

    async def follow(self) -> None:
        """Until `known.stop`, and then to the end."""
        async with _http(self._known) as http:
            while not self._known.stop.is_set():
                await self._page(http, 20)
                await asyncio.sleep(0.05)

    async def catch_up(self) -> Feed:
        """All that is there from where it stands, when all is quiet."""
        async with _http(self._known) as http:
            while await self._page(http, 50):
                pass
        return self.feed

    async def _page(self, http: httpx.AsyncClient, limit: int) -> bool:
        after = self.feed.last[-1] if self.feed.last else 0
        with suppress(httpx.TransportError):
            answer = await http.get(f"/v1/events?after={after}&limit={limit}", headers=self._headers)
            if answer.status_code == 200:
                items = items_of(answer.content)
                if items:
                    self.feed.pages.append(items)
                    self.feed.last.append(orjson.loads(answer.content)["last"])
                return bool(items)
        await asyncio.sleep(0.1)
        return True


def items_of(page: bytes) -> list[str]:
    """The exact bytes of each member of `data`, as text of Latin-1: found by counting braces outside of strings."""
    text = page.decode("latin-1")
    items, depth, begins, quoted, at = list[str](), 0, 0, False, text.index("[") + 1
    while depth or text[at] != "]":
        letter = text[at]
        if quoted:
            at += letter == "\\"
            quoted = letter != '"'
        elif letter == '"':
            quoted = True
        elif letter == "{":
            begins = at if depth == 0 else begins
            depth += 1
        elif letter == "}":
            depth -= 1
            if depth == 0:
                items.append(text[begins : at + 1])
        at += 1
    return items


def _http(known: Known) -> httpx.AsyncClient:
    return httpx.AsyncClient(base_url=known.base, timeout=ANSWER_SECONDS)
