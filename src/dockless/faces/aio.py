"""The same client for asyncio: each operation is one hop to a thread of its own, and cancelling a task stops it.

Rules:
* Nothing is written twice: a verb here calls the verb of `faces.client` and waits for it without blocking the loop.
* A cancelled task is told at once; what ran for it stops at its next chunk and leaves only complete content and partial
  files that the next try picks up. A thread that hangs in the kernel ends at its idle timeout.
* What yields one thing after the other there comes as a list here.
* `observe` is called from other threads than the loop's: hand on with `loop.call_soon_threadsafe`.
"""

import asyncio
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from os import PathLike
from typing import Self, TypeVar, Unpack

from dockless.faces.blob_reader import BlobReader
from dockless.faces.client import Client, CopyArguments
from dockless.faces.named import Where
from dockless.faces.protocols import Protocols
from dockless.model.descriptor import Descriptor
from dockless.model.documents import Document
from dockless.model.events import Observer, ignore
from dockless.model.platform import Platform
from dockless.net.settings import Settings
from dockless.net.waiting import begin
from dockless.ops.copy import Copied
from dockless.ops.image import Image, ImageSummary
from dockless.ops.tag_table import TagRow
from dockless.ops.validate import Report
from dockless.wire.auth import Credential

T = TypeVar("T")

_CHUNK = 1 << 20  # bytes, at most, for one hop


class AsyncBlobReader:
    """A blob to read from, checked as it is read; see `BlobReader`. An async iterator of its chunks."""

    def __init__(self, reader: BlobReader) -> None:
        self.size = reader.size
        self._reader = reader

    async def read(self, size: int = _CHUNK) -> bytes:
        """Return up to `size` bytes, none at the end. Raises SizeMismatch, ChecksumMismatch and others."""
        return await _run(lambda: self._reader.read(size) or b"")

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> bytes:
        if chunk := await self.read():
            return chunk
        raise StopAsyncIteration


class AsyncClient:
    """Everything dockless does, for asyncio. An async context manager; the arguments are those of `Client`.

    `client` is the client behind it. `observe` is called from other threads than the loop's.
    """

    def __init__(
        self,
        settings: Settings | None = None,
        *,
        credentials: Mapping[str, Credential] | None = None,
        observe: Observer = ignore,
        cache: str | PathLike[str] | None = None,
    ) -> None:
        self.client = Client(settings, credentials=credentials, observe=observe, cache=cache)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()

    async def close(self) -> None:
        """Drop the connections."""
        await _run(self.client.close)

    async def copy(self, source: Where, destination: Where, **options: Unpack[CopyArguments]) -> Copied:
        """See `Client.copy`."""
        return await _run(lambda: self.client.copy(source, destination, **options))

    async def pull(
        self, reference: Where, destination: Where | None = None, **options: Unpack[CopyArguments]
    ) -> Copied:
        """See `Client.pull`."""
        return await _run(lambda: self.client.pull(reference, destination, **options))

    async def push(self, source: Where, reference: Where, **options: Unpack[CopyArguments]) -> Copied:
        """See `Client.push`."""
        return await _run(lambda: self.client.push(source, reference, **options))

    async def tags(self, place: Where) -> list[str]:
        """See `Client.tags`."""
        return await _run(lambda: list(self.client.tags(place)))

    async def tag_table(self, place: Where, *, platform: str | Platform | None = None, jobs: int = 8) -> list[TagRow]:
        """See `Client.tag_table`."""
        return await _run(lambda: list(self.client.tag_table(place, platform=platform, jobs=jobs)))

    async def digest(self, location: Where, platform: str | Platform | None = None) -> str:
        """See `Client.digest`."""
        return await _run(lambda: self.client.digest(location, platform))

    async def resolve(self, location: Where, platform: str | Platform | None = None) -> Descriptor:
        """See `Client.resolve`."""
        return await _run(lambda: self.client.resolve(location, platform))

    async def manifest(self, location: Where, platform: str | Platform | None = None) -> Document:
        """See `Client.manifest`."""
        return await _run(lambda: self.client.manifest(location, platform))

    async def image(self, location: Where, platform: str | Platform | None = None) -> Image:
        """See `Client.image`."""
        return await _run(lambda: self.client.image(location, platform))

    async def inspect(self, location: Where, platform: str | Platform | None = None) -> ImageSummary:
        """See `Client.inspect`."""
        return await _run(lambda: self.client.inspect(location, platform))

    async def validate(
        self, location: Where, *, platform: str | Platform | None = None, deep: bool = True, jobs: int = 4
    ) -> Report:
        """See `Client.validate`."""
        return await _run(lambda: self.client.validate(location, platform=platform, deep=deep, jobs=jobs))

    @asynccontextmanager
    async def blob(self, location: Where) -> AsyncIterator[AsyncBlobReader]:
        """See `Client.blob`."""
        opened = self.client.blob(location)
        reader = await _run(opened.__enter__)
        try:
            yield AsyncBlobReader(reader)
        finally:
            await _run(lambda: opened.__exit__(None, None, None))

    async def download(self, location: Where, path: str | PathLike[str]) -> Descriptor:
        """See `Client.download`."""
        return await _run(lambda: self.client.download(location, path))

    async def tag(self, location: Where, *names: str) -> str:
        """See `Client.tag`."""
        return await _run(lambda: self.client.tag(location, *names))

    async def untag(self, location: Where) -> None:
        """See `Client.untag`."""
        await _run(lambda: self.client.untag(location))

    async def delete(self, location: Where) -> Descriptor:
        """See `Client.delete`."""
        return await _run(lambda: self.client.delete(location))

    async def catalog(self, registry: str) -> list[str]:
        """See `Client.catalog`."""
        return await _run(lambda: list(self.client.catalog(registry)))

    async def ping(self, registry: str) -> Protocols:
        """See `Client.ping`."""
        return await _run(lambda: self.client.ping(registry))


async def _run(call: Callable[[], T]) -> T:
    loop = asyncio.get_running_loop()
    future: asyncio.Future[T] = loop.create_future()

    def settle(result: T | None, error: BaseException | None) -> None:
        if future.done():  # cancelled meanwhile
            return
        if error is not None:
            future.set_exception(error)
        else:
            future.set_result(result)  # type: ignore[arg-type]

    def done(result: T | None, error: BaseException | None) -> None:
        if not loop.is_closed():
            loop.call_soon_threadsafe(settle, result, error)

    stop = begin(call, done)
    try:
        return await future
    except asyncio.CancelledError:
        stop()
        raise
