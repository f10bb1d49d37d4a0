"""What happens during an act, told to a callable. Whoever shows progress keeps it; nobody else stores an event."""

from collections.abc import Callable

import msgspec


class LayerStarted(msgspec.Struct, frozen=True):
    """A layer begins to arrive. `size` in bytes, None when unknown; `offset` is what an earlier try left here."""

    layer: str
    size: int | None
    offset: int


class LayerAdvanced(msgspec.Struct, frozen=True):
    """`done` bytes of a layer are here; told for every chunk that came."""

    layer: str
    done: int


class LayerFinished(msgspec.Struct, frozen=True):
    """A layer is complete. `verified`: its checksum agreed; False: the server gave none; None: it was here already."""

    layer: str
    size: int
    verified: bool | None


class Retrying(msgspec.Struct, frozen=True):
    """Something failed and is tried again after `pause` seconds; `cause` says what, printable."""

    cause: str
    pause: float


class Notice(msgspec.Struct, frozen=True):
    """Something a person should know, printable."""

    text: str


Event = LayerStarted | LayerAdvanced | LayerFinished | Retrying | Notice
Observer = Callable[[Event], None]


def ignore(event: Event) -> None:
    """Observe nothing."""
