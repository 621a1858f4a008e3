"""What servers write that is not the protocol, or hardly: skipped and reported, mended, or an error at once."""

import json
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from callboard.agent.mcp import splitter
from callboard.agent.mcp.results import ToolFailed
from tests.agent.mcp.conftest import Running, Start
from tests.at_once import LATE_S

ODD_SERVER = str(Path(__file__).parent / "odd_server.py")
AT_ONCE_S = 3 + LATE_S
Serve = Callable[..., Running]

NOISE = {
    "a log line": "Starting desk server...\n",
    "bytes that are not UTF-8": "Serveur d\xe9marr\xe9\n",
    "UTF-16": "\xff\xfeh\0i\0\n\0",
    "colours": "\x1b[32mready\x1b[0m\n",
    "JSON that is no message": '{"level":"info","msg":"started","error":"none","id":1}\n',
    "a number": "3000\n",
    "a list of nothing": "[]\n[1, 2]\n",
    "Windows line ends": "ready\r\n",
    "a notification without a version": '{"method":"log","params":{}}\n',
    "a notification of no form": '{"jsonrpc":"2.0","method":"log","params":"x"}\n',
    "a log of what was asked": '{"jsonrpc": "2.0", "id": 99, "method": "tools/call", "params": {"name": "echo"\n',
    "deep nesting": "[" * 100_000 + "\n",
    "a very long line": "x" * 9_000_000 + "\n",
}
QUIET = {"an empty line": "\n", "blanks": " \t \r\n", "an answer that nobody waits for": '{"id": 77, "result": {}}\n'}


@pytest.fixture
def serve(start: Start, tmp_path: Path) -> Serve:
    """Return a function that starts a server which writes what the script says."""

    def begin(entry: dict[str, Any] | None = None, /, **script: Any) -> Running:
        path = tmp_path / "script.json"
        path.write_text(json.dumps(script))
        command = {"command": sys.executable, "args": ["-S", "-E", ODD_SERVER, str(path)], "timeoutS": 20}
        return start({"odd": {**command, **(entry or {})}})

    return begin


def called(running: Running, *args: Any, **kwargs: Any) -> Any:
    """Call the tool, and see that the answer does not take as long as one that never comes."""
    started_s = time.monotonic()
    try:
        return running.call("odd-echo", *args, **kwargs)
    finally:
        assert time.monotonic() - started_s < AT_ONCE_S


def answered(serve: Serve, *parts: str) -> Any:
    """Have a call answered with these bytes."""
    return called(serve(answers={"tools/call": parts}))


# --- noise ---


@pytest.mark.parametrize("noise", NOISE.values(), ids=NOISE)
def test_noise_costs_nothing_and_is_reported_once(serve: Serve, noise: str) -> None:
    running = serve(before=noise, during=noise * 2)
    assert json.loads(called(running, x="é")) == {"x": "é"}
    assert json.loads(called(running, x=2)) == {"x": 2}
    (problem,) = running.servers.warnings
    assert "The MCP server odd: it writes log lines on its standard output, which is for the protocol" in problem
    assert problem.endswith("they are skipped; have it write them to its standard error.")
    assert len(problem) < 300


@pytest.mark.parametrize("noise", QUIET.values(), ids=QUIET)
def test_what_harms_nobody_is_not_reported(serve: Serve, noise: str) -> None:
    running = serve(before=noise, during=noise)
    assert json.loads(called(running, x=1)) == {"x": 1}
    assert running.servers.warnings == ()


def test_the_report_shows_the_first_line_of_noise_and_no_secret(serve: Serve) -> None:
    running = serve({"env": {"TOKEN": "s3cret-token"}}, before="token s3cret-token read\nmore\n")
    assert "such as 'token [hidden] read'" in running.servers.warnings[0]


# --- messages that are hardly any ---


def saying(text: str) -> str:
    """Return a result that holds this text, which is given as it stands in JSON."""
    return f'{{"content":[{{"type":"text","text":"{text}"}}]}}'


def line(text: str, head: str = '"jsonrpc":"2.0","id":$ID') -> str:
    return f'{{{head},"result":{saying(text)}}}\n'


MENDED = {
    "half a surrogate pair": (line(r"a\ud800b"), "a\ufffdb"),
    "the other half": (line(r"a\uDC00b"), "a\ufffdb"),
    "a whole pair": (line(r"a\ud83d\ude00b"), "a😀b"),
    "an escape that is none": (line(r"a\\ud800b"), r"a\ud800b"),
    "a byte that is not UTF-8": (line("caf\xe9"), "caf\ufffd"),
    "a line separator": (line("a\xe2\x80\xa8b\xc2\x85"), "a\u2028b\x85"),
    "a byte-order mark": ("\xef\xbb\xbf" + line("a"), "a"),
    "Windows line ends": (line("a").replace("\n", "\r\n"), "a"),
    "a tab within a text": (line("a\tb"), "a\tb"),
    "no version": (line("a", '"id":$ID'), "a"),
    "the id as a text": (line("a", '"jsonrpc":"2.0","id":"$ID"'), "a"),
    "the id with a point": (line("a", '"jsonrpc":"2.0","id":$ID.0'), "a"),
    "an error of null beside it": (line("a", '"jsonrpc":"2.0","id":$ID,"error":null'), "a"),
    "a batch": (f"[{line('a').strip()}]\n", "a"),
    "noise in front": ("progress 100%" + line("a"), "a"),
    "noise behind": (line("a").strip() + "done\n", "a"),
    "NaN": ('{"jsonrpc":"2.0","id":$ID,"result":{"structuredContent":{"v":NaN,"w":-Infinity}}}\n', {"v": "nan", "w": "-inf"}),
    "a long number": (f'{{"jsonrpc":"2.0","id":$ID,"result":{{"structuredContent":{2**70}}}}}\n', str(2**70)),
    "no content": ('{"jsonrpc":"2.0","id":$ID,"result":{}}\n', None),
    "null as content": ('{"jsonrpc":"2.0","id":$ID,"result":{"content":null}}\n', None),
    "a text as content": ('{"jsonrpc":"2.0","id":$ID,"result":{"content":"a"}}\n', "a"),
    "a part alone": ('{"jsonrpc":"2.0","id":$ID,"result":{"content":{"text":"a"}}}\n', "a"),
    "bare texts": ('{"jsonrpc":"2.0","id":$ID,"result":{"content":["a",1]}}\n', "a\n1"),
    "a part of a new kind": ('{"jsonrpc":"2.0","id":$ID,"result":{"content":[{"type":"video"},{"type":"text","text":"t"}]}}\n', [{"type": "video"}, "t"]),
}  # fmt: skip


@pytest.mark.parametrize(("written", "value"), MENDED.values(), ids=MENDED)
def test_an_answer_that_can_be_read_is_read(serve: Serve, written: str, value: Any) -> None:
    assert answered(serve, written) == value


def test_an_answer_may_come_in_parts(serve: Serve) -> None:
    whole = line("caf\xc3\xa9")
    assert answered(serve, whole[:20], whole[20:-8], whole[-8:]) == "café"


def test_the_last_answer_of_a_server_needs_no_line_end(serve: Serve) -> None:
    assert called(serve(answers={"tools/call": line("bye").strip()}, once=True)) == "bye"


# --- answers that nobody can read ---

HOLDING = '{"jsonrpc":"2.0","id":$ID,"result":{"n":$N}}\n'
UNREADABLE = {
    "a line end within a text": ('{"jsonrpc":"2.0","id":$ID,"result":{"content":[{"type":"text","text":"a\nb"}]}}\n', "is not JSON"),
    "the id at the end": ('{"result":{"content":[{"type":"text","text":"a\nb"}]},"jsonrpc":"2.0","id":$ID}\n', "is not JSON"),
    "a dictionary of Python's": ("{'jsonrpc': '2.0', 'id': $ID, 'result': {'content': []}}\n", "is not JSON"),
    "a text as the result": ('{"jsonrpc":"2.0","id":$ID,"result":"a"}\n', "holds no object as its result"),
    "null as the result": ('{"jsonrpc":"2.0","id":$ID,"result":null}\n', "holds no object as its result"),
    "a very long number": (HOLDING.replace("$N", "9" * 5000), "is not JSON"),
    "deep nesting": (HOLDING.replace("$N", "[" * 5000 + "]" * 5000), "is not JSON"),
    "too much": (HOLDING.replace("$N", f'"{"x" * 8_000_001}"'), "is larger than 8,000,000 bytes"),
    "too much, with the id at the end": (f'{{"result":{{"n":"{"x" * 8_000_001}"}},"jsonrpc":"2.0","id":$ID}}\n', "is larger than 8,000,000 bytes"),
}  # fmt: skip


@pytest.mark.parametrize(("written", "said"), UNREADABLE.values(), ids=UNREADABLE)
def test_an_answer_that_nobody_can_read_fails_its_call_at_once(serve: Serve, written: str, said: str) -> None:
    with pytest.raises(ToolFailed, match=f"the tool was called, and its answer {said}"):
        answered(serve, written)


def test_a_line_without_end_ends_the_connection_and_no_memory(serve: Serve, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(splitter, "MAX_LINE_BYTES", 1_000_000)
    running = serve(answers={"tools/call": "x" * 3_000_000})
    with pytest.raises(ToolFailed, match="it ended the connection; whether the call was carried out is not known"):
        called(running)


def test_a_server_that_reads_nothing_any_more_holds_up_no_call(serve: Serve, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("callboard.agent.mcp.connection._MARGIN_S", 0.1)
    monkeypatch.setattr("callboard.agent.mcp.child.CLOSED_S", 0.2)
    monkeypatch.setattr("mcp.shared.jsonrpc_dispatcher._ABANDON_WRITE_TIMEOUT", 0.1)  # 5 s
    running = serve({"timeoutS": 0.2}, deaf=True)
    for _ in range(2):  # the first fills the pipe, so that the second is not even written
        with pytest.raises(
            ToolFailed, match=r"did not answer within 0\.2 s; whether the call was carried out is not known"
        ):
            called(running, x="x" * 300_000)


# --- errors that are the server's own ---


def refusal(code: int) -> str:
    return f'{{"jsonrpc":"2.0","id":$ID,"error":{{"code":{code},"message":"no quota left"}}}}\n'


@pytest.mark.parametrize("code", [-32000, -32001, -32603, -32601, -32600, -32700, -32020, -32022, 401, -1, 0, 2**40])
def test_an_error_of_the_server_is_its_own_whatever_its_code(serve: Serve, code: int) -> None:
    with pytest.raises(ToolFailed, match=r"^no quota left$"):
        answered(serve, refusal(code))


ERRORS = {
    "a short text as data": ('{"code":1,"message":"no quota left","data":"come back at 8"}', "no quota left: come back at 8"),
    "data that repeats it": ('{"code":1,"message":"no quota left","data":"no quota left"}', "no quota left"),
    "data that is no text": ('{"code":1,"message":"no quota left","data":{"token":"x","fault":"not_sent"}}', "no quota left"),
    "a text": ('"no quota left"', "no quota left"),
    "no code": ('{"message":"no quota left"}', "no quota left"),
    "a text as code": ('{"code":"E1","message":"no quota left"}', "no quota left"),
    "no message": ('{"code":17}', "the server answered with the error 17 and does not say why"),
    "null as message": ('{"code":17,"message":null,"data":"no quota left"}', "no quota left"),
    "half a surrogate pair": (r'{"code":1,"message":"no \ud800 quota"}', "no \ufffd quota"),
    "a result of null beside it": ('{"code":1,"message":"no quota left"},"result":null', "no quota left"),
}  # fmt: skip


@pytest.mark.parametrize(("error", "said"), ERRORS.values(), ids=ERRORS)
def test_an_error_of_any_form_says_what_it_can(serve: Serve, error: str, said: str) -> None:
    with pytest.raises(ToolFailed) as raised:
        answered(serve, f'{{"jsonrpc":"2.0","id":$ID,"error":{error}}}\n')
    assert str(raised.value) == said


def test_an_error_without_an_id_is_that_of_the_one_call_under_way(serve: Serve) -> None:
    with pytest.raises(ToolFailed, match=r"^Parse error$"):
        answered(serve, '{"jsonrpc":"2.0","id":null,"error":{"code":-32700,"message":"Parse error"}}\n')


@pytest.mark.parametrize("method", ["initialize", "tools/list"])
@pytest.mark.parametrize("code", [-32000, -32001, -32601, 5])
def test_an_error_of_the_handshake_says_what_the_server_said(serve: Serve, method: str, code: int) -> None:
    running = serve(answers={method: refusal(code)})
    assert str(running.why("odd")).startswith("The MCP server odd is not usable: it refuses: no quota left; ")


def test_a_handshake_that_cannot_be_read_fails_at_once(serve: Serve) -> None:
    started_s = time.monotonic()
    running = serve(answers={"initialize": '{"jsonrpc":"2.0","id":$ID,"result":oops}\n'})
    assert str(running.why("odd")).startswith("The MCP server odd is not usable: its answer is not JSON; ")
    assert time.monotonic() - started_s < AT_ONCE_S


# --- the list of tools ---

ANY = {"x": 1}
TOOLS = {
    "no schema": ({"name": "t"}, {"more": ANY}),
    "an empty schema": ({"name": "t", "inputSchema": {}}, {"more": ANY}),
    "null as schema": ({"name": "t", "inputSchema": None}, {"more": ANY}),
    "true as schema": ({"name": "t", "inputSchema": True}, {"more": ANY}),
    "null as properties": ({"name": "t", "inputSchema": {"type": "object", "properties": None, "required": None}}, {"more": ANY}),
    "a property of null": ({"name": "t", "inputSchema": {"properties": {"x": None}}}, ANY),
    "keywords of null": ({"name": "t", "inputSchema": {"type": "object", "properties": {"x": {"type": "integer", "enum": None, "minimum": None, "description": None}}}}, ANY),
    "the fourth draft": ({"name": "t", "inputSchema": {"type": "object", "properties": {"x": {"type": "number", "minimum": 0, "exclusiveMinimum": True}}}}, ANY),
    "the third draft": ({"name": "t", "inputSchema": {"type": "object", "properties": {"x": {"type": "number", "required": True}}}}, ANY),
    "the seventh draft": ({"name": "t", "inputSchema": {"type": "object", "properties": {"x": {}, "y": {"items": [{"type": "string"}]}}}}, ANY),
    "a draft that is unknown": ({"name": "t", "inputSchema": {"$schema": "https://127.0.0.1/x", "type": "object", "properties": {"x": {"type": "integer"}}}}, ANY),
    "another type": ({"name": "t", "inputSchema": {"type": "Object", "properties": {"x": {}}}}, None),
    "an enum of nothing": ({"name": "t", "inputSchema": {"properties": {"x": {"enum": []}}}}, ANY),
    "OpenAPI's nullable": ({"name": "t", "inputSchema": {"properties": {"x": {"type": "string", "nullable": True}}}}, {"x": None}),
    "one that is required and not described": ({"name": "t", "inputSchema": {"properties": {}, "required": ["x"]}}, ANY),
    "halves of surrogate pairs": ({"name": "t", "description": "\ud800", "inputSchema": {"type": "object", "properties": {"x": {"description": "\udc00", "title": "\ud800"}}}}, ANY),
    "odd fields": ({"name": "t", "title": 5, "description": ["a"], "annotations": "safe", "icons": None, "execution": [], "_meta": 3}, {"more": ANY}),
    "a schema of a list": ({"name": "t", "inputSchema": []}, None),
    "false as schema": ({"name": "t", "inputSchema": False}, None),
    "a type that there is none of": ({"name": "t", "inputSchema": {"properties": {"x": {"type": "int"}}}}, None),
    "a reference elsewhere": ({"name": "t", "inputSchema": {"properties": {"x": {"$ref": "https://127.0.0.1:1/x"}}}}, None),
    "no name": ({"inputSchema": {}}, None),
    "an empty name": ({"name": ""}, None),
    "a number as name": ({"name": 5}, None),
    "a long name": ({"name": "t" * 257}, None),
    "a text": ("t", None),
    "null": (None, None),
    "the name of another": ({"name": "Echo"}, None),
}  # fmt: skip


@pytest.mark.parametrize(("tool", "arguments"), TOOLS.values(), ids=TOOLS)
def test_an_odd_tool_takes_no_other_along(serve: Serve, tool: Any, arguments: dict[str, Any] | None) -> None:
    echo = {"name": "echo", "inputSchema": {"type": "object", "properties": {"x": {}}}}
    running = serve(tools=[echo, tool])
    assert json.loads(running.call("odd-echo", x=1)) == {"x": 1}
    if arguments is None:
        assert [skill.name for skill in running.servers.skills] == ["odd-echo"]
        assert "is left out: " in running.servers.warnings[0]
    else:
        assert json.loads(running.call("odd-t", **arguments)) == arguments.get("more", arguments)
        assert running.servers.warnings == ()


@pytest.mark.parametrize("schema", [{"type": "nonsense"}, [], "x", {"$ref": "https://127.0.0.1:1/x"}, False])
def test_answers_whose_schema_is_of_no_use_are_not_checked(serve: Serve, schema: Any) -> None:
    running = serve(tools=[{"name": "t", "outputSchema": schema}])
    assert json.loads(running.call("odd-t")) == {}
    assert "the answers of its tool 't' are not checked: " in running.servers.warnings[0]


@pytest.mark.parametrize(
    ("result", "names", "problem"),
    [
        ({"tools": None}, [], None),
        ({}, [], None),
        ({"tools": {}}, [], "its list of tools is no list"),
        ({"tools": [{"name": "a"}], "nextCursor": 5, "ttlMs": -1}, ["odd-a"], None),
        ({"tools": [{"name": "a"}] * 501}, ["odd-a"], "it has more than 500 tools"),
        ({"tools": [{"name": "a"}], "nextCursor": "again"}, ["odd-a"], "the name odd-a is taken"),
    ],
)
def test_an_odd_list_is_a_list(serve: Serve, result: Any, names: list[str], problem: str | None) -> None:
    answer = f'{{"jsonrpc":"2.0","id":$ID,"result":{json.dumps(result)}}}\n'
    running = serve(answers={"tools/list": answer})
    assert running.why("odd") is None
    assert [skill.name for skill in running.servers.skills] == names
    assert problem is None or any(problem in told for told in running.servers.warnings)


@pytest.mark.parametrize("shaken", [{}, {"capabilities": None, "serverInfo": None}, {"serverInfo": {"name": 5}}])
def test_a_handshake_needs_no_more_than_its_version(serve: Serve, shaken: Any) -> None:
    shake = {"protocolVersion": "2025-06-18", **shaken}
    answer = f'{{"jsonrpc":"2.0","id":$ID,"result":{json.dumps(shake)}}}\n'
    running = serve(answers={"initialize": answer})
    assert json.loads(running.call("odd-echo", x=1)) == {"x": 1}
