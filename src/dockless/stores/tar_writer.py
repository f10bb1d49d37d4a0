"""A tar that several threads write at once.

Rules:
* The size of a content is known before it comes, so that its place in the archive is taken at once and filled while
  others fill theirs. The place of a content that failed is for its next try, and an archive with an unfilled place
  is never published.
* The same entries in the same order make the same archive: owner 0, times 0, files 0444, directories 0755. Directories
  come before what is in them. Names above 100 and sizes above 8 GiB are written as GNU tar does.
* Under its final name an archive is complete: it is written beside it, flushed to the disk and renamed. One writer at a
  time has the name; the others wait.
"""

import tarfile
import threading
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path

from dockless.model.errors import Conflict, LocalFault
from dockless.model.events import Observer
from dockless.net.waiting import pause
from dockless.stores.files import local_faults, locked, open_regular, sync_directory
from dockless.stores.shared_file import SharedFile
from dockless.stores.tar import BLOCK, Entry

_POLL = 0.05  # seconds
_WINDOW = 32 << 20  # bytes written before the system is told to begin


class Place:
    """The place of one content, filled from its beginning on."""

    def __init__(self, file: SharedFile, entry: Entry) -> None:
        self._file = file
        self._at = self._begun = entry.offset

    def write(self, chunk: memoryview) -> None:
        """Write the next bytes. Raises LocalFault."""
        self._file.write(chunk, self._at)
        self._at += len(chunk)
        if self._at - self._begun >= _WINDOW:
            self._file.begin_flush(self._begun, self._at - self._begun)
            self._begun = self._at

    def copy(self, source: SharedFile, entry: Entry) -> None:
        """Write a content of another archive. Raises LocalFault."""
        self._file.copy(source, entry.offset, entry.size, self._at)


class TarWriter:
    """An archive on its way to `path`. Safe to share between threads; `commit` or `discard` ends it.

    `entries` are those that are complete.
    """

    def __init__(self, path: Path, observe: Observer) -> None:
        """Begin an archive. Raises LocalFault."""
        self.path = path
        self.entries: dict[str, Entry] = {}
        self._directories: set[str] = set()
        self._busy: set[str] = set()
        self._failed: dict[tuple[str, int], Entry] = {}
        self._end = 0
        self._lock = threading.Lock()
        self._partial = path.with_name(f".{path.name}.partial")
        with ExitStack() as stack, local_faults(path):
            if path.exists() and not path.is_file():
                raise LocalFault(f"cannot write {path}: it is no regular file", hint="Name a file.")
            stack.enter_context(locked(path.with_name(f".{path.name}.lock"), observe))
            self.file = SharedFile(path, open_regular(self._partial, "w+b"))
            stack.callback(self._drop)
            self._stack = stack.pop_all()

    @contextmanager
    def place(self, name: str, size: int) -> Iterator[Place | None]:
        """Have the place of a content of `size` bytes; None when it is filled already. Waits for whoever fills it."""
        entry = self._taken(name, size)
        if entry is None:
            yield None
            return
        try:
            yield Place(self.file, entry)
        except BaseException:
            with self._lock:
                self._failed[name, size] = entry
            raise
        else:
            with self._lock:
                self.entries[name] = entry
        finally:
            self._busy.remove(name)

    def commit(self) -> None:
        """Publish the archive. Raises LocalFault, and Conflict when a place was not filled."""
        with self._stack:
            if self._failed:
                names = ", ".join(sorted(name for name, _ in self._failed))
                raise Conflict(f"{self.path} was not written: {names} failed", hint="Try once more.")
            self.file.finish(self._end + 2 * BLOCK)
            self.file.close()  # an open file cannot be renamed on Windows
            with local_faults(self.path):
                self._partial.replace(self.path)
                sync_directory(self.path.parent)

    def discard(self) -> None:
        """Leave what is under the name as it is."""
        self._stack.close()

    def _drop(self) -> None:
        self.file.close()
        with suppress(OSError):
            self._partial.unlink()

    def _taken(self, name: str, size: int) -> Entry | None:
        """Take a place; None when it is filled."""
        while True:
            with self._lock:
                if name in self.entries:
                    return None
                if name not in self._busy:
                    entry = self._failed.pop((name, size), None) or self._new(name, size)
                    self._busy.add(name)
                    return entry
            pause(_POLL)

    def _new(self, name: str, size: int) -> Entry:
        for end in [at for at, letter in enumerate(name) if letter == "/"]:
            if name[:end] not in self._directories:
                self._directories.add(name[:end])
                self._head(name[:end], 0, tarfile.DIRTYPE, 0o755)
        self._head(name, size, tarfile.REGTYPE, 0o444)
        entry = Entry(self._end, size)
        self._end += size + -size % BLOCK
        return entry

    def _head(self, name: str, size: int, kind: bytes, mode: int) -> None:
        head = tarfile.TarInfo(name)
        head.size, head.type, head.mode = size, kind, mode
        raw = head.tobuf(tarfile.GNU_FORMAT)
        self.file.write(raw, self._end)
        self._end += len(raw)
