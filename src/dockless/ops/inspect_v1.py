"""What there is to know about a v1 image without its layers' bytes."""

from functools import partial

import msgspec

from dockless.model.image_id import ImageId
from dockless.model.v1_documents import V1ImageConfig, image_config
from dockless.net.waiting import each
from dockless.stores.base import V1Image, V1Source


class LayerSummary(msgspec.Struct, frozen=True):
    """One layer: the image that it belongs to, its size in bytes as stored, and the command that made it."""

    id: ImageId
    size: int | None
    checksum: str | None
    created: str | None
    command: str


class ImageSummary(msgspec.Struct, frozen=True):
    """An image: its typed JSON and its layers, newest first. `size` sums the layers up, None when one is unknown."""

    id: ImageId
    config: V1ImageConfig
    layers: tuple[LayerSummary, ...]

    @property
    def size(self) -> int | None:
        sizes = [layer.size for layer in self.layers]
        return None if None in sizes else sum(size for size in sizes if size is not None)


def inspect(source: V1Source, image_id: ImageId, jobs: int = 8) -> ImageSummary:
    """Ask for the JSON of an image and all it stands on. Raises what the source raises, and InvalidDocument."""
    images = each([partial(source.image, one) for one in source.ancestry(image_id)], jobs)
    return ImageSummary(
        id=image_id,
        config=_config(images[0]),
        layers=tuple(_layer(image) for image in images),
    )


def _layer(image: V1Image) -> LayerSummary:
    config = _config(image)
    command = config.container_config.cmd if config.container_config else None
    return LayerSummary(
        id=image.id,
        size=image.size,
        checksum=image.checksum,
        created=config.created,
        command=" ".join(command) if isinstance(command, list) else command or "",
    )


def _config(image: V1Image) -> V1ImageConfig:
    return image_config(image.raw, V1ImageConfig, f"JSON of image {image.id}")
