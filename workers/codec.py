"""The wire form of what the two sides say: msgpack, with a class's number and its fields in their order as an array.

Which classes there are, and how each field is written and read, follows from the types in `protocol.py`; nothing else can be read,
so a frame makes no object that a message has not. Both ends are of one version, and a frame is never kept.
Pure functions; any thread. Imported by `workers/`.
"""

import struct
import threading
from collections.abc import Callable, Mapping
from collections.abc import Mapping as AbstractMapping
from dataclasses import fields, is_dataclass
from datetime import datetime
from enum import Enum
from types import UnionType
from typing import Any, Union, get_args, get_origin, get_type_hints

import msgpack  # type: ignore[import-untyped]
from pydantic import BaseModel

from callboard import errors
from callboard.agent.job import Control
from callboard.agent.mcp.remote import McpControl
from callboard.agent.models.breaker import Circuits
from callboard.agent.spending import Spending
from callboard.errors import CallboardError, TaskError
from callboard.messages import event_types
from callboard.messages.events import NewEvent
from callboard.messages.records import TooManyBelow
from callboard.messages.wire import ABSENT, Absent
from callboard.workers import protocol

HEAD = struct.Struct("!I")
"""In front of each frame: how many bytes follow."""

_OBJECT, _INT, _TUPLE = 1, 2, 3
_MOST_TUPLES = 64
_MOST_NESTED = 80
"""How deep objects and tuples may be nested: each takes 40 kB of the C stack of whoever reads it, and the end of that is a crash."""


_Code = Callable[[Any], Any]
_ids: dict[type[Any], int] = {}
_write: dict[type[Any], _Code] = {}
_read: list[_Code] = []


def packed(messages: list[Any]) -> bytes:
    """Return a frame of messages, its head in front."""
    body = _pack([_write[type(message)](message) for message in messages])
    return HEAD.pack(len(body)) + body


def unpacked(body: bytes | bytearray | memoryview) -> list[Any]:
    """Return the messages of a frame, without its head; raise `ValueError` for what is none."""
    try:
        return [_object(told) for told in _unpack(body)]
    except (TypeError, IndexError, KeyError, AttributeError, RecursionError, msgpack.UnpackException) as error:
        raise ValueError(f"what came is no frame ({type(error).__name__}: {error})") from error


def _pack(told: Any) -> bytes:
    body: bytes = msgpack.packb(told, default=_unusual, unicode_errors="surrogatepass")
    return body


def _unpack(body: bytes | bytearray | memoryview) -> Any:
    return msgpack.unpackb(body, ext_hook=_usual, strict_map_key=False, unicode_errors="surrogatepass")


def _unusual(value: Any) -> Any:
    """Write what stands where any value may."""
    write = _write.get(type(value))
    if write is not None:
        return msgpack.ExtType(_OBJECT, _pack(write(value)))
    if isinstance(value, int):  # one that 64 bits do not hold
        return msgpack.ExtType(_INT, f"{value:x}".encode())
    if isinstance(value, AbstractMapping):
        return dict(value)
    if isinstance(value, (frozenset, set)):
        return list(value)
    raise TypeError(f"a {type(value).__name__} is no value that can be sent")


def _usual(code: int, data: bytes) -> Any:
    if code == _INT:
        return int(data, 16)
    if code not in (_OBJECT, _TUPLE) or _nest.depth >= _MOST_NESTED:
        raise KeyError(code)
    _nest.depth += 1
    try:
        return _object(_unpack(data)) if code == _OBJECT else tuple(_unpack(data))
    finally:
        _nest.depth -= 1


class _Nest(threading.local):
    """How many objects and tuples, one in another, a thread is in the middle of reading."""

    depth = 0


_nest = _Nest()


def as_argument(value: Any, tuples: int = 0) -> Any:
    """Return an argument, or what a method returned, so that its tuples stay tuples; `tuples` are those around it."""
    if type(value) is tuple:
        if tuples >= _MOST_TUPLES:
            raise ValueError(f"tuples are nested deeper than {_MOST_TUPLES}")
        return msgpack.ExtType(_TUPLE, _pack([as_argument(one, tuples + 1) for one in value]))
    if type(value) is list:
        return [as_argument(one, tuples) for one in value]
    if type(value) is dict:
        return {key: as_argument(one, tuples) for key, one in value.items()}
    return value


# --- classes ---


def _object(told: list[Any]) -> Any:
    return _read[told[0]](told)


def _known(cls: type[Any]) -> None:
    """Learn a class, and the classes of its fields."""
    if cls in _ids:
        return
    number = _ids[cls] = len(_read)
    _read.append(_nothing)
    is_model = issubclass(cls, BaseModel)
    names = tuple(cls.model_fields) if is_model else tuple(field.name for field in fields(cls))
    hints = get_type_hints(cls)
    codes = {name: _code(hints[name]) for name in names}
    _write[cls] = _writer(number, {name: write for name, (write, _) in codes.items()})
    _read[number] = _reader(cls, {name: read for name, (_, read) in codes.items()}, bare=is_model)


def _nothing(_told: Any) -> Any:
    raise KeyError("a class that is not known yet")


def _writer(number: int, codes: Mapping[str, _Code | None]) -> _Code:
    """Return what writes a class. PERF: made as `dataclass` makes `__init__`, like the forms of messages/wire.py."""
    known: dict[str, Any] = {f"write_{name}": write for name, write in codes.items()}
    told = [f"v.{name}" if write is None else f"write_{name}(v.{name})" for name, write in codes.items()]
    exec(f"def write(v): return [{', '.join([str(number), *told])}]", known)  # noqa: S102  # of names of fields only
    write: _Code = known["write"]
    return write


def _reader(cls: type[Any], codes: Mapping[str, _Code | None], *, bare: bool) -> _Code:
    """Return what reads a class; a model's values have been validated where they came in, and are not again."""
    known: dict[str, Any] = {"cls": cls, "bare": _bare} | {f"read_{name}": read for name, read in codes.items()}
    told = [
        f"{name}=t[{index}]" if read is None else f"{name}=read_{name}(t[{index}])"
        for index, (name, read) in enumerate(codes.items(), start=1)
    ]
    made = f"bare(cls, dict({', '.join(told)}))" if bare else f"cls({', '.join(told)})"
    exec(f"def read(t): return {made}", known)  # noqa: S102  # likewise
    read: _Code = known["read"]
    return read


def _bare(cls: type[Any], values: dict[str, Any]) -> Any:
    made, put = object.__new__(cls), object.__setattr__
    put(made, "__dict__", values)
    put(made, "__pydantic_fields_set__", set())
    put(made, "__pydantic_extra__", None)
    put(made, "__pydantic_private__", None)
    return made


# --- fields ---


def _code(hint: Any) -> tuple[_Code | None, _Code | None]:
    """Return what writes and what reads the values of a type; None where msgpack has them as they are."""
    if hasattr(hint, "__metadata__"):
        return _code(get_args(hint)[0])
    origin, args = get_origin(hint), get_args(hint)
    if origin in (Union, UnionType):
        return _code_of_union([arg for arg in args if arg is not type(None)], optional=type(None) in args)
    if origin is tuple:
        if args[-1] is not Ellipsis:
            return _code_of_places([_code(arg) for arg in args])
        write, read = _code(args[0])
        return (None if write is None else _each(write)), (tuple if read is None else _each_in_a_tuple(read))
    if origin is frozenset:
        return list, frozenset
    if hint is datetime:
        return datetime.isoformat, datetime.fromisoformat
    if isinstance(hint, type):
        return _code_of_class(hint)
    return None, None


def _code_of_places(codes: list[tuple[_Code | None, _Code | None]]) -> tuple[_Code, _Code]:
    writes, reads = ([code or _as_it_is for code in side] for side in zip(*codes, strict=True))
    return (
        lambda values: [write(value) for write, value in zip(writes, values, strict=True)],
        lambda values: tuple(read(value) for read, value in zip(reads, values, strict=True)),
    )


def _as_it_is(value: Any) -> Any:
    return value


def _code_of_class(cls: type[Any]) -> tuple[_Code | None, _Code | None]:
    if issubclass(cls, CallboardError):
        return _error, _error_of
    if issubclass(cls, Enum):
        return (lambda value: value.value), cls
    if cls is NewEvent:
        for one in vars(event_types).values():
            if isinstance(one, type) and issubclass(one, NewEvent) and one is not NewEvent:
                _known(one)
        return _any_object, _object
    if is_dataclass(cls) or issubclass(cls, BaseModel):
        _known(cls)
        return _any_object, _object
    return None, None


def _code_of_union(kinds: list[Any], *, optional: bool) -> tuple[_Code | None, _Code | None]:
    codes = [_code(kind) for kind in kinds]
    write, read = next((code for code in codes if code != (None, None)), (None, None))
    if len(kinds) > 1 and read is not _object:
        return None, None
    return (_maybe(write), _maybe(read)) if optional else (write, read)


def _any_object(value: Any) -> Any:
    return _write[type(value)](value)


def _each(write: _Code) -> _Code:
    return lambda values: [write(value) for value in values]


def _each_in_a_tuple(read: _Code) -> _Code:
    return lambda values: tuple(read(value) for value in values)


def _maybe(code: _Code | None) -> _Code | None:
    return None if code is None else (lambda value: None if value is None else code(value))


# --- errors ---

_ERRORS = {name: one for name, one in vars(errors).items() if isinstance(one, type) and issubclass(one, CallboardError)}


def _error(error: CallboardError) -> list[Any]:
    more = {name: value for name, value in vars(error).items() if name not in ("message", "details")}
    return [_class_of(error).__name__, error.message, error.details, more]


def _error_of(told: list[Any]) -> CallboardError:
    name, message, details, more = told
    cls = _ERRORS[name]
    error = TaskError(more.pop("code"), message, details=details) if cls is TaskError else cls.__new__(cls)
    Exception.__init__(error, message)
    error.message, error.details = message, details
    for key, value in more.items():
        setattr(error, key, value)
    return error


def _class_of(error: CallboardError) -> type[Any]:
    return next(cls for cls in type(error).__mro__ if _ERRORS.get(cls.__name__) is cls)


_PARTS = {"control": Control, "accounts": Spending, "breakers": Circuits, "mcp": McpControl}
CALLED: Mapping[str, frozenset[str]] = {
    name: frozenset(method for method in vars(part) if not method.startswith("_")) for name, part in _PARTS.items()
}
"""What runs may call of the control side: the methods of each part of it."""

for _part in _PARTS.values():
    for _name in (name for name in vars(_part) if not name.startswith("_")):
        for _hint in get_type_hints(getattr(_part, _name)).values():
            _code(_hint)
for _message in (*get_args(protocol.Down), *get_args(protocol.Up)):
    _known(_message)
_known(TooManyBelow)  # what a commit may come to
_ABSENT = len(_read)  # stands where any value may, and has no fields
_write[Absent] = lambda _absent: [_ABSENT]
_read.append(lambda _told: ABSENT)
