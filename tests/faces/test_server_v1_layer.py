"""Layers as the embedded registry gives them: whole, in part, and to clients that stall or go away."""

import http.client
import time
from collections.abc import Iterator

import pytest

from dockless.faces.server.app import EmbeddedRegistry
from dockless.model.image_id import ImageId
from dockless.stores.base import V1Image
from tests.asking import ask, ask_raw
from tests.memory_images import MemoryImages, MemoryReader

BASE, SHORT, EMPTY = "a" * 64, "c" * 16, "d" * 64
LAYER = bytes(range(256)) * 1600
SIZE = len(LAYER)
IMAGES = {BASE: (b"{}", LAYER), SHORT: (b"{}", b"\0"), EMPTY: (b"{}", b"")}


@pytest.fixture(scope="module")
def registry() -> Iterator[EmbeddedRegistry]:
    images = MemoryImages(IMAGES)
    with EmbeddedRegistry(images) as registry:
        yield registry
    assert images.still_open == 0


def test_whole_layer(registry: EmbeddedRegistry) -> None:
    answer = ask(registry, f"/v1/images/{BASE}/layer")
    assert (answer.status, answer.body) == (200, LAYER)
    assert answer.headers["Content-Type"] == "application/octet-stream"
    assert (answer.headers["Content-Length"], answer.headers["Accept-Ranges"]) == (str(SIZE), "bytes")
    assert "X-Docker-Size" not in answer.headers
    assert "Content-Range" not in answer.headers


WHOLE = (200, None, SIZE, LAYER)
REFUSED = (416, None, 0, b"")


@pytest.mark.parametrize(
    ("asked", "expected"),
    [
        ("0-99", (206, "0-99/409600", 100, LAYER[:100])),
        ("100-199", (206, "100-199/409600", 100, LAYER[100:200])),
        ("0-1", (206, "0-1/409600", 2, LAYER[:2])),
        ("409598-409599", (206, "409598-409599/409600", 2, LAYER[-2:])),
        ("0-409599", (206, "0-409599/409600", SIZE, LAYER)),
        ("0-", (206, "0-409600/409600", 409601, LAYER)),
        ("10-", (206, "10-409600/409600", 409591, LAYER[10:])),
        ("409599-", (206, "409599-409600/409600", 2, LAYER[-1:])),
        ("0-999999", (206, "0-999999/409600", 1000000, LAYER)),
        ("500000-600000", (206, "500000-600000/409600", 100001, b"")),
        *((asked, REFUSED) for asked in ("0-0", "409599-409599", "409600-", "500000-", "5-2")),
        *((asked, WHOLE) for asked in ("-100", "abc", "0-1,5-6", "", "-", "1_0-20")),
    ],
)
def test_ranges(
    registry: EmbeddedRegistry,
    caplog: pytest.LogCaptureFixture,
    asked: str,
    expected: tuple[int, str | None, int, bytes],
) -> None:
    rest = f"/v1/images/{BASE}/layer HTTP/1.1\r\nHost: x\r\nConnection: close\r\nRange: bytes={asked}\r\n\r\n"
    answer = ask_raw(registry, "GET " + rest)
    length = int(answer.headers["Content-Length"])
    assert (answer.status, answer.headers["Content-Range"], length, answer.body) == expected
    assert answer.headers["Accept-Ranges"] == "bytes"
    assert answer.headers["Cache-Control"] == "public, max-age=31536000"
    head = ask_raw(registry, "HEAD " + rest)
    assert (head.status, head.headers["Content-Range"], head.body) == (*expected[:2], b"")
    assert head.headers["Content-Length"] == str(length)
    assert not [record for record in caplog.records if record.levelname not in {"DEBUG", "INFO"}]


def test_only_bytes_are_a_unit(registry: EmbeddedRegistry) -> None:
    assert ask(registry, f"/v1/images/{BASE}/layer", Range="Bytes=0-9").status == 200


@pytest.mark.parametrize(("asked", "status"), [("", 416), ("bytes=0-", 416), ("bytes=0-0", 416), ("bytes=-1", 416)])
def test_a_layer_of_no_bytes(registry: EmbeddedRegistry, asked: str, status: int) -> None:
    answer = ask(registry, f"/v1/images/{EMPTY}/layer", Range=asked)
    assert (answer.status, answer.body) == (status, b"")
    assert answer.headers["Content-Type"] == "application/octet-stream"


def test_a_layer_of_one_byte(registry: EmbeddedRegistry) -> None:
    assert ask(registry, f"/v1/images/{SHORT}/layer").body == b"\0"
    assert ask(registry, f"/v1/images/{SHORT}/layer", Range="bytes=0-0").status == 416


class VagueImages(MemoryImages):
    """A store that, like a mirror, knows neither size nor checksum."""

    def image(self, image_id: ImageId) -> V1Image:
        return V1Image(image_id, super().image(image_id).raw)


def test_what_is_not_known_is_not_said() -> None:
    images = VagueImages(IMAGES)
    with EmbeddedRegistry(images) as registry:
        headers = ask(registry, f"/v1/images/{BASE}/json").headers
        layer = ask(registry, f"/v1/images/{BASE}/layer")
    assert "X-Docker-Size" not in headers
    assert "X-Docker-Checksum-Payload" not in headers
    assert (layer.headers["Content-Length"], layer.body) == (str(SIZE), LAYER)
    assert images.still_open == 0


class ShrunkImages(MemoryImages):
    """A store whose layers are shorter than it says."""

    def image(self, image_id: ImageId) -> V1Image:
        return V1Image(image_id, b"{}", SIZE + 1)


def test_a_layer_that_ends_early_ends_the_connection() -> None:
    images = ShrunkImages(IMAGES)
    with EmbeddedRegistry(images) as registry:
        answer = ask_raw(registry, f"GET /v1/images/{BASE}/layer HTTP/1.1\r\nHost: x\r\n\r\n")
    assert (answer.headers["Content-Length"], answer.body) == (str(SIZE + 1), LAYER)
    assert images.still_open == 0


class EndlessImages(MemoryImages):
    """A store whose one layer is very long; `given` counts the bytes that were read of it."""

    def __init__(self) -> None:
        super().__init__({BASE: (b"{}", b"")})
        self.given = 0

    def image(self, image_id: ImageId) -> V1Image:
        return V1Image(image_id, b"{}", 1 << 40)

    def layer(self, image: V1Image, offset: int = 0) -> MemoryReader:
        return EndlessReader(self)


class EndlessReader(MemoryReader):
    def __init__(self, images: EndlessImages) -> None:
        super().__init__(images, memoryview(b""))
        self._endless = images

    def read_chunk(self) -> memoryview:
        self._endless.given += 1 << 20
        return memoryview(bytes(1 << 20))


def begin_layer(registry: EmbeddedRegistry) -> http.client.HTTPResponse:
    connection = http.client.HTTPConnection(registry.host, timeout=10)
    connection.request("GET", f"/v1/images/{BASE}/layer", headers={"Connection": "close"})
    return connection.getresponse()


def test_a_client_that_goes_away_frees_the_reader() -> None:
    images = EndlessImages()
    with EmbeddedRegistry(images) as registry:
        with begin_layer(registry) as response:
            response.read(4 << 20)
            assert images.still_open == 1
        deadline = time.monotonic() + 5
        while images.still_open and time.monotonic() < deadline:
            time.sleep(0.01)
        assert images.still_open == 0


def test_a_client_that_stalls_is_not_read_ahead_for() -> None:
    images = EndlessImages()
    with EmbeddedRegistry(images) as registry, begin_layer(registry):
        time.sleep(0.5)
        before = images.given
        time.sleep(0.2)
        assert images.given == before < 64 << 20
        started = time.monotonic()
        registry.close()
        assert time.monotonic() - started < 1
    assert images.still_open == 0


class BrokenReader(MemoryReader):
    def read_chunk(self) -> memoryview:
        raise OSError("the disk is gone")


class BrokenImages(MemoryImages):
    """A store whose layers cannot be read."""

    def layer(self, image: V1Image, offset: int = 0) -> MemoryReader:
        return BrokenReader(self, memoryview(b""))


def test_a_store_that_fails_in_mid_body_ends_the_connection(capfd: pytest.CaptureFixture[str]) -> None:
    images = BrokenImages(IMAGES)
    with EmbeddedRegistry(images) as registry:
        answer = ask_raw(registry, f"GET /v1/images/{BASE}/layer HTTP/1.1\r\nHost: x\r\n\r\n")
        assert (answer.status, answer.body) == (200, b"")
        assert ask(registry, "/v1/_ping").status == 200
    assert images.still_open == 0
    assert capfd.readouterr() == ("", "")
