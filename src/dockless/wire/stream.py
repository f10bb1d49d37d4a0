"""Streams of bytes: the shape they have, and the one loop that moves them.

Bytes travel as chunks that the producer owns: a chunk is good until the next one is asked for (docs/decisions/0005).
"""

import hashlib
from collections.abc import Callable, Iterable
from typing import Protocol

from dockless.model.errors import ChecksumMismatch, SizeMismatch


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

    def __init__(self, content: bytes, offset: int = 0) -> None:
        self._rest = memoryview(content)[offset:]

    def read_chunk(self) -> memoryview:
        """Return all of them, then nothing."""
        chunk, self._rest = self._rest, self._rest[:0]
        return chunk

    def close(self) -> None:
        """Nothing is behind it."""


Sink = Callable[[memoryview], object]


def pump(reader: Reader, *sinks: Sink) -> int:
    """Move every byte of `reader` into each of `sinks`; return how many there were. Closes nothing."""
    moved = 0
    while chunk := reader.read_chunk():
        for sink in sinks:
            sink(chunk)
        moved += len(chunk)
    return moved


class PayloadSum:
    """The checksum of v1: sha256 over the image's JSON, a newline and the layer, all as stored."""

    def __init__(self, json: bytes) -> None:
        self._sum = hashlib.sha256(json + b"\n")

    def update(self, chunk: memoryview) -> None:
        """Take the layer's next bytes."""
        self._sum.update(chunk)

    def __str__(self) -> str:
        return f"sha256:{self._sum.hexdigest()}"


class CheckedReader:
    """A Reader over another that ends with an error unless size and checksum agree: size first, then checksum.

    `replayed` are the bytes an earlier try left behind, chunk by chunk; `reader` goes on after them. `done` counts
    both. A size or checksum of None is not compared.
    """

    def __init__(
        self,
        what: str,
        open_at: Callable[[int], Reader],
        json: bytes,
        *,
        size: int | None,
        checksum: str | None,
        replayed: Iterable[memoryview] = (),
    ) -> None:
        self.done = 0
        self._what = what
        self._size = size
        self._checksum = checksum
        self._sum = PayloadSum(json)
        for chunk in replayed:
            self._take(chunk)
        self._reader = open_at(self.done)

    def read_chunk(self) -> memoryview:
        """Return the next bytes; at the end raise SizeMismatch or ChecksumMismatch, or return nothing."""
        chunk = self._reader.read_chunk()
        if chunk:
            self._take(chunk)
        elif self._size is not None and self.done != self._size:
            raise SizeMismatch(f"{self._what} has {self.done} bytes, {self._size} were promised")
        elif self._checksum is not None and str(self._sum) != self._checksum:
            raise ChecksumMismatch(
                f"{self._what} is not what its checksum promises: {self._sum} came, {self._checksum} was promised",
                hint="The layer is damaged at the registry, or was on the way; nothing was kept.",
            )
        return chunk

    def close(self) -> None:
        """Close what is read from."""
        self._reader.close()

    def _take(self, chunk: memoryview) -> None:
        self.done += len(chunk)
        if self._size is not None and self.done > self._size:
            raise SizeMismatch(f"{self._what} has more than the {self._size} bytes promised")
        if self._checksum is not None:
            self._sum.update(chunk)
