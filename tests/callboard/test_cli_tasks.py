"""The commands that look at a server and drive its tasks, in pipes and on a terminal."""

import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from callboard.cli.editor import edited
from callboard.cli.exit import Ended
from tests.callboard.conftest import PAY, Gate, python
from tests.callboard.in_process import in_process
from tests.callboard.terminal import Terminal
from tests.docs.serving import Served

Ask = Callable[..., Any]


@pytest.fixture
def ask(served: Served, tmp_path: Path) -> Ask:
    """Return a function that runs a command against the server and returns its result."""
    return lambda *words, **settings: in_process(*words, home=tmp_path, CALLBOARD_URL=served.url, **settings)


def submit(served: Served, task: str, **fields: Any) -> str:
    with served.client() as client:
        return str(client.post("/agent/execute", json={"task": task, **fields}).json()["taskId"])


# --- tasks ---


def test_tasks_in_a_pipe_are_lines_with_tabs_newest_first(served: Served, ask: Ask) -> None:
    made = [served.result(f"{number} + 1", sessionId="piped")["taskId"] for number in range(3)]
    done = ask("tasks", "--session", "piped")
    assert (done.returncode, done.stderr) == (0, "")
    rows = [line.split("\t") for line in done.stdout.splitlines()]
    assert [row[0] for row in rows] == made[::-1]
    assert [row[1] for row in rows] == ["completed"] * 3
    assert {len(row) for row in rows} == {7}
    assert [row[3] for row in rows] == ["piped"] * 3
    assert [row[5] for row in rows] == ["2 + 1", "1 + 1", "0 + 1"]
    assert 0 < float(rows[0][4]) <= float(rows[0][6]), (
        "work, and the time by the clock, which came later and so stands last"
    )
    assert len(ask("tasks", "--session", "piped", "--limit", "2").stdout.splitlines()) == 2


def test_tasks_are_filtered(served: Served, ask: Ask) -> None:
    failed = served.result("Paint my zebra.", sessionId="filtered")["taskId"]
    good = served.result("77 + 1", sessionId="filtered")["taskId"]
    reviewed = served.result("Look at it.", sessionId="filtered", agent="code-reviewer")["taskId"]

    def ids(*words: str) -> list[str]:
        return [task["taskId"] for task in json.loads(ask("tasks", "--session", "filtered", *words, "--json").stdout)]

    assert ids() == [reviewed, good, failed]
    assert ids("--status", "completed") == [good]
    assert ids("--agent", "code-reviewer") == [reviewed]
    assert ids("--search", "ZEBRA") == [failed]
    assert ids("--search", good) == [good]
    assert ids("--parent", good) == []


def test_all_tasks_are_all_there_are(served: Served, ask: Ask) -> None:
    with served.client() as client:
        bodies = [{"task": f"{number} + 1", "sessionId": "all"} for number in range(120)]
        made = {client.post("/agent/execute", json=body).json()["taskId"] for body in bodies}
    rows = [line.split("\t") for line in ask("tasks", "--session", "all", "--all").stdout.splitlines()]
    assert (len(rows), {row[0] for row in rows}) == (120, made)
    listed = [task["taskId"] for task in json.loads(ask("tasks", "--all", "--json").stdout)]
    assert len(listed) == len(set(listed))
    assert made <= set(listed)


def test_no_list_hides_silently(served: Served, ask: Ask) -> None:
    made = [served.result(f"{number} + 1", sessionId="hidden")["taskId"] for number in range(2)]
    served.result("2 + 2", sessionId="another")
    waiting = [paused(ask, served, PAY)[0] for _ in range(2)]
    for words in (("tasks", "--session", "hidden"), ("sessions",), ("approvals",)):
        for form in ((), ("--json",)):
            some = ask(*words, "--limit", "1", *form)
            assert (some.returncode, some.stderr) == (
                0,
                "There are more; --all shows them, --limit N as many as you say.\n",
            )
            assert ask(*words, "--all", *form).stderr == ""
    assert ask("tasks", "--session", "hidden", "--limit", "2").stderr == "", "these are all"
    rows = [line.split("\t")[0] for line in ask("approvals", "--all").stdout.splitlines()]
    assert [task_id for task_id in rows if task_id in waiting] == waiting, "whose time is up first is not hidden"
    assert made[0] not in rows
    for task_id in waiting:
        assert ask("cancel", task_id).returncode == 0


def test_no_tasks_are_said_to_be_none_and_json_is_an_empty_list(ask: Ask) -> None:
    done = ask("tasks", "--session", "nobody")
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "There are no such tasks.\n")
    assert ask("tasks", "--session", "nobody", "--json").stdout == "[]\n"


def test_a_terminal_gets_a_table_as_wide_as_it_is(served: Served, tmp_path: Path) -> None:
    task_id = served.result("Summarize: " + "The cat sat on the mat. " * 20, sessionId="table")["taskId"]
    with Terminal("tasks", "--session", "table", "--url", served.url, home=tmp_path) as terminal:
        assert terminal.end() == 0
    head, row = terminal.text.splitlines()
    assert head.split() == ["task", "status", "when", "session", "work", "took", "text"]
    assert row.startswith(f"{task_id[-12:]} ")
    assert "s ago" in row
    assert row.rstrip().endswith("…")
    assert len(row) <= 100
    assert "\x1b[32mcompleted" in terminal.raw


def test_hostile_text_is_written_out_in_lists_and_in_full(served: Served, tmp_path: Path, ask: Ask) -> None:
    task_id = served.result("Paint \x1b]0;owned\x07 it\r\n\x1b[2J \u202e!", sessionId="hostile")["taskId"]
    for words in (("tasks", "--session", "hostile"), ("show", task_id), ("events", task_id), ("sessions",)):
        for more in ((), ("--json",)):
            done = ask(*words, *more)
            assert not {"\x1b", "\x07", "\r", "\u202e"} & set(done.stdout + done.stderr)
        with Terminal(*words, "--url", served.url, home=tmp_path) as terminal:
            assert terminal.end() == 0
        assert "\x1b]0;" not in terminal.raw
        assert "\x1b[2J" not in terminal.raw
    assert "Paint \\x1b]0;owned\\x07 it" in ask("show", task_id).stdout


# --- show, cancel, retry, decide ---


def test_a_task_is_shown_by_its_id_or_a_part_of_it(served: Served, ask: Ask) -> None:
    task_id = served.result("5 + 1", labels={"order": 4711})["taskId"]
    for part in (task_id, task_id[-12:], task_id[:-1]):
        done = ask("show", part)
        assert (done.returncode, done.stderr) == (0, "")
        fields = {line[:12].strip(): line[13:] for line in done.stdout.splitlines()}
        assert (fields["task"], fields["status"], fields["output"]) == (task_id, "completed", "6")
        assert json.loads(fields["labels"]) == {"order": 4711}
        assert fields["took"].endswith("s")
        assert fields["work"].endswith("s")
    told = json.loads(ask("show", task_id[-12:], "--json").stdout)
    with served.client() as client:
        assert told == client.get(f"/agent/tasks/{task_id}").json()


def test_a_part_that_several_ids_have_means_none_of_them(served: Served, ask: Ask) -> None:
    one, other = served.result("6 + 1")["taskId"], served.result("6 + 2")["taskId"]
    done = ask("cancel", one[:6])
    assert (done.returncode, done.stdout) == (4, "")
    assert "tasks have ids that begin or end with" in done.stderr
    assert other[:6] == one[:6]


def test_long_texts_flood_no_terminal_and_a_pipe_gets_them_whole(served: Served, ask: Ask, tmp_path: Path) -> None:
    made = served.result(python("print('x' * 20_000)\n'y' * 30_000"), sessionId="long")
    with Terminal("show", made["taskId"], "--url", served.url, home=tmp_path) as terminal:
        assert terminal.end() == 0
    assert (terminal.text.count("x" * 100), terminal.text.count("y" * 100)) == (100, 100)
    for left in ("10,001", "20,000"):  # printed lines have their ends
        assert f"… {left} more characters; --json shows all" in terminal.text
    fields = {line[:12].strip(): line[13:] for line in ask("show", made["taskId"]).stdout.splitlines()}
    assert (fields["printed"], fields["output"]) == ("x" * 20_000, "y" * 30_000)
    told = json.loads(ask("show", made["taskId"], "--json").stdout)["metadata"]
    assert json.loads(fields["metadata"]) == {name: told[name] for name in told if name != "printed"}
    with Terminal("sessions", "show", "long", "--url", served.url, home=tmp_path) as terminal:
        assert terminal.end() == 0
    assert "more characters; --json shows all" in terminal.text


def test_a_typo_in_an_id_is_answered_with_the_id_that_is_like_it(served: Served, ask: Ask) -> None:
    task_id = served.result("7 + 1")["taskId"]
    wrong = task_id[:-1] + ("0" if task_id[-1] != "0" else "1")
    for command in ("show", "cancel", "retry", "events"):
        done = ask(command, wrong)
        assert (done.returncode, done.stdout) == (4, "")
        assert f"Did you mean {task_id}?" in done.stderr
    assert "give at least 4 characters" in ask("show", "0").stderr
    done = ask("show", "nothing-like-it")
    assert (done.returncode, "Did you mean" in done.stderr) == (4, False)


def test_a_task_is_cancelled_once(served: Served, ask: Ask, gate: Gate) -> None:
    task_id = submit(served, gate.task)
    done = ask("cancel", task_id)
    assert (done.returncode, done.stdout) == (0, f"{task_id}: Task cancelled.\n")
    ended = served.result("8 + 1")["taskId"]
    late = ask("cancel", ended)
    assert (late.returncode, late.stdout) == (1, f"{ended}: Task had already ended as completed.\n")
    assert json.loads(ask("cancel", ended, "--json").stdout)["success"] is False


def test_an_ended_task_is_done_again(served: Served, ask: Ask, gate: Gate) -> None:
    task_id = served.result("9 + 1", sessionId="again")["taskId"]
    new_id = ask("retry", task_id).stdout.strip()
    followed = ask("events", new_id, "--follow", "--json")
    assert json.loads(followed.stdout.splitlines()[-1])["data"]["output"] == 10
    assert json.loads(ask("show", new_id, "--json").stdout)["sessionId"] == "again"
    refused = ask("retry", submit(served, gate.task))
    assert (refused.returncode, refused.stdout) == (1, "")


def test_a_paused_task_says_how_to_decide_and_is_decided(served: Served, ask: Ask) -> None:
    task_id = submit(served, PAY)
    while json.loads(ask("show", task_id, "--json").stdout)["status"] != "paused":
        pass
    shown = ask("show", task_id).stdout
    assert "waits for    pay(500)" in shown
    assert """ --arguments '{"cents": 500}'""" in shown
    assert "waits for pay(500)" in ask("events", task_id).stdout
    [way] = [line.strip() for line in shown.splitlines() if f"decide {task_id} reject" in line]
    assert way.startswith(f"callboard decide {task_id} reject --call ")
    for text in ("{", "[1]"):
        wrong = ask("decide", task_id, "edit", "--arguments", text)
        assert (wrong.returncode, "--arguments" in wrong.stderr) == (2, True)
    unfit = ask("decide", task_id, "edit", "--arguments", '{"euros": 5}')
    assert (unfit.returncode, unfit.stdout) == (1, "")
    done = ask("decide", task_id[-12:], "edit", "--arguments", '{"cents": 300}', "--reason", "less", "--json")
    assert (done.returncode, json.loads(done.stdout)["success"]) == (0, True)
    last = ask("events", task_id, "--follow", "--json").stdout.splitlines()[-1]
    assert json.loads(last)["data"]["output"] == "paid 300"
    assert "pay(cents=300) (edited by a person)" in ask("events", task_id).stdout
    assert "agent.task.requeued\tdecision edit: less\n" in ask("events", task_id).stdout
    late = ask("decide", task_id, "approve")
    assert (late.returncode, "not paused" in late.stderr) == (1, True)


POST = python("from skills import post\npost('Zoë \\u202e' * 5000 + 'end', to=[str(n) for n in range(1000)])")


def paused(ask: Ask, served: Served, task: str) -> tuple[str, dict[str, Any]]:
    task_id = submit(served, task)
    while json.loads(ask("show", task_id, "--json").stdout)["status"] != "paused":
        pass
    return task_id, json.loads(ask("show", task_id, "--json").stdout)["pause"]


def test_what_waits_for_approval_is_listed_shown_whole_and_edited_whole(
    served: Served, ask: Ask, tmp_path: Path
) -> None:
    task_id, pause = paused(ask, served, POST)
    assert pause["argsTruncated"] is True
    row = next(line for line in ask("approvals").stdout.splitlines() if line.startswith(task_id)).split("\t")
    assert (row[1], row[4]) == ("approval", pause["digest"])
    assert f"callboard approvals show {task_id}" in ask("show", task_id).stdout
    short, full = ask("approvals", "show", task_id).stdout, ask("approvals", "show", task_id, "--full").stdout
    assert "\narguments    the first 10,000 of " in short
    assert f"Look at all of it before you decide: `callboard approvals show {task_id} --full` shows it" in short
    assert "\narguments    whole:\n" in full
    assert 'left to their defaults:\n{\n  "copies": 31\n}' in short
    assert "\\u202e" in short
    assert "\u202e" not in full
    assert '"999"' not in short
    assert '"999"' in full
    assert "Zo\\u00eb" in ask("approvals", "show", task_id, "--ascii").stdout
    whole = json.loads(ask("approvals", "show", task_id, "--json").stdout)
    assert (whole["args"], whole["argsTruncated"]) == (["Zoë \u202e" * 5000 + "end"], False)
    file = tmp_path / "arguments.json"
    assert ask("approvals", "show", task_id, "--output", str(file)).returncode == 0
    assert file.stat().st_mode & 0o777 == 0o600
    again = ask("approvals", "show", task_id, "--output", str(file))
    assert (again.returncode, f"{file} is there already" in again.stderr) == (1, True)
    arguments = json.loads(file.read_text())
    assert arguments == {"letter": whole["args"][0], **whole["kwargs"]}
    file.write_text(json.dumps({**arguments, "letter": arguments["letter"] + "!"}))
    late = ask("decide", task_id, "edit", "--arguments", f"@{file}", "--digest", "0" * 64)
    assert (late.returncode, "digest" in late.stderr) == (1, True)
    assert ask("decide", task_id, "edit", "--arguments", f"@{tmp_path / 'none'}").returncode == 2
    assert ask("decide", task_id, "edit").returncode == 2  # without a terminal there is no editor
    done = ask("decide", task_id, "edit", "--arguments", f"@{file}", "--digest", pause["digest"])
    assert done.returncode == 0, done.stderr
    last = ask("events", task_id, "--follow", "--json").stdout.splitlines()[-1]
    assert json.loads(last)["data"]["output"] == "25004 nd! 1000 999"


def test_an_editor_is_given_the_whole_arguments(served: Served, ask: Ask, tmp_path: Path) -> None:
    task_id, _ = paused(ask, served, POST)
    editor = tmp_path / "editor"
    editor.write_text('#!/bin/sh\nsed -i "s/end\\"/END\\"/" "$1"\n')
    editor.chmod(0o755)
    there = {"CALLBOARD_URL": served.url, "VISUAL": str(editor), "TMPDIR": str(tmp_path)}
    with Terminal("decide", task_id, "edit", home=tmp_path, **there) as terminal:
        assert terminal.end() == 0, terminal.text
    assert not list(tmp_path.glob("callboard-edit-*")), "what was taken is not left lying about"
    last = ask("events", task_id, "--follow", "--json").stdout.splitlines()[-1]
    assert json.loads(last)["data"]["output"] == "25003 END 1000 999"


def test_what_was_saved_in_an_editor_is_kept_where_it_cannot_be_used(served: Served, ask: Ask, tmp_path: Path) -> None:
    task_id, pause = paused(ask, served, python("from skills import pay\npay(500)\npay(600)"))
    saved = tmp_path / "saved"
    there = {"CALLBOARD_URL": served.url, "VISUAL": f"cp {saved}", "TMPDIR": str(tmp_path)}

    def edit(text: str, *words: str) -> str:
        saved.write_text(text)
        with Terminal("decide", task_id, "edit", *words, home=tmp_path, **there) as terminal:
            assert terminal.end() == 1, terminal.text
        return " ".join(terminal.text.split())

    told = edit('{"euros": 3}', "--reason", "too much")
    assert ("do not fit the skill pay" in told, "Usage:" in told) == (True, False), told
    [kept] = tmp_path.glob("callboard-edit-*.json")
    assert (kept.read_text(), kept.stat().st_mode & 0o777) == ('{"euros": 3}', 0o600)
    assert (
        f"your edit is kept in {kept}; go on with: callboard decide {task_id} edit --digest {pause['digest']} " in told
    )
    assert f"--reason 'too much' --arguments @{kept}" in told
    kept.unlink()
    assert "nothing was changed in the editor" in edit(json.dumps({"cents": 500}, indent=2) + "\n")
    assert "is about arguments with the digest 00000000" in edit('{"cents": 1}', "--digest", "0" * 8)
    assert not list(tmp_path.glob("callboard-edit-*.json")), "there was nothing to lose"

    callboard, editor = f"{sys.executable} -m callboard", tmp_path / "editor"
    look = f"until {callboard} show {task_id} | grep -q 'pay(600)'; do :; done"
    editor.write_text(f'#!/bin/sh\ncp {saved} "$1"\n{callboard} decide {task_id} approve\n{look}\n')
    editor.chmod(0o755)
    there["VISUAL"] = str(editor)
    told = edit('{"cents": 200}', "--reason", "less")
    [kept] = tmp_path.glob("callboard-edit-*.json")
    assert kept.read_text() == '{"cents": 200}'
    assert f"go on when you have seen what waits now with `callboard approvals show {task_id}` with: " in told
    assert f"callboard decide {task_id} edit --reason less --arguments @{kept}" in told
    assert ask("cancel", task_id).returncode == 0


@pytest.mark.parametrize(
    ("text", "why"),
    [
        (b'{"cents": 300', "is not JSON: "),
        (b"[300]", "is no JSON object"),
        (b"\xff", "is no text in UTF-8"),
        (b"", "is not JSON: "),
        (b'{"cents": 300}', ""),
    ],
)
def test_what_an_editor_saved_is_kept_whatever_it_is(
    text: bytes, why: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    saved = tmp_path / "saved"
    saved.write_bytes(text)
    monkeypatch.setenv("VISUAL", f"cp {saved}")
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    with (
        pytest.raises(Ended if why else KeyboardInterrupt, match=why or None),
        edited({"cents": 500}, lambda file, _: f"see {file}"),
    ):
        raise KeyboardInterrupt
    [kept] = tmp_path.glob("callboard-edit-*.json")
    assert (kept.read_bytes(), capsys.readouterr().err) == (text, f"callboard: see {kept}\n")


def test_a_digest_may_be_as_short_as_a_list_shows_it(ask: Ask, served: Served) -> None:
    task_id, pause = paused(ask, served, PAY)
    for digest in ("0" * 12, pause["digest"][:11] + ("0" if pause["digest"][11] != "0" else "1")):
        other = ask("decide", task_id, "approve", "--digest", digest)
        assert (other.returncode, f"with the digest {digest}, and the call" in other.stderr) == (1, True)
    for digest in ("abc", pause["digest"][:7], "approve it", pause["digest"] + "0"):
        wrong = ask("decide", task_id, "approve", "--digest", digest)
        assert (wrong.returncode, "is no digest; give it as `callboard approvals` shows it" in wrong.stderr) == (
            2,
            True,
        )
    done = ask("decide", task_id[-12:], "approve", "--digest", pause["digest"][:12].upper())
    assert (done.returncode, done.stderr) == (0, "")


def test_a_shortened_text_in_an_edit_is_answered_with_how_to_get_the_whole(ask: Ask, served: Served) -> None:
    task_id, pause = paused(ask, served, POST)
    done = ask("decide", task_id, "edit", "--arguments", json.dumps({"letter": pause["args"][0], "to": ["1"]}))
    assert (done.returncode, f"`callboard approvals show {task_id} --output FILE` writes the whole" in done.stderr) == (
        1,
        True,
    )


# --- sessions, skills, agents, health ---


def test_sessions_are_listed_shown_and_deleted(served: Served, ask: Ask) -> None:
    served.result(python("price = 3"), sessionId="shop")
    served.result("price?", sessionId="other")
    served.result(python("price + 1"), sessionId="shop")
    assert ask("sessions").stdout.splitlines()[0].split("\t")[:2] == ["shop", "2"]
    assert json.loads(ask("sessions", "list", "--all", "--json").stdout)[0]["sessionId"] == "shop"
    assert len(ask("sessions", "--limit", "1").stdout.splitlines()) == 1
    told = ask("sessions", "show", "shop").stdout
    assert "variables    price" in told
    assert told.endswith("\n4  assistant\n4\n")
    assert json.loads(ask("sessions", "show", "shop", "--json").stdout)["variables"] == ["price"]
    assert ask("sessions", "delete", "shop").stdout == "shop is forgotten.\n"
    gone = ask("sessions", "show", "shop")
    assert (gone.returncode, gone.stdout) == (4, "")


def test_the_skills_of_a_server_have_their_counts(served: Served, ask: Ask) -> None:
    served.result("11 * 2")
    rows = {
        row[0]: row for row in (line.split("\t") for line in ask("skills", "--url", served.url).stdout.splitlines())
    }
    assert rows["pay"][1:4] == ["python", "never", "yes"]
    assert int(rows["calculate"][6]) > 0
    assert "delegate" in rows
    told = {row["name"]: row for row in json.loads(ask("skills", "--url", served.url, "--json").stdout)["skills"]}
    assert told["calculate"]["calls"] > 0
    assert "pay" in ask("skills").stdout  # CALLBOARD_URL names it
    assert json.loads(ask("skills", "show", "pay", "--json").stdout)["calls"] >= 0
    wrong = ask("decide", "x", "aprove")
    assert (wrong.returncode, "did you mean approve?" in wrong.stderr) == (2, True)


def test_agents_are_listed(served: Served, ask: Ask) -> None:
    rows = [line.split("\t") for line in ask("agents").stdout.splitlines()]
    assert {"master", "code-reviewer"} <= {row[0] for row in rows}
    assert {len(row) for row in rows} == {5}
    assert "maxRounds" in json.loads(ask("agents", "--json").stdout)[0]


def test_health_is_said(served: Served, ask: Ask, tmp_path: Path) -> None:
    done = ask("health")
    fields = {line[:12].strip(): line[13:] for line in done.stdout.splitlines()}
    assert (done.returncode, fields["status"], fields["server"]) == (0, "healthy", served.url)
    assert "sandbox up" in fields["services"]
    assert json.loads(ask("health", "--json").stdout)["status"] == "healthy"
    with Terminal("health", "--url", served.url, home=tmp_path) as terminal:
        assert terminal.end() == 0
        assert "\x1b[32mhealthy" in terminal.raw


def test_health_counts_one_worker_process_as_one_and_two_as_two(serve: Callable[..., Served], tmp_path: Path) -> None:
    for number, said in ((1, "1 process, "), (2, "2 processes, ")):
        served = serve(f"with-{number}", CALLBOARD_WORKER_PROCESSES=str(number))
        done = in_process("health", "--url", served.url, home=tmp_path)
        (line,) = (line for line in done.stdout.splitlines() if line.startswith("workers"))
        assert line.split(maxsplit=1)[1].startswith(said)
        assert line.endswith(" ready, 0 have died")


@pytest.mark.parametrize("words", [("tasks",), ("sessions",), ("agents",), ("skills",), ("health",), ("dead-letters",)])
def test_no_colour_and_no_control_characters_go_into_a_pipe(ask: Ask, words: tuple[str, ...]) -> None:
    done = ask(*words)
    assert done.returncode == 0
    assert not set(map(chr, range(32))) - {"\n", "\t"} & set(done.stdout)
