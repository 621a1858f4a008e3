"""Scripts of public collections are programs for real Python: they run as such, or it is said what to write instead."""

from collections.abc import Callable, Iterator
from typing import Any

import pytest

from callboard import AgentSystem, Settings
from callboard.messages.tasks import TaskRecord
from tests.agent.skill_folders.conftest import write
from tests.template import lay_history

WORDS = '''#!/usr/bin/env python3
"""Count the words of a text.

Usage: words.py TEXT [--top N]
"""
from __future__ import annotations

import json
import re
import sys
from collections import Counter


def parse(args: list[str]) -> tuple[str, int]:
    if not args or args[0] in ("-h", "--help"):
        print(__doc__ or "Usage: words.py TEXT [--top N]", file=sys.stderr)
        sys.exit(2)
    top = int(args[args.index("--top") + 1]) if "--top" in args else 3
    return args[0], top


def main() -> int:
    text, top = parse(sys.argv[1:])
    found = re.search(r"\\w+", text)
    first = found.group(0)
    counts = Counter(re.findall(r"\\w+", text.lower()))
    json.dump({"first": first, "top": dict(counts.most_common(top))}, sys.stdout)
    sys.stdout.write("\\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
'''
RELEASE = """import sys

def die(message: str) -> None:
    print("error: " + message, file=sys.stderr)
    raise SystemExit(1)

if len(sys.argv) < 2:
    die(f"usage: {sys.argv[0]} VERSION")
if not sys.stdin.isatty():
    lines = sys.stdin.readlines()
else:
    lines = sys.argv[2:]
print(f"# {sys.argv[1]}")
for line in lines:
    sys.stdout.write(f"- {line}\\n")
sys.stdout.flush()
"""


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Callable[..., TaskRecord]]:
    """Return a function that runs a script, by its text, in a task of one system."""
    folder = tmp_path_factory.mktemp("scripts")
    write(folder / "skills" / "tool", {"SKILL.md": "---\nname: tool\ndescription: A tool.\n---\nRun it.\n"})
    settings = Settings(data_dir=folder / "data", skills_dir=folder / "skills", log_level="error")
    with AgentSystem.start(lay_history(settings)) as system:

        def run(source: str, *arguments: str, name: str = "scripts/a.py") -> TaskRecord:
            write(folder / "skills" / "tool", {name: source})
            return system.execute(f"```python\nfrom skills import tool\ntool({name!r}, {list(arguments)!r})\n```")

        yield run


def test_a_program_with_arguments_and_a_main_runs(run: Callable[..., TaskRecord]) -> None:
    record = run(WORDS, "To be or not to be", "--top", "2")
    assert record.output == '{"first": "To", "top": {"to": 2, "be": 2}}\n', record.error
    record = run(RELEASE, "1.2", "new", "old")
    assert record.output == "# 1.2\n- new\n- old\n", record.error


@pytest.mark.parametrize(
    ("source", "output"),
    [
        ("import sys\nsys.argv", ["scripts/a.py", "x", "y"]),
        ("import sys as s\ns.argv[1:]", ["x", "y"]),
        ("import json, sys, re\nsys.argv[1]", "x"),
        ("from sys import argv\nargv[1:]", ["x", "y"]),
        ("from sys import (\n    argv as given,\n    version_info,\n    exit,\n)\n[given[2], version_info >= (3, 8)]", ["y", True]),
        ("def f():\n    import sys\n    return sys.argv[2]\nf()", "y"),
        ("argv", ["x", "y"]),
        ("import sys\nsys.argv.pop(1)\nsys.argv", ["scripts/a.py", "y"]),
        ("'sys.argv' + '''\nsys.argv'''", "sys.argv\nsys.argv"),
        ("import sys\r\nif True:\r\n    print(sys.argv[1])\r\n", "x\n"),
        ("import sys\n'ä'; f'{sys.argv[1]}ö{sys.argv[2]}'", "xöy"),
        ("import sys\nprint('a', 'b', sep='-', end='!', file=sys.stdout)\nprint()", "a-b!\n"),
        ("import sys\nsys.path.insert(0, '.')\nsys.stdout.reconfigure(encoding='utf-8')\nlen(sys.argv)", 3),
        ("import sys\nname = f\"\"\"\nfirst {sys.argv[1]}\n{'ä'} second {sys.argv[2]}\"\"\"\nname", "\nfirst x\nä second y"),
        ("import json, \\\n    sys as s, \\\n    re\ns.argv[1], s.maxsize > 1, hasattr(s, 'fly')", ["x", True, False]),
        ("def f():\n    from sys import argv, stdout as out\n    out.write(argv[1])\nf()", "x"),
        ("import csv, sys\ncsv.writer(sys.stdout).writerow(sys.argv[1:])\nNone", "x,y\r\n"),
        ("import sys\nout = sys.stderr\ndef log(m, file=sys.stderr):\n    print(m, file=file)\nlog('m')", "m\n"),
        ("[', '.join(map(str, [1, 2])), list(filter(None, [0, 3])), next(map(int, '12')), sorted(map(max, [1, 5], [4, 2]))]",
         ["1, 2", [3], 1, [4, 5]]),
        ("try:\n    import numpy\nexcept ImportError:\n    numpy = None\nnumpy is None", True),
    ],
)  # fmt: skip
def test_arguments_and_streams_are_where_programs_look_for_them(
    run: Callable[..., TaskRecord], source: str, output: Any
) -> None:
    record = run(source, "x", "y")
    assert record.output == output, record.error


@pytest.mark.parametrize(
    "end",
    ["sys.exit()", "sys.exit(0)", "sys.exit(None)", "exit(0)", "quit()", "raise SystemExit", "raise SystemExit(0)"],
)
def test_a_program_that_ends_well_has_answered_with_what_it_printed(run: Callable[..., TaskRecord], end: str) -> None:
    record = run(
        f"import sys\nprint('done')\ndef main():\n    try:\n        {end}\n    except Exception:\n        print('no')\nmain()\n"
    )
    assert record.output == "done\n", record.error


@pytest.mark.parametrize(
    ("end", "told"),
    [
        ("sys.exit(2)", "ended with exit status 2. It printed: usage: a.py"),
        ("raise SystemExit(1)", "ended with exit status 1. It printed: usage: a.py"),
        ("sys.exit('no such column')", "ended with no such column. It printed: usage: a.py"),
        ("exit(3)", "ended with exit status 3. It printed: usage: a.py"),
    ],
)
def test_a_program_that_ends_badly_says_how_and_what_it_printed(
    run: Callable[..., TaskRecord], end: str, told: str
) -> None:
    record = run(f"import sys\nprint('usage: a.py', file=sys.stderr)\n{end}\n")
    assert (record.error_code, record.output) == ("script_error", None)
    assert record.error == f"The script tool/scripts/a.py (line 3) {told}"


@pytest.mark.parametrize(
    ("source", "told"),
    [
        ("import re\n\n\ndef f():\n    return re.match('a', 'b').group()\n\nf()", "(line 5) raised AttributeError"),
        ("import sys\nfrom sys import (\n    argv,\n)\n\nargv[7]", "(line 6) raised IndexError"),
        ("\nimport argparse\n", "(line 2) raised ModuleNotFoundError: No module named 'argparse'. The sandbox has no argparse, and no "
         "other file of the skill can be imported: take the arguments from sys.argv."),
        ("import sys\nimport subprocess", "do with skills what other programs would do"),
        ("import pandas as pd", "call `query_table("),
        ("from helpers import x", "The sandbox has no helpers, and no other file of the skill can be imported: do without it."),
        ("import sys\nsys.stdin.read()", "scripts have no standard input; take the text from sys.argv"),
        ("import json, sys\njson.load(sys.stdin)", "scripts have no standard input; take the text from sys.argv"),
        ("import sys\nfor line in sys.stdin:\n    pass", "scripts have no standard input"),
        ("name = input('Name? ')", "scripts have no standard input"),
        ("import os\nos.environ['TOKEN']", "Scripts have no environment variables: take values from sys.argv."),
        ("open('data.csv')", "Scripts have no files: take texts from sys.argv."),
        ("from pathlib import Path\nPath('data.csv').read_text()", "Scripts have no files: take texts from sys.argv."),
        ("class A(dict):\n    pass\n", "does not yet support class inheritance"),
        ("x = = 1\n", "(line 1) cannot be parsed"),
    ],
)  # fmt: skip
def test_what_the_sandbox_lacks_is_said_with_the_line_and_what_to_write(
    run: Callable[..., TaskRecord], source: str, told: str
) -> None:
    record = run(source)
    assert record.error_code == "script_error"
    assert record.error is not None
    assert record.error.startswith("The script tool/scripts/a.py ")
    assert told in record.error


def test_a_program_may_call_skills_and_await_several(run: Callable[..., TaskRecord]) -> None:
    record = run(
        "import asyncio, sys\nfrom skills import calculate\n"
        "await asyncio.gather(*[calculate(one) for one in sys.argv[1:]])\n",
        "6 * 7",
        "2 + 2",
    )
    assert record.output == [42, 4], record.error
