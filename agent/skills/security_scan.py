"""The skill `security-scan`: weaknesses in Python source, found by Bandit, and credentials that stand in it.

The code is read and never run. Bandit works in a process of its own (`_scanner.py` says why), which is ended when its
time is up or the task is cancelled; starting it takes about a fifth of a second. Any thread.
"""

import json
import re
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from callboard.agent.skill import SkillContext, skill
from callboard.agent.skills._secret_rules import find_known
from callboard.agent.skills._security import Level, Weakness, report

MAX_CHARS = 200_000
MAX_S = 20.0
_POLL_S = 0.05
_SCANNER = str(Path(__file__).with_name("_scanner.py"))
_REPEATED = re.compile(r"(hardcoded password): .*")
_LEVELS: dict[str, Level] = {"HIGH": "high", "MEDIUM": "medium", "LOW": "low"}


@skill(name="security-scan", replay="pure")
def security_scan(code: str, *, ctx: SkillContext) -> dict[str, Any]:
    """Scan Python source for security weaknesses: keys findings (line, rule, severity, confidence, message, cwe), counts and summary.

    The rules are Bandit's (B602 and the like), and the forms of common services' keys and tokens. Severity and confidence
    are high, medium or low; the gravest come first. Comments such as nosec hide nothing. The code is not run.
    Raises ValueError for what is no Python, and for more than 200,000 characters.
    """
    if not code.strip():
        raise ValueError("There is no code to scan; put the code itself into the task.")
    if len(code) > MAX_CHARS:
        raise ValueError(f"The code has {len(code)} characters and the limit is {MAX_CHARS}; scan it in parts.")
    found = _scan(code, ctx)
    return report("Security of Python", code, [*_of_bandit(found), *find_known(code)])


def _scan(code: str, ctx: SkillContext) -> dict[str, Any]:
    """Return Bandit's report; raise `ValueError` with the reason where there is none."""
    with tempfile.TemporaryDirectory(prefix="callboard-scan-") as folder:
        path = Path(folder, "code.py")
        path.write_bytes(code.encode("utf-8", "replace"))
        # SECURITY: nothing of the server's environment goes there; what Bandit caches goes with the folder
        with subprocess.Popen(  # noqa: S603  # this interpreter and a file of ours; the code is what is read
            [sys.executable, "-I", "-X", "utf8", _SCANNER, str(path)],
            cwd=folder,
            env={"HOME": folder, "XDG_CACHE_HOME": folder},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            process_group=0,  # Ctrl-C is for the server, which lets the scan end
        ) as process:
            out = _output(process, ctx)
    return _read(out)


def _output(process: "subprocess.Popen[bytes]", ctx: SkillContext) -> bytes:
    limit_s = MAX_S if ctx.remaining_s is None else min(MAX_S, ctx.remaining_s)
    until_s = time.monotonic() + limit_s
    try:
        while not ctx.cancelled:
            try:
                return process.communicate(timeout=_POLL_S)[0]
            except subprocess.TimeoutExpired:
                if time.monotonic() >= until_s:
                    raise ValueError(
                        f"The scan was not over within its limit of {limit_s:.1f} s; scan the code in parts."
                    ) from None
        raise ValueError("The task was ended before the scan was over.")
    finally:
        process.kill()


def _read(out: bytes) -> dict[str, Any]:
    try:
        found: dict[str, Any] = json.loads(out)
    except ValueError:  # it was ended by a limit of memory or time, or has crashed
        raise ValueError("The code cannot be scanned: the scanner gave up on it; scan it in parts.") from None
    if "unreadable" in found:
        where = f" (line {found['line']})" if found["line"] else ""
        raise ValueError(f"Python cannot read this, so it cannot be scanned: {found['unreadable']}{where}.")
    if found["errors"]:
        raise ValueError("The code cannot be scanned: it is nested too deeply, or too long in one expression.")
    return found


def _of_bandit(found: dict[str, Any]) -> Iterator[Weakness]:
    for issue in found["results"]:
        yield Weakness(
            line=issue["line_number"],
            rule=issue["test_id"],
            severity=_LEVELS.get(issue["issue_severity"], "low"),
            confidence=_LEVELS.get(issue["issue_confidence"], "low"),
            # SECURITY: Bandit repeats what it takes for a password, and a task's results are kept
            message=_REPEATED.sub(r"\1.", " ".join(issue["issue_text"].split())),
            cwe=issue.get("issue_cwe", {}).get("id"),
        )
