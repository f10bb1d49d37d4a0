"""Bytes unpacked as they come, whatever they are packed with, in bounded pieces.

Rules:
* The first bytes tell the compression, never a media type: many a layer is not packed as its media type says.
* Members of gzip, bzip2 and xz and frames of zstd may follow each other. Zero bytes between and after them are padding;
  anything else there is an error.
* A step makes at most 1 MiB, whatever comes: a bomb costs time, no memory. Nothing may ask for a window above 128 MiB.
* What is damaged, cut short or followed by something else is an InvalidDocument.
"""

import hashlib
import sys
from collections.abc import Callable, Generator, Iterator
from typing import Protocol

from isal import igzip_lib

from dockless.model.errors import InvalidDocument
from dockless.model.printable import printable
from dockless.wire.stream import Reader

_STEP = 1 << 20  # bytes unpacked at once
_SLICE = 64 << 10  # bytes taken in at once: what follows a member is copied, and there may be many small ones
_WINDOW_LOG = 27
_LONGEST_HEADER = 128 << 10  # bytes, of a gzip member; the field in it with a length has 64 KiB at most

_MAGICS = (
    (b"\x1f\x8b\x08", "gzip"),
    (b"\x28\xb5\x2f\xfd", "zstd"),
    *((bytes((number, 0x2A, 0x4D, 0x18)), "zstd") for number in range(0x50, 0x60)),  # frames to be skipped
    (b"BZh", "bzip2"),
    (b"\xfd7zXZ\0", "xz"),
)
_LONGEST_MAGIC = max(len(magic) for magic, _ in _MAGICS)


class _Member(Protocol):
    """What unpacks one member or frame, in the shape of the standard library's decompressors."""

    @property
    def eof(self) -> bool: ...
    @property
    def needs_input(self) -> bool: ...
    @property
    def unused_data(self) -> bytes: ...
    def decompress(self, data: bytes, max_length: int, /) -> bytes: ...


class _GzipMember:
    """A member of gzip. ISA-L misreads a header that comes in two pieces, so it is taken off here."""

    def __init__(self) -> None:
        self.needs_input = True
        self.eof = False
        self.unused_data = b""
        self._header: bytes | None = b""
        self._body = igzip_lib.IgzipDecompressor(flag=igzip_lib.DECOMP_GZIP_NO_HDR_VER)

    def decompress(self, data: bytes, max_length: int, /) -> bytes:
        if self._header is not None:
            self._header += data
            length = _header_length(self._header)
            if length is None:
                return b""
            data, self._header = self._header[length:], None
        piece = self._body.decompress(data, max_length)
        self.needs_input, self.eof, self.unused_data = self._body.needs_input, self._body.eof, self._body.unused_data
        return piece


def _header_length(head: bytes) -> int | None:
    """Return the length of a gzip header (RFC 1952, 2.3), None when `head` ends before it. Raises ValueError."""
    if not head.startswith(b"\x1f\x8b\x08"[: len(head)]):
        raise ValueError("not the header of a gzip member")
    if len(head) < 10:
        return None
    flags, length = head[3], 10
    if flags & 4:  # FEXTRA
        length += 2 + int.from_bytes(head[length : length + 2], "little")
    for text in (8, 16):  # FNAME, FCOMMENT
        if flags & text:
            length = head.find(b"\0", length) + 1 or len(head) + 1
    if flags & 2:  # FHCRC
        length += 2
    if length <= len(head):
        return length
    if len(head) > _LONGEST_HEADER:
        raise ValueError("a header of a gzip member that does not end")
    return None


def _zstd_frame() -> _Member:
    if sys.version_info >= (3, 14):  # pragma: no cover - whichever Python this is, it runs one of the two
        from compression import zstd  # noqa: PLC0415 - slow to import, and some builds of Python lack it
    else:  # pragma: no cover
        from backports import zstd  # noqa: PLC0415 - the same
    return zstd.ZstdDecompressor(options={zstd.DecompressionParameter.window_log_max: _WINDOW_LOG})


def _bzip2_stream() -> _Member:
    import bz2  # noqa: PLC0415 - some builds of Python lack it

    return bz2.BZ2Decompressor()


def _xz_stream() -> _Member:
    import lzma  # noqa: PLC0415 - some builds of Python lack it

    return lzma.LZMADecompressor(lzma.FORMAT_XZ, memlimit=1 << _WINDOW_LOG)


_MEMBERS: dict[str, Callable[[], _Member]] = {
    "gzip": _GzipMember,
    "zstd": _zstd_frame,
    "bzip2": _bzip2_stream,
    "xz": _xz_stream,
}


class Unpacker:
    """Unpacks what it is fed. `compression` is what the first bytes told, empty for none; `size` counts what came out.

    More than `limit` bytes that come out raise InvalidDocument.
    """

    def __init__(self, limit: int | None = None) -> None:
        self.compression = ""
        self.size = 0
        self._limit = limit
        self._head: bytes | None = b""  # None: the compression is known
        self._member: _Member | None = None

    def feed(self, chunk: memoryview) -> Iterator[memoryview]:
        """Yield what the next bytes unpack to. Raises InvalidDocument."""
        if self._head is None:
            yield from self._unpack(chunk)
            return
        self._head += chunk
        if len(self._head) >= _LONGEST_MAGIC:
            yield from self._begin(self._head)

    def finish(self) -> Iterator[memoryview]:
        """Yield what was held back until the end. Raises InvalidDocument when it comes too early."""
        if self._head is not None:
            yield from self._begin(self._head)
        if self._member is not None:
            raise _damaged(f"is packed with {self.compression} and cut short")

    def _begin(self, head: bytes) -> Iterator[memoryview]:
        self._head = None
        self.compression = next((name for magic, name in _MAGICS if head.startswith(magic)), "")
        yield from self._unpack(memoryview(head))

    def _unpack(self, chunk: memoryview) -> Iterator[memoryview]:
        if not self.compression:
            if chunk:
                yield self._counted(chunk)
            return
        for start in range(0, len(chunk), _SLICE):
            rest = bytes(chunk[start : start + _SLICE])
            while rest := rest if self._member else rest.lstrip(b"\0"):
                rest = yield from self._through_member(rest)

    def _through_member(self, packed: bytes) -> Generator[memoryview, None, bytes]:
        """Yield what the member under way, or the next one, makes of `packed`, and return what follows the member."""
        member = self._member = self._member or _MEMBERS[self.compression]()
        while True:
            try:
                piece = member.decompress(packed, _STEP)
            except Exception as error:  # each has errors of its own
                raise _damaged(
                    f"is packed with {self.compression} and damaged: {printable(str(error), 200)}"
                ) from error
            if piece:
                yield self._counted(memoryview(piece))
            if member.eof:
                self._member = None
                return member.unused_data
            if member.needs_input:
                return b""
            packed = b""

    def _counted(self, piece: memoryview) -> memoryview:
        self.size += len(piece)
        if self._limit is not None and self.size > self._limit:
            raise _damaged(f"unpacks to more than {self._limit} bytes")
        return piece


def _damaged(what: str) -> InvalidDocument:
    return InvalidDocument(f"the content {what}", hint="It is damaged at its source, or not what it should be.")


class UnpackedSum:
    """The digest of what bytes unpack to: of a layer, its diff id. `str()` ends it, and raises InvalidDocument."""

    def __init__(self, limit: int | None = None) -> None:
        self._unpacker = Unpacker(limit)
        self._sum = hashlib.sha256()

    @property
    def compression(self) -> str:
        """`gzip`, `zstd`, `bzip2`, `xz`, or empty for none; known from the sixth byte on."""
        return self._unpacker.compression

    @property
    def size(self) -> int:
        """How many bytes came out so far."""
        return self._unpacker.size

    def update(self, chunk: memoryview) -> None:
        """Take the next bytes as they are stored. Raises InvalidDocument."""
        for piece in self._unpacker.feed(chunk):
            self._sum.update(piece)

    def __str__(self) -> str:
        for piece in self._unpacker.finish():
            self._sum.update(piece)
        return f"sha256:{self._sum.hexdigest()}"


class UnpackedReader:
    """A Reader of what the bytes of another unpack to. It raises InvalidDocument, too."""

    def __init__(self, reader: Reader, limit: int | None = None) -> None:
        self._reader = reader
        self._unpacker = Unpacker(limit)
        self._pieces: Iterator[memoryview] = iter(())

    def read_chunk(self) -> memoryview:
        """Return the next bytes, 1 MiB or what the other reader gave at most; nothing at the end."""
        while (piece := next(self._pieces, None)) is None:
            chunk = self._reader.read_chunk()
            if not chunk:
                return next(self._unpacker.finish(), chunk)
            self._pieces = self._unpacker.feed(chunk)
        return piece

    def close(self) -> None:
        """Close what is read from."""
        self._reader.close()
