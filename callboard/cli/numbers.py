"""Numbers as options take them, with what is wrong with one in words. Imported by the command line only."""

import math
from typing import Any

import click


class Number(click.ParamType[float]):
    """A number of `least` or more, and of `most` at most; a whole one unless told otherwise."""

    name = "number"

    def __init__(self, least: float, most: float = math.inf, *, whole: bool = True) -> None:
        self._least = least
        self._most = most
        self._read = int if whole else float
        self._kind = "whole number" if whole else "number"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> float:
        try:
            number = self._read(str(value))
        except ValueError:
            number = math.nan
        if not (math.isfinite(number) and self._least <= number <= self._most):
            bounds = (
                f"of {self._least:,} or more" if self._most == math.inf else f"from {self._least:,} to {self._most:,}"
            )
            self.fail(f"{value!r} is no {self._kind} {bounds}", param, ctx)
        return number
