"""One copy between two locations: both places are opened, the name is chosen, and each fault is laid at its side."""

from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from itertools import islice
from typing import Literal, TypeVar

from msgspec import structs

from dockless.faces.named import source_name, target_name
from dockless.model.errors import InvalidReference, Unsupported
from dockless.model.events import Observer
from dockless.model.location import ArchiveLocation, Location, V1Location
from dockless.ops.copy import Copied, CopyOptions, copy
from dockless.ops.sides import at
from dockless.stores.base import Readable, TagLister
from dockless.stores.open import Places

T = TypeVar("T")


def copy_between(
    source: Location, places: Places, destination: Location, there: Places, *, options: CopyOptions, observe: Observer
) -> Copied:
    """Copy what `source` names, which `places` open, to `destination`, which those `there` open.

    Raises CopyFault, and Unsupported or InvalidReference for what v1 cannot do.
    """
    _check_v1(source, destination, options)
    with (
        _opened("destination", there.destination(destination)) as store,
        _opened("source", places.source(source, store, options.jobs)) as readable,
    ):
        name = source_name(source)
        new_name = target_name(destination, source if name else _with_only_tag(source, readable))
        return copy(readable, name, store, new_name, options=options, observe=observe)


def _check_v1(source: Location, destination: Location, options: CopyOptions) -> None:
    """Refuse what v1 cannot do. An index is refused by the place itself, before anything is sent."""
    if options.dry_run and isinstance(source, V1Location):
        raise Unsupported(
            "what a v1 image becomes is known only when its layers are read",
            hint="Leave out the dry run; `dockless layers` lists what would be read.",
        )
    if isinstance(destination, V1Location):
        if destination.image_id:
            raise InvalidReference(f"{destination}: v1 image ids are made, not chosen", hint="Name a tag.")
        if options.referrers:
            raise Unsupported("v1 has no place for referrers", hint="Leave out --referrers.")


@contextmanager
def _opened(side: Literal["source", "destination"], place: AbstractContextManager[T]) -> Iterator[T]:
    """Open a place; what goes wrong when it is opened or closed is the fault of its side."""
    with at(side):
        opened = place.__enter__()
    try:
        yield opened
    except BaseException as error:
        place.__exit__(type(error), error, error.__traceback__)
        raise
    with at(side):
        place.__exit__(None, None, None)


def _with_only_tag(where: Location, store: Readable) -> Location:
    """Return a location that names nothing with the one tag there is, as it is when there are none or several."""
    if isinstance(where, ArchiveLocation) and isinstance(store, TagLister):
        with at("source"):
            tags = list(islice(store.tags(), 2))
        if len(tags) == 1:
            return structs.replace(where, name=tags[0])
    return where
