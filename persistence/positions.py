"""Positions of events that are none: too low, too high, no whole numbers, or there twice. Rows that were copied together have such,
and damaged files.

They are put right where a history is opened to be written. An event keeps its position, or gets a higher one, so who follows is
told of some again and misses none; only what is no position gets another one. Imported by `migrate` and by revision 0011.
"""

from sqlalchemy import Connection, func, inspect, select, text

from callboard.persistence.tables import events, totals

MOST = 500_000_000_000_000
"""Half of all that there are, more than anybody has given: what is above is damage, and leaves room to push others up."""

INDEX = "ix_events_position"

# In the order that the positions have; of those that are equal, by time. Within a task the numbers say it, whatever the positions.
# Then each gets its own, or the one behind the event before it where that is more: its place plus the highest lead so far.
_PUSH_UP = f"""
    UPDATE events SET position = given.position
    FROM (
        SELECT task_id, seq, place + max(position - place) OVER (ORDER BY place) AS position
        FROM (
            SELECT task_id, seq,
                CASE WHEN position BETWEEN 1 AND {MOST} THEN CAST(position AS BIGINT) ELSE 1 END AS position,
                row_number() OVER (ORDER BY reached, at, task_id, seq) AS place
            FROM (
                SELECT task_id, seq, at, position, max(position) OVER (PARTITION BY task_id ORDER BY seq) AS reached
                FROM events
            ) AS reaching
        ) AS placed
    ) AS given
    WHERE events.task_id = given.task_id AND events.seq = given.seq
"""  # noqa: S608  # a number of ours
_RAISE_TOTALS = f"""
    UPDATE totals SET position = (SELECT coalesce(max(position), 0) FROM events)
    WHERE position > {MOST} OR position < (SELECT max(position) FROM events)
"""  # noqa: S608


def are_faulty(connection: Connection) -> bool:
    """Say whether there are positions that nobody can be told, or, where no index has seen to it, some that are there twice.

    PERF: with the index it looks at its two ends only.
    """
    least, highest = connection.execute(select(func.min(events.c.position), func.max(events.c.position))).one()
    if not all(_is_sound(end, least=1) for end in (least, highest)):
        return True
    if not _is_sound(connection.execute(select(totals.c.position)).scalar(), least=0):
        return True
    if any(index["name"] == INDEX and index["unique"] for index in inspect(connection).get_indexes("events")):
        return False
    return bool(connection.execute(select(func.count() > func.count(events.c.position.distinct()))).scalar())


def put_right(connection: Connection) -> None:
    """Give events positions of their own, in the order that they have, and make the index that keeps it so."""
    connection.execute(text(f"DROP INDEX IF EXISTS {INDEX}"))
    connection.execute(text(_PUSH_UP))
    connection.execute(text(_RAISE_TOTALS))
    connection.execute(text(f"CREATE UNIQUE INDEX {INDEX} ON events (position)"))


def _is_sound(position: object, *, least: int) -> bool:
    return position is None or (isinstance(position, int) and least <= position <= MOST)
