"""Structured logs: one line each, JSON where no person reads, tracebacks without the values of variables."""

import logging
import sys

import structlog


def configure(level: str = "info", *, as_json: bool | None = None) -> None:
    """Set up the logs of this process, to standard error. `as_json` None: JSON unless a person reads.

    Tracebacks never print local variables: they would hold names of pupils, and secrets.
    """
    chosen = not sys.stderr.isatty() if as_json is None else as_json
    structlog.configure(
        processors=[
            structlog.contextvars.merge_contextvars,
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            structlog.processors.format_exc_info,
            structlog.processors.JSONRenderer() if chosen else structlog.dev.ConsoleRenderer(),
        ],
        wrapper_class=structlog.make_filtering_bound_logger(logging.getLevelNamesMapping()[level.upper()]),
        logger_factory=structlog.PrintLoggerFactory(sys.stderr),
        cache_logger_on_first_use=False,
    )
