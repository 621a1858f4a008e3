"""Files and budgets that come with a task: what is taken, what is refused and in which words, what is kept."""

from __future__ import annotations

import base64
import json
from typing import TYPE_CHECKING, Any

import msgpack  # type: ignore[import-untyped]
import pytest

from callboard import Attachment, Budget, SubmitTask
from callboard.messages.tasks import AttachedFile
from callboard.task_spec import TaskSpec

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.http.conftest import Running

CSV = "größe,b\n1,2\n".encode()
DATA = base64.b64encode(CSV).decode()
PNG = base64.b64encode(b"\x89PNG\r\n\x1a\n").decode()
FILE = {"name": "numbers.csv", "mediaType": "text/csv", "data": DATA}
LINK = {"name": "page.pdf", "mediaType": "application/pdf", "url": "http://127.0.0.1:9/page.pdf"}


def _task(shared: Running, reply: Any) -> dict[str, Any]:
    task: dict[str, Any] = shared.client.get(f"/agent/tasks/{reply.json()['taskId']}").json()
    return task


def test_a_task_keeps_its_files_and_its_record_says_which(shared: Running, gate: Any) -> None:
    view = _task(shared, shared.execute(gate.task, attachments=[FILE]))
    assert view["attachments"] == [{"name": "numbers.csv", "mediaType": "text/csv", "size": len(CSV)}]
    assert shared.system._store.reader.files(view["taskId"]) == (
        AttachedFile(name="numbers.csv", media_type="text/csv", data=CSV),
    )
    log = shared.client.get(f"/agent/tasks/{view['taskId']}/events").json()["events"]
    assert log[0]["data"]["attachments"] == ["numbers.csv"]
    assert DATA not in json.dumps([view, log])


def test_msgpack_brings_a_file_as_base64_too_and_no_binary(
    shared: Running, gate: Any, assert_problem: Callable[..., dict[str, Any]]
) -> None:
    def post(data: str | bytes) -> Any:
        body = msgpack.packb({"task": gate.task, "attachments": [{**FILE, "data": data}]})
        headers = {"Content-Type": "application/msgpack", "Accept": "application/json"}
        return shared.client.post("/agent/execute", content=body, headers=headers)

    assert _task(shared, post(DATA))["attachments"][0]["size"] == len(CSV)
    assert_problem(post(CSV), 400, "malformed_body")


def test_a_budget_is_kept_as_it_was_asked_for(shared: Running) -> None:
    budget = {"modelCalls": 5.0, "tokens": 20_000, "costUsd": 2, "skillCalls": 0, "wallMs": 1e6}
    view = _task(shared, shared.execute("Hello", budget=budget))
    assert view["budget"] == {"modelCalls": 5, "tokens": 20_000, "costUsd": 2.0, "skillCalls": 0, "wallMs": 1_000_000}
    assert _task(shared, shared.execute("Hello", budget={"tokens": None}))["budget"] == {}
    assert _task(shared, shared.execute("Hello"))["budget"] is None


WRONG: dict[str, tuple[dict[str, Any], str, str]] = {
    "tokens": ({"budget": {"tokens": -1}}, "budget.tokens", "is less than 0"),
    "half a call": ({"budget": {"modelCalls": 1.5}}, "budget.modelCalls", "must be an integer"),
    "money in words": ({"budget": {"costUsd": "5"}}, "budget.costUsd", "must be a number"),
    "another currency": (
        {"budget": {"costEur": 1}},
        "budget.costEur",
        "is not known; there are modelCalls, tokens, costUsd, skillCalls, wallMs",
    ),
    "no budget": ({"budget": 5}, "budget", "must be an object"),
    "no name": ({"attachments": [{**FILE, "name": ""}]}, "attachments[0].name", "is empty"),
    "a path": ({"attachments": [FILE, {**FILE, "name": "../b"}]}, "attachments[1].name", "has a slash; it is"),
    "up": ({"attachments": [{**FILE, "name": ".."}]}, "attachments[0].name", "names a folder"),
    "text turned round": (
        {"attachments": [{**FILE, "name": "a\u202efdp.exe"}]},
        "attachments[0].name",
        "has a character that cannot be seen, U+202E (RIGHT-TO-LEFT OVERRIDE); leave it out",
    ),
    "a long name": (
        {"attachments": [{**FILE, "name": "é" * 128}]},
        "attachments[0].name",
        "has 256 bytes in UTF-8, and a name has at most 255",
    ),
    "no media type": (
        {"attachments": [{**FILE, "mediaType": "csv"}]},
        "attachments[0].mediaType",
        "is not a media type",
    ),
    "no text": ({"attachments": [{**FILE, "data": 5}]}, "attachments[0].data", "must be a string"),
    "an address": ({"attachments": [{**LINK, "url": "file:///etc"}]}, "attachments[0].url", "must be an http://"),
    "too many": ({"attachments": [{**FILE, "name": str(n)} for n in range(17)]}, "attachments", "is longer than 16"),
    "no list": ({"attachments": FILE}, "attachments", "must be an array"),
}


@pytest.mark.parametrize("kind", WRONG)
def test_what_is_wrong_is_named_where_it_stands(
    shared: Running, assert_problem: Callable[..., dict[str, Any]], kind: str
) -> None:
    fields, place, problem = WRONG[kind]
    body = assert_problem(shared.execute("Hello", **fields), 400, "invalid_request")
    [fault] = body["details"]["fields"]
    assert fault["field"] == place
    assert fault["problem"].startswith(problem)
    assert body["message"].startswith(f"{place} {problem}")


REFUSED: dict[str, tuple[list[dict[str, Any]], str]] = {
    "no base64": ([{**FILE, "data": "a"}], "base64"),
    "bits after the end": ([{**FILE, "data": "YR=="}], "base64"),
    "both": ([{**FILE, "url": LINK["url"]}], "either data or url"),
    "neither": ([{"name": "numbers.csv", "mediaType": "text/csv"}], "either data or url"),
    "another type": ([{**FILE, "mediaType": "application/pdf"}], "application/pdf"),
    "an address within": ([LINK], "127.0.0.1"),
    "an image": ([{**FILE, "mediaType": "image/png", "data": PNG}], "is an image (image/png), and the model"),
}


@pytest.mark.parametrize("kind", REFUSED)
def test_a_file_that_cannot_be_used_is_refused_by_name(
    shared: Running, assert_problem: Callable[..., dict[str, Any]], kind: str
) -> None:
    attachments, why = REFUSED[kind]
    body = assert_problem(shared.execute("Hello", attachments=attachments), 400, "attachment_refused")
    assert why.lower() in body["message"].lower()
    assert attachments[-1]["name"] in body["message"]


@pytest.mark.parametrize(("images", "status"), [("yes", 200), ("no", 400)])
def test_an_image_is_taken_where_the_model_takes_it(
    start_server: Callable[..., Running], images: str, status: int
) -> None:
    model = {"llm_provider": "openai", "llm_model": "some", "llm_api_key": "k", "llm_images": images, "llm_retries": 0}
    server = start_server(**model, llm_base_url="http://127.0.0.1:9/v1")  # where nobody listens
    image = {**FILE, "mediaType": "image/png", "data": PNG}
    assert server.execute("What is this?", attachments=[image]).status_code == status


def test_a_file_over_the_servers_limit_is_refused_by_name(
    start_server: Callable[..., Running], assert_problem: Callable[..., dict[str, Any]]
) -> None:
    server = start_server(max_file_bytes=1000)
    fits, over = (base64.b64encode(b"x" * size).decode() for size in (1000, 1001))
    assert server.execute("Hello", attachments=[{**FILE, "data": fits}]).status_code == 200
    body = assert_problem(server.execute("Hello", attachments=[{**FILE, "data": over}]), 400, "attachment_refused")
    assert "1000 bytes, which is the limit (CALLBOARD_MAX_FILE_BYTES)" in body["message"]


def test_a_body_over_the_limit_is_told_what_fits(
    start_server: Callable[..., Running], assert_problem: Callable[..., dict[str, Any]]
) -> None:
    server = start_server(max_body_bytes=21_000)
    fits, over = (base64.b64encode(b"x" * size).decode() for size in (15_000, 16_000))
    assert server.execute("Hello", attachments=[{**FILE, "data": fits}]).status_code == 200
    body = assert_problem(server.execute("Hello", attachments=[{**FILE, "data": over}]), 413, "body_too_large")
    assert "attachments of about 15000 bytes in all fit into it" in body["message"]


def test_the_same_key_with_another_file_or_budget_is_another_request(
    shared: Running, assert_problem: Callable[..., dict[str, Any]]
) -> None:
    def post(key: str, **fields: Any) -> Any:
        body = {"task": "Hello", **fields}
        return shared.client.post("/agent/execute", json=body, headers={"Idempotency-Key": key})

    asked: dict[str, Any] = {"attachments": [FILE], "budget": {"tokens": 5}}
    first = post("files-1", **asked)
    assert post("files-1", **asked).json()["taskId"] == first.json()["taskId"]
    other = {**FILE, "data": base64.b64encode(b"other").decode()}
    assert_problem(post("files-1", **{**asked, "attachments": [other]}), 422, "idempotency_conflict")
    assert_problem(post("files-1", **{**asked, "budget": {"tokens": 6}}), 422, "idempotency_conflict")


def test_a_python_program_asks_in_the_same_way(shared: Running, gate: Any) -> None:
    attachments = (Attachment(name="numbers.csv", media_type="text/csv", data=DATA),)
    task = SubmitTask(task=gate.task, attachments=attachments, budget=Budget(tokens=5))
    reply = shared.system.gateway.ask(task, timeout_s=30)
    assert shared.system._store.reader.files(reply.task_id)[0].data == CSV
    assert shared.system._store.reader.task(reply.task_id).task.spec.budget == Budget(tokens=5)
    spec = TaskSpec(task="x", attachments=attachments)
    assert TaskSpec.model_validate_json(spec.model_dump_json()) == spec
