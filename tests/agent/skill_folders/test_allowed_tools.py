"""What `allowed-tools` grants, as public collections write it."""

import pytest

from callboard.agent.skill_folders.allowed_tools import SKILL_OF_TOOL, granted
from callboard.agent.skill_folders.document import read_document
from tests.docs.documents import ROOT, rows


@pytest.mark.parametrize(
    ("value", "skills"),
    [
        ("Read", {"read-file"}),
        ("Read, Write, WebFetch", {"read-file", "write-file", "web-fetch"}),
        ("Bash(git add:*) Bash(npm run test, build) Glob", {"list-files"}),
        ("Read(*) WebSearch", {"read-file", "web-search"}),
        ("Read(./docs/**) WebFetch(domain:docs.python.org)", set()),
        ("calculate query_table charge-card", {"calculate", "query-table", "charge-card"}),
        ("mcp__github__create_issue Task Bash read(*", set()),
        ("", set()),
    ],
)
def test_a_text_of_names(value: str, skills: set[str]) -> None:
    assert granted([value]).skills == skills


def test_a_list_of_names() -> None:
    assert granted(["Bash(git:*)", "Read", "web-fetch"]).skills == {"read-file", "web-fetch"}


def test_what_grants_nothing_is_said_once_each() -> None:
    assert granted(["Bash(git:*), Task Task Read(src/*)"]).ignored == (
        "`allowed-tools`: Bash(git:*) grants nothing, since Callboard has no such tool",
        "`allowed-tools`: Task grants nothing, since Callboard has no such tool",
        "`allowed-tools`: Read(src/*) grants nothing, since read-file cannot be narrowed to 'src/*'",
    )


def _read(line: str) -> tuple[frozenset[str] | None, list[str]]:
    document, findings = read_document(f"---\nname: x\ndescription: y\n{line}---\nz\n", "x")
    assert document is not None
    return None if document.allowed is None else document.allowed.skills, [str(finding) for finding in findings]


def test_no_declaration_is_no_restriction_and_an_empty_one_is() -> None:
    assert _read("") == (None, [])
    for line in ("allowed-tools:\n", "allowed-tools: ''\n", "allowed-tools: []\n", "allowed-tools: null(x)\n"):
        allowed, notes = _read(line)
        assert allowed == frozenset()
        assert notes[-1] == "line 4: `allowed-tools` names no skill of Callboard's: with it no other may be called"


def test_a_declaration_that_cannot_be_read_is_an_error() -> None:
    for value in ("{a: b}", "[Read, [Write]]"):
        document, [finding] = read_document(f"---\nname: x\ndescription: y\nallowed-tools: {value}\n---\nz\n", "x")
        assert (document, str(finding)) == (
            None,
            "line 4: `allowed-tools` is neither a text nor a list of texts",
        )


def test_the_tools_that_stand_for_skills_are_documented() -> None:
    table = [cells for cells in rows(ROOT / "docs" / "skills.md") if len(cells) == 2]
    documented = {tool.strip("` "): skill.strip("`") for tools, skill in table for tool in tools.split(",")}
    assert {tool: documented.get(tool) for tool in SKILL_OF_TOOL} == dict(SKILL_OF_TOOL)
