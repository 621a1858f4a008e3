"""The scripted provider: in a process of its own, and gone without a trace."""

import http.client
import json
import signal
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from bench.load import ROOT
from bench.provider import Provider, Reply, running

ASK = {"model": "m", "max_tokens": 5, "messages": [{"role": "user", "content": "What is 6 x 7?"}]}


def ask(port: int, path: str, **more: object) -> tuple[int, str]:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=20)
    try:
        connection.request("POST", path, json.dumps({**ASK, **more}))
        response = connection.getresponse()
        return response.status, response.read().decode()
    finally:
        connection.close()


@pytest.mark.parametrize("path", ["/v1/chat/completions", "/v1/messages"])
@pytest.mark.parametrize("stream", [True, False])
def test_it_speaks_both_dialects_streamed_and_whole(path: str, stream: bool) -> None:
    with running(Reply(text="forty-two")) as provider:
        status, body = ask(provider.port, path, stream=stream)
        assert status == 200
        assert "forty-two" in body
        assert body.startswith(("data:", "event:") if stream else "{")
        assert provider.requests[0].last == "What is 6 x 7?"
        assert ask(provider.port, "/v1/models")[0] == 404


def test_a_script_goes_on_and_its_last_step_stays() -> None:
    with running(Reply(text="one"), lambda request: Reply(text=request.last.upper())) as provider:
        answers = [ask(provider.port, "/v1/messages")[1] for _ in range(3)]
        assert ["one" in answer for answer in answers] == [True, False, False]
        assert all("WHAT IS 6 X 7?" in answer for answer in answers[1:])
        assert provider.count == 3


def test_it_stops_while_clients_hang() -> None:
    provider = Provider(Reply(fault="hang"))
    provider.start()
    outcomes: list[str] = []

    def hang() -> None:
        try:
            ask(provider.port, "/v1/messages")
        except (http.client.HTTPException, OSError) as error:
            outcomes.append(type(error).__name__)

    threads = [threading.Thread(target=hang) for _ in range(5)]
    for thread in threads:
        thread.start()
    provider.wait_for(5)
    provider.stop()
    for thread in threads:
        thread.join()
    assert len(outcomes) == 5
    assert provider.connections == 0


def test_it_runs_in_a_process_of_its_own(tmp_path: Path) -> None:
    script = tmp_path / "script.json"
    script.write_text(json.dumps([{"when": "7\\?$", "text": "42"}, {"status": 503}]))
    command = [sys.executable, "-m", "bench.provider", "--script", str(script)]
    process = subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    with process.stdout as out:
        port = int(out.readline())
        assert "42" in ask(port, "/v1/messages")[1]
        assert ask(port, "/v1/messages", messages=[{"role": "user", "content": "else"}])[0] == 503
        process.send_signal(signal.SIGTERM)
        assert process.wait(20) == 0
