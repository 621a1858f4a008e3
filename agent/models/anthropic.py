"""Anthropic's messages, streamed. In the thread of the call. Imported by `building.py`, when chosen."""

import base64
import json
from collections.abc import Iterator
from contextlib import closing
from dataclasses import replace
from typing import Any

from callboard.agent.models.base import Message, ModelCall
from callboard.agent.models.content import read_content
from callboard.agent.models.dialect import Part, field, text_field
from callboard.agent.models.endings import end_of
from callboard.agent.models.vendors import Key, client_options, response_type, vendor_module
from callboard.agent.models.watch import Watch

BASE_URL = "https://api.anthropic.com"


class AnthropicDialect:
    """Asks one endpoint. Several threads at once."""

    def __init__(self, *, base_url: str, key: Key) -> None:
        self._vendor = vendor_module("anthropic")
        options = client_options(base_url or BASE_URL, key, "x-api-key", "{}")
        # its spans would hold prompts, where the environment says so
        self._client = self._vendor.Anthropic(open_telemetry=False, **options)
        self._response = response_type()

    def parts(self, call: ModelCall, model: str, watch: Watch) -> Iterator[Part]:  # noqa: ARG002
        system = "\n\n".join(message.text for message in call.messages if message.role == "system")
        messages = [_message(message) for message in call.messages if message.role != "system"]
        body = {"model": model, "max_tokens": call.max_tokens, "messages": messages, "stream": True}
        if system:
            body["system"] = system
        from callboard.agent.models.events import DONE, values

        response = self._client.post("/v1/messages", cast_to=self._response, body=body, stream=True)
        with closing(values(response)) as events:
            for event in events:
                yield Part(done=True) if event is DONE else _part(event)

    def close(self) -> None:
        self._client.close()


def _message(message: Message) -> dict[str, Any]:
    pictures = [
        {
            "type": "image",
            "source": {"type": "base64", "media_type": i.media_type, "data": base64.b64encode(i.data).decode()},
        }
        for i in message.images
    ]
    said = [{"type": "text", "text": message.text}] if message.text.strip() else []  # an empty block is refused
    return {"role": message.role, "content": [*pictures, *said]}


def _part(event: Any) -> Part:
    match field(event, "type"):
        case "message":  # a whole answer in place of a stream
            counts = _counted(field(event, "usage"), written=True)
            content = read_content(field(event, "content"))
            return replace(_ended(event, counts), text=content.text, thoughts=content.thoughts, tool=_tools(event))
        case "message_start":
            return _counted(field(event, "message", "usage"), written=False)
        case "content_block_start" if field(event, "content_block", "type") == "tool_use":
            return Part(tool=f"{text_field(event, 'content_block', 'name')}(")
        case "content_block_delta":
            return _delta(field(event, "delta"))
        case "message_delta":
            counts = _counted(field(event, "usage"), written=True)
            return _ended(field(event, "delta"), counts)
        case "message_stop":
            return Part(done=True)
        case _:
            return Part()


def _delta(delta: Any) -> Part:
    return Part(
        text=text_field(delta, "text"), thoughts=text_field(delta, "thinking"), tool=text_field(delta, "partial_json")
    )


def _ended(said: Any, counts: Part) -> Part:
    reason = field(said, "stop_reason")
    return replace(
        counts,
        end=end_of(reason),
        reason="" if reason is None else str(reason),
        refusal=text_field(said, "stop_details", "explanation"),
    )


def _tools(message: Any) -> str:
    content = field(message, "content")
    used = [item for item in content if field(item, "type") == "tool_use"] if isinstance(content, list) else []
    return "".join(f"{text_field(item, 'name')}({json.dumps(field(item, 'input'))}" for item in used)


def _counted(usage: Any, *, written: bool, **more: Any) -> Part:
    """Return the counts; this API counts the tokens that it had kept, and those it keeps now, apart."""
    read, cached = field(usage, "input_tokens"), field(usage, "cache_read_input_tokens")
    kept = [value for value in (cached, field(usage, "cache_creation_input_tokens")) if isinstance(value, int)]
    return Part(
        read=read + sum(kept) if isinstance(read, int) else read,
        written=field(usage, "output_tokens") if written else None,  # what the start says of it is no count yet
        cached=cached,
        **more,
    )
