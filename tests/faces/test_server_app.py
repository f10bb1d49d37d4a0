"""The embedded registry as a program: starting, limits, failures, ending."""

import asyncio
import http.client
import signal
import socket
import ssl
import subprocess
import sys
import threading
import time
from pathlib import Path
from urllib.parse import urlsplit

import pytest
import trustme
from starlette.types import Message, Scope

from dockless.faces.server.app import EmbeddedRegistry, create_app
from dockless.faces.server.v1 import V1Options
from dockless.model.errors import LocalFault
from dockless.model.image_id import ImageId
from tests.asking import ask, ask_raw
from tests.memory_images import MemoryImages

ROOT = Path(__file__).parents[2]
IMAGE = "a" * 64
NOTHING = MemoryImages({})
SERVING = """
from dockless.faces.server.app import serve
from dockless.faces.server.v1 import V1Options
from tests.memory_images import MemoryImages
images = MemoryImages({"a" * 64: (b"{}", bytes(64 << 20))})
serve(images, "127.0.0.1", 0, V1Options(), lambda url: print(url, flush=True))
print(images.still_open)
"""


def test_it_is_there_once_it_is_made_and_gone_once_it_is_closed() -> None:
    registry = EmbeddedRegistry(NOTHING)
    try:
        assert registry.url == f"http://{registry.host}"
        assert ask(registry, "/v1/_ping").status == 200
    finally:
        registry.close()
        registry.close()
    with pytest.raises(ConnectionRefusedError):
        ask(registry, "/v1/_ping")


def test_closing_at_once() -> None:
    for _ in range(5):
        EmbeddedRegistry(NOTHING).close()


def test_ipv6() -> None:
    with EmbeddedRegistry(NOTHING, host="::1") as registry:
        assert registry.host.startswith("[::1]:")
        assert ask(registry, "/v1/users").headers["Location"] == f"{registry.url}/v1/users/"


def test_a_port_that_is_taken() -> None:
    with EmbeddedRegistry(NOTHING) as registry, pytest.raises(LocalFault, match="cannot listen on 127"):
        EmbeddedRegistry(NOTHING, port=int(registry.host.rpartition(":")[2]))


def test_tls(tmp_path: Path) -> None:
    authority = trustme.CA()
    issued = authority.issue_cert("127.0.0.1")
    certificate, key = tmp_path / "cert.pem", tmp_path / "key.pem"
    certificate.write_bytes(b"".join(blob.bytes() for blob in issued.cert_chain_pems))
    issued.private_key_pem.write_to_path(key)
    context = ssl.create_default_context()
    authority.configure_trust(context)
    with EmbeddedRegistry(NOTHING, tls=(str(certificate), str(key))) as registry:
        assert registry.url.startswith("https://127.0.0.1:")
        connection = http.client.HTTPSConnection(registry.host, context=context, timeout=10)
        connection.request("GET", "/v1/users")
        response = connection.getresponse()
        connection.close()
    assert response.headers["Location"] == f"{registry.url}/v1/users/"


def test_a_certificate_that_is_none(tmp_path: Path) -> None:
    nonsense = tmp_path / "cert.pem"
    nonsense.write_text("nonsense")
    for path in (str(nonsense), str(tmp_path / "missing.pem")):
        with pytest.raises(LocalFault, match="cannot use the certificate"):
            EmbeddedRegistry(NOTHING, tls=(path, path))


def test_a_connection_at_rest_ends(capfd: pytest.CaptureFixture[str]) -> None:
    with EmbeddedRegistry(NOTHING) as registry:
        started = time.monotonic()
        answer = ask_raw(registry, "GET /v1/_ping HTTP/1.1\r\nHost: x\r\n\r\n")
        assert answer.body == b"{}"
        assert 1 < time.monotonic() - started < 4
    assert capfd.readouterr() == ("", "")


def test_headers_without_end() -> None:
    with EmbeddedRegistry(NOTHING) as registry:
        answer = ask_raw(registry, "GET /v1/_ping HTTP/1.1\r\nHost: x\r\nX-Long: " + "a" * 20000)
        assert answer.status == 400


@pytest.mark.parametrize("request_text", ["nonsense\r\n\r\n", "GET / HTTP/1.1\r\n\r\n"])
def test_what_is_not_http_makes_no_noise(request_text: str, capfd: pytest.CaptureFixture[str]) -> None:
    with EmbeddedRegistry(NOTHING) as registry:
        assert ask_raw(registry, request_text).status == 400
        upgrade = {"Connection": "Upgrade", "Upgrade": "websocket"}
        assert ask(registry, "/v1/_ping", **upgrade).status == 200
    assert capfd.readouterr() == ("", "")


class FailingImages(MemoryImages):
    """A store that fails at names, and is slow at images until `go_on` is set."""

    def __init__(self) -> None:
        super().__init__({IMAGE: (b"{}", b"")})
        self.go_on = threading.Event()

    def tags(self, repository: str) -> dict[str, ImageId]:
        raise LocalFault("the disk is gone")

    def ancestry(self, image_id: ImageId) -> list[ImageId]:
        self.go_on.wait(10)
        return [image_id]


def test_a_store_that_fails_is_html_500(capfd: pytest.CaptureFixture[str]) -> None:
    with EmbeddedRegistry(FailingImages()) as registry:
        for _ in range(2):
            answer = ask(registry, "/v1/repositories/demo/tags")
            assert (answer.status, answer.headers.get_content_type()) == (500, "text/html")
            assert b"disk" not in answer.body
    assert capfd.readouterr() == ("", "")


def test_a_store_that_is_slow_holds_up_nobody_else() -> None:
    images = FailingImages()
    with EmbeddedRegistry(images) as registry:
        slow = threading.Thread(target=ask, args=(registry, f"/v1/images/{IMAGE}/ancestry"))
        slow.start()
        assert ask(registry, "/v1/_ping").status == 200
        assert slow.is_alive()
        images.go_on.set()
        slow.join()


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_serve_ends_within_a_second_though_a_client_stalls(number: signal.Signals) -> None:
    pipe = subprocess.PIPE
    with subprocess.Popen([sys.executable, "-c", SERVING], cwd=ROOT, stdout=pipe, stderr=pipe) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        place = urlsplit(process.stdout.readline().decode().strip())
        with socket.create_connection((place.hostname, place.port), timeout=10) as client:
            client.sendall(f"GET /v1/images/{IMAGE}/layer HTTP/1.1\r\nHost: x\r\n\r\n".encode())
            assert client.recv(100).startswith(b"HTTP/1.1 200")
            started = time.monotonic()
            process.send_signal(number)
            assert process.stdout.read() == b"0\n"
            assert time.monotonic() - started < 1.5  # with the interpreter's own ending
        assert (process.wait(), process.stderr.read()) == (0, b"")


def test_on_a_server_that_is_not_ours_the_rest_that_never_comes_is_left_open() -> None:
    images = MemoryImages({IMAGE: (b"{}", b"layer")})
    sent: list[Message] = []

    async def receive() -> Message:
        await asyncio.sleep(0)  # cancelled here: nothing more comes from the client
        return {"type": "http.request", "body": b"", "more_body": False}

    async def send(message: Message) -> None:
        sent.append(message)

    scope: Scope = {
        "type": "http",
        "method": "GET",
        "path": f"/v1/images/{IMAGE}/layer",
        "headers": [(b"range", b"bytes=1-")],
        "query_string": b"",
    }
    asyncio.run(create_app(images, V1Options())(scope, receive, send))
    assert [message.get("body") for message in sent] == [None, b"ayer"]
    assert sent[-1]["more_body"]
    assert images.still_open == 0
