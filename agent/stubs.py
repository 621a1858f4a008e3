"""The text of `skills.pyi`: the declarations of skills that a model reads, and that its code is type-checked against.

Pure functions; imported by the catalogue and its loader.
"""

import ast
from collections.abc import Iterable
from functools import lru_cache

from callboard.agent.python_trees import parse
from callboard.agent.skill import AnySkill

TWIN_PREFIX = "async_"
"""What the name of a skill's asynchronous twin begins with."""

_IMPORTS = "from typing import Any, Literal"


def module_text(skills: Iterable[AnySkill], *, twins: bool = False) -> str:
    """Return the stub module of these skills; with `twins`, each is followed by its asynchronous twin."""
    parts = [_IMPORTS]
    for skill in skills:
        parts.append(skill.stub)
        if twins:
            parts.append(twin(skill.stub))
    return "\n\n".join(parts) + "\n"


@lru_cache(256)
def twin(stub: str) -> str:
    """Return `async def async_NAME(...)` for `def NAME(...)`: the same signature, without the docstring.

    Raises `SyntaxError` where the stub is not one function.
    """
    match parse(stub).body:
        case [ast.FunctionDef() as function]:
            made = ast.AsyncFunctionDef(
                name=TWIN_PREFIX + function.name,
                args=function.args,
                body=[ast.Expr(ast.Constant(...))],
                decorator_list=[],
                returns=function.returns,
                type_comment=None,
            )
            return ast.unparse(ast.fix_missing_locations(made))
        case _:
            raise SyntaxError("a skill's stub is one function")
