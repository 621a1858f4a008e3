"""Webhooks, from the end of a task to a real receiver: a whole system, real HTTP, a clock that can be moved."""

import json
import queue
import resource
import socket
import sqlite3
import ssl
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from pathlib import Path
from typing import Any

import pytest
from standardwebhooks import Webhook, WebhookVerificationError

from callboard import AgentSystem, CancelTask, GetDelivery, ListDeliveries, Redeliver, Settings, SubmitTask, Topic
from callboard.actors import result_logger
from callboard.actors.delivery_sender import most_at_once
from callboard.actors.mailbox import Address, Mailbox
from callboard.clock import Clock
from callboard.errors import CallbackRefused, ConfigurationError, DeliveryNotFound
from callboard.limits import WEBHOOKS_AT_ONCE, WEBHOOKS_TO_ONE
from callboard.messages.deliveries import DeliveriesDue, DeliveryState, WebhookDelivery, receiver_of
from callboard.messages.health import Ping
from tests.receiver import Receiver, answer, dribble, endless, hang, receiving, silent
from tests.template import lay_history

DAY = timedelta(days=1)


class MovedClock:
    """The real clock, moved by the test."""

    def __init__(self) -> None:
        self.moved = timedelta()
        self.clock = Clock(now=self.now)

    def now(self) -> datetime:
        return datetime.now(UTC) + self.moved

    def move_to(self, moment: datetime) -> None:
        self.moved += moment - self.now()


class Started:
    """A system with a clock of its own."""

    def __init__(self, system: AgentSystem, clock: MovedClock) -> None:
        self.system = system
        self.clock = clock

    def ask(self, message: Any) -> Any:
        return self.system.gateway.ask(message, timeout_s=30)

    def post(self, url: str, task: str = "What is 2 + 2?") -> str:
        """Post a task that tells `url` of its end; return its id."""
        return str(self.ask(SubmitTask(task=task, callback_url=url)).task_id)

    def deliveries(self, **query: Any) -> tuple[WebhookDelivery, ...]:
        found: tuple[WebhookDelivery, ...] = self.ask(ListDeliveries(limit=100, **query)).deliveries
        return found

    def until(self, task_id: str, true: Callable[[WebhookDelivery], bool]) -> WebhookDelivery:
        """Return the delivery of a task once something is true of it."""
        deadline = time.monotonic() + 60
        while True:
            found = self.deliveries(task_id=task_id)
            if found and true(found[0]):
                assert len(found) == 1
                return found[0]
            assert time.monotonic() < deadline, found
            threading.Event().wait(0.005)

    def tried(self, task_id: str, attempts: int) -> WebhookDelivery:
        return self.until(task_id, lambda delivery: delivery.attempts >= attempts)

    def over(self, task_id: str) -> WebhookDelivery:
        return self.until(task_id, lambda delivery: delivery.ended_at is not None)

    def move_to(self, moment: datetime | None) -> None:
        """Move the clock, and have the courier look at it."""
        assert moment is not None
        self.clock.move_to(moment)
        self.poke()

    def poke(self) -> None:
        self.system._addresses["courier"].tell(DeliveriesDue())


@pytest.fixture
def start(make_settings: Callable[..., Settings]) -> Iterator[Callable[..., Started]]:
    """Return a function that starts a system which may call 127.0.0.1; all are stopped after the test."""
    started: list[Started] = []

    def begin(clock: MovedClock | None = None, **changes: Any) -> Started:
        clock = clock or MovedClock()
        settings = make_settings(**{"webhook_allow_private": True, "workers": 2, **changes})
        started.append(Started(AgentSystem.start(lay_history(settings), clock=clock.clock), clock))
        return started[-1]

    yield begin
    for one in started:
        one.system.stop()


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    with receiving() as one:
        yield one


@pytest.fixture
def hanging() -> Iterator[Receiver]:
    with receiving(hang) as one:
        yield one


# --- what is sent --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("task", "topic", "success"),
    [("What is 12 times 7?", Topic.TASK_COMPLETED, True), ("Write a sonnet.", Topic.TASK_FAILED, False)],
)
def test_the_end_of_a_task_is_told_signed_and_once(
    start: Callable[..., Started], receiver: Receiver, task: str, topic: Topic, success: bool
) -> None:
    started = start()
    task_id = started.post(receiver.url, task)
    message = receiver.next()
    delivery = started.over(task_id)
    secret = (started.system.settings.data_dir / "webhook.secret").read_text()
    told = Webhook(secret).verify(message.body, message.headers)
    assert told["type"] == topic
    assert told["data"]["taskId"] == task_id
    assert told["data"]["success"] is success
    assert told["timestamp"] == told["data"]["timestamp"]
    assert message.headers["webhook-id"] == delivery.delivery_id
    assert message.headers["content-type"] == "application/json"
    assert message.headers["host"] == f"127.0.0.1:{receiver.port}"
    assert (delivery.state, delivery.attempts, delivery.status_code) == (DeliveryState.DELIVERED, 1, 200)
    assert (delivery.topic, delivery.error) == (topic, None)
    assert receiver.messages.empty()
    with pytest.raises(WebhookVerificationError):
        Webhook(secret).verify(message.body.replace(b'"type"', b'"typo"'), message.headers)


def test_a_cancelled_task_is_told_of_as_cancelled(start: Callable[..., Started], receiver: Receiver) -> None:
    started = start()
    task_id = started.post(receiver.url, "```python\nwhile True: pass\n```")
    started.ask(CancelTask(task_id=task_id))
    assert json.loads(receiver.next().body)["type"] == Topic.TASK_CANCELLED
    assert started.over(task_id).topic is Topic.TASK_CANCELLED


def test_a_task_without_a_callback_has_no_delivery(start: Callable[..., Started]) -> None:
    started = start()
    started.system.execute("What is 2 + 2?")
    assert started.deliveries() == ()


def test_a_delivery_is_there_once_the_task_has_ended_and_not_before(
    start: Callable[..., Started], receiver: Receiver
) -> None:
    started = start()
    task_id = started.post(receiver.url, "```python\nwhile True: pass\n```")
    next(e for e in started.system.events(task_id) if e.topic is Topic.STEP_STARTED)
    assert started.deliveries() == ()
    started.ask(CancelTask(task_id=task_id))
    # the answer comes after the commit of the end, and the delivery is of that transaction
    assert len(started.deliveries(task_id=task_id)) == 1
    started.ask(CancelTask(task_id=task_id))
    started.over(task_id)
    assert len(started.deliveries(task_id=task_id)) == 1


# --- what receivers do -----------------------------------------------------------------------------------------------


def test_a_receiver_that_fails_first_gets_the_same_message_again(start: Callable[..., Started]) -> None:
    with receiving(answer(500), answer(200)) as receiver:
        started = start()
        task_id = started.post(receiver.url)
        first = receiver.next()
        waiting = started.tried(task_id, 1)
        assert (waiting.state, waiting.status_code) == (DeliveryState.PENDING, 500)
        assert "status 500" in str(waiting.error)
        started.move_to(waiting.next_at)
        second = receiver.next()
        assert (second.headers["webhook-id"], second.body) == (first.headers["webhook-id"], first.body)
        done = started.over(task_id)
        assert (done.state, done.attempts, done.error) == (DeliveryState.DELIVERED, 2, None)


def test_a_receiver_that_never_takes_it_is_tried_for_a_day(start: Callable[..., Started]) -> None:
    with receiving(answer(503)) as receiver:
        started = start()
        task_id = started.post(receiver.url)
        delivery = started.tried(task_id, 1)
        tries = [delivery.created_at]
        while delivery.next_at is not None:
            tries.append(delivery.next_at)
            started.move_to(delivery.next_at)
            delivery = started.tried(task_id, len(tries))
        assert delivery.state is DeliveryState.FAILED
        assert delivery.error == "The receiver answered with the status 503."
        assert tries[-1] - tries[0] == DAY
        assert 10 <= len(tries) <= 14
        for _ in tries:
            receiver.next()
        started.move_to(started.clock.now() + DAY)
        assert started.over(task_id).attempts == len(tries)
        assert receiver.messages.empty()


def test_gone_ends_a_delivery_at_once(start: Callable[..., Started]) -> None:
    with receiving(answer(410)) as receiver:
        started = start()
        done = started.over(started.post(receiver.url))
        assert (done.state, done.attempts, done.status_code) == (DeliveryState.FAILED, 1, 410)


@pytest.mark.parametrize("as_date", [False, True])
def test_a_receiver_that_asks_to_be_left_alone_is(start: Callable[..., Started], as_date: bool) -> None:
    wish = format_datetime(datetime.now(UTC) + timedelta(seconds=900), usegmt=True) if as_date else "900"
    with receiving(answer(429, Retry_After=wish)) as receiver:
        started = start()
        before = started.clock.now()
        delivery = started.tried(started.post(receiver.url), 1)
        assert delivery.next_at is not None
        assert 890 < (delivery.next_at - before).total_seconds() < 910


def test_a_redirect_is_not_followed(start: Callable[..., Started], receiver: Receiver) -> None:
    with receiving(answer(307, Location=receiver.url)) as redirecting:
        started = start()
        delivery = started.tried(started.post(redirecting.url), 1)
        assert (delivery.state, delivery.status_code) == (DeliveryState.PENDING, 307)
        assert "redirects are not followed" in str(delivery.error)
        assert receiver.messages.empty()


def test_a_port_that_nobody_listens_on_is_an_attempt_that_failed(start: Callable[..., Started]) -> None:
    with closing(socket.socket()) as free:
        free.bind(("127.0.0.1", 0))
        started = start()
        delivery = started.tried(started.post(f"http://127.0.0.1:{free.getsockname()[1]}/"), 1)
    assert (delivery.state, delivery.status_code) == (DeliveryState.PENDING, None)
    assert "cannot be reached" in str(delivery.error)


@pytest.mark.parametrize("behaviour", [hang, dribble])
def test_an_attempt_ends_when_its_time_is_up(start: Callable[..., Started], behaviour: Any) -> None:
    with receiving(behaviour) as receiver:
        started = start(webhook_timeout_s=0.3)
        delivery = started.tried(started.post(receiver.url), 1)
        assert delivery.error == "The receiver did not answer within 0.3 s."
        assert (delivery.state, delivery.status_code) == (DeliveryState.PENDING, None)


def test_an_answer_without_end_is_not_read_to_its_end(start: Callable[..., Started]) -> None:
    with receiving(endless) as receiver:
        started = start()
        assert started.over(started.post(receiver.url)).state is DeliveryState.DELIVERED


def test_what_does_not_speak_http_is_an_attempt_that_failed(start: Callable[..., Started]) -> None:
    with receiving(lambda handler: handler.wfile.write(b"SSH-2.0-OpenSSH_9.2\r\n")) as receiver:
        started = start()
        assert "cannot be reached" in str(started.tried(started.post(receiver.url), 1).error)


def test_a_slow_receiver_does_not_hold_up_the_others(
    start: Callable[..., Started], receiver: Receiver, hanging: Receiver
) -> None:
    started = start(webhook_timeout_s=30)
    slow = [started.post(hanging.url) for _ in range(WEBHOOKS_TO_ONE + 1)]
    for _ in range(WEBHOOKS_TO_ONE):
        hanging.next()
    for _ in range(WEBHOOKS_TO_ONE + 1):
        done = started.over(started.post(receiver.url))
        assert done.state is DeliveryState.DELIVERED
    assert hanging.messages.empty(), "one receiver must not have all senders"
    hanging.go_on.set()
    assert all(started.over(task_id).state is DeliveryState.DELIVERED for task_id in slow)


@pytest.mark.parametrize(("hosts", "scheme"), [(1, "https"), (50, "http")], ids=["ports of one host", "hosts"])
def test_fifty_receivers_that_accept_and_say_nothing_hold_up_nobody(
    start: Callable[..., Started], receiver: Receiver, scheme: str, hosts: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("callboard.system._SENDERS_STOP_S", 0.1)
    started = start(webhook_timeout_s=60)
    with silent(50, hosts) as urls:
        for url in urls:
            started.post(url.replace("http", scheme, 1))
        for _ in range(3):
            assert started.over(started.post(receiver.url)).state is DeliveryState.DELIVERED
        assert all(delivery.attempts == 0 for delivery in started.deliveries(state="pending"))
        assert started.system.stop()


def test_names_that_are_looked_up_for_ever_hold_up_nobody_not_even_the_stop(
    start: Callable[..., Started], receiver: Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("callboard.system._SENDERS_STOP_S", 0.1)
    go_on, asked, real = threading.Event(), queue.SimpleQueue[str](), socket.getaddrinfo

    def getaddrinfo(host: Any, port: Any, *args: Any, **wishes: Any) -> Any:
        if "slow" in host:
            asked.put(host)
            go_on.wait(60)
        return real("127.0.0.1", port, *args, **wishes)

    monkeypatch.setattr(socket, "getaddrinfo", getaddrinfo)
    started = start()
    for number in range(12):
        started.post(f"http://slow{number}.example.com/")
    for _ in range(8):
        asked.get(timeout=15)
    assert started.over(started.post(receiver.url)).state is DeliveryState.DELIVERED
    began = time.monotonic()
    started.system.stop()
    assert time.monotonic() - began < 5
    go_on.set()


@pytest.mark.parametrize("under_way_before", [False, True])
def test_a_slow_receiver_with_thousands_due_does_not_hold_up_the_others(
    start: Callable[..., Started],
    receiver: Receiver,
    hanging: Receiver,
    under_way_before: bool,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("callboard.system._SENDERS_STOP_S", 0.1)  # the receiver answers none before the stop
    first = start(webhook_timeout_s=30)
    first.post(hanging.url)
    hanging.next()
    first.system.stop()
    with closing(sqlite3.connect(first.system.settings.data_dir / "callboard.db")) as history, history:
        names = [row[1] for row in history.execute("PRAGMA table_info(deliveries)")]
        copy = f"INSERT INTO deliveries SELECT ?, {', '.join(names[1:])} FROM deliveries LIMIT 1"
        history.executemany(copy, [(f"copy-{number}",) for number in range(10_000 if under_way_before else 400)])
    second = start(webhook_timeout_s=30)
    if under_way_before:
        for _ in range(WEBHOOKS_TO_ONE):
            hanging.next()
    for _ in range(2):
        assert second.over(second.post(receiver.url)).state is DeliveryState.DELIVERED
    second.system.stop()


# --- crashes, restarts, clocks ---------------------------------------------------------------------------------------


def test_a_restart_goes_on_where_it_was(start: Callable[..., Started]) -> None:
    with receiving(answer(500), answer(200)) as receiver:
        first = start()
        task_id = first.post(receiver.url)
        waiting = first.tried(task_id, 1)
        assert first.system.stop()
        second = start()
        assert second.deliveries() == (waiting,)
        second.move_to(waiting.next_at)
        done = second.over(task_id)
        assert (done.delivery_id, done.attempts) == (waiting.delivery_id, 2)
        assert receiver.next().headers["webhook-id"] == receiver.next().headers["webhook-id"]


def test_a_delivery_that_was_on_its_way_at_the_stop_is_sent_again(
    start: Callable[..., Started], hanging: Receiver
) -> None:
    first = start(webhook_timeout_s=30)
    task_id = first.post(hanging.url)
    message = hanging.next()
    began = time.monotonic()
    assert first.system.stop(), "what is on its way is not left behind, since it is sent again"
    assert time.monotonic() - began < 5
    hanging.go_on.set()
    second = start()
    assert second.over(task_id).state is DeliveryState.DELIVERED
    assert hanging.next().headers["webhook-id"] == message.headers["webhook-id"]


def test_what_expired_while_the_server_was_down_is_tried_once(start: Callable[..., Started]) -> None:
    with receiving(answer(500)) as receiver:
        first = start()
        task_id = first.post(receiver.url)
        first.tried(task_id, 1)
        first.system.stop()
        late = MovedClock()
        late.moved = 3 * DAY
        done = start(late).over(task_id)
        assert (done.state, done.attempts) == (DeliveryState.FAILED, 2)


def test_a_crash_of_the_courier_loses_nothing_and_repeats_nothing(
    start: Callable[..., Started], hanging: Receiver, receiver: Receiver
) -> None:
    started = start(webhook_timeout_s=30)
    slow = started.post(hanging.url)
    hanging.next()
    started.system._addresses["courier"].tell("a message that nothing knows")
    assert started.over(started.post(receiver.url)).state is DeliveryState.DELIVERED
    hanging.go_on.set()
    done = started.over(slow)
    assert (done.state, done.attempts) == (DeliveryState.DELIVERED, 1)
    assert hanging.messages.empty(), "what was under way before the crash is under way after it"


def test_the_end_of_an_attempt_that_is_heard_of_late_does_not_end_the_next_one(
    start: Callable[..., Started],
) -> None:
    def wait(handler: Any) -> None:
        handler.receiver.go_on.wait(60)
        answer(200)(handler)

    with receiving(answer(500), wait) as receiver:
        started = start(webhook_timeout_s=30)
        senders, courier = started.system._senders, started.system._addresses["courier"]
        senders._courier = late = Address(Mailbox("courier that hears late", 10))
        task_id = started.post(receiver.url)
        waiting = started.tried(task_id, 1)
        deadline = time.monotonic() + 60
        while len(late.mailbox) == 0 or any(
            a.thread is None or a.thread.is_alive() for a in senders.under_way.values()
        ):
            assert time.monotonic() < deadline, "the first attempt was to end"
            threading.Event().wait(0.005)
        started.move_to(waiting.next_at)  # the courier finds that the thread has ended, before it hears of it
        assert [receiver.next().headers["webhook-id"] for _ in range(2)] == [waiting.delivery_id] * 2
        second = senders.under_way[waiting.delivery_id]
        senders._courier = courier
        courier.mailbox.put(late.mailbox.get())
        started.poke()
        courier.ask(Ping(), timeout_s=30)
        assert senders.under_way == {waiting.delivery_id: second}, "one that is under way is not sent beside itself"
        assert receiver.messages.empty()
        receiver.go_on.set()
        assert started.over(task_id).attempts == 2


def test_a_clock_that_jumps_forward_makes_what_waits_due_and_one_that_jumps_back_holds_nothing_up(
    start: Callable[..., Started],
) -> None:
    with receiving(answer(500), answer(500), answer(200)) as receiver:
        started = start()
        task_id = started.post(receiver.url)
        started.tried(task_id, 1)
        started.move_to(started.clock.now() + timedelta(hours=1))
        delivery = started.tried(task_id, 2)
        assert delivery.next_at is not None
        assert 20 < (delivery.next_at - started.clock.now()).total_seconds() < 40, "the pace stays the schedule's"
        started.move_to(started.clock.now() - timedelta(hours=1))
        assert started.over(started.post(receiver.url)).state is DeliveryState.DELIVERED
        assert started.tried(task_id, 2).attempts == 2
        started.move_to(delivery.next_at)
        assert started.over(task_id).attempts == 3


def test_a_task_that_is_gone_ends_its_delivery_with_a_sentence(start: Callable[..., Started]) -> None:
    with receiving(answer(500)) as receiver:
        first = start()
        task_id = first.post(receiver.url)
        waiting = first.tried(task_id, 1)
        first.system.stop()
        with closing(sqlite3.connect(first.system.settings.data_dir / "callboard.db")) as history, history:
            history.execute("DELETE FROM tasks WHERE id = ?", (task_id,))
        second = start(first.clock)
        second.move_to(waiting.next_at)
        done = second.over(task_id)
        assert done.state is DeliveryState.FAILED
        assert "deleted by retention" in str(done.error)


def test_retention_takes_a_delivery_with_its_task_also_while_it_is_under_way(
    start: Callable[..., Started], hanging: Receiver, receiver: Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(
        result_logger, "_PRUNE_EVERY_S", 0.1
    )  # the first look, a second after the start, may be too early
    started = start(webhook_timeout_s=30, retention_tasks=1)
    old = started.post(hanging.url)
    hanging.next()
    started.system.execute("What is 3 + 3?")
    deadline = time.monotonic() + 60
    while started.deliveries(task_id=old):
        assert time.monotonic() < deadline, "nothing was pruned"
        threading.Event().wait(0.01)
    hanging.go_on.set()
    assert started.over(started.post(receiver.url)).state is DeliveryState.DELIVERED


@pytest.mark.slow  # SQLite waits 5 s for a lock
def test_what_an_attempt_came_to_is_kept_until_the_store_takes_it(
    start: Callable[..., Started], hanging: Receiver, caplog: pytest.LogCaptureFixture
) -> None:
    started = start(webhook_timeout_s=30)
    task_id = started.post(hanging.url)
    hanging.next()
    locker = sqlite3.connect(started.system.settings.data_dir / "callboard.db", isolation_level=None)
    locker.execute("BEGIN IMMEDIATE")
    hanging.go_on.set()
    deadline = time.monotonic() + 60
    while "webhooks are put off" not in caplog.text:
        assert time.monotonic() < deadline, "the store was to refuse what the attempt came to"
        threading.Event().wait(0.01)
    locker.execute("ROLLBACK")
    locker.close()
    done = started.over(task_id)
    assert (done.state, done.attempts) == (DeliveryState.DELIVERED, 1)
    assert hanging.messages.empty()


# --- sending again by hand -------------------------------------------------------------------------------------------


def test_a_delivery_is_sent_again_on_request_whatever_became_of_it(start: Callable[..., Started]) -> None:
    with receiving(answer(410), answer(200)) as receiver:
        started = start()
        failed = started.over(started.post(receiver.url))
        again = started.ask(Redeliver(delivery_id=failed.delivery_id))
        assert (again.state, again.attempts, again.error) == (DeliveryState.PENDING, 0, None)
        assert again.expires_at > failed.expires_at
        assert started.over(failed.task_id).state is DeliveryState.DELIVERED
        started.ask(Redeliver(delivery_id=failed.delivery_id))
        ids = [receiver.next().headers["webhook-id"] for _ in range(3)]
        assert ids == [failed.delivery_id] * 3


@pytest.mark.parametrize(
    ("files", "most"), [(64, 16), (8, 4), (1024, WEBHOOKS_AT_ONCE), (resource.RLIM_INFINITY, WEBHOOKS_AT_ONCE)]
)
def test_a_quarter_of_the_files_that_may_be_opened_are_attempts_at_most(files: int, most: int) -> None:
    assert most_at_once(files) == most


def test_what_is_sent_again_while_it_is_under_way_is_not_sent_beside_itself(
    start: Callable[..., Started],
) -> None:
    def wait_and_fail(handler: Any) -> None:
        handler.receiver.go_on.wait(60)
        answer(500)(handler)

    with receiving(wait_and_fail, answer(200)) as slow:
        started = start(webhook_timeout_s=30)
        task_id = started.post(slow.url)
        slow.next()
        (under_way,) = started.deliveries(task_id=task_id)
        again = started.ask(Redeliver(delivery_id=under_way.delivery_id))
        assert again.expires_at > under_way.expires_at
        assert slow.messages.empty()
        slow.go_on.set()
        tried = started.tried(task_id, 1)
        assert (tried.attempts, tried.expires_at) == (1, again.expires_at), "neither undid what the other had done"


def test_an_unknown_delivery_can_be_neither_read_nor_sent_again(start: Callable[..., Started]) -> None:
    started = start()
    for message in (GetDelivery(delivery_id="none"), Redeliver(delivery_id="none")):
        with pytest.raises(DeliveryNotFound, match="no delivery none"):
            started.ask(message)


@pytest.mark.parametrize(
    ("url", "receiver"),
    [
        ("http://Example.com/a?b#c", "http://example.com:80"),
        ("HTTPS://EXAMPLE.com", "https://example.com:443"),
        ("https://example.com:8443/hook", "https://example.com:8443"),
        ("http://[2001:DB8::1]/", "http://[2001:db8::1]:80"),
    ],
)
def test_a_receiver_is_told_by_scheme_host_and_port(url: str, receiver: str) -> None:
    assert receiver_of(url) == receiver


# --- where webhooks may go -------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "url",
    [
        "http://127.0.0.1:8080/",
        "http://2130706433/",
        "http://0x7f000001/",
        "http://[::ffff:127.0.0.1]/",
        "http://[::1]/",
        "http://169.254.169.254/latest/meta-data",
        "http://localhost:3000/",
    ],
)
def test_a_task_whose_callback_is_not_public_is_not_accepted(start: Callable[..., Started], url: str) -> None:
    started = start(webhook_allow_private=False)
    with pytest.raises(CallbackRefused, match="CALLBOARD_WEBHOOK_ALLOW_PRIVATE"):
        started.post(url)


def _resolve_to_loopback(monkeypatch: pytest.MonkeyPatch, name: str) -> list[str]:
    """Have a name resolve to 127.0.0.1, and return the list of names that are asked for."""
    asked: list[str] = []
    real = socket.getaddrinfo

    def getaddrinfo(host: Any, port: Any, *args: Any, **wishes: Any) -> Any:
        asked.append(host)
        return real("127.0.0.1" if host == name else host, port, *args, **wishes)

    monkeypatch.setattr(socket, "getaddrinfo", getaddrinfo)
    return asked


def test_a_name_that_resolves_to_a_private_address_is_not_called(
    start: Callable[..., Started], receiver: Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    _resolve_to_loopback(monkeypatch, "receiver.example.com")
    started = start(webhook_allow_private=False)
    delivery = started.tried(started.post(f"http://receiver.example.com:{receiver.port}/"), 1)
    assert delivery.state is DeliveryState.PENDING
    assert "receiver.example.com resolves to 127.0.0.1, which is not a public address" in str(delivery.error)
    assert receiver.messages.empty()


def test_the_address_that_was_checked_is_the_one_that_is_called(
    start: Callable[..., Started], receiver: Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = _resolve_to_loopback(monkeypatch, "receiver.example.com")
    started = start()
    assert started.over(started.post(f"http://receiver.example.com:{receiver.port}/")).status_code == 200
    assert receiver.next().headers["host"] == f"receiver.example.com:{receiver.port}"
    assert asked.count("receiver.example.com") == 1, "a second look could find another address"


def test_proxies_of_the_environment_are_not_used(
    start: Callable[..., Started], receiver: Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    with receiving(answer(200)) as proxy:
        for name in ("HTTP_PROXY", "http_proxy", "ALL_PROXY"):
            monkeypatch.setenv(name, f"http://127.0.0.1:{proxy.port}")
        started = start()
        started.over(started.post(receiver.url))
        assert receiver.next()
        assert proxy.messages.empty()


def test_tls_is_checked_against_the_name(
    start: Callable[..., Started], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pair = _certificate(tmp_path, "receiver.example.com")
    monkeypatch.setenv("SSL_CERT_FILE", str(pair))
    _forget_trust(monkeypatch)
    asked: list[str | None] = []
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(pair)
    context.sni_callback = lambda _socket, name, _context: asked.append(name)
    receiver = Receiver(answer(200))
    receiver.speak_tls(context)
    receiver.start()
    try:
        _resolve_to_loopback(monkeypatch, "receiver.example.com")
        started = start()
        assert started.over(started.post(f"https://receiver.example.com:{receiver.port}/")).status_code == 200
        refused = started.tried(started.post(f"https://127.0.0.1:{receiver.port}/"), 1)
        assert "certificate verify failed" in str(refused.error)
    finally:
        receiver.stop()
    assert asked[0] == "receiver.example.com"


def _certificate(folder: Path, name: str) -> Path:
    """Make a certificate for a name that signs itself; return the file that holds it with its key."""
    key, pair = folder / "key.pem", folder / "pair.pem"
    command = ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", f"/CN={name}"]
    command += ["-addext", f"subjectAltName=DNS:{name}", "-keyout", str(key), "-out", str(pair)]
    try:
        subprocess.run(command, check=True, capture_output=True)
    except FileNotFoundError:
        pytest.skip("openssl is not installed")
    pair.write_text(pair.read_text() + key.read_text())
    return pair


def _forget_trust(monkeypatch: pytest.MonkeyPatch) -> None:
    """Have certificates be loaded anew: the process has done so once for all."""
    from callboard.actors import webhook_wire
    from callboard.agent.fetch.wire import _made_context

    monkeypatch.setattr(webhook_wire, "ssl_context", _made_context.__wrapped__)


# --- the secret ------------------------------------------------------------------------------------------------------


def test_the_secret_is_made_once_for_its_owner_only(start: Callable[..., Started]) -> None:
    first = start()
    path = first.system.settings.data_dir / "webhook.secret"
    secret = path.read_text()
    assert secret.startswith("whsec_")
    assert path.stat().st_mode & 0o777 == 0o600
    first.system.stop()
    start()
    assert path.read_text() == secret


def test_a_configured_secret_signs_and_none_is_made(start: Callable[..., Started], receiver: Receiver) -> None:
    secret = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
    started = start(webhook_secret=secret)
    started.post(receiver.url)
    message = receiver.next()
    assert Webhook(secret).verify(message.body, message.headers)["data"]["output"] == 4
    assert not (started.system.settings.data_dir / "webhook.secret").exists()


@pytest.mark.parametrize(
    "secret", ["secret", "whsec_", "whsec_c2hvcnQ=", "whsec_!!!!", "MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"]
)
def test_a_secret_that_cannot_work_is_named_at_the_start(monkeypatch: pytest.MonkeyPatch, secret: str) -> None:
    monkeypatch.setenv("CALLBOARD_WEBHOOK_SECRET", secret)
    with pytest.raises(ConfigurationError, match="CALLBOARD_WEBHOOK_SECRET") as refused:
        Settings.load()
    assert secret not in refused.value.message.replace("whsec_` and", "")


def test_a_kept_secret_that_was_spoilt_is_named_at_the_start(make_settings: Callable[..., Settings]) -> None:
    settings = make_settings()
    settings.data_dir.mkdir(parents=True)
    (settings.data_dir / "webhook.secret").write_text("spoilt")
    with pytest.raises(ConfigurationError, match=r"webhook\.secret"):
        AgentSystem.start(settings)
