"""Run tests on other days than today: `python -m tests.other_days [arguments for pytest]`, or `make test-calendar`.

libfaketime moves the clock of pytest, of every process that tests start, and of Postgres. It moves it by an offset,
the same for all of them, so that they agree; monotonic clocks and timeouts stay as they are. Each day is a run of its
own: migrations, partitions and the demonstration are made on that day.

One thing does not work there: while Postgres waits, libfaketime tells a signal handler the real time, so that its own
timeouts (of statements, locks, deadlocks) do not fire. A test that lives by them is not to be marked `calendar`.
"""

import argparse
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path

from app.core.clock import LONDON
from app.core.embedded import packaged_programs
from app.core.unprivileged import reachable_programs, server_user

PROGRAMS = ("postgres", "initdb")
DAYS = (
    "2026-12-07T10:00",  # a Monday
    "2026-12-31T20:00",  # the last evening of a year
    "2027-07-08T00:20",  # summer time: in UTC it is still yesterday
    "2027-08-31T20:00",  # the last evening of an academic year
    "2027-09-02T10:00",  # the academic year is two days old
    "2028-02-29T10:00",  # a year ago there was no such day
)
"""What the clocks in London show when a run begins."""

LONGEST = 1_800.0
"""Seconds after which a day is given up: a deadlock would last for ever."""

NOT_FOUND = (
    "faketime is not installed, so no test can be run on another day (Debian: apt-get install faketime)"
)


def main() -> int:
    """Run the tests on each day; 1 if any day failed, 2 where there is no libfaketime."""
    given = argparse.ArgumentParser(description=__doc__)
    given.add_argument("--day", action="append", help="such as 2027-08-31T10:00; instead of the usual ones")
    asked, arguments = given.parse_known_args()
    library = _library()
    if library is None:
        print(NOT_FOUND, file=sys.stderr)
        return 2
    outcomes = {day: _run(day, library, arguments) for day in asked.day or DAYS}
    for day, (code, seconds) in outcomes.items():
        print(f"{day}  {'passed' if code == 0 else 'FAILED'}  {seconds:.0f} s")
    return int(any(code for code, _ in outcomes.values()))


def _library() -> str | None:
    """The path of libfaketime, for programs with threads; asked of `faketime`, which knows."""
    if shutil.which("faketime") is None:
        return None
    said = subprocess.run(
        ["faketime", "-m", "-f", "+0", "printenv", "LD_PRELOAD"], capture_output=True, text=True, check=True
    )
    return said.stdout.strip()


def _run(day: str, library: str, arguments: list[str]) -> tuple[int, float]:
    """pytest's exit code on this day, and how many seconds it took."""
    began = time.monotonic()
    offset = datetime.fromisoformat(day).replace(tzinfo=LONDON) - datetime.now(UTC)
    faked = {
        "LD_PRELOAD": library,
        "FAKETIME": f"{offset.total_seconds():+.0f}",
        "FAKETIME_DONT_FAKE_MONOTONIC": "1",
    }
    programs = os.environ.get("TENDAYS_PG_BIN")
    print(f"\n{day} in London", flush=True)
    with tempfile.TemporaryDirectory(prefix="tendays-day-") as folder:
        found = Path(programs) if programs else packaged_programs()
        _wrap(reachable_programs(found, server_user(), print), Path(folder), faked)
        environment = {**os.environ, **faked, "TENDAYS_PG_BIN": folder}
        command = [sys.executable, "-m", "pytest", *arguments]
        try:
            code = subprocess.run(command, env=environment, check=False, timeout=LONGEST).returncode
        except subprocess.TimeoutExpired:
            print(f"{day}: not over after {LONGEST:.0f} s", file=sys.stderr)
            code = 1
    return code, time.monotonic() - began


def _wrap(programs: Path, folder: Path, faked: Mapping[str, str]) -> None:
    """Postgres's programs with the clock moved: the server is started with a plain environment of its own."""
    folder.chmod(0o755)  # Postgres may run as another user
    settings = " ".join(f"{name}='{value}'" for name, value in faked.items())
    for name in PROGRAMS:
        script = folder / name
        script.write_text(f'#!/bin/sh\n{settings} exec "{programs / name}" "$@"\n')
        script.chmod(0o755)


if __name__ == "__main__":
    sys.exit(main())
