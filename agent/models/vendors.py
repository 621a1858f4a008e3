"""What the vendors' clients have in common: how they are imported and what they are given.

Both come from one generator, with the same arguments and the same errors. In the thread that loads a model. Imported
by the adapters.
"""

import importlib
from typing import Any
from urllib.parse import urlsplit

from callboard import __version__
from callboard.errors import ConfigurationError
from callboard.installing import install_command

NOT_THE_KEY = "added-by-the-transport"
"""What the clients are told is the key. SECURITY: what a client does not know it cannot log or raise."""


def vendor_module(name: str) -> Any:
    """Import a vendor's client, now that it was chosen. Raises `ConfigurationError` where it is not installed."""
    try:
        importlib.import_module("httpx2")
        return importlib.import_module(name)
    except ImportError as error:
        raise ConfigurationError(
            f"The model's provider {name} needs a package that is not installed ({error.name}); install it with: "
            f"{install_command('llm')}"
        ) from error


def response_type() -> Any:
    """Return what a client is asked for where it is to hand over an answer as it comes, unread."""
    import httpx2

    return httpx2.Response


class Key:
    """The key for an API, which no traceback or log line shows. Empty where the API asks for none."""

    __slots__ = ("value",)

    def __init__(self, value: str) -> None:
        self.value = value

    def __repr__(self) -> str:
        return "Key([hidden])"


def client_options(base_url: str, key: Key, header: str, form: str) -> dict[str, Any]:
    """Return how a client is made: our connection, no retries, no time-outs of its own, nothing of the environment.

    The key is sent in `header`, written as `form` has it.
    """
    import httpx2

    from callboard.agent.models.wire import Transport

    transport = Transport(
        {"User-Agent": f"Callboard/{__version__}", "Accept-Encoding": "identity"},
        lambda: {header: form.format(key.value)} if key.value else {},
        tls=urlsplit(base_url).scheme != "http",
    )
    return {
        "api_key": NOT_THE_KEY,
        "base_url": base_url,
        "max_retries": 0,
        "timeout": None,
        "http_client": httpx2.Client(transport=transport, trust_env=False, follow_redirects=False, timeout=None),
    }
