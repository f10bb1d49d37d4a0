"""What `docker save` writes, in its shapes, and what is written in its place."""

import gzip
import hashlib
import io
import json
import lzma
import tarfile
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any, cast

import pytest

from dockless.model.descriptor import Descriptor, describe
from dockless.model.digest import digest_of
from dockless.model.documents import make_document
from dockless.model.errors import (
    ChecksumMismatch,
    DocklessError,
    InvalidDocument,
    InvalidReference,
    NotFound,
    Unsupported,
)
from dockless.model.events import Event, Notice
from dockless.model.layout_index import LAYOUT_FILE, blob_path
from dockless.model.media_types import (
    OCI_CONFIG,
    OCI_EMPTY,
    OCI_INDEX,
    OCI_LAYER,
    OCI_LAYER_GZIP,
    OCI_LAYER_ZSTD,
    OCI_MANIFEST,
)
from dockless.model.platform import Platform
from dockless.stores.base import BlobFinder, NamedFetcher, Store, TagLister
from dockless.stores.docker_archive import DockerArchive, DockerArchiveWriter
from dockless.testing.contract import ABILITIES, StoreContract, given, got, image, put


class TestDockerArchive(StoreContract):
    """What is written is read from the finished archive wherever the contract opens the place once more."""

    abilities = frozenset({NamedFetcher, TagLister, BlobFinder}) & ABILITIES

    @pytest.fixture
    def store(self, tmp_path: Path) -> Iterator[Store]:
        writer = DockerArchiveWriter(tmp_path / "it.tar")
        yield writer
        writer.__exit__(KeyboardInterrupt, None, None)

    @pytest.fixture
    def again(self, tmp_path: Path) -> Iterator[Callable[[Store], Store]]:
        opened = []

        def reopen(store: Store) -> Store:
            cast("DockerArchiveWriter", store).__exit__(None, None, None)
            opened.append(DockerArchive(tmp_path / "it.tar"))
            return cast("Store", opened[-1])

        yield reopen
        for archive in opened:
            archive.close()

    def test_tags_are_listed_each_once(self, store: Store, again: Callable[[Store], Store]) -> None:
        wanted = image(store)
        for name in ("v0", "v1", "docker.io/library/v0:latest", "localhost:5000/a/b:1"):
            store.tag(wanted, name)
        same = again(store)
        assert isinstance(same, TagLister)
        names = ["docker.io/library/v0:latest", "docker.io/library/v1:latest", "localhost:5000/a/b:1"]
        assert sorted(same.tags()) == names


@pytest.fixture(name="path")
def _path(tmp_path: Path) -> Path:
    return tmp_path / "it.tar"


FIRST, SECOND = b"the first layer " * 1000, b"the second layer " * 1000


def config_of(*layers: bytes, architecture: str = "amd64") -> bytes:
    ids = [digest_of(layer) for layer in layers]
    return json.dumps({"architecture": architecture, "os": "linux", "rootfs": {"diff_ids": ids}}).encode()


CONFIG = config_of(FIRST, SECOND)


def saved(path: Path, files: Mapping[str, bytes | str], *images: dict[str, Any], mode: str = "w") -> None:
    """Write a tar; a text is what a link points at. `images` make a `manifest.json`."""
    everything = {**files, "manifest.json": json.dumps(images).encode()} if images else files
    with tarfile.open(path, mode) as tar:  # type: ignore[call-overload]
        for name, content in everything.items():
            info = tarfile.TarInfo(name)
            if isinstance(content, str):
                info.type, info.linkname = tarfile.SYMTYPE, content
                tar.addfile(info)
            else:
                info.size = len(content)
                tar.addfile(info, io.BytesIO(content))


def files_of(path: Path) -> dict[str, bytes]:
    with tarfile.open(path) as tar:
        return {one.name: cast("io.BufferedReader", tar.extractfile(one)).read() for one in tar if one.isfile()}


def listed(config: str, *layers: str, tags: list[str] | None = None) -> dict[str, Any]:
    return {"Config": config, "RepoTags": tags, "Layers": layers}


HEX = hashlib.sha256(FIRST).hexdigest()
ZIPPED = gzip.compress(SECOND, mtime=0)
SHAPES: dict[str, tuple[dict[str, bytes | str], dict[str, Any]]] = {
    "docker before 25": (
        {"c.json": CONFIG, "1/layer.tar": FIRST, "2/layer.tar": SECOND, "2/json": b"{}", "repositories": b"{}"},
        listed("c.json", "1/layer.tar", "2/layer.tar"),
    ),
    "docker, a layer it has already written": (
        {"c.json": CONFIG, "1/layer.tar": FIRST, "0/layer.tar": SECOND, "2/layer.tar": "../0/layer.tar"},
        listed("c.json", "1/layer.tar", "2/layer.tar"),
    ),
    "skopeo and podman": (
        {"c.json": CONFIG, f"{HEX}.tar": FIRST, "2.tar": SECOND, "1/layer.tar": f"../{HEX}.tar"},
        listed("c.json", f"{HEX}.tar", "2.tar"),
    ),
    "crane": (
        {"sha256:c": CONFIG, "1.tar.gz": FIRST, "2.tar.gz": ZIPPED},
        listed("sha256:c", "1.tar.gz", "2.tar.gz"),
    ),
    "unpacked and packed again": (
        {"./c.json": CONFIG, "./1/layer.tar": FIRST, "./2/layer.tar": SECOND},
        listed("c.json", "1/layer.tar", "2/layer.tar"),
    ),
}


@pytest.mark.parametrize("mode", ["w", "w:gz", "w:xz"])
@pytest.mark.parametrize("shape", SHAPES)
def test_each_shape_becomes_the_same_image(path: Path, shape: str, mode: str) -> None:
    files, one = SHAPES[shape]
    saved(path, files, {**one, "RepoTags": ["demo:1.0"]}, mode=mode)
    second = describe(ZIPPED, OCI_LAYER_GZIP) if shape == "crane" else describe(SECOND, OCI_LAYER)
    layers = [describe(FIRST, OCI_LAYER), second]
    with DockerArchive(path) as archive:
        found, raw = archive.fetch_named("demo:1.0")
        body = json.loads(raw)
        assert found.media_type == body["mediaType"] == OCI_MANIFEST
        assert body["config"] == {"mediaType": OCI_CONFIG, "digest": digest_of(CONFIG), "size": len(CONFIG)}
        assert [(one["mediaType"], one["digest"], one["size"]) for one in body["layers"]] == [
            (layer.media_type, layer.digest, layer.size) for layer in layers
        ]
        assert got(archive, layers[0]) == FIRST
        assert got(archive, layers[1], 5) == (ZIPPED if shape == "crane" else SECOND)[5:]
        assert got(archive, describe(CONFIG, OCI_CONFIG)) == CONFIG
        assert list(archive.tags()) == ["demo:1.0"]
        assert list(archive.predecessors(found)) == []
    with DockerArchive(path) as again:
        assert again.fetch_named("") == (found, raw)


def test_content_is_found_by_digest_before_any_image_was_asked_for(path: Path) -> None:
    saved(path, *SHAPES["skopeo and podman"])
    with DockerArchive(path) as archive:
        wanted = archive.resolve("")
    for one in (wanted, describe(FIRST, OCI_LAYER), describe(CONFIG, OCI_CONFIG)):
        with DockerArchive(path) as archive:
            assert archive.exists(one)
            assert archive.find_blob(one.digest).size == one.size
            assert describe(got(archive, one), one.media_type) == one
    with DockerArchive(path) as archive:
        assert archive.resolve(wanted.digest) == wanted
        assert not archive.exists(describe(b"absent", OCI_LAYER))
        with pytest.raises(NotFound):
            archive.resolve(digest_of(b"absent"))


def two(path: Path) -> None:
    saved(
        path,
        {"a": CONFIG, "b": config_of(SECOND), "1": FIRST, "2": SECOND},
        listed("a", "1", "2", tags=["alpine", "localhost:5000/a:1"]),
        listed("b", "2"),
        listed("b", "2", tags=["docker.io/library/busybox:latest", "<none>:<none>"]),
    )


@pytest.mark.parametrize(
    ("name", "config"),
    [
        ("alpine", CONFIG),
        ("docker.io/library/alpine:latest", CONFIG),
        ("index.docker.io/alpine", CONFIG),
        ("localhost:5000/a:1", CONFIG),
        ("@0", CONFIG),
        ("@1", config_of(SECOND)),
        ("@2", config_of(SECOND)),
        ("busybox", config_of(SECOND)),
        ("<none>:<none>", config_of(SECOND)),
    ],
)
def test_images_are_found_by_reference_and_by_number(path: Path, name: str, config: bytes) -> None:
    two(path)
    with DockerArchive(path) as archive:
        body = json.loads(archive.fetch_named(name)[1])
    assert body["config"]["digest"] == digest_of(config)


@pytest.mark.parametrize("name", ["alpine:2", "@3", "@", "@-1", "@01x", "@99999999", "a:1", "\x1b[0m"])
def test_other_names_are_not_found(path: Path, name: str) -> None:
    two(path)
    with DockerArchive(path) as archive, pytest.raises(NotFound, match="is not in") as caught:
        archive.resolve(name)
    assert "alpine, localhost:5000/a:1, docker.io/library/busybox:latest" in caught.value.hint


def test_several_images_need_a_name(path: Path) -> None:
    two(path)
    with DockerArchive(path) as archive:
        names = ["alpine", "localhost:5000/a:1", "docker.io/library/busybox:latest", "<none>:<none>"]
        assert list(archive.tags()) == names
        with pytest.raises(InvalidReference, match="several images"):
            archive.resolve("")


def test_only_the_layers_of_wanted_images_are_read(path: Path) -> None:
    saved(path, {"a": CONFIG, "1": FIRST, "2": SECOND}, listed("a", "1", "2"), listed("gone", "3", tags=["x"]))
    with DockerArchive(path) as archive:
        archive.resolve("@0")
        with pytest.raises(InvalidDocument, match="names gone, which is not in it"):
            archive.resolve("x")


def test_an_archive_without_images_says_so(path: Path) -> None:
    saved(path, {"manifest.json": b"[]"})
    with DockerArchive(path) as archive, pytest.raises(NotFound, match="no image"):
        archive.resolve("")


BROKEN: list[tuple[dict[str, bytes | str], type[DocklessError], str]] = [
    ({"c": CONFIG, "1": FIRST}, InvalidDocument, "names 2, which is not in it"),
    ({"c": CONFIG, "1": FIRST, "2": "/etc/passwd"}, InvalidDocument, "names 2, which is not in it"),
    ({"c": CONFIG, "1": FIRST, "2": "2"}, InvalidDocument, "lead nowhere"),
    ({"c": config_of(FIRST), "1": FIRST, "2": SECOND}, InvalidDocument, "lists 1 layers, and the image has 2"),
    ({"c": b"no config", "1": FIRST, "2": SECOND}, InvalidDocument, "c in .*not what it should be"),
    ({"c": bytes(9 << 20), "1": FIRST, "2": SECOND}, InvalidDocument, "c has 9437184 bytes"),
    ({"c": CONFIG, "1": SECOND, "2": SECOND}, ChecksumMismatch, "a layer is not what c in"),
    ({"c": CONFIG, "1": lzma.compress(FIRST), "2": SECOND}, Unsupported, "packed with xz"),
]


@pytest.mark.parametrize(("files", "error", "reason"), BROKEN)
def test_an_image_that_is_not_whole_is_refused(
    path: Path, files: dict[str, bytes | str], error: type[DocklessError], reason: str
) -> None:
    saved(path, files, listed("c", "1", "2"))
    with DockerArchive(path) as archive:
        for _ in range(2):
            with pytest.raises(error, match=reason):
                archive.resolve("")


NONE: list[tuple[dict[str, bytes | str], type[DocklessError], str, str]] = [
    ({"a": b"x"}, InvalidDocument, "holds no manifest.json", "Did `docker save` write it?"),
    ({"index.json": b"{}"}, InvalidDocument, "holds no manifest.json", "oci-archive:"),
    ({"repositories": b"{}", "1/json": b"{}"}, Unsupported, "Docker before 1.10", "docker load"),
    ({"manifest.json": b"{}"}, InvalidDocument, "manifest.json in .* is not", ""),
    ({"manifest.json": b"[]", "index.json": b"[]"}, InvalidDocument, "index.json in", ""),
]


@pytest.mark.parametrize(("files", "error", "reason", "hint"), NONE)
def test_what_docker_did_not_save_is_refused_and_not_overwritten(
    path: Path, files: dict[str, bytes | str], error: type[DocklessError], reason: str, hint: str
) -> None:
    saved(path, files)
    before = path.read_bytes()
    for opened in (DockerArchive, DockerArchiveWriter):
        with pytest.raises(error, match=reason) as caught:
            opened(path)
        assert hint in caught.value.hint
    assert path.read_bytes() == before
    assert list(path.parent.iterdir()) == [path]


# --- Writing ----------------------------------------------------------------------------------------------------------


def packed_image(store: Store, *layers: tuple[bytes, str], architecture: str = "amd64", **more: Any) -> Descriptor:
    config = put(store, config_of(*(layer for layer, _ in layers), architecture=architecture), OCI_CONFIG)
    body = {"schemaVersion": 2, "mediaType": OCI_MANIFEST, "config": config}
    descriptor, raw = make_document({**body, "layers": [put(store, *layer) for layer in layers], **more})
    store.push(descriptor, given(raw))
    return descriptor


def artifact(store: Store, **more: Any) -> Descriptor:
    empty = put(store, b"{}", OCI_EMPTY)
    body = {"schemaVersion": 2, "mediaType": OCI_MANIFEST, "artifactType": "application/x", "config": empty}
    descriptor, raw = make_document({**body, "layers": [empty], **more})
    store.push(descriptor, given(raw))
    return descriptor


def platforms(store: Store, *architectures: str) -> tuple[Descriptor, list[Descriptor]]:
    images = [
        packed_image(store, (FIRST, OCI_LAYER), (name.encode(), OCI_LAYER), architecture=name) for name in architectures
    ]
    children = [
        Descriptor(one.media_type, one.digest, one.size, platform=Platform(os="linux", architecture=name))
        for one, name in zip(images, architectures, strict=True)
    ]
    index, raw = make_document({"schemaVersion": 2, "mediaType": OCI_INDEX, "manifests": children})
    store.push(index, given(raw))
    return index, images


def test_an_archive_is_a_layout_with_a_list_of_images(path: Path) -> None:
    with DockerArchiveWriter(path) as writer:
        wanted = packed_image(writer, (FIRST, OCI_LAYER), (SECOND, OCI_LAYER))
        writer.tag(wanted, "demo:1.0")
        writer.tag(wanted, "localhost:5000/demo:1.0")
        other = packed_image(writer, (SECOND, OCI_LAYER))
        assert writer.resolve("demo:1.0") == writer.resolve("docker.io/library/demo:1.0") == wanted
    files = files_of(path)
    assert files["oci-layout"] == LAYOUT_FILE
    assert json.loads(files["manifest.json"]) == [
        {
            "Config": blob_path(digest_of(CONFIG)),
            "RepoTags": ["docker.io/library/demo:1.0", "localhost:5000/demo:1.0"],
            "Layers": [blob_path(digest_of(FIRST)), blob_path(digest_of(SECOND))],
        },
        {
            "Config": blob_path(digest_of(config_of(SECOND))),
            "RepoTags": None,
            "Layers": [blob_path(digest_of(SECOND))],
        },
    ]
    entries = json.loads(files["index.json"])["manifests"]
    assert [entry.get("annotations") for entry in entries] == [
        {"org.opencontainers.image.ref.name": "1.0", "io.containerd.image.name": "docker.io/library/demo:1.0"},
        {"org.opencontainers.image.ref.name": "1.0", "io.containerd.image.name": "localhost:5000/demo:1.0"},
        None,
    ]
    with DockerArchive(path) as archive:
        assert archive.resolve("demo:1.0") == archive.resolve("@0") == wanted
        assert archive.resolve("@1") == archive.resolve(other.digest) == other


@pytest.mark.parametrize("name", ["", "demo@" + digest_of(b""), "UPPER", "demo:1.0@" + digest_of(b""), "a b"])
def test_a_tag_is_a_reference(path: Path, name: str) -> None:
    with DockerArchiveWriter(path) as writer:
        wanted = image(writer)
        with pytest.raises(InvalidReference):
            writer.tag(wanted, name)
        writer.tag(wanted, wanted.digest)
        assert list(writer.tags()) == []
        assert writer.resolve("") == wanted


def test_of_several_platforms_one_is_listed_and_all_are_kept(path: Path) -> None:
    told: list[Event] = []
    with DockerArchiveWriter(path, told.append) as writer:
        index, (_, usual) = platforms(writer, "arm64", "amd64")
        writer.tag(index, "demo:1.0")
        foreign, (first, _) = platforms(writer, "s390x", "riscv64")
        writer.tag(foreign, "foreign:1.0")
        writer.tag(first, "first:1.0")
    text = (
        "docker.io/library/demo:1.0: of linux/arm64, linux/amd64 manifest.json names linux/amd64; "
        "only readers of index.json see the others"
    )
    assert told[0] == Notice(text)
    assert len(told) == 2
    listed_names = [one["RepoTags"] for one in json.loads(files_of(path)["manifest.json"])]
    full = "docker.io/library"
    assert listed_names == [[f"{full}/demo:1.0"], [f"{full}/foreign:1.0", f"{full}/first:1.0"]]
    with DockerArchive(path) as archive:
        assert archive.resolve("demo:1.0") == archive.resolve("@0") == index
        assert archive.resolve("foreign:1.0") == archive.resolve("@1") == foreign
        assert archive.resolve("first:1.0") == first
        assert archive.resolve(usual.digest) == usual


def test_an_index_that_lists_what_was_not_saved_gives_way(path: Path) -> None:
    with DockerArchiveWriter(path) as writer:
        index, (absent, present) = platforms(writer, "arm64", "amd64")
        writer.tag(index, "demo:1.0")
    kept = {name: content for name, content in files_of(path).items() if name != blob_path(absent.digest)}
    saved(path, kept)
    with DockerArchive(path) as archive:
        assert archive.resolve("") == archive.resolve("demo:1.0") == present
        assert archive.resolve(index.digest) == index


def test_what_is_no_image_stands_in_the_index_alone(path: Path) -> None:
    with DockerArchiveWriter(path) as writer:
        wanted = image(writer)
        writer.tag(wanted, "demo:1.0")
        note = artifact(writer, subject=wanted)
        writer.tag(artifact(writer), "thing:1.0")
        lonely = image(writer, b"a layer", layers=[describe(b"absent", OCI_LAYER)])
        writer.tag(lonely, "lonely:1.0")
        writer.tag(put(writer, b"odd", "application/x"), "odd:1.0")
    assert [one["RepoTags"] for one in json.loads(files_of(path)["manifest.json"])] == [["docker.io/library/demo:1.0"]]
    with DockerArchive(path) as archive:
        names = [f"docker.io/library/{name}:1.0" for name in ("demo", "lonely", "odd", "thing")]
        assert list(archive.tags()) == names
        assert archive.resolve("") == wanted
        assert list(archive.predecessors(wanted)) == [note]
        assert archive.resolve("lonely:1.0") == lonely
        assert archive.resolve("thing:1.0") in archive.index.entries


def test_an_archive_of_artifacts_alone_has_an_only_one(path: Path) -> None:
    with DockerArchiveWriter(path) as writer:
        thing = artifact(writer)
        writer.tag(thing, "thing:1.0")
    with DockerArchive(path) as archive:
        assert archive.resolve("") == thing


def test_layers_that_old_docker_cannot_unpack_are_said(path: Path) -> None:
    told: list[Event] = []
    with DockerArchiveWriter(path, told.append) as writer:
        writer.tag(packed_image(writer, (FIRST, OCI_LAYER_ZSTD)), "demo:1.0")
        writer.tag(packed_image(writer, (SECOND, OCI_LAYER_GZIP)), "demo:2.0")
    assert told == [Notice(f"layers in {path} are packed with zstd, which Docker before 23 cannot load")]


@pytest.mark.parametrize("shape", SHAPES)
def test_writing_to_what_docker_saved_keeps_its_images(path: Path, shape: str) -> None:
    files, one = SHAPES[shape]
    saved(path, files, {**one, "RepoTags": ["demo:1.0", "demo:latest"]}, {**one, "RepoTags": None})
    with DockerArchive(path) as archive:
        before, raw = archive.fetch_named("demo:1.0")
    with DockerArchiveWriter(path) as writer:
        added = image(writer)
        writer.tag(added, "added:1.0")
    full = "docker.io/library"
    with DockerArchive(path) as archive:
        assert list(archive.tags()) == [f"{full}/demo:1.0", f"{full}/demo:latest", f"{full}/added:1.0"]
        assert archive.fetch_named("demo") == (before, raw)
        assert archive.resolve("added:1.0") == added
        for layer in json.loads(raw)["layers"]:
            wanted = Descriptor(layer["mediaType"], layer["digest"], layer["size"])
            assert describe(got(archive, wanted), wanted.media_type) == wanted
    assert {name.split("/")[0] for name in files_of(path)} == {"blobs", "oci-layout", "index.json", "manifest.json"}


def test_a_damaged_archive_is_not_written_to(path: Path) -> None:
    saved(path, {"c": CONFIG, "1": SECOND, "2": SECOND}, listed("c", "1", "2"))
    before = path.read_bytes()
    with pytest.raises(ChecksumMismatch):
        DockerArchiveWriter(path)
    assert path.read_bytes() == before
    assert list(path.parent.iterdir()) == [path]
