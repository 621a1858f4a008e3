"""`callboard events`: a log as it is, followed, and the feed of all, across a restart of the server."""

import json
import re
import socket
from collections.abc import Callable
from pathlib import Path

import httpx
import pytest

from tests.callboard.conftest import Gate, python
from tests.callboard.in_process import in_process
from tests.callboard.terminal import Terminal, spawned
from tests.docs.serving import Served


def free_port() -> str:
    with socket.create_server(("127.0.0.1", 0)) as listening:
        return str(listening.getsockname()[1])


def submit(url: str, task: str, **fields: str) -> str:
    return str(httpx.post(f"{url}/agent/execute", json={"task": task, **fields}).json()["taskId"])


def test_a_log_is_printed_as_it_is_now_and_behind_a_number(served: Served, tmp_path: Path, gate: Gate) -> None:
    task_id = submit(served.url, gate.task)
    done = in_process("events", task_id, "--url", served.url, home=tmp_path)
    assert (done.returncode, done.stderr) == (0, "")
    rows = [line.split("\t") for line in done.stdout.splitlines()]
    assert rows[0][:2] + rows[0][3:4] == [task_id, "1", "agent.task.execute"]
    assert {len(row) for row in rows} == {5}
    gate.open()
    whole = in_process("events", task_id, "--follow", "--json", "--url", served.url, home=tmp_path).stdout.splitlines()
    assert [json.loads(line)["seq"] for line in whole] == list(range(1, len(whole) + 1))
    rest = in_process(
        "events", task_id, "--after", "2", "--json", "--url", served.url, home=tmp_path
    ).stdout.splitlines()
    assert rest == whole[2:]


def test_what_happened_is_said_in_words_on_a_terminal(served: Served, tmp_path: Path) -> None:
    task_id = served.result("What is 12 times 7?")["taskId"]
    with Terminal("events", task_id, "--url", served.url, home=tmp_path) as terminal:
        assert terminal.end() == 0
    assert 'skill.started    calculate("12 * 7")' in terminal.text
    assert "skill.completed  calculate in " in terminal.text
    assert "\x1b[32mtask.completed" in terminal.raw


def test_a_failed_call_is_shown_with_the_file_and_line_in_its_skill(served: Served, tmp_path: Path) -> None:
    task = python("from skills import rate\nrate('DM')")
    with Terminal("run", task, "--url", served.url, home=tmp_path) as terminal:
        assert terminal.end() != 0
    assert re.search(r"rate\(\"DM\"\).*at some\.py:\d+ The skill rate failed: KeyError: 'DM'", terminal.text)
    task_id = str(served.result(task)["taskId"])
    with Terminal("events", task_id, "--url", served.url, home=tmp_path) as terminal:
        assert terminal.end() == 0
    assert re.search(r"skill\.completed  rate failed at some\.py:\d+: The skill rate failed: KeyError", terminal.text)


@pytest.mark.slow
def test_a_task_is_followed_across_a_restart_with_no_gap_and_no_repeat(
    serve: Callable[..., Served], tmp_path: Path, gate: Gate
) -> None:
    port = free_port()
    first = serve(port=port)
    task_id = submit(first.url, gate.task)
    with spawned("events", task_id, "--follow", "--json", "--url", first.url, home=tmp_path) as process:
        assert process.stdout is not None
        seen = [json.loads(process.stdout.readline())]
        while seen[-1]["topic"] != "agent.skill.started":
            seen.append(json.loads(process.stdout.readline()))
        first.kill()
        serve(port=port)
        gate.open()
        seen += [json.loads(line) for line in process.stdout]
        process.wait(30)
    assert process.returncode == 0
    assert [event["seq"] for event in seen] == list(range(1, len(seen) + 1))
    assert (seen[-1]["topic"], seen[-1]["data"]["output"]) == ("agent.task.completed", "found")


@pytest.mark.slow
def test_the_feed_of_all_goes_on_across_a_restart_until_ctrl_c(serve: Callable[..., Served], tmp_path: Path) -> None:
    port = free_port()
    first = serve(port=port)
    words = ("events", "--follow", "--topic", "agent.task.*", "--session", "fed", "--after", "0", "--url", first.url)
    with Terminal(*words, home=tmp_path) as terminal:
        submit(first.url, "1 + 2", sessionId="other")
        submit(first.url, "3 + 4", sessionId="fed")
        terminal.read_until("task.completed")
        first.kill()
        again = serve(port=port)
        submit(again.url, "5 + 6", sessionId="fed")
        terminal.read_until("11 in")
        terminal.press_ctrl_c()
        assert terminal.end() == 130
        assert "Traceback" not in terminal.text
    topics = [line.split()[5] for line in terminal.text.splitlines() if "task." in line]
    assert topics == ["task.execute", "task.completed"] * 2


def test_without_a_task_and_without_follow_it_says_what_to_give(tmp_path: Path) -> None:
    done = in_process("events", home=tmp_path)
    assert (done.returncode, done.stdout) == (2, "")
    assert "Name a task, or --follow" in done.stderr
    for words in (("x", "--topic", "y"), ("--follow", "--after", "x")):
        assert in_process("events", *words, home=tmp_path).returncode == 2
