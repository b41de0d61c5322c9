"""Structured logs: one line each, JSON where no person reads, and never the values of variables.

Whatever is logged goes the same way: by structlog, by the standard library (uvicorn, asyncio, drivers), as a warning, or
as an exception that nobody caught.
"""

import logging
import sys
import threading
import traceback
from collections.abc import Iterator, MutableMapping
from types import TracebackType
from typing import Any, Final

import structlog

_FRAMES: Final = 30
_CAUSES: Final = 5
_TELLING: Final = (RuntimeError, TypeError, AttributeError, NameError, ImportError, OSError)
"""The texts of these speak of code and machines. Those of others (ValueError, KeyError) hold what was worked on."""
_WITH_VALUES: Final = ("22", "P0", "TD")
"""Classes of SQLSTATE whose messages repeat values."""
_level: str = "info"
_json: bool = False


def configure(level: str = "info", *, as_json: bool | None = None) -> None:
    """Set up the logs of this process, to standard error. `as_json` None: JSON unless a person reads.

    Exceptions are told by type and place, and by their text where it cannot hold what was worked on: names of pupils,
    and secrets.
    """
    global _level, _json
    _level, _json = level, not sys.stderr.isatty() if as_json is None else as_json
    renderer = structlog.processors.JSONRenderer() if _json else structlog.dev.ConsoleRenderer()
    shared: list[Any] = [
        structlog.contextvars.merge_contextvars,
        structlog.processors.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        _without_values,
    ]
    structlog.configure(
        processors=[*shared, renderer],
        wrapper_class=structlog.make_filtering_bound_logger(logging.getLevelNamesMapping()[level.upper()]),
        logger_factory=lambda *_: structlog.PrintLogger(sys.stderr),
        cache_logger_on_first_use=False,
    )
    handler = _ToStandardError()
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=[structlog.stdlib.add_logger_name, *shared],
            processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, renderer],
        )
    )
    root = logging.getLogger()
    root.handlers[:] = [
        *(one for one in root.handlers if type(one) not in {logging.StreamHandler, _ToStandardError}),
        handler,
    ]
    root.setLevel(max(logging.getLevelNamesMapping()[level.upper()], logging.WARNING))
    logging.captureWarnings(capture=True)
    _catch_the_uncaught()


class _ToStandardError(logging.Handler):
    """To what standard error is at the moment, as the lines of structlog are."""

    def emit(self, record: logging.LogRecord) -> None:
        try:
            sys.stderr.write(self.format(record) + "\n")
            sys.stderr.flush()
        except Exception:  # noqa: BLE001  (the library's own rule: logging raises nothing)
            self.handleError(record)


def is_json() -> bool:
    """Whether this process logs JSON."""
    return _json


def fault(error: BaseException) -> dict[str, Any]:
    """What may be said of an exception: `error` its type, `at` where, `sqlstate` and `constraint` if Postgres told them."""
    said: dict[str, Any] = {"error": type(error).__name__, "at": [*_places(error)]}
    for one in _chain(error):
        said |= {
            name: str(value)
            for name, attribute in (("code", "code"), ("sqlstate", "sqlstate"), ("constraint", "constraint"),
                                    ("constraint", "constraint_name"))
            if isinstance(value := getattr(one, attribute, None), str) and value
        }  # fmt: skip
    return said


def _places(error: BaseException) -> Iterator[str]:
    for frame in traceback.extract_tb(error.__traceback__)[-8:]:
        yield f"{'/'.join(frame.filename.split('/')[-3:])}:{frame.lineno} {frame.name}"


def _chain(error: BaseException) -> Iterator[BaseException]:
    """The exception and what it came from, at most five."""
    one: BaseException | None = error
    for _ in range(_CAUSES):
        if one is None:
            return
        yield one
        one = one.__cause__ or (None if one.__suppress_context__ else one.__context__)


def told(error: BaseException) -> str:
    """A traceback without values: what came first is told first."""
    return "\n".join(_one_told(one) for one in reversed([*_chain(error)]))


def _one_told(error: BaseException) -> str:
    frames = traceback.StackSummary.extract(traceback.walk_tb(error.__traceback__))[-_FRAMES:]
    parts = traceback.StackSummary.from_list(frames).format()
    if isinstance(error, BaseExceptionGroup):
        parts += [told(one) + "\n" for one in error.exceptions[:_CAUSES]]
    text = _text(error)
    name = f"{type(error).__module__}.{type(error).__qualname__}".removeprefix("builtins.")
    return "".join(parts) + (f"{name}: {text}" if text else name)


def _text(error: BaseException) -> str:
    state = getattr(error, "sqlstate", None)
    if isinstance(state, str):  # Postgres: its first line only, as the next ones repeat the row
        silent = state.startswith(_WITH_VALUES) or (
            state.startswith("23") and not _names_its_constraint(error)
        )
        first = "" if silent or not error.args else str(error.args[0]).split("\n")[0]
        return f"[{state}] {first}".strip()
    plain = isinstance(error, OSError) or type(error) in _TELLING or getattr(error, "is_plain", False)
    return str(error) if plain else ""


def _names_its_constraint(error: BaseException) -> bool:
    """Whether Postgres itself refused a row, and not a function, whose message may say anything."""
    return any(getattr(error, name, None) for name in ("constraint_name", "column_name"))


def _without_values(
    _logger: object, _method: str, line: MutableMapping[str, Any]
) -> MutableMapping[str, Any]:
    """Put a traceback without values in the place of `exc_info`."""
    given = line.pop("exc_info", None)
    error = given
    if given is True:
        error = sys.exc_info()[1]
    elif isinstance(given, tuple):
        error = given[1]
    if isinstance(error, BaseException):
        line["exception"] = told(error)
    return line


def _catch_the_uncaught() -> None:
    log = structlog.get_logger("tendays.process")

    def on_exit(_kind: type[BaseException], error: BaseException, _trace: TracebackType | None) -> None:
        if not isinstance(error, KeyboardInterrupt):
            log.critical("process.died", exc_info=error)

    def in_thread(given: threading.ExceptHookArgs) -> None:
        log.error("thread.died", thread=given.thread.name if given.thread else None, exc_info=given.exc_value)

    def unraisable(given: Any) -> None:  # noqa: ANN401  (a type of the interpreter's own)
        log.error("process.unraisable", exc_info=given.exc_value)

    sys.excepthook = on_exit
    threading.excepthook = in_thread
    sys.unraisablehook = unraisable
