"""Any endpoint that speaks OpenAI's chat completions, streamed: OpenAI, GLM, vLLM, Ollama, OpenRouter and more.

They differ in what they take. `stream_options` is left out for good once an endpoint has refused it, and the limit of
tokens goes by the name that it accepts. In the thread of the call. Imported by `building.py`, when chosen.
"""

import base64
from collections.abc import Iterator
from contextlib import closing
from dataclasses import replace
from typing import Any

from callboard.agent.models.base import Message, ModelCall
from callboard.agent.models.content import read_content, read_thoughts
from callboard.agent.models.dialect import Part, field, text_field
from callboard.agent.models.endings import end_of
from callboard.agent.models.vendors import Key, client_options, response_type, vendor_module
from callboard.agent.models.watch import Watch

BASE_URL = "https://api.openai.com/v1"

_LIMITS = ("max_completion_tokens", "max_tokens")
_REFUSED_FIELD = (400, 422)


class OpenAIDialect:
    """Asks one endpoint. Several threads at once: what was learnt of it is replaced, never changed."""

    def __init__(self, *, base_url: str, key: Key) -> None:
        self._vendor = vendor_module("openai")
        options = client_options(base_url or BASE_URL, key, "Authorization", "Bearer {}")
        self._client = self._vendor.OpenAI(**options)
        self._response = response_type()
        # Only OpenAI itself has given up the old name; many others know no other.
        self._limit = _LIMITS[0] if base_url in ("", BASE_URL) else _LIMITS[1]
        self._counts: bool | None = None  # whether it takes stream_options; None: not known yet

    def parts(self, call: ModelCall, model: str, watch: Watch) -> Iterator[Part]:
        from callboard.agent.models.events import DONE, values

        with closing(values(self._open(call, model, watch))) as chunks:
            for chunk in chunks:
                yield Part(done=True) if chunk is DONE else _part(chunk)

    def _open(self, call: ModelCall, model: str, watch: Watch) -> Any:
        """Send the request; where a field is refused, send it again in another way, and remember what was taken."""
        counts, limit = self._counts is not False, self._limit
        first = None
        while True:
            try:
                response = self._send(call, model, counts=counts, limit=limit)
            except self._vendor.APIStatusError as error:
                first = first or error
                changed = self._change(error, counts, limit)
                if changed is None:
                    raise first from None
                counts, limit = changed
                watch.answered = False
            else:
                self._counts, self._limit = counts, limit
                return response

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
        # the answer as it comes: the vendor's own reading knows neither errors with status 200 nor how a stream ended
        return self._client.post("/chat/completions", cast_to=self._response, body=body, stream=True)

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


def _part(chunk: Any) -> Part:
    """Return what a chunk holds, or a whole answer, which has a `message` in place of a `delta`."""
    choices = field(chunk, "choices")
    choice = choices[0] if isinstance(choices, list) and choices else None
    said = field(choice, "delta") or field(choice, "message")
    content, reason = read_content(field(said, "content")), field(choice, "finish_reason")
    return replace(
        content,
        thoughts=read_thoughts(said) + content.thoughts,
        refusal=text_field(said, "refusal") + content.refusal,
        tool=_tool(said),
        end=end_of(reason),
        reason="" if reason is None else str(reason),
        read=field(chunk, "usage", "prompt_tokens"),
        written=field(chunk, "usage", "completion_tokens"),
        cached=field(chunk, "usage", "prompt_tokens_details", "cached_tokens"),
    )


def _tool(said: Any) -> str:
    """Return a piece of a call of a tool: its name, an opening bracket, its arguments."""
    calls = field(said, "tool_calls")
    found = [field(call, "function") for call in calls] if isinstance(calls, list) else []
    named = [*found, field(said, "function_call")]
    return "".join(
        (f"{name}(" if (name := text_field(call, "name")) else "") + text_field(call, "arguments") for call in named
    )
