"""`find-secrets`: what is a credential is found on its line, what only looks like one is left alone."""

import json
import time
from typing import Any

import pytest

from callboard.agent.skills.find_secrets import find_secrets

# Put together here, so that no scanner of repositories takes this file for a leak.
LONG = "Zq8vT3xLm2Kp9RwYd4Nc7Bf6Hj1Gs5Aa0EeUuIi"
KNOWN = {
    "private-key": "-----BEGIN RSA " + "PRIVATE KEY-----",
    "aws-access-key": "AKIA" + "Q4XWJ7ZT2MPLK6VR",
    "github-token": "ghp_" + LONG[:36],
    "gitlab-token": "glpat-" + LONG[:20],
    "slack-token": "xoxb-" + "2841930571-" + LONG[:24],
    "slack-webhook": "https://hooks.slack.com/" + "services/T02A/B01C/" + LONG[:24],
    "stripe-key": "sk_live_" + LONG[:24],
    "google-api-key": "AIza" + LONG[:35],
    "anthropic-key": "sk-ant-" + "api03-" + LONG,
    "openai-key": "sk-proj-" + LONG,
    "huggingface-token": "hf_" + LONG[:34],
    "npm-token": "npm_" + LONG[:36],
    "pypi-token": "pypi-AgEIcHlwaS5vcmc" + LONG + LONG,
    "sendgrid-key": "SG." + LONG[:22] + "." + LONG[:36] + "abcdefg",
    "azure-storage-key": "AccountKey=" + LONG + LONG + "==",
    "json-web-token": "eyJhbGciOiJIUzI1NiJ9" + ".eyJzdWIiOiIxMjM0NTY3ODkwIn0." + LONG,
    "password-in-address": "postgres://app:" + "hunter22@db/app",
    "authorization-header": "Authorization: Bearer " + LONG,
}


def rules(text: str) -> list[tuple[int, str]]:
    return [(finding["line"], finding["rule"]) for finding in find_secrets(text)["findings"]]


@pytest.mark.parametrize("rule", KNOWN)
def test_a_credential_is_known_by_its_form_wherever_it_stands(rule: str) -> None:
    assert rules(f"first\nsecond {KNOWN[rule]}\nthird") == [(2, rule)]
    assert rules(json.dumps({"x": KNOWN[rule]})) == [(1, rule)]


@pytest.mark.parametrize("rule", KNOWN)
def test_no_part_of_a_secret_is_repeated(rule: str) -> None:
    secret = KNOWN[rule].removeprefix("Authorization: Bearer ")
    assert secret[-8:] not in json.dumps(find_secrets(f"password = '{KNOWN[rule]}'"))


@pytest.mark.parametrize(
    "text",
    [
        "password = 'hunter22'",
        'DB_PASSWORD="correct-horse"',
        "db_password: s3cr3t-Value",
        "export API_KEY=abc123def456",
        "client_secret := `x`\napi-key => 'abcd1234'",
        '{"accessToken": "abcd1234efgh"}',
        "config['secret_key'] = 'abcd1234'",
        "PGPWD=9f8e7d6c # local",
        'auth_token: "abcd1234", other: 1',
    ],
)
def test_a_value_behind_a_telling_name_is_found(text: str) -> None:
    [(_, rule)] = rules(text)
    assert rule == "named-secret"


@pytest.mark.parametrize(
    "text",
    [
        "password = os.environ['PASSWORD']",
        "password = get_password()",
        "password: str",
        "password = None",
        "api_key: Optional[str] = None",
        "password = ''",
        "password = 'your-password'",
        "password: ${DB_PASSWORD}",
        "password: '{{ vault.password }}'",
        "password = settings.db_password",
        "API_KEY=<your key>",
        "API_KEY=changeme",
        "API_KEY=xxxxxxxxxxxx",
        "secret: '********'",
        "label = 'Forgot your password? Ask for a new one.'",
        "password: 'at least eight characters'",
        "The secret: be kind to people.",
        "token_count = 12345678",
        "postgres://app:${PASSWORD}@db/app",
        "https://callboard.test:8080/path@2",
        "AKIA" + "EXAMPLEEXAMPLE12",
        "sha256: 9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08",
        "task-runner ask-for-something-long-and-hyphenated-here",
        "PASSWORD_FILE=/run/secrets/password",
    ],
)
def test_what_only_looks_like_a_secret_is_left_alone(text: str) -> None:
    assert rules(text) == []


def test_a_secret_is_reported_once_though_a_name_stands_before_it() -> None:
    assert rules(f"api_key = '{KNOWN['github-token']}'") == [(1, "github-token")]


def test_a_crowd_of_placeholders_hides_no_secret() -> None:
    crowd = "password: '********'\n" * 5000
    assert rules(f"{crowd}password = 'hunter22'") == [(5001, "named-secret")]
    assert find_secrets("password = 'hunter22'\n" * 5000)["counts"]["medium"] == 5000


def test_findings_come_gravest_first_with_their_counts() -> None:
    found = find_secrets(f"password = 'hunter22'\n{KNOWN['json-web-token']}\n{KNOWN['private-key']}")
    assert [finding["severity"] for finding in found["findings"]] == ["high", "medium", "medium"]
    assert found["counts"] == {"high": 1, "medium": 2, "low": 0}
    assert found["summary"] == "Secrets in text, 3 lines: 3 findings (1 high, 2 medium)."
    assert found["findings"][0] == {
        "line": 3,
        "rule": "private-key",
        "severity": "high",
        "confidence": "high",
        "message": "A private key stands in the text; read it from the environment or a vault, and replace it, since it may be known by now.",
        "cwe": 798,
    }


def test_a_value_of_plain_words_is_less_sure_than_one_made_by_chance() -> None:
    def sure(text: str) -> Any:
        return find_secrets(text)["findings"][0]["confidence"]

    assert sure("API_KEY=q8vT3xLm2Kp9RwYd") == "medium"
    assert sure("API_KEY=aaa-aaa-aaa-bbb") == "low"


def test_what_is_no_text_to_search_is_refused() -> None:
    with pytest.raises(ValueError, match="There is no text"):
        find_secrets(" \n")
    with pytest.raises(ValueError, match="500001 characters and the limit is 500000"):
        find_secrets("x" * 500_001)


@pytest.mark.parametrize(
    "unit",
    ["password", "password=", "a.", "-", "eyJ", "eyJaaaaaaaaaaaa.", "http://a:", "://", "pwd=", 'pwd="a', "secret  ", "'", "=",
     "-----BEGIN A ", "authorization: basic ", "hooks.slack.com/services/", "password = abcdefgh1 ", "password=abc1234\n", "\x00", "🤖"],
)  # fmt: skip
@pytest.mark.slow
def test_no_text_takes_long(unit: str) -> None:
    started = time.thread_time()
    find_secrets((unit * 500_000)[:500_000])
    assert time.thread_time() - started < 3  # well under one second, on a machine that may be slower
