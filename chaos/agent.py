"""`agent`: SIGKILL at random points over a server with a model, whose tasks do all that an agent can do.

The model is a scripted provider in a process of its own that outlives the kills (`model.py`). Beside the kinds of
`kill-9`, which the model is asked for here, the tasks (`agent_work.py`) go through several rounds, of which some fail;
make calls of every replay policy at once; need approvals, which the harness approves, edits and rejects in turn;
delegate parts to agents, several at once and two levels deep; are cancelled while their agents work; and talk.

`agent-nth-operation` has the server die at the N-th operation of one such task, as `nth-operation` does; `agent-drain`
stops it in order under the same load. What a model answers, and how it fails, is no part of this: that is what the tests
of the models are for.
"""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from bench.figures import Figure
from chaos import drain, kill9, nth_operation
from chaos.agent_verdict import AgentVerdict
from chaos.agent_work import AGENT_MIX, approved, family, gathered, rounds_of
from chaos.blows import Blows
from chaos.load import Load, Memory
from chaos.model import scripted
from chaos.nth_operation import Sweeps
from chaos.order import SERVER, WORKER
from chaos.scenario import Run
from chaos.server import CALLBOARD, Server
from chaos.work import Work

AGENTS = Path(__file__).with_name("agents")
MOST_OPEN = 16
SWEEPS = (
    ("commit", "rounds"),
    ("commit", "gather"),
    ("commit", "approval"),
    ("commit", "family"),
    ("statement", "family"),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Stage:
    """A server with a model, and the record of what the model was asked."""

    server: Server
    asked: Path

    def verdict(self, memory: Memory, worker_kills: Sequence[float]) -> AgentVerdict:
        server = self.server
        broken = [*server.launches, *worker_kills]
        return AgentVerdict(memory, server.database, server.effects, self.asked, broken)


@contextmanager
def stage(
    run: Run, name: str, *, command: tuple[str, ...] = CALLBOARD, **settings: str | int | float
) -> Iterator[Stage]:
    """Run the model; give a server that asks it, not yet started."""
    folder = run.new_folder(name)
    asked = folder / "asked.jsonl"
    asked.touch()
    filled = tuple(part.format(folder=folder) for part in command)
    with scripted(asked) as address:
        model = {"llm_provider": "openai", "llm_base_url": address, "llm_model": "scripted", "llm_api_key": "scripted"}
        with Server(folder, command=filled, agents_dir=str(AGENTS), **model, **settings) as server:
            yield Stage(server=server, asked=asked)


def measure(run: Run) -> list[Figure]:
    with stage(run, "agent", max_crashes=kill9.MAX_CRASHES) as there:
        load = Load(there.server.port, run, most_open=MOST_OPEN, mix=AGENT_MIX, name="agent")
        blows = Blows(there.server, run.random("agent", "victims"))
        starts = kill9.kill_again_and_again(run, there.server, load, blows, "agent")
        return [
            *blows.figures(),
            *there.verdict(load.memory, blows.worker_kills).figures(),
            *kill9.about(there.server, load, starts, quick=run.quick),
        ]


def measure_drain(run: Run) -> list[Figure]:
    with stage(run, "agent-drain", drain_s=drain.DRAIN_S, skill_chaos_delay_ms=drain.CALL_MS) as there:
        load = Load(there.server.port, run, most_open=MOST_OPEN, mix=AGENT_MIX, name="agent-drain")
        blows = Blows(there.server, run.random("agent-drain", "victims"))
        figures = drain.drain_again_and_again(run, there.server, load, blows)
        verdict = there.verdict(load.memory, blows.worker_kills)
        return [*figures, *drain.about(verdict, blows), *verdict.figures()]


def measure_nth_operation(run: Run) -> list[Figure]:
    numbers = run.random("agent-nth-operation").sample(range(1, 25), 2) if run.quick else range(1, nth_operation.MOST)
    command = ("-m", "chaos.counting_server", "{folder}/order")
    with stage(run, "agent-nth-operation", command=command, skill_chaos_delay_ms=1) as there:
        sweeps = Sweeps(run, there.server, make=_work)
        there.server.start()
        for kind, task in SWEEPS:
            for victim in (SERVER, WORKER):
                sweeps.sweep(kind, task, numbers, victim)
            run.say(f"agent-nth-operation: {kind}s of a {task} task are done")
        there.server.stop()
        return [*sweeps.figures(), *there.verdict(sweeps.memory, sweeps.worker_kills).figures()]


def _work(name: str, task: str, run: Run) -> Work:
    """Return the same task for every number, but for its name."""
    chance = run.random(task)
    if task == "rounds":
        return rounds_of(name, ["raise", "print"], chance)
    if task == "family":
        return family(name, chance)
    return {"gather": gathered, "approval": approved}[task](name, chance)[0]
