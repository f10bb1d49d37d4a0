"""The two sides of a copy, and whose fault it is when content does not get from one to the other."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Literal

from dockless.model.descriptor import Descriptor
from dockless.model.errors import Cancelled, CopyFault, DocklessError, VerificationFailed
from dockless.model.events import BlobAdvanced, BlobStarted, Observer
from dockless.net.waiting import check
from dockless.stores.base import Store
from dockless.wire.stream import Reader, Source


@contextmanager
def at(side: Literal["source", "destination"], descriptor: Descriptor | None = None) -> Iterator[None]:
    """Turn what goes wrong at a side into a CopyFault that says so."""
    try:
        yield
    except (Cancelled, CopyFault):  # some places know both sides
        raise
    except DocklessError as fault:
        raise CopyFault(fault, side, descriptor) from fault


def send(destination: Store, wanted: Descriptor, source: Source, observe: Observer) -> bool:
    """Push content and return whether any of it was asked for: what is there already is not.

    Raises CopyFault. A fault of the destination that follows one of the source is the source's, and so are bytes that
    are not what was promised: the destination only found it out.
    """
    feed = _Feed(wanted, source, observe)
    try:
        destination.push(wanted, feed)
    except (Cancelled, CopyFault):
        raise
    except DocklessError as fault:
        if feed.fault is not None:
            raise CopyFault(feed.fault, "source", wanted) from feed.fault
        raise CopyFault(fault, "source" if isinstance(fault, VerificationFailed) else "destination", wanted) from fault
    return feed.is_opened


class _Feed:
    """A Source that remembers what went wrong with it last, and tells what it gives."""

    def __init__(self, wanted: Descriptor, source: Source, observe: Observer) -> None:
        self.is_opened = False
        self.fault: DocklessError | None = None
        self._wanted = wanted
        self._source = source
        self._observe = observe

    def __call__(self, offset: int) -> Reader:
        self.is_opened = True
        self.fault = None
        with self.noting():
            reader = self._source(offset)
        self._observe(BlobStarted(self._wanted.digest, self._wanted.size, offset))
        return _FedReader(self, reader, offset)

    def tell(self, done: int) -> None:
        self._observe(BlobAdvanced(self._wanted.digest, done))

    @contextmanager
    def noting(self) -> Iterator[None]:
        check()
        try:
            yield
        except DocklessError as fault:
            self.fault = fault
            raise


class _FedReader:
    """A body on its way through a feed."""

    def __init__(self, feed: _Feed, reader: Reader, offset: int) -> None:
        self._feed = feed
        self._reader = reader
        self._done = offset

    def read_chunk(self) -> memoryview:
        with self._feed.noting():
            chunk = self._reader.read_chunk()
        if chunk:
            self._done += len(chunk)
            self._feed.tell(self._done)
        return chunk

    def close(self) -> None:
        self._reader.close()
