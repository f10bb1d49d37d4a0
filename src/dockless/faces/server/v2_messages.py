"""What the routes of v2 have in common: refusals, and what a path names.

Rules:
* Names and digests are checked before anything else is done with a request.
* A refusal has the specification's code and form (distribution-spec, "Error Codes"); the words are ours, never those of
  a store, which know paths of this machine.
"""

from collections.abc import Mapping
from types import MappingProxyType

import msgspec
from starlette.requests import Request
from starlette.responses import Response

from dockless.model.digest import Digest, is_digest
from dockless.model.errors import InvalidReference, NotFound
from dockless.model.printable import printable
from dockless.model.reference import is_repository
from dockless.stores.base import Repositories, Repository

OCTETS = "application/octet-stream"

_USUAL: Mapping[str, tuple[int, str]] = MappingProxyType(
    {
        "BLOB_UNKNOWN": (404, "blob unknown to registry"),
        "BLOB_UPLOAD_INVALID": (400, "blob upload invalid"),
        "BLOB_UPLOAD_UNKNOWN": (404, "blob upload unknown to registry"),
        "DIGEST_INVALID": (400, "provided digest did not match uploaded content"),
        "MANIFEST_BLOB_UNKNOWN": (400, "manifest references a manifest or blob unknown to registry"),
        "MANIFEST_INVALID": (400, "manifest invalid"),
        "MANIFEST_UNKNOWN": (404, "manifest unknown to registry"),
        "NAME_INVALID": (400, "invalid repository name"),
        "NAME_UNKNOWN": (404, "repository name not known to registry"),
        "SIZE_INVALID": (400, "provided length did not match content length"),
        "TOOMANYREQUESTS": (429, "too many requests"),
        "UNAUTHORIZED": (401, "authentication required"),
        "UNKNOWN": (500, "the registry failed"),
        "UNSUPPORTED": (405, "the operation is unsupported"),
    }
)


class Refused(Exception):
    """A request that is answered with an error; `status` where it is not the code's usual one."""

    def __init__(
        self, code: str, detail: object = None, *, status: int = 0, headers: Mapping[str, str] | None = None
    ) -> None:
        super().__init__(code)
        self._code = code
        self._status = status or _USUAL[code][0]
        self._detail = detail
        self._headers = headers

    def answer(self) -> Response:
        """Return the answer."""
        error = {"code": self._code, "message": _USUAL[self._code][1], "detail": self._detail}
        return json_answer({"errors": [error]}, status=self._status, headers=self._headers)


def json_answer(
    value: object, media_type: str = "application/json", *, status: int = 200, headers: Mapping[str, str] | None = None
) -> Response:
    """Return `value` as JSON."""
    return Response(msgspec.json.encode(value), status, headers, media_type)


def repository_of(request: Request) -> str:
    """Return the repository that the path names. Raises Refused."""
    name: str = request.path_params["name"]
    if not is_repository(name):
        raise Refused("NAME_INVALID", {"name": printable(name, 300)})
    return name


def digest_in(text: str) -> Digest:
    """Return `text` as a digest. Raises Refused."""
    if not is_digest(text):
        raise Refused("DIGEST_INVALID", {"digest": printable(text, 300)})
    return Digest(text)


def opened(repositories: Repositories, request: Request) -> Repository:
    """Return the repository that the path names. Raises Refused when there is none."""
    name = repository_of(request)
    try:
        return repositories.open(name)
    except NotFound:
        raise Refused("NAME_UNKNOWN", {"name": name}) from None
    except InvalidReference:
        raise Refused("NAME_INVALID", {"name": name}) from None


def created(repositories: Repositories, name: str) -> Repository:
    """Return a repository to put something into. Raises Refused."""
    try:
        return repositories.create(name)
    except (InvalidReference, NotFound):
        raise Refused("NAME_INVALID", {"name": name}) from None
