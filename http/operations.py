"""Every operation of the API as data: what http/openapi.py makes the document of.

A new route gets an entry here; a test compares this table with the routes of http/app.py. Imported by
http/openapi.py only.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field

from pydantic import BaseModel

from callboard.http import links, parameters
from callboard.http.decision import DecisionSpec
from callboard.http.links import Link
from callboard.http.parameters import Parameter
from callboard.http.schemas import catalogue, events, health, sessions, tasks, webhooks
from callboard.task_spec import TaskSpec


@dataclass(frozen=True, slots=True, kw_only=True)
class Operation:
    """One method of one path. `refusals` are the error statuses beyond those that all of its kind can have."""

    method: str
    path: str
    name: str
    tag: str
    summary: str
    reply: type[BaseModel] | None
    description: str = ""
    parameters: tuple[Parameter, ...] = ()
    body: type[BaseModel] | None = None
    """What is posted; None of a POST: nothing, or an empty object."""
    refusals: tuple[int, ...] = ()
    public: bool = False
    busy_reply: bool = False
    """Whether 503 has the shape of `reply` and not of an error."""
    stream: str = ""
    """What `Accept: text/event-stream` is answered with; empty: nothing."""
    nothing_left: str = ""
    """What 204 means; empty: there is none."""
    elsewhere: str = ""
    """What 302 means; empty: there is none."""
    links: Mapping[str, Link] = field(default_factory=dict)
    """What can be asked next with what 200 says."""
    headers: tuple[str, ...] = ()
    """Headers of 200 beyond those that all of its kind have."""
    one_type: bool = False
    """Whether it ignores `Accept`."""

    @property
    def takes_body(self) -> bool:
        return self.method == "post"


TAGS = {
    "Tasks": "Submit tasks, follow them, decide about them, and read what became of them.",
    "Dead letters": "Tasks under which the server died again and again.",
    "Sessions": "What is kept between the tasks of one session: the conversation, variables, files.",
    "Webhooks": "Deliveries of what `callbackUrl` of a task asks for.",
    "Catalogue": "What a task can make use of: skills and agents.",
    "Health": "How the server is, and how the last hour was.",
    "About": "What this is, and what it can be asked.",
}
"""The groups of operations, in the order in which they are told."""

OPERATIONS = (
    Operation(
        method="post",
        path="/agent/execute",
        name="executeTask",
        tag="Tasks",
        summary="Submit a task",
        description=(
            "Answers once the task is committed: it will end, even if the server is killed in the next instant. "
            "With `Prefer: wait=N` the answer is the result instead, if the task ends in time."
        ),
        stream="The events of the new task, from the first one to the end, as `GET /agent/tasks/{taskId}/events` has them.",
        parameters=(parameters.PREFER, parameters.IDEMPOTENCY_KEY),
        body=TaskSpec,
        reply=tasks.ExecuteReply,
        refusals=(422, 507),
        links=links.OF_NEW_TASK,
        headers=("Preference-Applied", "Retry-After", "Idempotent-Replayed", "X-Accel-Buffering"),
    ),
    Operation(
        method="get",
        path="/agent/results",
        name="listResults",
        tag="Tasks",
        summary="One result, or the history",
        description="With `taskId` one result; without it a page of the history, newest first.",
        parameters=parameters.LIST,
        reply=tasks.ResultsReply,
        refusals=(404,),
        links=links.OF_RESULTS,
    ),
    Operation(
        method="get",
        path="/agent/tasks/{taskId}",
        name="getTask",
        tag="Tasks",
        summary="All that is known of a task",
        description="Its result as far as there is one, what was asked, and what it waits for if it is paused.",
        parameters=(parameters.TASK,),
        reply=tasks.TaskReport,
        refusals=(404,),
        links=links.OF_TASK,
    ),
    Operation(
        method="get",
        path="/agent/tasks/{taskId}/events",
        name="listEvents",
        tag="Tasks",
        summary="A task's log",
        description="Numbers have no gap, so asking with the `nextAfter` of the last answer misses and repeats nothing.",
        parameters=parameters.EVENTS,
        reply=events.EventPage,
        stream=(
            "The same, live: the task's own events (`id` is `seq`) and those of the tasks that it has delegated, each as "
            "`data` in JSON on one line; at the end of the task `event: end` with its result."
        ),
        nothing_left="A stream was asked for behind the end of a task that has ended: there is nothing more to come.",
        refusals=(404,),
        links=links.OF_EVENTS,
        headers=("Preference-Applied", "Retry-After", "X-Accel-Buffering"),
    ),
    Operation(
        method="get",
        path="/agent/events",
        name="listAllEvents",
        tag="Tasks",
        summary="What happens to all tasks",
        description=(
            "Events of every task in the order of their commits. A page looks at a bounded number of events, so it may "
            "be empty and its `nextAfter` higher all the same: ask on from there."
        ),
        parameters=parameters.FEED,
        reply=events.FeedPage,
        stream="The same, live, without an end; `id` is the position.",
        links=links.OF_FEED,
        headers=("Preference-Applied", "Retry-After", "X-Accel-Buffering"),
    ),
    Operation(
        method="post",
        path="/agent/tasks/{taskId}/cancel",
        name="cancelTask",
        tag="Tasks",
        summary="Cancel a task",
        description="Cancelling again, or a task that has ended, answers what is true of it.",
        parameters=(parameters.TASK,),
        reply=tasks.CancelReply,
        refusals=(404, 507),
        links=links.OF_TASK,
    ),
    Operation(
        method="get",
        path="/agent/tasks/{taskId}/pause",
        name="getPause",
        tag="Tasks",
        summary="What a paused task waits for, in full",
        description=(
            "`pause` of the task with the whole arguments of the call: those that it is made with if it is approved."
        ),
        parameters=(parameters.TASK,),
        reply=tasks.PauseReply,
        refusals=(404, 409),
        links=links.OF_PAUSE,
    ),
    Operation(
        method="post",
        path="/agent/tasks/{taskId}/decide",
        name="decideTask",
        tag="Tasks",
        summary="Decide about the call that a paused task waits with",
        description=(
            "The server died during a call that must not be repeated unasked, or the call needs a person's approval; "
            "`pause` of the task says which, and what can be decided."
        ),
        parameters=(parameters.TASK,),
        body=DecisionSpec,
        reply=tasks.DecideReply,
        refusals=(404, 409, 507),
        links=links.OF_TASK,
    ),
    Operation(
        method="post",
        path="/agent/tasks/{taskId}/retry",
        name="retryTask",
        tag="Tasks",
        summary="Do an ended task again",
        description=(
            "A new task with the same text, session, agent, skills, files, labels and limits begins from the "
            "beginning, with a budget of its own. It is checked as if it were submitted now."
        ),
        parameters=(parameters.TASK, parameters.IDEMPOTENCY_KEY),
        reply=tasks.TaskAccepted,
        refusals=(404, 409, 422, 507),
        links=links.OF_NEW_TASK,
        headers=("Idempotent-Replayed",),
    ),
    Operation(
        method="get",
        path="/agent/dead-letters",
        name="listDeadLetters",
        tag="Dead letters",
        summary="Tasks under which the server died again and again",
        description="Newest first. What such a task had done is kept, and goes on where it is redriven.",
        parameters=parameters.PAGE,
        reply=tasks.DeadLetterPage,
        links=links.OF_DEAD_LETTERS,
    ),
    Operation(
        method="post",
        path="/agent/dead-letters/{taskId}/redrive",
        name="redriveTask",
        tag="Dead letters",
        summary="Give a dead letter one more chance",
        description=(
            "A new task goes on with what the dead one has left: calls that were done are not made again. Redriving "
            "again answers the task of the first time."
        ),
        parameters=(parameters.TASK,),
        reply=tasks.TaskAccepted,
        refusals=(404, 409, 507),
        links=links.OF_NEW_TASK,
    ),
    Operation(
        method="get",
        path="/agent/sessions",
        name="listSessions",
        tag="Sessions",
        summary="The sessions, last used first",
        description="Each with how its last question begins; one that is used meanwhile may be missed, and none comes twice.",
        parameters=parameters.SESSIONS,
        reply=sessions.SessionList,
        links=links.OF_SESSIONS,
    ),
    Operation(
        method="get",
        path="/agent/sessions/{sessionId}",
        name="getSession",
        tag="Sessions",
        summary="What a session remembers",
        description="The newest turns of its conversation, the names of its variables, and when it was used.",
        parameters=(parameters.SESSION, parameters.BEFORE),
        reply=sessions.SessionReply,
        refusals=(404,),
        links=links.OF_SESSION,
    ),
    Operation(
        method="delete",
        path="/agent/sessions/{sessionId}",
        name="deleteSession",
        tag="Sessions",
        summary="Forget a session",
        description="Its conversation, variables and files are deleted; its tasks stay in the history.",
        parameters=(parameters.SESSION,),
        reply=sessions.SessionDeleted,
        refusals=(404, 409, 507),
    ),
    Operation(
        method="get",
        path="/agent/deliveries",
        name="listDeliveries",
        tag="Webhooks",
        summary="What webhooks have told and are to tell",
        description="Newest first.",
        parameters=parameters.DELIVERIES,
        reply=webhooks.DeliveryList,
        refusals=(404,),
        links=links.OF_DELIVERIES,
    ),
    Operation(
        method="get",
        path="/agent/deliveries/{deliveryId}",
        name="getDelivery",
        tag="Webhooks",
        summary="One delivery",
        description="How often it was tried, what became of the last try, and when the next one is.",
        parameters=(parameters.DELIVERY,),
        reply=webhooks.DeliveryReply,
        refusals=(404,),
        links=links.OF_DELIVERY,
    ),
    Operation(
        method="post",
        path="/agent/deliveries/{deliveryId}/redrive",
        name="redriveDelivery",
        tag="Webhooks",
        summary="Send a delivery again",
        description="Now, and for another day, whatever has become of it; also one that was delivered.",
        parameters=(parameters.DELIVERY,),
        reply=webhooks.DeliveryReply,
        refusals=(404, 507),
        links=links.OF_DELIVERY,
    ),
    Operation(
        method="get",
        path="/agent/skills",
        name="listSkills",
        tag="Catalogue",
        summary="The skills that tasks can call",
        description="By their names, with how often each was called. What is long is cut; one skill by itself is whole.",
        parameters=parameters.NAMES,
        reply=catalogue.SkillList,
        links=links.OF_SKILLS,
    ),
    Operation(
        method="get",
        path="/agent/skills/{name}",
        name="getSkill",
        tag="Catalogue",
        summary="One skill",
        description="Its declaration, the JSON Schema of its arguments, and what may happen to a call of it after a crash.",
        parameters=(parameters.SKILL,),
        reply=catalogue.SkillReply,
        refusals=(404,),
    ),
    Operation(
        method="get",
        path="/agent/agents",
        name="listAgents",
        tag="Catalogue",
        summary="The agents that tasks can be addressed to",
        description="With their skills, models and budgets; `agent` of a task names one of them.",
        parameters=parameters.NAMES,
        reply=catalogue.AgentList,
    ),
    Operation(
        method="get",
        path="/agent/statistics",
        name="getStatistics",
        tag="Health",
        summary="The last hour by minutes",
        description="How many tasks came and ended in each minute, and how long they took.",
        reply=health.StatisticsReply,
    ),
    Operation(
        method="get",
        path="/health",
        name="getHealth",
        tag="Health",
        summary="How the server is",
        description="200 for `healthy` and `degraded`, 503 for `unhealthy`, with the same body.",
        reply=health.Health,
        public=True,
        busy_reply=True,
    ),
    Operation(
        method="get",
        path="/health/live",
        name="getLiveness",
        tag="Health",
        summary="Whether the process answers",
        description="Asks nothing of anybody: 200 as long as the process answers at all.",
        reply=health.Liveness,
        public=True,
    ),
    Operation(
        method="get",
        path="/health/ready",
        name="getReadiness",
        tag="Health",
        summary="Whether to send it work",
        description="503 while it drains, is unhealthy, or has no worker's process that could work.",
        reply=health.Readiness,
        public=True,
        busy_reply=True,
    ),
    Operation(
        method="get",
        path="/",
        name="getIndex",
        tag="About",
        summary="Name, version, links",
        description="Where the rest is, for programs.",
        reply=health.Index,
        elsewhere="A browser, whose `Accept` prefers `text/html`, is sent to the console, or where that is off to /docs.",
        public=True,
        headers=("Vary",),
    ),
    Operation(
        method="get",
        path="/openapi.json",
        name="getOpenApi",
        tag="About",
        summary="This document",
        description="OpenAPI 3.1, as `callboard openapi` prints it.",
        reply=None,
        public=True,
        one_type=True,
    ),
)
"""What is on the wire, but for /docs and /console, which are for people."""
