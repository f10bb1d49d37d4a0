"""The proxy passes on what it is told to, nothing else, and keeps a record."""

import http.client
import socket
import ssl
import threading
import time
from collections.abc import Iterator

import pytest
import trustme

from dockless.testing.peer import Peer, Reply
from dockless.testing.proxy import ProxyPeer


@pytest.fixture
def peer() -> Iterator[Peer]:
    with Peer() as peer:
        yield peer


@pytest.fixture
def proxy(peer: Peer) -> Iterator[ProxyPeer]:
    with ProxyPeer({"registry.test:80": peer.host, "registry.test:5000": peer.host}) as proxy:
        yield proxy


def dial(proxy: ProxyPeer) -> socket.socket:
    name, _, port = proxy.host.rpartition(":")
    return socket.create_connection((name, int(port)), timeout=10)


def fetch(proxy: ProxyPeer, url: str, method: str = "GET", body: bytes | None = None) -> tuple[int, bytes]:
    connection = http.client.HTTPConnection(proxy.host, timeout=10)
    try:
        connection.request(method, url, body, headers={"X-Own": "1", "Proxy-Authorization": "Basic c2VjcmV0"})
        answer = connection.getresponse()
        assert answer.headers["Connection"] == "close"
        return answer.status, answer.read()
    finally:
        connection.close()


def test_a_plain_request_goes_on_with_a_relative_target(peer: Peer, proxy: ProxyPeer) -> None:
    peer.on("/x", Reply(body=b"hello"))
    peer.on("/", Reply(body=b"root"))

    assert fetch(proxy, "http://registry.test/x?page=1") == (200, b"hello")
    assert fetch(proxy, "http://registry.test:5000") == (200, b"root")
    assert [(one.method, one.target) for one in proxy.requests] == [
        ("GET", "http://registry.test/x?page=1"),
        ("GET", "http://registry.test:5000"),
    ]
    assert proxy.requests[0].header("proxy-authorization") == "Basic c2VjcmV0"
    assert [one.target for one in peer.requests] == ["/x?page=1", "/"]
    assert peer.requests[0].header("host") == "registry.test"
    assert peer.requests[0].header("x-own") == "1"
    assert peer.requests[0].header("proxy-authorization") is None


def test_a_body_goes_through_both_ways(peer: Peer, proxy: ProxyPeer) -> None:
    sent, answered = b"up" * 500_000, b"down" * 500_000
    peer.on("/x", Reply(body=answered), method="PUT")

    assert fetch(proxy, "http://registry.test/x", "PUT", sent) == (200, answered)
    assert peer.requests[0].body == sent


def test_a_cut_reaches_the_client(peer: Peer, proxy: ProxyPeer) -> None:
    peer.on("/x", Reply(body=b"hello", cut_after=2), Reply(body=b"hello", cut_after=2, reset=True))
    for _ in range(2):
        with pytest.raises(http.client.IncompleteRead):
            fetch(proxy, "http://registry.test/x")


def test_connect_is_a_tunnel() -> None:
    authority = trustme.CA()
    serving, trusting = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER), ssl.create_default_context()
    authority.issue_cert("registry.test").configure_cert(serving)
    authority.configure_trust(trusting)
    with Peer(tls=serving) as peer, ProxyPeer({"registry.test:443": peer.host}) as proxy:
        peer.on("/x", Reply(body=b"hello"))
        connection = http.client.HTTPSConnection(proxy.host, timeout=10, context=trusting)
        connection.set_tunnel("registry.test", 443)
        for _ in range(2):
            connection.request("GET", "/x")
            assert connection.getresponse().read() == b"hello"
        connection.close()

        assert [(one.method, one.target) for one in proxy.requests] == [("CONNECT", "registry.test:443")]
        assert (peer.connections, len(peer.requests)) == (1, 2)


@pytest.mark.parametrize(
    "url", ["http://elsewhere.test/x", "http://registry.test:81/x", "/x", "http://registry.test:no/"]
)
def test_what_is_not_in_the_table_is_502(peer: Peer, proxy: ProxyPeer, url: str) -> None:
    assert fetch(proxy, url) == (502, b"")
    assert proxy.requests[0].target == url
    assert peer.connections == 0


def test_a_tunnel_to_elsewhere_is_502(proxy: ProxyPeer) -> None:
    with dial(proxy) as connection:
        connection.sendall(b"CONNECT elsewhere.test:443 HTTP/1.1\r\n\r\n")
        assert connection.recv(100).startswith(b"HTTP/1.1 502 ")


def test_an_upstream_that_is_gone_is_502(peer: Peer, proxy: ProxyPeer) -> None:
    peer.close()
    assert fetch(proxy, "http://registry.test/x") == (502, b"")


def test_it_leads_nowhere_but_to_this_machine() -> None:
    with pytest.raises(ValueError, match="not on this machine"):
        ProxyPeer({"registry.test:80": "192.0.2.1:80"})


def test_close_ends_a_tunnel_that_stalls(peer: Peer, proxy: ProxyPeer) -> None:
    before = threading.active_count()
    peer.on("/x", Reply(stall_after=-1))
    with dial(proxy) as connection:
        connection.sendall(b"GET http://registry.test/x HTTP/1.1\r\n\r\n")
        while not peer.faults:
            time.sleep(0.01)
        started = time.monotonic()
        proxy.close()
        assert connection.recv(1) == b""
        assert time.monotonic() - started < 2
    peer.close()
    assert threading.active_count() == before - 2


def test_what_is_not_http_is_turned_away(proxy: ProxyPeer) -> None:
    with dial(proxy) as connection:
        connection.sendall(b"\x16\x03\x01")
        connection.shutdown(socket.SHUT_WR)
        assert connection.recv(1) == b""
    assert proxy.requests == []
