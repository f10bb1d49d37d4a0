"""A body that heals itself.

Rules:
* After a cut, a stall or a short end it goes on by Range; where no usable range is given, the whole is read again and
  what was there already is skipped. Nothing is appended from an unknown place.
* Tries are counted since the last progress, so a long body survives many cuts and a hopeless one ends soon. Opening it
  again has tries of its own, and what these fail with is final.
* It ends at the size that is promised, whatever else the server would send.
"""

from dockless.model.errors import InvalidDocument, NetworkFault
from dockless.net.response import Response
from dockless.net.session import Session, Tries
from dockless.wire.http import without_query

_END = memoryview(b"")
_PROGRESS = 64 << 10  # bytes between two cuts that make the count of tries start anew


class HealingBody:
    """The bytes of some content from `offset` to its end; a Reader. `size` is that of the whole, None until known.

    Whoever derives from it says how to open the body, and may do something about a place that failed.
    """

    def __init__(self, session: Session, what: str, size: int | None, offset: int) -> None:
        self.size = size
        self.offset = offset
        self._what = what
        self._skip = 0
        self._body: Response | None = None
        self._tries = Tries(session)
        self._mark = offset

    def open(self) -> Response | None:
        """Return an answer that holds the byte at `self.offset`, after `begins`; None for content of no bytes."""
        raise NotImplementedError

    def failed(self) -> None:
        """The place that was read from did not do well."""

    def begins(self, start: int, place: str) -> None:
        """Note where in the content the opened body begins. Raises InvalidDocument when that is after the offset."""
        if start > self.offset:
            raise InvalidDocument(f"{place}: starts at byte {start}, after {self.offset}")
        self._skip = self.offset - start

    def read_chunk(self) -> memoryview:
        """Return the next bytes, empty at the end. Raises when no place can give them."""
        while self.offset != self.size:
            if self._body is None:
                self._body = self.open()
            try:
                chunk = self._next()
            except NetworkFault as fault:
                self._lost(fault)
                continue
            if chunk:
                self.offset += len(chunk)
                return chunk
            if self.size is None:
                self.size = self.offset
            elif self.offset != self.size:
                self._lost(NetworkFault(f"{self._place()}: ended after {self.offset} of {self.size} bytes"))
        self.close()
        return _END

    def close(self) -> None:
        """Let go of the connection."""
        body, self._body = self._body, None
        if body is not None:
            body.close()

    def _next(self) -> memoryview:
        while chunk := self._body.read_chunk() if self._body else _END:
            skipped = min(self._skip, len(chunk))
            self._skip -= skipped
            if chunk := chunk[skipped:]:
                return chunk if self.size is None else chunk[: self.size - self.offset]
        return _END

    def _lost(self, fault: NetworkFault) -> None:
        """Account for a body that ended early; raise `fault` when it is enough."""
        self.close()
        self.failed()
        if self.offset - self._mark >= _PROGRESS:
            self._tries.anew()
        self._mark = self.offset
        self._tries.after(fault, f" (at byte {self.offset})")

    def _place(self) -> str:
        return without_query(self._body.request.url) if self._body else self._what
