"""The host's own cost of one round with a model: prompt, code, type check, sandbox, one journaled skill call.

The model is one in this process that answers at once, in pieces as a stream brings them: its own time is nothing, so
what is measured is the host's. It is a hard case as well: a model that takes its time leaves the writer idle before the
skill's call has to be committed. A task of one such round is measured too, and beside it, in turns, the same script
posted as a ```python block, which needs no model: the ratio says what asking one adds (prompt, two rows of the ledger,
its text in the log).
"""

import statistics
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from itertools import pairwise
from unittest import mock

import psutil

from bench.figures import BenchError, Figure, Run, percentile
from bench.laps import SKILLS
from bench.machine import sync_ms
from callboard import AgentSystem, Settings, abilities
from callboard.agent.models.base import Completion, Model, ModelCall, TokenUse
from callboard.messages.events import Topic
from callboard.messages.tasks import TaskRecord

PIECE_CHARS = 40
WARM_UP = 50
AT_MOST_MS = 2.0
ROUNDS = 20
_WAIT_S = 30


class InstantModel:
    """Answers every task, `17, 19` or `17, 19 in 20`, with code that has a skill multiply the numbers. Any thread.

    `in 20`: in the first 19 rounds the code prints the product and has no value, so it is asked again.
    """

    name = "bench/instant"
    takes_images = False
    context_tokens = 200_000

    def complete(self, call: ModelCall) -> Completion:
        asked = [message for message in call.messages if message.role == "user"]
        pair, _, rounds = asked[0].text.partition(" in ")
        last = len(asked) == int(rounds or 1)
        text = f"I have them multiplied.\n\n{script(pair, then='' if last else 'print')}\n"
        for start in range(0, len(text), PIECE_CHARS):
            call.hear(text[start : start + PIECE_CHARS])
        read, written = sum(len(message.text) for message in call.messages) // 4, len(text) // 4
        use = TokenUse(read=read, written=written)
        return Completion(text=text, provider="bench", model="instant", use=use, cost_usd=0.0)

    def price_usd(self, _read: int, _written: int) -> float | None:
        return 0.0

    def check(self) -> None:
        """Find nothing wrong."""

    def named(self, _model: str) -> Model:
        return self

    def close(self) -> None:
        """Close nothing: there are no connections."""


def script(numbers: str, then: str = "") -> str:
    """Return the code of a task such as `17, 19`, in its block; `then` is called with the product."""
    return f"```python\nfrom skills import product\n{then}(product({numbers}))\n```"


@dataclass(slots=True)
class Lap:
    """What one way of working tasks out took, in milliseconds a task: the attempt, ask to result, the processor."""

    own: list[float] = field(default_factory=list)
    whole: list[float] = field(default_factory=list)
    cpu: float = 0.0

    @property
    def own_ms(self) -> float:
        return statistics.median(self.own[WARM_UP:])


def measure(run: Run) -> list[Figure]:
    samples = 300 if run.quick else 1500
    asked, given = Lap(), Lap()
    with _system(run, "round", InstantModel()) as model, _system(run, "script", None) as offline:
        rounds = _rounds(model, samples // ROUNDS)
        disk_ms = sync_ms(run.folder)
        for number in range(samples + WARM_UP):
            _time(asked, model, numbers(number), number)
            _time(given, offline, script(numbers(number)), number)
        asked.cpu = _cpu_ms(model, numbers, samples)
        given.cpu = _cpu_ms(offline, lambda number: script(numbers(number)), samples)
        _check_log(model, offline)
    own_ms = statistics.median(rounds)
    run.say(f"a round with one skill call costs the host {own_ms:.2f} ms, a task of one {asked.own_ms:.2f} ms")
    return [
        Figure(
            name="round with one skill call, the host's own",
            value=own_ms,
            unit="ms",
            at_most=AT_MOST_MS,
            note=f"model time excluded; p99 {percentile(rounds, 99):.2f} ms; {len(rounds)} rounds; one write and "
            f"fdatasync took {disk_ms:.2f} ms then",
        ),
        _figure("task of one such round, the attempt", asked.own),
        Figure(
            name="task of one such round beside its script without a model",
            value=asked.own_ms / given.own_ms,
            unit="ratio",
            note=f"the script alone, in turns: {given.own_ms:.2f} ms, p99 {percentile(given.own[WARM_UP:], 99):.2f} ms",
        ),
        _figure("task of one such round, ask to result", asked.whole),
        Figure(
            name="task of one such round, processor time",
            value=asked.cpu,
            unit="ms",
            note=f"acceptance, commits and sandbox included; the script alone {given.cpu:.2f} ms",
        ),
    ]


def _figure(name: str, took: list[float]) -> Figure:
    took = took[WARM_UP:]
    return Figure(
        name=name,
        value=statistics.median(took),
        unit="ms",
        note=f"model time excluded; p99 {percentile(took, 99):.2f} ms; {len(took)} tasks, one at a time",
    )


@contextmanager
def _system(run: Run, name: str, model: InstantModel | None) -> Iterator[AgentSystem]:
    """Run a system with the settings' defaults, the journaled skill, and this model in place of a vendor's."""
    settings = Settings(data_dir=run.new_folder(name), port=0, skills_dir=SKILLS, max_rounds=ROUNDS)
    with mock.patch.object(abilities, "load_model", return_value=model):
        system = AgentSystem.start(settings)
    with system:
        system.wait_until_probed(10)
        yield system


def _rounds(system: AgentSystem, tasks: int) -> list[float]:
    """Return what each round of several long tasks took in milliseconds, by the times in their logs.

    From the moment a plan is carried out to the same moment of the next round: the last round of each task is left out.
    """
    took: list[float] = []
    for number in range(tasks + 3):
        record = _worked_out(system, f"{numbers(number)} in {ROUNDS}", number)
        began = [event.at for event in system.events(record.task_id) if event.topic is Topic.STEP_STARTED]
        if len(began) != ROUNDS:
            raise BenchError(f"a task of {ROUNDS} rounds was worked out in {len(began)}.")
        if number >= 3:  # after a warm-up
            took += [(later - at).total_seconds() * 1000 for at, later in pairwise(began)]
    return took


def numbers(number: int) -> str:
    """Return the two numbers of a task: others each time, so that no answer can be kept and given again."""
    return f"{number + 3}, {number % 89 + 2}"


def _worked_out(system: AgentSystem, task: str, number: int) -> TaskRecord:
    record = system.execute(task, wait_s=_WAIT_S)
    if record.output != (number + 3) * (number % 89 + 2):
        raise BenchError(f"{task!r} ended as {record.status} with {record.output!r}, error {record.error!r}.")
    return record


def _run(system: AgentSystem, task: str, number: int) -> float:
    """Have a task worked out; return the milliseconds of its attempt, from its beginning to what it came to."""
    return _worked_out(system, task, number).state.execution_time_ms or 0.0


def _time(lap: Lap, system: AgentSystem, task: str, number: int) -> None:
    started_ns = time.perf_counter_ns()
    lap.own.append(_run(system, task, number))
    lap.whole.append((time.perf_counter_ns() - started_ns) / 1e6)


def _cpu_ms(system: AgentSystem, task: Callable[[int], str], samples: int) -> float:
    """Return the processor time of a task in milliseconds, that of the sandbox's processes included."""
    before_s = _cpu_s()
    for number in range(samples):
        _run(system, task(number), number)
    return (_cpu_s() - before_s) * 1000 / samples


def _cpu_s() -> float:
    times = [child.cpu_times() for child in psutil.Process().children(recursive=True)]
    return time.process_time() + sum(one.user + one.system for one in times)


def _check_log(asking: AgentSystem, given: AgentSystem) -> None:
    """See that one was asked a model and the other was not, and that the call of both was journaled."""
    for system, task, calls in ((asking, "6, 7", 1), (given, script("6, 7"), 0)):
        record = system.execute(task, wait_s=_WAIT_S)
        topics = [event.topic for event in system.events(record.task_id)]
        if topics.count(Topic.MODEL_COMPLETED) != calls or topics.count(Topic.SKILL_COMPLETED) != 1:
            raise BenchError(f"the log of {task!r} is not that of one round: {topics}")
