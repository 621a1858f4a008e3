"""A test skill that does something that others may see every other millisecond. Loaded by the server."""

import os
import time

from callboard import SkillContext, skill

EVERY_S = 0.002


@skill(replay="safe")
def tick(number: int, *, ctx: SkillContext) -> int:
    """Write 25 lines, each with this process and the time; may be repeated."""
    file = os.open(f"{ctx.settings['chaos_effects']}.ticks", os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
    try:
        for _ in range(25):
            os.write(file, f"{os.getpid()} {time.time()}\n".encode())
            time.sleep(EVERY_S)
    finally:
        os.close(file)
    return number
