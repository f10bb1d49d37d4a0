"""The embedded registry against whoever is slow, large, many or sly: each is answered sanely, and within limits."""

import http.client
import resource
import socket
import sys
import time
from collections.abc import Iterator
from contextlib import suppress

import pytest

from dockless.faces.server.app import EmbeddedRegistry
from dockless.model.descriptor import Descriptor, describe
from dockless.stores.base import Repository
from dockless.stores.memory import MemoryStore
from dockless.stores.repositories import MemoryRepositories
from dockless.testing.contract import given
from dockless.wire.stream import Reader, Source
from tests.asking import ask, ask_raw
from tests.pushing import LAYER, begin, digest, put_blob, put_image, wait_for_range

PATIENCE = 0.6  # seconds
LARGE = bytes(32 << 20)


@pytest.fixture(scope="module")
def impatient() -> Iterator[EmbeddedRegistry]:
    with EmbeddedRegistry(MemoryRepositories(), patience=PATIENCE) as registry:
        put_blob(registry, "a", LARGE)
        put_image(registry, "a", "1", LAYER)
        yield registry


def connect(registry: EmbeddedRegistry, buffer: int = 0) -> socket.socket:
    host, _, port = registry.host.rpartition(":")
    client = socket.socket()
    if buffer:
        client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, buffer)
    client.settimeout(10)
    client.connect((host, int(port)))
    return client


def seconds_until_cut(client: socket.socket) -> float:
    """Read until the server ends the connection."""
    started = time.monotonic()
    with client, suppress(ConnectionResetError):
        while client.recv(1 << 20):
            pass
    return time.monotonic() - started


def sent_until_cut(client: socket.socket, piece: bytes, pause: float) -> tuple[float, int]:
    """Send until the server has ended the connection, or ten seconds; return how long it took, and how much went."""
    started, sent = time.monotonic(), 0
    with client, suppress(OSError):
        while time.monotonic() - started < 10:
            sent += client.send(piece)
            time.sleep(pause)
    return time.monotonic() - started, sent


class TestSlow:
    @pytest.mark.parametrize("head", [b"", b"G", b"GET /v2/ HTTP/1.1\r\nHost: x\r\nX: "])
    def test_headers_that_never_end(self, impatient: EmbeddedRegistry, head: bytes) -> None:
        client = connect(impatient)
        client.sendall(head)
        assert PATIENCE / 2 < seconds_until_cut(client) < 5

    def test_headers_byte_by_byte_have_no_more_time(self, impatient: EmbeddedRegistry) -> None:
        seconds, _ = sent_until_cut(connect(impatient), b"G", PATIENCE / 4)
        assert seconds < 5

    def test_headers_of_the_next_request(self, impatient: EmbeddedRegistry) -> None:
        client = connect(impatient)
        client.sendall(b"GET /v2/ HTTP/1.1\r\nHost: x\r\n\r\nGET /v2/ HTTP/1.1\r\n")
        assert seconds_until_cut(client) < 5

    def test_a_body_that_stalls(self, impatient: EmbeddedRegistry) -> None:
        where = begin(impatient, "a")
        client = connect(impatient)
        client.sendall(f"PATCH {where} HTTP/1.1\r\nHost: x\r\nContent-Length: 1000\r\n\r\n{'a' * 100}".encode())
        assert PATIENCE / 2 < seconds_until_cut(client) < 5
        assert wait_for_range(impatient, where, 99) == 100

    def test_a_body_that_is_slow_has_its_time(self, impatient: EmbeddedRegistry) -> None:
        where = begin(impatient, "a")
        with connect(impatient) as client:
            client.sendall(f"PATCH {where} HTTP/1.1\r\nHost: x\r\nContent-Length: 8\r\n\r\n".encode())
            for _ in range(8):
                time.sleep(PATIENCE / 3)
                client.sendall(b"a")
            assert client.recv(12) == b"HTTP/1.1 202"

    def test_a_body_that_nobody_wants_is_not_read_without_end(self, impatient: EmbeddedRegistry) -> None:
        client = connect(impatient)
        client.sendall(b"PUT /v2/a/manifests/1 HTTP/1.1\r\nHost: x\r\nContent-Length: 5368709120\r\n\r\n")
        assert client.recv(12) == b"HTTP/1.1 413"
        seconds, sent = sent_until_cut(client, b"a" * 1000, 0.01)
        assert sent > 1000
        assert seconds < 5

    def test_a_client_that_does_not_read(self, impatient: EmbeddedRegistry) -> None:
        client = connect(impatient, buffer=4096)
        client.sendall(f"GET /v2/a/blobs/{digest(LARGE)} HTTP/1.1\r\nHost: x\r\n\r\n".encode())
        time.sleep(PATIENCE * 3)
        received = 0
        with client, suppress(ConnectionResetError):
            while chunk := client.recv(1 << 20):
                received += len(chunk)
        assert 0 < received < len(LARGE)

    def test_many_slow_ones_hold_up_nobody_else(self, impatient: EmbeddedRegistry) -> None:
        clients = [connect(impatient, buffer=4096) for _ in range(60)]  # more than there are threads
        for number, client in enumerate(clients):
            where = begin(impatient, "a") if number % 2 else ""
            wanted = f"GET /v2/a/blobs/{digest(LARGE)}" if not where else f"PATCH {where}"
            length = "Content-Length: 1000\r\n" if where else ""
            client.sendall(f"{wanted} HTTP/1.1\r\nHost: x\r\n{length}\r\n".encode())
        assert ask(impatient, "/v2/a/manifests/1").status == 200
        assert ask(impatient, f"/v2/a/blobs/{digest(LAYER)}").body == LAYER
        for client in clients:
            client.close()


class TestSly:
    @pytest.mark.parametrize(
        "framing",
        [
            "Content-Length: 5\r\nTransfer-Encoding: chunked",
            "Transfer-Encoding: chunked\r\nContent-Length: 0",
            "Content-Length: 5\r\nContent-Length: 6",
            "Content-Length: 5, 6",
            "Content-Length: +5",
            "Content-Length: 0x5",
            "Content-Length: -5",
            "Content-Length: 5\r\nTransfer-Encoding: identity",
            "Transfer-Encoding: chunked, gzip",
            "Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked",
            "Content-Length : 5",
            "Content-Length: 5\rX: y",
        ],
    )
    @pytest.mark.parametrize("method", ["GET", "POST"])
    def test_two_ways_to_tell_where_a_request_ends(
        self, impatient: EmbeddedRegistry, framing: str, method: str
    ) -> None:
        smuggled = "0\r\n\r\nGET /v2/_catalog HTTP/1.1\r\nHost: x\r\n\r\n"
        answer = ask_raw(impatient, f"{method} /v2/a/blobs/uploads/ HTTP/1.1\r\nHost: x\r\n{framing}\r\n\r\n{smuggled}")
        assert answer.status in {400, 501}
        assert b"repositories" not in answer.body

    @pytest.mark.parametrize(
        "path",
        [
            "/v2/../../etc/passwd",
            "/v2/%2e%2e/%2e%2e/etc/manifests/passwd",
            "/v2//etc/passwd/blobs/x",
            "/v2/a/blobs/..%2f..%2fetc%2fpasswd",
            "/v2/a/blobs/uploads/..%2f..%2f..%2fetc%2fpasswd",
            "/v2/a/manifests/..%2f..%2findex.json",
            "/v2/a/manifests/%2e%2e",
            "/v2/a\\b/tags/list",
            "/v2/a/tags/list/../../../..",
            "/v2/%00/tags/list",
            "/v2/%ff%fe/tags/list",
            "/v2/" + "a/" * 4000 + "tags/list",
            "//v2/a/tags/list",
            "/V2/",
            "http://elsewhere/v2/",
            "*",
        ],
    )
    @pytest.mark.parametrize("method", ["GET", "DELETE"])
    def test_paths_that_lead_elsewhere(self, impatient: EmbeddedRegistry, path: str, method: str) -> None:
        answer = ask_raw(impatient, f"{method} {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
        assert answer.status in {400, 404, 405}
        assert b"root:" not in answer.body

    def test_chunks_that_are_none(self, impatient: EmbeddedRegistry) -> None:
        where = begin(impatient, "a")
        for chunk in ("zz\r\n", "-5\r\n", "5;" + "x" * 20000, "fffffffffffffffffffffff\r\n"):
            head = f"PATCH {where} HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n{chunk}"
            assert ask_raw(impatient, head).status == 400
        assert ask(impatient, where).headers["Range"] == "0-0"


class TestMany:
    def test_uploads(self) -> None:
        with EmbeddedRegistry(MemoryRepositories()) as registry:
            connection = http.client.HTTPConnection(registry.host, timeout=10)
            statuses, started = [], time.monotonic()
            for _ in range(1000):
                connection.request("POST", "/v2/a/blobs/uploads/", b"")
                answer = connection.getresponse()
                answer.read()
                statuses.append(answer.status)
            connection.close()
            assert statuses == [202] * 100 + [429] * 900
            assert time.monotonic() - started < 20  # 40 s where each answer waits for the last one's receipt
            assert ask(registry, "/v2/").status == 200

    def test_connections(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr("dockless.faces.server.app._MOST_CONNECTIONS", 5)
        with EmbeddedRegistry(MemoryRepositories()) as registry:
            clients = [connect(registry) for _ in range(5)]
            time.sleep(0.1)
            assert seconds_until_cut(connect(registry)) < 2
            for client in clients:
                client.close()
            for _ in range(100):
                try:
                    assert ask(registry, "/v2/").status == 200
                    break
                except (ConnectionError, http.client.HTTPException):
                    time.sleep(0.02)
            else:
                pytest.fail("no connection was ever free again")


@pytest.mark.skipif(sys.platform == "win32", reason="no resource usage there")
def test_what_is_taken_in_and_given_out_is_never_all_in_memory(
    repositories: object, registry: EmbeddedRegistry
) -> None:
    if isinstance(repositories, MemoryRepositories):
        return
    piece = bytes(1 << 20)
    content_digest = digest(piece * 256)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    where = f"/v2/large/blobs/uploads/?digest={content_digest}"
    assert ask(registry, where, "POST", (piece for _ in range(256))).status == 201
    connection = http.client.HTTPConnection(registry.host, timeout=30)
    connection.request("GET", f"/v2/large/blobs/{content_digest}")
    answer, received = connection.getresponse(), 0
    while chunk := answer.read(1 << 20):
        received += len(chunk)
    connection.close()
    assert received == 256 << 20
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 80 << 10


class SlowReader:
    """Gives a quarter of a mebibyte every tenth of a second."""

    def __init__(self, reader: Reader) -> None:
        self._reader = reader
        self._rest = memoryview(b"")

    def read_chunk(self) -> memoryview:
        time.sleep(0.1)
        self._rest = self._rest or self._reader.read_chunk()
        chunk, self._rest = self._rest[: 256 << 10], self._rest[256 << 10 :]
        return chunk

    def close(self) -> None:
        self._reader.close()


class SlowStore(MemoryStore):
    """A store that is slow to read from and to write to; `busy` while it takes something in."""

    busy = False

    def fetch(self, wanted: Descriptor, offset: int = 0) -> Reader:
        return SlowReader(super().fetch(wanted, offset))

    def push(self, expected: Descriptor, source: Source) -> None:
        self.busy = True
        try:
            super().push(expected, lambda offset: SlowReader(source(offset)))
        finally:
            self.busy = False


class SlowRepositories(MemoryRepositories):
    def __init__(self, content: bytes = b"") -> None:
        super().__init__()
        self.target, self._source = SlowStore(), SlowStore()
        MemoryStore.push(self._source, describe(content, ""), given(content))

    def open(self, name: str) -> Repository:
        return self._source if name == "source" else super().open(name)

    def create(self, name: str) -> Repository:
        return self.target


@pytest.mark.parametrize("mount", [False, True])
def test_ending_waits_for_no_large_upload(mount: bool) -> None:
    content = bytes(64 << 20)  # 25 s for slow stores
    repositories = SlowRepositories(content)
    with EmbeddedRegistry(repositories) as registry:
        query = f"?mount={digest(content)}&from=source" if mount else f"?digest={digest(content)}"
        with connect(registry) as client:
            length = 0 if mount else len(content)
            head = f"POST /v2/a/blobs/uploads/{query} HTTP/1.1\r\nHost: x\r\nContent-Length: {length}\r\n\r\n"
            client.sendall(head.encode() + content[:length])
            while not repositories.target.busy:
                time.sleep(0.05)
            started = time.monotonic()
            registry.close()
            while repositories.target.busy:
                time.sleep(0.05)
            assert time.monotonic() - started < 5


def test_a_put_that_comes_again_finds_the_upload_ended() -> None:
    content = bytes(2 << 20)  # a second for the slow store
    with EmbeddedRegistry(SlowRepositories()) as registry:
        where = begin(registry)
        assert ask(registry, where, "PATCH", content).status == 202
        head = f"PUT {where}?digest={digest(content)} HTTP/1.1\r\nHost: x\r\nContent-Length: 0\r\n\r\n"
        with connect(registry) as first, connect(registry) as second:
            for client in (first, second):
                client.sendall(head.encode())
                time.sleep(0.2)
            assert first.recv(12) == b"HTTP/1.1 201"
            assert second.recv(12) == b"HTTP/1.1 404"
