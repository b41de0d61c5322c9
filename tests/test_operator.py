"""What an operator gets wrong is said in one line that names the variable, and what works is left alone."""

import asyncio
import os
import socket
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

import asyncpg
import pytest

from app.core.embedded import EmbeddedPostgres, free_port
from app.core.roles import Dsns, drop_database
from app.core.secrets import new_master

ROOT = Path(__file__).parents[1]


@dataclass
class Done:
    code: int
    out: str
    said: str


async def tendays(*asked: str, **settings: str) -> Done:
    plain = {name: value for name, value in os.environ.items() if not name.startswith("TENDAYS_")}
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "app.cli", *asked, cwd=ROOT, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
        stderr=subprocess.PIPE, env=plain | {f"TENDAYS_{name}": value for name, value in settings.items()},
    )  # fmt: skip
    out, said = await asyncio.wait_for(process.communicate(), 120)
    return Done(process.returncode or 0, out.decode(), said.decode())


def whole(dsns: Dsns) -> dict[str, str]:
    return {
        "ENV": "production",
        "SECRET_KEY": new_master(),
        "BASE_URL": "https://tendays.example",
        "PORT": str(free_port()),
        "DATABASE_URL": dsns.app,
        "WORKER_DATABASE_URL": dsns.worker,
        "OWNER_DATABASE_URL": dsns.owner,
    }


def wrong(dsns: Dsns, what: str, taken: int) -> str:
    """A value that cannot work."""
    at = urlsplit(dsns.app)
    return {
        "password": dsns.app.replace(at.password or "", "hunter2"),
        "database": f"{dsns.app}_none",
        "nobody": dsns.app.replace(f":{at.port}/", f":{free_port()}/"),
        "taken": str(taken),
        "folder": "/proc/nowhere",
        "json": "443",
        "none": "",
    }[what]


@pytest.mark.parametrize(
    ("asked", "variable", "what"),
    [
        ("api", "ENV", "none"),
        ("worker", "ENV", "none"),
        ("migrate", "ENV", "none"),
        ("api", "DATABASE_URL", "password"),
        ("api", "REPLICA_URL", "password"),
        ("api", "PORT", "taken"),
        ("api", "WEBHOOK_PORTS", "json"),
        ("worker", "WORKER_DATABASE_URL", "database"),
        ("worker", "WORKER_DATABASE_URL", "none"),
        ("worker", "METRICS_PORT", "taken"),
        ("migrate", "OWNER_DATABASE_URL", "nobody"),
        ("keys list", "OWNER_DATABASE_URL", "password"),
        ("roles", "ADMIN_DATABASE_URL", "nobody"),
    ],
)
async def test_a_bad_setting_is_one_line_that_names_the_variable(
    dsns: Dsns, asked: str, variable: str, what: str
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        given = whole(dsns) | {variable: wrong(dsns, what, taken.getsockname()[1])}
        done = await tendays(*asked.split(), **given)
    assert (done.code, done.out) == (1, ""), done.said
    [line] = done.said.strip().splitlines()
    assert f"TENDAYS_{variable}" in line
    assert "hunter2" not in line


async def test_in_development_a_folder_that_cannot_hold_the_key_is_named(dsns: Dsns) -> None:
    given = whole(dsns) | {"ENV": "development", "SECRET_KEY": "", "DATA_DIR": "/proc/nowhere"}
    done = await tendays("worker", **given)
    assert done.code == 1
    [line] = done.said.strip().splitlines()
    assert "TENDAYS_DATA_DIR" in line


async def test_what_is_the_same_everywhere_does_not_ask_for_the_environment(tmp_path: Path) -> None:
    done = await tendays("health", DATA_DIR=str(tmp_path), PORT=str(free_port()))
    assert (done.code, done.said) == (1, "")


async def test_roles_that_are_there_keep_their_passwords_unless_told(
    cluster: EmbeddedPostgres, dsns: Dsns
) -> None:
    other = {"ADMIN_DATABASE_URL": cluster.admin_dsn}
    try:
        kept = await tendays("roles", "--name", "another", **other)
        assert (kept.code, kept.out) == (0, ""), kept.said
        assert kept.said.count("keeps its password") == 3
        assert await _lets_in(dsns.app)
        renewed = await tendays("roles", "--name", "another", "--renew-passwords", **other)
        addresses = dict(line.split("=", 1) for line in renewed.out.splitlines())
        assert sorted(addresses) == [
            "TENDAYS_DATABASE_URL", "TENDAYS_OWNER_DATABASE_URL", "TENDAYS_WORKER_DATABASE_URL"
        ]  # fmt: skip
        assert await _lets_in(addresses["TENDAYS_DATABASE_URL"])
        assert not await _lets_in(dsns.app)
    finally:
        await cluster.prepare()  # with the passwords that the other tests know
        await drop_database(cluster.admin_dsn, "another")
    assert await _lets_in(dsns.app)


async def _lets_in(dsn: str) -> bool:
    try:
        await (await asyncpg.connect(dsn)).close()
    except asyncpg.InvalidPasswordError:
        return False
    return True
