"""The figures as tables on the terminal, and as chaos/results.md and chaos/results.json.

A recorded run of some scenarios replaces those and keeps the others, because `soak` takes half an hour.
"""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from bench.figures import Figure
from bench.report import number

HERE = Path(__file__).parent
HEADINGS = ("figure", "value", "target", "met", "note")


def cells(figure: Figure) -> tuple[str, ...]:
    target = ""
    if figure.at_most is not None:
        target = f"≤ {figure.at_most:g}"
    elif figure.at_least is not None:
        target = f"≥ {figure.at_least:g}"
    met = {True: "yes", False: "NO", None: ""}[figure.met]
    return (figure.name, f"{number(figure.value)} {figure.unit}".strip(), target, met, figure.note)


def table(figures: Sequence[Figure]) -> str:
    """Return the table for a terminal."""
    rows = [HEADINGS, *map(cells, figures)]
    widths = [max(len(row[i]) for row in rows) for i in range(len(HEADINGS) - 1)]
    return "\n".join(
        "  ".join([*(t.ljust(w) for t, w in zip(row, widths, strict=False)), row[-1]]).rstrip() for row in rows
    )


def record(name: str, figures: Sequence[Figure], about: Mapping[str, str]) -> None:
    """Write what one scenario came to into results.json, and results.md anew from all that is there."""
    path = HERE / "results.json"
    kept: dict[str, Any] = json.loads(path.read_text(encoding="utf-8")) if path.exists() else {}
    kept[name] = {"about": dict(about), "figures": [figure.as_dict() for figure in figures]}
    path.write_text(json.dumps(kept, indent=2, ensure_ascii=False, sort_keys=True) + "\n", encoding="utf-8")
    (HERE / "results.md").write_text(_markdown(kept), encoding="utf-8")


def _markdown(kept: Mapping[str, Any]) -> str:
    lines = [
        "# What chaos found",
        "",
        "Written by `python -m chaos --record`; do not edit. [README](README.md) says how to read it.",
        "",
    ]
    for name, result in sorted(kept.items()):
        about = "; ".join(f"{key}: {value}" for key, value in result["about"].items())
        lines += [f"## {name}", "", about, "", _row(HEADINGS), "|---|---|---|---|---|"]
        fields = [{k: v for k, v in figure.items() if k != "met"} for figure in result["figures"]]
        lines += [_row(cells(Figure(**one))) for one in fields]
        lines.append("")
    return "\n".join(lines)


def _row(texts: Sequence[str]) -> str:
    return "| " + " | ".join(text.replace("|", "\\|") for text in texts) + " |"
