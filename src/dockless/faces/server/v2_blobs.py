"""Blobs of v2, reading and deleting (distribution-spec, "Pulling blobs", "Deleting Blobs").

Rules, of parts (RFC 9110, section 14):
* One range is served; several, and other units than bytes, are ignored, so that the answer is the whole blob.
* One that holds no byte of the blob is 416, as is one that ends before it begins.
"""

import re

from starlette.requests import Request
from starlette.responses import Response

from dockless.faces.server.bodies import stored
from dockless.faces.server.v2_messages import OCTETS, digest_in, opened
from dockless.stores.base import Repositories

_RANGE = re.compile(r"bytes=([0-9]{0,18})-([0-9]{0,18})")


class Blobs:
    """The blobs of `repositories`."""

    def __init__(self, repositories: Repositories) -> None:
        self._repositories = repositories

    def read(self, request: Request) -> Response:
        """A blob, whole or in part."""
        digest = digest_in(request.path_params["digest"])
        store = opened(self._repositories, request)
        found = store.find_blob(digest)
        headers = {"Accept-Ranges": "bytes", "Content-Type": OCTETS, "Docker-Content-Digest": digest}
        part = part_of(request.headers.get("range", ""), found.size) if request.method == "GET" else None
        first, last = part or (0, found.size - 1)
        if first > last and part is not None:
            return Response(None, 416, {**headers, "Content-Range": f"bytes */{found.size}"})
        headers["Content-Length"] = str(last - first + 1)
        if part is not None:
            headers["Content-Range"] = f"bytes {first}-{last}/{found.size}"
        status = 200 if part is None else 206
        if request.method == "HEAD":
            return Response(None, status, headers)
        return stored(store.fetch(found, first), last - first + 1, status, headers)

    def delete(self, request: Request) -> Response:
        """Deleted means gone."""
        digest = digest_in(request.path_params["digest"])
        store = opened(self._repositories, request)
        store.delete(store.find_blob(digest))
        return Response(None, 202)


def part_of(asked: str, size: int) -> tuple[int, int] | None:
    """Return the first and the last byte that a `Range` asks for of `size`; None: all.

    The last is before the first when there is no such part.
    """
    found = _RANGE.fullmatch(asked.strip())
    if found is None or not (found[1] or found[2]):
        return None
    if not found[1]:
        return max(size - int(found[2]), 0), size - 1
    return int(found[1]), min(int(found[2] or size), size - 1)
