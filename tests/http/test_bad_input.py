"""Bodies that make no sense: each is refused in the documented shape, and nothing is accepted or lost."""

from __future__ import annotations

import gzip
import json
from typing import TYPE_CHECKING, Any

import msgpack  # type: ignore[import-untyped]
import pytest

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.http.conftest import Running

MSGPACK = "application/msgpack"

MALFORMED_JSON = {
    "not JSON": b"{task: hello}",
    "truncated": b'{"task": "hel',
    "single quotes": b"{'task': 'hello'}",
    "trailing comma": b'{"task": "hello",}',
    "more after the end": b'{"task": "hello"} {"task": "again"}',
    "100,000 deep arrays": b"[" * 100_000,
    "100,000 deep objects": b'{"task":' * 100_000,
    "deep inside a field": b'{"task": ' + b"[" * 100_000 + b"]" * 100_000 + b"}",
    "NaN": b'{"task": "a", "labels": {"x": NaN}}',
    "Infinity": b'{"task": "a", "labels": {"x": -Infinity}}',
    "a name twice": b'{"task": "one", "task": "two"}',
    "not UTF-8": b'{"task": "\xff\xfe"}',
    "UTF-16": '{"task": "hello"}'.encode("utf-16"),
    "byte order mark within": b'{\xef\xbb\xbf"task": "hello"}',
    "raw control character": b'{"task": "a\x00b"}',
    "a number of 5000 digits": b'{"task": "a", "priority": ' + b"9" * 5000 + b"}",
    "whitespace": b"   ",
}
INVALID_JSON = {
    "lone surrogate": (rb'{"task": "a\ud800b"}', "task"),
    "lone surrogate in a label": (rb'{"task": "a", "labels": {"x": "\udfff"}}', "labels"),
    "lone surrogate in a name": (rb'{"task": "a", "\ud800": 1}', "ud800"),
    "NUL": (rb'{"task": "a\u0000b"}', "task"),
    "NUL in a label's name": (rb'{"task": "a", "labels": {"a\u0000": 1}}', "labels"),
    "2^63": (b'{"task": "a", "labels": {"x": 9223372036854775808}}', "labels"),
    "2^63 as a priority": (b'{"task": "a", "priority": 9223372036854775808}', "priority"),
    "beyond a float": (b'{"task": "a", "labels": {"x": 1e999}}', "labels"),
    "65 deep": (b'{"task": "a", "labels": {"x": ' + b"[" * 65 + b"]" * 65 + b"}}", "labels"),
    "unknown field": (b'{"task": "a", "colour": "red"}', "colour"),
    "snake case": (b'{"task": "a", "session_id": "s"}', "session_id"),
    "a field of ours": (b'{"task": "a", "requestId": "forged", "caller": "key:1"}', "requestId"),
    "no task": (b"{}", "task"),
    "null task": (b'{"task": null}', "task"),
    "empty task": (b'{"task": ""}', "task"),
    "task of a byte order mark": (rb'{"task": "\ufeff "}', "task"),
    "label of a byte order mark": (rb'{"task": "x", "labels": {"\ufeff": 1}}', "labels"),
    "labels that a byte order mark tells apart": (rb'{"task": "x", "labels": {"\ufeffa": 1, "a": 2}}', "labels"),
    "blank task": (rb'{"task": " \n\t "}', "task"),
    "task of spaces in Unicode": (rb'{"task": "\u2003\u00a0"}', "task"),
    "over-long task": (b'{"task": "' + b"a" * 100_001 + b'"}', "task"),
    "task is a number": (b'{"task": 5}', "task"),
    "task is a list": (b'{"task": ["a"]}', "task"),
    "session is a number": (b'{"task": "a", "sessionId": 5}', "sessionId"),
    "session is empty": (b'{"task": "a", "sessionId": ""}', "sessionId"),
    "session is a path": (b'{"task": "a", "sessionId": "../../etc"}', "sessionId"),
    "session with a newline": (rb'{"task": "a", "sessionId": "a\n"}', "sessionId"),
    "skills are a string": (b'{"task": "a", "availableSkills": "summarize"}', "availableSkills"),
    "a skill is a number": (b'{"task": "a", "availableSkills": [1]}', "availableSkills[0]"),
    "priority is a string": (b'{"task": "a", "priority": "high"}', "priority"),
    "priority is true": (b'{"task": "a", "priority": true}', "priority"),
    "priority is half": (b'{"task": "a", "priority": 0.5}', "priority"),
    "timeout is zero": (b'{"task": "a", "timeoutMs": 0}', "timeoutMs"),
    "labels are a list": (b'{"task": "a", "labels": []}', "labels"),
    "a label is an object": (b'{"task": "a", "labels": {"x": {}}}', "labels.x"),
    "33 labels": (b'{"task": "a", "labels": {' + b",".join(b'"l%d": 1' % n for n in range(33)) + b"}}", "labels"),
    "not an object": (b'["task"]', "object"),
    "a string": (b'"task"', "object"),
    "null": (b"null", "object"),
}
MALFORMED_MSGPACK = {
    "truncated": msgpack.packb({"task": "hello"})[:-2],
    "more after the end": msgpack.packb({"task": "hello"}) + b"\x00",
    "array of 4 billion": b"\xdd\xff\xff\xff\xff",
    "map of 4 billion": b"\xdf\xff\xff\xff\xff",
    "string of 4 gigabytes": b"\x81\xa4task\xdb\xff\xff\xff\xff",
    "100,000 deep": b"\x91" * 100_000,
    "arrays that promise a million each": b"\xdd\x00\x0f\x42\x40" * 400,
    "never used byte": b"\xc1",
    "a timestamp": msgpack.packb({"task": msgpack.Timestamp(1, 0)}),
    "an extension": msgpack.packb({"task": msgpack.ExtType(5, b"x")}),
    "binary": msgpack.packb({"task": b"hello"}),
    "a binary name": msgpack.packb({b"task": "a"}),
    "a number as a name": msgpack.packb({1: "a"}),
    "a name twice": b"\x82\xa4task\xa1a\xa4task\xa1b",
    "not UTF-8": b"\x81\xa4task\xa2\xff\xfe",
}
INVALID_MSGPACK = {
    "2^63": msgpack.packb({"task": "a", "labels": {"x": 2**63}}),
    "NaN": msgpack.packb({"task": "a", "labels": {"x": float("nan")}}),
    "NUL": msgpack.packb({"task": "a\0b"}),
    "empty extension": b"\x81\xa4task\xc7\x00\x05",
    "not a map": msgpack.packb(["task"]),
}


@pytest.fixture(autouse=True)
def nothing_is_accepted(shared: Running) -> Iterator[None]:
    """Whatever a test here sends, no task comes of it, and the server goes on."""
    newest = shared.client.get("/agent/results", params={"limit": 1}).json()["results"]
    yield
    assert shared.client.get("/agent/results", params={"limit": 1}).json()["results"] == newest


def _post(running: Running, body: bytes, content_type: str = "application/json", path: str = "/agent/execute") -> Any:
    return running.client.post(path, content=body, headers={"Content-Type": content_type})


@pytest.mark.parametrize("body", MALFORMED_JSON.values(), ids=MALFORMED_JSON.keys())
def test_a_body_that_is_not_json_is_malformed(shared: Running, assert_problem: Any, body: bytes) -> None:
    assert_problem(_post(shared, body), 400, "malformed_body")


@pytest.mark.parametrize(("body", "named"), INVALID_JSON.values(), ids=INVALID_JSON.keys())
def test_a_body_that_breaks_a_rule_is_refused_naming_the_field(
    shared: Running, assert_problem: Any, body: bytes, named: str
) -> None:
    problem = assert_problem(_post(shared, body), 400, "invalid_request")
    assert named in problem["message"]
    assert len(problem["message"]) < 1000
    if named != "object":
        assert any(named in fault["field"] for fault in problem["details"]["fields"])


@pytest.mark.parametrize("body", MALFORMED_MSGPACK.values(), ids=MALFORMED_MSGPACK.keys())
def test_a_body_that_is_not_msgpack_is_malformed(shared: Running, assert_problem: Any, body: bytes) -> None:
    answer = shared.client.post(
        "/agent/execute", content=body, headers={"Content-Type": MSGPACK, "Accept": "application/json"}
    )
    assert_problem(answer, 400, "malformed_body")


@pytest.mark.parametrize("body", INVALID_MSGPACK.values(), ids=INVALID_MSGPACK.keys())
def test_a_msgpack_body_is_held_to_the_same_rules(shared: Running, assert_problem: Any, body: bytes) -> None:
    answer = shared.client.post(
        "/agent/execute", content=body, headers={"Content-Type": MSGPACK, "Accept": "application/json"}
    )
    assert_problem(answer, 400, "invalid_request")


def test_a_huge_number_of_faults_is_refused_in_a_short_answer(shared: Running, assert_problem: Any) -> None:
    body = b'{"task": "a", "labels": {' + b",".join(b'"l%d": []' % n for n in range(100_000)) + b"}}"
    assert len(str(assert_problem(_post(shared, body), 400, "invalid_request"))) < 1000


def test_many_unknown_fields_are_refused_in_a_short_answer(shared: Running, assert_problem: Any) -> None:
    body = b'{"task": "a", ' + b",".join(b'"' + b"x" * 200 + b'%d": 1' % n for n in range(5000)) + b"}"
    assert len(str(assert_problem(_post(shared, body), 400, "invalid_request"))) < 5000


def test_an_empty_body_is_refused(shared: Running, assert_problem: Any) -> None:
    assert "empty" in assert_problem(_post(shared, b""), 400, "malformed_body")["message"]


@pytest.mark.parametrize(
    "content_type",
    ["text/plain", "application/x-www-form-urlencoded", "multipart/form-data; boundary=x", "application/xml", "json",
     "application/json; charset=utf-16", "application/jsonp", "x" * 3000],
)  # fmt: skip
def test_another_content_type_is_refused_naming_what_is_read(
    shared: Running, assert_problem: Any, content_type: str
) -> None:
    body = assert_problem(_post(shared, b'{"task": "hello"}', content_type), 415, "unsupported_media_type")
    assert "application/json" in body["message"]
    assert "application/msgpack" in body["message"]


READ_A_BODY = [
    "/agent/execute",
    *(f"/agent/tasks/nobody/{what}" for what in ("cancel", "decide", "retry")),
    "/agent/dead-letters/nobody/redrive",
    "/agent/deliveries/nobody/redrive",
]


@pytest.mark.parametrize("path", READ_A_BODY)
@pytest.mark.parametrize("encoding", ["gzip", "x-gzip", "deflate", "br", "zstd", "GZIP", "identity, gzip", "nonsense"])
def test_an_encoded_body_is_refused_wherever_one_is_read(
    shared: Running, assert_problem: Any, path: str, encoding: str
) -> None:
    headers = {"Content-Type": "application/json", "Content-Encoding": encoding}
    # plain inside, so that it would be accepted if the header were not looked at
    reply = shared.client.post(path, content=b'{"task": "hello"}', headers=headers)
    assert "without Content-Encoding" in assert_problem(reply, 415, "unsupported_content_encoding")["message"]
    assert reply.headers["Accept-Encoding"] == "identity"


def test_an_encoded_body_leaves_its_idempotency_key_free(shared: Running, assert_problem: Any) -> None:
    headers = {"Content-Type": "application/json", "Idempotency-Key": "encoded once"}
    encoded = {**headers, "Content-Encoding": "gzip"}
    reply = shared.client.post("/agent/execute", content=gzip.compress(b'{"task": 5}'), headers=encoded)
    assert_problem(reply, 415, "unsupported_content_encoding")
    reply = shared.client.post(
        "/agent/execute", content=b'{"task": 5}', headers={**headers, "Content-Encoding": "identity"}
    )
    assert_problem(reply, 400, "invalid_request")


def test_a_body_without_a_content_type_is_refused(shared: Running, assert_problem: Any) -> None:
    body = assert_problem(
        shared.client.post("/agent/execute", content=b'{"task": "hello"}'), 415, "unsupported_media_type"
    )
    assert "no Content-Type" in body["message"]


@pytest.mark.parametrize("accept", ["text/html", "image/*", "nonsense", "application/json;q=0"])
def test_a_client_that_accepts_nothing_we_send_is_refused_before_anything_is_done(
    shared: Running, assert_problem: Any, accept: str
) -> None:
    answer = shared.client.post("/agent/execute", json={"task": "hello"}, headers={"Accept": accept})
    assert_problem(answer, 406, "not_acceptable")


@pytest.mark.parametrize("path", ["/agent/results", "/agent/agents", "/health"])
def test_where_there_is_no_stream_none_can_be_asked_for(shared: Running, assert_problem: Any, path: str) -> None:
    answer = shared.client.get(path, headers={"Accept": "text/event-stream"})
    assert_problem(answer, 406, "not_acceptable")


@pytest.mark.parametrize(
    ("method", "path", "allowed"),
    [
        ("GET", "/agent/execute", {"POST", "OPTIONS"}),
        ("DELETE", "/agent/execute", {"POST", "OPTIONS"}),
        ("PUT", "/agent/results", {"GET", "HEAD", "OPTIONS"}),
        ("TRACE", "/health", {"GET", "HEAD", "OPTIONS"}),
        ("GET", "/agent/tasks/x/cancel", {"POST", "OPTIONS"}),
        ("POST", "/agent/sessions/x", {"GET", "HEAD", "DELETE", "OPTIONS"}),
    ],
)
def test_a_wrong_method_is_refused_with_the_right_ones(
    shared: Running, assert_problem: Any, method: str, path: str, allowed: set[str]
) -> None:
    answer = shared.client.request(method, path)
    if answer.status_code == 405:
        assert_problem(answer, 405, "method_not_allowed")
    assert answer.status_code == 405
    assert set(answer.headers["allow"].split(", ")) == allowed
    assert shared.client.options(path).headers["allow"] == answer.headers["allow"]


@pytest.mark.parametrize("path", ["/agent", "/agent/execute/", "/nothing", "/agent/execute/x", "/%2e%2e/etc"])
def test_an_unknown_path_is_not_found(shared: Running, assert_problem: Any, path: str) -> None:
    assert_problem(shared.client.get(shared.server.url + path), 404, "route_not_found")


@pytest.mark.parametrize("size", [2_000_001, 3_000_000])
def test_a_body_over_the_limit_is_refused(shared: Running, assert_problem: Any, size: int) -> None:
    body = assert_problem(_post(shared, b'{"task": "' + b"a" * (size - 12) + b'"}'), 413, "body_too_large")
    assert "2000000 bytes (CALLBOARD_MAX_BODY_BYTES)" in body["message"]
    other = assert_problem(_post(shared, b"a" * size, path="/agent/tasks/x/decide"), 413, "body_too_large")
    assert ("(CALLBOARD_MAX_BODY_BYTES)" in other["message"], "attach" in other["message"]) == (True, False)


def test_what_a_text_has_to_look_like_is_said_in_words(shared: Running, assert_problem: Any) -> None:
    for digest in ("abc", "0" * 63 + "A"):
        answer = _post(
            shared, json.dumps({"decision": "approve", "digest": digest}).encode(), path="/agent/tasks/x/decide"
        )
        said = assert_problem(answer, 400, "invalid_request")["message"]
        assert said == "digest must be the whole digest of the task's pause: 64 characters of 0 to 9 and a to f."
    for body in (
        _post(shared, b'{"task": "x", "sessionId": "a b"}'),
        shared.client.get("/agent/results?sessionId=a%20b"),
    ):
        assert "must be 1 to 128 letters, digits" in assert_problem(body, 400, "invalid_request")["message"]


def test_a_body_of_the_limit_is_read(shared: Running, assert_problem: Any) -> None:
    body = b'{"task": "' + b"a" * (2_000_000 - 12) + b'"}'
    assert "100000 characters" in assert_problem(_post(shared, body), 400, "invalid_request")["message"]


def test_a_chunked_body_over_the_limit_is_refused(shared: Running, assert_problem: Any) -> None:
    def chunks() -> Iterator[bytes]:
        for _ in range(300):
            yield b"a" * 10_000

    answer = shared.client.post("/agent/execute", content=chunks(), headers={"Content-Type": "application/json"})
    assert_problem(answer, 413, "body_too_large")


def test_an_integer_of_thousands_of_digits_is_told_in_our_words(shared: Running, assert_problem: Any) -> None:
    problem = assert_problem(_post(shared, MALFORMED_JSON["a number of 5000 digits"]), 400, "malformed_body")
    assert "64 bits" in problem["message"]
    assert "sys." not in problem["message"]
