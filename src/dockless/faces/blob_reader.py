"""A blob or a layer as the binary file that users read from."""

import io

from dockless.wire.stream import Reader


class BlobReader(io.RawIOBase):
    """Stored bytes as a binary file to read from, flat in memory.

    Reading heals a cut by itself. At the end it raises SizeMismatch or ChecksumMismatch if what was read is not what
    was promised; `size` is in bytes, None until it is known.
    """

    def __init__(self, reader: Reader, size: int | None) -> None:
        self.size = size
        self._reader = reader
        self._rest = memoryview(b"")

    def readable(self) -> bool:
        """Return True."""
        return True

    def readinto(self, buffer: "bytearray | memoryview", /) -> int:  # type: ignore[override]
        """Read up to `len(buffer)` bytes into `buffer`; return how many, 0 at the end."""
        if self.closed:
            raise ValueError("I/O operation on closed file")
        view = memoryview(buffer).cast("B")
        if not self._rest and view:
            self._rest = self._reader.read_chunk()
        count = min(len(view), len(self._rest))
        view[:count] = self._rest[:count]
        self._rest = self._rest[count:]
        return count

    def close(self) -> None:
        """Let go of the connection or the file."""
        if not self.closed:
            self._reader.close()
        super().close()
