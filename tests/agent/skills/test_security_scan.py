"""`security-scan`: real weaknesses of real code, and no harm from any code."""

import json
import os
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import Any

import pytest

from callboard.agent.skill import SkillContext
from callboard.agent.skills import security_scan as module
from callboard.agent.skills.security_scan import MAX_CHARS, security_scan


def context(**changes: Any) -> SkillContext:
    return SkillContext(**{"task_id": "t", "session_id": "s", "effect_id": "t:1", **changes})


def scan(code: str, **changes: Any) -> dict[str, Any]:
    found: dict[str, Any] = security_scan.call((code,), {}, context(**changes))
    return found


@pytest.mark.parametrize(
    ("code", "expected"),
    [
        ("import subprocess\nsubprocess.run(x, shell=True)", (2, "B602", "high", 78)),
        ("def f(x):\n    return eval(x)", (2, "B307", "medium", 78)),
        ("import pickle\npickle.loads(x)", (2, "B301", "medium", 502)),
        ("import yaml\nyaml.load(x)", (2, "B506", "medium", 20)),
        ("import hashlib\nhashlib.md5(x)", (2, "B324", "high", 327)),
        ("q = \"select * from a where b = '%s'\" % x", (1, "B608", "medium", 89)),
        ("import requests\nrequests.get(x, verify=False, timeout=1)", (2, "B501", "high", 295)),
        ("import tempfile\ntempfile.mktemp()", (2, "B306", "medium", 377)),
        ("import random\ntoken = random.random()", (2, "B311", "low", 330)),
        ("key = '" + "AKIA" + "Q4XWJ7ZT2MPLK6VR'", (1, "aws-access-key", "high", 798)),
    ],
)
def test_a_weakness_is_found_on_its_line(code: str, expected: tuple[int, str, str, int]) -> None:
    found = [(one["line"], one["rule"], one["severity"], one["cwe"]) for one in scan(code)["findings"]]
    assert expected in found


def test_clean_code_has_no_findings() -> None:
    found = scan("def add(a: int, b: int) -> int:\n    return a + b\n")
    assert found["findings"] == []
    assert found["summary"] == "Security of Python, 2 lines: nothing found."


def test_findings_come_gravest_first_with_their_counts() -> None:
    found = scan("import pickle\nassert x\neval(x)\nimport subprocess\nsubprocess.run(x, shell=True)\n")
    order = [("high", "medium", "low").index(one["severity"]) for one in found["findings"]]
    assert order == sorted(order)
    assert found["counts"] == {"high": 1, "medium": 1, "low": 3}
    assert found["summary"] == "Security of Python, 5 lines: 5 findings (1 high, 1 medium, 3 low)."
    assert set(found["findings"][0]) == {"line", "rule", "severity", "confidence", "message", "cwe"}


def test_a_comment_hides_nothing() -> None:
    assert [one["rule"] for one in scan("eval(x)  # nosec")["findings"]] == ["B307"]


def test_a_password_in_the_code_is_not_repeated() -> None:
    found = scan("password = 'hunter22'\ndef f(password='hunter23'): g(password='hunter24')\n")
    assert {one["rule"] for one in found["findings"]} == {"B105", "B106", "B107"}
    assert "hunter" not in json.dumps(found)


def test_the_code_is_not_run(tmp_path: Path) -> None:
    mark = tmp_path / "mark"
    scan(f"open({str(mark)!r}, 'w').close()")
    assert not mark.exists()


def test_the_code_cannot_steer_the_scanner_by_its_coding(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="unknown encoding: nope"):
        scan("# coding: nope\n1")


HOSTILE = {
    "nul": ("a\0b", "cannot contain null bytes"),
    "prose": ("Hello there, this is prose.", r"Python cannot read this, so it cannot be scanned: .* \(line 1\)"),
    "javascript": ("function f() {\n  return 1;\n}", "Python cannot read this"),
    "brackets": ("(" * 50_000, "too many nested parentheses"),
    "minus": ("x=" + "-" * 40_000 + "1", "nested too deeply"),
    "not": ("not " * 10_000 + "1", "nested too deeply"),
    "plus": ("+".join(["1"] * 20_000), "nested too deeply"),
    "attributes": ("a" + ".b" * 20_000, "nested too deeply"),
    "calls": ("f" + "()" * 20_000, "nested too deeply"),
    "lambdas": ("lambda: " * 6000 + "1", "nested too deeply"),
    "branches": ("if a: pass\n" + "elif a: pass\n" * 3500, "nested too deeply"),
    "digits": ("x=" + "9" * 49_000, "Exceeds the limit"),
    "backslashes": ("\\" * 50_000, "unexpected character after line continuation"),
    "braces": ("f'{" * 3000, "cannot be scanned"),
    "blank": (" \n", "There is no code to scan"),
    "long": ("x" * (MAX_CHARS + 1), "200001 characters and the limit is 200000; scan it in parts"),
}


@pytest.mark.parametrize("name", HOSTILE)
def test_hostile_input_ends_in_a_clear_error_at_once(name: str) -> None:
    code, reason = HOSTILE[name]
    started = time.thread_time()
    with pytest.raises(ValueError, match=reason):
        scan(code)
    assert time.thread_time() - started < 1  # what this process does for it; the scanner's own time has its limit


def test_lone_surrogates_are_scanned_as_something_else() -> None:
    assert scan("x = 'a\udcffb'\neval(x)")["counts"]["medium"] == 1


def test_a_flood_of_findings_is_cut_and_said() -> None:
    found = scan("eval(x)\n" * 2000)
    assert found["counts"]["medium"] == 2000
    assert len(found["findings"]) == 200
    assert found["summary"].endswith("2000 findings (2000 medium). The gravest 200 are listed.")


@pytest.fixture
def endless(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Put a scanner in place that writes its process id and then waits for ever; return the file of the id."""
    pid = tmp_path / "pid"
    script = tmp_path / "endless.py"
    script.write_text(
        "import os, pathlib, signal\n"
        f"pathlib.Path({str(pid)!r} + '.new').write_text(str(os.getpid()))\n"
        f"os.rename({str(pid)!r} + '.new', {str(pid)!r})\n"
        "signal.pause()\n"
    )
    monkeypatch.setattr(module, "_SCANNER", str(script))
    return pid


def _gone(pid: Path) -> bool:
    try:
        os.kill(int(pid.read_text()), 0)
    except ProcessLookupError:
        return True
    return False


def test_a_scan_ends_with_the_tasks_time_and_its_process_with_it(endless: Path) -> None:
    left = r"0\.\d"  # of the half second, once the scanner is there
    with pytest.raises(ValueError, match=f"not over within its limit of {left} s; scan the code in parts"):
        scan("x = 1", deadline_s=time.monotonic() + 0.5)
    assert not endless.exists() or _gone(endless)


def test_a_cancelled_task_ends_its_scan(endless: Path) -> None:
    cancelled = threading.Event()

    def cancel_once_it_runs() -> None:
        while not endless.exists():
            pass
        cancelled.set()

    watcher = threading.Thread(target=cancel_once_it_runs)
    watcher.start()
    with pytest.raises(ValueError, match="ended before the scan was over"):
        scan("x = 1", cancel_event=cancelled)
    watcher.join()
    assert _gone(endless)


def test_a_scanner_that_dies_is_an_error_that_says_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    script = tmp_path / "dies.py"
    script.write_text("import os\nos.abort()\n")
    monkeypatch.setattr(module, "_SCANNER", str(script))
    with pytest.raises(ValueError, match="the scanner gave up on it"):
        scan("x = 1")


def test_the_scanner_sees_nothing_of_the_environment_and_leaves_nothing_behind(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("API_KEY", "not for others")
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    script = tmp_path / "tells.py"
    script.write_text("import json, os\nprint(json.dumps({'unreadable': sorted(os.environ), 'line': None}))\n")
    with monkeypatch.context() as patched:
        patched.setattr(module, "_SCANNER", str(script))
        with pytest.raises(ValueError, match=r"'HOME'") as caught:
            scan("x = 1")
    assert "API_KEY" not in str(caught.value)
    scan("x = 1")
    assert [path.name for path in tmp_path.iterdir()] == ["tells.py"]


def test_the_scanner_has_a_limit_of_memory_and_of_time() -> None:
    code = (
        f"import runpy, resource; names = runpy.run_path({module._SCANNER!r}); names['_limit']();"
        "print(resource.getrlimit(resource.RLIMIT_CPU)[0], resource.getrlimit(resource.RLIMIT_AS)[0])"
    )
    out = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert out.stdout.split() == ["20", str(2**30)]


def test_two_scans_at_once_do_not_meet() -> None:
    found: dict[str, list[str]] = {}

    def run(name: str, code: str) -> None:
        found[name] = [one["rule"] for one in scan(code)["findings"]]

    threads = [threading.Thread(target=run, args=args) for args in (("a", "eval(x)"), ("b", "exec(x)"), ("c", "x = 1"))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert found == {"a": ["B307"], "b": ["B102"], "c": []}
