"""Manifests of the embedded registry: taken in, given out, deleted."""

import json

import pytest

from dockless.faces.server.app import EmbeddedRegistry
from dockless.faces.server.v2 import V2Options
from dockless.model.media_types import (
    DOCKER_CONFIG,
    DOCKER_INDEX,
    DOCKER_LAYER_GZIP,
    DOCKER_MANIFEST,
    DOCKER_SCHEMA1,
    OCI_EMPTY,
    OCI_INDEX,
    OCI_LAYER,
    OCI_MANIFEST,
)
from dockless.stores.repositories import MemoryRepositories
from tests.asking import ask
from tests.pushing import CONFIG, LAYER, codes, described, digest, index, manifest, put_blob, put_image, put_manifest

FOREIGN = "application/vnd.docker.image.rootfs.foreign.diff.tar.gzip"


def test_the_very_bytes_come_back(registry: EmbeddedRegistry, name: str) -> None:
    put_image(registry, name, "1")
    raw = b" \n" + manifest(CONFIG, made="here", strange={"ünknown": [1, 2.50]}) + b"\n\n"
    put = put_manifest(registry, name, "2", raw)
    assert (put.status, put.body) == (201, b"")
    assert put.headers["Docker-Content-Digest"] == digest(raw)
    assert put.headers["Location"] == f"/v2/{name}/manifests/{digest(raw)}"
    assert put.headers["OCI-Subject"] is None
    for reference in ("2", digest(raw)):
        for method in ("GET", "HEAD"):
            answer = ask(registry, f"/v2/{name}/manifests/{reference}", method, Accept="text/html")
            assert (answer.status, answer.body) == (200, raw if method == "GET" else b"")
            assert answer.headers["Content-Type"] == OCI_MANIFEST
            assert answer.headers["Content-Length"] == str(len(raw))
            assert answer.headers["Docker-Content-Digest"] == digest(raw)


def test_parameters_of_the_type_are_ignored(registry: EmbeddedRegistry, name: str) -> None:
    put_image(registry, name, "1")
    assert put_manifest(registry, name, "2", manifest(), f"{OCI_MANIFEST}; charset=utf-8").status == 201
    assert ask(registry, f"/v2/{name}/manifests/2").headers["Content-Type"] == OCI_MANIFEST


@pytest.mark.parametrize("algorithm", ["sha256", "sha512"])
def test_by_digest(registry: EmbeddedRegistry, name: str, algorithm: str) -> None:
    raw = put_image(registry, name, "1")
    wanted = digest(raw, algorithm)
    put = put_manifest(registry, name, wanted, raw)
    assert (put.status, put.headers["Docker-Content-Digest"]) == (201, wanted)
    answer = ask(registry, f"/v2/{name}/manifests/{wanted}")
    assert (answer.status, answer.body, answer.headers["Docker-Content-Digest"]) == (200, raw, wanted)


def test_by_another_digest(registry: EmbeddedRegistry, name: str) -> None:
    raw = put_image(registry, name, "1")
    answer = put_manifest(registry, name, digest(b"other"), raw)
    assert (answer.status, codes(answer)) == (400, ["DIGEST_INVALID"])
    assert ask(registry, f"/v2/{name}/manifests/{digest(b'other')}").status == 404


def test_many_tags_at_once(registry: EmbeddedRegistry, name: str) -> None:
    raw = put_image(registry, name, "0")
    tags = [f"v{number}" for number in range(12)]
    put = put_manifest(registry, name, digest(raw), raw, query="?" + "&".join(f"tag={tag}" for tag in tags))
    assert put.headers["OCI-Tag"].split(", ") == tags
    assert json.loads(ask(registry, f"/v2/{name}/tags/list").body)["tags"] == sorted(["0", *tags])
    for query in ("?tag=..", "?tag=ok&tag=not%2Fok", "?" + "&".join(["tag=x"] * 101)):
        answer = put_manifest(registry, name, digest(raw), raw, query=query)
        assert (answer.status, codes(answer)) == (400, ["MANIFEST_INVALID"])
    assert ask(registry, f"/v2/{name}/manifests/ok").status == 404


def test_a_tag_moves(registry: EmbeddedRegistry, name: str) -> None:
    first = put_image(registry, name, "latest")
    second = put_image(registry, name, "latest", LAYER)
    assert ask(registry, f"/v2/{name}/manifests/latest").body == second
    assert ask(registry, f"/v2/{name}/manifests/{digest(first)}").body == first


@pytest.mark.parametrize(
    ("raw", "media_type"),
    [
        (b"", OCI_MANIFEST),
        (b"{", OCI_MANIFEST),
        (b"[]", OCI_MANIFEST),
        (b"[" * 100_000, OCI_MANIFEST),
        (b'{"schemaVersion": 2}', OCI_MANIFEST),
        (manifest(), OCI_INDEX),
        (manifest(), DOCKER_MANIFEST),
        (index(), OCI_MANIFEST),
        (manifest(manifests=[]), OCI_MANIFEST),
        (index(layers=[]), OCI_INDEX),
        (manifest(schemaVersion=1), OCI_MANIFEST),
        (manifest(config={"mediaType": "x", "digest": "../../etc/passwd", "size": 1}), OCI_MANIFEST),
        (manifest(layers=[described(LAYER) | {"size": -1}]), OCI_MANIFEST),
        (b'{"schemaVersion": 1, "fsLayers": []}', DOCKER_SCHEMA1),
        (b"{}", "application/x-unknown"),
        (b"{}", ""),
    ],
)
def test_what_is_no_manifest_of_its_type(registry: EmbeddedRegistry, name: str, raw: bytes, media_type: str) -> None:
    put_blob(registry, name, CONFIG)
    answer = put_manifest(registry, name, "1", raw, media_type)
    assert (answer.status, codes(answer)) == (400, ["MANIFEST_INVALID"])
    assert ask(registry, f"/v2/{name}/manifests/1").status == 404


@pytest.mark.parametrize("tag", [".a", "-a", "a" * 129, "a%20b", "%2e%2e", "a:b", "sha256:12", "ä%00".replace("ä", "")])
def test_a_tag_that_is_none(registry: EmbeddedRegistry, name: str, tag: str) -> None:
    put_image(registry, name, "1")
    answer = put_manifest(registry, name, tag, manifest())
    assert (answer.status, codes(answer)) == (400, ["MANIFEST_INVALID"])
    for method in ("GET", "DELETE"):
        answer = ask(registry, f"/v2/{name}/manifests/{tag}", method)
        assert (answer.status, codes(answer)) == (404, ["MANIFEST_UNKNOWN"])


class TestWhatItPointsAt:
    def test_blobs_have_to_be_there(self, registry: EmbeddedRegistry, name: str) -> None:
        put_blob(registry, name, CONFIG)
        answer = put_manifest(registry, name, "1", manifest(CONFIG, LAYER, b"more"))
        assert (answer.status, codes(answer)) == (400, ["MANIFEST_BLOB_UNKNOWN"])
        assert {one["digest"] for one in json.loads(answer.body)["errors"][0]["detail"]} == {
            digest(LAYER),
            digest(b"more"),
        }
        assert ask(registry, f"/v2/{name}/manifests/1").status == 404

    def test_in_this_very_repository(self, registry: EmbeddedRegistry, name: str) -> None:
        put_image(registry, f"{name}/other", "1", LAYER)
        put_blob(registry, name, CONFIG)
        assert codes(put_manifest(registry, name, "1", manifest(CONFIG, LAYER))) == ["MANIFEST_BLOB_UNKNOWN"]

    def test_but_those_that_lie_elsewhere(self, registry: EmbeddedRegistry, name: str) -> None:
        put_blob(registry, name, CONFIG)
        layers = [described(LAYER, FOREIGN, urls=["https://example.com/layer"])]
        assert put_manifest(registry, name, "1", manifest(layers=layers)).status == 201

    def test_manifests_of_an_index(self, registry: EmbeddedRegistry, name: str) -> None:
        first, second = put_image(registry, name, "1"), manifest(CONFIG, LAYER)
        raw = index(first, second)
        assert codes(put_manifest(registry, name, "all", raw, OCI_INDEX)) == ["MANIFEST_BLOB_UNKNOWN"]
        put_image(registry, name, "2", LAYER)
        assert put_manifest(registry, name, "all", raw, OCI_INDEX).status == 201
        nested = index(raw, artifactType="application/x-nested")
        assert put_manifest(registry, name, "nested", nested, OCI_INDEX).status == 201
        answer = ask(registry, f"/v2/{name}/manifests/nested")
        assert (answer.body, answer.headers["Content-Type"]) == (nested, OCI_INDEX)

    def test_docker_types(self, registry: EmbeddedRegistry, name: str) -> None:
        put_image(registry, name, "1", LAYER)
        config, layers = described(CONFIG, DOCKER_CONFIG), [described(LAYER, DOCKER_LAYER_GZIP)]
        raw = manifest(mediaType=DOCKER_MANIFEST, config=config, layers=layers)
        assert put_manifest(registry, name, "2", raw, DOCKER_MANIFEST).status == 201
        listed = [described(raw, DOCKER_MANIFEST, platform={"os": "linux", "architecture": "amd64"})]
        both = index(mediaType=DOCKER_INDEX, manifests=listed)
        assert put_manifest(registry, name, "all", both, DOCKER_INDEX).status == 201
        assert ask(registry, f"/v2/{name}/manifests/all").headers["Content-Type"] == DOCKER_INDEX

    def test_a_subject_need_not_be(self, registry: EmbeddedRegistry, name: str) -> None:
        put_blob(registry, name, b"{}")
        subject = described(b"later", OCI_MANIFEST)
        raw = manifest(config=described(b"{}", OCI_EMPTY), subject=subject, artifactType="application/x-note")
        put = put_manifest(registry, name, digest(raw), raw)
        assert (put.status, put.headers["OCI-Subject"]) == (201, digest(b"later"))


class TestLimits:
    def test_as_long_as_may_be(self, registry: EmbeddedRegistry, name: str) -> None:
        put_blob(registry, name, CONFIG)
        raw = manifest().ljust(4 << 20)
        assert put_manifest(registry, name, "1", raw).status == 201
        assert ask(registry, f"/v2/{name}/manifests/1").body == raw

    @pytest.mark.parametrize("stream", [False, True])
    def test_too_long(self, registry: EmbeddedRegistry, name: str, stream: bool) -> None:
        put_blob(registry, name, CONFIG)
        raw = manifest().ljust((4 << 20) + 1)
        answer = ask(
            registry,
            f"/v2/{name}/manifests/1",
            "PUT",
            iter([raw[:100_000], raw[100_000:]]) if stream else raw,
            Content_Type=OCI_MANIFEST,
        )
        assert (answer.status, codes(answer)) == (413, ["SIZE_INVALID"])

    def test_the_limit_is_an_option(self) -> None:
        with EmbeddedRegistry(MemoryRepositories(), v2=V2Options(longest_manifest=10)) as registry:
            assert put_manifest(registry, "a", "1", manifest()).status == 413


class TestDeleting:
    def test_a_tag_leaves_the_others(self, registry: EmbeddedRegistry, name: str) -> None:
        raw = put_image(registry, name, "old")
        put_manifest(registry, name, "new", raw)
        assert ask(registry, f"/v2/{name}/manifests/old", "DELETE").status == 202
        for method in ("GET", "DELETE"):
            answer = ask(registry, f"/v2/{name}/manifests/old", method)
            assert (answer.status, codes(answer)) == (404, ["MANIFEST_UNKNOWN"])
        for reference in ("new", digest(raw)):
            assert ask(registry, f"/v2/{name}/manifests/{reference}").body == raw

    def test_a_manifest_takes_its_tags_along(self, registry: EmbeddedRegistry, name: str) -> None:
        raw, other = put_image(registry, name, "1"), put_image(registry, name, "2", LAYER)
        put_manifest(registry, name, "one", raw)
        assert ask(registry, f"/v2/{name}/manifests/{digest(raw)}", "DELETE").status == 202
        for reference in ("1", "one", digest(raw)):
            assert ask(registry, f"/v2/{name}/manifests/{reference}").status == 404
        assert ask(registry, f"/v2/{name}/manifests/{digest(raw)}", "DELETE").status == 404
        assert ask(registry, f"/v2/{name}/manifests/2").body == other
        assert json.loads(ask(registry, f"/v2/{name}/tags/list").body)["tags"] == ["2"]
        assert put_manifest(registry, name, "1", raw).status == 201
        assert ask(registry, f"/v2/{name}/manifests/1").body == raw


def test_a_blob_is_no_manifest(registry: EmbeddedRegistry, name: str) -> None:
    put_blob(registry, name, LAYER)
    for method in ("GET", "DELETE"):
        answer = ask(registry, f"/v2/{name}/manifests/{digest(LAYER)}", method)
        assert (answer.status, codes(answer)) == (404, ["MANIFEST_UNKNOWN"])
    assert ask(registry, f"/v2/{name}/blobs/{digest(LAYER)}").body == LAYER


def test_what_came_as_a_blob_may_come_as_a_manifest(registry: EmbeddedRegistry, name: str) -> None:
    put_image(registry, name, "1")
    raw = manifest(CONFIG, mark="both")
    put_blob(registry, name, raw)
    assert put_manifest(registry, name, "2", raw).status == 201
    for path in ("manifests/2", f"manifests/{digest(raw)}", f"blobs/{digest(raw)}"):
        assert ask(registry, f"/v2/{name}/{path}").body == raw
    assert ask(registry, f"/v2/{name}/manifests/2").headers["Content-Type"] == OCI_MANIFEST


def test_data_in_a_descriptor_and_no_layers(registry: EmbeddedRegistry, name: str) -> None:
    put_blob(registry, name, b"{}")
    raw = manifest(config=described(b"{}", OCI_EMPTY, data="e30="), layers=[described(b"{}", OCI_EMPTY)])
    assert put_manifest(registry, name, "1", raw).status == 201
    assert put_manifest(registry, name, "2", manifest(config=described(b"{}", OCI_LAYER), layers=[])).status == 201
