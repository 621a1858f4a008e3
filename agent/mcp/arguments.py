"""What a call is given, as the object that the server gets: bound to names, checked against the tool's own schema.

SECURITY: the schema is a server's text. `jsonschema_rs` fetches nothing that it refers to (`offline`) and bounds the
backtracking of its regular expressions; Python's own would hold the interpreter's lock for as long as they like.
Imports the library where it is used, since only servers with MCP have it. Any thread. Imported by the tools.
"""

import json
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from callboard.agent.mcp.schema_types import Schema
from callboard.agent.mcp.schema_width import is_too_much, widest
from callboard.agent.mcp.stub import Parameter, signature
from callboard.values import storable

if TYPE_CHECKING:
    import jsonschema_rs

MAX_BYTES = 4_000_000
_BACKTRACKS = 100_000
_MAX_MESSAGE_CHARS = 500


class Check:
    """A schema as a check of values; raises `ValueError` if it is none. Immutable.

    What would have to be looked at too often is not checked: the server does it itself.
    """

    def __init__(self, schema: Schema) -> None:
        self._validator = _validator_for(schema)
        self._width = widest(schema)

    def mismatch(self, value: Any) -> tuple[list[str | int], str] | None:
        """Return where and how a value does not fit, None if it does."""
        return None if is_too_much(self._width, value) else _mismatch(self._validator, value)


def _validator_for(schema: Schema) -> "jsonschema_rs.Validator":
    import jsonschema_rs

    options = jsonschema_rs.FancyRegexOptions(backtrack_limit=_BACKTRACKS)
    # a schema that does not say which draft it is, or names one that is unknown, is often of an older one
    plain = {key: value for key, value in schema.items() if key != "$schema"}
    older = (jsonschema_rs.Draft202012Validator, jsonschema_rs.Draft7Validator, jsonschema_rs.Draft4Validator)
    first: Exception | None = None
    for make, what in ((jsonschema_rs.validator_for, dict(schema)), *((draft, plain) for draft in older)):
        try:
            return make(what, offline=True, pattern_options=options)
        except (jsonschema_rs.ValidationError, jsonschema_rs.ReferencingError, ValueError) as error:
            first = first or error
    raise ValueError(f"its schema cannot be used: {_first_line(first)}") from first


def _mismatch(validator: "jsonschema_rs.Validator", value: Any) -> tuple[list[str | int], str] | None:
    import jsonschema_rs

    try:
        validator.validate(value)
    except jsonschema_rs.ValidationError as error:
        return list(error.instance_path), _first_line(error)
    return None


def _first_line(error: Exception | None) -> str:
    text = str(getattr(error, "message", None) or error)
    return text.split("\n")[0][:_MAX_MESSAGE_CHARS]


class Arguments:
    """Binds and checks the arguments of one tool; immutable."""

    def __init__(self, python_name: str, schema: Schema, declared: tuple[Parameter, ...]) -> None:
        self._python_name = python_name
        self._signature = signature(declared)
        self._wire_names = {p.name: p.wire_name for p in declared}
        self._by_wire_name = {p.wire_name: p.name for p in declared if p.wire_name is not None}
        self._schema = Check(schema)

    def bound(self, args: Sequence[Any], kwargs: Mapping[str, Any]) -> dict[str, Any]:
        """Return the object to send; raise `TypeError` or `ValueError` naming the argument that does not fit.

        A person who edits a call may use the server's own names: both are taken.
        """
        named: dict[str, Any] = {}
        for given_name, value in kwargs.items():
            name = given_name if given_name in self._wire_names else self._by_wire_name.get(given_name, given_name)
            self._check_once(name, named)
            named[name] = value
        try:
            given = self._signature.bind(*args, **named).arguments
        except TypeError as error:
            raise TypeError(f"{self._python_name}() {error}") from None
        sent: dict[str, Any] = {}
        for name, value in given.items():
            wire_name = self._wire_names[name]
            if wire_name is None:
                more = self._more(name, value)
                for key in more:
                    self._check_once(key, sent)
                sent |= more
            else:
                self._check_once(wire_name, sent)
                sent[wire_name] = storable(value)
        self._check(sent)
        return sent

    def _check_once(self, name: str, known: Mapping[str, Any]) -> None:
        """Raise where an argument was given under another name before: one of the two would be lost."""
        if name in known:
            raise ValueError(f"{self._python_name}() got two values for the argument {name[:64]!r}; give one")

    def _more(self, name: str, value: Any) -> dict[str, Any]:
        if not isinstance(value, Mapping) or not all(isinstance(key, str) for key in value):
            raise ValueError(f"{self._python_name}() argument {name}: it must be a dict with strings as keys")
        more: dict[str, Any] = storable(value)
        return more

    def _check(self, sent: dict[str, Any]) -> None:
        found = self._schema.mismatch(sent)
        if found is not None:
            (path, what) = found
            shown = ".".join(str(part) for part in (*(self._by_wire_name.get(str(p), p) for p in path[:1]), *path[1:]))
            raise ValueError(f"{self._python_name}() argument{f' {shown}' if shown else 's'}: {what}")
        if (size := len(json.dumps(sent))) > MAX_BYTES:
            raise ValueError(
                f"{self._python_name}() arguments have {size:,} bytes; {MAX_BYTES:,} is the limit, send less"
            )
