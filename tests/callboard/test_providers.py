"""What a provider is called, and what is said to whoever writes whose models they are instead."""

import re
from collections.abc import Callable
from pathlib import Path

import pytest

from callboard import Settings
from callboard.agent.models.loading import load_model
from callboard.errors import ConfigurationError
from callboard.providers import OFFERS, SPOKEN, Offer, spoken, unread
from tests.callboard.in_process import in_process
from tests.docs.documents import ROOT, rows

NAMES = [(name, offer) for offer in OFFERS for name in (offer.title, *offer.names)]


@pytest.mark.parametrize(("name", "offer"), [entry for entry in NAMES if entry[0].lower() not in SPOKEN], ids=str)
def test_whose_models_they_are_is_answered_with_the_lines_to_write(
    make_settings: Callable[..., Settings], monkeypatch: pytest.MonkeyPatch, name: str, offer: Offer
) -> None:
    monkeypatch.setenv("CALLBOARD_LLM_PROVIDER", name)
    with pytest.raises(ConfigurationError) as refused:
        Settings.load()
    said = refused.value.message
    assert f"CALLBOARD_LLM_PROVIDER: is {name!r}: for {offer.title} write CALLBOARD_LLM_PROVIDER=" in said
    written = dict(re.findall(r"CALLBOARD_(LLM_[A-Z_]+)=(\S+)", said))
    load = {key.lower(): value for key, value in written.items()}
    model = load_model(make_settings(**load))  # what it says to write is taken
    assert model is not None
    model.close()


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("olama", "did you mean Ollama? Then write CALLBOARD_LLM_PROVIDER=openai CALLBOARD_LLM_BASE_URL="),
        ("LM_Studio", "for LM Studio write"),
        ("opnai", "did you mean OpenAI? Then write CALLBOARD_LLM_PROVIDER=openai CALLBOARD_LLM_MODEL="),
        ("anthropc", "did you mean Anthropic? Then write CALLBOARD_LLM_PROVIDER=anthropic"),
        ("built in", "for the built-in planner write CALLBOARD_LLM_PROVIDER=offline"),
        ("none", "CALLBOARD_LLM_PROVIDER=offline"),
        ("my own", "it can be offline, openai, anthropic"),
        ("x" * 500, f"is '{'x' * 64}'; it can be"),
    ],
)
def test_other_values_are_answered_with_what_was_meant(text: str, said: str) -> None:
    with pytest.raises(ValueError, match=r"write CALLBOARD_LLM_PROVIDER=") as refused:
        spoken(text)
    assert said in str(refused.value)


@pytest.mark.parametrize("text", ["OpenAI", " anthropic ", "OFFLINE"])
def test_a_provider_may_be_written_in_any_case(text: str) -> None:
    assert spoken(text) == text.strip().lower()
    assert Settings.model_validate({"llm_provider": text}).llm_provider == text.strip().lower()


def test_the_second_provider_is_answered_with_its_own_settings(tmp_path: Path) -> None:
    done = in_process("serve", home=tmp_path, CALLBOARD_LLM_FALLBACK_PROVIDER="ollama")
    assert (done.returncode, done.stdout) == (78, "")
    assert "for Ollama write CALLBOARD_LLM_FALLBACK_PROVIDER=openai CALLBOARD_LLM_FALLBACK_BASE_URL=http://127.0.0.1:11434/v1 CALLBOARD_LLM_FALLBACK_MODEL=" in done.stderr  # fmt: skip


def test_names_without_our_prefix_are_told_with_what_to_write() -> None:
    told = unread({"LLM_PROVIDER": "ollama", "LLM_MODEL": "x", "LLM_API_KEY": "", "CALLBOARD_LLM_MODEL": "y"})
    assert list(told) == ["LLM_PROVIDER"]
    assert "for Ollama write CALLBOARD_LLM_PROVIDER=openai" in told["LLM_PROVIDER"]
    assert unread({"LLM_PROVIDER": "openai", "LLM_MODEL": "x"}) == {
        "LLM_PROVIDER": "write CALLBOARD_LLM_PROVIDER",
        "LLM_MODEL": "write CALLBOARD_LLM_MODEL",
    }


def test_the_document_has_the_same_table() -> None:
    documented = {cells[0]: [cell.strip("`") for cell in cells[1:4]] for cells in rows(ROOT / "docs" / "models.md")}
    for offer in OFFERS:
        assert documented[offer.title] == [offer.speaks, offer.base_url or "empty", offer.model], offer.title
