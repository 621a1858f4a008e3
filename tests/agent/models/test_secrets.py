"""The key is in the request's header, and nowhere else: no message, no repr, no line, no traceback."""

import io
import logging
import traceback
from collections.abc import Iterator

import pytest
from rich.console import Console
from rich.traceback import Traceback

from bench.provider import Reply, Request
from callboard.errors import ConfigurationError, TaskError
from callboard.logs import QUIET
from tests.agent.models.conftest import KEY, Bench, call


def everything(error: BaseException) -> str:
    """Return all that a log could show of an error: its chain, with the local variables of every frame of ours."""
    out = io.StringIO()
    trace = error.__traceback__
    while trace is not None and "/agent/models/" not in trace.tb_frame.f_code.co_filename.replace("/tests/agent", ""):
        trace = trace.tb_next  # a test's own frames know the key
    shown = Traceback.from_exception(
        type(error), error, trace, show_locals=True, locals_max_string=10_000, locals_max_length=1000
    )
    Console(file=out, width=400).print(shown)
    plain = "".join(traceback.format_exception(error))
    chain = []
    link: BaseException | None = error
    while link is not None:
        chain.append(f"{link!r} {vars(link)}")
        link = link.__cause__ or link.__context__
    return out.getvalue() + plain + "".join(chain)


@pytest.fixture
def lines(caplog: pytest.LogCaptureFixture) -> Iterator[pytest.LogCaptureFixture]:
    """Every line, of the vendors' too, in full."""
    with caplog.at_level(logging.DEBUG):
        for name in ("openai", "anthropic", "httpx2", "httpcore2"):
            caplog.set_level(logging.DEBUG, logger=name)
        yield caplog


def echo(request: Request) -> Reply:
    return Reply(status=401, message=f"Incorrect API key provided: {request.key}. You sent {dict(request.headers)}")


FAULTS = {
    "echoed": echo,
    "masked": Reply(status=401, message=f"Incorrect API key provided: {KEY[:8]}****{KEY[-4:]}."),
    "echoed and retried": lambda request: Reply(status=500, message=f"{request.key} broke me"),
    "in a stream": lambda request: Reply(text="x", fault="error_event", message=f"bad {request.key}"),
    "in a refusal": lambda request: Reply(refusal=f"I will not use {request.key}"),
    "hang": Reply(fault="hang"),
    "reset": Reply(text="x", fault="reset"),
    "garbage": Reply(fault="garbage"),
}


@pytest.mark.parametrize("name", FAULTS)
def test_no_failure_shows_the_key(bench: Bench, lines: pytest.LogCaptureFixture, name: str) -> None:
    model = bench.model(FAULTS[name], llm_retries=1)  # type: ignore[arg-type]
    with pytest.raises(TaskError) as caught:
        model.complete(call(0.5 if name == "hang" else 20))
    assert bench.provider.requests[0].key == KEY
    assert KEY not in everything(caught.value)
    assert KEY not in lines.text
    if name == "masked":
        assert KEY[:8] not in caught.value.message
    if "echoed" in name:
        assert "[hidden]" in caught.value.message


def test_no_success_shows_the_key(bench: Bench, lines: pytest.LogCaptureFixture) -> None:
    model = bench.model(Reply(text="42"))
    answer = model.complete(call())
    assert KEY not in repr(answer) + repr(model) + repr(vars(model)) + lines.text


@pytest.mark.parametrize("wrong", [{"llm_base_url": "ftp://x"}, {"llm_model": ""}, {"llm_api_key": f"{KEY}\n é"}])
def test_no_wrong_setting_shows_the_key(bench: Bench, wrong: dict[str, str]) -> None:
    with pytest.raises(ConfigurationError) as caught:
        bench.model(**wrong)
    assert KEY not in everything(caught.value)


@pytest.mark.parametrize("name", ["openai", "anthropic", "httpx2"])
def test_the_vendors_loggers_are_silent_below_warnings(name: str) -> None:
    assert QUIET[name] >= logging.WARNING
