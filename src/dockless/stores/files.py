"""Files that arrive whole or not at all.

Rules:
* Under its final name a file is always complete: it is written elsewhere, checked, flushed to the disk and renamed.
* What an interrupted try left (`.NAME.partial`) is picked up by the next one, this process's or another's: read again
  through the checksum, then continued.
* One process writes at a time: the lock lies on the partial file itself. The others wait, and look again.
* Content that fails its check is removed, and fetched once more from the start before that is an error.
* Only regular files are read and written to; a link is not followed where the system can refuse it.
* A partial blob that nobody writes is swept up: after a week, and at once where its digest was not known yet.
"""

import errno
import os
import re
import secrets
import stat
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from io import FileIO
from pathlib import Path

from dockless.model.descriptor import Descriptor
from dockless.model.digest import Digest
from dockless.model.errors import LocalFault, NotFound, VerificationFailed
from dockless.model.events import BlobAdvanced, BlobFinished, BlobStarted, Notice, Observer, Retrying, ignore
from dockless.net.waiting import check, pause
from dockless.wire.stream import CheckedReader, DigestSum, Promise, Reader, Source, promise_of, pump

try:
    import fcntl
except ImportError:  # Windows
    fcntl = None  # type: ignore[assignment]

_BLOCK = 1 << 20
_WINDOW = 8 << 20  # bytes written before the system is told to begin
_CHUNK = 256 << 10
_FIRST_POLL = 0.005  # seconds
_LAST_POLL = 0.2
_STALE = 7 * 24 * 3600.0  # seconds
_PARTIAL_BLOB = re.compile(r"\.(ingest-)?[0-9a-f]+\.partial")


@contextmanager
def local_faults(path: Path, act: str = "write") -> Iterator[None]:
    """Turn what the system says of `path` into a LocalFault."""
    try:
        yield
    except OSError as error:
        raise LocalFault(f"cannot {act} {path}: {error.strerror or error}") from error


def open_regular(path: Path, mode: str) -> FileIO:
    """Open a file without a buffer. Raises OSError, also for a link and for what is no regular file."""
    try:
        file = FileIO(path, mode, opener=_open)
    except OSError as error:
        if error.errno == errno.ELOOP:
            raise OSError(errno.ELOOP, "it is a symbolic link") from error
        raise
    if not stat.S_ISREG(os.fstat(file.fileno()).st_mode):
        file.close()
        raise OSError(errno.EINVAL, "it is no regular file")
    return file


def _open(path: str, flags: int) -> int:
    return os.open(path, flags | getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_NONBLOCK", 0), 0o666)


class FileReader:
    """A file from `offset` (bytes) on, as a Reader; `size` is that of the whole. Raises NotFound, LocalFault."""

    def __init__(self, path: Path, offset: int = 0) -> None:
        self._path = path
        with local_faults(path, "read"):
            try:
                self._file = open_regular(path, "rb")
            except (FileNotFoundError, NotADirectoryError):
                raise NotFound(f"there is no file {path}", hint="Is the path right?") from None
            self.size = os.fstat(self._file.fileno()).st_size
            self._file.seek(offset)
        self._buffer = memoryview(bytearray(max(1, min(_CHUNK, self.size - offset))))

    def read_chunk(self) -> memoryview:
        """Return the next bytes; they are good until the next call. Raises LocalFault."""
        check()
        with local_faults(self._path, "read"):
            return self._buffer[: self._file.readinto(self._buffer)]

    def close(self) -> None:
        """Close the file."""
        self._file.close()


def arrive(path: Path, promise: Promise, source: Source, observe: Observer) -> bool:
    """Let a blob arrive at `path`.

    Returns whether a checksum agreed (False: there was none). Raises SizeMismatch, ChecksumMismatch, LocalFault and
    what the source raises; then `path` is as it was.
    """
    with local_faults(path):
        if path.exists() and not path.is_file():
            kind = "a directory" if path.is_dir() else "no regular file"
            raise LocalFault(
                f"cannot write {path}: it is {kind}", hint="Name a file; a pipe is fed through standard output."
            )
    partial = path.with_name(f".{path.name}.{promise.blob.rpartition(':')[2][:16]}.partial")
    with local_faults(path), exclusive(partial, observe) as file:
        size = _take(file, partial, promise, source, observe)
        _finish(file, partial, path)
    verified = promise.checksum is not None
    observe(BlobFinished(promise.blob, size, verified))
    return verified


def keep(path: Path, partials: Path, wanted: Descriptor, source: Source, observe: Observer) -> None:
    """Let a blob arrive at `path`, a name that no other content has: read-only, and not again when it is there.

    Its partial file lies in the directory `partials`. Raises as `arrive` does.
    """
    if regular_size(path) != wanted.size:
        partial = partials / f".{path.name}.partial"
        with local_faults(path), exclusive(partial, observe) as file:
            if regular_size(path) != wanted.size:
                _take(file, partial, promise_of(wanted), source, observe)
                _settle(file, partial, path)
                observe(BlobFinished(wanted.digest, wanted.size, verified=True))
                return
            _discard(file, partial)  # it came while this one waited
    observe(BlobFinished(wanted.digest, wanted.size, None))


def ingest(partials: Path, reader: Reader, path_of: Callable[[Digest], Path]) -> tuple[Digest, int]:
    """Let a blob arrive whose digest is known at its end; return it, and the size in bytes.

    `path_of` says where it belongs. Raises LocalFault and what the reader raises; then nothing is left.
    """
    partial = partials / f".ingest-{secrets.token_hex(8)}.partial"
    with local_faults(partial), exclusive(partial, ignore) as file:
        total = DigestSum()
        try:
            size = pump(reader, total.update, _Writer(file).write)
        except BaseException:
            _discard(file, partial)
            raise
        path = path_of(Digest(str(total)))
        if regular_size(path) == size:
            _discard(file, partial)
        else:
            _settle(file, partial, path)
    return Digest(str(total)), size


def sweep(partials: Path) -> None:
    """Remove partial blobs that are of no use any more, and that nobody writes."""
    for path in partials.iterdir():
        named = _PARTIAL_BLOB.fullmatch(path.name)
        with suppress(OSError):
            if named and (named[1] or time.time() - path.lstat().st_mtime > _STALE):
                with open_regular(path, "r+b") as file:
                    if _locked(file) and _is_same(file, path):
                        path.unlink()


def regular_size(path: Path) -> int | None:
    """Return how many bytes a regular file has, None when there is none."""
    with suppress(OSError):
        found = path.lstat()
        if stat.S_ISREG(found.st_mode):
            return found.st_size
    return None


def _take(file: FileIO, partial: Path, promise: Promise, source: Source, observe: Observer) -> int:
    """Complete the partial file and check it, twice if need be; return its size."""
    try:
        return _fill(file, promise, source, observe)
    except VerificationFailed as fault:
        file.truncate(0)
        observe(Retrying(str(fault), 0.0))
        try:
            return _fill(file, promise, source, observe)
        except VerificationFailed:
            _discard(file, partial)
            raise
    except OSError:
        _discard(file, partial)  # a full disk is not helped by what is half there
        raise


def _fill(file: FileIO, promise: Promise, source: Source, observe: Observer) -> int:
    """Complete the partial file and check it; return its size."""
    file.seek(0)
    reader = CheckedReader(promise, source, _blocks(file))
    try:
        observe(BlobStarted(promise.blob, promise.size, reader.done))
        pump(reader, _Writer(file).write, lambda _: observe(BlobAdvanced(promise.blob, reader.done)))
    finally:
        reader.close()
    return reader.done


def _blocks(file: FileIO) -> Iterator[memoryview]:
    buffer = memoryview(bytearray(_BLOCK))
    while count := file.readinto(buffer):
        check()
        yield buffer[:count]


class _Writer:
    """Writes to the end of a file, and lets the system begin early what the flush at the end would wait for."""

    def __init__(self, file: FileIO) -> None:
        self._file = file
        self._begun = self._end = file.tell()

    def write(self, chunk: memoryview) -> None:
        while chunk:
            count = self._file.write(chunk)
            self._end += count
            chunk = chunk[count:]
        if self._end - self._begun >= _WINDOW:
            begin_flush(self._file.fileno(), self._begun, self._end - self._begun)
            self._begun = self._end


def begin_flush(file: int, begin: int, size: int) -> None:
    """Let the system begin early what a flush at the end would wait for, where it can."""
    if hasattr(os, "posix_fadvise"):  # on Linux this starts the writing of dirty pages: a tenth off the time of 512 MiB
        os.posix_fadvise(file, begin, size, os.POSIX_FADV_DONTNEED)


def _discard(file: FileIO, partial: Path) -> None:
    file.truncate(0)
    with suppress(OSError):
        partial.unlink()


def _finish(file: FileIO, partial: Path, path: Path) -> None:
    os.fsync(file.fileno())
    if os.name == "nt":
        file.close()  # an open file cannot be renamed there
    partial.replace(path)
    sync_directory(path.parent)


def _settle(file: FileIO, partial: Path, path: Path) -> None:
    make_directory(path.parent)
    _finish(file, partial, path)
    if os.name != "nt":  # where it could not be removed any more
        path.chmod(stat.S_IMODE(path.lstat().st_mode) & 0o444)


def write_whole(path: Path, content: bytes) -> None:
    """Replace a small file in one step. Raises LocalFault. The caller holds whatever lock is needed."""
    partial = path.with_name(f".{path.name}.new")
    with local_faults(path):
        with open_regular(partial, "wb") as file:
            _Writer(file).write(memoryview(content))
            os.fsync(file.fileno())
        partial.replace(path)
        sync_directory(path.parent)


def make_directory(path: Path) -> None:
    """Make a directory, and those above it, so that they survive a power cut. Raises OSError."""
    if not path.is_dir():
        make_directory(path.parent)
        path.mkdir(exist_ok=True)
        sync_directory(path.parent)


def sync_directory(directory: Path) -> None:
    """Make renames in `directory` survive a power cut, where the system can."""
    if os.name == "nt":
        return
    descriptor = os.open(directory, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


@contextmanager
def locked(path: Path, observe: Observer) -> Iterator[None]:
    """Be alone among all processes while `path`, a file of no other use, is there; wait for whoever made it."""
    with exclusive(path, observe):
        try:
            yield
        finally:
            with suppress(OSError):  # whoever waits for it sees that its name is gone
                path.unlink()


@contextmanager
def exclusive(path: Path, observe: Observer) -> Iterator[FileIO]:
    """Open `path` for reading and writing, alone among all processes; wait for whoever has it."""
    wait, told = _FIRST_POLL, False
    while True:
        with open_regular(path, "a+b") as file:
            if _locked(file) and _is_same(file, path):
                yield file
                return
        if wait == _LAST_POLL and not told:
            observe(Notice(f"{path.name} is being written elsewhere: waiting"))
            told = True
        pause(wait)
        wait = min(wait * 1.5, _LAST_POLL)


def _locked(file: FileIO) -> bool:
    file.seek(0)  # on Windows a lock begins where the file stands
    try:
        if fcntl is not None:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        else:
            import msvcrt  # noqa: PLC0415

            msvcrt.locking(file.fileno(), msvcrt.LK_NBLCK, 1)
    except OSError:
        return False
    return True


def _is_same(file: FileIO, path: Path) -> bool:
    """Say whether the locked file still has its name: whoever had the lock before may have renamed it."""
    with suppress(FileNotFoundError):
        return os.path.samestat(os.fstat(file.fileno()), path.stat())
    return False
