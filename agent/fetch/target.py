"""Which URLs may be fetched, as far as they say so themselves; what their names resolve to is checked by `allowed`.

Pure functions but for `allowed`, which asks the resolver; any thread. Imported by `client.py` and by the attachments.
"""

import re
from typing import TYPE_CHECKING

from callboard.agent.fetch.addresses import (
    METADATA_NAMES,
    AddressNotAllowed,
    is_local_name,
    is_metadata,
    is_public,
    is_reachable,
    literal,
    plain_host,
    resolve,
)

if TYPE_CHECKING:
    import httpx

MAX_URL_CHARS = 4000
_HOST = re.compile(r"[A-Za-z0-9._-]+|[0-9A-Fa-f:.]+")

_HOW = "name a public one, or set CALLBOARD_FETCH_ALLOW_PRIVATE=true on the server"
_NEVER = "which is that of a cloud's metadata service and is never fetched"

_BLOCKED_PORTS = frozenset(
    int(port)
    for port in """0 1 7 9 11 13 15 17 19 20 21 22 23 25 37 42 43 53 69 77 79 87 95 101 102 103 104 109 110 111 113 115 117
    119 123 135 137 139 143 161 179 389 427 465 512 513 514 515 526 530 531 532 540 548 554 556 563 587 601 636 989 990
    993 995 1719 1720 1723 2049 3659 4045 4190 5060 5061 6000 6379 6566 6665 6666 6667 6668 6669 6679 6697 10080
    11211""".split()
)
"""Ports of other protocols, those that browsers refuse (WHATWG Fetch) and two of databases: an HTTP request could say
something in them."""


class FetchRefused(Exception):
    """A URL that must not be fetched; the message says why, and what may be done about it."""


def parse_url(url: str, *, allow_private: bool) -> "httpx.URL":
    """Return a URL that may be fetched so far as it says itself; raise `FetchRefused`.

    What is checked here is what is asked for later: nothing else reads the text again.
    """
    import httpx

    if len(url) > MAX_URL_CHARS:
        raise FetchRefused(f"The address has {len(url)} characters and the limit is {MAX_URL_CHARS}.")
    try:
        parsed = httpx.URL(url.strip())
    except (httpx.InvalidURL, UnicodeError, ValueError) as error:
        raise FetchRefused(f"{url[:200]!r} is not an address: {error}.") from error
    if parsed.scheme not in ("http", "https") or not parsed.host:
        raise FetchRefused(f"{url[:200]!r} is not an http:// or https:// address.")
    name = parsed.raw_host.decode("ascii", "replace")
    if not _HOST.fullmatch(name) or not 0 < (parsed.port or 80) < 65_536:
        raise FetchRefused(f"{url[:200]!r} is not an address: its host or its port cannot be one.")
    if parsed.userinfo:
        raise FetchRefused(f"The address of {parsed.host[:100]} holds a user name or a password; leave them out.")
    if parsed.port in _BLOCKED_PORTS:
        raise FetchRefused(f"{parsed.host[:100]} is named with the port {parsed.port}, which speaks something else.")
    check_host(name, allow_private=allow_private)
    return parsed.copy_with(fragment=None)


def check_host(name: str, *, allow_private: bool) -> None:
    """Raise `FetchRefused` for a host that says by itself that it must not be asked."""
    host = plain_host(name)
    address = literal(host)
    if host in METADATA_NAMES:
        raise FetchRefused(f"The address leads to {host}, {_NEVER}.")
    if address is not None and is_metadata(address):
        raise FetchRefused(f"The address leads to {address}, {_NEVER}.")
    if address is not None and not (is_reachable if allow_private else is_public)(address):
        raise FetchRefused(f"The address leads to {address}, which is not a public address; {_HOW}.")
    if address is None and is_local_name(host) and not allow_private:
        raise FetchRefused(f"The address leads to {host[:100]}, which is not a public name; {_HOW}.")


def allowed(host: str, port: int, *, allow_private: bool) -> list[str]:
    """Return the addresses of a name that may be connected to; those of them that may not are left out.

    Raises `FetchRefused` where there are only such, and `OSError` where there are none.
    """
    try:
        return resolve(host, port, is_reachable if allow_private else is_public)
    except AddressNotAllowed as error:
        what = "which is never fetched" if allow_private else f"which is not a public address; {_HOW}"
        raise FetchRefused(f"{error}, {what}.") from error
