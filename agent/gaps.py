"""What Python has and the sandbox lacks, and what to write instead: the one table of it.

What stands between backticks in an advice is code that the sandbox runs, with `xs` a list, `d` a dict, `text` a text, `n` a
whole number, `x` a number, `f` a function, `day` a date. tests/agent/test_gaps.py runs all of it, and shows of each entry
that it is lacking today. Data only; any thread. Imported by the hints.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

THERE = (
    "FileExistsError", "FileNotFoundError", "ImportError", "IsADirectoryError", "ModuleNotFoundError",
    "NotADirectoryError", "PermissionError", "UnboundLocalError", "UnicodeDecodeError", "UnicodeEncodeError", "filter",
    "format", "map",
)  # fmt: skip
"""What the interpreter has and its type checker does not know."""

STANDARD_LIBRARY = (
    "asyncio", "base64", "binascii", "bisect", "collections", "copy", "csv", "dataclasses", "datetime", "decimal",
    "functools", "hashlib", "itertools", "json", "math", "os", "pathlib", "posixpath", "random", "re", "sys", "time",
    "tomllib", "typing", "unicodedata",
)  # fmt: skip
"""The modules that there are, most of them in part."""


@dataclass(frozen=True, slots=True)
class BySkill:
    """Advice to call a skill, where the task may call it."""

    skill: str
    advice: str
    otherwise: str


Advice = str | BySkill


def _each(*entries: tuple[str, Advice]) -> dict[str, Advice]:
    """Return the table with each name of an entry, `a b c`, by itself."""
    return {name: advice for names, advice in entries for name in names.split()}


_NO_FILES = "the code has no files; have what they hold in the task, as its text or an attachment"
_READ = BySkill("read-file", 'call `read_file("notes.txt")` from skills', _NO_FILES)
_OPEN = BySkill(
    "read-file",
    'call `read_file("notes.txt")` from skills, and to write a file `write_file("notes.txt", text)`',
    _NO_FILES,
)
_WRITE = BySkill("write-file", 'call `write_file("notes.txt", text)` from skills', _NO_FILES)
_LISTED = BySkill("list-files", "call `list_files()` from skills", _NO_FILES)
_FETCH = BySkill("web-fetch", 'call `web_fetch("https://example.org")` from skills', "the code has no network")
_TABLE = BySkill(
    "query-table",
    'call `query_table(text, "mean", "price")` from skills, or read rows with `csv.DictReader(text.splitlines())`',
    "read rows with `csv.DictReader(text.splitlines())` and compute in comprehensions, `sum(row for row in xs) / len(xs)`",
)
_NO_PROCESS = "the code runs by itself, with no process, environment or settings to look at"
_PRINT = "write `print(text)`, or leave it out"
_ONE_BY_ONE = "await calls of skills at once with asyncio.gather; anything else runs one after the other"
_DICT = "keep such values in a dict: `d[text] = x`, `d.get(text)`"
_LAMBDA = "write it out: `sorted(xs, key=lambda one: -one)`"

BUILTINS: Mapping[str, Advice] = _each(
    ("aiter anext", "write a plain for over a list"),
    ("ascii", "write `repr(text)`"),
    ("breakpoint", _PRINT),
    ("bytearray", "collect numbers and write `bytes.fromhex(''.join(f'{one:02x}' for one in xs))`, or join bytes: `b''.join([b'a', b'b'])`"),
    ("callable", "keep functions and values apart, or try: call it and catch TypeError"),
    ("classmethod staticmethod", "write a plain function outside of the class"),
    ("compile __import__", "write the code itself, with its imports"),
    ("delattr", "set the attribute to None"),
    ("dir vars globals", _DICT),
    ("exit quit", "end with the answer as the last expression; put the rest under an if"),
    ("getattr hasattr setattr", f"write the attribute itself; {_DICT}; tell kinds apart with `isinstance(x, (int, float))`"),
    ("help", "leave it out"),
    ("input", "nobody can be asked while code runs: take the values from the task, and end with a question where one is missing"),
    ("issubclass", "compare with `isinstance(x, (int, float))`"),
    ("memoryview", "slice the bytes themselves: `b'abc'[1:]`"),
    ("open", _OPEN),
    ("super", "classes have no base here; write a plain function and call that"),
    ("EnvironmentError IOError ConnectionError BlockingIOError BrokenPipeError ChildProcessError ConnectionAbortedError"
     " ConnectionRefusedError ConnectionResetError InterruptedError ProcessLookupError", "catch OSError, or for a skill that fails RuntimeError"),
    ("UnicodeError UnicodeTranslateError", "catch ValueError"),
    ("EOFError FloatingPointError BufferError ReferenceError SystemError", "catch Exception"),
    ("IndentationError TabError", "catch SyntaxError"),
    ("BaseExceptionGroup ExceptionGroup", "raise one exception with all that is to be said in its text"),
    ("GeneratorExit StopAsyncIteration", "there are no generators here; return lists"),
    ("Warning BytesWarning DeprecationWarning EncodingWarning FutureWarning ImportWarning PendingDeprecationWarning"
     " ResourceWarning RuntimeWarning SyntaxWarning UnicodeWarning UserWarning", _PRINT),
)  # fmt: skip
"""Names that are always there in Python."""

MODULES: Mapping[str, Advice] = _each(
    ("statistics", "write the mean as `sum(xs) / len(xs)`, the median of an odd number of values as `sorted(xs)[len(xs) // 2]`, the"
     " deviation as `math.sqrt(sum((one - sum(xs) / len(xs)) ** 2 for one in xs) / (len(xs) - 1))`"),
    ("numpy scipy cmath array", "compute with lists, `[one * 2 for one in xs]`, and the math module"),
    ("pandas polars pyarrow duckdb sqlite3", _TABLE),
    ("openpyxl xlrd pypdf PyPDF2 docx", _READ),
    ("requests httpx aiohttp urllib urllib.request urllib3 http http.client socket ssl bs4 lxml selenium", _FETCH),
    ("urllib.parse html", "write what is needed of it by `text.replace('&amp;', '&')` and `text.partition('?')`"),
    ("string", "write the letters as `'abcdefghijklmnopqrstuvwxyz'`, the digits as `'0123456789'`, or ask `text.isalpha()`"),
    ("textwrap", "cut it yourself: `[text[i : i + 70] for i in range(0, len(text), 70)]`"),
    ("enum", "write the values as texts, or a dict of them: `{'RED': 1, 'BLUE': 2}`"),
    ("io", "hand over lines: `csv.reader(text.splitlines())`; collect texts in a list and `'\\n'.join(['a', 'b'])`"),
    ("heapq", "sort: `sorted(xs)[:3]`, `sorted(xs, reverse=True)[:3]`"),
    ("operator", "write a lambda: `sorted(xs, key=lambda one: -one)`"),
    ("uuid", "write `hashlib.sha256(text.encode()).hexdigest()`, or at random `random.randbytes(16).hex()`"),
    ("secrets", "write `random.randbytes(16).hex()`; it is no good for passwords"),
    ("fractions numbers", "compute with whole numbers and `math.gcd(n, 12)`, or with `decimal.Decimal('0.1')`"),
    ("calendar", "count with dates: `datetime.date(2026, 2, 1) + datetime.timedelta(days=27)`, `day.weekday()`"),
    ("zoneinfo pytz tzlocal", "write `datetime.timezone(datetime.timedelta(hours=1))` with the hours of the zone on that day"),
    ("dateutil dateparser arrow pendulum", "write `datetime.datetime.strptime('2 Jan 2026', '%d %b %Y')`"),
    ("collections.abc abc types typing_extensions", "leave the type out, or take it from typing: `from typing import Callable, Iterable, Mapping, Sequence`"),
    ("__future__ builtins", "leave the import out"),
    ("contextlib", "write try and finally where it is needed"),
    ("copyreg pickle shelve marshal", "write JSON: `json.dumps(d)`"),
    ("yaml toml configparser xml xml.etree xml.etree.ElementTree", "take it apart with re: `re.findall(r'(\\w+): (\\w+)', text)`"),
    ("pprint reprlib", "write `json.dumps(d, indent=2)`"),
    ("difflib", "compare lines: `[one for one in text.splitlines() if one not in 'b'.splitlines()]`"),
    ("struct", "write `bytes.fromhex('0102')`, or compute with `n >> 8` and `n & 255`"),
    ("logging warnings traceback pdb", _PRINT),
    ("argparse optparse getopt click typer fire dotenv", "write the values into the code"),
    ("subprocess shutil platform signal ctypes multiprocessing resource gc", _NO_PROCESS),
    ("glob fnmatch tempfile zipfile tarfile gzip bz2 lzma zlib fileinput filecmp", _LISTED),
    ("threading concurrent concurrent.futures queue sched contextvars", _ONE_BY_ONE),
    ("timeit cProfile profile tracemalloc", "write `time.perf_counter()` before and after"),
    ("inspect ast dis importlib runpy code codeop", "write the code itself, with its imports"),
    ("unittest doctest pytest", "write `assert n == 12`"),
    ("weakref", "keep the value itself"),
    ("keyword token tokenize", "write the words as a set: `{'if', 'else'}`"),
    ("locale gettext", "write `f'{n:,}'.replace(',', '.')`"),
    ("codecs", "write `text.encode()` and `b'a'.decode()`"),
    ("hmac", "write `hashlib.sha256(b'key' + text.encode()).hexdigest()`"),
    ("graphlib", "go through a dict of lists: `{'a': ['b'], 'b': []}`"),
    ("ipaddress", "take it apart: `[int(part) for part in '10.0.0.1'.split('.')]`"),
    ("colorsys", "compute it with the math module"),
    ("regex", "write `re.findall(r'\\w+', text)`"),
    ("more_itertools toolz", "write it with itertools: `list(itertools.batched(xs, 2))`"),
    ("pydantic attrs attr", "write a dataclass: `from dataclasses import dataclass`"),
    ("jinja2 mako", "write an f-string: `f'Dear {text}'`"),
    ("sympy", BySkill("calculate", "call `calculate('2 ** 0.5')` from skills", "compute it with the math module")),
    ("nltk spacy sklearn torch tensorflow transformers", "write it with re and Counter: `collections.Counter(re.findall(r'\\w+', text.lower()))`"),
    ("matplotlib plotly seaborn PIL", "no pictures can be made; end with the numbers: `{'a': 1, 'b': 2}`"),
    ("tqdm rich tabulate", _PRINT),
)  # fmt: skip
"""Modules of the standard library and others that models like to import."""

MEMBERS: Mapping[str, Advice] = _each(
    ("asyncio.create_task asyncio.wait asyncio.wait_for asyncio.as_completed asyncio.Semaphore asyncio.Queue asyncio.Lock"
     " asyncio.to_thread asyncio.TaskGroup asyncio.timeout asyncio.get_event_loop asyncio.ensure_future", "await all calls at once with asyncio.gather"),
    ("collections.OrderedDict", "write `dict([('a', 1)])`; a dict keeps its order"),
    ("collections.ChainMap", "write `{**d, 'a': 1}`"),
    ("collections.UserDict collections.UserList collections.UserString", "write a plain dict, list or text"),
    ("copy.replace dataclasses.replace dataclasses.asdict dataclasses.astuple dataclasses.fields dataclasses.make_dataclass"
     " dataclasses.KW_ONLY dataclasses.InitVar", "write the fields out: `{'a': x, 'b': n}`; a dataclass as the last value becomes an object by itself"),
    ("datetime.UTC", "write `datetime.timezone.utc`"),
    ("datetime.tzinfo datetime.MINYEAR datetime.MAXYEAR", "write `datetime.timezone.utc`, and years as numbers"),
    ("datetime.datetime.utcnow datetime.datetime.today", "write `datetime.datetime.now(datetime.timezone.utc)`"),
    ("datetime.datetime.fromtimestamp datetime.datetime.utcfromtimestamp datetime.date.fromtimestamp",
     "write `datetime.datetime(1970, 1, 1, tzinfo=datetime.timezone.utc) + datetime.timedelta(seconds=int(x))`"),
    ("datetime.date.isocalendar datetime.datetime.isocalendar datetime.date.fromisocalendar datetime.datetime.fromisocalendar",
     "write the week as `int(day.strftime('%V'))`, its year as `int(day.strftime('%G'))`"),
    ("datetime.date.toordinal datetime.datetime.toordinal", "write `(day - datetime.date(1, 1, 1)).days + 1`"),
    ("datetime.date.fromordinal datetime.datetime.fromordinal", "write `datetime.date(1, 1, 1) + datetime.timedelta(days=n - 1)`"),
    ("datetime.date.timetuple datetime.datetime.timetuple datetime.datetime.utctimetuple", "write the parts, `(day.year, day.month, day.day)`; the day of the year is `int(day.strftime('%j'))`"),
    ("datetime.date.ctime datetime.datetime.ctime", "write `day.strftime('%a %b %d %Y')`"),
    ("decimal.Decimal.from_float", "write `decimal.Decimal(str(x))`"),
    ("functools.wraps functools.update_wrapper functools.total_ordering functools.singledispatch", "leave it out"),
    ("functools.cached_property functools.partialmethod functools.singledispatchmethod", "write a plain method, and keep its value in an attribute"),
    ("functools.cmp_to_key", _LAMBDA),
    ("hashlib.file_digest", "write `hashlib.sha256(text.encode()).hexdigest()`"),
    ("json.JSONEncoder json.JSONDecoder", "make plain values first: `json.dumps({str(key): str(value) for key, value in d.items()})`"),
    ("json.JSONDecodeError.msg json.JSONDecodeError.pos json.JSONDecodeError.lineno json.JSONDecodeError.colno json.JSONDecodeError.doc",
     "write the text of the exception as a whole, str(error)"),
    ("os.environ os.getenv os.system os.popen os.getpid os.cpu_count os.uname os.urandom os.environb", _NO_PROCESS),
    ("os.listdir os.walk os.scandir", _LISTED),
    ("os.fsencode os.fsdecode", "write `text.encode()`"),
    ("pathlib.PurePath pathlib.PurePosixPath pathlib.PosixPath", "write `pathlib.Path('a/b')`"),
    ("random.SystemRandom", "write `random.randint(1, 6)`"),
    ("re.subn", "write `re.sub('a', 'b', text)` and `len(re.findall('a', text))`"),
    ("re.X re.VERBOSE", "write the pattern in one line, or put (?x) in front of it: `re.findall('(?x) a  b', text)`"),
    ("re.L re.LOCALE re.U re.UNICODE re.RegexFlag re.purge re.template", "leave it out"),
    ("re.Match.expand", "write an f-string of its groups"),
    ("re.Match.lastgroup re.Match.lastindex re.Match.pos re.Match.endpos re.Match.re re.Match.regs", "take it from its groups"),
    ("re.Pattern.subn re.Pattern.groups re.Pattern.groupindex re.Pattern.scanner", "write `re.sub('a', 'b', text)`, or take it from the groups of a match"),
    ("sys.exit", "end with the answer as the last expression; put the rest under an if, or raise an exception"),
    ("sys.stdin", "take the values from the task"),
    ("sys.path sys.modules sys.getsizeof sys.setrecursionlimit sys.getrecursionlimit sys.exc_info sys.getdefaultencoding", "leave it out"),
    ("time.struct_time time.tzset time.get_clock_info", "use datetime: `datetime.datetime.now(datetime.timezone.utc)`"),
    ("typing.NamedTuple", "write `collections.namedtuple('Point', ['x', 'y'])`, or a dataclass"),
    ("typing.TypedDict", "write a plain dict, with the type `dict[str, int]`"),
    ("typing.cast typing.get_type_hints typing.get_args typing.get_origin typing.overload typing.final typing.runtime_checkable"
     " typing.NewType typing.assert_never typing.reveal_type", "leave it out"),
    ("typing.Awaitable typing.Coroutine typing.Collection typing.MutableMapping typing.MutableSequence typing.MutableSet"
     " typing.AbstractSet typing.Hashable typing.Sized typing.Container typing.AsyncIterator typing.AsyncIterable typing.AnyStr"
     " typing.ParamSpec typing.TypeAlias typing.TypeGuard typing.Counter typing.Deque typing.DefaultDict typing.OrderedDict"
     " typing.Text typing.IO typing.TextIO typing.BinaryIO typing.Pattern typing.Match typing.Required typing.NotRequired",
     "leave the type out, or write another: `dict[str, int]`, `list[str]`"),
    ("unicodedata.bidirectional unicodedata.decimal unicodedata.digit unicodedata.numeric unicodedata.east_asian_width"
     " unicodedata.decomposition unicodedata.mirrored", "write `unicodedata.category('a')` or `unicodedata.name('a')`"),
    ("bytes.expandtabs bytes.maketrans bytes.translate", "decode them first: `b'a'.decode().replace('a', 'b')`"),
    ("str.format_map", "write `text.format(**d)`"),
    ("str.translate str.maketrans", "write `''.join({'a': 'x'}.get(c, c) for c in text)`, or `text.replace('a', 'x')`"),
    ("set.intersection_update set.difference_update set.symmetric_difference_update", "write `{1, 2} & set(xs)`, `{1, 2} - set(xs)` or `{1, 2} ^ set(xs)`"),
    ("int.bit_length int.bit_count", "write `len(bin(n)) - 2` for the length, `bin(n).count('1')` for the ones"),
    ("int.to_bytes", "write `bytes.fromhex(f'{n:08x}')`"),
    ("int.from_bytes", "write `int(b'ab'.hex(), 16)`"),
    ("int.as_integer_ratio int.numerator int.denominator int.real int.imag int.conjugate float.real float.imag float.conjugate", "write the number itself"),
    ("float.is_integer", "write `x == int(x)`"),
    ("float.as_integer_ratio", "write `decimal.Decimal(str(x))`"),
    ("float.hex float.fromhex", "write `repr(x)` and `float('1.5')`"),
    ("range.start range.stop range.step range.count range.index", "keep its ends in variables of their own, or make a list of it: `list(range(n))`"),
    ("datetime.date.min datetime.date.max datetime.date.resolution datetime.datetime.min datetime.datetime.max"
     " datetime.datetime.resolution datetime.datetime.fold datetime.time.min datetime.time.max datetime.timedelta.min"
     " datetime.timedelta.max", "write it as a date: `datetime.date(9999, 12, 31)`"),
)  # fmt: skip
"""Members of modules and of types, by their whole names."""

CLASS_METHODS: Mapping[str, Advice] = _each(
    ("__len__ __reversed__ __bytes__ __complex__ __format__ __bool__", "give the method a name of its own and call it, as in a.size()"),
    ("__lt__ __le__ __gt__ __ge__", "compare and sort by a key: `sorted(xs, key=lambda one: -one)`"),
    ("__new__", "write __init__, or a function that makes the object"),
    ("__iadd__ __isub__ __imul__", "write the plain operator's method, such as __add__"),
    ("__getattr__ __getattribute__ __setattr__ __delattr__", "keep such values in a dict: `d.get(text)`"),
)  # fmt: skip
"""Methods of classes that Python calls by itself and the sandbox does not; some are passed over without a word."""

SYNTAX: Mapping[str, tuple[str, Advice]] = {
    "class inheritance and metaclasses": ("a class with a base", "write the class without one: for an error raise `ValueError(text)`, for a shared method call a function"),
    "yield expressions": ("yield", "collect the values in a list, `xs.append(n)`, and return it"),
    "yield from expressions": ("yield from", "collect the values in a list, `xs.extend([n])`, and return it"),
    "the 'del' statement": ("del", "of a dict write `d.pop('a', None)`, of a list `xs.pop(0)`; a variable can be set to None"),
    "method decorators (classmethod/staticmethod/property)": ("a decorator of a method", "write a plain method, or a function outside of the class"),
    "class bodies containing anything other than methods and simple class variables": ("such a statement in the body of a class", "write it outside of the class"),
    "type aliases": ("the statement type", "write `Row = dict[str, int]`"),
    "exception groups (try*/except*)": ("except*", "write except"),
    "async comprehensions": ("async in a comprehension", "await all at once with asyncio.gather, and go through the list"),
    "async for loops": ("async for", "await all at once with asyncio.gather, and go through the list with for"),
    "async context managers (async with)": ("async with", "call what is needed directly"),
    "template strings (t-strings)": ("a t-string", "write an f-string: `f'{text}'`"),
    "Wildcard imports": ("import *", "import the names: `from math import pi, sqrt`"),
}  # fmt: skip
"""What the parser refuses, by its own words."""

PHRASES: Mapping[str, Advice] = {
    "cannot suspend in this synchronous context": "a skill cannot be called by map, filter, sorted, max or another function that calls back; "
    "call it in a comprehension first, as in `[f(one) for one in xs]`, and go on with the list",
    "'list' object is not an iterator": "comprehensions in parentheses, map, filter and zip give lists here; write `next(iter(xs), None)`",
    "callable replacement is not yet supported": "put it together yourself: `''.join(part.upper() if part.isdigit() else part for part in re.split(r'(\\d+)', text))`",
    "JSONEncoder.__init__() got an unexpected keyword argument": "make plain values first: `json.dumps({key: str(value) for key, value in d.items()})`",
    "JSONDecoder.__init__() got an unexpected keyword argument": "change the values after they are read: `json.loads('[1]')`",
    "dataclass() does not yet support": "leave the option out; sort by a key: `sorted(xs, key=lambda one: -one)`",
    "'system.sleep' is not supported": "leave the pause out; what takes time is done by skills",
    "PermissionError: Permission denied": _READ,
    "cannot create 'object' instances": "write None or a text of its own, such as `'missing'`",
    "cannot convert 'list' object to bytes": "write `bytes.fromhex(''.join(f'{one:02x}' for one in xs))`",
    "exceptions can only be called with zero or one string argument": "put all of it into one text: `ValueError(f'{text}: {n}')`",
    "'float' object cannot be interpreted as an integer": "a timedelta takes whole numbers only, and so do range and indices: "
    "write `datetime.timedelta(minutes=90)`, `int(x)`",
    "is not async-iterable": "await all at once with asyncio.gather, and go through the list with a plain for",
    "cannot be used with `async with`": "call what is needed directly",
    "unknown encoding": "write `text.encode()`, which is UTF-8",
    "is not defined on `None` in union": "the value may be None: ask first, as in `(m := re.search('a', text)) and m.group()`",
}  # fmt: skip
"""What is lacking in part, by the words of the error."""


UNSEEN = frozenset(
    (
        "EnvironmentError IOError exit quit help abc builtins types typing_extensions collections.abc dataclasses.InitVar"
        " dataclasses.KW_ONLY dataclasses.asdict dataclasses.astuple dataclasses.fields dataclasses.make_dataclass"
        " dataclasses.replace datetime.MAXYEAR datetime.MINYEAR datetime.UTC datetime.tzinfo datetime.date.fromordinal"
        " datetime.datetime.fromordinal datetime.date.fromtimestamp datetime.datetime.fromtimestamp"
        " datetime.datetime.utcfromtimestamp datetime.datetime.utcnow datetime.datetime.today datetime.date.fromisocalendar"
        " datetime.datetime.fromisocalendar decimal.Decimal.from_float json.JSONDecoder json.JSONEncoder os.environ os.getenv os.listdir"
        " os.urandom pathlib.PosixPath pathlib.PurePath pathlib.PurePosixPath re.L re.LOCALE re.RegexFlag re.U re.UNICODE"
        " re.VERBOSE re.X re.purge re.subn bytes.maketrans float.fromhex int.from_bytes str.maketrans typing.AbstractSet"
        " typing.AnyStr typing.AsyncIterable typing.AsyncIterator typing.Awaitable typing.BinaryIO typing.Collection"
        " typing.Container typing.Coroutine typing.Counter typing.DefaultDict typing.Deque typing.Hashable typing.IO"
        " typing.Match typing.MutableMapping typing.MutableSequence typing.MutableSet typing.NamedTuple typing.NewType"
        " typing.NotRequired typing.OrderedDict typing.ParamSpec typing.Pattern typing.Required typing.Sized typing.Text"
        " typing.TextIO typing.TypeAlias typing.TypeGuard typing.TypedDict typing.assert_never typing.cast typing.final"
        " typing.get_args typing.get_origin typing.get_type_hints typing.overload typing.reveal_type typing.runtime_checkable"
    ).split()
)
"""What the type checker lets pass although the interpreter lacks it."""


def all_advice() -> Iterable[tuple[str, Advice]]:
    """Yield every entry's name and advice."""
    yield from BUILTINS.items()
    yield from MODULES.items()
    yield from MEMBERS.items()
    yield from CLASS_METHODS.items()
    yield from SYNTAX.values()
    yield from PHRASES.items()
