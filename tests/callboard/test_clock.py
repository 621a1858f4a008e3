"""Ids sort by the time they were made and are valid UUIDs."""

from uuid import UUID

from callboard.clock import Clock, new_id


def test_ids_are_version_7_uuids_that_sort_by_time_and_never_repeat() -> None:
    made = [new_id() for _ in range(20_000)]
    assert len(set(made)) == len(made)
    assert {UUID(one).version for one in made} == {7}
    coarse = [one[:17] for one in made]
    assert coarse == sorted(coarse)


def test_the_clock_tells_utc() -> None:
    assert str(Clock().now().tzinfo) == "UTC"
