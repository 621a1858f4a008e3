"""The base of every message that is answered: it names the type of its reply.

`Address.ask` returns what its message names, and takes what its actor understands; a type checker knows both. What is only
told has no such base.
"""

from typing import Generic, Protocol, TypeVar

M = TypeVar("M")
M_co = TypeVar("M_co", covariant=True)
R_co = TypeVar("R_co", covariant=True)


class Ask(Generic[R_co]):
    """A message that is answered with an `R_co`, or with an error, which is raised where it was asked."""

    __slots__ = ()

    def _asks(self: M) -> tuple[M, R_co]:
        """Say to the type checker what is asked and what is answered; nobody calls it."""
        raise NotImplementedError


class Asked(Protocol[M_co, R_co]):
    """An `Ask[R_co]` that is one of the messages `M_co`."""

    def _asks(self) -> tuple[M_co, R_co]: ...
