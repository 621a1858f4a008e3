"""The two rules of what one caller may take: places, and turns."""

from __future__ import annotations

import threading
from collections import Counter
from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from callboard.shares import FairOrder, FewAtOnce, Places, may_take


def test_who_is_alone_has_seven_eighths_and_another_one_finds_a_place() -> None:
    for most, share in ((500, 437), (64, 56), (24, 21), (4, 3), (2, 1), (1, 1)):
        places = Places(most)
        while places.take("one"):
            pass
        assert places.held_by("one") == share
        assert places.take("another") is (most > 1)


def test_where_there_are_none_nobody_gets_one() -> None:
    assert not Places(0).take("one")


@given(st.integers(1, 200), st.integers(1, 60))
def test_of_many_who_take_what_they_get_none_has_more_than_another_by_much(most: int, callers: int) -> None:
    places = Places(most)
    took = True
    while took:
        took = sum(places.take(str(caller)) for caller in range(callers)) > 0
    held = [places.held_by(str(caller)) for caller in range(callers)]
    assert max(held) - min(held) <= 1
    if callers * 8 <= most:
        assert places.take("a newcomer")


@given(st.lists(st.tuples(st.sampled_from("abcdef"), st.booleans()), max_size=200), st.integers(0, 20))
def test_places_are_counted_right_whatever_is_taken_and_left(steps: list[tuple[str, bool]], most: int) -> None:
    places, held = Places(most), Counter[str]()
    for caller, take in steps:
        if take:
            got = places.take(caller)
            assert got is may_take(held[caller], most - held.total())
            held[caller] += got
        elif held[caller]:
            places.leave(caller)
            held[caller] -= 1
        assert places.taken == held.total() <= most
        assert places.held_by(caller) == held[caller]


@given(st.lists(st.sampled_from("abc"), min_size=1, max_size=100))
def test_those_of_one_caller_have_their_turn_in_the_order_they_came(callers: list[str]) -> None:
    order = FairOrder()
    turns = [(order.turn_of(caller), caller) for caller in callers]
    for one in "abc":
        assert all(a < b for a, b in pairwise(turn for turn, caller in turns if caller == one))


def test_one_that_waits_alone_has_its_turn_behind_one_of_a_crowd() -> None:
    order = FairOrder()
    crowd = [order.turn_of("crowd") for _ in range(400)]
    for turn in crowd[:100]:
        order.reached(turn)
    assert crowd[100] == order.turn_of("one")


def test_callers_that_have_had_their_turns_are_forgotten() -> None:
    order = FairOrder()
    for n in range(10_000):
        order.reached(order.turn_of(f"caller {n}"))
    assert len(order._last) < 1000


def test_one_caller_does_a_few_at_once_and_another_one_does_not_wait_for_it() -> None:
    turns, most, at_once, held = FewAtOnce(2), 0, 0, threading.Lock()
    both, over = threading.Barrier(3, timeout=10), threading.Event()

    def work() -> None:
        nonlocal most, at_once
        with turns.of("one"):
            with held:
                at_once += 1
                most = max(most, at_once)
            if not over.is_set():
                both.wait()
                over.wait(10)
            with held:
                at_once -= 1

    crowd = [threading.Thread(target=work) for _ in range(20)]
    for one in crowd:
        one.start()
    both.wait()  # two of them are in
    with turns.of("another"), turns.of(""):
        over.set()
    for one in crowd:
        one.join(10)
    assert (most, turns._of) == (2, {})
