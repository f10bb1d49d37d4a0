"""Uploads under way: each a spool that grows until its digest is named.

Rules:
* An id cannot be guessed, belongs to one repository, and is no path: a spool is a file without a name, in memory while
  it is small, gone with its process.
* The newest request has the upload: whoever comes back after a connection broke need not wait for the old one's end.
* There are only so many uploads, and one that nobody writes to is given up after a while.
"""

import asyncio
import secrets
import tempfile
import threading
import time
from pathlib import Path

from starlette.concurrency import run_in_threadpool

from dockless.faces.server.bodies import UntilStopped
from dockless.faces.server.v2_messages import Refused
from dockless.model.digest import Digest
from dockless.stores.files import local_faults
from dockless.wire.stream import DigestSum, Reader, pump

_IN_MEMORY = 256 << 10  # bytes of each
_BLOCK = 256 << 10


class Upload:
    """One upload. `size` is how many bytes it has, `short` whether a chunk came that only the last may be."""

    def __init__(self, repository: str, algorithm: str, directory: Path, stopping: threading.Event) -> None:
        self.id = secrets.token_hex(16)
        self.repository = repository
        self.size = 0
        self.short = False
        self.touched = time.monotonic()
        self.lock = asyncio.Lock()  # for whoever touches the file
        self._owner: object = None
        self._algorithm = algorithm
        self._sum = DigestSum(algorithm)
        self._place = directory
        self._file = _spool(directory)
        self._stopping = stopping

    def take(self, owner: object) -> None:
        """Give the upload to a request, away from whichever had it."""
        self._owner = owner
        self.touched = time.monotonic()

    def is_of(self, owner: object) -> bool:
        """Say whether the request has the upload still."""
        return owner is self._owner and not self._file.closed

    def require(self, owner: object) -> None:
        """Raise Refused when the request has the upload no more."""
        if self._file.closed:
            raise Refused("BLOB_UPLOAD_UNKNOWN")
        if owner is not self._owner:
            raise Refused("BLOB_UPLOAD_INVALID", "another request went on with this upload", status=409)

    async def write(self, owner: object, block: bytearray) -> None:
        """Append. Raises Refused as `require` does, LocalFault."""
        async with self.lock:
            self.require(owner)
            self.touched = time.monotonic()
            await run_in_threadpool(self._write, block)

    def source(self, offset: int) -> Reader:
        """Open what is there; one reader at a time."""
        self._file.seek(offset)
        return UntilStopped(_SpoolReader(self._file), self._stopping)

    def digest(self, algorithm: str) -> Digest:
        """Return the digest of what is there. Raises LocalFault."""
        if algorithm == self._algorithm:
            return Digest(str(self._sum))
        total = DigestSum(algorithm)
        with local_faults(self._place):
            pump(self.source(0), total.update)
        return Digest(str(total))

    def close(self) -> None:
        """Let go of it. May be called twice."""
        self._file.close()

    def _write(self, block: bytearray) -> None:
        with local_faults(self._place):
            self._file.write(block)
        self._sum.update(memoryview(block))
        self.size += len(block)


def _spool(directory: Path) -> "tempfile.SpooledTemporaryFile[bytes]":
    return tempfile.SpooledTemporaryFile(_IN_MEMORY, dir=str(directory))


class _SpoolReader:
    def __init__(self, file: "tempfile.SpooledTemporaryFile[bytes]") -> None:
        self._file = file
        self._buffer = memoryview(bytearray(_BLOCK))

    def read_chunk(self) -> memoryview:
        return self._buffer[: self._file.readinto(self._buffer)]

    def close(self) -> None:
        """The upload closes the file."""


class Uploads:
    """All uploads of a server, at most `most` of them and each at rest for at most `seconds`.

    `directory` is where large ones lie; once `stopping` is set they give nothing more. For one event loop.
    """

    def __init__(self, directory: Path | None, most: int, seconds: float) -> None:
        self.stopping = threading.Event()
        self._directory = directory or Path(tempfile.gettempdir())
        self._most = most
        self._seconds = seconds
        self._open: dict[str, Upload] = {}
        self._sweeper: asyncio.Task[None] | None = None

    async def begin(self, repository: str, algorithm: str) -> Upload:
        """Return a new upload. Raises Refused when there are too many."""
        await self._expire()
        if len(self._open) >= self._most:
            raise Refused("TOOMANYREQUESTS", f"{self._most} uploads are open", headers={"Retry-After": "10"})
        upload = Upload(repository, algorithm, self._directory, self.stopping)
        self._open[upload.id] = upload
        if self._sweeper is None or self._sweeper.done():
            self._sweeper = asyncio.create_task(self._sweep())
        return upload

    async def find(self, repository: str, upload_id: str) -> Upload:
        """Return an upload of the repository. Raises Refused."""
        await self._expire()
        upload = self._open.get(upload_id)
        if upload is None or upload.repository != repository:
            raise Refused("BLOB_UPLOAD_UNKNOWN")
        return upload

    async def drop(self, upload: Upload) -> None:
        """Forget an upload that nobody is writing to."""
        self._open.pop(upload.id, None)
        await run_in_threadpool(upload.close)  # the system takes its time to let go of a large file

    def stop(self) -> None:
        """Let whatever reads an upload end soon."""
        self.stopping.set()

    def close(self) -> None:
        """Forget every upload; for when the server has ended."""
        for upload in self._open.values():
            upload.close()

    async def _sweep(self) -> None:
        """Give up what is at rest for too long though nobody asks for anything any more."""
        while self._open:
            await asyncio.sleep(self._seconds / 4)
            await self._expire()

    async def _expire(self) -> None:
        since = time.monotonic() - self._seconds
        for upload in [one for one in self._open.values() if one.touched < since and not one.lock.locked()]:
            await self.drop(upload)
