"""How a task comes to be: whether it may come in, its first event, what makes it the same request as another.

And its second chance, another try of it, its parts. Nothing here changes, so it is used in the threads of the gateway,
the history reader and the workers; imported by `actors/` and the wiring only.
"""

import hashlib
import json
from collections.abc import Callable
from dataclasses import replace
from datetime import datetime

from callboard.actors.mailbox import Delivery
from callboard.actors.webhook_target import check_callback
from callboard.agent.attachments import check_attachments, check_images, described
from callboard.agent.catalogue import Catalogue
from callboard.agent.delegation import Delegated
from callboard.agent.roster import AgentDefinition, Roster
from callboard.clock import Clock, new_id
from callboard.errors import InvalidRequest, TaskNotEnded, Unavailable
from callboard.messages.event_types import TaskExecute
from callboard.messages.records import RecordAcceptance, RecordRedrive
from callboard.messages.tasks import (
    AttachedFile,
    ExecuteTask,
    Idempotency,
    NewTask,
    RetryTask,
    SubmitOnce,
    Task,
    TaskRecord,
)
from callboard.principal import Principal
from callboard.settings import Settings
from callboard.task_spec import KeptSpec, TaskSpec

_ASKED = set(TaskSpec.model_fields)


class Admission:
    """Decides whether a task may come in: known skills, known agent, usable files, a server that is not draining.

    Immutable, so the gateway and the history reader share it; `catalogue` and `roster` return what there is now. Who asks,
    and the id of the request, are in the envelope that the question came in.
    """

    def __init__(
        self,
        *,
        catalogue: Callable[[], Catalogue],
        roster: Callable[[], Roster],
        settings: Settings,
        clock: Clock,
        takes_images: Callable[[AgentDefinition], bool],
        draining: Callable[[], bool],
    ) -> None:
        self._catalogue = catalogue
        self._roster = roster
        self._settings = settings
        self._clock = clock
        self._takes_images = takes_images
        self._draining = draining

    def require_open(self) -> None:
        """Raise `Unavailable` while the server drains."""
        if self._draining():
            raise Unavailable("The server is shutting down and takes no new tasks; try again shortly.", retry_after_s=5)

    def admit(self, task: NewTask, envelope: Delivery) -> RecordAcceptance:
        """Return the task as it will be stored; raise what the caller must change, or `Unavailable` while draining."""
        self.require_open()
        agent = self._check(task)
        self._check_priority(task.priority)
        files: tuple[AttachedFile, ...] = ()
        if task.attachments:
            files = check_attachments(task.attachments, self._settings, takes_images=self._takes_images(agent))
        new = Task(
            task_id=task.task_id or new_id(),
            created_at=self._clock.now(),
            spec=task.kept(),
            attachments=described(files) if files else (),
            caller=envelope.principal.caller,
            request_id=envelope.request_id,
        )
        return RecordAcceptance(
            task=new,
            files=files,
            event=first_event(new),
            wait_s=task.wait_s if isinstance(task, ExecuteTask) else None,
            idempotency=idempotency_of(task, envelope.principal),
        )

    def again(
        self, ended: TaskRecord, files: tuple[AttachedFile, ...], wish: RetryTask, envelope: Delivery
    ) -> RecordAcceptance:
        """Return what an ended task was asked, as a task of its own; raise `TaskNotEnded`, or what `admit` would.

        Nothing goes on: no ledger, no spending, no parent. `files` are those that came with the task. A priority that is too high
        by now is lowered: whoever does a task again does not say one.
        """
        self.require_open()
        if not ended.status.ended:
            raise TaskNotEnded(
                f"The task {ended.task_id} is {ended.status} and has not ended; wait for its end, or cancel it first."
            )
        check_images(files, takes_images=self._takes_images(self._check(ended.task.spec)))
        task = self._asked_again(ended.task, envelope)
        key = wish.idempotency_key
        asked = None
        if key is not None:
            asked = Idempotency(caller=envelope.principal.id, key=key, fingerprint=wish.fingerprint)
        return RecordAcceptance(task=task, files=files, event=first_event(task), idempotency=asked)

    def redriven(self, dead: TaskRecord, envelope: Delivery) -> RecordRedrive:
        """Return a dead letter's task once more, under an id of its own and in the session it was in.

        The store copies its files and what it has spent: its budget goes on. What another agent has delegated stays below
        that one, whose limits count it.
        """
        task = replace(
            self._asked_again(dead.task, envelope),
            redrive_of=dead.task_id,
            parent_id=dead.task.parent_id,
            root_id=dead.task.root_id,
            depth=dead.task.depth,
        )
        most_below = self._settings.max_subagents
        return RecordRedrive(dead_id=dead.task_id, task=task, event=first_event(task), most_below=most_below)

    def _check_priority(self, priority: int) -> None:
        if priority <= (most := self._settings.max_priority):
            return
        problem = f"is {priority}, and the highest that this server takes is {most} (CALLBOARD_MAX_PRIORITY)"
        raise InvalidRequest(
            f"priority {problem}; ask for that or less.",
            details={"fields": [{"field": "priority", "problem": problem}]},
        )

    def _check(self, asked: KeptSpec) -> AgentDefinition:
        """Return the agent that is addressed; raise where a name is not known or an address must not be called."""
        if asked.available_skills is not None:
            self._catalogue().require(asked.available_skills)
        found = self._roster().get(asked.agent)
        if asked.callback_url is not None and not self._settings.webhook_allow_private:
            check_callback(asked.callback_url)
        return found

    def _asked_again(self, task: Task, envelope: Delivery) -> Task:
        """Return a task of what another one was asked, in the session it was in."""
        most = self._settings.max_priority
        spec = task.spec.model_copy(update={"session_id": task.session_id, "priority": min(task.spec.priority, most)})
        return Task(
            task_id=new_id(),
            created_at=self._clock.now(),
            spec=spec,
            attachments=task.attachments,
            caller=envelope.principal.caller,
            request_id=envelope.request_id,
        )


def first_event(task: Task) -> TaskExecute:
    """Return the event that opens a task's log."""
    spec = task.spec
    return TaskExecute(
        at=task.created_at,
        caller=task.caller,
        task=spec.task,
        session_id=task.session_id,
        request_id=task.request_id,
        available_skills=spec.available_skills,
        agent=spec.agent,
        parent_id=task.parent_id,
        attachments=tuple(file["name"] for file in task.attachments) or None,
    )


def idempotency_of(task: NewTask, asker: Principal) -> Idempotency | None:
    """Return what makes a task that comes with an idempotency key the same as another, None without a key.

    HTTP has taken the fingerprint of the body; for a task from Python it is taken of what is asked.
    """
    if task.idempotency_key is None:
        return None
    if isinstance(task, SubmitOnce):
        fingerprint = task.fingerprint
    else:
        asked = json.dumps(task.model_dump(mode="json", include=_ASKED), sort_keys=True)
        fingerprint = hashlib.sha256(asked.encode()).hexdigest()
    return Idempotency(caller=asker.id, key=task.idempotency_key, fingerprint=fingerprint)


def part_of(parent: Task, part: Delegated, now: datetime) -> RecordAcceptance:
    """Return the task that another agent is given: in a session of its own, with its parent's caller and priority."""
    spec = KeptSpec.model_construct(
        task=part.task,
        available_skills=part.available_skills,
        agent=part.agent,
        timeout_ms=part.timeout_ms,
        priority=parent.spec.priority,
        retry=parent.spec.retry,
        budget=part.budget,
    )
    task = Task(
        task_id=part.task_id,
        created_at=now,
        spec=spec,
        caller=parent.caller,
        request_id=parent.request_id,
        parent_id=parent.task_id,
        root_id=parent.root_id or parent.task_id,
        depth=parent.depth + 1,
    )
    return RecordAcceptance(task=task, event=first_event(task))
