"""Skills that do what no skill should; each is an attack. Loaded by the server of `hostile-skills`."""

import multiprocessing
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from callboard import RetryableError, SkillContext, skill
from callboard import errors as ours

_LONG_S = 1000


def _here(ctx: SkillContext, name: str) -> None:
    (Path(ctx.settings["chaos_effects"]).parent / f"{name}.entered").touch()


# --- errors -----------------------------------------------------------------------------------------------------------


class _Silent(Exception):  # no name is good enough
    def __str__(self) -> str:
        raise RuntimeError("it says nothing")

    __repr__ = __str__


class _Root(BaseException):
    pass


class _Hidden(Exception):
    @property
    def __class__(self) -> Any:  # type: ignore[override]
        raise RuntimeError("it is nothing")


@skill(replay="safe")
def lets_unavailable_out() -> str:
    """Let an error of the server's own out."""
    raise ours.Unavailable("not now")


@skill(replay="safe")
def lets_store_unavailable_out() -> str:
    """Let an error of the store out."""
    raise ours.StoreUnavailable("not now")


@skill(replay="safe")
def lets_overloaded_out() -> str:
    """Let an error of the inboxes out."""
    raise ours.Overloaded("too much")


@skill(replay="safe")
def lets_task_error_out() -> str:
    """Let an error of tasks out, with a code of the server's own."""
    raise ours.TaskError("no", code="internal_error")


@skill(replay="safe")
def asks_for_retries() -> str:
    """Ask to be called again, for ever."""
    raise RetryableError("again")


@skill(replay="safe")
def ends_the_program() -> str:
    """Exit."""
    sys.exit(3)


@skill(replay="safe")
def presses_keys() -> str:
    """Raise what Ctrl-C raises."""
    raise KeyboardInterrupt


@skill(replay="safe")
def raises_the_root() -> str:
    """Raise what is no Exception."""
    raise _Root("root")


@skill(replay="safe")
def stops_iterating() -> str:
    """Raise StopIteration."""
    raise StopIteration("over")


@skill(replay="safe")
def says_nothing_of_itself() -> str:
    """Raise an error that cannot be written."""
    raise _Silent


@skill(replay="safe")
def hides_its_class() -> str:
    """Raise an error that does not name its class."""
    raise _Hidden("hidden")


@skill(replay="safe")
def says_much() -> str:
    """Raise an error of 40 MB."""
    raise ValueError("x" * 40_000_000)


@skill(replay="safe")
def raises_many() -> str:
    """Raise ten thousand errors at once."""
    raise ExceptionGroup("many", [ValueError("x" * 1000) for _ in range(10_000)])


@skill(replay="safe")
def raises_in_a_chain() -> str:
    """Raise an error with five hundred causes."""
    error: Exception = ValueError("first")
    for number in range(500):
        follows = ValueError(f"{number} " + "x" * 1000)
        follows.__cause__ = error
        error = follows
    raise error


@skill(replay="safe")
def calls_itself() -> str:
    """Never come to an end."""
    return calls_itself()


@skill(replay="safe")
def takes_all_memory() -> str:
    """Ask for more memory than there is."""
    raise MemoryError("x" * 1_000_000)


# --- answers ----------------------------------------------------------------------------------------------------------


@skill(replay="safe")
def answers_much() -> str:
    """Answer with 100 MB."""
    return "x" * 100_000_000


@skill(replay="safe")
def answers_in_depth() -> Any:
    """Answer with a list in a list, 100,000 deep."""
    found: list[Any] = []
    for _ in range(100_000):
        found = [found]
    return found


@skill(replay="safe")
def answers_with_itself() -> Any:
    """Answer with a list that holds itself."""
    found: list[Any] = []
    found.append(found)
    return found


@skill(replay="safe")
def answers_without_end() -> Any:
    """Answer with what never ends."""

    def forever() -> Iterator[int]:
        while True:
            yield 1

    return forever()


@skill(replay="safe")
def answers_with_a_function() -> Any:
    """Answer with what is no data."""
    return answers_with_a_function


@skill(replay="safe")
def answers_with_halves() -> str:
    """Answer with half a character, and none."""
    return "\ud800\x00"


@skill(replay="safe")
def answers_with_digits() -> int:
    """Answer with a number of 100,000 digits."""
    return 10**100_000


@skill(replay="safe")
def answers_with_many_keys() -> Any:
    """Answer with a million keys."""
    return {str(number): number for number in range(1_000_000)}


# --- the process ------------------------------------------------------------------------------------------------------


@skill(replay="safe")
def moves_away() -> str:
    """Change the working directory."""
    os.chdir("/")
    return "gone"


@skill(replay="safe")
def closes_its_mouth() -> str:
    """Close the standard streams of Python."""
    sys.stderr.close()
    sys.stdout.close()
    return "closed"


@skill(replay="safe")
def listens_to_signals() -> str:
    """Try to take the signals; in a thread this is an error."""
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    return "deaf"


@skill(replay="safe")
def prints_much() -> str:
    """Print 40 MB."""
    for _ in range(40):
        print("x" * 1_000_000)
    return "printed"


@skill(replay="safe")
def notes_much(*, ctx: SkillContext) -> str:
    """Leave 100,000 notes on its answer."""
    for number in range(100_000):
        ctx.note(f"n{number}", "x" * 1000)
    return "noted"


@skill(replay="safe")
def starts_threads() -> str:
    """Start a hundred threads that go on for a second."""
    for _ in range(100):
        threading.Thread(target=time.sleep, args=(1,), daemon=True).start()
    return "started"


@skill(replay="safe")
def fills_the_workspace(*, ctx: SkillContext) -> str:
    """Write more files into the workspace than may be kept."""
    for number in range(1500):
        (ctx.workspace / f"{number}.txt").write_text("x" * 1000)
    return "full"


# --- what lives on ----------------------------------------------------------------------------------------------------


@skill(replay="safe")
def forks() -> str:
    """Fork, and leave the child there."""
    if os.fork() == 0:
        time.sleep(_LONG_S)
        os._exit(0)
    return "forked"


@skill(replay="safe")
def forks_and_leaves() -> str:
    """Fork a child that leads a session of its own."""
    if os.fork() == 0:
        os.setsid()
        time.sleep(_LONG_S)
        os._exit(0)
    return "forked"


@skill(replay="safe")
def starts_a_program() -> str:
    """Start a program that goes on, with every descriptor that it can have."""
    subprocess.Popen([sys.executable, "-c", f"import time; time.sleep({_LONG_S})"], close_fds=False)
    return "started"


@skill(replay="safe")
def starts_a_pool() -> str:
    """Start processes in Python's way."""
    multiprocessing.get_context("fork").Process(target=time.sleep, args=(_LONG_S,), daemon=True).start()
    return "started"


@skill(replay="safe")
def hangs(*, ctx: SkillContext) -> str:
    """Listen to nobody."""
    _here(ctx, "hangs")
    while True:
        time.sleep(1)


@skill(replay="safe")
def swallows_the_end(*, ctx: SkillContext) -> str:
    """Go on whatever is raised."""
    _here(ctx, "swallows_the_end")
    while True:
        try:
            time.sleep(1)
        except BaseException:  # noqa: BLE001  # which is the attack
            continue


@skill(replay="safe")
def leaves_a_thread(*, ctx: SkillContext) -> str:
    """Leave a thread that Python would wait for."""
    threading.Thread(target=time.sleep, args=(_LONG_S,), daemon=False).start()
    _here(ctx, "leaves_a_thread")
    return "left"
