"""The OpenAPI document: complete, valid, and true of real answers."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

import jsonschema_rs
import pytest

from callboard import __version__
from callboard.http.app import build_app
from callboard.http.openapi import openapi_document
from callboard.task_spec import TaskSpec

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.http.conftest import Running

DOCUMENT = openapi_document(__version__)
NO_TASK = "0198c0de-0000-7000-8000-000000000000"


def _validator(schema: dict[str, Any]) -> Any:
    return jsonschema_rs.Draft202012Validator({**schema, "components": DOCUMENT["components"]})


def described(method: str, path: str, status: int) -> Any:
    responses = DOCUMENT["paths"][path][method.lower()]["responses"]
    response = responses[str(status)]
    if "$ref" in response:
        response = DOCUMENT["components"]["responses"][str(status)]
    return _validator(response["content"]["application/json"]["schema"])


def test_the_server_gives_the_document_that_the_command_line_prints(shared: Running) -> None:
    reply = shared.client.get("/openapi.json")
    assert reply.headers["content-type"] == "application/json"
    assert reply.json() == DOCUMENT


def test_every_schema_of_the_document_is_a_valid_one() -> None:
    assert DOCUMENT["openapi"].startswith("3.1")
    for schema in DOCUMENT["components"]["schemas"].values():
        jsonschema_rs.Draft202012Validator({**schema, "components": DOCUMENT["components"]})
        assert jsonschema_rs.meta.is_valid({**schema, "$schema": "https://json-schema.org/draft/2020-12/schema"})


def test_every_reference_of_the_document_leads_somewhere() -> None:
    for reference in re.findall(r"'\$ref': '#/([^']+)'", str(DOCUMENT)):
        found: Any = DOCUMENT
        for part in reference.split("/"):
            found = found[part]


def test_every_route_is_in_the_document_and_every_operation_is_a_route(shared: Running) -> None:
    app = build_app(shared.system)
    described = {(method.upper(), path) for path, item in DOCUMENT["paths"].items() for method in item}
    for method, path in described:
        found = app._router.find(path.replace("{", "").replace("}", ""))
        assert found is not None, path
        assert method in found[1], (method, path)
    routes = {
        (method, re.sub(r"\{(\w+)\}", lambda m: "{" + re.sub(r"_(\w)", lambda c: c[1].upper(), m[1]) + "}", template))
        for template, methods in _routes(app)
        for method in methods
    }
    assert routes - described == {("GET", "/docs"), ("GET", "/console"), ("GET", "/console/{name:path}")}


def _routes(app: Any) -> list[tuple[str, set[str]]]:
    from falcon.inspect import inspect_routes

    hidden = {"OPTIONS", "HEAD"}
    return [(r.path, {m.method for m in r.methods if not m.internal} - hidden) for r in inspect_routes(app)]


def test_the_request_is_described_by_the_model_that_validates() -> None:
    body = DOCUMENT["paths"]["/agent/execute"]["post"]["requestBody"]
    assert body["content"]["application/json"]["schema"] == {"$ref": "#/components/schemas/TaskSpec"}
    described = DOCUMENT["components"]["schemas"]["TaskSpec"]
    assert described["properties"].keys() == {field.alias for field in TaskSpec.model_fields.values()}
    assert described["additionalProperties"] is False


@pytest.mark.parametrize(
    "body",
    [
        {},
        {"task": ""},
        {"task": " "},
        {"task": "a", "x": 1},
        {"task": "a", "priority": 101},
        {"task": "a", "budget": {"costUsd": "1"}},
        {"task": "a", "attachments": [{"name": "a", "mediaType": "text/csv", "data": "a"}]},
        {"task": "a", "attachments": [{"name": "a", "mediaType": "text/csv", "data": "", "url": "http://x"}]},
        {"task": "a", "attachments": [{"name": "a", "mediaType": "text/csv", "data": None, "url": None}]},
    ],
)
def test_what_is_refused_does_not_fit_the_description(shared: Running, body: dict[str, Any]) -> None:
    assert shared.client.post("/agent/execute", json=body).status_code == 400
    assert not _validator(DOCUMENT["components"]["schemas"]["TaskSpec"]).is_valid(body)


def test_real_answers_fit_their_descriptions(shared: Running, blocked: Callable[..., str]) -> None:
    done = shared.result("What is 3 * 3?", sessionId="described", labels={"a": 1, "b": "x"}, systemPrompt="p")
    failed = shared.result("Please paint the fence.")
    file = {"name": "a.csv", "mediaType": "text/csv", "data": "YQ=="}
    body: dict[str, Any] = {"task": "What is 3 * 4?", "attachments": [file], "budget": {"costUsd": 1.5}}
    assert _validator(DOCUMENT["components"]["schemas"]["TaskSpec"]).is_valid(body)
    filed = shared.execute(**body).json()
    waiting = blocked(sessionId="described-too")
    asked = [
        ("GET", "/agent/results", "/agent/results", {}),
        *(("GET", "/agent/results", "/agent/results", {"taskId": t}) for t in (done["taskId"], waiting, NO_TASK)),
        ("GET", "/agent/results", "/agent/results", {"limit": "0"}),
        *(
            ("GET", "/agent/tasks/{taskId}", f"/agent/tasks/{t}", {})
            for t in (done["taskId"], failed["taskId"], filed["taskId"], waiting, NO_TASK)
        ),
        *(
            ("GET", "/agent/tasks/{taskId}/events", f"/agent/tasks/{t}/events", {})
            for t in (done["taskId"], failed["taskId"], waiting, NO_TASK)
        ),
        ("POST", "/agent/tasks/{taskId}/cancel", f"/agent/tasks/{done['taskId']}/cancel", {}),
        ("DELETE", "/agent/sessions/{sessionId}", "/agent/sessions/described-too", {}),
        ("POST", "/agent/tasks/{taskId}/cancel", f"/agent/tasks/{waiting}/cancel", {}),
        ("GET", "/agent/sessions/{sessionId}", "/agent/sessions/described", {}),
        ("DELETE", "/agent/sessions/{sessionId}", "/agent/sessions/described", {}),
        ("DELETE", "/agent/sessions/{sessionId}", "/agent/sessions/described", {}),
        ("GET", "/agent/skills", "/agent/skills", {}),
        ("GET", "/agent/skills/{name}", "/agent/skills/summarize", {}),
        ("GET", "/agent/skills/{name}", "/agent/skills/fly", {}),
        ("GET", "/agent/agents", "/agent/agents", {}),
        ("GET", "/health", "/health", {}),
        ("GET", "/health/live", "/health/live", {}),
        ("GET", "/health/ready", "/health/ready", {}),
        ("GET", "/", "/", {}),
        ("POST", "/agent/execute", "/agent/execute", {}),
    ]
    for method, template, path, params in asked:
        reply = shared.client.request(method, path, params=params)
        errors = list(described(method, template, reply.status_code).iter_errors(reply.json()))
        assert not errors, (method, path, reply.status_code, errors[0])
    execute = described("POST", "/agent/execute", 200)
    assert execute.is_valid(done)
    assert execute.is_valid(failed)
    assert execute.is_valid(shared.execute("What is 1 + 1?").json())
    assert not execute.is_valid({**done, "surprise": 1})
