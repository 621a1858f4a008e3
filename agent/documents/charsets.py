"""Bytes into text: by the mark they begin with, by what they are said to be, by what they say, and else by guessing.

Pure functions; any thread. charset-normalizer is imported when there is something to guess: PERF: it takes 30 ms.
"""

import codecs
import re

SNIFFED_BYTES = 65_536
"""How much is looked at to guess an encoding."""

_MARKS = (
    (codecs.BOM_UTF8, "utf-8-sig"),
    (codecs.BOM_UTF32_LE, "utf-32"),
    (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)
_DECLARED = re.compile(rb"""<meta[^>]{0,500}?charset\s*=\s*["']?\s*([A-Za-z0-9._:-]{2,40})|^<\?xml[^>]{0,200}?encoding\s*=\s*["']([A-Za-z0-9._-]{2,40})""", re.IGNORECASE)  # fmt: skip
_DECLARED_BYTES = 4096
_SAME = {
    "iso8859-1": "cp1252",
    "latin-1": "cp1252",
    "ascii": "cp1252",
    "gb2312": "gb18030",
    "gbk": "gb18030",
    "shift_jis": "cp932",
}
"""What browsers take an encoding's name to mean (WHATWG Encoding): the larger one that it is used for."""
_LEAST_WIDE_BYTES = 8
_CONTROL = re.compile("[\x00-\x08\x0e-\x1f\x7f-\x9f\ufffd]")
_NEVER_MEANT = frozenset({"undefined", "idna", "punycode", "unicode-escape", "raw-unicode-escape", "utf-7"})
"""Python's own codecs, which raise whatever they are told about errors or make what is no text, and one that hides markup."""

_WESTERN = frozenset(
    "àáâãäåæçèéêëìíîïñòóôõöøùúûüýÿßœšžÀÁÂÃÄÅÆÇÈÉÊËÌÍÎÏÑÒÓÔÕÖØÙÚÛÜÝŒŠŽ€£§©®°«»·¡¿ºª²µ½¼×‘’“”„‚–—…•™\xa0"
)


class NotText(ValueError):
    """The bytes are those of something else."""


def decode(data: bytes, said: str | None = None, *, markup: bool = False) -> str:
    """Return the text, with U+FFFD for what cannot be read; `said` is what its sender says of it.

    `markup` has HTML and XML say it themselves. Raises `NotText` for what holds NUL and is no UTF-16.
    """
    for mark, encoding in _MARKS:
        if data.startswith(mark):
            return data.decode(encoding, "replace")
    for named in (said, _declared(data) if markup else None):
        encoding_name = _known(named)
        if encoding_name is not None:
            return data.decode(encoding_name, "replace")
    if b"\0" in data[:SNIFFED_BYTES]:
        if (wide := _wide(data)) is None:
            raise NotText("is not text")
        return data.decode(wide, "replace")
    try:
        return data.decode("utf-8")
    except UnicodeDecodeError as error:
        if error.start > SNIFFED_BYTES:  # that much UTF-8 is UTF-8, with a fault in it
            return data.decode("utf-8", "replace")
    return data.decode(_guessed(data), "replace")


def is_text(data: bytes) -> bool:
    """Say whether bytes can be text."""
    return b"\0" not in data[:SNIFFED_BYTES] or _is_marked(data) or _wide(data) is not None


def as_utf_8(data: bytes, said: str | None) -> bytes:
    """Return a text in UTF-8, behind its mark, if it is in the encoding that its sender says; else, and for none, as it is."""
    encoding = _known(said)
    if encoding is None or _is_marked(data):
        return data
    try:
        encoded = data.decode(encoding).encode()
    except UnicodeError:  # whoever labels files says `utf-8` of all of them
        return data
    return data if encoded == data else codecs.BOM_UTF8 + encoded


def _is_marked(data: bytes) -> bool:
    return any(data.startswith(mark) for mark, _ in _MARKS)


def _wide(data: bytes) -> str | None:
    """Return which UTF-16 a text without a mark is in: every other byte of it is NUL, where most of it is ASCII."""
    sample = data[:SNIFFED_BYTES]
    if len(data) % 2 or len(sample) < _LEAST_WIDE_BYTES:
        return None
    high, low = sample[0::2].count(0), sample[1::2].count(0)
    encoding = "utf-16-le" if low > high else "utf-16-be"
    if min(high, low) or max(high, low) * 4 < len(sample):
        return None
    text = sample.decode(encoding, "replace")
    return None if _CONTROL.search(text) else encoding


def _declared(data: bytes) -> str | None:
    found = _DECLARED.search(data[:_DECLARED_BYTES])
    return (found[1] or found[2]).decode("ascii") if found else None


def _known(name: str | None) -> str | None:
    """Return Python's name of an encoding of text; None for what it does not know, and for what is none (base64)."""
    if not name:
        return None
    try:
        found = codecs.lookup(name.strip())
    except (LookupError, ValueError):
        return None
    if not getattr(found, "_is_text_encoding", True) or found.name in _NEVER_MEANT:
        return None
    return _SAME.get(found.name, found.name)


def _guessed(data: bytes) -> str:
    sample = data[:SNIFFED_BYTES]
    if _western(sample):
        return "cp1252"
    from charset_normalizer import from_bytes

    best = from_bytes(sample).best()
    return "cp1252" if best is None else _SAME.get(best.encoding.replace("_", "-"), best.encoding)


def _western(sample: bytes) -> bool:
    """Say whether a text reads as one of western Europe, the commonest case, of which a short one is guessed badly."""
    high = bytes(byte for byte in sample if byte > 0x7F)
    if len(high) * 2 > sum(chr(byte).isalpha() for byte in sample):  # most letters of other scripts are up there
        return False
    return not set(high.decode("cp1252", "replace")) - _WESTERN
