"""A layer as an answer, whole or in part, as the original registry's local storage gives it.

Rules:
* A part is at least two bytes long, else 416; a layer of no bytes is 416 when the whole is asked for.
* An open range ends one byte after the layer's end, and no end is cut down to it: what is announced beyond the layer
  never comes, and the connection ends instead.
* `Content-Range` lacks the word `bytes`. Any other form of `Range` is ignored.
"""

import re

from starlette.requests import Request
from starlette.responses import Response

from dockless.faces.server.bodies import ReaderBody
from dockless.faces.server.v1_messages import cached
from dockless.stores.base import V1Image, V1Source
from dockless.wire.stream import pump

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
    return ReaderBody(images.layer(image, min(first, size)), length, status, headers)


def _measured(images: V1Source, image: V1Image) -> int:
    """Return the length of a layer whose store does not know it: v1 always announces a length."""
    reader = images.layer(image)
    try:
        return pump(reader)
    finally:
        reader.close()
