"""What every Store must do, as a pytest class: subclass it, name the abilities, and give the fixture `store`.

class TestMine(StoreContract):
    abilities = frozenset({TagLister})

    @pytest.fixture
    def store(self, tmp_path: Path) -> Store: ...
"""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any, ClassVar

import pytest

from dockless.model.descriptor import Descriptor, describe
from dockless.model.digest import digest_of
from dockless.model.documents import make_document
from dockless.model.errors import ChecksumMismatch, NetworkFault, NotFound, SizeMismatch
from dockless.model.media_types import OCI_CONFIG, OCI_EMPTY, OCI_INDEX, OCI_LAYER, OCI_MANIFEST
from dockless.stores.base import (
    BlobFinder,
    Deleter,
    Ingestor,
    LocalFiles,
    Mounter,
    NamedFetcher,
    Readable,
    Store,
    TagLister,
)
from dockless.wire.stream import BytesReader, CheckedReader, Reader, Source, promise_of, pump

ABILITIES: frozenset[Any] = frozenset({BlobFinder, NamedFetcher, Mounter, Ingestor, TagLister, Deleter, LocalFiles})
CONTENT = b"some content of a layer " * 5000
LAYER = describe(CONTENT, OCI_LAYER)


def given(content: bytes) -> Source:
    """Return a source of bytes."""
    return lambda offset: BytesReader(content, offset)


def put(store: Store, content: bytes, media_type: str = OCI_LAYER) -> Descriptor:
    """Put content into a store and return its descriptor."""
    descriptor = describe(content, media_type)
    store.push(descriptor, given(content))
    return descriptor


def got(store: Readable, wanted: Descriptor, offset: int = 0) -> bytes:
    """Return the content a store has, unchecked."""
    content = bytearray()
    reader = store.fetch(wanted, offset)
    try:
        pump(reader, content.extend)
    finally:
        reader.close()
    return bytes(content)


def image(store: Store, layer: bytes = CONTENT, **more: Any) -> Descriptor:
    """Put an image of one layer into a store, with more fields in its manifest."""
    config = put(store, b'{"architecture":"amd64","os":"linux"}', OCI_CONFIG)
    body = {
        "schemaVersion": 2,
        "mediaType": OCI_MANIFEST,
        "config": config,
        "layers": [put(store, layer)],
        **more,
    }
    descriptor, raw = make_document(body)
    store.push(descriptor, given(raw))
    return descriptor


class StoreContract:
    """The tests. Each gets a store with nothing in it."""

    abilities: ClassVar[frozenset[Any]]

    @pytest.fixture
    def store(self) -> Store:
        """Return an empty store."""
        raise NotImplementedError

    @pytest.fixture
    def again(self) -> Callable[[Store], Store]:
        """Return what opens the same place once more; by default there is only the one."""
        return lambda store: store

    def test_it_has_the_abilities_it_names(self, store: Store) -> None:
        assert {ability for ability in ABILITIES if isinstance(store, ability)} == self.abilities

    def test_what_was_never_put_is_not_found(self, store: Store) -> None:
        for name in ("latest", LAYER.digest):
            with pytest.raises(NotFound):
                store.resolve(name)
        with pytest.raises(NotFound):
            got(store, LAYER)
        assert not store.exists(LAYER)
        assert list(store.predecessors(LAYER)) == []

    @pytest.mark.parametrize("content", [CONTENT, b"", b"x"])
    def test_content_comes_back_as_it_was_put(
        self, store: Store, again: Callable[[Store], Store], content: bytes
    ) -> None:
        put(store, content)
        same = again(store)
        wanted = describe(content, OCI_LAYER)
        assert same.exists(wanted)
        assert got(same, wanted) == content

    @pytest.mark.parametrize("offset", [0, 1, len(CONTENT) // 2, len(CONTENT) - 1, len(CONTENT)])
    def test_content_is_read_from_any_offset(self, store: Store, offset: int) -> None:
        put(store, CONTENT)
        assert got(store, LAYER, offset) == CONTENT[offset:]

    def test_putting_what_is_there_succeeds_and_reads_nothing(self, store: Store) -> None:
        put(store, CONTENT)

        def refuse(offset: int) -> Reader:
            raise AssertionError(offset)

        store.push(LAYER, refuse)

    def test_wrong_content_is_refused_and_not_kept(self, store: Store) -> None:
        with pytest.raises(ChecksumMismatch):
            store.push(LAYER, given(CONTENT[::-1]))
        assert not store.exists(LAYER)

    @pytest.mark.parametrize("content", [CONTENT[:-1], CONTENT + b"!", b""])
    def test_content_of_the_wrong_size_is_refused_and_not_kept(self, store: Store, content: bytes) -> None:
        with pytest.raises(SizeMismatch):
            store.push(LAYER, given(content))
        assert not store.exists(LAYER)

    def test_wrong_content_of_a_manifest_is_refused_and_not_kept(self, store: Store) -> None:
        wanted, raw = make_document({"schemaVersion": 2, "mediaType": OCI_INDEX, "manifests": []})
        with pytest.raises(ChecksumMismatch):
            store.push(wanted, given(raw[::-1]))
        assert not store.exists(wanted)

    def test_what_the_source_raises_is_raised_and_nothing_is_kept(self, store: Store) -> None:
        class Cut(BytesReader):
            def read_chunk(self) -> memoryview:
                return super().read_chunk() or self.fail()

            def fail(self) -> memoryview:
                raise NetworkFault("cut")

        with pytest.raises(NetworkFault, match="cut"):
            store.push(LAYER, lambda offset: Cut(CONTENT[:100], offset))
        assert not store.exists(LAYER)

    def test_a_failed_try_does_not_spoil_the_next(self, store: Store) -> None:
        with pytest.raises(SizeMismatch):
            store.push(LAYER, given(CONTENT[:-1]))
        put(store, CONTENT)
        assert got(store, LAYER) == CONTENT

    def test_many_may_put_the_same_at_once(self, store: Store) -> None:
        with ThreadPoolExecutor(8) as pool:
            for one in [pool.submit(put, store, CONTENT) for _ in range(16)]:
                assert one.result(60) == LAYER
        assert got(store, LAYER) == CONTENT

    def test_a_manifest_is_found_by_tag_and_by_digest(self, store: Store, again: Callable[[Store], Store]) -> None:
        wanted = image(store)
        store.tag(wanted, "1.0")
        same = again(store)
        for name in ("1.0", wanted.digest):
            assert same.resolve(name) == wanted
        assert same.exists(wanted)
        assert digest_of(got(same, wanted)) == wanted.digest

    def test_a_tag_moves_and_others_stay(self, store: Store, again: Callable[[Store], Store]) -> None:
        first, second = image(store), image(store, b"another layer")
        store.tag(first, "latest")
        store.tag(first, "1.0")
        store.tag(second, "latest")
        same = again(store)
        assert same.resolve("latest") == second
        assert same.resolve("1.0") == first

    def test_what_is_not_there_gets_no_tag(self, store: Store) -> None:
        absent, _ = make_document({"schemaVersion": 2, "mediaType": OCI_INDEX, "manifests": []})
        with pytest.raises(NotFound):
            store.tag(absent, "latest")
        with pytest.raises(NotFound):
            store.resolve("latest")

    def test_an_index_is_kept_with_what_it_points_at(self, store: Store, again: Callable[[Store], Store]) -> None:
        first, second = image(store), image(store, b"another layer")
        index, raw = make_document({"schemaVersion": 2, "mediaType": OCI_INDEX, "manifests": [first, second]})
        store.push(index, given(raw))
        store.tag(index, "all")
        same = again(store)
        assert same.resolve("all") == index
        assert got(same, index) == raw
        assert same.resolve(second.digest) == second

    def test_referrers_are_found_by_their_subject(self, store: Store, again: Callable[[Store], Store]) -> None:
        subject, other = image(store), image(store, b"another layer")
        empty = put(store, b"{}", OCI_EMPTY)
        found = {}
        for kind in ("application/x-signature", "application/x-sbom"):
            body = {"schemaVersion": 2, "mediaType": OCI_MANIFEST, "artifactType": kind, "config": empty}
            more = {"layers": [empty], "subject": subject, "annotations": {"made": "here"}}
            descriptor, raw = make_document({**body, **more})
            store.push(descriptor, given(raw))
            store.push(descriptor, given(raw))
            found[descriptor] = kind
        same = again(store)
        listed = list(same.predecessors(subject))
        assert {one: one.artifact_type for one in listed} == found
        assert len(listed) == len(found)
        assert all(one.annotations == {"made": "here"} for one in listed)
        assert list(same.predecessors(other)) == []

    def test_named_content_comes_in_one_trip(self, store: Store) -> None:
        if not isinstance(store, NamedFetcher):
            assert NamedFetcher not in self.abilities
            return
        wanted = image(store)
        store.tag(wanted, "1.0")
        for name in ("1.0", wanted.digest):
            found, raw = store.fetch_named(name)
            assert found == wanted
            assert describe(raw, wanted.media_type) == wanted
        with pytest.raises(NotFound):
            store.fetch_named("none")

    def test_content_is_ingested_without_a_digest(self, store: Store) -> None:
        if not isinstance(store, Ingestor):
            assert Ingestor not in self.abilities
            return
        assert store.ingest(OCI_LAYER, BytesReader(CONTENT)) == LAYER
        assert store.ingest(OCI_LAYER, BytesReader(CONTENT)) == LAYER
        assert got(store, LAYER) == CONTENT

    def test_tags_are_listed_each_once(self, store: Store, again: Callable[[Store], Store]) -> None:
        if not isinstance(store, TagLister):
            assert TagLister not in self.abilities
            return
        wanted = image(store)
        names = [f"v{number}" for number in range(5)]
        for name in (*names, "v0"):
            store.tag(wanted, name)
        same = again(store)
        assert isinstance(same, TagLister)
        assert sorted(same.tags()) == names

    def test_untagging_leaves_siblings_and_content(self, store: Store) -> None:
        if not isinstance(store, Deleter):
            assert Deleter not in self.abilities
            return
        wanted = image(store)
        store.tag(wanted, "old")
        store.tag(wanted, "new")
        store.untag("old")
        with pytest.raises(NotFound):
            store.resolve("old")
        assert store.resolve("new") == wanted
        assert store.resolve(wanted.digest) == wanted
        with pytest.raises(NotFound):
            store.untag("old")

    def test_deleting_a_manifest_takes_its_tags_along_and_no_other(self, store: Store) -> None:
        if not isinstance(store, Deleter):
            assert Deleter not in self.abilities
            return
        wanted, other = image(store), image(store, b"another layer")
        store.tag(wanted, "1.0")
        store.tag(other, "2.0")
        store.delete(wanted)
        for name in ("1.0", wanted.digest):
            with pytest.raises(NotFound):
                store.resolve(name)
        assert store.resolve("2.0") == other
        with pytest.raises(NotFound):
            store.delete(wanted)

    def test_deleting_a_blob_removes_it(self, store: Store) -> None:
        if not isinstance(store, Deleter):
            assert Deleter not in self.abilities
            return
        put(store, CONTENT)
        store.delete(LAYER)
        assert not store.exists(LAYER)
        with pytest.raises(NotFound):
            got(store, LAYER)

    def test_a_blob_is_found_by_its_digest_alone(self, store: Store) -> None:
        if not isinstance(store, BlobFinder):
            assert BlobFinder not in self.abilities
            return
        with pytest.raises(NotFound):
            store.find_blob(LAYER.digest)
        put(store, CONTENT)
        found = store.find_blob(LAYER.digest)
        assert (found.digest, found.size) == (LAYER.digest, LAYER.size)

    def test_a_file_that_holds_content_holds_exactly_it(self, store: Store) -> None:
        if not isinstance(store, LocalFiles):
            assert LocalFiles not in self.abilities
            return
        assert store.path_of(LAYER) is None
        put(store, CONTENT)
        path = store.path_of(LAYER)
        assert path is not None
        assert path.read_bytes() == CONTENT

    def test_content_passes_the_check_on_its_way_out(self, store: Store) -> None:
        put(store, CONTENT)
        content = bytearray()
        reader = CheckedReader(promise_of(LAYER), lambda offset: store.fetch(LAYER, offset))
        try:
            pump(reader, content.extend)
        finally:
            reader.close()
        assert content == CONTENT
