"""One server at a time works on a history, and a dead one's hold is gone with it."""

import contextlib
import os
import subprocess
import sys
import threading
import time
import traceback
from collections.abc import Callable
from pathlib import Path

import pytest
from sqlalchemy import Engine, NullPool, create_engine, make_url, text

from callboard import AgentSystem, CancelTask, Settings
from callboard.errors import CallboardError, ConfigurationError, StoreUnavailable
from callboard.persistence.backup import back_up
from callboard.persistence.claim import claim, is_claimed
from callboard.persistence.doctor import examine
from callboard.persistence.file_claim import FileClaim
from callboard.persistence.postgresql_claim import ADVISORY_KEY, PostgresqlClaim, holder
from callboard.persistence.reading import open_reader
from callboard.persistence.store import SqlStore
from tests.callboard.harness import Gates, code, submit

HOLDER = """
import sys
from callboard import Settings
from callboard.persistence.claim import claim
held = claim(Settings(data_dir=sys.argv[1]))
print("held", flush=True)
sys.stdin.read()
"""


def assert_said_once(error: Exception) -> None:
    """See that a program which lets it through ends with one traceback, whose last line is the sentence."""
    told = "".join(traceback.format_exception(error))
    assert told.count("Traceback") == 1, told
    assert "BlockingIOError" not in told


def test_a_second_server_on_the_same_history_is_refused_and_touches_nothing(
    start_system: Callable[..., AgentSystem], make_settings: Callable[..., Settings]
) -> None:
    first = start_system()
    task_id = first.execute("What is 2 + 2?").task_id
    with pytest.raises(
        ConfigurationError, match=r"Another server is at work on the history .*callboard\.db: it is this"
    ) as caught:
        AgentSystem.start(make_settings())
    assert_said_once(caught.value)
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
        with pytest.raises(ConfigurationError) as caught:
            claim(settings)
        assert_said_once(caught.value)
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


def test_a_start_that_is_refused_puts_nothing_in_the_place_of_a_file_that_was_moved_away(
    make_settings: Callable[..., Settings],
) -> None:
    settings = make_settings()
    held = claim(settings)
    path = settings.require_data_dir() / "callboard.db"
    path.rename(path.with_name("away"))
    with pytest.raises(ConfigurationError, match="Another server"):
        claim(settings)
    assert not path.exists()
    held.let_go()


@pytest.mark.parametrize("how", ["symlink", "hard link", "folder link", "deleted lock", "replaced lock"])
def test_the_hold_is_on_the_database_and_not_on_its_path(make_settings: Callable[..., Settings], how: str) -> None:
    settings = make_settings()
    held = claim(settings)
    path = settings.data_dir / "callboard.db"
    other = settings.data_dir / "other.db"
    if how == "symlink":
        other.symlink_to(path)
    elif how == "hard link":
        other.hardlink_to(path)
    elif how == "folder link":
        (settings.data_dir / "link").symlink_to(settings.data_dir)
        other = settings.data_dir / "link" / path.name
    else:
        path.with_name("callboard.db.lock").unlink()
        other = path
        if how == "replaced lock":
            path.with_name("callboard.db.lock").touch()
    again = make_settings(database_url=f"sqlite:///{other}")
    with pytest.raises(ConfigurationError, match="it is this process itself"):
        claim(again)
    assert is_claimed(again)
    held.renew()
    held.let_go()
    assert not is_claimed(again)
    claim(again).let_go()


def test_a_hold_is_refused_with_the_process_that_has_it(make_settings: Callable[..., Settings]) -> None:
    settings = make_settings()
    with subprocess.Popen(
        [sys.executable, "-c", HOLDER, str(settings.data_dir)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as holder:
        assert holder.stdout is not None
        assert holder.stdout.readline() == "held\n"
        (settings.data_dir / "other.db").hardlink_to(settings.data_dir / "callboard.db")
        with pytest.raises(
            ConfigurationError, match=rf"it is process {holder.pid} \(.*since 20.*`kill {holder.pid}` ends"
        ):
            claim(make_settings(database_url=f"sqlite:///{settings.data_dir}/other.db"))
        holder.kill()


def test_a_database_whose_log_stands_beside_another_name_of_it_is_not_opened_without_it(
    make_settings: Callable[..., Settings],
) -> None:
    settings = make_settings()
    claim(settings).let_go()
    path, other = settings.data_dir / "callboard.db", settings.data_dir / "other.db"
    other.hardlink_to(path)
    claim(make_settings(database_url=f"sqlite:///{other}")).let_go()
    path.with_name("callboard.db-wal").write_bytes(b"what was committed last")
    path.write_bytes(b"a database")
    with pytest.raises(
        ConfigurationError, match=r"are one file, and callboard.db-wal holds .*start the server on .*callboard.db"
    ):
        claim(make_settings(database_url=f"sqlite:///{other}"))
    claim(settings).let_go()


def test_a_copy_of_a_process_has_neither_the_hold_nor_the_use_of_the_store(
    start_system: Callable[..., AgentSystem], make_settings: Callable[..., Settings]
) -> None:
    system = start_system()
    system.execute("What is 2 + 2?")
    claimed = system._claim
    assert isinstance(claimed, FileClaim)
    descriptors = (claimed._name, claimed._database)
    if (pid := os.fork()) == 0:
        status = 1
        try:
            assert all(os.path.samestat(os.fstat(one), Path(os.devnull).stat()) for one in descriptors)
            for use in (
                system._store.reader.ping,
                system._store._transaction.__enter__,
                lambda: system._store.writer.prune_step(older_than=None, keep=1),
            ):
                with contextlib.suppress(StoreUnavailable):
                    use()
                    raise AssertionError
            assert system.stop()
            system._store.close()
            status = 0
        finally:
            os._exit(status)
    assert os.waitpid(pid, 0)[1] == 0
    assert system.execute("What is 3 + 3?").output == 6
    with pytest.raises(ConfigurationError):
        claim(make_settings())


def test_the_database_of_a_running_system_is_opened_by_sqlite_alone(
    start_system: Callable[..., AgentSystem], make_settings: Callable[..., Settings], tmp_path: Path
) -> None:
    system = start_system()
    settings = make_settings()
    identity = (settings.data_dir / "callboard.db").stat()
    opened: list[str] = []

    def note(name: str, args: tuple[object, ...]) -> None:
        if watching and name == "open" and isinstance(args[0], str | bytes | os.PathLike):
            with contextlib.suppress(OSError):
                if os.path.samestat(os.stat(args[0]), identity):  # noqa: PTH116
                    opened.append(os.fsdecode(args[0]))

    watching = True
    sys.addaudithook(note)
    try:
        system.execute("What is 2 + 2?")
        assert is_claimed(settings)
        with pytest.raises(ConfigurationError):
            AgentSystem.start(settings)
        assert all(finding.level != "error" for finding in examine(settings))
        back_up(settings, tmp_path / "copy.db")
        reader = open_reader(settings)
        assert reader is not None
        reader.close()
        with_store = SqlStore.open(settings)
        with_store.close()
        system.health()
        system._probe_store()
    finally:
        watching = False
    assert opened == []


@pytest.fixture
def gates(tmp_path: Path) -> Gates:
    return Gates(tmp_path / "gates")


@pytest.mark.parametrize("how", ["deleted", "replaced"])
def test_work_stops_at_its_next_step_when_the_database_is_another_one(
    start_system: Callable[..., AgentSystem], gates: Gates, how: str
) -> None:
    system = start_system(skills_dir=gates.skills, health_interval_s=0.1)
    file = system.settings.data_dir / "callboard.db"
    task_id = submit(system, code('from skills import gate\ngate("first")\ngate("second")\ngate("third")'))
    gates.wait_entered("first")
    system._claim.renew()
    log = file.with_name("callboard.db-wal")
    file.unlink()
    if how == "replaced":
        file.write_bytes(b"of somebody else")
        log.unlink(missing_ok=True)  # the server, which has seen it by now, may have taken it along
        log.write_bytes(b"their log")
    gates.open("first")
    until(lambda: not system._pool.running)
    assert not (gates.folder / "second.entered").exists()
    until(lambda: any("put it back" in problem for problem in system.health().problems))
    assert system.health().status == "unhealthy"
    with pytest.raises(StoreUnavailable):
        submit(system, "What is 3 + 3?")
    assert not system._pool.running, "none is started either"
    with contextlib.suppress(CallboardError):
        system.gateway.ask(CancelTask(task_id=task_id), timeout_s=30)
    system.stop()
    if how == "replaced":
        assert (file.read_bytes(), log.read_bytes()) == (b"of somebody else", b"their log")
    else:
        assert not file.exists()


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
        with pytest.raises(
            StoreUnavailable, match=r"Another server has taken the history .*has it; end that .*Stop one of them"
        ):
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
        with pytest.raises(StoreUnavailable):
            submit(system, "What is 2 + 2?")
    until(lambda: system.health().status == "healthy")
    assert system.execute("What is 2 + 2?").output == 4


def held_by(engine: Engine) -> int:
    found = holder(engine.url)
    assert found is not None
    return found.pid


def until(true: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 60
    while not true():
        assert time.monotonic() < deadline
        threading.Event().wait(0.01)
