"""Sends what carries a body, over `http.client` (docs/decisions/0008).

Rules:
* The body is read on the thread that sends it: its source may itself be an answer under way. What it raises is raised,
  and the connection that was begun with it is closed; so it is when there are more or fewer bytes than were announced.
* An answer that comes before the body is through ends the sending: it is a refusal, and what it says counts.
* Answers before the answer (1xx) are passed over, a hundred at most.
* A connection from the pool that the server closed meanwhile is dropped unseen; one that it closes in that moment costs
  one silent repeat of a small PUT, with the source opened anew. Anything larger is for the upload's own recovery.
* The idle timeout is for each write, however slow the whole. After the last one the server may take its time: it has a
  digest to check.
"""

import http.client
import io
import selectors
import socket
import ssl
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Any, cast
from urllib.parse import quote, unquote, urlsplit

from dockless.model.errors import InvalidReference, LocalFault, NetworkFault, SizeMismatch, Unsupported
from dockless.net.response import Response, unreachable
from dockless.net.settings import Settings
from dockless.net.waiting import check
from dockless.wire.auth import Credential
from dockless.wire.http import Body, Headers, Request, origin
from dockless.wire.proxy import proxy_for
from dockless.wire.stream import BytesReader, Reader

_LONGEST_ANSWER = 8 << 20
_SLOWEST_CHECK = 20 << 20  # bytes per second that a server takes to look through what it got
_REPEATED = 1 << 20  # bytes that are sent again without a word
_POOLED = 16  # idle connections kept for each origin
_KEPT = 60.0  # seconds that one is kept
_MOST_INTERIM = 100
_TLS_BLOCK = 64 << 10  # bytes; a write over TLS returns when all of it is out, and is deaf until then

Place = tuple[str, str, int]


class Answered(Response):
    """An answer that is here as a whole; those to uploads are short."""

    def __init__(self, request: Request, status: int, headers: Headers, body: bytes) -> None:
        super().__init__(request, status, headers)
        self._body = BytesReader(body)

    def read_chunk(self) -> memoryview:
        """Return the body, then nothing."""
        return self._body.read_chunk()

    def close(self) -> None:
        """Nothing is behind it."""


class Uploads:
    """Connections that bodies are sent on. Safe to share between threads."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._idle: dict[Place, list[tuple[http.client.HTTPConnection, float]]] = {}
        self._lock = threading.Lock()
        self._context: ssl.SSLContext | None = None

    def send(self, request: Request, body: Body) -> Response:
        """Return the answer, whatever its status. Raises NetworkFault and what the body's source raises."""
        place = origin(request.url)
        pooled = self._pooled(place)
        if pooled is not None:
            try:
                return self._exchange(pooled, place, request, body)
            except NetworkFault as fault:
                stale = isinstance(fault.__cause__, ConnectionError)
                if not stale or request.method != "PUT" or body.size > _REPEATED:
                    raise
        return self._exchange(self._connected(place, request.url), place, request, body)

    def close(self) -> None:
        """Drop every idle connection."""
        with self._lock:
            idle = [one for kept in self._idle.values() for one, _ in kept]
            self._idle.clear()
        for connection in idle:
            connection.close()

    def _exchange(self, connection: http.client.HTTPConnection, place: Place, request: Request, body: Body) -> Response:
        goes_on = False
        idle = self._settings.idle_timeout
        try:
            reader = body.source(0)
            try:
                with self._faults(request.url):
                    connection.sock.settimeout(idle)
                    self._send_head(connection, request, body.size)
                early = self._send_body(connection.sock, request, reader, body.size)
            finally:
                reader.close()
            with self._faults(request.url):
                connection.sock.settimeout(idle if early is not None else idle + body.size / _SLOWEST_CHECK)
                answer = _answer(connection, request.method, early)
                content = answer.read(_LONGEST_ANSWER)
            goes_on = early is None and answer.isclosed() and not answer.will_close
        finally:
            if goes_on:
                self._keep(place, connection)
            else:
                connection.close()
        return Answered(request, answer.status, Headers(answer.getheaders()), content)

    def _send_body(self, sock: socket.socket, request: Request, reader: Reader, size: int) -> bytes | None:
        """Send all of it and return None; or what was read of an answer that came before, perhaps nothing yet."""
        most = _TLS_BLOCK if isinstance(sock, ssl.SSLSocket) else None
        left = size
        with selectors.DefaultSelector() as selector:
            selector.register(sock, selectors.EVENT_READ | selectors.EVENT_WRITE)
            while chunk := reader.read_chunk():
                left -= len(chunk)
                if left < 0:
                    break
                while chunk:
                    early, sent = self._send_block(selector, sock, request.url, chunk[:most])
                    if early is not None:
                        return early
                    chunk = chunk[sent:]
        if left:
            raise SizeMismatch(f"{request}: the body has {size - left} bytes, {size} were announced")
        return None

    def _send_block(
        self, selector: selectors.BaseSelector, sock: socket.socket, url: str, block: memoryview
    ) -> tuple[bytes | None, int]:
        """Send some of a block; return what was read of an early answer, and how much was sent."""
        while True:
            check()
            ready = selector.select(self._settings.idle_timeout)
            events = ready[0][1] if ready else 0
            if events & selectors.EVENT_READ and (early := _begun(sock)) is not None:
                return early, 0
            if events & selectors.EVENT_WRITE or not ready:
                break
        try:
            with self._faults(url):
                if not ready:
                    raise TimeoutError
                return None, sock.send(block)
        except NetworkFault:
            early = _begun(sock)
            if early is None:
                raise
            return early, 0

    def _send_head(self, connection: http.client.HTTPConnection, request: Request, size: int) -> None:
        parts = urlsplit(request.url)
        host = parts.netloc.rpartition("@")[2]
        target = f"{parts.path or '/'}{'?' if parts.query else ''}{parts.query}"
        proxy = proxy_for(request.url, self._settings.proxies) if parts.scheme == "http" else None
        headers = [
            ("Host", host),
            ("User-Agent", self._settings.user_agent),
            ("Accept-Encoding", "identity"),
            ("Content-Length", str(size)),
            *_proxy_authorization(proxy),
            *request.headers,
        ]
        try:
            target = quote(f"http://{host}{target}" if proxy else target, safe=_ASCII)
            connection.putrequest(request.method, target, skip_host=True, skip_accept_encoding=True)
            for name, value in headers:
                connection.putheader(name, value.encode())
        except ValueError:  # its text holds the header
            raise InvalidReference(f"{request}: a header that cannot be sent") from None
        connection.endheaders()

    def _pooled(self, place: Place) -> http.client.HTTPConnection | None:
        while True:
            with self._lock:
                kept = self._idle.get(place)
                connection, since = kept.pop() if kept else (None, 0.0)
            if connection is None:
                return None
            if time.monotonic() - since < _KEPT and not _is_readable(connection.sock):
                return connection
            connection.close()  # readable without a question: it is being closed

    def _keep(self, place: Place, connection: http.client.HTTPConnection) -> None:
        with self._lock:
            kept = self._idle.setdefault(place, [])
            if len(kept) < _POOLED:
                kept.append((connection, time.monotonic()))
                return
        connection.close()

    def _connected(self, place: Place, url: str) -> http.client.HTTPConnection:
        proxy = proxy_for(url, self._settings.proxies)
        connection = self._connection(place, proxy)
        try:
            with self._faults(url, "no connection in time"):
                connection.connect()
        except BaseException:
            connection.close()
            raise
        return connection

    def _connection(self, place: Place, proxy: str | None) -> http.client.HTTPConnection:
        connection = self._unconnected(place, proxy)
        connection.response_class = _LastAnswer
        return connection

    def _unconnected(self, place: Place, proxy: str | None) -> http.client.HTTPConnection:
        scheme, host, port = place
        way, to_host, to_port = origin(proxy) if proxy else place
        timeout = self._settings.connect_timeout
        if scheme == "https" and proxy and way == "https":
            raise Unsupported(
                "a proxy that is itself spoken to over TLS carries no uploads to https",
                hint="Give its http:// address in HTTPS_PROXY, or list the registry in NO_PROXY.",
            )
        if "https" not in {scheme, way}:
            return http.client.HTTPConnection(to_host, to_port, timeout=timeout)
        connection = http.client.HTTPSConnection(to_host, to_port, timeout=timeout, context=self._tls())
        if scheme == "https" and proxy:
            connection.set_tunnel(host, port, dict(_proxy_authorization(proxy)))
        return connection

    def _tls(self) -> ssl.SSLContext:
        with self._lock:
            self._context = self._context or _context(self._settings)
            return self._context

    @contextmanager
    def _faults(self, url: str, late: str = "") -> Iterator[None]:
        """Turn what the socket says into a NetworkFault."""
        try:
            yield
        except TimeoutError as error:
            raise unreachable(url, late or f"nothing went or came for {self._settings.idle_timeout:g} s") from error
        except (OSError, http.client.HTTPException) as error:
            reason = getattr(error, "strerror", None) or str(error) or type(error).__name__
            raise unreachable(url, reason) from error


_ASCII = "".join(map(chr, range(0x21, 0x7F)))


class _Begun(io.RawIOBase):
    """A TLS socket from which the first byte of an answer was read."""

    def __init__(self, sock: socket.socket, first: bytes) -> None:
        self._sock = sock
        self._first = first

    def makefile(self, _mode: str) -> io.BufferedReader:
        return io.BufferedReader(self)

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any, /) -> int:
        if not self._first:
            return self._sock.recv_into(buffer)
        buffer[:1], self._first = self._first, b""
        return 1


class _LastAnswer(http.client.HTTPResponse):
    """An answer that is none of those before the answer, of which http.client knows one, and takes any number."""

    def _read_status(self) -> tuple[str, int, str]:
        for _ in range(_MOST_INTERIM):
            found: tuple[str, int, str] = super()._read_status()  # type: ignore[misc]
            if found[1] == 101 or not 100 <= found[1] < 200:
                return found
            http.client.parse_headers(self.fp)
        raise http.client.HTTPException("too many answers before the answer")


def _answer(connection: http.client.HTTPConnection, method: str, early: bytes | None) -> http.client.HTTPResponse:
    if not early:
        return connection.getresponse()
    answer = _LastAnswer(cast("socket.socket", _Begun(connection.sock, early)), method=method)
    answer.begin()
    return answer


def _begun(sock: socket.socket) -> bytes | None:
    """Return None when the server has not said anything yet; else what had to be read to know it."""
    if not _is_readable(sock):
        return None
    if not isinstance(sock, ssl.SSLSocket):
        return b""
    timeout = sock.gettimeout()
    sock.settimeout(0)
    try:
        return sock.recv(1)
    except ssl.SSLWantReadError:  # a session ticket, say
        return None
    except OSError:  # whoever reads the answer will hear of it
        return b""
    finally:
        sock.settimeout(timeout)


def _is_readable(sock: socket.socket) -> bool:
    with selectors.DefaultSelector() as selector:
        selector.register(sock, selectors.EVENT_READ)
        return bool(selector.select(0))


def _proxy_authorization(proxy: str | None) -> list[tuple[str, str]]:
    parts = urlsplit(proxy or "")
    if not parts.username:
        return []
    return [("Proxy-Authorization", Credential(unquote(parts.username), unquote(parts.password or "")).basic)]


def _context(settings: Settings) -> ssl.SSLContext:
    context = ssl.create_default_context()
    # Strict since Python 3.13; private authorities are often not that strict.
    context.verify_flags &= ~ssl.VERIFY_X509_STRICT
    if settings.ca_file is not None:
        try:
            context.load_verify_locations(settings.ca_file)
        except (OSError, ssl.SSLError) as error:
            raise LocalFault(f"cannot read the authorities in {settings.ca_file}: {error}") from error
    if settings.insecure:
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    with suppress(NotImplementedError):
        context.set_alpn_protocols(["http/1.1"])
    return context
