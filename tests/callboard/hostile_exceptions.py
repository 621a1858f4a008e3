"""What the skills of `test_hostile_exceptions.py` raise: exceptions whose every part is somebody's own code, which raises too.

Not in the style of the house: each is as short as it can be.
"""

# ruff: noqa
# mypy: ignore-errors

import asyncio

from callboard import RetryableError


class Own(BaseException):
    pass


class BadStr(Exception):
    def __str__(self):
        raise KeyboardInterrupt("str")

    __repr__ = __str__


class StrExit(Exception):
    def __str__(self):
        raise SystemExit(3)


class StrGen(BaseException):
    def __str__(self):
        raise GeneratorExit


class NotStr(Exception):
    def __str__(self):
        return 5


class StrSub(str):
    def __len__(self):
        raise SystemExit

    def __getitem__(self, i):
        raise SystemExit

    def encode(self, *a):
        raise SystemExit


class StrSubExc(Exception):
    def __str__(self):
        return StrSub("sub")


class LiesClass(Exception):
    @property
    def __class__(self):
        raise SystemExit(1)


class SaysTask(Exception):
    @property
    def __class__(self):
        from callboard.errors import TaskError

        return TaskError


class SaysPaused(Exception):
    @property
    def __class__(self):
        from callboard.agent.ledger import Paused

        return Paused


class BadCause(Exception):
    @property
    def __cause__(self):
        raise SystemExit(1)

    @property
    def __context__(self):
        raise SystemExit(1)

    @property
    def __suppress_context__(self):
        raise SystemExit(1)


class IntCause(Exception):
    __cause__ = 5
    __context__ = "x"


class BadNotes(Exception):
    @property
    def __notes__(self):
        raise SystemExit(1)


class NotesList(list):
    def __iter__(self):
        raise SystemExit(1)

    def __len__(self):
        raise SystemExit(1)

    def __getitem__(self, i):
        raise SystemExit(1)


class ListNotes(Exception):
    def __init__(self):
        self.__notes__ = NotesList(["a"])


class BadTb(Exception):
    @property
    def __traceback__(self):
        raise SystemExit(1)


class IntTb(Exception):
    @property
    def __traceback__(self):
        return 7


class GetAttr(Exception):
    def __getattribute__(self, n):
        raise SystemExit(1)


class Meta(type):
    def __getattribute__(c, n):
        if n in ("__name__", "__qualname__", "__module__", "__mro__"):
            raise SystemExit(1)
        return super().__getattribute__(n)

    def __instancecheck__(c, o):
        raise SystemExit(1)

    def __subclasscheck__(c, o):
        raise SystemExit(1)

    def __repr__(c):
        raise SystemExit(1)

    def __eq__(c, o):
        raise SystemExit(1)

    def __hash__(c):
        return 1


class MetaExc(Exception, metaclass=Meta):
    pass


class EqExc(Exception):
    def __eq__(self, o):
        raise SystemExit(1)

    def __hash__(self):
        raise SystemExit(1)

    def __bool__(self):
        raise SystemExit(1)

    def __len__(self):
        raise SystemExit(1)


class Del:
    def __del__(self):
        raise SystemExit("del")


class Cyclic(Exception):
    pass


class GroupLies(ExceptionGroup):
    @property
    def exceptions(self):
        raise SystemExit(1)


class BGroup(BaseExceptionGroup):
    pass


class WTE(Exception):
    def with_traceback(self, tb):
        raise SystemExit


class ArgsExc(Exception):
    @property
    def args(self):
        raise SystemExit


class Reduce(Exception):
    def __reduce__(self):
        raise SystemExit


def cause(e, c):
    e.__cause__ = c
    return e


def cyc():
    a, b = Cyclic("a"), Cyclic("b")
    a.__cause__ = b
    b.__cause__ = a
    return a


def ctxdel():
    Del()
    return ValueError("after del")


def gen():
    try:
        yield 1
    finally:
        raise SystemExit("in generator")


def leaves_gen():
    g = gen()
    next(g)
    del g
    return ValueError("gen left")


MAKE = {
    "own": lambda: Own("own"),
    "sysexit": lambda: SystemExit(3),
    "sysexitobj": lambda: SystemExit(object()),
    "kbd": lambda: KeyboardInterrupt(),
    "genexit": lambda: GeneratorExit(),
    "cancelled": lambda: asyncio.CancelledError(),
    "badstr": lambda: BadStr(),
    "strexit": lambda: StrExit(),
    "strgen": lambda: StrGen(),
    "notstr": lambda: NotStr(),
    "strsub": lambda: StrSubExc(),
    "liesclass": lambda: LiesClass("x"),
    "saystask": lambda: SaysTask("x"),
    "sayspaused": lambda: SaysPaused("x"),
    "badcause": lambda: BadCause("x"),
    "intcause": lambda: IntCause("x"),
    "badnotes": lambda: BadNotes("x"),
    "listnotes": lambda: ListNotes(),
    "badtb": lambda: BadTb("x"),
    "inttb": lambda: IntTb("x"),
    "getattr": lambda: GetAttr("x"),
    "meta": lambda: MetaExc("x"),
    "eq": lambda: EqExc("x"),
    "cyc": cyc,
    "ctxdel": ctxdel,
    "leavesgen": leaves_gen,
    "group": lambda: BGroup("g", [SystemExit(1), KeyboardInterrupt()]),
    "grouplies": lambda: GroupLies("g", [ValueError(1)]),
    "causebad": lambda: cause(ValueError("v"), GetAttr("c")),
    "causemeta": lambda: cause(ValueError("v"), MetaExc("c")),
    "causeeq": lambda: cause(ValueError("v"), EqExc("c")),
    "causetb": lambda: cause(ValueError("v"), BadTb("c")),
    "groupbad": lambda: ExceptionGroup("g", [GetAttr("x"), MetaExc("y"), BadTb("z"), BadNotes("n")]),
    "wte": lambda: WTE("x"),
    "argsexc": lambda: ArgsExc("x"),
    "reduce": lambda: Reduce("x"),
    "stopiter": lambda: StopIteration("x"),
    "stopasync": lambda: StopAsyncIteration("x"),
    "recursion": lambda: RecursionError("x"),
    "memory": lambda: MemoryError(),
    "surrogate": lambda: ValueError("\udc80\0x"),
    "syntax": lambda: SyntaxError("m", ("f" * 1000, 10**9, 5, "t" * 10**6)),
    "syntaxbad": lambda: SyntaxError("m", ("f", "x", object(), 5)),
    "unicode": lambda: UnicodeDecodeError("u", b"x" * 10**6, 0, 5, "r"),
    "oserr": lambda: OSError(5, object(), BadStr()),
    "keyerr": lambda: KeyError(BadStr()),
    "retry": lambda: RetryableError(BadStr()),
}
