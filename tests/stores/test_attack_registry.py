"""Registries that never come to an end, and sources that say two things of one content."""

import json
from collections.abc import Iterator
from typing import Any

import pytest
from msgspec import structs

from dockless.model.descriptor import Descriptor
from dockless.model.documents import make_document
from dockless.model.errors import CopyFault, DocklessError, InvalidDocument, SizeMismatch
from dockless.model.media_types import OCI_EMPTY, OCI_INDEX, OCI_MANIFEST
from dockless.model.v1_documents import decode
from dockless.ops.contents import Contents
from dockless.ops.copy import CopyOptions, copy
from dockless.ops.validate import validate
from dockless.stores.memory import MemoryStore
from dockless.stores.registry.referrers import predecessors
from dockless.testing.contract import given, put
from dockless.testing.peer import Peer, Received, Reply
from tests.flaky_registry import REPOSITORY, client_of
from tests.graphs import image_for, index
from tests.watched import Named

EMPTY = Descriptor(OCI_EMPTY, "sha256:44136fa355b3678a1146ad16f7e8649e94fb4fc21fe77e8310c060f61caaff8a", 2)  # type: ignore[arg-type]


class Endless(Named):
    """Has a referrer of whatever it is asked about."""

    def predecessors(self, of: Descriptor) -> Iterator[Descriptor]:
        found, raw = make_document(
            {"schemaVersion": 2, "mediaType": OCI_MANIFEST, "config": EMPTY, "layers": [], "subject": of}
        )
        self.store.push(found, given(raw))
        self.begin("predecessors", of.digest)
        yield found


def test_referrers_of_referrers_without_end() -> None:
    source = Endless()
    put(source.store, b"{}", OCI_EMPTY)
    source.store.tag(image_for(source.store, "linux/amd64"), "1")
    with pytest.raises(CopyFault, match="deep"):
        copy(source, "1", MemoryStore(), options=CopyOptions(referrers=True))
    assert len(source.asked("predecessors")) < 100


def test_pages_of_referrers_without_end() -> None:
    pages = iter(range(1_000_000))

    def page(_: Received) -> Reply:
        number = next(pages)
        listed = [
            {"mediaType": OCI_MANIFEST, "digest": f"sha256:{number * 5000 + at:064x}", "size": 1} for at in range(5000)
        ]
        raw = json.dumps({"schemaVersion": 2, "mediaType": OCI_INDEX, "manifests": listed}).encode()
        next_page = ("Link", f'</v2/{REPOSITORY}/referrers/{EMPTY.digest}?page={number}>; rel="next"')
        return Reply(body=raw, headers=(("Content-Type", OCI_INDEX), next_page))

    with Peer() as peer, client_of(peer.url) as client:
        peer.on(f"/v2/{REPOSITORY}/referrers/{EMPTY.digest}", page)
        with pytest.raises(DocklessError, match="end"):
            for _ in predecessors(client, REPOSITORY, EMPTY):
                pass
        assert len(peer.requests) < 50


def lying_index(store: MemoryStore) -> Descriptor:
    """An index that gives one manifest twice, the second time with another size."""
    image = image_for(store, "linux/amd64")  # for which validate finds something else, too
    return index(store, image, structs.replace(image, size=image.size + 1))


def test_validate_sees_that_one_of_two_sizes_is_wrong() -> None:
    store = MemoryStore()
    store.tag(lying_index(store), "1")
    report = validate(store, "1")
    (found,) = [one for one in report.findings if one.path == "manifests[1]"]
    assert "bytes" in found.message


def test_a_document_that_is_known_is_compared_with_the_next_size_too() -> None:
    store = MemoryStore()
    image = image_for(store, "linux/amd64")
    contents = Contents(store)
    contents.document(image)
    with pytest.raises(SizeMismatch):
        contents.document(structs.replace(image, size=image.size - 1))


@pytest.mark.parametrize("value", ["[]", "{}", "1,1", '"a","b"', "[[[[]]]]"])
def test_a_document_of_more_values_than_are_ever_meant(value: str) -> None:
    many = ",".join([value] * 400_000).encode()
    with pytest.raises(InvalidDocument, match="values"):
        decode(b"[" + many + b"]", Any, "a document")


def test_a_document_of_as_many_values_as_a_large_index() -> None:
    entry = {"mediaType": OCI_MANIFEST, "digest": EMPTY.digest, "size": 1, "platform": {"os": "a", "architecture": "b"}}
    raw = json.dumps([{**entry, "annotations": {str(number): "" for number in range(8)}}] * 10_000).encode()
    assert len(decode(raw, list[Descriptor], "an index")) == 10_000
