"""What a file may be called: what a file system takes as one name, as long as people can see all of it.

Letters of any script, spaces and signs are taken as they are. One name is one, however its accents are stored (NFC), and
names that some file system tells apart by nothing, or by case only, are told apart by a number, as browsers do.
Pure functions; any thread; imported by the model of a task, the attachments, the workspace and the command line.
"""

import re
import unicodedata
from collections.abc import Sequence

from callboard.limits import FILE_NAME_BYTES

"""Longest name of a file, in UTF-8: what the common file systems take."""

NOTE, TEMPORARY = ".attached-", ".writing-"
"""What the names of the server's own files in a workspace begin with: which attachments are there, and half of a file."""

# SECURITY: a name that does not show all that it holds is taken for another one by people, and tells models what nobody
# sees. These are control characters, the code points that Unicode has nothing shown for (Default_Ignorable), the marks that
# turn text round and those that end a line. Joiners and variation selectors stay where scripts and emoji have them: one,
# behind a sign.
_HIDDEN_BELOW = (  # those to U+FFFF
    r"\u0000-\u001f\u007f-\u009f\u00ad\u034f\u061c\u115f\u1160\u17b4\u17b5\u180b-\u180f\u200b\u200e\u200f\u2028-\u202e\u2060-\u206f"
    r"\u3164\ufeff\uffa0\ufff0-\ufffb"
)
_HIDDEN = _HIDDEN_BELOW + "\U000e0000-\U000e00ff\U000e01f0-\U000e0fff"
_SELECTORS_BELOW = r"\ufe00-\ufe0f"
_JOINERS, _SELECTORS = r"\u200c\u200d", _SELECTORS_BELOW + "\U000e0100-\U000e01ef"
_UNSEEN = re.compile(
    rf"[{_HIDDEN}\ud800-\udfff]"
    rf"|(?<![^\x00-\x7f{_JOINERS}])[{_JOINERS}]"
    rf"|(?<![^\x00-\x22\x24-\x29\x2b-\x2f\x3a-\x7f{_SELECTORS}])[{_SELECTORS}]"
)


def _kept_from_names() -> str:
    """Return a pattern of what keeps a text of signs that names may have from being one."""
    folders, alone = r"^\.{1,2}$", rf"(^|[\u0000-\u007f{_JOINERS}])[{_JOINERS}]"
    behind_none = rf"(^|[\u0000-\u0022\u0024-\u0029\u002b-\u002f\u003a-\u007f{_SELECTORS_BELOW}])[{_SELECTORS_BELOW}]"
    own = "|".join(
        "".join(f"[{sign}{sign.upper()}]" if sign.isalpha() else f"[{sign}]" for sign in name)
        for name in (NOTE, TEMPORARY)
    )
    return f"{folders}|^({own})|{alone}|{behind_none}"


_TAKEN = rf"[^/\\{_HIDDEN_BELOW}]"
SCHEMA = {
    "minLength": 1,
    "maxLength": FILE_NAME_BYTES,
    "pattern": rf"^{_TAKEN}*[^/\\{_HIDDEN_BELOW}\s\u001c-\u001f\u0085]{_TAKEN}*$",
    "not": {"pattern": _kept_from_names()},
}
"""What a document of JSON Schema can say of a name: it counts characters and not bytes, and many of its readers know no class
of signs beyond U+FFFF."""

_MAX_ENDING_BYTES = 20


def one_form(name: str) -> str:
    """Return a name in the one form that it is kept in and looked up by: macOS writes `é` as two characters."""
    return unicodedata.normalize("NFC", name)


def fault_of(name: str) -> str | None:
    """Say what keeps a text from being the name of a file, to be read behind the name; None where nothing does."""
    if not name.strip():
        return "is blank" if name else "is empty"
    if name in (".", ".."):
        return "names a folder and not a file"
    for sign, called in (("/", "slash"), ("\\", "backslash")):
        if sign in name:
            return f"has a {called}; it is the name of a file without its folders"
    if name.lower().startswith((NOTE, TEMPORARY)):
        return f"begins with {NOTE} or {TEMPORARY}, as the server's own files do"
    if len(name) > FILE_NAME_BYTES:  # PERF: one that is a book is not looked at
        return f"has {len(name):,} characters, and a name has at most {FILE_NAME_BYTES} bytes in UTF-8"
    if (unseen := _UNSEEN.search(name)) is not None:
        called = unicodedata.name(unseen[0], "")
        return f"has a character that cannot be seen, U+{ord(unseen[0]):04X}{called and f' ({called})'}; leave it out"
    size = len(one_form(name).encode())
    if size > FILE_NAME_BYTES:
        return f"has {size} bytes in UTF-8, and a name has at most {FILE_NAME_BYTES}"
    return None


def told_apart(names: Sequence[str]) -> list[str]:
    """Return names of which no two are alike: of several ones the first keeps it, the next is `report (2).csv`."""
    taken = {_key(name) for name in names}
    seen: set[str] = set()
    used = []
    for name in names:
        number, own = 2, name
        if _key(name) in seen:
            while _key(own := _numbered(name, number)) in taken:
                number += 1
        seen.add(_key(own))
        taken.add(_key(own))
        used.append(own)
    return used


def _key(name: str) -> str:
    return one_form(one_form(name).casefold())


def _numbered(name: str, number: int) -> str:
    stem, dot, ending = name.rpartition(".")
    if not stem or len(ending.encode()) > _MAX_ENDING_BYTES:
        stem, dot, ending = name, "", ""
    tail = f" ({number}){dot}{ending}"
    room = FILE_NAME_BYTES - len(tail.encode())
    return stem.encode()[:room].decode("utf-8", "ignore") + tail
