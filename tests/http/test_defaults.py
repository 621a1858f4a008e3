"""What is sent as the document says it is anyway counts as not sent: clients that are made from the document do that."""

from __future__ import annotations

from itertools import product
from typing import TYPE_CHECKING, Any

import pytest
from pydantic_core import to_jsonable_python

from callboard import __version__
from callboard.budget import Budget
from callboard.http.decision import DecisionSpec
from callboard.http.openapi import openapi_document
from callboard.task_spec import Attachment, RetryPolicy, TaskSpec

if TYPE_CHECKING:
    from pydantic import BaseModel

    from tests.http.conftest import Running

DOCUMENT = openapi_document(__version__)
WITH_DEFAULTS = [
    (path, operation)
    for path, item in DOCUMENT["paths"].items()
    for operation in item.values()
    if any("default" in parameter.get("schema", ()) for parameter in operation.get("parameters", ()))
]
FILTERS = {
    "sessionId": "defaults", "status": "completed", "agent": "master", "q": "1", "topic": "agent.task.*",
    "state": "pending",
}  # fmt: skip
BODIES: list[tuple[str, type[BaseModel]]] = [
    ("/agent/execute", TaskSpec),
    ("/agent/tasks/{taskId}/decide", DecisionSpec),
]


@pytest.fixture
def task_id(shared: Running) -> str:
    task_id: str = shared.result("What is 1 + 1?", sessionId="defaults")["taskId"]
    return task_id


def _timeless(value: Any) -> Any:
    """Return an answer without what changes from one to the next."""
    return {key: inner for key, inner in value.items() if key != "requestId"} if isinstance(value, dict) else value


@pytest.mark.parametrize(("path", "operation"), WITH_DEFAULTS, ids=[path for path, _ in WITH_DEFAULTS])
def test_every_default_can_be_sent_alone_and_with_any_filter(
    shared: Running, task_id: str, path: str, operation: dict[str, Any]
) -> None:
    parameters = [one for one in operation["parameters"] if one.get("in") == "query"]
    defaults = {one["name"]: one["schema"]["default"] for one in parameters if "default" in one.get("schema", ())}
    known = {**FILTERS, "taskId": task_id, "parentId": task_id}
    filters = [{}, *({one["name"]: known[one["name"]]} for one in parameters if one["name"] in known)]
    address = path.replace("{taskId}", task_id).replace("{sessionId}", "defaults")
    kinds = ["application/json", "text/event-stream"] if "stream" in str(operation["responses"]["200"]) else ["*/*"]
    for chosen, accept in product(filters, kinds):
        method = "HEAD" if "stream" in accept else "GET"  # which answers as GET would, and ends

        def ask(method: str = method, accept: str = accept, **query: Any) -> tuple[int, str | None, Any]:
            reply = shared.client.request(method, address, params=query, headers={"Accept": accept})
            return reply.status_code, reply.headers["content-type"], _timeless(reply.json()) if reply.content else None

        for sent in (defaults, *({name: default} for name, default in defaults.items())):
            for _ in range(5):  # a task of another test may tell of something between the two answers
                without, with_it = ask(**chosen), ask(**chosen, **sent)
                if with_it == without:
                    break
            assert without[0] == 200, (chosen, without)
            assert with_it == without, (chosen, sent)


def test_what_is_not_the_default_is_refused_where_it_has_no_meaning(shared: Running, task_id: str) -> None:
    stream = {"Accept": "text/event-stream"}
    for address, headers in (
        (f"/agent/results?taskId={task_id}&limit=11", {}),
        (f"/agent/results?taskId={task_id}&limit=0", {}),
        (f"/agent/results?taskId={task_id}&limit=10&status=completed", {}),
        (f"/agent/tasks/{task_id}/events?limit=5", stream),
        (f"/agent/tasks/{task_id}/events?wait=5", stream),
        ("/agent/events?limit=5", stream),
        ("/agent/events?wait=0.5", stream),
    ):
        reply = shared.client.get(address, headers=headers)
        assert (reply.status_code, reply.json()["code"]) == (400, "invalid_request"), address


def _defaults(model: type[BaseModel]) -> dict[str, Any]:
    """Return every field of a body that has a default, with that, as clients in Python send it that are made of a model."""
    fields = {field.alias or name: field for name, field in model.model_fields.items()}
    # null is a value of `result` like any other
    optional = {name: field for name, field in fields.items() if not field.is_required() and name != "result"}
    return {name: to_jsonable_python(field.get_default(call_default_factory=True)) for name, field in optional.items()}


@pytest.mark.parametrize(("path", "model"), BODIES, ids=[path for path, _ in BODIES])
def test_every_default_of_a_body_can_be_sent(shared: Running, task_id: str, path: str, model: type[BaseModel]) -> None:
    content = DOCUMENT["paths"][path]["post"]["requestBody"]["content"]["application/json"]
    defaults = _defaults(model)
    assert defaults
    for example in content["examples"].values():
        body = {name: value for name, value in example["value"].items() if name != "sessionId"}
        address = path.replace("{taskId}", task_id)

        def ask(body: dict[str, Any], address: str = address) -> tuple[int, Any]:
            reply = shared.client.post(address, json=body)
            return reply.status_code, reply.json().get("message")

        without = ask(body)
        assert without[0] in (200, 409)  # the task is not paused
        assert ask({**defaults, **body}) == without
        for name, default in defaults.items():
            assert ask({name: default, **body}) == without, name


def test_every_default_of_an_object_in_a_body_can_be_sent(shared: Running) -> None:
    for field, model in (("budget", Budget), ("retry", RetryPolicy)):
        for sent in ({}, _defaults(model)):
            assert shared.execute("What is 1 + 1?", **{field: sent}).status_code == 200, (field, sent)
    file = {"name": "a.csv", "mediaType": "text/csv", "data": "YQo="}
    for attachment in (file, {**_defaults(Attachment), **file}):
        assert shared.execute("How many rows?", attachments=[attachment]).status_code == 200
