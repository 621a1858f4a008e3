"""Names on the wire and in code, made from whatever a server calls its tools and their arguments."""

import keyword
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from callboard.agent.mcp.naming import hyphenated, parameter_name, skill_name


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ("read_file", "read-file"),
        ("getUserByID", "get-user-by-id"),
        ("HTTPRequest", "http-request"),
        ("a.b/c  d", "a-b-c-d"),
        ("--x--", "x"),
        ("日本", ""),
    ],
)
def test_any_name_becomes_one_of_a_skill(text: str, name: str) -> None:
    assert hyphenated(text) == name


def test_a_tools_name_begins_with_its_server() -> None:
    assert skill_name("files", "read_file") == "files-read-file"


def test_names_that_would_be_cut_stay_different() -> None:
    one, two = (skill_name("files", "x" * 100 + end) for end in "ab")
    assert len(one) == len(two) == 64
    assert one != two


@given(st.text(max_size=200))
def test_every_name_is_one_that_a_skill_may_have(tool: str) -> None:
    name = skill_name("files", tool)
    assert len(name) <= 64
    assert re.fullmatch(r"[a-z0-9]+(-[a-z0-9]+)*", name)
    assert name.replace("-", "_").isidentifier()


@pytest.mark.parametrize(
    ("wire_name", "name"),
    [
        ("path", "path"),
        ("max-bytes", "max_bytes"),
        ("from", "from_"),
        ("$filter", "_filter"),
        ("2fa", "arg_2fa"),
        ("", "arg"),
        ("größe", "gr_e"),
    ],
)
def test_a_parameters_name_is_one_that_python_takes(wire_name: str, name: str) -> None:
    assert parameter_name(wire_name, ()) == name


def test_parameters_whose_names_come_to_the_same_are_numbered() -> None:
    assert parameter_name("a-b", {"a_b"}) == "a_b_2"
    assert parameter_name("a.b", {"a_b", "a_b_2"}) == "a_b_3"


@given(st.text(max_size=200))
def test_every_parameters_name_is_an_identifier(wire_name: str) -> None:
    name = parameter_name(wire_name, ())
    assert name.isidentifier()
    assert name.isascii()
    assert not keyword.iskeyword(name)
