"""The socket that a server listens on.

PERF: it loads next to nothing: what cannot listen must touch no task, and the workers' processes, which start after it, load for as
long as all the rest does. Imported by http/server.py and the command line.
"""

import errno
import socket
import time
from ipaddress import ip_address

from callboard.errors import ConfigurationError
from callboard.limits import SOCKET_BYTES
from callboard.settings import Settings

BACKLOG = 4096
"""Connections that wait to be taken in; the system may allow fewer. Where they are full, others try again after a second."""

_PATIENCE_S = 0.5
"""How long a port that is in use is tried for: a server that was killed while it started a program leaves it to that one until it is
loaded."""


def listen(settings: Settings) -> socket.socket:
    """Return a listening socket; what the host resolves to first decides between IPv4 and IPv6.

    Raises `OSError`, and `ConfigurationError` where that would open a server without keys to other machines, unasked.
    """
    host = settings.host
    found = socket.getaddrinfo(host, settings.port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
    family, _, _, _, address = found[0]
    if not (settings.api_key or settings.allow_keyless or ip_address(address[0]).is_loopback):
        raise ConfigurationError(
            f"CALLBOARD_HOST is {host}, which other machines reach, and without a key anybody there could run tasks and "
            "read the history; set API_KEY, or CALLBOARD_ALLOW_KEYLESS=true if that is meant."
        )
    dual = host == "::" and socket.has_dualstack_ipv6()
    until_s = time.monotonic() + _PATIENCE_S
    while True:
        try:
            return _holding_little(
                socket.create_server(address[:2], family=family, backlog=BACKLOG, dualstack_ipv6=dual)
            )
        except OSError as error:
            if error.errno != errno.EADDRINUSE or time.monotonic() > until_s:
                raise
        time.sleep(0.01)


def _holding_little(listening: socket.socket) -> socket.socket:
    """Have the system hold little for each connection, which inherits it from the socket that listens.

    By itself Linux goes up to some megabytes in each direction: 500 clients who take no answers had it copy and hold over a
    gigabyte, which no limit of ours counted, and kept others waiting meanwhile.
    """
    for option in (socket.SO_SNDBUF, socket.SO_RCVBUF):
        listening.setsockopt(socket.SOL_SOCKET, option, SOCKET_BYTES)
    return listening
