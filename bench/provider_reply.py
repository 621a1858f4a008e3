"""What the scripted provider is asked and what it answers, in the words of either API.

Shapes: https://platform.openai.com/docs/api-reference/chat-streaming and
https://platform.claude.com/docs/en/build-with-claude/streaming. Immutable values and pure functions; the standard
library only. Imported by `bench/provider.py`.
"""

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, Literal

Dialect = Literal["openai", "anthropic"]
Fault = Literal["", "hang", "stall", "dribble", "reset", "garbage", "no_end", "error_event", "flood"]

_STOPS = {"stop": "end_turn", "length": "max_tokens", "content_filter": "refusal", "tool_calls": "tool_use"}
_MADE = 1_700_000_000


@dataclass(frozen=True)
class Request:
    """One request as it came in; `headers` have lower-case names, `at_s` is of `time.monotonic`."""

    dialect: Dialect
    path: str
    headers: Mapping[str, str]
    body: bytes
    at_s: float

    @cached_property
    def json(self) -> dict[str, Any]:
        found: dict[str, Any] = json.loads(self.body)
        return found

    @property
    def key(self) -> str:
        return self.headers.get("x-api-key") or self.headers.get("authorization", "").removeprefix("Bearer ")

    @property
    def system(self) -> str:
        """The system prompt."""
        if self.dialect == "anthropic":
            return text_of(self.json.get("system", ""))
        return "\n".join(text_of(m["content"]) for m in self.json["messages"] if m["role"] == "system")

    @property
    def turns(self) -> list[tuple[str, str]]:
        """The conversation without the system prompt: role and text."""
        return [(m["role"], text_of(m["content"])) for m in self.json["messages"] if m["role"] != "system"]

    @property
    def last(self) -> str:
        """The text of the last turn."""
        return self.turns[-1][1]


@dataclass(frozen=True, kw_only=True)
class Reply:
    """One answer, or what goes wrong with it.

    `usage` is tokens read and written: None: counted from the texts; `()`: not sent. `fault`:
    `hang` nothing is ever sent; `stall` silence after the first piece; `dribble` a byte every `every_s` seconds;
    `reset` the connection is reset after the first piece; `garbage` a body that is no JSON; `no_end` the body ends
    after the last piece, without the mark of its end; `error_event` an error inside the stream after the first piece;
    `flood` the text again and again until the client has had enough. `thoughts` come in the API's own field for them, `tool` is
    the name of a tool that is called in the API's way, and `stop` any reason at all; `raw` is sent in place of all that, with
    the content type that `headers` name.
    """

    text: str = ""
    piece_chars: int = 40
    usage: tuple[int, ...] | None = None
    cached: int = 0
    stop: str | None = "stop"
    thoughts: str = ""
    tool: str = ""
    raw: bytes = b""
    refusal: str = ""
    status: int = 200
    message: str = "scripted"
    error_type: str = ""
    error_code: str | int | None = None
    headers: Mapping[str, str] = field(default_factory=dict)
    fault: Fault = ""
    every_s: float = 1.0
    delay_s: float = 0.0

    def pieces(self) -> list[str]:
        size = self.piece_chars
        return [self.text[start : start + size] for start in range(0, len(self.text), size)] or [""]

    def counts(self, request: Request) -> dict[str, int] | None:
        """Return the tokens read and written, None where the reply says nothing about them."""
        if self.usage is None:
            return {"read": len(request.body) // 4 + 1, "written": (len(self.text) + len(self.refusal)) // 4 + 1}
        return {"read": self.usage[0], "written": self.usage[1]} if self.usage else None


def rate_limited(retry_after: str | float | None = None) -> Reply:
    """Return a 429; `retry_after` is the header's value, in seconds or as a date."""
    headers = {} if retry_after is None else {"Retry-After": str(retry_after)}
    return Reply(status=429, message="Rate limit reached.", error_type="rate_limit_error", headers=headers)


def text_of(content: Any) -> str:
    """Return the text of a message's content: a string, or parts of which some are text."""
    if isinstance(content, str):
        return content
    return "".join(part.get("text", "") for part in content)


def whole(request: Request, reply: Reply) -> bytes:
    """Return the body of an answer that is not streamed, or of an error."""
    if reply.raw:
        return reply.raw
    shapes = {"openai": (_openai_whole, _openai_error), "anthropic": (_anthropic_whole, _anthropic_error)}
    answer, error = shapes[request.dialect]
    return _json(answer(request, reply) if reply.status < 300 else error(reply))


def frames(request: Request, reply: Reply) -> Iterator[bytes]:
    """Yield the events of a streamed answer, the last piece's included."""
    yield from (_openai_frames if request.dialect == "openai" else _anthropic_frames)(request, reply)


def ending(request: Request, reply: Reply) -> bytes:
    """Return the events that say how the answer has ended."""
    return (_openai_ending if request.dialect == "openai" else _anthropic_ending)(request, reply)


def error_event(request: Request, reply: Reply) -> bytes:
    """Return an event that says that the answer cannot go on."""
    if request.dialect == "openai":
        return _event(_openai_error(reply))
    return _event(_anthropic_error(reply), "error")


def _json(value: Any) -> bytes:
    return json.dumps(value, separators=(",", ":")).encode()


def _event(value: Any, name: str = "") -> bytes:
    return (f"event: {name}\n".encode() if name else b"") + b"data: " + _json(value) + b"\n\n"


def _openai_usage(reply: Reply, counts: dict[str, int]) -> dict[str, Any]:
    return {
        "prompt_tokens": counts["read"],
        "completion_tokens": counts["written"],
        "total_tokens": counts["read"] + counts["written"],
        "prompt_tokens_details": {"cached_tokens": reply.cached},
    }


def _openai_whole(request: Request, reply: Reply) -> dict[str, Any]:
    counts = reply.counts(request)
    said = {"role": "assistant", "content": reply.text, "refusal": reply.refusal or None}
    body = {
        "id": "chatcmpl-1",
        "object": "chat.completion",
        "created": _MADE,
        "model": request.json["model"],
        "choices": [{"index": 0, "message": said, "finish_reason": reply.stop}],
    }
    return body if counts is None else {**body, "usage": _openai_usage(reply, counts)}


def _openai_error(reply: Reply) -> dict[str, Any]:
    return {
        "error": {
            "message": reply.message,
            "type": reply.error_type or "server_error",
            "param": None,
            "code": reply.error_code,
        }
    }


def _openai_chunk(request: Request, choices: list[dict[str, Any]], **more: Any) -> bytes:
    model = request.json["model"]
    chunk = {"id": "chatcmpl-1", "object": "chat.completion.chunk", "created": _MADE, "model": model}
    return _event({**chunk, "choices": choices, **more})


def _openai_delta(request: Request, delta: dict[str, Any], stop: str | None = None) -> bytes:
    return _openai_chunk(request, [{"index": 0, "delta": delta, "finish_reason": stop}])


def _openai_frames(request: Request, reply: Reply) -> Iterator[bytes]:
    yield _openai_delta(request, {"role": "assistant", "content": ""})
    if reply.thoughts:
        yield _openai_delta(request, {"reasoning_content": reply.thoughts})
    if reply.tool:
        function = {"name": reply.tool, "arguments": '{"a": 1}'}
        yield _openai_delta(
            request, {"tool_calls": [{"index": 0, "id": "c1", "type": "function", "function": function}]}
        )
    for piece in reply.pieces():
        yield _openai_delta(request, {"content": piece})
    if reply.refusal:
        yield _openai_delta(request, {"refusal": reply.refusal})


def _openai_ending(request: Request, reply: Reply) -> bytes:
    end = _openai_delta(request, {}, reply.stop)
    counts = reply.counts(request)
    if counts is not None and (request.json.get("stream_options") or {}).get("include_usage"):
        end += _openai_chunk(request, [], usage=_openai_usage(reply, counts))
    return end + b"data: [DONE]\n\n"


def _anthropic_stop(reply: Reply) -> str | None:
    return "refusal" if reply.refusal else _STOPS.get(reply.stop or "", reply.stop)


def _anthropic_read(reply: Reply, counts: dict[str, int]) -> dict[str, int]:
    """Return the tokens read; those that were cached are counted apart, as this API does."""
    return {
        "input_tokens": counts["read"] - reply.cached,
        "cache_read_input_tokens": reply.cached,
        "cache_creation_input_tokens": 0,
    }


def _anthropic_message(request: Request, **more: Any) -> dict[str, Any]:
    return {"id": "msg_1", "type": "message", "role": "assistant", "model": request.json["model"], **more}


def _anthropic_whole(request: Request, reply: Reply) -> dict[str, Any]:
    counts = reply.counts(request)
    content = [{"type": "text", "text": reply.text + reply.refusal}]
    body = _anthropic_message(request, content=content, stop_reason=_anthropic_stop(reply), stop_sequence=None)
    if counts is None:
        return body
    return {**body, "usage": {**_anthropic_read(reply, counts), "output_tokens": counts["written"]}}


def _anthropic_error(reply: Reply) -> dict[str, Any]:
    return {
        "type": "error",
        "error": {"type": reply.error_type or "api_error", "message": reply.message},
        "request_id": "req_1",
    }


def _anthropic_event(name: str, **fields: Any) -> bytes:
    return _event({"type": name, **fields}, name)


def _anthropic_frames(request: Request, reply: Reply) -> Iterator[bytes]:
    counts = reply.counts(request)
    message = _anthropic_message(request, content=[], stop_reason=None, stop_sequence=None)
    if counts is not None:
        message["usage"] = {**_anthropic_read(reply, counts), "output_tokens": 1}
    yield _anthropic_event("message_start", message=message)
    yield _anthropic_event("content_block_start", index=0, content_block={"type": "text", "text": ""})
    yield _anthropic_event("ping")
    if reply.thoughts:
        delta = {"type": "thinking_delta", "thinking": reply.thoughts}
        yield _anthropic_event("content_block_delta", index=0, delta=delta)
    if reply.tool:
        used = {"type": "tool_use", "id": "t1", "name": reply.tool, "input": {}}
        yield _anthropic_event("content_block_start", index=1, content_block=used)
        delta = {"type": "input_json_delta", "partial_json": '{"a": 1}'}
        yield _anthropic_event("content_block_delta", index=1, delta=delta)
    for piece in [*reply.pieces(), *([reply.refusal] if reply.refusal else [])]:
        yield _anthropic_event("content_block_delta", index=0, delta={"type": "text_delta", "text": piece})


def _anthropic_ending(request: Request, reply: Reply) -> bytes:
    counts = reply.counts(request)
    usage = {} if counts is None else {"usage": {"output_tokens": counts["written"]}}
    return (
        _anthropic_event("content_block_stop", index=0)
        + _anthropic_event(
            "message_delta", delta={"stop_reason": _anthropic_stop(reply), "stop_sequence": None}, **usage
        )
        + _anthropic_event("message_stop")
    )
