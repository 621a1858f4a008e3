"""Where `callboard run` has a task worked on: at a server, or in this process with none.

The rule: `--local` means this process; otherwise the server that `Where.found` leads to, and this process where that is not
certain and no server answers there.
Runs in the main thread; imported by the command line only.
"""

import signal
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, ExitStack, contextmanager
from typing import TYPE_CHECKING, Any, Protocol
from uuid import uuid4

from callboard.cli import server_file
from callboard.cli.ask import Where
from callboard.cli.connection import Connection
from callboard.cli.decide import Parameters, parameters_at
from callboard.cli.exit import Ended, Exit, leave_at_the_next_interrupt, starting
from callboard.cli.output import is_terminal, notice
from callboard.client.errors import NoServerError
from callboard.errors import ConfigurationError

if TYPE_CHECKING:
    from callboard.client import Client
    from callboard.client.models import Accepted, Cancelled, Event, Result
    from callboard.settings import Settings
    from callboard.system import AgentSystem

_STOP_S = 5.0
_LOOK_S = 10.0


class Place(Protocol):
    """What `run` needs of a server, or of a system in this process."""

    is_local: bool

    def submit(self, task: str, spec: Any) -> "Accepted": ...

    def stream(self, task_id: str) -> "Iterator[Event]": ...

    def result(self, task_id: str) -> "Result": ...

    def cancel(self, task_id: str) -> "Cancelled": ...

    def parameters(self, skill: str) -> Sequence[str]: ...


def place_of(where: Where, connection: Connection, *, local: bool) -> AbstractContextManager[Place]:
    """Return the place that the rule above leads to; entering it starts or reaches it."""
    if local:
        return _in_process(where)
    if where.answers():
        return _at_server(where, connection)
    return _in_process(where, say_so=True)


# --- at a server ---


@contextmanager
def _at_server(where: Where, connection: Connection) -> Iterator[Place]:
    with ExitStack() as stack:
        first = stack.enter_context(where.client())
        patient = stack.enter_context(where.client(patient=True, on_connection=connection.tell))
        yield _Remote(first, patient, parameters_at(where))


class _Remote:
    """A server: `first` tells at once of what goes wrong, `patient` bears with a server that restarts."""

    is_local = False

    def __init__(self, first: "Client", patient: "Client", parameters: Parameters) -> None:
        self._first = first
        self._patient = patient
        self._parameters = parameters

    def submit(self, task: str, spec: Any) -> "Accepted":
        key = str(uuid4())
        try:
            return self._first.submit(task, idempotency_key=key, **spec)
        except NoServerError:  # it was there a moment ago; with the same key the task is made once
            return self._patient.submit(task, idempotency_key=key, **spec)

    def stream(self, task_id: str) -> "Iterator[Event]":
        return self._patient.stream(task_id)

    def result(self, task_id: str) -> "Result":
        return self._patient.result(task_id)

    def cancel(self, task_id: str) -> "Cancelled":
        return self._first.cancel(task_id)

    def parameters(self, skill: str) -> Sequence[str]:
        return self._parameters(skill)


# --- in this process ---


@contextmanager
def _in_process(where: Where, *, say_so: bool = False) -> Iterator[Place]:
    """Start a system on the history of the settings; stop it at the end."""
    from callboard.logs import configure_logging
    from callboard.persistence.claim import claimed_by, is_claimed
    from callboard.providers import unread
    from callboard.settings import environment, setting_names
    from callboard.system import AgentSystem
    from callboard.variables import doubtful_names

    settings = where.settings()
    if is_claimed(settings):
        raise ConfigurationError(_taken(settings, claimed_by(settings)))
    if say_so and is_terminal(err=True):
        notice(f"{where.absence()}; this process works on the task itself, with the history in {settings.data_dir}.")
    for name, remedy in {**doubtful_names(environment(), setting_names()), **unread(environment())}.items():
        notice(f"{name} is no setting of Callboard: {remedy.removesuffix('?')}{'?' if remedy.endswith('?') else '.'}")
    configure_logging(settings.model_copy(update={"log_level": "error"}))
    before = signal.getsignal(signal.SIGINT)
    leave_at_the_next_interrupt()  # there is nothing to cancel yet, and half a system cannot be stopped
    with starting(settings):
        system = AgentSystem.start(settings)
    signal.signal(signal.SIGINT, before)
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    try:
        yield _Local(system, settings)
    finally:
        system.stop(_STOP_S)


def _taken(settings: "Settings", holder: str) -> str:
    """Return why no second process may work on the history, and what to do: who has it listens somewhere, or nowhere."""
    running = server_file.read(settings.data_dir)
    if running is not None and running.alive:
        return (
            f"Another server is at work on the history in {settings.data_dir}: {holder}; have it do the task with "
            f"--url {running.url}, or set CALLBOARD_DATA_DIR to use another history."
        )
    return (
        f"Another server is at work on the history in {settings.data_dir}, or another `callboard run`, or a program: {holder}; "
        "where it listens is not known here. Wait until it has ended, name it with --url or CALLBOARD_URL, or set CALLBOARD_DATA_DIR "
        "to use another history."
    )


class _Local:
    """A system in this process."""

    is_local = True

    def __init__(self, system: "AgentSystem", settings: "Settings") -> None:
        self._system = system
        self._wait_s = settings.ask_timeout_s

    def submit(self, task: str, spec: Any) -> "Accepted":
        from pydantic import ValidationError

        from callboard.client.models import Accepted
        from callboard.client.spec import body_of
        from callboard.messages.tasks import SubmitTask

        try:
            wish = SubmitTask.model_validate(body_of(task, spec))
        except ValidationError as error:
            faults = (f"{'.'.join(map(str, e['loc'])) or 'task'}: {e['msg']}" for e in error.errors(include_url=False))
            raise Ended(Exit.FAILED, f"The task cannot be carried out as it is: {'; '.join(faults)}.") from error
        accepted = self._system.gateway.ask(wish, timeout_s=self._wait_s)
        return Accepted(
            task_id=accepted.task_id, task=accepted.task, session_id=accepted.session_id, status=accepted.status
        )

    def stream(self, task_id: str) -> "Iterator[Event]":
        from callboard.client.models import Event

        with self._system.follow(task_id) as follower:
            follower.open()
            while not follower.ended:
                for place, event in follower.next(_LOOK_S):
                    yield Event(
                        task_id=event.task_id,
                        seq=event.seq,
                        topic=event.topic,
                        timestamp=event.at,
                        data=dict(event.data),
                        cursor=place,
                    )

    def result(self, task_id: str) -> "Result":
        from callboard.client.models import Result
        from callboard.messages.tasks import GetTask
        from callboard.views import result

        return Result.model_validate(result(self._system.gateway.ask(GetTask(task_id=task_id), timeout_s=self._wait_s)))

    def cancel(self, task_id: str) -> "Cancelled":
        from callboard.client.models import Cancelled
        from callboard.messages.tasks import CancelTask, Status

        record = self._system.gateway.ask(CancelTask(task_id=task_id), timeout_s=self._wait_s)
        done = record.status is Status.CANCELLED
        message = "Task cancelled" if done else f"Task had already ended as {record.status}"
        return Cancelled(success=done, message=message, task_id=task_id, status=record.status)

    def parameters(self, skill: str) -> Sequence[str]:
        known = self._system.catalogue.skills
        return tuple(known[skill].schema.get("properties", ())) if skill in known else ()
