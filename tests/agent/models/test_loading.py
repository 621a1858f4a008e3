"""Which model the settings name, what they cannot name, and what is imported for it."""

import subprocess
import sys
from collections.abc import Callable
from typing import Any

import pytest

from callboard import Settings
from callboard.agent.models.api_model import ApiModel
from callboard.agent.models.fallback import Fallback
from callboard.agent.models.loading import load_model
from callboard.errors import ConfigurationError
from tests.agent.models.conftest import Bench, call

OWN = {"llm_provider": "openai", "llm_base_url": "http://127.0.0.1:9/v1", "llm_model": "m"}


def test_the_offline_planner_needs_no_model(make_settings: Callable[..., Settings]) -> None:
    assert load_model(make_settings()) is None


@pytest.mark.parametrize(
    ("changes", "named"),
    [
        ({"llm_model": ""}, "CALLBOARD_LLM_MODEL is empty; name one of its models"),
        (
            {"llm_model": "", "llm_base_url": "http://127.0.0.1:11434/v1/"},
            "write CALLBOARD_LLM_MODEL=qwen2.5-coder:7b, or another",
        ),
        (
            {"llm_api_key": "", "llm_base_url": "https://openrouter.ai/api/v1"},
            "CALLBOARD_LLM_API_KEY is empty, and OpenRouter asks for a key; write CALLBOARD_LLM_API_KEY=",
        ),
        (
            {"llm_api_key": "", "llm_base_url": "", "llm_provider": "anthropic"},
            r"Anthropic asks for a key.*\(its own variable, such as ANTHROPIC_API_KEY, is not read\)",
        ),
        ({"llm_base_url": "127.0.0.1:11434"}, "CALLBOARD_LLM_BASE_URL"),
        ({"llm_base_url": "http://"}, "CALLBOARD_LLM_BASE_URL"),
        ({"llm_base_url": "http://me:secret@127.0.0.1/v1"}, "CALLBOARD_LLM_API_KEY"),
        ({"llm_base_url": ""}, "CALLBOARD_LLM_API_KEY"),
        ({"llm_api_key": "a b"}, "CALLBOARD_LLM_API_KEY"),
        ({"llm_input_price": 1.0}, "CALLBOARD_LLM_OUTPUT_PRICE"),
        ({"llm_fallback_provider": "anthropic"}, "CALLBOARD_LLM_FALLBACK_MODEL"),
        ({"llm_fallback_provider": "anthropic", "llm_fallback_model": "x"}, "CALLBOARD_LLM_FALLBACK_API_KEY"),
        ({"llm_provider": "offline", "llm_fallback_provider": "openai"}, "CALLBOARD_LLM_PROVIDER"),
    ],
)
def test_settings_that_cannot_work_are_named(
    make_settings: Callable[..., Settings], changes: dict[str, Any], named: str
) -> None:
    with pytest.raises(ConfigurationError, match=named):
        load_model(make_settings(**{**OWN, **changes}))


@pytest.mark.parametrize("missing", ["openai", "httpx2", "tenacity"])
def test_a_package_that_is_missing_is_named_with_its_extra(
    make_settings: Callable[..., Settings], monkeypatch: pytest.MonkeyPatch, missing: str
) -> None:
    known = set(sys.modules)
    for name in list(sys.modules):
        ours = ("building", "api_model", "fallback")
        if name.split(".")[0] in {missing, "openai"} or name in {f"callboard.agent.models.{our}" for our in ours}:
            monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, missing, None)
    with pytest.raises(ConfigurationError, match=r"pip install -e \S+\[llm\]"):
        load_model(make_settings(**OWN))
    for name in set(sys.modules) - known:  # what was imported beside has the classes of this second import
        del sys.modules[name]


def test_no_vendor_is_imported_before_it_is_chosen() -> None:
    code = (
        "import sys, callboard.agent.models.loading\n"
        "print([n for n in ('openai', 'anthropic', 'httpx2', 'httpcore2', 'genai_prices', 'tenacity') if n in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_another_model_of_the_provider_shares_its_connections(bench: Bench) -> None:
    model = bench.model()
    other = model.named("scripted-2")
    model.complete(call())
    assert other.complete(call()).model == "scripted-2"
    assert other.name == f"{bench.dialect}/scripted-2"
    assert [request.json["model"] for request in bench.provider.requests] == ["scripted-1", "scripted-2"]
    assert bench.provider.connections == 1


def test_an_agents_own_model_takes_the_place_of_the_settings(make_settings: Callable[..., Settings]) -> None:
    model = load_model(make_settings(**OWN), model="mine")
    assert isinstance(model, ApiModel)
    assert model.name == "openai/mine"
    model.close()


def test_a_second_provider_stands_behind_the_first(make_settings: Callable[..., Settings]) -> None:
    behind = {"llm_fallback_provider": "anthropic", "llm_fallback_model": "claude-x", "llm_fallback_api_key": "k"}
    model = load_model(make_settings(**OWN, **behind))
    assert isinstance(model, Fallback)
    assert model.name == "openai/m"
    model.close()


@pytest.mark.parametrize(
    ("name", "setting", "takes"),
    [
        ("gpt-4o", "auto", True),
        ("gpt-4o", "no", False),
        ("my-model", "auto", False),
        ("my-model", "yes", True),
        ("claude-sonnet-4-5", "auto", True),
        ("glm-4.6", "auto", False),
        ("glm-4.6v", "auto", True),
    ],
)
def test_pictures_are_taken_by_name_or_by_setting(
    make_settings: Callable[..., Settings], name: str, setting: str, takes: bool
) -> None:
    model = load_model(make_settings(**{**OWN, "llm_model": name, "llm_images": setting}))
    assert model is not None
    assert model.takes_images is takes
    model.close()
