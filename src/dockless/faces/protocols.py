"""Which protocols a registry speaks."""

from collections.abc import Callable
from typing import TypeVar

import msgspec

from dockless.model.errors import Cancelled, DocklessError, LocalFault, NetworkFault, NotFound
from dockless.stores.open import Places
from dockless.stores.registry.client import Ping as V2Ping
from dockless.wire.v1.conversation import Ping as V1Ping

T = TypeVar("T")


class Protocols(msgspec.Struct, frozen=True):
    """Which protocols a registry speaks, and how it presents itself over each; None for one it does not speak."""

    registry: str
    v2: V2Ping | None = None
    v1: V1Ping | None = None


def ask(places: Places, registry: str) -> Protocols:
    """Ask a registry for v2 and for v1. Raises NotFound when it speaks neither, NetworkFault without an answer."""
    v2 = _unless(NotFound, lambda: places.registry(registry).ping())
    # a registry of v2 may answer anything there
    v1 = _unless(NotFound if v2 is None else DocklessError, lambda: places.index(registry).ping())
    if v2 is None and v1 is None:
        raise NotFound(f"{registry} speaks neither v2 nor v1", hint="Is it the registry, and not what is beside it?")
    return Protocols(registry, v2, v1)


def _unless(missing: type[DocklessError], question: Callable[[], T]) -> T | None:
    """Return the answer, None for one kind of error; no answer at all is raised."""
    try:
        return question()
    except (Cancelled, LocalFault, NetworkFault):
        raise
    except missing:
        return None
