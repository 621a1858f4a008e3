"""Who asks: the principal, which is made once at the door and rides in the envelope of all that is asked.

`http/principals.py` makes those of HTTP's callers, a Python program its own; actors find it as `delivery.principal`
(`actors/mailbox.py`), and what is recorded takes it from there. Immutable values; imported by every folder.
"""

from collections.abc import Mapping
from dataclasses import dataclass

from callboard.errors import InvalidRequest
from callboard.values import Json, check_text

MOST_ID_CHARS = 255

ALL_SCOPES = frozenset({"*"})
"""May do everything there is. Nothing asks for less yet."""

DEFAULT_TENANT = "default"
"""The one tenant there is."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """What a principal may take: `max_requests` in a window of the rate limiter, 0 for as many as it likes."""

    max_requests: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Principal:
    """Somebody who asks. What is kept for a caller (its idempotency keys, day budgets, shares) is kept under `id`.

    Raises `InvalidRequest` for an id that is no text, is longer than `MOST_ID_CHARS` or could be held by no database.
    """

    id: str
    tenant: str = DEFAULT_TENANT
    scopes: frozenset[str] = ALL_SCOPES
    limits: Limits = Limits()

    def __post_init__(self) -> None:
        if not isinstance(self.id, str) or len(self.id) > MOST_ID_CHARS:
            raise InvalidRequest(f"The id of a principal is a text of at most {MOST_ID_CHARS} characters.")
        check_text(self.id, "the id of a principal")

    @property
    def caller(self) -> str | None:
        """The id as a task's `caller` has it: None for one that has none."""
        return self.id or None

    def to_wire(self) -> dict[str, Json]:
        """Return it as plain JSON values, for another process."""
        return {
            "id": self.id,
            "tenant": self.tenant,
            "scopes": sorted(self.scopes),
            "limits": {"maxRequests": self.limits.max_requests},
        }

    @classmethod
    def from_wire(cls, wire: Mapping[str, Json]) -> "Principal":
        """Return what `to_wire` was made of."""
        return cls(
            id=wire["id"],
            tenant=wire["tenant"],
            scopes=frozenset(wire["scopes"]),
            limits=Limits(max_requests=wire["limits"]["maxRequests"]),
        )


PROCESS = Principal(id="")
"""This process itself: a program that has the system inside it, the command line, the server's own work. Not limited."""

NOBODY = Principal(id="", scopes=frozenset())
"""Who has shown nothing yet: a request that has not come through the door, or need not. It may do nothing."""
