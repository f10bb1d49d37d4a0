"""The embedded registry under attack: framing, paths, other people's uploads, what is left behind, bombs."""

import os
import re
import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple, cast

import pytest

from dockless.faces.server.app import EmbeddedRegistry
from dockless.faces.server.v2 import V2Options
from dockless.stores.repositories import LayoutRoot, MemoryRepositories
from tests.asking import ask
from tests.faces.command import command
from tests.faces.test_attack_memory import filled
from tests.pushing import LAYER, begin, codes, digest, manifest, put_blob, put_image, put_manifest

linux = pytest.mark.skipif(not Path("/proc/self/fd").is_dir(), reason="needs Linux' /proc")


@pytest.fixture
def registry(tmp_path: Path) -> Iterator[EmbeddedRegistry]:
    with EmbeddedRegistry(LayoutRoot(tmp_path / "root"), patience=2) as registry:
        yield registry


def talk(registry: EmbeddedRegistry, raw: bytes) -> bytes:
    """Send bytes, and return all that comes until the server closes, or one second of silence."""
    host, _, port = registry.host.partition(":")
    with socket.create_connection((host, int(port)), timeout=1) as connection:
        connection.sendall(raw)
        got = bytearray()
        try:
            while chunk := connection.recv(1 << 16):
                got += chunk
        except (TimeoutError, ConnectionResetError):
            pass
    return bytes(got)


HEAD = b"POST /v2/a/blobs/uploads/ HTTP/1.1\r\nHost: x\r\n"
SMUGGLED = b"GET /v2/_catalog HTTP/1.1\r\nHost: x\r\n\r\n"
FRAMINGS = {
    "two lengths": b"Content-Length: 5\r\nContent-Length: 6\r\n\r\nabcde",
    "both": b"Content-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
    "chunked twice": b"Transfer-Encoding: chunked, chunked\r\n\r\n0\r\n\r\n",
    "identity": b"Transfer-Encoding: identity\r\n\r\n",
    "a tab": b"Transfer-Encoding:\tchunked\r\nContent-Length: 3\r\n\r\n0\r\n\r\n",
    "a space": b"Transfer-Encoding : chunked\r\n\r\n0\r\n\r\n",
    "a fold": b"Transfer-Encoding:\r\n chunked\r\nContent-Length: 5\r\n\r\n0\r\n\r\n",
    "a plus": b"Content-Length: +5\r\n\r\nabcde",
    "a minus": b"Content-Length: -5\r\n\r\nabcde",
    "hex": b"Content-Length: 0x5\r\n\r\nabcde",
    "a list": b"Content-Length: 5, 6\r\n\r\nabcde",
    "many digits": b"Content-Length: " + b"9" * 5000 + b"\r\n\r\nabcde",
    "a negative chunk": b"Transfer-Encoding: chunked\r\n\r\n-5\r\nabcde\r\n0\r\n\r\n",
    "a large chunk": b"Transfer-Encoding: chunked\r\n\r\n" + b"f" * 40 + b"\r\nabcde\r\n0\r\n\r\n",
    "a bare return": b"X: a\rTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
    "no name": b": x\r\n\r\n",
    "a zero byte": b"X: a\0b\r\n\r\n",
}


@pytest.mark.parametrize("framing", FRAMINGS)
def test_framing_that_can_be_read_in_two_ways_is_refused(
    registry: EmbeddedRegistry, capfd: pytest.CaptureFixture[str], framing: str
) -> None:
    answer = talk(registry, HEAD + FRAMINGS[framing] + SMUGGLED)
    assert b"repositories" not in answer
    assert re.match(rb"HTTP/1\.1 (400|501) ", answer), answer[:200]
    assert answer.count(b"HTTP/1.1 ") == 1
    assert capfd.readouterr() == ("", "")
    assert ask(registry, "/v2/").status == 200


PATHS = [
    "/v2/../../../etc/passwd",
    "/v2/a/../b/blobs/DIGEST",
    "/v2/a/%2e%2e/b/blobs/DIGEST",
    "/v2/a%2f..%2fb/blobs/DIGEST",
    "/v2//b/blobs/DIGEST",
    "/v2/./b/blobs/DIGEST",
    "/v2/b%00/blobs/DIGEST",
    "/v2/b/blobs/sha256:..%2f..%2f..%2findex.json",
    "/v2/b/blobs/sha256:%2fetc%2fpasswd",
    "/v2/b/blobs/../../b/blobs/DIGEST",
    "/v2/b/manifests/..%2findex.json",
    "/v2/b/manifests/.index.json.lock",
    "/v2/b/manifests/blobs%2fsha256",
    "/v2/b/blobs/uploads/..%2f..%2f..%2fetc%2fpasswd",
    "/v2/b/blobs/manifests/1",
    "/v2/b/blobs/tags/list",
    "/v1/images/..%2f..%2fetc%2fpasswd/json",
    "/v1/images/../../etc/passwd/layer",
    "/v1/repositories/../../b/tags",
    "/v1/repositories/..%2fb/tags",
    "/v1/repositories/b%00/tags",
    "/v1/repositories/b/blobs/tags",
]


@pytest.mark.parametrize("path", PATHS)
@pytest.mark.parametrize("method", ["GET", "DELETE", "PUT"])
def test_a_path_leads_nowhere_else(registry: EmbeddedRegistry, tmp_path: Path, method: str, path: str) -> None:
    put_image(registry, "b", "1", LAYER)
    before = sorted(tmp_path.rglob("*"))
    target = path.replace("DIGEST", digest(LAYER))
    answer = talk(
        registry, f"{method} {target} HTTP/1.1\r\nHost: x\r\nContent-Length: 0\r\nConnection: close\r\n\r\n".encode()
    )
    status = int(answer.split()[1])
    assert status in {301, 400, 404, 405}, answer
    assert b"root:" not in answer
    assert LAYER not in answer
    assert str(tmp_path).encode() not in answer
    assert sorted(tmp_path.rglob("*")) == before


def test_an_upload_belongs_to_its_repository(registry: EmbeddedRegistry) -> None:
    here = begin(registry, "a")
    there = here.replace("/v2/a/", "/v2/b/")
    assert there != here
    for method in ("GET", "PATCH", "PUT", "DELETE"):
        query = f"?digest={digest(b'x')}" if method == "PUT" else ""
        assert codes(ask(registry, there + query, method, b"x"))[0] == "BLOB_UPLOAD_UNKNOWN"
    assert ask(registry, here).status == 204


@pytest.mark.parametrize("algorithm", ["md5", "sha1", "sha384", "SHA256", "sha256+b64", "blake3", ""])
def test_a_digest_of_another_algorithm_is_refused(registry: EmbeddedRegistry, algorithm: str) -> None:
    where = begin(registry, "a")
    assert ask(registry, f"{where}?digest={algorithm}:{'0' * 64}", "PUT", b"x").status == 400
    assert ask(registry, f"/v2/a/blobs/uploads/?digest={algorithm}:{'0' * 64}", "POST", b"x").status == 400
    assert ask(registry, f"/v2/a/blobs/uploads/?mount={algorithm}:{'0' * 64}&from=b", "POST", b"").status == 400


def spooled() -> int:
    """Return how many bytes lie in files of this process that have no name."""
    total = 0
    for name in os.listdir("/proc/self/fd"):  # noqa: PTH208
        try:
            if "deleted" in os.readlink(f"/proc/self/fd/{name}"):  # noqa: PTH115
                total += os.stat(f"/proc/self/fd/{name}").st_size  # noqa: PTH116
        except OSError:
            continue
    return total


@linux
def test_an_abandoned_upload_gives_its_room_back_though_nobody_asks(tmp_path: Path) -> None:
    content = bytes(4 << 20)
    with EmbeddedRegistry(LayoutRoot(tmp_path), v2=V2Options(upload_seconds=0.3)) as registry:
        where = begin(registry, "a")
        assert ask(registry, where, "PATCH", content).status == 202
        assert spooled() >= len(content)
        until = time.monotonic() + 10
        while spooled() >= len(content) and time.monotonic() < until:
            time.sleep(0.1)
        assert spooled() < len(content)
        assert ask(registry, where).status == 404


class Served(NamedTuple):
    """A server of its own, at `host`."""

    process: "subprocess.Popen[bytes]"
    host: str


@contextmanager
def served(*arguments: str) -> Iterator[Served]:
    with subprocess.Popen(command("serve", *arguments, "--listen", "127.0.0.1:0"), stderr=subprocess.PIPE) as process:
        try:
            assert process.stderr is not None
            yield Served(process, process.stderr.readline().decode().partition("http://")[2].split()[0])
        finally:
            process.kill()


@linux
def test_a_server_that_is_killed_leaves_nothing_of_an_upload(tmp_path: Path) -> None:
    with served(str(tmp_path)) as server:
        address, _, port = server.host.partition(":")
        with (
            socket.create_connection((address, int(port)), timeout=10) as connection,
            connection.makefile("rb") as stream,
        ):
            connection.sendall(b"POST /v2/a/blobs/uploads/ HTTP/1.1\r\nHost: x\r\nContent-Length: 0\r\n\r\n")
            head = b"".join(iter(stream.readline, b"\r\n"))
            location = re.search(rb"(?i)location: (\S+)", head)
            assert location is not None
            connection.sendall(b"PATCH %b HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\n\r\n" % (location[1], 8 << 20))
            connection.sendall(bytes(4 << 20))
            time.sleep(0.3)
            server.process.kill()
            server.process.wait(10)
    assert list(tmp_path.rglob("*")) == []


@linux
@pytest.mark.parametrize("kind", ["config", "manifest"])
def test_a_document_of_many_values_does_not_use_up_memory(kind: str) -> None:
    with served("--memory") as server:
        registry = cast("EmbeddedRegistry", server)  # what asks needs to know the host
        if kind == "config":
            config = filled(b'{"os":"linux","history":"here"}', b"{}")
            put_blob(registry, "library/a", config)
            assert put_manifest(registry, "library/a", "1", manifest(config)).status == 201
            ask(registry, "/v1/repositories/library/a/tags")
        else:
            put_blob(registry, "a", b"{}")
            raw = filled(manifest(b"{}", fsLayers="here"), b"[]", 4 << 20)
            assert put_manifest(registry, "a", "1", raw).status == 400
        found = re.search(r"VmHWM:\s+([0-9]+)", Path(f"/proc/{server.process.pid}/status").read_text())
    assert found is not None
    assert int(found[1]) < 110 << 10


def test_memory_has_no_repository_of_a_name_that_is_none() -> None:
    with EmbeddedRegistry(MemoryRepositories()) as registry:
        assert ask(registry, "/v2/A/tags/list").status in {400, 404}
        assert ask(registry, "/v2/a/blobs/uploads/?mount=" + digest(b"x") + "&from=..%2f..", "POST", b"").status == 202
