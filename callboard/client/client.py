"""The Python client of a Callboard server: `Client`, synchronous, over HTTP.

The class is what users see; requests and retries are in `transport.py`, event streams in `stream.py`, values in
`models.py`, errors in `errors.py`. It runs in the threads that call it and starts none. Imported by the command
line and by users.
"""

from collections.abc import Callable, Generator, Iterator, Mapping, Sequence
from contextlib import closing
from typing import Any, Self, TypeVar, Unpack
from urllib.parse import quote
from uuid import uuid4

from callboard.client.errors import WaitTimeout
from callboard.client.models import (
    Accepted,
    AgentInfo,
    AgentList,
    Cancelled,
    DeadLetter,
    Decided,
    Delivery,
    Event,
    FeedEvent,
    Health,
    Model,
    Result,
    Session,
    SessionSummary,
    ShortResult,
    ShortSkillInfo,
    SkillInfo,
    SkillList,
    Statistics,
    Task,
)
from callboard.client.spec import body_of
from callboard.client.stream import Deadline, Follower
from callboard.client.transport import ConnectionChange, Request, Transport
from callboard.errors import InvalidRequest
from callboard.task_spec import TaskFields

DEFAULT_URL = "http://127.0.0.1:3000"
_PAGE = 100
_Entry = TypeVar("_Entry", bound=Model)


class Client:
    """One server, as its caller sees it.

    Any number of threads may share one, until it is closed; what `stream`, `events` and the lists return is for one
    thread each. `timeout_s` is for each wait on the network. `retries` is how often a request is sent again when
    nothing answers, or the answer is 429, 502, 503 or 504; one that would do something twice is not. `on_connection` is
    told when a connection is lost and is being made again, and when it is back, in the thread that waits for it. An
    address without a scheme is taken for http://; what is none raises `ConfigurationError`. The environment is not read: no
    API key, no proxies.
    """

    def __init__(
        self,
        url: str = DEFAULT_URL,
        *,
        api_key: str | None = None,
        timeout_s: float = 30.0,
        retries: int = 5,
        on_connection: Callable[[ConnectionChange], object] | None = None,
    ) -> None:
        self._transport = Transport(
            url, api_key=api_key, timeout_s=timeout_s, retries=retries, on_connection=on_connection
        )

    @property
    def url(self) -> str:
        return self._transport.url

    def close(self) -> None:
        """Close the connections."""
        self._transport.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_exc: object) -> None:
        self.close()

    # --- tasks ---

    def submit(self, task: str, *, idempotency_key: str | None = None, **spec: Unpack[TaskFields]) -> Accepted:
        """Submit a task; return once the server has committed it.

        Sent again, with the same idempotency key, until there is an answer: one task is made, however often.
        """
        return self._parse(Accepted, self._transport.ask(_execute(task, idempotency_key, spec)))

    def execute(
        self,
        task: str,
        *,
        wait_s: float | None = None,
        on_event: Callable[[Event], object] | None = None,
        idempotency_key: str | None = None,
        **spec: Unpack[TaskFields],
    ) -> Result:
        """Submit a task, follow it and return its result; a task that failed has one too.

        `on_event` is called with every event, in this thread; the first one names the task. Raises `WaitTimeout` when the
        task has not ended after `wait_s` seconds (give or take half a second); it goes on, as it does when a
        `KeyboardInterrupt` ends the wait. `cancel` it then, if it is not wanted any more.
        """
        submission = _execute(task, idempotency_key, spec)
        deadline = Deadline(self._transport, wait_s)
        task_id: str | None = None

        def request(cursor: str | None) -> Request:
            return submission if task_id is None else _log(task_id, cursor)

        with closing(Follower(self._transport, request, deadline=deadline).items()) as items:
            for item in items:
                if isinstance(item, Result):
                    return item
                task_id = task_id or item.task_id
                if on_event is not None:
                    on_event(item)
        assert task_id is not None
        if deadline.passed:
            raise WaitTimeout(
                f"The task {task_id} has not ended within {wait_s:g} s; it goes on: ask for its result later, or cancel it.",
                task_id=task_id,
            )
        return self.result(task_id)

    def stream(self, task_id: str, *, after: int | str = 0) -> Generator[Event, None, None]:
        """Yield a task's events as they happen, those of tasks that it delegates too, until it has ended.

        `after` is the `seq` of an event of its own, or the `cursor` of any event. A broken connection is made again, and
        nothing is missed or comes twice; after `retries` failures in a row the last one is raised.
        """
        follower = Follower(self._transport, lambda cursor: _log(task_id, cursor, after))
        with closing(follower.items()) as items:
            yield from (item for item in items if isinstance(item, Event))

    def log(self, task_id: str, *, after: int = 0) -> Iterator[Event]:
        """Yield a task's own events behind the number `after`, as far as there are any now."""
        while True:
            page = self._get(_path("/agent/tasks", task_id, "events"), {"after": after or None})
            events = self._each(Event, page, "events")
            yield from (event.model_copy(update={"cursor": str(event.seq)}) for event in events)
            if not events or page.get("ended"):
                return
            after = events[-1].seq

    def result(self, task_id: str) -> Result:
        """Return a task's result, as far as there is one."""
        return self._parse(Result, self._get("/agent/results", {"taskId": task_id}), "result")

    def task(self, task_id: str) -> Task:
        """Return all that is known of a task."""
        return self._parse(Task, self._get(_path("/agent/tasks", task_id)))

    def tasks(
        self,
        *,
        status: str | None = None,
        session_id: str | None = None,
        agent: str | None = None,
        q: str | None = None,
        parent_id: str | None = None,
    ) -> Iterator[ShortResult]:
        """Yield the history, newest first, what is long cut; `q` is a part of the task's text, or its id."""
        filters = {"status": status, "sessionId": session_id, "agent": agent, "q": q, "parentId": parent_id}
        return self._pages(ShortResult, "/agent/results", "results", filters)

    def events(
        self,
        *,
        after: int | None = None,
        topic: str | Sequence[str] | None = None,
        task_id: str | None = None,
        session_id: str | None = None,
        agent: str | None = None,
    ) -> Generator[FeedEvent, None, None]:
        """Yield the events of all tasks, from now on or behind the position `after`; it never ends by itself.

        `topic` is one or several, each with an optional `*` at its end.
        """
        topics = topic if topic is None or isinstance(topic, str) else ",".join(topic)
        filters = {"topic": topics, "taskId": task_id, "sessionId": session_id, "agent": agent}

        def request(cursor: str | None) -> Request:
            return _following("/agent/events", cursor, {**filters, "after": after})

        with closing(Follower(self._transport, request, kind=FeedEvent).items()) as items:
            yield from (item for item in items if isinstance(item, FeedEvent))

    def cancel(self, task_id: str) -> Cancelled:
        """Cancel a task; `success` is false if it had ended in another way."""
        return self._parse(Cancelled, self._post(_path("/agent/tasks", task_id, "cancel"), repeatable=True))

    def decide(
        self,
        task_id: str,
        decision: str,
        *,
        result: Any = ...,
        arguments: Mapping[str, Any] | None = None,
        call: int | None = None,
        digest: str | None = None,
        reason: str | None = None,
    ) -> Decided:
        """Decide about the call that a paused task waits with: approve, reject, edit, retry, assume_done or fail.

        `result` goes with assume_done, `arguments` with edit. Give the `call` and the `digest` of the task's `pause`: a
        decision that comes late is refused then, and falls on no other call and no other arguments than were seen.
        """
        more = {"arguments": arguments, "call": call, "digest": digest, "reason": reason}
        body = {"decision": decision, **{name: value for name, value in more.items() if value is not None}}
        if result is not ...:
            body["result"] = result
        return self._parse(Decided, self._post(_path("/agent/tasks", task_id, "decide"), body))

    def pause(self, task_id: str) -> dict[str, Any]:
        """Return what a paused task waits for, with the whole arguments of the call; `pause` of a task has a short form."""
        pause = self._get(_path("/agent/tasks", task_id, "pause")).get("pause")
        if not isinstance(pause, dict):
            raise self._transport.garbled("it has no pause")
        return pause

    def retry(self, task_id: str) -> Accepted:
        """Submit once more what a task that has ended was asked, as a new task."""
        return self._parse(Accepted, self._post(_path("/agent/tasks", task_id, "retry")))

    # --- sessions ---

    def sessions(self) -> Iterator[SessionSummary]:
        """Yield the sessions, last used first."""
        return self._pages(SessionSummary, "/agent/sessions", "sessions", {})

    def session(self, session_id: str, *, before: int | None = None) -> Session:
        """Return what a session remembers, with its newest turns or those numbered below `before`."""
        query = {} if before is None else {"before": before}
        return self._parse(Session, self._get(_path("/agent/sessions", session_id), query), "session")

    def delete_session(self, session_id: str) -> None:
        """Forget a session; its tasks stay in the history."""
        self._transport.ask(Request(method="DELETE", path=_path("/agent/sessions", session_id)))

    # --- what the server has, and how it is ---

    def skills(self) -> list[ShortSkillInfo]:
        """Return the skills, by name."""
        return self.skill_list().skills

    def skill(self, name: str) -> SkillInfo:
        """Return one skill."""
        return self._parse(SkillInfo, self._get(_path("/agent/skills", name)), "skill")

    def agents(self) -> list[AgentInfo]:
        """Return the agents."""
        return self.agent_list().agents

    def skill_list(self) -> SkillList:
        """Return the skills, and in sentences what could not be loaded of skills and MCP servers."""
        return self._parse(SkillList, self._whole("/agent/skills", "skills"))

    def agent_list(self) -> AgentList:
        """Return the agents, and in sentences what could not be loaded of them."""
        return self._parse(AgentList, self._whole("/agent/agents", "agents"))

    def health(self) -> Health:
        """Return how the server is; one that is unhealthy answers too."""
        request = Request(method="GET", path="/health")
        return self._parse(Health, self._transport.ask(request, answers=frozenset({503})))

    def statistics(self) -> Statistics:
        """Return the last hour by minutes."""
        return self._parse(Statistics, self._get("/agent/statistics"))

    # --- dead letters and webhooks ---

    def dead_letters(self) -> Iterator[DeadLetter]:
        """Yield the tasks that killed the server again and again, newest first."""
        return self._pages(DeadLetter, "/agent/dead-letters", "results", {})

    def redrive(self, task_id: str) -> Accepted:
        """Give a dead letter one more chance, as a new task."""
        return self._parse(Accepted, self._post(_path("/agent/dead-letters", task_id, "redrive")))

    def deliveries(self, *, task_id: str | None = None, state: str | None = None) -> Iterator[Delivery]:
        """Yield what webhooks have told and are to tell, newest first; `state`: pending, delivered or failed."""
        return self._pages(Delivery, "/agent/deliveries", "deliveries", {"taskId": task_id, "state": state})

    # --- requests ---

    def _get(self, path: str, params: Mapping[str, Any] | None = None) -> dict[str, Any]:
        return self._transport.ask(Request(method="GET", path=path, params=params or {}))

    def _post(self, path: str, body: Mapping[str, Any] | None = None, *, repeatable: bool = False) -> dict[str, Any]:
        return self._transport.ask(Request(method="POST", path=path, body=body, repeatable=repeatable))

    def _parse(self, model: type[_Entry], body: Mapping[str, Any], key: str | None = None) -> _Entry:
        return self._transport.parse(model, body if key is None else body.get(key))

    def _each(self, model: type[_Entry], body: Mapping[str, Any], key: str) -> list[_Entry]:
        entries = body.get(key)
        if not isinstance(entries, list):
            raise self._transport.garbled(f"it has no list of {key}")
        return [self._parse(model, entry) for entry in entries]

    def _whole(self, path: str, key: str) -> dict[str, Any]:
        """Return a list's first page with the entries of all pages."""
        first = page = self._get(path)
        entries = page.get(key)
        while page.get("nextCursor") is not None:
            page = self._get(path, {"cursor": page["nextCursor"]})
            if not isinstance(entries, list) or not isinstance(page.get(key), list):
                raise self._transport.garbled(f"it has no list of {key}")
            entries = [*entries, *page[key]]
        return {**first, key: entries}

    def _pages(self, model: type[_Entry], path: str, key: str, filters: Mapping[str, Any]) -> Iterator[_Entry]:
        cursor: str | None = None
        while True:
            page = self._get(path, {**filters, "limit": _PAGE, "cursor": cursor})
            yield from self._each(model, page, key)
            cursor = page.get("nextCursor")
            if cursor is None:
                return


def _path(*parts: str) -> str:
    """Return a path of its first part as it is and the others, ids and names, quoted."""
    for part in parts:
        if part in ("", ".", ".."):  # they would change which path it is
            raise InvalidRequest(f"{part!r} is no id or name; give that of a task, session or skill.")
    # what UTF-8 has no bytes for is in no id: the server says that it does not know it
    return "/".join((parts[0], *(quote(part, safe="", errors="replace") for part in parts[1:])))


def _execute(task: str, idempotency_key: str | None, fields: TaskFields) -> Request:
    return Request(
        method="POST",
        path="/agent/execute",
        headers={"Idempotency-Key": idempotency_key or str(uuid4())},
        body=body_of(task, fields),
    )


def _log(task_id: str, cursor: str | None, after: int | str = 0) -> Request:
    return _following(_path("/agent/tasks", task_id, "events"), cursor, {"after": after or None})


def _following(path: str, cursor: str | None, params: Mapping[str, Any]) -> Request:
    return Request(method="GET", path=path, params=params, headers={"Last-Event-ID": cursor} if cursor else {})
