"""What is seen while a task is worked on: its steps, skill calls, agents, and the model's answer as it is written.

What is over is a line that stays; what is under way stands beneath with a spinner, redrawn ten times a second. The main
thread tells of events; rich has a thread of its own that draws. They share one tuple, replaced as a whole, so nothing
needs a lock. It all goes to a terminal on standard error. Imported by the command line only, when it is needed.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self

from rich.console import Console, ConsoleOptions
from rich.live import Live
from rich.spinner import Spinner
from rich.text import Text

from callboard.cli.ask import Where
from callboard.cli.decide import parameters_at, pause_in_words, ways_to_decide
from callboard.cli.text import call_of, clean, decision_of, dumps, one_line, place_of, time_of

if TYPE_CHECKING:
    from callboard.client.models import Accepted, Event

_TAIL_CHARS = 4000
_TAIL_LINES = 8
_PER_SECOND = 10
Data = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class _Doing:
    """Something under way; `text` is what a model has written so far, if that is what it is."""

    label: str
    depth: int
    text: str | None = None


class Progress:
    """Shows the events of one task and of those that it delegates; entered before the first, left after the last."""

    def __init__(self, accepted: "Accepted", where: Where, out: Console, *, waits: bool) -> None:
        self._task_id = accepted.task_id
        self._session_id = accepted.session_id
        self._where = where
        self._out = out
        self._waits = waits
        self._marks = ("✓", "✗", "→") if out.encoding.startswith("utf") else ("ok", "failed", "->")
        self._spinner = Spinner("dots" if out.encoding.startswith("utf") else "line")
        self._depths = {accepted.task_id: 0}
        self._doing: dict[tuple[str, str, object], _Doing] = {}
        self._drawn: tuple[_Doing, ...] = ()  # what the drawing thread reads
        self._live = Live(
            self, console=out, refresh_per_second=_PER_SECOND, transient=True, redirect_stdout=False,
            redirect_stderr=False,
        )  # fmt: skip

    def __enter__(self) -> Self:
        session = "" if self._session_id == self._task_id else f"  session {self._session_id}"
        self._say(Text(one_line(f"task {self._task_id}{session}"), style="dim"), 0)
        self._begin(self._task_id, "task", 0, "waiting for a plan")
        self._live.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._doing.clear()
        self._drawn = ()
        self._live.stop()

    def __rich_console__(self, out: Console, options: ConsoleOptions) -> Iterator[Text]:
        """Draw what is under way; in rich's thread."""
        frame = self._spinner.render(out.get_time())
        for doing in self._drawn:
            margin = "  " * doing.depth
            line = Text.assemble(margin, frame.plain if isinstance(frame, Text) else "", " ", doing.label)
            line.truncate(options.max_width, overflow="ellipsis")
            yield line
            if doing.text:
                width = max(10, options.max_width - len(margin) - 2)
                for written in Text(doing.text).wrap(out, width)[-min(_TAIL_LINES, max(1, out.height // 3)) :]:
                    yield Text.assemble(margin, "  ", written)

    def tell(self, event: "Event") -> None:
        """Show what has happened."""
        teller = getattr(self, f"_{event.topic.removeprefix('agent.').replace('.', '_')}", None)
        if teller is not None:
            teller(event.task_id, event.data)
        self._drawn = tuple(self._doing.values())

    def say(self, line: str) -> None:
        """Print what has happened to the connection, above what is under way."""
        self._say(Text(line, style="yellow"), 0, whole=True)

    # --- what each topic shows ---

    def _task_execute(self, task_id: str, data: Data) -> None:
        parent = data.get("parentId")
        if isinstance(parent, str) and task_id not in self._depths:
            self._depths[task_id] = self._depths.get(parent, 0) + 1
            self._say(self._line(f"agent {data.get('agent') or 'master'}: ", data.get("task", "")), task_id)

    def _model_delta(self, task_id: str, data: Data) -> None:
        key = (task_id, "model", data.get("purpose"))
        before = self._doing.get(key)
        written = "" if data.get("reset") or before is None or before.text is None else before.text
        text = (written + clean(str(data.get("text", ""))))[-_TAIL_CHARS:]
        self._end(task_id, "task", 0)
        self._doing[key] = _Doing(
            self._label(f"the model is {'writing' if text else 'thinking'} ({data.get('purpose', '')})"),
            self._depth(task_id),
            text,
        )

    def _model_completed(self, task_id: str, data: Data) -> None:
        self._end(task_id, "task", 0)
        self._end(task_id, "model", data.get("purpose"))
        tokens = f"{data.get('inputTokens', 0)} + {data.get('outputTokens', 0)} tokens"
        cost = data.get("costUsd")
        price = f"  ${cost:.4f}" if isinstance(cost, int | float) else ""
        self._over(task_id, self._label(str(data.get("model", "a model"))), data, more=f"{tokens}{price}  ")

    def _step_started(self, task_id: str, data: Data) -> None:
        self._end(task_id, "task", 0)
        name = f"step {data.get('step')}"
        self._say(self._line(f"{name} ", f"{data.get('agent', '')}, {data.get('intent', '')}"), task_id)
        self._begin(task_id, "step", data.get("step"), f"{name} runs")

    def _skill_started(self, task_id: str, data: Data) -> None:
        self._begin(task_id, "call", data.get("call"), call_of(data))

    def _skill_completed(self, task_id: str, data: Data) -> None:
        doing = self._end(task_id, "call", data.get("call"))
        label = doing.label if doing else one_line(f"{data.get('skill')}(…)", 100)
        value = f"{self._marks[2]} {one_line(dumps(data['result'], indent=None), 60)}  " if "result" in data else ""
        self._over(task_id, label, data, more=value, inside=1)

    def _step_completed(self, task_id: str, data: Data) -> None:
        self._end(task_id, "step", data.get("step"))
        if data.get("printed"):
            self._say(self._line("  printed ", data["printed"]), task_id)
        self._over(task_id, f"step {data.get('step')}", data)

    def _task_paused(self, task_id: str, data: Data) -> None:
        self._end_all(task_id)
        if not data.get("decisions"):
            self._begin(task_id, "task", 0, "waiting for the agents")
            return
        self._say(Text(f"paused: {pause_in_words(data)}", style="magenta"), task_id)
        if data.get("skill"):
            self._say(self._line("waits for ", call_of(data)), task_id)
        if self._waits:
            self._say(Text("decide in another terminal with one of"), task_id)
            for way in ways_to_decide(task_id, data, self._where, parameters_at(self._where)):
                self._say(Text(f"  {way}", style="bold"), task_id, whole=True)
            self._begin(task_id, "task", 0, "waiting for a decision")

    def _task_requeued(self, task_id: str, data: Data) -> None:
        self._end_all(task_id)
        error = f": {data['error']}" if data.get("error") else ""
        self._say(self._line("goes on ", f"({decision_of(data) or data.get('reason')}{error})"), task_id)
        self._begin(task_id, "task", 0, "waiting for a plan")

    def _task_completed(self, task_id: str, data: Data) -> None:
        self._end_all(task_id)
        if task_id != self._task_id:
            self._over(task_id, "agent", {**data, "ok": True})

    def _task_failed(self, task_id: str, data: Data) -> None:
        self._end_all(task_id)
        if task_id != self._task_id:
            self._over(task_id, "agent", {**data, "ok": False})

    def _task_cancelled(self, task_id: str, data: Data) -> None:
        self._end_all(task_id)
        if task_id != self._task_id:
            self._over(task_id, "agent", {**data, "ok": False, "error": "cancelled"})

    # --- lines ---

    def _over(self, task_id: str, label: str, data: Data, *, more: str = "", inside: int = 0) -> None:
        good = data.get("ok") is not False
        mark = Text(self._marks[0], style="green") if good else Text(self._marks[1], style="red")
        time = time_of(data)
        failed = one_line(f"{place_of(data)} {data.get('error', '')}", 200)
        rest = f"{more}{time}" if good else f"{failed}  {time}"
        self._say(
            Text.assemble("  " * inside, mark, " ", label, "  ", Text(rest, style="dim" if good else "red")), task_id
        )

    def _line(self, first: str, rest: object) -> Text:
        return Text.assemble(Text(one_line(first) + " ", style="bold"), Text(one_line(rest, 300), style="dim"))

    def _say(self, line: Text, task_id: str | int, *, whole: bool = False) -> None:
        """Print a line that stays; cut to the terminal's width unless all of it is needed."""
        depth = task_id if isinstance(task_id, int) else self._depth(task_id)
        self._drawn = tuple(self._doing.values())  # what the line tells of is not under way any more
        whole_line = Text.assemble("  " * depth, line)
        if whole:
            self._out.print(whole_line, soft_wrap=True)
        else:
            self._out.print(whole_line, no_wrap=True, overflow="ellipsis")

    # --- what is under way ---

    def _begin(self, task_id: str, kind: str, number: object, label: str) -> None:
        inside = 1 if kind == "call" else 0
        self._doing[(task_id, kind, number)] = _Doing(self._label(label), self._depth(task_id) + inside)
        self._drawn = tuple(self._doing.values())

    def _end(self, task_id: str, kind: str, number: object) -> _Doing | None:
        return self._doing.pop((task_id, kind, number), None)

    def _end_all(self, task_id: str) -> None:
        for key in [key for key in self._doing if key[0] == task_id]:
            del self._doing[key]

    def _label(self, text: str) -> str:
        return one_line(text, 200)

    def _depth(self, task_id: str) -> int:
        return self._depths.get(task_id, 0)
