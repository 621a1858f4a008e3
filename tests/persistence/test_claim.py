"""One server at a time works on a history, and a dead one's hold is gone with it."""

import os
import subprocess
import sys
import threading
import time
from collections.abc import Callable

import pytest
from sqlalchemy import Engine, NullPool, create_engine, make_url, text

from callboard import AgentSystem, Settings
from callboard.errors import ConfigurationError, StoreUnavailable
from callboard.persistence.claim import claim, is_claimed
from callboard.persistence.file_claim import FileClaim
from callboard.persistence.postgresql_claim import ADVISORY_KEY, PostgresqlClaim, holder

HOLDER = """
import sys
from callboard import Settings
from callboard.persistence.claim import claim
held = claim(Settings(data_dir=sys.argv[1]))
print("held", flush=True)
sys.stdin.read()
"""


def test_a_second_server_on_the_same_history_is_refused_and_touches_nothing(
    start_system: Callable[..., AgentSystem], make_settings: Callable[..., Settings]
) -> None:
    first = start_system()
    task_id = first.execute("What is 2 + 2?").task_id
    with pytest.raises(
        ConfigurationError, match=r"Another server is at work on the history .*callboard\.db: it is this"
    ):
        AgentSystem.start(make_settings())
    assert first.execute("What is 3 + 3?").output == 6
    assert [event.seq for event in first.events(task_id)] == [1, 2, 3, 4, 5, 6]


def test_the_hold_ends_with_an_ordered_stop(make_settings: Callable[..., Settings]) -> None:
    claim(make_settings()).let_go()
    claim(make_settings()).let_go()


def test_the_hold_of_a_killed_process_ends_with_it(make_settings: Callable[..., Settings]) -> None:
    settings = make_settings()
    with subprocess.Popen(
        [sys.executable, "-c", HOLDER, str(settings.data_dir)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as holder:
        assert holder.stdout is not None
        assert holder.stdout.readline() == "held\n"
        with pytest.raises(ConfigurationError):
            claim(settings)
        holder.kill()
    claim(settings).let_go()


def test_a_hold_that_a_killed_server_s_child_has_for_a_moment_is_waited_for(
    make_settings: Callable[..., Settings],
) -> None:
    held = claim(make_settings())
    assert isinstance(held, FileClaim)
    child = os.dup(held._name)  # what a child has until its program is loaded
    held.let_go()
    with pytest.raises(ConfigurationError):
        claim(make_settings())
    loaded = threading.Timer(0.05, os.close, [child])
    loaded.start()
    claim(make_settings()).let_go()
    loaded.join()


def test_different_histories_are_held_at_once(make_settings: Callable[..., Settings]) -> None:
    settings = make_settings()
    other = make_settings(database_url=f"sqlite:///{settings.data_dir / 'other.db'}")
    held, held_too = claim(settings), claim(other)
    held.let_go()
    held_too.let_go()


def test_a_file_s_hold_is_renewed_without_ado(make_settings: Callable[..., Settings]) -> None:
    held = claim(make_settings())
    held.renew()
    with pytest.raises(ConfigurationError):
        claim(make_settings())
    held.let_go()


# --- PostgreSQL: the hold is a connection's, and connections break ---------------------------------------------------


@pytest.fixture
def raw(postgres_url: str) -> Engine:
    """An engine beside the servers' own."""
    return create_engine(make_url(postgres_url), poolclass=NullPool, isolation_level="AUTOCOMMIT")


@pytest.fixture
def cut(raw: Engine) -> Callable[[], None]:
    """Return a function that ends the connection that holds the history."""

    def end_it() -> None:
        with raw.connect() as connection:
            # with a time to wait it returns when the connection is gone
            assert connection.execute(text("SELECT pg_terminate_backend(:pid, 10000)"), {"pid": held_by(raw)}).scalar()

    return end_it


def test_a_hold_whose_connection_broke_is_taken_again(
    make_settings: Callable[..., Settings], postgres_url: str, cut: Callable[[], None]
) -> None:
    settings = make_settings(database_url=postgres_url)
    held = claim(settings)
    cut()
    assert not is_claimed(settings)
    held.renew()
    with pytest.raises(ConfigurationError, match="Another server is at work"):
        claim(settings)
    held.renew()
    held.let_go()
    assert not is_claimed(settings)
    held.renew()
    assert not is_claimed(settings), "what was let go of is not taken again"


def test_a_history_that_another_server_took_meanwhile_is_not_renewed_until_it_is_free(
    make_settings: Callable[..., Settings], postgres_url: str, cut: Callable[[], None]
) -> None:
    settings = make_settings(database_url=postgres_url)
    held = claim(settings)
    cut()
    other = claim(settings)
    for _ in range(2):
        with pytest.raises(StoreUnavailable, match=r"Another server has taken the history .*; stop one of them"):
            held.renew()
    other.renew()
    other.let_go()
    held.renew()
    assert is_claimed(settings)
    held.let_go()


def test_a_connection_that_postgresql_takes_for_alive_is_not_another_server(
    make_settings: Callable[..., Settings], postgres_url: str
) -> None:
    held = claim(make_settings(database_url=postgres_url))
    assert isinstance(held, PostgresqlClaim)
    ours, held._connection = held._connection, None
    with pytest.raises(StoreUnavailable, match="has not noticed it yet"):
        held.renew()
    assert ours is not None
    ours.close()
    held.renew()
    held.let_go()


def test_health_says_that_another_server_has_taken_the_history_and_when_it_has_gone(
    start_system: Callable[..., AgentSystem], postgres_url: str, cut: Callable[[], None], raw: Engine
) -> None:
    system = start_system(database_url=postgres_url, health_interval_s=0.1)
    until(lambda: system.health().status == "healthy")
    # one that waits for the lock has it before the monitor looks
    with raw.connect() as other:
        taking = threading.Thread(target=other.execute, args=[text(f"SELECT pg_advisory_lock({ADVISORY_KEY})")])
        taking.start()
        with raw.connect() as looking:
            waiting = text("SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND NOT granted")
            until(lambda: looking.execute(waiting).scalar() == 1)
        cut()
        taking.join(10)
        until(lambda: system.health().status == "unhealthy")
        assert any("Another server has taken the history" in problem for problem in system.health().problems)
    until(lambda: system.health().status == "healthy")


def held_by(engine: Engine) -> int:
    found = holder(engine.url)
    assert found is not None
    return found.pid


def until(true: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 15
    while not true():
        assert time.monotonic() < deadline
        threading.Event().wait(0.01)
