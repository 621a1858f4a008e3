"""Log lines: one JSON object a line on standard error, or readable text on a terminal.

Ours come through structlog, other libraries' through the standard library's logging; both leave by one handler, so
they look alike. `get_logger` sets up nothing global: used in somebody else's program, our lines go where that
program's logging sends them. `configure_logging` is for the server's own process, called once at start.
Any thread; imported by every folder.
"""

import contextlib
import logging
import os
import re
import sys
from collections.abc import MutableMapping
from typing import Any, TextIO

import structlog
from structlog.typing import Processor

from callboard.limits import TRACE_CHARS, cut_middle
from callboard.settings import Settings

_SECRET_NAMES = re.compile(r"api_?key|authorization|cookie|passw|secret|token", re.IGNORECASE)
_URL_PASSWORD = re.compile(r"(://[^/\s:@]*):[^@/\s]+@")
_HIDDEN = "[hidden]"

QUIET = {
    "alembic": logging.WARNING,  # tells of every migration context
    "anthropic": logging.WARNING,
    "httpx": logging.WARNING,  # a line for every request a skill makes
    "openai": logging.WARNING,
    "httpcore2": logging.WARNING,  # would repeat the headers of answers, session ids among them
    "httpx2": logging.WARNING,  # likewise, and a line for every call of a model
    "mcp": logging.CRITICAL,  # a traceback for every line that is not the protocol; agent/mcp/ says what matters
    "pykka": logging.WARNING,
    "waitress": logging.WARNING,  # a second line for every request whose client has gone
    "waitress.queue": logging.ERROR,  # PERF: a warning for every request under load; the depth is a metric instead
}
"""Loggers of libraries, and the least severe line they may write."""


def hide_secrets(_logger: Any, _method: str, event: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    """Replace values whose name sounds like a secret, and passwords inside addresses."""
    for name, value in event.items():
        if _SECRET_NAMES.search(name):
            event[name] = _HIDDEN
        elif isinstance(value, str) and "://" in value:
            event[name] = _URL_PASSWORD.sub(rf"\1:{_HIDDEN}@", value)
    return event


def shorten(_logger: Any, _method: str, event: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    """Leave out the middle of very long texts, such as the text of an exception of a skill; after `hide_secrets`."""
    for name, value in event.items():
        if isinstance(value, str) and len(value) > TRACE_CHARS:
            event[name] = cut_middle(value, TRACE_CHARS)
    return event


_SHARED: list[Processor] = [
    structlog.contextvars.merge_contextvars,  # a worker's thread is marked with the task it works on
    structlog.stdlib.add_logger_name,
    structlog.stdlib.add_log_level,
    structlog.processors.TimeStamper(fmt="iso", utc=True),
    structlog.processors.StackInfoRenderer(),
]


def get_logger(name: str) -> structlog.stdlib.BoundLogger:
    """Return a logger whose keyword arguments become fields of the line."""
    logger: structlog.stdlib.BoundLogger = structlog.wrap_logger(
        logging.getLogger(name),
        processors=[
            structlog.stdlib.filter_by_level,
            *_SHARED,
            structlog.stdlib.PositionalArgumentsFormatter(),
            structlog.stdlib.ProcessorFormatter.wrap_for_formatter,
        ],
        wrapper_class=structlog.stdlib.BoundLogger,
    )
    return logger


class _Console(structlog.dev.ConsoleRenderer):
    """Writes for a terminal, and leaves out the middle of what is very long: a traceback is made only here."""

    def __call__(self, logger: Any, name: str, event_dict: MutableMapping[str, Any]) -> str:
        return cut_middle(str(super().__call__(logger, name, event_dict)), 4 * TRACE_CHARS)  # with codes for colours


class _Formatter(structlog.stdlib.ProcessorFormatter):
    """Writes a line whatever its exception does: a skill's own class may not let itself be formatted.

    Left to itself that would end in the thread that logs, a worker's say.
    """

    def format(self, record: logging.LogRecord) -> str:
        try:
            return super().format(record)
        except KeyboardInterrupt:
            raise
        except BaseException:  # noqa: BLE001  # it is anybody's code
            told = f"{record.getMessage()} (the exception cannot be shown)"
            return super().format(logging.makeLogRecord({**record.__dict__, "msg": told, "args": (), "exc_info": None}))


class _Handler(logging.StreamHandler[TextIO]):
    """Writes to a copy of standard error of its own: skills share the process, and one may close what it prints to."""

    def __init__(self) -> None:
        try:
            stream: TextIO = os.fdopen(os.dup(sys.stderr.fileno()), "w", 1, encoding="utf-8", errors="backslashreplace")
        except (OSError, ValueError):  # it is no file, as in a test or a notebook
            stream = sys.stderr
        super().__init__(stream)

    def handleError(self, record: logging.LogRecord) -> None:  # noqa: N802  # the base's
        """Leave a line out that cannot be written; whoever logs goes on."""
        with contextlib.suppress(Exception):
            super().handleError(record)

    def close(self) -> None:
        super().close()
        if self.stream is not sys.stderr:
            with contextlib.suppress(OSError):
                self.stream.close()


def write_line(line: str) -> None:
    """Write a line to where log lines go, in one piece: lines of different threads never mix.

    One that cannot be written (the disk of a redirected standard error is full) is lost, as in logging.
    """
    own = next((h.stream for h in logging.getLogger().handlers if isinstance(h, _Handler)), sys.stderr)
    with contextlib.suppress(OSError, ValueError):
        own.write(f"{line}\n")


def writes_json(settings: Settings) -> bool:
    """Say whether lines are JSON: always, never, or unless standard error is a terminal."""
    return settings.log_format == "json" or (settings.log_format == "auto" and not sys.stderr.isatty())


def configure_logging(settings: Settings) -> None:
    """Send every logger's lines to standard error in the settings' format; calling it again replaces the former."""
    last: list[Processor] = (
        [structlog.processors.format_exc_info, hide_secrets, shorten, structlog.processors.JSONRenderer(default=repr)]
        if writes_json(settings)
        else [hide_secrets, shorten, _Console(colors=sys.stderr.isatty())]
    )
    handler = _Handler()
    handler.set_name("callboard")
    handler.setFormatter(
        _Formatter(
            foreign_pre_chain=_SHARED,
            processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, *last],
        )
    )
    root = logging.getLogger()
    for former in [h for h in root.handlers if h.get_name() == "callboard"]:
        root.removeHandler(former)
        former.close()
    root.addHandler(handler)
    logging.captureWarnings(capture=True)  # else they are printed where a skill may have closed
    root.setLevel(settings.log_level.upper())
    for name, level in QUIET.items():
        logging.getLogger(name).setLevel(level)
