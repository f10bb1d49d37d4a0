"""A layer under way: a body that heals itself.

Rules:
* After a cut, a stall or a short end it goes on by Range at the next endpoint; where no endpoint gives a usable range,
  the whole is read again and what was there already is skipped. Nothing is appended from an unknown place.
* Tries are counted since the last progress, so a long layer survives many cuts and a hopeless one ends soon.
* The size that the image's JSON came with is believed over a `Content-Length`; when both differ and there is no
  checksum to decide, the answer is refused.
"""

import random

from dockless.model.errors import InvalidDocument, NetworkFault, RemoteFault, SizeMismatch
from dockless.model.events import Retrying
from dockless.net.response import Response
from dockless.net.waiting import pause
from dockless.stores.base import V1Image
from dockless.stores.v1.endpoints import Endpoints
from dockless.wire.http import without_query
from dockless.wire.retry import pause_before_retry
from dockless.wire.v1 import routes
from dockless.wire.v1.layer_range import position, wanted_range

_END = memoryview(b"")
_PROGRESS = 64 << 10  # bytes between two cuts that make the count of tries start anew
_USABLE = frozenset({200, 206, 416})


class LayerBody:
    """The bytes of a layer from `offset` to its end; a Reader. `size` is the whole layer's, None until it is known."""

    def __init__(self, endpoints: Endpoints, image: V1Image, offset: int) -> None:
        self.size = image.size
        self._endpoints = endpoints
        self._image = image
        self._offset = offset
        self._skip = 0
        self._body: Response | None = None
        self._tried = 0
        self._mark = offset

    def read_chunk(self) -> memoryview:
        """Return the next bytes, empty at the layer's end. Raises when no endpoint can give them."""
        while self._offset != self.size:
            try:
                chunk = self._next()
            except NetworkFault as fault:
                self._lost(fault)
                continue
            if chunk:
                self._offset += len(chunk)
                return chunk
            if self.size is None:
                self.size = self._offset
            elif self._offset != self.size:
                self._lost(NetworkFault(f"{self._place()}: ended after {self._offset} of {self.size} bytes"))
        self.close()
        return _END

    def close(self) -> None:
        """Let go of the connection."""
        body, self._body = self._body, None
        if body is not None:
            body.close()

    def _next(self) -> memoryview:
        if self._body is None:
            self._body = self._open()
        while chunk := self._body.read_chunk() if self._body else _END:
            skipped = min(self._skip, len(chunk))
            self._skip -= skipped
            if chunk := chunk[skipped:]:
                return chunk if self.size is None else chunk[: self.size - self._offset]
        return _END

    def _open(self) -> Response | None:
        """Return the body that goes on at the offset, None for a layer of no bytes."""
        asked = wanted_range(self._offset, self.size)
        path = routes.layer(self._image.id)
        whole = self._endpoints.requests(path)
        ranged = self._endpoints.requests(path, (("Range", asked),)) if asked else []
        return self._endpoints.first_of(ranged + whole, self._accept, _USABLE)

    def _accept(self, response: Response) -> Response | None:
        try:
            return self._checked(response)
        except BaseException:
            response.close()
            raise

    def _checked(self, response: Response) -> Response | None:
        asked = next((value for name, value in response.request.headers if name == "Range"), None)
        if response.status == 416 and asked is None and self.size in {None, 0}:
            response.close()
            self.size = 0
            return None
        place = without_query(response.request.url)
        found = position(response.status, response.headers, asked)
        if found is None:
            raise RemoteFault(f"{place}: HTTP {response.status} without the range asked for", status=response.status)
        if self.size is None:
            self.size = found.size
        elif found.size not in {None, self.size} and self._image.checksum is None:
            raise SizeMismatch(f"{place}: announces {found.size} bytes of a layer of {self.size}")
        if found.start > self._offset:
            raise InvalidDocument(f"{place}: starts at byte {found.start}, after {self._offset}")
        self._skip = self._offset - found.start
        return response

    def _lost(self, fault: NetworkFault) -> None:
        """Account for a body that ended early; raise `fault` when it is enough."""
        self.close()
        self._endpoints.rotate()
        if self._offset - self._mark >= _PROGRESS:
            self._tried = 0
        self._mark = self._offset
        self._tried += 1
        session = self._endpoints.session
        wait = pause_before_retry(
            session.settings.retry,
            [fault],
            tried=self._tried,
            elapsed=0.0,
            chance=random.random(),  # noqa: S311 - jitter
        )
        if wait is None:
            raise fault
        session.observe(Retrying(f"{fault} (at byte {self._offset})", wait))
        pause(wait)

    def _place(self) -> str:
        return without_query(self._body.request.url) if self._body else f"layer {self._image.id}"
