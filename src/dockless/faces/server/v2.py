"""Registry v2, reading and writing: the routes of the OCI distribution specification 1.1.

Rules:
* A path is one resource; what can be done there are its methods, and any other is 405. A registry that is read-only
  has the methods that read.
* Every answer is of this protocol: errors, too, are its JSON, and say which version is spoken.
* A route asks repositories and stores and nothing else. What a store does not have is the 404 of that route.
"""

import logging
from collections.abc import Awaitable, Callable

import msgspec
from starlette.concurrency import run_in_threadpool
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response
from starlette.routing import Route
from starlette.types import Receive, Scope, Send

from dockless.faces.server.basic import CHALLENGE, Basic
from dockless.faces.server.v2_blobs import Blobs
from dockless.faces.server.v2_lists import Lists
from dockless.faces.server.v2_manifests import ManifestRoutes
from dockless.faces.server.v2_messages import Refused, json_answer
from dockless.faces.server.v2_spool import Uploads
from dockless.faces.server.v2_uploads import UploadRoutes
from dockless.model.errors import InvalidReference, NotFound
from dockless.stores.base import Repositories

_LOG = logging.getLogger("dockless.server")
_READING = frozenset({"GET", "HEAD"})

Endpoint = Callable[[Request], Awaitable[Response]]


class V2Options(msgspec.Struct, frozen=True):
    """What the registry takes in. Sizes in bytes; `shortest_chunk`: of every chunk but the last, 0: any will do.

    `most_uploads` may be under way, and one that nobody writes to ends after `upload_seconds`.
    """

    read_only: bool = False
    longest_manifest: int = 4 << 20
    longest_blob: int = 16 << 30
    shortest_chunk: int = 0
    most_uploads: int = 100
    upload_seconds: float = 600


def make_uploads(content: object, options: V2Options) -> Uploads:
    """Return what holds the uploads into `content`."""
    directory = content.scratch if isinstance(content, Repositories) else None
    return Uploads(directory, options.most_uploads, options.upload_seconds)


def v2_routes(
    repositories: Repositories, uploads: Uploads, options: V2Options, credentials: tuple[str, str] | None
) -> list[Route]:
    """Return the routes that serve `repositories` to whoever has the `credentials`."""
    blobs, lists = Blobs(repositories), Lists(repositories)
    manifests = ManifestRoutes(repositories, options.longest_manifest)
    up = UploadRoutes(repositories, uploads, options.longest_blob, options.shortest_chunk)
    basic = Basic(credentials)

    def route(path: str, methods: dict[str, Endpoint], missing: str = "NAME_UNKNOWN") -> Route:
        allowed = {name: one for name, one in methods.items() if name in _READING or not options.read_only}
        return Route(path, _Resource(basic, missing, allowed))

    uploading = {**_read(up.status), "PATCH": up.append, "PUT": up.finish, "DELETE": up.cancel}
    of_blob = {**_read(_on_thread(blobs.read)), "DELETE": _on_thread(blobs.delete)}
    of_manifest = {**_read(_on_thread(manifests.read)), "PUT": manifests.put, "DELETE": _on_thread(manifests.delete)}
    return [
        route("/v2", _read(_base)),
        route("/v2/", _read(_base)),
        route("/v2/_catalog", _read(_on_thread(lists.catalog))),
        route("/v2/{name:path}/tags/list", _read(_on_thread(lists.tags))),
        route("/v2/{name:path}/referrers/{digest}", _read(_on_thread(lists.referrers))),
        route("/v2/{name:path}/blobs/uploads", {"POST": up.begin}),
        route("/v2/{name:path}/blobs/uploads/", {"POST": up.begin}),
        route("/v2/{name:path}/blobs/uploads/{upload}", uploading),
        route("/v2/{name:path}/blobs/{digest}", of_blob, "BLOB_UNKNOWN"),
        route("/v2/{name:path}/manifests/{reference}", of_manifest, "MANIFEST_UNKNOWN"),
        Route("/v2/{rest:path}", _Resource(basic, "NAME_UNKNOWN", None)),
    ]


def _read(endpoint: Endpoint) -> dict[str, Endpoint]:
    return {"GET": endpoint, "HEAD": endpoint}


def _on_thread(endpoint: Callable[[Request], Response]) -> Endpoint:
    """Return what asks a store as something that holds up nobody else."""

    async def on_thread(request: Request) -> Response:
        return await run_in_threadpool(endpoint, request)

    return on_thread


async def _base(_request: Request) -> Response:
    return json_answer({})


class _Resource:
    """One path of the API, as an ASGI application; without `methods` there is nothing at it."""

    def __init__(self, basic: Basic, missing: str, methods: dict[str, Endpoint] | None) -> None:
        self._basic = basic
        self._missing = missing
        self._methods = methods

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        request = Request(scope, receive)
        try:
            response = await self._answer(request)
        except ClientDisconnect:
            return
        except Refused as refused:
            response = refused.answer()
        except Exception:
            _LOG.exception("%s %s", request.method, request.url.path)
            response = Refused("UNKNOWN").answer()
        response.headers["Docker-Distribution-Api-Version"] = "registry/2.0"
        await response(scope, receive, send)

    async def _answer(self, request: Request) -> Response:
        if not self._basic.allows(request):
            raise Refused("UNAUTHORIZED", headers={"WWW-Authenticate": CHALLENGE})
        if self._methods is None:
            raise Refused(self._missing)
        endpoint = self._methods.get(request.method)
        if endpoint is None:
            raise Refused("UNSUPPORTED", headers={"Allow": ", ".join(self._methods)})
        try:
            return await endpoint(request)
        except (InvalidReference, NotFound):  # the first where a layout has one tag for several manifests
            raise Refused(self._missing) from None
