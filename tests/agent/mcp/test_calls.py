"""Calls of a real server's tools, over both transports and in both protocol versions."""

import threading
import time
from collections.abc import Callable

import pytest

from callboard.agent.cancel import Cancelled
from callboard.agent.mcp.results import MAX_RESULT_BYTES, ToolFailed
from callboard.agent.mcp.wire import MAX_MESSAGE_BYTES
from callboard.agent.skill import RetryableError
from callboard.errors import TaskError
from tests.agent.mcp.conftest import HttpServer, Running, Start, context, stdio
from tests.at_once import LATE_S


def test_the_newest_protocol_that_both_speak_is_spoken(start: Start, http_server: Callable[..., HttpServer]) -> None:
    web = http_server().entry
    running = start(
        {
            "new": stdio(),
            "old": stdio(protocolVersion="2025-11-25"),
            "web": web,
            "web-old": {**web, "protocolVersion": "2025-11-25"},
        }
    )
    spoken = {name: running.servers.protocol_version(name) for name in running.servers.names}
    assert spoken == {"new": "2026-07-28", "old": "2025-11-25", "web": "2026-07-28", "web-old": "2025-11-25"}


def test_a_tool_answers_with_its_structured_content(tools: Running) -> None:
    assert tools.call("tools-add", 3, b=4) == {"result": 7}
    assert tools.call("tools-add", a=3) == {"result": 5}
    assert tools.call("tools-put", "k") == {"key": "k", "nothing": None}


def test_a_tool_without_structured_content_answers_with_its_text(tools: Running) -> None:
    assert tools.call("tools-greet", "Alice") == "Hello Alice"


def test_pictures_and_files_come_without_their_bytes(tools: Running) -> None:
    drawn = tools.call("tools-picture")
    assert drawn == [
        "drawn",
        {"type": "image", "mediaType": "image/png", "bytes": 5},
        {"type": "resource", "uri": "x://page", "text": "a page"},
    ]
    assert tools.call("tools-picture", mixed=False) is None


def test_what_a_tool_says_of_its_failure_is_the_skills_error(tools: Running) -> None:
    with pytest.raises(ToolFailed, match="no such") as raised:
        tools.call("tools-fail")
    assert "\x1b" not in str(raised.value)


def test_the_call_carries_its_effect_id(tools: Running) -> None:
    assert tools.call("tools-effect-id") == "t1:4"


def test_arguments_are_checked_before_the_call(tools: Running) -> None:
    with pytest.raises(ValueError, match=r"tools_add\(\) argument a: "):
        tools.call("tools-add", a="three")
    with pytest.raises(TypeError, match=r"tools_add\(\) missing a required argument: 'a'"):
        tools.call("tools-add")
    with pytest.raises(TypeError, match="unexpected keyword argument 'c'"):
        tools.skill("tools-add").binding((), {"a": 1, "c": 2})


def test_an_answer_beyond_the_limit_is_refused(tools: Running) -> None:
    assert len(tools.call("tools-flood", MAX_RESULT_BYTES - 10)) == MAX_RESULT_BYTES - 10
    with pytest.raises(ToolFailed, match="the tool was called and answered 1,000,002 bytes; 1,000,000 is the limit"):
        tools.call("tools-flood", MAX_RESULT_BYTES)
    assert tools.call("tools-greet", "again") == "Hello again"


def test_an_answer_that_no_message_may_have_does_not_end_the_connection(tools: Running) -> None:
    with pytest.raises(ToolFailed, match="the tool was called, and its answer is larger than 8,000,000 bytes"):
        tools.call("tools-flood", MAX_MESSAGE_BYTES + 1)
    assert tools.call("tools-greet", "again") == "Hello again"


@pytest.mark.parametrize("tools", ["stdio", "stdio 2025-11-25", "http", "http 2025-11-25"], indirect=True)
def test_a_cancelled_call_returns_at_once_and_the_server_hears_of_it(tools: Running) -> None:
    # not "http json": the SDK's server does not notice that its client has gone before it has its answer
    cancel = threading.Event()
    threading.Timer(0.3, cancel.set).start()
    started_s = time.monotonic()
    with pytest.raises(Cancelled):
        tools.skill("tools-sleep").call((60.0,), {}, context(cancel_event=cancel))
    assert time.monotonic() - started_s < 0.3 + LATE_S
    assert tools.call("tools-was-cancelled") == {"result": True}


def test_a_call_ends_at_the_tasks_deadline(tools: Running) -> None:
    started_s = time.monotonic()
    with pytest.raises(TaskError) as raised:
        tools.skill("tools-sleep").call((60.0,), {}, context(deadline_s=started_s + 0.3))
    assert raised.value.code == "deadline_exceeded"
    assert 0.3 <= time.monotonic() - started_s < 0.3 + LATE_S


def test_a_call_ends_at_the_servers_own_limit(start: Start) -> None:
    running = start({"tools": stdio(timeoutS=0.3)})
    with pytest.raises(RetryableError, match=r"broke off: it did not answer within 0\.3 s"):
        running.call("tools-sleep", 60.0)
    with pytest.raises(ToolFailed, match="whether the call was carried out is not known"):
        running.call("tools-work", 60.0)


def test_calls_of_one_server_run_side_by_side(tools: Running) -> None:
    with_it = [threading.Thread(target=tools.call, args=("tools-sleep", 1.0)) for _ in range(8)]
    started_s = time.monotonic()
    for thread in with_it:
        thread.start()
    for thread in with_it:
        thread.join()
    assert time.monotonic() - started_s < 7  # one after another, they would take 8 s
