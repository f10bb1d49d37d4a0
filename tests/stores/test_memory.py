"""Content in memory."""

import pytest

from dockless.model.descriptor import describe
from dockless.model.errors import NotFound
from dockless.model.media_types import OCI_CONFIG, OCI_LAYER, OCI_MANIFEST
from dockless.stores.base import BlobFinder, Deleter, Ingestor, NamedFetcher, Store, TagLister
from dockless.stores.memory import MemoryStore
from dockless.testing.contract import ABILITIES, StoreContract, image, put


class TestMemoryStore(StoreContract):
    abilities = frozenset({NamedFetcher, Ingestor, TagLister, Deleter, BlobFinder}) & ABILITIES

    @pytest.fixture
    def store(self) -> Store:
        return MemoryStore()


def test_a_document_that_cannot_be_read_hides_no_referrer() -> None:
    store = MemoryStore()
    subject = image(store)
    put(store, b"no manifest", OCI_MANIFEST)
    referrer = image(store, subject=subject)
    assert list(store.predecessors(subject)) == [referrer]


def test_a_manifest_stays_one_when_its_bytes_come_again_as_a_blob() -> None:
    store = MemoryStore()
    wanted = image(store)
    raw = store.fetch_named(wanted.digest)[1]
    store.push(describe(raw, OCI_LAYER), lambda _: pytest.fail("it is there"))
    assert store.resolve(wanted.digest).media_type == OCI_MANIFEST


def test_deleting_what_is_not_there_says_so() -> None:
    with pytest.raises(NotFound, match="not in memory"):
        MemoryStore().delete(describe(b"", OCI_CONFIG))
