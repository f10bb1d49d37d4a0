"""Tags with what they name: a row each, in order, whatever is wrong with one of them."""

import json
import threading
from itertools import count

import pytest

from dockless.model.descriptor import Descriptor, describe
from dockless.model.digest import Digest
from dockless.model.errors import Denied, NetworkFault, RateLimited, RemoteFault
from dockless.model.media_types import DOCKER_SCHEMA1_SIGNED, OCI_CONFIG, OCI_MANIFEST
from dockless.model.platform import parse_platform
from dockless.ops.tag_table import TagRow, tag_table
from dockless.stores.memory import MemoryStore
from dockless.testing.contract import given, put
from tests.graphs import ARM, document, image_for, index, referrer
from tests.watched import FailsAt, Named, Watched


@pytest.fixture
def store() -> MemoryStore:
    return MemoryStore()


def dated(store: MemoryStore, day: int, tag: str) -> Descriptor:
    config = {"os": "linux", "architecture": "arm64", "created": f"2020-01-{day:02}T00:00:00Z"}
    held = put(store, json.dumps(config).encode(), OCI_CONFIG)
    found = document(store, OCI_MANIFEST, config=held, layers=[put(store, b"x" * day)])
    store.tag(found, tag)
    return found


def config_size(store: MemoryStore, image: Descriptor) -> int:
    size: int = json.loads(bytes(store.fetch(image).read_chunk()))["config"]["size"]
    return size


def test_a_row_has_digest_date_and_size(store: MemoryStore) -> None:
    image = dated(store, 7, "1")
    size = config_size(store, image) + 7

    assert list(tag_table(store, store.tags())) == [
        TagRow("1", image.digest, "2020-01-07T00:00:00Z", size, ("linux/arm64",))
    ]


def test_an_index_lists_its_platforms_and_sums_up_nothing(store: MemoryStore) -> None:
    root = index(store, image_for(store, "linux/amd64"), image_for(store, "linux/arm64"))
    store.tag(root, "1")
    watched = Named(store)

    assert list(tag_table(watched, ["1"])) == [TagRow("1", root.digest, platforms=("linux/amd64", "linux/arm64"))]
    assert watched.calls == [("fetch_named", "1")]


def test_of_an_index_the_platform_asked_for(store: MemoryStore) -> None:
    arm = image_for(store, "linux/arm64", b"x" * 10)
    root = index(store, image_for(store, "linux/amd64"), arm)
    store.tag(root, "1")
    store.tag(image_for(store, "linux/s390x"), "2")
    first, second = tag_table(store, ["1", "2"], platform=ARM)

    assert first == TagRow("1", root.digest, None, config_size(store, arm) + 10, ("linux/arm64",))
    assert second.error == "there is no linux/arm64 in it; it has: linux/s390x"
    assert second.digest is not None


def test_an_artifact_has_a_size_and_no_date(store: MemoryStore) -> None:
    artifact = referrer(store, dated(store, 1, "1"), "text/sbom")
    store.tag(artifact, "sbom")
    (row,) = tag_table(store, ["sbom"])

    assert (row.digest, row.created, row.platforms, row.error) == (artifact.digest, None, (), None)
    assert row.size is not None


def test_what_is_neither_has_its_digest(store: MemoryStore) -> None:
    found = describe(b"{}", DOCKER_SCHEMA1_SIGNED)
    store.push(found, given(b"{}"))
    store.tag(found, "old")

    assert list(tag_table(store, ["old"])) == [TagRow("old", found.digest)]


def test_rows_come_in_the_order_of_the_tags(store: MemoryStore) -> None:
    for day in range(1, 29):
        dated(store, day, f"{day:02}")
    names = [f"{day:02}" for day in range(1, 29)][::-1]

    assert [row.tag for row in tag_table(store, names, jobs=3)] == names


def test_only_a_few_tags_are_asked_for_ahead(store: MemoryStore) -> None:
    dated(store, 1, "1")
    taken = count()
    rows = tag_table(store, ("1" for _ in taken), jobs=2)

    assert next(rows).tag == "1"
    assert next(taken) <= 5


def test_several_are_asked_for_at_once(store: MemoryStore) -> None:
    dated(store, 1, "1")
    together = threading.Barrier(3, timeout=20)

    def meddle(call: str, what: str) -> None:
        if call == "resolve":
            together.wait()

    assert len(list(tag_table(Watched(store, meddle), ["1"] * 3, jobs=3))) == 3


def test_a_tag_that_is_gone_or_broken_does_not_end_the_table(store: MemoryStore) -> None:
    for day, tag in enumerate(["1", "2", "3", "4"], 1):
        dated(store, day, tag)
    config = store._contents[store.resolve("2").digest]
    store.delete(Descriptor(OCI_CONFIG, Digest(json.loads(config)["config"]["digest"]), 1))
    third = store.resolve("3").digest
    store._contents[third] = store._contents[third].replace(b"layers", b"LAYERS")
    rows = list(tag_table(Watched(store), ["1", "gone", "2", "3", "4"], jobs=2))

    assert [(row.tag, row.error is None, row.digest is None) for row in rows] == [
        ("1", True, False),
        ("gone", False, True),
        ("2", False, False),
        ("3", False, False),
        ("4", True, False),
    ]
    assert "checksum promises" in (rows[3].error or "")


def test_a_registry_that_stumbles_over_one_tag_does_not_end_it_either(store: MemoryStore) -> None:
    dated(store, 1, "1")
    failing = FailsAt(1, RemoteFault("500"), "resolve")
    rows = list(tag_table(Watched(store, failing), ["1", "1"], jobs=1))

    assert [row.error for row in rows] == ["500", None]


@pytest.mark.parametrize("error", [NetworkFault("no answer"), Denied("no"), RateLimited("too many")])
def test_what_is_no_tag_s_fault_ends_it(store: MemoryStore, error: Exception) -> None:
    dated(store, 1, "1")
    rows = tag_table(Watched(store, FailsAt(5, error, "resolve")), ["1"] * 9, jobs=1)

    assert [next(rows).tag for _ in range(4)] == ["1"] * 4
    with pytest.raises(type(error)):
        next(rows)


def test_the_platform_of_an_image_that_is_no_index_is_named(store: MemoryStore) -> None:
    store.tag(image_for(store, "linux/arm/v7"), "1")
    (row,) = tag_table(store, ["1"], platform=parse_platform("linux/arm"))

    assert row.platforms == ("linux/arm/v7",)
