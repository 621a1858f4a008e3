"""The small steps of every request, each alone in this process: limiter, key check, log line, type check, result logged.

And `/health` over HTTP. Medians of several hundred samples after a warm-up; the threads that take part in the
real server take part here (an ask goes to the actor's own thread and back).
"""

import contextlib
import json
import statistics
from collections.abc import Callable, Iterator
from pathlib import Path

import falcon.testing
from limits.storage import MemoryStorage

from bench import server
from bench.figures import BenchError, Figure, Run, milliseconds, percentile
from bench.logging_results import ResultLogging
from callboard import AgentSystem, Settings
from callboard.actors.mailbox import Address, Mailbox
from callboard.actors.rate_limiter import RateLimiter
from callboard.actors.supervision import Supervisor
from callboard.agent.catalogue import Catalogue
from callboard.agent.sandbox import Sandbox
from callboard.http.access_log import AccessLog, request_line
from callboard.http.principals import Principals
from callboard.http.request import Request
from callboard.messages.usage import TakeToken
from callboard.principal import Limits, Principal

ASK_TIMEOUT_S = 10
KEYS = ("first-key-of-three", "second-key-of-three", "third-key-of-three")
CALLERS = 20


def measure(run: Run) -> list[Figure]:
    samples = 300 if run.quick else 1000
    figures = [
        *_limiter(run, samples),
        _key_check(samples),
        _log_line(run, samples),
        *_type_checks(run, samples),
        _health(run, samples),
        _result_logged(run, samples),
    ]
    run.say("the small steps are measured")
    return figures


def _figure(name: str, took: list[float], *, at_most: float, promised: float, note: str = "") -> Figure:
    tail = f"p99 {percentile(took, 99):.3f} ms"
    return Figure(
        name=name,
        value=statistics.median(took),
        unit="ms",
        at_most=at_most,
        promised=promised,
        note=f"{note}; {tail}" if note else tail,
    )


def _limiter(run: Run, samples: int) -> list[Figure]:
    """Ask the limiter itself, and as a request does: through the gateway of a running system."""
    settings = Settings(data_dir=run.new_folder("limiter"), port=0, rate_limit_max_requests=samples)
    supervisor = Supervisor()
    address = Address(Mailbox("rate limiter", settings.inbox_limit))
    storage = MemoryStorage()
    supervisor.start(
        address,
        lambda mailbox: RateLimiter(
            mailbox,
            storage=storage,
            window_ms=settings.rate_limit_window_ms,
        ),
    )
    limits = Limits(max_requests=samples)
    alone = milliseconds(_take_token(address, limits), samples)
    supervisor.stop(address, timeout_s=5)
    supervisor.close()
    with AgentSystem.start(settings) as system:
        system.wait_until_probed(10)
        whole = milliseconds(_take_token(system.gateway, limits), samples)
    return [
        _figure("limiter decision", alone, at_most=0.1, promised=1, note="ask and reply"),
        _figure("limiter decision through the gateway", whole, at_most=0.1, promised=1, note="as a request asks it"),
    ]


def _take_token(address: Address, limits: Limits) -> Callable[[int], None]:
    callers = [Principal(id=f"ip:192.0.2.{number}", limits=limits) for number in range(CALLERS)]

    def take(number: int) -> None:
        asker = callers[number % CALLERS]
        decision = address.ask(TakeToken(), timeout_s=ASK_TIMEOUT_S, principal=asker)
        if not decision.allowed:
            raise BenchError("the limiter refused a request within its limit")

    return take


def _key_check(samples: int) -> Figure:
    principals = Principals(KEYS, Limits())

    def check(number: int) -> None:
        if principals.of_key(KEYS[number % len(KEYS)]) is None:
            raise BenchError("a right key was refused")

    return _figure("API key check", milliseconds(check, samples), at_most=0.05, promised=1, note="one of three keys")


def _log_line(run: Run, samples: int) -> Figure:
    """Write the line of a request through the middleware that writes it, each to a file at once."""
    settings = Settings(data_dir=run.folder, log_format="json", log_level="info")
    path = run.new_folder("log") / "requests.log"
    environment = falcon.testing.create_environ(path="/agent/execute", method="POST", headers={"User-Agent": "bench"})
    request, response = Request(environment), falcon.Response()
    request.task_id = "01900000-0000-7000-8000-000000000000"
    with _standard_error_to(path):
        log = AccessLog(request_line(settings))
        took = milliseconds(lambda _: log.process_response(request, response, None, True), samples)
    lines = path.read_text().splitlines()
    if len(lines) < samples or json.loads(lines[-1])["path"] != "/agent/execute":
        raise BenchError("the request log did not write a line for each request")
    return _figure("request log line", took, at_most=0.2, promised=5, note="JSON, to a file")


def _type_checks(run: Run, samples: int) -> list[Figure]:
    """Check code of one template, each time with another literal: as a user's or a model's, and as the planner's own."""
    catalogue = Catalogue.load()
    skills = [skill.python_name for skill in catalogue.skills.values()]
    settings = Settings(data_dir=run.new_folder("checks"))
    sandbox = Sandbox(settings, stubs=catalogue.stubs(twins=True), skills=skills)
    sandbox.start()
    took = {
        own: milliseconds(
            lambda number, own=own: sandbox.check(f"from skills import calculate\ncalculate('{number} * 7')", own=own),
            samples,
        )
        for own in (False, True)
    }
    sandbox.close()
    each, by_shape = statistics.median(took[False]), statistics.median(took[True])
    return [
        Figure(name="type check of a line of a user's", value=each, unit="ms", note="one call of a skill"),
        Figure(
            name="type check of the planner's own",
            value=by_shape,
            unit="ms",
            note=f"its shape is known; {by_shape / each:.3f} of the other",
        ),
    ]


@contextlib.contextmanager
def _standard_error_to(path: Path) -> Iterator[None]:
    """Send standard error to a file, one write a line, as a service's goes."""
    with path.open("w", buffering=1) as file, contextlib.redirect_stderr(file):
        yield


def _health(run: Run, samples: int) -> Figure:
    with server.callboard(run.new_folder("health")) as ours:
        connection = ours.connect()

        def get(_number: int) -> None:
            connection.request("GET", "/health")
            reply = connection.getresponse()
            body = reply.read()
            if reply.status != 200:
                raise BenchError(f"GET /health answered {reply.status}: {body.decode()[:300]}")

        took = milliseconds(get, samples)
        connection.close()
    return _figure("GET /health", took, at_most=2, promised=10, note="over HTTP, keep-alive")


def _result_logged(run: Run, samples: int) -> Figure:
    with ResultLogging(Settings(data_dir=run.new_folder("results"))) as logging:
        tasks = [logging.running_task() for _ in range(samples + 20)]
        took = milliseconds(lambda number: logging.log_result(tasks[number]), samples, warm_up=20)
    return _figure("result logged", took, at_most=5, promised=20, note="ask to reply after the commit, one at a time")
