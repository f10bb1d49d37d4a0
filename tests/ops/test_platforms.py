"""Platforms: one picked, or a smaller index of some that holds everything else as it was."""

import json
from typing import Any

import msgspec
import pytest

from dockless.model.descriptor import Descriptor, describe
from dockless.model.errors import ChecksumMismatch, NotFound
from dockless.model.media_types import DOCKER_CONFIG, OCI_EMPTY, OCI_INDEX, OCI_MANIFEST
from dockless.model.platform import Platform, parse_platform
from dockless.ops.contents import Contents
from dockless.ops.platforms import images, narrow, select
from dockless.stores.memory import MemoryStore
from dockless.testing.contract import given, image, put
from tests.graphs import AMD, ARM, ARM_V6, ARM_V7, document, image_for, index

S390X = parse_platform("linux/s390x")


@pytest.fixture
def store() -> MemoryStore:
    return MemoryStore()


def without(one: Descriptor) -> Descriptor:
    """Return an entry that does not say its platform."""
    return Descriptor(one.media_type, one.digest, one.size)


def narrowed(store: MemoryStore, root: Descriptor, *platforms: Platform) -> tuple[Descriptor, dict[str, Any]]:
    """Return the smaller index and its JSON."""
    contents = Contents(store)
    made = narrow(contents, root, platforms, images(contents, root))
    raw = contents.document(made).raw
    assert describe(raw, OCI_INDEX) == made
    return made, json.loads(raw)


def raw_index(store: MemoryStore, *entries: dict[str, Any], **more: Any) -> Descriptor:
    raw = json.dumps({"schemaVersion": 2, "mediaType": OCI_INDEX, "manifests": entries, **more}, indent=3).encode()
    found = describe(raw, OCI_INDEX)
    store.push(found, given(raw))
    return found


def entry(one: Descriptor, **more: Any) -> dict[str, Any]:
    built: dict[str, Any] = msgspec.to_builtins(one)
    return {**built, **more}


class TestSelect:
    def test_the_one_that_satisfies(self, store: MemoryStore) -> None:
        amd, arm = (image_for(store, one) for one in ("linux/amd64", "linux/arm64/v8"))
        root = index(store, amd, arm)
        assert select(store, root, AMD) == amd
        assert select(store, root, ARM) == arm

    def test_the_first_of_several_unless_one_is_exactly_it(self, store: MemoryStore) -> None:
        v6, v7 = (image_for(store, one) for one in ("linux/arm/v6", "linux/arm/v7"))
        any_arm = parse_platform("linux/arm")
        assert select(store, index(store, v6, v7), any_arm) == v6
        assert select(store, index(store, v7, v6), any_arm) == v7
        assert select(store, index(store, v7, v6), ARM_V6) == v6
        newer, plain = image_for(store, "linux/amd64/v3"), image_for(store, "linux/amd64")
        assert select(store, index(store, newer, plain), AMD) == plain

    def test_an_image_that_platforms_share_is_found_for_each(self, store: MemoryStore) -> None:
        arm = image_for(store, "linux/arm64")
        other = msgspec.structs.replace(arm, platform=S390X)
        root = index(store, arm, index(store, other, arm))
        assert select(store, root, S390X) == select(store, root, ARM) == arm
        assert [platform for _, platform in images(Contents(store), root)] == [ARM, S390X]

    def test_through_nested_indexes(self, store: MemoryStore) -> None:
        arm = image_for(store, "linux/arm64")
        inner = index(store, image_for(store, "linux/s390x"), index(store, arm))
        assert select(store, index(store, image_for(store, "linux/amd64"), inner), ARM) == arm

    def test_an_entry_that_says_nothing_is_what_its_config_says(self, store: MemoryStore) -> None:
        silent = without(image_for(store, "linux/arm/v7"))
        root = index(store, image_for(store, "linux/amd64"), silent)
        assert select(store, root, ARM_V7) == silent
        assert select(store, silent, ARM_V7) == silent

    def test_what_there_is_is_listed_when_it_is_not_there(self, store: MemoryStore) -> None:
        amd = image_for(store, "linux/amd64")
        attestation = msgspec.structs.replace(image(store), platform=Platform(os="unknown", architecture="unknown"))
        root = index(store, amd, image_for(store, "linux/arm/v7"), attestation)
        with pytest.raises(NotFound, match=r"no linux/s390x in it; it has: linux/amd64, linux/arm/v7$"):
            select(store, root, S390X)
        with pytest.raises(NotFound, match=r"it has: linux/amd64$"):
            select(store, without(amd), S390X)

    @pytest.mark.parametrize("kind", ["an artifact", "an image of nothing", "an empty index", "no manifest"])
    def test_what_has_no_platform_has_none(self, store: MemoryStore, kind: str) -> None:
        made = {
            "an artifact": lambda: document(store, OCI_MANIFEST, config=put(store, b'{"os":"linux"}', OCI_EMPTY)),
            "an image of nothing": lambda: document(store, OCI_MANIFEST, config=put(store, b"{}", DOCKER_CONFIG)),
            "an empty index": lambda: index(store),
            "no manifest": lambda: put(store, b"anything", "application/x-strange"),
        }[kind]()
        with pytest.raises(NotFound, match="it has: none"):
            select(store, made, AMD)

    def test_an_index_that_is_damaged_is_not_believed(self, store: MemoryStore) -> None:
        root = index(store, image_for(store, "linux/amd64"))
        store._contents[root.digest] = store._contents[root.digest].replace(b"amd64", b"arm64")
        with pytest.raises(ChecksumMismatch):
            select(store, root, AMD)


class TestNarrow:
    def test_entries_that_stay_keep_their_fields_and_order_and_so_does_the_index(self, store: MemoryStore) -> None:
        entries = [
            entry(image_for(store, platform), **{"x-own": {"of": platform}, "annotations": {"a": "b"}})
            for platform in ("linux/s390x", "linux/arm64", "linux/riscv64", "linux/amd64")
        ]
        root = raw_index(store, *entries, annotations={"b": "1", "a": "2"}, **{"x-unknown": [1, {"ä": None}]})
        made, body = narrowed(store, root, AMD, ARM)
        before = json.loads(store.fetch_named(root.digest)[1])
        assert made != root
        assert body == {**before, "manifests": [entries[1], entries[3]]}
        assert list(body) == list(before)

    def test_all_of_them_are_the_same_index(self, store: MemoryStore) -> None:
        root = raw_index(store, entry(image_for(store, "linux/amd64")), entry(image_for(store, "linux/arm64")))
        assert narrowed(store, root, ARM, AMD)[0] == root

    def test_of_several_that_satisfy_all_stay(self, store: MemoryStore) -> None:
        entries = [image_for(store, one) for one in ("linux/arm/v6", "linux/amd64", "linux/arm/v7", "linux/s390x")]
        body = narrowed(store, index(store, *entries), parse_platform("linux/arm"), S390X)[1]
        assert [one["digest"] for one in body["manifests"]] == [entries[0].digest, entries[2].digest, entries[3].digest]

    def test_attestations_follow_their_image(self, store: MemoryStore) -> None:
        pictures = [image_for(store, one) for one in ("linux/amd64", "linux/arm64", "linux/s390x")]
        unknown = Platform(os="unknown", architecture="unknown")
        attestations = [
            entry(
                msgspec.structs.replace(image_for(store, "linux/amd64", one.digest.encode()), platform=unknown),
                annotations={"vnd.docker.reference.digest": one.digest},
            )
            for one in pictures
        ]
        root = raw_index(store, *map(entry, pictures), *attestations)
        body = narrowed(store, root, AMD, S390X)[1]
        assert body["manifests"] == [entry(pictures[0]), entry(pictures[2]), attestations[0], attestations[2]]

    def test_nested_indexes_become_smaller_too_and_empty_ones_go(self, store: MemoryStore) -> None:
        amd, arm, other = (image_for(store, one) for one in ("linux/amd64", "linux/arm64", "linux/s390x"))
        mixed, whole, useless = index(store, other, amd), index(store, arm), index(store, other)
        entries = [entry(mixed, data="e30=", **{"x-own": 1}), entry(useless), entry(whole), entry(mixed)]
        contents = Contents(store)
        root = raw_index(store, *entries)
        made = narrow(contents, root, [AMD, ARM], images(contents, root))
        first, second, third = json.loads(contents.document(made).raw)["manifests"]
        inner = contents.document(Descriptor(OCI_INDEX, first["digest"], first["size"]))
        assert inner.successors == (amd,)
        assert first == {**entry(inner.descriptor), "x-own": 1}
        assert second == entry(whole)
        assert third["digest"] == first["digest"]

    def test_each_that_is_wanted_must_be_there(self, store: MemoryStore) -> None:
        root = index(store, image_for(store, "linux/amd64"), image_for(store, "linux/arm64"))
        with pytest.raises(NotFound, match="no linux/s390x, linux/arm/v7 in it"):
            narrowed(store, root, AMD, S390X, ARM_V7)

    def test_what_is_no_index_stays(self, store: MemoryStore) -> None:
        amd = without(image_for(store, "linux/amd64"))
        contents = Contents(store)
        assert narrow(contents, amd, [AMD, AMD], images(contents, amd)) == amd
