"""What happens during an act, told to a callable. Whoever shows progress keeps it; nobody else stores an event."""

from collections.abc import Callable

import msgspec


class BlobQueued(msgspec.Struct, frozen=True):
    """A blob of `size` bytes has to be copied; what was queued so far is all that is known to be left to do."""

    blob: str
    size: int


class BlobStarted(msgspec.Struct, frozen=True):
    """A blob begins to arrive, under its digest or, in v1, its image id.

    `size` in bytes, None when unknown; `offset` is what an earlier try left at the destination.
    """

    blob: str
    size: int | None
    offset: int


class BlobAdvanced(msgspec.Struct, frozen=True):
    """`done` bytes of a blob are there; told for every chunk that came."""

    blob: str
    done: int


class BlobFinished(msgspec.Struct, frozen=True):
    """A blob is complete. `verified`: its checksum agreed; False: there was none; None: it was there already."""

    blob: str
    size: int
    verified: bool | None


class BlobMounted(msgspec.Struct, frozen=True):
    """A blob is complete without a byte of it having come through here: the registry had it in another repository."""

    blob: str
    size: int


class Retrying(msgspec.Struct, frozen=True):
    """Something failed and is tried again after `pause` seconds; `cause` says what, printable."""

    cause: str
    pause: float


class Notice(msgspec.Struct, frozen=True):
    """Something a person should know, printable."""

    text: str


Event = BlobQueued | BlobStarted | BlobAdvanced | BlobFinished | BlobMounted | Retrying | Notice
Observer = Callable[[Event], None]


def ignore(event: Event) -> None:
    """Observe nothing."""
