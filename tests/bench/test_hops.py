"""The way of a request is read from who woke whom, though others were woken in between."""

from bench.hops import STARTED, way_to_the_answer


def test_the_way_goes_back_from_the_answer_to_the_request() -> None:
    wakes = [
        ("loop", "waitress"),
        ("waitress", "Gateway"),
        (STARTED, "Gateway"),
        ("Gateway", "ResultLogger"),
        ("ResultLogger", "MasterAgent"),
        ("ResultLogger", "waitress"),
        ("waitress", "loop"),
        ("ResultLogger", "EventBus"),
    ]
    assert way_to_the_answer(wakes) == ["loop", "waitress", "Gateway", "ResultLogger", "waitress", "loop"]
