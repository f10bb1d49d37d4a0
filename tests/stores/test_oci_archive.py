"""OCI image layouts in a tar."""

import gzip
import io
import json
import tarfile
import threading
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path
from typing import cast

import pytest

from dockless.model.descriptor import Descriptor, describe
from dockless.model.documents import make_document
from dockless.model.errors import (
    Conflict,
    DocklessError,
    InvalidDocument,
    InvalidReference,
    LocalFault,
    NotFound,
    SizeMismatch,
    Unsupported,
)
from dockless.model.events import Event, Notice
from dockless.model.layout_index import LAYOUT_FILE, blob_path
from dockless.model.media_types import OCI_EMPTY, OCI_INDEX, OCI_LAYER, OCI_MANIFEST
from dockless.stores.base import BlobFinder, NamedFetcher, Store, TagLister
from dockless.stores.oci_archive import OciArchive, OciArchiveWriter
from dockless.testing.contract import ABILITIES, CONTENT, LAYER, StoreContract, given, got, image, put
from dockless.wire.stream import Source


class TestOciArchive(StoreContract):
    """What is written is read from the finished archive wherever the contract opens the place once more."""

    abilities = frozenset({NamedFetcher, TagLister, BlobFinder}) & ABILITIES

    @pytest.fixture
    def store(self, tmp_path: Path) -> Iterator[Store]:
        writer = OciArchiveWriter(tmp_path / "it.tar")
        yield writer
        writer.__exit__(KeyboardInterrupt, None, None)

    @pytest.fixture
    def again(self, tmp_path: Path) -> Iterator[Callable[[Store], Store]]:
        opened = []

        def reopen(store: Store) -> Store:
            cast("OciArchiveWriter", store).__exit__(None, None, None)
            opened.append(OciArchive(tmp_path / "it.tar"))
            return cast("Store", opened[-1])

        yield reopen
        for archive in opened:
            archive.close()


@pytest.fixture(name="path")
def _path(tmp_path: Path) -> Path:
    return tmp_path / "it.tar"


def referrer(store: Store, subject: Descriptor) -> Descriptor:
    empty = put(store, b"{}", OCI_EMPTY)
    body = {"schemaVersion": 2, "mediaType": OCI_MANIFEST, "artifactType": "application/x", "config": empty}
    descriptor, raw = make_document({**body, "layers": [empty], "subject": subject})
    store.push(descriptor, given(raw))
    return descriptor


def index_of(store: Store, *children: Descriptor) -> Descriptor:
    descriptor, raw = make_document({"schemaVersion": 2, "mediaType": OCI_INDEX, "manifests": children})
    store.push(descriptor, given(raw))
    return descriptor


def make_tar(path: Path, files: Mapping[str, bytes]) -> None:
    with tarfile.open(path, "w") as tar:
        for name, content in files.items():
            info = tarfile.TarInfo(name)
            info.size = len(content)
            tar.addfile(info, io.BytesIO(content))


def files_of(path: Path) -> dict[str, bytes]:
    with tarfile.open(path) as tar:
        return {one.name: cast("io.BufferedReader", tar.extractfile(one)).read() for one in tar if one.isfile()}


def untagged(path: Path) -> list[str]:
    listed = json.loads(files_of(path)["index.json"])["manifests"]
    return [entry["digest"] for entry in listed if "annotations" not in entry]


def test_an_archive_is_the_layout_in_a_tar(path: Path) -> None:
    with OciArchiveWriter(path) as writer:
        wanted = image(writer)
        writer.tag(wanted, "1.0")
        assert not path.exists()
    files = files_of(path)
    assert files["oci-layout"] == LAYOUT_FILE
    assert json.loads(files["index.json"])["manifests"] == [
        {**json.loads(files["index.json"])["manifests"][0], "digest": wanted.digest, "size": wanted.size}
    ]
    blobs = {name: content for name, content in files.items() if name.startswith("blobs/")}
    assert len(blobs) == 3
    assert all(name == blob_path(describe(content, OCI_LAYER).digest) for name, content in blobs.items())
    assert list(path.parent.iterdir()) == [path]


def test_an_archive_that_is_there_keeps_what_is_in_it(path: Path) -> None:
    with OciArchiveWriter(path) as writer:
        first = image(writer)
        writer.tag(first, "first")
        note = referrer(writer, first)
    with OciArchiveWriter(path) as writer:
        assert list(writer.tags()) == ["first"]
        assert writer.resolve("first") == first
        assert got(writer, LAYER) == CONTENT
        writer.push(LAYER, lambda _: pytest.fail("it is there"))
        second = image(writer, b"another layer")
        writer.tag(second, "second")
    with OciArchive(path) as archive:
        assert list(archive.tags()) == ["first", "second"]
        assert (archive.resolve("first"), archive.resolve("second")) == (first, second)
        assert list(archive.predecessors(first)) == [note]
        assert got(archive, LAYER) == CONTENT
    with tarfile.open(path) as tar:
        names = tar.getnames()
    assert len(names) == len(set(names))


def test_tags_are_moved_and_added_without_any_content(path: Path) -> None:
    with OciArchiveWriter(path) as writer:
        first, second = image(writer), image(writer, b"another layer")
        writer.tag(first, "a")
        writer.tag(second, "b")
    with OciArchiveWriter(path) as writer:
        writer.tag(second, "a")
    with OciArchive(path) as archive:
        assert (archive.resolve("a"), archive.resolve("b")) == (second, second)
        assert archive.resolve(first.digest) == first
        assert first in archive.index.entries


def test_after_an_error_all_is_as_it_was(path: Path) -> None:
    with OciArchiveWriter(path) as writer:
        writer.tag(image(writer), "1.0")
    before = path.read_bytes()
    with suppress(KeyError), OciArchiveWriter(path) as writer:
        writer.tag(image(writer, b"another layer"), "1.0")
        raise KeyError
    assert path.read_bytes() == before
    assert list(path.parent.iterdir()) == [path]


def test_where_nothing_comes_nothing_is_written(path: Path) -> None:
    with OciArchiveWriter(path):
        pass
    assert list(path.parent.iterdir()) == []
    with OciArchiveWriter(path) as writer:
        child = image(writer)
        wanted = index_of(writer, child)
        writer.tag(wanted, "1.0")
    before = path.stat()
    with OciArchiveWriter(path) as writer:
        assert image(writer) == child
        writer.tag(wanted, "1.0")
    assert path.stat() == before


def test_a_failed_blob_that_never_came_keeps_the_archive_from_appearing(path: Path) -> None:
    with pytest.raises(Conflict, match="was not written"), OciArchiveWriter(path) as writer:  # noqa: PT012
        writer.tag(image(writer), "1.0")
        with pytest.raises(SizeMismatch):
            writer.push(describe(b"content", OCI_LAYER), given(b"con"))
    assert list(path.parent.iterdir()) == []


def test_what_nobody_names_is_listed_without_a_tag(path: Path) -> None:
    with OciArchiveWriter(path) as writer:
        first, second, third = (image(writer, bytes([number])) for number in range(3))
        note = referrer(writer, first)
        inner = index_of(writer, first)
        outer = index_of(writer, inner, second)
        writer.tag(outer, "all")
        writer.tag(third, third.digest)
        with pytest.raises(InvalidReference):
            writer.tag(third, first.digest)
        with pytest.raises(InvalidReference):
            writer.tag(third, "")
    assert untagged(path) == [third.digest, note.digest]
    with OciArchive(path) as archive:
        assert list(archive.predecessors(first)) == [note]
        assert archive.resolve("") == outer
        for one in (first, second, third, note, inner):
            assert archive.resolve(one.digest) == one


def test_the_only_image_needs_no_name(path: Path) -> None:
    with OciArchiveWriter(path) as writer:
        with pytest.raises(NotFound, match="no image"):
            writer.resolve("")
        wanted = image(writer)
        writer.tag(wanted, "a")
        writer.tag(wanted, "b")
        assert writer.resolve("") == wanted
        writer.tag(image(writer, b"another layer"), "c")
        with pytest.raises(InvalidReference, match="several images") as caught:
            writer.resolve("")
        assert caught.value.hint == "Its tags are a, b, c."
        with pytest.raises(NotFound, match="none is not in") as other:
            writer.resolve("none")
        assert other.value.hint == caught.value.hint


def test_without_tags_the_hint_says_so(path: Path) -> None:
    with OciArchiveWriter(path) as writer:
        image(writer)
        image(writer, b"another layer")
    with OciArchive(path) as archive, pytest.raises(InvalidReference) as caught:
        archive.resolve("")
    assert caught.value.hint == "It has no tags: name a digest."


def test_blobs_are_found_by_digest(path: Path) -> None:
    with OciArchiveWriter(path) as writer:
        writer.tag(image(writer), "1.0")
        assert writer.find_blob(LAYER.digest).size == LAYER.size
    with OciArchive(path) as archive:
        assert archive.find_blob(LAYER.digest) == Descriptor("application/octet-stream", LAYER.digest, LAYER.size)
        with pytest.raises(NotFound):
            archive.find_blob(describe(b"absent", OCI_LAYER).digest)
        with pytest.raises(NotFound):
            archive.resolve(LAYER.digest)


def test_a_wrong_size_of_what_is_there_is_refused(path: Path) -> None:
    with OciArchiveWriter(path) as writer:
        put(writer, b"content")
        wrong = Descriptor(OCI_LAYER, describe(b"content", OCI_LAYER).digest, 8)
        assert not writer.exists(wrong)
        with pytest.raises(SizeMismatch):
            writer.push(wrong, given(b"content"))
        assert got(writer, describe(b"content", OCI_LAYER)) == b"content"


def test_what_came_as_a_blob_is_a_manifest_when_it_comes_as_one(path: Path) -> None:
    with OciArchiveWriter(path) as writer:
        wanted, raw = make_document({"schemaVersion": 2, "mediaType": OCI_INDEX, "manifests": []})
        put(writer, raw)
        put(writer, raw, OCI_INDEX)
    assert untagged(path) == [wanted.digest]


def test_an_index_that_cannot_be_read_is_kept_all_the_same(path: Path) -> None:
    with OciArchiveWriter(path) as writer:
        wanted = put(writer, b"no index", OCI_INDEX)
        writer.tag(wanted, "odd")
    with OciArchive(path) as archive:
        assert archive.fetch_named("odd") == (wanted, b"no index")
        assert list(archive.predecessors(wanted)) == []


def test_many_write_one_archive_one_after_the_other(path: Path) -> None:
    def write(number: int) -> None:
        with OciArchiveWriter(path) as writer:
            writer.tag(image(writer, bytes([number])), f"v{number}")

    with ThreadPoolExecutor(4) as pool:
        list(pool.map(write, range(8)))
    with OciArchive(path) as archive:
        assert list(archive.tags()) == [f"v{number}" for number in range(8)]


def test_many_blobs_are_written_at_once(path: Path) -> None:
    barrier = threading.Barrier(4, timeout=20)
    contents = [bytes([number]) * (1 << 20) for number in range(4)]

    class Slow:
        def __init__(self, content: bytes) -> None:
            self._chunks = iter([content[:1000], content[1000:]])

        def read_chunk(self) -> memoryview:
            barrier.wait()
            return memoryview(next(self._chunks, b""))

        def close(self) -> None:
            pass

    def slowly(content: bytes) -> Source:
        return lambda _: Slow(content)

    with OciArchiveWriter(path) as writer, ThreadPoolExecutor(4) as pool:
        pushes = [pool.submit(writer.push, describe(one, OCI_LAYER), slowly(one)) for one in contents]
        for push in pushes:
            push.result(30)
    with OciArchive(path) as archive:
        assert [got(archive, describe(content, OCI_LAYER)) for content in contents] == contents


def test_a_packed_archive_is_read_and_becomes_a_plain_one(path: Path) -> None:
    with OciArchiveWriter(path) as writer:
        first = image(writer)
        writer.tag(first, "1.0")
    path.write_bytes(gzip.compress(path.read_bytes()))
    with OciArchive(path) as archive:
        assert archive.resolve("1.0") == first
        assert got(archive, LAYER) == CONTENT
    told: list[Event] = []
    with OciArchiveWriter(path, told.append) as writer:
        writer.tag(first, "2.0")
    assert told == [Notice(f"{path} was packed with gzip; it is not any more")]
    assert tarfile.is_tarfile(path)
    with OciArchive(path) as archive:
        assert archive.tar.compression == ""
        assert archive.resolve("2.0") == archive.resolve("1.0") == first


INDEX = b'{"schemaVersion":2,"manifests":[]}'
NO_LAYOUTS: list[tuple[dict[str, bytes], type[DocklessError], str]] = [
    ({}, InvalidDocument, "no image layout"),
    ({"index.json": INDEX}, InvalidDocument, "no image layout"),
    ({"oci-layout": LAYOUT_FILE, "manifest.json": b"[]"}, InvalidDocument, "no image layout"),
    ({"oci-layout": b'{"imageLayoutVersion":"2.0.0"}', "index.json": INDEX}, Unsupported, "version"),
    ({"oci-layout": LAYOUT_FILE, "index.json": b"[]"}, InvalidDocument, "index.json in"),
]


@pytest.mark.parametrize(("files", "error", "reason"), NO_LAYOUTS)
def test_what_is_no_layout_is_refused_and_not_overwritten(
    path: Path, files: dict[str, bytes], error: type[DocklessError], reason: str
) -> None:
    make_tar(path, files)
    before = path.read_bytes()
    with pytest.raises(error, match=reason):
        OciArchive(path)
    with pytest.raises(error, match=reason):
        OciArchiveWriter(path)
    assert path.read_bytes() == before
    assert list(path.parent.iterdir()) == [path]


def test_an_empty_file_is_a_place_for_an_archive(path: Path) -> None:
    path.touch()
    with OciArchiveWriter(path) as writer:
        writer.tag(image(writer), "1.0")
    with OciArchive(path) as archive:
        assert list(archive.tags()) == ["1.0"]


def test_a_directory_is_no_place_for_an_archive(tmp_path: Path) -> None:
    with pytest.raises(LocalFault, match="no regular file"):
        OciArchiveWriter(tmp_path)


def test_what_is_listed_and_not_there_is_not_found(path: Path) -> None:
    absent = describe(b"absent", OCI_MANIFEST)
    entry = {"mediaType": absent.media_type, "digest": absent.digest, "size": absent.size}
    named = {"annotations": {"org.opencontainers.image.ref.name": "1.0"}}
    index = json.dumps({"schemaVersion": 2, "manifests": [{**entry, **named}, entry]}).encode()
    make_tar(path, {"oci-layout": LAYOUT_FILE, "index.json": index})
    with OciArchive(path) as archive:
        assert list(archive.tags()) == ["1.0"]
        assert not archive.exists(absent)
        assert list(archive.predecessors(absent)) == []
        with pytest.raises(NotFound):
            archive.fetch_named("1.0")


def test_a_blob_that_links_out_of_the_archive_is_not_there(path: Path) -> None:
    info = tarfile.TarInfo(blob_path(LAYER.digest))
    info.type, info.linkname = tarfile.SYMTYPE, "/etc/passwd"
    make_tar(path, {"oci-layout": LAYOUT_FILE, "index.json": INDEX})
    with tarfile.open(path, "a") as tar:
        tar.addfile(info)
    with OciArchive(path) as archive:
        assert not archive.exists(LAYER)
        with pytest.raises(NotFound):
            archive.fetch(LAYER)
    with OciArchiveWriter(path) as writer:
        writer.tag(image(writer, b"a layer"), "1.0")
    assert blob_path(LAYER.digest) not in files_of(path)


def test_a_document_that_is_no_document_by_its_size_is_not_read(path: Path) -> None:
    large = bytes(9 << 20)
    with OciArchiveWriter(path) as writer:
        writer.tag(put(writer, large, OCI_MANIFEST), "large")
        with pytest.raises(InvalidDocument, match="too many for a document"):
            writer.fetch_named("large")
