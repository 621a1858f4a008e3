"""What a person decides on is what runs, whole: tried over REST alone, against a server process that is killed in between."""

import hashlib
import json
import sqlite3
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.docs.serving import Served

SKILL = '''
import json
from pathlib import Path
from typing import Any

from pydantic import BaseModel, Field, RootModel, SecretStr

from callboard import SkillContext, skill

HERE = Path(__file__).parent


def write(row: list[Any]) -> None:
    with (HERE / "made").open("ab", buffering=0) as file:  # one write: a kill leaves the whole row, or none
        file.write(json.dumps(row).encode() + b"\\n")


@skill(replay="never", approval=True)
def pay(what: Any, note: str = "", *, ctx: SkillContext) -> str:
    """Write down what it was given."""
    write([ctx.effect_id, what, note])
    return "paid"


@skill(replay="never")
def send(what: Any, *, ctx: SkillContext) -> str:
    """Write down what it was given, and wait to be killed the first time."""
    write([ctx.effect_id, what])
    while not (HERE / "go").exists():
        ctx.cancel_event.wait(0.01)
    return "sent"


class Bill(BaseModel):
    to: str
    amount: int = 5
    hidden: int = Field(1, exclude=True)


class Lines(RootModel[list[int]]):
    pass


def given(what: Any) -> str:
    write(["typed", repr(what)])
    return "done"


@skill(replay="never", approval=True)
def whole(x: int) -> str:
    """Take a whole number."""
    return given(x)


@skill(replay="never", approval=True)
def real(x: float) -> str:
    """Take a number."""
    return given(x)


@skill(replay="never", approval=True)
def table(x: dict[int, str]) -> str:
    """Take texts by number."""
    return given(x)


@skill(replay="never", approval=True)
def bill(x: Bill) -> str:
    """Take a bill."""
    return given(x)


@skill(replay="never", approval=True)
def lines(x: Lines) -> str:
    """Take whole numbers."""
    return given(x)


@skill(replay="never", approval=True)
def secret(x: SecretStr, n: int = 2, *, bill: Bill = Bill(to="Bob")) -> str:
    """Take a text, and what nobody gives."""
    return given((x.get_secret_value(), n, bill.amount))
'''


class Office:
    """A server process whose skills write down what they are given, on a folder that outlives it."""

    def __init__(self, folder: Path, **settings: str) -> None:
        self.skills = folder / "skills"
        self.skills.mkdir()
        (self.skills / "office.py").write_text(SKILL)
        self.folder = folder
        self.settings = settings
        self.start()

    def start(self) -> None:
        settings = {"CALLBOARD_SKILLS_DIR": str(self.skills), "RATE_LIMIT_MAX_REQUESTS": "0", **self.settings}
        self.served = Served(self.folder, self.folder / "data", **settings)
        self.served.wait_until_ready()
        self.http = self.served.client()

    def kill(self) -> None:
        self.http.close()
        self.served.kill()

    def submit(self, code: str, skill: str = "pay") -> str:
        task = f"```python\nfrom skills import {skill}\n{code}\n```"
        answer = self.http.post("/agent/execute", json={"task": task})
        return str(answer.raise_for_status().json()["taskId"])

    def until(self, task_id: str, topic: str, after: int = 0) -> dict[str, Any]:
        """Wait for the next event of a topic; return its data, with its number as `seq`."""
        while True:
            page = self.http.get(f"/agent/tasks/{task_id}/events", params={"after": after, "wait": 20}).json()
            for event in page["events"]:
                after = event["seq"]
                if event["topic"] == topic:
                    return {**event["data"], "seq": after}
            assert page["events"], page
            assert not page["ended"], page

    def paused(self, task_id: str, after: int = 0) -> dict[str, Any]:
        """Wait until the task asks; return the whole question."""
        told = self.until(task_id, "agent.task.paused", after)
        view = self.http.get(f"/agent/tasks/{task_id}").json()["pause"]
        found: dict[str, Any] = self.http.get(f"/agent/tasks/{task_id}/pause").raise_for_status().json()["pause"]
        assert view["digest"] == told["digest"] == found["digest"]
        return {**found, "seq": told["seq"], "preview": view}

    def decide(self, task_id: str, decision: str, **more: Any) -> httpx.Response:
        return self.http.post(f"/agent/tasks/{task_id}/decide", json={"decision": decision, **more})

    def made(self) -> list[Any]:
        file = self.skills / "made"
        lines = file.read_text().splitlines(keepends=True) if file.exists() else []
        return [json.loads(line) for line in lines if line.endswith("\n")]  # the last one may be on its way

    def made_by(self, call: dict[str, Any]) -> list[Any]:
        return [row for row in self.made() if row[0] == call["effectId"]]


@pytest.fixture(scope="module")
def office(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Office]:
    office = Office(tmp_path_factory.mktemp("office"))
    yield office
    office.kill()


@pytest.fixture
def mortal(tmp_path: Path) -> Iterator[Office]:
    """One that may be killed."""
    office = Office(tmp_path)
    yield office
    office.kill()


def digest_of(pause: dict[str, Any]) -> str:
    """Return the digest as docs/api.md defines it."""
    made_with = [[], pause["edited"]] if "edited" in pause else [pause["args"], pause["kwargs"]]
    text = json.dumps([pause["skill"], pause["effectId"], *made_with], sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(text.encode()).hexdigest()


LONG: dict[str, tuple[str, Any]] = {
    "101 entries": ("list(range(101))", list(range(101))),
    "10,000 entries": (
        "[{'to': 'é', 'cents': n} for n in range(10000)]",
        [{"to": "é", "cents": n} for n in range(10000)],
    ),
    "4,001 characters": ("'a' * 4000 + '!'", "a" * 4000 + "!"),
    "1,000,000 characters": ("'Zoë 😀 ' * 166666 + 'end!'", "Zoë 😀 " * 166666 + "end!"),
    "nested": ("{'a': [[{'b': 'x' * 4001}] * 101]}", {"a": [[{"b": "x" * 4001}] * 101]}),
    "101 keys": ("{'k' + str(n): n for n in range(101)}", {f"k{n}": n for n in range(101)}),
    "a long key": ("{'k' * 300: 1}", {"k" * 300: 1}),
    "signs that hide": ("'pay \\u202e\\u200b\\x1b[2J\\x07' + 'раy'", "pay \u202e\u200b\x1b[2J\x07раy"),
    "numbers": ("[1.0, 1, -0.0, 1e300, 9007199254740993, True]", [1.0, 1, -0.0, 1e300, 9007199254740993, True]),
}


@pytest.mark.parametrize(("code", "value"), LONG.values(), ids=LONG)
def test_what_is_approved_is_shown_whole_and_is_what_runs(office: Office, code: str, value: Any) -> None:
    task_id = office.submit(f"pay({code}, note='n')")
    asked = office.paused(task_id)
    assert json.dumps([asked["args"], asked["kwargs"]]) == json.dumps([[value], {"note": "n"}])
    assert asked["digest"] == digest_of(asked)
    assert not asked["argsTruncated"]
    preview = asked["preview"]
    assert preview["argsTruncated"] is (preview["args"] != asked["args"])
    assert len(json.dumps(preview, ensure_ascii=False)) < 50_000
    if preview["argsTruncated"]:
        assert " more " in json.dumps(preview["args"])
        refused = office.decide(task_id, "edit", arguments={"what": preview["args"][0], "note": "n"})
        assert (refused.status_code, refused.json()["code"]) == (400, "invalid_request")
        assert "not whole" in refused.json()["message"]
    other = office.decide(task_id, "approve", digest="0" * 64)
    assert (other.status_code, other.json()["code"]) == (409, "decision_outdated")
    approved = office.decide(task_id, "approve", call=asked["call"], digest=asked["digest"])
    assert approved.status_code == 200
    decided = office.until(task_id, "agent.task.requeued", asked["seq"])
    assert decided["requestId"] == approved.headers["x-request-id"]
    begun = office.until(task_id, "agent.skill.started", decided["seq"])
    assert decided["digest"] == begun["digest"] == asked["digest"]
    office.until(task_id, "agent.task.completed", begun["seq"])
    made = office.made()[-1]
    assert json.dumps(made) == json.dumps([asked["effectId"], value, "n"])


def test_an_edit_is_of_the_whole_and_the_digest_is_that_of_what_was_edited(office: Office) -> None:
    task_id = office.submit("pay(['… [3 more entries left out]'] + list(range(10000)))")
    asked = office.paused(task_id)
    arguments = {"what": [*asked["args"][0][:-1], "é"], "note": "a" * 5000}
    cut = office.decide(task_id, "edit", arguments={"what": ["x… [2 more characters left out]"], "note": "b"})
    assert cut.status_code == 400, cut.text
    assert office.decide(task_id, "edit", arguments=arguments, digest=asked["digest"]).status_code == 200
    decided = office.until(task_id, "agent.task.requeued", asked["seq"])
    assert decided["digest"] == digest_of({**asked, "edited": arguments}) != asked["digest"]
    begun = office.until(task_id, "agent.skill.started", decided["seq"])
    assert (begun["digest"], begun["argsTruncated"]) == (decided["digest"], True)
    office.until(task_id, "agent.task.completed", begun["seq"])
    assert office.made()[-1] == [asked["effectId"], arguments["what"], arguments["note"]]
    gone = office.http.get(f"/agent/tasks/{task_id}/pause")
    assert (gone.status_code, gone.json()["code"]) == (409, "task_not_paused")


@pytest.mark.parametrize(
    ("code", "word"),
    [
        ("'x' * 8_000_000", "8,000,000"),
        ("['x' * 100] * 90_000", "8,000,000"),
        ("b'\\xff\\xfe'", "base64"),
        ("'a\\0b'", "NUL"),
        ("{1: 'a', '1': 'b'}", "two keys"),
    ],
)
def test_what_nobody_can_be_shown_is_refused_to_the_code_and_never_asked(office: Office, code: str, word: str) -> None:
    before = office.made()
    task_id = office.submit(f"try:\n    pay({code})\nexcept Exception as error:\n    print(error)")
    office.until(task_id, "agent.task.completed")
    said = office.http.get("/agent/results", params={"taskId": task_id}).json()["result"]["output"]
    assert word in said
    assert "needs a person's approval" in said
    assert office.made() == before


@pytest.mark.parametrize(
    ("skill", "code", "word"),
    [
        ("table", "{'1': 'pay Bob', '01': 'pay Eve'}", 'pass {"1": "pay Eve"}'),
        ("real", "10**400", 'pass "inf"'),
        ("real", "'1e400'", 'x is "1e400", which the skill would get as "inf"'),
        ("real", "2**53 + 1", "9007199254740992.0"),
        ("whole", "True", "x is true, which the skill would get as 1; pass 1"),
        ("whole", "'1_000'", "pass 1000"),
        ("whole", "5.0", "pass 5 "),
        ("bill", "{'to': 'Bob', 'amount': 6, 'hidden': 1, 'more': 1}", '"more": 1}, which'),
        ("bill", "{'to': 'Bob', 'hidden': 1}", '"amount": 5'),
        ("bill", "{'to': 'Bob', 'amount': 5}", '"hidden": 1'),
        ("bill", "{'to': 'Bob', 'amount': '6', 'hidden': 1}", 'x.amount is "6"'),
        ("lines", "[1, '2']", 'x[1] is "2"'),
        ("pay", "10**5000", "bits"),
        ("pay", "1, 2, 3", "too many"),
    ],
)
def test_what_the_skill_would_get_as_something_else_is_refused_to_the_code_and_never_asked(
    office: Office, skill: str, code: str, word: str
) -> None:
    before = office.made()
    unseen = f"*json.loads('[]'), *[{code}]"  # the checker of types knows nothing of these
    call = f"try:\n    {skill}({unseen})\nexcept Exception as error:\n    print(error)"
    task_id = office.submit(f"import json\n{call}", skill)
    office.until(task_id, "agent.task.completed")
    said = office.http.get("/agent/results", params={"taskId": task_id}).json()["result"]["output"]
    assert word in said
    assert f"The skill {skill} needs a person's approval of its arguments, and " in said
    assert office.made() == before


@pytest.mark.parametrize(
    ("skill", "code", "shown", "got"),
    [
        ("real", "5", [5], "5.0"),
        ("table", "{1: 'a'}", [{"1": "a"}], "{1: 'a'}"),
        ("lines", "[1]", [[1]], "Lines(root=[1])"),
        ("secret", "'abc'", ["abc"], "('abc', 2, 5)"),
    ],
)
def test_what_is_left_out_is_shown_with_its_default_and_what_is_the_same_is_asked(
    office: Office, skill: str, code: str, shown: Any, got: str
) -> None:
    task_id = office.submit(f"{skill}({code})", skill)
    asked = office.paused(task_id)
    assert asked["args"] == shown
    expected = {"n": 2, "bill": {"to": "Bob", "amount": 5, "hidden": 1}} if skill == "secret" else {}
    assert asked["defaults"] == asked["preview"]["defaults"] == expected
    assert asked["digest"] == digest_of(asked)
    assert office.decide(task_id, "approve", digest=asked["digest"]).status_code == 200
    office.until(task_id, "agent.task.completed", asked["seq"])
    assert office.made()[-1] == ["typed", got]


def test_an_edit_that_the_skill_would_get_as_something_else_is_refused(office: Office) -> None:
    task_id = office.submit("whole(1)", "whole")
    asked = office.paused(task_id)
    for wrong, word in (("5", "pass 5 "), (True, "pass 1 "), (5.0, "pass 5 ")):
        refused = office.decide(task_id, "edit", arguments={"x": wrong}, digest=asked["digest"])
        assert (refused.status_code, refused.json()["code"]) == (400, "invalid_request")
        assert word in refused.json()["message"]
    assert office.decide(task_id, "edit", arguments={"x": 5}, digest=asked["digest"]).status_code == 200
    office.until(task_id, "agent.task.completed", asked["seq"])
    assert office.made()[-1] == ["typed", "5"]


@pytest.mark.slow
def test_a_skill_whose_parameters_have_changed_meanwhile_is_asked_about_again(mortal: Office) -> None:
    file = mortal.skills / "office.py"
    kept = mortal.submit("pay('kept')")
    changed = mortal.submit("pay('bob')")
    edited = mortal.submit("pay('bob')")
    old = {task_id: mortal.paused(task_id) for task_id in (kept, changed, edited)}
    assert mortal.decide(kept, "approve", digest=old[kept]["digest"]).status_code == 200
    mortal.until(kept, "agent.task.completed")
    mortal.kill()
    source = file.read_text()
    file.write_text(source.replace('what: Any, note: str = "", *,', 'note: str, what: Any = "eve", *, n: int = 500,'))
    mortal.start()
    with_old_names = mortal.decide(edited, "edit", arguments={"what": 1})
    assert (with_old_names.status_code, with_old_names.json()["code"]) == (400, "invalid_request")
    assert mortal.decide(changed, "approve", digest=old[changed]["digest"]).status_code == 200
    again = mortal.paused(changed, old[changed]["seq"])
    assert (old[changed]["defaults"], again["defaults"]) == ({"note": ""}, {"what": "eve", "n": 500})
    assert not mortal.made_by(again)
    assert mortal.decide(changed, "approve", digest=again["digest"]).status_code == 200
    mortal.until(changed, "agent.task.completed", again["seq"])
    assert mortal.made_by(again) == [[again["effectId"], "eve", "bob"]]
    assert mortal.decide(edited, "edit", arguments={"note": "n"}).status_code == 200
    mortal.until(edited, "agent.task.completed", old[edited]["seq"])
    assert mortal.made_by(old[edited]) == [[old[edited]["effectId"], "eve", "n"]]


def test_two_calls_with_the_same_arguments_have_each_their_own_digest(office: Office) -> None:
    task_id = office.submit("import asyncio\nawait asyncio.gather(pay(1), pay(1))")
    first = office.paused(task_id)
    assert office.decide(task_id, "approve", digest=first["digest"]).status_code == 200
    second = office.paused(task_id, first["seq"])
    late = office.decide(task_id, "approve", digest=first["digest"])
    assert (late.status_code, late.json()["code"]) == (409, "decision_outdated")
    assert office.decide(task_id, "reject", digest=second["digest"]).status_code == 200
    office.until(task_id, "agent.task.failed", second["seq"])


@pytest.mark.slow
@pytest.mark.parametrize("size", [100, 5_000_000], ids=["from the snapshot", "from the start"])
def test_what_was_approved_runs_after_a_kill(mortal: Office, size: int) -> None:
    task_id = mortal.submit(f"pay([n for n in range(10000)], note='é' + 'x' * {size})")
    asked = mortal.paused(task_id)
    mortal.kill()
    mortal.start()
    again = mortal.paused(task_id)
    assert {**again, "preview": 0} == {**asked, "preview": 0}
    assert mortal.decide(task_id, "approve", digest=asked["digest"]).status_code == 200
    mortal.until(task_id, "agent.task.completed", asked["seq"])
    assert mortal.made_by(asked) == [[asked["effectId"], list(range(10000)), "é" + "x" * size]]


@pytest.mark.slow
def test_a_row_that_was_changed_is_not_carried_out_but_asked_about_again(mortal: Office) -> None:
    task_id = mortal.submit("pay(5, note='Bob')")
    asked = mortal.paused(task_id)
    mortal.kill()
    with sqlite3.connect(mortal.folder / "data" / "callboard.db") as database:
        changed = json.dumps([[5_000_000], {"note": "Eve"}, asked["digest"], None])
        assert (
            database.execute("UPDATE calls SET edited = ? WHERE effect_id = ?", [changed, asked["effectId"]]).rowcount
            == 1
        )
    database.close()
    mortal.start()
    assert mortal.decide(task_id, "approve", digest=asked["digest"]).status_code == 200
    again = mortal.paused(task_id, asked["seq"])
    assert (again["args"], again["kwargs"], again["digest"]) == ([5], {"note": "Bob"}, asked["digest"])
    assert not mortal.made_by(asked)
    assert mortal.decide(task_id, "approve", digest=again["digest"]).status_code == 200
    mortal.until(task_id, "agent.task.completed", again["seq"])
    assert mortal.made_by(asked) == [[asked["effectId"], 5, "Bob"]]


@pytest.mark.slow
def test_whoever_decides_about_a_call_of_unknown_outcome_sees_all_of_it(mortal: Office) -> None:
    task_id = mortal.submit("send(list(range(5000)))", skill="send")
    begun = mortal.until(task_id, "agent.skill.started")
    while not mortal.made_by(begun):  # the row is written before the skill is called
        pass
    mortal.kill()
    (mortal.skills / "go").touch()
    mortal.start()
    asked = mortal.paused(task_id)
    assert (asked["reason"], asked["args"], asked["preview"]["argsTruncated"]) == (
        "outcome_unknown",
        [list(range(5000))],
        True,
    )
    assert asked["digest"] == begun["digest"] == digest_of(asked)
    assert mortal.decide(task_id, "retry", digest=asked["digest"]).status_code == 200
    mortal.until(task_id, "agent.task.completed", asked["seq"])
    assert [what for _, what in mortal.made_by(asked)] == [list(range(5000))] * 2


@pytest.mark.slow
def test_what_a_server_without_the_skill_takes_over_is_asked_about_and_what_is_done_stands(mortal: Office) -> None:
    """Whoever starts a server in another folder has its skills: no task ends for that whose call may have been made."""
    task_id = mortal.submit("[pay('a'), send('b')]", skill="pay, send")
    waiting = mortal.submit("pay('c')")
    asked = mortal.paused(task_id)
    mortal.decide(task_id, "approve", digest=asked["digest"])
    begun = mortal.until(task_id, "agent.skill.started", asked["seq"])
    while begun["skill"] != "send":
        begun = mortal.until(task_id, "agent.skill.started", begun["seq"])
    while not mortal.made_by(begun):
        pass
    mortal.kill()
    code = (mortal.skills / "office.py").read_text()
    (mortal.skills / "office.py").unlink()
    mortal.start()
    unknown = mortal.paused(task_id, begun["seq"])
    assert (unknown["reason"], unknown["skill"]) == ("outcome_unknown", "send")
    for gone, decision in ((task_id, "retry"), (waiting, "approve")):
        refused = mortal.decide(gone, decision)
        assert (refused.status_code, "bring the skill back" in refused.json()["message"]) == (400, True), refused.text
    assert mortal.decide(task_id, "assume_done", result="sent").status_code == 200
    done = mortal.until(task_id, "agent.task.completed", unknown["seq"])
    assert done["output"] == ["paid", "sent"]
    mortal.kill()
    (mortal.skills / "office.py").write_text(code)
    mortal.start()
    assert mortal.decide(waiting, "approve").status_code == 200
    assert mortal.until(waiting, "agent.task.completed")["output"] == "paid"


@pytest.mark.slow
def test_an_approval_of_a_server_that_kept_no_arguments_stands_only_for_what_it_had_shown_in_full(
    mortal: Office,
) -> None:
    short = mortal.submit("pay(1, note='short')")
    long = mortal.submit("pay(list(range(101)), note='long')")
    asked = {task_id: mortal.paused(task_id) for task_id in (short, long)}
    mortal.kill()
    with sqlite3.connect(mortal.folder / "data" / "callboard.db") as database:
        database.execute("UPDATE calls SET edited = NULL")
        for task_id, pause in asked.items():
            old = {
                name: pause["preview"][name] for name in ("reason", "call", "skill", "since", "decisions", "message")
            }
            old |= {"args": pause["args"][:100], "kwargs": pause["kwargs"]}
            database.execute("UPDATE tasks SET pause = ? WHERE id = ?", [json.dumps(old), task_id])
    database.close()
    mortal.start()
    told = mortal.http.get(f"/agent/tasks/{long}/pause").json()["pause"]
    assert (told["argsTruncated"], "digest" in told) == (True, False)
    for task_id in asked:
        assert mortal.decide(task_id, "approve", call=asked[task_id]["call"]).status_code == 200
    mortal.until(short, "agent.task.completed")
    again = mortal.paused(long, asked[long]["seq"])
    assert again["args"] == [list(range(101))]
    assert [note for _, _, note in mortal.made()] == ["short"]
    assert mortal.decide(long, "approve", digest=again["digest"]).status_code == 200
    mortal.until(long, "agent.task.completed", again["seq"])
    assert mortal.made_by(again) == [[again["effectId"], list(range(101)), "long"]]


@pytest.mark.slow
def test_a_delegation_that_is_approved_is_whole_too(tmp_path: Path) -> None:
    office = Office(tmp_path, CALLBOARD_APPROVE_SKILLS="delegate")
    task = "Say 1. " * 2000 + "What is 2 + 3?"
    task_id = office.submit(f"delegate('code-reviewer', {task!r})", skill="delegate")
    asked = office.paused(task_id)
    assert asked["args"] == ["code-reviewer", task]
    assert asked["preview"]["argsTruncated"]
    edited = {"agent": "code-reviewer", "task": task + "!"}
    assert office.decide(task_id, "edit", arguments=edited, digest=asked["digest"]).status_code == 200
    begun = office.until(task_id, "agent.skill.started", asked["seq"])
    office.until(task_id, "agent.task.paused", asked["seq"])  # which is committed with the agent's task
    child = office.http.get(f"/agent/tasks/{begun['taskId']}").json()
    assert child["task"] == task + "!"
    assert begun["digest"] == office.until(task_id, "agent.task.requeued", asked["seq"])["digest"]
    office.kill()
