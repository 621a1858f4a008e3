"""A server with a console, as a process on a port that it keeps when it is started again."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from bench.server import free_port
from tests.docs.serving import Served

if TYPE_CHECKING:
    from pathlib import Path

    import httpx

    from bench.provider import Provider

MODEL = {
    "CALLBOARD_LLM_PROVIDER": "openai",
    "CALLBOARD_LLM_MODEL": "house-model",
    "CALLBOARD_LLM_API_KEY": "none",
    "CALLBOARD_LLM_RETRIES": "0",
    "CALLBOARD_LLM_INPUT_PRICE": "0.5",
    "CALLBOARD_LLM_OUTPUT_PRICE": "2",
}

APPROVED_SKILL = '''
from callboard import skill


@skill(replay="never", approval=True)
def send_invoice(customer: str, amount_eur: float, *, note: str = "") -> str:
    """Send an invoice to a customer by mail.

    A person approves each one before it goes out.
    """
    return f"Invoice over {amount_eur:.2f} EUR sent to {customer}"


@skill(replay="safe")
def exchange_rate(currency: str) -> float:
    """Return how many of a currency a euro buys."""
    return {"USD": 1.09, "GBP": 0.84, "JPY": 163.2}[currency]
'''


class Console:
    """One server and its folder; with a provider it has a model. Any thread."""

    def __init__(self, folder: Path, provider: Provider | None = None, **settings: str) -> None:
        skills = folder / "skills"
        skills.mkdir(exist_ok=True)
        (skills / "office.py").write_text(APPROVED_SKILL)
        self.data = folder / "data"
        self._folder = folder
        self._port = free_port()
        self._served: Served | None = None
        self._settings = {"CALLBOARD_SKILLS_DIR": str(skills), "RATE_LIMIT_MAX_REQUESTS": "0", **settings}
        if provider is not None:
            self._settings = {**MODEL, "CALLBOARD_LLM_BASE_URL": provider.openai_url, **self._settings}

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._port}"

    def start(self, **more: str) -> None:
        """Start it, again on the same port and data, and wait until it answers; `more` are other settings than before."""
        self._settings.update(more)
        self._served = Served(self._folder, self.data, port=str(self._port), **self._settings)
        self._served.wait_until_ready()

    def stop(self) -> None:
        """End it as an operator would; nothing if it does not run."""
        served, self._served = self._served, None
        if served is not None:
            served.stop()

    def kill(self) -> None:
        """End it as a power cut would."""
        served, self._served = self._served, None
        if served is not None:
            served.kill()

    def client(self) -> httpx.Client:
        if self._served is None:
            raise RuntimeError("the server does not run")
        return self._served.client()

    def submit(self, task: str, **fields: Any) -> str:
        """Submit a task; return its id."""
        with self.client() as client:
            answer = client.post("/agent/execute", json={"task": task, **fields})
        task_id: str = answer.raise_for_status().json()["taskId"]
        return task_id

    def result(self, task: str, **fields: Any) -> dict[str, Any]:
        """Submit a task and return its result once it has ended."""
        return self.ended(self.submit(task, **fields))

    def ended(self, task_id: str) -> dict[str, Any]:
        """Wait for the end of a task and return its result."""
        self._await(task_id, lambda page: bool(page["ended"]))
        with self.client() as client:
            found: dict[str, Any] = client.get("/agent/results", params={"taskId": task_id}).json()["result"]
        return found

    def await_topic(self, task_id: str, topic: str) -> None:
        """Wait until the log of a task has an event of a topic."""
        self._await(task_id, lambda page: any(event["topic"] == topic for event in page["events"]))

    def _await(self, task_id: str, holds: Any) -> None:
        after = 0
        with self.client() as client:
            for _ in range(200):
                query = {"after": after, "wait": 5}
                page = client.get(f"/agent/tasks/{task_id}/events", params=query).raise_for_status().json()
                if holds(page):
                    return
                if page["ended"] and not page["events"]:
                    break
                after = page["events"][-1]["seq"] if page["events"] else after
        raise AssertionError(f"what was waited for did not come: {page}")
