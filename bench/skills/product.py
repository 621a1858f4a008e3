"""The skill of the journaled load: what `calculate` does for the others, but written into the ledger."""

from callboard import skill


@skill(replay="safe")
def product(a: int, b: int) -> int:
    """Multiply two whole numbers."""
    return a * b
