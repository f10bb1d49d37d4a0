"""What stands in front of a registry and sees all that passes: how often it is asked, and for how many bytes."""

import http.client
import socket
import threading
import time
from collections import Counter
from contextlib import closing
from io import BufferedReader

from dockless.testing.peer import Listener, Received, hang_up, read_head

_BLOCK = 16 << 10
_OUR_OWN = frozenset({"connection", "keep-alive", "transfer-encoding"})


class Front(Listener):
    """Passes every request on to the registry at `upstream`, a `host:port`, and its answer back.

    With `rate`, a connection moves so many bytes of bodies in a second. `requests` are those that arrived, `given` the
    bytes of answers by path, and `passed` the bytes of bodies both ways.
    """

    def __init__(self, upstream: str, rate: float | None = None) -> None:
        self.upstream = upstream
        self.rate = rate
        self.requests: list[Received] = []
        self.given: Counter[str] = Counter()
        self.passed = 0
        self._counting = threading.Lock()
        super().__init__("127.0.0.1", None)  # last: from here on it answers

    def forget(self) -> None:
        """End every connection, and begin to count anew."""
        host, _, port = self.host.partition(":")
        with socket.create_connection((host, int(port)), timeout=10) as last:
            last.shutdown(socket.SHUT_WR)
            last.recv(1)  # whoever came before it has been let in by now, alive or not
        with self._lock:
            still_open, threads = list(self._open), self._threads[1:]
            del self._threads[1:]  # the first one accepts
        for connection in still_open:
            hang_up(connection)
        for thread in threads:
            thread.join(10)
        self.requests, self.passed = [], 0
        self.given.clear()

    def asked(self, method: str, part: str = "") -> list[str]:
        """Return the targets of one method that have `part` in them, in order."""
        return [one.target for one in self.requests if one.method == method and part in one.target]

    def talk(self, connection: socket.socket, number: int) -> None:
        """Pass on one request after the other."""
        address, _, port = self.upstream.partition(":")
        with (
            connection.makefile("rb") as stream,
            closing(http.client.HTTPConnection(address, int(port), timeout=30)) as upstream,
        ):
            while (request := read_head(stream, number)) is not None:
                self.requests.append(request)
                self._pass_on(request, stream, upstream)
                self._pass_back(request, upstream.getresponse(), connection)

    def _pass_on(self, request: Received, stream: BufferedReader, upstream: http.client.HTTPConnection) -> None:
        upstream.putrequest(request.method, request.target, skip_host=True, skip_accept_encoding=True)
        for name, value in request.headers:
            if name.lower() not in _OUR_OWN:
                upstream.putheader(name, value)
        upstream.endheaders()
        left = int(request.header("content-length") or 0)
        while left:
            block = stream.read1(min(left, _BLOCK))
            if not block:
                raise ConnectionAbortedError  # the client left; so do we
            upstream.send(block)
            left -= len(block)
            self._count(block)

    def _pass_back(self, request: Received, answer: http.client.HTTPResponse, connection: socket.socket) -> None:
        lines = [f"HTTP/1.1 {answer.status} {answer.reason}"]
        lines += [f"{name}: {value}" for name, value in answer.headers.items() if name.lower() not in _OUR_OWN]
        chunked = answer.chunked
        lines += ["Transfer-Encoding: chunked"] if chunked else []
        connection.sendall("\r\n".join([*lines, "", ""]).encode("latin-1"))
        while block := answer.read(_BLOCK):
            self._count(block, request.path)
            connection.sendall(b"%x\r\n%b\r\n" % (len(block), block) if chunked else block)
        if chunked and request.method != "HEAD":
            connection.sendall(b"0\r\n\r\n")

    def _count(self, block: bytes, path: str | None = None) -> None:
        with self._counting:
            self.passed += len(block)
            if path is not None:
                self.given[path] += len(block)
        if self.rate:
            time.sleep(len(block) / self.rate)
