"""How a task comes to be: whether it may come in, its first event, what makes it the same request as another.

And its second chance, another try of it, its parts. Nothing here changes, so it is used in the threads of the gateway,
the history reader and the workers; imported by `actors/` and the wiring only.
"""

import hashlib
import json
from collections.abc import Callable
from dataclasses import replace
from datetime import datetime
from typing import Any

from callboard.actors.webhook_target import check_callback
from callboard.agent.attachments import check_attachments, check_images, described
from callboard.agent.catalogue import Catalogue
from callboard.agent.delegation import Delegated
from callboard.agent.roster import AgentDefinition, Roster
from callboard.clock import Clock, new_id
from callboard.errors import TaskNotEnded, Unavailable
from callboard.messages import AttachedFile, ExecuteTask, RedriveTask, SubmitTask, TaskRecord, Topic
from callboard.questions import RetryTask
from callboard.records import Idempotency, NewEvent, RecordAcceptance, RecordRedrive
from callboard.settings import Settings
from callboard.task_spec import TaskSpec

_ASKED = set(TaskSpec.model_fields)


class Admission:
    """Decides whether a task may come in: known skills, known agent, usable files, a server that is not draining.

    Immutable, so the gateway and the history reader share it; `catalogue` and `roster` return what there is now.
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

    def admit(self, task: SubmitTask) -> RecordAcceptance:
        """Return the task as it will be stored; raise what the caller must change, or `Unavailable` while draining."""
        self.require_open()
        agent = self._check(task.available_skills, task.agent, task.callback_url)
        files: tuple[AttachedFile, ...] = ()
        if task.attachments:
            files = check_attachments(task.attachments, self._settings, takes_images=self._takes_images(agent))
        record = self._record(task, files)
        return RecordAcceptance(
            record=record,
            files=files,
            event=first_event(record),
            wait_s=task.wait_s if isinstance(task, ExecuteTask) else None,
            idempotency=idempotency_of(task),
        )

    def again(self, ended: TaskRecord, files: tuple[AttachedFile, ...], wish: RetryTask) -> RecordAcceptance:
        """Return what an ended task was asked, as a task of its own; raise `TaskNotEnded`, or what `admit` would.

        Nothing goes on: no ledger, no spending, no parent. `files` are those that came with the task.
        """
        self.require_open()
        if not ended.status.ended:
            raise TaskNotEnded(
                f"The task {ended.task_id} is {ended.status} and has not ended; wait for its end, or cancel it first."
            )
        agent = self._check(ended.available_skills, ended.agent, ended.callback_url)
        check_images(files, takes_images=self._takes_images(agent))
        record = _asked_again(ended, wish, self._clock.now())
        key = wish.idempotency_key
        asked = None
        if key is not None:
            asked = Idempotency(caller=wish.caller or "", key=key, fingerprint=wish.fingerprint)
        return RecordAcceptance(record=record, files=files, event=first_event(record), idempotency=asked)

    def _check(self, skills: tuple[str, ...] | None, agent: str | None, callback_url: str | None) -> AgentDefinition:
        """Return the agent that is addressed; raise where a name is not known or an address must not be called."""
        if skills is not None:
            self._catalogue().require(skills)
        found = self._roster().get(agent)
        if callback_url is not None and not self._settings.webhook_allow_private:
            check_callback(callback_url)
        return found

    def _record(self, task: SubmitTask, files: tuple[AttachedFile, ...]) -> TaskRecord:
        task_id = task.task_id or new_id()
        return TaskRecord(
            task_id=task_id,
            # Invariant: a session that bears its task's id is new with that task; the master agent relies on it
            session_id=task.session_id or task_id,
            task=task.task,
            created_at=self._clock.now(),
            system_prompt=task.system_prompt,
            available_skills=task.available_skills,
            agent=task.agent,
            labels=task.labels,
            timeout_ms=task.timeout_ms,
            priority=task.priority,
            request_id=task.request_id,
            caller=task.caller,
            retry=task.retry,
            callback_url=task.callback_url,
            budget=task.budget,
            attachments=described(files) if files else (),
        )


def _asked_again(ended: TaskRecord, wish: RetryTask | RedriveTask, now: datetime) -> TaskRecord:
    """Return a task of what another one was asked, in the session it was in."""
    return TaskRecord(
        task_id=new_id(),
        session_id=ended.session_id,
        task=ended.task,
        created_at=now,
        system_prompt=ended.system_prompt,
        available_skills=ended.available_skills,
        agent=ended.agent,
        labels=ended.labels,
        timeout_ms=ended.timeout_ms,
        priority=ended.priority,
        request_id=wish.request_id,
        caller=wish.caller,
        retry=ended.retry,
        callback_url=ended.callback_url,
        budget=ended.budget,
        attachments=ended.attachments,
    )


def first_event(record: TaskRecord) -> NewEvent:
    """Return the event that opens a task's log."""
    data: dict[str, Any] = {"task": record.task, "sessionId": record.session_id}
    if record.request_id is not None:
        data["requestId"] = record.request_id
    if record.available_skills is not None:
        data["availableSkills"] = list(record.available_skills)
    if record.agent is not None:
        data["agent"] = record.agent
    if record.parent_id is not None:
        data["parentId"] = record.parent_id
    if record.attachments:
        data["attachments"] = [file["name"] for file in record.attachments]
    return NewEvent(topic=Topic.TASK_EXECUTE, at=record.created_at, data=data)


def idempotency_of(task: SubmitTask) -> Idempotency | None:
    """Return what makes a task that comes with an idempotency key the same as another, None without a key.

    HTTP has taken the fingerprint of the body; for a task from Python it is taken of what is asked.
    """
    if task.idempotency_key is None:
        return None
    fingerprint = task.fingerprint
    if not fingerprint:
        asked = json.dumps(task.model_dump(mode="json", include=_ASKED), sort_keys=True)
        fingerprint = hashlib.sha256(asked.encode()).hexdigest()
    return Idempotency(caller=task.caller or "", key=task.idempotency_key, fingerprint=fingerprint)


def redrive_of(dead: TaskRecord, wish: RedriveTask, now: datetime) -> RecordRedrive:
    """Return a dead letter's task once more, under an id of its own and in the session it was in.

    The store copies its files and what it has spent: its budget goes on. What another agent has delegated stays below
    that one, whose limits count it.
    """
    record = replace(
        _asked_again(dead, wish, now),
        redrive_of=dead.task_id,
        parent_id=dead.parent_id,
        root_id=dead.root_id,
        depth=dead.depth,
    )
    return RecordRedrive(dead_id=dead.task_id, record=record, event=first_event(record))


def part_of(parent: TaskRecord, part: Delegated, now: datetime) -> RecordAcceptance:
    """Return the task that another agent is given: in a session of its own, with its parent's caller and priority."""
    record = TaskRecord(
        task_id=part.task_id,
        session_id=part.task_id,
        task=part.task,
        created_at=now,
        available_skills=part.available_skills,
        agent=part.agent,
        timeout_ms=part.timeout_ms,
        priority=parent.priority,
        request_id=parent.request_id,
        caller=parent.caller,
        retry=parent.retry,
        budget=part.budget,
        parent_id=parent.task_id,
        root_id=parent.root_id or parent.task_id,
        depth=parent.depth + 1,
    )
    return RecordAcceptance(record=record, event=first_event(record))
