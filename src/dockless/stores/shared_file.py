"""A file that many threads read and write at once, each where it wants."""

import os
import threading
from pathlib import Path
from typing import IO

from dockless.model.errors import LocalFault
from dockless.net.waiting import check
from dockless.stores.files import begin_flush, local_faults

_CHUNK = 256 << 10  # bytes moved at once through here
_KERNEL_CHUNK = 32 << 20  # bytes moved at once by the system


class SharedFile:
    """An open file without a position. It closes `file`; `path` is what messages call it."""

    def __init__(self, path: Path, file: IO[bytes]) -> None:
        self.path = path
        self._file = file
        self._lock = threading.Lock()

    def fileno(self) -> int:
        """Return the descriptor."""
        return self._file.fileno()

    @property
    def size(self) -> int:
        """How many bytes there are."""
        return os.fstat(self.fileno()).st_size

    def read(self, size: int, offset: int) -> bytes:
        """Return `size` bytes from `offset`, fewer at the end. Raises LocalFault."""
        with local_faults(self.path, "read"):
            if hasattr(os, "pread"):
                return os.pread(self.fileno(), size, offset)
            with self._lock:
                self._file.seek(offset)
                return self._file.read(size)

    def write(self, chunk: memoryview | bytes, offset: int) -> None:
        """Write all of `chunk` at `offset`. Raises LocalFault."""
        rest = memoryview(chunk)
        with local_faults(self.path):
            while rest:
                count = self._write(rest[:_CHUNK], offset)
                rest, offset = rest[count:], offset + count

    def _write(self, chunk: memoryview, offset: int) -> int:
        if hasattr(os, "pwrite"):
            return os.pwrite(self.fileno(), chunk, offset)
        with self._lock:
            self._file.seek(offset)
            return self._file.write(chunk)

    def copy(self, source: "SharedFile", begin: int, size: int, offset: int) -> None:
        """Write `size` bytes of another file, from `begin` on, at `offset`: by the system alone where it can.

        Raises LocalFault.
        """
        end = begin + size
        while begin < end:
            check()
            count = _copied_by_system(source, begin, end - begin, self, offset)
            if not count:
                chunk = source.read(min(_CHUNK, end - begin), begin)
                self.write(chunk, offset)
                count = len(chunk)
            if not count:
                raise LocalFault(f"cannot read {source.path}: it became shorter meanwhile")
            begin, offset = begin + count, offset + count

    def begin_flush(self, begin: int, size: int) -> None:
        """Let the system begin early what `finish` would wait for."""
        begin_flush(self.fileno(), begin, size)

    def finish(self, size: int) -> None:
        """Let it have `size` bytes, and lie on the disk. Raises LocalFault."""
        with local_faults(self.path):
            self._file.truncate(size)
            os.fsync(self.fileno())

    def close(self) -> None:
        """Close the file."""
        self._file.close()


def _copied_by_system(source: SharedFile, begin: int, size: int, target: SharedFile, offset: int) -> int:
    """Return how many bytes the system moved, 0 where it cannot: an old kernel, or another file system."""
    if not hasattr(os, "copy_file_range"):
        return 0
    try:
        return os.copy_file_range(source.fileno(), target.fileno(), min(size, _KERNEL_CHUNK), begin, offset)
    except OSError:
        return 0  # what is really wrong shows when the bytes go through here
