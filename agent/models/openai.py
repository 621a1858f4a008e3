"""Any endpoint that speaks OpenAI's chat completions, streamed: OpenAI, GLM, vLLM, Ollama, OpenRouter and more.

They differ in what they take. `stream_options` is left out for good once an endpoint has refused it, and the limit of
tokens goes by the name that it accepts. In the thread of the call. Imported by `building.py`, when chosen.
"""

import base64
from collections.abc import Iterator
from typing import Any

from callboard.agent.models.base import Message, ModelCall
from callboard.agent.models.dialect import End, Part, field, text_field
from callboard.agent.models.vendors import Key, client_options, vendor_module
from callboard.agent.models.watch import Watch

BASE_URL = "https://api.openai.com/v1"

_ENDS: dict[str, End] = {"length": "cut", "content_filter": "refused"}
_LIMITS = ("max_completion_tokens", "max_tokens")
_REFUSED_FIELD = (400, 422)


class OpenAIDialect:
    """Asks one endpoint. Several threads at once: what was learnt of it is replaced, never changed."""

    def __init__(self, *, base_url: str, key: Key) -> None:
        self._vendor = vendor_module("openai")
        options = client_options(base_url or BASE_URL, key, "Authorization", "Bearer {}")
        self._client = self._vendor.OpenAI(**options)
        # Only OpenAI itself has given up the old name; many others know no other.
        self._limit = _LIMITS[0] if base_url in ("", BASE_URL) else _LIMITS[1]
        self._counts: bool | None = None  # whether it takes stream_options; None: not known yet

    def parts(self, call: ModelCall, model: str, watch: Watch) -> Iterator[Part]:
        with self._open(call, model, watch) as stream:
            for chunk in stream:
                yield Part(
                    text=_delta(chunk, "content"),
                    refusal=_delta(chunk, "refusal"),
                    end=_end(chunk),
                    read=field(chunk, "usage", "prompt_tokens"),
                    written=field(chunk, "usage", "completion_tokens"),
                    cached=field(chunk, "usage", "prompt_tokens_details", "cached_tokens"),
                )

    def _open(self, call: ModelCall, model: str, watch: Watch) -> Any:
        """Send the request; where a field is refused, send it again in another way, and remember what was taken."""
        counts, limit = self._counts is not False, self._limit
        first = None
        while True:
            try:
                stream = self._send(call, model, counts=counts, limit=limit)
            except self._vendor.APIStatusError as error:
                first = first or error
                changed = self._change(error, counts, limit)
                if changed is None:
                    raise first from None
                counts, limit = changed
                watch.answered = False
            else:
                self._counts, self._limit = counts, limit
                return stream

    def _change(self, error: Any, counts: bool, limit: str) -> tuple[bool, str] | None:
        """Return what to send instead, None where the refusal is about something else. Each field changes once."""
        if error.status_code not in _REFUSED_FIELD:
            return None
        said = str(error)
        if limit in said and limit == self._limit:
            return counts, _LIMITS[1 - _LIMITS.index(limit)]
        if counts and ("stream_options" in said or self._counts is None):
            return False, limit
        return None

    def _send(self, call: ModelCall, model: str, *, counts: bool, limit: str) -> Any:
        messages = [_message(message) for message in call.messages]
        body = {"model": model, "messages": messages, limit: call.max_tokens, "stream": True}
        if counts:
            body["stream_options"] = {"include_usage": True}
        # PERF: `chat.completions.create` takes 1 ms more, for walking both through types that nothing here needs
        stream_cls = self._vendor.Stream[object]
        return self._client.post("/chat/completions", cast_to=object, body=body, stream=True, stream_cls=stream_cls)

    def close(self) -> None:
        self._client.close()


def _message(message: Message) -> dict[str, Any]:
    if not message.images:
        return {"role": message.role, "content": message.text}
    pictures = [
        {"type": "image_url", "image_url": {"url": f"data:{i.media_type};base64,{base64.b64encode(i.data).decode()}"}}
        for i in message.images
    ]
    return {"role": message.role, "content": [*pictures, {"type": "text", "text": message.text}]}


def _choice(chunk: Any) -> Any:
    choices = field(chunk, "choices")
    return choices[0] if isinstance(choices, list) and choices else None


def _delta(chunk: Any, name: str) -> str:
    return text_field(_choice(chunk), "delta", name)


def _end(chunk: Any) -> End:
    reason = text_field(_choice(chunk), "finish_reason")
    return _ENDS.get(reason, "stop") if reason else ""
