"""A small transport over pyreqwest; what carries a body goes through `net.upload` (docs/decisions/0008).

Rules:
* Redirects, cookies, decompression and the proxies of the environment are switched off in the client; those decisions
  are made elsewhere.
* Nothing is read ahead while an answer is being opened: a cut there would lose bytes that had arrived.
* Whatever the client raises becomes a NetworkFault that names the host and what happened. It is not kept as the cause:
  its text holds the URL with its query, which may be signed, and a traceback would tell it.
* A connection from the pool that the server closed meanwhile costs one silent repeat, on a connection of its own.
"""

import re
import threading
from collections.abc import Callable
from contextlib import suppress
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from pyreqwest.bytes import Bytes
from pyreqwest.client import SyncClient, SyncClientBuilder
from pyreqwest.cookie import CookieStore
from pyreqwest.exceptions import ConnectTimeoutError, DecodeError, DetailedPyreqwestError, RequestTimeoutError
from pyreqwest.http import HeaderMap, Url
from pyreqwest.proxy import ProxyBuilder
from pyreqwest.request import SyncStreamRequest
from pyreqwest.response import SyncResponseBodyReader

from dockless.model.errors import InvalidReference, LocalFault, NetworkFault
from dockless.net.response import Response, unreachable
from dockless.net.settings import Settings
from dockless.net.waiting import check, leave, off_main
from dockless.wire.http import Headers, Request, parse_url, without_query
from dockless.wire.proxy import proxy_for

if TYPE_CHECKING:
    from dockless.net.upload import Uploads

_END = memoryview(b"")
_POOLED = 32  # idle connections kept for each host
_LONGEST_COOKIE = 4096  # bytes, with its attributes (RFC 6265, 6.1)
_MOST_COOKIES = 100
_DOMAIN = re.compile(r";\s*domain\s*=\s*([^;\s]*)", re.IGNORECASE)
_SHARED = frozenset({"ac", "co", "com", "edu", "gov", "int", "mil", "net", "org"})


class _Streamed(Response):
    """An answer that the client reads chunk by chunk."""

    def __init__(self, request: Request, sent: SyncStreamRequest, idle_timeout: float) -> None:
        answer = sent.__enter__()
        super().__init__(request, answer.status, _headers(answer.headers))
        self._sent: SyncStreamRequest | None = sent
        self._body: SyncResponseBodyReader = answer.body_reader
        self._idle_timeout = idle_timeout
        self._reading = False

    def read_chunk(self) -> memoryview:
        check()
        try:
            chunk = off_main(self._next)
        except DetailedPyreqwestError as error:
            raise _fault(error, self.request.url, self._idle_timeout) from None
        return _END if chunk is None else memoryview(chunk)

    def close(self) -> None:
        sent, self._sent = self._sent, None
        if sent is None:
            return
        if self._reading:  # an interrupted read still hangs, and closing would wait for it
            leave(lambda: sent.__exit__(None, None, None))
        else:
            sent.__exit__(None, None, None)

    def _next(self) -> Bytes | None:
        self._reading = True
        try:
            return self._body.read_chunk()
        finally:
            self._reading = False


class Transport(Protocol):
    """What sends a request."""

    def send(self, request: Request) -> Response:
        """Return the answer, whatever its status. Raises NetworkFault."""
        ...

    def close(self) -> None:
        """Drop every connection."""
        ...


class PooledTransport:
    """A transport with a pool of connections. Safe to share between threads."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._pooled = _client(settings, idle=_POOLED)
        self._unpooled: SyncClient | None = None
        self._uploads: Uploads | None = None
        self._lock = threading.Lock()

    def send(self, request: Request) -> Response:
        """Return the answer, whatever its status. Raises NetworkFault, and what the request's body raises."""
        check()
        return off_main(lambda: self._send(request))

    def _send(self, request: Request) -> Response:
        if request.body is not None:
            return self._uploading().send(request, request.body)
        try:
            return self._exchange(self._pooled, request)
        except DetailedPyreqwestError as error:
            if not _is_unanswered(error):
                raise _fault(error, request.url, self._settings.idle_timeout) from None
        # The other connections of the pool may be as dead as this one was.
        with self._lock:
            unpooled = self._unpooled = self._unpooled or _client(self._settings, idle=0)
        try:
            return self._exchange(unpooled, request)
        except DetailedPyreqwestError as error:
            raise _fault(error, request.url, self._settings.idle_timeout) from None

    def _uploading(self) -> "Uploads":
        from dockless.net.upload import Uploads  # noqa: PLC0415 - slow to import, and most runs send nothing

        with self._lock:
            self._uploads = self._uploads or Uploads(self._settings)
            return self._uploads

    def _exchange(self, client: SyncClient, request: Request) -> Response:
        try:
            builder = client.request(request.method, request.url).streamed_read_buffer_limit(0)
        except ValueError:
            raise NetworkFault(f"{without_query(request.url)}: not a host that can be asked") from None
        builder = builder.header("Accept-Encoding", "identity")
        if request.method not in {"GET", "HEAD"}:
            builder = builder.header("Content-Length", "0")
        try:
            for name, value in request.headers:
                builder = builder.header(name, value, is_sensitive=True)
        except ValueError:
            raise InvalidReference(f"{request}: a header that cannot be sent") from None
        return _Streamed(request, builder.build_streamed(), self._settings.idle_timeout)

    def close(self) -> None:
        """Drop every connection."""
        self._pooled.close()
        if self._uploads is not None:
            self._uploads.close()
        if self._unpooled is not None:
            self._unpooled.close()


class Cookies:
    """The cookies that servers set, each kept for the hosts it belongs to (RFC 6265). Safe to share between threads.

    One for a `Domain` that strangers share (`com`, `co.uk`) is left. So are those that cannot be sent back or are too
    long, and all that come when there are too many.
    """

    def __init__(self) -> None:
        self._store = CookieStore()

    def keep(self, headers: Headers, url: str) -> None:
        """Take the cookies of an answer from `url`; what is not a cookie, or another host's, is left."""
        for cookie in headers.all("set-cookie"):
            if len(cookie) > _LONGEST_COOKIE or not cookie.isascii() or not cookie.isprintable() or _is_wide(cookie):
                continue
            if len(self._store.get_all_any()) < _MOST_COOKIES:
                with suppress(ValueError):
                    self._store.insert(cookie, url)

    def matching(self, url: str) -> list[str]:
        """Return the cookies that a request to `url` carries, `name=value` each."""
        try:
            return [cookie.stripped() for cookie in self._store.matches(url)]
        except ValueError:  # not a host that could have set one
            return []


def _is_wide(cookie: str) -> bool:
    """Say whether a cookie is for all below a top-level domain, or one like `co.uk` (the rule of http.cookiejar)."""
    for domain in _DOMAIN.findall(cookie):
        labels = domain.lower().strip(".").split(".")
        if len(labels) < 2 or (len(labels) == 2 and len(labels[1]) == 2 and labels[0] in _SHARED):
            return True
    return False


def _headers(sent: HeaderMap) -> Headers:
    """Take the headers that are text; one that is not says nothing we could use."""
    pairs: list[tuple[str, str]] = []
    for name in dict.fromkeys(sent.keys()):
        with suppress(ValueError):
            pairs += [(name, value) for value in sent.getall(name)]
    return Headers(pairs)


def _client(settings: Settings, idle: int) -> SyncClient:
    builder = (
        SyncClientBuilder()
        .follow_redirects(False)
        .referer(False)
        .gzip(False)
        .deflate(False)
        .brotli(False)
        .zstd(False)
        .user_agent(settings.user_agent)
        .connect_timeout(timedelta(seconds=settings.connect_timeout))
        .read_timeout(timedelta(seconds=settings.idle_timeout))
        .pool_max_idle_per_host(idle)
        .danger_accept_invalid_certs(settings.insecure)
    )
    proxies = settings.proxies
    for proxy in filter(None, (proxies.http, proxies.https)):
        _require_proxy(proxy if "://" in proxy else f"http://{proxy}")
    if proxies.http or proxies.https:
        builder = builder.proxy(ProxyBuilder.custom(_chooser(settings)))
    else:
        builder = builder.no_proxy()
    if settings.ca_file is not None:
        builder = _trusting(builder, settings.ca_file)
    return builder.build()


def _require_proxy(proxy: str) -> None:
    """Raise InvalidReference for one that the client would take for none, and go straight."""
    try:
        parse_url(proxy)
    except InvalidReference as error:
        raise InvalidReference(
            "a proxy that was given is not an http or https URL",
            hint="HTTP_PROXY and HTTPS_PROXY look like http://[NAME:PASSWORD@]HOST[:PORT].",
        ) from error


def _trusting(builder: SyncClientBuilder, ca_file: str) -> SyncClientBuilder:
    try:
        pem = Path(ca_file).read_bytes()
    except OSError as error:
        raise LocalFault(f"cannot read the authorities in {ca_file}: {error.strerror}") from error
    begin, end = b"-----BEGIN CERTIFICATE-----", b"-----END CERTIFICATE-----"
    certificates = [begin + part.partition(end)[0] + end for part in pem.split(begin)[1:]]
    if not certificates:
        raise LocalFault(f"no certificate in {ca_file}", hint="--ca-file takes a PEM file.")
    for certificate in certificates:
        builder = builder.add_root_certificate_pem(certificate)
    return builder


def _chooser(settings: Settings) -> Callable[[Url], str | None]:
    def choose(url: Url) -> str | None:
        return proxy_for(str(url), settings.proxies)

    return choose


def _is_unanswered(error: DetailedPyreqwestError) -> bool:
    """Say whether the connection stood and was closed before any answer: what a stale one from the pool looks like."""
    sending = any("(SendRequest)" in cause for cause in _causes(error))
    return sending and not isinstance(error, (RequestTimeoutError, DecodeError))


def _causes(error: DetailedPyreqwestError) -> list[str]:
    details = error.details or {}
    return [cause["message"] for cause in details.get("causes") or []]


def _fault(error: DetailedPyreqwestError, url: str, idle_timeout: float) -> NetworkFault:
    causes = _causes(error)
    connecting = any("(Connect)" in cause for cause in causes)
    if isinstance(error, ConnectTimeoutError) and connecting:
        reason = "no connection in time"
    elif isinstance(error, RequestTimeoutError):
        reason = f"nothing came for {idle_timeout:g} s"
    else:
        reason = causes[-1] if causes else str(error.args[0])
    return unreachable(url, reason)
