"""What a model's answers come to, as they are: thoughts, cuts, broken ones, code in odd fences, long sessions.

One system for all of them: each test tells the provider what to say, and works in a session of its own.
"""

from collections.abc import Callable, Iterator
from typing import Any

import pytest

from bench.provider import Provider, Reply, Request, running
from callboard import AgentSystem, GetSession, Settings, Status, TaskRecord, Topic

LIMIT_CHARS = 60_000
SAY = Callable[..., TaskRecord]


@pytest.fixture(scope="module")
def provider() -> Iterator[Provider]:
    with running() as provider:
        yield provider


@pytest.fixture(scope="module")
def system(provider: Provider, tmp_path_factory: pytest.TempPathFactory) -> Iterator[AgentSystem]:
    settings = Settings(
        data_dir=tmp_path_factory.mktemp("data"),
        rate_limit_max_requests=0,
        workers=2,
        llm_provider="openai",
        llm_base_url=provider.openai_url,
        llm_model="some",
        llm_retries=0,
        max_rounds=3,
    )
    with AgentSystem.start(settings) as system:
        system.execute("Hello.", wait_s=30)  # opens the connection that all of them use
        yield system


@pytest.fixture
def execute(system: AgentSystem, provider: Provider) -> SAY:
    """Return a function that works a task out while the provider says what it is told to."""

    def run(task: str, *script: Any, **spec: Any) -> TaskRecord:
        provider.say(*(Reply(text=reply) if isinstance(reply, str) else reply for reply in script))
        return system.execute(task, wait_s=30, **spec)

    return run


def told(system: AgentSystem, record: TaskRecord, topic: Topic) -> list[dict[str, Any]]:
    return [dict(event.data) for event in system.events(record.task_id) if event.topic is topic]


def test_thoughts_are_in_the_log_and_neither_run_nor_answered_nor_remembered(
    system: AgentSystem, execute: SAY, provider: Provider
) -> None:
    said = "<think>A draft:\n```python\n1/0\n```\n</think>\n```python\n6 * 7\n```"
    record = execute("What is six times seven?", said, session_id="thoughts")
    assert (record.status, record.output) == (Status.COMPLETED, 42)
    [call] = told(system, record, Topic.MODEL_COMPLETED)
    assert call["thoughts"] == "A draft:\n```python\n1/0\n```"
    deltas = told(system, record, Topic.MODEL_DELTA)
    assert "1/0" in "".join(delta.get("thoughts", "") for delta in deltas)
    assert "1/0" not in "".join(delta["text"] for delta in deltas)
    execute("And now?", "<think>Hm.</think>Still 42.", session_id="thoughts")
    session = system.gateway.ask(GetSession(session_id="thoughts"), timeout_s=30)
    assert [turn.content for turn in session.conversation] == [
        "What is six times seven?",
        "42",
        "And now?",
        "Still 42.",
    ]
    execute("And then?", "42.", session_id="thoughts")
    assert not any("Hm." in text for _, text in provider.requests[-1].turns)


def test_very_long_thoughts_are_kept_shortened(system: AgentSystem, execute: SAY) -> None:
    record = execute("Think.", Reply(text="42", thoughts="thought " * 10_000, piece_chars=10_000))
    [call] = told(system, record, Topic.MODEL_COMPLETED)
    assert len(call["thoughts"]) < 21_000
    assert "characters left out" in call["thoughts"]


@pytest.mark.parametrize(
    "reply", [Reply(text=""), Reply(text="  \n"), Reply(text="", thoughts="Hm."), Reply(text="<think>Hm.</think>")]
)
def test_an_answer_that_says_nothing_fails_and_leaves_the_session_alive(
    execute: SAY, provider: Provider, reply: Reply
) -> None:
    session = f"silent-{provider.count}"
    record = execute("What is it?", reply, session_id=session)
    assert (record.status, record.error_code) == (Status.FAILED, "model_bad_reply")
    assert execute("Again?", "42.", session_id=session).output == "42."


def test_a_cut_answer_is_asked_for_again_and_the_model_is_told(
    system: AgentSystem, execute: SAY, provider: Provider
) -> None:
    record = execute("Name the causes.", Reply(text="The three causes were: first, the", stop="length"), "Three.")
    assert (record.status, record.output, record.metadata["llmCalls"]) == (Status.COMPLETED, "Three.", 2)
    assert [call.get("cut") for call in told(system, record, Topic.MODEL_COMPLETED)] == [True, None]
    assert "cut" in provider.requests[-1].last
    written = ""
    for delta in told(system, record, Topic.MODEL_DELTA):
        written = "" if delta.get("reset") else written + delta["text"]
    assert written == "Three."
    assert provider.requests[-1].turns[-2] == ("assistant", "The three causes were: first, the")


@pytest.mark.parametrize(
    "text", ["The three causes were", "```python\nx = 6\nx * 7\n```", "```python\n6 * 7", "<think>first", ""]
)
def test_an_answer_that_stays_cut_is_no_success_and_nothing_of_it_is_run(
    system: AgentSystem, execute: SAY, text: str
) -> None:
    record = execute("Name the causes.", Reply(text=text, stop="length"))
    assert (record.status, record.error_code) == (Status.FAILED, "model_answer_cut")
    assert "CALLBOARD_LLM_MAX_TOKENS" in (record.error or "")
    assert told(system, record, Topic.STEP_STARTED) == []


@pytest.mark.parametrize("stop", ["tool_calls", "stop"])
def test_a_model_that_calls_tools_is_told_to_write_python(
    system: AgentSystem, execute: SAY, provider: Provider, stop: str
) -> None:
    record = execute("What is 6 * 7?", Reply(text="", tool="calculate", stop=stop), "```python\n6 * 7\n```")
    assert (record.status, record.output) == (Status.COMPLETED, 42)
    assert "Python" in provider.requests[-1].last
    assert told(system, record, Topic.MODEL_COMPLETED)[0]["tools"] == 'calculate({"a": 1}'


def test_a_model_that_goes_on_calling_tools_fails(execute: SAY) -> None:
    record = execute("What is 6 * 7?", Reply(text="", tool="calculate", stop="tool_calls"))
    assert (record.status, record.error_code) == (Status.FAILED, "model_bad_reply")
    assert "calculate" in (record.error or "")


def test_a_summary_that_was_cut_is_no_summary(execute: SAY) -> None:
    code = "```python\nfrom skills import summarize\nsummarize('One is first. ' * 9, 1)\n```"
    record = execute("Summarize it.", code, Reply(text="Half of", stop="length"))
    assert (record.status, record.error_code) == (Status.FAILED, "model_answer_cut")


def test_several_blocks_cost_a_round_and_not_a_guess(system: AgentSystem, execute: SAY, provider: Provider) -> None:
    several = "```python\n1 / 0\n```\nRather:\n```python\n2 + 2\n```"
    record = execute("What is 2 + 2?", several, "```python\n2 + 2\n```")
    assert (record.status, record.output, record.metadata["rounds"]) == (Status.COMPLETED, 4, 2)
    assert "several blocks" in provider.requests[-1].last
    stubborn = execute("What is 2 + 2?", several)
    assert (stubborn.status, stubborn.error_code) == (Status.FAILED, "rounds_exhausted")
    assert "several blocks" in (stubborn.error or "")


def test_words_that_show_code_are_the_answer(execute: SAY) -> None:
    words = "Use a slice:\n\n```python\ndef rev(s):\n    return s[::-1]\n```\n\nIt works for any text."
    record = execute("Explain how to reverse a text", words)
    assert (record.status, record.output, record.metadata["llmCalls"]) == (Status.COMPLETED, words, 1)


def test_code_with_words_behind_it_is_looked_at_together_with_the_model(execute: SAY, provider: Provider) -> None:
    shown = "Use sum:\n```python\nsum([1, 2, 3])\n```\nIt adds them up."
    record = execute("Explain how to add numbers", shown)
    assert (record.status, record.output) == (Status.COMPLETED, shown)
    assert "The value of its last line: 6" in provider.requests[-1].last
    asked = execute("What is 1 + 2 + 3?", shown, "6")
    assert (asked.status, asked.output) == (Status.COMPLETED, "6")


def too_long(request: Request) -> Reply:
    """Answer like an endpoint that takes so many characters."""
    if sum(len(text) for _, text in request.turns) + len(request.system) > LIMIT_CHARS:
        return Reply(
            status=400, error_code="context_length_exceeded", message="This model's maximum context length is less."
        )
    return Reply(text="word " * 1_500)


def test_a_session_is_never_too_long_for_good(system: AgentSystem, execute: SAY, provider: Provider) -> None:
    records = [execute(f"Tell me more, {number}.", too_long, session_id="long") for number in range(16)]
    assert {record.status for record in records} == {Status.COMPLETED}
    session = system.gateway.ask(GetSession(session_id="long"), timeout_s=30)
    assert len(session.conversation) == 32  # the history keeps them
    [call] = told(system, records[-1], Topic.MODEL_COMPLETED)
    assert call["turnsLeftOut"] > 0
    assert "Tell me more, 14." in str(provider.requests[-1].turns)
    refused = [call for record in records for call in told(system, record, Topic.MODEL_COMPLETED) if not call["ok"]]
    assert [call["errorCode"] for call in refused] == ["model_context_exceeded"]  # what was learnt is remembered


def test_a_task_that_is_too_long_by_itself_says_so(execute: SAY, provider: Provider) -> None:
    before = provider.count
    record = execute("Read this: " + "x" * LIMIT_CHARS, too_long)
    assert (record.status, record.error_code) == (Status.FAILED, "model_context_exceeded")
    assert provider.count == before + 2  # tried once with less


def test_roles_alternate_after_an_answer_that_was_blank(execute: SAY, provider: Provider) -> None:
    assert execute("Say nothing.", "```python\n''\n```", session_id="blank").output == ""
    execute("And now?", "42.", session_id="blank")
    assert [role for role, _ in provider.requests[-1].turns] == ["user"]


def test_code_that_is_too_long_is_not_looked_at_and_the_model_is_told(execute: SAY, provider: Provider) -> None:
    long = "```python\nx = 1\n" + "x += 1\n" * 20_000 + "x\n```"
    record = execute("Count.", long, "It is 20001.", session_id="long")
    assert record.output == "It is 20001."
    assert "the limit is 100,000" in str(provider.requests[-1].body)
