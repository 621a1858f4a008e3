"""The scenarios of `chaos/storage.py` as those of this suite: figures with targets instead of numbers and assertions."""

from collections.abc import Callable, Mapping
from pathlib import Path

from bench.figures import Figure
from chaos import storage
from chaos.scenario import ChaosError, Run, amount

FAULT_S, QUICK_FAULT_S = 30.0, 5.0
"""How long a fault lasts; `four_processes` takes it for its limit, which is twenty times as long."""

AT_MOST: Mapping[str, float] = {
    "lost": 0,
    "back_s": storage.BACK_WITHIN_S,
    "locked": 0,
    "kills that have not ended whom they hit": 0,
}
UNITS: Mapping[str, str] = {"slowest_refusal_s": "s", "back_s": "s"}
_SCENARIOS = (
    storage.locked,
    storage.disk_full,
    storage.read_only,
    storage.failing_writes,
    storage.gone,
    storage.log_deleted,
    storage.four_processes,
)


def _measure(function: Callable[..., storage.Figures], name: str) -> Callable[[Run], list[Figure]]:
    def measure(run: Run) -> list[Figure]:
        folder: Path = run.new_folder(name)
        seconds = QUICK_FAULT_S if run.quick else FAULT_S
        try:
            found = function(folder, seconds=seconds * 20 if function is storage.four_processes else seconds)
        except AssertionError as error:
            raise ChaosError(str(error)) from error
        except storage.NotPossible as error:
            return [amount("not run on this machine", 0, note=str(error))]
        return [_figure(key, value) for key, value in found.items()]

    return measure


def _figure(key: str, value: float) -> Figure:
    words = key.removesuffix("_s").replace("_per", " a second" if key.endswith("_per_s") else "").replace("_", " ")
    return Figure(name=words, value=value, unit=UNITS.get(key, ""), at_most=AT_MOST.get(key))


SCENARIOS = {
    name: _measure(function, name) for function in _SCENARIOS for name in [function.__name__.replace("_", "-")]
}
