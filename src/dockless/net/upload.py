"""Sends what carries a body, over `http.client` (docs/decisions/0008).

Rules:
* The body is read on the thread that sends it: its source may itself be an answer under way.
* An answer that comes before the body is through ends the sending: it is a refusal, and what it says counts. Over TLS
  it is seen only once sending fails: there a readable socket may hold nothing but a session ticket.
* A connection from the pool that the server closed meanwhile is dropped unseen; one that it closes in that moment costs
  one silent repeat of a small PUT, with the source opened anew. Anything larger is for the upload's own recovery.
* After the last byte the server may take its time: it has a digest to check.
"""

import http.client
import select
import ssl
import threading
from base64 import b64encode
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from urllib.parse import unquote, urlsplit

from dockless.model.errors import LocalFault, NetworkFault
from dockless.net.response import Response, unreachable
from dockless.net.settings import Settings
from dockless.net.waiting import check
from dockless.wire.http import Body, Headers, Request, origin
from dockless.wire.proxy import proxy_for
from dockless.wire.stream import BytesReader, Reader

_LONGEST_ANSWER = 8 << 20
_SLOWEST_CHECK = 20 << 20  # bytes per second that a server takes to look through what it got
_REPEATED = 1 << 20  # bytes that are sent again without a word
_POOLED = 16  # idle connections kept for each origin

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
        self._idle: dict[Place, list[http.client.HTTPConnection]] = {}
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
            idle = [one for kept in self._idle.values() for one in kept]
            self._idle.clear()
        for connection in idle:
            connection.close()

    def _exchange(self, connection: http.client.HTTPConnection, place: Place, request: Request, body: Body) -> Response:
        goes_on = False
        try:
            reader = body.source(0)
            try:
                with self._faults(request.url):
                    self._send_head(connection, request, body.size)
                whole = self._send_body(connection, request.url, reader)
            finally:
                reader.close()
            with self._faults(request.url):
                connection.sock.settimeout(self._settings.idle_timeout + body.size / _SLOWEST_CHECK)
                answer = connection.getresponse()
                content = answer.read(_LONGEST_ANSWER)
            goes_on = whole and answer.isclosed() and not answer.will_close
        finally:
            if goes_on:
                self._keep(place, connection)
            else:
                connection.close()
        return Answered(request, answer.status, Headers(answer.getheaders()), content)

    def _send_body(self, connection: http.client.HTTPConnection, url: str, reader: Reader) -> bool:
        """Send all of it; False when the server answered before: what it said is still to be read."""
        while chunk := reader.read_chunk():
            check()
            if not isinstance(connection.sock, ssl.SSLSocket) and _is_readable(connection):
                return False
            try:
                with self._faults(url):
                    connection.send(chunk)
            except NetworkFault:
                if _is_readable(connection):
                    return False
                raise
        return True

    def _send_head(self, connection: http.client.HTTPConnection, request: Request, size: int) -> None:
        connection.sock.settimeout(self._settings.idle_timeout)
        parts = urlsplit(request.url)
        target = f"{parts.path or '/'}{'?' if parts.query else ''}{parts.query}"
        proxied = proxy_for(request.url, self._settings.proxies) if parts.scheme == "http" else None
        if proxied:
            target = f"http://{parts.netloc.rpartition('@')[2]}{target}"
        connection.putrequest(request.method, target, skip_host=True, skip_accept_encoding=True)
        connection.putheader("Host", parts.netloc.rpartition("@")[2])
        connection.putheader("User-Agent", self._settings.user_agent)
        connection.putheader("Accept-Encoding", "identity")
        connection.putheader("Content-Length", str(size))
        if proxied and (authorization := _proxy_authorization(proxied)):
            connection.putheader("Proxy-Authorization", authorization)
        for name, value in request.headers:
            connection.putheader(name, value)
        connection.endheaders()

    def _pooled(self, place: Place) -> http.client.HTTPConnection | None:
        while True:
            with self._lock:
                kept = self._idle.get(place)
                connection = kept.pop() if kept else None
            if connection is None or not _is_readable(connection):  # readable without a question: it is being closed
                return connection
            connection.close()

    def _keep(self, place: Place, connection: http.client.HTTPConnection) -> None:
        with self._lock:
            kept = self._idle.setdefault(place, [])
            if len(kept) < _POOLED:
                kept.append(connection)

    def _connected(self, place: Place, url: str) -> http.client.HTTPConnection:
        scheme, host, port = place
        proxy = proxy_for(url, self._settings.proxies)
        at = urlsplit(proxy) if proxy else None
        reached = (at.hostname or "", at.port or (443 if at.scheme == "https" else 80)) if at else (host, port)
        timeout = self._settings.connect_timeout
        with self._faults(url):
            if scheme == "https":
                connection: http.client.HTTPConnection = http.client.HTTPSConnection(
                    *reached, timeout=timeout, context=self._tls()
                )
                if proxy:
                    authorization = _proxy_authorization(proxy)
                    headers = {"Proxy-Authorization": authorization} if authorization else {}
                    connection.set_tunnel(host, port, headers)
            else:
                connection = http.client.HTTPConnection(*reached, timeout=timeout)
            connection.connect()
        return connection

    def _tls(self) -> ssl.SSLContext:
        with self._lock:
            self._context = self._context or _context(self._settings)
            return self._context

    @contextmanager
    def _faults(self, url: str) -> Iterator[None]:
        """Turn what the socket says into a NetworkFault."""
        try:
            yield
        except TimeoutError as error:
            raise unreachable(url, f"nothing went or came for {self._settings.idle_timeout:g} s") from error
        except (OSError, http.client.HTTPException) as error:
            reason = getattr(error, "strerror", None) or str(error) or type(error).__name__
            raise unreachable(url, reason) from error


def _is_readable(connection: http.client.HTTPConnection) -> bool:
    try:
        return bool(select.select([connection.sock], [], [], 0)[0])
    except (OSError, ValueError):
        return True


def _proxy_authorization(proxy: str) -> str:
    parts = urlsplit(proxy)
    if not parts.username:
        return ""
    pair = f"{unquote(parts.username)}:{unquote(parts.password or '')}"
    return "Basic " + b64encode(pair.encode()).decode("ascii")


def _context(settings: Settings) -> ssl.SSLContext:
    context = ssl.create_default_context()
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
