"""Settings come from the environment, once, and say what is wrong with them."""

import os
import pwd
import re
from pathlib import Path

import pytest

from callboard.errors import ConfigurationError
from callboard.settings import Settings, foreign_mode, setting_names
from callboard.variables import doubtful_names, open_names, rule_of

DOCUMENT = Path(__file__).parents[2] / "docs" / "configuration.md"


@pytest.fixture(autouse=True)
def empty_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    import os

    for name in list(os.environ):
        if name.startswith("CALLBOARD_") or name in ("API_KEY", "NODE_ENV", "ALLOWED_ORIGINS"):
            monkeypatch.delenv(name)


def test_the_reports_names_are_read(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("API_KEY", "one, two,")
    monkeypatch.setenv("RATE_LIMIT_WINDOW_MS", "30000")
    monkeypatch.setenv("RATE_LIMIT_MAX_REQUESTS", "7")
    monkeypatch.setenv("ALLOWED_ORIGINS", "http://localhost:3000,https://example.com")
    monkeypatch.setenv("NODE_ENV", "production")
    settings = Settings.load()
    assert settings.api_key == ("one", "two")
    assert settings.rate_limit_window_ms == 30_000
    assert settings.rate_limit_max_requests == 7
    assert settings.allowed_origins == ("http://localhost:3000", "https://example.com")
    assert settings.production


def test_our_own_name_of_the_environment_wins(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NODE_ENV", "production")
    monkeypatch.setenv("CALLBOARD_ENV", "development")
    assert not Settings.load().production


def test_every_bad_setting_is_named_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CALLBOARD_PORT", "http")
    monkeypatch.setenv("RATE_LIMIT_WINDOW_MS", "1")
    monkeypatch.setenv("CALLBOARD_TRUSTED_PROXIES", "not-an-address")
    with pytest.raises(ConfigurationError) as caught:
        Settings.load()
    for name in ("CALLBOARD_PORT", "RATE_LIMIT_WINDOW_MS", "CALLBOARD_TRUSTED_PROXIES"):
        assert name in caught.value.message


@pytest.mark.parametrize(
    ("value", "told"),
    [
        ("modelcalls=5", "'modelcalls=5' is none of modelCalls=N, tokens=N"),
        ("costUsd=$2", "'costUsd=$2' does not give a number, such as costUsd=2"),
        ("tokens=2.5", "'tokens=2.5' does not give a whole number"),
        ("tokens=5, modelCalls=-5", "'modelCalls=-5' is not from 0 to 1,000,000,000,000"),
        ("costUsd=nan", "'costUsd=nan' is not from 0 to"),
        ("tokens=5, tokens=6", "'tokens' is there twice; keep one"),
    ],
)
def test_a_budget_that_cannot_be_says_which_part_of_it(monkeypatch: pytest.MonkeyPatch, value: str, told: str) -> None:
    monkeypatch.setenv("CALLBOARD_TASK_BUDGET", value)
    with pytest.raises(ConfigurationError) as caught:
        Settings.load()
    assert f"CALLBOARD_TASK_BUDGET: {told}" in caught.value.message


@pytest.mark.parametrize("value", [",", " , ", " "])
def test_a_key_that_is_set_but_empty_does_not_open_the_server(monkeypatch: pytest.MonkeyPatch, value: str) -> None:
    monkeypatch.setenv("API_KEY", value)
    with pytest.raises(ConfigurationError, match="API_KEY"):
        Settings.load()


@pytest.mark.parametrize("value", ["foo", "example.com", "https://example.com/path"])
def test_an_origin_that_could_never_match_is_refused(monkeypatch: pytest.MonkeyPatch, value: str) -> None:
    monkeypatch.setenv("ALLOWED_ORIGINS", value)
    with pytest.raises(ConfigurationError, match="ALLOWED_ORIGINS"):
        Settings.load()


def test_an_error_does_not_repeat_a_secret(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("API_KEY", "very-secret")
    monkeypatch.setenv("CALLBOARD_PORT", "x")
    with pytest.raises(ConfigurationError) as caught:
        Settings.load()
    assert "very-secret" not in str(caught.value)


def test_a_short_key_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CALLBOARD_SECRET_KEY", "x" * 15 + " ")
    with pytest.raises(ConfigurationError, match=r"CALLBOARD_SECRET_KEY.*16 characters"):
        Settings.load()


def test_secrets_are_not_in_the_repr() -> None:
    settings = Settings(
        api_key=("very-secret",), secret_key="very-secret-indeed", database_url="postgresql://u:very-secret@h/d"
    )
    assert "very-secret" not in repr(settings)


def test_what_skills_read_is_collected(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CALLBOARD_SKILL_SEARXNG_URL", "http://127.0.0.1:8888")
    assert Settings.load().skill_settings == {"searxng_url": "http://127.0.0.1:8888"}


def test_a_misspelt_variable_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CALLBOARD_PROT", "1")
    monkeypatch.setenv("CALLBOARD_PORT", "1")
    monkeypatch.setenv("CALLBOARD_SKILL_X", "1")
    assert doubtful_names(os.environ, setting_names()) == {"CALLBOARD_PROT": "did you mean CALLBOARD_PORT?"}


def _variables() -> dict[str, str]:
    names = {}
    for name, field in Settings.model_fields.items():
        alias = field.validation_alias
        own = f"CALLBOARD_{name.upper()}"
        names[str(alias.choices[0]) if alias is not None and hasattr(alias, "choices") else own] = name
    return names


def test_every_setting_is_documented_and_nothing_else_is() -> None:
    documented = set(re.findall(r"^\| `([A-Z_]+)`", DOCUMENT.read_text(), re.MULTILINE))
    expected = {"CALLBOARD_SKILL_…" if n == "CALLBOARD_SKILL_SETTINGS" else n for n in _variables()}
    assert documented | {"CALLBOARD_SKILL_…"} == expected | {"CALLBOARD_SKILL_…"}


def test_every_documented_default_is_the_real_one() -> None:
    text = DOCUMENT.read_text()
    for variable, name in _variables().items():
        default = Settings.model_fields[name].default
        if isinstance(default, int | float) and not isinstance(default, bool):
            row = next(line for line in text.splitlines() if line.startswith(f"| `{variable}`"))
            assert f"| {default:,}".rstrip("0").rstrip(".").replace(",", "") in row.replace(",", ""), row


PATHS = {name: field for name, field in Settings.model_fields.items() if "Path" in str(field.annotation)}


@pytest.mark.parametrize("name", PATHS)
def test_every_path_is_expanded_made_full_and_otherwise_taken_as_it_is(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, name: str
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HOME", "/home/of/alice")
    for written, meant in (
        ("~/cb", "/home/of/alice/cb"),
        ("~", "/home/of/alice"),
        ("~root/cb", f"{pwd.getpwnam('root').pw_dir}/cb"),
        ("rel/x", f"{tmp_path}/rel/x"),
        ("./~x", f"{tmp_path}/~x"),
        ("/a%41b/~/q?x#y; ", "/a%41b/~/q?x#y; "),
        ("\ufeff/marked", "/marked"),
    ):
        monkeypatch.setenv(f"CALLBOARD_{name.upper()}", written)
        assert str(getattr(Settings.load(), name)) == meant
    for written, told in (
        ("~no-such-user/x", "starts with ~no-such-user, and no user is called that"),
        (" ", "names no path"),
        (os.fsdecode(b"/d-\xe9"), "holds bytes that are not UTF-8"),
    ):
        monkeypatch.setenv(f"CALLBOARD_{name.upper()}", written)
        with pytest.raises(ConfigurationError, match=f"CALLBOARD_{name.upper()}: {told}"):
            Settings.load()


def test_a_working_directory_that_is_gone_needs_full_paths(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / "gone").mkdir()
    monkeypatch.chdir(tmp_path / "gone")
    (tmp_path / "gone").rmdir()
    monkeypatch.setenv("CALLBOARD_DATA_DIR", str(tmp_path))
    assert Settings.load().data_dir == tmp_path
    monkeypatch.setenv("CALLBOARD_DATA_DIR", "rel")
    with pytest.raises(ConfigurationError, match="working directory that it starts from is gone"):
        Settings.load()


@pytest.mark.parametrize("value", ["test", "staging", "Production", "", " "])
def test_what_node_env_says_to_other_programs_is_passed_over(monkeypatch: pytest.MonkeyPatch, value: str) -> None:
    monkeypatch.setenv("NODE_ENV", value)
    assert Settings.load().env == Settings().env == "development"
    assert foreign_mode() == (value or None)
    monkeypatch.setenv("CALLBOARD_ENV", "production")
    assert Settings.load().production
    assert foreign_mode() is None
    monkeypatch.setenv("CALLBOARD_ENV", "test")
    with pytest.raises(ConfigurationError, match=r"work: CALLBOARD_ENV is "):
        Settings.load()


@pytest.mark.parametrize(
    "name",
    ["API_KEY", "CALLBOARD_API_KEY", "RATE_LIMIT_WINDOW_MS", "CALLBOARD_RATE_LIMIT_WINDOW_MS", "ALLOWED_ORIGINS",
     "CALLBOARD_ALLOWED_ORIGINS", "CALLBOARD_PORT", "CALLBOARD_SKILL_X"],
)  # fmt: skip
def test_an_error_names_the_variable_that_is_set(monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    monkeypatch.setenv(name, os.fsdecode(b"\xe9"))
    with pytest.raises(ConfigurationError, match=rf"^These settings cannot work: {name}: "):
        Settings.load()


def test_a_mark_in_front_of_a_value_is_no_part_of_it_and_in_front_of_a_name_is_refused(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("API_KEY", "\ufeffone,two")
    monkeypatch.setenv("CALLBOARD_SKILL_X", "\ufeffthree")
    assert (Settings.load().api_key, Settings.load().skill_settings) == (("one", "two"), {"x": "three"})
    monkeypatch.setenv("\ufeffAPI_KEY", "one")
    with pytest.raises(ConfigurationError, match="The name of API_KEY begins with a byte-order mark"):
        Settings.load()


def test_a_skill_may_have_a_setting_of_any_name(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CALLBOARD_SKILL_SETTINGS", "not JSON")
    assert Settings.load().skill_settings == {"settings": "not JSON"}


def test_a_number_without_an_end_is_none(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CALLBOARD_SESSION_IDLE_S", "inf")
    with pytest.raises(ConfigurationError, match="CALLBOARD_SESSION_IDLE_S"):
        Settings.load()


NAMES = setting_names()


@pytest.mark.parametrize("name", ["API_KEYS", "APIKEY", "APIKEYS", "API_KYE", "X_API_KEY", "api_keys"])
def test_a_server_is_not_opened_by_a_key_that_is_misspelt(name: str) -> None:
    assert next(open_names({name: "sekret"}, NAMES)).endswith(f"write API_KEY, or unset {name}")
    assert not list(open_names({name: "sekret", "API_KEY": "another"}, NAMES)), "it is another program's then"
    assert "sekret" not in "".join(open_names({name: "sekret"}, NAMES))


@pytest.mark.parametrize(
    "name", ["OPENAI_API_KEY", "HF_API_KEY", "APP_KEY", "ALLOWED_HOSTS", "NODE_OPTIONS", "PATH", "HOME"]
)
def test_a_name_that_other_programs_use_is_theirs(name: str) -> None:
    assert not list(open_names({name: "x"}, NAMES))
    assert not doubtful_names({name: "x"}, NAMES)


@pytest.mark.parametrize(
    ("name", "meant"),
    [
        ("RATE_LIMIT_MAX_REQUEST", "RATE_LIMIT_MAX_REQUESTS"),
        ("RATE_LIMIT_MAX", "RATE_LIMIT_MAX_REQUESTS"),
        ("RATE_LIMIT_WINDOW", "RATE_LIMIT_WINDOW_MS"),
        ("ALLOWED_ORIGIN", "ALLOWED_ORIGINS"),
        ("NODEENV", "NODE_ENV"),
        ("CALLBOARD_PROT", "CALLBOARD_PORT"),
        ("callboard_prot", "CALLBOARD_PORT"),
    ],
)
def test_a_misspelt_name_is_asked_about_with_our_prefix_or_without(name: str, meant: str) -> None:
    assert doubtful_names({name: "3"}, NAMES) == {name: f"did you mean {meant}?"}


@pytest.mark.parametrize("name", ["CALLBOARD_API_KEYS", "CALLBOARD_APPROVE_SKILL"])
def test_a_guard_of_ours_that_is_misspelt_is_refused_by_every_command(
    monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    monkeypatch.setenv(name, "delete-*")
    with pytest.raises(ConfigurationError, match=f"{name} is no setting of Callboard and nearly"):
        Settings.load()


@pytest.mark.parametrize("name", ["callboard_port", "Callboard_Port", "api_key", "node_env", "callboard_skill_x"])
def test_a_name_in_another_case_is_refused_rather_than_read(monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    monkeypatch.setenv("CALLBOARD_PORT", "3457")
    monkeypatch.setenv(name, "3")
    with pytest.raises(ConfigurationError, match=f"{name} is not read.*write {name.upper()}, or unset it"):
        Settings.load()


@pytest.mark.parametrize(
    ("name", "value", "told"),
    [
        ("CALLBOARD_PORT", "x", "CALLBOARD_PORT is 'x'; give a whole number from 0 to 65535."),
        ("CALLBOARD_PORT", "65536", "CALLBOARD_PORT is '65536'; give a whole number from 0 to 65535."),
        ("CALLBOARD_PORT", "1.5", "CALLBOARD_PORT is '1.5'; give a whole number from 0 to 65535."),
        ("CALLBOARD_DRAIN_S", "soon", "CALLBOARD_DRAIN_S is 'soon'; give a number above 0, 3600 at most."),
        ("CALLBOARD_DRAIN_S", "nan", "CALLBOARD_DRAIN_S is 'nan'; give a number above 0, 3600 at most."),
        ("CALLBOARD_MAX_BACKLOG", "0", "CALLBOARD_MAX_BACKLOG is '0'; give a whole number, 1 or more."),
        ("CALLBOARD_ALLOW_KEYLESS", "maybe", "CALLBOARD_ALLOW_KEYLESS is 'maybe'; give true or false."),
        ("CALLBOARD_LOG_LEVEL", "loud", "CALLBOARD_LOG_LEVEL is 'loud'; give one of debug, info, warning, error."),
        ("CALLBOARD_TRUSTED_PROXIES", "x",
         "CALLBOARD_TRUSTED_PROXIES: 'x' is no address and no network, such as 10.0.0.1 or 10.0.0.0/8."),
        ("CALLBOARD_LLM_INPUT_PRICE", "x", "CALLBOARD_LLM_INPUT_PRICE is 'x'; give a number, 0 or more."),
    ],
)  # fmt: skip
def test_a_value_that_cannot_be_is_told_with_the_rule(
    monkeypatch: pytest.MonkeyPatch, name: str, value: str, told: str
) -> None:
    monkeypatch.setenv(name, value)
    with pytest.raises(ConfigurationError) as caught:
        Settings.load()
    assert caught.value.message == f"These settings cannot work: {told}"


NUMBERS = [n for n, f in Settings.model_fields.items() if "a number" in rule_of(f) or "whole number" in rule_of(f)]


@pytest.mark.parametrize("field", NUMBERS)
def test_no_number_is_told_of_in_the_words_of_a_library(monkeypatch: pytest.MonkeyPatch, field: str) -> None:
    for value in ("x", "-1", "1e999", "9" * 5000):
        monkeypatch.setenv(NAMES[field][0], value)
        with pytest.raises(ConfigurationError) as caught:
            Settings.load()
        assert "give a" in caught.value.message
        assert len(caught.value.message) < 300
        assert "Input" not in caught.value.message
