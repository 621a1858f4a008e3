"""Test skills, one of each replay policy, that put every effect on record: repeats are counted and not believed.

Each call appends one line to a file before and one after its work, with its effect id, by a single write of a few
hundred bytes to a file opened with O_APPEND: several processes and a `kill -9` cannot tear or mix such lines.
Loaded by the server, so it imports nothing of the harness; `chaos/effects.py` reads the file.
"""

import json
import os
import time

from callboard import SkillContext, skill


def _write(ctx: SkillContext, policy: str, token: str, phase: str) -> None:
    line = {
        "token": token,
        "policy": policy,
        "phase": phase,
        "effect": ctx.effect_id,
        "task": ctx.task_id,
        "pid": os.getpid(),
        "at": time.time(),
    }
    file = os.open(ctx.settings["chaos_effects"], os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
    try:
        os.write(file, json.dumps(line).encode() + b"\n")
    finally:
        os.close(file)


def _effect(ctx: SkillContext, policy: str, token: str) -> str:
    _write(ctx, policy, token, "begin")
    cut = ctx.cancel_event.wait(float(ctx.settings["chaos_delay_ms"]) / 1000)
    _write(ctx, policy, token, "cut" if cut else "end")
    return token


@skill(replay="pure")
def pure_effect(token: str, *, ctx: SkillContext) -> str:
    """Return the token; may be computed again at any time."""
    return _effect(ctx, "pure", token)


@skill(replay="safe")
def safe_effect(token: str, *, ctx: SkillContext) -> str:
    """Return the token; may be repeated until it is done."""
    return _effect(ctx, "safe", token)


@skill(replay="keyed")
def keyed_effect(token: str, *, ctx: SkillContext) -> str:
    """Return the token; may be repeated with the same effect id until it is done."""
    return _effect(ctx, "keyed", token)


@skill(replay="never")
def never_effect(token: str, *, ctx: SkillContext) -> str:
    """Return the token; must not happen twice unless a person says so."""
    return _effect(ctx, "never", token)


@skill(replay="keyed", approval=True)
def approved_keyed(token: str, *, ctx: SkillContext) -> str:
    """Return the token, once a person has approved; may be repeated with the same effect id until it is done."""
    return _effect(ctx, "keyed", token)


@skill(replay="never", approval=True)
def approved_never(token: str, *, ctx: SkillContext) -> str:
    """Return the token, once a person has approved; must not happen twice unless a person says so."""
    return _effect(ctx, "never", token)


@skill(replay="safe")
def gate_effect(token: str, gate: str, *, ctx: SkillContext) -> str:
    """Return the token once a file exists, or the server says that it is enough; may be repeated until it is done."""
    _write(ctx, "safe", token, "begin")
    while not os.path.exists(gate) and not ctx.cancel_event.wait(0.01):  # noqa: PTH110  # it is looked for often
        continue
    _write(ctx, "safe", token, "cut" if ctx.cancel_event.is_set() else "end")
    return token
