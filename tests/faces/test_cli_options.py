"""The options of every verb that talks to a registry. A name that resolves to nothing is reached through a proxy."""

import socket
import ssl
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest
import trustme

from dockless.testing.images import make_image
from dockless.testing.peer import Peer, Reply
from dockless.testing.proxy import ProxyPeer
from tests.faces.command import at, call, registry, run
from tests.scripted import NAME, endpoint, index

IMAGES = make_image({"a": b"1"})
BASIC = "Basic bWU6czNjcmV0"  # me:s3cret
ELSEWHERE = f"v1:registry.test/{NAME}"
STALL = Reply(stall_after=-1)
TAGS = f"/v1/repositories/{NAME}/tags"


class TestCredentials:
    @pytest.mark.parametrize("typed", [b"s3cret\n", b"s3cret\r\n", b"s3cret", b"s3cret\nand more\n"])
    def test_the_password_comes_from_standard_input(self, typed: bytes) -> None:
        with registry(*IMAGES) as peer:
            assert run("tags", at(peer), "-u", "me", "--password-stdin", stdin=typed) == (0, b"latest\n", b"")
            assert peer.requests[0].header("Authorization") == BASIC

    @pytest.mark.parametrize("flags", [["-u", "me", "-p", "s3cret"], ["--username", "me", "--password", "s3cret"]])
    def test_or_from_the_command_line(self, capsys: pytest.CaptureFixture[str], flags: list[str]) -> None:
        with registry(*IMAGES) as peer:
            assert call(capsys, "tags", at(peer), *flags) == (0, "latest\n", "")
            assert peer.requests[0].header("Authorization") == BASIC

    @pytest.mark.parametrize("verb", ["ping", "search", "catalog"])
    def test_the_verbs_of_a_registry_send_them_too(self, capsys: pytest.CaptureFixture[str], verb: str) -> None:
        with registry(*IMAGES) as peer:
            call(capsys, verb, f"v1:{peer.host}", "-u", "me", "-p", "s3cret")
            assert [request.header("Authorization") for request in peer.requests] == [BASIC]

    @pytest.mark.parametrize(
        ("flags", "words"),
        [
            (["-u", "me"], "--username needs --password-stdin or --password"),
            (["-p", "s3cret"], "a password needs a --username"),
            (["--password-stdin"], "a password needs a --username"),
            (["-u", "me", "-p", "s3cret", "--password-stdin"], "exclude each other"),
        ],
    )
    def test_half_of_them_is_2_before_any_request(
        self, capsys: pytest.CaptureFixture[str], flags: list[str], words: str
    ) -> None:
        with registry(*IMAGES) as peer:
            code, out, err = call(capsys, "tags", at(peer), *flags)
            assert peer.connections == 0
        assert (code, out) == (2, "")
        assert words in err
        assert "s3cret" not in err

    def test_the_password_is_in_no_message(self, capsys: pytest.CaptureFixture[str]) -> None:
        with registry(*IMAGES) as peer:
            peer.on(TAGS, Reply(403))
            _, out, err = call(capsys, "tags", at(peer), "-u", "me", "-p", "s3cret", "-vv")
        assert "HTTP 403" in err
        assert not [word for word in ("s3cret", "bWU6czNjcmV0") if word in out + err]


class TestTrustEndpoint:
    """`localhost` and `127.0.0.1` are two hosts, and the same machine."""

    @pytest.fixture
    def peers(self) -> Iterator[tuple[Peer, Peer]]:
        with Peer() as peer, Peer() as other:
            index(peer, other.host.replace("127.0.0.1", "localhost"), token="canary")
            endpoint(other, *IMAGES)
            yield peer, other

    def test_an_endpoint_elsewhere_gets_no_token_and_that_is_said(
        self, capsys: pytest.CaptureFixture[str], peers: tuple[Peer, Peer]
    ) -> None:
        code, out, err = call(capsys, "tags", at(peers[0]))
        assert (code, out) == (0, "latest\n")
        assert err.startswith("note: http://localhost:")
        assert err.endswith("gets no credentials\n")
        assert [request.header("Authorization") for request in peers[1].requests] == [None]

    @pytest.mark.parametrize("port", [False, True], ids=["the host", "host and port"])
    def test_named_it_gets_it(self, capsys: pytest.CaptureFixture[str], peers: tuple[Peer, Peer], port: bool) -> None:
        host = peers[1].host.replace("127.0.0.1", "localhost")
        trusted = ["--trust-endpoint", "other.example", "--trust-endpoint", host if port else "localhost"]
        assert call(capsys, "tags", at(peers[0]), *trusted) == (0, "latest\n", "")
        assert [request.header("Authorization") for request in peers[1].requests] == ["Token canary"]


@pytest.fixture(scope="module")
def authority() -> trustme.CA:
    return trustme.CA()


@pytest.fixture
def proxy(authority: trustme.CA, monkeypatch: pytest.MonkeyPatch) -> Iterator[ProxyPeer]:
    """Lead registry.test to a peer, with TLS at port 443 and without at port 80."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("registry.test").configure_cert(context)
    with ExitStack() as stack:
        plain, secure = stack.enter_context(Peer()), stack.enter_context(Peer(tls=context))
        for peer, tag in ((plain, "plain"), (secure, "secure")):
            index(peer, "registry.test")
            endpoint(peer, *IMAGES, tags={tag: IMAGES[0].id})
        upstreams = {"registry.test:80": plain.host, "registry.test:443": secure.host}
        proxy = stack.enter_context(ProxyPeer(upstreams))
        for name in ("http_proxy", "https_proxy"):
            monkeypatch.setenv(name, proxy.url)
        monkeypatch.setenv("no_proxy", "")
        yield proxy


class TestTls:
    def test_a_host_that_is_not_loopback_is_asked_over_tls_that_is_checked(
        self, capsys: pytest.CaptureFixture[str], proxy: ProxyPeer
    ) -> None:
        code, out, err = call(capsys, "tags", ELSEWHERE, "--retries", "0")
        assert (code, out) == (6, "")
        assert err.startswith("error: registry.test:443: ")
        assert "certificate" in err.lower()
        assert {request.method for request in proxy.requests} == {"CONNECT"}

    def test_a_ca_file_is_trusted(
        self, capsys: pytest.CaptureFixture[str], proxy: ProxyPeer, authority: trustme.CA, tmp_path: Path
    ) -> None:
        authority.cert_pem.write_to_path(str(tmp_path / "ca.pem"))
        assert call(capsys, "tags", ELSEWHERE, "--ca-file", str(tmp_path / "ca.pem")) == (0, "secure\n", "")

    def test_insecure_is_tls_without_checks(self, capsys: pytest.CaptureFixture[str], proxy: ProxyPeer) -> None:
        assert call(capsys, "tags", ELSEWHERE, "--insecure") == (0, "secure\n", "")
        assert {request.method for request in proxy.requests} == {"CONNECT"}

    def test_plain_http_is_no_tls(self, capsys: pytest.CaptureFixture[str], proxy: ProxyPeer) -> None:
        assert call(capsys, "tags", ELSEWHERE, "--plain-http") == (0, "plain\n", "")
        assert {request.method for request in proxy.requests} == {"GET"}

    @pytest.mark.parametrize("content", [None, "no certificate"], ids=["no file", "no certificate"])
    def test_a_ca_file_that_is_none_is_1_and_names_it(
        self, capsys: pytest.CaptureFixture[str], tmp_path: Path, content: str | None
    ) -> None:
        path = tmp_path / "ca.pem"
        if content is not None:
            path.write_text(content)
        code, out, err = call(capsys, "tags", ELSEWHERE, "--ca-file", str(path))
        assert (code, out) == (1, "")
        assert err.startswith("error: ")
        assert str(path) in err


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost"])
def test_loopback_hosts_are_plain_http_without_a_flag(capsys: pytest.CaptureFixture[str], host: str) -> None:
    with registry(*IMAGES) as peer:
        index(peer, peer.host.replace("127.0.0.1", host))
        location = at(peer).replace("127.0.0.1", host)
        assert call(capsys, "tags", location) == (0, "latest\n", "")


class TestPatience:
    def test_a_server_that_stalls_is_given_up_after_the_idle_timeout(self, capsys: pytest.CaptureFixture[str]) -> None:
        with registry(*IMAGES) as peer:
            peer.on(TAGS, STALL)
            started = time.monotonic()
            code, out, err = call(capsys, "tags", at(peer), "--idle-timeout", "0.3", "--retries", "0")
            assert 0.3 <= time.monotonic() - started < 5
            assert peer.faults == ["stall before answer"]
        assert (code, out) == (6, "")
        assert "nothing came for 0.3 s" in err

    @pytest.mark.skipif(sys.platform != "linux", reason="a full queue refuses connections there")
    def test_a_host_that_does_not_answer_is_given_up_after_the_connect_timeout(
        self, capsys: pytest.CaptureFixture[str]
    ) -> None:
        with ExitStack() as stack:
            full = stack.enter_context(socket.create_server(("127.0.0.1", 0), backlog=0))
            for _ in range(3):
                waiting = stack.enter_context(socket.socket())
                waiting.setblocking(False)
                waiting.connect_ex(full.getsockname())
            location = f"v1:127.0.0.1:{full.getsockname()[1]}/a"
            started = time.monotonic()
            code, out, err = call(capsys, "tags", location, "--connect-timeout", "0.3", "--retries", "0")
            assert 0.3 <= time.monotonic() - started < 5
        assert (code, out) == (6, "")
        assert "no connection in time" in err

    @pytest.mark.parametrize(("flags", "asked"), [(["--retries", "0"], 1), (["--retries", "1"], 2), ([], 4)])
    def test_retries_are_tries_after_the_first_one(
        self, capsys: pytest.CaptureFixture[str], flags: list[str], asked: int
    ) -> None:
        with registry(*IMAGES) as peer:
            peer.on(TAGS, Reply(503))
            code, out, err = call(capsys, "tags", at(peer), *flags)
            assert len([request for request in peer.requests if request.path == TAGS]) == asked
        assert (code, out) == (6, "")
        assert err.count("retrying in ") == asked - 1


def test_the_environments_proxy_is_used(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    with registry(*IMAGES) as peer, ProxyPeer({"registry.test:80": peer.host}) as proxy:
        index(peer, "registry.test")
        monkeypatch.setenv("http_proxy", proxy.url)
        monkeypatch.setenv("no_proxy", "")
        assert call(capsys, "tags", ELSEWHERE, "--plain-http") == (0, "latest\n", "")
        assert len(proxy.requests) == len(peer.requests)


def test_loopback_goes_through_no_proxy(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    with registry(*IMAGES) as peer, ProxyPeer({}) as proxy:
        for name in ("http_proxy", "https_proxy", "all_proxy"):
            monkeypatch.setenv(name, proxy.url)
        assert call(capsys, "tags", at(peer)) == (0, "latest\n", "")
        assert proxy.connections == 0


@pytest.mark.parametrize("verb", ["ping", "search"])
def test_a_host_of_one_word_is_a_registry(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, verb: str
) -> None:
    with ProxyPeer({}) as proxy:
        monkeypatch.setenv("https_proxy", proxy.url)
        monkeypatch.setenv("no_proxy", "")
        assert call(capsys, verb, "myregistry", "--retries", "0").code == 6
        assert {request.target for request in proxy.requests} == {"myregistry:443"}
