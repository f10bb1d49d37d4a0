"""Uploads of v2 (distribution-spec, "Pushing blobs", "Mounting a blob", "Cancel a blob upload").

Rules:
* A blob is in the repository when its digest agreed, and until then nowhere but in its spool.
* Chunks come in order: one that begins elsewhere than the upload ends is 416, with what there is.
* A connection that breaks keeps what came; an upload whose size, digest or place on the disk is wrong is given up.
* A mount takes a blob from a repository of this server, or begins an upload.
"""

import re
from functools import partial

from starlette.concurrency import run_in_threadpool
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response

from dockless.faces.server.bodies import UntilStopped, take_in
from dockless.faces.server.v2_messages import OCTETS, Refused, created, digest_in, repository_of
from dockless.faces.server.v2_spool import Upload, Uploads
from dockless.model.descriptor import Descriptor
from dockless.model.digest import Digest
from dockless.model.errors import InvalidReference, NotFound, VerificationFailed
from dockless.stores.base import Repositories
from dockless.wire.v2 import routes

_RANGE = re.compile(r"([0-9]{1,18})-([0-9]{1,18})")
_ALGORITHMS = frozenset({"sha256", "sha512"})


class UploadRoutes:
    """The uploads into `repositories`: `most` bytes of a blob, in chunks of at least `least` bytes but for the last."""

    def __init__(self, repositories: Repositories, uploads: Uploads, most: int, least: int) -> None:
        self._repositories = repositories
        self._uploads = uploads
        self._most = most
        self._least = least

    async def begin(self, request: Request) -> Response:
        """Mount a blob, take one that comes with this very request, or begin an upload."""
        repository = repository_of(request)
        asked = request.query_params
        whole = digest_in(asked["digest"]) if "digest" in asked else None
        algorithm = whole.partition(":")[0] if whole else asked.get("digest-algorithm", "sha256")
        if algorithm not in _ALGORITHMS:
            raise Refused("DIGEST_INVALID", "sha256 and sha512 are known here")
        if "mount" in asked:
            wanted = digest_in(asked["mount"])
            if await run_in_threadpool(self._mount, repository, wanted, asked.get("from", repository)):
                return _created(repository, wanted)
        upload = await self._uploads.begin(repository, algorithm)
        if whole is None or "mount" in asked:
            least = {"OCI-Chunk-Min-Length": str(self._least)} if self._least else {}
            return Response(None, 202, {**_headers(upload), **least})
        try:
            return await self._finish(request, upload, whole)
        finally:
            await self._uploads.drop(upload)

    async def status(self, request: Request) -> Response:
        """How much there is."""
        return Response(None, 204, _headers(await self._find(request)))

    async def append(self, request: Request) -> Response:
        """Take the next chunk, or all there is when it does not say which part it is."""
        upload = await self._find(request)
        if upload.short:
            raise Refused("BLOB_UPLOAD_INVALID", "the chunk before was too short to have one after it", status=416)
        before = upload.size
        if (refusal := await self._receive(request, upload)) is not None:
            return refusal
        upload.short = upload.size - before < self._least
        return Response(None, 202, _headers(upload))

    async def finish(self, request: Request) -> Response:
        """Take the last chunk, if there is one, and put the blob into the repository."""
        wanted = digest_in(request.query_params.get("digest", ""))
        return await self._finish(request, await self._find(request), wanted)

    async def cancel(self, request: Request) -> Response:
        """Forget an upload."""
        upload = await self._find(request)
        async with upload.lock:
            await self._uploads.drop(upload)
        return Response(None, 204)

    async def _find(self, request: Request) -> Upload:
        return await self._uploads.find(repository_of(request), request.path_params["upload"])

    async def _receive(self, request: Request, upload: Upload) -> Response | None:
        """Append the body; return the 416 when it belongs elsewhere. Raises Refused, LocalFault, ClientDisconnect."""
        first, end = _part(request, upload.size)
        if first != upload.size:
            return Response(None, 416, _headers(upload))
        upload.take(request)
        try:
            self._limit(end or first)
            await take_in(request, partial(self._append, request, upload))
            if end not in {None, upload.size}:
                raise Refused("SIZE_INVALID", {"end": end, "came": upload.size})
        except ClientDisconnect:
            raise  # it may come back for the rest
        except Exception:
            async with upload.lock:
                if upload.is_of(request):
                    await self._uploads.drop(upload)
            raise
        return None

    async def _append(self, request: Request, upload: Upload, block: bytearray) -> None:
        self._limit(upload.size + len(block))
        await upload.write(request, block)

    def _limit(self, size: int) -> None:
        if size > self._most:
            raise Refused("SIZE_INVALID", {"most": self._most}, status=413)

    async def _finish(self, request: Request, upload: Upload, wanted: Digest) -> Response:
        if (refusal := await self._receive(request, upload)) is not None:
            return refusal
        async with upload.lock:
            upload.require(request)
            try:
                await run_in_threadpool(self._store, upload, wanted)
            finally:
                await self._uploads.drop(upload)
        return _created(upload.repository, wanted)

    def _store(self, upload: Upload, wanted: Digest) -> None:
        if upload.digest(wanted.partition(":")[0]) != wanted:
            raise Refused("DIGEST_INVALID", {"digest": wanted})
        created(self._repositories, upload.repository).push(Descriptor(OCTETS, wanted, upload.size), upload.source)

    def _mount(self, repository: str, wanted: Digest, name: str) -> bool:
        try:
            store = self._repositories.open(name)
            found = store.find_blob(wanted)
            if name != repository:
                created(self._repositories, repository).push(
                    found, lambda offset: UntilStopped(store.fetch(found, offset), self._uploads.stopping)
                )
        except (NotFound, InvalidReference, VerificationFailed):  # the last: it is damaged there, and may come better
            return False
        return True


def _part(request: Request, size: int) -> tuple[int, int | None]:
    """Return where the body belongs in an upload that has `size` bytes: its first byte, and the one after its last.

    The end is None when the request does not say. Raises Refused for what cannot be.
    """
    announced = request.headers.get("content-length")
    length = None if announced is None else int(announced)  # h11 has seen that it is one
    text = request.headers.get("content-range")
    if text is None:
        return size, None if length is None else size + length
    found = _RANGE.fullmatch(text)
    if found is None:
        raise Refused("BLOB_UPLOAD_INVALID", "a Content-Range is FIRST-LAST")
    first, end = int(found[1]), int(found[2]) + 1
    if end <= first or length not in {None, end - first}:
        raise Refused("SIZE_INVALID", {"Content-Range": text, "Content-Length": length})
    return first, end


def _headers(upload: Upload) -> dict[str, str]:
    return {
        "Docker-Upload-UUID": upload.id,
        "Location": routes.uploads(upload.repository) + upload.id,
        "Range": f"0-{max(upload.size - 1, 0)}",  # no bytes are written as one is
    }


def _created(repository: str, digest: Digest) -> Response:
    return Response(None, 201, {"Docker-Content-Digest": digest, "Location": routes.blob(repository, digest)})
