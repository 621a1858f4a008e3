"""Requests of the client over a network that fails: what is sent again, after which pause, and what is raised."""

import shutil
import socket
import ssl
import subprocess
import threading
from collections.abc import Callable
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from itertools import chain
from pathlib import Path
from typing import Any

import pytest

from callboard import CallboardError, Client
from callboard.client.errors import (
    ApiError,
    AuthenticationError,
    ConflictError,
    InvalidRequestError,
    NoServerError,
    NotFoundError,
    PermissionDeniedError,
    RateLimitedError,
    UnavailableError,
)
from callboard.errors import ConfigurationError, InvalidRequest
from tests.callboard.unreliable import TASK, Unreliable, Wire, answer, hangs, no_content, problem, resets, result

Start = Callable[..., Unreliable]
Connect = Callable[..., Client]

ACCEPTED = {
    "success": True,
    "message": "Task submitted for execution",
    "taskId": TASK,
    "task": "2 + 2",
    "sessionId": "alice",
    "status": "pending",
}
accepted = answer(200, ACCEPTED)
found = answer(200, {"success": True, "result": result()})


def test_a_request_is_sent_again_after_what_goes_away_by_itself(unreliable: Start, connect: Connect) -> None:
    server = unreliable(resets, problem(503, "overloaded"), problem(429, "rate_limited"), answer(502, b"<html>"), found)
    assert connect(server.url).result(TASK).output == 84
    assert len(server.asked) == 5


def test_a_pause_is_what_retry_after_asks_for(unreliable: Start, connect: Connect, pauses: list[float]) -> None:
    date = format_datetime(datetime.now(UTC) + timedelta(seconds=30), usegmt=True)
    server = unreliable(
        problem(503, "overloaded", Retry_After="7"), problem(429, "rate_limited", Retry_After=date), found
    )
    connect(server.url).result(TASK)
    assert pauses[0] == 7
    assert 20 < pauses[1] <= 30


def test_a_pause_without_retry_after_doubles_up_to_eight_seconds(
    unreliable: Start, connect: Connect, pauses: list[float]
) -> None:
    server = unreliable(*[resets] * 9)
    with pytest.raises(NoServerError):
        connect(server.url, retries=8).result(TASK)
    for number, pause in enumerate(pauses):
        longest = min(0.25 * 2**number, 8)
        assert longest / 2 <= pause <= longest
    assert len(pauses) == 8
    assert len({pause / min(0.25 * 2**number, 8) for number, pause in enumerate(pauses)}) > 1, "no jitter"


def test_a_server_that_asks_to_wait_for_long_is_not_waited_for(
    unreliable: Start, connect: Connect, pauses: list[float]
) -> None:
    server = unreliable(problem(429, "rate_limited", Retry_After="3600"))
    with pytest.raises(RateLimitedError) as caught:
        connect(server.url).result(TASK)
    assert (caught.value.retry_after_s, pauses) == (3600, [])


def test_the_last_error_is_raised_when_the_retries_are_used_up(unreliable: Start, connect: Connect) -> None:
    server = unreliable(resets, problem(503, "store_unavailable"), problem(503, "overloaded", Retry_After="2"))
    with pytest.raises(UnavailableError) as caught:
        connect(server.url, retries=2).result(TASK)
    assert (caught.value.code, caught.value.retry_after_s, len(server.asked)) == ("overloaded", 2, 3)


@pytest.mark.parametrize(
    ("status", "kind"),
    [
        (400, InvalidRequestError),
        (401, AuthenticationError),
        (403, PermissionDeniedError),
        (404, NotFoundError),
        (405, ApiError),
        (409, ConflictError),
        (413, InvalidRequestError),
        (415, InvalidRequestError),
        (422, InvalidRequestError),
        (500, ApiError),
        (507, UnavailableError),
    ],
)
def test_a_refusal_is_an_error_of_its_kind_and_not_asked_for_again(
    status: int, kind: type[ApiError], unreliable: Start, connect: Connect
) -> None:
    server = unreliable(problem(status, "some_code"))
    with pytest.raises(CallboardError) as caught:
        connect(server.url).task(TASK)
    error = caught.value
    assert type(error) is kind
    assert isinstance(error, ApiError)
    assert (error.status, error.code, error.message) == (status, "some_code", "About some_code.")
    assert (error.request_id, error.details) == ("r1", {"a": 1})


def test_a_submission_is_sent_again_with_the_same_key(unreliable: Start, connect: Connect) -> None:
    server = unreliable(resets, problem(503, "reply_timeout"), accepted)
    assert connect(server.url).submit("2 + 2", session_id="alice").task_id == TASK
    keys = {asked.headers["idempotency-key"] for asked in server.asked}
    assert (len(server.asked), len(keys)) == (3, 1)
    assert {asked.body for asked in server.asked} == {server.asked[0].body}


def test_two_submissions_have_different_keys_and_a_given_key_is_kept(unreliable: Start, connect: Connect) -> None:
    server = unreliable(accepted, accepted, accepted)
    client = connect(server.url)
    client.submit("2 + 2")
    client.submit("2 + 2")
    client.submit("2 + 2", idempotency_key="mine")
    first, second, third = (asked.headers["idempotency-key"] for asked in server.asked)
    assert first != second
    assert third == "mine"


@pytest.mark.parametrize("failure", [resets, problem(503, "actor_crashed"), problem(429, "rate_limited")])
@pytest.mark.parametrize(
    "ask",
    [
        lambda client: client.decide(TASK, "approve"),
        lambda client: client.retry(TASK),
        lambda client: client.redrive(TASK),
    ],
    ids=["decide", "retry", "redrive"],
)
def test_what_could_be_done_twice_is_not_sent_again_once_it_has_left(
    ask: Callable[[Client], object], failure: Callable[..., None], unreliable: Start, connect: Connect
) -> None:
    server = unreliable(failure, accepted)
    with pytest.raises(CallboardError):
        ask(connect(server.url))
    assert len(server.asked) == 1


def test_what_has_not_left_is_sent_again_whatever_it_does(unreliable: Start, connect: Connect) -> None:
    server = unreliable(accepted)
    server.down()
    assert connect(server.url, during=server.up).retry(TASK).task_id == TASK


def test_a_cancel_is_sent_again(unreliable: Start, connect: Connect) -> None:
    cancelled = {"success": True, "message": "Task cancelled", "taskId": TASK, "status": "cancelled"}
    server = unreliable(resets, problem(503, "reply_timeout"), answer(200, cancelled))
    assert connect(server.url).cancel(TASK).status == "cancelled"


def test_no_server_is_said_with_the_address_and_what_to_do(unreliable: Start, connect: Connect) -> None:
    server = unreliable()
    server.down()
    with pytest.raises(NoServerError, match=rf"{server.url}.*callboard serve"):
        connect(server.url, retries=1).health()


@pytest.mark.skipif(shutil.which("openssl") is None, reason="openssl is not installed")
def test_a_certificate_that_nobody_vouches_for_is_refused(connect: Connect, tmp_path: Path) -> None:
    made = ("-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days", "2")
    files = {"-keyout": str(tmp_path / "key.pem"), "-out": str(tmp_path / "certificate.pem")}
    named = ("-subj", "/CN=localhost", "-addext", "subjectAltName=IP:127.0.0.1")
    subprocess.run(["openssl", "req", *made, *chain(*files.items()), *named], check=True, capture_output=True)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(files["-out"], files["-keyout"])
    with socket.create_server(("127.0.0.1", 0)) as listening:

        def answer_one() -> None:
            with suppress(ssl.SSLError, OSError), context.wrap_socket(listening.accept()[0], server_side=True):
                pass

        thread = threading.Thread(target=answer_one)
        thread.start()
        with pytest.raises(NoServerError, match="certificate verify failed"):
            connect(f"https://127.0.0.1:{listening.getsockname()[1]}", retries=0).health()
        thread.join(10)


def test_a_server_that_does_not_answer_in_time_may_have_done_what_was_asked(
    unreliable: Start, connect: Connect
) -> None:
    server = unreliable(hangs)
    with pytest.raises(NoServerError, match="may still have done"):
        connect(server.url, timeout_s=0.05).decide(TASK, "approve")


@pytest.mark.parametrize(
    "stranger",
    [
        answer(200, b"<html>hello</html>"),
        answer(404, b"not here"),
        answer(200, b"[1]"),
        answer(500, {"oops": 1}),
        no_content,
    ],
)
def test_what_is_no_callboard_is_said_to_be_none(
    stranger: Callable[..., None], unreliable: Start, connect: Connect
) -> None:
    server = unreliable(stranger)
    with pytest.raises(NoServerError, match="is no Callboard"):
        connect(server.url).task(TASK)


def test_an_answer_that_is_not_compressed_as_it_says_is_no_traceback_of_a_library(
    unreliable: Start, connect: Connect
) -> None:
    def garbled(wire: Wire) -> None:
        wire.send(b"HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Length: 4\r\n\r\nnone")

    with pytest.raises(NoServerError, match="cannot be read"):
        connect(unreliable(garbled).url).result(TASK)


@pytest.mark.parametrize("fields", [{"labels": {"a": float("nan")}}, {"session_id": "\udcff"}])
def test_what_no_request_can_carry_is_refused_and_not_sent(
    fields: dict[str, Any], unreliable: Start, connect: Connect
) -> None:
    server = unreliable()
    client = connect(server.url)
    with pytest.raises(InvalidRequest, match="cannot be written"):
        client.submit("2 + 2", **fields)
    with pytest.raises(InvalidRequest, match="cannot be written"):
        next(client.tasks(q="\udcff"))
    for key in ("ü", "two\nlines"):
        with pytest.raises(InvalidRequest, match="Idempotency-Key can be printable ASCII"):
            client.submit("2 + 2", idempotency_key=key)
        with pytest.raises(ConfigurationError, match="API key"):
            connect(server.url, api_key=key)
    assert not server.asked


def test_an_answer_that_lacks_what_it_must_have_is_no_traceback_of_a_library(
    unreliable: Start, connect: Connect
) -> None:
    server = unreliable(answer(200, {"success": True, "result": {"taskId": TASK}}), answer(200, {"success": True}))
    client = connect(server.url)
    for _ in range(2):
        with pytest.raises(NoServerError, match="cannot be read"):
            client.result(TASK)


@pytest.mark.parametrize(
    "url", ["127.0.0.1:99999", "ftp://host", "http://", "http://[::1", "not an address", "http://xn--a", ""]
)
def test_an_address_that_is_none_is_refused_at_once(url: str) -> None:
    with pytest.raises(ConfigurationError, match=r"such as http://127\.0\.0\.1:3000"):
        Client(url)


def test_the_key_and_the_address_come_from_the_caller_only(
    unreliable: Start, connect: Connect, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("HTTP_PROXY", "ALL_PROXY", "http_proxy"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")
    monkeypatch.setenv("API_KEY", "not-this")
    server = unreliable(found, found)
    connect(server.url + "/").result(TASK)
    connect(server.url, api_key="mine").result(TASK)
    assert ["x-api-key" in asked.headers for asked in server.asked] == [False, True]
    assert server.asked[1].headers["x-api-key"] == "mine"


def test_an_unhealthy_server_is_an_answer_and_no_error(unreliable: Start, connect: Connect) -> None:
    body = {"status": "unhealthy", "version": "0.1.0", "uptime": 1.5, "services": {"store": False}, "problems": ["No."]}
    server = unreliable(answer(503, body))
    health = connect(server.url).health()
    assert (health.status, health.services, health.problems) == ("unhealthy", {"store": False}, ["No."])


def test_ids_are_quoted_in_paths(unreliable: Start, connect: Connect) -> None:
    server = unreliable(*[problem(404, "task_not_found")] * 3)
    client = connect(server.url)
    for task_id in ("a/b?c#d", "ü", "\udcff"):
        with pytest.raises(NotFoundError):
            client.task(task_id)
    assert [asked.target for asked in server.asked] == [
        "/agent/tasks/a%2Fb%3Fc%23d",
        "/agent/tasks/%C3%BC",
        "/agent/tasks/%3F",
    ]


@pytest.mark.parametrize("task_id", ["", ".", ".."])
def test_an_id_that_would_make_another_path_is_not_sent(task_id: str, unreliable: Start, connect: Connect) -> None:
    server = unreliable()
    with pytest.raises(InvalidRequest, match="is no id"):
        connect(server.url).cancel(task_id)
    assert not server.asked


def test_a_list_is_read_page_by_page_and_goes_on_behind_an_empty_page(unreliable: Start, connect: Connect) -> None:
    pages = [([result(1), result(2)], "c1"), ([], "c2"), ([result(3)], None)]
    server = unreliable(
        *(answer(200, {"success": True, "results": found, "nextCursor": cursor}) for found, cursor in pages)
    )
    tasks = connect(server.url).tasks(status="completed", q="12 times", agent="master")
    assert not server.asked, "it is asked for when it is read"
    assert [task.output for task in tasks] == [1, 2, 3]
    assert server.asked[0].target == "/agent/results?status=completed&agent=master&q=12+times&limit=100"
    assert [asked.target.partition("&cursor=")[2] for asked in server.asked] == ["", "c1", "c2"]


def test_a_log_is_read_page_by_page_until_it_ends_or_there_is_no_more_now(unreliable: Start, connect: Connect) -> None:
    entry = {"taskId": TASK, "topic": "agent.step.started", "timestamp": "2026-01-08T12:00:00.123Z", "data": {}}

    def page(*seqs: int, ended: bool) -> Callable[..., None]:
        events = [{**entry, "seq": seq} for seq in seqs]
        return answer(200, {"success": True, "events": events, "ended": ended, "nextAfter": max(seqs, default=0)})

    server = unreliable(page(3, 4, ended=False), page(5, ended=True), page(6, ended=False), page(ended=False))
    client = connect(server.url)
    assert [(event.seq, event.cursor) for event in client.log(TASK, after=2)] == [(3, "3"), (4, "4"), (5, "5")]
    assert [event.seq for event in client.log(TASK)] == [6]
    assert [asked.target.partition("?")[2] for asked in server.asked] == ["after=2", "after=4", "", "after=6"]
