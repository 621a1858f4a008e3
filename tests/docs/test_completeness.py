"""What the code has, the documents name; what the documents name, the code has."""

import ast
import configparser
import re
import sqlite3
from collections import defaultdict
from collections.abc import Iterator
from contextlib import closing
from importlib.metadata import metadata
from importlib.util import find_spec
from itertools import pairwise
from pathlib import Path

import httpx
import pytest

from bench.provider import Reply, running
from callboard import SkillContext, __version__, limits
from callboard.agent.catalogue import Catalogue
from callboard.errors import TASK_ERROR_CODES, BackupFailed, CallboardError, ConfigurationError, TaskError
from callboard.http.cors import EXPOSED
from callboard.http.errors import SERVER_STATUSES, STATUSES
from callboard.http.openapi import openapi_document
from callboard.http.security_headers import security_headers
from callboard.messages.event_types import TYPES
from callboard.settings import Settings
from callboard.variables import SKILL_PREFIX
from tests.docs.documents import ALL, ROOT, anchors, headings, links, rows
from tests.docs.serving import Served

API = ROOT / "docs" / "api.md"
SKILLS = ROOT / "docs" / "skills.md"
CODE_SPAN = re.compile(r"`([^`]+)`")

WITH_A_SERVER = pytest.mark.xdist_group("docs")  # where the documents' examples are run, which have started it

REPORT_SECTIONS = (
    "Overview",
    "Authentication",
    "Endpoints",
    "Event Flow",
    "Rate Limiting",
    "Session Management",
    "Available Skills",
    "Error Handling",
    "SDK Examples",
    "Monitoring",
    "Best Practices",
    "Troubleshooting",
)


def _names(cell: str) -> set[str]:
    return set(CODE_SPAN.findall(cell))


def _documented(path: Path, pattern: str) -> dict[str, list[str]]:
    """Return the table rows whose first cell is one code span that matches, by that."""
    found = {}
    for cells in rows(path):
        first = re.fullmatch(rf"`({pattern})`", cells[0])
        if first:
            found[first[1]] = cells
    return found


def test_the_api_has_the_reports_twelve_sections_in_their_order() -> None:
    sections = [line.removeprefix("## ") for line in API.read_text().splitlines() if line.startswith("## ")]
    assert sections == list(REPORT_SECTIONS)


def test_every_endpoint_has_its_section_and_every_section_its_endpoint() -> None:
    paths = openapi_document(__version__)["paths"]
    real = {f"{method.upper()} {path}" for path, item in paths.items() for method in item}
    documented = {title for title in headings(API) if re.match(r"(GET|POST|PUT|DELETE|PATCH) /", title)}
    assert documented == real


def test_every_field_of_a_task_is_documented() -> None:
    fields = openapi_document(__version__)["components"]["schemas"]["TaskSpec"]["properties"]
    assert set(fields) <= _documented(API, r"\w+").keys()


def test_every_query_parameter_is_documented() -> None:
    paths = openapi_document(__version__)["paths"]
    operations = [operation for item in paths.values() for operation in item.values()]
    parameters = {
        p["name"] for operation in operations for p in operation.get("parameters", ()) if p.get("in") == "query"
    }
    assert parameters <= _documented(API, r"\w+").keys()


SKILLS_OF_TOPICS = """
import time

from callboard import RetryableError, skill


@skill(replay="never")
def hang() -> str:
    \"\"\"Never return.\"\"\"
    while True:
        time.sleep(60)


@skill(replay="keyed")
def later() -> str:
    \"\"\"Be unavailable.\"\"\"
    raise RetryableError("not now")
"""


PAY = """
from callboard import skill


@skill(replay="never", approval=True)
def pay(amount: int) -> str:
    \"\"\"Pay.\"\"\"
    return f"paid {amount}"
"""
SCRIPT = (
    Reply(text="Paris.", cached=5, thoughts="France, then."),
    Reply(text="This is cut", usage=(), stop="length"),
    Reply(tool="calculate", stop="tool_calls"),
    Reply(text="This is whole."),
    Reply(text="This breaks off and is asked again.", piece_chars=5, fault="reset"),
    Reply(text="Here it is."),
    Reply(status=400),
    Reply(text="```python\nfrom skills import pay\npay(1)\n```"),
    Reply(text="```python\nfrom skills import delegate\ndelegate('code-reviewer', 'Read it.')\n```"),
    Reply(text="I have read it."),
    Reply(text="```python\nfrom skills import delegate\ndelegate('code-reviewer', 'Wait.')\n```"),
    Reply(fault="hang"),
    *[Reply(text="```python\nfrom skills import hang\nhang()\n```")] * 3,
    Reply(text="```python\nfrom skills import later\nlater()\n```"),
)
IN_DOUBT = {"spoilt": "assume_done", "done": "assume_done", "failed": "fail"}
"""The sessions of the tasks that the server dies in, and what is decided about them."""


@pytest.fixture
def served_with_model(tmp_path: Path) -> Iterator[Served]:
    """A server with a model that has done all that one can do, killed inside three calls, one snapshot spoilt, and again.

    One scene for all topics: a server takes a second of a processor to start.
    """
    skills = tmp_path / "skills of a model"
    skills.mkdir()
    (skills / "some.py").write_text(SKILLS_OF_TOPICS)
    (skills / "pay.py").write_text(PAY)
    with running(*SCRIPT) as provider:
        llm = {"PROVIDER": "openai", "BASE_URL": provider.openai_url, "MODEL": "some", "API_KEY": "k", "RETRIES": "1"}
        settings = {f"CALLBOARD_LLM_{name}": value for name, value in llm.items()}
        settings["CALLBOARD_SKILLS_DIR"] = str(skills)
        killed = Served(tmp_path, tmp_path / "data of a model", **settings)
        killed.wait_until_ready()
        file = {"name": "a.csv", "mediaType": "text/csv", "data": "YQ=="}
        killed.result("What is the capital?", agent="master", attachments=[file])
        for task in ("Be cut.", "Break off.", "Be refused."):
            killed.result(task)
        with killed.client() as client:
            _decide(client, _submit(client, "Pay."), {"decision": "edit", "arguments": {"amount": 2}})
        killed.result("Delegate.")
        with killed.client() as client:
            _cancel_with_its_agents(client)
            for session in IN_DOUBT:
                _await(client, _submit(client, "Hang.", sessionId=session), "agent.skill.started")
        killed.kill()
        with closing(sqlite3.connect(tmp_path / "data of a model" / "callboard.db")) as connection, connection:
            spoilt = "(SELECT id FROM tasks WHERE session_id = 'spoilt')"
            connection.execute(f"UPDATE snapshots SET data = x'00' WHERE task_id = {spoilt}")
        again = Served(tmp_path, tmp_path / "data of a model", **settings)
        again.wait_until_ready()
        with again.client() as client:
            for session, decision in IN_DOUBT.items():
                [task] = client.get("/agent/results", params={"sessionId": session}).json()["results"]
                _decide(client, task["taskId"], {"decision": decision, "reason": "We asked."})
        again.result("Try it later.", retry={"maxAttempts": 2, "backoffMs": 1})
        yield again
        again.stop()


def _submit(client: httpx.Client, task: str, **fields: object) -> str:
    return str(client.post("/agent/execute", json={"task": task, **fields}).json()["taskId"])


ENDS = ("agent.task.completed", "agent.task.failed", "agent.task.cancelled")


def _await(client: httpx.Client, task_id: str, *topics: str) -> None:
    """Wait until a task's log has an event of one of these topics."""
    after = 0
    while True:
        page = client.get(f"/agent/tasks/{task_id}/events", params={"wait": 20, "after": after}).json()
        if any(event["topic"] in topics for event in page["events"]):
            return
        assert page["events"], f"nothing of {topics} came: {page}"
        assert not page["ended"], f"{task_id} ended without any of {topics}"
        after = page["events"][-1]["seq"]


def _cancel_with_its_agents(client: httpx.Client) -> None:
    task_id = _submit(client, "Delegate what hangs.")
    _await(
        client, task_id, "agent.skill.started"
    )  # that is the delegation; its task is accepted at about the same time
    while not (found := client.get("/agent/results", params={"parentId": task_id, "status": "running"}).json())[
        "count"
    ]:
        pass
    client.post(f"/agent/tasks/{task_id}/cancel")
    _await(client, found["results"][0]["taskId"], "agent.task.cancelled")


def _decide(client: httpx.Client, task_id: str, decision: dict[str, object]) -> None:
    """Wait until a task is paused, decide, and wait for its end."""
    _await(client, task_id, "agent.task.paused")
    assert client.post(f"/agent/tasks/{task_id}/decide", json=decision).json()["success"]
    _await(client, task_id, *ENDS)


@WITH_A_SERVER
def test_every_field_that_an_event_may_have_is_seen_in_real_ones_and_no_other(
    served: Served, served_with_model: Served
) -> None:
    served.result("What is 12 times 7?")
    served.result('```python\nprint("hello")\n```')
    served.result("```python\n'x' * 30_000\n```")
    served.result('```python\nfrom skills import weekday\nweekday("soon")\n```')
    served.result("```python\nfrom skills import weekday\nweekday('2026-01-01')\n```", availableSkills=["summarize"])
    served.result("```python\nfrom skills import weekday\nweekday('x' * 5000)\n```")
    served.result(
        "```python\nfrom skills import read_file, write_file\nwrite_file('a.txt', 'x' * 5000)\nprint(read_file('a.txt'))\n```"
    )
    served.result("```python\nwhile True: pass\n```", timeoutMs=1)
    _cancel_one(served)
    seen: defaultdict[str, set[str]] = defaultdict(set)
    for topic, data in (*_events(served), *_events(served_with_model)):
        seen[topic] |= data.keys()
    seen["agent.task.paused"].add(
        "edited"
    )  # of an edited call that a server died in: tests/callboard/test_agent_durability.py
    # of a long session: tests/callboard/test_agent_answers.py has the turns, tests/agent/planner/test_conversation.py the
    # rounds; of a very long call of tools: tests/callboard/test_agent_answers.py
    seen["agent.model.completed"] |= {"turnsLeftOut", "roundsLeftOut", "truncated"}
    assert dict(seen) == {topic: set(kind.keys()) for topic, kind in TYPES.items()}


def test_every_event_is_documented_with_its_fields() -> None:
    documented = {topic: _names(cells[2]) for topic, cells in _documented(API, r"agent\.[\w.]+").items()}
    assert documented == {topic: set(kind.keys()) for topic, kind in TYPES.items()}


def _cancel_one(served: Served) -> None:
    with served.client() as client:
        task_id = client.post("/agent/execute", json={"task": "```python\nwhile True: pass\n```"}).json()["taskId"]
        assert client.post(f"/agent/tasks/{task_id}/cancel").json()["status"] == "cancelled"


def _events(served: Served) -> Iterator[tuple[str, dict[str, object]]]:
    with served.client() as client:
        for task in client.get("/agent/results", params={"limit": 100}).json()["results"]:
            page = client.get(f"/agent/tasks/{task['taskId']}/events", params={"wait": 20}).json()
            yield from ((event["topic"], event["data"]) for event in page["events"])


def _errors(kind: type[CallboardError] = CallboardError) -> Iterator[type[CallboardError]]:
    if kind.__module__ == "callboard.client.errors":
        return  # what a client raises, where it has been loaded; docs/client.md has its own table
    if kind.__module__.startswith("callboard."):
        yield kind
    for child in kind.__subclasses__():
        yield from _errors(child)


def test_every_error_code_is_documented_with_its_status() -> None:
    expected = {code: str(status) for status, (_, code) in SERVER_STATUSES.items()}
    for error in _errors():
        status = next(STATUSES[parent][0] for parent in error.__mro__ if parent in STATUSES)
        expected[error.code] = "" if error in (ConfigurationError, BackupFailed) else str(status)
    section = API.read_text().split("### Error codes")[1].split("\n### ")[0]
    documented = dict(re.findall(r"^\| `([a-z_]+)` \| (\d*) ?\|", section, re.MULTILINE))
    assert documented == expected


def test_every_error_code_of_a_task_is_documented() -> None:
    section = API.read_text().split("### Why a task failed")[1].split("\n## ")[0]
    assert re.findall(r"^\| `([a-z_]+)` \|", section, re.MULTILINE) == list(TASK_ERROR_CODES)
    assert TaskError.code in TASK_ERROR_CODES


@WITH_A_SERVER
def test_every_header_is_documented(served: Served) -> None:
    documented = {name.lower() for cells in rows(API) for name in _names(cells[0])}
    expected = {name.lower() for name in (*security_headers(production=True), *EXPOSED)}
    with served.client() as client:
        preflight = {"Origin": "https://example.com", "Access-Control-Request-Method": "POST"}
        answers = [
            client.get("/agent/agents", headers={"Origin": "https://example.com"}),
            client.options("/agent/execute", headers=preflight),
            client.put("/agent/agents"),
        ]
    expected |= {name.lower() for answer in answers for name in answer.headers}
    usual = {"content-type", "content-length", "date", "connection", "server"}
    assert expected - usual <= documented


def _settings() -> set[str]:
    names = set()
    for name, field in Settings.model_fields.items():
        names.add(f"CALLBOARD_{name.upper()}")
        alias = field.validation_alias
        names |= set(map(str, getattr(alias, "choices", ())))
    return names


def test_every_limit_is_documented_with_its_number_and_what_happens_beyond() -> None:
    source = ast.parse(Path(limits.__file__).read_text()).body
    expected = {}
    for assigned, text in pairwise(source):
        if isinstance(assigned, ast.Assign) and isinstance(text, ast.Expr) and isinstance(text.value, ast.Constant):
            name = ast.unparse(assigned.targets[0])
            what, beyond = str(text.value.value).split(" Beyond: ")
            expected[name] = [f"`{name}`", f"{getattr(limits, name):,}", what, beyond[0].upper() + beyond[1:]]
    assert expected.keys() == {name for name in vars(limits) if re.fullmatch(r"[A-Z][A-Z_]*", name)}
    assert _documented(ROOT / "docs" / "limits.md", r"(?!CALLBOARD_)[A-Z][A-Z_]*") == expected


@pytest.mark.parametrize("path", ALL, ids=lambda path: path.name)
def test_every_variable_that_a_document_names_is_a_setting(path: Path) -> None:
    named = set(re.findall(r"\bCALLBOARD_[A-Z_]+\b", path.read_text()))
    unknown = {name for name in named if not name.startswith(SKILL_PREFIX)} - _settings()
    assert not unknown - {"CALLBOARD_URL", "CALLBOARD_KEY"}  # those are the example clients' own


@pytest.mark.parametrize("path", ALL, ids=lambda path: path.name)
def test_every_relative_link_leads_somewhere(path: Path) -> None:
    for link in links(path):
        if link.startswith(("http://", "https://")):
            continue
        file, _, anchor = link.partition("#")
        target = (path.parent / file).resolve() if file else path
        assert target.exists(), link
        if anchor:
            assert anchor in anchors(target), link


@pytest.mark.parametrize("path", ALL, ids=lambda path: path.name)
def test_every_file_that_a_document_names_is_there(path: Path) -> None:
    tops = "actors|agent|callboard|http|persistence|tests|docs|examples|bench"
    for name in re.findall(rf"`((?:{tops})/[\w./-]*)`", path.read_text()):
        if name not in ("docs/openapi.json", "callboard/effectId"):  # made by `make docs`; a name of MCP's
            assert (ROOT / name).exists(), name


def test_every_example_is_linked_from_a_document() -> None:
    linked = {(path.parent / link).resolve() for path in ALL for link in links(path) if "://" not in link}
    files = {path for path in (ROOT / "examples").rglob("*") if path.suffix in (".py", ".mjs")}
    assert not files - linked


def test_every_built_in_skill_is_documented_with_its_declaration_and_policy() -> None:
    documented = {
        name: (_names(cells[1]).pop().replace(r"\|", "|"), cells[2])
        for name, cells in _documented(SKILLS, r"[a-z-]+").items()
        if len(cells) == 3 and "->" in cells[1]
    }
    real = {}
    for skill in Catalogue.load().skills.values():
        if skill.origin == "builtin":
            declaration = skill.stub.splitlines()[0].removeprefix("def ").removesuffix(":")
            real[skill.name] = (declaration, skill.replay)
    assert documented == real
    assert real.keys() <= _documented(API, r"[a-z-]+").keys()


def test_every_attribute_of_a_skills_context_is_documented() -> None:
    real = {name for name in dir(SkillContext) if not name.startswith("_")} - {"workspace_root"}  # the wiring's
    assert {name.removeprefix("ctx.") for name in _documented(SKILLS, r"ctx\.\w+")} == real


def test_every_limit_of_the_sandbox_is_documented_with_its_default_and_its_error() -> None:
    written = {"10 s": 10.0, "128 MiB": 128 * 2**20, "400": 400, "1 MB": 1_000_000, "1000": 1000}
    documented = {}
    for cells in rows(SKILLS):
        if cells[1].startswith("`CALLBOARD_SANDBOX"):
            documented[_names(cells[1]).pop()] = written[cells[2]]
            assert _names(cells[3]) <= TASK_ERROR_CODES.keys()
    fields = {name: field.default for name, field in Settings.model_fields.items() if name.startswith("sandbox_")}
    assert documented == {f"CALLBOARD_{name.upper()}": default for name, default in fields.items()}


@WITH_A_SERVER
def test_the_documented_log_line_has_the_fields_of_a_real_one(served: Served) -> None:
    served.result("What is 12 times 7?")
    with served.client() as client:
        task_id = client.get("/agent/results", params={"limit": 1}).json()["results"][0]["taskId"]
    real = next(line for line in served.lines if line.get("task_id") == task_id)
    text = (ROOT / "docs" / "operations.md").read_text()
    example = text.split("## Logs")[1].split("```json")[1].split("```")[0]
    assert re.findall(r'^  "(\w+)":', example, re.MULTILINE) == list(real)


@WITH_A_SERVER
def test_what_the_planner_is_said_to_answer_it_answers(served: Served) -> None:
    examples = [cells for cells in rows(ROOT / "docs" / "models.md") if len(cells) == 3 and cells[1].startswith("`")]
    assert len(examples) > 10
    for _, task, output in examples:
        assert str(served.result(task.strip("`"))["output"]) == output.strip("`"), task


def _classified(classifiers: list[str]) -> str:
    """Return the licence that a package names in its classifiers only."""
    [licence] = [line.rpartition(" :: ")[2] for line in classifiers if line.startswith("License ::")]
    return licence.removesuffix(" License")


def test_every_dependency_has_its_line_with_its_licence() -> None:
    setup = configparser.ConfigParser(interpolation=None)
    setup.read(ROOT / "setup.cfg")
    lists = [setup["options"]["install_requires"], *setup["options.extras_require"].values()]
    extras = "".join(setup["options.extras_require"][extra] for extra in ("bench", "postgres", "ui"))
    optional = set(re.findall(r"^\s*([a-z][\w-]*)", extras, re.MULTILINE))
    needed = {name for text in lists for name in re.findall(r"^\s*([a-z][\w-]*)", text, re.MULTILINE)}
    needed.discard("callboard")  # an extra that includes another one
    table = [cells for cells in rows(ROOT / "docs" / "dependencies.md") if len(cells) == 3]
    documented = {cells[0]: cells for cells in table if cells[0] not in ("package", "---")}
    assert documented.keys() == needed
    for name, cells in documented.items():
        if name in optional and find_spec(name) is None:
            continue  # an extra that this environment has not installed
        found = metadata(name)
        expression = found["License-Expression"] or found["License"] or _classified(found.get_all("Classifier") or [])
        assert cells[2].replace("-", " ").lower() == expression.replace("-", " ").lower(), name


def test_every_make_target_is_in_the_readme() -> None:
    makefile = (ROOT / "Makefile").read_text()
    targets = set(re.findall(r"^([a-z-]+):.*## ", makefile, re.MULTILINE))
    assert {name.removeprefix("make ") for name in _documented(ROOT / "README.md", "make [a-z-]+")} == targets


def test_the_makefile_and_the_documents_say_one_time_for_the_tests() -> None:
    phrases = {
        "Makefile": r"^test: .*\((about \w+ minutes)\)$",
        "README.md": r"^\| `make test` \| .*\b(about \w+ minutes) \|$",
        "CONTRIBUTING.md": r"^make test +# (about \w+ minutes)$",
    }
    said = {name: re.findall(phrase, (ROOT / name).read_text(), re.MULTILINE) for name, phrase in phrases.items()}
    assert all(len(found) == 1 for found in said.values()), said
    assert len({found[0] for found in said.values()}) == 1, said


def test_the_changelog_names_this_version() -> None:
    assert f"## [{__version__}]" in (ROOT / "CHANGELOG.md").read_text()
