"""What a place that holds v1 images can be asked, whoever holds them: a registry or a directory.

A v1 image is one layer and one JSON document under an id; its ancestry is the list of ids from itself down to the base.
Ids are arbitrary: they are digests of nothing.
"""

from collections.abc import Callable, Iterator
from typing import Protocol

import msgspec

from dockless.model.image_id import ImageId
from dockless.wire.stream import Reader


class V1Image(msgspec.Struct, frozen=True):
    """One image's JSON as it was stored, with what is known of the layer beside it.

    `size` is the layer's length in bytes; `checksum` is `sha256:` of JSON, newline and layer. None: not known.
    """

    id: ImageId
    raw: bytes
    size: int | None = None
    checksum: str | None = None


class V1Source(Protocol):
    """Images that can be read by id."""

    def image(self, image_id: ImageId) -> V1Image:
        """Return the image's JSON and what is known of its layer. Raises NotFound."""
        ...

    def ancestry(self, image_id: ImageId) -> list[ImageId]:
        """Return the ids from the image itself down to its base. Raises NotFound."""
        ...

    def layer(self, image: V1Image, offset: int = 0) -> Reader:
        """Open the layer's stored bytes from `offset` (bytes); the caller verifies and closes. Raises NotFound."""
        ...


class V1Repositories(V1Source, Protocol):
    """Images that can be found by repository and tag, too; what the embedded registry serves."""

    def repositories(self) -> Iterator[str]:
        """Yield the names, `namespace/name` each."""
        ...

    def tags(self, repository: str) -> dict[str, ImageId]:
        """Return each tag with its image id. Raises NotFound."""
        ...


class V1Destination(Protocol):
    """A place that takes images in."""

    def add(self, image: V1Image, open_layer: Callable[[int], Reader]) -> bool | None:
        """Take the image in; `open_layer(offset)` opens its layer, again at n to resume.

        Returns True when the checksum agreed, False when there was none to compare, None when the image was there
        already. Raises SizeMismatch, ChecksumMismatch, LocalFault and whatever the layer raises.
        """
        ...

    def tag(self, repository: str, tag: str, image_id: ImageId) -> None:
        """Let `tag` of `repository` name an image that is complete here. Raises NotFound."""
        ...
