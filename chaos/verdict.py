"""What must be true after a load, whatever was done to the server meanwhile.

Reads three witnesses that know nothing of each other: what the clients remember, the server's database, and the file
in which the test skills put every effect.
"""

import json
import sqlite3
import sys
from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bench.figures import Figure
from callboard.errors import TASK_ERROR_CODES
from chaos import effects
from chaos.effects import begun
from chaos.load import ENDED, Memory
from chaos.scenario import amount, count, holds
from chaos.work import COMPLETED, Work, decided

TERMINAL = ("agent.task.completed", "agent.task.failed", "agent.task.cancelled")


@dataclass(frozen=True, slots=True)
class Task:
    """A task as the database holds it, with what matters of its log.

    `done` holds the tokens of the skill calls that succeeded, each with the unix time it was stamped with; `requeued`
    the reasons for which the task was set back, `requeued_at` the unix times.
    """

    task_id: str
    status: str
    error_code: str | None
    output: Any
    work: str | None
    topics: tuple[str, ...]
    gap: bool
    done: tuple[tuple[str, float], ...]
    requeued: tuple[str, ...]
    requeued_at: tuple[float, ...]
    in_doubt: bool
    """Whether a person had to say what came of a call."""

    @property
    def end(self) -> tuple[str, str | None]:
        return self.status, self.error_code


class Verdict:
    """The three witnesses, read once after the server has stopped."""

    def __init__(self, memory: Memory, database: Path, effects_file: Path) -> None:
        self.memory = memory
        with closing(sqlite3.connect(database)) as connection:
            self.integrity = connection.execute("PRAGMA integrity_check").fetchone()[0]
            self.tasks = {task.task_id: task for task in _tasks(connection)}
        self.effects = effects.read(effects_file)

    def figures(self) -> list[Figure]:
        """Return every figure that any load must meet."""
        return [
            amount("accepted", len(self.memory.accepted), "tasks", self._kinds()),
            count("accepted tasks lost", self.lost()),
            count("tasks that did not end", self.unended()),
            count("tasks with two terminal events, or events after one", self.ended_twice()),
            count("tasks that changed after their end", self.changed_after_end()),
            count("logs with a gap in their numbers", self.gaps()),
            count("finished effects repeated", self.repeated()),
            count("never effects begun twice without a decision", self.never_twice()),
            count("calls whose effect id changed", self.changed_ids()),
            count("tasks made twice of one Idempotency-Key", self.made_twice()),
            count("outcomes that are not documented, or not for such a task", self.undocumented()),
            count("wrong outputs", self.wrong_outputs()),
            count("cancellations that did not stick", self.uncancelled()),
            count("answers that are not documented", self.memory.surprises),
            amount("effects", sum(len(begun(found)) for found in self.effects.values()), "begun", self._repeats()),
            amount("outcomes", len(self.tasks), "tasks", self._outcomes()),
            holds("integrity_check", self.integrity == "ok", str(self.integrity)),
        ]

    # --- tasks ---

    def lost(self) -> Iterator[str]:
        return (task_id for task_id in self.memory.accepted if task_id not in self.tasks)

    def unended(self) -> Iterator[str]:
        return (f"{task.task_id} {task.status}" for task in self.tasks.values() if task.status not in ENDED)

    def ended_twice(self) -> Iterator[str]:
        for task in self.tasks.values():
            ends = [topic for topic in task.topics if topic in TERMINAL]
            if len(ends) != (task.status in ENDED) or (ends and task.topics[-1] not in TERMINAL):
                yield f"{task.task_id}: {' '.join(task.topics[-4:])}"

    def changed_after_end(self) -> Iterator[str]:
        for task_id, seen in self.memory.ends.items():
            task = self.tasks.get(task_id)
            if task is None:
                continue  # it counts as lost
            now = (*task.end, task.output)
            if now != seen:
                yield f"{task_id} was {seen} and is {now}"

    def gaps(self) -> Iterator[str]:
        return (task.task_id for task in self.tasks.values() if task.gap)

    def made_twice(self) -> Iterator[str]:
        made = Counter(task.work for task in self.tasks.values())
        return (f"{name}: {times}" for name, times in made.items() if name in self.memory.posted and times > 1)

    def undocumented(self) -> Iterator[str]:
        for task, work in self._known():
            documented = task.error_code is None or task.error_code in TASK_ERROR_CODES
            if task.status in ENDED and not (documented and task.end in work.ends):
                yield f"{work.kind} {task.task_id} ended as {task.end}"

    def wrong_outputs(self) -> Iterator[str]:
        for task, work in self._known():
            if task.end == COMPLETED and not same(task.output, work.output):
                yield f"{work.kind} {task.task_id}: {task.output!r} instead of {work.output!r}"

    def uncancelled(self) -> Iterator[str]:
        return (t for t in self.memory.cancelled if t in self.tasks and self.tasks[t].status != "cancelled")

    def _known(self) -> Iterator[tuple[Task, Work]]:
        for task in self.tasks.values():
            work = self.memory.posted.get(task.work or "")
            if work is not None:
                yield task, work

    # --- effects ---

    def repeated(self) -> Iterator[str]:
        """Yield calls that began again after their completion was on record; `pure` ones may."""
        done = self._completed_at()
        for token, found in self.effects.items():
            for effect in begun(found):
                if effect.policy != "pure" and effect.at > done.get(token, float("inf")):
                    yield f"{effect.policy} {token} of task {effect.task}"

    def never_twice(self) -> Iterator[str]:
        for token, found in self.effects.items():
            times = len([effect for effect in begun(found) if effect.policy == "never"])
            if times > 1 + self.memory.retries[token]:
                yield f"{token} began {times} times with {self.memory.retries[token]} decisions to retry"

    def changed_ids(self) -> Iterator[str]:
        for token, found in self.effects.items():
            if found[0].policy != "pure" and len(ids := {effect.effect for effect in found}) > 1:
                yield f"{found[0].policy} {token}: {' '.join(sorted(ids))}"

    def _completed_at(self) -> Mapping[str, float]:
        """Return when each call's success was first stamped, by its token, which is its result."""
        done: dict[str, float] = {}
        for task in self.tasks.values():
            for token, at in task.done:
                done.setdefault(token, at)
        return done

    # --- words ---

    def _kinds(self) -> str:
        return listed(Counter(work.kind for work in self.memory.accepted.values()))

    def _outcomes(self) -> str:
        return listed(Counter(" ".join(filter(None, task.end)) for task in self.tasks.values()))

    def _repeats(self) -> str:
        again: Counter[str] = Counter()
        for found in self.effects.values():
            again[found[0].policy] += len(begun(found)) - 1
        return "begun again: " + listed(again)


def listed(counts: Mapping[str, int]) -> str:
    return ", ".join(f"{number} {name}" for name, number in sorted(counts.items(), key=lambda item: -item[1]))


def same(output: Any, expected: Any) -> bool:
    """Return whether an output is the expected one; a call in a list may have been decided instead of made."""
    if isinstance(expected, list) and isinstance(output, list) and len(output) == len(expected):
        return all(
            got in (one, decided(one)) if isinstance(one, str) else same(got, one)
            for got, one in zip(output, expected, strict=True)
        )
    return bool(output == expected)


def _tasks(connection: sqlite3.Connection) -> Iterator[Task]:
    """Read the tasks one by one: after a long load their logs do not fit into memory together."""
    log = connection.cursor()
    rows = connection.execute("SELECT id, status, error_code, output, labels FROM tasks ORDER BY id")
    for task_id, status, code, output, labels in rows:
        log.execute("SELECT seq, topic, at, data FROM events WHERE task_id = ? ORDER BY seq", (task_id,))
        yield _task(task_id, status, code, output, json.loads(labels).get("work"), log.fetchall())


def _task(task_id: str, status: str, code: str | None, output: str | None, work: str | None, log: list[Any]) -> Task:
    done, requeued, requeued_at, in_doubt = [], [], [], False
    for _, topic, at, data in log:
        if topic == "agent.skill.completed" and (told := json.loads(data)).get("ok") and told.get("result"):
            done.append((str(told["result"]).removeprefix(decided("")), at / 1e6))
        elif topic == "agent.task.requeued":
            requeued.append(str(json.loads(data).get("reason")))
            requeued_at.append(at / 1e6)
        elif topic == "agent.task.paused":
            in_doubt |= json.loads(data).get("reason", "outcome_unknown") == "outcome_unknown"
    return Task(
        task_id=task_id,
        status=status,
        error_code=code,
        output=None if output is None else json.loads(output),
        work=work,
        topics=tuple(sys.intern(topic) for _, topic, _, _ in log),
        gap=[seq for seq, *_ in log] != list(range(1, len(log) + 1)),
        done=tuple(done),
        requeued=tuple(requeued),
        requeued_at=tuple(requeued_at),
        in_doubt=in_doubt,
    )
