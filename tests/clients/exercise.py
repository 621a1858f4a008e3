"""What a client is for, done with the one that openapi-python-client has made; `test_python.py` types and runs it.

`python exercise.py http://127.0.0.1:3000`, where the package `callboard_client` can be imported.
"""

import sys
from uuid import uuid4

from callboard_client import AuthenticatedClient
from callboard_client.api.catalogue import list_agents, list_skills
from callboard_client.api.health import get_health
from callboard_client.api.sessions import delete_session, get_session
from callboard_client.api.tasks import (
    cancel_task,
    decide_task,
    execute_task,
    get_pause,
    get_task,
    list_events,
    list_results,
)
from callboard_client.models import (
    AgentList,
    AttachedBytes,
    Budget,
    CancelReply,
    EditedCall,
    EditedCallArguments,
    EventPage,
    Health,
    PauseReply,
    PlainDecision,
    PlainDecisionDecision,
    Problem,
    ResultPage,
    ResultReply,
    RetryPolicy,
    SessionDeleted,
    SessionReply,
    SkillList,
    Status,
    TaskAccepted,
    TaskReport,
    TaskResult,
    TaskSpec,
    TaskSpecLabels,
)

WAIT = 'wait_for_file("/nowhere/at/all")'


def code(call: str, skill: str) -> str:
    return f"```python\nfrom skills import {skill}\n{call}\n```"


def paused(client: AuthenticatedClient, amount: int) -> str:
    """Submit a task that waits for approval, and return its id when it waits."""
    accepted = execute_task.sync(client=client, body=TaskSpec(task=code(f"pay({amount})", "pay")))
    assert isinstance(accepted, TaskAccepted), accepted
    after = 0
    while True:
        page = list_events.sync(accepted.task_id, client=client, after=after, wait=20)
        assert isinstance(page, EventPage) and not page.ended, page
        if any(event.topic == "agent.task.paused" for event in page.events):
            return accepted.task_id
        after = page.next_after


def output(client: AuthenticatedClient, task_id: str) -> object:
    """Return what a task came to, when it has ended."""
    after = 0
    while True:
        page = list_events.sync(task_id, client=client, after=after, wait=20)
        assert isinstance(page, EventPage), page
        if page.ended:
            break
        after = page.next_after
    found = list_results.sync(client=client, task_id=task_id)
    assert isinstance(found, ResultReply), found
    return found.result.output


def main(url: str) -> None:
    client = AuthenticatedClient(base_url=url, token="unused", prefix="", auth_header_name="X-API-Key", timeout=None)

    health = get_health.sync(client=client)
    assert isinstance(health, Health) and health.services.additional_properties["agent"], health

    labels = TaskSpecLabels.from_dict({"team": "blue", "week": 12})
    body = TaskSpec(
        task="What is 12 times 7?",
        session_id="made",
        labels=labels,
        retry=RetryPolicy(max_attempts=2),
        budget=Budget(model_calls=5, cost_usd=0.25),
        attachments=[AttachedBytes(name="a.csv", data="YQ==", media_type="text/csv")],
    )
    done = execute_task.sync(client=client, body=body, prefer="wait=20")
    assert isinstance(done, TaskResult) and done.output == 84 and done.status is Status.COMPLETED, done

    report = get_task.sync(done.task_id, client=client)
    assert isinstance(report, TaskReport) and report.labels.additional_properties == {"team": "blue", "week": 12}, (
        report
    )
    assert report.retry is not None and report.retry.backoff_ms == 1000
    assert report.attachments[0].size == 1

    page = list_results.sync(client=client)
    assert isinstance(page, ResultPage) and page.results[0].task_id == done.task_id, page
    one = list_results.sync(client=client, task_id=done.task_id)
    assert isinstance(one, ResultReply) and one.result.output == 84, one

    log = list_events.sync(done.task_id, client=client)
    assert isinstance(log, EventPage) and log.ended and log.events[0].seq == 1, log

    running = execute_task.sync(client=client, body=TaskSpec(task=code(WAIT, "wait_for_file")))
    assert isinstance(running, TaskAccepted), running
    cancelled = cancel_task.sync(running.task_id, client=client)
    assert isinstance(cancelled, CancelReply) and cancelled.success, cancelled

    first = paused(client, 5)
    asked = get_pause.sync(first, client=client)
    assert isinstance(asked, PauseReply) and asked.pause.additional_properties["args"] == [5], asked
    decide_task.sync(first, client=client, body=PlainDecision(decision=PlainDecisionDecision.APPROVE))
    assert output(client, first) == "paid 5"
    second = paused(client, 6)
    edited = EditedCall(decision="edit", arguments=EditedCallArguments.from_dict({"amount": 7}))
    decide_task.sync(second, client=client, body=edited)
    assert output(client, second) == "paid 7"

    key = str(uuid4())
    twice = [
        execute_task.sync_detailed(client=client, body=TaskSpec(task="What is 1 + 1?"), idempotency_key=key)
        for _ in "ab"
    ]
    ids = {reply.parsed.task_id for reply in twice if isinstance(reply.parsed, TaskAccepted)}
    assert len(ids) == 1 and twice[1].headers["Idempotent-Replayed"] == "true", twice

    problem = get_task.sync("nobody", client=client)
    assert isinstance(problem, Problem) and problem.code == "task_not_found", problem
    refused = execute_task.sync(client=client, body=TaskSpec(task=" "))
    assert isinstance(refused, Problem) and refused.details, refused

    session = get_session.sync("made", client=client)
    assert isinstance(session, SessionReply) and session.session.tasks == 1, session
    assert isinstance(delete_session.sync("made", client=client), SessionDeleted)
    assert isinstance(list_skills.sync(client=client), SkillList)
    assert isinstance(list_agents.sync(client=client), AgentList)
    print("all of it works")


main(sys.argv[1])
