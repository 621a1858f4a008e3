"""What a web page may have the browser do here: by the `Host` that was asked for, and where a change comes from.

# SECURITY: loopback is not authentication. Any page that a browser on this machine opens can send requests to
# 127.0.0.1, and by a name that it lets point there (DNS rebinding) it reads the answers as its own. So a server
# without keys answers to names only that no stranger can point anywhere, and a change must not come from another
# origin, a port of localhost included: for a browser that is the same site.

In the request's waitress thread. Imported by http/app.py only.
"""

import re
from urllib.parse import urlsplit

import falcon

from callboard.http.client_address import parse_address
from callboard.http.codec import shown
from callboard.http.errors import CrossOrigin, HostNotAllowed
from callboard.http.request import Request
from callboard.settings import Settings

_SAFE = frozenset({"GET", "HEAD", "OPTIONS"})
_OWN = frozenset({"same-origin", "none"})
_HEALTH = "/health"


class CrossOriginProtection:
    """The middleware that refuses other names (without keys), and changes that come from other origins."""

    def __init__(self, settings: Settings) -> None:
        self._keyless = not settings.api_key
        self._hosts = AllowedHosts((settings.host, *settings.allowed_hosts))
        self._origins = frozenset(settings.cors_origins)

    def process_request(self, req: Request, _resp: falcon.Response) -> None:
        """Raise `HostNotAllowed` or `CrossOrigin`; load balancers ask for health by whatever name."""
        if self._keyless and req.path != _HEALTH and not req.path.startswith(f"{_HEALTH}/"):
            self._check_host(req.env.get("HTTP_HOST"))
        if req.method not in _SAFE:
            self._check_origin(req)

    def _check_host(self, host: str | None) -> None:
        if host is None or host not in self._hosts:
            asked = f"The Host {shown(host, 100)} is" if host else "The request has no Host header, so it asks for"
            raise HostNotAllowed(
                f"{asked} none of the names that this server answers to while it has no API key: localhost, "
                "127.0.0.1, [::1] and those in CALLBOARD_ALLOWED_HOSTS. Add the name there, or set API_KEY."
            )

    def _check_origin(self, req: Request) -> None:
        origin = req.env.get("HTTP_ORIGIN")
        if origin is not None and ("*" in self._origins or origin in self._origins):
            return
        site = req.env.get("HTTP_SEC_FETCH_SITE")
        if site is not None:  # a browser's own word on the matter, which no page can change
            allowed = site in _OWN
        else:  # an older browser, or a program, which sends neither
            allowed = origin is None or _netloc(origin) == (req.env.get("HTTP_HOST") or "").lower()
        if not allowed:
            named = f"the origin {shown(origin, 100)}" if origin is not None else "another origin"
            raise CrossOrigin(
                f"The request comes from a page of {named}, which may change nothing here; if it shall, name its origin "
                "in ALLOWED_ORIGINS."
            )


_HOST = re.compile(r"([\w.-]{1,255}|\[[0-9A-Fa-f:.]{2,45}\])(:\d{0,5})?", re.ASCII)
"""A name or an address, and a port."""


class AllowedHosts:
    """The names that a `Host` header may have, in any case and with any port; `*.example.com` are all below that one."""

    def __init__(self, names: tuple[str, ...]) -> None:
        self._names = frozenset(name.lower().strip("[]") for name in names if not name.startswith("*."))
        self._suffixes = ("localhost", *(name[2:].lower() for name in names if name.startswith("*.")))

    def __contains__(self, host: str) -> bool:
        if not _HOST.fullmatch(host):
            return False
        name = _without_port(host.lower()).removesuffix(".")
        address = parse_address(name)
        if address is not None:
            return address.is_loopback or name in self._names or str(address) in self._names
        return name == "localhost" or name in self._names or name.endswith(tuple(f".{one}" for one in self._suffixes))


def _netloc(origin: str) -> str:
    """Return the host and port of an origin, "" for what is none, such as `null`."""
    try:
        return urlsplit(origin).netloc.lower()
    except ValueError:
        return ""


def _without_port(host: str) -> str:
    """Return `::1` of `[::1]:3000`, and `localhost` of `localhost:3000`."""
    if host.startswith("["):
        return host[1:].partition("]")[0]
    return host.partition(":")[0]
