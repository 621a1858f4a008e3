"""What must be true after a load that a model has worked on, besides what is true of any load.

A fourth witness joins those of `verdict.py`: the record of the model's provider, which says what was asked and when.
Tasks that agents were given are known by the part that stands in their text.
"""

import json
import sqlite3
from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass
from functools import cached_property
from itertools import pairwise
from pathlib import Path
from typing import Any

from bench.figures import Figure
from callboard.agent.ledger import digest_of
from chaos import model
from chaos.agent_work import GAVE_UP
from chaos.effects import begun
from chaos.load import Memory
from chaos.model import Ask
from chaos.scenario import amount, count
from chaos.verdict import Task, Verdict, same
from chaos.work import COMPLETED, Work, approval_on, edited

CANCEL_WITHIN_S = 1.0
"""How long an agent may go on after the end of the task that it works for."""

Key = tuple[str, int]
"""A call of the model: the part and its round, or a text's token and 0."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Member:
    """What else the database says of a task: whose part it is, what it waits for, the calls of the model that are done.

    `done` holds the unix time at which each was stamped; `approvals` the tokens of the calls it was paused for.
    """

    part: str | None
    parent_id: str | None
    ended_at: float
    waits_for: str | None
    counted: int
    agents: int
    model_rows: int
    done: tuple[tuple[Key, float], ...]
    approvals: tuple[str, ...]


class AgentVerdict(Verdict):
    """The four witnesses, read once after the server and the provider have stopped."""

    def __init__(
        self, memory: Memory, database: Path, effects_file: Path, asked_file: Path, broken: Sequence[float]
    ) -> None:
        super().__init__(memory, database, effects_file)
        self._broken = broken  # when a server was started after another, or a worker killed
        self.asks: dict[Key, list[Ask]] = defaultdict(list)
        for ask in model.read(asked_file):
            self.asks[ask.name, ask.round].append(ask)
        with closing(sqlite3.connect(database)) as connection:
            self.members = {row[0]: _member(connection, *row) for row in connection.execute(_MEMBERS)}
        self.works: dict[str, Work] = {}
        for work in memory.posted.values():
            self._add(work)
        self.children: dict[str, list[str]] = defaultdict(list)
        for task_id, member in self.members.items():
            if member.parent_id is not None:
                self.children[member.parent_id].append(task_id)

    def _add(self, work: Work) -> None:
        self.works[work.name] = work
        for part in work.parts:
            self._add(part)

    def figures(self) -> list[Figure]:
        asked, again = sum(map(len, self.asks.values())), sum(len(asks) - 1 for asks in self.asks.values())
        about = f"{len(self.asks)} calls, {again} asked again after a kill that fell into them"
        waits = sorted(self.waits())
        return [
            *super().figures(),
            amount("tasks of agents", sum(map(len, self.children.values())), "tasks", self._deepest()),
            amount("requests to the model", asked, "requests", about),
            count("finished model calls asked again", self.asked_after_done()),
            count("model calls asked again without a kill in between", self.asked_in_one_life()),
            count("requests that the script does not have", self.beyond()),
            count("tasks that miscount their model calls or their agents", self.miscounted()),
            count("agents' tasks made twice, or not asked for", self.children_twice()),
            count("agents' tasks missing from a completed task", self.children_missing()),
            count("agents' tasks that outlived the task above them", self.outlived()),
            count("tasks that wait for agents that have ended", self.left_waiting()),
            amount("end of the last agent to the task's going on, median", waits[len(waits) // 2] if waits else 0, "s"),
            amount("calls decided by approval", len(self.memory.approvals), "calls", self._approvals()),
            count("approvals asked for twice", self.approvals_twice()),
            count("calls made before they were approved, or though they were rejected", self.unapproved()),
            count("edited calls made with the arguments before", self.unedited()),
            count("approved calls that were not made", self.not_made()),
        ]

    # --- the base's, with the tasks of agents ---

    def _known(self) -> Iterator[tuple[Task, Work]]:
        for task_id, task in self.tasks.items():
            work = self.works.get(self.members[task_id].part or "")
            if work is not None:
                yield task, work

    def undocumented(self) -> Iterator[str]:
        """Yield outcomes that do not fit; a part is cancelled where the task above it has ended."""
        yield from (told for told in super().undocumented() if not self._cancelled_with_parent(told.split()[-4:]))

    def _cancelled_with_parent(self, words: Sequence[str]) -> bool:
        task_id = words[0]
        parent_id = self.members[task_id].parent_id if task_id in self.members else None
        cancelled = task_id in self.tasks and self.tasks[task_id].status == "cancelled"
        return cancelled and parent_id is not None and self.tasks[parent_id].end != COMPLETED

    def wrong_outputs(self) -> Iterator[str]:
        for task, work in self._known():
            if task.end != COMPLETED:
                continue
            failed = [c for c in self.children[task.task_id] if self.tasks[c].end != COMPLETED]
            right = GAVE_UP if failed else self._expected(task, work)
            if not same(task.output, right):
                yield f"{work.kind} {task.task_id}: {task.output!r} instead of {right!r}"

    def _expected(self, task: Task, work: Work) -> Any:
        """Return the output, with what the agents have answered in place of their parts."""
        if not work.parts:
            return work.output
        answers = {self.members[child].part: self.tasks[child].output for child in self.children[task.task_id]}
        return [answers.get(one.name) if isinstance(one, Work) else one for one in work.output]

    # --- the model ---

    @cached_property
    def _done(self) -> Mapping[Key, float]:
        """When each call was on record first."""
        done: dict[Key, float] = {}
        for member in self.members.values():
            for key, at in member.done:
                done[key] = min(at, done.get(key, at))
        return done

    def asked_after_done(self) -> Iterator[str]:
        """Yield the calls that were asked again after their answer was on record."""
        for key, asks in self.asks.items():
            late = [ask for ask in asks if ask.at > self._done.get(key, float("inf"))]
            if late:
                yield f"{key[0]} round {key[1]}, {late[0].at - self._done[key]:.3f} s after it was done"

    def asked_in_one_life(self) -> Iterator[str]:
        """Yield the calls that were asked twice of which nobody who asks can have died in between."""
        for (name, number), asks in self.asks.items():
            for one, following in pairwise(asks):
                if not any(one.at < at < following.at for at in self._broken):
                    yield f"{name} round {number}"

    def beyond(self) -> Iterator[str]:
        for name, number in self.asks:
            work = self.works.get(name)
            if number and (work is None or not 1 <= number <= len(work.rounds)):
                yield f"{name} round {number}"

    def miscounted(self) -> Iterator[str]:
        for task_id, task in self.tasks.items():
            member = self.members[task_id]
            if task.end != COMPLETED:
                continue
            if member.counted != member.model_rows:
                yield f"{task_id} tells of {member.counted} model calls, its ledger has {member.model_rows}"
            if member.agents != len(self.children.get(task_id, ())):
                yield f"{task_id} tells of {member.agents} agents, there are {len(self.children[task_id])}"

    # --- agents ---

    def children_twice(self) -> Iterator[str]:
        for parent_id, children in self.children.items():
            work = self.works.get(self.members[parent_id].part or "")
            wanted = {part.name for part in work.parts} if work is not None else set()
            for part, times in Counter(self.members[child].part for child in children).items():
                if times > 1 or part not in wanted:
                    yield f"{parent_id}: {part} {times} times"

    def children_missing(self) -> Iterator[str]:
        for task, work in self._known():
            there = {self.members[child].part for child in self.children.get(task.task_id, ())}
            if task.end == COMPLETED and (missing := {part.name for part in work.parts} - there):
                yield f"{task.task_id}: {' '.join(sorted(missing))}"

    def outlived(self) -> Iterator[str]:
        """Yield the parts of a task that ended before them, and that were not cancelled with it."""
        for parent_id, children in self.children.items():
            for child in children:
                late_s = self.members[child].ended_at - self.members[parent_id].ended_at
                if late_s > CANCEL_WITHIN_S and self.tasks[child].status != "cancelled":
                    yield f"{child} {self.tasks[child].status} {late_s:.1f} s after {parent_id}"

    def left_waiting(self) -> Iterator[str]:
        for task_id, member in self.members.items():
            there = [self.tasks[child].status for child in self.children.get(task_id, ())]
            if member.waits_for == "subagents" and not {"pending", "running", "paused"} & set(there):
                yield f"{task_id}: {' '.join(there)}"

    def waits(self) -> Iterator[float]:
        """Yield the seconds between the end of a task's last agent and its going on."""
        for task_id, task in self.tasks.items():
            went_on = [at for reason, at in zip(task.requeued, task.requeued_at, strict=True) if reason == "subagents"]
            ends = [self.members[child].ended_at for child in self.children.get(task_id, ())]
            if went_on and ends:
                yield went_on[0] - max(ends)

    # --- approval ---

    def approvals_twice(self) -> Iterator[str]:
        times = Counter(token for member in self.members.values() for token in member.approvals)
        return (f"{token}: {number} times" for token, number in times.items() if number > 1)

    def unapproved(self) -> Iterator[str]:
        for token, at in self.memory.approvals.items():
            made = [e for t in (token, edited(token)) for e in begun(self.effects.get(t, []))]
            early = [effect for effect in made if effect.at < at]
            if early or (made and approval_on(token) == "reject"):
                yield f"{token}, {approval_on(token)}"
        decided = {t for token in self.memory.approvals for t in (token, edited(token))}
        for token in self._needing():
            if token in self.effects and token not in decided:
                yield f"{token} without a decision"

    def _needing(self) -> Iterator[str]:
        for member in self.members.values():
            yield from member.approvals

    def unedited(self) -> Iterator[str]:
        return (t for t in self.memory.approvals if approval_on(t) == "edit" and t in self.effects)

    def not_made(self) -> Iterator[str]:
        """Yield the approved calls of completed tasks that were never made, nor decided to have been."""
        for task_id, member in self.members.items():
            for token in member.approvals if self.tasks[task_id].end == COMPLETED else ():
                made = {"approve": token, "edit": edited(token)}.get(approval_on(token))
                if made is not None and made not in self.effects and made not in self.memory.assumed:
                    yield f"{made} of {task_id}"

    # --- words ---

    def _approvals(self) -> str:
        told = Counter(approval_on(token) for token in self.memory.approvals)
        return ", ".join(f"{number} {name}" for name, number in sorted(told.items()))

    def _deepest(self) -> str:
        levels: Counter[int] = Counter()
        for member in self.members.values():
            level, above = 0, member.parent_id
            while above is not None:
                level, above = level + 1, self.members[above].parent_id
            levels[level] += 1
        return ", ".join(f"{levels[level]} on level {level}" for level in sorted(levels))


_MEMBERS = "SELECT id, task, parent_id, ended_at, pause, metadata FROM tasks ORDER BY id"


def _member(
    connection: sqlite3.Connection, task_id: str, text: str, parent_id: str | None, ended_at: int | None, *told: Any
) -> Member:
    pause, metadata = (json.loads(one) if one else {} for one in told)
    rows = connection.execute(
        "SELECT name, digest, state, ended_at, result FROM calls WHERE task_id = ? AND kind = 'model'", (task_id,)
    ).fetchall()
    return Member(
        part=(model.part_of(text) or {}).get("name"),
        parent_id=parent_id,
        ended_at=float("inf") if ended_at is None else ended_at / 1e6,
        waits_for=pause.get("reason"),
        counted=metadata.get("llmCalls", 0) - metadata.get("subagents", {}).get("llmCalls", 0),
        agents=metadata.get("subagents", {}).get("tasks", 0),
        model_rows=len(rows),
        done=tuple(_done(text, rows)),
        approvals=tuple(_approvals(connection, task_id)),
    )


def _done(text: str, rows: Sequence[Any]) -> Iterator[tuple[Key, float]]:
    part = model.part_of(text) or {"name": "", "rounds": []}
    rounds = {digest_of("plan", [text, step]): step for step in range(1, len(part["rounds"]) + 2)}
    for name, digest, state, ended_at, result in rows:
        if state != "done":
            continue
        if name == "plan":
            yield (part["name"], rounds[digest]), ended_at / 1e6
        else:
            yield (json.loads(result)["text"].removeprefix(model.summary_of("")), 0), ended_at / 1e6


def _approvals(connection: sqlite3.Connection, task_id: str) -> Iterator[str]:
    paused = connection.execute(
        "SELECT data FROM events WHERE task_id = ? AND topic = 'agent.task.paused' ORDER BY seq", (task_id,)
    )
    for (data,) in paused:
        told = json.loads(data)
        if told.get("reason") == "approval":
            yield str([*told.get("args", ()), *told.get("kwargs", {}).values()][0])
