"""Anthropic's messages, streamed. In the thread of the call. Imported by `building.py`, when chosen."""

import base64
from collections.abc import Iterator
from typing import Any

from callboard.agent.models.base import Message, ModelCall
from callboard.agent.models.dialect import End, Part, field, text_field
from callboard.agent.models.vendors import Key, client_options, vendor_module
from callboard.agent.models.watch import Watch

BASE_URL = "https://api.anthropic.com"

_ENDS: dict[str, End] = {"max_tokens": "cut", "model_context_window_exceeded": "cut", "refusal": "refused"}


class AnthropicDialect:
    """Asks one endpoint. Several threads at once."""

    def __init__(self, *, base_url: str, key: Key) -> None:
        self._vendor = vendor_module("anthropic")
        options = client_options(base_url or BASE_URL, key, "x-api-key", "{}")
        # its spans would hold prompts, where the environment says so
        self._client = self._vendor.Anthropic(open_telemetry=False, **options)

    def parts(self, call: ModelCall, model: str, watch: Watch) -> Iterator[Part]:  # noqa: ARG002
        system = "\n\n".join(message.text for message in call.messages if message.role == "system")
        messages = [_message(message) for message in call.messages if message.role != "system"]
        body = {"model": model, "max_tokens": call.max_tokens, "messages": messages, "stream": True}
        if system:
            body["system"] = system
        # PERF: like OpenAI's; `messages.create` takes longer, for types that nothing here needs
        stream_cls = self._vendor.Stream[object]
        with self._client.post("/v1/messages", cast_to=object, body=body, stream=True, stream_cls=stream_cls) as stream:
            for event in stream:
                yield _part(event)

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
        case "message_start":
            return _counted(field(event, "message", "usage"), written=False)
        case "content_block_delta" if field(event, "delta", "type") == "text_delta":
            return Part(text=text_field(event, "delta", "text"))
        case "message_delta":
            reason = text_field(event, "delta", "stop_reason")
            return _counted(
                field(event, "usage"),
                written=True,
                end=_ENDS.get(reason, "stop") if reason else "",
                refusal=text_field(event, "delta", "stop_details", "explanation"),
            )
    return Part()


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
