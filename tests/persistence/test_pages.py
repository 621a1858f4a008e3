"""A list reads the beginning of what is long, says so, and ends its pages where they are large; nothing longer gets into a row."""

from typing import TYPE_CHECKING, Any

import pytest
from pydantic_core import to_json
from sqlalchemy.dialects import postgresql

from callboard.limits import ERROR_CHARS, EVENT_BYTES, EVENT_OUTPUT_CHARS, METADATA_BYTES, PAGE_BYTES, SHOWN_CHARS
from callboard.messages.events import Topic
from callboard.messages.records import RecordEvents
from callboard.messages.tasks import ListTasks, Status
from callboard.persistence.searching import page
from callboard.persistence.store import SqlStore
from tests.samples import sample

if TYPE_CHECKING:
    from tests.persistence.conftest import Maker

LONG = 100_000


@pytest.mark.parametrize(
    ("output", "shown"),
    [
        ("x" * LONG, "x" * (SHOWN_CHARS - 61) + f"… [{LONG - SHOWN_CHARS + 61:,} more characters left out]"),
        ("\U0001f600" * LONG, "\U0001f600" * (SHOWN_CHARS - 61) + f"… [{LONG - SHOWN_CHARS + 61:,} more characters left out]"),
        (["x"] * LONG, ('["x",' + '"x",' * LONG)[: SHOWN_CHARS - 60] + f"… [{4 * LONG + 1 - SHOWN_CHARS + 60:,} more characters left out]"),
        ("x" * 10, "x" * 10),
        ({"a": [1, 2.0, None]}, {"a": [1, 2.0, None]}),
        (None, None),
    ],
    ids=["text", "wide text", "list", "short text", "short object", "none"],
)  # fmt: skip
def test_a_list_has_the_beginning_of_an_output_and_the_task_the_whole(
    store: SqlStore, make: "Maker", output: Any, shown: Any
) -> None:
    one = make.acceptance()
    store.writer.write([one, make.start(one), make.result(one, output=output)])
    [listed] = store.reader.tasks(ListTasks()).tasks
    whole = store.reader.task(one.task.task_id)
    assert (listed.output, whole.output) == (shown, output)
    assert (listed.cut, whole.cut) == (frozenset() if shown == output else {"output"}, frozenset())


@pytest.mark.parametrize("text", ['"' * LONG, "\\" * LONG, "\x01" * LONG, "é\n" * LONG, "\U0001f600\U0001f600a" * LONG])
def test_a_cut_never_breaks_a_character_or_an_escape(store: SqlStore, make: "Maker", text: str) -> None:
    one = make.acceptance()
    store.writer.write(
        [one, make.start(one), make.result(one, output=text, metadata={"rounds": 1, "printed": text + "."})]
    )
    [listed] = store.reader.tasks(ListTasks()).tasks
    for shown in (listed.output, listed.metadata["printed"]):
        assert text.startswith(shown[: shown.rindex("…")])
        assert len(shown) <= SHOWN_CHARS
    assert listed.metadata["rounds"] == 1
    assert listed.cut == {"output", "metadata"}


def test_a_page_of_long_tasks_ends_at_its_bytes_and_goes_on(store: SqlStore, make: "Maker") -> None:
    accepted = [make.acceptance(task="\x01" * LONG) for _ in range(60)]
    store.writer.write(accepted)
    found: list[str] = []
    cursor = None
    sizes = []
    while True:
        some = store.reader.tasks(ListTasks(limit=100, cursor=cursor))
        found += [task.task_id for task in some.tasks]
        sizes.append(sum(len(to_json(task.task.spec.task)) for task in some.tasks))
        if (cursor := some.next_cursor) is None:
            break
    assert found == [one.task.task_id for one in reversed(accepted)]
    assert max(sizes) <= PAGE_BYTES
    assert len(sizes) > 1


def test_the_database_gives_no_more_of_a_task_than_a_list_shows(store: SqlStore, make: "Maker") -> None:
    one = make.acceptance(task="t" * LONG, system_prompt="p" * 20_000, labels={"a": "b" * 1000})
    metadata = {"printed": "p" * LONG}
    store.writer.write([one, make.start(one), make.result(one, output="o" * LONG, error="e" * LONG, metadata=metadata)])
    with store.reader._connection() as connection:
        [row] = connection.execute(page(ListTasks())).all()
    assert all(len(value) <= SHOWN_CHARS for value in row if isinstance(value, str | bytes | dict))


def test_on_postgresql_the_same_is_asked_in_its_words() -> None:
    asked = str(page(ListTasks()).compile(dialect=postgresql.dialect()))  # type: ignore[no-untyped-call]  # SQLAlchemy's own
    assert "substr(CAST(tasks.output AS TEXT)" in asked
    assert "tasks.output," not in asked.replace("CAST(tasks.output", "")


def test_nothing_longer_than_its_limit_gets_into_a_row_whoever_writes_it(store: SqlStore, make: "Maker") -> None:
    one = make.acceptance()
    at = make.now
    huge = {"result": [["a" * 1000] * 1000] * 10, "skill": "c" * 1_000_000, "error": "e" * LONG}
    flood = tuple(sample(Topic.SKILL_COMPLETED, at, duration_ms=1.5, **huge) for _ in range(3))
    end = sample(Topic.TASK_COMPLETED, at, output=["o" * 1000] * 1000)
    metadata = {"rounds": 2, "notes": {str(n): "n" * LONG for n in range(50)}, "printed": "p" * LONG}
    store.writer.write([one, make.start(one), RecordEvents(task_id=one.task.task_id, attempt=1, events=flood)])
    store.writer.write(
        [make.result(one, Status.FAILED, error="e" * LONG, metadata=metadata, output="p" * LONG, events=(end,))]
    )
    whole = store.reader.task(one.task.task_id)
    assert len(whole.error or "") <= ERROR_CHARS
    assert len(to_json(whole.metadata)) <= METADATA_BYTES
    assert (whole.metadata["rounds"], whole.output) == (2, "p" * LONG)
    assert "left out" in whole.metadata["printed"], "the output has it already"
    log = store.reader.events(one.task.task_id).events
    assert max(len(to_json(event.data)) for event in log) <= EVENT_BYTES
    assert all(event.data["truncated"] for event in log[1:-1])
    assert log[-1].data["outputTruncated"]
    assert len(log[-1].data["output"]) <= EVENT_OUTPUT_CHARS
