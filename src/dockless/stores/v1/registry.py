"""A Docker Registry v1: the index, and the repository it opens.

The index is asked once for a repository's images; its answer's headers hold the token and the endpoints, and everything
else is asked from the endpoints. Tags, too: the index's own tags were short ids that name nothing.
"""

from collections import Counter
from collections.abc import Iterator
from contextlib import closing

import msgspec
from msgspec import structs

from dockless.model.errors import InvalidDocument, InvalidReference, NotFound
from dockless.model.events import Notice
from dockless.model.image_id import ImageId, is_image_id
from dockless.model.location import is_v1_repository
from dockless.model.printable import printable
from dockless.model.reference import is_tag
from dockless.model.v1_documents import SearchPage, SearchResult, ancestry, decode, tag_ids
from dockless.net.response import Response
from dockless.net.session import LONGEST_JSON, OK, Session, read_json
from dockless.stores.base import V1Image
from dockless.stores.v1.endpoints import Endpoints
from dockless.stores.v1.layer import LayerBody
from dockless.wire.auth import Credential
from dockless.wire.http import Body, Request, body_of, origin, parse_url, without_query
from dockless.wire.v1 import conversation, routes
from dockless.wire.v1.conversation import Ping
from dockless.wire.v1.push import ASK_FOR_TOKEN, JSON, image_list

_MOST_PAGES = 1000
_DONE = frozenset({200, 204})


class V1Repository:
    """One repository, open for reading or for a push.

    `token` and `endpoints` are what the index gave, `status` its HTTP status.
    """

    def __init__(self, name: str, token: str, endpoints: tuple[str, ...], status: int, connections: Endpoints) -> None:
        self.name = name
        self.token = token
        self.endpoints = endpoints
        self.status = status
        self._connections = connections
        self._opened: Counter[ImageId] = Counter()

    def tags(self) -> dict[str, str]:
        """Return each tag with what it names, unchecked. Raises NotFound and what all endpoints failed with."""
        return self._connections.json(routes.tags(self.name), lambda raw, _, what: tag_ids(raw, f"tags from {what}"))

    def image(self, image_id: ImageId) -> V1Image:
        """Return an image's JSON with its layer's size and checksum, as far as the server says."""

        def parse(raw: bytes, response: Response, what: str) -> V1Image:
            decode(raw, dict[str, object], f"image JSON from {what}")
            headers = response.headers
            return V1Image(image_id, raw, conversation.layer_size(headers), conversation.payload_checksum(headers))

        return self._connections.json(routes.image_json(image_id), parse)

    def ancestry(self, image_id: ImageId) -> list[ImageId]:
        """Return the ids from the image down to its base."""
        return self._connections.json(
            routes.ancestry(image_id), lambda raw, _, what: ancestry(raw, image_id, f"ancestry from {what}")
        )

    def layer(self, image: V1Image, offset: int = 0) -> LayerBody:
        """Open the layer's stored bytes. A layer opened again begins at the next endpoint: the first was no good."""
        self._opened[image.id] += 1
        if self._opened[image.id] > 1:
            self._connections.rotate()
        return LayerBody(self._connections, image, offset)

    def tag(self, tag: str, image_id: ImageId) -> None:
        """Let a tag, which has been checked, name an image that is there. Raises NotFound."""
        self.put(routes.tag(self.name, tag), body_of(msgspec.json.encode(image_id)), (JSON,))

    def put(self, path: str, body: Body, headers: tuple[tuple[str, str], ...], expect: frozenset[int] = OK) -> int:
        """Send `body` to the first endpoint that takes it; return its status, one of `expect`."""
        requests = [
            (base, structs.replace(request, method="PUT", body=body))
            for base, request in self._connections.requests(path, headers)
        ]
        return self._connections.first_of(requests, _drained, expect).status

    def delete(self, path: str) -> None:
        """Have the first endpoint that will remove something. Raises NotFound."""
        requests = [
            (base, structs.replace(request, method="DELETE")) for base, request in self._connections.requests(path)
        ]
        self._connections.first_of(requests, _drained)

    def layer_urls(self, image_id: ImageId) -> list[str]:
        """Return the layer's URL at each endpoint, in the index's order."""
        return self._connections.urls(routes.layer(image_id))


class V1Index:
    """The index at a URL, with the credential it wants. Raises InvalidReference for what is not an http(s) URL."""

    def __init__(self, session: Session, url: str, credential: Credential | None = None) -> None:
        parts = parse_url(url)
        if parts.query or parts.fragment:
            raise InvalidReference("a registry's URL has no query and no fragment")
        if parts.username and credential is None:
            credential = Credential(parts.username, parts.password or "")
        self.session = session
        self.url = f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}{parts.path}".rstrip("/")
        self._credential = credential

    def ping(self) -> Ping:
        """Ask how the registry presents itself. Raises NotFound when it has no v1."""

        def read(response: Response) -> Ping:
            read_json(response)
            return conversation.ping(response.headers)

        return self.session.first_of([(self.url, self._request(routes.PING))], read)[1]

    def search(self, query: str) -> Iterator[SearchResult]:
        """Yield what a search finds, all pages, each repository once."""
        seen: set[str] = set()
        for number in range(1, _MOST_PAGES + 1):
            page = self._search_page(query, number)
            new = [result for result in page.results if result.name not in seen]
            seen.update(result.name for result in new)
            yield from new
            if not new or number >= page.num_pages:
                return

    def repository(self, name: str) -> V1Repository:
        """Open a repository. Raises InvalidReference, NotFound and InvalidDocument; errors carry the HTTP status."""
        _require_name(name)
        request = self._request(routes.repository_images(name), ASK_FOR_TOKEN)
        try:
            _, response = self.session.first_of([(self.url, request)], _drained)
        except NotFound as fault:
            raise NotFound(
                f"image {name} not found: {fault}", status=fault.status, hint="`dockless search` lists what there is."
            ) from fault
        try:
            return self._open(name, response)
        except InvalidDocument as fault:
            fault.status = response.status
            raise

    def begin_push(self, name: str, images: bytes) -> V1Repository:
        """Tell the index which images a repository will have, and open it for a push. Raises as `repository` does."""
        _require_name(name)
        return self._open(name, self._put_images(routes.repository(name), images, ASK_FOR_TOKEN))

    def end_push(self, repository: V1Repository, images: bytes) -> None:
        """Tell the index that the images are there."""
        endpoints = ("X-Docker-Endpoints", ", ".join(repository.endpoints))
        self._put_images(routes.repository_images(repository.name), images, endpoints)

    def tag(self, repository: str, tag: str, image_id: ImageId) -> None:
        """Let a tag name an image that is there. Raises NotFound, and InvalidReference for what v1 would garble."""
        require_tag(tag)
        self.begin_push(repository, image_list([(image_id, None)])).tag(tag, image_id)

    def untag(self, repository: str, tag: str) -> None:
        """Remove a tag; the images stay. Raises NotFound."""
        _require_name(repository)
        request = structs.replace(self._request(routes.repository_images(repository), ASK_FOR_TOKEN), method="DELETE")
        _, response = self.session.first_of([(self.url, request)], _drained, expect=_DONE)
        self._open(repository, response).delete(routes.tag(repository, tag))

    def _put_images(self, path: str, images: bytes, header: tuple[str, str]) -> Response:
        request = structs.replace(self._request(path, JSON, header), method="PUT", body=body_of(images))
        return self.session.first_of([(self.url, request)], _drained, expect=_DONE)[1]

    def _open(self, name: str, response: Response) -> V1Repository:
        token = conversation.token(response.headers)
        hosts = conversation.endpoints(response.headers, self.url)
        bases = [f"{origin(self.url)[0]}://{host}" for host in hosts]
        allowed = self.session.settings.trusted_endpoints
        trusted = [conversation.may_see_credentials(self.url, base, allowed) for base in bases]
        header = self._endpoint_authorization(token)
        connections = Endpoints(
            self.session, tuple((base, header if may else None) for base, may in zip(bases, trusted, strict=True))
        )
        for base, may in zip(bases, trusted, strict=True):
            if not may and (header or self.session.cookies.matching(base)):
                self.session.observe(Notice(f"{base} is not on the index's host and gets no credentials"))
        return V1Repository(name, token, hosts, response.status, connections)

    def _endpoint_authorization(self, token: str) -> str:
        if self._credential and origin(self.url)[0] == "https" and self.ping().standalone:
            return self._credential.basic
        return conversation.authorization(token)

    def _search_page(self, query: str, number: int) -> SearchPage:
        def read(response: Response) -> SearchPage:
            what = f"search from {without_query(response.request.url)}"
            return decode(read_json(response), SearchPage, what)

        return self.session.first_of([(self.url, self._request(routes.search(query, number)))], read)[1]

    def _request(self, path: str, *headers: tuple[str, str]) -> Request:
        basic = (("Authorization", self._credential.basic),) if self._credential else ()
        return Request(self.url + path, (*headers, *basic))


def _require_name(name: str) -> None:
    if not is_v1_repository(name):
        problem = f"not a repository name: {printable(name, 200)!r}" if name else "the image name is empty"
        raise InvalidReference(problem, hint="Names look like NAME or NAMESPACE/NAME.")


def require_tag(tag: str) -> None:
    """Raise InvalidReference for what v1 would garble in a tag's place."""
    if not is_tag(tag):
        raise InvalidReference(
            f"not a tag: {printable(tag, 160)!r}", hint="Tags are letters, digits, dots, dashes and underscores."
        )


def _drained(response: Response) -> Response:
    """Read the index's list to its end, so that the connection can be used again; it says nothing of use."""
    with closing(response):
        response.read(LONGEST_JSON)
    return response


def image_id_of(tag: str, ids: dict[str, str], repository: str) -> ImageId:
    """Return the image id that a tag names. Raises NotFound, or InvalidDocument for what is no id."""
    if tag not in ids:
        raise NotFound(
            f"tag {printable(tag, 128)!r} not found for image {repository}",
            hint=f"`dockless tags` lists the {len(ids)} tags that {repository} has.",
        )
    if not is_image_id(ids[tag]):
        raise InvalidDocument(f"tag {printable(tag, 128)!r} of {repository} names no image id")
    return ImageId(ids[tag])
