"""Log lines of ours and of other libraries: one format, one stream, no secrets."""

from __future__ import annotations

import json
import logging
import warnings
from typing import TYPE_CHECKING, Any

import pytest

from callboard.logs import configure_logging, get_logger, write_line

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path


pytestmark = pytest.mark.usefixtures("logging_as_before")


@pytest.fixture
def configure(make_settings: Callable[..., Any]) -> Callable[..., None]:
    """Return a function for the test to call: pytest gives each phase a standard error of its own."""
    return lambda **settings: configure_logging(make_settings(**{"log_format": "json", **settings}))


@pytest.fixture
def lines(capsys: pytest.CaptureFixture[str]) -> Callable[[], list[dict[str, Any]]]:
    return lambda: [json.loads(line) for line in capsys.readouterr().err.splitlines()]


def test_our_lines_are_json_with_their_fields(configure: Any, lines: Any) -> None:
    configure()
    get_logger("callboard.thing").info("it happened", task_id="t1", count=3)
    (line,) = lines()
    assert line.pop("timestamp").endswith("Z")
    assert line == {
        "event": "it happened", "level": "info", "logger": "callboard.thing", "task_id": "t1", "count": 3,
    }  # fmt: skip


def test_lines_of_the_standard_librarys_logging_look_the_same(configure: Any, lines: Any) -> None:
    configure()
    logging.getLogger("waitress").warning("careful with %s", "that")
    (line,) = lines()
    assert (line["event"], line["level"], line["logger"]) == ("careful with that", "warning", "waitress")
    assert line["timestamp"].endswith("Z")


def test_an_exception_is_one_line(configure: Any, lines: Any) -> None:
    configure()
    try:
        raise ValueError("first\nsecond")
    except ValueError as error:
        get_logger("callboard.x").error("failed", exc_info=error)
        logging.getLogger("other").exception("failed too")
    ours, other = lines()
    assert "ValueError: first\nsecond" in ours["exception"]
    assert "Traceback" in other["exception"]


def test_secrets_are_hidden_by_their_name_and_inside_addresses(configure: Any, lines: Any) -> None:
    configure()
    get_logger("callboard.x").info("start", api_key="k1", llm_api_key="k2", Authorization="k3", password="k4")
    logging.getLogger("y").warning("cannot reach %s", "postgresql://user:k5@host/db")
    text = json.dumps(lines())
    assert not any(secret in text for secret in ("k1", "k2", "k3", "k4", "k5"))
    assert "postgresql://user:[hidden]@host/db" in text


def test_lines_go_on_when_somebody_closes_what_they_are_written_to(
    configure: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shared = (tmp_path / "log").open("w")
    monkeypatch.setattr("sys.stderr", shared)
    configure()
    shared.close()
    get_logger("callboard.x").info("first")
    with warnings.catch_warnings():
        warnings.simplefilter("default")
        warnings.warn("second", UserWarning, stacklevel=1)
    write_line('{"event": "third"}')
    events = [json.loads(line)["event"] for line in (tmp_path / "log").read_text().splitlines()]
    assert (events[0], events[2], "second" in events[1]) == ("first", "third", True)


def test_lines_below_the_level_are_not_written(configure: Any, lines: Any) -> None:
    configure(log_level="warning")
    get_logger("callboard.x").info("quiet")
    logging.getLogger("waitress.queue").warning("Task queue depth is 1")
    get_logger("callboard.x").warning("loud")
    assert [line["event"] for line in lines()] == ["loud"]


def test_configuring_again_does_not_write_lines_twice(configure: Any, lines: Any) -> None:
    configure()
    configure()
    get_logger("callboard.x").info("once")
    assert len(lines()) == 1


def test_on_a_terminal_lines_are_for_people(configure: Any, capsys: pytest.CaptureFixture[str]) -> None:
    configure(log_format="console")
    get_logger("callboard.x").info("it happened", task_id="t1")
    err = capsys.readouterr().err
    assert "it happened" in err
    assert "task_id" in err
    assert not err.startswith("{")
