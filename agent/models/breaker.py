"""Circuit breakers: an API that keeps failing is left alone for a while, and then tried by one call at a time.

So is one that asks for it, with a `Retry-After`: no call goes there before, of whichever task and process. `Breakers` is the
control side's, one for all runs of this node; a run sees of it what `Circuits` lists, perhaps from another process, and
its models have a `Breaker` each provider. Why our own: docs/dependencies.md. Any thread. Imported by `api_model.py`,
`building.py`, `loading.py` and the wiring.
"""

import logging
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Protocol

from callboard.errors import TaskError

logger = logging.getLogger("callboard.models")

FAILURES = 5
"""Tries that fail one after the other, in whichever tasks, until the circuit opens."""

OPEN_S = 30.0
"""How long it stays open, in seconds; then one call is let through, and its try closes or opens it again."""

MOST_ALONE_S = 300.0
"""How long others heed what one call was asked to wait, in seconds: an account may be given more meanwhile, and a header may be absurd."""

Pause = tuple[float, str, str]
"""For how many seconds an API asks to be left alone, the error's code where that is too long, and what it said."""


class Circuits(Protocol):
    """What a provider's models ask of `Breakers`: only plain values cross, arguments by position.

    `name` is the provider's; `holder` names whoever the calls are made in, such as a worker's process. None of it belongs to a
    run: it is asked, and told, whether the run is to stop or not.
    """

    def enter(self, name: str, holder: str, model: str, within_s: float, /) -> Pause | None:
        """Let a try begin, to be followed by `succeeded`, `failed` or `left` within so many seconds; or say how long to wait before.

        Raises `TaskError` (`model_unavailable`) while the circuit is open.
        """

    def succeeded(self, name: str, /) -> None:
        """Close the circuit."""

    def failed(self, name: str, why: str, /) -> None:
        """Count a failure of the API."""

    def left(self, name: str, holder: str, rejected: str, /) -> None:
        """Take note of a try that says nothing about the API; `rejected` is why it will refuse every call, if it will."""

    def leave_alone(self, name: str, model: str, for_s: float, code: str, why: str, /) -> None:
        """Have calls of a model, of all models where it is empty, wait for so many seconds; what was asked before stands if it is longer."""

    def check(self, name: str, /) -> None:
        """Raise why there is no use in calling now: the circuit is open, or the key was refused."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Breaker:
    """One provider's circuit, as its models use it."""

    name: str
    circuits: Circuits
    holder: str

    def enter(self, model: str, within_s: float) -> Pause | None:
        return self.circuits.enter(self.name, self.holder, model, within_s)

    def succeeded(self) -> None:
        self.circuits.succeeded(self.name)

    def failed(self, why: str) -> None:
        self.circuits.failed(self.name, why)

    def left(self, *, rejected: str = "") -> None:
        self.circuits.left(self.name, self.holder, rejected)

    def leave_alone(self, model: str, for_s: float, code: str, why: str) -> None:
        self.circuits.leave_alone(self.name, model, for_s, code, why)

    def check(self) -> None:
        self.circuits.check(self.name)


@dataclass(slots=True)
class _Circuit:
    failures: int = 0
    open_until_s: float | None = None  # None: closed
    trial: str | None = None  # who tries it
    trial_until_s: float = 0.0
    last: str = ""
    rejected: str = ""
    # by model: until when it is left alone, the error's code, what was said
    alone: dict[str, tuple[float, str, str]] = field(default_factory=dict)


class Breakers:
    """The circuits of all providers, made when first named. Fulfils `Circuits`."""

    def __init__(
        self, *, failures: int = FAILURES, open_s: float = OPEN_S, now: Callable[[], float] = time.monotonic
    ) -> None:
        self._most = failures
        self._open_s = open_s
        self._now = now
        # Guards all circuits: every call's thread changes them, the health monitor reads them. An actor can't: a call would
        # have to ask it before each try.
        self._lock = threading.Lock()
        self._circuits: dict[str, _Circuit] = {}

    def enter(self, name: str, holder: str, model: str, within_s: float, /) -> Pause | None:
        with self._lock:
            circuit, now_s = self._of(name), self._now()
            if circuit.open_until_s is not None and (now_s < circuit.open_until_s or _is_tried(circuit, now_s)):
                raise self._open_error(name, circuit)
            if (pause := _pause(circuit, model, now_s)) is not None:
                return pause
            if circuit.open_until_s is not None:
                # Invariant: the place is free again once the call's time is over, whatever has become of it.
                circuit.trial, circuit.trial_until_s = holder, now_s + within_s
            return None

    def succeeded(self, name: str, /) -> None:
        with self._lock:
            circuit = self._of(name)
            if circuit.open_until_s is not None:
                logger.warning("the model's provider %s answers again", name)
            circuit.failures, circuit.open_until_s, circuit.trial, circuit.rejected = 0, None, None, ""

    def failed(self, name: str, why: str, /) -> None:
        with self._lock:
            circuit = self._of(name)
            circuit.failures += 1
            circuit.last = why
            if circuit.failures < self._most and circuit.trial is None:
                return
            if circuit.open_until_s is None:
                logger.warning("the model's provider %s has failed %d times in a row: %s", name, self._most, why)
            circuit.open_until_s = self._now() + self._open_s
            circuit.trial = None

    def left(self, name: str, holder: str, rejected: str, /) -> None:
        with self._lock:
            circuit = self._of(name)
            _release(circuit, holder)
            if rejected and not circuit.rejected:
                logger.warning("the model's provider %s %s", name, rejected)
            circuit.rejected = rejected or circuit.rejected

    def leave_alone(self, name: str, model: str, for_s: float, code: str, why: str, /) -> None:
        with self._lock:
            circuit, now_s = self._of(name), self._now()
            circuit.alone = {of: asked for of, asked in circuit.alone.items() if asked[0] > now_s}
            until_s = now_s + min(for_s, MOST_ALONE_S)
            if model not in circuit.alone or circuit.alone[model][0] < until_s:
                circuit.alone[model] = (until_s, code, why)

    def check(self, name: str, /) -> None:
        with self._lock:
            circuit = self._of(name)
            if circuit.open_until_s is not None and self._now() < circuit.open_until_s:
                raise self._open_error(name, circuit)
            if circuit.rejected:
                raise TaskError("model_rejected", f"The model's provider {name} {circuit.rejected}")

    def gone(self, holder: str) -> None:
        """Let others try what a holder that is no more was about to try."""
        with self._lock:
            for circuit in self._circuits.values():
                _release(circuit, holder)

    # --- under the lock ---

    def _of(self, name: str) -> _Circuit:
        return self._circuits.setdefault(name, _Circuit())

    def _open_error(self, name: str, circuit: _Circuit) -> TaskError:
        left_s = max(0.0, (circuit.open_until_s or 0) - self._now())
        when = f"for {left_s:.0f} s more" if left_s else "while one call tries it"
        return TaskError(
            "model_unavailable",
            f"The model's provider {name} has failed {circuit.failures} times in a row and is left alone {when}; "
            f"the last time it {circuit.last}",
            retryable=True,
        )


def _is_tried(circuit: _Circuit, now_s: float) -> bool:
    return circuit.trial is not None and now_s < circuit.trial_until_s


def _release(circuit: _Circuit, holder: str) -> None:
    if circuit.trial == holder:
        circuit.trial = None


def _pause(circuit: _Circuit, model: str, now_s: float) -> Pause | None:
    """Return the longest that is asked for, if there is any."""
    asked = [circuit.alone[of] for of in ("", model) if of in circuit.alone and circuit.alone[of][0] > now_s]
    if not asked:
        return None
    until_s, code, why = max(asked)
    return until_s - now_s, code, why
