"""Whose models people connect, by the names that they give them, and the settings that connect each.

`CALLBOARD_LLM_PROVIDER` names what an API speaks; people write who offers it. docs/models.md has this table, and a test
compares. Pure functions over constants; any thread; imported by the settings and by `agent/models/building.py`.
"""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from difflib import get_close_matches

SPOKEN = ("offline", "openai", "anthropic")
"""The values of CALLBOARD_LLM_PROVIDER."""

_ALIKE = 0.75


@dataclass(frozen=True, slots=True, kw_only=True)
class Offer:
    """Somebody's models, or a program that serves some: what they speak, at which address, one of them, and whether it asks for a key.

    `names` are what people may call it, beside `title`; a part of `base_url` or `model` in capitals is to be filled in.
    """

    title: str
    names: tuple[str, ...]
    base_url: str
    model: str
    speaks: str = "openai"
    needs_key: bool = True

    def settings(self, prefix: str = "CALLBOARD_LLM_") -> Iterator[str]:
        """Yield the settings that connect it, as they are written in an environment."""
        yield f"{prefix}PROVIDER={self.speaks}"
        if self.base_url:
            yield f"{prefix}BASE_URL={self.base_url}"
        yield f"{prefix}MODEL={self.model}"
        if self.needs_key:
            yield f"{prefix}API_KEY=..."


def _here(title: str, port: str, model: str, *names: str) -> Offer:
    return Offer(title=title, names=names, base_url=f"http://127.0.0.1:{port}", model=model, needs_key=False)


OFFERS = (
    Offer(title="OpenAI", names=("gpt", "chatgpt"), base_url="", model="gpt-5-mini"),
    Offer(title="Anthropic", names=("claude",), base_url="", model="claude-sonnet-4-5", speaks="anthropic"),
    _here("Ollama", "11434/v1", "qwen2.5-coder:7b"),
    _here("vLLM", "8000/v1", "MODEL"),
    _here("LM Studio", "1234/v1", "MODEL"),
    _here("llama.cpp", "8080/v1", "MODEL", "llama-cpp", "llama-server", "llama"),
    _here("LocalAI", "8080/v1", "MODEL"),
    _here("SGLang", "30000/v1", "MODEL"),
    _here("LiteLLM", "4000/v1", "MODEL", "litellm-proxy"),
    Offer(title="OpenRouter", names=(), base_url="https://openrouter.ai/api/v1", model="z-ai/glm-4.6"),
    Offer(
        title="Google Gemini",
        names=("gemini", "google", "google-genai", "googleai"),
        base_url="https://generativelanguage.googleapis.com/v1beta/openai",
        model="gemini-2.5-flash",
    ),
    Offer(
        title="Azure OpenAI",
        names=("azure", "azure-ai", "azure-foundry"),
        base_url="https://RESOURCE.openai.azure.com/openai/v1",
        model="DEPLOYMENT",
    ),
    Offer(
        title="Amazon Bedrock",
        names=("bedrock", "aws", "aws-bedrock"),
        base_url="https://bedrock-runtime.REGION.amazonaws.com/openai/v1",
        model="openai.gpt-oss-120b-1:0",
    ),
    Offer(title="Mistral", names=("mistralai",), base_url="https://api.mistral.ai/v1", model="mistral-large-latest"),
    Offer(title="DeepSeek", names=(), base_url="https://api.deepseek.com/v1", model="deepseek-chat"),
    Offer(title="Groq", names=(), base_url="https://api.groq.com/openai/v1", model="llama-3.3-70b-versatile"),
    Offer(
        title="Together",
        names=("together-ai",),
        base_url="https://api.together.xyz/v1",
        model="meta-llama/Llama-3.3-70B-Instruct-Turbo",
    ),
    Offer(title="Fireworks", names=("fireworks-ai",), base_url="https://api.fireworks.ai/inference/v1", model="MODEL"),
    Offer(title="xAI", names=("x-ai", "grok"), base_url="https://api.x.ai/v1", model="grok-4"),
    Offer(
        title="GLM (Z.ai)", names=("zai", "glm"), base_url="https://api.z.ai/api/paas/v4", model="glm-4.6"
    ),
    Offer(
        title="GLM (Zhipu, mainland China)",
        names=("zhipu", "zhipuai", "bigmodel", "chatglm"),
        base_url="https://open.bigmodel.cn/api/paas/v4",
        model="glm-4-plus",
    ),
    Offer(title="Moonshot", names=("kimi",), base_url="https://api.moonshot.ai/v1", model="kimi-k2-0905-preview"),
    Offer(
        title="Qwen (Alibaba Cloud)",
        names=("qwen", "dashscope", "alibaba", "tongyi"),
        base_url="https://dashscope-intl.aliyuncs.com/compatible-mode/v1",
        model="qwen-plus",
    ),
)  # fmt: skip
"""Everybody's table, in the order of docs/models.md."""


def spoken(text: str, prefix: str = "CALLBOARD_LLM_") -> str:
    """Return what a value of `<prefix>PROVIDER` says that is spoken; raise `ValueError` with what to write instead.

    It is one of `SPOKEN`, in whatever case, or empty.
    """
    value = text.strip().lower()
    if not value or value in SPOKEN:
        return value
    known = {_bare(name): offer for offer in OFFERS for name in (offer.title, *offer.names)}
    offline = {_bare(name): None for name in ("offline", "none", "off", "built-in", "no")}
    near = get_close_matches(_bare(value), [*known, *offline], n=1, cutoff=_ALIKE)
    if not near:
        raise ValueError(
            f"is {text[:64]!r}; it can be {', '.join(SPOKEN)}. For an API that speaks OpenAI's chat completions, as nearly all "
            f"do, write {prefix}PROVIDER=openai with its address in {prefix}BASE_URL; docs/models.md has the lines of many"
        )
    offer = {**known, **offline}[near[0]]
    whose = "the built-in planner" if offer is None else offer.title
    lines = f"{prefix}PROVIDER=offline" if offer is None else " ".join(offer.settings(prefix))
    asked = f": for {whose}" if near[0] == _bare(value) else f"; did you mean {whose}? Then"
    raise ValueError(f"is {text[:64]!r}{asked} write {lines}")


def spoken_second(text: str) -> str:
    """Return what `spoken` does, of the second provider."""
    return spoken(text, "CALLBOARD_LLM_FALLBACK_")


def unread(environment: Mapping[str, str]) -> dict[str, str]:
    """Return the variables that mean a model and lack our prefix, so that nothing reads them, with what to do about each."""
    found = {
        name: f"write CALLBOARD_{name}"
        for name in ("LLM_PROVIDER", "LLM_BASE_URL", "LLM_MODEL", "LLM_API_KEY")
        if environment.get(name) and not environment.get(f"CALLBOARD_{name}")
    }
    if "LLM_PROVIDER" in found:
        try:
            spoken(environment["LLM_PROVIDER"])
        except ValueError as error:
            found["LLM_PROVIDER"] = f"it {error}"
    return found


def offer_at(speaks: str, base_url: str) -> Offer | None:
    """Return whose API is at an address, the vendor's own where it is empty; None where that is not known."""
    same = (offer for offer in OFFERS if offer.speaks == speaks and offer.base_url == base_url.rstrip("/"))
    return next(same, None)


def _bare(name: str) -> str:
    """Return a name without what people write differently: LM-Studio, lm_studio and LM Studio are one."""
    return re.sub(r"[^a-z0-9]", "", name.lower())
