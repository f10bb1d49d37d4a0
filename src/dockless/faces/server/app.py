"""The embedded registry as a program: an application, and a server for it in a thread or in the foreground.

Rules:
* The application is the routes of each protocol, one list after the other; no list knows of another or of a server.
* The socket is bound and listens before anything else starts, so whoever was told the address can connect.
* HTTP/1.1 by h11 alone, so that its limits hold everywhere: 16 KiB of headers; a connection at rest ends after 2 s.
* A client is not waited for without end: its headers have to be complete within `patience`, and a body must not stall
  for longer, in either direction. What is sent of a body that nobody wants is read for as long. Whoever exceeds it is
  cut off, and so are connections beyond the five hundredth.
* A request with two lengths is refused: who stands in front may have gone by the other one (RFC 9112, section 6.3).
* Ending takes less than a second: answers under way get half of one, then their connections are cut.
* Nothing is printed. What goes wrong is logged to `dockless.server`, which is silent until someone configures logging.
"""

import asyncio
import logging
import signal
import socket
import threading
from collections.abc import Callable
from queue import SimpleQueue
from types import TracebackType
from typing import Any, Self

import h11
import uvicorn
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route
from starlette.types import ASGIApp, Receive, Scope, Send
from uvicorn.protocols.http.h11_impl import H11Protocol
from uvicorn.server import ServerState

from dockless.faces.server.pages import error_page
from dockless.faces.server.v1 import V1Options, v1_routes
from dockless.faces.server.v2 import V2Options, make_uploads, v2_routes
from dockless.faces.server.v2_spool import Uploads
from dockless.model.errors import LocalFault
from dockless.stores.base import Repositories, V1Repositories
from dockless.stores.v1_images import V1Images

_LOG = logging.getLogger("dockless.server")
_LOG.addHandler(logging.NullHandler())

_LONGEST_HEADERS = 16 << 10
_KEEP_ALIVE = 2  # seconds, as the original
_GRACE = 0.5  # seconds for answers under way
_MOST_CONNECTIONS = 500
_ANSWERING = {h11.SEND_RESPONSE, h11.SEND_BODY}
_TWO_LENGTHS = {b"content-length", b"transfer-encoding"}


def create_app(
    content: Repositories | V1Repositories,
    options: V1Options,
    v2: V2Options | None = None,
    uploads: Uploads | None = None,
) -> Starlette:
    """Return the ASGI application that serves `content`: repositories over v2 and v1, images of v1 over v1 alone."""
    routes: list[Route] = []
    if isinstance(content, Repositories):
        v2 = v2 or V2Options()
        routes = v2_routes(content, uploads or make_uploads(content, v2), v2, options.credentials)
        content = V1Images(content)
    app = Starlette(
        routes=[*routes, *v1_routes(content, options)],
        middleware=[Middleware(_OneLength)],
        exception_handlers={HTTPException: _page, Exception: _page},
    )
    app.router.redirect_slashes = False  # which path is moved where is the routes' business
    return app


class EmbeddedRegistry:
    """A registry on a thread of this process, from construction until `close`; also a context manager.

    `host` is where it listens, as `ADDRESS:PORT`, and `url` the same with its scheme.
    """

    def __init__(
        self,
        content: Repositories | V1Repositories,
        options: V1Options | None = None,
        *,
        v2: V2Options | None = None,
        host: str = "127.0.0.1",
        port: int = 0,
        tls: tuple[str, str] | None = None,
        patience: float = 30,
    ) -> None:
        """Start serving `content` on `host`, at `port` or (0) at any that is free; see `create_app`.

        `tls`: the paths of a certificate chain and its key, both PEM; `patience`: seconds. Raises LocalFault when the
        certificate cannot be used or the address cannot be listened on.
        """
        v2 = v2 or V2Options()
        self._uploads = make_uploads(content, v2)
        app = create_app(content, options or V1Options(), v2, self._uploads)
        self._server = _Server(_config(app, tls, patience), self._uploads)
        self._socket = _listen(host, port)
        address, port = self._socket.getsockname()[:2]
        self.host = f"[{address}]:{port}" if ":" in address else f"{address}:{port}"
        self.url = f"{'https' if tls else 'http'}://{self.host}"
        self._thread = threading.Thread(
            target=self._server.run, args=([self._socket],), name="dockless-registry", daemon=True
        )
        self._thread.start()

    def close(self) -> None:
        """Stop serving, cutting what is still under way after half a second. May be called twice."""
        self._server.should_exit = True
        self._thread.join()
        self._socket.close()
        self._uploads.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()


def serve(
    content: Repositories | V1Repositories,
    host: str,
    port: int,
    options: V1Options,
    on_ready: Callable[[str], None],
    *,
    v2: V2Options | None = None,
    tls: tuple[str, str] | None = None,
) -> None:
    """Serve `content` until SIGINT or SIGTERM; for the main thread. `on_ready` is given the URL.

    The other arguments and what is raised: see `EmbeddedRegistry`.
    """
    came: SimpleQueue[int] = SimpleQueue()  # the one queue that a signal handler may put into
    before = {
        number: signal.signal(number, lambda number, _frame: came.put(number))
        for number in (signal.SIGINT, signal.SIGTERM)
    }
    try:
        with EmbeddedRegistry(content, options, v2=v2, host=host, port=port, tls=tls) as registry:
            on_ready(registry.url)
            came.get()
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


class _Server(uvicorn.Server):
    """A server that does not wait, once it is to end, for a client that stalls or for a large upload."""

    def __init__(self, config: uvicorn.Config, uploads: Uploads) -> None:
        super().__init__(config)
        self._uploads = uploads

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        asyncio.get_running_loop().call_later(_GRACE, self._cut)
        await super().shutdown(sockets)

    def _cut(self) -> None:
        self._uploads.stop()
        for connection in list(self.server_state.connections):
            connection.transport.abort()


class _Connection(H11Protocol):
    """A client's connection, which logs to us, which an application may end in mid-body, and which is not endless."""

    patience: float

    def __init__(
        self,
        config: uvicorn.Config,
        server_state: ServerState,
        app_state: dict[str, Any],
        _loop: asyncio.AbstractEventLoop | None = None,
    ) -> None:
        super().__init__(config, server_state, {**app_state, "hang_up": self._hang_up}, _loop)
        self.logger = _LOG
        self.access_log = False
        self._since = self.loop.time()  # when the client was last seen to do its part

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        # asyncio does this for the sockets alone that it makes itself; without it every answer waits for 40 ms
        transport.get_extra_info("socket").setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        if len(self.connections) > _MOST_CONNECTIONS:
            transport.abort()
        self._watch()

    def data_received(self, data: bytes) -> None:
        super().data_received(data)
        if self.conn.their_state is h11.SEND_BODY and self.conn.our_state in _ANSWERING:
            self._since = self.loop.time()

    def on_response_complete(self) -> None:
        self._since = self.loop.time()
        super().on_response_complete()

    def pause_writing(self) -> None:
        super().pause_writing()
        self._since = self.loop.time()

    def _watch(self) -> None:
        now = self.loop.time()
        if not self._is_waiting():
            self._since = now
        elif now - self._since > self.patience:
            self.transport.abort()
        if not self.transport.is_closing():
            self.loop.call_later(min(self.patience / 4, 1), self._watch)

    def _is_waiting(self) -> bool:
        """Say whether it is the client's turn: to send headers or body, or to read."""
        sends_body = self.conn.their_state is h11.SEND_BODY and not self.flow.read_paused
        return self.conn.our_state not in _ANSWERING or sends_body or self.flow.write_paused

    def _hang_up(self) -> None:
        self.transport.close()


class _OneLength:
    """The application `app`, for requests that say in one way only how long they are."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        named = {name for name, _ in scope["headers"]}
        app = error_page(400, {"Connection": "close"}) if named >= _TWO_LENGTHS else self._app
        await app(scope, receive, send)


def _config(app: Starlette, tls: tuple[str, str] | None, seconds: float) -> uvicorn.Config:
    class Connection(_Connection):
        patience = seconds

    certificate, key = tls or (None, None)
    config = uvicorn.Config(
        app,
        http=Connection,
        ws="none",
        lifespan="off",
        interface="asgi3",
        log_config=None,
        proxy_headers=False,
        server_header=False,
        timeout_keep_alive=_KEEP_ALIVE,
        timeout_graceful_shutdown=1,
        h11_max_incomplete_event_size=_LONGEST_HEADERS,
        ssl_certfile=certificate,
        ssl_keyfile=key,
    )
    try:
        config.load()
    except OSError as error:
        raise LocalFault(
            f"cannot use the certificate {certificate} with the key {key}: {error}",
            hint="Both must be PEM files, and the key the certificate's own, without a passphrase.",
        ) from error
    return config


def _listen(host: str, port: int) -> socket.socket:
    try:
        return socket.create_server((host, port), family=socket.AF_INET6 if ":" in host else socket.AF_INET)
    except (OSError, OverflowError) as error:
        raise LocalFault(
            f"cannot listen on {host}:{port}: {error}", hint="Is something else listening there? Port 0 takes any."
        ) from error


def _page(_request: Request, error: Exception) -> Response:
    if isinstance(error, HTTPException):
        return error_page(error.status_code, error.headers)
    return error_page(500)
