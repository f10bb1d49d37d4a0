"""`dockless serve` as a process: what it says, what it serves, what it demands, and how it ends."""

import re
import signal
import socket
import ssl
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
import trustme

from dockless.stores.v1_directory import V1Directory
from dockless.testing.images import make_image
from tests.faces.command import call, command, stored
from tests.scripted import NAME, one_layer

IMAGES = make_image({"a": b"1"}, {"b": b"2"})
TOP = IMAGES[0]
BIG = one_layer(64_000_000)
TAGS = f"/v1/repositories/{NAME}/tags"

needs_signals = pytest.mark.skipif(sys.platform == "win32", reason="a console event there reaches the tests, too")


class Serving:
    """A server that is up: its process and where it is."""

    def __init__(self, process: subprocess.Popen[str], said: str) -> None:
        found = re.search(r" at (https?://(\S+)) ", said)
        assert found is not None, said
        self.process = process
        self.said = said
        self.url, self.host = found[1], found[2]

    @property
    def place(self) -> str:
        return f"v1:{self.host}/{NAME}"

    def connect(self) -> socket.socket:
        host, _, port = self.host.rpartition(":")
        return socket.create_connection((host.strip("[]"), int(port)), timeout=10)

    def status(self, path: str, **headers: str) -> int:
        try:
            with urllib.request.urlopen(urllib.request.Request(self.url + path, headers=headers), timeout=10) as answer:
                status: int = answer.status
                return status
        except urllib.error.HTTPError as error:
            with error:
                return error.code


@contextmanager
def serving(root: Path, *flags: str, cwd: Path | None = None) -> Iterator[Serving]:
    """Serve `root` on a free port, unless `cwd` says where to serve the current directory."""
    where = [] if cwd is not None else [str(root)]
    listen = [] if "--listen" in flags else ["--listen", "127.0.0.1:0"]
    process = subprocess.Popen(
        command("serve", *where, *listen, *flags),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        cwd=cwd,
    )
    with process:
        try:
            assert process.stderr is not None
            yield Serving(process, process.stderr.readline())
        finally:
            process.terminate()
            process.communicate(timeout=20)


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("images")
    stored(root, [*IMAGES, BIG], {"1.0": TOP, "big": BIG})
    return root


class TestServing:
    def test_the_url_is_said_on_standard_error(self, root: Path) -> None:
        with serving(root) as server:
            assert re.fullmatch(rf"serving {root} at http://127\.0\.0\.1:[0-9]+ \(Ctrl-C ends\)\n", server.said)
            assert server.status("/v1/_ping") == 200

    def test_what_it_serves_can_be_pulled_and_served_again(
        self, capsys: pytest.CaptureFixture[str], root: Path, tmp_path: Path
    ) -> None:
        with serving(root) as server:
            code, out, err = call(capsys, "pull", f"{server.place}:1.0", str(tmp_path))
        assert (code, out) == (0, f"{TOP.id}\n")
        assert err.count(", verified\n") == len(IMAGES)
        pulled = V1Directory(tmp_path)
        assert [pulled.image(one.id) for one in IMAGES] == [V1Directory(root).image(one.id) for one in IMAGES]
        with serving(tmp_path) as server:
            assert call(capsys, "tags", server.place) == (0, "1.0\n", "")

    def test_by_default_it_serves_the_current_directory(self, capsys: pytest.CaptureFixture[str], root: Path) -> None:
        with serving(root, cwd=root) as server:
            assert server.said.startswith("serving . at ")
            assert call(capsys, "tags", server.place) == (0, "1.0\nbig\n", "")

    def test_an_empty_directory_is_a_registry_without_repositories(
        self, capsys: pytest.CaptureFixture[str], tmp_path: Path
    ) -> None:
        with serving(tmp_path) as server:
            assert call(capsys, "search", server.host) == (0, "", "")

    @pytest.mark.skipif(not socket.has_ipv6, reason="no IPv6 here")
    def test_at_an_ipv6_address(self, capsys: pytest.CaptureFixture[str], root: Path) -> None:
        with serving(root, "--listen", "[::1]:0") as server:
            assert server.url.startswith("http://[::1]:")
            assert call(capsys, "tags", server.place) == (0, "1.0\nbig\n", "")


class TestOptions:
    def test_token_demands_the_one_that_the_index_gave(self, capsys: pytest.CaptureFixture[str], root: Path) -> None:
        with serving(root, "--token") as server:
            assert server.status(TAGS) == 401
            assert call(capsys, "tags", server.place) == (0, "1.0\nbig\n", "")
            assert "behind an index" in call(capsys, "ping", server.host).out

    def test_basic_demands_the_credentials(self, capsys: pytest.CaptureFixture[str], root: Path) -> None:
        with serving(root, "--token", "--basic", "me:s3:cret") as server:
            code, _, err = call(capsys, "tags", server.place)
            assert code == 4
            assert "Requires authorization" in err
            assert call(capsys, "tags", server.place, "-u", "me", "-p", "wrong").code == 4
            assert call(capsys, "tags", server.place, "-u", "me", "-p", "s3:cret") == (0, "1.0\nbig\n", "")

    def test_endpoint_is_what_the_index_names(self, capsys: pytest.CaptureFixture[str], root: Path) -> None:
        with serving(root) as other, serving(root, "--endpoint", "127.0.0.1:1", "--endpoint", other.host) as server:
            with urllib.request.urlopen(f"{server.url}/v1/repositories/{NAME}/images", timeout=10) as answer:
                assert answer.headers.get_all("X-Docker-Endpoints") == ["127.0.0.1:1", other.host]
            code, out, _ = call(capsys, "tags", server.place, "--retries", "0")
            assert (code, out) == (0, "1.0\nbig\n")

    def test_tls_serves_https_with_the_certificate(self, root: Path, tmp_path: Path) -> None:
        authority = trustme.CA()
        certificate = authority.issue_cert("127.0.0.1")
        certificate.cert_chain_pems[0].write_to_path(str(tmp_path / "cert.pem"))
        certificate.private_key_pem.write_to_path(str(tmp_path / "key.pem"))
        context = ssl.create_default_context()
        authority.configure_trust(context)
        with serving(root, "--tls", str(tmp_path / "cert.pem"), str(tmp_path / "key.pem")) as server:
            assert server.url.startswith("https://127.0.0.1:")
            with urllib.request.urlopen(f"{server.url}/v1/_ping", timeout=10, context=context) as answer:
                assert answer.status == 200


@pytest.mark.parametrize(
    ("arguments", "code", "words"),
    [
        (["--listen", "127.0.0.1"], 2, "HOST:PORT is wanted"),
        (["--listen", ":5000"], 2, "HOST:PORT is wanted"),
        (["--listen", "127.0.0.1:http"], 2, "HOST:PORT is wanted"),
        (["--basic", "me"], 2, "NAME:PASSWORD is wanted"),
        (["/nowhere/at/all"], 2, "does not exist"),
        (["--listen", "192.0.2.1:0"], 1, "cannot listen on 192.0.2.1:0"),
        (["--tls", "/no/cert.pem", "/no/key.pem"], 1, "cannot use the certificate /no/cert.pem"),
    ],
)
def test_what_it_cannot_do_ends_it_at_once(
    capsys: pytest.CaptureFixture[str], arguments: list[str], code: int, words: str
) -> None:
    ended = call(capsys, "serve", *arguments)
    assert (ended.code, ended.out) == (code, "")
    assert words in ended.err


def test_a_port_that_is_taken_is_1_and_two_lines(capsys: pytest.CaptureFixture[str]) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        where = f"127.0.0.1:{taken.getsockname()[1]}"
        code, out, err = call(capsys, "serve", "--listen", where)
    assert (code, out) == (1, "")
    assert [line[:7] for line in err.splitlines()] == ["error: ", "try:   "]
    assert f"cannot listen on {where}" in err


@pytest.mark.parametrize("verb", ["serve", "demo"])
def test_without_the_extra_it_says_what_to_install(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, verb: str
) -> None:
    for name in [one for one in sys.modules if one.startswith("dockless.faces.server.")]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "uvicorn", None)
    code, out, err = call(capsys, verb)
    assert (code, out) == (1, "")
    assert re.fullmatch(r"error: .* needs uvicorn\ntry:   pip install 'dockless\[server\]'\n", err)


def does_nothing(server: Serving) -> socket.socket:
    return server.connect()


def sends_half_a_request(server: Serving) -> socket.socket:
    client = server.connect()
    client.sendall(b"GET /v1/_ping HTTP/1.1\r\nHost: x\r\n")
    return client


def does_not_read(server: Serving) -> socket.socket:
    client = socket.socket()
    client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    host, _, port = server.host.rpartition(":")
    client.connect((host, int(port)))
    client.sendall(f"GET /v1/images/{BIG.id}/layer HTTP/1.1\r\nHost: x\r\n\r\n".encode())
    assert client.recv(9) == b"HTTP/1.1 "
    return client


@needs_signals
class TestEnding:
    @pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
    @pytest.mark.parametrize("client", [None, does_nothing, sends_half_a_request, does_not_read])
    def test_it_ends_within_a_second_whatever_a_client_does(
        self, root: Path, number: signal.Signals, client: Callable[[Serving], socket.socket] | None
    ) -> None:
        with serving(root) as server:
            stalled = client(server) if client is not None else None
            time.sleep(0.2)
            started = time.monotonic()
            server.process.send_signal(number)
            out, err = server.process.communicate(timeout=20)
            assert time.monotonic() - started < 1
            if stalled is not None:
                stalled.close()
        assert (server.process.returncode, out, err) == (0, "", "")

    def test_its_port_is_free_again(self, root: Path) -> None:
        with serving(root) as server:
            server.process.send_signal(signal.SIGTERM)
            server.process.communicate(timeout=20)
        with serving(root, "--listen", server.host) as again:
            assert again.host == server.host
