"""Every error Callboard raises on purpose, in one tree.

    CallboardError
    ├── InvalidRequest            the caller must change the request
    │   ├── UnknownSkill          a name in availableSkills that nothing answers to
    │   ├── UnknownAgent
    │   ├── CallbackRefused       a callbackUrl that the server must not call
    │   └── AttachmentRefused     a file that cannot be used: not base64, too large, an image no model here takes
    ├── NotFound
    │   ├── TaskNotFound
    │   ├── SessionNotFound
    │   ├── SkillNotFound
    │   ├── DeadLetterNotFound
    │   └── DeliveryNotFound
    ├── DelegationRefused         a dead letter that was delegated, and its line of tasks is full
    ├── SessionBusy               a session cannot be deleted while a task of it is under way
    ├── TaskNotPaused             there is nothing to decide about the task
    ├── DecisionOutdated          the call that waits has other arguments than those decided on
    ├── IdempotencyConflict       the idempotency key was used with another body
    ├── Unavailable               try again later; `retry_after_s` says when
    │   ├── Overloaded            a bounded inbox or the backlog is full
    │   ├── ActorCrashed          the actor died while it worked on this message
    │   ├── ActorStopped          the actor is gone for good
    │   ├── SkillNotReady         its server has not said yet which skills it has
    │   ├── ReplyTimeout          no reply within the time the caller gave
    │   ├── StoreUnavailable      the database is locked, gone or read-only
    │   └── StorageFull           the disk is full
    ├── ConfigurationError        a setting that cannot work, found at start
    ├── BackupFailed              a backup that cannot be made; the command line's
    └── TaskError                 why a task ended as `failed`; its `code` is the task's `errorCode`

Each class has a stable `code`. `http/errors.py` maps the tree to HTTP statuses; nothing else does.
Any thread may raise these; this module imports nothing of the project but its limits.
"""

from collections.abc import Mapping
from typing import Any

from callboard.limits import ERROR_CHARS, cut_middle


class CallboardError(Exception):
    """An error that names the thing, the limit and the next step; of a longer text than any needs the middle is left out."""

    code = "internal_error"

    def __init__(self, message: str, *, details: Mapping[str, Any] | None = None) -> None:
        self.message = cut_middle(message, ERROR_CHARS)
        super().__init__(self.message)
        self.details = dict(details) if details else None


class InvalidRequest(CallboardError):
    """The request cannot be carried out as it is written."""

    code = "invalid_request"


class UnknownSkill(InvalidRequest):
    """A skill's name that is not in the catalogue."""

    code = "unknown_skill"


class UnknownAgent(InvalidRequest):
    """An agent's name that is not known."""

    code = "unknown_agent"


class CallbackRefused(InvalidRequest):
    """A callbackUrl that leads to an address the server must not call."""

    code = "callback_refused"


class AttachmentRefused(InvalidRequest):
    """An attachment that cannot be used."""

    code = "attachment_refused"


class NotFound(CallboardError):
    """Nothing is stored under that name."""

    code = "not_found"


class TaskNotFound(NotFound):
    """No task has that id."""

    code = "task_not_found"


class SessionNotFound(NotFound):
    """No session has that id."""

    code = "session_not_found"


class SkillNotFound(NotFound):
    """No skill has that name."""

    code = "skill_not_found"


class DeadLetterNotFound(NotFound):
    """No dead letter has that id."""

    code = "dead_letter_not_found"


class DeliveryNotFound(NotFound):
    """No delivery has that id."""

    code = "delivery_not_found"


class SessionBusy(CallboardError):
    """A task of the session is queued or running."""

    code = "session_busy"


class TaskNotPaused(CallboardError):
    """The task waits for no decision."""

    code = "task_not_paused"


class DecisionOutdated(CallboardError):
    """The call that waits has other arguments than those that were decided on."""

    code = "decision_outdated"


class TaskNotEnded(CallboardError):
    """The task is still under way."""

    code = "task_not_ended"


class DelegationRefused(CallboardError):
    """The line of tasks that this one would belong to has as many as it may."""

    code = "delegation_refused"


class IdempotencyConflict(CallboardError):
    """The caller has used the idempotency key for another request."""

    code = "idempotency_conflict"


class Unavailable(CallboardError):
    """The request is fine and can be tried again after `retry_after_s` seconds."""

    code = "unavailable"
    retry_after_s = 1

    def __init__(
        self, message: str, *, details: Mapping[str, Any] | None = None, retry_after_s: int | None = None
    ) -> None:
        super().__init__(message, details=details)
        if retry_after_s is not None:
            self.retry_after_s = retry_after_s


class Overloaded(Unavailable):
    """An inbox or the backlog of tasks is full."""

    code = "overloaded"


class ActorCrashed(Unavailable):
    """The actor died while it worked on the message; whether the message took effect is not known."""

    code = "actor_crashed"


class ActorStopped(Unavailable):
    """The actor has been stopped, or has been given up by its supervisor."""

    code = "actor_stopped"
    retry_after_s = 5


class SkillNotReady(Unavailable):
    """A skill's name that an MCP server may answer to as soon as it is ready."""

    code = "skill_not_ready"
    retry_after_s = 5


class ReplyTimeout(Unavailable):
    """No reply came within the caller's timeout; the message may still be carried out."""

    code = "reply_timeout"


class StoreUnavailable(Unavailable):
    """The database does not take the transaction now."""

    code = "store_unavailable"
    retry_after_s = 2


class StoreInDoubt(StoreUnavailable):
    """The connection broke during the commit: whether it took effect is not known yet.

    What was being written has to be written again, just as it was; the store then finds out what became of it.
    """


class StorageFull(Unavailable):
    """The disk that holds the database is full."""

    code = "storage_full"
    retry_after_s = 30


class ConfigurationError(CallboardError):
    """A setting that cannot work."""

    code = "configuration_error"


class BackupFailed(CallboardError):
    """The copy of a history cannot be made; nothing is left of it."""

    code = "backup_failed"


class TaskError(CallboardError):
    """Why a task ended as failed.

    `code` becomes the task's `errorCode`; every code there is stands in `TASK_ERROR_CODES`. `retryable` says that
    the task's retry policy applies; `call` is the number of the ledger's call that raised it.
    """

    def __init__(
        self,
        code: str,
        message: str,
        *,
        details: Mapping[str, Any] | None = None,
        retryable: bool = False,
        call: int | None = None,
    ) -> None:
        if code not in TASK_ERROR_CODES:
            raise ValueError(f"{code!r} is not one of TASK_ERROR_CODES")
        super().__init__(message, details=details)
        self.code = code
        self.retryable = retryable
        self.call = call


TASK_ERROR_CODES: Mapping[str, str] = {
    "no_skill_fits": "The built-in planner knows no way to work the task out; connect a model.",
    "type_check_failed": "The code cannot be parsed, or does not fit the skills' signatures or the sandbox's Python.",
    "script_error": "The code raised an error that it did not catch.",
    "time_limit": "The code ran, or took to check, longer than the sandbox allows.",
    "memory_limit": "The code used more memory than the sandbox allows.",
    "recursion_limit": "The code called itself more deeply than the sandbox allows.",
    "output_limit": "The code printed or returned more than the sandbox allows.",
    "call_limit": "The code called skills more often than the sandbox allows.",
    "ledger_limit": "The calls of the task returned more than is kept of one task.",
    "sandbox_crashed": "The sandbox's process died, again and again; the server did not. Tried three times, or as a retry policy says.",
    "skill_failed": "A skill raised an error that the code did not catch.",
    "skill_unavailable": "A skill could not be reached or served just now; nothing was done. Retried by a retry policy.",
    "server_unavailable": "The server lacked what the task needs, such as its store, in all of a dozen tries. Retried by a retry policy.",
    "skill_not_allowed": "The code called a skill that the task's availableSkills leaves out.",
    "skill_not_configured": "A skill lacks a setting that it needs.",
    "deadline_exceeded": "The task did not end within its timeoutMs or the server's run limit.",
    "outcome_unknown": "The server, or a worker's process, died during a call that must not be repeated, and a person decided `fail`.",
    "decision_expired": "The task was paused and nobody decided in time.",
    "dead_letter": "The server, or a worker's process, died under the task again and again; it waits among the dead letters.",
    "internal_error": "A defect of the server; its log has the details under the request id.",
    "model_unavailable": "The model's API did not answer, or not with success, in all the tries there were.",
    "model_rate_limited": "The model's API refused the call as one too many, in all the tries there were.",
    "model_timeout": "The model did not answer within CALLBOARD_LLM_TIMEOUT_S or the task's own time.",
    "model_rejected": "The model's API refused the call for good: the key, the model's name or what was asked.",
    "model_refused": "The model declined to answer.",
    "model_bad_reply": "What the model's API sent is no whole answer: empty, broken off, or not what it says it speaks, in all the tries.",
    "model_answer_cut": "The model's answer ended at CALLBOARD_LLM_MAX_TOKENS, also when it was asked to be shorter.",
    "model_context_exceeded": "What the model was asked is too long for it, also with less of the conversation.",
    "rounds_exhausted": "No round of CALLBOARD_MAX_ROUNDS came to an answer; what was wrong with the last one is named.",
    "budget_exceeded": "The next call would have passed a budget; the message says which, and how much was spent.",
    "approval_rejected": "A person rejected a call that needs approval.",
    "agent_failed": "A task that was delegated to another agent failed or was cancelled.",
    "delegation_refused": "The task may not delegate further: CALLBOARD_MAX_DEPTH or CALLBOARD_MAX_SUBAGENTS.",
    "attachment_unavailable": "An attachment's address did not give the file when the task began.",
    "path_refused": "A file's path leads out of the session's workspace, or is none.",
    "address_refused": "An address that skills must not fetch: private, loopback, link-local or a metadata service.",
}
"""The codes that a failed task can have, with what they mean; docs/api.md lists them and a test compares."""
