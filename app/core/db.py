"""Two doors into Postgres: a Writer (SQLAlchemy connection) and a Reader (asyncpg), both inside one entered transaction.

Every transaction begins with `app.enter(...)`, which tells row security who is asking and refuses a
client that is no longer alive. Statements are SQLAlchemy Core, written in `sql.py`; the Reader compiles
each shape once and lets asyncpg run it (measured: about three times the requests per second of a session).
"""

import asyncio
import re
import time
from collections.abc import AsyncIterator, Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import asynccontextmanager
from datetime import datetime
from functools import lru_cache
from itertools import islice
from types import NoneType
from typing import Any, Protocol
from uuid import UUID

import asyncpg
import orjson
import structlog
from sqlalchemy import JSON, Column, Integer, MetaData, Table, event, exc, literal, text
from sqlalchemy.dialects.postgresql.asyncpg import PGDialect_asyncpg
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine, create_async_engine
from sqlalchemy.sql.expression import Executable, func, select

from app.core import logs, metrics
from app.core.caller import Caller
from app.core.clock import wall_now
from app.core.connecting import (
    POSITION,
    SET_LOCAL,
    SETTINGS,
    Position,
    Replica,
    engine_options,
    options,
    speak_json,
)
from app.core.errors import (
    Conflict,
    ConstraintBroken,
    Forbidden,
    Invalid,
    NotFound,
    Overloaded,
    PartitionMissing,
    Problem,
    StorageFull,
    Unauthenticated,
    Unavailable,
    invalid,
)

_log = structlog.get_logger("tendays.database")
metadata = MetaData(
    naming_convention={
        "ix": "ix_%(table_name)s_%(column_0_N_name)s",
        "uq": "uq_%(table_name)s_%(column_0_N_name)s",
        "ck": "ck_%(table_name)s_%(constraint_name)s",
        "fk": "fk_%(table_name)s_%(column_0_name)s",
        "pk": "pk_%(table_name)s",
    }
)

Row = Mapping[str, Any]
Params = Mapping[str, Any]
SYSTEM = UUID(int=0)


class Door(Protocol):
    """What both doors can do. `caller.now` is the domain time of this transaction."""

    caller: Caller
    statements: int

    async def rows(self, stmt: Executable, params: Params | None = None) -> Sequence[Row]:
        """All rows, each by column name."""

    async def one_or_none(self, stmt: Executable, params: Params | None = None) -> Row | None:
        """The first row, or None."""

    async def value(self, stmt: Executable, params: Params | None = None) -> Any:  # noqa: ANN401
        """The first column of the first row, or None."""


class Writer:
    """A read-write transaction (READ COMMITTED)."""

    def __init__(self, connection: AsyncConnection, caller: Caller, counter: "Database") -> None:
        """Hold one open transaction; `Database.write` commits it."""
        self._connection = connection
        self._counter = counter
        self.caller = caller
        self.statements = 0

    async def rows(self, stmt: Executable, params: Params | None = None) -> Sequence[Row]:
        """All rows a query or a RETURNING gives."""
        result = await self._execute(stmt, params)
        return [dict(row) for row in result.mappings()] if result.returns_rows else []

    async def one_or_none(self, stmt: Executable, params: Params | None = None) -> Row | None:
        """The first row, or None."""
        found = await self.rows(stmt, params)
        return found[0] if found else None

    async def value(self, stmt: Executable, params: Params | None = None) -> Any:  # noqa: ANN401
        """The first column of the first row, or None."""
        found = await self.one_or_none(stmt, params)
        return next(iter(found.values())) if found else None

    async def run(self, stmt: Executable, params: Params | Sequence[Params] | None = None) -> int:
        """Execute and give the number of rows touched."""
        result = await self._execute(stmt, params)
        return int(result.rowcount)

    async def _execute(self, stmt: Executable, params: Any = None) -> Any:  # noqa: ANN401
        self.statements += 1
        self._counter.statements += 1
        try:
            return await self._connection.execute(stmt, params)
        except exc.DBAPIError as error:  # here, so that a service can give a broken constraint its own code
            raise translated(error) from error

    @asynccontextmanager
    async def attempt(self) -> AsyncIterator[None]:
        """A savepoint: what fails inside is undone, and the transaction goes on (row-by-row bulk writes).

        Without one a refused statement has ended its transaction: what is caught can only be raised in other words.
        """
        try:
            async with self._connection.begin_nested():
                yield
        except exc.DBAPIError as error:
            raise translated(error) from error

    async def copy_in(self, table: Table, columns: Sequence[str], rows: Iterable[Sequence[Any]]) -> int:
        """Add many rows by COPY; gives how many. `rows` is drawn as it is sent, COPY_AT_ONCE rows at a time.

        COPY goes to a temporary table and the rows from there by INSERT ... SELECT, so that row security, checks
        and triggers hold (row security forbids COPY FROM). Values are in the order of `columns`; JSON columns take
        Python values. Callable several times in a transaction; what it refuses undoes the transaction, or the
        `attempt` around it: a foreign row (NotFound), a broken constraint (ConstraintBroken), and a value of the
        wrong type, null or too large (Invalid, its pointer `/row/column`, rows counted from 0).
        """
        copy = _Copy(table, columns)
        await self._execute(text(copy.opening))
        connection, drawn, sent = await self.raw(), iter(rows), 0
        while batch := await self._copy_some(connection, copy, drawn, sent):
            sent += await self.run(text(copy.moving))
            if batch < COPY_AT_ONCE:
                break
            await self._execute(text(copy.clearing))
        await self._execute(text(copy.closing))
        return sent

    async def copy_rows(self, table: Table, rows: Sequence[Row]) -> int:
        """The same with rows by column name; all have the columns of the first. What they leave out has its default."""
        if not rows:
            return 0
        columns = tuple(rows[0])
        return await self.copy_in(table, columns, (tuple(row[name] for name in columns) for row in rows))

    async def _copy_some(self, connection: Any, copy: "_Copy", drawn: Iterator[Any], sent: int) -> int:  # noqa: ANN401
        """One COPY of at most COPY_AT_ONCE rows; gives how many."""
        counted = copy.counted(islice(drawn, COPY_AT_ONCE))
        self.statements += 1
        self._counter.statements += 1
        try:
            await connection.copy_records_to_table(
                copy.name, records=counted, columns=copy.columns, schema_name="pg_temp"
            )
        except _UNSENT as error:
            raise copy.refusal(error, sent) or _translated(error) from error
        return copy.rows

    async def raw(self) -> Any:  # noqa: ANN401
        """The asyncpg connection underneath, for COPY into a temporary table."""
        return (await self._connection.get_raw_connection()).driver_connection


class Reader:
    """A read-only transaction (REPEATABLE READ) on asyncpg."""

    def __init__(self, connection: Any, caller: Caller, counter: "Database") -> None:  # noqa: ANN401
        """Hold one open transaction."""
        self._connection = connection
        self._counter = counter
        self.caller = caller
        self.statements = 0

    async def rows(self, stmt: Executable, params: Params | None = None) -> Sequence[Row]:
        """All rows."""
        sql, args = _compiled(stmt, params or {})
        self.statements += 1
        self._counter.statements += 1
        found: Sequence[Row] = await self._connection.fetch(sql, *args)
        return found

    async def one_or_none(self, stmt: Executable, params: Params | None = None) -> Row | None:
        """The first row, or None."""
        found = await self.rows(stmt, params)
        return found[0] if found else None

    async def value(self, stmt: Executable, params: Params | None = None) -> Any:  # noqa: ANN401
        """The first column of the first row, or None."""
        found = await self.one_or_none(stmt, params)
        return next(iter(found.values())) if found else None


class Database:
    """The engine and the pool of one role. `statements` counts what both doors sent (beside BEGIN and COMMIT).

    With a replica a read goes there if the replica has everything that the primary had committed when the read began,
    else to the primary. So nobody reads less than what they, or anybody, had been told was done, whichever process
    did it; and a client, grant or token that has ended has ended for every read.
    """

    def __init__(
        self, dsn: str, *, development: bool = False, pool: int = 10, readers: int | None = None, wait: float = 10.0,
        replica_dsn: str | None = None, pooling: bool = False,
    ) -> None:  # fmt: skip
        """`dsn` is `postgresql://user:password@host:port/name`.

        `development` lets the domain clock be moved, at the price of one more statement per read. Each door has at most
        `pool` connections (`readers` for reads); who gets none within `wait` seconds is refused (Overloaded). `pooling`:
        the address is that of a pooler in transaction mode.
        """
        self._dsn = dsn
        self._development = development
        self._size = pool
        self._readers = readers or pool
        self._wait = wait
        self._pooling = pooling
        self._engine: AsyncEngine | None = None
        self._pool: asyncpg.Pool | None = None
        self._replica = Replica(replica_dsn, self._readers, pooling=pooling) if replica_dsn else None
        self._position = Position(self._ask_position)
        self._write_queue, self._read_queue = _Queue(pool), _Queue(self._readers)
        self._healing = asyncio.Lock()
        self._full_at: float | None = None
        self.statements = 0

    @property
    def dsn(self) -> str:
        """The address it was given (for LISTEN and tests)."""
        return self._dsn

    async def open(self) -> "Database":
        """Open both doors. A server that is starting or recovering is waited for, up to RECOVERY_SECONDS."""
        self._engine = create_async_engine(
            self._dsn.replace("postgresql://", "postgresql+asyncpg://", 1),
            pool_size=self._size,
            max_overflow=0,
            pool_timeout=self._wait,
            connect_args=engine_options(pooling=self._pooling),
            json_serializer=_as_json,
            json_deserializer=orjson.loads,
            hide_parameters=True,  # an error's text goes to the log, pupils' data does not
        )
        event.listen(self._engine.sync_engine, "checkout", _refuse_closed)
        deadline = time.monotonic() + RECOVERY_SECONDS
        while self._pool is None:
            try:
                self._pool = await self._new_pool()
            except (asyncpg.CannotConnectNowError, ConnectionError):
                if time.monotonic() > deadline:
                    raise
                await asyncio.sleep(0.2)
        return self

    async def _new_pool(self) -> asyncpg.Pool:
        return await asyncpg.create_pool(
            self._dsn, min_size=1, max_size=self._readers, init=speak_json, **options(pooling=self._pooling)
        )

    async def close(self) -> None:
        """Close both doors."""
        if self._replica:
            await self._replica.close()
        if self._pool:
            await self._pool.close()
        if self._engine:
            await self._engine.dispose()

    async def is_well(self) -> bool:
        """Whether the database answers within two seconds."""
        if self._pool is None:
            return False
        try:
            return bool(await asyncio.wait_for(self._pool.execute("SELECT 1"), 2) == "SELECT 1")
        except (OSError, TimeoutError, asyncpg.PostgresError, asyncpg.InterfaceError):
            return False

    async def state(self) -> str:
        """`ok`, or why this database cannot be used: `database_unreachable` or, where it can be read, `not_writable`,
        `storage_full`, `partitions_missing`. Reads and commits once; answers within four seconds.
        """
        if not await self.is_well():
            return "database_unreachable"
        if self._full_at is not None and time.monotonic() - self._full_at < FULL_SECONDS:
            return "storage_full"
        try:
            async with asyncio.timeout(2), self.write(None) as tx:
                row = await tx.one_or_none(_WRITABLE) or {}
        except StorageFull:
            return "storage_full"
        except (Problem, TimeoutError, exc.SQLAlchemyError, *_FROM_BELOW):
            return "not_writable"
        if row["read_only"] == "on":
            return "not_writable"
        return "ok" if row["ahead"] >= 0 else "partitions_missing"

    async def _mend(self, problem: Problem) -> None:
        """What can be done about what was refused: a partition is made, a full disk is remembered for `state`."""
        if isinstance(problem, StorageFull):
            _log.error("storage.full")
            metrics.storage_refused(problem.code)
            self._full_at = time.monotonic()
        elif isinstance(problem, PartitionMissing):
            _log.error("storage.partition_missing", table=problem.table)
            metrics.storage_refused("partition_missing")
            async with self._healing:
                try:
                    async with self.write(None) as tx:
                        await tx.run(select(func.app.keep_partitions_of(problem.table)))
                except (Problem, exc.SQLAlchemyError) as error:
                    _log.error("storage.not_mended", table=problem.table, **logs.fault(error))

    @asynccontextmanager
    async def write(self, caller: Caller | None) -> AsyncIterator[Writer]:
        """One transaction, committed when the block ends and before anything is answered; rolled back if it raises.

        With `caller` None nothing is entered: row security then shows nothing, and only the functions that
        ask for no caller can be used (token requests). Unavailable when the database is away.
        """
        if self._engine is None:
            msg = "the database is not open"
            raise RuntimeError(msg)
        asked = self._write_queue.ask()
        try:
            async with self._engine.connect() as connection, connection.begin():
                asked.got()
                tx = Writer(connection, caller or nobody(), self)
                if caller is not None:
                    tx.caller = caller.at(await tx.value(_enter(caller, pooling=self._pooling)))
                elif self._pooling:
                    await tx.run(select(*_set_local()))
                yield tx
        except exc.TimeoutError as error:
            raise Overloaded from error
        except (StorageFull, PartitionMissing) as problem:
            asked.done()
            await self._mend(problem)
            raise
        except exc.DBAPIError as error:  # of COMMIT
            found = translated(error)
            if isinstance(found, StorageFull):
                await self._mend(found)
            raise found from error
        except _FROM_BELOW as error:
            raise _translated(error) from error
        finally:
            asked.done()

    @asynccontextmanager
    async def read(self, caller: Caller) -> AsyncIterator[Reader]:
        """One read-only snapshot, entered in the same message that begins it. Unavailable when the database is away."""
        asked = self._read_queue.ask()
        try:
            async with self._reading() as connection:
                asked.got()
                try:
                    await connection.execute(_begin(caller, pooling=self._pooling))
                    tx = Reader(connection, caller.at(wall_now()), self)
                    if self._development:
                        tx.caller = caller.at(await tx.value(_DOMAIN_NOW))
                    yield tx
                finally:
                    if not connection.is_closed():
                        await connection.execute("ROLLBACK")
        except TimeoutError as error:
            raise Overloaded from error
        except _FROM_BELOW as error:
            raise _translated(error) from error
        finally:
            asked.done()

    @asynccontextmanager
    async def _reading(self) -> AsyncIterator[Any]:
        """A connection to read by: the replica's if it has all that the primary has committed by now."""
        if self._pool is None:
            msg = "the database is not open"
            raise RuntimeError(msg)
        connection = await self._replica.acquire(await self._position.now()) if self._replica else None
        if connection is None:
            async with self._pool.acquire(timeout=self._wait) as of_primary:
                yield of_primary
            return
        try:
            yield connection
        except (
            asyncpg.SerializationError
        ) as error:  # replay went over what was being read: it may be asked again
            raise Unavailable from error
        finally:
            await self._replica.release(connection)  # type: ignore[union-attr] # it gave the connection

    async def _ask_position(self) -> str:
        pool: asyncpg.Pool = self._pool
        async with pool.acquire(timeout=self._wait) as connection, connection.transaction(readonly=True):
            return str(await connection.fetchval(POSITION))


class _Queue:
    """Who waits for a connection of one pool. Where there is no hope of one, it is said at once."""

    def __init__(self, size: int) -> None:
        self._most = max(LEAST_WAITING, WAITING_EACH * size)
        self._waiting = 0
        self._moved = 0.0

    def ask(self) -> "_Asked":
        """Stand in the queue. Overloaded if it is too long, or has not moved for STUCK_SECONDS."""
        now = time.monotonic()
        if not self._waiting:
            self._moved = now
        elif self._waiting >= self._most or now - self._moved > STUCK_SECONDS:
            raise Overloaded
        self._waiting += 1
        return _Asked(self)

    def leave(self) -> None:
        """Somebody got a connection, or gave up."""
        self._waiting -= 1
        self._moved = time.monotonic()


class _Asked:
    """One place in the queue."""

    def __init__(self, queue: _Queue) -> None:
        self._queue: _Queue | None = queue

    def got(self) -> None:
        """There is a connection."""
        self.done()

    def done(self) -> None:
        """Whatever came of it; may be said again."""
        if self._queue is not None:
            queue, self._queue = self._queue, None
            queue.leave()


def nobody() -> Caller:
    """A caller without a client: sees nothing."""
    return Caller(SYSTEM, SYSTEM, "nobody", frozenset(), wall_now())


def system(now: datetime | None = None) -> Caller:
    """The worker itself; only the role `tendays_worker` may enter as it."""
    return Caller(SYSTEM, SYSTEM, "system", frozenset(), now or wall_now())


COPY_AT_ONCE = 50_000
"""Rows of one COPY: each statement stays within the statement timeout, and the temporary table stays small."""
RECOVERY_SECONDS = 60.0
WAITING_EACH = 20
LEAST_WAITING = 200
"""So many may wait for each connection of a pool, and so many in any case."""
STUCK_SECONDS = 2.0
FULL_SECONDS = 30.0
"""So long after a refusal for want of room this process says that it is not ready."""
_BEGIN = "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY"
_WRITABLE = select(
    func.current_setting("transaction_read_only").label("read_only"),
    func.pg_current_xact_id().label("written"),  # so that there is something to commit
    func.app.periods_ahead().label("ahead"),
)
_DOMAIN_NOW = select(func.app.domain_now())
_DIALECT = PGDialect_asyncpg()  # type: ignore[no-untyped-call] # SQLAlchemy leaves it untyped
_CACHE: dict[Any, Any] = {}


def _refuse_closed(connection: Any, _record: Any, _proxy: Any) -> None:  # noqa: ANN401
    """A connection whose server has died is replaced before it is used; asyncpg knows it without asking."""
    if connection.driver_connection.is_closed():
        raise exc.DisconnectionError


def _as_json(value: Any) -> str:  # noqa: ANN401
    """A row given back as JSON may have SQLAlchemy's own kind of text as its keys."""
    return orjson.dumps(value, default=str, option=orjson.OPT_NON_STR_KEYS).decode()


def _enter(caller: Caller, *, pooling: bool) -> Executable:
    more = _set_local() if pooling else ()
    if caller.org_kind == "system":
        return select(func.app.enter_system(), *more)
    return select(func.app.enter(caller.client_id, caller.school_id, caller.token_id), *more)


def _set_local() -> list[Any]:
    """The settings, for this transaction: in the statement that enters it, they cost no round trip."""
    return [func.set_config(name, value, literal(True)).label(name) for name, value in SETTINGS.items()]


def _begin(caller: Caller, *, pooling: bool) -> str:
    """BEGIN and enter in one message. Such a message takes no parameters: its literals are UUIDs we format."""
    begin = f"{_BEGIN}; {SET_LOCAL}" if pooling else _BEGIN
    if caller.org_kind == "system":
        return f"{begin}; SELECT app.enter_system()"
    return _begin_as(begin, caller.client_id, caller.school_id, caller.token_id)


@lru_cache(maxsize=4096)  # a client asks many times with one token
def _begin_as(begin: str, *ids: UUID | None) -> str:
    return f"{begin}; SELECT app.enter({', '.join(map(_literal, ids))})"


def _literal(identifier: UUID | None) -> str:
    return f"'{UUID(str(identifier))}'::uuid" if identifier else "NULL::uuid"


def _compiled(stmt: Any, params: Params) -> tuple[str, list[Any]]:  # noqa: ANN401
    """The statement's text, compiled once per shape, and its arguments in order."""
    key = stmt._generate_cache_key()  # noqa: SLF001  (what the engine's own cache uses; SQLAlchemy is pinned)
    compiled = _CACHE.get(key.key) if key else None
    if compiled is None:
        compiled = stmt.compile(dialect=_DIALECT, cache_key=key)
        if key and len(_CACHE) < 2000:  # noqa: PLR2004
            _CACHE[key.key] = compiled
    values = compiled.construct_params(dict(params), extracted_parameters=key.bindparams if key else None)
    return str(compiled), [values[name] for name in compiled.positiontup or ()]


class _Copy:
    """One table's way in: its temporary table, and the statements that open it, empty it and move its rows on."""

    def __init__(self, table: Table, columns: Sequence[str]) -> None:
        quote = _DIALECT.identifier_preparer.quote
        kept = [table.c[name] for name in columns]
        listed = ", ".join(quote(name) for name in columns)
        self.columns, self.rows, self.name = list(columns), 0, f"copied_{table.name}"
        self.opening = f"CREATE TEMPORARY TABLE {self.name} ({', '.join(map(_as_sent, kept))}) ON COMMIT DROP"
        self.moving = f"INSERT INTO {quote(table.name)} ({listed}) SELECT {listed} FROM pg_temp.{self.name}"
        self.clearing, self.closing = f"TRUNCATE pg_temp.{self.name}", f"DROP TABLE pg_temp.{self.name}"
        self._kept = kept
        self.last: Sequence[Any] | None = None
        self._json = [at for at, column in enumerate(kept) if isinstance(column.type, JSON)]

    def counted(self, rows: Iterable[Sequence[Any]]) -> Iterator[Sequence[Any]]:
        """The rows as COPY takes them; `last` is the one being sent, `rows` says how many have been drawn."""
        self.rows, self.last = 0, None
        for row in rows:
            self.rows, self.last = self.rows + 1, row
            if self._json:
                given = list(row)
                for at in self._json:
                    given[at] = None if given[at] is None else _as_json(given[at])
                yield given
            else:
                yield row
            self.last = None  # taken: what fails from here is not this row's fault

    def refusal(self, error: Exception, before: int) -> Problem | None:
        """The row and column that COPY would not take; None if it is another fault."""
        place = _PLACE.search(getattr(error, "context", None) or "")
        if place:
            at, column = before + int(place[1]) - 1, place[2] or getattr(error, "column_name", None)
        else:
            at, column = before + self.rows - 1, self._unfit()
        if not column:
            return None
        detail = f"Row {at} cannot be stored: {column} is missing, of the wrong type or out of range."
        return invalid(f"/{at}/{column}", "unfit_value", detail)

    def _unfit(self) -> str | None:
        """The first column whose value the driver could not send: it says what is wrong, not where."""
        for name, column, value in zip(self.columns, self._kept, self.last or (), strict=False):
            kinds = (column.type.python_type, *_ALSO_TAKEN.get(column.type.python_type, ()))
            most = 31 if type(column.type) is Integer else 63
            if not isinstance(value, (NoneType, *kinds)) or (
                isinstance(value, int) and value.bit_length() > most
            ):
                return name
        return None


def _as_sent(column: Column[Any]) -> str:
    """A column of the temporary table. Its type and NOT NULL are the table's own; what else holds is asked later."""
    name, kind = _DIALECT.identifier_preparer.quote(column.name), column.type.compile(dialect=_DIALECT)
    return f"{name} {kind}" if column.nullable else f"{name} {kind} NOT NULL"


_PLACE = re.compile(r"^COPY \S+, line (\d+)(?:, column (\w+))?")
_ALSO_TAKEN: dict[type, tuple[type, ...]] = {UUID: (str,), list: (tuple,), dict: (object,)}
_UNSENT = (
    asyncpg.PostgresError,
    asyncpg.InterfaceError,
    TypeError,
    ValueError,
    OverflowError,
    AttributeError,
)
"""What COPY raises: the server's refusal, or the driver's raw complaint about a value that has another type."""
_CONSTRAINTS = {"23505": "unique", "23P01": "exclusion", "23514": "check", "23503": "foreign_key"}
_UNFIT = {"22021", "22P05", "22003", "22008"}
_OURS: dict[str, Callable[[str], Problem]] = {
    "TD401": lambda message: Unauthenticated("client_revoked", message),
    "TD403": lambda message: Forbidden("grant_read_only", message),
    "TD404": NotFound,
    "TD409": lambda message: Conflict("conflict", message),
}


def translated(error: exc.DBAPIError) -> Exception:
    """The Problem a database error stands for, or the error itself if it is a fault of ours."""
    cause = error.orig.__cause__ if error.orig is not None else None
    if isinstance(cause, _FROM_BELOW):
        found = _translated(cause)
        return error if found is cause else found
    return error


_FROM_BELOW = (OSError, asyncpg.PostgresError, asyncpg.InterfaceError, asyncpg.InternalClientError)
_SIGNS = ("connection is closed", "released back to the pool", "cannot switch to state")
"""What asyncpg says of a connection that is closed, and of one that has been told so and is about to be."""


def _is_away(error: Exception) -> bool:
    """Whether the database cannot be reached, or went away in the middle of it."""
    state = getattr(error, "sqlstate", None) or ""
    if isinstance(error, OSError) or state.startswith(("08", "57P", "53", "58")) or state == "25006":
        return True
    return any(sign in str(error) for sign in _SIGNS) and not isinstance(error, asyncpg.PostgresError)


def _translated(error: Exception) -> Exception:
    state = getattr(error, "sqlstate", None) or ""
    if state == "53100":
        return StorageFull()
    if state == "23514" and "no partition of relation" in str(error):
        return PartitionMissing(getattr(error, "table_name", None) or "")
    if state == "57014":  # it took too long; the transaction is undone
        return Overloaded()
    return Unavailable() if _is_away(error) else _refusal(error)


def _refusal(error: Exception) -> Exception:
    state = getattr(error, "sqlstate", None) or ""
    if state in _CONSTRAINTS:
        return ConstraintBroken(getattr(error, "constraint_name", None) or "", _CONSTRAINTS[state])
    if state in _OURS:
        return _OURS[state](str(error))
    if state == "42501" and "row-level security" in str(error):
        return NotFound()
    if state in {"40001", "40P01", "55P03"}:
        return Conflict(
            "busy", "Another change to the same thing is under way. Try again.", extra={"retry_after": 1}
        )
    if state in _UNFIT or isinstance(error, asyncpg.DataError):
        return Invalid("unfit_value", "A value cannot be stored: a NUL character, or a number out of range.")
    return error
