"""The embedded Postgres starts, keeps what it was given through every way of dying, and leaves nothing."""

import asyncio
import os
import signal
import stat
import subprocess
import sys
import tempfile
import textwrap
from collections.abc import Iterator
from pathlib import Path

import asyncpg
import psutil
import pytest

from app.core import unprivileged
from app.core.embedded import (
    AlreadyRunning,
    EmbeddedPostgres,
    forget,
    living,
    packaged_programs,
    running_dsns,
)
from app.core.roles import ROLES, ensure_roles_and_database

PROGRAMS = Path(os.environ["TENDAYS_PG_BIN"]) if os.environ.get("TENDAYS_PG_BIN") else None


def server_in(folder: Path, said: list[str] | None = None, port: int | None = None) -> EmbeddedPostgres:
    say = (lambda _line: None) if said is None else said.append
    return EmbeddedPostgres(folder, durable=False, bin_dir=PROGRAMS, say=say, port=port)


async def ask(dsn: str, sql: str) -> object:
    connection = await asyncpg.connect(dsn)
    try:
        return await connection.fetchval(sql)
    finally:
        await connection.close()


async def told(dsn: str, sql: str) -> None:
    connection = await asyncpg.connect(dsn)
    try:
        await connection.execute(sql)
    finally:
        await connection.close()


@pytest.fixture(scope="module")
def folder() -> Iterator[Path]:
    """One data folder for this file: initdb is the slow part, and to be started again is the point."""
    with tempfile.TemporaryDirectory(prefix="tendays-embedded-") as place:
        Path(place).chmod(0o711)
        yield Path(place) / "postgres"


async def test_what_was_committed_is_there_after_a_clean_restart_on_the_same_port(folder: Path) -> None:
    async with server_in(folder) as server:
        dsns = await server.prepare()
        await told(dsns.owner, "CREATE TABLE kept (no int); INSERT INTO kept VALUES (1)")
        first_port = server.port
    assert not server.running()
    async with server_in(folder) as server:
        assert await ask(server.dsns().owner, "SELECT count(*) FROM kept") == 1
        assert server.port == first_port


async def test_our_roles_are_neither_superusers_nor_pass_by_row_security(folder: Path) -> None:
    async with server_in(folder) as server:
        dsns = await server.prepare()
        await ensure_roles_and_database(server.admin_dsn, dict.fromkeys(ROLES, "another"))
        again = await server.prepare()
        assert again == dsns
        mighty = "SELECT bool_or(rolsuper OR rolbypassrls) FROM pg_roles WHERE rolname ~ 'tendays'"
        assert await ask(dsns.admin, mighty) is False
        assert await ask(dsns.app, "SELECT current_user") == "tendays_app"
        with pytest.raises(asyncpg.InsufficientPrivilegeError):
            await told(dsns.app, "CREATE TABLE mine (no int)")
        with pytest.raises(asyncpg.InvalidPasswordError):
            await ask(dsns.app.replace("tendays_app:", "tendays_app:x"), "SELECT 1")


async def test_the_passwords_are_for_our_eyes_only(folder: Path) -> None:
    async with server_in(folder) as server:
        assert stat.S_IMODE((server.path / "passwords.json").stat().st_mode) == 0o600
        assert stat.S_IMODE((server.path / "pgdata").stat().st_mode) == 0o700
        assert psutil.Process(server.pid).uids().real != 0


async def test_a_killed_server_starts_again_on_its_port_with_the_data(folder: Path) -> None:
    async with server_in(folder) as server:
        dsns = await server.prepare()
        await told(
            dsns.owner, "CREATE TABLE IF NOT EXISTS after_kill (no int); INSERT INTO after_kill VALUES (7)"
        )
        port, pid = server.port, server.pid
        assert pid
        os.kill(pid, signal.SIGKILL)
        await server.wait()
        assert not server.running()
        await server.restart()
        assert server.port == port
        assert await ask(dsns.owner, "SELECT max(no) FROM after_kill") == 7


async def test_a_server_dies_with_the_process_that_started_it_and_the_data_survive(folder: Path) -> None:
    script = textwrap.dedent("""
        import asyncio, os, signal, sys
        from pathlib import Path
        from app.core.embedded import EmbeddedPostgres
        async def go():
            programs = Path(sys.argv[2]) if sys.argv[2] else None
            server = EmbeddedPostgres(Path(sys.argv[1]), durable=False, bin_dir=programs)
            await server.start()
            print(server.pid, flush=True)
            os.kill(os.getpid(), signal.SIGKILL)
        asyncio.run(go())
    """)
    done = await asyncio.to_thread(
        subprocess.run,
        [sys.executable, "-c", script, str(folder), str(PROGRAMS or "")],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == -signal.SIGKILL, done.stderr
    async with server_in(folder) as server:
        assert await server.healthy()
        assert server.pid != int(done.stdout)
        assert living(int(done.stdout)) is None


async def test_a_server_that_outlived_its_starter_is_stopped_and_said(folder: Path) -> None:
    left = server_in(folder)
    await left.start()
    pid = left.pid
    left._watcher.kill()  # type: ignore[union-attr] # as if the watcher had been killed with us
    left._folder.let_go()
    said: list[str] = []
    async with server_in(folder, said) as server:
        assert await server.healthy()
        assert server.pid != pid
        assert not left.running()
    assert said == ["A database server that an earlier run left behind is stopped first."]
    left._process = None
    await left.stop()


async def test_a_pid_file_that_names_a_stranger_is_removed_and_the_stranger_lives(folder: Path) -> None:
    async with server_in(folder) as server:
        data = server.path / "pgdata"
    stranger = subprocess.Popen(["sleep", "60"])
    try:
        (data / "postmaster.pid").write_text(f"{stranger.pid}\n{data}\n1700000000\n5432\n\n127.0.0.1\n")
        said: list[str] = []
        async with server_in(folder, said) as server:
            assert await server.healthy()
        assert "stale pid file" in said[0]
        assert stranger.poll() is None
    finally:
        stranger.kill()
        stranger.wait()


async def test_a_data_folder_serves_one_process_and_tells_the_others_where(folder: Path) -> None:
    assert running_dsns(folder) is None
    async with server_in(folder) as server:
        with pytest.raises(AlreadyRunning, match=str(os.getpid())):
            await server_in(folder).start()
        with pytest.raises(AlreadyRunning):
            forget(folder)
        assert running_dsns(folder) == server.dsns()
    assert running_dsns(folder) is None


async def test_a_taken_port_is_left_to_its_holder(folder: Path) -> None:
    async with server_in(folder) as server:
        taken = server.port
    holder = await asyncio.start_server(lambda _r, w: w.close(), "127.0.0.1", taken)
    async with holder, server_in(folder) as server:
        assert server.port != taken
        assert await server.healthy()


@pytest.mark.skipif(os.geteuid() != 0, reason="only root has to find another user for the server")
async def test_as_root_a_folder_the_server_cannot_enter_is_left_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    closed = tmp_path / "closed"
    closed.mkdir(mode=0o700)
    with tempfile.TemporaryDirectory(prefix="tendays-ground-") as ground:
        monkeypatch.setattr(unprivileged, "COMMON_GROUND", Path(ground) / "here")
        Path(ground).chmod(0o711)
        user, said = unprivileged.server_user(), list[str]()
        kept = unprivileged.reachable_folder(closed / "postgres", user, said.append)
        assert kept.is_relative_to(ground)
        assert user.can_reach(kept)
        assert len(said) == 1
        assert unprivileged.reachable_folder(closed / "postgres", user, said.append) == kept
        assert len(said) == 1, "it is said once"
        assert stat.S_IMODE(closed.stat().st_mode) == 0o700


@pytest.mark.skipif(os.geteuid() != 0, reason="only root has to find another user for the server")
async def test_as_root_programs_the_server_cannot_reach_are_copied(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    hidden = tmp_path / "hidden" / "pginstall18"
    hidden.parent.mkdir(mode=0o700)
    hidden.symlink_to(packaged_programs().parent)
    (hidden.parent / "copy").mkdir()
    with tempfile.TemporaryDirectory(prefix="tendays-ground-") as ground:
        Path(ground).chmod(0o711)
        monkeypatch.setattr(unprivileged, "COMMON_GROUND", Path(ground) / "here")
        said: list[str] = []
        programs = unprivileged.reachable_programs(hidden / "bin", unprivileged.server_user(), said.append)
        assert programs.is_relative_to(ground)
        async with EmbeddedPostgres(Path(ground) / "data", durable=False, bin_dir=programs) as server:
            assert await server.healthy()
