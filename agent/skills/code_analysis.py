"""The skill `code-analysis`: size, complexity and likely mistakes of a piece of code.

Functions and their cyclomatic complexity come from lizard, which reads many languages; Python that is whole is read
by its own parser. lizard is imported at the first call, because it costs the server memory that not everyone needs.
Any thread.
"""

import re
from typing import Any

from callboard.agent.skill import skill
from callboard.agent.skills import _python_rules, _rules
from callboard.agent.skills._languages import LANGUAGES, Language, find_language, guess_language
from callboard.agent.skills._rules import Finding

MAX_CHARS = 50_000
MAX_LINE_CHARS = 2000
_MAX_UNCLOSED = 200
_MAX_NESTED = 60
_MAX_FINDINGS = 200
_COMPLEX, _VERY_COMPLEX = 10, 20
_LONG_FUNCTION = 60
_MANY_PARAMETERS = 5
_DEEP = 4
_BRACKETS = re.compile(r"([(\[{])|[)\]}]")
_COMMENT_MARKS = (("/*", "*/"), ("--[[", "]]"))
_PENALTY = {"error": 20, "warning": 7, "info": 2}


@skill(name="code-analysis", replay="pure")
def code_analysis(code: str, language: str | None = None) -> dict[str, Any]:
    """Analyse code: keys language, lines, codeLines, functions (name, line, lines, complexity, parameters, nesting), averageComplexity, maxComplexity, findings (line, severity, rule, message), score and summary.

    Without `language` it is told from the code. The score is 100, less 20 for each error, 7 for each warning and
    2 for each info among the findings, and at least 0. Raises ValueError if the language cannot be told or is not known,
    and for more than 50,000 characters or a line of more than 2,000.
    """
    if not code.strip():
        raise ValueError("There is no code to analyse; put the code itself into the task.")
    if len(code) > MAX_CHARS:
        raise ValueError(f"The code has {len(code)} characters and the limit is {MAX_CHARS}; analyse it in parts.")
    # PERF: lizard looks for the end of every string and comment anew, which takes quadratic time where there is none.
    longest = max(map(len, code.splitlines()))
    if longest > MAX_LINE_CHARS:
        raise ValueError(
            f"A line of the code has {longest} characters and the limit is {MAX_LINE_CHARS}; minified code cannot be analysed."
        )
    if any(code.count(start, code.rfind(end) + 1) > _MAX_UNCLOSED for start, end in _COMMENT_MARKS):
        raise ValueError(f"More than {_MAX_UNCLOSED} comments of the code are never closed, which cannot be analysed.")
    known = _language(code, language)
    findings, masked = _rules.find(code, known)
    if _deepest(masked) > _MAX_NESTED:
        raise ValueError(f"The code is nested deeper than {_MAX_NESTED} levels, which cannot be analysed.")
    tree, more = _python_rules.parse(code) if known.name == "python" else (None, [])
    if tree is None:
        functions = _measure(code, known, _rules.block_depths(masked))
    else:
        functions = _python_rules.functions(tree)
        more += _python_rules.find(tree)
    findings += more
    findings += [finding for function in functions for finding in _of_function(function)]
    return _report(code, known, functions, sorted(set(findings)))


def _language(code: str, name: str | None) -> Language:
    found = find_language(name) if name else guess_language(code)
    if found:
        return found
    known = ", ".join(sorted(LANGUAGES))
    if name:
        raise ValueError(f"The language {name[:40]!r} is not known; there are {known}.")
    raise ValueError(f"The language of the code cannot be told for sure; name it: {known}.")


def _deepest(masked: str) -> int:
    """Return how deep brackets stand inside each other; lizard cannot follow very deep ones."""
    depth = deepest = 0
    for found in _BRACKETS.finditer(masked):
        depth = depth + 1 if found[1] else max(depth - 1, 0)
        deepest = max(deepest, depth)
    return deepest


def _measure(code: str, language: Language, depths: list[int]) -> list[dict[str, Any]]:
    import lizard

    try:
        measured = lizard.FileAnalyzer(lizard.get_extensions([])).analyze_source_code(f"code.{language.suffix}", code)
    except Exception:  # noqa: BLE001  # lizard has no error of its own for code that it trips over
        return []
    return [
        {
            "name": function.name,
            "line": function.start_line,
            "lines": function.end_line - function.start_line + 1,
            "complexity": function.cyclomatic_complexity,
            "parameters": _parameters(function, language),
            "nesting": max(depths[function.start_line - 1 : function.end_line], default=0),
        }
        for function in sorted(measured.function_list, key=lambda function: function.start_line)
    ]


def _parameters(function: Any, language: Language) -> int:
    if language.name != "php":
        return int(function.parameter_count)
    # lizard 1.24 loses PHP's commas and writes each parameter twice.
    return len({word for word in function.long_name.split() if word.startswith("$")})


def _of_function(function: dict[str, Any]) -> list[Finding]:
    name, line, findings = function["name"], function["line"], []
    if function["complexity"] > _COMPLEX:
        severity = "error" if function["complexity"] > _VERY_COMPLEX else "warning"
        text = f"{name} has a cyclomatic complexity of {function['complexity']}; split it (limit {_COMPLEX})."
        findings.append(Finding(line, severity, "too-complex", text))  # type: ignore[arg-type]  # two literals
    if function["lines"] > _LONG_FUNCTION:
        text = f"{name} has {function['lines']} lines; split it (limit {_LONG_FUNCTION})."
        findings.append(Finding(line, "warning", "too-long", text))
    if function["parameters"] > _MANY_PARAMETERS:
        text = f"{name} takes {function['parameters']} parameters; group them (limit {_MANY_PARAMETERS})."
        findings.append(Finding(line, "warning", "too-many-parameters", text))
    if function["nesting"] > _DEEP:
        text = f"{name} nests {function['nesting']} blocks; return early or split it (limit {_DEEP})."
        findings.append(Finding(line, "warning", "deep-nesting", text))
    return findings


def _report(code: str, language: Language, functions: list[dict[str, Any]], findings: list[Finding]) -> dict[str, Any]:
    score = max(0, 100 - sum(_PENALTY[finding.severity] for finding in findings))
    complexities = [function["complexity"] for function in functions]
    counts = {severity: sum(finding.severity == severity for finding in findings) for severity in _PENALTY}
    code_lines = sum(bool(line.strip()) for line in code.splitlines())
    return {
        "language": language.name,
        "lines": len(code.splitlines()),
        "codeLines": code_lines,
        "functions": functions,
        "averageComplexity": round(sum(complexities) / len(complexities), 2) if complexities else 0,
        "maxComplexity": max(complexities, default=0),
        "findings": [finding._asdict() for finding in findings[:_MAX_FINDINGS]],
        "score": score,
        "summary": (
            f"{language.name}: {code_lines} lines of code, {len(functions)} functions, {counts['error']} errors, "
            f"{counts['warning']} warnings, {counts['info']} remarks; score {score} of 100."
        ),
    }
