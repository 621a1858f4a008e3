"""What an ask returns is what its message names, for the type checker (`make check` reads this file too) and when it runs.

Each `type: ignore` stands where the checker has to refuse: it complains of one that it does not need.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, TypeVar, assert_type, get_args

import pytest

from callboard import AgentSystem
from callboard.actors.gateway import GatewayMessage
from callboard.actors.mailbox import Address, Mailbox, Reply
from callboard.actors.supervision import SupervisedActor, Supervisor
from callboard.budget import Usage
from callboard.conversation import SessionRecord
from callboard.errors import ActorCrashed, ActorStopped, CallboardError, DeliveryNotFound, InvalidRequest
from callboard.messages.ask import Ask, Asked
from callboard.messages.decisions import DecideTask, GetPause
from callboard.messages.deliveries import DeliveryPage, GetDelivery, ListDeliveries, Redeliver, WebhookDelivery
from callboard.messages.events import (
    AwaitEvents,
    EventPage,
    FamilyPage,
    FeedPage,
    GetEvents,
    GetFamilyEvents,
    ListEvents,
)
from callboard.messages.health import Flush, GetStatistics, Ping, Pong, StatisticsReport
from callboard.messages.pauses import Decision
from callboard.messages.records import RecordSessionDeleted
from callboard.messages.sessions import DeleteSession, GetSession, ListSessions, SessionPage
from callboard.messages.tasks import (
    AwaitTask,
    CancelTask,
    ExecuteTask,
    GetKeptAnswer,
    GetTask,
    KeepRefusal,
    KeptAnswer,
    ListTasks,
    RedriveTask,
    RetryTask,
    Status,
    SubmitOnce,
    SubmitTask,
    TaskAccepted,
    TaskPage,
    TaskRecord,
)
from callboard.messages.usage import GetAgentUsage, GetSkillUsage, RateDecision, TakeToken
from callboard.principal import Principal
from callboard.values import Json

R = TypeVar("R")


def test_each_request_is_answered_with_what_it_names(system: AgentSystem) -> None:
    asked: set[type] = set()

    def ask(message: Asked[GatewayMessage, R]) -> R:
        asked.add(type(message))
        return system.gateway.ask(message, timeout_s=20)

    done = assert_type(ask(ExecuteTask(task="What is 2 + 2?", session_id="s", wait_s=20)), TaskRecord)
    accepted = assert_type(ask(SubmitTask(task="What is 1 + 1?")), TaskAccepted)
    ended = assert_type(ask(AwaitTask(task_id=accepted.task_id, wait_s=20)), TaskRecord)
    assert isinstance(done, TaskRecord)
    assert isinstance(accepted, TaskAccepted)
    assert isinstance(ended, TaskRecord)
    assert isinstance(assert_type(ask(GetTask(task_id=done.task_id)), TaskRecord), TaskRecord)
    assert isinstance(assert_type(ask(ListTasks()), TaskPage), TaskPage)
    assert isinstance(assert_type(ask(CancelTask(task_id=done.task_id)), TaskRecord), TaskRecord)
    assert isinstance(assert_type(ask(RetryTask(task_id=done.task_id)), TaskAccepted), TaskAccepted)

    kept = assert_type(ask(KeepRefusal(key="k", fingerprint="f", answer={"status": 400})), KeptAnswer)
    assert isinstance(kept, KeptAnswer)
    assert assert_type(ask(GetKeptAnswer(key="k", fingerprint="f")), KeptAnswer | None) == kept
    assert assert_type(ask(GetKeptAnswer(key="other", fingerprint="f")), KeptAnswer | None) is None
    once = SubmitOnce(task="Add 1 and 2", idempotency_key="k", fingerprint="f")
    assert assert_type(ask(once), TaskAccepted | KeptAnswer) == kept
    new = once.model_copy(update={"idempotency_key": "new"})
    assert isinstance(assert_type(ask(new), TaskAccepted | KeptAnswer), TaskAccepted)

    assert isinstance(assert_type(ask(GetEvents(task_id=done.task_id)), EventPage), EventPage)
    assert isinstance(assert_type(ask(AwaitEvents(task_id=done.task_id, wait_s=20)), EventPage), EventPage)
    assert isinstance(assert_type(ask(GetFamilyEvents(task_id=done.task_id)), FamilyPage), FamilyPage)
    assert isinstance(assert_type(ask(ListEvents()), FeedPage), FeedPage)
    assert isinstance(assert_type(ask(GetSession(session_id="s")), SessionRecord), SessionRecord)
    assert isinstance(assert_type(ask(ListSessions()), SessionPage), SessionPage)
    assert isinstance(assert_type(ask(ListDeliveries()), DeliveryPage), DeliveryPage)
    assert isinstance(assert_type(ask(GetStatistics()), StatisticsReport), StatisticsReport)
    assert isinstance(assert_type(ask(TakeToken()), RateDecision), RateDecision)
    assert isinstance(assert_type(ask(Ping()), Pong), Pong)
    for used in (ask(GetSkillUsage()), ask(GetAgentUsage())):
        assert all(isinstance(usage, Usage) for usage in assert_type(used, dict[str, Usage]).values())

    # what there is nothing for here is answered with an error; tests of their own have the others
    with pytest.raises(CallboardError, match="not paused"):
        assert_type(ask(GetPause(task_id=done.task_id)), Mapping[str, Json])
    with pytest.raises(CallboardError, match="not paused"):
        assert_type(ask(DecideTask(task_id=done.task_id, decision=Decision.RETRY)), TaskRecord)
    with pytest.raises(CallboardError, match="no dead letter"):
        assert_type(ask(RedriveTask(task_id=done.task_id)), TaskRecord)
    for message in (GetDelivery(delivery_id="none"), Redeliver(delivery_id="none")):
        with pytest.raises(DeliveryNotFound):
            assert_type(ask(message), WebhookDelivery)
    ask(DeleteSession(session_id="s"))
    assert asked == set(get_args(GatewayMessage))


@dataclass(frozen=True, slots=True, kw_only=True)
class Count(Ask[int]):
    """Ask for a number."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Name(Ask[str]):
    """Ask for a name."""


class Counter(SupervisedActor[Count]):
    """Understands one message."""

    def receive(self, message: Count) -> int:
        match message:
            case Count():
                return 1
            case _:
                raise self.unknown(message)


class Forgetful(SupervisedActor[Count | Name]):
    """Says that it understands what it does not handle."""

    def receive(self, message: Count | Name) -> int:
        match message:
            case Count():
                return 1
            case _:
                raise self.unknown(message)  # type: ignore[arg-type]


def test_a_message_that_an_actor_does_not_know_is_an_error_with_a_name() -> None:
    with pytest.raises(InvalidRequest, match="The forgetful does not understand Name"):
        Forgetful(Mailbox("forgetful", 1)).receive(Name())


def test_an_address_takes_what_its_actor_understands() -> None:
    supervisor, address = Supervisor(), Address[Count](Mailbox("counter", 10))
    supervisor.start(address, Counter)
    assert assert_type(address.ask(Count(), timeout_s=30), int) == 1
    later = assert_type(address.ask_later(Count()), Reply[int])
    assert later.get(timeout_s=30) == 1
    assert supervisor.stop(address, timeout_s=30)
    supervisor.close()


def refused(
    gateway: Address[GatewayMessage], counter: Address[Count], both: Address[Count | Name], supervisor: Supervisor
) -> Any:
    """Hold what a type checker has to refuse; nobody calls it."""
    gateway.ask(RecordSessionDeleted(session_id="s"), timeout_s=1)  # type: ignore[arg-type]
    gateway.ask(Flush(), timeout_s=1)  # type: ignore[arg-type]  # is told, not asked
    gateway.tell(Flush())  # type: ignore[arg-type]
    counter.ask(Name(), timeout_s=1)  # type: ignore[arg-type]
    more: Address[Count | Name] = counter  # type: ignore[assignment]
    fewer: Address[Name] = both
    number: int = both.ask(Name(), timeout_s=1)  # type: ignore[assignment]
    supervisor.start(counter, Forgetful)  # type: ignore[arg-type]
    supervisor.start(both, Counter)  # type: ignore[arg-type]
    return more, fewer, number


WRONG: dict[str, Callable[[AgentSystem], object]] = {
    "a principal that is a text": lambda s: s.execute("What is 1 + 1?", principal="alice"),  # type: ignore[arg-type]
    "no principal": lambda s: s.gateway.ask(Ping(), principal=None, timeout_s=30),  # type: ignore[arg-type]
    "a principal of a number": lambda _: Principal(id=5),  # type: ignore[arg-type]
    "a principal of a long text": lambda _: Principal(id="x" * 256),
    "a text": lambda s: s.gateway.ask("hello", timeout_s=30),  # type: ignore[arg-type]
    "a class": lambda s: s.gateway.ask(SubmitTask, timeout_s=30),  # type: ignore[arg-type]
    "an id of a number": lambda s: s.gateway.ask(GetTask(task_id=5), timeout_s=30),  # type: ignore[arg-type]
    "events of a number": lambda s: list(s.events(5)),  # type: ignore[arg-type]
    "events behind a text": lambda s: s.gateway.ask(GetEvents(task_id="t", after="x"), timeout_s=30),  # type: ignore[arg-type]
    "a decision that there is not": lambda _: DecideTask(task_id="t", decision="aprove"),  # type: ignore[arg-type]
    "a time before now": lambda s: s.gateway.ask(Ping(), timeout_s=-1),
    "a time that is a text": lambda s: s.gateway.ask(Ping(), timeout_s="5"),  # type: ignore[arg-type]
}


@pytest.mark.parametrize("wrong", WRONG)
def test_a_wrong_argument_is_told_to_who_gives_it_and_crashes_nobody(system: AgentSystem, wrong: str) -> None:
    for _ in range(5):  # an actor that crashes so often is given up
        with pytest.raises((CallboardError, ValueError, TypeError)) as error:
            WRONG[wrong](system)
        assert not isinstance(error.value, ActorCrashed | ActorStopped)
    assert system.execute("What is 1 + 1?").output == 2


def test_a_decision_may_be_a_text_and_takes_nothing_that_goes_with_another(
    start_system: Callable[..., AgentSystem],
) -> None:
    system = start_system(approve_skills=("query-*",))
    code = "```python\nfrom skills import query_table\nquery_table('a,b\\n1,2', 'sum', 'a')\n```"
    task_id = system.gateway.ask(SubmitTask(task=code), timeout_s=30).task_id
    after = 0
    while system.gateway.ask(GetTask(task_id=task_id), timeout_s=30).status is not Status.PAUSED:
        page = system.gateway.ask(AwaitEvents(task_id=task_id, after=after, wait_s=60), timeout_s=65)
        after = page.events[-1].seq
    for more, named in (
        ({"arguments": {"x": 1}}, "arguments goes with the decision edit"),
        ({"result": 1}, "result goes"),
    ):
        with pytest.raises(InvalidRequest, match=named):
            system.gateway.ask(DecideTask(task_id=task_id, decision=Decision.APPROVE, **more), timeout_s=30)
    system.gateway.ask(DecideTask(task_id=task_id, decision="approve"), timeout_s=30)  # type: ignore[arg-type]
    assert system.gateway.ask(AwaitTask(task_id=task_id, wait_s=60), timeout_s=65).output == 1
