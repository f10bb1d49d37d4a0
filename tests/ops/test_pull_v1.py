"""A whole image from one place to another, both in memory."""

import threading
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from dockless.model.errors import ChecksumMismatch, InvalidDocument, NotFound
from dockless.model.image_id import ImageId
from dockless.ops.pull_v1 import Pulled, pull
from dockless.stores.base import V1Image
from dockless.stores.v1_directory import V1Directory
from dockless.testing.images import MadeImage, make_image
from dockless.wire.stream import Reader, pump
from tests.memory_images import MemoryImages

IMAGES = make_image(*({f"f{number}": bytes([number]) * 100} for number in range(8)))
IDS = tuple(image.id for image in IMAGES)


def memory(*images: MadeImage) -> MemoryImages:
    return MemoryImages({image.id: (image.raw, image.layer) for image in images})


class Kept:
    """A V1Destination that keeps layers in memory, takes its time, and says of each what `verified` says."""

    def __init__(self, verified: Callable[[ImageId], bool | None] = lambda _: True, seconds: float = 0.0) -> None:
        self.layers: dict[ImageId, bytes] = {}
        self.added: list[ImageId] = []
        self.most_at_once = 0
        self._verified = verified
        self._seconds = seconds
        self._now = 0
        self._lock = threading.Lock()

    def add(self, image: V1Image, open_layer: Callable[[int], Reader]) -> bool | None:
        with self._lock:
            self.added.append(image.id)
            self._now += 1
            self.most_at_once = max(self.most_at_once, self._now)
        try:
            time.sleep(self._seconds)
            found = bytearray()
            reader = open_layer(0)
            try:
                pump(reader, found.extend)
            finally:
                reader.close()
            self.layers[image.id] = bytes(found)
            return self._verified(image.id)
        finally:
            with self._lock:
                self._now -= 1

    def tag(self, repository: str, tag: str, image_id: ImageId) -> None:
        raise AssertionError("a pull tags nothing")


def test_the_image_and_all_it_stands_on_arrive_each_once() -> None:
    destination = Kept()
    assert pull(memory(*IMAGES), IDS[0], destination) == Pulled(IDS, (), ())
    assert destination.layers == {image.id: image.layer for image in IMAGES}
    assert sorted(destination.added) == sorted(IDS)


def test_what_stands_on_it_does_not_come_along() -> None:
    destination = Kept()
    assert pull(memory(*IMAGES), IDS[5], destination).ids == IDS[5:]
    assert sorted(destination.added) == sorted(IDS[5:])


def test_a_layer_is_opened_where_the_destination_wants() -> None:
    class FromTen(Kept):
        def add(self, image: V1Image, open_layer: Callable[[int], Reader]) -> bool | None:
            return super().add(image, lambda _: open_layer(10))

    destination = FromTen()
    pull(memory(IMAGES[-1]), IDS[-1], destination)
    assert destination.layers == {IDS[-1]: IMAGES[-1].layer[10:]}


@pytest.mark.parametrize("jobs", [1, 3])
def test_never_more_at_once_than_asked_and_as_many(jobs: int) -> None:
    destination = Kept(seconds=0.05)
    pull(memory(*IMAGES), IDS[0], destination, jobs)
    assert destination.most_at_once == jobs


def test_one_job_goes_from_the_image_down() -> None:
    destination = Kept()
    pull(memory(*IMAGES), IDS[0], destination, jobs=1)
    assert tuple(destination.added) == IDS


def test_what_had_no_checksum_and_what_was_there_is_told_in_order() -> None:
    said = {IDS[1]: False, IDS[6]: False, IDS[2]: None, IDS[5]: None}
    pulled = pull(memory(*IMAGES), IDS[0], Kept(lambda one: said.get(one, True)))
    assert pulled == Pulled(IDS, unverified=(IDS[1], IDS[6]), present=(IDS[2], IDS[5]))


def test_an_image_that_is_not_there_is_the_sources_error() -> None:
    destination = Kept()
    with pytest.raises(NotFound, match=IDS[0]):
        pull(memory(*IMAGES[1:]), IDS[0], destination)
    assert destination.added == []


def test_an_ancestry_that_is_none_asks_for_no_layer() -> None:
    class Cyclic(MemoryImages):
        def ancestry(self, image_id: ImageId) -> list[ImageId]:
            raise InvalidDocument("a cycle")

    destination = Kept()
    with pytest.raises(InvalidDocument):
        pull(Cyclic({}), IDS[0], destination)
    assert destination.added == []


def test_one_failure_stops_the_rest_and_is_the_error() -> None:
    class Damaged(Kept):
        def add(self, image: V1Image, open_layer: Callable[[int], Reader]) -> bool | None:
            super().add(image, open_layer)
            if image.id == IDS[2]:
                raise ChecksumMismatch("damaged")
            return True

    destination = Damaged()
    with pytest.raises(ChecksumMismatch, match="damaged"):
        pull(memory(*IMAGES), IDS[0], destination, jobs=1)
    assert tuple(destination.added) == IDS[:3]


def test_every_reader_is_closed() -> None:
    source = memory(*IMAGES)
    pull(source, IDS[0], Kept())
    assert source.still_open == 0


def test_into_a_directory_and_out_again_nothing_changes(tmp_path: Path) -> None:
    first, second = V1Directory(tmp_path / "first"), V1Directory(tmp_path / "second")
    pull(memory(*IMAGES), IDS[0], first)
    assert pull(first, IDS[0], second) == Pulled(IDS, (), ())
    assert [second.image(one) for one in IDS] == [memory(*IMAGES).image(one) for one in IDS]
    assert pull(first, IDS[0], second) == Pulled(IDS, (), present=IDS)
