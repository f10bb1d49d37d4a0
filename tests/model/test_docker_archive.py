"""`manifest.json`, and the names beside it."""

import json

import pytest

from dockless.model.descriptor import describe
from dockless.model.docker_archive import (
    SavedImage,
    full_name,
    is_image,
    make_saved_images,
    parse_saved_images,
    read_names,
    write_names,
)
from dockless.model.documents import Manifest
from dockless.model.errors import InvalidDocument
from dockless.model.layout_index import EMPTY, FULL_NAME, REF_NAME
from dockless.model.media_types import (
    DOCKER_CONFIG,
    DOCKER_LAYER,
    OCI_CONFIG,
    OCI_EMPTY,
    OCI_LAYER_ZSTD,
    OCI_MANIFEST,
)

FIRST, SECOND = describe(b"first", OCI_MANIFEST), describe(b"second", OCI_MANIFEST)


def test_images_are_read_and_made() -> None:
    raw = b'[{"Config":"c.json","RepoTags":["a:1"],"Layers":["x/layer.tar"],"LayerSources":{}},{"Config":"d"}]'
    one, other = parse_saved_images(raw, "it")
    assert one == SavedImage(config="c.json", repo_tags=("a:1",), layers=("x/layer.tar",))
    assert other == SavedImage(config="d")
    assert parse_saved_images(make_saved_images([one, other]), "it") == (one, other)


@pytest.mark.parametrize("raw", [b"", b"{}", b"[{}]", b'[{"Config":1}]', b'[{"Config":"c","Layers":"x"}]', b"[null]"])
def test_what_is_no_list_of_images_is_refused(raw: bytes) -> None:
    with pytest.raises(InvalidDocument, match="it is not what it should be"):
        parse_saved_images(raw, "it")


def test_a_list_without_end_is_refused() -> None:
    with pytest.raises(InvalidDocument, match="50002 images, layers and names"):
        parse_saved_images(json.dumps([{"Config": "c", "Layers": ["x"] * 50_000, "RepoTags": ["a"]}]).encode(), "it")


@pytest.mark.parametrize(
    ("name", "full"),
    [
        ("alpine", "docker.io/library/alpine:latest"),
        ("me/it:1", "docker.io/me/it:1"),
        ("docker.io/library/alpine:latest", "docker.io/library/alpine:latest"),
        ("localhost:5000/it", "localhost:5000/it:latest"),
        ("<none>:<none>", "<none>:<none>"),
    ],
)
def test_names_are_compared_in_full(name: str, full: str) -> None:
    assert full_name(name) == full


def test_names_are_written_as_docker_does_and_read_back() -> None:
    index = EMPTY.with_tag(FIRST, "docker.io/library/a:1").with_tag(SECOND, "localhost:5000/b:1")
    index = index.with_tag(FIRST, "no reference").with_entry(describe(b"third", OCI_MANIFEST))
    raw = write_names(index)
    named = [entry.get("annotations") for entry in json.loads(raw)["manifests"]]
    assert named == [
        {REF_NAME: "1", FULL_NAME: "docker.io/library/a:1"},
        {REF_NAME: "1", FULL_NAME: "localhost:5000/b:1"},
        {REF_NAME: "no reference"},
        None,
    ]
    assert read_names(raw, "it").entries == index.entries
    assert read_names(raw, "it").tags() == index.tags()


def test_short_names_in_an_index_are_made_full() -> None:
    entry = {"mediaType": OCI_MANIFEST, "digest": FIRST.digest, "size": 5, "annotations": {FULL_NAME: "a"}, "x": 1}
    index = read_names(json.dumps({"schemaVersion": 2, "manifests": [entry]}).encode(), "it")
    assert index.tags() == ["docker.io/library/a:latest"]
    assert json.loads(index.raw)["manifests"][0]["x"] == 1


def test_an_index_that_is_none_is_refused() -> None:
    with pytest.raises(InvalidDocument, match="it is"):
        read_names(b'{"schemaVersion":1}', "it")


@pytest.mark.parametrize(
    ("config", "layers", "answer"),
    [
        (DOCKER_CONFIG, [DOCKER_LAYER], True),
        (OCI_CONFIG, [OCI_LAYER_ZSTD], True),
        (OCI_CONFIG, [], True),
        (OCI_CONFIG, [OCI_LAYER_ZSTD, "application/vnd.dev.cosign.simplesigning.v1+json"], False),
        (OCI_EMPTY, [OCI_LAYER_ZSTD], False),
    ],
)
def test_images_are_told_from_artifacts(config: str, layers: list[str], answer: bool) -> None:
    given = Manifest(
        descriptor=FIRST, raw=b"", config=describe(b"", config), layers=tuple(describe(b"", one) for one in layers)
    )
    assert is_image(given) is answer
