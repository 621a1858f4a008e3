"""Whatever the API does, a call ends in its time, with an answer or with a code that says what happened."""

import re
import threading
import time
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from typing import Any

import pytest

from bench.provider import Provider, Reply, Request, rate_limited, running
from bench.provider_reply import ending, error_event, frames, whole
from callboard.agent.cancel import Cancelled, CancelToken
from callboard.agent.models import Image, Message, TokenUse
from callboard.agent.models.base import Completion
from callboard.agent.models.loading import LoadedModel
from callboard.errors import TaskError
from tests.agent.models.conftest import HELLO, KEY, Bench, Heard, call
from tests.at_once import LATE_S

LONG = "The answer is forty-two, as everybody knows by now. " * 4


def failing(model: LoadedModel, within_s: float = 5.0, **fields: Any) -> TaskError:
    """Return the error of a call, which came in time."""
    began = time.monotonic()
    with pytest.raises(TaskError) as caught:
        model.complete(call(within_s, **fields))
    assert time.monotonic() - began < max(0.0, within_s) + LATE_S
    return caught.value


def test_an_answer_comes_with_its_tokens_and_in_pieces(bench: Bench) -> None:
    heard = Heard()
    answer = bench.model(Reply(text=LONG, usage=(31, 17), cached=8)).complete(call(hear=heard))
    assert answer == Completion(
        text=LONG,
        provider=bench.dialect,
        model="scripted-1",
        use=TokenUse(read=31, written=17, cached=8),
        cost_usd=None,
    )
    assert len(heard.pieces) > 2
    assert "".join(piece or "" for piece in heard.pieces) == LONG


def test_the_messages_arrive_as_they_are(bench: Bench) -> None:
    messages = (
        *HELLO,
        Message(role="assistant", text="36?"),
        Message(role="user", text="No. Näher dran: ∑", images=(Image(media_type="image/png", data=b"\x89PNG"),)),
    )
    bench.model().complete(call(messages=messages, max_tokens=77))
    request = bench.provider.requests[0]
    assert request.system == "Be brief."
    assert request.turns == [("user", HELLO[1].text), ("assistant", "36?"), ("user", "No. Näher dran: ∑")]
    assert request.json["max_tokens"] == 77
    assert request.json["model"] == "scripted-1"
    assert "iVBORw==" in request.body.decode() or "iVBORw" in request.body.decode()


def test_an_answer_that_ends_at_max_tokens_says_so(bench: Bench) -> None:
    answer = bench.model(Reply(text="The answer is", stop="length")).complete(call())
    assert answer.cut
    assert answer.text == "The answer is"


@pytest.mark.parametrize(
    "text",
    [
        "",
        " \n\t",
        "\ufeff",
        "\xa0\u3000",
        "\u2060\u200d\u00ad",
        "```python\n```",
        "</s>",
        "<think>It is 42.</think>",
        "<think>It is 42, because",
    ],
)
def test_an_answer_that_says_nothing_is_none(bench: Bench, text: str) -> None:
    model = bench.model(Reply(text=text))
    error = failing(model)
    assert (error.code, error.retryable, bench.provider.count) == ("model_bad_reply", True, 3)
    model.check()  # the model said nothing; the API is well

    bench.provider.say(Reply(text=text), Reply(text="42"))
    assert model.complete(call()).text == "42"


def test_what_was_paid_in_vain_is_counted(bench: Bench) -> None:
    nothing = Reply(text="", thoughts="Hm.", usage=(20, 5))
    answer = bench.model(nothing, Reply(text="42", usage=(21, 3))).complete(call())
    assert (answer.use.read, answer.use.written, answer.tries) == (41, 8, 2)
    error = failing(bench.model(nothing))
    assert (error.details or {})["tokens"] == (60, 15)


def test_thoughts_in_a_field_of_their_own_are_no_part_of_the_answer(bench: Bench) -> None:
    heard, thought = Heard(), Heard()
    model = bench.model(Reply(text="42", thoughts="Six sevens."))
    answer = model.complete(call(hear=heard, hear_thoughts=thought))
    assert (answer.text, answer.thoughts) == ("42", "Six sevens.")
    assert (heard.pieces, thought.pieces) == (["42"], ["Six sevens."])


def test_thoughts_without_an_answer_are_none(bench: Bench) -> None:
    error = failing(bench.model(Reply(text="", thoughts="Six sevens.")))
    assert (error.code, bench.provider.count) == ("model_bad_reply", 3)
    assert "thought and said nothing" in error.message


def test_thoughts_in_the_text_are_heard_apart_while_they_come(bench: Bench) -> None:
    heard, thought = Heard(), Heard()
    reply = Reply(text="<think>\nSix sevens.\n</think>\n\nIt is 42.", piece_chars=3)
    answer = bench.model(reply).complete(call(hear=heard, hear_thoughts=thought))
    assert (answer.text, answer.thoughts) == ("It is 42.", "Six sevens.")
    assert "".join(piece or "" for piece in heard.pieces).strip() == "It is 42."
    assert "".join(piece or "" for piece in thought.pieces).strip() == "Six sevens."


def test_what_turns_out_to_have_been_thoughts_is_taken_back(bench: Bench) -> None:
    heard = Heard()
    reply = Reply(text="Six sevens.\n</think>\nIt is 42.", piece_chars=3)
    answer = bench.model(reply).complete(call(hear=heard))
    assert (answer.text, answer.thoughts) == ("It is 42.", "Six sevens.")
    assert heard.pieces[-2:] == [None, "It is 42."]


@pytest.mark.parametrize("stop", ["stop", "tool_calls"])
def test_a_call_of_a_tool_is_no_answer_and_is_named(bench: Bench, stop: str) -> None:
    answer = bench.model(Reply(text="Let me see.", tool="calculate", stop=stop)).complete(call())
    assert answer.tools == 'calculate({"a": 1}'


@pytest.mark.parametrize(
    "text", ['<tool_call>{"name": "f"}</tool_call>', "[TOOL_CALLS] f", "<function=f>{}</function>"]
)
def test_a_call_of_a_tool_that_the_server_has_not_read_is_no_answer(bench: Bench, text: str) -> None:
    assert bench.model(Reply(text=text)).complete(call()).tools == text


@pytest.mark.parametrize(
    ("stop", "code", "tries"),
    [
        ("sensitive", "model_refused", 1),
        ("SAFETY", "model_refused", 1),
        ("network_error", "model_unavailable", 3),
        ("insufficient_system_resource", "model_unavailable", 3),
        ("abort", "model_unavailable", 3),
        ("model_context_window_exceeded", "model_context_exceeded", 1),
        ("a_new_word", "model_bad_reply", 3),
        ("pause_turn", "model_bad_reply", 3),
    ],
)
def test_only_an_end_that_is_known_to_be_good_makes_an_answer(bench: Bench, stop: str, code: str, tries: int) -> None:
    error = failing(bench.model(Reply(text="The answer is", stop=stop)))
    assert (error.code, bench.provider.count) == (code, tries)
    assert stop in error.message


def test_a_script_that_is_open_is_cut_where_nobody_says_that_it_is_whole(bench: Bench) -> None:
    assert bench.model(Reply(text="```python\npay(1)\n", stop=None)).complete(call()).cut


def test_an_error_behind_the_end_is_one(bench: Bench) -> None:
    request = Request(dialect=bench.dialect, path="/", headers={}, body=b'{"model": "m"}', at_s=0)  # type: ignore[arg-type]
    late = Reply(text="42", message="worker died late")
    raw = b"".join(frames(request, late)) + ending(request, late).replace(b"data: [DONE]\n\n", b"")
    raw += error_event(request, late)
    error = failing(bench.model(Reply(raw=raw, headers={"Content-Type": "text/event-stream"})))
    assert "worker died late" in error.message


def test_a_very_long_error_is_read_in_no_time(bench: Bench) -> None:
    began = time.process_time()
    error = failing(bench.model(Reply(status=400, message="x" * 100_000)))
    assert len(error.message) < 1000
    assert time.process_time() - began < 2


def test_an_answer_is_whole_where_the_stream_says_that_it_is_over(bench: Bench) -> None:
    assert bench.model(Reply(text="42", stop=None)).complete(call()).text == "42"


def test_a_whole_answer_in_place_of_a_stream_is_one(bench: Bench) -> None:
    request = Request(dialect=bench.dialect, path="/", headers={}, body=b'{"model": "m"}', at_s=0)  # type: ignore[arg-type]
    raw = whole(request, Reply(text="42", usage=(7, 3)))
    answer = bench.model(Reply(raw=raw, headers={"Content-Type": "application/json"})).complete(call())
    assert (answer.text, answer.use) == ("42", TokenUse(read=7, written=3))


@pytest.mark.parametrize("kind", ["application/json", "text/event-stream", "text/plain"])
def test_an_error_with_status_200_is_told_in_the_apis_words(bench: Bench, kind: str) -> None:
    raw = b'{"error": {"code": "7001", "message": "the line is down"}}'
    error = failing(bench.model(Reply(raw=raw, headers={"Content-Type": kind})))
    assert (error.code, bench.provider.count) == ("model_unavailable", 3)
    assert "the line is down" in error.message
    assert "7001" in error.message


@pytest.mark.parametrize(
    ("raw", "code", "words"),
    [
        (b'{"error": {"code": "1301", "message": "unsafe content"}}', "model_refused", "unsafe content"),
        (b'{"error": {"code": "1302", "message": "slow down"}}', "model_rate_limited", "slow down"),
        (b'{"error": {"code": "1261", "message": "Prompt too big"}}', "model_context_exceeded", "Prompt too big"),
        (b'{"error": "model is loading"}', "model_unavailable", "model is loading"),
        (b'{"object": "error", "message": "no such model", "code": 404}', "model_rejected", "no such model"),
        (b'{"detail": "Not authenticated"}', "model_unavailable", "Not authenticated"),
        (b'{"base_resp": {"status_code": 1004, "status_msg": "login fail"}}', "model_unavailable", "login fail"),
        (b"<html><title>Sign in</title></html>", "model_bad_reply", "Sign in"),
        (b"upstream connect error", "model_bad_reply", "upstream connect error"),
        (b"[]", "model_bad_reply", "[]"),
    ],
)
def test_what_is_no_answer_is_told_as_it_came(bench: Bench, raw: bytes, code: str, words: str) -> None:
    error = failing(bench.model(Reply(raw=raw, headers={"Content-Type": "text/plain"})))
    assert error.code == code
    assert words in error.message


@pytest.mark.parametrize(
    "said",
    [
        "This model's maximum context length is 8192 tokens. However, your messages resulted in 8545 tokens.",
        "prompt is too long: 213462 tokens > 200000 maximum",
        "The input token count (1196265) exceeds the maximum number of tokens allowed (1048575)",
        "Please reduce the length of the messages or completion.",
        "the request exceeds the available context size, try increasing it",
        "tokens in request more than max tokens allowed",
        "Prompt contains 66385 tokens, too large for model with 32768 maximum context length",
    ],
)
def test_a_request_that_is_too_long_for_the_model_is_named_so(bench: Bench, said: str) -> None:
    model = bench.model(Reply(text="x"), Reply(status=400, message=said))
    model.complete(call())
    error = failing(model)
    assert (error.code, error.retryable) == ("model_context_exceeded", False)
    assert said[:40] in error.message


@pytest.mark.parametrize(
    ("reply", "code"),
    [
        (Reply(status=500, message="boom"), "model_unavailable"),
        (Reply(status=503), "model_unavailable"),
        (Reply(status=529, error_type="overloaded_error"), "model_unavailable"),
        (Reply(status=408), "model_unavailable"),
        (Reply(status=409), "model_unavailable"),
        (rate_limited(), "model_rate_limited"),
        (rate_limited(0), "model_rate_limited"),
        (Reply(fault="garbage"), "model_bad_reply"),
        (Reply(text=LONG, fault="no_end"), "model_bad_reply"),
        (Reply(text=LONG, fault="reset"), "model_bad_reply"),
        (Reply(text=LONG, fault="error_event", message="overloaded"), "model_unavailable"),
        (Reply(text=LONG, fault="error_event", error_type="rate_limit_error"), "model_rate_limited"),
    ],
)
def test_what_may_pass_is_tried_again_and_then_named(bench: Bench, reply: Reply, code: str) -> None:
    model = bench.model(reply)
    error = failing(model)
    assert error.code == code
    assert error.retryable
    assert bench.provider.count == 3
    assert f"{bench.dialect}/scripted-1" in error.message
    if reply.status != 200:
        assert str(reply.status) in error.message

    bench.provider.say(reply, Reply(text=LONG))
    answer = model.complete(call())
    assert (answer.text, answer.tries) == (LONG, 2)


@pytest.mark.parametrize("status", [400, 401, 403, 404, 413, 422, 302])
def test_what_will_not_pass_is_not_tried_again(bench: Bench, status: int) -> None:
    model = bench.model(Reply(text="x"), Reply(status=status, message="no such thing"))
    model.complete(call())  # from now on it is known what the endpoint takes
    error = failing(model)
    assert error.code == "model_rejected"
    assert not error.retryable
    assert str(status) in error.message
    assert "no such thing" in error.message
    assert bench.provider.count == 2


@pytest.mark.parametrize("status", [401, 403])
def test_a_refused_key_shows_in_health_until_it_is_taken(bench: Bench, status: int) -> None:
    model = bench.model(Reply(status=status), Reply(text="42"))
    model.check()
    assert "CALLBOARD_LLM_API_KEY" in failing(model).message
    with pytest.raises(TaskError, match=str(status)):
        model.check()
    model.complete(call())
    model.check()


def test_an_account_without_money_is_not_asked_again(bench: Bench) -> None:
    error = failing(bench.model(Reply(status=429, error_type="insufficient_quota", message="Pay first.")))
    assert (error.code, bench.provider.count) == ("model_rate_limited", 1)
    assert "Pay first." in error.message


@pytest.mark.parametrize("fault", ["hang", "stall", "dribble"])
def test_a_deadline_holds_whatever_hangs(bench: Bench, fault: Any) -> None:
    model = bench.model(Reply(text=LONG, fault=fault, every_s=0.02))
    began = time.monotonic()
    error = failing(model, within_s=1)
    assert time.monotonic() - began < 1 + LATE_S  # the text would take half a minute
    assert error.code == "model_timeout"
    assert re.search(r"in time, (1|0\.\d+) s;", error.message)  # what was left of the second when it was asked
    assert error.retryable


def test_a_deadline_holds_over_all_tries_together(bench: Bench) -> None:
    model = bench.model(Reply(status=500), Reply(text=LONG, fault="hang"))
    assert failing(model, within_s=0.4).code == "model_timeout"


def test_a_deadline_that_has_passed_sends_nothing(bench: Bench) -> None:
    assert failing(bench.model(), within_s=-1).code == "model_timeout"
    assert bench.provider.count == 0


@pytest.mark.parametrize("fault", ["hang", "stall", "dribble"])
@pytest.mark.parametrize("how", ["cancel", "hand_back"])
def test_a_token_ends_a_call_at_once(bench: Bench, fault: Any, how: str) -> None:
    model = bench.model(Reply(text=LONG, fault=fault, every_s=0.02), llm_retries=0)
    token = CancelToken()
    set_at: list[float] = []

    def stop() -> None:
        bench.provider.wait_for(1)
        set_at.append(time.monotonic())
        getattr(token, how)()

    stopper = threading.Thread(target=stop)
    stopper.start()
    with pytest.raises(Cancelled):
        model.complete(call(30, token=token))
    assert time.monotonic() - set_at[0] < LATE_S
    stopper.join()


def test_a_token_ends_a_pause_between_tries_at_once(bench: Bench) -> None:
    model = bench.model(rate_limited(20))
    token = CancelToken()
    ended: list[float] = []

    def run() -> None:
        with pytest.raises(Cancelled):
            model.complete(call(30, token=token))
        ended.append(time.monotonic())

    thread = threading.Thread(target=run)
    thread.start()
    bench.provider.wait_for(1)
    token.cancel()
    began = time.monotonic()
    thread.join()
    assert ended[0] - began < LATE_S


def test_a_token_that_is_set_already_sends_nothing(bench: Bench) -> None:
    token = CancelToken()
    token.cancel()
    with pytest.raises(Cancelled):
        bench.model().complete(call(token=token))
    assert bench.provider.count == 0


@pytest.mark.parametrize("form", ["seconds", "fraction", "date"])
def test_a_retry_after_is_honoured(bench: Bench, form: str) -> None:
    def limited(_request: Request) -> Reply:
        # a date has whole seconds: 2 s from now are more than 1 s
        date = format_datetime(datetime.now(UTC) + timedelta(seconds=2), usegmt=True)
        return rate_limited({"seconds": "1", "fraction": "0.9", "date": date}[form])

    assert bench.model(limited, Reply(text="42")).complete(call()).tries == 2
    first, second = bench.provider.requests
    assert second.at_s - first.at_s >= 0.9


@pytest.mark.parametrize("status", [429, 503])
def test_a_retry_after_beyond_the_deadline_fails_at_once(bench: Bench, status: int) -> None:
    model = bench.model(Reply(status=status, headers={"Retry-After": "60"}))
    began = time.monotonic()
    error = failing(model, within_s=20)
    assert time.monotonic() - began < LATE_S
    assert error.code == ("model_rate_limited" if status == 429 else "model_unavailable")
    assert "asks to wait 60 s" in error.message
    assert bench.provider.count == 1


def test_a_retry_after_that_says_nothing_is_passed_over(bench: Bench) -> None:
    assert bench.model(rate_limited("soon"), Reply(text="42")).complete(call()).tries == 2


def test_what_was_heard_is_taken_back_before_another_try(bench: Bench) -> None:
    heard = Heard()
    bench.model(Reply(text=LONG, fault="reset"), Reply(text="42")).complete(call(hear=heard))
    assert heard.pieces == [LONG[:40], None, "42"]


def test_nothing_is_taken_back_where_nothing_was_heard(bench: Bench) -> None:
    heard = Heard()
    bench.model(Reply(status=500), Reply(text="42")).complete(call(hear=heard))
    assert heard.pieces == ["42"]


def test_what_a_listener_raises_ends_the_call_as_it_is(bench: Bench) -> None:
    def hear(_text: str | None) -> None:
        raise KeyError("mine")

    with pytest.raises(KeyError):
        bench.model(Reply(text=LONG)).complete(call(hear=hear))
    assert bench.provider.count == 1


@pytest.mark.parametrize(
    ("usage", "read", "written"),
    [
        ((), None, None),
        ((-5, 3), None, 3),
        ((20, -3), 20, None),
        ((10**9, 3), None, 3),
        ((20, 10**9), 20, None),
        ((0, 0), None, None),
    ],
)
def test_wrong_counts_are_estimated(
    bench: Bench, usage: tuple[int, ...], read: int | None, written: int | None
) -> None:
    answer = bench.model(Reply(text=LONG, usage=usage)).complete(call())
    assert answer.estimated
    assert answer.use.read == (read if read is not None else pytest.approx(20, abs=15))
    assert answer.use.written == (written if written is not None else pytest.approx(52, abs=15))


def test_a_refusal_has_the_models_words_and_is_no_answer(bench: Bench) -> None:
    error = failing(bench.model(Reply(text="", refusal="I will not help with that.")))
    assert error.code == "model_refused"
    assert not error.retryable
    assert "I will not help with that." in error.message
    assert bench.provider.count == 1


def test_a_filtered_answer_is_a_refusal(bench: Bench) -> None:
    assert failing(bench.model(Reply(text="Well,", stop="content_filter"))).code == "model_refused"


def test_an_endless_answer_is_ended(bench: Bench) -> None:
    error = failing(bench.model(Reply(text="x" * 20_000, piece_chars=20_000, fault="flood"), llm_retries=0), 20)
    assert error.code == "model_bad_reply"
    assert "1000000" in error.message


def test_nobody_at_the_address_is_unavailable(bench: Bench) -> None:
    with running() as gone:
        url = bench.url_of(gone)
    error = failing(bench.model(llm_base_url=url))
    assert error.code == "model_unavailable"
    assert "127.0.0.1" in error.message
    assert "refused" in error.message


def test_a_reset_before_the_answer_is_unavailable(bench: Bench) -> None:
    def vanish(_request: Request) -> Reply:
        raise OSError("the provider's thread ends here, and the connection with it")

    assert failing(bench.model(vanish)).code == "model_unavailable"


def test_a_connection_that_was_closed_meanwhile_costs_no_try(bench: Bench) -> None:
    model = bench.model(Reply(text="42"))
    model.complete(call())
    port = bench.provider.port
    bench.provider.stop()
    bench.provider = Provider(Reply(text="43"), port=port)
    bench.provider.start()
    answer = model.complete(call())
    assert (answer.text, answer.tries) == ("43", 1)


def test_connections_are_used_again(bench: Bench) -> None:
    model = bench.model()
    for _ in range(5):
        model.complete(call())
    assert bench.provider.connections == 1


def test_several_threads_ask_at_once(bench: Bench) -> None:
    together = threading.Barrier(8, timeout=10)

    def all_at_once(_request: Request) -> Reply:
        together.wait()
        return Reply(text="42")

    model = bench.model(all_at_once)
    answers: list[str] = []
    threads = [threading.Thread(target=lambda: answers.append(model.complete(call()).text)) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert answers == ["42"] * 8


def test_text_that_no_database_holds_is_mended(bench: Bench) -> None:
    heard = Heard()
    answer = bench.model(Reply(text="a\x00b\ud800c")).complete(call(hear=heard))
    assert answer.text == "a\N{REPLACEMENT CHARACTER}b\N{REPLACEMENT CHARACTER}c"
    assert heard.pieces == [answer.text]


def test_only_our_headers_and_the_key_are_sent(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    for vendor in ("OPENAI", "ANTHROPIC"):
        monkeypatch.setenv(f"{vendor}_API_KEY", "from-the-environment")
        monkeypatch.setenv(f"{vendor}_AUTH_TOKEN", "from-the-environment")
        monkeypatch.setenv(f"{vendor}_BASE_URL", "http://127.0.0.1:9/")
        monkeypatch.setenv(f"{vendor}_CUSTOM_HEADERS", "Authorization: from-the-environment\nX-Mine: 1")
        monkeypatch.setenv(f"{vendor}_ORG_ID", "from-the-environment")
        monkeypatch.setenv(f"{vendor}_PROJECT_ID", "from-the-environment")
    for name in ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "http_proxy"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")
    bench.model().complete(call())
    request = bench.provider.requests[0]
    assert "from-the-environment" not in str(request.headers)
    assert request.key == KEY
    own = {"authorization"} if bench.dialect == "openai" else {"x-api-key", "anthropic-version"}
    usual = {"host", "accept", "connection", "content-type", "content-length", "user-agent", "accept-encoding"}
    assert set(request.headers) <= usual | own
    assert request.headers["user-agent"].startswith("Callboard/")


def test_no_key_is_needed_at_an_address_of_ones_own(bench: Bench) -> None:
    bench.model(llm_api_key="").complete(call())
    assert bench.provider.requests[0].key == ""
