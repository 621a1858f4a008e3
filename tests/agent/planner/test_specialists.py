"""Security scans, descriptions of tables, and what the agents that ship make of a task without a model."""

from collections.abc import Callable
from typing import Any

import pytest

from callboard.agent.planner import Plan
from callboard.agent.roster import Roster
from callboard.errors import TaskError

RISKY = "import os\nos.system(x)"
PYTHON = f"```python\n{RISKY}\n```"
CSV = "name,price\na,1\nb,2\nb,3"
SECRET = "password = 'hunter22'"


def called(plan: Plan) -> str:
    """Return the skill that a plan calls; empty if it calls none."""
    assert plan.code is not None
    first = plan.code.split("\n")[0]
    return first.removeprefix("from skills import ") if first.startswith("from skills") else ""


@pytest.mark.parametrize(
    "task",
    [
        f"Security audit of this code:\n{PYTHON}",
        f"Audit this code for security\n{PYTHON}",
        f"Check this Python for vulnerabilities: {PYTHON}",
        f"Are there any security issues in this?\n{PYTHON}",
        f"Find the vulnerabilities in my script\n{PYTHON}",
        f"Is this code secure?\n```\n{RISKY}\nprint(1)\n```",
        f"Run a security scan on this python code:\n```\n{RISKY}\n```",
        f"Please do a security review of this Python:\n{RISKY}",
        f"Scan the following Python code for injections\n```py\n{RISKY}\n```\n```py\nx = 1\n```",
    ],
)
def test_python_is_scanned_for_weaknesses_when_the_task_says_so(plan: Callable[..., Plan], task: str) -> None:
    assert called(plan(task)) == "security_scan"


@pytest.mark.parametrize(
    ("task", "skill"),
    [
        (f"Review this code:\n{PYTHON}", "code_analysis"),
        (f"Analyze this code: {PYTHON}", "code_analysis"),
        (f"Run this:\n{PYTHON}", ""),
        ("Find vulnerabilities in this JavaScript:\n```js\neval(x)\n```", "code_analysis"),
        ("Security review of this code:\n```go\npackage main\n```", "code_analysis"),
        ("Summarize: The security audit found nothing. It took a day. All went well.", "summarize"),
        (f"Find the names where price > 1 in this CSV:\n{CSV}", "query_table"),
        ("find the passwords in this CSV: user,password\na,b\nc,d", "query_table"),
    ],
)
def test_other_tasks_stay_with_the_families_that_had_them(plan: Callable[..., Plan], task: str, skill: str) -> None:
    assert called(plan(task)) == skill


def test_a_scan_is_carried_out(answer: Callable[..., Any]) -> None:
    found = answer(f"Security audit of this code:\n{PYTHON}")
    assert [finding["rule"] for finding in found["findings"]] == ["B605"]


@pytest.mark.parametrize(
    "task",
    [
        f"Find secrets in this text: {SECRET}",
        f"Are there any API keys or passwords in this config?\n```yaml\n{SECRET}\n```",
        f"Check this file for leaked credentials:\n{SECRET}",
        f"Scan the following log for secrets, tokens and private keys:\n```\n{SECRET}\n```",
        f"Does this code contain hard-coded passwords?\n```js\n{SECRET}\n```",
        f"look for credentials in here:\n{SECRET}",
    ],
)
def test_a_text_is_searched_for_secrets_when_the_task_says_so(answer: Callable[..., Any], task: str) -> None:
    assert [finding["rule"] for finding in answer(task)["findings"]] == ["named-secret"]


def test_a_search_without_a_text_says_what_is_missing(plan: Callable[..., Plan]) -> None:
    with pytest.raises(TaskError, match=r"There is no text to search in this task\. Put the text itself behind"):
        plan("Find secrets in this text")


@pytest.mark.parametrize(
    "task",
    [
        f"Describe this CSV:\n{CSV}",
        f"Describe this CSV: {CSV}",
        f"Please analyze this CSV file:\n```csv\n{CSV}\n```",
        f"Summarize this table:\n{CSV}",
        f"Give me summary statistics of the data below:\n```\n{CSV}\n```",
        f"Give me a quick overview of this dataset\n{CSV}",
        f"What's in this data?\n{CSV}",
        f"{CSV}\n\nWhat does this data look like?",
        f"Explore the following data set:\n{CSV}",
        f"How clean is this data?\n{CSV}",
        'Profile this JSON: [{"name": "a", "price": 1}, {"name": "b", "price": 2}, {"name": "b", "price": 3}]',
        "Describe the table below\n| name | price |\n|---|---|\n| a | 1 |\n| b | 2 |\n| b | 3 |",
    ],
)
def test_a_table_is_described_when_the_task_asks_what_is_in_it(answer: Callable[..., Any], task: str) -> None:
    found = answer(task)
    assert found["rows"] == 3
    assert [(column["name"], column["type"]) for column in found["columns"]] == [("name", "text"), ("price", "integer")]


@pytest.mark.parametrize(
    "words", ["Describe this CSV and draw a chart", "Describe the trend in this CSV", "Analyze this CSV by name"]
)
def test_a_description_that_asks_for_more_is_not_half_answered(plan: Callable[..., Plan], words: str) -> None:
    with pytest.raises(TaskError, match="not understood") as caught:
        plan(f"{words}:\n{CSV}")
    assert caught.value.code == "no_skill_fits"


def test_data_that_cannot_be_described_is_explained(plan: Callable[..., Plan]) -> None:
    with pytest.raises(TaskError, match=r"cannot be read\. The first line must give each column a name of its own"):
        plan("Describe this CSV:\n```csv\na,a\n1,2\n```")


# --- addressed to an agent ---


@pytest.fixture
def addressed(desk: Any) -> Callable[[str, str], Plan]:
    """Return a function that plans a task of one of the agents, with the skills it has."""
    roster = Roster.load(None, desk.catalogue.names)

    def plan(agent: str, task: str) -> Plan:
        chosen = roster.get(agent)
        skills = {name: skill for name, skill in desk.catalogue.skills.items() if name in (chosen.skills or ())}
        planned: Plan = desk.plan(task, agent=chosen, skills=skills)
        return planned

    return plan


@pytest.mark.parametrize(
    ("agent", "task", "skill"),
    [
        ("code-reviewer", PYTHON, "code_analysis"),
        ("code-reviewer", "```js\nvar a = 1;\n```", "code_analysis"),
        ("code-reviewer", f"Please have a look at src/app.py:\n{PYTHON}", "code_analysis"),
        ("code-reviewer", f"What do you think of this?\n{PYTHON}", "code_analysis"),
        ("code-reviewer", f"Audit this code for security:\n{PYTHON}", "security_scan"),
        ("code-reviewer", f"Run this:\n{PYTHON}", ""),
        ("security-auditor", PYTHON, "security_scan"),
        ("security-auditor", f"Review this:\n{PYTHON}", "security_scan"),
        ("security-auditor", f"```\n{RISKY}\nprint(1)\n```", "security_scan"),
        ("security-auditor", f"Here is the configuration:\n```yaml\n{SECRET}\n```", "find_secrets"),
        ("security-auditor", "Find vulnerabilities in this JavaScript:\n```js\neval(x)\n```", "code_analysis"),
        ("data-analyst", CSV, "describe_table"),
        ("data-analyst", f"```csv\n{CSV}\n```", "describe_table"),
        ("data-analyst", f"Here is my data:\n{CSV}", "describe_table"),
        ("data-analyst", f"What is the average price?\n{CSV}", "query_table"),
        ("data-analyst", "What is 12 times 7?", "calculate"),
    ],
)
def test_an_agent_does_its_own_work_without_a_model(
    addressed: Callable[[str, str], Plan], agent: str, task: str, skill: str
) -> None:
    assert called(addressed(agent, task)) == skill


def test_the_same_material_is_run_or_refused_where_no_agent_is_addressed(plan: Callable[..., Plan]) -> None:
    assert called(plan(PYTHON)) == ""
    with pytest.raises(TaskError, match="cannot work this task out"):
        plan(CSV)


@pytest.mark.parametrize(
    ("agent", "task"),
    [
        ("code-reviewer", f"Rewrite this in Rust:\n{PYTHON}"),
        ("code-reviewer", f"Does the locking here deadlock?\n{PYTHON}"),
        ("code-reviewer", "look " * 200 + PYTHON),
        ("code-reviewer", f"```csv\n{CSV}\n```"),
        ("data-analyst", f"Forecast next month:\n{CSV}"),
    ],
)
def test_an_agent_does_not_answer_what_it_was_not_asked(
    addressed: Callable[[str, str], Plan], agent: str, task: str
) -> None:
    with pytest.raises(TaskError) as caught:
        addressed(agent, task)
    assert caught.value.code == "no_skill_fits"


def test_a_skill_that_the_agent_does_not_have_is_named_with_the_agent(addressed: Callable[[str, str], Plan]) -> None:
    with pytest.raises(TaskError, match="calculate, which the agent code-reviewer does not have; address another"):
        addressed("code-reviewer", "What is 12 times 7?")
