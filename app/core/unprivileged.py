"""Postgres refuses to run as root: who runs it instead, and where that user can reach its files."""

import hashlib
import os
import pwd
import shutil
import subprocess
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

COMMON_GROUND = Path("/var/lib/tendays")  # every user can come here, whatever the project's folder allows


@dataclass(frozen=True)
class Unprivileged:
    """The user that runs Postgres when we are root; `uid` is None when we are somebody ourselves."""

    uid: int | None = None
    gid: int | None = None

    def popen_options(self) -> dict[str, Any]:
        """What `subprocess` needs to start a program as this user."""
        if self.uid is None:
            return {}
        return {"user": self.uid, "group": self.gid, "extra_groups": []}

    def take(self, path: Path) -> None:
        """Make this one path the user's own. Nothing above it is touched."""
        if self.uid is not None and self.gid is not None:
            os.chown(path, self.uid, self.gid)

    def can_reach(self, path: Path) -> bool:
        """Whether the user may enter this folder, or execute this file."""
        if self.uid is None:
            return True
        done = subprocess.run(
            ["/bin/sh", "-c", 'test -x "$0"', str(path)], cwd="/", check=False, **self.popen_options()
        )
        return done.returncode == 0


def server_user() -> Unprivileged:
    """`nobody` when we are root (else `postgres`), and otherwise just us."""
    if os.geteuid() != 0:
        return Unprivileged()
    for name in ("nobody", "postgres"):
        try:
            entry = pwd.getpwnam(name)
        except KeyError:
            continue
        return Unprivileged(entry.pw_uid, entry.pw_gid)
    raise PermissionError(
        "Postgres does not run as root, and there is neither a user `nobody` nor `postgres`."
    )


def reachable_folder(wanted: Path, user: Unprivileged, say: Callable[[str], None]) -> Path:
    """`wanted`, made if need be; or, where the server's user cannot enter it, a folder on common ground.

    Data that once went to common ground stays there, whatever the permissions of `wanted` are today.
    """
    wanted = wanted.resolve()
    wanted.mkdir(parents=True, exist_ok=True, mode=0o711)
    ground = _on_common_ground(str(wanted))
    if user.can_reach(wanted) and not ground.exists():
        return wanted
    if not ground.exists():
        say(f"The user that runs Postgres cannot enter {wanted}; the data is kept in {ground} instead.")
    _enterable(COMMON_GROUND)
    _enterable(ground)
    return ground


def reachable_programs(bin_dir: Path, user: Unprivileged, say: Callable[[str], None]) -> Path:
    """`bin_dir`, or a copy of its whole installation where the server's user can execute it."""
    program = bin_dir / "postgres"
    if user.can_reach(program):
        return bin_dir
    copy = _on_common_ground(f"{program.resolve()} {program.stat().st_mtime_ns}")
    if not copy.exists():
        say(f"The user that runs Postgres cannot enter {bin_dir}; a copy of the programs goes to {copy}.")
        _copy_installation(bin_dir.resolve().parent, copy)
    return copy / "package" / bin_dir.resolve().parent.name / "bin"


def _copy_installation(installation: Path, copy: Path) -> None:
    """Copy it whole or not at all, with the libraries that a wheel keeps beside its package (`name.libs`)."""
    _enterable(COMMON_GROUND)
    half = copy.with_name(f"{copy.name}.{os.getpid()}")
    _enterable(half)
    _enterable(half / "package")
    shutil.copytree(installation, half / "package" / installation.name, symlinks=True)
    package = installation.parent
    libraries = package.with_name(f"{package.name}.libs")
    if libraries.exists():
        shutil.copytree(libraries, half / libraries.name)
    half.rename(copy)


def _enterable(folder: Path) -> None:
    if not folder.exists():
        folder.mkdir(parents=True)
        folder.chmod(0o711)  # whatever the umask


def _on_common_ground(key: str) -> Path:
    return COMMON_GROUND / hashlib.sha256(key.encode()).hexdigest()[:16]
