"""The last hour by minutes."""

import math
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from callboard.actors.minutes import MINUTES, Durations, Minutes
from callboard.messages.health import Backlog, Ending
from callboard.messages.tasks import Status

NOON = datetime(2026, 1, 1, 12, 0, tzinfo=UTC)


def nearest_rank(values: list[float], percent: float) -> float:
    return sorted(values)[max(1, math.ceil(len(values) * percent / 100)) - 1]


@given(values=st.lists(st.floats(0.001, 1e9), min_size=1, max_size=200), percent=st.sampled_from([50, 95, 99]))
def test_a_percentile_is_at_most_five_percent_off(values: list[float], percent: float) -> None:
    durations = Durations()
    for value in values:
        durations.add(value)
    found = durations.percentile(percent)
    assert found is not None
    true = nearest_rank(values, percent)
    assert abs(found - true) <= 0.05 * true + 0.0005, "and it is rounded to a thousandth"


def test_however_many_durations_come_they_take_a_few_hundred_buckets() -> None:
    durations = Durations()
    for exponent in range(-9, 12):
        for digit in range(1, 1000):
            durations.add(digit / 100 * 10.0**exponent)
    assert len(durations._buckets) < 400


def test_one_duration_is_told_exactly_and_none_is_none() -> None:
    durations = Durations()
    assert durations.percentile(50) is None
    durations.add(123.456)
    assert [durations.percentile(percent) for percent in (50, 95, 99)] == [123.456] * 3
    durations.add(0.0)
    assert durations.percentile(50) == 0.001


def test_an_hour_has_sixty_points_and_the_last_is_the_minute_under_way() -> None:
    minutes, now = Minutes(), NOON + timedelta(seconds=30)
    minutes.accept(NOON)
    minutes.accept(NOON - timedelta(microseconds=1))
    minutes.accept(NOON - timedelta(minutes=59))
    minutes.accept(NOON - timedelta(minutes=59, microseconds=1))  # an hour and a half minute ago
    points = minutes.points(now)
    assert len(points) == MINUTES
    assert [point.at for point in points] == [NOON - timedelta(minutes=59 - n) for n in range(60)]
    assert [n for n, point in enumerate(points) if point.accepted] == [0, 58, 59]
    assert sum(point.accepted for point in points) == 3


def test_a_point_counts_ends_by_kind_and_has_the_last_look_at_the_backlog() -> None:
    minutes = Minutes()
    for status, took_ms in (
        (Status.COMPLETED, 1.0), (Status.COMPLETED, 3.0), (Status.FAILED, 2.0), (Status.CANCELLED, 5e6),
    ):  # fmt: skip
        minutes.end(Ending(at=NOON, status=status, worked_ms=took_ms, elapsed_ms=10 * took_ms))
    minutes.end(Ending(at=NOON, status=Status.FAILED, worked_ms=None, elapsed_ms=40.0))
    minutes.sample(NOON, Backlog(pending=9, running=9))
    minutes.sample(NOON + timedelta(seconds=50), Backlog(pending=2, running=1))
    point = minutes.points(NOON)[-1]
    assert (point.completed, point.failed, point.cancelled) == (2, 2, 1)
    assert point.p50_ms == pytest.approx(2.0, rel=0.05)
    assert point.p99_ms == pytest.approx(3.0, rel=0.05)
    assert point.p50_elapsed_ms == pytest.approx(20.0, rel=0.05)
    assert point.p99_elapsed_ms == pytest.approx(40.0, rel=0.05), "one that nobody worked on has waited as well"
    assert (point.queued, point.running) == (2, 1)
    empty = minutes.points(NOON)[-2]
    assert (empty.completed, empty.p50_ms, empty.queued, empty.running) == (0, None, None, None)


def test_what_no_report_shows_any_more_is_forgotten_and_nothing_else() -> None:
    minutes = Minutes()
    for minute in range(120):
        minutes.accept(NOON + timedelta(minutes=minute))
    now = NOON + timedelta(minutes=119, seconds=59)
    before = minutes.points(now)
    minutes.forget(now)
    assert minutes.points(now) == before
    assert len(minutes._minutes) == MINUTES
