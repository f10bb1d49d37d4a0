"""Uploads to the embedded registry: every way the specification has, and the ways it has not."""

import http.client
import re
import socket
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from dockless.faces.server.app import EmbeddedRegistry
from dockless.faces.server.v2 import V2Options
from dockless.stores.repositories import LayoutRoot, MemoryRepositories
from tests.asking import Answer, ask
from tests.pushing import LAYER, begin, codes, digest, put_blob, wait_for_range

LARGE = bytes(range(256)) * 8000  # more than what stays in memory
PIECES = [LARGE[:900_000], LARGE[900_000:1_500_000], LARGE[1_500_000:]]


def assert_there(
    registry: EmbeddedRegistry, name: str, content: bytes, answer: Answer, algorithm: str = "sha256"
) -> None:
    wanted = digest(content, algorithm)
    assert answer.status == 201, answer
    assert answer.headers["Docker-Content-Digest"] == wanted
    assert answer.headers["Location"] == f"/v2/{name}/blobs/{wanted}"
    assert ask(registry, answer.headers["Location"]).body == content


def patch(registry: EmbeddedRegistry, where: str, content: bytes, first: int | None = None) -> Answer:
    part = {} if first is None else {"Content_Range": f"{first}-{first + len(content) - 1}"}
    return ask(registry, where, "PATCH", content, Content_Type="application/octet-stream", **part)


def finish(registry: EmbeddedRegistry, where: str, content: bytes, last: bytes = b"", **headers: str) -> Answer:
    return ask(registry, f"{where}?digest={digest(content)}", "PUT", last, **headers)


class TestWhole:
    @pytest.mark.parametrize("content", [b"", LAYER, LARGE])
    def test_in_a_single_post(self, registry: EmbeddedRegistry, name: str, content: bytes) -> None:
        answer = ask(registry, f"/v2/{name}/blobs/uploads/?digest={digest(content)}", "POST", content)
        assert_there(registry, name, content, answer)

    @pytest.mark.parametrize("content", [b"", LAYER, LARGE])
    def test_by_post_and_put(self, registry: EmbeddedRegistry, name: str, content: bytes) -> None:
        assert_there(registry, name, content, finish(registry, begin(registry, name), content, content))

    def test_without_a_length(self, registry: EmbeddedRegistry, name: str) -> None:
        answer = ask(registry, f"{begin(registry, name)}?digest={digest(LARGE)}", "PUT", iter(PIECES))
        assert_there(registry, name, LARGE, answer)

    def test_without_the_slash_at_the_end(self, registry: EmbeddedRegistry, name: str) -> None:
        assert ask(registry, f"/v2/{name}/blobs/uploads", "POST", b"").status == 202

    def test_what_is_there_already(self, registry: EmbeddedRegistry, name: str) -> None:
        for _ in range(2):
            assert_there(registry, name, LAYER, finish(registry, begin(registry, name), LAYER, LAYER))

    @pytest.mark.parametrize("query", ["", "?digest-algorithm=sha512"])
    def test_by_another_algorithm(self, registry: EmbeddedRegistry, name: str, query: str) -> None:
        where = begin(registry, name, query)
        answer = ask(registry, f"{where}?digest={digest(LARGE, 'sha512')}", "PUT", LARGE)
        assert_there(registry, name, LARGE, answer, "sha512")
        single = f"/v2/{name}/blobs/uploads/?digest={digest(LAYER, 'sha512')}"
        assert_there(registry, name, LAYER, ask(registry, single, "POST", LAYER), "sha512")

    def test_an_algorithm_that_is_none(self, registry: EmbeddedRegistry, name: str) -> None:
        answer = ask(registry, f"/v2/{name}/blobs/uploads/?digest-algorithm=md5", "POST", b"")
        assert (answer.status, codes(answer)) == (400, ["DIGEST_INVALID"])

    @pytest.mark.parametrize("algorithm", ["sha256", "sha512"])
    @pytest.mark.parametrize("there", [False, True])
    def test_another_digest_is_refused(
        self, registry: EmbeddedRegistry, name: str, algorithm: str, there: bool
    ) -> None:
        wanted = digest(LAYER, algorithm)
        if there:
            ask(registry, f"/v2/{name}/blobs/uploads/?digest={wanted}", "POST", LAYER)
        where = begin(registry, name)
        for url, method in (
            (f"{where}?digest={wanted}", "PUT"),
            (f"/v2/{name}/blobs/uploads/?digest={wanted}", "POST"),
        ):
            answer = ask(registry, url, method, LAYER + b"!")
            assert (answer.status, codes(answer)) == (400, ["DIGEST_INVALID"])
        assert ask(registry, where).status == 404
        assert ask(registry, f"/v2/{name}/blobs/{wanted}").status == (200 if there else 404)

    def test_nothing_is_made_of_what_is_refused(self, tmp_path: Path) -> None:
        with EmbeddedRegistry(LayoutRoot(tmp_path)) as registry:
            finish(registry, begin(registry, "a/b"), LARGE, LARGE[1:])
            begin(registry, "a/b")
            assert list(tmp_path.iterdir()) == []


class TestChunks:
    def test_in_order(self, registry: EmbeddedRegistry, name: str) -> None:
        where, done = begin(registry, name), 0
        for piece in PIECES:
            answer = patch(registry, where, piece, done)
            done += len(piece)
            assert (answer.status, answer.headers["Range"]) == (202, f"0-{done - 1}")
            where = answer.headers["Location"]
        assert_there(registry, name, LARGE, finish(registry, where, LARGE))

    def test_the_last_with_the_put(self, registry: EmbeddedRegistry, name: str) -> None:
        where = begin(registry, name)
        patch(registry, where, LARGE[:-10], 0)
        part = f"{len(LARGE) - 10}-{len(LARGE) - 1}"
        assert_there(registry, name, LARGE, finish(registry, where, LARGE, LARGE[-10:], Content_Range=part))

    def test_as_a_stream(self, registry: EmbeddedRegistry, name: str) -> None:
        where = begin(registry, name)
        for stream in (iter(PIECES[:2]), iter(PIECES[2:])):
            assert ask(registry, where, "PATCH", stream).status == 202
        assert_there(registry, name, LARGE, finish(registry, where, LARGE))

    @pytest.mark.parametrize("method", ["PATCH", "PUT"])
    def test_out_of_order_is_416_and_goes_on_where_it_is(
        self, registry: EmbeddedRegistry, name: str, method: str
    ) -> None:
        where = begin(registry, name)
        patch(registry, where, LAYER[:100], 0)
        url = f"{where}?digest={digest(LAYER)}" if method == "PUT" else where
        for first in (0, 50, 200):
            answer = ask(registry, url, method, LAYER[first:], Content_Range=f"{first}-{len(LAYER) - 1}")
            assert (answer.status, answer.body, answer.headers["Range"]) == (416, b"", "0-99")
            assert answer.headers["Location"] == where
        status = ask(registry, where)
        assert (status.status, status.headers["Range"], status.headers["Location"]) == (204, "0-99", where)
        patch(registry, where, LAYER[100:], 100)
        assert_there(registry, name, LAYER, finish(registry, where, LAYER))

    @pytest.mark.parametrize(
        "part", ["bytes 0-9/10", "0-", "-9", "a-b", "0-9,20-29", "\u0660-\u0669", "0-" + "9" * 30, "0 -9"]
    )
    def test_a_content_range_that_is_none(self, registry: EmbeddedRegistry, name: str, part: str) -> None:
        answer = ask(
            registry, begin(registry, name), "PATCH", b"0123456789", Content_Range=part.encode().decode("latin-1")
        )
        assert (answer.status, codes(answer)) == (400, ["BLOB_UPLOAD_INVALID"])

    @pytest.mark.parametrize("part", ["0-8", "0-10", "9-0"])
    @pytest.mark.parametrize("stream", [False, True])
    def test_a_content_range_of_another_length(
        self, registry: EmbeddedRegistry, name: str, part: str, stream: bool
    ) -> None:
        content = iter([b"0123456789"]) if stream else b"0123456789"
        answer = ask(registry, begin(registry, name), "PATCH", content, Content_Range=part)
        assert (answer.status, codes(answer)) == (400, ["SIZE_INVALID"])

    def test_nothing_yet_looks_as_one_byte_does(self, registry: EmbeddedRegistry, name: str) -> None:
        assert ask(registry, begin(registry, name)).headers["Range"] == "0-0"

    def test_chunks_may_not_be_too_short(self) -> None:
        with EmbeddedRegistry(MemoryRepositories(), v2=V2Options(shortest_chunk=100)) as registry:
            answer = ask(registry, "/v2/a/blobs/uploads/", "POST", b"")
            assert answer.headers["OCI-Chunk-Min-Length"] == "100"
            where = answer.headers["Location"]
            assert patch(registry, where, LAYER[:100], 0).status == 202
            assert patch(registry, where, LAYER[100:199], 100).status == 202
            refused = patch(registry, where, LAYER[199:], 199)
            assert (refused.status, codes(refused)) == (416, ["BLOB_UPLOAD_INVALID"])
            assert_there(registry, "a", LAYER[:199], finish(registry, where, LAYER[:199]))


class TestGivingUp:
    def test_cancelled_is_gone(self, registry: EmbeddedRegistry, name: str) -> None:
        where = begin(registry, name)
        patch(registry, where, LARGE)
        assert ask(registry, where, "DELETE").status == 204
        for method in ("GET", "PATCH", "PUT", "DELETE"):
            answer = ask(registry, f"{where}?digest={digest(b'')}", method, b"")
            assert (answer.status, codes(answer)) == (404, ["BLOB_UPLOAD_UNKNOWN"])

    @pytest.mark.parametrize("wrong", ["x", "..%2F..%2Fetc%2Fpasswd", "%2e%2e", "0" * 32, "%00", "a" * 5000])
    def test_an_upload_that_is_none(self, registry: EmbeddedRegistry, name: str, wrong: str) -> None:
        begin(registry, name)
        for method in ("GET", "PATCH", "DELETE"):
            answer = ask(registry, f"/v2/{name}/blobs/uploads/{wrong}", method, b"")
            assert (answer.status, codes(answer)[0][:5]) in {(404, "BLOB_"), (404, "NAME_"), (400, "NAME_")}

    def test_an_upload_belongs_to_its_repository(self, registry: EmbeddedRegistry, name: str) -> None:
        where = begin(registry, name).replace(name, f"{name}/other")
        for method in ("GET", "PATCH", "DELETE"):
            assert ask(registry, where, method, b"").status == 404

    def test_ids_cannot_be_guessed(self, registry: EmbeddedRegistry, name: str) -> None:
        ids = {begin(registry, name).rpartition("/")[2] for _ in range(10)}
        assert len(ids) == 10
        assert all(re.fullmatch("[0-9a-f]{32}", one) for one in ids)

    def test_only_so_many_are_open(self) -> None:
        with EmbeddedRegistry(MemoryRepositories(), v2=V2Options(most_uploads=3)) as registry:
            first, *_ = [begin(registry) for _ in range(3)]
            answer = ask(registry, "/v2/a/blobs/uploads/", "POST", b"")
            assert (answer.status, codes(answer)) == (429, ["TOOMANYREQUESTS"])
            assert int(answer.headers["Retry-After"]) > 0
            ask(registry, first, "DELETE")
            assert_there(registry, "a/b", LAYER, finish(registry, begin(registry), LAYER, LAYER))
            begin(registry)

    def test_one_that_nobody_writes_to_ends(self) -> None:
        with EmbeddedRegistry(MemoryRepositories(), v2=V2Options(most_uploads=1, upload_seconds=0.2)) as registry:
            where = begin(registry)
            assert ask(registry, "/v2/a/blobs/uploads/", "POST", b"").status == 429
            time.sleep(0.3)
            assert ask(registry, where).status == 404
            begin(registry)


class TestLimits:
    @pytest.fixture
    def small(self) -> Iterator[EmbeddedRegistry]:
        with EmbeddedRegistry(MemoryRepositories(), v2=V2Options(longest_blob=len(LARGE), most_uploads=5)) as registry:
            yield registry

    def test_a_blob_as_long_as_may_be(self, small: EmbeddedRegistry) -> None:
        assert_there(small, "a/b", LARGE, finish(small, begin(small), LARGE, LARGE))

    @pytest.mark.parametrize("stream", [False, True])
    def test_a_blob_that_is_too_long(self, small: EmbeddedRegistry, stream: bool) -> None:
        for _ in range(6):  # and nothing of it is kept
            content = LARGE + b"!"
            where = f"/v2/a/blobs/uploads/?digest={digest(content)}"
            answer = ask(small, where, "POST", iter([content]) if stream else content)
            assert (answer.status, codes(answer)) == (413, ["SIZE_INVALID"])

    def test_what_is_announced_as_too_long_is_not_waited_for(self, small: EmbeddedRegistry) -> None:
        where = begin(small)
        host, _, port = small.host.rpartition(":")
        with socket.create_connection((host, int(port)), timeout=10) as client:
            client.sendall(f"PATCH {where} HTTP/1.1\r\nHost: x\r\nContent-Length: {1 << 40}\r\n\r\n".encode())
            assert client.recv(12) == b"HTTP/1.1 413"

    def test_a_chunk_too_many(self, small: EmbeddedRegistry) -> None:
        where = begin(small)
        assert patch(small, where, LARGE).status == 202
        assert patch(small, where, b"!").status == 413
        assert ask(small, where).status == 404


def half_a_patch(registry: EmbeddedRegistry, where: str, content: bytes) -> socket.socket:
    """Send half of a chunk, wait until the registry has it, and return the connection."""
    host, _, port = registry.host.rpartition(":")
    client = socket.create_connection((host, int(port)), timeout=10)
    head = f"PATCH {where} HTTP/1.1\r\nHost: x\r\nContent-Length: {len(content)}\r\n\r\n"
    client.sendall(head.encode() + content[: len(content) // 2])
    return client


class TestBrokenConnections:
    def test_what_came_is_kept_and_gone_on_from(self, registry: EmbeddedRegistry, name: str) -> None:
        where = begin(registry, name)
        half_a_patch(registry, where, LARGE).close()
        there = wait_for_range(registry, where, len(LARGE) // 2 - 1)
        assert there == len(LARGE) // 2
        assert patch(registry, where, LARGE[there:], there).status == 202
        assert_there(registry, name, LARGE, finish(registry, where, LARGE))

    def test_whoever_comes_back_takes_over(self, registry: EmbeddedRegistry, name: str) -> None:
        where = begin(registry, name)
        with half_a_patch(registry, where, LARGE) as stalled:
            there = wait_for_range(registry, where, 500_000)
            while patch(registry, where, LARGE[there:], there).status == 416:  # some more came meanwhile
                there = wait_for_range(registry, where, there)
            stalled.sendall(LARGE[len(LARGE) // 2 :])
            assert stalled.recv(12) == b"HTTP/1.1 409"
        assert_there(registry, name, LARGE, finish(registry, where, LARGE))

    def test_whoever_is_refused_takes_nothing_over(self, registry: EmbeddedRegistry, name: str) -> None:
        where = begin(registry, name)
        with half_a_patch(registry, where, LARGE) as client:
            wait_for_range(registry, where, 500_000)
            assert patch(registry, where, LAYER, 7).status == 416
            client.sendall(LARGE[len(LARGE) // 2 :])
            assert client.recv(12) == b"HTTP/1.1 202"
        assert_there(registry, name, LARGE, finish(registry, where, LARGE))

    def test_a_put_that_was_cancelled_keeps_nothing(self, registry: EmbeddedRegistry, name: str) -> None:
        where = begin(registry, name)
        with half_a_patch(registry, f"{where}?digest={digest(LARGE)}", LARGE) as stalled:
            wait_for_range(registry, where, 500_000)
            assert ask(registry, where, "DELETE").status == 204
            stalled.sendall(LARGE[len(LARGE) // 2 :])
            assert stalled.recv(12) == b"HTTP/1.1 404"
        assert ask(registry, f"/v2/{name}/blobs/{digest(LARGE)}").status == 404


class TestMount:
    def test_from_another_repository(self, registry: EmbeddedRegistry, name: str) -> None:
        wanted = put_blob(registry, f"{name}/source", LARGE)
        answer = ask(registry, f"/v2/{name}/blobs/uploads/?mount={wanted}&from={name}/source", "POST", b"")
        assert_there(registry, name, LARGE, answer)
        assert ask(registry, f"/v2/{name}/source/blobs/{wanted}", "DELETE").status == 202
        assert ask(registry, f"/v2/{name}/blobs/{wanted}").body == LARGE

    def test_what_is_here_already(self, registry: EmbeddedRegistry, name: str) -> None:
        wanted = put_blob(registry, name, LAYER)
        for source in ("", f"&from={name}"):
            assert ask(registry, f"/v2/{name}/blobs/uploads/?mount={wanted}{source}", "POST", b"").status == 201

    @pytest.mark.parametrize("source", ["", "&from=not/there", "&from=..%2Fetc", "&from=", "&from=A", "&from=a/blobs"])
    def test_what_cannot_be_mounted_is_an_upload(self, registry: EmbeddedRegistry, name: str, source: str) -> None:
        where = begin(registry, name, f"?mount={digest(b'nowhere')}{source}")
        assert_there(registry, name, LAYER, finish(registry, where, LAYER, LAYER))

    def test_what_is_damaged_is_an_upload(self, tmp_path: Path) -> None:
        with EmbeddedRegistry(LayoutRoot(tmp_path)) as registry:
            wanted = put_blob(registry, "source", LAYER)
            file = tmp_path / "source" / "blobs" / wanted.replace(":", "/")
            file.chmod(0o600)
            file.write_bytes(LAYER[::-1])
            where = begin(registry, "a", f"?mount={wanted}&from=source")
            assert_there(registry, "a", LAYER, finish(registry, where, LAYER, LAYER))

    def test_nothing_that_was_deleted_comes_back(self, registry: EmbeddedRegistry, name: str) -> None:
        wanted = put_blob(registry, f"{name}/source", LAYER)
        ask(registry, f"/v2/{name}/source/blobs/{wanted}", "DELETE")
        assert ask(registry, f"/v2/{name}/blobs/uploads/?mount={wanted}&from={name}/source", "POST", b"").status == 202


def test_many_at_once(registry: EmbeddedRegistry, name: str) -> None:
    contents = [LARGE + bytes([number]) for number in range(8)] * 2
    answers: list[int] = []

    def push(content: bytes) -> None:
        answers.append(finish(registry, begin(registry, name), content, content).status)

    threads = [threading.Thread(target=push, args=(content,)) for content in contents]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert answers == [201] * 16
    for content in contents[:8]:
        assert ask(registry, f"/v2/{name}/blobs/{digest(content)}").body == content


def test_a_client_that_asks_first_is_told_to_go_on_or_not(registry: EmbeddedRegistry, name: str) -> None:
    host, _, port = registry.host.rpartition(":")
    for where, expected in ((begin(registry, name), b"HTTP/1.1 100"), ("/v2/a/blobs/uploads/none", b"HTTP/1.1 404")):
        with socket.create_connection((host, int(port)), timeout=10) as client:
            head = f"PATCH {where} HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\nExpect: 100-continue\r\n\r\n"
            client.sendall(head.encode())
            assert client.recv(12) == expected


def test_a_connection_carries_many_requests(registry: EmbeddedRegistry, name: str) -> None:
    connection = http.client.HTTPConnection(registry.host, timeout=10)
    for number in range(3):
        content = LAYER + bytes([number])
        for method, path, body in (
            ("PUT", f"/v2/{name}/manifests/x", b"no manifest"),
            ("POST", f"/v2/{name}/blobs/uploads/?digest={digest(content)}", content),
            ("GET", f"/v2/{name}/blobs/{digest(content)}", b""),
        ):
            connection.request(method, path, body)
            answer = connection.getresponse()
            answer.read()
            assert answer.status == {"PUT": 400, "POST": 201, "GET": 200}[method]
    connection.close()
