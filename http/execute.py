"""POST /agent/execute: a task comes in and, if the client wishes, its result goes out in the same answer.

PERF: this is the path that is measured; see bench/.
"""

import contextlib
from typing import TYPE_CHECKING

import falcon

from callboard.clock import new_id
from callboard.errors import CallboardError, TaskNotFound, Unavailable
from callboard.http import views
from callboard.http.codec import decode_body, read_body, read_bytes, respond
from callboard.http.gateway_client import GatewayClient
from callboard.http.idempotency import FINAL, check_key, fingerprint_of, mark_replayed, refusal_of, replay_refusal
from callboard.http.query import query_of
from callboard.http.request import Request
from callboard.http.streams import Place, Streams
from callboard.http.task_stream import stream_accepted
from callboard.http.validation import task_from
from callboard.http.waiting import Waiting, preferred_wait_s
from callboard.messages.tasks import (
    AwaitTask,
    ExecuteTask,
    GetKeptAnswer,
    GetTask,
    KeepRefusal,
    KeptAnswer,
    SubmitOnce,
    SubmitTask,
    TaskAccepted,
    TaskRecord,
)

if TYPE_CHECKING:
    from callboard.system import AgentSystem


class Execute:
    """Accepts tasks."""

    def __init__(self, system: "AgentSystem", waiting: Waiting, streams: Streams) -> None:
        self._system = system
        self._streams = streams
        self._gateway = GatewayClient(system)
        self._refusal = system.refusal
        self._waiting = waiting
        self._max_body_bytes = system.settings.max_body_bytes

    def on_post(self, req: Request, resp: falcon.Response) -> None:
        if req.wants_stream:
            with self._streams.take(req) as place:  # before the task is accepted
                self._execute(req, resp, place)
        else:
            self._execute(req, resp, None)

    def _execute(self, req: Request, resp: falcon.Response, place: Place | None) -> None:
        query_of(req)
        key = req.env.get("HTTP_IDEMPOTENCY_KEY")
        if key is not None:
            self._execute_once(req, resp, check_key(key), place)
            return
        if (refusal := self._refusal(req.principal)) is not None:
            raise refusal
        body = read_body(req, self._max_body_bytes)
        task = task_from(body)
        wait_s = None if place else preferred_wait_s(req.env.get("HTTP_PREFER"))
        record = self._held(req, task, wait_s) if wait_s else None
        if record is None:
            accepted = self._gateway.ask(req, task)
            self._answer_accepted(req, resp, accepted, place, wait_s)
        else:
            self._answer_waited(req, resp, record, wait_s)

    def _answer_accepted(
        self, req: Request, resp: falcon.Response, accepted: TaskAccepted, place: Place | None, wait_s: float | None
    ) -> None:
        req.task_id = accepted.task_id
        if wait_s:
            self._waiting.tell(resp, wait_s, held=False)
        if place is not None:
            stream_accepted(self._system, req, resp, place, accepted.task_id)
            return
        respond(resp, views.accepted(accepted), req.reply_type)

    def _answer_waited(self, req: Request, resp: falcon.Response, record: TaskRecord, wait_s: float | None) -> None:
        req.task_id = record.task_id
        if wait_s:
            self._waiting.tell(resp, wait_s, held=True)
        view = views.result(record) if record.status.ended else views.accepted(record.accepted())
        respond(resp, view, req.reply_type)

    def _held(self, req: Request, task: SubmitTask, wait_s: float) -> TaskRecord | None:
        """Submit the task and return it at its end, or as it stands when the time is up; None: nothing was done."""
        task_id, submitted = new_id(), False

        def next_message(slice_s: float) -> ExecuteTask | AwaitTask:
            nonlocal submitted
            if submitted:
                return AwaitTask(task_id=task_id, wait_s=slice_s)
            submitted = True
            # validated when it was made; validating it again would cost as much as the rest of this method
            return ExecuteTask.model_construct(**{**vars(task), "task_id": task_id, "wait_s": slice_s})

        try:
            return self._waiting.hold(req, wait_s, next_message, lambda record: record.status.ended)
        except Unavailable as error:
            # If the task is committed, an error now would have the client send it again, and it would run twice.
            return self._committed(req, task_id, error)

    def _committed(self, req: Request, task_id: str, error: Unavailable) -> TaskRecord:
        try:
            return self._gateway.ask(req, GetTask(task_id=task_id))
        except (TaskNotFound, Unavailable):
            raise error from None

    # --- with an Idempotency-Key ---

    def _execute_once(self, req: Request, resp: falcon.Response, key: str, place: Place | None) -> None:
        """Answer as the first request of this caller with this key was answered, or be the first.

        Asked first, so that a repeat is answered by a server that takes no new tasks just now, too. What decides is
        the transaction of the acceptance, so requests that come at the same time are one.
        """
        raw = read_bytes(req, self._max_body_bytes)
        fingerprint = fingerprint_of(raw, req.content_type)
        asked = GetKeptAnswer(key=key, fingerprint=fingerprint)
        answer: TaskAccepted | KeptAnswer | None = self._gateway.ask(req, asked)
        if answer is None:
            try:
                task = task_from(decode_body(raw, req.content_type))
                given = {**vars(task), "idempotency_key": key, "fingerprint": fingerprint}
                answer = self._gateway.ask(req, SubmitOnce.model_construct(**given))
            except FINAL as error:
                answer = self._keep(req, asked, error)
        if isinstance(answer, KeptAnswer):
            accepted = answer.accepted()
            if accepted is None:
                replay_refusal(req, resp, answer)
                return
            answer = accepted
        if answer.replayed:
            mark_replayed(resp)
        self._answer_kept_task(req, resp, answer, place)

    def _keep(self, req: Request, asked: GetKeptAnswer, error: CallboardError) -> KeptAnswer:
        """Keep an error as the answer to the key and raise it; return the answer that somebody else kept before."""
        refusal = refusal_of(error)
        wish = KeepRefusal(key=asked.key, fingerprint=asked.fingerprint, answer=refusal)
        kept = self._gateway.ask(req, wish)
        if kept.task_id is None and kept.answer == refusal:
            raise error
        return kept

    def _answer_kept_task(
        self, req: Request, resp: falcon.Response, accepted: TaskAccepted, place: Place | None
    ) -> None:
        """Answer with the task's result if the client waits and it ends in time, else that it was accepted."""
        wait_s = None if place else preferred_wait_s(req.env.get("HTTP_PREFER"))
        record = None
        if wait_s:
            # the task is committed, so an error now is none of the request's; it may even have been pruned
            with contextlib.suppress(TaskNotFound, Unavailable):
                record = self._waiting.hold(
                    req,
                    wait_s,
                    lambda slice_s: AwaitTask(task_id=accepted.task_id, wait_s=slice_s),
                    lambda found: found.status.ended,
                )
        if record is None:
            self._answer_accepted(req, resp, accepted, place, wait_s)
        else:
            self._answer_waited(req, resp, record, wait_s)
