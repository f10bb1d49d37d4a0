"""What a summary says, of images in memory."""

import json

import msgspec
import pytest

from dockless.model.errors import InvalidDocument, NotFound
from dockless.model.image_id import ImageId
from dockless.ops.inspect_v1 import LayerSummary, inspect
from dockless.stores.base import V1Image
from dockless.testing.images import make_image
from dockless.wire.stream import Reader
from tests.memory_images import MemoryImages

IMAGES = make_image({"a": b"1"}, {"b": b"22"}, {"c": b"333"})
TOP = IMAGES[0]
ONE = ImageId("0123456789abcdef")


class NoLayers(MemoryImages):
    """Images whose layers nobody may ask for; of those in `unsaid` neither size nor checksum is known."""

    unsaid: frozenset[str] = frozenset()

    def image(self, image_id: ImageId) -> V1Image:
        image = super().image(image_id)
        return msgspec.structs.replace(image, size=None, checksum=None) if image_id in self.unsaid else image

    def layer(self, image: V1Image, offset: int = 0) -> Reader:  # type: ignore[override]
        raise AssertionError("a layer was asked for")


@pytest.fixture
def source() -> NoLayers:
    return NoLayers({image.id: (image.raw, image.layer) for image in IMAGES})


def of(document: object) -> NoLayers:
    return NoLayers({ONE: (json.dumps(document).encode(), b"layer")})


def test_the_layers_newest_first_without_their_bytes(source: NoLayers) -> None:
    assert inspect(source, TOP.id).layers == tuple(
        LayerSummary(
            id=image.id,
            size=len(image.layer),
            checksum=image.checksum,
            created=f"2015-01-01T00:00:0{number}.123456789Z",
            command=f"/bin/sh -c #(nop) ADD layer {number} of demo in /",
        )
        for number, image in zip((2, 1, 0), IMAGES, strict=True)
    )


def test_the_config_is_the_images_own_and_keeps_its_bytes(source: NoLayers) -> None:
    summary = inspect(source, IMAGES[1].id)
    assert summary.id == summary.config.id == IMAGES[1].id
    assert summary.config.raw == IMAGES[1].raw


def test_the_size_sums_the_layers_up(source: NoLayers) -> None:
    assert inspect(source, TOP.id).size == sum(len(image.layer) for image in IMAGES)


def test_the_size_is_unknown_when_one_is(source: NoLayers) -> None:
    source.unsaid = frozenset({IMAGES[1].id})
    summary = inspect(source, TOP.id)
    assert summary.size is None
    assert [layer.size for layer in summary.layers] == [len(TOP.layer), None, len(IMAGES[2].layer)]


def test_an_empty_layer_counts_as_nothing() -> None:
    assert inspect(NoLayers({ONE: (b"{}", b"")}), ONE).size == 0


@pytest.mark.parametrize(
    ("document", "command"),
    [
        ({}, ""),
        ({"container_config": None}, ""),
        ({"container_config": {}}, ""),
        ({"container_config": {"Cmd": None}}, ""),
        ({"container_config": {"Cmd": []}}, ""),
        ({"container_config": {"Cmd": "make all"}}, "make all"),
        ({"container_config": {"Cmd": ["make", "all"]}}, "make all"),
        ({"config": {"Cmd": ["what it starts, not what made it"]}}, ""),
    ],
)
def test_the_command_that_made_a_layer(document: object, command: str) -> None:
    (layer,) = inspect(of(document), ONE).layers
    assert layer.command == command


def test_more_jobs_than_layers_is_fine(source: NoLayers) -> None:
    assert inspect(source, TOP.id, jobs=100) == inspect(source, TOP.id, jobs=1)


def test_an_image_that_is_not_there_is_not_found(source: NoLayers) -> None:
    with pytest.raises(NotFound, match=ONE):
        inspect(source, ONE)


def test_an_ancestor_that_is_not_there_is_not_found(source: NoLayers) -> None:
    del source.images[IMAGES[2].id]
    with pytest.raises(NotFound, match=IMAGES[2].id):
        inspect(source, TOP.id)


@pytest.mark.parametrize("document", [{"created": 5}, {"config": []}, {"container_config": {"Cmd": 5}}])
def test_json_of_another_type_names_the_image(document: object) -> None:
    with pytest.raises(InvalidDocument, match=f"JSON of image {ONE}"):
        inspect(of(document), ONE)


def test_what_has_no_field_is_no_error_and_stays_in_the_bytes() -> None:
    document = {"id": ONE, "throwaway": True, "config": {"Cpuset": "0-3"}}
    summary = inspect(of(document), ONE)
    assert json.loads(summary.config.raw) == document
