"""The embedded registry as a program: an application, and a server for it in a thread or in the foreground.

Rules:
* The application is the routes of each protocol, one list after the other; no list knows of another or of a server.
* The socket is bound and listens before anything else starts, so whoever was told the address can connect.
* HTTP/1.1 by h11 alone, so that its limits hold everywhere: 16 KiB of headers; a connection at rest ends after 2 s.
  There is no limit on the time that a client takes to send its headers: uvicorn has none.
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

import uvicorn
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from uvicorn.protocols.http.h11_impl import H11Protocol
from uvicorn.server import ServerState

from dockless.faces.server.pages import error_page
from dockless.faces.server.v1 import V1Options, v1_routes
from dockless.model.errors import LocalFault
from dockless.stores.base import V1Repositories

_LOG = logging.getLogger("dockless.server")
_LOG.addHandler(logging.NullHandler())

_LONGEST_HEADERS = 16 << 10
_KEEP_ALIVE = 2  # seconds, as the original
_GRACE = 0.5  # seconds for answers under way


def create_app(images: V1Repositories, options: V1Options) -> Starlette:
    """Return the ASGI application that serves `images`."""
    app = Starlette(
        routes=v1_routes(images, options),
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
        images: V1Repositories,
        options: V1Options | None = None,
        *,
        host: str = "127.0.0.1",
        port: int = 0,
        tls: tuple[str, str] | None = None,
    ) -> None:
        """Start serving `images` on `host`, at `port` or (0) at any that is free.

        `tls`: the paths of a certificate chain and its key, both PEM. Raises LocalFault when the certificate cannot be
        used or the address cannot be listened on.
        """
        self._server = _Server(_config(create_app(images, options or V1Options()), tls))
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

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()


def serve(
    images: V1Repositories,
    host: str,
    port: int,
    options: V1Options,
    on_ready: Callable[[str], None],
    *,
    tls: tuple[str, str] | None = None,
) -> None:
    """Serve `images` until SIGINT or SIGTERM; for the main thread. `on_ready` is given the URL.

    The other arguments and what is raised: see `EmbeddedRegistry`.
    """
    came: SimpleQueue[int] = SimpleQueue()  # the one queue that a signal handler may put into
    before = {
        number: signal.signal(number, lambda number, _frame: came.put(number))
        for number in (signal.SIGINT, signal.SIGTERM)
    }
    try:
        with EmbeddedRegistry(images, options, host=host, port=port, tls=tls) as registry:
            on_ready(registry.url)
            came.get()
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


class _Server(uvicorn.Server):
    """A server that does not wait for a client that stalls."""

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        asyncio.get_running_loop().call_later(_GRACE, self._cut)
        await super().shutdown(sockets)

    def _cut(self) -> None:
        for connection in list(self.server_state.connections):
            connection.transport.abort()


class _Connection(H11Protocol):
    """A client's connection, which logs to us and which an application may end in mid-body."""

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

    def _hang_up(self) -> None:
        self.transport.close()


def _config(app: Starlette, tls: tuple[str, str] | None) -> uvicorn.Config:
    certificate, key = tls or (None, None)
    config = uvicorn.Config(
        app,
        http=_Connection,
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
