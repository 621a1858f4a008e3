"""The report's suite for errors: what a client is told, and what it is not."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

from callboard import errors
from callboard.errors import ActorCrashed, CallboardError, Overloaded, StorageFull, StoreUnavailable
from callboard.http.errors import _HEADERS, STATUSES, problem_of
from callboard.http.openapi import openapi_document

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.http.conftest import Running


def _tree(kind: type[CallboardError]) -> list[type[CallboardError]]:
    """Return a branch of the server's errors; those that a client raises, where it has been loaded, are not among them."""
    children = [child for child in kind.__subclasses__() if not child.__module__.startswith("callboard.client.")]
    return [kind, *(leaf for child in children for leaf in _tree(child))]


def test_malformed_json_is_answered_with_what_is_wrong(shared: Running, assert_problem: Any) -> None:
    reply = shared.client.post("/agent/execute", content=b"{nope", headers={"Content-Type": "application/json"})
    body = assert_problem(reply, 400, "malformed_body")
    assert "line 1 column 2" in body["message"]
    assert "nope" not in body["message"]


def test_an_empty_task_is_answered_naming_the_field(shared: Running, assert_problem: Any) -> None:
    body = assert_problem(shared.execute(""), 400, "invalid_request")
    assert body["details"] == {"fields": [{"field": "task", "problem": "is empty"}]}


def test_a_long_wrong_value_is_not_sent_back(shared: Running) -> None:
    reply = shared.client.post("/agent/execute", json={"task": 1, "sessionId": "!" * 5000})
    assert "!!" not in reply.text
    assert len(reply.text) < 1000


@pytest.mark.parametrize(
    ("error", "status", "wait"),
    [
        (Overloaded("The inbox is full."), 503, 1),
        (ActorCrashed("The actor crashed."), 503, 1),
        (StoreUnavailable("The database is locked.", retry_after_s=7), 503, 7),
        (StorageFull("The disk is full."), 507, 30),
    ],
)
def test_what_can_be_tried_again_says_when(
    shared: Running, fail_with: Any, assert_problem: Any, error: Any, status: int, wait: int
) -> None:
    fail_with(shared, error)
    reply = shared.execute("What is 1 + 1?")
    body = assert_problem(reply, status, error.code)
    assert (body["retryAfter"], reply.headers["retry-after"]) == (wait, str(wait))
    assert body["message"] == error.message


def test_in_development_a_defect_is_told_with_its_traceback(
    shared: Running, fail_with: Any, assert_problem: Any
) -> None:
    fail_with(shared, KeyError("the-inner-secret"))
    details = assert_problem(shared.execute("Hello"), 500, "internal_error")["details"]
    assert (details["type"], details["message"]) == ("KeyError", "'the-inner-secret'")
    assert any("execute.py" in line for line in details["traceback"])


def test_in_production_a_defect_is_told_without_anything_internal_and_logged(
    start_server: Callable[..., Running], fail_with: Any, assert_problem: Any, caplog: pytest.LogCaptureFixture
) -> None:
    running = start_server(env="production")
    fail_with(running, KeyError("the-inner-secret"))
    reply = running.client.post("/agent/execute", json={"task": "Hello"}, headers={"X-Request-Id": "find-me"})
    assert "details" not in assert_problem(reply, 500, "internal_error")
    for internal in ("secret", "KeyError", "Traceback", ".py"):
        assert internal not in reply.text
    (record,) = [record for record in caplog.records if record.name == "callboard.http" and record.levelname == "ERROR"]
    event: Any = record.msg
    assert (event["request_id"], event["event"]) == ("find-me", "request failed")
    assert record.exc_info is None or "secret" in str(record.exc_info[1])


def test_an_error_of_ours_that_no_one_foresaw_is_a_defect(shared: Running, fail_with: Any, assert_problem: Any) -> None:
    fail_with(shared, CallboardError("unforeseen"))
    assert_problem(shared.execute("Hello"), 500, "internal_error")


@pytest.mark.parametrize("kind", _tree(CallboardError), ids=lambda kind: kind.__name__)
def test_every_error_of_the_tree_has_a_status(kind: type[CallboardError]) -> None:
    error = kind.__new__(kind)
    CallboardError.__init__(error, "why")
    if isinstance(error, errors.Unavailable):
        assert error.retry_after_s > 0
    if kind.__name__ == "RateLimited":
        error.retry_after_s = 3  # type: ignore[attr-defined]
    problem = problem_of(error, "id")
    assert 400 <= problem.status <= 599
    assert json.dumps(problem.body)
    internal = (errors.ConfigurationError, errors.BackupFailed, errors.TaskError)
    own = kind is CallboardError or issubclass(kind, internal) or kind.__name__ == "HttpRefusal"
    assert (problem.status == 500) == own


def test_every_status_of_the_table_is_one_of_the_documented_ones() -> None:
    documented = {400, 401, 403, 404, 405, 406, 409, 413, 415, 421, 422, 429, 500, 503, 507}
    assert {status for status, _ in STATUSES.values()} <= documented


def test_a_refusal_has_the_header_that_its_status_wants(shared: Running) -> None:
    post = shared.client.post
    assert shared.client.put("/agent/execute").headers["allow"] == "OPTIONS, POST"
    assert post("/agent/execute", content=b"a").headers["accept"] == "application/json, application/msgpack"
    encoded = post(
        "/agent/execute", content=b"a", headers={"Content-Encoding": "gzip", "Content-Type": "application/json"}
    )
    assert (encoded.status_code, encoded.headers["accept-encoding"]) == (415, "identity")
    assert "accept" not in encoded.headers
    large = post("/agent/execute", content=b"a" * (shared.system.settings.max_body_bytes + 1))
    assert (large.status_code, large.headers["connection"]) == (413, "close")


def test_every_header_of_a_refusal_is_in_the_document() -> None:
    responses = openapi_document("1")["components"]["responses"]
    for kind, headers in _HEADERS.items():
        assert headers.keys() <= responses[str(STATUSES[kind][0])]["headers"].keys()
