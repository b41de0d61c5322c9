"""How connections to Postgres are made: straight or through a pooler, to the primary or to a replica that is up to date."""

import asyncio
import time
from collections.abc import Awaitable, Callable, Mapping
from typing import Any, Final

import asyncpg
import orjson
import structlog

from app.core import metrics

SETTINGS: Final[Mapping[str, str]] = {
    "timezone": "UTC",
    "statement_timeout": "30000",
    "lock_timeout": "5000",
    "idle_in_transaction_session_timeout": "60000",
    "jit": "off",
}
"""What holds for every transaction of ours: settings of the session, or of the transaction where a pooler gives another
session to each one.
"""
SET_LOCAL: Final = "; ".join(f"SET LOCAL {name} = '{value}'" for name, value in SETTINGS.items())
_TURNED_AWAY = (asyncpg.InvalidAuthorizationSpecificationError, asyncpg.InvalidCatalogNameError)
_AWAY = (OSError, TimeoutError, asyncpg.PostgresError, asyncpg.InterfaceError, asyncpg.InternalClientError)
_log = structlog.get_logger("tendays.replica")


class DatabaseRefuses(Exception):
    """Postgres, or a pooler before it, does not let us in; the message says why, without the password."""


class Connection(asyncpg.Connection):  # type: ignore[misc] # asyncpg ships no types
    """Spares the round trip of the pool's reset query: our transactions leave nothing behind."""

    def get_reset_query(self) -> str:
        """Nothing to be asked when it is given back."""
        return ""


class PooledConnection(Connection):
    """Through a pooler only statements of one transaction are sure to reach the same session."""

    async def set_type_codec(self, *args: Any, **options: Any) -> None:  # noqa: ANN401
        """The same, in a transaction."""
        async with self.transaction():
            await super().set_type_codec(*args, **options)


def options(*, pooling: bool) -> dict[str, Any]:
    """What `asyncpg.connect` is given: through a pooler no startup parameters and no prepared statements with a name."""
    if pooling:
        return {"connection_class": PooledConnection, "statement_cache_size": 0}
    return {"connection_class": Connection, "server_settings": dict(SETTINGS)}


def engine_options(*, pooling: bool) -> dict[str, Any]:
    """The same for SQLAlchemy, which names and keeps prepared statements itself."""
    if not pooling:
        return {"server_settings": dict(SETTINGS)}
    unnamed = {"prepared_statement_cache_size": 0, "prepared_statement_name_func": lambda: ""}
    return {**options(pooling=True), **unnamed}


async def is_pooled(dsn: str) -> bool:
    """Whether a pooler stands between us and Postgres. DatabaseRefuses if we are turned away; OSError if nobody answers.

    A pooler gives a connection a number of its own, and the statement is run by a server process with another one.
    """
    try:
        connection = await asyncpg.connect(dsn, timeout=10.0, statement_cache_size=0)
    except _TURNED_AWAY as error:
        raise DatabaseRefuses(str(error)) from None
    except (ValueError, asyncpg.InterfaceError):  # what they say may hold a part of the password
        raise DatabaseRefuses(
            "is no address of Postgres; percent-encode what is special in a password."
        ) from None
    except asyncpg.CannotConnectNowError as error:  # it is starting
        raise ConnectionError(str(error)) from None
    except (
        asyncpg.ProtocolViolationError
    ) as error:  # PgBouncer's word for "no such user" and "no such database"
        raise DatabaseRefuses(str(error)) from None
    try:
        async with connection.transaction():
            return bool(await connection.fetchval("SELECT pg_backend_pid()") != connection.get_server_pid())
    finally:
        await connection.close(timeout=5.0)


async def speak_json(connection: Any) -> None:  # noqa: ANN401
    """Take and give JSON as Python values."""
    for name in ("json", "jsonb"):
        await connection.set_type_codec(
            name,
            encoder=lambda value: orjson.dumps(value).decode(),
            decoder=orjson.loads,
            schema="pg_catalog",
        )


# --- a replica ------------------------------------------------------------------------------------


class Position:
    """How far the primary has got, as `LSN identifier`: one question for all who ask at the same time.

    Whatever was committed, and answered, before somebody asked is at or before the position they are given.
    """

    def __init__(self, ask: Callable[[], Awaitable[str]]) -> None:
        """`ask` puts the question to the primary."""
        self._ask = ask
        self._under_way: asyncio.Future[str] | None = None
        self._next: asyncio.Future[str] | None = None

    async def now(self) -> str:
        """The position. A question that is under way may be older than what its asker knows: the next one is awaited."""
        if self._next is None:
            self._next = asyncio.ensure_future(self._after(self._under_way))
        return await asyncio.shield(self._next)

    async def _after(self, before: "asyncio.Future[str] | None") -> str:
        if before is not None:
            await asyncio.wait([before])
        self._under_way, self._next = self._next, None
        return await self._ask()


POSITION = "SELECT pg_current_wal_flush_lsn()::text || ' ' || system_identifier FROM pg_control_system()"
_HAS = """
SELECT CASE WHEN NOT pg_is_in_recovery() OR system_identifier::text <> $2 THEN 'not_a_replica'
            WHEN pg_wal_lsn_diff(pg_last_wal_replay_lsn(), $1::text::pg_lsn) >= 0 THEN 'replica' ELSE 'behind' END
  FROM pg_control_system()
"""


class Replica:
    """Connections to a replica, given out only once it has replayed what the primary had committed.

    One that is further behind than `patience` seconds, or is away, is left alone for `pause` seconds: reads go to the
    primary meanwhile.
    """

    def __init__(
        self, dsn: str, size: int, *, pooling: bool, patience: float = 0.1, pause: float = 1.0
    ) -> None:
        """Nothing is opened before it is needed: a replica that is away keeps nobody from starting."""
        self._dsn, self._size, self._pooling = dsn, size, pooling
        self._patience, self._pause = patience, pause
        self._pool: Any = None
        self._why, self._until = "", 0.0

    async def acquire(self, position: str) -> Any:  # noqa: ANN401
        """A connection that sees everything up to this position, to be given to `release`; None if there is none."""
        if time.monotonic() < self._until:
            metrics.read_from(self._why)
            return None
        connection, why = None, "away"
        try:
            connection = await (await self._opened()).acquire(timeout=self._patience + 2.0)
            why = await self._reaches(connection, *position.split(" "))
        except _AWAY as error:
            _log.warning("replica.away", error=type(error).__name__)
        except BaseException:
            await self.release(connection)
            raise
        metrics.read_from(why)
        if why == "replica":
            return connection
        await self.release(connection)
        self._why, self._until = why, time.monotonic() + self._pause
        return None

    async def release(self, connection: Any) -> None:  # noqa: ANN401
        """Give a connection back."""
        if connection is not None:
            await self._pool.release(connection)

    async def close(self) -> None:
        """Close all of them."""
        if self._pool is not None:
            self._pool.terminate()

    async def _opened(self) -> Any:  # noqa: ANN401
        if self._pool is None:
            self._pool = asyncpg.create_pool(
                self._dsn,
                min_size=0,
                max_size=self._size,
                init=speak_json,
                timeout=2.0,
                **options(pooling=self._pooling),
            )
        return await self._pool

    async def _reaches(self, connection: Any, lsn: str, identifier: str) -> str:  # noqa: ANN401
        """`replica` once it has replayed so far; else what is wrong with it: `behind` or `not_a_replica`."""
        deadline, wait = time.monotonic() + self._patience, 0.001
        while (found := await self._asked(connection, lsn, identifier)) == "behind":
            if time.monotonic() > deadline:
                break
            await asyncio.sleep(wait)
            wait = min(wait * 2, 0.02)
        return found

    async def _asked(self, connection: Any, lsn: str, identifier: str) -> str:  # noqa: ANN401
        if not self._pooling:
            return str(await connection.fetchval(_HAS, lsn, identifier, timeout=2.0))
        async with connection.transaction():
            return str(await connection.fetchval(_HAS, lsn, identifier, timeout=2.0))
