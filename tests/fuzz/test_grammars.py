"""Bodies, code and models' answers from grammars, sent to a server in a process of its own over a real port.

None may be answered with a 5xx, end as an error of the server's own, leave a traceback in its log, or cost more processor time than
`OWN_CPU_S` in the server's own process: the sandbox, the checker and the readers of documents are processes of their own.
"""

from __future__ import annotations

import http.client
import json
import time
from typing import TYPE_CHECKING, Any

import hypothesis
import psutil
import pytest

from bench.provider import Reply, Request, running
from chaos.api import Api
from chaos.attacks import TOLD, memory_back, memory_mb
from chaos.server import Server
from tests.fuzz.grammars import answers, bodies, codes
from tests.profiles import is_nightly, times

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

pytestmark = [pytest.mark.fuzz, pytest.mark.timeout(600 * times())]

BODIES, TEXTS = 1000, 200
"""How many of each are sent."""

OWN_CPU_S = 2.0
TASK_S = 10
PATHS = (
    "/agent/execute",
    "/agent/tasks/{task}/decide",
    "/agent/tasks/{task}/cancel",
    "/agent/tasks/{task}/retry",
    "/agent/dead-letters/{task}/redrive",
)


def examples(usual: int) -> hypothesis.settings:
    return hypothesis.settings(
        max_examples=usual * times(),
        deadline=None,
        derandomize=not is_nightly(),
        database=None,
        suppress_health_check=list(hypothesis.HealthCheck),
        phases=[hypothesis.Phase.generate],  # what fails is long; to shorten it takes longer
    )


class Target:
    """A server with a model that says what the test puts into `said`."""

    def __init__(self, server: Server, said: list[str]) -> None:
        self.server = server
        self.said = said
        self.api = Api(server.port, timeout_s=60)
        self.process = psutil.Process(server.pid)
        self.before_mb = memory_mb(server)
        self.some_task = ""

    def cpu_s(self) -> float:
        took = self.process.cpu_times()
        return took.user + took.system

    def ended(self, body: dict[str, Any]) -> None:
        """Return how a task ended; fail if it cost too much, or ended as an error of the server's own."""
        before_s, until_s = self.cpu_s(), time.monotonic() + TASK_S + 15
        self.api.close()  # the server may have closed it meanwhile, since nobody asked for a while
        status, answer = self.api.execute({"timeoutMs": TASK_S * 1000, **body}, wait_s=30)
        assert status in (200, 400, 413), (status, answer)
        if status != 200:
            return
        while answer.get("success") is None and time.monotonic() < until_s:
            answer = self.api.request("GET", f"/agent/tasks/{answer['taskId']}?wait=20")[1]
        assert (answer.get("errorCode") or answer["status"]) in TOLD, answer
        took_s = self.cpu_s() - before_s
        assert took_s <= OWN_CPU_S, f"{took_s:.1f} s of processor time outside the sandbox"
        self.some_task = answer["taskId"]


@pytest.fixture(autouse=True)
def no_thread_is_left_behind() -> None:
    """Leave the check out: the provider of the module has a thread for each connection, which come and go."""


@pytest.fixture(scope="module")
def target(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Target]:
    said = [""]

    def answer(_request: Request) -> Reply:
        return Reply(text=said[0], piece_chars=2000)

    folder: Path = tmp_path_factory.mktemp("grammars")
    with running(answer) as provider:
        model = {
            "llm_provider": "openai",
            "llm_base_url": provider.openai_url,
            "llm_model": "fuzzed",
            "llm_api_key": "k",
        }
        limits: dict[str, Any] = {"max_rounds": 1, "sandbox_time_s": 2, "max_wait_s": 30}
        with Server(folder, skills_dir="", **model, **limits) as server:
            server.start()
            target = Target(server, said)
            target.ended({"task": "Say something."})
            yield target
            target.api.close()


@hypothesis.given(body=bodies(), path=hypothesis.strategies.sampled_from(PATHS))
@examples(BODIES)
def test_no_body_is_an_error_of_the_servers_own(target: Target, body: bytes, path: str) -> None:
    target.said[0] = "Well."
    before_s = target.cpu_s()
    status, answer = _post(target, path.replace("{task}", target.some_task), body)
    assert status < 500, (status, answer)
    assert target.cpu_s() - before_s <= OWN_CPU_S


@hypothesis.given(code=codes())
@examples(TEXTS)
def test_no_code_is_an_error_of_the_servers_own(target: Target, code: str) -> None:
    target.said[0] = f"```python\n{code}\n```"
    target.ended({"task": "Do as you are told."})


@hypothesis.given(answer=answers())
@examples(TEXTS)
def test_no_answer_of_a_model_is_an_error_of_the_servers_own(target: Target, answer: str) -> None:
    target.said[0] = answer
    target.ended({"task": "Say something."})


def test_afterwards_the_server_is_as_it_was(target: Target) -> None:
    assert target.server.is_ready()
    log = target.server.log.read_text(errors="replace")
    assert "Traceback" not in log
    assert '"status":500' not in log
    found = memory_back(target.server, target.before_mb)
    assert found.met, f"{found.value:.0f} MB did not come back"


def _post(target: Target, path: str, body: bytes) -> tuple[int, Any]:
    connection = http.client.HTTPConnection("127.0.0.1", target.server.port, timeout=60)
    try:
        connection.request("POST", path, body, {"Content-Type": "application/json"})
        reply = connection.getresponse()
        content = reply.read()
        return reply.status, json.loads(content) if content else None
    finally:
        connection.close()
