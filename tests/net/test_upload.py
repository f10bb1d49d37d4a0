"""Bodies on their way out, over real sockets: what servers, proxies and sources do to them."""

import os
import signal
import socket
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import closing, suppress
from pathlib import Path

import pytest
from msgspec import structs

from dockless.model.errors import (
    InvalidReference,
    LocalFault,
    NetworkFault,
    NotFound,
    RemoteFault,
    SizeMismatch,
    Unsupported,
)
from dockless.net import upload
from dockless.net.http import PooledTransport
from dockless.net.session import Session
from dockless.net.settings import Settings
from dockless.testing.peer import Listener, Peer, Reply, redirect
from dockless.testing.proxy import ProxyPeer
from dockless.wire.http import Body, Headers, Request, body_of
from dockless.wire.proxy import Proxies
from dockless.wire.stream import BytesReader, Reader
from tests.scripted import QUICK
from tests.tls import Authority

SMALL = b"a manifest"
BIG = 64 << 20
_REFUSAL = b"HTTP/1.1 413 Too Large\r\nContent-Length: 7\r\n%s\r\ntoo big"


class Zeros:
    """So many bytes, without keeping them; counts how many were asked for."""

    def __init__(self, size: int) -> None:
        self.left = size
        self.closed = False
        self._block = memoryview(bytes(1 << 20))

    def read_chunk(self) -> memoryview:
        chunk = self._block[: self.left]
        self.left -= len(chunk)
        return chunk

    def close(self) -> None:
        self.closed = True


class Raw(Listener):
    """A server that does with each connection what it is told, and keeps how much of a body it read."""

    def __init__(self, act: Callable[["Raw", socket.socket], None], authority: Authority | None = None) -> None:
        self.read = 0
        self.done = threading.Event()
        self._act = act
        super().__init__("127.0.0.1", authority.server() if authority else None)

    def talk(self, connection: socket.socket, number: int) -> None:
        head = b""
        while b"\r\n\r\n" not in head:
            head += connection.recv(1 << 16)
        self.read = len(head.partition(b"\r\n\r\n")[2])
        self._act(self, connection)
        self.done.set()

    def drain(self, connection: socket.socket, most: int = 1 << 40) -> None:
        with suppress(OSError):
            while self.read < most and (came := len(connection.recv(1 << 20))):
                self.read += came


def wait(over: threading.Event) -> None:
    over.wait(20)


@pytest.fixture(scope="module", name="authority")
def trusted(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return Authority(tmp_path_factory.mktemp("tls"))


@pytest.fixture(name="transport")
def pooled(authority: Authority) -> Iterator[PooledTransport]:
    with closing(PooledTransport(structs.replace(QUICK, ca_file=str(authority.file)))) as transport:
        yield transport


@pytest.fixture(name="peer", params=["plain", "tls"])
def scripted(request: pytest.FixtureRequest, authority: Authority) -> Iterator[Peer]:
    with Peer(tls=authority.server() if request.param == "tls" else None) as peer:
        peer.on("/", Reply(201), method="PUT")
        yield peer


def put(url: str, body: Body | bytes = SMALL, *headers: tuple[str, str], method: str = "PUT") -> Request:
    return Request(url, headers, method=method, body=body_of(body) if isinstance(body, bytes) else body)


def status(transport: PooledTransport, request: Request) -> int:
    with closing(transport.send(request)) as response:
        response.read(1 << 20)
        return response.status


class TestBodies:
    @pytest.mark.parametrize("size", [0, 1, 100_000, 3_000_000])
    def test_it_arrives_as_it_is_with_its_length(self, transport: PooledTransport, peer: Peer, size: int) -> None:
        content = os.urandom(size)
        request = put(peer.url + "/?digest=a%3Ab", content, ("Content-Type", "application/x"))
        assert status(transport, request) == 201
        received = peer.requests[0]
        assert received.body == content
        assert received.target == "/?digest=a%3Ab"
        assert received.header("content-length") == str(size)
        assert received.header("content-type") == "application/x"
        assert received.header("host") == peer.host
        assert received.header("accept-encoding") == "identity"

    def test_one_connection_carries_many_bodies(self, transport: PooledTransport, peer: Peer) -> None:
        for _ in range(3):
            assert status(transport, put(peer.url + "/")) == 201
        assert peer.connections == 1

    def test_many_threads_have_connections_of_their_own(self, transport: PooledTransport, peer: Peer) -> None:
        content = os.urandom(300_000)
        ended: list[int] = []
        threads = [
            threading.Thread(target=lambda: ended.append(status(transport, put(peer.url + "/", content))))
            for _ in range(8)
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(20)
        assert ended == [201] * 8
        assert all(request.body == content for request in peer.requests)

    def test_a_target_beyond_ascii_is_escaped(self, transport: PooledTransport, peer: Peer) -> None:
        peer.on("/%C3%A9", Reply(201), method="PUT")
        assert status(transport, put(peer.url + "/é?q=%20é")) == 201
        assert peer.requests[0].target == "/%C3%A9?q=%20%C3%A9"

    def test_what_cannot_be_a_header_is_refused(self, transport: PooledTransport, peer: Peer) -> None:
        header = ("Content-Type", "a\r\nX-Evil: b")
        for request in (put(peer.url + "/", SMALL, header), Request(peer.url + "/", (header,))):
            with pytest.raises(InvalidReference, match="header"):
                transport.send(request)
        assert peer.requests == []

    def test_the_answer_has_its_words_and_headers(self, transport: PooledTransport, peer: Peer) -> None:
        peer.on("/", Reply(400, b"words", (("X-A", "1"), ("x-a", "2"))), method="PATCH")
        with closing(transport.send(put(peer.url + "/", method="PATCH"))) as response:
            assert (response.status, response.headers.all("x-a")) == (400, ["1", "2"])
            assert response.read(100) == b"words"
            assert response.read(100) == b""


class TestSources:
    def test_what_the_source_raises_is_raised_and_the_connection_is_not_used_again(
        self, transport: PooledTransport, peer: Peer
    ) -> None:
        class Breaking(BytesReader):
            def read_chunk(self) -> memoryview:
                return super().read_chunk() or self.fail()

            def fail(self) -> memoryview:
                raise NotFound("the source is gone")

        assert status(transport, put(peer.url + "/")) == 201
        for source in (lambda _: Breaking(b"x" * 10), self.absent):
            with pytest.raises(NotFound, match="the source is gone"):
                transport.send(put(peer.url + "/", Body(20, source)))
            assert status(transport, put(peer.url + "/")) == 201
        assert [request.body for request in peer.requests] == [SMALL] * 3
        assert peer.connections == 3

    @staticmethod
    def absent(offset: int) -> Reader:
        raise NotFound("the source is gone")

    @pytest.mark.parametrize("announced", [9, 11])
    def test_a_source_of_another_length_is_never_completed(
        self, transport: PooledTransport, peer: Peer, announced: int
    ) -> None:
        with pytest.raises(SizeMismatch, match=f"{announced} were announced"):
            transport.send(put(peer.url + "/", Body(announced, lambda _: BytesReader(b"x" * 10))))
        assert peer.requests == []

    def test_the_source_is_closed_whatever_happens(self, transport: PooledTransport) -> None:
        zeros = Zeros(BIG)
        with (
            Raw(lambda server, connection: connection.close()) as server,
            pytest.raises(NetworkFault),
        ):
            transport.send(put(server.url, Body(BIG, lambda _: zeros)))
        assert zeros.closed

    def test_a_source_that_asks_the_same_transport_can_be_sent_on(self, transport: PooledTransport, peer: Peer) -> None:
        content = os.urandom(3_000_000)
        peer.on("/from", Reply(body=content))
        body = Body(len(content), lambda _: transport.send(Request(peer.url + "/from")))
        assert status(transport, put(peer.url + "/", body)) == 201
        assert peer.requests[-1].body == content


class TestPool:
    def test_a_connection_that_was_closed_meanwhile_is_not_used(self, transport: PooledTransport, peer: Peer) -> None:
        peer.on("/closes", Reply(201, close=True), method="PATCH")
        for _ in range(2):
            assert status(transport, put(peer.url + "/closes", method="PATCH")) == 201  # a PUT would be repeated
            time.sleep(0.1)
        assert peer.connections == 2
        assert peer.faults == ["closed unannounced"] * 2

    def test_an_old_one_is_not_used(
        self, transport: PooledTransport, peer: Peer, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(upload, "_KEPT", 0.0)
        for _ in range(2):
            assert status(transport, put(peer.url + "/")) == 201
        assert peer.connections == 2

    def test_no_more_are_kept_than_may_be(
        self, transport: PooledTransport, peer: Peer, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(upload, "_POOLED", 0)
        for _ in range(2):
            assert status(transport, put(peer.url + "/")) == 201
        assert peer.connections == 2

    def test_one_that_closes_in_that_moment_costs_a_small_put_one_repeat(
        self, transport: PooledTransport, peer: Peer
    ) -> None:
        opened: list[int] = []

        def source(offset: int) -> Reader:
            opened.append(offset)
            return BytesReader(SMALL, offset)

        peer.on("/doomed", Reply(201, close_on_next=True), method="PUT")
        assert status(transport, put(peer.url + "/doomed")) == 201
        assert status(transport, put(peer.url + "/", Body(len(SMALL), source))) == 201
        assert opened == [0, 0]
        assert peer.faults == ["closed on next request"]

    @pytest.mark.parametrize(("method", "size"), [("PATCH", 10), ("POST", 10), ("PUT", (1 << 20) + 1)])
    def test_nothing_else_is_repeated(self, transport: PooledTransport, peer: Peer, method: str, size: int) -> None:
        peer.on("/doomed", Reply(201, close_on_next=True), method="PUT")
        peer.on("/", Reply(201), method=method)
        assert status(transport, put(peer.url + "/doomed")) == 201
        with pytest.raises(NetworkFault):
            transport.send(put(peer.url + "/", bytes(size), method=method))
        assert peer.faults == ["closed on next request"]

    def test_what_comes_after_an_answer_is_not_the_next_one(self, transport: PooledTransport) -> None:
        two = b"HTTP/1.1 201 Created\r\nContent-Length: 0\r\n\r\nHTTP/1.1 500 Smuggled\r\nContent-Length: 0\r\n\r\n"
        with Raw(lambda server, connection: connection.sendall(two)) as server:
            assert [status(transport, put(server.url)) for _ in range(2)] == [201, 201]


class TestAnswersBeforeTheEnd:
    @pytest.mark.parametrize("tls", [False, True])
    @pytest.mark.parametrize("after", [0, 5 << 20])
    def test_a_refusal_ends_the_sending_at_once(
        self, transport: PooledTransport, authority: Authority, tls: bool, after: int
    ) -> None:
        def refuse(server: Raw, connection: socket.socket) -> None:
            server.drain(connection, after)
            connection.sendall(_REFUSAL % b"")
            server.drain(connection)  # as nginx does: it reads on, so that the answer is not lost

        zeros = Zeros(BIG)
        with Raw(refuse, authority if tls else None) as server:
            with closing(transport.send(put(server.url, Body(BIG, lambda _: zeros)))) as response:
                assert response.status == 413
                assert response.read(100) == b"too big"
            assert server.done.wait(10)
            assert after <= server.read < BIG
        assert zeros.left > 0

    @pytest.mark.parametrize("tls", [False, True])
    def test_a_server_that_refuses_and_reads_no_more(
        self, transport: PooledTransport, authority: Authority, tls: bool
    ) -> None:
        over = threading.Event()

        def refuse(server: Raw, connection: socket.socket) -> None:
            connection.sendall(_REFUSAL % b"")
            wait(over)

        with Raw(refuse, authority if tls else None) as server:
            assert status(transport, put(server.url, Body(BIG, lambda _: Zeros(BIG)))) == 413
            over.set()

    @pytest.mark.parametrize("tls", [False, True])
    def test_a_server_that_refuses_and_closes(
        self, transport: PooledTransport, authority: Authority, tls: bool
    ) -> None:
        def refuse(server: Raw, connection: socket.socket) -> None:
            connection.sendall(_REFUSAL % b"Connection: close\r\n")
            connection.shutdown(socket.SHUT_WR) if not tls else None

        with Raw(refuse, authority if tls else None) as server:
            assert status(transport, put(server.url, Body(BIG, lambda _: Zeros(BIG)))) == 413

    def test_a_write_that_hangs_is_given_up_for_the_answer(
        self, transport: PooledTransport, authority: Authority, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """A write over TLS hears nothing until it ends, here at the idle timeout."""
        over = threading.Event()

        def refuse(server: Raw, connection: socket.socket) -> None:
            time.sleep(0.3)
            connection.sendall(_REFUSAL % b"")
            wait(over)

        monkeypatch.setattr(upload, "_TLS_BLOCK", BIG)
        with Raw(refuse, authority) as server:
            assert status(transport, put(server.url, bytes(BIG))) == 413
            over.set()

    def test_session_tickets_are_no_answer(self, transport: PooledTransport, authority: Authority) -> None:
        """OpenSSL sends two of them after the handshake of TLS 1.3: the socket is readable and nothing was said."""
        versions: list[str | None] = []

        def slowly(server: Raw, connection: socket.socket) -> None:
            versions.append(getattr(connection, "version", lambda: None)())
            time.sleep(0.3)
            server.drain(connection, 8 << 20)
            connection.sendall(b"HTTP/1.1 201 Created\r\nContent-Length: 0\r\n\r\n")

        with Raw(slowly, authority) as server:
            assert status(transport, put(server.url, Body(8 << 20, lambda _: Zeros(8 << 20)))) == 201
        assert versions == ["TLSv1.3"]


class TestServersThatStall:
    @pytest.mark.parametrize("tls", [False, True])
    def test_one_that_stops_reading_ends_at_the_idle_timeout(
        self, transport: PooledTransport, authority: Authority, tls: bool
    ) -> None:
        over = threading.Event()
        with Raw(lambda server, connection: wait(over), authority if tls else None) as server:
            started = time.monotonic()
            with pytest.raises(NetworkFault, match="for 1 s"):
                transport.send(put(server.url, Body(BIG, lambda _: Zeros(BIG))))
            assert 0.9 < time.monotonic() - started < 6
            over.set()

    def test_one_that_does_not_answer_has_its_time_and_no_more(self, transport: PooledTransport) -> None:
        with Peer() as peer:
            peer.on("/", Reply(stall_after=-1), method="PUT")
            with pytest.raises(NetworkFault, match="for 1 s"):
                transport.send(put(peer.url + "/"))
            assert peer.faults == ["stall before answer"]

    @pytest.mark.parametrize("tls", [False, True])
    def test_one_that_reads_slowly_is_waited_for(
        self, transport: PooledTransport, authority: Authority, tls: bool
    ) -> None:
        """The whole takes longer than the idle timeout, no block of it does."""

        def slowly(server: Raw, connection: socket.socket) -> None:
            for step in range(1, 6):
                time.sleep(0.4)
                server.drain(connection, step * (size // 5))
            server.drain(connection, size)
            connection.sendall(b"HTTP/1.1 201 Created\r\nContent-Length: 0\r\n\r\n")

        size = 50 << 20
        with Raw(slowly, authority if tls else None) as server:
            started = time.monotonic()
            # One chunk: a timeout for each chunk would end it.
            assert status(transport, put(server.url, bytes(size))) == 201
            assert time.monotonic() - started > 1.5

    @pytest.mark.skipif(sys.platform == "win32", reason="os.kill sends no SIGINT there")
    def test_ctrl_c_does_not_wait_for_it(self, authority: Authority) -> None:
        over = threading.Event()
        with (
            Raw(lambda server, connection: wait(over)) as server,
            closing(PooledTransport(Settings())) as transport,
        ):
            threading.Timer(0.3, os.kill, (os.getpid(), signal.SIGINT)).start()
            started = time.monotonic()
            with pytest.raises(KeyboardInterrupt):
                transport.send(put(server.url, Body(BIG, lambda _: Zeros(BIG))))
            assert time.monotonic() - started < 1.5
            over.set()

    def test_a_host_that_is_not_there_is_named(self, transport: PooledTransport) -> None:
        with socket.create_server(("127.0.0.1", 0)) as unused:
            port = unused.getsockname()[1]
        with pytest.raises(NetworkFault, match=f"127.0.0.1:{port}: Connection refused"):
            transport.send(put(f"http://127.0.0.1:{port}/"))

    def test_a_handshake_that_hangs_ends_at_the_connect_timeout(self, authority: Authority) -> None:
        settings = structs.replace(QUICK, connect_timeout=0.3)
        with (
            socket.create_server(("127.0.0.1", 0)) as silent,
            closing(PooledTransport(settings)) as transport,
            pytest.raises(NetworkFault, match="no connection in time"),
        ):
            transport.send(put(f"https://127.0.0.1:{silent.getsockname()[1]}/"))

    def test_what_is_no_http_is_a_network_fault(self, transport: PooledTransport) -> None:
        with Peer() as peer:
            peer.on("/", Reply(raw=b"SSH-2.0-OpenSSH\r\n"), method="PUT")
            with pytest.raises(NetworkFault, match="SSH-2"):
                transport.send(put(peer.url + "/"))
            assert peer.faults == ["raw answer"]


class TestTls:
    def test_an_authority_that_is_not_known_is_refused(self, authority: Authority) -> None:
        with Peer(tls=authority.server()) as peer, closing(PooledTransport(QUICK)) as transport:
            for request in (put(peer.url + "/"), Request(peer.url + "/")):
                with pytest.raises(NetworkFault, match=r"(?i)certificate"):
                    transport.send(request)
            assert peer.requests == []

    def test_a_certificate_of_another_name_is_refused(self, transport: PooledTransport, authority: Authority) -> None:
        with Peer(tls=authority.server("registry.test")) as peer:
            for request in (put(peer.url + "/"), Request(peer.url + "/")):
                with pytest.raises(NetworkFault, match=r"(?i)certificate"):
                    transport.send(request)
            assert peer.requests == []

    def test_without_checks_both_ways_work(self, authority: Authority) -> None:
        settings = structs.replace(QUICK, insecure=True)
        with Peer(tls=authority.server("registry.test")) as peer, closing(PooledTransport(settings)) as transport:
            assert status(transport, put(peer.url + "/")) == 404
            assert status(transport, Request(peer.url + "/")) == 404

    def test_both_ways_speak_http_1_1_where_the_server_has_more(
        self, transport: PooledTransport, authority: Authority
    ) -> None:
        context = authority.server()
        context.set_alpn_protocols(["h2", "http/1.1"])
        with Peer(tls=context) as peer:
            assert status(transport, put(peer.url + "/")) == 404
            assert status(transport, Request(peer.url + "/")) == 404

    @pytest.mark.parametrize("content", ["", "no PEM at all"])
    def test_a_file_that_holds_no_authority_is_a_local_fault(self, tmp_path: Path, content: str) -> None:
        file = tmp_path / "ca.pem"
        for _ in range(2):
            with pytest.raises(LocalFault, match=r"ca\.pem"):
                PooledTransport(structs.replace(QUICK, ca_file=str(file)))
            file.write_text(content)


class TestProxies:
    def test_plain_requests_go_to_the_proxy_with_its_credentials(self) -> None:
        with Peer() as peer, ProxyPeer({"registry.test:80": peer.host}) as proxy:
            peer.on("/v2/", Reply(201), method="PUT")
            settings = structs.replace(QUICK, proxies=Proxies(http=f"http://us%40er:pass@{proxy.host}"))
            with closing(PooledTransport(settings)) as transport:
                assert status(transport, put("http://registry.test/v2/?a=b")) == 201
            assert proxy.requests[0].target == "http://registry.test/v2/?a=b"
            assert proxy.requests[0].header("proxy-authorization") == "Basic dXNAZXI6cGFzcw=="
            assert peer.requests[0].header("proxy-authorization") is None
            assert peer.requests[0].body == SMALL

    def test_tls_goes_through_a_tunnel_and_the_credentials_no_further(self, authority: Authority) -> None:
        with (
            Peer(tls=authority.server("registry.test")) as peer,
            ProxyPeer({"registry.test:443": peer.host}) as proxy,
        ):
            peer.on("/v2/", Reply(201), method="PUT")
            proxies = Proxies(https=f"http://user:pass@{proxy.host}")
            settings = structs.replace(QUICK, proxies=proxies, ca_file=str(authority.file))
            with closing(PooledTransport(settings)) as transport:
                request = put("https://registry.test/v2/", SMALL, ("Authorization", "Bearer secret"))
                assert [status(transport, request) for _ in range(2)] == [201, 201]
            assert [(one.method, one.target) for one in proxy.requests] == [("CONNECT", "registry.test:443")]
            assert proxy.requests[0].header("proxy-authorization") == "Basic dXNlcjpwYXNz"
            assert proxy.requests[0].header("authorization") is None
            assert peer.requests[0].header("proxy-authorization") is None
            assert peer.requests[1].body == SMALL

    def test_a_proxy_that_refuses_is_named_as_the_reason(self) -> None:
        with ProxyPeer({}) as proxy:
            settings = structs.replace(QUICK, proxies=Proxies(https=f"http://{proxy.host}"))
            with closing(PooledTransport(settings)) as transport, pytest.raises(NetworkFault, match="502"):
                transport.send(put("https://registry.test/v2/"))
            assert proxy.requests

    def test_a_proxy_may_itself_be_spoken_to_over_tls(self, authority: Authority) -> None:
        with Peer(tls=authority.server()) as proxy:
            proxy.on("http://registry.test/v2/", Reply(201), method="PUT")
            settings = structs.replace(QUICK, proxies=Proxies(http=proxy.url), ca_file=str(authority.file))
            with closing(PooledTransport(settings)) as transport:
                assert status(transport, put("http://registry.test/v2/")) == 201
            assert proxy.requests[0].header("host") == "registry.test"

    def test_tls_within_tls_is_refused(self) -> None:
        settings = structs.replace(QUICK, proxies=Proxies(https="https://proxy.test"))
        with closing(PooledTransport(settings)) as transport, pytest.raises(Unsupported, match="proxy"):
            transport.send(put("https://registry.test/v2/"))

    @pytest.mark.parametrize("proxy", ["socks5://127.0.0.1:1080", "http://proxy:abc", "http://", "::", " "])
    def test_what_is_no_proxy_is_refused_and_not_passed_by(self, proxy: str) -> None:
        with pytest.raises(InvalidReference, match="proxy"):
            PooledTransport(structs.replace(QUICK, proxies=Proxies(http=proxy)))


class TestRedirects:
    @pytest.mark.parametrize("code", [307, 308])
    def test_elsewhere_goes_the_body_and_no_credential(self, code: int) -> None:
        with Peer() as registry, Peer() as storage, closing(Session(QUICK)) as session:
            registry.on("/v2/upload", redirect(storage.url + "/put", code), method="PUT")
            storage.on("/put", Reply(201), method="PUT")
            session.cookies.keep(_cookie(), registry.url)
            request = put(registry.url + "/v2/upload", SMALL, ("Authorization", "Bearer secret"))
            with closing(session.exchange(request, expect=frozenset({201}))) as response:
                assert response.status == 201
            assert registry.requests[0].header("authorization") == "Bearer secret"
            assert registry.requests[0].header("cookie") == "a=1"
            received = storage.requests[0]
            assert received.body == SMALL
            assert received.header("authorization") is received.header("cookie") is None

    def test_the_same_origin_keeps_them(self) -> None:
        with Peer() as registry, closing(Session(QUICK)) as session:
            registry.on("/a", redirect("/b", 307), method="PUT")
            registry.on("/b", Reply(201), method="PUT")
            request = put(registry.url + "/a", SMALL, ("Authorization", "Bearer secret"))
            session.exchange(request, expect=frozenset({201})).close()
            assert registry.requests[1].header("authorization") == "Bearer secret"
            assert registry.requests[1].body == SMALL

    def test_from_https_to_http_goes_nothing(self, authority: Authority) -> None:
        settings = structs.replace(QUICK, ca_file=str(authority.file))
        with Peer(tls=authority.server()) as registry, Peer() as storage, closing(Session(settings)) as session:
            registry.on("/a", redirect(storage.url + "/put", 307), method="PUT")
            with pytest.raises(RemoteFault, match="https to http"):
                session.exchange(put(registry.url + "/a"), expect=frozenset({201}))
            assert registry.requests
            assert storage.requests == []


def _cookie() -> Headers:
    return Headers([("Set-Cookie", "a=1; Path=/")])
