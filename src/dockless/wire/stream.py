"""Streams of bytes: the shape they have, and the one loop that moves them.

Bytes travel as chunks that the producer owns: a chunk is good until the next one is asked for (docs/decisions/0005).
"""

import hashlib
from collections.abc import Callable, Iterable
from contextlib import closing
from typing import Protocol

import msgspec

from dockless.model.descriptor import Descriptor
from dockless.model.documents import LONGEST_DOCUMENT
from dockless.model.errors import ChecksumMismatch, InvalidDocument, SizeMismatch


class Reader(Protocol):
    """A body under way."""

    def read_chunk(self) -> memoryview:
        """Return the next bytes, as many as there are at hand; empty at the end. Raises NetworkFault and others."""
        ...

    def close(self) -> None:
        """Let go of whatever is behind it. May be called twice."""
        ...


class BytesReader:
    """Bytes that are here already, as a body."""

    def __init__(self, content: bytes | memoryview, offset: int = 0) -> None:
        self._rest = memoryview(content)[offset:]

    def read_chunk(self) -> memoryview:
        """Return all of them, then nothing."""
        chunk, self._rest = self._rest, self._rest[:0]
        return chunk

    def close(self) -> None:
        """Nothing is behind it."""


# Opens a body at an offset in bytes: again to try once more, at n to go on.
Source = Callable[[int], Reader]
Sink = Callable[[memoryview], object]


def pump(reader: Reader, *sinks: Sink) -> int:
    """Move every byte of `reader` into each of `sinks`; return how many there were. Closes nothing."""
    moved = 0
    while chunk := reader.read_chunk():
        for sink in sinks:
            sink(chunk)
        moved += len(chunk)
    return moved


class Sum(Protocol):
    """A checksum that grows; `str()` gives it as `algorithm:hex`."""

    def update(self, chunk: memoryview) -> None:
        """Take the next bytes."""
        ...


class DigestSum:
    """The digest of bytes as they are."""

    def __init__(self, algorithm: str = "sha256") -> None:
        self._algorithm = algorithm
        self._sum = hashlib.new(algorithm)

    @classmethod
    def like(cls, digest: str) -> "DigestSum":
        """Begin one by the algorithm of `digest`."""
        return cls(digest.partition(":")[0])

    def update(self, chunk: memoryview) -> None:
        """Take the next bytes."""
        self._sum.update(chunk)

    def copy(self) -> "DigestSum":
        """Return one that goes on from here by itself."""
        twin = DigestSum(self._algorithm)
        twin._sum = self._sum.copy()
        return twin

    def __str__(self) -> str:
        return f"{self._algorithm}:{self._sum.hexdigest()}"


class PayloadSum:
    """The checksum of v1: sha256 over the image's JSON, a newline and the layer, all as stored."""

    def __init__(self, json: bytes) -> None:
        self._sum = hashlib.sha256(json + b"\n")

    def update(self, chunk: memoryview) -> None:
        """Take the layer's next bytes."""
        self._sum.update(chunk)

    def __str__(self) -> str:
        return f"sha256:{self._sum.hexdigest()}"


class Promise(msgspec.Struct, frozen=True):
    """What is promised of a blob; a size or checksum of None is not known and not compared.

    `blob` is its digest or image id, `kind` what messages call it; `begin_sum` begins the checksum.
    """

    blob: str
    size: int | None
    checksum: str | None
    begin_sum: Callable[[], Sum]
    kind: str = "blob"

    def __str__(self) -> str:
        return f"{self.kind} {self.blob}"


def promise_of(wanted: Descriptor) -> Promise:
    """Return what a descriptor promises."""
    return Promise(wanted.digest, wanted.size, wanted.digest, lambda: DigestSum.like(wanted.digest))


class CheckedReader:
    """A Reader over another that ends with an error unless size and checksum agree: size first, then checksum.

    Where the size is promised, the checksum is compared before the last bytes are handed out: whoever sends them on
    has not sent all when they are wrong. `replayed` are the bytes an earlier try left, chunk by chunk; the source
    is opened after them. `done` counts both, and those that the promise's sum had before it came here.
    """

    def __init__(self, promise: Promise, source: Source, replayed: Iterable[memoryview] = (), *, done: int = 0) -> None:
        self.done = done
        self._promise = promise
        self._sum = promise.begin_sum() if promise.checksum is not None else None
        for chunk in replayed:
            self._take(chunk)
        self._reader = source(self.done)

    def read_chunk(self) -> memoryview:
        """Return the next bytes; at the end raise SizeMismatch or ChecksumMismatch, or return nothing."""
        chunk = self._reader.read_chunk()
        size = self._promise.size
        if chunk:
            self._take(chunk)
        elif size is not None and self.done != size:
            raise SizeMismatch(f"{self._promise} has {self.done} bytes, {size} were promised")
        if self.done == size or not chunk:
            self._compare()
        return chunk

    def close(self) -> None:
        """Close what is read from."""
        self._reader.close()

    def _compare(self) -> None:
        wanted = self._promise.checksum
        if self._sum is not None and str(self._sum) != wanted:
            raise ChecksumMismatch(
                f"{self._promise} is not what its checksum promises: {self._sum} came, {wanted} was promised",
                hint="It is damaged at its source, or was on the way; nothing was kept.",
            )

    def _take(self, chunk: memoryview) -> None:
        self.done += len(chunk)
        if self._promise.size is not None and self.done > self._promise.size:
            raise SizeMismatch(f"{self._promise} has more than the {self._promise.size} bytes promised")
        if self._sum is not None:
            self._sum.update(chunk)


def read_document(wanted: Descriptor, source: Source) -> bytes:
    """Return all bytes of a document, verified. Raises InvalidDocument for one that is too long, VerificationFailed."""
    if wanted.size > LONGEST_DOCUMENT:
        raise InvalidDocument(f"{wanted.digest} has {wanted.size} bytes, too many for a document")
    content = bytearray()
    with closing(CheckedReader(promise_of(wanted), source)) as reader:
        pump(reader, content.extend)
    return bytes(content)
