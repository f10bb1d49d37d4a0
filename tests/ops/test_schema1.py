"""Manifests of Docker's schema 1 made into OCI images on their way."""

import gzip
import hashlib
import json
from typing import Any

import pytest

from dockless.model.descriptor import Descriptor, describe
from dockless.model.digest import Digest
from dockless.model.errors import CopyFault, DocklessError, InvalidDocument, NetworkFault, NotFound
from dockless.model.events import BlobFinished, Event, Notice, Observer, ignore
from dockless.model.media_types import OCI_LAYER, OCI_LAYER_GZIP, OCI_MANIFEST
from dockless.ops import schema1
from dockless.ops.contents import Contents
from dockless.ops.graph import Graph
from dockless.ops.image import open_image
from dockless.ops.validate import validate
from dockless.stores.memory import MemoryStore
from dockless.testing.contract import got, put
from dockless.wire.stream import BytesReader, CheckedReader, Reader, Source, promise_of, pump
from tests.schema1_manifests import ancestry, body, signed, unsigned
from tests.watched import FailsAt, Watched

BASE, TOP = b"the base" * 500, b"what make made" * 500
PACKED = gzip.compress(BASE, mtime=0)
EMPTY = gzip.compress(bytes(1024), mtime=0)
BLOBS = "application/octet-stream"


def digest(content: bytes) -> Digest:
    return Digest(f"sha256:{hashlib.sha256(content).hexdigest()}")


IMAGES = ancestry(
    digest(PACKED),
    digest(EMPTY),
    digest(TOP),
    digest(EMPTY),
    architecture="arm64",
    os="linux",
    throwaway=True,
    created="2015-01-01T00:01:00Z",
    config={"Cmd": ["serve"], "Env": ["A=b"]},
    author="someone",
)


@pytest.fixture
def source() -> MemoryStore:
    store = MemoryStore()
    for content in (PACKED, TOP, EMPTY):
        put(store, content, BLOBS)
    return store


def convert(
    source: Any, descriptor: Descriptor, raw: bytes, destination: Any, observe: Observer = ignore
) -> Descriptor:
    """Convert a manifest, and copy what it becomes."""
    contents = Contents(source)
    contents.keep(descriptor, raw)
    made = schema1.convert(contents, descriptor, destination, observe=observe)
    Graph(contents, destination, jobs=1, observe=observe).copy([made])
    return made


def converted(source: Any, destination: Any = None, **more: Any) -> tuple[Descriptor, MemoryStore]:
    descriptor, raw = signed(body(IMAGES))
    destination = MemoryStore() if destination is None else destination
    return convert(source, descriptor, raw, destination, **more), destination


def test_the_image_is_right_in_every_part(source: MemoryStore) -> None:
    found, destination = converted(source)
    image = open_image(destination, found.digest)

    assert found.media_type == OCI_MANIFEST
    assert str(image.platform) == "linux/arm64"
    assert image.config is not None
    assert image.config.config is not None
    assert (image.config.created, image.config.author, image.config.config.cmd) == (
        "2015-01-01T00:01:00Z",
        "someone",
        ["serve"],
    )
    assert [layer.descriptor for layer in image.layers] == [
        describe(PACKED, OCI_LAYER_GZIP),
        describe(EMPTY, OCI_LAYER_GZIP),
        describe(TOP, OCI_LAYER),
    ]
    assert [layer.diff_id for layer in image.layers] == [digest(BASE), digest(bytes(1024)), digest(TOP)]
    assert [(step.created_by, step.empty_layer) for step in image.history] == [
        ("ADD layer 1", False),
        ("ADD layer 2", False),
        ("ADD layer 3", False),
        ("ADD layer 4", True),
    ]
    assert validate(destination, found.digest).ok


def test_it_is_the_same_on_any_day_signed_or_not(source: MemoryStore) -> None:
    descriptor, raw = unsigned(body(IMAGES))

    assert convert(source, descriptor, raw, MemoryStore()) == converted(source)[0]


def test_each_layer_is_read_once_and_what_holds_nothing_is_not(source: MemoryStore) -> None:
    descriptor, raw = signed(body(ancestry(digest(PACKED), digest(TOP), digest(TOP), digest(EMPTY), throwaway=True)))
    watched = Watched(source)
    convert(watched, descriptor, raw, MemoryStore())

    assert sorted(watched.asked("fetch")) == sorted([digest(PACKED), digest(TOP)])
    assert watched.still_open == 0


def test_a_layer_that_is_there_is_not_fetched_again(source: MemoryStore) -> None:
    first, destination = converted(source)
    destination.delete(first)
    watched = Watched(source)
    events: list[Event] = []

    assert converted(watched, destination, observe=events.append)[0] == first
    assert watched.asked("fetch") == []
    assert BlobFinished(digest(TOP), len(TOP), None) in events


def test_a_layer_that_is_there_and_damaged_ends_it(source: MemoryStore) -> None:
    first, destination = converted(source)
    destination.delete(first)
    destination._contents[digest(TOP)] = TOP[::-1]
    with pytest.raises(CopyFault, match=r"destination: .* is not what its checksum promises"):
        converted(source, destination)


def test_a_change_of_the_digest_is_told_and_each_layer_is(source: MemoryStore) -> None:
    events: list[Event] = []
    found, destination = converted(source, observe=events.append)
    (notice,) = (one for one in events if isinstance(one, Notice))

    assert signed(body(IMAGES))[0].digest in notice.text
    assert found.digest in notice.text
    finished = [one for one in events if isinstance(one, BlobFinished)]
    assert {one for one in finished if one.blob != open_image(destination, found.digest).manifest.config.digest} == {
        BlobFinished(digest(content), len(content), verified=True) for content in (PACKED, TOP, EMPTY)
    }
    assert len(finished) == 4


class Stumbling(MemoryStore):
    """A store that opens what it is given as `offsets` say, and reads `length` of it each time but the last."""

    def __init__(self, *offsets: int, length: int = 10) -> None:
        super().__init__()
        self.offsets = offsets
        self.length = length
        self.opened: list[int] = []
        self.fetched: list[Digest] = []

    def fetch(self, wanted: Descriptor, offset: int = 0) -> Reader:
        """Note what is read."""
        self.fetched.append(wanted.digest)
        return super().fetch(wanted, offset)

    def push(self, expected: Descriptor, source: Source) -> None:
        """Read here and there first."""
        if expected.media_type == BLOBS:
            for offset in self.offsets:
                self.opened.append(offset)
                _read_some(source(offset), self.length)
        super().push(expected, source)


def _read_some(reader: Reader, length: int) -> None:
    taken = 0
    while taken < length and (chunk := reader.read_chunk()):
        taken += len(chunk)
    reader.close()


@pytest.mark.parametrize("offsets", [(0,), (0, 5, 20), (30, 0), (40, 16, 0, 16)])
def test_a_destination_may_open_a_layer_wherever_and_as_often_as_it_wants(
    source: MemoryStore, offsets: tuple[int, ...]
) -> None:
    destination = Stumbling(*offsets)
    found, _ = converted(Watched(source), destination)

    assert len(destination.opened) == 3 * len(offsets)
    assert destination.fetched == []
    assert found == converted(source)[0]


class Lying(Watched):
    """A source that gives other bytes of a blob at first."""

    def fetch(self, wanted: Descriptor, offset: int = 0) -> Reader:
        """Return them backwards once."""
        is_first = wanted.digest not in self.asked("fetch")
        reader = super().fetch(wanted, offset)
        return BytesReader(got(self.store, wanted)[::-1]) if is_first else reader


def test_bytes_that_the_destination_did_not_keep_do_not_count(source: MemoryStore) -> None:
    descriptor, raw = signed(body(ancestry(digest(TOP))))
    destination = Stumbling(0, length=len(TOP))
    found = convert(Lying(source), descriptor, raw, destination)

    assert destination.opened == [0]
    assert validate(destination, found.digest).ok


class Resuming(MemoryStore):
    """A store that has the first bytes of every blob from an earlier run."""

    def __init__(self, source: MemoryStore, kept: int) -> None:
        super().__init__()
        self.source = source
        self.kept = kept

    def push(self, expected: Descriptor, source: Source) -> None:
        """Take the rest only."""
        if expected.media_type != BLOBS:
            super().push(expected, source)
            return
        first = got(self.source, expected)[: self.kept]
        content = bytearray(first)
        reader = CheckedReader(promise_of(expected), source, [memoryview(first)])
        pump(reader, content.extend)
        reader.close()
        super().push(expected, lambda offset: self.source.fetch(expected, offset))


def test_a_destination_that_wants_only_the_rest_gets_it_and_the_layer_is_read_there(source: MemoryStore) -> None:
    assert converted(source, Resuming(source, 20))[0] == converted(source)[0]


def test_what_fails_at_the_source_is_the_source_s(source: MemoryStore) -> None:
    failing = FailsAt(2, NetworkFault("cut"), "read")
    with pytest.raises(CopyFault, match="source: cut") as caught:
        converted(Watched(source, failing))

    assert failing.has_failed
    assert caught.value.side == "source"


def test_what_fails_at_the_destination_is_the_destination_s(source: MemoryStore) -> None:
    failing = FailsAt(4, NetworkFault("cut"), "push")
    with pytest.raises(CopyFault, match="destination: cut") as caught:
        converted(source, Watched(meddle=failing))

    assert failing.has_failed
    assert caught.value.side == "destination"


def cause_of(source: MemoryStore, manifest: dict[str, Any]) -> DocklessError:
    descriptor, raw = signed(manifest)
    with pytest.raises(CopyFault) as caught:
        convert(source, descriptor, raw, MemoryStore())
    assert caught.value.side == "source"
    assert isinstance(caught.value.__cause__, DocklessError)
    return caught.value.__cause__


def test_a_layer_that_is_missing_damaged_or_cut_short_ends_it(source: MemoryStore) -> None:
    assert isinstance(cause_of(source, body(ancestry("sha256:" + "0" * 64))), NotFound)

    cut = put(source, PACKED[:-9], BLOBS)
    assert "cut short" in str(cause_of(source, body(ancestry(cut.digest))))

    source._contents[digest(TOP)] = TOP[::-1]
    assert "is not what its checksum promises" in str(cause_of(source, body(IMAGES)))


@pytest.mark.parametrize(
    ("manifest", "words"),
    [
        (body(IMAGES, schemaVersion=3), "is of schema 3"),
        (body(ancestry(digest(TOP), architecture="a/b/c/d")), "names a platform that is none"),
    ],
)
def test_a_manifest_that_makes_no_image_ends_it(source: MemoryStore, manifest: dict[str, Any], words: str) -> None:
    cause = cause_of(source, manifest)

    assert isinstance(cause, InvalidDocument)
    assert words in str(cause)


class Finding(MemoryStore):
    """A place that knows blobs by their digests and resolves only manifests, as registries do."""

    def resolve(self, name: str) -> Descriptor:
        """Raise NotFound."""
        raise NotFound(f"no manifest {name}")

    def find_blob(self, digest: Digest) -> Descriptor:
        """Return what there is."""
        return Descriptor(BLOBS, digest, len(self._contents[digest]))


def test_a_registry_is_asked_among_its_blobs(source: MemoryStore) -> None:
    finding = Finding()
    finding._contents.update(source._contents)

    assert converted(finding)[0] == converted(source)[0]


def test_the_config_says_no_more_than_the_manifest_did(source: MemoryStore) -> None:
    found, destination = converted(source)
    config = json.loads(open_image(destination, found.digest).config.raw)  # type: ignore[union-attr]

    assert not {"id", "parent", "throwaway", "container_config"} & config.keys()
