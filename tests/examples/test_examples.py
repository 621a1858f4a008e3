"""What people copy works: every file under examples/ is run as its first lines say."""

import json
import shutil
import sys
import threading
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import ModuleType
from typing import Any

import falcon.testing
import pytest

from callboard import AgentSystem
from callboard.actors.mailbox import Address
from callboard.actors.supervision import Supervisor
from callboard.messages.ask import Ask
from tests.callboard.unreliable import Unreliable, answer, end, event, no_content, result, streams
from tests.docs.notebook import EVENT_SOURCE, node_has_event_source
from tests.examples.conftest import EXAMPLES

Load = Callable[[str], ModuleType]
Run = Callable[..., str]


def _code(*lines: str) -> str:
    return "\n".join(["```python", *lines, "```"])


# --- what stands at the other end of the network ---


class Provider(ThreadingHTTPServer):
    """A server of somebody else's: keeps what it is sent, and answers as it is told."""

    def __init__(self, answer: Callable[[dict[str, Any]], tuple[int, dict[str, Any]]]) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.url = f"http://127.0.0.1:{self.server_port}"
        self.answer = answer
        self.sent: list[tuple[str | None, dict[str, Any]]] = []


class _Handler(BaseHTTPRequestHandler):
    server: Provider

    def do_POST(self) -> None:
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        self.server.sent.append((self.headers["Idempotency-Key"], body))
        status, reply = self.server.answer(body)
        self.send_response(status)
        self.end_headers()
        self.wfile.write(json.dumps(reply).encode())

    def log_message(self, *_args: Any) -> None:
        """Stay quiet."""


@pytest.fixture
def provide() -> Iterator[Callable[..., Provider]]:
    """Return a function that starts a `Provider`; all are stopped after the test."""
    running: list[tuple[Provider, threading.Thread]] = []

    def start(answer: Callable[[dict[str, Any]], tuple[int, dict[str, Any]]]) -> Provider:
        provider = Provider(answer)
        thread = threading.Thread(target=provider.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        running.append((provider, thread))
        return provider

    yield start
    for provider, thread in running:
        provider.shutdown()
        thread.join(20)
        provider.server_close()


@pytest.fixture
def payments(provide: Callable[..., Provider]) -> Provider:
    """A payment provider that declines orders called `declined`."""
    return provide(lambda body: (402, {}) if body["order"] == "declined" else (201, {"id": "pay_1"}))


# --- skills ---


@pytest.fixture
def charge(start_system: Callable[..., AgentSystem], payments: Provider) -> Callable[..., Any]:
    """Return a function that has a task charge a card."""
    system = start_system(skills_dir=EXAMPLES / "skills", skill_settings={"payments_url": payments.url})
    return lambda *arguments: system.execute(_code("from skills import charge_card", f"charge_card{arguments!r}"))


def test_a_pure_skill_answers(start_system: Callable[..., AgentSystem]) -> None:
    system = start_system(skills_dir=EXAMPLES / "skills")
    assert not system.catalogue.problems
    task = system.execute(_code("from skills import word_count", 'word_count("to be or not to be", 2)'))
    assert task.output == {"to": 2, "be": 2}
    refused = system.execute(_code("from skills import word_count", 'word_count("to be", 0)'))
    assert (refused.error_code, "give 1 or more" in str(refused.error)) == ("skill_failed", True)


def test_a_keyed_skill_sends_the_name_of_the_call_as_its_key(charge: Callable[..., Any], payments: Provider) -> None:
    task = charge(1250, "o-17")
    assert (task.output, task.error) == ("pay_1", None)
    assert payments.sent == [(f"{task.task_id}:2", {"amount": 1250, "order": "o-17"})]


def test_a_keyed_skill_says_what_went_wrong(charge: Callable[..., Any]) -> None:
    declined = charge(1250, "declined")
    assert (declined.error_code, declined.error) == ("skill_failed", "The card for the order declined was declined.")
    assert "give at least 1" in charge(0, "o-18").error


def test_a_keyed_skill_without_its_setting_says_which(start_system: Callable[..., AgentSystem]) -> None:
    system = start_system(skills_dir=EXAMPLES / "skills", skill_settings={})
    task = system.execute(_code("from skills import charge_card", 'charge_card(1, "o-19")'))
    assert task.error_code == "skill_not_configured"
    assert "CALLBOARD_SKILL_PAYMENTS_URL" in str(task.error)


def test_a_folder_gives_its_instructions_and_runs_its_script(start_system: Callable[..., AgentSystem]) -> None:
    system = start_system(skills_dir=EXAMPLES / "skills")
    assert system.catalogue.get("meeting-notes").version == "1.0"
    body = system.execute(_code("from skills import meeting_notes", "meeting_notes()")).output
    assert str(body).startswith("# Minutes of a meeting")
    notes = "Hello.\\nACTION Ana: send the offer by Friday\\nTODO book a room\\nBye."
    call = f'meeting_notes("scripts/open_tasks.py", ["{notes}"])'
    task = system.execute(_code("from skills import meeting_notes", call))
    assert (task.output, task.error) == (
        [
            {"who": "Ana", "what": "send the offer", "due": "Friday"},
            {"who": None, "what": "book a room", "due": None},
        ],
        None,
    )


# --- the actor ---


@pytest.fixture
def actor(load: Load) -> Iterator[tuple[ModuleType, Address]]:
    """The actor's module, and the address of one that runs."""
    module, supervisor = load("actor.py"), Supervisor()
    address: Address = module.start(supervisor)
    yield module, address
    supervisor.stop(address, timeout_s=30)
    supervisor.close()


def test_the_actor_answers_and_keeps_its_state(actor: tuple[ModuleType, Address]) -> None:
    module, address = actor
    assert address.ask(module.CountWords(text="one two"), timeout_s=30) == module.WordsCounted(words=2, answered=1)
    assert address.ask(module.CountWords(text="one"), timeout_s=30) == module.WordsCounted(words=1, answered=2)


class Unheard(Ask[None]):
    """A message that the actor does not know."""


def test_the_actor_is_reachable_again_after_a_crash(actor: tuple[ModuleType, Address]) -> None:
    module, address = actor
    address.tell(Unheard())  # an ask would be answered
    assert address.ask(module.CountWords(text="one two"), timeout_s=30) == module.WordsCounted(words=2, answered=1)


def test_the_actors_file_runs(run_program: Run) -> None:
    assert run_program(sys.executable, str(EXAMPLES / "actor.py")) == "WordsCounted(words=6, answered=1)\n"


# --- the endpoint ---


@pytest.fixture
def endpoint(load: Load, system: AgentSystem) -> falcon.testing.TestClient:
    return falcon.testing.TestClient(load("endpoint.py").app(system), headers={"Host": "localhost"})


def test_the_endpoint_answers_a_tasks_output(endpoint: falcon.testing.TestClient, system: AgentSystem) -> None:
    task_id = system.execute("What is 12 times 7?").task_id
    answer = endpoint.simulate_get(f"/agent/tasks/{task_id}/output")
    assert (answer.status_code, answer.headers["content-type"], answer.text) == (
        200,
        "text/plain; charset=utf-8",
        "84\n",
    )


def test_the_endpoints_errors_have_the_shape_of_all_errors(
    endpoint: falcon.testing.TestClient, system: AgentSystem
) -> None:
    task_id = system.execute("Write a poem about the sea").task_id
    refusals = {
        f"/agent/tasks/{task_id}/output": "no_output",
        "/agent/tasks/unknown/output": "task_not_found",
    }
    for path, code in refusals.items():
        answer = endpoint.simulate_get(path)
        assert (answer.status_code, answer.json["code"]) == (404, code)
    assert endpoint.simulate_get(f"/agent/tasks/{task_id}/output?as=json").json["code"] == "invalid_request"


# --- programs ---


def test_the_embedding_program_runs(run_program: Run) -> None:
    lines = run_program(sys.executable, str(EXAMPLES / "embed.py")).splitlines()
    assert lines[0] == "completed 84"
    assert lines[1] == "1 agent.task.execute"
    assert lines[-2:] == ["Your name is Alice.", "completed"]


def test_the_python_client_reads_events_cancels_and_raises_errors(url: str, load: Load) -> None:
    module = load("client.py")
    client = module.Client(url, "the-key")
    try:
        task_id = client._ask("POST", "/agent/execute", json={"task": _code("while True: pass")})["taskId"]
        assert client.cancel(task_id)["status"] == "cancelled"
        topics = [event["topic"] for event in client.events(task_id)]
        assert (topics[0], topics[-1]) == ("agent.task.execute", "agent.task.cancelled")
        with pytest.raises(module.CallboardError) as caught:
            client.run("")
        assert caught.value.code == "invalid_request"
    finally:
        client.close()


def _busy(code: str, times: int) -> Callable[[dict[str, Any]], tuple[int, dict[str, Any]]]:
    """Return what a server answers that refuses so many times and then does the task."""
    refusal = {"error": "Service unavailable", "message": "No.", "code": code, "requestId": "r", "retryAfter": 0}
    answers = [(503, refusal)] * times + [(200, {"success": True, "output": 84})]
    return lambda _body: answers.pop(0)


NO_NODE = pytest.mark.skipif(shutil.which("node") is None, reason="node is not installed")
CLIENTS = (
    pytest.param((sys.executable, str(EXAMPLES / "client.py")), id="python"),
    pytest.param(("node", str(EXAMPLES / "client.mjs")), id="javascript", marks=NO_NODE),
)


@pytest.mark.parametrize("client", CLIENTS)
def test_a_client_asks_again_when_nothing_was_accepted(
    client: tuple[str, ...], provide: Callable[..., Provider], run_program: Run
) -> None:
    server = provide(_busy("overloaded", 2))
    assert run_program(*client, "task", CALLBOARD_URL=server.url) == "84\n"
    assert len(server.sent) == 3


@pytest.mark.parametrize("client", CLIENTS)
def test_a_client_does_not_ask_again_when_it_may_have_been_accepted(
    client: tuple[str, ...], provide: Callable[..., Provider], run_program: Run
) -> None:
    server = provide(_busy("reply_timeout", 1))
    with pytest.raises(AssertionError, match="CallboardError"):
        run_program(*client, "task", CALLBOARD_URL=server.url)
    assert len(server.sent) == 1


@pytest.mark.parametrize("client", CLIENTS)
def test_a_client_prints_an_answer_or_why_there_is_none(client: tuple[str, ...], url: str, run_program: Run) -> None:
    known = {"CALLBOARD_URL": url, "CALLBOARD_KEY": "the-key"}
    assert run_program(*client, "What is 12 times 7?", **known) == "84\n"
    assert run_program(*client, "Write a poem about the sea", **known).startswith("no_skill_fits: ")


@NO_NODE
def test_the_javascript_client_reads_events_and_raises_errors(url: str, run_program: Run) -> None:
    script = f"""
        import {{ Client }} from {json.dumps(str(EXAMPLES / "client.mjs"))};
        const client = new Client({json.dumps(url)}, "the-key");
        const {{ taskId }} = await client.ask("POST", "/agent/execute", {{ task: "```python\\nwhile True: pass\\n```" }});
        console.log((await client.cancel(taskId)).status);
        for await (const event of client.events(taskId)) console.log(event.topic);
        await client.run("").catch((error) => console.log(error.code));
    """
    lines = run_program("node", "--input-type=module", "-e", script).splitlines()
    assert (lines[0], lines[1], lines[-2:]) == (
        "cancelled",
        "agent.task.execute",
        ["agent.task.cancelled", "invalid_request"],
    )


def test_the_stream_is_read_by_event_source_and_by_fetch_to_the_same_end(
    start_url: Callable[..., str], run_program: Run
) -> None:
    if not node_has_event_source():
        pytest.skip(f"node is not installed, or has no {EVENT_SOURCE}")
    program = ("node", EVENT_SOURCE, str(EXAMPLES / "stream.mjs"))
    expected = """1 agent.task.execute
2 agent.step.started
3 agent.skill.started
4 agent.skill.completed
5 agent.step.completed
6 agent.task.completed
84
"""
    assert run_program(*program, "What is 12 times 7?", CALLBOARD_URL=start_url()) == expected
    known = {"CALLBOARD_URL": start_url("the-key"), "CALLBOARD_KEY": "the-key"}
    assert run_program(*program, "What is 12 times 7?", **known) == expected
    assert run_program(*program, "Write a poem about the sea", **known).splitlines()[-1].startswith("no_skill_fits: ")


BROKEN = f"""
    import {{ follow, watch }} from {json.dumps(str(EXAMPLES / "stream.mjs"))};
    const {{ CALLBOARD_URL: url, HOW: how }} = process.env;
    const awake = setInterval(() => {{}}, 1000);
    const print = (event) => console.log(event.seq);
    const result = await (how === "fetch" ? follow(url, "t", print, "the-key") : watch(url, "t", print));
    clearInterval(awake);
    console.log(result.output);
"""


@pytest.mark.parametrize("how", ["fetch", "EventSource"])
@pytest.mark.parametrize("told", [False, True], ids=["broken off", "ended and all told"])
def test_the_stream_goes_on_behind_the_last_event_when_it_breaks(how: str, told: bool, run_program: Run) -> None:
    if not node_has_event_source():
        pytest.skip(f"node is not installed, or has no {EVENT_SOURCE}")
    broken = streams(b"retry: 10\n\n", event(1, "é"), event(2), event(3, "é")[:-40], ending="cut")
    rest = [no_content, answer(200, {"success": True, "result": result()})] if told else [streams(event(3), end())]
    server = Unreliable(broken, *rest)
    try:
        lines = run_program(
            "node", EVENT_SOURCE, "--input-type=module", "-e", BROKEN, CALLBOARD_URL=server.url, HOW=how
        )
    finally:
        server.down()
    assert lines.split() == (["1", "2", "84"] if told else ["1", "2", "3", "84"])
    assert server.asked[1].headers["last-event-id"] == "2"
