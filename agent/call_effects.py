"""What a call of a skill does to its task beside what it returns: it restricts, it notes, it makes calls inside.

A call that is answered from the ledger does all of that again, so it is collected while the call is made and kept with its
row. In the threads of a run's calls. Imported by the run's skill calls and by the host of a skill.
"""

import threading
from collections.abc import Collection
from typing import Any

from callboard.agent.job import Progress, add_note
from callboard.agent.sandbox_run import Asked
from callboard.agent.skill import AnySkill
from callboard.agent.skill_folders.skill import FolderSkill
from callboard.messages.ledger import CallEffects, CallRecord, CallState


class Effects:
    """What one call, or a whole run, has done so far; what a call does, those that it is made inside of (`outer`) have done too."""

    def __init__(self, outer: "Effects | None" = None) -> None:
        self._outer = outer
        self._restricted: frozenset[str] | None = None
        self._notes: dict[str, Any] = {}
        self._calls = 0
        self._rows: set[int] = set()
        # Guards all of the above: calls that are made at once inside this one have threads of their own.
        self._lock = threading.Lock()

    @property
    def restricted(self) -> frozenset[str] | None:
        """The only skills that may still be called; None: all that the task may."""
        return self._restricted

    def restrict(self, allowed: Collection[str]) -> None:
        """Let no other skills be called from here on than these, and those of earlier restrictions."""
        with self._lock:
            self._restricted = (self._restricted or frozenset()).union(allowed)
        if self._outer is not None:
            self._outer.restrict(allowed)

    def note(self, name: str, value: Any) -> None:
        """Keep a note, which is plain data."""
        with self._lock:
            add_note(self._notes, name, value)
        if self._outer is not None:
            self._outer.note(name, value)

    def count(self, calls: int) -> None:
        """Count calls that were made inside."""
        with self._lock:
            self._calls += calls
        if self._outer is not None:
            self._outer.count(calls)

    def came_to(self, number: int) -> None:
        """Note a row of the ledger that a call inside has, or has been answered from."""
        with self._lock:
            self._rows.add(number)
        if self._outer is not None:
            self._outer.came_to(number)

    def kept(self) -> CallEffects:
        """Return what goes with the call's row."""
        with self._lock:
            restricted = None if self._restricted is None else tuple(sorted(self._restricted))
            return CallEffects(
                restricted=restricted, notes=dict(self._notes), calls=self._calls, rows=tuple(sorted(self._rows))
            )

    def redo(self, kept: CallEffects) -> None:
        """Do again, here and in what is outside, what a call did that is answered from the ledger."""
        if kept.restricted is not None:
            self.restrict(kept.restricted)
        for name, value in kept.notes.items():
            self.note(name, value)
        self.count(kept.calls)
        for number in kept.rows:
            self.came_to(number)


class RunEffects(Effects):
    """What the calls of a whole run have done: the task's metadata say it."""

    def __init__(self, progress: Progress) -> None:
        super().__init__()
        self._progress = progress

    def note(self, name: str, value: Any) -> None:
        self._progress.note(name, value)

    def count(self, calls: int) -> None:
        """Count calls of the run's script, and those made inside of them; under the run's lock."""
        self._progress.metadata["skillCalls"] += calls

    def came_to(self, number: int) -> None:
        """Do nothing: the ledger knows itself what a run has come to."""


def effects_of(skill: AnySkill | None, asked: Asked, known: CallRecord) -> CallEffects:
    """Return what a call that has ended did.

    # SECURITY: a server before did not keep it. Of the text of a skill's folder it is known: what the folder says today holds.
    """
    if known.effects is not None:
        return known.effects
    if known.state is not CallState.DONE or not isinstance(skill, FolderSkill):
        return CallEffects()
    args, kwargs = (asked.args, asked.kwargs) if known.arguments is None else known.arguments.made_with
    allowed = skill.restriction(args, kwargs)
    return CallEffects(restricted=None if allowed is None else tuple(sorted(allowed)))
