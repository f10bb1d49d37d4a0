"""Manifests of v2 (distribution-spec, "Pulling manifests", "Pushing Manifests", "Deleting").

Rules:
* A manifest is kept byte for byte, in the type it came with, and only when it can be read as one of that type.
* What it points at is here before it: blobs, but those that have URLs of their own, and the manifests of an index. Its
  subject need not be.
* What the client accepts is not asked: a manifest has one form, and is given out in it.
* Deleting a tag leaves the manifest and its other tags; deleting the manifest takes its tags along.
"""

from functools import partial

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import Response

from dockless.faces.server.bodies import stored, take_in
from dockless.faces.server.v2_messages import Refused, created, opened, repository_of
from dockless.model.descriptor import Descriptor
from dockless.model.digest import Digest, is_digest
from dockless.model.documents import Index, Manifest, Opaque, parse_document
from dockless.model.errors import InvalidDocument, NotFound
from dockless.model.media_types import DOCUMENTS
from dockless.model.printable import printable
from dockless.model.reference import is_tag
from dockless.stores.base import Repositories, Repository
from dockless.wire.stream import BytesReader, DigestSum
from dockless.wire.v2 import routes

_MOST_TAGS = 100
_MOST_NAMED = 100  # of what is missing


class ManifestRoutes:
    """The manifests of `repositories`; `most` bytes are taken for one."""

    def __init__(self, repositories: Repositories, most: int) -> None:
        self._repositories = repositories
        self._most = most

    def read(self, request: Request) -> Response:
        """A manifest by tag or digest."""
        store = opened(self._repositories, request)
        found = _resolved(store, request)
        headers = {
            "Content-Length": str(found.size),
            "Content-Type": found.media_type,
            "Docker-Content-Digest": found.digest,
        }
        if request.method == "HEAD":
            return Response(None, 200, headers)
        return stored(store.fetch(found), found.size, 200, headers)

    async def put(self, request: Request) -> Response:
        """Take a manifest in, under its digest and any number of tags."""
        repository, name = repository_of(request), request.path_params["reference"]
        tags = [*([] if is_digest(name) else [name]), *request.query_params.getlist("tag")]
        if len(tags) > _MOST_TAGS or not all(map(is_tag, tags)):
            raise Refused("MANIFEST_INVALID", f"a tag is not one, or there are more than {_MOST_TAGS}")
        raw = await self._body(request)
        found = _described(raw, request, Digest(name) if is_digest(name) else None)
        document = _parsed(found, raw)
        await run_in_threadpool(self._store, repository, document, tags)
        headers = {"Docker-Content-Digest": found.digest, "Location": routes.manifest(repository, found.digest)}
        if document.subject is not None:
            headers["OCI-Subject"] = document.subject.digest
        if tags:
            headers["OCI-Tag"] = ", ".join(tags)
        return Response(None, 201, headers)

    def delete(self, request: Request) -> Response:
        """Remove a tag, or a manifest with its tags."""
        store = opened(self._repositories, request)
        found = _resolved(store, request)
        name = request.path_params["reference"]
        if is_digest(name):
            store.delete(found)
        else:
            store.untag(name)
        return Response(None, 202)

    async def _body(self, request: Request) -> bytes:
        content = bytearray()

        async def add(block: bytearray) -> None:
            content.extend(block)
            if len(content) > self._most:
                raise Refused("SIZE_INVALID", {"most": self._most}, status=413)

        if int(request.headers.get("content-length", 0)) > self._most:
            raise Refused("SIZE_INVALID", {"most": self._most}, status=413)
        await take_in(request, add)
        return bytes(content)

    def _store(self, repository: str, document: Manifest | Index, tags: list[str]) -> None:
        store = created(self._repositories, repository)
        missing = [one.digest for one in document.successors if not one.urls and not store.exists(one)]
        if missing:
            raise Refused("MANIFEST_BLOB_UNKNOWN", [{"digest": digest} for digest in missing[:_MOST_NAMED]])
        store.push(document.descriptor, partial(BytesReader, document.raw))
        for tag in tags:
            store.tag(document.descriptor, tag)


def _resolved(store: Repository, request: Request) -> Descriptor:
    """Return what the path's tag or digest names. Raises NotFound."""
    name = request.path_params["reference"]
    if not (is_tag(name) or is_digest(name)):
        raise NotFound("neither tag nor digest")
    found = store.resolve(name)
    if found.media_type not in DOCUMENTS:
        raise NotFound("a blob, and no manifest")
    return found


def _described(raw: bytes, request: Request, wanted: Digest | None) -> Descriptor:
    """Return what came, by the algorithm of the digest that is wanted. Raises Refused when it has another digest."""
    total = DigestSum(wanted.partition(":")[0] if wanted else "sha256")
    total.update(memoryview(raw))
    digest = Digest(str(total))
    if wanted not in {None, digest}:
        raise Refused("DIGEST_INVALID", {"digest": wanted})
    media_type = request.headers.get("content-type", "").partition(";")[0].strip()
    return Descriptor(media_type, digest, len(raw))


def _parsed(found: Descriptor, raw: bytes) -> Manifest | Index:
    try:
        document = parse_document(found, raw)
    except InvalidDocument as error:
        raise Refused("MANIFEST_INVALID", str(error)) from None
    if isinstance(document, Opaque):
        raise Refused("MANIFEST_INVALID", f"of the type {printable(found.media_type, 100)!r} nothing is known here")
    return document
