"""The OpenAPI document: complete, valid, and true of real answers."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

import jsonschema_rs
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from pydantic import TypeAdapter, ValidationError

from callboard import __version__
from callboard.http.app import build_app
from callboard.http.openapi import openapi_document
from callboard.task_spec import CallbackUrl, FileName, MediaType, TaskSpec, TaskText
from tests.http.conformance import check_documented
from tests.profiles import examples

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


def test_options_and_a_refusal_of_a_method_name_the_same_ones_on_every_path(shared: Running) -> None:
    for path in (*DOCUMENT["paths"], "/docs", "/console", "/console/console.js"):
        allowed = shared.client.options(path).headers["allow"]
        assert "OPTIONS" in allowed.split(", "), path
        assert shared.client.patch(path).headers["allow"] == allowed, path


def _routes(app: Any) -> list[tuple[str, set[str]]]:
    from falcon.inspect import inspect_compiled_router

    hidden = {"OPTIONS", "HEAD"}
    return [
        (r.path, {m.method for m in r.methods if not m.internal} - hidden) for r in inspect_compiled_router(app._router)
    ]


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
        {"task": "a", "attachments": [{"name": ".attached-x", "data": ""}]},
        {"task": "a", "attachments": [{"name": "a\u200db", "data": ""}]},
        {"task": "a", "attachments": [{"name": "..", "data": ""}]},
        {"task": "a", "attachments": [{"name": "a", "mediaType": "csv", "data": ""}]},
        {"task": "a", "attachments": None},
        {"task": "a", "priority": None},
        {"task": "a", "labels": None},
        {"task": "a", "labels": {"": 1}},
        {"task": "a", "labels": {"a\0": 1}},
        {"task": "a", "labels": {"a": None}},
        {"task": "a", "labels": {str(n): n for n in range(33)}},
        {"task": "\ufeff"},
        {"task": "\x1c \x85"},
        {"task": "a\0"},
        {"task": "a", "systemPrompt": "\0"},
        {"task": "a", "agent": ""},
        {"task": "a", "availableSkills": [""]},
        {"task": "a", "timeoutMs": 0},
        {"task": "a", "retry": {"maxAttempts": 21}},
        {"task": "a", "callbackUrl": "http://example.com:65536/"},
        {"task": "a", "callbackUrl": "http://[::1::]/"},
    ],
)
def test_what_is_refused_does_not_fit_the_description(shared: Running, body: dict[str, Any]) -> None:
    assert shared.client.post("/agent/execute", json=body).status_code == 400
    assert not _validator(DOCUMENT["components"]["schemas"]["TaskSpec"]).is_valid(body)


@pytest.mark.parametrize(
    "body",
    [
        {
            "task": "a",
            "sessionId": None,
            "agent": None,
            "retry": None,
            "budget": None,
            "timeoutMs": None,
            "callbackUrl": None,
        },
        {"task": " \ufeffa\n", "labels": {"a": 1e30, "b": -1, "c": ""}, "timeoutMs": 5.0},
        {"task": "a", "attachments": [{"name": "❤\ufe0f.csv", "data": "", "url": None, "mediaType": " text/csv "}]},
        {"task": "a", "attachments": [{"name": "...", "data": ""}]},
        {"task": "a", "budget": {"tokens": None, "costUsd": 1}, "retry": {}},
    ],
)
def test_what_is_taken_fits_the_description(shared: Running, body: dict[str, Any]) -> None:
    assert shared.client.post("/agent/execute", json=body).status_code == 200
    assert _validator(DOCUMENT["components"]["schemas"]["TaskSpec"]).is_valid(body)


FIELDS = {
    "TaskSpec.callbackUrl": CallbackUrl,
    "AttachedBytes.name": FileName,
    "AttachedBytes.mediaType": MediaType,
    "TaskSpec.task": TaskText,
}


@pytest.mark.parametrize("name", FIELDS)
@examples(150)
@given(data=st.data())
def test_a_text_is_taken_exactly_where_it_fits_its_schema(name: str, data: st.DataObject) -> None:
    model, _, field = name.partition(".")
    described = DOCUMENT["components"]["schemas"][model]["properties"][field]
    described = described.get("anyOf", [described])[0]
    near = st.from_regex(described["pattern"].removesuffix("$") + r"\Z") | st.text(NEAR, max_size=12)
    text = data.draw(near)
    assume(not re.search("[\U000e0000-\U000e0fff]", text) and len(text.encode("utf-8", "surrogatepass")) < 255)
    try:
        TypeAdapter(FIELDS[name]).validate_python(text)
    except ValidationError:
        taken = False
    else:
        taken = True
    assert _validator(described).is_valid(text) == taken


NEAR = "aA1.-/:[]? \t\n\\#\ufeff\u200d\ufe0fé漢\x1c\x85;=\0"


def test_no_field_has_a_default_and_null_stands_only_where_it_is_taken() -> None:
    for name, schema in DOCUMENT["components"]["schemas"].items():
        for field, found in schema.get("properties", {}).items():
            assert "default" not in found, (name, field)
    fields = DOCUMENT["components"]["schemas"]["TaskSpec"]["properties"]
    nullable = {name for name, found in fields.items() if {"type": "null"} in found.get("anyOf", ())}
    assert nullable == {f.alias for f in TaskSpec.model_fields.values() if f.default is None}


def test_every_example_fits_its_schema() -> None:
    bodies = [o["requestBody"] for item in DOCUMENT["paths"].values() for o in item.values() if "requestBody" in o]
    kinds = [kind for body in bodies for kind in body["content"].values() if "examples" in kind]
    assert kinds
    for kind in kinds:
        for example in kind["examples"].values():
            _validator(kind["schema"]).validate(example["value"])


def test_operations_have_names_words_and_tags_that_are_described() -> None:
    operations = [operation for item in DOCUMENT["paths"].values() for operation in item.values()]
    names = [operation["operationId"] for operation in operations]
    assert len(names) == len(set(names))
    assert all(operation["summary"] and operation["description"] for operation in operations)
    told = [tag["name"] for tag in DOCUMENT["tags"]]
    assert [*dict.fromkeys(tag for operation in operations for tag in operation["tags"])] == told


def test_links_lead_from_what_an_answer_has_to_what_an_operation_takes() -> None:
    operations = {o["operationId"]: o for item in DOCUMENT["paths"].values() for o in item.values()}
    for operation in operations.values():
        response = operation["responses"]["200"]
        for link in response.get("links", {}).values():
            taken = {parameter.get("name") for parameter in operations[link["operationId"]]["parameters"]}
            assert link["parameters"].keys() <= taken, link
            for place in link["parameters"].values():
                schema = response["content"]["application/json"]["schema"]
                assert _has(schema, place.removeprefix("$response.body#/").split("/")), (
                    operation["operationId"],
                    place,
                )


def _has(schema: Any, parts: list[str]) -> bool:
    if "$ref" in schema:
        return _has(DOCUMENT["components"]["schemas"][schema["$ref"].rpartition("/")[2]], parts)
    if "anyOf" in schema and parts:
        return any(_has(branch, parts) for branch in schema["anyOf"])
    if not parts:
        return True
    first, *rest = parts
    inner = schema.get("items") if first.isdigit() else schema.get("properties", {}).get(first)
    return inner is not None and _has(inner, rest)


@pytest.mark.parametrize(
    ("status", "headers", "body"),
    [
        (418, {}, b""),
        (200, {"content-type": "application/json", "x-new": "1"}, b'{"status":"live"}'),
        (200, {"content-type": "text/plain"}, b"live"),
        (200, {"content-type": "application/json"}, b'{"status":"dead"}'),
    ],
    ids=["status", "header", "type", "body"],
)
def test_an_answer_that_is_not_in_the_document_is_found(status: int, headers: dict[str, str], body: bytes) -> None:
    check_documented("GET", "/health/live", 200, {"content-type": "application/json"}, b'{"status":"live"}')
    with pytest.raises(AssertionError):
        check_documented("GET", "/health/live", status, headers, body)


def test_the_ids_of_a_stream_and_the_cursors_of_pages_fit_and_are_taken(shared: Running) -> None:
    done = shared.result("What is 3 * 5?", sessionId="paged")
    shared.result("What is 3 * 6?", sessionId="paged-too")
    events = f"/agent/tasks/{done['taskId']}/events"
    whole = shared.client.get(events).json()["events"]
    place = "2.77"
    assert shared.client.get(events, params={"after": place}).json()["events"] == whole[2:]
    assert shared.client.get(events, headers={"Last-Event-ID": place}).json()["events"] == whole[2:]
    for path in ("/agent/results", "/agent/sessions"):
        page = shared.client.get(path, params={"limit": 1}).json()
        (schema,) = (p["schema"] for p in DOCUMENT["paths"][path]["get"]["parameters"] if p.get("name") == "cursor")
        assert _validator(schema).is_valid(page["nextCursor"])
        assert shared.client.get(path, params={"cursor": page["nextCursor"]}).status_code == 200


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
