"""Webhooks over HTTP: a task with a callbackUrl, the list of deliveries, and sending one again."""

from __future__ import annotations

import threading
import time
from typing import TYPE_CHECKING, Any

import jsonschema_rs
import pytest
from standardwebhooks import Webhook

from callboard import __version__
from callboard.http.openapi import openapi_document
from callboard.task_spec import TaskSpec
from tests.receiver import Receiver, answer, receiving

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from tests.http.conftest import Running

NO_DELIVERY = "0198c0de-0000-7000-8000-000000000000"
DOCUMENT = openapi_document(__version__)


def described_task() -> Any:
    components = DOCUMENT["components"]
    return jsonschema_rs.Draft202012Validator({"$ref": "#/components/schemas/TaskSpec", "components": components})


@pytest.fixture
def calling(start_server: Callable[..., Running]) -> Running:
    """A server that may call 127.0.0.1."""
    return start_server(webhook_allow_private=True)


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    with receiving(answer(200)) as one:
        yield one


def ended(running: Running, task_id: str) -> dict[str, Any]:
    """Return the delivery of a task once it is over."""
    deadline = time.monotonic() + 60
    while True:
        page = running.client.get("/agent/deliveries", params={"taskId": task_id}).json()
        if page["count"] and page["deliveries"][0]["endedAt"] is not None:
            found: dict[str, Any] = page["deliveries"][0]
            return found
        assert time.monotonic() < deadline, page
        threading.Event().wait(0.005)


def fits(model: str, value: Any) -> bool:
    schema = {"$ref": f"#/components/schemas/{model}", "components": DOCUMENT["components"]}
    return bool(jsonschema_rs.Draft202012Validator(schema).is_valid(value))


def test_the_webhook_holds_the_result_as_results_show_it(calling: Running, receiver: Receiver) -> None:
    task_id = calling.execute("What is 12 times 7?", callbackUrl=receiver.url).json()["taskId"]
    message = receiver.next()
    secret = (calling.system.settings.data_dir / "webhook.secret").read_text()
    told = Webhook(secret).verify(message.body, message.headers)
    shown = calling.client.get("/agent/results", params={"taskId": task_id}).json()["result"]
    whole = {f"{name}Truncated": False for name in ("task", "output", "error", "metadata")}
    assert told == {"type": "agent.task.completed", "timestamp": shown["timestamp"], "data": {**shown, **whole}}
    assert calling.client.get(f"/agent/tasks/{task_id}").json()["callbackUrl"] == receiver.url


def test_a_delivery_can_be_read_alone_and_in_the_list(calling: Running, receiver: Receiver) -> None:
    delivery = ended(calling, calling.result("2 + 2", callbackUrl=receiver.url)["taskId"])
    alone = calling.client.get(f"/agent/deliveries/{delivery['deliveryId']}")
    assert alone.json() == {"success": True, "delivery": delivery}
    assert fits("DeliveryReply", alone.json())
    assert (delivery["state"], delivery["attempts"], delivery["statusCode"]) == ("delivered", 1, 200)
    assert (delivery["type"], delivery["url"]) == ("agent.task.completed", receiver.url)
    assert (delivery["error"], delivery["nextAt"]) == (None, None)


def test_the_list_is_cut_by_state_and_in_pages(calling: Running, receiver: Receiver) -> None:
    ids = [calling.result(f"{n} + 2", callbackUrl=receiver.url)["taskId"] for n in range(3)]
    for task_id in ids:
        ended(calling, task_id)
    first = calling.client.get("/agent/deliveries", params={"state": "delivered", "limit": 2}).json()
    rest = calling.client.get("/agent/deliveries", params={"limit": 2, "cursor": first["nextCursor"]}).json()
    assert fits("DeliveryList", first)
    assert [d["taskId"] for d in first["deliveries"] + rest["deliveries"]] == ids[::-1]
    assert (first["count"], rest["count"], rest["nextCursor"]) == (2, 1, None)
    assert calling.client.get("/agent/deliveries", params={"state": "failed"}).json()["deliveries"] == []
    assert calling.client.get("/agent/deliveries", params={"taskId": NO_DELIVERY}).json()["count"] == 0


def test_a_delivery_that_failed_is_sent_again_on_request(calling: Running) -> None:
    with receiving(answer(410), answer(200)) as receiver:
        failed = ended(calling, calling.result("2 + 2", callbackUrl=receiver.url)["taskId"])
        assert (failed["state"], failed["statusCode"]) == ("failed", 410)
        again = calling.client.post(f"/agent/deliveries/{failed['deliveryId']}/redrive")
        assert again.status_code == 200
        assert fits("DeliveryReply", again.json())
        assert (again.json()["delivery"]["state"], again.json()["delivery"]["attempts"]) == ("pending", 0)
        assert ended(calling, failed["taskId"])["state"] == "delivered"
        assert receiver.next().headers["webhook-id"] == receiver.next().headers["webhook-id"]


def test_the_answers_are_in_msgpack_too(calling: Running) -> None:
    reply = calling.client.get("/agent/deliveries", headers={"Accept": "application/msgpack"})
    assert reply.headers["content-type"] == "application/msgpack"


@pytest.mark.parametrize(
    ("method", "path"),
    [("GET", NO_DELIVERY), ("POST", f"{NO_DELIVERY}/redrive"), ("GET", "no~id"), ("POST", "no~id/redrive")],
)
def test_an_unknown_delivery_is_not_found(
    shared: Running, assert_problem: Callable[..., dict[str, Any]], method: str, path: str
) -> None:
    assert_problem(shared.client.request(method, f"/agent/deliveries/{path}"), 404, "delivery_not_found")


@pytest.mark.parametrize(
    "query", [{"state": "lost"}, {"limit": "0"}, {"limit": "101"}, {"cursor": "x"}, {"status": "failed"}]
)
def test_a_wrong_query_is_refused(
    shared: Running, assert_problem: Callable[..., dict[str, Any]], query: dict[str, str]
) -> None:
    assert_problem(shared.client.get("/agent/deliveries", params=query), 400, "invalid_request")


def test_a_redrive_takes_no_fields(shared: Running, assert_problem: Callable[..., dict[str, Any]]) -> None:
    reply = shared.client.post(f"/agent/deliveries/{NO_DELIVERY}/redrive", json={"now": True})
    assert_problem(reply, 400, "invalid_request")


@pytest.mark.parametrize(
    "url", ["http://127.0.0.1:9/x", "http://0x7f000001/", "http://[::ffff:10.0.0.1]/", "http://localhost/"]
)
def test_a_callback_that_is_not_public_is_refused_by_name(
    shared: Running, assert_problem: Callable[..., dict[str, Any]], url: str
) -> None:
    body = assert_problem(shared.execute("2 + 2", callbackUrl=url), 400, "callback_refused")
    assert "callbackUrl" in body["message"]


NO_ADDRESSES = [
    12,
    "",
    "ftp://example.com/",
    "example.com",
    "http://",
    "http://user@example.com/",
    "http://@example.com/",
    "http://exämple.com/",
    "http://example.com/ü",
    "http://example.com/a b",
    "http://example.com/a\n",
    "http://ex%00ample.com/",
    "http://ex%61mple.com/",
    "http://example.com\\x/",
    "http://ex_ample.com/",
    "http://example.com:0/",
    "http://example.com:65536/",
    "http://example.com:x/",
    "http://[::1/",
    "http://[2001:db8::1]x/",
    "http://x[2001:db8::1]/",
    "http://[2001:db8::1%25eth0]/",
    "http://[v1.x]/",
]


@pytest.mark.parametrize("url", NO_ADDRESSES)
def test_a_callback_that_is_no_address_is_refused(
    shared: Running, assert_problem: Callable[..., dict[str, Any]], url: Any
) -> None:
    body = assert_problem(shared.execute("2 + 2", callbackUrl=url), 400, "invalid_request")
    assert body["message"].startswith("callbackUrl ")


ADDRESSES = [
    "http://example.com",
    "HTTPS://xn--exmple-cua.com./%C3%BC?a=b#c",
    "http://192.0.2.1:08080/x",
    "http://[2001:db8::1]:8080?x",
    "http://example.com:/",
]


@pytest.mark.parametrize("url", ADDRESSES)
def test_the_description_of_a_callback_fits_what_is_taken(url: str) -> None:
    assert TaskSpec(task="2 + 2", callback_url=url).callback_url == url
    assert described_task().is_valid({"task": "2 + 2", "callbackUrl": url})


@pytest.mark.parametrize("url", [url for url in NO_ADDRESSES if url != "http://example.com:65536/"])
def test_the_description_of_a_callback_fits_what_is_refused(url: Any) -> None:
    assert not described_task().is_valid({"task": "2 + 2", "callbackUrl": url})
