"""A forward proxy that keeps a record: proof that a client went through a proxy, and with which headers.

Rules:
* It connects only where the caller's table leads, and only to this machine; everything else is 502.
* A plain request (`GET http://host/path`) goes on with a relative target and `Connection: close`, one to a connection.
* `CONNECT` is a tunnel: what is inside stays unseen.
"""

import socket
import threading
from collections.abc import Mapping
from contextlib import suppress
from ipaddress import ip_address
from urllib.parse import urlsplit

from dockless.testing.peer import Listener, Received, hang_up, read_head

_BLOCK = 64 * 1024
_FOR_THE_PROXY = {"connection", "proxy-connection", "proxy-authorization"}


class ProxyPeer(Listener):
    """A proxy that leads `host:port` to an address on this machine: `ProxyPeer({"registry.test:80": peer.host})`.

    `requests` holds what clients asked of it, with full targets and without bodies.
    """

    def __init__(self, upstreams: Mapping[str, str], host: str = "127.0.0.1") -> None:
        """Raises ValueError when an address is not on this machine."""
        self.requests: list[Received] = []
        self._upstreams = {name: _address(upstream) for name, upstream in upstreams.items()}
        super().__init__(host, tls=None)  # last: from here on it answers

    def talk(self, connection: socket.socket, number: int) -> None:
        """Answer one request: with a tunnel, with what the upstream says, or with 502."""
        with connection.makefile("rb") as stream:
            request = read_head(stream, number)
            if request is None:
                return
            self.requests.append(request)
            try:
                upstream = socket.create_connection(self._upstreams[_authority(request)], timeout=5)
            except (KeyError, ValueError, OSError):
                connection.sendall(b"HTTP/1.1 502 Bad Gateway\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")
                return
            with upstream:
                upstream.settimeout(None)
                self.end_with_close(upstream)
                if request.method == "CONNECT":
                    connection.sendall(b"HTTP/1.1 200 Connection established\r\n\r\n")
                else:
                    upstream.sendall(_rewritten(request))
                back = threading.Thread(target=_copy_back, args=(upstream, connection), daemon=True)
                back.start()
                with suppress(OSError):
                    while block := stream.read1(_BLOCK):
                        upstream.sendall(block)
                    upstream.shutdown(socket.SHUT_WR)
                back.join()


def _copy_back(upstream: socket.socket, connection: socket.socket) -> None:
    with suppress(OSError):
        while block := upstream.recv(_BLOCK):
            connection.sendall(block)
    hang_up(connection)


def _authority(request: Received) -> str:
    if request.method == "CONNECT":
        return request.target
    url = urlsplit(request.target)
    return f"{url.hostname}:{url.port or 80}"


def _rewritten(request: Received) -> bytes:
    url = urlsplit(request.target)
    target = (url.path or "/") + (f"?{url.query}" if url.query else "")
    kept = [f"{name}: {value}" for name, value in request.headers if name.lower() not in _FOR_THE_PROXY]
    head = [f"{request.method} {target} HTTP/1.1", *kept, "Connection: close", "", ""]
    return "\r\n".join(head).encode("latin-1")


def _address(upstream: str) -> tuple[str, int]:
    host, _, port = upstream.rpartition(":")
    if not ip_address(host).is_loopback:
        raise ValueError(f"{upstream} is not on this machine")
    return host, int(port)
