"""`hostile-skills`: skills that do what no skill should, beside callers who mean well.

Skills are trusted code in the server's own process, so a skill can end it; what is shown here is that none of the things
that go wrong in skills people write does: errors of every kind and size, answers that are no data, processes and threads that
are left behind, output without end, a worker that is never given back. Then the server is killed while processes that its
skills have forked live on, and must be up again at once on the same port and history; and it is told to end while skills hang.
"""

import time
from pathlib import Path

import psutil

from bench.figures import Figure
from chaos.api import Api
from chaos.attacks import (
    TASK_S,
    TOLD,
    Attack,
    Beside,
    about,
    about_beside,
    about_log,
    about_pages,
    about_rows,
    all_at_once,
    memory_back,
    memory_mb,
    one_after_another,
)
from chaos.drain import wait_for
from chaos.scenario import Run, count, seconds
from chaos.server import Server

SKILLS = Path(__file__).with_name("hostile_pack")
DRAIN_S = 2
LATE_S = 0.5
"""How much later than the setting says an end may come, on a machine that has other things to do."""

AGAIN_WITHIN_S = 10
FORKING = ("forks", "forks_and_leaves", "starts_a_program", "starts_a_pool")
HANGING = ("hangs", "swallows_the_end", "leaves_a_thread")
QUICK = ("lets_unavailable_out", "ends_the_program", "says_nothing_of_itself", "answers_in_depth", "says_much")
ATTEMPTS = 5
"""The most attempts at a task that none of its errors asks for."""


def measure(run: Run) -> list[Figure]:
    chosen = [name for name in _names() if not run.quick or name in QUICK]
    attacks = [Attack(name=name, body={"task": _calling(name)}, ends=TOLD) for name in chosen]
    with _server(run) as server:
        server.start()
        alone = one_after_another(server, attacks, run)
        before_mb = memory_mb(server)  # warm: what it takes once is not what attacks take
        with Beside(server.port) as beside:
            together = all_at_once(server, attacks)
        memory = memory_back(server, before_mb)
        pages = about_pages(server)
        attempts = _attempts(server, alone.task_ids)
        held = [*_killed_while_forks_live(server), *_told_to_end_while_skills_hang(server)]
        rows = about_rows(server, alone.task_ids)
    return [
        *about("alone", attacks, alone),
        *about("at once", attacks, together, within_s=len(attacks) * TASK_S),
        count(f"tasks of more than {ATTEMPTS} attempts", attempts),
        *about_beside(beside),
        *pages,
        *rows,
        *about_log(server),
        memory,
        *held,
    ]


def _server(run: Run) -> Server:
    return Server(run.new_folder("hostile-skills"), skills_dir=str(SKILLS), drain_s=DRAIN_S)


def _names() -> list[str]:
    """Return the attacks: every skill of the pack but those that are called at the end."""
    lines = (SKILLS / "hostile.py").read_text(encoding="utf-8").splitlines()
    names = [line.removeprefix("def ").partition("(")[0] for line in lines if line.startswith("def ")]
    return [name for name in names if not name.startswith("_") and name not in (*FORKING, *HANGING)]


def _calling(*names: str) -> str:
    calls = "\n".join(f"{name}()" for name in names)
    return f"```python\nfrom skills import {', '.join(names)}\n{calls}\n```"


def _attempts(server: Server, task_ids: dict[str, str]) -> list[str]:
    with Api(server.port) as api:
        found = {name: api.task(task_id) or {} for name, task_id in task_ids.items()}
    return [f"{name}: {task.get('attempt')}" for name, task in found.items() if (task.get("attempt") or 0) > ATTEMPTS]


def _killed_while_forks_live(server: Server) -> list[Figure]:
    """Have skills fork, kill the server alone, and start it again on its port and its history."""
    with Api(server.port) as api:
        answers = [api.execute({"task": _calling(name)}, wait_s=20) for name in FORKING]
    unlike = [
        f"{name}: {answer}"
        for name, (_, answer) in zip(FORKING, answers, strict=True)
        if answer.get("status") != "completed"
    ]
    assert server.popen is not None
    children = psutil.Process(server.pid).children(recursive=True)
    server.popen.kill()
    server.popen.wait(20)
    began = time.monotonic()
    server.start()
    took_s = time.monotonic() - began
    for child in children:
        if child.is_running():
            child.kill()
    return [
        count("skills that could not start a process", unlike),
        seconds("kill -9 with forks alive to ready again", took_s, at_most=AGAIN_WITHIN_S),
    ]


def _told_to_end_while_skills_hang(server: Server) -> list[Figure]:
    """Have skills hang and fork, send SIGTERM, and see what is left."""
    marks = [server.folder / f"{name}.entered" for name in HANGING]
    with Api(server.port) as api:
        for name in (*FORKING, *HANGING):
            api.execute({"task": _calling(name)})
    wait_for(lambda: all(mark.exists() for mark in marks), "skills to hang")
    lingering = server.lingering
    began = time.monotonic()
    status = server.stop(within_s=DRAIN_S + 30)
    took_s = server.exited_s - began
    return [
        seconds(
            "SIGTERM to exit while skills hang", took_s, at_most=DRAIN_S + LATE_S, note=f"CALLBOARD_DRAIN_S={DRAIN_S}"
        ),
        count("exit statuses other than 0", [status] if status else []),
        count("processes of skills that outlived the end", range(server.lingering - lingering)),
    ]
