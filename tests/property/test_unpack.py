"""Unpacking: whatever the chunks, the same bytes come out, and the end is never taken for granted."""

from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dockless.model.errors import InvalidDocument
from dockless.wire.unpack import UnpackedSum
from tests.wire.test_unpack import PACKED, PACKERS, fed, gzip_with, sum_of, unpacked

thoroughly = settings(deadline=None, max_examples=200)

# Long runs and bytes without order, so that blocks of every kind appear.
contents = st.lists(st.binary(max_size=300) | st.binary(min_size=1, max_size=4).map(lambda one: one * 5000), max_size=4)


@st.composite
def members(draw: st.DrawFn) -> tuple[str, bytes, bytes]:
    """A compression, what is packed, and that packed in one or more members with padding between."""
    compression = draw(st.sampled_from(PACKED))
    parts = draw(contents)
    pads = draw(st.lists(st.integers(0, 20), min_size=len(parts), max_size=len(parts)))
    packed = [PACKERS[compression](part) + bytes(pad) for part, pad in zip(parts, pads, strict=True)]
    return compression, b"".join(parts), b"".join(packed or [PACKERS[compression](b"")])


def split(content: bytes, places: list[int]) -> list[bytes]:
    edges = [0, *sorted(place % (len(content) + 1) for place in places), len(content)]
    return [chunk for first, last in pairwise(edges) if (chunk := content[first:last])]


@thoroughly
@given(members(), st.lists(st.integers(0, 1 << 20), max_size=12))
def test_any_chunks_unpack_to_the_same(made: tuple[str, bytes, bytes], places: list[int]) -> None:
    compression, content, packed = made
    chunks = split(packed, places)
    total = UnpackedSum()
    for chunk in chunks:
        total.update(memoryview(chunk))

    assert str(total) == sum_of(content)
    assert (total.compression, total.size) == (compression, len(content))
    assert unpacked(*chunks) == content


@thoroughly
@given(st.binary(max_size=64), st.lists(st.integers(0, 64), max_size=6))
def test_whatever_comes_unpacks_or_is_refused_whatever_the_chunks(content: bytes, places: list[int]) -> None:
    def outcome(chunks: list[bytes]) -> bytes | None:
        try:
            return unpacked(*chunks)
        except InvalidDocument:
            return None

    assert outcome(split(content, places)) == outcome([content])


@pytest.mark.parametrize("compression", PACKED)
@pytest.mark.parametrize("step", [1, 1000])
def test_a_cut_at_any_byte_is_seen(compression: str, step: int) -> None:
    packed = PACKERS[compression](b"some content, some content, some content")
    for length in range(6, len(packed)):
        with pytest.raises(InvalidDocument, match=f"packed with {compression} and cut short"):
            str(fed(UnpackedSum(), packed[:length], step))


@pytest.mark.parametrize("flags", range(32))
def test_a_cut_in_a_gzip_header_is_seen(flags: int) -> None:
    packed = gzip_with(flags)
    for length in range(3, 40):
        with pytest.raises(InvalidDocument, match="packed with gzip and cut short"):
            str(fed(UnpackedSum(), packed[:length], 7))
