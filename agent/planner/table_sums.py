"""A last row that holds the sums of the rows above it, as spreadsheets have: counted with them, every answer would be wrong.

Pure; any thread; imported by `questions` only.
"""

import re
from decimal import Decimal

from callboard.agent.planner.table_facts import Facts
from callboard.agent.skills._columns import Value

_CALLED = re.compile(
    r"\W*(?:grand |sub)?-?(?:totals?|sums?|summen?|gesamt(?:summe)?|zwischensumme|totaux|somme|ensemble)\W*",
    re.IGNORECASE,
)
_LEAST_ROWS = 3


def row_of_sums(facts: Facts) -> str | None:
    """Return what the last row is called where it is called a total, or nothing at all, and a number of it is the sum of those above."""
    rows = facts.table.rows
    if len(rows) < _LEAST_ROWS:
        return None
    last = len(rows) - 1
    cells = [str(rows[last].get(column) or "").strip() for column in facts.columns]
    names = [cell for column, cell in zip(facts.columns, cells, strict=True) if cell and facts.kind(column) != "number"]
    called = next((name for name in names if _CALLED.fullmatch(name)), None)
    if called is None and names:
        return None  # a row with a name of its own
    return (called or "without a name") if any(_is_sum(facts, column, last) for column in facts.measures()) else None


def _is_sum(facts: Facts, column: str, last: int) -> bool:
    values = facts.table.typed(column).values
    own = values[last]
    others = [value.order for value in values[:last] if isinstance(value, Value)]
    if not isinstance(own, Value) or len(others) < _LEAST_ROWS - 1 or not all(isinstance(o, Decimal) for o in others):
        return False
    return bool(own.order == sum(others, Decimal(0)) != 0)
