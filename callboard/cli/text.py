"""Text on its way to a person: nothing that a terminal would obey, short where a line is short, JSON that says the same.

SECURITY: what tasks, models and skills say goes through `clean`, `one_line` or `dumps` before it is printed: an escape
sequence in it could otherwise rewrite the screen, and a bidirectional override could show words that are not there.
Pure functions; imported by the command line only. The standard library only, so that `--help` stays quick.
"""

import json
import re
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from callboard.client.models import Result

# C0 but tab and line feed, DEL, C1 (0x9b is an escape sequence's beginning to some terminals), line separators,
# bidirectional overrides and isolates, the byte order mark, and halves of surrogate pairs, which cannot be encoded
_OBEYED = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u200e\u200f\u2028-\u202e\u2066-\u2069\ufeff\ud800-\udfff]")
# what is not seen as well: fillers, joiners, variation selectors, tags (Unicode's default ignorable code points)
_HIDDEN = re.compile(
    f"{_OBEYED.pattern[:-1]}\xad\u034f\u061c\u115f\u1160\u17b4\u17b5\u180b-\u180f\u200b-\u200d\u2060-\u206f\u3164\ufe00-\ufe0f"
    "\uffa0\ufff0-\ufffb\U0001d173-\U0001d17a\U000e0000-\U000e0fff]"
)
MOST_CHARS = 10_000
"""How much of a long text is printed for people unless they ask for all of it."""

_SPACE = re.compile(r"\s+")
_MINUTE_S, _HOUR_S, _DAY_S = 60, 3600, 86_400


def clean(text: str) -> str:
    """Return the text with whatever a terminal would obey written out, such as \\x1b; lines and tabs stay."""
    return _OBEYED.sub(_written_out, text.replace("\r\n", "\n"))


def _written_out(found: re.Match[str]) -> str:
    code = ord(found[0])
    return f"\\x{code:02x}" if code < 0x100 else f"\\u{code:04x}"


def one_line(text: object, limit: int | None = None) -> str:
    """Return a text on one line, cleaned, its spaces run together, and cut with `…` where it is longer than `limit`."""
    line = clean(_SPACE.sub(" ", str(text)).strip())
    return line if limit is None or len(line) <= limit else line[: max(0, limit - 1)] + "…"


def dumps(value: Any, *, indent: int | None = 2, ascii_only: bool = False) -> str:
    """Return JSON that is safe on a terminal: what `clean` writes out, or is not seen, is escaped as JSON does it.

    `ascii_only`: whatever is not ASCII is, so that no letter passes for another one.
    """
    # only strings can hold those characters, so the document stays the same one
    return _HIDDEN.sub(lambda found: _escaped(found[0]), json.dumps(value, indent=indent, ensure_ascii=ascii_only))


def _escaped(character: str) -> str:
    units = character.encode("utf-16-be", "surrogatepass").hex()
    return "".join(f"\\u{units[place : place + 4]}" for place in range(0, len(units), 4))


def shown(value: Any) -> str:
    """Return an output as it is printed for people: text as it is, anything else as JSON."""
    return clean(value) if isinstance(value, str) else dumps(value)


def call(skill: object, args: Any, kwargs: Any, limit: int = 100) -> str:
    """Return a skill call as it would be written, its arguments shortened."""
    parts = [_argument(value) for value in (args if isinstance(args, list) else [])]
    parts += [f"{one_line(k, 40)}={_argument(v)}" for k, v in (kwargs if isinstance(kwargs, Mapping) else {}).items()]
    return one_line(f"{str(skill).replace('-', '_')}({', '.join(parts)})", limit)


def call_of(told: Mapping[str, Any]) -> str:
    """Return the call that an event or a pause tells of, with the arguments that it is made with."""
    if told.get("edited") is not None:  # they stand in place of all that the code gave, also by position
        return f"{call(told.get('skill'), None, told['edited'])}  (edited by a person)"
    return call(told.get("skill"), told.get("args"), told.get("kwargs"))


def decision_of(told: Mapping[str, Any]) -> str:
    """Return what was decided, as an event tells of it, and why if that was said; nothing where nobody has decided."""
    why = f": {told['decisionReason']}" if told.get("decisionReason") else ""
    return f"{told['decision']}{why}" if told.get("decision") else ""


def place_of(told: Mapping[str, Any]) -> str:
    """Return where in its skill's code a call failed, such as ` at payments.py:12`; nothing where that is not known."""
    raised = told.get("exception")
    if not isinstance(raised, Mapping) or "file" not in raised:
        return ""
    return " " + one_line(f"at {raised['file']}:{raised.get('line', '?')}", 200)


def _argument(value: Any) -> str:
    return one_line(dumps(value, indent=None), 60)


def duration(ms: float | None) -> str:
    """Return a duration as people say it: 3.2 ms, 4.1 s, 2 min 5 s."""
    if ms is None:
        return "-"
    seconds = ms / 1000
    if seconds < 1:
        return f"{ms:.1f} ms" if ms < 10 else f"{ms:.0f} ms"
    if seconds < _MINUTE_S:
        return f"{seconds:.1f} s"
    minutes, rest = divmod(round(seconds), _MINUTE_S)
    if minutes < _MINUTE_S:
        return f"{minutes} min {rest} s"
    return f"{minutes // 60} h {minutes % 60} min"


def took(elapsed_ms: float | None, worked_ms: float | None) -> str:
    """Return how long a task took by the clock, and how much of that was work; empty where nobody knows."""
    if worked_ms is None:
        return "" if elapsed_ms is None else duration(elapsed_ms)
    if elapsed_ms is None:
        return f"{duration(worked_ms)} of work"
    return f"{duration(elapsed_ms)}, {duration(worked_ms)} of it work"


def spent(task: "Result") -> str:
    """Return what a task took, its agents included: its time, and what was asked of models."""
    told, made = task.metadata, [took(task.elapsed_time, task.execution_time)]
    if told.get("llmCalls"):
        made.append(f"{_many(told['llmCalls'], 'model call')}, {_many(told.get('totalTokens', 0), 'token')}")
    if isinstance(cost := told.get("costUsd"), int | float):
        made.append(f"${cost:.4f}")
    if tasks := told.get("subagents", {}).get("tasks"):
        made.append(f"{_many(tasks, 'delegated task')} included")
    return f"took {', '.join(filter(None, made))}"


def _many(number: int, what: str) -> str:
    return f"{number:,} {what}{'' if number == 1 else 's'}"


def time_of(data: Mapping[str, Any]) -> str:
    """Return how long the step, the call or the task took of whose end an event tells; empty where it does not say."""
    ms = data.get("durationMs")
    return duration(ms) if isinstance(ms, int | float) else took(data.get("elapsedTime"), data.get("executionTime"))


def ago(moment: datetime, now: datetime) -> str:
    """Return how long ago a moment was, in its largest unit; a date where that is more than a month."""
    seconds = max(0, round((now - moment).total_seconds()))
    if seconds < _MINUTE_S:
        return f"{seconds} s ago"
    if seconds < _HOUR_S:
        return f"{seconds // _MINUTE_S} min ago"
    if seconds < _DAY_S:
        return f"{seconds // _HOUR_S} h ago"
    days = seconds // _DAY_S
    return f"{days} d ago" if days <= 30 else f"{moment.astimezone():%Y-%m-%d}"


def iso(moment: datetime | None) -> str:
    """Return a time as the HTTP interface writes it, `-` for none."""
    if moment is None:
        return "-"
    return moment.astimezone(UTC).replace(tzinfo=None).isoformat(timespec="milliseconds") + "Z"


def local(moment: datetime | None) -> str:
    """Return a time for a person, in the zone of this machine, which is named; `-` for none."""
    if moment is None:
        return "-"
    here = moment.astimezone()
    return f"{here:%Y-%m-%d %H:%M:%S}.{here.microsecond // 1000:03} {here:%Z}"
