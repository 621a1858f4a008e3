"""Compressed bodies, unpacked in bounded steps."""

import gzip
import zlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from callboard.agent.fetch.decoding import CannotDecode, decoder


def unpacked(coding: str, *pieces: bytes) -> bytes:
    made = decoder(coding)
    found = b"".join(step for piece in pieces for step in made.feed(piece))
    made.end()
    return found


def bare(data: bytes) -> bytes:
    packer = zlib.compressobj(wbits=-zlib.MAX_WBITS)
    return packer.compress(data) + packer.flush()


@given(st.binary(max_size=300_000) | st.integers(0, 400_000).map(bytes), st.integers(1, 100_000))
def test_what_was_packed_comes_out_however_it_is_cut(data: bytes, size: int) -> None:
    for coding, packed in {"gzip": gzip.compress(data), "deflate": zlib.compress(data), "": data}.items():
        pieces = [packed[at : at + size] for at in range(0, len(packed), size)]
        assert unpacked(coding, *pieces) == data


def test_the_bare_deflate_of_some_servers_is_understood() -> None:
    assert unpacked("deflate", bare(b"hello " * 1000)) == b"hello " * 1000


def test_several_members_are_one_body_and_padding_is_none() -> None:
    assert unpacked("gzip", gzip.compress(b"a") + gzip.compress(b"b") + b"\0\0") == b"ab"


def test_a_step_is_never_larger_than_64_kib() -> None:
    made = decoder("gzip")
    sizes = [len(step) for step in made.feed(gzip.compress(bytes(50_000_000)))]
    assert max(sizes) <= 65_536
    assert sum(sizes) == 50_000_000


@pytest.mark.parametrize("coding", ["br", "zstd", "gzip, gzip", "compress"])
def test_a_coding_that_was_not_asked_for_is_named(coding: str) -> None:
    with pytest.raises(CannotDecode, match=coding):
        decoder(coding)


def test_a_broken_body_and_one_that_breaks_off_are_told() -> None:
    packed = gzip.compress(b"x" * 10_000)
    with pytest.raises(CannotDecode, match="broken"):
        unpacked("gzip", b"not gzip at all")
    with pytest.raises(CannotDecode, match="broke off"):
        unpacked("gzip", packed[:-10])
