"""File descriptors: how many the system allows this process, which is often 1,024 while it would allow far more.

A socket that cannot be accepted for want of one stays ready, so that the server's loop would turn without rest. Called
once at start; imported by the wiring and `http/`.
"""

import logging

try:
    import resource
except ImportError:  # Windows has no such limit
    resource = None  # type: ignore[assignment]

_FOR_OTHERS = 512
"""What is kept for all that is no connection: the history, sandboxes, pipes of skills, calls of models."""

_LEAST = 64

logger = logging.getLogger("callboard")


def allow(connections: int) -> int:
    """Have the system allow descriptors for so many connections; return for how many it does."""
    if resource is None:
        return connections
    wanted = connections + connections // 2 + _FOR_OTHERS  # half as many may have come and be put off
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft == resource.RLIM_INFINITY or soft >= wanted:
        return connections
    most = wanted if hard == resource.RLIM_INFINITY else min(wanted, hard)
    try:
        resource.setrlimit(resource.RLIMIT_NOFILE, (most, hard))
    except (OSError, ValueError):  # some systems have a lower limit than they say
        most = soft
    if most < wanted:
        allowed = max(_LEAST, (most - _FOR_OTHERS) * 2 // 3)
        logger.warning(
            "only %d connections may be open at once, CALLBOARD_MAX_CONNECTIONS is %d: the system allows this process %d "
            "descriptors (`ulimit -Hn`)",
            min(connections, allowed),
            connections,
            most,
        )
        return min(connections, allowed)
    return connections
