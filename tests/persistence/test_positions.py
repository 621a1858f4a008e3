"""Whatever a history is copied with, positions go on above all that were given: who follows by one misses nothing."""

import os
import shutil
import subprocess
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from sqlalchemy import Engine, create_engine, delete, insert, make_url, select, text, update
from sqlalchemy.exc import IntegrityError

from callboard import Settings
from callboard.errors import StoreUnavailable
from callboard.messages.events import MOST_POSITION, ListEvents
from callboard.persistence import migrate
from callboard.persistence.backup import POSITIONS_AHEAD, back_up
from callboard.persistence.doctor import examine
from callboard.persistence.store import SqlStore
from callboard.persistence.tables import events, metadata, totals

if TYPE_CHECKING:
    from tests.persistence.conftest import Maker, OpenStore


def work(store: SqlStore, make: "Maker", tasks: int = 2) -> list[int]:
    """Accept, start and end tasks; return the positions of what that told."""
    told = []
    for _ in range(tasks):
        one = make.acceptance()
        outcomes = store.writer.write([one, make.start(one), make.events(one), make.result(one)])
        told += [event.position for outcome in outcomes for event in outcome.events]
    return told


def behind(store: SqlStore, position: int) -> list[int]:
    return [entry.event.position for entry in store.reader.feed(ListEvents(after=position)).entries]


def test_the_database_takes_no_position_twice(store: SqlStore, make: "Maker", raw_engine: Engine) -> None:
    work(store, make)
    with pytest.raises(IntegrityError), raw_engine.begin() as connection:
        connection.execute(update(events).where(events.c.position == 2).values(position=1))


def test_a_position_that_not_every_reader_keeps_is_not_given_and_doctor_says_so(
    store: SqlStore, make: "Maker", raw_engine: Engine, make_settings: Callable[..., Settings], database_url: str
) -> None:
    assert MOST_POSITION < 2**53
    work(store, make)
    with raw_engine.begin() as connection:
        connection.execute(update(totals).values(position=MOST_POSITION - 1))
    one = make.acceptance()
    assert store.writer.write([one])[0].events[0].position == MOST_POSITION, "the last one"
    with pytest.raises(StoreUnavailable, match=rf"none may be above {MOST_POSITION}; run callboard doctor"):
        store.writer.write([make.start(one), make.events(one)])
    with pytest.raises(StoreUnavailable, match="run callboard doctor"):
        store.writer.check()
    assert behind(store, 6) == [MOST_POSITION], "what is there is read"
    found = {finding.check: finding for finding in examine(make_settings(database_url=database_url))}
    assert found["events"].level == "error"
    assert "backup" in found["events"].advice


SOUND = {"a": [1, 4, 5, 9], "b": [2, 3, 7]}
FAULTS: dict[str, tuple[dict[str, list[int]], dict[str, list[int]]]] = {
    "none, with gaps": (SOUND, SOUND),
    "twice": ({"a": [1, 4, 5, 9], "b": [4, 5, 9]}, {"a": [1, 4, 6, 9], "b": [5, 7, 10]}),
    "twice, and room behind": ({"a": [1, 2, 3, 9], "b": [3, 20, 21]}, {"a": [1, 2, 3, 9], "b": [4, 20, 21]}),
    "none": ({"a": [0, 0, 0, 0], "b": [0, 0, 0]}, {"a": [1, 2, 3, 4], "b": [5, 6, 7]}),
    "too high": ({"a": [1, 2, 3, 10**17], "b": [4, 5, 10**18]}, {"a": [1, 2, 3, 6], "b": [4, 5, 7]}),
    "none, but the highest that is on record is too high": (SOUND, SOUND),
    "back within a task": ({"a": [1, 4, 3, 9], "b": [2, 4, 7]}, {"a": [1, 4, 5, 9], "b": [2, 6, 7]}),
}
"""Positions by task, as a history has them and as the migration leaves them."""


@pytest.mark.parametrize("fault", FAULTS)
def test_the_migration_has_positions_differ_and_loses_no_event_to_a_follower(
    open_at: "OpenStore", database_url: str, raw_engine: Engine, make: "Maker", fault: str
) -> None:
    before, after = FAULTS[fault]
    store = open_at(database_url)
    ids = {}
    for name, places in before.items():  # the ones of a are the older
        one = make.acceptance()
        ids[name] = one.task.task_id
        store.writer.write([one, make.start(one), *[make.events(one) for _ in places[1:]]])
    store.close()
    with raw_engine.begin() as connection:
        migrate.downgrade(connection, "0009")
        for name, places in before.items():
            for seq, position in enumerate(places, 1):
                of_one = (events.c.task_id == ids[name]) & (events.c.seq == seq)
                connection.execute(update(events).where(of_one).values(position=position))
        connection.execute(update(totals).values(position=10**17 if "on record" in fault else 3))
    store = open_at(database_url)
    pages = {name: store.reader.events(task_id).events for name, task_id in ids.items()}
    assert {name: [event.position for event in page] for name, page in pages.items()} == after
    highest = max(place for places in after.values() for place in places)
    assert behind(store, 0) == sorted(place for places in after.values() for place in places)
    assert work(store, make, tasks=1)[0] == highest + 1


def copied_file(source: SqlStore, url: str, target: Path) -> str:
    source.close()
    shutil.copy(make_url(url).database or "", target)
    return f"sqlite:///{target}"


def backed_up(source: SqlStore, url: str, target: Path) -> str:
    back_up(Settings(data_dir=target.parent, database_url=url), target)
    source.close()
    return f"sqlite:///{target}"


@pytest.mark.parametrize("copy", [copied_file, backed_up])
def test_positions_go_on_in_a_copied_file(
    open_at: "OpenStore",
    sqlite_url: str,
    make: "Maker",
    tmp_path: Path,
    copy: Callable[[SqlStore, str, Path], str],
) -> None:
    store = open_at(sqlite_url, first=False)
    told = work(store, make)
    assert store.writer.prune_step(older_than=make.now + timedelta(days=1), keep=None) == 2, "the newest are deleted"
    went_on = open_at(copy(store, sqlite_url, tmp_path / "copy.db"))
    new = work(went_on, make)
    assert min(new) > max(told)
    assert behind(went_on, max(told)) == new


def test_who_followed_a_history_misses_nothing_of_the_backup_that_is_put_in_its_place(
    open_at: "OpenStore", sqlite_url: str, make: "Maker", tmp_path: Path
) -> None:
    store = open_at(sqlite_url, first=False)
    work(store, make)
    settings = Settings(data_dir=tmp_path, database_url=sqlite_url)
    first = back_up(settings, tmp_path / "monday.db")
    seen = work(store, make, tasks=30)  # of which the backup knows nothing
    store.close()
    restored = open_at(f"sqlite:///{first.path}")
    new = work(restored, make, tasks=40)
    assert behind(restored, seen[-1]) == new, "though as many were told as he had seen, and more"
    assert min(new) > POSITIONS_AHEAD
    restored.close()
    settings = settings.model_copy(update={"database_url": f"sqlite:///{first.path}"})
    again = open_at(f"sqlite:///{back_up(settings, tmp_path / 'tuesday.db').path}")
    assert min(work(again, make)) > max(new) + POSITIONS_AHEAD


@pytest.mark.parametrize("with_totals", [True, False])
def test_positions_go_on_where_rows_are_copied_into_another_database(
    open_at: "OpenStore", sqlite_url: str, database_url: str, make: "Maker", tmp_path: Path, *, with_totals: bool
) -> None:
    """As a hand would do it: the tables that this version makes, and the rows of the other database in them."""
    store = open_at(sqlite_url, first=False)
    told = work(store, make)
    store.close()
    if database_url == sqlite_url:
        database_url = f"sqlite:///{tmp_path}/other.db"
    open_at(database_url).close()
    source, target = create_engine(make_url(sqlite_url)), create_engine(make_url(database_url))
    tables = [table for table in metadata.tables.values() if with_totals or table is not totals]
    with source.connect() as old, target.begin() as new:
        for table in tables:
            new.execute(delete(table))
            if rows := old.execute(select(table)).mappings().all():
                new.execute(insert(table), [dict(row) for row in rows])
    source.dispose()
    target.dispose()
    went_on = open_at(database_url)
    assert behind(went_on, 0) == told
    assert work(went_on, make) == [position + max(told) for position in told]


@pytest.mark.skipif(shutil.which("pg_dump") is None, reason="there is no pg_dump")
def test_positions_go_on_in_what_pg_dump_has_kept(
    open_at: "OpenStore", postgres_url: str, make: "Maker", tmp_path: Path
) -> None:
    store = open_at(postgres_url)
    told = work(store, make)
    assert store.writer.prune_step(older_than=make.now + timedelta(days=1), keep=None) == 2
    url = make_url(postgres_url)
    schema = str(url.query["options"]).partition("search_path=")[2]
    address = url.set(drivername="postgresql", query={}).render_as_string(hide_password=False)
    kept = tmp_path / "kept.dump"
    tools = {"env": {**os.environ, "LC_ALL": "C"}, "check": True, "capture_output": True, "timeout": 60}
    subprocess.run(["pg_dump", "-Fc", "-n", schema, "-f", str(kept), address], **tools)  # type: ignore[call-overload]
    seen = work(store, make, tasks=3)
    store.close()
    admin = create_engine(url, isolation_level="AUTOCOMMIT")
    with admin.connect() as connection:
        connection.execute(text(f"DROP SCHEMA {schema} CASCADE"))
        subprocess.run(["pg_restore", "-d", address, str(kept)], **tools)  # type: ignore[call-overload]
        connection.execute(text("UPDATE totals SET position = position + 1000000000"))  # as operations.md says
    admin.dispose()
    went_on = open_at(postgres_url)
    new = work(went_on, make)
    assert min(new) > max(told) + POSITIONS_AHEAD - 1
    assert behind(went_on, seen[-1]) == new


DAMAGE = {
    "a text": "UPDATE events SET position = 'abc' WHERE position = 4",
    "bytes": "UPDATE events SET position = x'00ff' WHERE position = 4",
    "too high": "UPDATE events SET position = 1000000000000000 WHERE position = 3",
    "the highest there is": "UPDATE events SET position = 9223372036854775807 WHERE position = 3",
    "negative": "UPDATE events SET position = -1 WHERE position = 4",
    "twice": "DROP INDEX ix_events_position; UPDATE events SET position = 5 WHERE position IN (6, 7)",
    "the last one given, a text": "UPDATE totals SET position = 'abc'",
    "the last one given, too high": "UPDATE totals SET position = 999999999999998",
}


@pytest.mark.parametrize("damage", DAMAGE)
def test_a_damaged_history_is_told_of_and_put_right_at_the_next_start(
    open_at: "OpenStore", make: "Maker", make_settings: Callable[..., Settings], tmp_path: Path, damage: str
) -> None:
    url = f"sqlite:///{tmp_path / 'damaged.db'}"
    store = open_at(url)
    given = work(store, make)
    store.close()
    damaged = create_engine(url)
    with damaged.begin() as connection:
        for statement in DAMAGE[damage].split(";"):
            connection.execute(text(statement))
    damaged.dispose()
    found = [
        finding
        for finding in examine(make_settings(database_url=url))
        if finding.level == "error" and finding.check != "folder"
    ]
    assert found
    assert any("callboard serve" in str(finding.advice) for finding in found), found
    again = open_at(url)
    told = behind(again, 0)
    assert len(set(told)) == len(given)
    assert told == sorted(told)
    assert work(again, make)[0] > told[-1]
    again.close()
    assert [
        finding
        for finding in examine(make_settings(database_url=url))
        if finding.level == "error" and finding.check != "folder"
    ] == []
