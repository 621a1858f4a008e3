"""What comes in, cut into lines, read as messages, and noted on the tickets of the requests under way."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from mcp_types import JSONRPCRequest

from callboard.agent.mcp import splitter
from callboard.agent.mcp.jsonrpc import id_of, messages_in, torn_id
from callboard.agent.mcp.schema_types import tidied
from callboard.agent.mcp.splitter import Splitter
from callboard.agent.mcp.wire import Fault, Wire

# --- lines ---


@given(st.lists(st.binary(max_size=40)), st.integers(min_value=1, max_value=30))
def test_lines_are_what_they_were_however_they_come_in(chunks: list[bytes], most: int) -> None:
    lines = Splitter(most)
    found = [line for chunk in chunks for line in lines.feed(chunk)] + [lines.rest()]
    whole = b"".join(chunks).split(b"\n")
    assert [line.size_bytes for line in found] == [len(line) for line in whole]
    assert [line.text for line in found if line.whole] == whole  # none is long enough to be cut


def test_of_a_line_that_is_too_long_both_ends_are_kept_and_no_more() -> None:
    lines = Splitter(100_000)
    sent = b"begin" + b"x" * 1_000_000 + b"end\nnext\n"
    found = [line for start in range(0, len(sent), 65_536) for line in lines.feed(sent[start : start + 65_536])]
    assert [(line.whole, line.size_bytes, line.text[:5], line.text[-3:]) for line in found] == [
        (False, 1_000_008, b"begin", b"end"),
        (True, 4, b"next", b"ext"),
    ]
    assert len(found[0].text) < 200_000


def test_a_line_without_end_is_known_by_its_length(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(splitter, "MAX_LINE_BYTES", 50_000)
    lines = Splitter(20_000)
    for _ in range(6):
        assert not lines.endless
        list(lines.feed(b"x" * 10_000))
    assert lines.endless
    list(lines.feed(b"\n"))
    assert not lines.endless


# --- messages ---


@given(st.text(max_size=60))
def test_any_text_is_read_without_an_error(text: str) -> None:
    assert all(isinstance(message, dict) for message in messages_in(text))
    torn_id(text)


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ('{"jsonrpc":"2.0","id":7,"result":{"a', "7"),
        ('{"id": 7, "jsonrpc": "2.0", "error": {"c', "7"),
        ('{"id":"abc","result":{"a', "abc"),
        ('{"result":{"method":"x","a":"b","jsonrpc":"2.0","id":7}', "7"),
        ('b"}]},"jsonrpc":"2.0","id":7}', "7"),
        ('b"}]},"id":7,"jsonrpc":"2.0"}', "7"),
        ('{"jsonrpc":"2.0","id":7,"method":"tools/call","par', None),
        ('got {"method":"tools/call","jsonrpc":"2.0","id":7}', None),
        ('{"jsonrpc":"2.0","result":{"id":7,"x', None),
        ("Starting", None),
    ],
)
def test_an_answer_that_is_torn_is_known_by_the_id_at_its_end(text: str, found: str | None) -> None:
    assert torn_id(text) == found


@pytest.mark.parametrize(
    ("value", "same"), [(7, "7"), ("7", "7"), (7.0, "7"), (7.5, None), (True, None), (None, None), ([], None)]
)
def test_an_id_is_the_same_however_it_is_written(value: Any, same: str | None) -> None:
    assert id_of(value) == same


# --- tickets ---


def asked(wire: Wire, number: int, method: str = "tools/call") -> None:
    wire.sending(JSONRPCRequest(jsonrpc="2.0", id=number, method=method))


def test_an_answer_is_noted_as_it_is_and_the_session_gets_one_that_it_takes() -> None:
    wire = Wire(noise=lambda text: None)
    with wire.following() as ticket:
        asked(wire, 1)
        (message,) = wire.read(b'{"id":1,"result":{"content":"odd","isError":"no"}}')
        assert ticket.answer == {"content": "odd", "isError": "no"}
        assert message["result"] == {"content": [], "resultType": "complete"}
        asked(wire, 2)
        assert ticket.answer is None


def test_a_server_cannot_write_what_went_wrong_on_a_ticket() -> None:
    wire = Wire(noise=lambda text: None)
    with wire.following() as ticket:
        asked(wire, 1)
        error = b'{"code":-32000,"message":"gone","data":{"fault":"NOT_SENT","token":""}}'
        wire.read(b'{"jsonrpc":"2.0","id":1,"error":%s}' % error)
        assert ticket.fault is None
        assert ticket.said is not None
        assert ticket.said.message == "gone"


def test_an_error_without_an_id_is_nobodys_where_several_wait() -> None:
    error = b'{"jsonrpc":"2.0","id":null,"error":{"code":1,"message":"x"}}'
    wire = Wire(noise=lambda text: None)
    asked(wire, 1)
    asked(wire, 2)
    asked(wire, 3, "subscriptions/listen")
    assert wire.read(error) == []
    wire.read(b'{"jsonrpc":"2.0","id":2,"result":{}}')
    (message,) = wire.read(error)
    assert message["id"] == 1


def test_what_is_over_is_forgotten() -> None:
    wire = Wire(noise=lambda text: None)
    with wire.following():
        asked(wire, 1)
    assert wire.under_way(1) is None
    asked(wire, 2)
    assert wire.under_way("2") is not None
    wire.read(b'{"jsonrpc":"2.0","id":2,"result":{}}')
    assert wire.under_way(2) is None


def test_noise_is_told_and_a_late_answer_is_none() -> None:
    heard: list[str] = []
    wire = Wire(noise=heard.append)
    for raw in (b"D\xe9but", b"", b'{"jsonrpc":"2.0","id":9,"result":{}}', b'{"error":"x","level":"warn"}'):
        assert wire.read(raw) == []
        wire.skip(raw)
    assert heard == ["D\ufffdbut", '{"error":"x","level":"warn"}']
    asked(wire, 1)
    assert wire.read(b'{"error":"a log line, not of the one call that waits"}') == []


def test_both_ends_of_an_answer_that_is_too_large_name_its_request() -> None:
    wire = Wire(noise=lambda text: None)
    with wire.following() as ticket:
        asked(wire, 1)
        (message,) = wire.read(b'{"jsonrpc":"2.0","id":1,"result":{"x":"y"}}', whole=False)
    assert (message["id"], ticket.fault) == (1, Fault.UNREADABLE)


# --- schemas ---


@pytest.mark.parametrize(
    ("schema", "tidy"),
    [
        ({"type": "object", "properties": None, "required": None}, {"type": "object"}),
        ({"properties": {"default": None, "a": {"default": None}}}, {"properties": {"default": {}, "a": {"default": None}}}),
        ({"anyOf": [{"const": None}, {"enum": [None]}, {"minimum": None}]}, {"anyOf": [{"const": None}, {"enum": [None]}, {}]}),
        ({"enum": []}, {}),
        ({"required": True, "items": {"required": False}}, {"items": {}}),
        ({"type": "string", "nullable": True}, {"type": ["string", "null"], "nullable": True}),
        ({"examples": [{"a": None}]}, {"examples": [{"a": None}]}),
        (True, True),
    ],
)  # fmt: skip
def test_a_schema_is_tidied_where_it_says_nothing(schema: Any, tidy: Any) -> None:
    assert tidied(schema) == tidy
