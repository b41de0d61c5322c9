"""Rows of a periodic task, one by one: a row that cannot be handled stops neither this turn nor a later one."""

import time
from collections.abc import Awaitable, Callable, Hashable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, TypeVar
from weakref import WeakKeyDictionary

import structlog

from app.core import logs, metrics
from app.core.db import Database
from app.core.errors import ConstraintBroken, Overloaded, Problem, Unavailable

AWAY: Final = (Unavailable, Overloaded)
"""No fault of a row: the database cannot be reached, and the turn ends."""
LONGEST_PAUSE: Final = 300.0
"""A row that fails again and again is tried again this often, in seconds."""
LONGEST_PAUSE_REFUSED: Final = 60.0
"""The same for a row that the rules refuse: it may be allowed at any moment."""
MOST_REMEMBERED: Final = 10_000
_RACES: Final = 2
_log = structlog.get_logger("tendays.worker")
_Row = TypeVar("_Row")


@dataclass(slots=True)
class _Failed:
    times: int
    again_at: float


class OneByOne:
    """The rows of one task. What failed is remembered in this process and comes after what is new.

    A row that failed once is tried again at the next turn, then after 1, 2, 4 ... seconds. `find` is asked for as many
    rows more as have failed, so that failed rows never fill a turn.
    """

    def __init__(self, task: str, *, clock: Callable[[], float] = time.monotonic) -> None:
        """`task` is the name that log and metrics carry."""
        self.task = task
        self._clock = clock
        self._failed: WeakKeyDictionary[Database, dict[Hashable, _Failed]] = WeakKeyDictionary()

    async def turn(
        self,
        db: Database,
        find: Callable[[int], Awaitable[Sequence[_Row]]],
        act: Callable[[_Row], Awaitable[int | None]],
        *,
        most: int,
        key: Callable[[_Row], Hashable] = lambda row: row,
    ) -> int:
        """Handle up to `most` rows that were not tried before, and those that failed and are to be tried again.

        `find` takes how many rows to give; `act` opens its own transaction. Gives how many were handled: `act` may say
        0 or False for a row with which nothing was to be done. Raises Unavailable and Overloaded, and what `find` raises.
        """
        failed = self._failed.setdefault(db, {})
        found = {key(row): row for row in await find(most + len(failed))}
        for gone in [one for one in failed if one not in found]:
            del failed[gone]
        now = self._clock()
        new = [name for name in found if name not in failed][:most]
        due = sorted(
            (one.again_at, at, name) for at, (name, one) in enumerate(failed.items()) if one.again_at <= now
        )
        again = [name for _, _, name in due[:most]]
        done = 0
        for name in (*new, *again):
            done += await self._handle(failed, name, act, found[name])
        metrics.rows_set_aside(self.task, sum(one.times > 0 for one in failed.values()))
        return done

    async def _handle(
        self, failed: dict[Hashable, _Failed], name: Hashable, act: Callable[[Any], Awaitable[int | None]], row: object
    ) -> int:  # fmt: skip
        try:
            result = await act(row)
        except AWAY:
            raise
        except Exception as error:  # noqa: BLE001  (whatever is wrong with this row, the others have their turn)
            self._set_aside(failed, name, error)
            return 0
        failed.pop(name, None)
        handled = 1 if result is None else int(result)
        if (
            not handled and len(failed) < MOST_REMEMBERED
        ):  # found, and nothing to do: it does not come first next time
            failed[name] = _Failed(0, self._clock())
        return handled

    def _set_aside(self, failed: dict[Hashable, _Failed], name: Hashable, error: Exception) -> None:
        times = failed[name].times + 1 if name in failed else 1
        refused = isinstance(error, Problem) and not isinstance(error, ConstraintBroken)
        longest = LONGEST_PAUSE_REFUSED if refused else LONGEST_PAUSE
        pause = 0.0 if times == 1 else min(2.0 ** (times - 2), longest)
        if len(failed) < MOST_REMEMBERED or name in failed:
            failed[name] = _Failed(times, self._clock() + pause)
        if refused and times <= _RACES:  # somebody else moved it meanwhile, or holds it
            return
        metrics.row_failed(self.task)
        _log.error(
            "worker.row",
            task=self.task,
            row=_shown(name),
            times=times,
            again_in_seconds=pause,
            **logs.fault(error),
        )


def _shown(name: Hashable) -> str:
    return " ".join(map(str, name)) if isinstance(name, tuple) else str(name)


async def each_step(task: str, steps: Mapping[str, Callable[[], Awaitable[int]]]) -> int:
    """Do the steps of a task one after the other; one that fails is logged and counted, and the others go on.

    Gives the sum of what they gave. Raises Unavailable and Overloaded, which no step is to blame for.
    """
    done = 0
    for name, step in steps.items():
        try:
            done += await step()
        except AWAY:
            raise
        except Exception as error:  # noqa: BLE001  (as above)
            metrics.task_failed(task)
            _log.error("worker.step", task=task, step=name, **logs.fault(error))
    return done
