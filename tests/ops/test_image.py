"""Images as typed views, and the summary of them."""

import json
import platform as machine
from typing import Any

import msgspec
import pytest

from dockless.model.descriptor import Descriptor, describe
from dockless.model.digest import Digest
from dockless.model.errors import ChecksumMismatch, InvalidDocument, NotFound, RateLimited, RemoteFault, Unsupported
from dockless.model.media_types import (
    DOCKER_CONFIG,
    DOCKER_LAYER_GZIP,
    DOCKER_MANIFEST,
    OCI_CONFIG,
    OCI_INDEX,
    OCI_LAYER_GZIP,
    OCI_MANIFEST,
)
from dockless.model.platform import parse_platform
from dockless.ops.image import ImageSummary, inspect, is_of_content, open_image
from dockless.stores.memory import MemoryStore
from dockless.testing.contract import put
from tests.graphs import ARM, document, image_for, index, referrer
from tests.schema1_manifests import ancestry, body, signed
from tests.watched import FailsAt, Named, Watched

HISTORY = [
    {"created": "2020-01-01T00:00:00Z", "created_by": "ADD base"},
    {"created": "2020-01-01T00:00:01Z", "created_by": "ENV A=b", "empty_layer": True},
    {"created": "2020-01-01T00:00:02Z", "created_by": "RUN make"},
]
CONFIG: dict[str, Any] = {
    "os": "linux",
    "architecture": "arm64",
    "variant": "v8",
    "created": "2020-01-02T00:00:00Z",
    "author": "someone",
    "config": {
        "Env": ["A=b"],
        "Entrypoint": ["/init"],
        "Cmd": ["serve", "--all"],
        "User": "1000:1000",
        "WorkingDir": "/srv",
        "ExposedPorts": {"8080/tcp": {}, "53/udp": {}},
        "Volumes": {"/var": {}, "/data": {}},
        "Labels": {"org.example": "yes"},
    },
    "rootfs": {"type": "layers", "diff_ids": ["sha256:1", "sha256:2"]},
    "history": HISTORY,
}


@pytest.fixture
def store() -> MemoryStore:
    return MemoryStore()


def made(store: MemoryStore, config: dict[str, Any] = CONFIG, **more: Any) -> Descriptor:
    """Put an image of two layers into a store, and tag it."""
    held = put(store, json.dumps(config).encode(), OCI_CONFIG)
    layers = [put(store, b"base", OCI_LAYER_GZIP), put(store, b"what make made", OCI_LAYER_GZIP)]
    found = document(store, OCI_MANIFEST, config=held, layers=layers, **more)
    store.tag(found, "1")
    return found


def tagged(store: MemoryStore, *entries: Descriptor, **more: Any) -> Descriptor:
    root = index(store, *entries, **more)
    store.tag(root, "1")
    return root


def as_json(summary: ImageSummary) -> dict[str, Any]:
    built: dict[str, Any] = json.loads(msgspec.json.encode(summary))
    return built


class TestOpenImage:
    def test_a_manifest_with_its_config(self, store: MemoryStore) -> None:
        found = made(store)
        image = open_image(store, "1")

        assert image.root == image.descriptor == found
        assert image.raw == bytes(store.fetch(found).read_chunk())
        assert image.config is not None
        assert json.loads(image.config.raw) == CONFIG
        assert image.platform == parse_platform("linux/arm64/v8")
        assert image.platforms == ((found, image.platform),)
        assert [step.created_by for step in image.history] == ["ADD base", "ENV A=b", "RUN make"]
        assert image.size == len(image.config.raw) + len(b"base") + len(b"what make made")

    def test_each_layer_has_its_diff_id_and_its_step(self, store: MemoryStore) -> None:
        made(store)
        layers = open_image(store, "1").layers

        assert [layer.descriptor.size for layer in layers] == [4, 14]
        assert [layer.diff_id for layer in layers] == ["sha256:1", "sha256:2"]
        assert [layer.history and layer.history.created_by for layer in layers] == ["ADD base", "RUN make"]

    def test_what_the_config_does_not_say_is_none(self, store: MemoryStore) -> None:
        made(store, {"os": "linux", "architecture": "arm64", "rootfs": {"diff_ids": None}, "history": HISTORY[:2]})
        image = open_image(store, "1")

        assert [layer.diff_id for layer in image.layers] == [None, None]
        assert [bool(layer.history) for layer in image.layers] == [True, False]

    def test_a_digest_is_a_name_too(self, store: MemoryStore) -> None:
        found = made(store)
        assert open_image(store, found.digest).descriptor == found

    def test_of_an_index_the_one_asked_for(self, store: MemoryStore) -> None:
        amd, arm = (image_for(store, one) for one in ("linux/amd64", "linux/arm64"))
        root = tagged(store, amd, arm)
        image = open_image(store, "1", ARM)

        assert (image.root, image.descriptor, image.platform) == (root, arm, ARM)
        assert [one for one, _ in image.platforms] == [amd, arm]

    def test_of_an_index_the_one_for_this_machine(self, store: MemoryStore) -> None:
        here = str(parse_platform(f"linux/{machine.machine()}"))
        tagged(store, image_for(store, "windows/amd64"), image_for(store, "linux/s390x"), image_for(store, here))
        assert str(open_image(store, "1").platform) == here

    def test_else_the_first(self, store: MemoryStore) -> None:
        tagged(store, image_for(store, "plan9/mips"), image_for(store, "linux/s390x"))
        assert str(open_image(store, "1").platform) == "plan9/mips"

    def test_an_attestation_is_no_platform(self, store: MemoryStore) -> None:
        attestation = image_for(store, "unknown/unknown", b"proof")
        image = image_for(store, "linux/s390x")
        tagged(store, attestation, image)
        assert [one for one, _ in open_image(store, "1").platforms] == [image]

    def test_an_index_of_artifacts_gives_the_first(self, store: MemoryStore) -> None:
        artifact = referrer(store, made(store), "text/sbom")
        tagged(store, artifact)
        image = open_image(store, "1")

        assert (image.descriptor, image.platform, image.platforms, image.config) == (artifact, None, (), None)
        assert [layer.diff_id for layer in image.layers] == [None]
        assert image.history == ()

    def test_a_platform_that_is_not_there(self, store: MemoryStore) -> None:
        made(store)
        with pytest.raises(NotFound, match="it has: linux/arm64/v8"):
            open_image(store, "1", parse_platform("linux/s390x"))

    def test_a_name_that_is_not_there(self, store: MemoryStore) -> None:
        with pytest.raises(NotFound):
            open_image(store, "2")

    def test_an_index_of_nothing_holds_no_image(self, store: MemoryStore) -> None:
        tagged(store)
        with pytest.raises(NotFound, match=r"1 is of type .*index.* and holds no image"):
            open_image(store, "1")

    @pytest.mark.parametrize("kind", [Named, Watched])
    def test_schema_1_is_no_image_yet(self, store: MemoryStore, kind: type[Watched]) -> None:
        found, raw = signed(body(ancestry("sha256:" + "a" * 64)))
        store._contents[found.digest] = raw
        store._descriptors[found.digest] = found
        store.tag(found, "1")
        with pytest.raises(Unsupported, match="1 is a manifest of Docker's schema 1") as caught:
            open_image(kind(store), "1")
        assert "dockless copy" in caught.value.hint

    def test_content_is_verified(self, store: MemoryStore) -> None:
        config = open_image(store, made(store).digest).manifest.config
        store._contents[config.digest] = store._contents[config.digest].replace(b"linux", b"LINUX")
        with pytest.raises(ChecksumMismatch):
            open_image(store, "1")

    def test_a_config_that_is_none_is_refused(self, store: MemoryStore) -> None:
        config = put(store, b"[]", DOCKER_CONFIG)
        store.tag(document(store, DOCKER_MANIFEST, config=config, layers=[]), "1")
        with pytest.raises(InvalidDocument, match=f"the config {config.digest} is not what it should be"):
            open_image(store, "1")

    def test_manifest_and_config_are_asked_for_once(self, store: MemoryStore) -> None:
        found = made(store)
        watched = Named(store)
        config = open_image(watched, "1", ARM).manifest.config

        assert watched.calls == [("fetch_named", "1"), ("fetch", config.digest)]
        plain = Watched(store)
        open_image(plain, "1")
        assert plain.calls == [("resolve", "1"), ("fetch", found.digest), ("fetch", config.digest)]
        assert watched.still_open == plain.still_open == 0


class TestInspect:
    def test_an_image(self, store: MemoryStore) -> None:
        found = made(store, annotations={"org.opencontainers.image.title": "demo"})
        size = len(json.dumps(CONFIG)) + 18
        base, top = (describe(one, OCI_LAYER_GZIP).digest for one in (b"base", b"what make made"))
        layer = {"media_type": OCI_LAYER_GZIP}

        assert as_json(inspect(store, "1")) == {
            "name": "1",
            "digest": found.digest,
            "media_type": OCI_MANIFEST,
            "artifact_type": None,
            "platforms": [{"platform": "linux/arm64/v8", "digest": found.digest, "size": size}],
            "platform": "linux/arm64/v8",
            "manifest": found.digest,
            "size": size,
            "created": "2020-01-02T00:00:00Z",
            "author": "someone",
            "labels": {"org.example": "yes"},
            "env": ["A=b"],
            "entrypoint": ["/init"],
            "cmd": ["serve", "--all"],
            "user": "1000:1000",
            "workdir": "/srv",
            "ports": ["53/udp", "8080/tcp"],
            "volumes": ["/data", "/var"],
            "annotations": {"org.opencontainers.image.title": "demo"},
            "layers": [
                {
                    **layer,
                    "digest": base,
                    "size": 4,
                    "diff_id": "sha256:1",
                    "created": "2020-01-01T00:00:00Z",
                    "command": "ADD base",
                },
                {
                    **layer,
                    "digest": top,
                    "size": 14,
                    "diff_id": "sha256:2",
                    "created": "2020-01-01T00:00:02Z",
                    "command": "RUN make",
                },
            ],
        }

    def test_an_image_that_says_nothing(self, store: MemoryStore) -> None:
        config = put(store, b'{"config": {"Cmd": "run this", "Entrypoint": ""}}', OCI_CONFIG)
        store.tag(document(store, OCI_MANIFEST, config=config, layers=[]), "1")
        summary = inspect(store, "1")

        assert (summary.platform, summary.platforms, summary.artifact_type) == (None, (), None)
        assert (summary.created, summary.author, summary.user, summary.workdir) == (None, None, "", "")
        assert (summary.labels, summary.env, summary.ports, summary.volumes) == ({}, (), (), ())
        assert (summary.cmd, summary.entrypoint) == (("run this",), ())

    def test_an_index_sums_up_each_platform(self, store: MemoryStore) -> None:
        amd = image_for(store, "linux/amd64", b"x" * 100)
        arm = image_for(store, "linux/arm/v7", b"x" * 100, b"y" * 10, b"y" * 10)
        proof = image_for(store, "unknown/unknown", b"proof")
        root = tagged(store, amd, arm, proof)
        watched = Named(store)
        summary = inspect(watched, "1", parse_platform("linux/arm"))

        assert (summary.digest, summary.media_type) == (root.digest, OCI_INDEX)
        assert (summary.manifest, summary.platform) == (arm.digest, "linux/arm/v7")
        sizes = {one.platform: one.size for one in summary.platforms}
        assert sizes == {
            "linux/amd64": 100 + len(msgspec.json.encode(parse_platform("linux/amd64"))),
            "linux/arm/v7": 110 + len(msgspec.json.encode(parse_platform("linux/arm/v7"))),
        }
        assert summary.size == sizes["linux/arm/v7"]
        assert sorted(watched.asked("fetch")) == sorted([amd.digest, arm.digest, summary_config(store, arm)])

    def test_a_platform_whose_image_was_left_out(self, store: MemoryStore) -> None:
        there, gone = image_for(store, "linux/s390x"), image_for(store, "linux/ppc64le")
        tagged(store, there, gone)
        store.delete(gone)
        summary = inspect(store, "1")

        assert [(one.digest, one.size is None) for one in summary.platforms] == [
            (there.digest, False),
            (gone.digest, True),
        ]

    def test_an_artifact_has_no_more_fields_than_it_has(self, store: MemoryStore) -> None:
        found = referrer(store, made(store), "text/sbom", annotations={"a": "b"})
        summary = as_json(inspect(store, found.digest))

        assert (summary["artifact_type"], summary["platforms"], summary["annotations"]) == ("text/sbom", [], {"a": "b"})
        for name in ("platform", "created", "author", "labels", "env", "entrypoint", "cmd", "user", "workdir"):
            assert summary[name] is None
        assert [(one["diff_id"], one["command"]) for one in summary["layers"]] == [(None, None)]
        assert summary.keys() == set(ImageSummary.__struct_fields__)

    def test_an_artifact_by_its_config(self, store: MemoryStore) -> None:
        config = put(store, b"apiVersion: v1", "application/vnd.cncf.helm.config.v1+json")
        chart = document(store, OCI_MANIFEST, config=config, layers=[put(store, b"chart", DOCKER_LAYER_GZIP)])
        summary = inspect(store, chart.digest)

        assert summary.artifact_type == "application/vnd.cncf.helm.config.v1+json"
        assert summary.size == 19
        assert summary.created is None


def summary_config(store: MemoryStore, image: Descriptor) -> Digest:
    digest: Digest = json.loads(bytes(store.fetch(image).read_chunk()))["config"]["digest"]
    return digest


def test_the_fault_of_content_and_that_of_a_place_are_told_apart() -> None:
    assert is_of_content(RemoteFault("500"))
    assert not is_of_content(RateLimited("429"))


def test_a_place_that_fails_is_not_called_an_image_that_is_missing(store: MemoryStore) -> None:
    tagged(store, image_for(store, "linux/s390x"), image_for(store, "linux/ppc64le"))
    failing = FailsAt(3, RateLimited("too many"), "fetch", "resolve", "read")
    with pytest.raises(RateLimited):
        inspect(Watched(store, failing), "1")
    assert failing.has_failed
