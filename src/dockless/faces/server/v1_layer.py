"""A layer as an answer, whole or in part, as the original registry's local storage gives it.

Rules:
* A part is at least two bytes long, else 416; a layer of no bytes is 416 when the whole is asked for.
* An open range ends one byte after the layer's end, and no end is cut down to it: what is announced beyond the layer
  never comes, and the connection ends instead.
* `Content-Range` lacks the word `bytes`. Any other form of `Range` is ignored.
* Bytes go out chunk by chunk, and the reader is closed however the answer ends.
"""

import re
from collections.abc import Mapping

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from dockless.faces.server.v1_messages import cached
from dockless.stores.base import V1Image, V1Source
from dockless.wire.stream import Reader, pump

_RANGE = re.compile(r"bytes=([0-9]{1,15})-([0-9]{0,15})")


def layer_answer(request: Request, images: V1Source, image: V1Image) -> Response:
    """Return the layer of `image`, or the part that `request` asks for. Raises NotFound."""
    size = _measured(images, image) if image.size is None else image.size
    headers = {**cached(), "Accept-Ranges": "bytes", "Content-Type": "application/octet-stream"}
    asked = _RANGE.fullmatch(request.headers.get("range", ""))
    first, last = (int(asked[1]), int(asked[2] or size)) if asked else (0, size - 1)
    length = last - first + 1
    if length < (2 if asked else 1):
        return Response(None, 416, headers)
    headers["Content-Length"] = str(length)
    if asked:
        headers["Content-Range"] = f"{first}-{last}/{size}"
    status = 206 if asked else 200
    if request.method == "HEAD":
        return Response(None, status, headers)
    return _LayerBody(images.layer(image, min(first, size)), length, status, headers)


def _measured(images: V1Source, image: V1Image) -> int:
    """Return the length of a layer whose store does not know it: v1 always announces a length."""
    reader = images.layer(image)
    try:
        return pump(reader)
    finally:
        reader.close()


class _LayerBody(Response):
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
