"""What the two sides say comes back as it was said; what is no frame is refused by name."""

import math
from collections.abc import Mapping
from collections.abc import Mapping as AbstractMapping
from contextlib import suppress
from dataclasses import fields, is_dataclass
from datetime import UTC, datetime
from enum import Enum
from types import MappingProxyType, UnionType
from typing import Any, Literal, Union, get_args, get_origin, get_type_hints

import msgpack  # type: ignore[import-untyped]
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import BaseModel

from callboard import errors
from callboard.errors import CallboardError, TaskError
from callboard.messages import event_types
from callboard.messages.events import NewEvent
from callboard.workers import codec, protocol
from callboard.workers.codec import HEAD, packed, unpacked
from callboard.workers.protocol import Answered, Call, Cancel, Printed, Request, Run, Told

NOW = datetime(2026, 1, 2, 3, 4, 5, 678, tzinfo=UTC)
RUN = Run("t", 3)
ODD = {
    "long": 1 << 90,
    "negative": -(1 << 90),
    "edges": [2**63, -(2**63), 2**64 - 1, 2**64],
    "half a sign": "\ud800 and \x00",
    "infinite": [math.inf, -math.inf],
    "nested": {"a": [{"b": [None, True, 1.5, b"\xff"]}]},
    "": {},
}
EVENTS = [
    one
    for one in vars(event_types).values()
    if isinstance(one, type) and issubclass(one, NewEvent) and one is not NewEvent
]
MESSAGES = [*get_args(protocol.Down), *get_args(protocol.Up)]
ERRORS = [one for one in vars(errors).values() if isinstance(one, type) and issubclass(one, CallboardError)]


def sent(message: Any) -> Any:
    """Return a message as the other side gets it."""
    frame = packed([message])
    assert HEAD.unpack(frame[: HEAD.size])[0] == len(frame) - HEAD.size
    (got,) = unpacked(frame[HEAD.size :])
    return got


def of(hint: Any, *, full: bool) -> Any:
    """Return a value of a field's type; `full`: with everything that may be left out."""
    if hasattr(hint, "__metadata__"):
        return of(get_args(hint)[0], full=full)
    origin, args = get_origin(hint), get_args(hint)
    if origin in (Union, UnionType):
        some = [arg for arg in args if arg is not type(None)]
        return of(some[0], full=full) if full or len(some) == len(args) else None
    if origin is Literal:
        return args[-1]
    if origin is tuple:
        if args[-1] is not Ellipsis:
            return tuple(of(arg, full=full) for arg in args)
        return (of(args[0], full=True), of(args[0], full=False)) if full else ()
    if origin is frozenset:
        return frozenset({of(args[0], full=full)})
    if origin in (dict, Mapping, AbstractMapping):
        return {"one": of(args[1], full=full)} if full else {}
    if origin is list:
        return [of(args[0], full=full)] if full else []
    return of_class(hint, full=full)


def of_class(cls: Any, *, full: bool) -> Any:
    plain = {str: "täxt\ud800", int: 1 << 70, float: 1.5, bool: True, bytes: b"\x00\xff", datetime: NOW}
    if cls in plain:
        return plain[cls]
    if cls is NewEvent:
        return whole(EVENTS[0], full=full)
    if isinstance(cls, type) and issubclass(cls, CallboardError):
        return TaskError("internal_error", "told", retryable=True) if cls is TaskError else cls("told")
    if isinstance(cls, type) and issubclass(cls, Enum):
        return list(cls)[-1]
    if isinstance(cls, type) and (is_dataclass(cls) or issubclass(cls, BaseModel)):
        return whole(cls, full=full)
    return ODD if full else None  # any value


def whole(cls: Any, *, full: bool) -> Any:
    if issubclass(cls, Enum):
        return list(cls)[-1]
    hints = get_type_hints(cls)
    if issubclass(cls, BaseModel):  # made as the store makes it: validated long ago
        values = {name: of(hints[name], full=full) for name in cls.model_fields}
        return cls.model_construct(**values)
    return cls(**{field.name: of(hints[field.name], full=full) for field in fields(cls) if field.init})


def same(one: Any, other: Any) -> bool:
    """Return whether two values are equal: errors by what they say, a mapping of any kind by what it holds."""
    if isinstance(one, CallboardError):
        return type(one) is type(other) and vars(one) == vars(other) and str(one) == str(other)
    if isinstance(one, BaseModel):
        return type(one) is type(other) and same(vars(one), vars(other))
    if is_dataclass(one) and not isinstance(one, type):
        return type(one) is type(other) and all(
            same(getattr(one, field.name), getattr(other, field.name)) for field in fields(one)
        )
    if isinstance(one, AbstractMapping):
        return (
            isinstance(other, AbstractMapping)
            and one.keys() == other.keys()
            and all(same(one[key], other[key]) for key in one)
        )
    if isinstance(one, (list, tuple)):
        return type(one) is type(other) and len(one) == len(other) and all(map(same, one, other))
    return type(one) is type(other) and bool(one == other)


@pytest.mark.parametrize("full", [True, False])
@pytest.mark.parametrize("cls", [*MESSAGES, *EVENTS], ids=lambda cls: cls.__name__)
def test_every_message_and_every_event_comes_back_equal(cls: Any, full: bool) -> None:
    made = whole(cls, full=full)
    message = Told(RUN, (made,)) if isinstance(made, NewEvent) else made
    assert same(message, sent(message)), sent(message)


@pytest.mark.parametrize("full", [True, False])
@pytest.mark.parametrize("cls", [cls for cls in codec._ids if not issubclass(cls, Enum)], ids=lambda cls: cls.__name__)
def test_every_class_that_a_run_may_send_or_be_answered_with_crosses_in_a_call(cls: Any, full: bool) -> None:
    made = whole(cls, full=full)
    for value in (made, (made,), [made, (1, made)], {"one": (made, {"deep": made})}):
        call = Request(7, Call(RUN, "control.left", (codec.as_argument(value),)))
        (got,) = sent(call).asks.arguments
        assert same(value, got), got
        assert same(value, sent(Answered(7, codec.as_argument(value))).value)


@pytest.mark.parametrize("value", [*ODD.values(), ODD, (), (1, (1 << 90, ("x",))), [(1 << 70,), 1 << 80], {"a": (1,)}])
def test_values_of_every_kind_cross_beside_long_numbers(value: Any) -> None:
    arguments = (codec.as_argument(value), 1 << 100)
    got = sent(Request(1, Call(None, "mcp.call", arguments))).asks.arguments
    assert same((value, 1 << 100), got)


def test_a_long_number_deep_in_an_object_that_stands_for_any_value_crosses() -> None:
    event = whole(EVENTS[0], full=True)
    assert same(event, sent(Answered(1, event)).value)
    assert same((event, 1 << 90), sent(Answered(1, codec.as_argument((event, 1 << 90)))).value)


def test_what_is_no_number_stays_none() -> None:
    assert math.isnan(sent(Answered(1, [math.nan])).value[0])


def test_sets_and_mappings_of_other_kinds_come_as_lists_and_dicts() -> None:
    value = {"a": MappingProxyType({"b": frozenset({1}), "c": 1 << 99})}
    assert sent(Answered(1, value)).value == {"a": {"b": [1], "c": 1 << 99}}


@pytest.mark.parametrize("cls", ERRORS, ids=lambda cls: cls.__name__)
def test_every_error_comes_back_with_its_fields(cls: Any) -> None:
    error: Any = TaskError("internal_error", "told", retryable=True) if cls is TaskError else cls("told \ud800")
    error.details = [{"field": "a", "long": 1 << 77}]
    error.more = {"retry_after_s": 1.5}
    got = sent(Answered(1, error=error)).error
    assert same(error, got)
    assert (got.code, got.message) == (error.code, error.message)


def test_an_error_of_a_class_that_is_not_ours_comes_as_the_nearest_one_of_ours() -> None:
    class Own(errors.Unavailable):
        pass

    assert type(sent(Answered(1, error=Own("told"))).error) is errors.Unavailable


@pytest.mark.parametrize("value", [object(), {"a": [print]}, {1j}])
def test_what_has_no_wire_form_is_a_type_error_before_anything_is_sent(value: Any) -> None:
    with pytest.raises(TypeError):
        packed([Answered(1, value)])


# --- what is no frame ---


@given(st.binary(max_size=400))
def test_garbage_is_a_value_error(body: bytes) -> None:
    with suppress(ValueError):
        unpacked(body)


_plain = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**63), 2**63)
    | st.floats()
    | st.text(max_size=5)
    | st.binary(max_size=9),
    lambda inner: st.lists(inner, max_size=5) | st.dictionaries(st.text(max_size=3), inner, max_size=3),
    max_leaves=20,
)


_objects = st.tuples(st.integers(-3, len(codec._read) + 2), st.lists(_plain, max_size=6)).map(
    lambda told: [told[0], *told[1]]
)


@given(st.lists(_objects, max_size=3))
def test_the_right_shape_around_garbage_is_a_value_error(told: list[Any]) -> None:
    with suppress(ValueError):
        unpacked(msgpack.packb(told))


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"\xc1",
        b"\x01",
        msgpack.packb([[len(codec._read)]]),
        msgpack.packb([["zero"]]),
        msgpack.packb([msgpack.ExtType(2, b"no number")]),
        msgpack.packb([msgpack.ExtType(77, b"")]),
        packed([Cancel(RUN)])[HEAD.size : -1],
        packed([Cancel(RUN)])[HEAD.size :] + b"\x00",
    ],
)
def test_what_is_no_frame_is_refused(body: bytes) -> None:
    with pytest.raises(ValueError):
        unpacked(body)


def test_a_nest_of_any_depth_is_refused_and_no_end_of_the_stack() -> None:
    body = msgpack.packb(1)
    for _ in range(3000):
        body = msgpack.packb(msgpack.ExtType(3, body))
    with pytest.raises(ValueError):
        unpacked(b"\x91" + body)
    with pytest.raises(ValueError):
        unpacked(b"\x91" * 100_000)


def test_tuples_cross_as_deep_as_they_may_be_read_and_no_deeper() -> None:
    deep: Any = 1
    for _ in range(64):
        deep = ([deep],)
    assert sent(Answered(1, codec.as_argument(deep))).value == deep
    with pytest.raises(ValueError, match="nested deeper than 64"):
        codec.as_argument((deep,))


def test_many_messages_are_one_frame_in_their_order() -> None:
    said = [Printed(RUN, f"{number}") for number in range(1000)]
    assert unpacked(packed(list(said))[HEAD.size :]) == said
