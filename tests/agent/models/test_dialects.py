"""What is one vendor's own: fields that some endpoints refuse, pictures, errors within a stream."""

import base64
from collections.abc import Callable
from typing import Any

import pytest

from bench.provider import Reply, Request
from callboard import Settings
from callboard.agent.models import Image, Message
from callboard.errors import TaskError
from tests.agent.models.conftest import Bench, call

PNG = b"\x89PNG\r\n\x1a\n"


OPENAI = pytest.mark.parametrize("bench", ["openai"], indirect=True)
ANTHROPIC = pytest.mark.parametrize("bench", ["anthropic"], indirect=True)


def refuses(name: str, message: str, status: int = 400) -> Callable[[Request], Reply]:
    def answer(request: Request) -> Reply:
        return Reply(status=status, message=message) if name in request.json else Reply(text="42")

    return answer


@OPENAI
@pytest.mark.parametrize(
    ("status", "message"),
    [(400, "unknown field stream_options"), (422, "body.stream_options: extra fields"), (400, "Bad request.")],
)
def test_an_endpoint_that_refuses_stream_options_is_asked_without(bench: Bench, status: int, message: str) -> None:
    model = bench.model(refuses("stream_options", message, status))
    answer = model.complete(call())
    assert (answer.text, answer.tries) == ("42", 1)
    assert answer.estimated  # no counts without them
    model.complete(call())
    assert ["stream_options" in request.json for request in bench.provider.requests] == [True, False, False]


@OPENAI
@pytest.mark.parametrize("known", ["max_tokens", "max_completion_tokens"])
def test_the_limit_goes_by_the_name_that_the_endpoint_takes(bench: Bench, known: str) -> None:
    other = {"max_tokens": "max_completion_tokens", "max_completion_tokens": "max_tokens"}[known]
    model = bench.model(refuses(other, f"Unsupported parameter: '{other}'. Use '{known}' instead."))
    model.complete(call(max_tokens=99))
    model.complete(call(max_tokens=99))
    assert bench.provider.requests[-1].json[known] == 99
    assert bench.provider.count <= 3


@OPENAI
def test_an_endpoint_that_refuses_both_is_asked_without_either(bench: Bench) -> None:
    def picky(request: Request) -> Reply:
        for name in ("max_tokens", "stream_options"):
            if name in request.json:
                return Reply(status=400, message=f"unknown field {name}")
        return Reply(text="42")

    assert bench.model(picky).complete(call()).text == "42"


@OPENAI
def test_a_request_that_is_refused_either_way_is_told_with_the_first_words(bench: Bench) -> None:
    model = bench.model(Reply(status=400, message="The context is too long."), Reply(status=400, message="other"))
    with pytest.raises(TaskError, match=r"The context is too long\.") as caught:
        model.complete(call())
    assert caught.value.code == "model_rejected"
    assert bench.provider.count == 2


@OPENAI
def test_counts_that_come_with_the_last_words_are_read(bench: Bench) -> None:
    answer = bench.model(Reply(text="42", usage=(12, 3))).complete(call())
    assert (answer.use.read, answer.use.written, answer.estimated) == (12, 3, False)


@OPENAI
@pytest.mark.parametrize("code", [502, 429])
def test_an_error_in_a_stream_may_have_a_number(bench: Bench, code: int) -> None:
    reply = Reply(text="x", fault="error_event", message="upstream", error_code=code)
    with pytest.raises(TaskError) as caught:
        bench.model(reply, llm_retries=0).complete(call())
    assert caught.value.code == {502: "model_unavailable", 429: "model_rate_limited"}[code]
    assert str(code) in caught.value.message


@OPENAI
def test_a_policys_refusal_before_an_answer_is_one(bench: Bench) -> None:
    reply = Reply(status=400, error_type="content_policy_violation", message="Not this.")
    with pytest.raises(TaskError, match=r"declined to answer: Not this\.") as caught:
        bench.model(reply).complete(call())
    assert caught.value.code == "model_refused"


@ANTHROPIC
@pytest.mark.parametrize(
    ("kind", "code"),
    [
        ("overloaded_error", "model_unavailable"),
        ("rate_limit_error", "model_rate_limited"),
        ("invalid_request_error", "model_rejected"),
        ("authentication_error", "model_rejected"),
        ("api_error", "model_unavailable"),
    ],
)
def test_an_error_in_a_stream_has_a_type(bench: Bench, kind: str, code: str) -> None:
    reply = Reply(text="x", fault="error_event", error_type=kind, message="so it is")
    with pytest.raises(TaskError, match="so it is") as caught:
        bench.model(reply, llm_retries=0).complete(call())
    assert caught.value.code == code


def test_pictures_are_encoded_as_either_api_has_them(bench: Bench) -> None:
    message = Message(role="user", text="What is this?", images=(Image(media_type="image/png", data=PNG),))
    bench.model().complete(call(messages=(message,)))
    content = bench.provider.requests[0].json["messages"][0]["content"]
    data = base64.b64encode(PNG).decode()
    pictures: dict[str, Any] = {
        "openai": {"type": "image_url", "image_url": {"url": f"data:image/png;base64,{data}"}},
        "anthropic": {"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": data}},
    }
    assert content == [pictures[bench.dialect], {"type": "text", "text": "What is this?"}]


def test_the_vendors_own_addresses_are_used_where_none_is_set(
    bench: Bench, make_settings: Callable[..., Settings]
) -> None:
    model = bench.model(llm_base_url="")
    host = {"openai": "api.openai.com", "anthropic": "api.anthropic.com"}[bench.dialect]
    client = model._api.dialect._client  # type: ignore[attr-defined]
    assert client.base_url.host == host
