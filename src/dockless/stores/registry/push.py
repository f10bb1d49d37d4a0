"""Blobs on their way into a registry: uploads, mounts, and what has no digest yet.

Rules:
* What to send is decided in `wire.v2.upload`; here it is sent, and tried again, with the tries counted since the last
  progress.
* Every byte is hashed on its way, and the last ones stay here when they are wrong: nothing wrong is completed. Going
  back to an offset hashes at most 16 MiB again.
* What the source raises is the source's: it is raised as it came, and nothing is tried again.
* An upload that is given up is cancelled, unless the registry does not answer anyway.
"""

from collections import deque
from collections.abc import Callable, Iterator
from contextlib import closing, suppress
from typing import TYPE_CHECKING, Protocol

from msgspec import structs

from dockless.model.descriptor import Descriptor
from dockless.model.digest import Digest
from dockless.model.errors import Denied, DocklessError, NetworkFault, NotFound, RemoteFault, Unauthorized, Unsupported
from dockless.model.events import BlobAdvanced, BlobFinished, BlobStarted, Observer
from dockless.net.response import Response
from dockless.net.session import Tries
from dockless.net.waiting import off_main
from dockless.wire.auth import pull_scope, push_scope
from dockless.wire.http import Body, Headers, Request
from dockless.wire.retry import is_transient
from dockless.wire.stream import BytesReader, CheckedReader, DigestSum, Reader, Source, promise_of, read_document
from dockless.wire.v2 import routes
from dockless.wire.v2.upload import CHUNK, SMALL, Kind, Step, Upload

if TYPE_CHECKING:
    from dockless.stores.registry.client import RegistryClient

_MARKED = 16 << 20  # bytes between two places that can be gone back to
_MOST_KEPT = 32 << 20  # bytes of a body that can be read only once
_END = memoryview(b"")


def push_blob(
    client: "RegistryClient", repository: str, expected: Descriptor, source: Source, observe: Observer
) -> None:
    """Upload a blob, and verify it on its way; that the repository has it already is no failure.

    Raises SizeMismatch, ChecksumMismatch, what the source raises and what the registry answers.
    """
    blob, size = expected.digest, expected.size

    def send() -> None:
        once = source if size > SMALL else _read(expected, source)
        content = _Content(expected, once, lambda done: observe(BlobAdvanced(blob, done)))
        sender = _Sender(client, Upload(client.url, repository), push_scope(repository), content)
        with closing(content), sender:
            while not sender.upload.done:
                sender.step(size, blob)

    observe(BlobStarted(blob, size, 0))
    off_main(send)
    observe(BlobFinished(blob, size, verified=True))


def ingest(client: "RegistryClient", repository: str, media_type: str, reader: Reader) -> Descriptor:
    """Upload what `reader` gives, and return its descriptor. Closes nothing. Raises what both sides raise."""
    window = _Window(reader)
    sender = _Sender(client, Upload(client.url, repository, chunk=CHUNK), push_scope(repository), window)

    def send() -> None:
        with sender:
            while not sender.upload.done:
                window.fill(sender.upload.offset, sender.upload.chunk)
                sender.step(window.end, window.digest)

    off_main(send)
    return Descriptor(media_type, window.sum(), window.end)


def mount(client: "RegistryClient", repository: str, wanted: Descriptor, from_repository: str | None) -> bool:
    """Have the registry take a blob from another repository, for None from any; False when it does not."""
    scope = push_scope(repository)
    query = {"mount": str(wanted.digest)}
    if from_repository is not None:
        query["from_"] = from_repository
        scope += f" {pull_scope(from_repository)}"
    begin = Step(Kind.BEGIN, Request(routes.uploads(repository, **query), method="POST"))
    upload = Upload(client.url, repository)
    try:
        url, status, headers = client.ask(begin.request, head_of, expect=frozenset({201, 202}), scope=scope)
        if status == 202:
            upload.answered(begin, url, status, headers)
            _cancel(client, upload, scope)
    except (NotFound, Denied, Unauthorized, RemoteFault):
        return False
    return status == 201


def head_of(response: Response) -> tuple[str, int, Headers]:
    """Return where an answer came from, its status and its headers, and close it."""
    with closing(response):
        return response.request.url, response.status, response.headers


def _read(expected: Descriptor, source: Source) -> Source:
    """Read what is small once, however often it is sent."""
    content = read_document(expected, source)
    return lambda offset: BytesReader(content, offset)


class _Giving(Protocol):
    """What a blob's bytes come from; `fault` is what its own source raised."""

    fault: BaseException | None

    def piece(self, first: int, last: int) -> Source:
        """Return a source of the bytes from `first` up to `last`."""
        ...


class _Sender:
    """Takes the steps of one upload, and is the one place that takes them again. Use it with `with`."""

    def __init__(self, client: "RegistryClient", upload: Upload, scope: str, content: _Giving) -> None:
        self.upload = upload
        self._client = client
        self._scope = scope
        self._content = content
        self._tries = Tries(client.session)

    def __enter__(self) -> None:
        """Begin nothing yet."""

    def __exit__(self, _: object, fault: BaseException | None, __: object) -> None:
        """Cancel an upload that failed."""
        silent = isinstance(fault, NetworkFault) and fault is not self._content.fault
        if isinstance(fault, DocklessError) and not silent:
            _cancel(self._client, self.upload, self._scope)

    def step(self, end: int, digest: Digest | None) -> None:
        """Take one step with the bytes up to `end` at hand; `digest` once these are all."""
        step = self.upload.next(end, digest)
        request = step.request
        if step.carries:
            body = Body(step.last - step.first, self._content.piece(step.first, step.last))
            request = structs.replace(request, body=body)
        gains = self.upload.gains
        try:
            answer = self._client.ask(request, head_of, expect=step.expect, scope=self._scope, repeat=False)
        except (NetworkFault, RemoteFault, NotFound) as fault:
            if fault is self._content.fault or not self.upload.failed(step, fault.status, is_transient(fault)):
                raise
            if self.upload.gains == gains:  # the same once more, not another way
                self._tries.after(fault)
        else:
            self.upload.answered(step, *answer)
            if self.upload.gains > gains:
                self._tries.anew()


def _cancel(client: "RegistryClient", upload: Upload, scope: str) -> None:
    request = upload.cancel()
    if request is not None:
        with suppress(DocklessError):
            client.ask(request, head_of, expect=frozenset({200, 202, 204}), scope=scope, repeat=False)


class _Content:
    """The bytes of a blob from a source, whole or in pieces, each verified in the one pass from first to last."""

    def __init__(self, expected: Descriptor, source: Source, advanced: Callable[[int], object]) -> None:
        self.fault: BaseException | None = None
        self._promise = promise_of(expected)
        self._source = source
        self._advanced = advanced
        self._sum = DigestSum.like(expected.digest)
        self._marks = [(0, self._sum)]
        self._reader: CheckedReader | None = None
        self._rest = _END
        self._at = 0

    def piece(self, first: int, last: int) -> Source:
        """Return a source of the bytes from `first` up to `last`."""
        return lambda offset: _Piece(self, first + offset, last)

    def read(self, at: int, last: int) -> memoryview:
        """Return bytes from `at`, none of them after `last`; the blob's end is read, too, and has to be one."""
        if at == last < (self._promise.size or 0):
            return _END
        try:
            chunk = self._read(at, last - at)
        except BaseException as fault:
            self.fault = fault
            raise
        if chunk:
            self._advanced(self._at)
        return chunk

    def close(self) -> None:
        """Close what is read from."""
        if self._reader is not None:
            self._reader.close()

    def _read(self, at: int, most: int) -> memoryview:
        reader = self._reader
        if reader is None or self._at != at:
            reader = self._go_to(at)
        self._rest = self._rest or self._next(reader)
        chunk, self._rest = self._rest[:most], self._rest[most:]
        self._at += len(chunk)
        return chunk

    def _go_to(self, at: int) -> CheckedReader:
        self.close()
        while self._marks[-1][0] > at:
            self._marks.pop()
        mark, before = self._marks[-1]
        self._sum = before.copy()
        promise = structs.replace(self._promise, begin_sum=lambda: self._sum)
        self._reader = reader = CheckedReader(promise, lambda _: self._source(mark), done=mark)
        self._rest = _END
        while reader.done < at:
            self._rest = self._next(reader)
        self._rest = self._rest[len(self._rest) - (reader.done - at) :]
        self._at = at
        return reader

    def _next(self, reader: CheckedReader) -> memoryview:
        chunk = reader.read_chunk()
        if reader.done >= self._marks[-1][0] + _MARKED:
            self._marks.append((reader.done, self._sum.copy()))
        return chunk


class _Piece:
    """Some bytes of a blob; a Reader."""

    def __init__(self, content: _Content, first: int, last: int) -> None:
        self._content = content
        self._at = first
        self._last = last

    def read_chunk(self) -> memoryview:
        """Return the next bytes, empty at the end of the piece."""
        chunk = self._content.read(self._at, self._last)
        self._at += len(chunk)
        return chunk

    def close(self) -> None:
        """The next piece goes on where this one ends: nothing is closed yet."""


class _Window:
    """The bytes that the registry does not have for certain, of a body that can be read once.

    `end` is where they end in the body, `digest` that of the body, None until all of it was read.
    """

    fault: BaseException | None = None

    def __init__(self, reader: Reader) -> None:
        self.end = 0
        self.digest: Digest | None = None
        self._reader = reader
        self._sum = DigestSum()
        self._start = 0
        self._chunks: deque[bytes] = deque()

    def fill(self, offset: int, size: int) -> None:
        """Drop what comes before `offset`, and read until there are `size` bytes or no more."""
        if size > _MOST_KEPT:
            raise Unsupported(f"the registry wants pieces of {size} bytes, more than {_MOST_KEPT} are kept here")
        while self._chunks and self._start + len(self._chunks[0]) <= offset:
            self._start += len(self._chunks.popleft())
        while self.digest is None and self.end - offset < size:
            try:
                chunk = self._reader.read_chunk()
            except BaseException as fault:
                self.fault = fault
                raise
            self._sum.update(chunk)
            self._chunks.append(bytes(chunk))
            self.end += len(chunk)
            if not chunk:
                self.digest = self.sum()

    def sum(self) -> Digest:
        """Return the digest of what was read so far."""
        return Digest(str(self._sum))

    def piece(self, first: int, last: int) -> Source:
        """Return a source of the bytes from `first` up to `last`. Raises RemoteFault when they are gone."""
        if first < self._start:
            raise RemoteFault(
                f"the registry lost the first {self._start} bytes of an upload that can be read only once"
            )
        return lambda offset: _Chunks(self._within(first + offset, last))

    def _within(self, first: int, last: int) -> Iterator[memoryview]:
        at = self._start
        for chunk in self._chunks:
            if part := memoryview(chunk)[max(0, first - at) : max(0, last - at)]:
                yield part
            at += len(chunk)


class _Chunks:
    """Bytes that are here already, in several chunks; a Reader."""

    def __init__(self, chunks: Iterator[memoryview]) -> None:
        self._chunks = chunks

    def read_chunk(self) -> memoryview:
        """Return the next of them, empty at the end."""
        return next(self._chunks, _END)

    def close(self) -> None:
        """Nothing is behind it."""
