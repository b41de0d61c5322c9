"""Certifications asked for and played: requested in a transaction, played by the worker while none is open."""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any, Final
from uuid import UUID

import structlog

from app.core import metrics
from app.core.caller import Caller
from app.core.clock import wall_now
from app.core.db import Database, Row, Writer, system
from app.core.egress import Egress, EgressError, Timeouts
from app.core.errors import Conflict, NotFound
from app.core.ids import new_id
from app.core.one_by_one import OneByOne
from app.core.secrets import Keyring, SealError
from app.outbox.catalogue import side_of
from app.webhooks.certification import Case, Post, Said, cases, grade_of, result_of
from app.webhooks.keys import signing_keys, strangers_keys
from app.webhooks.signing import SigningKey, signed_headers
from app.webhooks.sql import certifications, endpoints

MOST_AT_ONCE: Final = 16
LEASE_SECONDS: Final = 300.0  # longer than the suite takes where every post of it runs into its time-out
TIMEOUTS: Final = Timeouts(read=15.0, total=20.0)
_log = structlog.get_logger("tendays.certifier")


async def begin(tx: Writer, caller: Caller, endpoint_id: UUID) -> Row:
    """Ask for a certification of one of the caller's endpoints. Conflict while another one of it is under way.

    It may be paused or off: the suite is sent all the same, and changes nothing of its state.
    """
    if await endpoints.lock(tx, caller, endpoint_id) is None:  # one asker at a time
        raise NotFound("webhook endpoint")
    if await certifications.is_under_way(tx, caller, endpoint_id):
        raise Conflict("certification_under_way", "A certification of this endpoint is under way.")
    asked = {"id": new_id(), "endpoint_id": endpoint_id, "side": side_of(caller.org_kind)}
    return await certifications.add(tx, caller, asked)


@dataclass(frozen=True, slots=True)
class Candidate:
    """An endpoint to be certified, as it was when its certification was claimed; with `signing_keys` it signs as itself."""

    id: UUID
    endpoint_id: UUID
    org_id: UUID
    side: str
    url: str
    signatures: list[str]
    rate_per_second: int | None
    secret_sealed: bytes = field(repr=False)
    private_key_sealed: bytes | None = field(repr=False)
    old_secret_sealed: bytes | None = field(repr=False)
    old_private_key_sealed: bytes | None = field(repr=False)

    @classmethod
    def of(cls, row: Row) -> "Candidate":
        """From a claimed row; the old keys only while their grace lasts."""
        values = {name: row[name] for name in cls.__slots__}
        if row["old_until"] is None or row["old_until"] <= wall_now():
            values |= {"old_secret_sealed": None, "old_private_key_sealed": None}
        return cls(**values)


class Certifier:
    """Plays what is queued, several at a time; `turn` is a chore, which never waits for a receiver."""

    def __init__(self, egress: Egress, keyring: Keyring) -> None:
        """`egress` is entered, and outlives the certifier."""
        self._egress = egress
        self._keyring = keyring
        self._under_way: dict[UUID, asyncio.Task[None]] = {}
        self._turns = OneByOne("certify")

    async def turn(self, db: Database) -> int:
        """Claim what waits and begin to play it; how many were begun."""
        self._under_way = {name: task for name, task in self._under_way.items() if not task.done()}
        free = MOST_AT_ONCE - len(self._under_way)
        if free <= 0:
            return 0

        async def due(most: int) -> Sequence[UUID]:
            async with db.write(system()) as tx:
                return await certifications.due(tx, most)

        return await self._turns.turn(db, due, lambda name: self._begin(db, name), most=free)

    async def _begin(self, db: Database, certification_id: UUID) -> int:
        async with db.write(system()) as tx:
            row = await certifications.claim(tx, certification_id, LEASE_SECONDS)
            if row is None:
                return 0
            if row["off_reason"] == endpoints.DELETED:
                await certifications.end(tx, certification_id, "cancelled", None, [])
                return 0
            candidate = Candidate.of(row)
        self._under_way[candidate.id] = asyncio.create_task(self._play(db, candidate))
        return 1

    async def settled(self) -> None:
        """Wait until nothing is under way."""
        await asyncio.gather(*self._under_way.values())

    async def close(self, db: Database) -> None:
        """Break off what is under way, and queue it again for whoever comes next."""
        broken = [name for name, task in self._under_way.items() if task.cancel()]
        await asyncio.gather(*self._under_way.values(), return_exceptions=True)
        if broken:
            async with db.write(system()) as tx:
                await certifications.give_back(tx, broken)

    async def _play(self, db: Database, candidate: Candidate) -> None:
        try:
            state, grade, results = await self._outcome(candidate)
            async with db.write(system()) as tx:
                await certifications.end(tx, candidate.id, state, grade, results)
        except Exception:  # noqa: BLE001  (its lease ends, and it is played again)
            metrics.row_failed("certify")
            _log.exception("certifier.fault", certification=str(candidate.id))

    async def _outcome(self, candidate: Candidate) -> tuple[str, str | None, list[dict[str, Any]]]:
        try:
            results = await self.play(candidate)
        except SealError:
            return "cancelled", None, []  # its keys were sealed under a master key that is gone
        return "done", grade_of(results), results

    async def play(self, candidate: Candidate) -> list[dict[str, Any]]:
        """Send the whole suite, one post after the other; each case as it is reported. Raises SealError."""
        genuine = signing_keys(self._keyring, candidate)
        suite = cases(candidate.endpoint_id, candidate.org_id, candidate.side, wall_now())
        return [await self._case(candidate, case, genuine) for case in suite]

    async def _case(self, candidate: Candidate, case: Case, genuine: list[SigningKey]) -> dict[str, Any]:
        said = []
        for post in case.posts:
            said.append(await self._post(candidate, post, genuine))
            if candidate.rate_per_second:
                await asyncio.sleep(1 / candidate.rate_per_second)
        return result_of(case, said)

    async def _post(self, candidate: Candidate, post: Post, genuine: list[SigningKey]) -> Said:
        keys = strangers_keys(candidate.signatures) if post.forged else genuine
        at = wall_now() - timedelta(seconds=post.seconds_ago)
        signed = signed_headers(str(post.msg_id), int(at.timestamp()), post.body, keys)
        try:
            answer = await self._egress.post(
                candidate.url,
                {"content-type": "application/json", **signed},
                post.body,
                timeouts=TIMEOUTS,
                over_seconds=post.over_seconds,
            )
        except EgressError as error:
            return Said(None, error.elapsed_ms, str(error))
        return Said(answer.status, answer.elapsed_ms)
