"""What a task costs does not grow with its session: what it writes, what it is given, what stays in memory."""

import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from callboard import AgentSystem, Settings
from callboard.actors.sessions import MOST_BYTES, Sessions
from callboard.clock import Clock
from callboard.conversation import SessionRecord, Turn
from callboard.limits import TURN_CHARS
from tests.http.conftest import Running, run
from tests.tasks import make_task
from tests.template import lay_history

NOW = Clock().now()
LONG = {"full": (100, TURN_CHARS), "many": (10_000, 200)}
"""Sessions that have a number of turns of so many characters."""


def lay_long_sessions(settings: Settings) -> None:
    with closing(sqlite3.connect(lay_history(settings).data_dir / "callboard.db")) as connection:
        for name, (count, chars) in LONG.items():
            connection.execute("INSERT INTO sessions VALUES (?, 0, 0, ?)", (name, count // 2))
            turns = (
                (name, n, "user" if n % 2 else "assistant", f"{n} ".ljust(chars, "x")) for n in range(1, count + 1)
            )
            connection.executemany("INSERT INTO turns (session_id, number, role, content) VALUES (?, ?, ?, ?)", turns)
        connection.commit()


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    settings = Settings(
        data_dir=tmp_path_factory.mktemp("long") / "data",
        port=0,
        rate_limit_max_requests=0,
        conversation_turns=10_000,
        http_threads=4,
        max_waiting=4,
    )
    lay_long_sessions(settings)
    with AgentSystem.start(settings) as system:
        running = run(system)
        yield running
        running.stop()


def written(running: Running, session_id: str, task: str = "What is 12 times 7?") -> int:
    """Return how many bytes SQLite's log grows by for a task; nothing empties it meanwhile."""
    log = Path(running.system.settings.data_dir / "callboard.db-wal")
    before = log.stat().st_size
    running.result(task, sessionId=session_id)
    return log.stat().st_size - before


def test_a_task_writes_as_much_in_a_session_of_ten_megabytes_as_in_a_fresh_one(served: Running) -> None:
    written(served, "warm")
    fresh = max(written(served, "fresh") for _ in range(3))
    for name in LONG:
        for _ in range(3):
            assert written(served, name) <= 1.3 * fresh + 16_384, name
    assert fresh < 300_000


def test_a_task_that_reaches_no_variable_writes_none(served: Running) -> None:
    assert written(served, "variables", "```python\nbig = [str(n).zfill(50) for n in range(20_000)]\n```") > 1_000_000
    assert written(served, "variables") < 300_000
    assert served.result("```python\nlen(big)\n```", sessionId="variables")["output"] == 20_000


def test_what_a_session_answers_is_a_page_however_long_it_is(served: Running) -> None:
    for name, (count, _) in LONG.items():
        reply = served.client.get(f"/agent/sessions/{name}")
        assert len(reply.content) < 1_200_000
        seen = [turn["number"] for turn in reply.json()["session"]["conversation"]]
        assert seen[-1] >= count
        assert reply.json()["session"]["nextBefore"] == seen[0] > 1
        assert len(served.client.get("/agent/sessions").content) < 10_000
    older = served.client.get("/agent/sessions/many", params={"before": 31}).json()["session"]
    numbers = [turn["number"] for turn in older["conversation"]]
    assert numbers == list(range(numbers[0], 31)), "the tests before may have pushed the oldest ones out"
    assert older["nextBefore"] is None
    for wrong in ("0", "-1", "x", "1.5", ""):
        assert served.client.get("/agent/sessions/many", params={"before": wrong}).status_code == 400
    assert served.client.get("/agent/sessions/many", params={"before": 2**63 - 1}).status_code == 200


def test_an_answer_that_is_too_long_for_a_turn_is_whole_in_its_task(served: Running) -> None:
    code = "```python\n'é' * 300_000\n```"
    assert len(served.result(code, sessionId="answers")["output"]) == 300_000
    kept = served.client.get("/agent/sessions/answers").json()["session"]["conversation"][-1]
    assert len(kept["content"]) < TURN_CHARS + 100
    assert "… [200,060 more characters left out]" in kept["content"]
    whole = served.client.get(f"/agent/tasks/{kept['taskId']}").json()
    assert len(whole["output"]) == 300_000


def test_what_sessions_keep_in_memory_is_bounded_in_bytes() -> None:
    sessions = Sessions()
    large = "x" * 1_000_000
    for number in range(200):
        task = make_task(f"t{number}", session_id=f"s{number}")
        record = SessionRecord(
            session_id=task.session_id,
            created_at=NOW,
            updated_at=NOW,
            conversation=(Turn(role="user", content=large),),
        )
        sessions.queue(task, 0)
        sessions.release(task, record, 0)
    kept = [number for number in range(200) if sessions.record(f"s{number}") is not None]
    assert kept == list(range(200 - len(kept), 200)), "those that were used last"
    assert (len(kept) + 1) * len(large) > MOST_BYTES - 2 * len(large)
    assert len(kept) * len(large) <= MOST_BYTES
