"""`make torture`, or `python -m bench.torture`: a long run, judged; or `--check FILE`: a recorded one, judged again."""

import argparse
import asyncio
import secrets
import shutil
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path

from bench.torture.check import faults
from bench.torture.history import History, loaded
from bench.torture.run import torture

SHOWN = 40


def summary(history: History) -> str:
    """What a run was, in a few lines."""
    answers = [answer for act in history.acts for answer in act.answers]
    tries, replayed = sum(answer.tries for answer in answers), sum(answer.replayed for answer in answers)
    kills = ", ".join(
        f"{name} {times}" for name, times in sorted(Counter(name for _, name in history.kills).items())
    )
    kinds = ", ".join(
        f"{status} {times}" for status, times in sorted(Counter(one.status for one in answers).items())
    )
    safety = sum(event.lane == "safety" for event in history.events)
    replayed_events = sum(one.replay for one in history.deliveries)
    firsts = len({(one.endpoint_id, one.id) for one in history.arrivals})
    return (
        f"seed {history.seed}; kill -9: {kills}\n"
        f"{len(history.acts)} keys, {tries} requests, answers {kinds}, of them {replayed} replayed\n"
        f"{len(history.moves)} moves of {len(history.bookings)} bookings, {len(history.events)} events,"
        f" {safety} of them in the safety lane; {len(history.arrivals)} posts, {len(history.arrivals) - firsts} of"
        f" them again; {replayed_events} deliveries by a replay"
    )


def judge(history: History) -> int:
    """Print what it was and every fault; 0 without any."""
    print(summary(history))
    found = faults(history)
    for fault in found[:SHOWN]:
        print(f"  {fault.rule}: {fault.what}")
    print(f"{len(found)} faults" if found else "No event lost, none twice in the feed, none out of order.")
    return int(bool(found))


def main() -> int:
    """Run or read, and judge; what has faults is kept."""
    parser = argparse.ArgumentParser(prog="python -m bench.torture")
    parser.add_argument("--seconds", type=float, default=300.0, help="for which processes are killed")
    parser.add_argument(
        "--seed", type=int, default=secrets.randbelow(1_000_000), help="of victims and moments"
    )
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument(
        "--keep", action="store_true", help="keep the history and the logs, whatever they say"
    )
    parser.add_argument("--check", type=Path, help="a history that was kept")
    given = parser.parse_args()
    if given.check:
        return judge(loaded(given.check))
    folder = Path(tempfile.mkdtemp(prefix="tendays-torture-"))
    folder.chmod(0o711)
    print(f"kill -9 for {given.seconds:.0f} s, seed {given.seed}", flush=True)
    began = time.monotonic()
    history = asyncio.run(torture(folder, seconds=given.seconds, seed=given.seed, workers=given.workers))
    print(f"{time.monotonic() - began:.0f} s in all")
    code = judge(history)
    if code or given.keep:
        history.save(folder / "history.json")
        print(f"The history and the logs are in {folder}")
    else:
        shutil.rmtree(folder, ignore_errors=True)
    return code


if __name__ == "__main__":
    sys.exit(main())
