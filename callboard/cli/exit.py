"""How a command ends: the exit statuses, which error has which, and the one place that turns an error into a sentence.

Runs in the main thread; imported by the command line only. It loads nothing heavy, so that `--help` stays quick.
"""

import errno
import os
import signal
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from enum import IntEnum
from typing import TYPE_CHECKING, Any, NoReturn

import click

from callboard.cli.text import clean, one_line
from callboard.errors import CallboardError, ConfigurationError, NotFound, Unavailable

if TYPE_CHECKING:
    from callboard.settings import Settings

_MOST_SAID = 300
_SERVERS_FAULT = 500


class Exit(IntEnum):
    """The exit statuses; those from 64 to 78 are sysexits.h's, those from 128 on what shells say of signals."""

    DONE = 0
    FAILED = 1
    USAGE = 2
    CANCELLED = 3
    NOT_FOUND = 4
    PAUSED = 5
    NO_SERVER = 69
    TEMPORARY = 75
    NOT_ALLOWED = 77
    CONFIGURATION = 78
    INTERRUPTED = 130
    BROKEN_PIPE = 141
    TERMINATED = 143


MEANINGS = {
    Exit.DONE: "Done; of `run`: the task completed.",
    Exit.FAILED: "The task failed, the server refused, or something is wrong with what was looked at.",
    Exit.USAGE: "The command line cannot be read.",
    Exit.CANCELLED: "The task was cancelled by somebody else.",
    Exit.NOT_FOUND: "There is no such task, session, skill, agent or dead letter.",
    Exit.PAUSED: "The task waits for a person's decision, and nobody was to be waited for.",
    Exit.NO_SERVER: "No server answers, or what answers is no Callboard.",
    Exit.TEMPORARY: "Try again later: overloaded, rate limited, timed out, storage away.",
    Exit.NOT_ALLOWED: "The API key is missing or wrong.",
    Exit.CONFIGURATION: "A setting cannot work, or another server has the history.",
    Exit.INTERRUPTED: "Interrupted by Ctrl-C; `run` has cancelled its task.",
    Exit.BROKEN_PIPE: "Whoever read the output closed it.",
    Exit.TERMINATED: "Ended by SIGTERM; `run` has cancelled its task.",
}
"""What each one means; docs/cli.md and `callboard --help` have these words."""


class Ended(Exception):  # it is not an error
    """The end of a command with a status, and a sentence for standard error if there is one."""

    def __init__(self, status: Exit, message: str = "") -> None:
        super().__init__(message)
        self.status = status
        self.message = message


class Terminated(BaseException):
    """SIGTERM, raised in the main thread as Ctrl-C raises `KeyboardInterrupt`."""


def status_of(error: CallboardError) -> Exit:
    """Return the exit status of an error, from this process or from a server's answer."""
    from callboard.client.errors import (
        AuthenticationError,
        NoServerError,
        NotFoundError,
        PermissionDeniedError,
        RateLimitedError,
        UnavailableError,
        WaitTimeout,
    )

    match error:
        case NoServerError():
            return Exit.NO_SERVER
        case AuthenticationError() | PermissionDeniedError():
            return Exit.NOT_ALLOWED
        case NotFound() | NotFoundError():
            return Exit.NOT_FOUND
        case Unavailable() | UnavailableError() | RateLimitedError() | WaitTimeout():
            return Exit.TEMPORARY
        case ConfigurationError():
            return Exit.CONFIGURATION
        case _:
            return Exit.FAILED


def guarded(command: Callable[[], Any]) -> Any:
    """Run a command; turn what it raises into one sentence on standard error and an exit status, never a traceback.

    What is no error of Callboard's, the caller's or the system's is a defect, and keeps its traceback.
    """
    try:
        return command()
    except Ended as end:
        _leave(end.status, end.message)
    except CallboardError as error:
        status = status_of(error)
        hint = " Set API_KEY or give --api-key-file." if status is Exit.NOT_ALLOWED else ""
        _leave(status, f"{error.message}{_named_in_its_log(error)}{hint}")
    except KeyboardInterrupt:
        _leave(Exit.INTERRUPTED, "interrupted.")
    except Terminated:
        _leave(Exit.TERMINATED, "terminated.")
    except MemoryError:
        _leave(Exit.FAILED, "there is not enough memory.")
    except OSError as error:
        if error.errno not in (errno.EPIPE, errno.ENOSPC) or error.filename is not None:
            _leave(Exit.FAILED, f"{in_words(error)}.")
        # what is still buffered goes nowhere: the flush at the end of the process must not fail again
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        if error.errno == errno.EPIPE:
            sys.exit(Exit.BROKEN_PIPE)
        _leave(Exit.FAILED, "the output cannot be written: no space is left for it.")


@contextmanager
def starting(settings: "Settings") -> Iterator[None]:
    """Turn whatever keeps a system from starting into one sentence; at the log level `debug` it keeps its traceback.

    What stands in the way is most often the place that it is started in, even where we have not foreseen it.
    """
    try:
        yield
    except BaseException as error:  # Rust's panics, those of the sandbox's library, are no `Exception`
        known = (CallboardError, Ended, MemoryError, KeyboardInterrupt, SystemExit, GeneratorExit, Terminated)
        if isinstance(error, known) or settings.log_level == "debug":
            raise
        hint = "" if isinstance(error, OSError) else " CALLBOARD_LOG_LEVEL=debug shows where."
        raise Ended(Exit.FAILED, f"cannot start: {in_words(error)}.{hint}") from error


def in_words(error: BaseException) -> str:
    """Return what an error says, on one line: of the system's what it was about and why, of another its name as well."""
    if isinstance(error, FileNotFoundError) and error.filename is None:  # what os.getcwd() says
        return "the working directory is gone; go to another one"
    if isinstance(error, OSError) and error.strerror:
        return f"{error.filename}: {error.strerror}" if error.filename else error.strerror
    said = " ".join(str(error).split()).removesuffix(".")[:_MOST_SAID]
    return f"{type(error).__name__}: {said}" if said else type(error).__name__


def _named_in_its_log(error: CallboardError) -> str:
    """Return how a server's log names the request that it has failed over; nothing where it is the caller's to mend."""
    request_id = getattr(error, "request_id", None)
    if not request_id or getattr(error, "status", 0) < _SERVERS_FAULT or request_id in error.message:
        return ""
    return f" The request id is {one_line(request_id, _MOST_SAID)}."


def _leave(status: Exit, message: str) -> NoReturn:
    if message:
        click.echo(f"callboard: {clean(message)}", err=True)
    sys.exit(status)


def leave_at_the_next_interrupt() -> None:
    """Have the next Ctrl-C or SIGTERM end the process at once, whatever it is waiting for."""

    def leave(number: int, _frame: Any) -> None:
        os._exit(128 + number)

    signal.signal(signal.SIGINT, leave)
    signal.signal(signal.SIGTERM, leave)


def raise_on_sigterm() -> None:
    """Have SIGTERM raise `Terminated` in the main thread, so that what is under way is ended in order."""

    def terminate(_number: int, _frame: Any) -> None:
        raise Terminated

    signal.signal(signal.SIGTERM, terminate)
