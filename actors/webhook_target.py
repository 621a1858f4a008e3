"""Which addresses a webhook may go to: public ones only, unless the operator allows others.

A callbackUrl that says outright that it is not public is refused when the task is posted; whatever a name resolves to
is checked when it is about to be connected to (`agent/fetch/addresses.py` says why and how).

Pure functions but for `allowed_addresses`, which asks the resolver. Imported by the gateway and the senders.
"""

from urllib.parse import urlsplit

from callboard.agent.fetch.addresses import (
    AddressNotAllowed,
    is_local_name,
    is_public,
    literal,
    plain_host,
    resolve,
)
from callboard.errors import CallbackRefused

_HOW = "name a public one, or set CALLBOARD_WEBHOOK_ALLOW_PRIVATE=true on the server"


def check_callback(url: str) -> None:
    """Raise `CallbackRefused` for an address that says by itself that it is not public."""
    host = plain_host(urlsplit(url).hostname or "")
    address = literal(host)
    if address is not None and not is_public(address):
        raise CallbackRefused(f"callbackUrl leads to {address}, which is not a public address; {_HOW}.")
    if address is None and is_local_name(host):
        raise CallbackRefused(f"callbackUrl leads to {host[:100]}, which is not a public name; {_HOW}.")


def allowed_addresses(host: str, port: int, *, allow_private: bool) -> list[str]:
    """Return the addresses that a name resolves to and a webhook may go to, the resolver's favourite first.

    Raises `CallbackRefused` where there are only others, and `OSError` where there are none.
    """
    try:
        return resolve(host, port, (lambda _address: True) if allow_private else is_public)
    except AddressNotAllowed as error:
        raise CallbackRefused(f"{error}, which is not a public address; {_HOW}.") from error
