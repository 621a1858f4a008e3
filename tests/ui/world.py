"""A server that has something to show: conversations, approvals, agents, failures, a dead letter, webhooks, a busy hour.

All of it has really happened on that server, except the busy hour, whose tasks are written into the history with their
times. Used by tests that only look, and by the screenshots.
"""

from __future__ import annotations

import random
import sqlite3
import time
from contextlib import closing, contextmanager
from operator import itemgetter
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from bench.provider import Provider, by_rules, running
from callboard import Settings
from callboard.persistence.store import SqlStore
from tests.receiver import Receiver, answer, receiving
from tests.ui.console import Console

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

GROWTH = """I work out the growth of each plan from the table.

```python
plans = {"Solo": (410, 452), "Team": (220, 261), "Business": (75, 81)}
growth = {name: round(100 * (now / before - 1), 1) for name, (before, now) in plans.items()}
for name, percent in sorted(growth.items(), key=lambda item: -item[1]):
    print(f"{name}: {percent}%")
```
"""
INVOICE = """The amount is in dollars, so I convert it first.

```python
from skills import exchange_rate, send_invoice

rate = exchange_rate("USD")
amount = round(1308 / rate, 2)
send_invoice("Lovelace & Co", amount, note="Order 4711")
```
"""
REVIEWED = """I have it reviewed by the agent that reviews code.

```python
from skills import delegate

delegate("code-reviewer", "Examine this:\\n\\ndef mean(values):\\n    return sum(values) / len(values)")
```
"""
HOTEL = """```python
from skills import exchange_rate

nights, a_night_eur = 3, 140
hotel_eur = nights * a_night_eur
round(hotel_eur * exchange_rate("USD"), 2)
```"""
BREAKFAST = """```python
from skills import exchange_rate

breakfast_eur = 12 * nights
round((hotel_eur + breakfast_eur) * exchange_rate("USD"), 2)
```"""
LISBON = """Three days, unhurried:

Day 1: Alfama on foot, São Jorge castle before ten, fado in the evening.
Day 2: Belém by tram 15, the monastery, custard tarts; the river at sunset.
Day 3: Sintra by train from Rossio, back for dinner in Príncipe Real.
"""
NOTES = """Release notes for 2.4

New
- Tasks can be watched while they run: each step, each call of a skill, and the answer as it is written.
- The console lists sessions as conversations, and shows what every skill and agent has been used for.
- A task that has ended can be given again with one press of a button.

Changed
- Lists can be searched by text and filtered by agent; a link keeps the filters.
- Health shows the last hour: throughput, percentiles of latency, failures and the queue.

Fixed
- """
TRANSCRIPT = "I begin with the first minute. " * 16
RULES: list[dict[str, Any]] = [
    {
        "when": "Team: 18",
        "text": "Team grew fastest: 18.6% more customers than a quarter ago, Solo 10.2%, Business 8%.",
    },
    {"when": "(?i)out of range|not a date|no date", "text": "There is no 31 February, so it was no day of the week."},
    {"when": "31 February", "text": "```python\nfrom skills import weekday\nweekday('2026-02-31')\n```"},
    {"when": "grew fastest", "text": GROWTH},
    {"when": "invoice", "text": INVOICE},
    {"when": "discount function", "text": REVIEWED},
    {"when": "Examine this", "text": "It divides by zero when the list is empty: return None, or raise a clear error."},
    {"when": "with breakfast", "text": BREAKFAST},
    {"when": "hotel", "text": HOTEL},
    {"when": "Lisbon", "text": LISBON},
    {"when": "board deck", "status": 400, "message": "the request was refused"},
    {"when": "release notes", "text": NOTES + "…", "piece_chars": len(NOTES), "fault": "stall"},
    {"when": "Transcribe", "text": TRANSCRIPT + "…", "piece_chars": len(TRANSCRIPT), "fault": "stall"},
    {"when": "archive", "text": "```python\nfrom skills import unpack_archive\nunpack_archive('2019.tar')\n```"},
    {"text": "Done."},
]
DEADLY_SKILL = '''
from callboard import SkillContext, skill


@skill(replay="safe")
def unpack_archive(name: str, *, ctx: SkillContext) -> str:
    """Unpack an archive from the store."""
    ctx.cancel_event.wait()
    return name
'''
HOUR_TASKS = (
    "Summarise ticket {}",
    "Classify the mail of customer {}",
    "Extract the totals of receipt {}",
    "Translate listing {} to French",
)
_INSERT = """
INSERT INTO tasks (id, session_id, status, attempt, priority, created_at, started_at, ended_at, execution_time_ms,
                   error_code, error, caller, labels, metadata, output, task)
VALUES (:id, :session, :status, 1, 0, :created, :created, :ended, :took, :code, :error, 'ip:127.0.0.1', '{}',
        '{"llmCalls":1,"skillCalls":0,"totalTokens":812,"planner":"model","attempt":1,"rounds":1,"intent":"answer"}',
        :output, :task)
"""


NAMES = (
    "tasks",
    "task",
    "task-paused",
    "task-agents",
    "task-failed",
    "task-running",
    "new",
    "sessions",
    "session",
    "skills",
    "skill",
    "agents",
    "health",
    "dead-letters",
    "webhooks",
)
"""Each page that is looked at, by a name."""


class World:
    """The server, and what is worth a look: `tasks` by a short name, and the addresses of every page."""

    def __init__(self, console: Console, tasks: dict[str, str]) -> None:
        self.console = console
        self.tasks = tasks

    @property
    def url(self) -> str:
        return self.console.url

    @property
    def pages(self) -> dict[str, str]:
        """The address of each page by its name."""
        return {
            "tasks": "#/tasks",
            "task": f"#/tasks/{self.tasks['growth']}",
            "task-paused": f"#/tasks/{self.tasks['invoice']}",
            "task-agents": f"#/tasks/{self.tasks['review']}",
            "task-failed": f"#/tasks/{self.tasks['deck']}",
            "task-running": f"#/tasks/{self.tasks['notes']}",
            "new": "#/new",
            "sessions": "#/sessions",
            "session": f"#/sessions/{quote('lisbon-trip')}",
            "skills": "#/skills",
            "skill": "#/skills?name=send-invoice",
            "agents": "#/agents",
            "health": "#/health",
            "dead-letters": "#/dead-letters",
            "webhooks": "#/webhooks",
        }

    @classmethod
    @contextmanager
    def made(cls, folder: Path) -> Iterator[World]:
        """Make it in a folder, and end it."""
        with running(by_rules(RULES)) as provider, receiving(answer(200)) as good, receiving(answer(410)) as gone:
            console = _console(folder, provider)
            try:
                tasks = _lived(console, good, gone)
                yield cls(console, tasks)
            finally:
                console.kill()  # a task of it hangs on purpose, and would be waited for


def _console(folder: Path, provider: Provider) -> Console:
    settings = {"MAX_CRASHES": "1", "WEBHOOK_ALLOW_PRIVATE": "true", "LLM_TIMEOUT_S": "3600"}
    console = Console(folder, provider, **{f"CALLBOARD_{name}": value for name, value in settings.items()})
    (folder / "skills" / "archive.py").write_text(DEADLY_SKILL)
    SqlStore.open(Settings(data_dir=console.data)).close()
    busy_hour(console.data / "callboard.db")
    return console


def busy_hour(database: Path, *, seed: int = 7) -> None:
    """Write the last hour's tasks into a history: quiet, a rush in the middle with some failures, quiet again."""
    rng = random.Random(seed)
    now = time.time()
    rows: list[dict[str, Any]] = []
    for minute in range(59, 0, -1):
        rush = max(0.0, 1 - abs(minute - 26) / 14)
        for _ in range(int(rng.gauss(7 + 22 * rush, 2))):
            rows.append(_ended(rng, now - 60 * minute + rng.random() * 58, rush))
    with closing(sqlite3.connect(database)) as connection, connection:
        connection.executemany(_INSERT, sorted(rows, key=itemgetter("id")))
        counts = {
            status: sum(row["status"] == status for row in rows) for status in ("completed", "failed", "cancelled")
        }
        took = sum(row["took"] for row in rows if row["status"] != "cancelled")
        connection.execute(
            "UPDATE totals SET total = :all, stored = :all, completed = :completed, failed = :failed, "
            "cancelled = :cancelled, execution_ms = :took, elapsed_ms = :took",
            {"all": len(rows), "took": took, **counts},
        )


def _ended(rng: random.Random, at: float, rush: float) -> dict[str, Any]:
    took = rng.lognormvariate(6.3 + 0.8 * rush, 0.5)
    status = rng.choices(("completed", "failed", "cancelled"), (0.95 - 0.12 * rush, 0.03 + 0.1 * rush, 0.02))[0]
    failed = status == "failed"
    ms = int(at * 1000)
    return {
        "id": f"{ms >> 16:08x}-{ms & 0xFFFF:04x}-7{rng.getrandbits(12):03x}-{0x8000 | rng.getrandbits(14):04x}-{rng.getrandbits(48):012x}",
        "session": f"desk-{rng.randrange(1, 9)}",
        "status": status,
        "created": int((at - took / 1000) * 1e6),
        "ended": int(at * 1e6),
        "took": round(took, 3),
        "code": "model_unavailable" if failed else None,
        "error": "The model house-model did not answer within 120 s." if failed else None,
        "output": '"Done."' if status == "completed" else None,
        "task": rng.choice(HOUR_TASKS).format(rng.randrange(1000, 9999)),
    }


def _lived(console: Console, good: Receiver, gone: Receiver) -> dict[str, str]:
    """Have everything happen; return the tasks by their short names."""
    console.start()
    dead = console.submit("Unpack the archive of 2019 and count its files.", sessionId="archive")
    console.await_topic(dead, "agent.skill.started")
    console.kill()
    console.start()
    console.ended(dead)
    for task in (
        "Plan three days in Lisbon for two people who like to walk.",
        "What does the hotel cost in dollars, at 140 EUR a night?",
        "And with breakfast at 12 EUR a day?",
    ):
        console.result(task, sessionId="lisbon-trip")
    console.result("Which day of the week was 31 February?", sessionId="calendar")
    console.result("What is 12 times 7?", callbackUrl=f"{good.url}/done", sessionId="desk-1")
    console.result("Greet the new customer.", callbackUrl=f"{gone.url}/moved", sessionId="desk-2")
    console.result("Close ticket 5120.", callbackUrl="http://127.0.0.1:9/hooks", sessionId="desk-3")
    tasks = {"dead": dead, "deck": console.submit("Make the quarterly board deck.", sessionId="board")}
    console.ended(tasks["deck"])
    tasks["growth"] = console.submit(
        "Which of our plans grew fastest this quarter? The table is in the notes.",
        sessionId="board",
        labels={"team": "sales", "quarter": 4},
    )
    console.ended(tasks["growth"])
    tasks["review"] = console.submit("Have our discount function reviewed before it goes out.", sessionId="shop")
    console.ended(tasks["review"])
    tasks["cancelled"] = console.submit("Transcribe the call with Ada.", sessionId="calls")
    console.await_topic(tasks["cancelled"], "agent.model.delta")
    with console.client() as client:
        client.post(f"/agent/tasks/{tasks['cancelled']}/cancel").raise_for_status()
    console.ended(tasks["cancelled"])
    tasks["invoice"] = console.submit(
        "Send the invoice for order 4711, 1308 dollars, to Lovelace & Co.", sessionId="billing"
    )
    console.await_topic(tasks["invoice"], "agent.task.paused")
    tasks["notes"] = console.submit("Draft the release notes of version 2.4.", sessionId="shop-notes")
    console.await_topic(tasks["notes"], "agent.model.delta")
    return tasks
