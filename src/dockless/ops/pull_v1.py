"""A whole v1 image, from one place to another: its ancestry, each image once, several at once, the tag last."""

from collections.abc import Callable

import msgspec

from dockless.model.image_id import ImageId
from dockless.net.waiting import each
from dockless.stores.base import V1Destination, V1Source


class Pulled(msgspec.Struct, frozen=True):
    """What a pull did: the ids from the image down to its base, and those whose layer had no checksum to compare."""

    ids: tuple[ImageId, ...]
    unverified: tuple[ImageId, ...]
    present: tuple[ImageId, ...]


def pull(source: V1Source, image_id: ImageId, destination: V1Destination, jobs: int = 4) -> Pulled:
    """Take an image and all it stands on into `destination`, at most `jobs` layers at once.

    Raises what the source raises, VerificationFailed and LocalFault; what is complete by then stays.
    """
    ids = source.ancestry(image_id)

    def taking(one: ImageId) -> Callable[[], bool | None]:
        def take() -> bool | None:
            image = source.image(one)
            return destination.add(image, lambda offset: source.layer(image, offset))

        return take

    verified = dict(zip(ids, each([taking(one) for one in ids], jobs), strict=True))
    return Pulled(
        ids=tuple(ids),
        unverified=tuple(one for one in ids if verified[one] is False),
        present=tuple(one for one in ids if verified[one] is None),
    )
