"""Docker Registry v1, reading: the routes of index and registry in one, answering as docker-registry 0.9.1 did.

Rules:
* Statuses, bodies and headers are the original's, quirks included: clients were written against them.
* A route asks the store and nothing else; what the store does not have is the 404 of that route.
* Tags are tried before everything else below a repository, so that a tag may be called `json` or `images`.
* Below `/v1/repositories/` no path is unknown: without a slash at its end it is moved to the same with one, and there
  nothing can be read.
"""

from collections.abc import Callable
from urllib.parse import quote

import msgspec
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from dockless.faces.server.pages import moved_page
from dockless.faces.server.v1_access import Access, Endpoint, token
from dockless.faces.server.v1_layer import layer_answer
from dockless.faces.server.v1_messages import UNCACHED, answer, cached, error, repository_of, wire_name
from dockless.model.errors import InvalidDocument, NotFound
from dockless.model.image_id import ImageId, is_image_id
from dockless.stores.base import V1Repositories

_REPOSITORY = "/v1/repositories/{repository:path}"
_IMAGE = "/v1/images/{image_id}"

# what the original says of a tag whose pusher it does not know, and of one that is not there
_PUSHER = {
    "arch": "amd64",
    "docker_go_version": None,
    "docker_version": None,
    "kernel": None,
    "last_update": None,
    "os": "linux",
}


class V1Options(msgspec.Struct, frozen=True):
    """How the registry presents itself.

    `tokens`: the registry's routes demand the token that the index gave, and the ping says that it is not standalone.
    `endpoints`: the values of `X-Docker-Endpoints`, one header each, commas allowed; none: the request's own host.
    `credentials`: name and password that the index and v2 want as Basic; without tokens every route but the ping does.
    """

    tokens: bool = False
    endpoints: tuple[str, ...] = ()
    credentials: tuple[str, str] | None = None


def v1_routes(images: V1Repositories, options: V1Options) -> list[Route]:
    """Return the routes that serve `images`."""
    v1 = _V1(images, options)
    access = Access(options.tokens, options.credentials)
    index, registry = access.index, access.registry
    return [
        Route("/_ping", v1.ping),
        Route("/v1/_ping", v1.ping),
        Route("/", index(_constant("docker-registry server"))),
        Route("/v1/users", _add_slash),
        Route("/v1/users/", index(_constant("OK"))),
        Route("/v1/search", index(v1.search)),
        Route(_IMAGE + "/json", registry(_of_image(v1.image_json))),
        Route(_IMAGE + "/ancestry", registry(_of_image(v1.ancestry))),
        Route(_IMAGE + "/layer", registry(_of_image(v1.layer))),
        Route(_REPOSITORY + "/tags/{tag}", registry(v1.tag)),
        Route(_REPOSITORY + "/tags/{tag}/json", registry(_constant(_PUSHER))),
        Route(_REPOSITORY + "/tags", registry(v1.tags)),
        Route(_REPOSITORY + "/images", index(v1.repository_images)),
        Route(_REPOSITORY + "/json", registry(_constant(_PUSHER))),
        Route(_REPOSITORY + "/properties", registry(_constant({"access": "public"}))),
        Route(_REPOSITORY + "/", _nothing_to_read, methods=["DELETE", "GET", "PATCH", "POST", "PUT"]),
        Route(_REPOSITORY, _add_slash),
    ]


class _V1:
    """The routes that ask the store."""

    def __init__(self, images: V1Repositories, options: V1Options) -> None:
        self._images = images
        self._endpoints = options.endpoints
        self._standalone = str(not options.tokens)

    def ping(self, _request: Request) -> Response:
        return answer({}, headers={**UNCACHED, "X-Docker-Registry-Standalone": self._standalone})

    def search(self, request: Request) -> Response:
        """Every name that holds the term, in any case; all of them on one page."""
        term = request.query_params.get("q", "")
        names = [wire_name(name) for name in self._images.repositories()]
        found = [{"description": "", "name": name} for name in names if term.lower() in name.lower()]
        return answer({"num_results": len(found), "query": term, "results": found})

    def repository_images(self, request: Request) -> Response:
        """The index: which images, in its body; where, and with what token, in its headers."""
        repository = repository_of(request)
        hosts = self._endpoints or (_host(request),)
        try:
            ids = self._ids(repository)
        except NotFound:
            return error("images not found", 404)
        given = token(wire_name(repository))
        headers = {**UNCACHED, "X-Docker-Token": given, "WWW-Authenticate": given}
        response = answer([{"id": one} for one in ids], headers=headers)
        for host in hosts:
            response.headers.append("X-Docker-Endpoints", host)
        return response

    def tags(self, request: Request) -> Response:
        try:
            return answer(self._images.tags(repository_of(request)))
        except NotFound:
            return error("Repository not found", 404)

    def tag(self, request: Request) -> Response:
        try:
            return answer(self._images.tags(repository_of(request))[request.path_params["tag"]])
        except (NotFound, KeyError):
            return error("Tag not found", 404)

    def image_json(self, _request: Request, image_id: ImageId) -> Response:
        """The bytes as they were pushed, with what is known of the layer."""
        image = self._images.image(image_id)
        headers = cached()
        if image.size is not None:
            headers["X-Docker-Size"] = str(image.size)
        if image.checksum is not None:
            headers["X-Docker-Checksum-Payload"] = image.checksum
        return Response(image.raw, 200, headers, "application/json")

    def ancestry(self, _request: Request, image_id: ImageId) -> Response:
        return answer(self._images.ancestry(image_id), headers=cached())

    def layer(self, request: Request, image_id: ImageId) -> Response:
        return layer_answer(request, self._images, self._images.image(image_id))

    def _ids(self, repository: str) -> list[ImageId]:
        """Return the ids that a push of every tag would have listed. Raises NotFound when there is no repository."""
        ids: dict[ImageId, None] = {}
        for image_id in self._images.tags(repository).values():
            try:
                ids.update(dict.fromkeys([image_id] if image_id in ids else self._images.ancestry(image_id)))
            except (NotFound, InvalidDocument):
                ids[image_id] = None  # the list may hold what is not there, or not whole
        return list(ids)


def _of_image(endpoint: Callable[[Request, ImageId], Response]) -> Endpoint:
    """Return `endpoint` for image ids alone, answering 304 to whoever has it already: images never change."""

    def of_image(request: Request) -> Response:
        image_id = request.path_params["image_id"]
        if not is_image_id(image_id):
            return error("Invalid image ID", 404)
        if "if-modified-since" in request.headers:
            headers = cached()
            del headers["Last-Modified"]
            return Response(None, 304, headers)
        try:
            return endpoint(request, ImageId(image_id))
        except NotFound:
            return error("Image not found", 404)

    return of_image


def _constant(value: object) -> Endpoint:
    def constant(_request: Request) -> Response:
        return answer(value)

    return constant


def _host(request: Request) -> str:
    """Return the request's host as it was sent. Raises HTTPException (500, as the original) when there is none."""
    host = request.headers.get("host")
    if host is None:
        raise HTTPException(500)
    return host


def _add_slash(request: Request) -> Response:
    if "repository" in request.path_params:
        repository_of(request)
    return moved_page(str(request.url.replace(path=quote(request.scope["path"]) + "/")))


def _nothing_to_read(request: Request) -> Response:
    repository_of(request)
    raise HTTPException(405, headers={"Allow": ""})
