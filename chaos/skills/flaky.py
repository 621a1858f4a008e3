"""A test skill that is unavailable a few times before it works. Loaded by the server."""

from pathlib import Path

from callboard import RetryableError, SkillContext, skill


@skill(replay="safe")
def flaky(token: str, times: int, *, ctx: SkillContext) -> str:
    """Be unavailable the first `times` times that a token is asked, then return it."""
    asked = Path(f"{ctx.settings['chaos_effects']}.flaky-{token}")
    with asked.open("ab") as file:
        file.write(b".")
    if asked.stat().st_size <= times:
        raise RetryableError(f"not now, {token}")
    return token
