"""The skill `find-secrets`: credentials that stand in a text.

What it reports has no part of the secret in it, since a task's results are kept. Nothing is tried out: no address is
called. Any thread.
"""

from typing import Any

from callboard.agent.skill import skill
from callboard.agent.skills._secret_rules import find_all
from callboard.agent.skills._security import report

MAX_CHARS = 500_000


@skill(replay="pure")
def find_secrets(text: str) -> dict[str, Any]:
    """Find credentials in any text, such as code, configuration or a log: keys findings (line, rule, severity, confidence, message, cwe), counts and summary.

    Knows keys and tokens of common services by their form, private keys, passwords in addresses, and values behind names
    such as password or api_key. Severity and confidence are high, medium or low; the gravest come first. The secrets
    themselves are not repeated. Raises ValueError for more than 500,000 characters.
    """
    if not text.strip():
        raise ValueError("There is no text to search; put the text itself into the task.")
    if len(text) > MAX_CHARS:
        raise ValueError(f"The text has {len(text)} characters and the limit is {MAX_CHARS}; search it in parts.")
    return report("Secrets in text", text, find_all(text))
