"""Which models take pictures, by their names. Pure. Imported by `building.py`.

Sources: the "input modalities" of https://openrouter.ai/models, and the model pages of each vendor. A model that is
not here counts as one that takes none; CALLBOARD_LLM_IMAGES=yes says otherwise.
"""

import re

_TAKE = re.compile(
    r"""
    gpt-4o (?!.*(audio|transcribe|tts|realtime)) | gpt-4\.[1-9] | gpt-4-turbo (?!-preview) | gpt-4-vision | gpt-[5-9]
    | \bo1 (?!-mini|-preview) | \bo3 (?!-mini) | \bo4
    | claude (?!-instant|-[12]\b|-v[12])
    | gemini (?!-1\.0) | gemma-?3 (?!.*(:|-)(270m|1b)\b) | gemma-?[4-9]
    | glm-[4-9](\.\d+)? v | glm-ocr
    | qwen[\d.]*-?(vl|omni) | qwen3\.[5-9]
    | kimi-vl | kimi-k2\.[5-9] | kimi-k[3-9]
    | llama-?3\.2-(11b|90b)?-?vision | llama3\.2-vision | llama-?[4-9]
    | pixtral | mistral-small-?3\.[1-9] | mistral-(medium|large)-?3
    | grok-[4-9] | grok.*vision | phi-?[34].*(vision|multimodal) | nova-(lite|pro|premier)
    | llava | bakllava | minicpm-v | moondream | internvl | granite.*vision | deepseek-vl | deepseek-ocr
    """,
    re.VERBOSE | re.IGNORECASE,
)


def takes_images(model: str) -> bool:
    """Say whether a model of that name is known to take pictures."""
    return _TAKE.search(model) is not None
