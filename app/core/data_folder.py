"""The folder of an embedded Postgres: its data, its passwords, its port, its log, and who holds it."""

import fcntl
import json
import os
import secrets
import shutil
import subprocess
import tempfile
from collections.abc import Callable
from functools import cached_property
from pathlib import Path
from typing import IO, Any

from app.core import roles
from app.core.unprivileged import Unprivileged, reachable_folder

SUPERUSER = "postgres"
LOG_BYTES_KEPT = 5_000_000


class EmbeddedFailed(Exception):
    """The server could not be started; the message says why and quotes its log."""


class AlreadyRunning(EmbeddedFailed):
    """Another living process of ours runs a server in this data folder."""


class DataFolder:
    """A folder kept between runs. Secrets in it have mode 0600; the data belong to the server's user."""

    def __init__(self, wanted: Path, user: Unprivileged, say: Callable[[str], None]) -> None:
        """Nothing is touched before the first use."""
        self._wanted = wanted
        self._user = user
        self._say = say
        self._lock: IO[str] | None = None

    @cached_property
    def path(self) -> Path:
        """Where it really lies: as root this may be common ground, see `unprivileged`."""
        return reachable_folder(self._wanted, self._user, self._say)

    @property
    def data(self) -> Path:
        """What initdb made."""
        return self.path / "pgdata"

    @property
    def log(self) -> Path:
        """What the server wrote: warnings and errors, never statements."""
        return self.path / "postgres.log"

    @property
    def port(self) -> int | None:
        """The port of the last healthy start."""
        return first_number(self.path / "port")

    @port.setter
    def port(self, value: int) -> None:
        (self.path / "port").write_text(str(value))

    @cached_property
    def passwords(self) -> dict[str, str]:
        """The generated passwords by role, the superuser's among them; made on first use."""
        path = self.path / "passwords.json"
        if not path.exists():
            half = path.with_suffix(".half")
            half.unlink(missing_ok=True)
            half.touch(mode=0o600)
            half.write_text(json.dumps({SUPERUSER: secrets.token_urlsafe(24), **roles.new_passwords()}))
            half.rename(path)
        return dict(json.loads(path.read_text()))

    # --- who holds it ---------------------------------------------------------------------------

    def hold(self) -> None:
        """One living process per folder, else `AlreadyRunning`. The lock ends with its holder."""
        lock = (self.path / "lock").open("a+")
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            lock.seek(0)
            holder = lock.read().strip()
            lock.close()
            raise AlreadyRunning(f"Process {holder} already runs the database in {self.path}.") from None
        lock.truncate(0)
        lock.write(str(os.getpid()))
        lock.flush()
        self._lock = lock

    def let_go(self) -> None:
        """Let another process hold it. Safe to repeat."""
        if self._lock is not None:
            self._lock.close()
            self._lock = None

    def is_held(self) -> bool:
        """Whether some living process holds it."""
        try:
            with (self.path / "lock").open() as lock:
                fcntl.flock(lock, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except FileNotFoundError:
            return False
        except BlockingIOError:
            return True
        return False

    # --- first start ----------------------------------------------------------------------------

    def make_data(self, initdb: Path, version: str, *, durable: bool) -> None:
        """Run initdb in a folder beside, move it into place whole; refuse data of another major version."""
        if (self.data / "PG_VERSION").exists():
            self._refuse_another_version(version)
            return
        half = self.path / "pgdata.half"
        shutil.rmtree(half, ignore_errors=True)
        half.mkdir(mode=0o700)
        self._user.take(half)
        self._initdb(initdb, half, durable=durable)
        with (half / "postgresql.conf").open("a") as conf:
            conf.write("\ninclude = 'tendays.conf'\n")
        half.rename(self.data)

    def _initdb(self, program: Path, folder: Path, *, durable: bool) -> None:
        with tempfile.NamedTemporaryFile("w", prefix="tendays-") as secret:
            secret.write(self.passwords[SUPERUSER])
            secret.flush()
            self._user.take(Path(secret.name))
            done = subprocess.run(  # noqa: S603 - Postgres' own program
                [
                    *(str(program), "-D", str(folder), "-U", SUPERUSER, "--pwfile", secret.name),
                    *("--auth=scram-sha-256", "--encoding=UTF8", "--locale=C", "--no-instructions"),
                    *(() if durable else ("--no-sync",)),
                ],
                **self.process_options(folder),
                capture_output=True,
                check=False,
                text=True,
            )
        if done.returncode:
            raise EmbeddedFailed(f"initdb failed in {folder}:\n{done.stdout}{done.stderr}")

    def _refuse_another_version(self, version: str) -> None:
        made_by = (self.data / "PG_VERSION").read_text().strip()
        if made_by != version.partition(".")[0]:
            raise EmbeddedFailed(
                f"The data in {self.data} was made by Postgres {made_by}; the programs are {version}. "
                "Use the programs that made it, or begin anew with `make reset`."
            )

    def write_settings(self, settings: dict[str, str]) -> None:
        """Write what this run wants of the server, and keep its log from growing for ever."""
        conf = self.data / "tendays.conf"
        conf.write_text("".join(f"{name} = '{value}'\n" for name, value in settings.items()))
        self._user.take(conf)
        if self.log.exists() and self.log.stat().st_size > LOG_BYTES_KEPT:
            self.log.replace(self.log.with_suffix(".log.1"))

    def process_options(self, cwd: Path) -> dict[str, Any]:
        """The server's user, a folder it can enter, a plain environment, a session Ctrl-C does not reach."""
        environment = {"PATH": os.defpath, "LC_ALL": "C", "TZ": "UTC", "HOME": str(cwd)}
        return {"cwd": cwd, "env": environment, "start_new_session": True, **self._user.popen_options()}


def first_number(path: Path) -> int | None:
    """The number a small file begins with, or None."""
    try:
        return int(path.read_text().split()[0])
    except (FileNotFoundError, IndexError, ValueError):
        return None
