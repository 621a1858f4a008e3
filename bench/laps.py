"""One load of one server, and what its tasks took: the rate, the time until all are worked off, processor time, thread switches.

The same for every server that takes tasks: ours, an older one beside it, FastAPI with Celery.
"""

import contextlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType

from bench import checks, process_tree, server
from bench.figures import BenchError, Run
from bench.load import CONNECTIONS, Load, hammer

WAIT = "wait=30"
SKILLS = Path(__file__).with_name("skills")
ALL_END_WITHIN_S = 120
SAMPLE = 40


@dataclass(slots=True, kw_only=True)
class Target:
    """A server under load. `pids` are what was started for it, `apart` what counts by itself: a database server.

    `ended` says how many tasks have ended; `work_off` waits until none is left, and returns the unix time at which the last one ended.
    """

    port: int
    pids: tuple[int, ...]
    ended: Callable[[], int]
    work_off: Callable[[], float]
    apart: tuple[int, ...] = ()
    answered: int = 0
    sent: int = 0

    def hammer(
        self, run: Run, seconds: float, prefer: str, *, journaled: bool = False, connections: int = CONNECTIONS
    ) -> Load:
        """Post tasks that this server has not been sent yet."""
        load = hammer(
            self.port,
            seconds,
            client=run.client,
            prefer=prefer,
            journaled=journaled,
            after=self.sent,
            connections=connections,
        )
        self.answered += load.answered
        self.sent += load.sent
        return load


@dataclass(frozen=True, slots=True, kw_only=True)
class Lap:
    """One load, and its tasks' way to the end; `tasks` counts those that were accepted and not answered any more too."""

    load: Load
    tasks: int
    ended_meanwhile: int
    worked_off_s: float
    cpu_ms: float
    apart_ms: float
    switches: float

    @property
    def through(self) -> float:
        """Tasks a second, from the first post to the last task's end."""
        return self.tasks / self.worked_off_s


def lap(
    run: Run, target: Target, seconds: float, prefer: str, *, journaled: bool = False, connections: int = CONNECTIONS
) -> Lap:
    """Load a server that has nothing to do, and follow it until that is so again; the account is of that whole time."""
    before, apart, done = process_tree.usage(target.pids), process_tree.usage(target.apart), target.ended()
    load = target.hammer(run, seconds, prefer, journaled=journaled, connections=connections)
    meanwhile = target.ended() - done
    last_end = target.work_off()
    tasks = target.ended() - done
    if prefer and meanwhile < load.answered:
        raise BenchError(f"{load.answered} results were awaited, but only {meanwhile} tasks have ended.")
    if not load.answered <= tasks <= load.sent:
        raise BenchError(f"{load.answered} tasks were accepted of {load.sent} sent, but {tasks} have ended.")
    used = process_tree.usage(target.pids)
    return Lap(
        load=load,
        tasks=tasks,
        ended_meanwhile=meanwhile,
        worked_off_s=last_end - load.began,
        cpu_ms=(used.cpu_s - before.cpu_s) * 1000 / tasks,
        apart_ms=(process_tree.usage(target.apart).cpu_s - apart.cpu_s) * 1000 / tasks,
        switches=used.switches_since(before) / tasks,
    )


@contextlib.contextmanager
def callboard(
    run: Run,
    name: str,
    *,
    settings: Mapping[str, str | int] = MappingProxyType({}),
    command: Sequence[str] = (),
    warm_s: float = 1.0,
    journaled: bool = False,
) -> Iterator[Target]:
    """Give a fresh server that is warm; afterwards read its history: no task lost, none made up, every answer right."""
    folder = run.new_folder(name.replace(" ", "-"))
    skills = {"skills_dir": str(SKILLS)} if journaled else {}
    with server.callboard(folder, command=command, **skills, **settings) as ours:
        target = Target(
            port=ours.port,
            pids=(ours.pid,),
            ended=lambda: checks.ended(folder),
            work_off=lambda: _work_off(folder),
        )
        target.hammer(run, warm_s, WAIT, journaled=journaled)
        target.work_off()
        yield target
        asked = checks.sample(ours, SAMPLE)
    checks.nothing_lost(folder, answered=target.answered + asked, sent=target.sent + asked)
    checks.all_right(folder)


def _work_off(folder: Path) -> float:
    checks.wait_until_all_ended(folder, ALL_END_WITHIN_S)
    return checks.last_end(folder)
