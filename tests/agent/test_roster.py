"""Agents are read from their files, and what is broken is reported and left out."""

import subprocess
import sys
from pathlib import Path

import pytest

from callboard.agent.catalogue import Catalogue
from callboard.agent.roster import Roster
from callboard.agent.roster_files import MAX_BYTES
from callboard.budget import Budget
from callboard.errors import ConfigurationError, UnknownAgent

EXAMPLES = Path(__file__).parents[2] / "examples" / "agents"
SHIPPED = ("code-reviewer", "data-analyst", "security-auditor")
GOOD = """\
name: helper
description: Helps.
systemPrompt: Help.
"""


def known() -> set[str]:
    return set(Catalogue.load().names)


def write(folder: Path, **files: str) -> Path:
    for name, text in files.items():
        (folder / f"{name}.yaml").write_text(text)
    return folder


def problem(folder: Path, text: str, name: str = "helper") -> str:
    """Return the one problem that a file has, without its path."""
    roster = Roster.load(write(folder, **{name: text}), known())
    assert [agent.name for agent in roster] == ["master", *SHIPPED]
    [told] = roster.problems
    path = str(folder.resolve() / f"{name}.yaml")
    assert told.startswith(path)
    return told.removeprefix(path)


def test_three_agents_ship_beside_the_master_and_have_all_their_skills() -> None:
    roster = Roster.load(None, known())
    assert tuple(agent.name for agent in roster) == ("master", *SHIPPED)
    assert roster.delegates == SHIPPED
    assert roster.problems == roster.notes == ()
    for agent in roster:
        assert agent.origin == "builtin"
        assert 0 < len(agent.description) <= 1024
        if agent.name in SHIPPED:
            assert len(agent.system_prompt) > 500
            assert agent.skills is not None
            assert len(agent.skills) >= 3


def test_loading_them_loads_no_heavy_library() -> None:
    code = (
        "import sys; from callboard.agent.roster import Roster; Roster.load(None, ());"
        "print([name for name in ('bandit', 'httpx', 'lizard', 'pydantic_monty') if name in sys.modules])"
    )
    out = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert out.stdout.strip() == "[]"


def test_the_example_is_an_agent() -> None:
    roster = Roster.load(EXAMPLES, known())
    assert roster.problems == ()
    agent = roster.get("release-notes")
    assert agent.budget == Budget(model_calls=6, cost_usd=0.5)
    assert agent.max_rounds == 4
    assert agent.origin == str(EXAMPLES / "release-notes.yaml")


def test_a_file_says_all_there_is_to_an_agent(tmp_path: Path) -> None:
    text = (
        GOOD
        + "skills: [calculate, weekday, calculate]\nmodel: small\nbudget: {tokens: 9, wallMs: 1000}\nmaxRounds: 2\n"
    )
    agent = Roster.load(write(tmp_path, helper=text), known()).get("helper")
    assert agent.description == "Helps."
    assert agent.system_prompt == "Help."
    assert agent.skills == ("calculate", "weekday")
    assert agent.model == "small"
    assert agent.budget == Budget(tokens=9, wall_ms=1000)
    assert agent.max_rounds == 2


def test_without_a_list_an_agent_has_all_skills_and_with_an_empty_one_none(tmp_path: Path) -> None:
    write(tmp_path, helper=GOOD, bare=GOOD.replace("helper", "bare") + "skills: []\n")
    roster = Roster.load(tmp_path, known())
    assert roster.get("helper").skills is None
    assert roster.get("bare").skills == ()


def test_a_skill_that_there_is_not_is_reported_and_left_out(tmp_path: Path) -> None:
    roster = Roster.load(write(tmp_path, helper=GOOD + "skills: [calculate, fly, swim]\n"), known())
    assert roster.get("helper").skills == ("calculate",)
    [told] = roster.problems
    assert "'helper' does without 'fly', 'swim', which no skill here is called; `callboard skills list` shows" in told


def test_a_skill_that_may_come_is_not_reported_and_is_there_when_it_has_come(tmp_path: Path) -> None:
    roster = Roster.load(write(tmp_path, helper=GOOD + "skills: [calculate, odd-fly, swim]\n"), known())
    waiting = roster.knowing(known(), lambda name: name.startswith("odd-"))
    assert waiting.get("helper").skills == ("calculate",)
    assert "does without 'swim', which" in waiting.problems[0]
    there = waiting.knowing(known() | {"odd-fly"}, lambda _: None)
    assert there.get("helper").skills == ("calculate", "odd-fly")
    assert there.knowing(known(), lambda _: None).problems == roster.problems


def test_an_agent_of_whose_skills_none_is_left_has_none_rather_than_all(tmp_path: Path) -> None:
    assert Roster.load(write(tmp_path, helper=GOOD + "skills: [fly]\n"), known()).get("helper").skills == ()


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("name: helper\ndescription: [\n", " at line 3: this is not YAML (expected the node content"),
        ("name: helper\n\tdescription: x\n", " at line 2: this is not YAML (found character '\\t'"),
        (
            "name: !!python/object/apply:os.getcwd []\n",
            " at line 1: this is not YAML (could not determine a constructor",
        ),
        ("a: *x\n", " at line 1: this is not YAML (found undefined alias 'x'"),
        ("a: \x01\n", ": this is not YAML (special characters are not allowed)"),
        ("[" * 50_000, ": this is not YAML (nested too deeply)"),
        (f"a: {'1' * 5000}\n", ": this is not YAML (a number of more than 4,300 digits, which is a text in quotes)"),
        ("when: 2026-13-45\n", ": this is not YAML (month must be in 1..12)"),
        ("", ": the file must be a mapping with the keys name, description, systemPrompt, skills, model, budget, max"),
        ("- name\n", ": the file must be a mapping"),
        (
            "name: helper\ndescription: x\n",
            ": the key 'systemPrompt' is missing; every agent has a name, a description",
        ),
        (
            GOOD + "system_prompt: x\n",
            " at line 4: the key 'system_prompt' is not known; there are name, description, sy",
        ),
        (
            GOOD.replace("systemPrompt", "system_prompt"),
            " at line 3: the key 'system_prompt' is not known; there are name, description, systemPrompt",
        ),
        (
            GOOD + "budget:\n  calls: 1\n",
            " at line 5: the key 'budget.calls' is not known; there are modelCalls, tokens",
        ),
        (GOOD + "budget:\n  tokens: -1\n", " at line 5: budget.tokens: it should be greater than or equal to 0."),
        (GOOD + "maxRounds: 0\n", " at line 4: maxRounds: it should be greater than or equal to 1."),
        (GOOD + "maxRounds: '2'\n", " at line 4: maxRounds: it should be a valid integer."),
        (GOOD + "skills: calculate\n", " at line 4: skills must be a list, such as [calculate, weekday]."),
        (GOOD + "skills:\n  - 7\n", " at line 4: skills.0 must be a text; put it in quotes."),
        (GOOD + "skills:\n  - Cal culate\n", " at line 4: skills.0 must be a-z, 0-9 and single hyphens, at most 64"),
        (GOOD + "model: no\n", " at line 4: model must be a text; put it in quotes."),
        (GOOD + "name: helper\n", " at line 4: the key 'name' is there twice; keep one."),
        (GOOD.replace("Helps.", "' '"), " at line 2: description: String should have at least 1 character."),
        (GOOD.replace("Helps.", "x" * 1025), " at line 2: description: String should have at most 1024 characters."),
        (
            GOOD.replace("helper", "other"),
            " at line 1: the name is 'other' and the file's is 'helper'; make them the same",
        ),
        (
            GOOD.replace("helper", "Helper"),
            " at line 1: name must be a-z, 0-9 and single hyphens, at most 64 characters.",
        ),
        (GOOD + "#" * MAX_BYTES, f": it is larger than {MAX_BYTES} bytes; keep long material in a skill"),
    ],
)
def test_a_broken_file_is_reported_with_its_line_and_the_rest_loads(tmp_path: Path, text: str, told: str) -> None:
    assert problem(tmp_path, text).startswith(told)


@pytest.mark.parametrize("name", ["a" * 65, "a--b", "-a", "ä"])
def test_a_name_that_is_none_is_refused(tmp_path: Path, name: str) -> None:
    told = problem(tmp_path, GOOD.replace("helper", name), name)
    assert "at most 64 characters" in told


def test_a_file_that_is_no_utf_8_or_cannot_be_read_is_reported(tmp_path: Path) -> None:
    (tmp_path / "latin.yaml").write_bytes(b"name: latin\ndescription: caf\xe9\n")
    (tmp_path / "folder.yaml").mkdir()
    folder, latin = Roster.load(tmp_path, known()).problems
    assert "latin.yaml at line 2: it is not UTF-8; save it as that." in latin
    assert "folder.yaml: it cannot be read (Is a directory); mend that and restart." in folder


def test_the_masters_name_is_refused(tmp_path: Path) -> None:
    assert "'master' is the server's own agent" in problem(tmp_path, GOOD.replace("helper", "master"), "master")


def test_an_operators_file_takes_the_place_of_a_built_in_agent_with_a_note(tmp_path: Path) -> None:
    roster = Roster.load(write(tmp_path, **{"code-reviewer": GOOD.replace("helper", "code-reviewer")}), known())
    assert roster.get("code-reviewer").system_prompt == "Help."
    assert roster.get("code-reviewer").origin == str(tmp_path.resolve() / "code-reviewer.yaml")
    assert roster.problems == ()
    assert roster.notes == (
        f"{tmp_path.resolve() / 'code-reviewer.yaml'} takes the place of the built-in agent 'code-reviewer'.",
    )


def test_a_broken_file_leaves_the_built_in_agent_of_its_name(tmp_path: Path) -> None:
    roster = Roster.load(write(tmp_path, **{"code-reviewer": "name: ["}), known())
    assert roster.get("code-reviewer").origin == "builtin"
    assert len(roster.problems) == 1


def test_a_name_stays_with_the_first_of_two_files(tmp_path: Path) -> None:
    write(tmp_path, helper=GOOD)
    (tmp_path / "helper.yml").write_text(GOOD)
    roster = Roster.load(tmp_path, known())
    assert roster.get("helper").origin.endswith("helper.yaml")
    assert "helper.yml: the name 'helper' is taken by " in roster.problems[0]


def test_files_of_other_kinds_and_hidden_ones_are_left_alone(tmp_path: Path) -> None:
    for name in ("notes.txt", ".hidden.yaml", "_draft.yaml", ".yaml", "README"):
        (tmp_path / name).write_text("[")
    (tmp_path / "good.yml").write_text(GOOD.replace("helper", "good"))
    roster = Roster.load(tmp_path, known())
    assert roster.problems == ()
    assert roster.get("good").description == "Helps."


def test_a_missing_folder_is_an_error_of_the_configuration(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match=r"CALLBOARD_AGENTS_DIR names .*nowhere, which is not a folder"):
        Roster.load(tmp_path / "nowhere", known())


def test_no_name_means_the_master_and_an_unknown_one_lists_the_known() -> None:
    roster = Roster.load(None, known())
    assert roster.get(None).name == "master"
    with pytest.raises(UnknownAgent, match="no agent 'spy'; the known ones are: code-reviewer, data-analyst, master"):
        roster.get("spy")
