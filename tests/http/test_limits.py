"""What a task leaves behind has a limit on every way out: what is beyond is cut with a mark, and the task has it whole."""

from __future__ import annotations

import json
import re
import sqlite3
from contextlib import closing
from typing import TYPE_CHECKING, Any

import pytest

from callboard import AgentSystem, Settings
from callboard.http.openapi import openapi_document
from callboard.http.schemas.tasks import ShortResult
from callboard.limits import (
    ERROR_CHARS,
    EVENT_BYTES,
    EVENT_OUTPUT_CHARS,
    METADATA_BYTES,
    PAGE_BYTES,
    SHOWN_CHARS,
    TURN_CHARS,
)
from tests.http.conftest import Running, run
from tests.http.streaming import stream
from tests.http.test_webhooks import fits
from tests.receiver import Receiver, answer, receiving
from tests.template import lay_history

if TYPE_CHECKING:
    from collections.abc import Iterator

SKILLS = '''
from typing import Any

from callboard import RetryableError, SkillContext, skill

HUGE = "x" * 8_000_000


class Long(Exception):
    def __str__(self) -> str:
        return HUGE


Long.__name__ = Long.__qualname__ = "L" * 1_000_000


@skill(replay="never")
def fail(how: str) -> str:
    """Fail."""
    if how == "group":
        raise ExceptionGroup(HUGE, [ValueError(HUGE) for _ in range(10_000)])
    if how == "name":
        raise Long
    if how == "notes":
        error = ValueError("short")
        for _ in range(10_000):
            error.add_note(HUGE)
        raise error
    if how == "retryable":
        raise RetryableError(HUGE)
    error = None
    for _ in range(1000 if how == "chain" else 1):
        try:
            raise ValueError(HUGE) from error
        except ValueError as raised:
            error = raised
    raise error


@skill(replay="never")
def give(size: int) -> str:
    """Return a text of a size."""
    return "é" * size


@skill(replay="never")
def give_list(size: int) -> list[str]:
    """Return a list of as many texts."""
    return ["\\\\\\""] * size


@skill(replay="pure")
def remark(*, ctx: SkillContext) -> str:
    """Note very much."""
    for number in range(100):
        ctx.note(f"{number}" * 1000, ["y" * 1000] * 1000)
        ctx.note("joined", {f"{number}{n}": "z" * 100 for n in range(1000)})
    return "noted"
'''

MARK = re.compile(r"\[[\d,]+ more \w+ left out\]")


@pytest.fixture(scope="module")
def receiver() -> Iterator[Receiver]:
    with receiving(answer(200)) as one:
        yield one


@pytest.fixture(scope="module")
def limited(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    """A server whose scripts may return much, and with skills that leave behind as much as they can."""
    folder = tmp_path_factory.mktemp("limited")
    (folder / "skills").mkdir()
    (folder / "skills" / "much.py").write_text(SKILLS)
    settings = Settings(
        data_dir=folder,
        port=0,
        rate_limit_max_requests=0,
        skills_dir=folder / "skills",
        webhook_allow_private=True,
        sandbox_output_bytes=16_000_000,
        sandbox_memory_bytes=512 * 1024 * 1024,
    )
    with AgentSystem.start(lay_history(settings)) as system:
        running = run(system)
        dispatcher = running.server._waitress.task_dispatcher
        dispatcher.set_thread_count(len(dispatcher.threads) + 4)
        yield running
        running.stop()


def script(*lines: str) -> str:
    return "```python\n" + "\n".join(lines) + "\n```"


def calling(call: str) -> str:
    return script(f"from skills import {call.partition('(')[0]}", call)


CAUGHT = """
from skills import fail
try:
    fail('caught')
except RuntimeError as error:
    text = str(error)
text
"""

WAYS = {
    "a skill's exception": calling("fail('once')"),
    "its causes": calling("fail('chain')"),
    "its name": calling("fail('name')"),
    "its notes": calling("fail('notes')"),
    "its members": calling("fail('group')"),
    "a retryable one": calling("fail('retryable')"),
    "one that the script catches": script(CAUGHT),
    "a skill's result": calling("give(1_000_000)"),
    "a result of escapes": calling("give_list(50_000)"),
    "a skill's arguments": script("from skills import fail", "fail([['a' * 1000] * 100] * 100)  # type: ignore"),
    "a skill's notes": calling("remark()"),
    "a script's exception": script("raise ValueError('x' * 40_000_000)"),
    "its class": script(f"class {'E' * 40_000}(Exception): pass", f"raise {'E' * 40_000}('x')"),
    "findings of the type check": script(*[f"x{n}: int = 'a'" for n in range(4000)]),
    "a name that is not there": script("n" * 90_000),
    "a syntax error": script("('" + "q" * 90_000),
    "what is printed": script("for n in range(100_000): print('p' * 5)"),
    "what is printed beside a value": script("for n in range(10_000): print('p' * 100)", "42"),
    "a text": script("'é' * 1_000_000"),
    "a list": script("['a' * 1000] * 1000"),
    "an object": script("{str(n): {'k': n} for n in range(10_000)}"),
    "escapes": script("'\\x01' * 100_000"),
    "the task itself": script("'" + "ü" * 99_000 + "'"),
    "many variables": script(*[f"v{n}_{'w' * 20} = {n}" for n in range(3000)], "v1_" + "w" * 20),
}


@pytest.fixture(scope="module")
def left(limited: Running, receiver: Receiver) -> dict[str, str]:
    """Tasks that left as much as they could, one a way, by the way; all have ended."""
    tasks = {}
    for way, task in WAYS.items():
        reply = limited.client.post(
            "/agent/execute",
            json={"task": task, "sessionId": "limits", "callbackUrl": receiver.url},
            headers={"Prefer": "wait=20"},
        )
        assert reply.status_code == 200, way
        tasks[way] = reply.json()["taskId"]
    return tasks


def size(value: Any) -> int:
    return len(json.dumps(value, ensure_ascii=False, separators=(",", ":")).encode())


def pages(running: Running, path: str, key: str, **params: Any) -> list[dict[str, Any]]:
    """Return all entries of a list; each page is within its limit, or has one entry."""
    found: list[dict[str, Any]] = []
    while True:
        reply = running.client.get(path, params=params)
        page = reply.json()
        assert len(reply.content) <= PAGE_BYTES + 50_000 or len(page[key]) == 1, (path, len(reply.content))
        found += page[key]
        if page.get("nextCursor") is None:
            return found
        params["cursor"] = page["nextCursor"]


def log_of(running: Running, task_id: str) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = []
    while True:
        params = {"after": found[-1]["seq"] if found else 0}
        reply = running.client.get(f"/agent/tasks/{task_id}/events", params=params)
        page = reply.json()
        assert len(reply.content) <= PAGE_BYTES + 50_000 or len(page["events"]) == 1
        found += page["events"]
        if page["ended"]:
            return found


@pytest.mark.parametrize("way", WAYS)
def test_a_log_and_a_list_show_the_beginning_and_the_task_has_the_whole(
    limited: Running, left: dict[str, str], way: str
) -> None:
    task_id = left[way]
    whole = limited.client.get("/agent/results", params={"taskId": task_id}).json()["result"]
    assert len(whole["error"] or "") <= ERROR_CHARS
    assert size({**whole["metadata"], "printed": ""}) <= METADATA_BYTES
    [shown] = [
        one
        for one in pages(limited, "/agent/results", "results", sessionId="limits", limit=100)
        if one["taskId"] == task_id
    ]
    assert fits("ListedTask", shown)
    for name in ("task", "output", "error", "metadata"):
        if not shown[f"{name}Truncated"]:
            assert shown[name] == whole[name], name
            assert size(whole[name]) <= 6 * SHOWN_CHARS
            continue
        text = shown[name] if name != "metadata" else json.dumps(shown[name], ensure_ascii=False)
        assert MARK.search(text), name
        assert len(text) <= SHOWN_CHARS + 200
        if isinstance(whole[name], str):
            assert whole[name].startswith(text[: text.rindex("…")])
    log = log_of(limited, task_id)
    assert all(size(event["data"]) <= EVENT_BYTES for event in log)
    last = log[-1]["data"]
    if "output" in last:
        assert (
            last.get("outputTruncated", False) == (size(whole["output"]) > EVENT_OUTPUT_CHARS * 2)
            or size(last["output"]) <= 2 * EVENT_OUTPUT_CHARS
        )
    if "error" in last:
        assert last["error"] == whole["error"]


def test_what_was_cut_says_so(limited: Running, left: dict[str, str]) -> None:
    def error(way: str) -> str:
        return str(limited.client.get("/agent/results", params={"taskId": left[way]}).json()["result"]["error"])

    cut = ("a skill's exception", "a retryable one", "a script's exception", "a name that is not there")
    for way in (*cut, "findings of the type check"):
        assert MARK.search(error(way)), (way, error(way))
    assert "3,990 more findings left out" in error("findings of the type check")
    printed = limited.client.get(f"/agent/tasks/{left['what is printed beside a value']}").json()
    assert (printed["output"], len(printed["metadata"]["printed"])) == (42, 1_010_000)


def test_streams_and_webhooks_have_what_the_log_and_the_list_have(
    limited: Running, left: dict[str, str], receiver: Receiver
) -> None:
    told = [json.loads(receiver.next().body) for _ in WAYS]
    for message in told:
        assert message["data"].keys() == ShortResult.model_json_schema(by_alias=True)["properties"].keys()
        assert size({**message["data"], "task": ""}) <= METADATA_BYTES + 4 * EVENT_OUTPUT_CHARS + 4 * ERROR_CHARS
    [text] = [message["data"] for message in told if message["data"]["taskId"] == left["a text"]]
    assert text["outputTruncated"]
    assert text["output"] == "é" * (SHOWN_CHARS - 60) + f"… [{1_000_000 - SHOWN_CHARS + 60:,} more characters left out]"
    for way in ("a text", "a skill's arguments"):
        log = log_of(limited, left[way])
        with stream(limited.client, f"/agent/tasks/{left[way]}/events") as entries:
            assert [entry.data for entry in entries if entry.id and entry.event != "end"] == log


def test_the_feed_and_the_search_end_their_pages_and_go_on(limited: Running, left: dict[str, str]) -> None:
    found: list[dict[str, Any]] = []
    after = 0
    while True:
        reply = limited.client.get("/agent/events", params={"after": after})
        events = reply.json()["events"]
        if not events:
            break
        assert len(reply.content) <= PAGE_BYTES + 50_000
        found += events
        after = reply.json()["nextAfter"]
    assert {event["taskId"] for event in found} >= set(left.values())
    for params in ({"q": "python"}, {"sessionId": "limits"}, {"status": "failed"}):
        some = pages(limited, "/agent/results", "results", limit=100, **params)
        ids = [one["taskId"] for one in some]
        assert len(ids) == len(set(ids))


def test_what_is_stored_is_stored_once(limited: Running, left: dict[str, str]) -> None:
    """An output of 2 MB is in the task's row; its log, its session and its ledger have no second one."""
    with closing(sqlite3.connect(limited.system.settings.data_dir / "callboard.db")) as connection:
        of = (left["a text"],)
        [[row]] = connection.execute("SELECT length(CAST(output AS BLOB)) FROM tasks WHERE id = ?", of)
        [[log]] = connection.execute("SELECT sum(length(CAST(data AS BLOB))) FROM events WHERE task_id = ?", of)
        [[largest]] = connection.execute("SELECT max(length(CAST(data AS BLOB))) FROM events")
        [[error]] = connection.execute("SELECT max(length(error)) FROM calls")
    assert row == 2_000_002
    assert log < 4 * EVENT_OUTPUT_CHARS
    assert largest <= EVENT_BYTES
    assert error <= 2 * ERROR_CHARS
    session = limited.client.get("/agent/sessions/limits").json()["session"]
    assert all(len(turn["content"]) <= TURN_CHARS for turn in session["conversation"])


def test_the_calls_of_a_task_may_return_so_much_in_all(limited: Running) -> None:
    """150 results of 1 MB are not kept: the call that passes the limit fails, and says what to do."""
    told = limited.result(
        script("from skills import give", "n = 0", "for _ in range(150):", "    n += len(give(500_000))", "n")
    )
    assert (told["errorCode"], told["success"]) == ("ledger_limit", False)
    assert "33,554,432 bytes" in told["error"]
    assert "files of the workspace" in told["error"]
    with closing(sqlite3.connect(limited.system.settings.data_dir / "callboard.db")) as connection:
        of = (told["taskId"],)
        [[kept]] = connection.execute("SELECT sum(length(CAST(result AS BLOB))) FROM calls WHERE task_id = ?", of)
    assert 32_000_000 < kept <= 33_554_432
    assert told["metadata"]["skillCalls"] == 34


def test_lists_of_skills_and_agents_are_pages_too(limited: Running) -> None:
    assert {"schemaTruncated", "stubTruncated", "descriptionTruncated"} <= set(
        openapi_document("1")["components"]["schemas"]["ListedSkill"]["properties"]
    )
    names = [one["name"] for one in pages(limited, "/agent/skills", "skills")]
    assert names == sorted(set(names))
    assert {"fail", "give"} <= set(names)
