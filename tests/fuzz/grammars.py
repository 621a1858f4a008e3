"""Grammars of what strangers send: bodies, code, and what models say, with nesting, repetition and length.

A rule draws a unit and says how it is repeated or put into itself; how often is drawn by its order of magnitude, so that
one, a few, hundreds and tens of thousands are tried as often as each other. Imported by test_grammars.py.
"""

from hypothesis import strategies as st

MOST_CHARS = 100_000
"""The longest text that is sent: what a task may hold, and code."""


def times(most: int = 30_000) -> st.SearchStrategy[int]:
    """Draw how often: any order of magnitude is as likely as any other."""
    return st.floats(0, 1).map(lambda chance: int(most**chance))


@st.composite
def repeated(draw: st.DrawFn, units: st.SearchStrategy[str], *, most: int = MOST_CHARS) -> str:
    """Repeat one unit, with something else before, between and behind."""
    unit = draw(units)
    number = min(draw(times()), max(1, (most - 200) // max(1, len(unit))))
    before, between, behind = draw(units)[:60], draw(st.sampled_from(["", "\n", " ", ","])), draw(units)[:60]
    return (before + between.join([unit] * number) + behind)[:most]


@st.composite
def nested(draw: st.DrawFn, pairs: list[tuple[str, str]], inner: st.SearchStrategy[str]) -> str:
    """Put a text into pairs of marks, again and again; sometimes the closing ones are missing."""
    opens, closes = draw(st.sampled_from(pairs))
    number = min(draw(times(20_000)), (MOST_CHARS - 2000) // (len(opens) + len(closes)))
    end = draw(st.sampled_from([number, number, number - 1, 0]))
    return opens * number + draw(inner)[:1000] + closes * max(0, end)


# --- JSON -------------------------------------------------------------------------------------------------------------

_SCALARS = st.sampled_from(
    [
        "1",
        "-0.0",
        "1e400",
        "-1e-400",
        "9" * 5000,
        "NaN",
        "Infinity",
        "true",
        "null",
        '""',
        '"\\u0000"',
        '"\\ud800"',
        '"\ufeff"',
    ]
)
_JSON_UNITS = _SCALARS | st.sampled_from(
    ['{"a":1}', '"a":1', "[]", "{}", "[1,", '{"task":', '"' + "é" * 50 + '"', "\\u0041", "\t"]
)
_JSON = st.one_of(
    _SCALARS,
    repeated(_JSON_UNITS).map(lambda text: f"[{text}]"),
    repeated(st.sampled_from(['"a":1', '"task":"x"', '"labels":{}'])).map(lambda text: "{" + text + "}"),
    nested([("[", "]"), ('{"a":', "}"), ('{"labels":{"a":', "}}"), ("[[],", "]")], _SCALARS),
)
_FIELDS = st.sampled_from(
    ["task", "sessionId", "agent", "priority", "timeoutMs", "labels", "metadata", "attachments", "availableSkills", "retry",
     "budget", "systemPrompt", "callbackUrl", "decision", "arguments", "result", "a" * 5000]
)  # fmt: skip


@st.composite
def bodies(draw: st.DrawFn) -> bytes:
    """Draw a request's body: an object with known fields that hold anything, or anything."""
    if draw(st.integers(0, 4)) == 0:
        return draw(_JSON).encode("utf-8", "surrogatepass")
    fields = [f'"{draw(_FIELDS)}":{draw(_JSON)}' for _ in range(draw(st.integers(1, 3)))]
    task = '"task":"What is 1 + 1?"' if draw(st.booleans()) else '"task":""'
    return ("{" + ",".join([task, *fields]) + "}").encode("utf-8", "surrogatepass")


# --- code -------------------------------------------------------------------------------------------------------------

_NAMES = st.sampled_from(["a", "calculate", "asyncio", "é", "_" * 200, "print", "list"])
_ATOMS = _NAMES | st.sampled_from(
    ["1", "1.5e300", "'x'", "'''x'''", "f'{a}'", "None", "b'x'", "...", "[]", "{}", "9" * 400]
)
_EXPRESSIONS = st.one_of(
    _ATOMS,
    repeated(
        st.sampled_from(
            [
                "1 +",
                "not",
                "-",
                "a.",
                "a[0]",
                "a,",
                "'x'",
                "a if a else",
                "lambda:",
                "await",
                "*a,",
                "a or",
                "a <",
                "f(a),",
            ]
        ),
        most=40_000,
    ),
    nested(
        [
            ("(", ")"),
            ("[", "]"),
            ("{1:", "}"),
            ("f(", ")"),
            ("[a for a in ", "]"),
            ("(lambda: ", ")"),
            ("f'{", "}'"),
            ("-(", ")"),
            ("await f(", ")"),
        ],
        _ATOMS,
    ),
)
_STATEMENTS = st.one_of(
    _EXPRESSIONS,
    _EXPRESSIONS.map(lambda expression: f"a = {expression}"),
    repeated(
        st.sampled_from(
            ["a = 1\n", "print('x')\n", "a: int = 'x'\n", "def f(): pass\n", "if a: pass\n", "import asyncio\n", "@f\n", "#\n", "\\\n",
             "from skills import calculate\n", "try: pass\nexcept: pass\n", "\n", "a = b = \n", "global a\n", ";\n", "calculate('1')\n"]
        )
    ),
    times(90).map(lambda depth: "".join("  " * level + "if a:\n" for level in range(depth)) + "  " * depth + "1"),
    st.sampled_from(["while True: pass", "raise ValueError('x' * 10_000_000)", "print('x' * 10_000_000)", "[0] * 10**9", "2 ** 10**9",
                     "'x' * 10**9", "def f(): f()\nf()", "x = []\nx.append(x)\nx", "assert False, 'x' * 10**7", "{}['x' * 10**6]",
                     "import re\nre.match('(a+)+$', 'a' * 40 + '!')", "sorted(range(10**7))", "sum(range(10**8))"]),
)  # fmt: skip
_HEADS = st.sampled_from(
    ["", "from skills import calculate\n", "import asyncio\nfrom skills import calculate, summarize\n"]
)


@st.composite
def codes(draw: st.DrawFn) -> str:
    """Draw what a model may have written as code."""
    parts = [draw(_STATEMENTS) for _ in range(draw(st.integers(1, 3)))]
    return (draw(_HEADS) + "\n".join(parts))[:MOST_CHARS]


# --- what models say --------------------------------------------------------------------------------------------------

_MARKS = st.sampled_from(
    ["```", "```python\n", "~~~", "~~~python", "`", "<think>", "</think>", "<|channel|>final<|message|>", "<tool_call>", "</tool_call>",
     "```json\n", "```\n", "\n", " ", "\t", "word ", "#", "<", ">", "\x00", "\u202e", "é", "  - ", "> ", "{", "1. ", "$$", "\\(", "a" * 100]
)  # fmt: skip
_SAID = st.one_of(
    repeated(_MARKS),
    nested(
        [("<think>", "</think>"), ("```\n", "\n```"), ("> ", ""), ("**", "**"), ("<a>", "</a>"), ("(", ")")], _MARKS
    ),
    _MARKS,
)


@st.composite
def answers(draw: st.DrawFn) -> str:
    """Draw what a model may say: marks of every kind, with and without code in them."""
    parts = [draw(_SAID) for _ in range(draw(st.integers(1, 3)))]
    if draw(st.booleans()):
        parts.insert(draw(st.integers(0, len(parts))), f"```python\n{draw(codes())}\n```")
    return "".join(parts)[: 2 * MOST_CHARS]
