"""`hostile-model`: a model that writes what should not be written, and one that answers as nobody should.

Each attack is a task whose text names what the scripted provider answers to it, in every round. First each alone, with the
processor time that it costs the server's own process, outside the sandbox, the checker and the readers of documents, which
are processes of their own and may be ended; then all of them at once, beside a caller who means well. Every attack must end
in its time, as a failure that is told or with an answer; none may be an error of our own; afterwards the memory is back.
"""

from collections.abc import Callable
from typing import Any

from bench.figures import Figure
from bench.provider import Provider, Reply, Request, running
from chaos.attacks import (
    TASK_S,
    TOLD,
    WELL_MEANT,
    Attack,
    Beside,
    Seen,
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
from chaos.scenario import Run
from chaos.server import Server

OWN_CPU_S = 2.0
"""The most processor time that one answer of a model may cost the server's own process."""

ROUNDS = 3
MARK = "Hostile answer: "
QUICK = (
    "JSON in depth",
    "many names awaited",
    "conditionals in each other",
    "tildes without an end",
    "an error of 40 MB",
    "wrong lines",
)


def code(text: str) -> Reply:
    return Reply(text=f"```python\n{text}\n```", piece_chars=4000)


def said(text: str) -> Reply:
    return Reply(text=text, piece_chars=4000)


def _many_names() -> Reply:
    names = [f"a{n}" for n in range(4000)]
    given = "\n".join(f"{name} = calculate('1')" for name in names)
    return code(f"import asyncio\nfrom skills import calculate\n{given}\nawait asyncio.gather({', '.join(names)})")


def _calls(how_many: int) -> Reply:
    return code(f"from skills import calculate\nfor n in range({how_many}):\n    calculate(f'{{n}} + 1')")


ANSWERS: dict[str, Callable[[], Reply]] = {
    # what is rewritten and checked before it runs
    "many names awaited": _many_names,
    "conditionals in each other": lambda: code("x = " + "1 if a else " * 1500 + "2"),
    "brackets in each other": lambda: code("x = " + "(" * 5000 + ")" * 5000),
    "signs in a row": lambda: code("x = " + "-" * 50_000 + "1"),
    "blocks in each other": lambda: code(
        "\n".join("    " * n + "if True:" for n in range(99)) + "\n" + "    " * 99 + "1"
    ),
    "attributes in a row": lambda: code("x = a" + ".a" * 30_000),
    "sums in a row": lambda: code("x = " + "1+" * 40_000 + "1"),
    "wrong lines": lambda: code("\n".join(f"a{n}: int = 'x'" for n in range(5000))),
    "branches": lambda: code(
        "def f(x: int) -> int:\n" + "".join(f"    if x == {n}: x += {n}\n" for n in range(2500)) + "    return x\nf(1)"
    ),
    "code beyond its limit": lambda: code("x = 1\n" * 50_000),
    "digits": lambda: code("x = " + "9" * 90_000),
    "a long string": lambda: code(f"print('{'é' * 45_000}')"),
    "characters that are none": lambda: code("x = '\x00\ud7ff\ufffe\u202e'\nprint(x)"),
    # how code is found in an answer
    "tildes without an end": lambda: said("~~~" + "a" * 90_000),
    "backticks": lambda: said("`" * 90_000),
    "fences": lambda: said("```python\n" * 9_000),
    "blanks behind a fence": lambda: said("```python" + " " * 90_000),
    "marks of thoughts": lambda: said("<think>" * 13_000),
    "closing marks": lambda: said("</think>" * 11_000),
    "other marks": lambda: said("<|channel|>" * 8_000),
    "an answer of 40 MB": lambda: said("word " * 8_000_000),
    # what code does when it runs
    "an endless loop": lambda: code("while True:\n    pass"),
    "an endless call": lambda: code("def f(n):\n    return f(n + 1)\nf(0)"),
    "memory without end": lambda: code("x = []\nwhile True:\n    x.append('x' * 1000000)"),
    "a number without end": lambda: code("x = 2\nwhile True:\n    x = x * x"),
    "an error of 40 MB": lambda: code("raise ValueError('x' * 40_000_000)"),
    "text without end": lambda: code("while True:\n    print('x' * 1000)"),
    "an answer of a million parts": lambda: code("list(range(1000000))"),
    "an answer in itself": lambda: code("x = []\nfor n in range(10000):\n    x = [x]\nx"),
    "calls without end": lambda: _calls(100_000),
    "calls at once": lambda: code(
        "import asyncio\nfrom skills import calculate\nawait asyncio.gather(*[calculate('1') for n in range(5000)])"
    ),
    "a call with 40 MB": lambda: code("from skills import summarize\nsummarize('word ' * 8_000_000)"),
    "a worst text": lambda: code("from skills import summarize\nsummarize('a. ' * 60_000)"),
    "code that is scanned": lambda: code("from skills import security_scan\nsecurity_scan('x = (' * 20_000)"),
    "files without end": lambda: code(
        "from skills import write_file\nfor n in range(100000):\n    write_file(f'{n}.txt', 'x' * 100000)"
    ),
    "agents that there are not": lambda: code("from skills import delegate\ndelegate('nobody', 'x' * 1000000)"),
}

WIRE: dict[str, Callable[[], Reply]] = {
    "the same for ever": lambda: Reply(text="word " * 1000, fault="flood"),
    "a byte at a time": lambda: Reply(text="word " * 100, fault="dribble", every_s=0.2),
    "nothing": lambda: Reply(text="word", fault="hang"),
    "silence in the middle": lambda: Reply(text="word", fault="stall"),
    "no JSON": lambda: Reply(text="word", fault="garbage"),
    "no end": lambda: Reply(text="```python\nx = 1\n", fault="no_end"),
    "JSON in depth": lambda: Reply(raw=b"[" * 1_000_000, headers={"Content-Type": "application/json"}),
    "an event of 9 MB": lambda: Reply(raw=b"data: " + b"x" * 9_000_000, headers={"Content-Type": "text/event-stream"}),
    "tokens that are none": lambda: Reply(text="2 + 2 is 4.", usage=(10**30, -5)),
    "an error page of 40 MB": lambda: Reply(status=500, message="x" * 40_000_000),
}


def measure(run: Run) -> list[Figure]:
    attacks = [_attack(name) for name in ANSWERS if not run.quick or name in QUICK]
    with running(_answer) as provider:
        with _server(run, provider) as server:
            server.start()
            alone = one_after_another(server, attacks, run)
            before_mb = memory_mb(server)  # warm: what it takes once is not what attacks take
            with Beside(server.port) as beside:
                together = all_at_once(server, attacks)
            memory = memory_back(server, before_mb)
            pages = about_pages(server)
            server.stop()
            figures = [
                *about("alone", attacks, alone),
                _dearest(alone),
                *about("at once", attacks, together, within_s=len(attacks) * TASK_S),
                *about_beside(beside),
                *pages,
                *about_rows(server, alone.task_ids),
                *about_log(server),
                memory,
            ]
        return [*figures, *_over_the_wire(run, provider)]


def _over_the_wire(run: Run, provider: Provider) -> list[Figure]:
    """Have answers come as none should, each to a server of its own: it takes a provider for down that fails a few times."""
    attacks = [_attack(name) for name in WIRE if not run.quick or name in QUICK]
    seen, logs = Seen(), []
    for attack in attacks:
        with _server(run, provider) as server:
            server.start()
            seen.add(one_after_another(server, [attack], run))
            server.stop()
            logs += about_log(server)
    return [*about("over the wire", attacks, seen), _dearest(seen), *[log for log in logs if not log.met][:3]]


def _attack(name: str) -> Attack:
    return Attack(name=name, body={"task": MARK + name}, ends=TOLD)


def _server(run: Run, provider: Provider) -> Server:
    model = {"llm_provider": "openai", "llm_base_url": provider.openai_url, "llm_model": "hostile", "llm_api_key": "k"}
    limits: dict[str, Any] = {
        "max_rounds": ROUNDS,
        "llm_timeout_s": 8,
        "llm_retries": 1,
        "sandbox_time_s": 3,
        "sandbox_skill_calls": 300,
    }
    return Server(run.new_folder("hostile-model"), skills_dir="", **model, **limits)


def _dearest(seen: Seen) -> Figure:
    name = max(seen.cpu_s, key=lambda name: seen.cpu_s[name])
    note = f"{name}; {ROUNDS} rounds of {OWN_CPU_S:g} s"
    return Figure(
        name="most processor time in the server's own process",
        value=seen.cpu_s[name],
        unit="s",
        at_most=OWN_CPU_S * ROUNDS,
        note=note,
    )


def _answer(request: Request) -> Reply:
    """Return what the task asks for; an answer that is right for everybody else."""
    for _, text in request.turns:
        if (place := text.find(MARK)) >= 0 and (name := text[place + len(MARK) :].splitlines()[0].strip()) in (
            both := ANSWERS | WIRE
        ):
            return both[name]()
        if (place := text.find(WELL_MEANT)) >= 0:
            return said(text[place:].partition("\n")[2])
    return said("Nothing was asked.")
