"""Which models take pictures, by name."""

import pytest

from callboard.agent.models.pictures import takes_images

SEEING = """
gpt-4o gpt-4o-mini chatgpt-4o-latest gpt-4.1 gpt-4-turbo gpt-5 gpt-5.2-mini o1 o3 o4-mini openai/gpt-4o
claude-3-haiku-20240307 claude-sonnet-4-5 claude-opus-4-1 anthropic/claude-3.5-sonnet
gemini-1.5-pro gemini-2.5-flash google/gemma-3-27b-it gemma3:12b
glm-4v glm-4v-plus glm-4.5v glm-4.6v z-ai/glm-4.5v
qwen2.5-vl-72b-instruct qwen2.5vl:7b qwen-vl-max qwen3-vl:8b qwen2.5-omni-7b
llama3.2-vision:11b meta-llama/llama-3.2-90b-vision-instruct meta-llama/llama-4-maverick
pixtral-12b mistral-small3.1 mistral-medium-3 grok-4 llava:7b minicpm-v moondream internvl3-8b kimi-vl-a3b kimi-k2.5
phi-4-multimodal-instruct amazon/nova-lite-v1
""".split()

BLIND = """
gpt-3.5-turbo gpt-4 gpt-4-turbo-preview gpt-4o-audio-preview gpt-4o-transcribe gpt-oss:20b gpt-oss-120b
o1-mini o1-preview o3-mini
claude-2.1 claude-instant-1.2 gemini-1.0-pro gemma2:9b gemma3:1b gemma3:270m
glm-4 glm-4-plus glm-4.5 glm-4.5-air glm-4.6 qwen2.5-coder:7b qwen3:8b qwq-32b llama3.1:8b llama3.2:3b
mistral-7b mixtral-8x7b mistral-small-24b deepseek-chat deepseek-r1 kimi-k2-0905 phi-4 scripted-1 my-model
""".split()


@pytest.mark.parametrize("model", SEEING)
def test_these_take_pictures(model: str) -> None:
    assert takes_images(model)


@pytest.mark.parametrize("model", BLIND)
def test_these_are_not_known_to(model: str) -> None:
    assert not takes_images(model)
