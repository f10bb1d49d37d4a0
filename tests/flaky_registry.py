"""A registry of blobs in memory, over real sockets, that fails as it is told: for uploads that go wrong."""

import hashlib
import socket
import ssl
import struct
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from http.client import responses
from io import BufferedReader
from urllib.parse import parse_qs

from msgspec import structs

from dockless.model.errors import NetworkFault
from dockless.model.events import Observer, ignore
from dockless.net.session import Session
from dockless.stores.registry.client import RegistryClient
from dockless.testing.peer import Listener, Received, read_head
from dockless.wire.auth import Credential
from tests.scripted import QUICK

REPOSITORY = "a/b"
BLOBS = f"/v2/{REPOSITORY}/blobs"

Pairs = tuple[tuple[str, str], ...]


@contextmanager
def client_of(
    url: str, credential: Credential | None = None, observe: Observer = ignore, ca_file: str | None = None
) -> Iterator[RegistryClient]:
    """A client that is not patient."""
    session = Session(structs.replace(QUICK, ca_file=ca_file), observe)
    try:
        yield RegistryClient(session, url, credential)
    finally:
        session.close()


@dataclass(frozen=True)
class Fault:
    """What goes wrong with a request.

    `reset`: `after` so many bytes of its body; `early`: the status is answered then. `lost`: it is done, and not
    answered. `status`: it is not done. `stall`: nothing more happens. `forget`: the sessions are gone, too.
    """

    kind: str
    after: int = 0
    status: int = 0
    headers: Pairs = ()
    forget: bool = False


class FlakyRegistry(Listener):
    """Takes blobs: at most `most` bytes in one body, `too_much` says the status for more.

    It appends whatever comes, as docker-registry does, but for a piece that says it belongs elsewhere: 416. `accepts`
    is the status for a piece, `location` and `said` make its Location and its Range (from the bytes in all and in the
    piece). Faults come one after the other for each method; what happened stands in `faults`.
    """

    def __init__(
        self,
        *,
        most: int = 1 << 40,
        too_much: int = 413,
        least: int = 0,
        accepts: int = 202,
        single: bool = False,
        location: Callable[[str], str] = lambda path: path,
        said: Callable[[int, int], str] = lambda total, piece: f"0-{max(0, total - 1)}",
        tls: ssl.SSLContext | None = None,
    ) -> None:
        self.requests: list[Received] = []
        self.arrived: list[int] = []  # bytes of each request's body
        self.faults: list[str] = []
        self.blobs: dict[str, bytes] = {}
        self.sessions: dict[str, bytearray] = {}
        self._most, self._too_much, self._least, self._accepts = most, too_much, least, accepts
        self._single, self._location, self._said = single, location, said
        self._script: dict[str, list[Fault | None]] = {}
        self._begun = 0
        super().__init__("127.0.0.1", tls)

    def fail(self, method: str, *faults: Fault | None) -> None:
        """Let the next requests of a method fail so; None: not this one."""
        self._script.setdefault(method, []).extend(faults)

    @property
    def methods(self) -> list[str]:
        """What was asked, in order."""
        return [request.method for request in self.requests]

    def talk(self, connection: socket.socket, number: int) -> None:
        """Answer one request after the other."""
        with connection.makefile("rb") as stream:
            while (request := read_head(stream, number)) is not None:
                self.requests.append(request)
                script = self._script.get(request.method)
                fault = script.pop(0) if script else None
                if fault is not None:
                    self._fail(connection, stream, request, fault)
                    return
                length = int(request.header("content-length") or 0)
                body = self._read(stream, length)
                if len(body) < length:
                    return
                _send(connection, *self._act(request, body))

    def _fail(self, connection: socket.socket, stream: BufferedReader, request: Received, fault: Fault) -> None:
        partly = fault.kind in {"reset", "early"}
        body = self._read(stream, fault.after if partly else int(request.header("content-length") or 0))
        if fault.kind == "lost":
            self._act(request, body)
        elif partly and request.path in self.sessions:
            self.sessions[request.path] += body
        if fault.forget:
            self.sessions.clear()
        self.faults.append(f"{fault.kind} {request.method} after {len(body)}")
        if fault.kind == "stall":
            self._closing.wait()
        elif fault.kind == "reset":
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            socket.close(connection.detach())
        elif fault.kind in {"early", "status"}:
            _send(connection, fault.status, (*fault.headers, ("Connection", "close")))
            if fault.kind == "early":  # the answer has to be there before the reset that unread bytes become
                self._closing.wait(0.3)

    def _read(self, stream: BufferedReader, length: int) -> bytes:
        body = stream.read(length) if length else b""
        self.arrived.append(len(body))
        return body

    def _act(self, request: Received, body: bytes) -> tuple[int, Pairs]:
        query = {name: values[0] for name, values in parse_qs(request.target.partition("?")[2]).items()}
        if request.method == "HEAD":
            return (200 if request.path.removeprefix(f"{BLOBS}/") in self.blobs else 404), ()
        if len(body) > self._most:
            return self._too_much, ()
        if request.method == "POST":
            return self._begin(query, body)
        session = self.sessions.get(request.path)
        first = (request.header("content-range") or "").partition("-")[0]
        if session is None:
            return 404, ()
        if first and int(first) != len(session):
            return 416, ()
        session += body
        return self._go_on(request, session, len(body), query.get("digest", ""))

    def _begin(self, query: dict[str, str], body: bytes) -> tuple[int, Pairs]:
        if self._single and "digest" in query:
            return self._store(query["digest"], body)
        self._begun += 1
        path = f"{BLOBS}/uploads/{self._begun}"
        self.sessions[path] = bytearray()
        least = (("OCI-Chunk-Min-Length", str(self._least)),) if self._least else ()
        return 202, (("Location", self._location(path)), ("Range", "0-0"), *least)

    def _go_on(self, request: Received, session: bytearray, piece: int, digest: str) -> tuple[int, Pairs]:
        if request.method in {"PUT", "DELETE"}:
            del self.sessions[request.path]
            return self._store(digest, bytes(session)) if request.method == "PUT" else (204, ())
        where = (("Location", self._location(request.path)), ("Range", self._said(len(session), piece)))
        return (204 if request.method == "GET" else self._accepts), where

    def _store(self, digest: str, content: bytes) -> tuple[int, Pairs]:
        algorithm = digest.partition(":")[0]
        if digest != f"{algorithm}:{hashlib.new(algorithm, content).hexdigest()}":
            return 400, ()
        self.blobs[digest] = content
        return 201, (("Location", f"{BLOBS}/{digest}"),)


def _send(connection: socket.socket, status: int, headers: Pairs) -> None:
    lines = [f"HTTP/1.1 {status} {responses[status]}", *(f"{name}: {value}" for name, value in headers)]
    length = [] if status == 204 else ["Content-Length: 0"]
    connection.sendall("\r\n".join([*lines, *length, "", ""]).encode("latin-1"))


class Given:
    """A source of bytes in chunks; `opened` says from where, and `closed` how often. `broken_at`: it raises there."""

    def __init__(self, content: bytes, chunk: int = 1 << 16, broken_at: int | None = None) -> None:
        self.content = content
        self.opened: list[int] = []
        self.closed = 0
        self.fault = NetworkFault("the source broke")
        self.chunk, self.broken_at = chunk, broken_at

    def __call__(self, offset: int) -> "_Chunks":
        self.opened.append(offset)
        return _Chunks(self, offset)


class _Chunks:
    def __init__(self, given: Given, offset: int) -> None:
        self._given, self._at = given, offset

    def read_chunk(self) -> memoryview:
        given = self._given
        if given.broken_at is not None and self._at >= given.broken_at:
            raise given.fault
        chunk = memoryview(given.content)[self._at : self._at + given.chunk]
        self._at += len(chunk)
        return chunk

    def close(self) -> None:
        self._given.closed += 1
