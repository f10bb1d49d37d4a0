"""A v1 image, checked: what is right, what is wrong, and what is no finding."""

import msgspec
import pytest

from dockless.model.errors import Denied, NotFound
from dockless.model.events import BlobFinished, BlobStarted, Event
from dockless.model.image_id import ImageId
from dockless.ops.validate_v1 import CheckedLayer, validate
from dockless.stores.base import V1Image
from dockless.testing.images import make_image
from dockless.wire.stream import Reader
from tests.memory_images import MemoryImages

IMAGES = make_image({"a": b"1"}, {"b": b"22"})
TOP, BASE = (ImageId(image.id) for image in IMAGES)


def source() -> MemoryImages:
    return MemoryImages({image.id: (image.raw, image.layer) for image in IMAGES})


def test_all_is_right() -> None:
    events: list[Event] = []
    images = source()
    checked = validate(images, TOP, jobs=1, observe=events.append)
    sizes = [len(image.layer) for image in IMAGES]
    assert checked.layers == (CheckedLayer(TOP, sizes[0], verified=True), CheckedLayer(BASE, sizes[1], verified=True))
    assert checked.ok
    assert [event for event in events if isinstance(event, BlobStarted | BlobFinished)] == [
        BlobStarted(TOP, sizes[0], 0),
        BlobFinished(TOP, sizes[0], verified=True),
        BlobStarted(BASE, sizes[1], 0),
        BlobFinished(BASE, sizes[1], verified=True),
    ]
    assert images.still_open == 0


class Unsummed(MemoryImages):
    def image(self, image_id: ImageId) -> V1Image:
        return msgspec.structs.replace(super().image(image_id), checksum=None)


def test_without_a_checksum_a_layer_is_unverified_and_all_right() -> None:
    checked = validate(Unsummed({image.id: (image.raw, image.layer) for image in IMAGES}), TOP)
    assert [one.verified for one in checked.layers] == [False, False]
    assert checked.ok


class Faulty(MemoryImages):
    fault: Exception

    def layer(self, image: V1Image, offset: int = 0) -> Reader:  # type: ignore[override]
        if image.id == BASE:
            raise self.fault
        return super().layer(image, offset)


def test_what_is_missing_is_a_finding_and_the_rest_is_checked() -> None:
    images = Faulty({image.id: (image.raw, image.layer) for image in IMAGES})
    images.fault = NotFound("gone")
    checked = validate(images, TOP)
    assert [one.error for one in checked.layers] == [None, "gone"]
    assert not checked.ok


def test_no_access_is_raised() -> None:
    images = Faulty({image.id: (image.raw, image.layer) for image in IMAGES})
    images.fault = Denied("no")
    with pytest.raises(Denied):
        validate(images, TOP)
    with pytest.raises(NotFound):
        validate(images, ImageId("0" * 64))
