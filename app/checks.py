"""What has to hold before a process works on a database: a direct address, the schema, the master key, the clock."""

import asyncio
import time
from collections.abc import Callable, Mapping
from datetime import datetime
from functools import partial
from typing import Final
from urllib.parse import urlsplit

import structlog

import migrations
from app.access import sql as access
from app.access.tokens import Tokens
from app.core import metrics, sql
from app.core.clock import wall_now
from app.core.connecting import DatabaseRefuses, is_pooled
from app.core.db import Database, Writer, system
from app.core.errors import Unavailable
from app.core.one_by_one import each_step
from app.core.secrets import Keyring, SealError, SealFault
from app.settings import Settings, SettingsRefused
from app.webhooks.sql import endpoints

MOST_SECONDS: Final = 30.0
"""By how much the clock of a worker may differ from that of Postgres."""
SCHEMA, KEY, CLOCK = "schema", "key", "clock"
HEARS: Final = "through one a worker hears nothing (LISTEN)."
_HOLDING: Final = (SCHEMA, CLOCK)
_log = structlog.get_logger("tendays.checks")


class NoAnswer(SettingsRefused):
    """Nobody answers at an address; the message names its setting."""


# --- the worker -----------------------------------------------------------------------------------


class Guard:
    """Whether a worker may send. `refuse` asks at the start, `turn` again and again; `held` says what it found last.

    A key that it cannot open holds up only the endpoints that are sealed with it: no attempt of theirs is spent.
    """

    def __init__(
        self, settings: Settings, keyring: Keyring, clock: Callable[[], datetime] = wall_now
    ) -> None:
        """`clock` is this machine's."""
        self._settings = settings
        self._keyring = keyring
        self._clock = clock
        self._faults: Mapping[str, str] = {}
        self._readings = {SCHEMA: self._schema_fault, CLOCK: self._clock_fault, KEY: self._key_fault}

    @property
    def held(self) -> bool:
        """Whether nothing may be sent at present."""
        return any(why in self._faults for why in _HOLDING)

    async def refuse(self, db: Database) -> None:
        """SettingsRefused if the worker must not start."""
        faults: dict[str, str] = {}
        for what in self._readings:
            await self._read(db, faults, what)
        if faults:
            raise SettingsRefused(" ".join(faults.values()))

    async def turn(self, db: Database) -> None:
        """Look again; say what is new, and what is over. What cannot be read stands as it was read last."""
        faults = dict(self._faults)
        await each_step("check", {what: partial(self._read, db, faults, what) for what in self._readings})
        before, self._faults = self._faults, faults
        for why in (SCHEMA, KEY, CLOCK):
            metrics.worker_fault(why, is_there=why in self._faults)
            if why in self._faults:
                _log.error("worker.unfit", why=self._faults[why], sends=not self.held)
            elif why in before:
                _log.warning("worker.fit_again", why=why, sends=not self.held)

    async def _read(self, db: Database, faults: dict[str, str], what: str) -> int:
        """Read one thing anew, and put into `faults` what is wrong with it now."""
        fault = await self._readings[what](db, faults)
        faults.pop(what, None)
        if fault:
            faults[what] = fault
        return 0

    async def _schema_fault(self, db: Database, _faults: Mapping[str, str]) -> str | None:
        async with db.write(None) as tx:
            return schema_fault(await sql.revision(tx))

    async def _clock_fault(self, db: Database, _faults: Mapping[str, str]) -> str | None:
        async with db.write(None) as tx:
            return _clock_fault(await sql.clock_ahead(tx, self._clock))

    async def _key_fault(self, db: Database, faults: Mapping[str, str]) -> str | None:
        if SCHEMA in faults:  # the tables may not be there yet
            return None
        async with db.write(system()) as tx:
            return None if await self._opens(tx) else key_fault(self._settings)

    async def _opens(self, tx: Writer) -> bool:
        heads = [bytes(row["private_sealed"]) for row in await access.signing_keys_newest(tx)]
        return all(map(self._keyring.opens, (*heads, *await endpoints.seals(tx))))


async def worker(settings: Settings) -> None:
    """SettingsRefused if a worker must not start beside the API. A database that does not answer is not waited for."""
    try:
        await address(settings, "worker_database_url", direct=HEARS)
        db = Database(settings.worker_database_url or "", pool=1)
        try:
            await db.open()
            await Guard(settings, settings.keyring()).refuse(db)
        finally:
            await db.close()
    except (NoAnswer, OSError, TimeoutError, Unavailable):  # said by who needs it
        return


def _clock_fault(ahead: float) -> str | None:
    if abs(ahead) <= MOST_SECONDS:
        return None
    way = "ahead of" if ahead > 0 else "behind"
    return (
        f"The clock of this machine is {abs(ahead):.0f} seconds {way} that of Postgres; {MOST_SECONDS:.0f} are allowed. "
        "Put the clocks of both right (NTP)."
    )


# --- the API --------------------------------------------------------------------------------------


async def api(settings: Settings) -> None:
    """SettingsRefused if the API must not start, as `tendays_app`. A database that does not answer is not waited for."""
    try:
        for name in ("database_url", "replica_url"):
            await _pooled_as_said(settings, name)
        db = Database(settings.database_url or "", pool=1, pooling=settings.database_pooling is not None)
        try:
            await db.open()
            await _schema(db)
            await signing_keys_open(settings, db)
        finally:
            await db.close()
    except (NoAnswer, OSError, TimeoutError, Unavailable):  # said by who needs it
        return


async def _pooled_as_said(settings: Settings, name: str) -> None:
    if not getattr(settings, name):
        return
    try:
        pooled = await address(settings, name)
    except NoAnswer:
        if name == "replica_url":  # reads go to the primary meanwhile
            return
        raise
    if pooled and settings.database_pooling is None:
        raise SettingsRefused(
            f"TENDAYS_{name.upper()} leads to a pooler: set TENDAYS_DATABASE_POOLING=transaction, or give the address "
            "of Postgres itself."
        )


async def _schema(db: Database) -> None:
    async with db.write(None) as tx:
        fault = schema_fault(await sql.revision(tx))
    if fault:
        raise SettingsRefused(fault)


async def signing_keys_open(settings: Settings, db: Database) -> None:
    """SettingsRefused if the keys that sign tokens were sealed with another master key."""
    try:
        await Tokens(db, settings.keyring(), issuer=settings.issuer).reload()
    except SealError as error:
        if error.fault is not SealFault.UNKNOWN_KEY:
            raise
        raise SettingsRefused(key_fault(settings)) from None


# --- what both are asked --------------------------------------------------------------------------


async def address(settings: Settings, name: str, *, direct: str | None = None, patience: float = 0.0) -> bool:
    """Whether the address in a setting leads to a pooler; as `reached`.

    With `direct`, which says what would be lost, a pooler is refused.
    """
    variable = f"TENDAYS_{name.upper()}"
    pooled = await reached(variable, getattr(settings, name) or "", patience)
    if pooled and direct:
        raise SettingsRefused(
            f"{variable} leads to a pooler, such as PgBouncer, and {direct} Give the address of Postgres itself."
        )
    return pooled


async def reached(variable: str, dsn: str, patience: float = 0.0) -> bool:
    """Whether this address, the value of a variable, leads to a pooler.

    SettingsRefused, naming the variable, if Postgres turns us away there; NoAnswer if nobody answers for `patience`
    seconds.
    """
    deadline = time.monotonic() + patience
    while True:
        try:
            return await is_pooled(dsn)
        except DatabaseRefuses as refusal:
            raise SettingsRefused(f"{variable}: {refusal}") from None
        except (OSError, TimeoutError) as error:
            if time.monotonic() >= deadline:
                where = urlsplit(dsn).netloc.rpartition("@")[2]
                raise NoAnswer(f"{variable}: no Postgres answers at {where} ({_why(error)}).") from None
            await asyncio.sleep(0.5)


def _why(error: OSError | TimeoutError) -> str:
    """Asyncpg tells of each address that it tried; the first line is enough."""
    return (str(error) or type(error).__name__).splitlines()[0]


def schema_fault(revision: str | None) -> str | None:
    """Why this code cannot work with a schema of this revision, None if it can. One that is newer only adds."""
    if revision is None:
        return "The database has not been migrated yet: `tendays migrate`."
    head = migrations.head()
    if revision == head:
        return None
    if revision and not migrations.knows(revision):
        _log.warning("schema.newer", revision=revision, known=head)
        return None
    return (
        f"The schema of the database ({revision or 'before 20261130_0900'}) is older than this release, which needs "
        f"{head}: `tendays migrate`."
    )


def key_fault(settings: Settings) -> str:
    """What to say when the master key does not open what the database holds."""
    kept = "" if settings.secret_key else f" (not set: {settings.data_dir / 'secret.key'} is used)"
    return (
        f"TENDAYS_SECRET_KEY{kept}: the database was sealed with another master key. Give the one it was begun "
        "with, or add it after the new one, with a comma between them."
    )
