"""Files that arrive whole or not at all.

Rules:
* Under its final name a file is always complete: it is written beside it, checked, flushed to the disk and renamed.
* What an interrupted try left (`.NAME.ID.partial`) is picked up by the next one, this process's or another's: read
  again through the checksum, then continued.
* One process writes at a time: the lock lies on the partial file itself. The others wait, and look again.
* Content that fails its check is removed, and fetched once more from the start before that is an error.
"""

import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import BinaryIO

from dockless.model.errors import LocalFault, VerificationFailed
from dockless.model.events import BlobAdvanced, BlobFinished, BlobStarted, Notice, Observer, Retrying
from dockless.net.waiting import pause
from dockless.wire.stream import CheckedReader, Promise, Source, pump

try:
    import fcntl
except ImportError:  # Windows
    fcntl = None  # type: ignore[assignment]

_BLOCK = 1 << 20
_WINDOW = 32 << 20  # bytes written before the system is told to begin
_LOCK_POLL = 0.2  # seconds


@contextmanager
def local_faults(path: Path) -> Iterator[None]:
    """Turn what the system says of `path` into a LocalFault."""
    try:
        yield
    except OSError as error:
        raise LocalFault(f"cannot write {path}: {error.strerror or error}") from error


def arrive(path: Path, promise: Promise, source: Source, observe: Observer) -> bool:
    """Let a blob arrive at `path`.

    Returns whether a checksum agreed (False: there was none). Raises SizeMismatch, ChecksumMismatch, LocalFault and
    what the source raises; then `path` is as it was.
    """
    if path.exists() and not path.is_file():
        kind = "a directory" if path.is_dir() else "no regular file"
        raise LocalFault(
            f"cannot write {path}: it is {kind}", hint="Name a file; a pipe is fed through standard output."
        )
    partial = path.with_name(f".{path.name}.{promise.blob.rpartition(':')[2][:16]}.partial")
    with local_faults(path), exclusive(partial, observe) as file:
        try:
            size = _fill(file, promise, source, observe)
        except VerificationFailed as fault:
            file.truncate(0)
            observe(Retrying(str(fault), 0.0))
            try:
                size = _fill(file, promise, source, observe)
            except VerificationFailed:
                _discard(file, partial)
                raise
        except OSError:
            _discard(file, partial)  # a full disk is not helped by what is half there
            raise
        _finish(file, partial, path)
    verified = promise.checksum is not None
    observe(BlobFinished(promise.blob, size, verified))
    return verified


def _fill(file: BinaryIO, promise: Promise, source: Source, observe: Observer) -> int:
    """Complete the partial file and check it; return its size."""
    file.seek(0)
    reader = CheckedReader(promise, source, _blocks(file))
    try:
        observe(BlobStarted(promise.blob, promise.size, reader.done))
        pump(reader, _Writer(file).write, lambda _: observe(BlobAdvanced(promise.blob, reader.done)))
    finally:
        reader.close()
    return reader.done


def _blocks(file: BinaryIO) -> Iterator[memoryview]:
    buffer = memoryview(bytearray(_BLOCK))
    while count := file.readinto(buffer):  # type: ignore[attr-defined]
        yield buffer[:count]


class _Writer:
    """Writes to the end of a file, and lets the system begin early what the flush at the end would wait for."""

    def __init__(self, file: BinaryIO) -> None:
        self._file = file
        self._begun = self._end = file.tell()

    def write(self, chunk: memoryview) -> None:
        while chunk:
            count = self._file.write(chunk)
            self._end += count
            chunk = chunk[count:]
        if self._end - self._begun >= _WINDOW and hasattr(os, "posix_fadvise"):
            # on Linux this starts the writing of dirty pages: a tenth off the time of 512 MiB
            os.posix_fadvise(self._file.fileno(), self._begun, self._end - self._begun, os.POSIX_FADV_DONTNEED)
            self._begun = self._end


def _discard(file: BinaryIO, partial: Path) -> None:
    file.truncate(0)
    with suppress(OSError):
        partial.unlink()


def _finish(file: BinaryIO, partial: Path, path: Path) -> None:
    os.fsync(file.fileno())
    if os.name == "nt":
        file.close()  # an open file cannot be renamed there
    partial.replace(path)
    sync_directory(path.parent)


def write_whole(path: Path, content: bytes) -> None:
    """Replace a small file in one step. Raises LocalFault. The caller holds whatever lock is needed."""
    partial = path.with_name(f".{path.name}.new")
    with local_faults(path):
        with partial.open("wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        partial.replace(path)
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
def exclusive(path: Path, observe: Observer) -> Iterator[BinaryIO]:
    """Open `path` for reading and writing, alone among all processes; wait for whoever has it."""
    told = False
    while True:
        with path.open("a+b", buffering=0) as file:
            if _locked(file) and _is_same(file, path):
                yield file
                return
        if not told:
            observe(Notice(f"{path.name} is being written by another process: waiting"))
            told = True
        pause(_LOCK_POLL)


def _locked(file: BinaryIO) -> bool:
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


def _is_same(file: BinaryIO, path: Path) -> bool:
    """Say whether the locked file still has its name: whoever had the lock before may have renamed it."""
    with suppress(FileNotFoundError):
        return os.path.samestat(os.fstat(file.fileno()), path.stat())
    return False
