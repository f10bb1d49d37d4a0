"""Unpacking as bytes come: what is sniffed, what may follow a member, and what is refused."""

import bz2
import gzip
import hashlib
import lzma
import struct
import tracemalloc
import zlib
from collections.abc import Callable, Iterable
from contextlib import suppress

import pytest

from dockless.model.errors import InvalidDocument, NetworkFault
from dockless.wire.stream import pump
from dockless.wire.unpack import UnpackedReader, UnpackedSum, Unpacker

try:
    from compression import zstd  # type: ignore[import-not-found, unused-ignore]  # Python 3.14
except ImportError:
    from backports import zstd

CONTENT = b"".join(number.to_bytes(4, "big") * 5 for number in range(5000))
SKIPPED = struct.pack("<II", 0x184D2A53, 5) + b"abcde"
PACKERS: dict[str, Callable[[bytes], bytes]] = {
    "": bytes,
    "gzip": gzip.compress,
    "zstd": zstd.compress,
    "bzip2": bz2.compress,
    "xz": lzma.compress,
}
PACKED = sorted(PACKERS.keys() - {""})


def sum_of(content: bytes) -> str:
    return f"sha256:{hashlib.sha256(content).hexdigest()}"


def fed(total: UnpackedSum, packed: bytes, step: int = 1 << 20) -> UnpackedSum:
    for start in range(0, len(packed), step):
        total.update(memoryview(packed)[start : start + step])
    return total


def gzip_with(flags: int) -> bytes:
    """A member with the header fields that RFC 1952 knows: text, checksum, extra, name, comment."""
    header = b"\x1f\x8b\x08" + bytes([flags]) + bytes(6)
    header += struct.pack("<H", 3) + b"abc" if flags & 4 else b""
    header += b"name\0" if flags & 8 else b""
    header += b"comment\0" if flags & 16 else b""
    header += struct.pack("<H", zlib.crc32(header) & 0xFFFF) if flags & 2 else b""
    return header + gzip.compress(CONTENT)[10:]


class Chunks:
    """A Reader over some chunks; an error among them is raised. It counts how often it is closed."""

    def __init__(self, chunks: Iterable[bytes | Exception]) -> None:
        self.closed = 0
        self._chunks = iter(chunks)

    def read_chunk(self) -> memoryview:
        chunk = next(self._chunks, b"")
        if isinstance(chunk, Exception):
            raise chunk
        return memoryview(chunk)

    def close(self) -> None:
        self.closed += 1


def unpacked(*chunks: bytes) -> bytes:
    body = bytearray()
    pump(UnpackedReader(Chunks(chunks)), body.extend)
    return bytes(body)


@pytest.mark.parametrize("step", [1, 7, 1 << 20])
@pytest.mark.parametrize("compression", PACKERS)
def test_the_sum_is_that_of_the_unpacked_bytes(compression: str, step: int) -> None:
    total = fed(UnpackedSum(), PACKERS[compression](CONTENT), step)

    assert str(total) == sum_of(CONTENT)
    assert str(total) == sum_of(CONTENT), "asked twice"
    assert (total.compression, total.size) == (compression, len(CONTENT))


@pytest.mark.parametrize(
    "content", [b"", b"\x1f", b"\x1f\x8b", b"BZ", b"\x28\xb5\x2f", b"\xfd7zXZ", b"\x1f\x8b\x07more"]
)
def test_less_than_a_magic_is_plain(content: bytes) -> None:
    total = fed(UnpackedSum(), content, 1)

    assert str(total) == sum_of(content)
    assert total.compression == ""
    assert unpacked(content) == content


@pytest.mark.parametrize("compression", PACKED)
def test_members_and_padding_may_follow_each_other(compression: str) -> None:
    pack = PACKERS[compression]
    packed = pack(CONTENT) + pack(b"") + bytes(8) + pack(b"more") + bytes(100)

    for step in (1, 5, len(packed)):
        assert str(fed(UnpackedSum(), packed, step)) == sum_of(CONTENT + b"more")


@pytest.mark.parametrize("packed", [SKIPPED + zstd.compress(CONTENT), zstd.compress(CONTENT) + SKIPPED])
def test_skippable_frames_are_skipped(packed: bytes) -> None:
    total = fed(UnpackedSum(), packed, 3)

    assert (str(total), total.compression) == (sum_of(CONTENT), "zstd")


@pytest.mark.parametrize("flags", range(32))
def test_a_gzip_header_may_come_in_any_pieces(flags: int) -> None:
    packed = gzip_with(flags)

    for step in (1, 11, 14, len(packed)):
        assert str(fed(UnpackedSum(), packed * 2, step)) == sum_of(CONTENT * 2)


def test_a_gzip_header_may_be_long() -> None:
    fields = struct.pack("<H", 65535) + bytes(65535) + b"x" * 50_000 + b"\0"
    packed = b"\x1f\x8b\x08\x0c" + bytes(6) + fields + gzip.compress(CONTENT)[10:]

    assert str(fed(UnpackedSum(), packed)) == sum_of(CONTENT)


def test_a_gzip_header_without_end_is_given_up() -> None:
    endless = b"\x1f\x8b\x08\x08" + bytes(6) + b"x" * (200 << 10)

    with pytest.raises(
        InvalidDocument, match="packed with gzip and damaged: a header of a gzip member that does not end"
    ):
        fed(UnpackedSum(), endless)


@pytest.mark.parametrize("compression", PACKED)
@pytest.mark.parametrize("garbage", [b"x", b"\0\0x", b"garbage that is longer than any header"])
def test_garbage_behind_is_refused(compression: str, garbage: bytes) -> None:
    packed = PACKERS[compression](CONTENT) + garbage

    for step in (1, len(packed)):
        with pytest.raises(InvalidDocument, match=f"packed with {compression} and (damaged|cut short)") as caught:
            str(fed(UnpackedSum(), packed, step))
    assert "damaged at its source" in caught.value.hint


def test_what_follows_a_gzip_member_has_a_header_of_its_own() -> None:
    packed = gzip.compress(CONTENT)
    for place, other in ((0, b"\x1e"), (1, b"\x8a"), (2, b"\x09")):
        with pytest.raises(InvalidDocument, match="not the header of a gzip member"):
            fed(UnpackedSum(), packed + packed[:place] + other + packed[place + 1 :], 3)


@pytest.mark.parametrize("compression", ["gzip", "xz", "zstd"])  # bzip2 has bits that mean nothing
def test_a_changed_byte_is_found_or_changes_the_sum(compression: str) -> None:
    packed = PACKERS[compression](CONTENT[:500])
    unseen = []
    for place in range(len(packed)):
        damaged = bytearray(packed)
        damaged[place] ^= 0x55
        with suppress(InvalidDocument):
            if str(fed(UnpackedSum(), bytes(damaged))) == sum_of(CONTENT[:500]):
                unseen.append(place)

    assert compression == "gzip" or not unseen
    assert set(unseen) <= {4, 5, 6, 7, 8, 9}  # the time and system in the header of gzip


def test_what_unpacks_to_more_than_the_limit_is_refused_when_it_does() -> None:
    packed = gzip.compress(bytes(64 << 20))
    assert str(fed(UnpackedSum(limit=len(CONTENT)), gzip.compress(CONTENT))) == sum_of(CONTENT)
    total = UnpackedSum(limit=10 << 20)

    with pytest.raises(InvalidDocument, match=f"unpacks to more than {10 << 20} bytes"):
        fed(total, packed)
    assert total.size <= 11 << 20

    with pytest.raises(InvalidDocument, match="unpacks to more than 2 bytes"):
        str(fed(UnpackedSum(limit=2), b"abc"))


@pytest.mark.parametrize("compression", PACKED)
def test_a_bomb_costs_no_memory(compression: str) -> None:
    packed = PACKERS[compression](bytes(32 << 20))
    largest = 0
    unpacker = Unpacker()
    tracemalloc.start()
    try:
        for piece in unpacker.feed(memoryview(packed)):
            largest = max(largest, len(piece))
        assert list(unpacker.finish()) == []
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()

    assert unpacker.size == 32 << 20
    assert largest <= 1 << 20
    assert peak < 12 << 20  # of which bzip2 takes 4


def test_a_window_above_the_cap_is_refused() -> None:
    frame = struct.pack("<IBB", 0xFD2FB528, 0, (28 - 10) << 3)  # no size, a window of 256 MiB
    block = struct.pack("<I", 1 | 1 << 1 | 5 << 3)[:3] + b"x"  # the last one, five times the same byte

    with pytest.raises(InvalidDocument, match="packed with zstd and damaged"):
        fed(UnpackedSum(), frame + block)
    assert str(fed(UnpackedSum(), frame[:-1] + bytes([(27 - 10) << 3]) + block)) == sum_of(b"xxxxx")


def test_xz_with_a_dictionary_above_the_cap_is_refused() -> None:
    filters = [{"id": lzma.FILTER_LZMA2, "dict_size": 256 << 20, "mode": lzma.MODE_FAST, "mf": lzma.MF_HC3}]
    # The dictionary's size stands in the header of the block, behind flags and length, with a checksum of its own.
    packed = bytearray(lzma.compress(b"x", filters=[{**filters[0], "dict_size": 1 << 20}]))
    header = packed[12:24]
    assert header[2:4] == b"\x21\x01"
    header[4] = 34  # 2 << 28
    header[8:12] = struct.pack("<I", zlib.crc32(header[:8]))
    packed[12:24] = header

    with pytest.raises(InvalidDocument, match="packed with xz and damaged: Memory usage limit exceeded"):
        fed(UnpackedSum(), bytes(packed))


def test_the_reader_gives_the_unpacked_bytes_in_pieces() -> None:
    inner = Chunks([gzip.compress(bytes(5 << 20))])
    reader = UnpackedReader(inner)
    sizes = []
    while chunk := reader.read_chunk():
        sizes.append(len(chunk))

    assert sum(sizes) == 5 << 20
    assert max(sizes) <= 1 << 20
    assert bytes(reader.read_chunk()) == b""
    assert inner.closed == 0
    reader.close()
    assert inner.closed == 1


def test_the_reader_passes_on_what_is_not_packed() -> None:
    assert unpacked(b"abc", b"defg", b"h") == b"abcdefgh"


def test_the_reader_never_ends_well_after_an_error() -> None:
    packed = gzip.compress(CONTENT)
    reader = UnpackedReader(Chunks([packed[:50], NetworkFault("cut"), packed[50:-1]]))

    with pytest.raises(NetworkFault):
        pump(reader)
    for _ in range(2):
        with pytest.raises(InvalidDocument, match="packed with gzip and cut short"):
            pump(reader)


def test_the_reader_has_a_limit_too() -> None:
    with pytest.raises(InvalidDocument, match="unpacks to more than 2 bytes"):
        UnpackedReader(Chunks([b"longer"]), limit=2).read_chunk()
