"""Plain sockets that see what a peer really does on the wire."""

import http.client
import socket
import ssl

import trustme

from dockless.testing.peer import Peer

GET = b"GET /x HTTP/1.1\r\nHost: peer\r\n\r\n"
BODY = bytes(range(256)) * 1000


def dial(peer: Peer, sending: bytes = b"") -> socket.socket:
    name, _, port = peer.host.rpartition(":")
    connection = socket.create_connection((name, int(port)), timeout=10)
    connection.sendall(sending)
    return connection


def dial_tls(peer: Peer, authority: trustme.CA, sending: bytes = b"") -> ssl.SSLSocket:
    context = ssl.create_default_context()
    authority.configure_trust(context)
    # a close without TLS's own goodbye is an error here, not an end
    connection = context.wrap_socket(dial(peer), server_hostname="127.0.0.1", suppress_ragged_eofs=False)
    connection.sendall(sending)
    return connection


def read_to_end(connection: socket.socket) -> bytes:
    return b"".join(iter(lambda: connection.recv(65536), b""))


def body_of(answer: bytes) -> bytes:
    return answer.partition(b"\r\n\r\n")[2]


def read_body(connection: socket.socket, size: int) -> bytes:
    """Read the head and exactly `size` bytes after it."""
    answer = b""
    while b"\r\n\r\n" not in answer or len(body_of(answer)) < size:
        part = connection.recv(65536)
        assert part, "ended early"
        answer += part
    assert len(body_of(answer)) == size
    return body_of(answer)


def fetch(peer: Peer, path: str, method: str = "GET", **headers: str) -> tuple[http.client.HTTPResponse, bytes]:
    connection = http.client.HTTPConnection(peer.host, timeout=10)
    try:
        connection.request(method, path, headers=headers)
        answer = connection.getresponse()
        return answer, answer.read()
    finally:
        connection.close()
