"""How an answer ended, in one vocabulary for all APIs. Pure. Imported by the adapters.

Rule: an answer is whole only where its API says so in a word that is known to mean that. An unknown word is a failure.
Sources: the API references of OpenAI, Anthropic, Z.ai, DeepSeek, Mistral, Gemini, OpenRouter and Bedrock, and the source of vLLM,
SGLang and Text Generation Inference.
"""

from typing import Literal

End = Literal["", "stop", "cut", "refused", "tools", "context", "failed", "unknown"]
"""`cut`: at its limit of tokens; `tools`: to have tools called that nobody offered; `context`: at the model's context window;
`failed`: by a fault of the API's, which may pass; nothing: it has not ended."""

_WORDS: dict[End, str] = {
    "stop": "stop end_turn stop_sequence eos eos_token complete completed",
    "cut": "length max_tokens max_output_tokens model_length",
    "refused": "content_filter content_filtered sensitive refusal safety recitation blocklist prohibited_content spii "
    "guardrail_intervened moderation",
    "tools": "tool_calls tool_call tool_use function_call",
    "context": "model_context_window_exceeded context_length_exceeded context_window_exceeded",
    "failed": "network_error insufficient_system_resource error abort timeout cancelled",
}
_ENDS: dict[str, End] = {word: end for end, words in _WORDS.items() for word in words.split()}


def end_of(reason: object) -> End:
    """Return what a finish reason means; nothing where there is none."""
    if reason is None or reason == "":
        return ""
    return _ENDS.get(reason.strip().lower(), "unknown") if isinstance(reason, str) else "unknown"
