"""OCI images seen as images of v1."""

import hashlib
import json
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from dockless.model.descriptor import Descriptor, describe
from dockless.model.documents import make_document
from dockless.model.errors import NotFound
from dockless.model.image_id import ImageId
from dockless.model.media_types import OCI_CONFIG, OCI_EMPTY, OCI_INDEX, OCI_LAYER, OCI_LAYER_ZSTD, OCI_MANIFEST
from dockless.model.platform import Platform
from dockless.model.v1_synthesis import EMPTY_LAYER
from dockless.stores.base import Deleter, Store, V1Repositories
from dockless.stores.repositories import MemoryRepositories
from dockless.stores.v1_images import V1Images
from dockless.testing.contract import given, put
from dockless.wire.stream import CheckedReader, pump

MADE: list[dict[str, Any]] = [
    {"created_by": "make a"},
    {"created_by": "ENV X=1", "empty_layer": True},
    {"created_by": "make b"},
]


def config(architecture: str = "amd64", history: list[dict[str, Any]] = MADE) -> bytes:
    body = {"architecture": architecture, "os": "linux", "config": {"Cmd": ["/x"]}, "history": history}
    return json.dumps({**body, "rootfs": {"type": "layers", "diff_ids": []}}).encode()


def image(store: Store, *layers: bytes, raw: bytes = config(), media_type: str = OCI_LAYER) -> Descriptor:
    listed = [put(store, layer, media_type) for layer in layers]
    body = {"schemaVersion": 2, "mediaType": OCI_MANIFEST, "config": put(store, raw, OCI_CONFIG), "layers": listed}
    descriptor, document = make_document(body)
    store.push(descriptor, given(document))
    return descriptor


def index(store: Store, *manifests: Descriptor) -> Descriptor:
    descriptor, document = make_document({"schemaVersion": 2, "mediaType": OCI_INDEX, "manifests": list(manifests)})
    store.push(descriptor, given(document))
    return descriptor


def on(target: Descriptor, architecture: str) -> Descriptor:
    platform = Platform(os="linux", architecture=architecture)
    return Descriptor(target.media_type, target.digest, target.size, platform=platform)


@pytest.fixture
def repositories() -> MemoryRepositories:
    return MemoryRepositories()


@pytest.fixture
def store(repositories: MemoryRepositories) -> Store:
    return repositories.create("a/b")


@pytest.fixture
def images(repositories: MemoryRepositories) -> V1Images:
    return V1Images(repositories)


def layer_of(images: V1Repositories, image_id: ImageId) -> bytes:
    """Return an image's layer, verified as a client would."""
    wanted = images.image(image_id)
    content = bytearray()
    pump(CheckedReader(wanted.promise(), lambda offset: images.layer(wanted, offset)), content.extend)
    return bytes(content)


def test_a_tag_is_a_chain_of_images(images: V1Images, store: Store) -> None:
    store.tag(image(store, b"layer a", b"layer b"), "1.0")
    (newest,) = images.tags("a/b").values()
    ids = images.ancestry(newest)
    assert ids[0] == newest
    assert [layer_of(images, one) for one in ids] == [b"layer b", EMPTY_LAYER, b"layer a"]
    documents = [json.loads(images.image(one).raw) for one in ids]
    assert [one["id"] for one in documents] == ids
    assert [one.get("parent") for one in documents] == [*ids[1:], None]
    assert documents[0]["config"] == {"Cmd": ["/x"]}
    assert images.ancestry(ids[1]) == ids[1:]


def test_size_and_checksum_are_known(images: V1Images, store: Store) -> None:
    store.tag(image(store, b"layer a", b"layer b"), "1.0")
    for one in images.ancestry(images.tags("a/b")["1.0"]):
        found = images.image(one)
        layer = layer_of(images, one)
        assert found.size == len(layer)
        assert found.checksum == "sha256:" + hashlib.sha256(found.raw + b"\n" + layer).hexdigest()
        assert images.image(one) == found


def test_an_id_that_was_never_asked_for_by_name_is_found(repositories: MemoryRepositories, store: Store) -> None:
    store.tag(image(store, b"layer"), "1.0")
    newest = V1Images(repositories).tags("a/b")["1.0"]
    assert len(V1Images(repositories).ancestry(newest)) == 3
    assert V1Images(repositories).image(newest).id == newest


def test_looking_for_what_is_nowhere_happens_once_a_second(
    repositories: MemoryRepositories, store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    looked: list[str] = []
    usual = repositories.names

    def names() -> Iterator[str]:
        looked.append("")
        return usual()

    monkeypatch.setattr(repositories, "names", names)
    images = V1Images(repositories)
    for number in range(50):
        with pytest.raises(NotFound):
            images.image(ImageId(f"{number:064x}"))
    assert 1 <= len(looked) <= 3


def test_a_name_has_two_components(images: V1Images, repositories: MemoryRepositories) -> None:
    for name in ("demo", "a/b/c", "library/other"):
        store = repositories.create(name)
        store.tag(image(store, b"layer"), "1.0")
    assert list(images.repositories()) == ["a/b/c", "library/demo", "library/other"]
    for name in images.repositories():
        assert list(images.tags(name)) == ["1.0"]


@pytest.mark.parametrize("name", ["none/there", "UPPER/case", "../etc", "library/", "", "library/none"])
def test_a_name_that_is_not_there(images: V1Images, store: Store, name: str) -> None:
    with pytest.raises(NotFound):
        images.tags(name)


class TestIndexes:
    def test_the_usual_platform_is_taken(self, images: V1Images, store: Store) -> None:
        arm, amd = image(store, raw=config("arm64")), image(store, raw=config("amd64"))
        store.tag(index(store, on(arm, "arm64"), on(amd, "amd64")), "all")
        store.tag(amd, "amd")
        tags = images.tags("a/b")
        assert tags["all"] == tags["amd"]

    def test_else_the_first(self, images: V1Images, store: Store) -> None:
        arm, other = image(store, raw=config("arm64")), image(store, raw=config("ppc64le"))
        store.tag(index(store, arm, other), "all")
        store.tag(index(store, index(store, arm)), "nested")
        store.tag(arm, "arm")
        tags = images.tags("a/b")
        assert tags["all"] == tags["nested"] == tags["arm"]

    def test_not_without_end(self, images: V1Images, store: Store) -> None:
        inner = image(store)
        for _ in range(8):
            inner = index(store, inner)
        store.tag(inner, "deep")
        store.tag(index(store), "empty")
        assert images.tags("a/b") == {}


@pytest.mark.parametrize(
    "make",
    [
        lambda store: image(store, b"layer", media_type=OCI_LAYER_ZSTD),
        lambda store: image(store, raw=b"no config"),
        lambda store: image(store, raw=b"{" + b" " * (8 << 20) + b"}"),
        lambda store: put(store, b"no manifest", OCI_MANIFEST),
        lambda store: put(store, b"{}", OCI_EMPTY),
    ],
)
def test_what_v1_cannot_hold_is_not_there(images: V1Images, store: Store, make: Callable[[Store], Descriptor]) -> None:
    store.tag(image(store, b"layer"), "good")
    store.tag(make(store), "bad")
    assert list(images.tags("a/b")) == ["good"]


def test_deleted_means_gone(images: V1Images, store: Store) -> None:
    assert isinstance(store, Deleter)
    manifest = image(store, b"layer a", b"layer b")
    store.tag(manifest, "1.0")
    ids = images.ancestry(images.tags("a/b")["1.0"])
    store.delete(describe(b"layer a", OCI_LAYER))
    with pytest.raises(NotFound):
        layer_of(images, ids[-1])
    store.delete(manifest)
    assert images.tags("a/b") == {}
    for one in ids:
        with pytest.raises(NotFound):
            images.image(one)


def test_an_image_of_two_repositories_outlives_one(images: V1Images, repositories: MemoryRepositories) -> None:
    stores = [repositories.create(name) for name in ("a/one", "a/two")]
    for store in stores:
        store.tag(image(store, b"layer"), "1.0")
    newest = images.tags("a/one")["1.0"]
    assert images.tags("a/two")["1.0"] == newest
    for name, store in (("a/one", stores[0]), ("a/two", stores[1])):
        assert isinstance(store, Deleter)
        assert images.tags(name)["1.0"] == newest
        store.delete(store.resolve("1.0"))
        if name == "a/one":
            assert len(images.ancestry(newest)) == 3
    with pytest.raises(NotFound):
        images.ancestry(newest)


def test_what_is_known_is_bounded(images: V1Images, store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("dockless.stores.v1_images._MOST_KNOWN", 20_000)
    for number in range(20):
        store.tag(image(store, b"%d" % number, b"x"), f"v{number}")
    tags = images.tags("a/b")
    assert len(tags) == 20
    assert len(images._known) < 20
    for one in tags.values():
        images._searched = float("-inf")
        assert len(images.ancestry(one)) == 3
