"""The suite through PgBouncer in transaction mode: `pytest -p tests.pooled` gives the application its addresses there.

The owner and the worker keep their direct addresses, as in a real installation. The pool is smaller than what the
application would open, so that its transactions meet each other's sessions.
"""

import os
import shutil
import subprocess
import tempfile
import time
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from socket import create_connection
from typing import Any
from urllib.parse import unquote, urlsplit

from app.core import db as doors
from app.core.embedded import EmbeddedPostgres, free_port
from app.core.roles import Dsns
from app.core.unprivileged import server_user

POOL = 4


class PgBouncer:
    """One that pools transactions for the roles of a server: `at(dsn)` is an address there."""

    def __init__(self, dsns: Dsns, *, pool: int = POOL) -> None:
        """Start it, and wait until it listens."""
        self.port = free_port()
        self._folder, user = Path(tempfile.mkdtemp(prefix="tendays-pgbouncer-")), server_user()
        server = urlsplit(dsns.admin)
        addresses = (urlsplit(one) for one in (dsns.app, dsns.worker, dsns.owner))
        users = "".join(f'"{one.username}" "{unquote(one.password or "")}"\n' for one in addresses)
        (self._folder / "users.txt").write_text(users)
        (self._folder / "pgbouncer.ini").write_text(
            f"[databases]\n* = host={server.hostname} port={server.port}\n"
            f"[pgbouncer]\nlisten_addr = 127.0.0.1\nlisten_port = {self.port}\nunix_socket_dir =\n"
            f"auth_type = scram-sha-256\nauth_file = {self._folder}/users.txt\n"
            f"pool_mode = transaction\ndefault_pool_size = {pool}\nmax_client_conn = 500\n"
            f"logfile = {self._folder}/log\n"
        )
        for path in (self._folder, *self._folder.iterdir()):
            user.take(path)
        program = shutil.which("pgbouncer", path=f"{os.environ.get('PATH', '')}:/usr/sbin")
        assert program, "pgbouncer is not installed"
        self._process = subprocess.Popen(
            [program, "--quiet", str(self._folder / "pgbouncer.ini")], cwd="/", **user.popen_options()
        )
        for _ in range(200):
            with suppress(OSError), create_connection(("127.0.0.1", self.port), 1):
                return
            time.sleep(0.05)
        raise TimeoutError("pgbouncer does not listen")

    def at(self, dsn: str) -> str:
        """The same address through the pooler."""
        return dsn.replace(f":{urlsplit(dsn).port}/", f":{self.port}/")

    def stop(self) -> None:
        """End it, and remove its files."""
        self._process.terminate()
        self._process.wait(10)
        shutil.rmtree(self._folder)


# --- as a plugin ----------------------------------------------------------------------------------

_pooler: list[PgBouncer] = []
_through: list[str] = []


def pytest_configure() -> None:
    """From here on `cluster.dsns()` gives the application's address through the pooler."""
    dsns_of, begin = EmbeddedPostgres.dsns, doors.Database.__init__

    def dsns(self: EmbeddedPostgres, database: str = "tendays") -> Dsns:
        direct = dsns_of(self, database)
        if not _pooler:
            _pooler.append(PgBouncer(direct))
        return replace(direct, app=_pooler[0].at(direct.app))

    def begin_pooled(self: doors.Database, dsn: str, **more: Any) -> None:
        if _pooler and urlsplit(dsn).port == _pooler[0].port:
            # Fewer sessions than the application would open: a longer queue.
            more |= {"pooling": True, "wait": 30.0}
            _through.append(dsn)
        begin(self, dsn, **more)

    EmbeddedPostgres.dsns = dsns  # type: ignore[method-assign] # the whole run goes this way
    doors.Database.__init__ = begin_pooled  # type: ignore[method-assign, assignment] # as above
    os.environ["TENDAYS_DATABASE_POOLING"] = "transaction"


def pytest_sessionfinish() -> None:
    """A run that never went through the pooler proves nothing."""
    for pooler in _pooler:
        pooler.stop()
    if not _through:
        raise RuntimeError("nothing went through the pooler")
