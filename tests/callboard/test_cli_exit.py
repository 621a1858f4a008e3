"""Exit statuses: each of them happens, with a sentence where something went wrong, and never a traceback."""

import os
import subprocess
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from threading import Thread

import pytest

from callboard import AgentSystem
from callboard.cli.exit import Exit, status_of
from callboard.client.errors import WaitTimeout
from callboard.errors import CallboardError, ConfigurationError, StoreUnavailable, TaskNotFound
from tests.callboard.conftest import PAY
from tests.callboard.in_process import in_process
from tests.callboard.terminal import COMMAND, Terminal, piped
from tests.docs.serving import Served, environment

ASKING = [
    ("tasks",), ("show", "x"), ("events", "x"), ("events", "--follow"), ("cancel", "x"), ("retry", "x"),
    ("decide", "x", "approve"), ("sessions",), ("sessions", "show", "x"), ("sessions", "delete", "x"), ("agents",),
    ("health",), ("dead-letters",), ("dead-letters", "redrive", "x"), ("run", "6*7"), ("tasks", "--all"),
]  # fmt: skip


def sentence(done: "subprocess.CompletedProcess[str]", status: int) -> str:
    """Assert that a command ended so, with one sentence and nothing else; return it."""
    assert (done.returncode, done.stdout) == (status, ""), done.stderr
    assert "Traceback" not in done.stderr
    [line] = done.stderr.splitlines()
    assert line.startswith("callboard: ")
    return line


@pytest.mark.parametrize(
    ("words", "status"),
    [
        (("run", "6*7"), Exit.DONE), (("run", "Paint my zebra."), Exit.FAILED), (("run", " "), Exit.USAGE),
        (("show", "x"), Exit.NOT_FOUND), (("run", PAY), Exit.PAUSED),
        (("tasks", "--url", "http://127.0.0.1:9"), Exit.NO_SERVER),
        (("tasks", "--api-key-file", "nowhere"), Exit.CONFIGURATION),
    ],
)  # fmt: skip
def test_a_process_ends_with_the_status_of_its_command(
    served: Served, tmp_path: Path, words: tuple[str, ...], status: Exit
) -> None:
    # the others need a signal, a closed pipe, or a server of their own, and are further down and in test_cli_run.py
    assert piped(*words, home=tmp_path, CALLBOARD_URL=served.url).returncode == status


@pytest.mark.parametrize("words", ASKING, ids=" ".join)
def test_no_server_is_69_at_once(tmp_path: Path, words: tuple[str, ...]) -> None:
    line = sentence(in_process(*words, "--url", "http://127.0.0.1:9", home=tmp_path), 69)
    assert "No server answers at http://127.0.0.1:9" in line
    assert "callboard serve" in line


def test_something_else_that_answers_is_69(tmp_path: Path) -> None:
    class Other(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200)
            self.end_headers()
            self.wfile.write(b"<html>hello</html>")

        def log_message(self, *_: object) -> None:
            pass

    with HTTPServer(("127.0.0.1", 0), Other) as other:
        thread = Thread(target=other.serve_forever)
        thread.start()
        line = sentence(in_process("tasks", "--url", f"http://127.0.0.1:{other.server_port}", home=tmp_path), 69)
        other.shutdown()
        thread.join()
    assert "no Callboard" in line


@pytest.fixture(scope="module")
def keyed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The address of a server that asks for a key."""
    folder = tmp_path_factory.mktemp("keyed")
    server = Served(folder, folder / "data", API_KEY="right,other", RATE_LIMIT_MAX_REQUESTS="0")
    server.wait_until_ready()
    yield server.url
    server.stop()


@pytest.mark.parametrize("words", [("tasks",), ("run", "6*7"), ("events", "--follow"), ("show", "x")], ids=" ".join)
def test_a_missing_or_wrong_key_is_77_and_the_right_one_is_sent(
    keyed: str, tmp_path: Path, words: tuple[str, ...]
) -> None:
    asked = (*words, "--url", keyed)
    assert "API key" in sentence(in_process(*asked, home=tmp_path), 77)
    assert "X-API-Key" in sentence(in_process(*asked, home=tmp_path, API_KEY="wrong,right"), 77)
    (tmp_path / "wrong").write_text("wrong")
    assert "X-API-Key" in sentence(in_process(*asked, "--api-key-file", str(tmp_path / "wrong"), home=tmp_path), 77)


def test_the_key_comes_from_the_settings_or_from_a_file(keyed: str, tmp_path: Path) -> None:
    asked = ("run", "6*7", "--url", keyed)
    sentence(piped(*asked, home=tmp_path), 77)
    assert in_process(*asked, home=tmp_path, API_KEY="right").stdout == "42\n"
    (tmp_path / "key").write_text("other\n")
    assert in_process(*asked, "--api-key-file", str(tmp_path / "key"), home=tmp_path, API_KEY="wrong").stdout == "42\n"
    for text in ("", "two\nlines", "ünprintable"):
        (tmp_path / "key").write_text(text)
        sentence(in_process(*asked, "--api-key-file", str(tmp_path / "key"), home=tmp_path), 78)
    assert "nowhere" in sentence(in_process(*asked, "--api-key-file", "nowhere", home=tmp_path), 78)


def test_one_request_too_many_is_75_at_once(
    start_server: Callable[..., tuple[AgentSystem, str]], tmp_path: Path
) -> None:
    _, url = start_server(rate_limit_max_requests=1)
    assert in_process("agents", "--url", url, home=tmp_path).returncode == 0
    sentence(piped("agents", "--url", url, home=tmp_path), 75)
    sentence(in_process("run", "6*7", "--url", url, home=tmp_path), 75)


def test_a_setting_that_cannot_work_is_78(tmp_path: Path) -> None:
    for words in (("tasks",), ("run", "6*7"), ("serve",), ("skills",)):
        assert "CALLBOARD_PORT" in sentence(in_process(*words, home=tmp_path, CALLBOARD_PORT="http"), 78)
    assert "CALLBOARD_PORT is 0" in sentence(in_process("tasks", home=tmp_path, CALLBOARD_PORT="0"), 78)
    assert "ftp://x" in sentence(in_process("tasks", home=tmp_path, CALLBOARD_URL="ftp://x"), 78)


def test_what_is_not_there_is_4(served: Served, tmp_path: Path) -> None:
    for words in (("show", "x"), ("sessions", "show", "x"), ("dead-letters", "redrive", "x")):
        sentence(in_process(*words, "--url", served.url, home=tmp_path), 4)
    sentence(in_process("skills", "show", "fly", home=tmp_path), 4)


@pytest.mark.slow
def test_a_reader_that_leaves_is_141_without_a_word(served: Served, tmp_path: Path) -> None:
    read, write = os.pipe()
    os.close(read)
    for words in (("tasks", "--all"), ("tasks", "--json"), ("events", "--follow", "--after", "0"), ("openapi",)):
        served.result("6*7")
        with subprocess.Popen(
            [*COMMAND, *words], stdout=write, stderr=subprocess.PIPE, text=True,
            env=environment(tmp_path, CALLBOARD_URL=served.url),
        ) as process:  # fmt: skip
            _, err = process.communicate(timeout=30)
        assert (process.returncode, err) == (141, "")
    os.close(write)


def test_ctrl_c_is_130_and_a_word(served: Served, tmp_path: Path) -> None:
    with Terminal("events", "--follow", "--after", "0", "--url", served.url, home=tmp_path) as terminal:
        served.result("6*7")
        terminal.read_until("task.completed")
        terminal.press_ctrl_c()
        assert terminal.end() == 130
        assert terminal.text.splitlines()[-1].endswith("callboard: interrupted.")


def test_errors_of_this_process_have_the_statuses_of_a_servers() -> None:
    assert status_of(TaskNotFound("x")) is Exit.NOT_FOUND
    assert status_of(StoreUnavailable("x")) is Exit.TEMPORARY
    assert status_of(WaitTimeout("x", task_id="y")) is Exit.TEMPORARY
    assert status_of(ConfigurationError("x")) is Exit.CONFIGURATION
    assert status_of(CallboardError("x")) is Exit.FAILED


def test_a_full_disk_is_a_sentence(served: Served, tmp_path: Path) -> None:
    served.result("6*7")
    with Path("/dev/full").open("w") as full:
        done = subprocess.run(
            [*COMMAND, "tasks"], stdout=full, stderr=subprocess.PIPE, text=True, check=False, timeout=30,
            env=environment(tmp_path, CALLBOARD_URL=served.url),
        )  # fmt: skip
    assert (done.returncode, done.stderr) == (1, "callboard: the output cannot be written: no space is left for it.\n")


@pytest.mark.parametrize("closed", ["<&-", ">&-", "2>&-"])
@pytest.mark.slow
def test_a_stream_that_the_caller_has_closed_is_done_without(served: Served, tmp_path: Path, closed: str) -> None:
    served.result("6*7")  # so that there is something to list
    for words in (("tasks",), ("run", "6*7"), ("run", "--local", "6*7")):
        done = subprocess.run(
            ["/bin/sh", "-c", f'exec "$@" {closed}', "sh", *COMMAND, *words], capture_output=True, text=True,
            check=False, timeout=30, env=environment(tmp_path, CALLBOARD_URL=served.url),
        )  # fmt: skip
        assert (done.returncode, "Traceback" in done.stderr) == (0, False), done.stderr
        assert bool(done.stdout) == (closed != ">&-")


def test_what_is_no_text_is_a_sentence(served: Served, tmp_path: Path) -> None:
    unread = os.fsdecode(b"\xff")
    for words, status in (
        (("run", unread), 1),
        (("run", "--local", unread), 1),
        (("tasks", "--search", unread), 1),
        (("show", unread), 4),
    ):
        sentence(in_process(*words, home=tmp_path, CALLBOARD_URL=served.url), status)
    sentence(piped("tasks", "--search", unread, home=tmp_path, CALLBOARD_URL=served.url), 1)


@pytest.mark.parametrize("where", [(), ("--local",)])
def test_a_file_that_cannot_be_read_is_a_mistake_in_the_command_line(
    served: Served, tmp_path: Path, where: tuple[str, ...]
) -> None:
    done = in_process("run", "6*7", *where, "--file", "/proc/self/mem", home=tmp_path, CALLBOARD_URL=served.url)
    assert (done.returncode, "Traceback" in done.stderr) == (2, False)
    assert "Invalid value for --file: a file cannot be read" in done.stderr


def test_a_misspelt_skill_that_needs_approval_ends_the_start(tmp_path: Path) -> None:
    done = in_process("serve", "--port", "0", home=tmp_path, CALLBOARD_APPROVE_SKILLS="web-fetc", CALLBOARD_PROT="1")
    assert done.returncode == 78
    assert "names 'web-fetc', and no skill is called that; did you mean web-fetch?" in done.stderr
    assert "did you mean CALLBOARD_PORT?" in done.stderr


@pytest.mark.parametrize("words", [("run", "6*7"), ("tasks",)], ids=" ".join)
def test_a_fault_of_the_server_is_told_with_the_id_that_its_log_has(tmp_path: Path, words: tuple[str, ...]) -> None:
    body = b'{"error": "Internal error", "code": "internal_error", "message": "Its log has the details.", "requestId": "req-7"}'

    class Broken(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.rfile.read(int(self.headers.get("Content-Length", 0)))
            self.send_response(500)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        do_POST = do_GET

        def log_message(self, *_: object) -> None:
            pass

    with HTTPServer(("127.0.0.1", 0), Broken) as broken:
        thread = Thread(target=broken.serve_forever, kwargs={"poll_interval": 0.02})
        thread.start()
        line = sentence(in_process(*words, "--url", f"http://127.0.0.1:{broken.server_port}", home=tmp_path), 1)
        broken.shutdown()
        thread.join()
    assert line.endswith("Its log has the details. The request id is req-7.")
