"""A v1 image, checked: its ancestry, every JSON and every layer."""

from contextlib import closing
from functools import partial

import msgspec

from dockless.model.errors import DocklessError
from dockless.model.events import BlobAdvanced, BlobFinished, BlobStarted, Observer, ignore
from dockless.model.image_id import ImageId
from dockless.net.waiting import check, each, off_main
from dockless.ops.image import is_of_content
from dockless.stores.base import V1Source
from dockless.wire.stream import CheckedReader


class CheckedLayer(msgspec.Struct, frozen=True):
    """A layer that was read: its bytes as stored, whether a checksum agreed (False: there was none), what is wrong."""

    id: ImageId
    size: int
    verified: bool = False
    error: str | None = None


class CheckedImage(msgspec.Struct, frozen=True):
    """The layers of an image, newest first."""

    layers: tuple[CheckedLayer, ...]

    @property
    def ok(self) -> bool:
        """Whether nothing is wrong; a layer without a checksum is not."""
        return not any(one.error for one in self.layers)


def validate(source: V1Source, image_id: ImageId, jobs: int = 4, observe: Observer = ignore) -> CheckedImage:
    """Read an image and all it stands on, `jobs` layers at once. Raises what is of no layer: no network, no access."""

    def run() -> CheckedImage:
        ids = source.ancestry(image_id)
        return CheckedImage(tuple(each([partial(_checked, source, one, observe) for one in ids], jobs)))

    return off_main(run)


def _checked(source: V1Source, image_id: ImageId, observe: Observer) -> CheckedLayer:
    done = 0
    try:
        image = source.image(image_id)
        observe(BlobStarted(image_id, image.size, 0))
        with closing(CheckedReader(image.promise(), partial(source.layer, image))) as reader:
            while reader.read_chunk():
                check()
                done = reader.done
                observe(BlobAdvanced(image_id, done))
    except DocklessError as error:
        if not is_of_content(error):
            raise
        return CheckedLayer(image_id, done, error=str(error))
    verified = image.checksum is not None
    observe(BlobFinished(image_id, done, verified))
    return CheckedLayer(image_id, done, verified)
