"""The embedded registry gives OCI images to clients of v1."""

import json
from pathlib import Path

import pytest

from dockless import v1
from dockless.faces.server.app import EmbeddedRegistry
from dockless.faces.server.v1 import V1Options
from dockless.stores.repositories import MemoryRepositories
from dockless.stores.v1_directory import V1Directory
from tests.asking import ask
from tests.pushing import CONFIG, manifest, put_blob, put_image, put_manifest

LAYERS = [bytes(1536) + b"first", b"second" * 1000]
HISTORY = json.dumps({"architecture": "amd64", "os": "linux", "history": [{"created_by": "a"}, {"created_by": "b"}]})


def put(registry: EmbeddedRegistry, name: str) -> None:
    for blob in (HISTORY.encode(), *LAYERS):
        put_blob(registry, name, blob)
    assert put_manifest(registry, name, "1.0", manifest(HISTORY.encode(), *LAYERS)).status == 201


def test_what_was_pushed_over_v2_is_pulled_over_v1(registry: EmbeddedRegistry, name: str, tmp_path: Path) -> None:
    put(registry, name)
    with v1.get_image(name, registry.url) as image:
        assert list(image.tags()) == ["1.0"]
        image.download_image("1.0", tmp_path)
    pulled = V1Directory(tmp_path)
    ids = pulled.ancestry(pulled.tags(name)["1.0"])
    assert [(tmp_path / one / "layer.tar").read_bytes() for one in ids] == LAYERS[::-1]
    for one in ids:
        answer = ask(registry, f"/v1/images/{one}/json")
        assert pulled.image(one).checksum == answer.headers["X-Docker-Checksum-Payload"]
        assert answer.headers["X-Docker-Size"] == str(pulled.image(one).size)


def test_it_is_found_and_read_in_part(registry: EmbeddedRegistry) -> None:
    put(registry, "single")
    names = [one["name"] for one in json.loads(ask(registry, "/v1/search?q=single").body)["results"]]
    assert names == ["library/single"]
    newest = json.loads(ask(registry, "/v1/repositories/single/tags/1.0").body)
    assert json.loads(ask(registry, "/v1/repositories/single/images").body)[0] == {"id": newest}
    answer = ask(registry, f"/v1/images/{newest}/layer", Range="bytes=10-19")
    assert (answer.status, answer.body) == (206, LAYERS[1][10:20])


def test_tokens_are_for_v1_alone() -> None:
    with EmbeddedRegistry(MemoryRepositories(), V1Options(tokens=True)) as registry:
        put_image(registry, "a/b", "1")
        assert ask(registry, "/v2/a/b/manifests/1").status == 200
        assert ask(registry, "/v1/repositories/a/b/tags").status == 401
        token = ask(registry, "/v1/repositories/a/b/images").headers["X-Docker-Token"]
        assert list(json.loads(ask(registry, "/v1/repositories/a/b/tags", Authorization=token).body)) == ["1"]


def test_what_is_deleted_over_v2_is_gone_from_v1(registry: EmbeddedRegistry, name: str) -> None:
    put_image(registry, name, "1")
    path = f"/v1/repositories/{name}/tags"
    (newest,) = json.loads(ask(registry, path).body).values()
    assert ask(registry, f"/v1/images/{newest}/json").status == 200
    wanted = ask(registry, f"/v2/{name}/manifests/1").headers["Docker-Content-Digest"]
    assert ask(registry, f"/v2/{name}/manifests/{wanted}", "DELETE").status == 202
    assert json.loads(ask(registry, path).body) == {}
    assert ask(registry, f"/v1/images/{newest}/json").status == 404


def test_nothing_is_written_over_v1(registry: EmbeddedRegistry, name: str) -> None:
    put_image(registry, name, "1")
    for method in ("PUT", "DELETE"):
        assert ask(registry, f"/v1/repositories/{name}/tags/1", method, CONFIG).status == 405


@pytest.mark.parametrize("where", ["none/there", "UPPER/case", "a/blobs", "%2e%2e/etc", "library/a..b"])
def test_what_is_not_there(registry: EmbeddedRegistry, where: str) -> None:
    answer = ask(registry, f"/v1/repositories/{where}/tags")
    assert (answer.status, json.loads(answer.body)) == (404, {"error": "Repository not found"})
