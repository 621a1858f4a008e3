"""Tools as skills: stubs, policies and refusals, from what a server lists, friendly or hostile."""

import ast
import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from callboard.agent.mcp import ServerConfig
from callboard.agent.mcp.arguments import MAX_BYTES
from callboard.agent.mcp.results import MAX_RESULT_BYTES, ToolFailed, value_of
from callboard.agent.mcp.schema_types import python_type
from callboard.agent.mcp.tool import InDoubt, McpTool, NotSent, make_tool, unused_rules
from callboard.agent.skill import RetryableError, SkillContext
from tests.agent.mcp.conftest import context


class Echo:
    """A line to a server that answers what it was sent, or what it was told to."""

    def __init__(self, answer: Any = None) -> None:
        self.answer = answer
        self.sent: list[tuple[str, dict[str, Any], str]] = []
        self.told: list[str] = []

    def hide(self, text: str) -> str:
        return text.replace("s3cret", "[hidden]")

    def tell(self, problem: str) -> None:
        self.told.append(problem)

    def call(self, tool: str, arguments: dict[str, Any], ctx: SkillContext) -> dict[str, Any]:
        self.sent.append((tool, arguments, ctx.effect_id))
        if isinstance(self.answer, Exception):
            raise self.answer
        return self.answer or {"content": [], "structuredContent": arguments}


def made(
    schema: dict[str, Any], line: Echo | None = None, /, *, entry: dict[str, Any] | None = None, **listed: Any
) -> McpTool:
    server = ServerConfig.model_validate({"name": "files", "command": "x", **(entry or {})})
    tool = {"name": "read_file", "description": "Read a file.", "inputSchema": schema, **listed}
    return make_tool(tool, server, "1.0", line or Echo())


def properties(**named: Any) -> dict[str, Any]:
    return {"type": "object", "properties": named}


# --- the stub ---


def test_a_tool_is_declared_as_a_function() -> None:
    schema = {
        "type": "object",
        "properties": {
            "encoding": {"type": "string", "enum": ["utf-8", "latin-1"]},
            "path": {"type": "string", "description": "Where it is."},
            "max-bytes": {"type": ["integer", "null"], "description": "The most to read."},
            "from": {"type": "integer"},
        },
        "required": ["path", "from"],
    }
    assert made(schema).stub == (
        "def files_read_file(path: str, from_: int, *, encoding: Literal['utf-8', 'latin-1'] = ..., "
        "max_bytes: int | None = ...) -> Any:\n"
        '    """Read a file.\n'
        "\n"
        "    path: Where it is.\n"
        "    from_ (sent as 'from'): not described\n"
        "    max_bytes (sent as 'max-bytes'): The most to read.\n"
        '    """\n'
        "    ..."
    )


def test_what_it_answers_is_declared_by_its_output_schema() -> None:
    skill = made(properties(), outputSchema=properties(lines={"type": "array", "items": {"type": "string"}}))
    assert "-> dict[str, Any]:" in skill.stub
    assert "Returns {'lines': list[str]}" in skill.stub


@pytest.mark.parametrize(
    ("schema", "shown"),
    [
        ({"type": "string"}, "str"),
        ({"type": "integer"}, "int"),
        ({"type": "number"}, "float"),
        ({"type": "boolean"}, "bool"),
        ({"type": "null"}, "None"),
        ({"type": ["null", "string"]}, "str | None"),
        ({"anyOf": [{"type": "integer"}, {"type": "null"}]}, "int | None"),
        ({"oneOf": [{"type": "string"}, {"anyOf": [{"type": "string"}, {"type": "number"}]}]}, "str | float"),
        ({"type": "array", "items": {"type": "integer"}}, "list[int]"),
        ({"type": "array"}, "list[Any]"),
        ({"type": "array", "items": {"type": ["string", "null"]}}, "list[str | None]"),
        ({"type": "object"}, "dict[str, Any]"),
        ({"type": "object", "additionalProperties": {"type": "number"}}, "dict[str, float]"),
        ({"properties": {"a": {"type": "string"}}}, "dict[str, Any]"),
        ({"enum": ["a", 1, None, True]}, "Literal['a', 1, None, True]"),
        ({"const": "x | y"}, "Literal['x | y']"),
        ({"enum": [1.5]}, "Any"),
        ({"type": "string", "enum": ["x" * 200]}, "str"),
        ({"$ref": "#/$defs/name"}, "str"),
        ({"$ref": "#/$defs/loop"}, "Any"),
        ({"$ref": "http://127.0.0.1/schema"}, "Any"),
        ({"$ref": "#/$defs/tree"}, "list[list[list[list[list[list[Any]]]]]]"),
        ({"allOf": [{"type": "string"}]}, "str"),
        ({}, "Any"),
        (True, "Any"),
        (None, "Any"),
        ({"type": "nonsense"}, "Any"),
        ({"type": {}}, "Any"),
    ],
)
def test_a_schemas_type(schema: Any, shown: str) -> None:
    root = {
        "$defs": {
            "name": {"type": "string"},
            "loop": {"$ref": "#/$defs/loop"},
            "tree": {"type": "array", "items": {"$ref": "#/$defs/tree"}},
        }
    }
    assert python_type(schema, root) == shown


@pytest.mark.parametrize(
    ("schema", "parameters"),
    [
        ({"type": "object", "properties": {}}, ""),
        ({"type": "object", "additionalProperties": False}, ""),
        ({"type": "object"}, "*, more: dict[str, Any] = ..."),
        (
            {"type": "object", "properties": {"more": {"type": "string"}}, "additionalProperties": True},
            "*, more: str = ..., more_2: dict[str, Any] = ...",
        ),
        (
            {"anyOf": [properties(a={"type": "string"}), properties(b={"type": "integer"})], "type": "object"},
            "*, a: str = ..., b: int = ...",
        ),
        (
            {
                "$ref": "#/$defs/all",
                "$defs": {"all": {"allOf": [{**properties(a={"type": "string"}), "required": ["a"]}]}},
            },
            "a: str",
        ),
    ],
)
def test_the_parameters_of_unusual_schemas(schema: dict[str, Any], parameters: str) -> None:
    declared = made(schema).stub.split("\n")[0].removeprefix("def files_read_file(")
    assert declared.startswith(f"{parameters})"), declared


HOSTILE = [
    'ends it: """\n    import os\ndef evil() -> None: ...',
    '"',
    '""',
    'a"""" + b',
    "back\\",
    '\\"""\nimport os',
    "a\x00b\x1b[31mc\r\nd",
    "hidden \U000e0041\u202e\u200b text",
    "x" * 100_000,
    "\ud800",
]


@pytest.mark.parametrize("text", HOSTILE)
def test_no_text_of_a_server_breaks_out_of_the_stub(text: str) -> None:
    short = text[:500].replace("\ud800", "?")
    skill = made(
        properties(**{short: {"type": "string", "description": short, "enum": [short]}}),
        description=text,
        outputSchema=properties(**{short: {"enum": [short]}}),
    )
    assert_harmless(skill)


@given(text=st.text(max_size=50), name=st.text(max_size=20), choice=st.text(max_size=20))
def test_no_text_whatever_breaks_out_of_the_stub(text: str, name: str, choice: str) -> None:
    schema = properties(**{name: {"type": "string", "description": text, "enum": [choice]}})
    assert_harmless(made(schema, description=text, name=name or "x"))


def assert_harmless(skill: McpTool) -> None:
    (function,) = ast.parse(skill.stub).body
    assert isinstance(function, ast.FunctionDef)
    assert len(function.body) == 2
    assert len(skill.stub) < 12_000
    assert len(skill.description) <= 1024
    for hidden in "\x00\x1b\r\u202e\u200b\U000e0041":
        assert hidden not in skill.stub + skill.description


def test_a_description_is_the_first_paragraph_on_one_line() -> None:
    assert made(properties(), description="Read\n a file.\n\nNever mind.").description == "Read a file."
    assert made(properties(), description=None, title="Reader").description == "Reader"


# --- what is no skill ---


@pytest.mark.parametrize(
    ("listed", "said"),
    [
        ({"inputSchema": {"type": "nonsense"}}, "its schema cannot be used"),
        ({"inputSchema": {"$ref": "file:///etc/hostname"}}, "its schema cannot be used"),
        ({"inputSchema": properties(a={"$ref": "http://127.0.0.1:9/x"})}, "Retrieval is disabled"),
        ({"inputSchema": properties(**{"\ud800": {}})}, "its schema cannot be used"),
        ({"inputSchema": "x"}, "its inputSchema is not an object"),
        (
            {"inputSchema": properties(**{f"a{i}": {} for i in range(101)})},
            "it has 101 arguments, and 100 is the limit",
        ),
        ({"inputSchema": properties(a={"description": "x" * 100_000})}, "larger than 100,000 bytes"),
        ({"execution": {"taskSupport": "required"}}, "it can only be called as an MCP task"),
    ],
)
def test_a_tool_that_cannot_be_a_skill_is_refused(listed: dict[str, Any], said: str) -> None:
    with pytest.raises(ValueError, match=said):
        made(properties(), **listed)


def test_a_schema_nested_too_deeply_is_refused() -> None:
    deep: dict[str, Any] = {}
    for _ in range(5000):
        deep = {"items": deep}
    with pytest.raises(ValueError, match="deeper than 64 levels"):
        made(properties(a=deep))


# --- policies ---


@pytest.mark.parametrize(
    ("hints", "replay"),
    [
        (None, "never"),
        ({}, "never"),
        ({"readOnlyHint": True}, "safe"),
        ({"readOnlyHint": True, "idempotentHint": True}, "safe"),
        ({"readOnlyHint": False, "idempotentHint": True}, "keyed"),
        ({"destructiveHint": False}, "never"),
        ({"readOnlyHint": "yes"}, "never"),
    ],
)
def test_the_hints_of_a_tool_set_its_replay_policy(hints: Any, replay: str) -> None:
    assert made(properties(), annotations=hints).replay == replay


@pytest.mark.parametrize("name", ["read_file", "read-file", "files-read-file", "readFile"])
def test_the_configuration_overrides_the_hints(name: str) -> None:
    skill = made(properties(), entry={"replay": {name: "keyed"}}, annotations={"readOnlyHint": True})
    assert skill.replay == "keyed"


@pytest.mark.parametrize(
    ("patterns", "approval"),
    [([], False), (["*"], True), (["read_*"], True), (["read-file"], True), (["files-*"], True), (["write*"], False)],
)
def test_the_configuration_says_what_needs_approval(patterns: list[str], approval: bool) -> None:
    assert made(properties(), entry={"approval": patterns}).approval is approval


def test_rules_that_stand_for_no_tool_are_reported() -> None:
    server = ServerConfig(name="files", command="x", replay={"raed": "safe", "read_file": "safe"}, approval=["wirte*"])
    assert unused_rules([made(properties())], server) == [
        "replay: 'raed' stands for no tool of it; mend the name or take it out",
        "approval: 'wirte*' stands for no tool of it; mend the name or take it out",
    ]


def test_it_says_where_it_comes_from_and_what_it_reaches() -> None:
    skill = made(properties())
    assert (skill.origin, skill.version, skill.kind, skill.permissions) == (
        "mcp server files",
        "1.0",
        "mcp",
        ("mcp", "network"),
    )


# --- calls ---


def test_arguments_go_out_under_the_servers_own_names() -> None:
    line = Echo()
    schema = {**properties(**{"from": {"type": "integer"}, "a-b": {"type": "string"}}), "required": ["from"]}
    schema["additionalProperties"] = True
    skill = made(schema, line)
    assert skill.call((1,), {"a_b": "x", "more": {"c": (1, 2)}}, context()) == {"from": 1, "a-b": "x", "c": [1, 2]}
    assert line.sent == [("read_file", {"from": 1, "a-b": "x", "c": [1, 2]}, "t1:4")]


def test_a_person_may_use_either_name() -> None:
    skill = made({**properties(**{"from": {"type": "integer"}}), "required": ["from"]})
    assert skill.binding((), {"from": 1}) == skill.binding((), {"from_": 1})


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ({"a": "x"}, r'files_read_file\(\) argument a: "x" is not of type "integer"'),
        ({"b-c": [1]}, r"files_read_file\(\) argument b_c\.0: 1 is not of type"),
        ({"more": {"a": "x"}}, "unexpected keyword argument 'more'"),
        ({"p": "a" * 40 + "!"}, r"files_read_file\(\) argument p: "),
        ({"s": "x" * MAX_BYTES}, "arguments have 4,000,0.. bytes; 4,000,000 is the limit"),
    ],
)
def test_arguments_that_do_not_fit_are_named(arguments: dict[str, Any], said: str) -> None:
    schema = properties(
        **{
            "a": {"type": "integer"},
            "b-c": {"type": "array", "items": {"type": "string"}},
            "p": {"type": "string", "pattern": "^(a+)+$"},
            "s": {"type": "string"},
        }
    )
    line = Echo()
    with pytest.raises((TypeError, ValueError), match=said):
        made(schema, line).call((), arguments, context())
    assert line.sent == []


def test_more_must_be_a_dict() -> None:
    with pytest.raises(ValueError, match="argument more: it must be a dict with strings as keys"):
        made({"type": "object"}).call((), {"more": {1: 2}}, context())


@pytest.mark.parametrize("given", [{"a-b": 1, "more": {"a-b": 2}}, {"a-b": 1, "a_b": 2}])
def test_two_values_for_one_argument_are_refused_since_one_of_them_would_be_lost(given: dict[str, Any]) -> None:
    skill = made({**properties(**{"a-b": {"type": "integer", "default": 7}}), "additionalProperties": True})
    with pytest.raises(ValueError, match=r"got two values for the argument 'a[-_]b'"):
        skill.binding((), given)
    assert skill.call((), {"a-b": 1, "more": {"b": 3}}, context()) == {"a-b": 1, "b": 3}
    assert (skill.binding((), {"a_b": 1}).defaults, skill.binding((), {}).defaults) == ({}, {"a-b": 7})


@pytest.mark.parametrize(
    ("replay", "raised", "expected"),
    [
        ("never", NotSent("down"), RetryableError),
        ("never", InDoubt("broke"), ToolFailed),
        ("keyed", InDoubt("broke"), RetryableError),
        ("safe", InDoubt("broke"), RetryableError),
    ],
)
def test_only_what_cannot_happen_twice_by_it_is_retryable(
    replay: str, raised: Exception, expected: type[Exception]
) -> None:
    skill = made(properties(), Echo(raised), entry={"replay": {"read_file": replay}})
    with pytest.raises(expected):
        skill.call((), {}, context())


def test_an_answer_must_be_what_its_schema_says() -> None:
    output = {**properties(n={"type": "integer"}), "required": ["n"]}
    good = made(properties(), Echo({"structuredContent": {"n": 1}, "content": []}), outputSchema=output)
    assert good.call((), {}, context()) == {"n": 1}
    bad = made(properties(), Echo({"structuredContent": {"n": "x"}, "content": []}), outputSchema=output)
    with pytest.raises(ToolFailed, match=r'its answer is not what its schema says; n: "x" is not of type "integer"'):
        bad.call((), {}, context())
    none = made(properties(), Echo({"content": [{"type": "text", "text": "1"}]}), outputSchema=output)
    with pytest.raises(ToolFailed, match="without the structured content that its schema promises"):
        none.call((), {}, context())


def test_a_failing_tool_needs_no_structured_content() -> None:
    answer = {"isError": True, "content": [{"type": "text", "text": "no: s3cret\x1b"}]}
    with pytest.raises(ToolFailed, match=r"^no: \[hidden\]$"):
        made(properties(), Echo(answer), outputSchema=properties()).call((), {}, context())


# --- results ---


@pytest.mark.parametrize(
    ("content", "value"),
    [
        ([], None),
        ([{"type": "text", "text": "a"}, {"type": "text", "text": "b"}], "a\nb"),
        (
            [{"type": "audio", "mimeType": "audio/wav", "data": "aGVsbG8h"}],
            [{"type": "audio", "mediaType": "audio/wav", "bytes": 6}],
        ),
        (
            [{"type": "resource_link", "uri": "x://a", "name": "a", "mimeType": "text/plain", "size": 9}],
            [{"type": "resource_link", "uri": "x://a", "name": "a", "mediaType": "text/plain"}],
        ),
        (
            [{"type": "resource", "resource": {"uri": "x://a", "blob": "aGVsbG8=", "mimeType": "image/png"}}],
            [{"type": "resource", "uri": "x://a", "mediaType": "image/png", "bytes": 5}],
        ),
        ([{"type": "new"}], [{"type": "new"}]),
    ],
)
def test_what_a_tool_answers(content: list[dict[str, Any]], value: Any) -> None:
    assert value_of({"content": content, "structuredContent": None}, str) == value


def test_structured_content_wins_and_may_be_any_value() -> None:
    for value in ([1, 2], 0, False, "", {"a": None}):
        assert value_of({"content": [{"type": "text", "text": "x"}], "structuredContent": value}, str) == value


def test_an_answer_is_measured_in_bytes() -> None:
    with pytest.raises(ToolFailed, match="ask it for less"):
        value_of({"content": [], "structuredContent": "é" * (MAX_RESULT_BYTES // 2)}, str)


def test_an_error_without_a_text_has_one() -> None:
    with pytest.raises(ToolFailed, match="the tool failed and does not say why"):
        value_of({"content": [], "isError": True}, str)


def test_the_schema_on_the_wire_can_be_stored() -> None:
    schema = made(properties(a={"description": "x\x00", "maximum": 2**70})).schema
    assert "\\u0000" not in json.dumps(schema)
