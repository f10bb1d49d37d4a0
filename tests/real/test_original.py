"""The original server runs here, and answers as it did: a test of the fixture that other tests stand on."""

import http.client
import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from dockless.testing.images import MadeImage, demo_images, make_image
from tests.original import Answer, OriginalServer, find_v1_server, token_pair

DEMO = demo_images()


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[OriginalServer]:
    with OriginalServer(tmp_path_factory.mktemp("v1")) as server:
        server.push(DEMO, "library/demo", ["latest", "1.0"])
        yield server


def get_json(server: OriginalServer, path: str) -> object:
    answer = server.request("GET", path)
    assert (answer.status, answer.headers["Content-Type"]) == (200, "application/json")
    content: object = json.loads(answer.body)
    return content


def layer_range(server: OriginalServer, wanted: str) -> Answer:
    return server.request("GET", f"/v1/images/{DEMO[0].id}/layer", headers={"Range": wanted})


def test_ping(server: OriginalServer) -> None:
    answer = server.request("GET", "/v1/_ping")

    assert (answer.status, answer.body) == (200, b"{}")
    assert answer.headers["X-Docker-Registry-Standalone"] == "True"


def test_tags(server: OriginalServer) -> None:
    newest = DEMO[0].id

    assert get_json(server, "/v1/repositories/library/demo/tags") == {"latest": newest, "1.0": newest}
    assert get_json(server, "/v1/repositories/demo/tags/1.0") == newest


def test_the_index_names_images_token_and_endpoint(server: OriginalServer) -> None:
    answer = server.request("GET", "/v1/repositories/library/demo/images", headers={"X-Docker-Token": "true"})

    listed = json.loads(answer.body)
    assert {one["id"]: one["checksum"] for one in listed} == {image.id: image.checksum for image in DEMO}
    assert answer.headers["X-Docker-Token"].startswith("Token signature=")
    assert answer.headers["X-Docker-Endpoints"] == server.host


@pytest.mark.parametrize("image", DEMO, ids=["application", "library", "base"])
def test_an_image_is_there_byte_for_byte(server: OriginalServer, image: MadeImage) -> None:
    answer = server.request("GET", f"/v1/images/{image.id}/json")
    assert (answer.status, answer.body) == (200, image.raw)
    assert answer.headers["X-Docker-Size"] == str(len(image.layer))
    assert answer.headers["X-Docker-Checksum-Payload"] == image.checksum

    answer = server.request("GET", f"/v1/images/{image.id}/layer")
    assert (answer.status, answer.body) == (200, image.layer)


def test_the_ancestry_goes_down_to_the_base(server: OriginalServer) -> None:
    assert get_json(server, f"/v1/images/{DEMO[0].id}/ancestry") == [image.id for image in DEMO]


def test_ranges_are_as_odd_as_they_were(server: OriginalServer) -> None:
    layer = DEMO[0].layer
    size = len(layer)

    answer = layer_range(server, f"bytes=100-{size - 1}")
    assert (answer.status, answer.headers["Content-Range"]) == (206, f"100-{size - 1}/{size}")
    assert answer.body == layer[100:]
    assert layer_range(server, "bytes=0-0").status == 416
    with pytest.raises(http.client.IncompleteRead) as cut:
        layer_range(server, "bytes=100-")
    assert (cut.value.partial, cut.value.expected) == (layer[100:], 1)


def test_what_is_missing_is_404(server: OriginalServer) -> None:
    answer = server.request("GET", f"/v1/images/{'0' * 64}/json")
    assert (answer.status, json.loads(answer.body)) == (404, {"error": "Image not found"})

    answer = server.request("GET", "/v2/")
    assert (answer.status, answer.headers["Content-Type"]) == (404, "text/html")


def test_a_push_may_come_twice_and_share_images(server: OriginalServer) -> None:
    base = {"etc/motd": b"hello\n"}
    server.push(make_image(base, compress=True), "team/app", ["base"])
    top = make_image(base, {}, compress=True)
    server.push(top, "team/app", ["top"])
    server.push(top, "team/app", ["top"])

    tags = get_json(server, "/v1/repositories/team/app/tags")
    assert tags == {"base": top[1].id, "top": top[0].id}
    assert server.request("GET", f"/v1/images/{top[1].id}/layer").body == top[1].layer


def test_search(server: OriginalServer) -> None:
    found = get_json(server, "/v1/search?q=demo")

    assert found == {"num_results": 1, "query": "demo", "results": [{"description": "", "name": "library/demo"}]}


def test_the_registry_of_a_pair_wants_the_token_of_its_index(tmp_path: Path) -> None:
    with token_pair(tmp_path) as (index, registry):
        index.push(DEMO, "library/demo")
        given = index.request("GET", "/v1/repositories/library/demo/images", headers={"X-Docker-Token": "true"})
        assert given.headers["X-Docker-Endpoints"] == registry.host

        layer = f"/v1/images/{DEMO[0].id}/layer"
        refused = registry.request("GET", layer)
        assert (refused.status, refused.headers["WWW-Authenticate"]) == (401, "Token")
        answer = registry.request("GET", layer, headers={"Authorization": given.headers["X-Docker-Token"]})
        assert (answer.status, answer.body) == (200, DEMO[0].layer)


def test_a_server_that_does_not_start_says_why(tmp_path: Path) -> None:
    with (
        pytest.raises(RuntimeError, match="no server in"),
        OriginalServer(tmp_path / "storage", V1_DIR=str(tmp_path)),
    ):
        pass


def test_the_server_is_gone_after_its_block(tmp_path: Path) -> None:
    with OriginalServer(tmp_path) as server:
        assert server.request("GET", "/v1/_ping").status == 200
    with pytest.raises(ConnectionRefusedError):
        server.request("GET", "/v1/_ping")


def test_without_the_environment_there_is_no_server(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("V1_DIR", raising=False)
    assert find_v1_server() is None
