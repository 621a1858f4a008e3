"""What a session keeps, and when it can be deleted."""

from collections.abc import Callable
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest

from callboard.conversation import SessionRecord, Turn, as_read
from callboard.errors import SessionBusy, SessionNotFound
from callboard.limits import CONVERSATION_READ_CHARS
from callboard.messages.records import RecordSessionDeleted
from callboard.persistence.store import SqlStore

if TYPE_CHECKING:
    from tests.persistence.conftest import Maker

DELETE = RecordSessionDeleted(session_id="session")


def said(text: str) -> tuple[Turn, Turn]:
    return Turn(role="user", content=f"{text}?"), Turn(role="assistant", content=text)


def contents(session: SessionRecord | None) -> list[str]:
    return [] if session is None else [turn.content for turn in session.conversation]


Use = Callable[..., None]


@pytest.fixture
def use(store: SqlStore, make: "Maker") -> Use:
    """Return a function that has a task of the session end, which leaves these turns and fields."""

    def end_a_task(*turns: Turn, **fields: Any) -> None:
        accepted = make.acceptance()
        store.writer.write([accepted, make.result(accepted, attempt=0, session=make.left("session", *turns, **fields))])

    return end_a_task


def test_a_session_reads_back_as_it_was_left(store: SqlStore, make: "Maker", use: Use) -> None:
    turns = (Turn(role="user", content="Hej 𝄞"), Turn(role="assistant", content=""))
    use(*turns, variables=("x", "y"), interpreter=bytes(range(256)), tasks=3)
    kept = tuple(replace(turn, number=n, task_id="task-00000001") for n, turn in enumerate(turns, start=1))
    left = make.session(conversation=kept, variables=("x", "y"), tasks=3)
    assert store.reader.session("session") == left
    assert store.reader.session_of_task("session") == replace(left, interpreter=bytes(range(256)))
    assert store.reader.session_of_task("another") is None


def test_each_task_adds_its_turns_and_the_oldest_beyond_the_limit_go(store: SqlStore, use: Use) -> None:
    for text in ("a", "b", "c"):
        use(*said(text), most_turns=5)
    kept = store.reader.session("session").conversation
    assert [(turn.number, turn.content) for turn in kept] == [(2, "a"), (3, "b?"), (4, "b"), (5, "c?"), (6, "c")]
    use(*said("d"), most_turns=2)
    assert contents(store.reader.session("session")) == contents(store.reader.session_of_task("session")) == ["d?", "d"]


def test_turns_of_two_tasks_in_one_batch_are_numbered_in_order(store: SqlStore, make: "Maker") -> None:
    first, second = make.acceptance(), make.acceptance()
    ends = [
        make.result(each, attempt=0, session=make.left("session", *said(each.task.task_id))) for each in (first, second)
    ]
    store.writer.write([first, second, *ends])
    assert [turn.task_id for turn in store.reader.session("session").conversation] == [first.task.task_id] * 2 + [
        second.task.task_id
    ] * 2


def test_a_task_that_leaves_the_variables_alone_does_not_write_them(store: SqlStore, use: Use) -> None:
    use(interpreter=b"1", variables=("x",), tasks=1)
    use(tasks=2)
    found = store.reader.session_of_task("session")
    assert found is not None
    assert (found.interpreter, found.variables, found.tasks) == (b"1", ("x",), 2)
    use(interpreter=None, variables=())
    assert store.reader.session("session").variables == ()


def test_a_page_of_turns_is_bounded_in_number_and_in_bytes_and_the_next_one_goes_on(store: SqlStore, use: Use) -> None:
    for number in range(60):
        use(*said(f"{number}"), most_turns=200)
    newest = store.reader.session("session")
    assert len(newest.conversation) == 100
    assert newest.next_before == newest.conversation[0].number == 21
    older = store.reader.session("session", newest.next_before)
    assert ([turn.number for turn in older.conversation], older.next_before) == (list(range(1, 21)), None)
    assert store.reader.session("session", 2**80).conversation == newest.conversation
    for _ in range(5):
        use(*said("é" * 99_999), most_turns=200)
    large = store.reader.session("session")
    assert [turn.number for turn in large.conversation] == [126, 127, 128, 129, 130]
    assert sum(len(turn.content.encode()) for turn in large.conversation) <= 1 << 20


def test_a_task_is_given_the_newest_turns_as_far_as_a_planner_reads(store: SqlStore, use: Use) -> None:
    for number in range(100):
        use(*said(f"{number} " + "x" * 99_000), most_turns=10_000)
    found = store.reader.session_of_task("session")
    assert found is not None
    read = contents(found)
    assert CONVERSATION_READ_CHARS - 20_000 < sum(map(len, read)) <= CONVERSATION_READ_CHARS
    assert read[-1].startswith("99 x")
    assert "… [91,063 more characters left out]" in read[-1]
    newest = as_read(reversed(store.reader.session("session").conversation))
    assert newest == found.conversation[-len(newest) :], "what stays in memory is what the store would give"


def test_the_last_task_to_end_decides_what_a_session_keeps(store: SqlStore, make: "Maker") -> None:
    first, second = make.acceptance(), make.acceptance()
    one = make.left(tasks=1, interpreter=b"1")
    make.tick()
    two = make.left(created_at=one.record.created_at, tasks=2, interpreter=b"2")
    store.writer.write([first, second, make.result(first, attempt=0, session=one)])
    store.writer.write([make.result(second, attempt=0, session=two)])
    assert store.reader.session_of_task("session") == two.record


def test_a_session_keeps_the_time_it_began(store: SqlStore, make: "Maker") -> None:
    first, second = make.acceptance(), make.acceptance()
    began = make.left()
    store.writer.write([first, second, make.result(first, attempt=0, session=began)])
    make.tick()
    store.writer.write([make.result(second, attempt=0, session=make.left())])
    assert store.reader.session("session") == make.session(created_at=began.record.created_at)


def test_two_tasks_of_a_session_may_end_in_one_batch(store: SqlStore, make: "Maker") -> None:
    first, second, third = make.acceptance(), make.acceptance(), make.acceptance()
    results = [make.result(a, attempt=0, session=make.left(tasks=n)) for n, a in enumerate((first, second))]
    store.writer.write([first, second, third, *results, make.cancel(third)])
    assert store.reader.session("session").tasks == 1


def test_a_session_whose_first_task_is_under_way_is_empty(store: SqlStore, make: "Maker") -> None:
    accepted = make.acceptance()
    store.writer.write([accepted, make.acceptance()])
    began = accepted.task.created_at
    assert store.reader.session("session") == make.session(created_at=began, updated_at=began)


def test_a_session_whose_only_task_was_cancelled_is_empty(store: SqlStore, make: "Maker") -> None:
    accepted = make.acceptance()
    store.writer.write([accepted, make.cancel(accepted)])
    assert store.reader.session("session") == make.session(created_at=accepted.task.created_at)


def test_a_cancelled_task_leaves_what_its_session_kept(store: SqlStore, make: "Maker") -> None:
    first, second = make.acceptance(), make.acceptance()
    left = make.left(variables=("x",))
    store.writer.write([first, second, make.result(first, attempt=0, session=left)])
    store.writer.write([make.cancel(second)])
    assert store.reader.session("session") == left.record


def test_a_session_without_tasks_is_unknown(store: SqlStore, make: "Maker") -> None:
    store.writer.write([make.acceptance(session_id="another")])
    with pytest.raises(SessionNotFound):
        store.reader.session("session")
    [outcome] = store.writer.write([DELETE])
    assert isinstance(outcome.value, SessionNotFound)


def test_a_session_with_a_task_under_way_cannot_be_deleted(store: SqlStore, make: "Maker") -> None:
    first, second = make.acceptance(), make.acceptance()
    store.writer.write([first])
    assert isinstance(store.writer.write([DELETE])[0].value, SessionBusy)
    store.writer.write([make.result(first, attempt=0, session=make.left()), second, make.start(second)])
    assert isinstance(store.writer.write([DELETE])[0].value, SessionBusy)
    store.writer.write([make.result(second, session=make.left(tasks=2))])
    assert store.writer.write([DELETE])[0].value is None


def test_a_deleted_session_is_unknown_though_its_tasks_stay(store: SqlStore, make: "Maker") -> None:
    accepted = make.acceptance()
    store.writer.write([accepted, make.result(accepted, attempt=0, session=make.left())])
    first, second = store.writer.write([DELETE, DELETE])
    assert first.value is None
    assert isinstance(second.value, SessionNotFound)
    with pytest.raises(SessionNotFound):
        store.reader.session("session")
    assert store.reader.task(accepted.task.task_id).session_id == "session"


def test_a_deleted_session_begins_anew_with_its_next_task(store: SqlStore, make: "Maker") -> None:
    first, second = make.acceptance(), make.acceptance()
    store.writer.write(
        [
            first,
            make.result(first, attempt=0, session=make.left("session", *said("a"), variables=("x",))),
            DELETE,
            second,
        ]
    )
    session = store.reader.session("session")
    assert (session.variables, session.conversation) == ((), ())
    assert session.created_at == second.task.created_at


def test_a_session_whose_files_a_part_of_its_task_works_on_is_not_deleted(store: SqlStore, make: "Maker") -> None:
    """A dead letter that was delegated and is redriven when the first task has ended."""
    first = make.acceptance()
    part = make.acceptance(session_id="own", root_id=first.task.task_id, depth=1)
    store.writer.write([first, make.result(first, attempt=0), part])
    [busy] = store.writer.write([DELETE])
    assert isinstance(busy.value, SessionBusy)
    assert part.task.task_id in busy.value.message
    [_, deleted] = store.writer.write([make.result(part, attempt=0), DELETE])
    assert deleted.value is None
