"""Bytes into text, whatever encoding they are in."""

import codecs
import struct
from encodings.aliases import aliases

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from callboard.agent.documents.charsets import NotText, as_utf_8, decode, is_text


@given(st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"])))
def test_utf_8_is_read_as_it_is(text: str) -> None:
    assert decode(text.encode()) == text.removeprefix("\ufeff")


@given(
    st.binary(max_size=2000),
    st.none() | st.text(max_size=20) | st.sampled_from(sorted(set(aliases.values()))),
    st.booleans(),
)
@example(b"x", "undefined", False)
@example(b"\\ud800", "unicode_escape", False)
@example(b"a..b" + b"x" * 100, "idna", False)
@example(b"+2AA-", "utf-7", False)
def test_no_bytes_and_no_claim_about_them_break_it(data: bytes, said: str | None, markup: bool) -> None:
    try:
        decode(data, said, markup=markup).encode("utf-8")
    except NotText:
        assert b"\0" in data


@pytest.mark.parametrize("encoding", ["utf-8-sig", "utf-16", "utf-32"])
def test_a_mark_at_the_beginning_says_it(encoding: str) -> None:
    assert decode("Größe 中".encode(encoding), "latin-1") == "Größe 中"


@pytest.mark.parametrize("encoding", ["utf-16-le", "utf-16-be"])
def test_utf_16_without_a_mark_is_told_where_most_of_it_is_ascii(encoding: str) -> None:
    for text in ("name;größe\r\nEva;1\r\n", "x" * 100_000, "a,b\n1,2\n"):
        assert is_text(text.encode(encoding))
        assert decode(text.encode(encoding)) == text


@pytest.mark.parametrize(
    "data", [struct.pack("<200H", *range(200)), bytes(100), b"\x89PNG\r\n\x1a\n" + bytes(9), b"a\0"]
)
def test_numbers_of_two_bytes_are_no_text(data: bytes) -> None:
    assert not is_text(data)


@given(
    st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"])),
    st.sampled_from(["utf-16-le", "cp1252", "koi8-r", "utf-8"]),
)
def test_a_text_in_the_charset_that_is_said_becomes_utf_8(text: str, encoding: str) -> None:
    data = text.encode(encoding, "ignore")
    assert decode(as_utf_8(data, encoding), encoding) == decode(data, encoding)
    assert as_utf_8(as_utf_8(data, encoding), encoding) == as_utf_8(data, encoding)


def test_what_the_sender_says_counts_and_what_he_cannot_mean_does_not() -> None:
    assert decode("Ґ".encode("koi8-u"), "KOI8-U") == "Ґ"
    assert decode(b"\x93quoted\x94", "iso-8859-1") == "“quoted”"
    assert decode("é".encode(), "no-such-charset") == "é"
    assert decode(b"abc", "base64") == "abc"
    assert decode(b"abc", "rot13") == "abc"


@pytest.mark.parametrize(
    "page",
    [
        '<meta charset="shift_jis">{}',
        '<META http-equiv=content-type content="text/html; charset=shift_jis">{}',
        '<?xml version="1.0" encoding="shift_jis"?><a>{}</a>',
    ],
)
def test_a_page_says_it_itself(page: str) -> None:
    text = page.format("日本語")
    assert decode(text.encode("shift_jis"), markup=True) == text


@pytest.mark.parametrize(
    ("text", "encoding"),
    [
        ("naïve café; Größe; straße 5 €\n", "cp1252"),
        ("Name;Größe\nMüller;3\n", "latin-1"),
        ("Le garçon a été très gêné", "latin-1"),
        ("Zażółć gęślą jaźń. To jest zdanie po polsku.", "cp1250"),
        ("Привет, как дела? Это простой текст на русском языке.", "cp1251"),
        ("これは日本語の文章です。とても短い。", "shift_jis"),
        ("这是一个中文的句子，用于测试。", "gb18030"),
    ],
)
def test_what_nobody_says_is_guessed(text: str, encoding: str) -> None:
    assert decode(text.encode(encoding)) == text


def test_one_fault_in_a_long_utf_8_text_does_not_make_it_another_encoding() -> None:
    data = "é".encode() * 50_000 + b"\xff" + "ü".encode()
    assert decode(data) == "é" * 50_000 + "\ufffdü"


def test_bytes_that_are_no_text_are_told() -> None:
    with pytest.raises(NotText):
        decode(b"\x89PNG\r\n\x1a\n\0\0\0")
    assert not is_text(b"a\0b")
    assert is_text(codecs.BOM_UTF16_LE + "a".encode("utf-16-le"))
