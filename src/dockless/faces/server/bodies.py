"""Bodies that are too large to hold: what goes out, chunk by chunk, and what comes in.

Rules:
* A client that is slow keeps no thread: one is taken for each block that is read or written, and given back.
* A reader is closed however the answer ends. When it gives less than was announced, the connection ends.
"""

import threading
from collections.abc import Awaitable, Callable, Mapping

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from dockless.model.errors import Cancelled
from dockless.wire.stream import Reader

_BLOCK = 256 << 10
_SMALL = 64 << 10


def stored(reader: Reader, length: int, status: int, headers: Mapping[str, str]) -> Response:
    """Return an answer of `length` bytes of `reader`; what is small is read here and now, and costs no more trips."""
    if length > _SMALL:
        return ReaderBody(reader, length, status, headers)
    content = bytearray()
    try:
        while len(content) < length and (chunk := reader.read_chunk()):
            content += chunk[: length - len(content)]
    finally:
        reader.close()
    return Response(bytes(content), status, headers)


class ReaderBody(Response):
    """The bytes of `reader`, `announced` of them unless it ends earlier."""

    def __init__(self, reader: Reader, announced: int, status: int, headers: Mapping[str, str]) -> None:
        super().__init__(None, status, headers)
        self._reader = reader
        self._owed = announced

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        client = Request(scope, receive)
        try:
            await send({"type": "http.response.start", "status": self.status_code, "headers": self.raw_headers})
            while self._owed and not await client.is_disconnected() and (chunk := await run_in_threadpool(self._next)):
                self._owed -= len(chunk)
                await send({"type": "http.response.body", "body": chunk, "more_body": True})
        finally:
            await run_in_threadpool(self._reader.close)
        if self._owed:
            await _hang_up(scope, receive)
        else:
            await send({"type": "http.response.body"})

    def _next(self) -> bytes:
        # a copy: the server may still hold on to it when the reader fills its buffer again
        return bytes(self._reader.read_chunk()[: self._owed])


async def _hang_up(scope: Scope, receive: Receive) -> None:
    """End the connection in mid-body, once everything is sent.

    ASGI has no message for it, so our server leaves a way in the connection's state. Another server sees an answer that
    is not complete, complains and ends the connection all the same.
    """
    hang_up = scope.get("state", {}).get("hang_up")
    if hang_up is not None:
        hang_up()
        while (await receive())["type"] != "http.disconnect":
            pass


async def take_in(request: Request, write: Callable[[bytearray], Awaitable[None]]) -> None:
    """Give the request's body to `write`, in blocks; also what there is of one that is cut. Raises ClientDisconnect."""
    block = bytearray()
    try:
        async for chunk in request.stream():
            block += chunk
            if len(block) >= _BLOCK:
                full, block = block, bytearray()
                await write(full)
    finally:
        if block:
            await write(block)


class UntilStopped:
    """A Reader over another that ends with Cancelled once `stopping` is set."""

    def __init__(self, reader: Reader, stopping: threading.Event) -> None:
        self._reader = reader
        self._stopping = stopping

    def read_chunk(self) -> memoryview:
        """Return the next bytes."""
        if self._stopping.is_set():
            raise Cancelled("the registry stops")
        return self._reader.read_chunk()

    def close(self) -> None:
        """Close what is read from."""
        self._reader.close()
