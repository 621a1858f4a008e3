"""Addresses of a server as people write them, with a scheme or without, and as requests are built on them.

One rule for `--url`, `CALLBOARD_URL` and `Client(…)`. Pure functions; any thread; the standard library only, so that the
command line stays quick.
"""

import re
import socket
from ipaddress import ip_address, ip_network
from urllib.parse import SplitResult, urlsplit

_ONE_SLASH = re.compile(r"https?:(?=/[^/])", re.IGNORECASE)
_SCHEME = re.compile(r"([A-Za-z][A-Za-z0-9+.-]*)://")
_SIGNS_OF_NO_HOST = re.compile(r"[\s<>\"{}|\\^`%,;!*()'&=$]")
_MOST_SHOWN = 200


def _ipv6() -> str:
    """Return what an address of IPv6 looks like (RFC 3986, section 3.2.2)."""
    part, octet = "[0-9A-Fa-f]{1,4}", "(25[0-5]|2[0-4][0-9]|1[0-9]{2}|[1-9]?[0-9])"
    last = rf"({part}:{part}|{octet}(\.{octet}){{3}})"
    before = [rf"(({part}:){{0,{most}}}{part})?::" for most in range(7)]
    with_last = [f"{before[most]}({part}:){{{4 - most}}}{last}" for most in range(5)]
    return "|".join((f"({part}:){{6}}{last}", f"::({part}:){{5}}{last}", *with_last, f"{before[5]}{part}", before[6]))


IPV6 = f"({_ipv6()})"


def server_url(text: str) -> str:
    """Return the address as a URL without a slash at its end; raise `ValueError` with what is wrong and what to write.

    What has no scheme is taken for http://, never for https://, which whoever means it has to write; and it needs its port,
    since people who leave both out may mean 80 or 3000.
    """
    try:
        return _url(text.strip())
    except ValueError as error:
        raise ValueError(
            f"{text[:_MOST_SHOWN]!r} is no address of a server: {error}; write one such as http://127.0.0.1:3000 or "
            "127.0.0.1:3000"
        ) from None


def check_server_url(text: str) -> str:
    """Return the text as it is, an address or nothing; raise `ValueError` as `server_url` does."""
    if text:
        server_url(text)
    return text


def is_bare(text: str) -> bool:
    """Say whether an address was written without a scheme."""
    return _SCHEME.match(text.strip()) is None


def host_and_port(host: str, port: int) -> str:
    """Return `host:port` as it stands in an address: one of IPv6 in brackets."""
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


def _url(written: str) -> str:
    if not written:
        raise ValueError("it is empty")
    if not written.isprintable() or " " in written:  # urlsplit passes over some of them
        raise ValueError("there is a space or a sign that cannot be printed in it")
    scheme = _SCHEME.match(written)
    if scheme is None and (short := _ONE_SLASH.match(written)) is not None:
        raise ValueError(f"behind {short[0]} come two slashes")
    if scheme is None:  # of localhost:3000, urlsplit would take localhost for the scheme
        written = f"http://{written}"
    elif scheme[1].lower() not in ("http", "https"):
        raise ValueError(f"servers are asked by http:// or https://, not by {scheme[1]}://")
    parts = urlsplit(written)
    _check_host(parts)
    if scheme is None and parts.port is None:
        raise ValueError("without http:// or https:// it needs its port")
    if parts.query or parts.fragment:
        raise ValueError("leave out what comes behind the path, with its ? or #")
    return f"{parts.scheme}://{parts.netloc}{parts.path.rstrip('/')}"


def _check_host(parts: SplitResult) -> None:
    """Raise `ValueError` where no host has such a name, or no server such a port."""
    written, name = parts.netloc.rpartition("@")[2], parts.hostname or ""
    in_brackets = written.startswith("[")
    if not in_brackets and "::" in written:
        raise ValueError("an address of IPv6 stands in brackets, as in [::1]:3000")
    try:
        port_is_one = parts.port != 0 and not written.endswith(":")
    except ValueError:
        port_is_one = False
    if not port_is_one:
        raise ValueError("a port is a number from 1 to 65535")
    if not _is_ipv6(name) if in_brackets else not _is_host(name):
        raise ValueError(f"{name!r} is no name of a host" if name else "it names no host")


def _is_ipv6(name: str) -> bool:
    try:
        return ip_address(name).version == 6
    except ValueError:
        return False


def _is_host(name: str) -> bool:
    """Say whether a host can have this name; one that ends in a number can only be an address of IPv4."""
    labels = name.removesuffix(".").split(".")
    if _SIGNS_OF_NO_HOST.search(name) or not all(0 < len(label) < 64 for label in labels):
        return False
    if not labels[-1].isdigit():
        return True
    try:
        return bool(socket.inet_aton(name))
    except OSError:
        return False


def check_origins(origins: tuple[str, ...]) -> tuple[str, ...]:
    """Return origins of web pages, or raise `ValueError` for what is none; `*` is one."""
    for origin in origins:
        if origin != "*" and not re.fullmatch(r"[a-z][a-z0-9+.-]*://[^/?#\s]+", origin):
            raise ValueError(f"{origin} is not an origin; write * or one such as https://example.com")
    return origins


def check_hosts(hosts: tuple[str, ...]) -> tuple[str, ...]:
    """Return names of hosts, or raise `ValueError` for what is none; `*.example.com` is one."""
    for host in hosts:
        if not re.fullmatch(
            r"(\*\.)?[A-Za-z0-9_-]+(\.[A-Za-z0-9_-]+)*|[0-9A-Fa-f]*:[0-9A-Fa-f:.]+|\[[0-9A-Fa-f:.]+\]", host
        ):
            raise ValueError(f"{host} is no name of a host; write one such as agents.example.com, without a port")
    return hosts


def check_networks(networks: tuple[str, ...]) -> tuple[str, ...]:
    """Return addresses and networks, or raise `ValueError` for what is none."""
    for network in networks:
        try:
            ip_network(network, strict=False)
        except ValueError as error:
            raise ValueError(f"{network!r} is no address and no network, such as 10.0.0.1 or 10.0.0.0/8") from error
    return networks
