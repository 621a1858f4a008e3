"""The head of a request by RFC 9112: its line, its fields, its host, and where its body ends.

Strict where a proxy in front could understand it in another way: what could be read in two ways is refused, not guessed.
Pure functions in the thread that runs the server's loop. Imported within `http/` only, for `Fault` beyond the parser.
"""

import re
from dataclasses import dataclass
from ipaddress import IPv6Address
from urllib.parse import unquote_to_bytes

from falcon.constants import COMBINED_METHODS

from callboard.http.codec import shown
from callboard.http.errors import reason_of

TOKEN = rb"[!#$%&'*+\-.^_`|~0-9A-Za-z]+"
METHODS = frozenset(COMBINED_METHODS) - {"CONNECT", "WEBSOCKET"}
"""The methods that a path can say it does not take (405). Others are not known here (501), as CONNECT is to no server but a proxy; WEBSOCKET is a name that Falcon uses inside."""

_MOST_LENGTH_DIGITS = 18
_LINE = re.compile(rb"(" + TOKEN + rb") ([\x21-\x7e]+) HTTP/([0-9])\.([0-9])")
_FIELD = re.compile(rb"(" + TOKEN + rb"):([\t\x20-\x7e\x80-\xff]*)")
_ABSOLUTE = re.compile(r"https?://([^/?#]*)(.*)", re.IGNORECASE)
_NOT_IN_TARGETS = re.compile(r'["#<>\\]|%(?![0-9A-Fa-f]{2})')
_ENCODED_SLASH = re.compile("%2f", re.IGNORECASE)
_HOST = re.compile(
    r"((?:[\w.~!$&'()*+;=-]|%[0-9A-Fa-f]{2}){1,255}|\[([0-9A-Fa-f:.]{2,45})\])(?::([0-9]{0,5}))?", re.ASCII
)
"""RFC 3986's `uri-host [ ":" port ]`, but for the comma: in a Host it is where a proxy has put two of them together."""


class Fault(Exception):
    """Why a request is refused before any application sees it. Stands where waitress has its own errors: `code`, `reason`, `body`.

    # SECURITY: the message may show a part of a header, so it is not logged; `logged` is, which has nothing of the request.
    """

    def __init__(self, message: str, status: int = 400, *, logged: str = "") -> None:
        super().__init__(message)
        self.logged = logged
        self.body = message
        self.code = status
        self.reason = reason_of(status)


@dataclass(frozen=True, slots=True, kw_only=True)
class RequestLine:
    """The first line: `version` is the one to answer in, `target` as it was sent."""

    method: str
    target: str
    version: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Target:
    """What a target names. `host` is None unless the target itself has one; `path` is decoded, and `*` where it is the whole server."""

    path: str
    query: str = ""
    host: str | None = None


def request_line(line: bytes) -> RequestLine:
    """Return the first line's parts; the method is not looked at yet."""
    found = _LINE.fullmatch(line)
    if found is None:
        raise Fault(
            f"The request line is {_bytes(line, 100)}; it must be a method, a target and HTTP/1.1, with one blank between them."
        )
    method, target, major, minor = (part.decode("ascii") for part in found.groups())
    if major != "1":
        raise Fault(f"This server speaks HTTP/1.1, not HTTP/{major}.{minor}.", 505)
    # RFC 9110, 2.5: a higher minor version is answered as the highest that is known.
    return RequestLine(method=method, target=target, version="1.0" if minor == "0" else "1.1")


def known_method(method: str) -> None:
    """Refuse a method that no path could take. RFC 9110, 9.1: 501, and names of methods are case-sensitive."""
    if method == "CONNECT":
        raise Fault("CONNECT asks for a proxy, which this server is not.", 501)
    if method not in METHODS:
        hint = f"; did you mean {method.upper()}?" if method.upper() in METHODS else "."
        raise Fault(f"There is no method {shown(method, 40)} here{hint}", 501)


_SINGLE = {
    "HOST": "Host",
    "CONTENT_TYPE": "Content-Type",
    "IDEMPOTENCY_KEY": "Idempotency-Key",
    "LAST_EVENT_ID": "Last-Event-ID",
}
"""Fields that have one value, in which a comma stands for itself or for nothing: joined, two would be read as another one."""


def fields(lines: list[bytes]) -> dict[str, str]:
    """Return the fields, named as in a WSGI environment and joined where one stands more than once; refuse a second one of `_SINGLE`.

    # SECURITY: a name with an underscore is left out: in the environment it could not be told from one with a hyphen.
    """
    found: dict[str, str] = {}
    for line in lines:
        name, value = field(line)
        if b"_" in name:
            continue
        key = name.upper().replace(b"-", b"_").decode("ascii")
        text = value.decode("latin-1")
        if key not in found:
            found[key] = text
        elif key in _SINGLE:
            raise Fault(f"The request has two {_SINGLE[key]} headers; send one.")
        else:
            found[key] += f", {text}"
    return found


def field(line: bytes) -> tuple[bytes, bytes]:
    """Return name and value of a field's line."""
    found = _FIELD.fullmatch(line)
    if found is not None:
        return found[1], found[2].strip(b" \t")
    if line[:1] in (b" ", b"\t"):
        reason = "begins with a blank; a header is one line"
    elif b"\r" in line or b"\n" in line:
        reason = "holds a CR or LF alone; a line ends with both"
    elif b":" not in line:
        reason = "has no colon"
    elif not re.match(TOKEN + b":", line):
        reason = "has a name that is none; letters, digits and hyphens stand right before the colon"
    else:
        reason = "holds a control character"
    raise Fault(f"The header line {_bytes(line, 60)} {reason}.")


def target_of(method: str, target: str) -> Target:
    """Return what a target names (RFC 9112, 3.2); it has printable ASCII only."""
    if target == "*":
        if method != "OPTIONS":
            raise Fault(f"The target * is for OPTIONS only, not for {method}.")
        return Target(path="*")
    host = None
    if not target.startswith("/"):
        absolute = _ABSOLUTE.fullmatch(target)
        if absolute is None:
            raise Fault(f"The target {shown(target, 100)} begins neither with a slash nor with http:// and a host.")
        host, target = absolute.groups()
        if not host:
            raise Fault("The target has no host behind its //.")
        check_host(host, "host of the target")
        if not target and method == "OPTIONS":
            return Target(path="*", host=host)
        target = target if target.startswith("/") else f"/{target}"
    if (wrong := _NOT_IN_TARGETS.search(target)) is not None:
        raise Fault(f"The target holds {shown(wrong[0])}, which no target may; write it percent-encoded.")
    path, _, query = target.partition("?")
    return Target(path=_decoded(path), query=query, host=host)


def _decoded(path: str) -> str:
    """Return a path as a WSGI environment has it.

    # SECURITY: an encoded slash stays encoded. It is no separator (RFC 3986, 2.2), and as one it could get past a proxy's rules.
    """
    return unquote_to_bytes(_ENCODED_SLASH.sub("%252F", path)).decode("latin-1")


def host_of(version: str, found: dict[str, str], target: Target) -> str | None:
    """Return the host that is asked for: the target's, where it names one (RFC 9112, 3.2.2), and of the Host header otherwise."""
    sent = found.get("HOST")
    if sent is None:
        if version != "1.0":
            raise Fault("The request has no Host header, which HTTP/1.1 needs.")
    elif sent:  # it may be empty where the address has no host (RFC 9110, 7.2)
        check_host(sent, "Host header")
    return sent if target.host is None else target.host


def check_host(text: str, place: str) -> None:
    """Refuse what is no name or address, with a port or without."""
    parts = _HOST.fullmatch(text)
    if parts is None or not (parts[2] is None or _is_ipv6(parts[2])):
        raise Fault(f"The {place} is {shown(text, 100)}; it must be a name or an address, with a port or without.")
    if parts[3] and not 1 <= int(parts[3]) <= 65535:
        raise Fault(f"The {place} has the port {parts[3]}; ports go from 1 to 65535.")


def body_length(version: str, found: dict[str, str]) -> int | None:
    """Return how many bytes the body has, None where it comes in chunks (RFC 9112, 6.3).

    # SECURITY: a request with two lengths, or with a transfer coding its version does not have, ends at one place for
    us and at another for a proxy in front; what is in between could be smuggled past that proxy.
    """
    coding, length = found.get("TRANSFER_ENCODING"), found.get("CONTENT_LENGTH")
    if coding is not None:
        if length is not None:
            raise Fault("Content-Length and Transfer-Encoding contradict each other; send one of them.")
        if version == "1.0":
            raise Fault("Transfer-Encoding needs HTTP/1.1.")
        _check_chunked(coding)
        return None
    if length is None:
        return 0
    if not (length.isascii() and length.isdigit()):
        raise Fault(f"Content-Length is {shown(length)}; send it once, with digits only.")
    digits = length.lstrip("0") or "0"
    return int(digits[:_MOST_LENGTH_DIGITS]) if len(digits) <= _MOST_LENGTH_DIGITS else 10**_MOST_LENGTH_DIGITS


def _check_chunked(coding: str) -> None:
    """Refuse what is not `chunked` alone: 400 where nobody could say where the body ends, 501 for another coding before it."""
    codings = [one.strip(" \t").lower() for one in coding.split(",")]
    if codings[-1] != "chunked" or codings.count("chunked") > 1:
        raise Fault(f"Transfer-Encoding is {shown(coding)}; it must end with chunked, once and without parameters.")
    if len(codings) > 1:
        raise Fault("The only transfer coding that can be read is chunked.", 501)


def waits_for_continue(version: str, found: dict[str, str]) -> bool:
    """Say whether the client waits for `100 Continue` before it sends its body; refuse another expectation (RFC 9110, 10.1.1)."""
    expected = found.get("EXPECT")
    if not expected or version == "1.0":
        return False
    if expected.lower() != "100-continue":
        raise Fault(
            f"The header Expect is {shown(expected)}; 100-continue is the only expectation that can be met.", 417
        )
    return True


def connection_of(found: dict[str, str]) -> str:
    """Return the one option of the Connection header that matters: `close`, `keep-alive` or none."""
    options = {option.strip(" \t").lower() for option in found.get("CONNECTION", "").split(",")}
    return next((option for option in ("close", "keep-alive") if option in options), "")


def _is_ipv6(text: str) -> bool:
    try:
        IPv6Address(text)
    except ValueError:
        return False
    return True


def _bytes(line: bytes, limit: int) -> str:
    return shown(line.decode("latin-1"), limit)
