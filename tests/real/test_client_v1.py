"""The whole of the v1 client against servers: the original one and the embedded one, each alone and behind an index."""

import dataclasses
import hashlib
import http.client
import time
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import msgspec
import pytest

from dockless import v1
from dockless.faces.server.app import EmbeddedRegistry
from dockless.faces.server.v1 import V1Options
from dockless.model.errors import InvalidDocument, NotFound
from dockless.stores.base import V1Image
from dockless.stores.v1_directory import V1Directory
from dockless.testing.images import MadeImage, make_image
from dockless.wire.stream import BytesReader
from tests.original import OriginalServer, free_port, token_pair

NAME = "library/demo"
BASE = {f"file-{number}": hashlib.sha256(b"%d" % number).digest() * 2000 for number in range(5)}
IMAGES = make_image(BASE, {"a": b"small"}, {}, {"b": b"text " * 50_000}, compress=True)
ONE_BYTE = MadeImage(v1_id := hashlib.sha256(b"one").hexdigest(), b'{"id": "%s"}' % v1_id.encode(), b"!")  # type: ignore[arg-type]
EMPTY = MadeImage(v1_no := hashlib.sha256(b"none").hexdigest(), b'{"id": "%s"}' % v1_no.encode(), b"")  # type: ignore[arg-type]


@dataclasses.dataclass
class Servers:
    """Where the index and its endpoint are, and what the endpoint says of itself."""

    url: str
    endpoint: str
    standalone: bool


def directory(root: Path) -> V1Directory:
    store = V1Directory(root)
    for one in (*IMAGES, ONE_BYTE, EMPTY):
        whole = V1Image(one.id, one.raw, len(one.layer), one.checksum)
        store.add(whole, partial(BytesReader, one.layer))
    for tag in ("1.0", "latest"):
        store.tag(NAME, tag, IMAGES[0].id)
    store.tag("other/thing", "x", IMAGES[1].id)
    store.tag("edge/one", "latest", ONE_BYTE.id)
    store.tag("edge/empty", "latest", EMPTY.id)
    return store


def push(server: OriginalServer) -> None:
    server.push(IMAGES, NAME, ("1.0", "latest"))
    server.push(IMAGES[1:], "other/thing", ("x",))
    server.push([ONE_BYTE], "edge/one")
    server.push([EMPTY], "edge/empty")


@pytest.fixture(
    scope="module", params=["original", "original with tokens", "embedded", "embedded with tokens"], name="servers"
)
def running(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Servers]:
    tmp = tmp_path_factory.mktemp("servers")
    kind = str(request.param)
    if kind == "original":
        with OriginalServer(tmp) as server:
            push(server)
            yield Servers(server.url, server.host, standalone=True)
    elif kind == "original with tokens":
        with token_pair(tmp) as (index, registry):
            push(index)
            yield Servers(index.url, registry.host, standalone=False)
    else:
        tokens = "tokens" in kind
        with EmbeddedRegistry(directory(tmp), V1Options(tokens=tokens)) as embedded:
            yield Servers(embedded.url, embedded.host, standalone=not tokens)


@pytest.fixture(name="image")
def opened(servers: Servers) -> Iterator[v1.Image]:
    with v1.get_image(NAME, servers.url) as image:
        yield image


def test_get_image(servers: Servers, image: v1.Image) -> None:
    assert (image.name, image.status) == (NAME, 200)
    assert image.layer_urls(IMAGES[0].id) == [f"http://{servers.endpoint}/v1/images/{IMAGES[0].id}/layer"]


def test_a_short_name_is_of_the_library(servers: Servers) -> None:
    with v1.get_image("demo", servers.url) as image:
        assert sorted(image.tags()) == ["1.0", "latest"]
        assert image.history("latest") == [one.id for one in IMAGES]


def test_an_unknown_image_is_not_found(servers: Servers) -> None:
    with pytest.raises(NotFound, match="image library/nothing not found") as caught:
        v1.get_image("library/nothing", servers.url)
    assert caught.value.status == 404


def test_the_token_is_not_doubled(image: v1.Image) -> None:
    header = image.authorization_header
    assert header.startswith("Token signature=")
    assert header.lower().count("token") == 1


def test_tags(image: v1.Image) -> None:
    assert image.tag_ids() == {"1.0": IMAGES[0].id, "latest": IMAGES[0].id}
    assert image.tag_layer_id("1.0") == IMAGES[0].id
    with pytest.raises(NotFound, match=f"'2.0' not found for image {NAME}"):
        image.tag_layer_id("2.0")


class Own(msgspec.Struct):
    """What a caller wants to know."""

    docker_version: str


@dataclasses.dataclass
class OwnDataclass:
    """The same as a dataclass."""

    architecture: str


def test_metadata(image: v1.Image) -> None:
    assert image.metadata("1.0", Own) == Own("1.4.1")
    assert image.metadata("1.0", OwnDataclass) == OwnDataclass("amd64")
    assert image.metadata("1.0", dict)["id"] == IMAGES[0].id
    assert image.metadata("1.0").raw == IMAGES[0].raw


def test_history(image: v1.Image) -> None:
    assert image.history("1.0") == [one.id for one in IMAGES]
    assert image.ancestry(IMAGES[-1].id) == [IMAGES[-1].id]


@pytest.mark.parametrize("number", range(len(IMAGES)))
def test_layer_reader(image: v1.Image, number: int) -> None:
    with image.layer_reader(IMAGES[number].id) as reader:
        assert reader.readall() == IMAGES[number].layer


def test_the_layers_urls_work_with_the_authorization_header(image: v1.Image) -> None:
    (url,) = image.layer_urls(IMAGES[1].id)
    host, _, path = url.removeprefix("http://").partition("/")
    connection = http.client.HTTPConnection(host, timeout=10)
    connection.request("GET", f"/{path}", headers={"Authorization": image.authorization_header})
    answer = connection.getresponse()
    assert (answer.status, answer.read()) == (200, IMAGES[1].layer)
    connection.close()


def test_download(image: v1.Image, tmp_path: Path) -> None:
    done = image.download(IMAGES[0].id, tmp_path / "layer")
    assert (done.verified, done.size) == (True, len(IMAGES[0].layer))
    assert (tmp_path / "layer").read_bytes() == IMAGES[0].layer


@pytest.mark.parametrize("missing", [1, 2, 1000, 100_000])
def test_a_partial_file_is_completed_by_range(image: v1.Image, tmp_path: Path, missing: int) -> None:
    whole = IMAGES[-1].layer
    partial_file = tmp_path / f".layer.{IMAGES[-1].id[:16]}.partial"
    partial_file.write_bytes(whole[:-missing])
    started = time.monotonic()
    assert image.download(IMAGES[-1].id, tmp_path / "layer").verified
    assert (tmp_path / "layer").read_bytes() == whole
    assert time.monotonic() - started < 1.5  # an open range would end in the original's stall of two seconds


@pytest.mark.parametrize(("repository", "edge"), [("edge/one", ONE_BYTE), ("edge/empty", EMPTY)])
def test_layers_of_one_byte_and_of_none(servers: Servers, tmp_path: Path, repository: str, edge: MadeImage) -> None:
    with v1.get_image(repository, servers.url) as image:
        assert image.download(edge.id, tmp_path / "layer").verified
        assert (tmp_path / "layer").read_bytes() == edge.layer


def test_a_whole_image(image: v1.Image, tmp_path: Path) -> None:
    pulled = image.download_image("1.0", tmp_path)
    assert pulled.ids == tuple(one.id for one in IMAGES)
    assert pulled.unverified == ()
    store = V1Directory(tmp_path)
    assert store.tags(NAME) == {"1.0": IMAGES[0].id}
    for one in IMAGES:
        assert (tmp_path / one.id / "layer.tar").read_bytes() == one.layer
        assert store.image(one.id).checksum == one.checksum


def test_a_connection_that_the_server_closed_meanwhile(servers: Servers) -> None:
    events: list[object] = []
    settings = v1.Settings(retry=v1.RetryPolicy(attempts=1))
    with v1.get_image(NAME, servers.url, settings=settings, observe=events.append) as image:
        for pause in (2.2, 1.2, 0.0):
            time.sleep(pause)
            assert image.history("latest")
    assert events == []


@pytest.mark.parametrize("kind", ["original", "embedded"])
def test_a_dead_endpoint_first(tmp_path: Path, kind: str) -> None:
    port = free_port()
    named = f"127.0.0.1:1, 127.0.0.1:{port}"
    with (
        OriginalServer(tmp_path, port=port, REGISTRY_ENDPOINTS=named)
        if kind == "original"
        else EmbeddedRegistry(directory(tmp_path), V1Options(endpoints=(named,)), port=port)
    ) as server:
        if isinstance(server, OriginalServer):
            push(server)
        with v1.get_image(NAME, server.url) as image:
            assert image.history("1.0") == [one.id for one in IMAGES]
            assert image.layer_urls(IMAGES[0].id)[0].startswith("http://127.0.0.1:1/")


def test_ping(servers: Servers) -> None:
    answer = v1.ping(f"http://{servers.endpoint}")
    assert answer == v1.Ping(standalone=servers.standalone)


def test_search(servers: Servers) -> None:
    assert [result.name for result in v1.search("DEM", servers.url)] == [NAME]
    assert {result.name for result in v1.search("", servers.url)} >= {NAME, "other/thing"}
    assert list(v1.search("no such thing", servers.url)) == []


def test_inspect(image: v1.Image) -> None:
    summary = image.inspect(IMAGES[0].id)
    assert summary.size == sum(len(one.layer) for one in IMAGES)
    assert [layer.id for layer in summary.layers] == [one.id for one in IMAGES]
    assert [layer.checksum for layer in summary.layers] == [one.checksum for one in IMAGES]


def test_html_in_place_of_json_is_a_clear_error(servers: Servers) -> None:
    with pytest.raises((NotFound, InvalidDocument)):
        v1.ping(servers.url + "/v1/_ping/nonsense")
