"""Everything below a name, checked: what is wrong is found where it is, and nothing else is."""

import bz2
import gzip
import hashlib
import json
from typing import Any

import pytest

from dockless.model.descriptor import Descriptor, describe
from dockless.model.digest import Digest
from dockless.model.errors import Cancelled, Denied, InvalidDocument, NotFound, RemoteFault
from dockless.model.events import BlobAdvanced, BlobFinished, BlobStarted, Event
from dockless.model.media_types import (
    DOCKER_LAYER_GZIP,
    DOCKER_SCHEMA1_SIGNED,
    OCI_CONFIG,
    OCI_LAYER,
    OCI_LAYER_GZIP,
    OCI_LAYER_ZSTD,
    OCI_MANIFEST,
)
from dockless.net import waiting
from dockless.ops.validate import Report, validate
from dockless.stores.memory import MemoryStore
from dockless.testing.contract import put
from tests.graphs import AMD, document, index, referrer
from tests.watched import FailsAt, Watched

BASE, TOP = b"the base" * 500, b"what make made" * 500
STEPS = [{"created_by": "ADD base"}, {"created_by": "ENV A=b", "empty_layer": True}, {"created_by": "RUN make"}]


@pytest.fixture
def store() -> MemoryStore:
    return MemoryStore()


def diff_id(content: bytes) -> str:
    return f"sha256:{hashlib.sha256(content).hexdigest()}"


def made(
    store: MemoryStore,
    *,
    layers: list[tuple[bytes, str]] | None = None,
    config: dict[str, Any] | None = None,
    media_type: str = OCI_CONFIG,
) -> Descriptor:
    """Put an image into a store; `layers` are contents with their media types, `config` replaces fields of it."""
    held = [(gzip.compress(BASE), OCI_LAYER_GZIP), (TOP, OCI_LAYER)] if layers is None else layers
    fields = {
        "os": "linux",
        "architecture": "arm",
        "variant": "v7",
        "rootfs": {"type": "layers", "diff_ids": [diff_id(BASE), diff_id(TOP)]},
        "history": STEPS,
        **(config or {}),
    }
    return document(
        store,
        OCI_MANIFEST,
        config=put(store, json.dumps(fields).encode(), media_type),
        layers=[put(store, content, kind) for content, kind in held],
    )


def findings(report: Report) -> list[tuple[str, str]]:
    return [(one.path, one.message) for one in report.findings]


def below(store: MemoryStore, found: Descriptor) -> dict[str, Any]:
    fields: dict[str, Any] = json.loads(bytes(store.fetch(found).read_chunk()))
    return fields


def layer_of(store: MemoryStore, image: Descriptor, number: int) -> Descriptor:
    fields = below(store, image)["layers"][number]
    return Descriptor(fields["mediaType"], Digest(fields["digest"]), fields["size"])


@pytest.mark.parametrize("deep", [True, False])
def test_what_is_right_has_no_findings(store: MemoryStore, deep: bool) -> None:
    image = made(store)
    report = validate(store, image.digest, deep=deep)

    assert report.ok
    assert report.root == image
    assert (report.manifests, report.blobs) == (1, 3)
    fields = below(store, image)
    assert report.bytes == image.size + fields["config"]["size"] + sum(one["size"] for one in fields["layers"])


def test_each_thing_is_read_once_however_many_name_it(store: MemoryStore) -> None:
    image = made(store)
    other = made(store, config={"author": "someone"})
    root = index(store, image, index(store, other, image))
    watched = Watched(store)
    report = validate(watched, root.digest)

    assert report.ok
    assert (report.manifests, report.blobs) == (4, 4)
    read = watched.asked("fetch")
    assert len(read) == len(set(read)) == 8
    assert watched.still_open == 0


def test_what_is_missing_is_found_where_it_is(store: MemoryStore) -> None:
    image = made(store)
    gone = layer_of(store, image, 1)
    root = index(store, image)
    store.delete(gone)

    assert findings(validate(store, root.digest, deep=False)) == [("manifests[0].layers[1]", "it is not there")]
    (found,) = validate(store, root.digest).findings
    assert (found.descriptor, found.path) == (gone, "manifests[0].layers[1]")
    assert "is not in memory" in found.message


def test_a_missing_manifest_or_config_is_found_and_the_rest_is_checked(store: MemoryStore) -> None:
    lost, bare, whole = (made(store, config={"author": name}) for name in ("lost", "bare", "whole"))
    root = index(store, lost, bare, whole)
    store.delete(lost)
    store.delete(Descriptor(OCI_CONFIG, Digest(below(store, bare)["config"]["digest"]), 1))
    watched = Watched(store)
    report = validate(watched, root.digest)

    assert [one.path for one in report.findings] == ["manifests[0]", "manifests[1].config"]
    assert layer_of(store, whole, 0).digest in watched.asked("fetch")


def test_damage_is_found(store: MemoryStore) -> None:
    image = made(store)
    base, top = (layer_of(store, image, number).digest for number in range(2))
    store._contents[base] = store._contents[base][::-1]
    store._contents[top] = store._contents[top][:-1]
    first, second = findings(validate(store, image.digest))

    assert first[0] == "layers[0]"
    assert "is not what its checksum promises" in first[1]
    assert second == ("layers[1]", f"blob {diff_id(TOP)} has {len(TOP) - 1} bytes, {len(TOP)} were promised")
    assert validate(store, image.digest, deep=False).ok


@pytest.mark.parametrize(
    ("layers", "wrong"),
    [
        ([(gzip.compress(TOP), OCI_LAYER_GZIP), (TOP, OCI_LAYER)], f"it unpacks to {diff_id(TOP)}, and the config"),
        ([(BASE, OCI_LAYER_GZIP), (TOP, OCI_LAYER)], "it is packed with nothing, and its media type says gzip"),
        (
            [(gzip.compress(BASE), OCI_LAYER), (TOP, OCI_LAYER)],
            "it is packed with gzip, and its media type says nothing",
        ),
        (
            [(bz2.compress(BASE), DOCKER_LAYER_GZIP), (TOP, OCI_LAYER)],
            "it is packed with bzip2, and its media type says",
        ),
        (
            [(gzip.compress(BASE), OCI_LAYER_ZSTD), (TOP, OCI_LAYER)],
            "it is packed with gzip, and its media type says zstd",
        ),
        ([(gzip.compress(BASE)[:-9], OCI_LAYER_GZIP), (TOP, OCI_LAYER)], "is packed with gzip and cut short"),
    ],
)
def test_a_layer_that_is_not_what_the_config_or_its_type_says(
    store: MemoryStore, layers: list[tuple[bytes, str]], wrong: str
) -> None:
    image = made(store, layers=layers)
    ((path, message),) = findings(validate(store, image.digest))

    assert path == "layers[0]"
    assert wrong in message
    assert validate(store, image.digest, deep=False).ok


def test_one_layer_with_two_diff_ids_is_wrong_at_one_place(store: MemoryStore) -> None:
    wrong = {"rootfs": {"type": "layers", "diff_ids": [diff_id(BASE), "sha256:\x1b[31m"]}}
    root = index(store, made(store), made(store, config=wrong))
    ((path, message),) = findings(validate(store, root.digest))

    assert path == "manifests[1].layers[1]"
    assert message == f"it unpacks to {diff_id(TOP)}, and the config says sha256:\\x1b[31m"


@pytest.mark.parametrize(
    ("config", "wrong"),
    [
        ({"rootfs": {"diff_ids": [diff_id(BASE)]}}, "it has 1 diff ids for 2 layers"),
        ({"rootfs": {"diff_ids": None}}, "it has 0 diff ids for 2 layers"),
        ({"history": STEPS[:2]}, "its history has 1 steps that made a layer, for 2 layers"),
    ],
)
def test_a_config_that_does_not_fit_the_layers(store: MemoryStore, config: dict[str, Any], wrong: str) -> None:
    image = made(store, config=config)
    assert findings(validate(store, image.digest)) == [("config", wrong)]


def test_a_config_needs_no_history(store: MemoryStore) -> None:
    assert validate(store, made(store, config={"history": None}).digest).ok


@pytest.mark.parametrize(
    ("said", "config", "right"),
    [
        ({"os": "linux", "architecture": "arm", "variant": "v7"}, {}, True),
        ({"os": "linux", "architecture": "arm"}, {}, True),
        ({"os": "linux", "architecture": "arm", "variant": "v7"}, {"variant": None}, True),
        ({"os": "linux", "architecture": "arm", "variant": "v6"}, {}, False),
        ({"os": "linux", "architecture": "amd64"}, {}, False),
        ({"os": "unknown", "architecture": "unknown"}, {}, True),
    ],
)
def test_the_platform_of_the_index_is_that_of_the_config(
    store: MemoryStore, said: dict[str, str], config: dict[str, Any], right: bool
) -> None:
    image = made(store, config=config)
    entry = {"mediaType": image.media_type, "digest": image.digest, "size": image.size, "platform": said}
    report = validate(store, document(store, "application/vnd.oci.image.index.v1+json", manifests=[entry]).digest)

    assert report.ok == right
    if not right:
        assert findings(report)[0][0] == "manifests[0].config"
        assert "it is for linux/arm/v7, and the index says linux/a" in findings(report)[0][1]


def test_what_is_wrong_at_one_place_is_told_once(store: MemoryStore) -> None:
    image = made(store, config={"history": STEPS[:2]})
    store.delete(layer_of(store, image, 0))
    root = index(store, image, image, index(store, image))

    assert [one.path for one in validate(store, root.digest).findings] == [
        "manifests[0].config",
        "manifests[0].layers[0]",
    ]


def test_documents_that_are_none_are_found(store: MemoryStore) -> None:
    config = put(store, b"[]", OCI_CONFIG)
    image = document(store, OCI_MANIFEST, config=config, layers=[])
    confused = document(store, OCI_MANIFEST, manifests=[])
    old = describe(b"{}", DOCKER_SCHEMA1_SIGNED)
    root = index(store, image, confused, old)
    found = dict(findings(validate(store, root.digest)))

    assert found.keys() == {"manifests[0].config", "manifests[1]", "manifests[2]"}
    assert "is not what it should be" in found["manifests[0].config"]
    assert "schema 1, which is not checked" in found["manifests[2]"]


def test_a_root_of_an_unknown_type_is_compared_with_its_digest(store: MemoryStore) -> None:
    found = put(store, b"whatever", "application/x-strange")
    assert validate(store, found.digest).ok
    store._contents[found.digest] = b"whatelse"
    assert not validate(Watched(store), found.digest).ok


def test_an_artifact_s_content_is_compared_and_not_unpacked(store: MemoryStore) -> None:
    layer = put(store, b"\x1f\x8b\x08 no gzip at all", OCI_LAYER)
    image = document(store, OCI_MANIFEST, config=put(store, b"{}", "application/x-config"), layers=[layer])
    report = validate(store, image.digest)
    assert report.ok
    assert (report.manifests, report.blobs) == (1, 2)

    sbom = referrer(store, image, "text/sbom")
    assert validate(store, sbom.digest).ok


def test_an_encrypted_layer_is_compared_and_not_unpacked(store: MemoryStore) -> None:
    kind = f"{OCI_LAYER_GZIP}+encrypted"
    image = made(store, layers=[(b"\x1f\x8b\x08 no gzip at all", kind), (TOP, OCI_LAYER)])
    assert validate(store, image.digest).ok


@pytest.mark.parametrize("deep", [True, False])
def test_a_foreign_layer_may_be_missing(store: MemoryStore, deep: bool) -> None:
    image = made(store)
    fields = below(store, image)
    for one in fields["layers"]:
        one["urls"] = ["https://example.com/layer"]
    foreign = document(store, **{name: fields[name] for name in ("config", "layers")}, media_type=OCI_MANIFEST)
    assert validate(store, foreign.digest, deep=deep).ok

    store.delete(layer_of(store, foreign, 0))
    assert validate(store, foreign.digest, deep=deep).ok
    there = layer_of(store, foreign, 1).digest
    store._contents[there] = store._contents[there][::-1]
    assert validate(store, foreign.digest, deep=deep).ok != deep


def test_one_platform_alone(store: MemoryStore) -> None:
    image = made(store, config={"architecture": "amd64", "variant": None})
    broken = made(store)
    store.delete(layer_of(store, image, 0))
    root = index(store, image, broken)
    report = validate(store, root.digest, platform=AMD)

    assert report.root == image
    assert [one.path for one in report.findings] == ["layers[0]"]


def test_what_is_deeper_than_any_image_is_not_followed(store: MemoryStore) -> None:
    root = index(store)
    for _ in range(33):
        root = index(store, root)
    with pytest.raises(InvalidDocument, match="nested more than 32 deep"):
        validate(store, root.digest)


def test_a_name_that_is_not_there_is_raised(store: MemoryStore) -> None:
    with pytest.raises(NotFound):
        validate(store, "1")


def test_the_same_digest_with_another_size_is_wrong(store: MemoryStore) -> None:
    image = made(store)
    fields = below(store, image)
    fields["layers"].append({**fields["layers"][1], "size": 3})
    other = document(store, **{name: fields[name] for name in ("config", "layers")}, media_type=OCI_MANIFEST)

    assert "layers[2]" in dict(findings(validate(store, other.digest)))


@pytest.mark.parametrize(("error", "is_raised"), [(Denied("no"), True), (RemoteFault("500"), False)])
def test_what_keeps_us_from_looking_is_raised(store: MemoryStore, error: Exception, is_raised: bool) -> None:
    image = made(store)
    failing = FailsAt(3, error, "fetch")
    watched = Watched(store, failing)
    if is_raised:
        with pytest.raises(Denied):
            validate(watched, image.digest)
    else:
        assert len(validate(watched, image.digest).findings) == 1
    assert failing.has_failed


def test_a_check_that_is_stopped_reads_no_further(store: MemoryStore) -> None:
    image = made(store)
    layer = layer_of(store, image, 1)
    read = []

    def meddle(call: str, what: str) -> None:
        if (call, what) == ("read", layer.digest):
            read.append(what)
            stop = waiting._stop.get()
            assert stop is not None
            stop.set()

    watched = Watched(store, meddle)
    with pytest.raises(Cancelled):
        validate(watched, image.digest, jobs=1)
    assert len(read) == 1
    assert watched.still_open == 0


def test_events_tell_how_far_it_is(store: MemoryStore) -> None:
    image = made(store)
    events: list[Event] = []
    validate(Watched(store), image.digest, jobs=1, observe=events.append)
    layer = layer_of(store, image, 1)
    told = [one for one in events if one.blob == layer.digest]  # type: ignore[union-attr]

    assert told[0] == BlobStarted(layer.digest, layer.size, 0)
    assert told[-1] == BlobFinished(layer.digest, layer.size, verified=True)
    advanced = [one.done for one in told if isinstance(one, BlobAdvanced)]
    assert advanced == sorted(set(advanced))
    assert advanced[-1] == layer.size
