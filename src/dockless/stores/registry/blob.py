"""A blob under way, from a registry or the storage it redirects to: a body that heals itself.

Rules:
* It is asked for at the registry each time: where that redirects to may be good for a while only. What the storage
  then refuses (400, 403) is tried again, by way of the registry.
* A total that is not the descriptor's size is another blob. A `Content-Length` is not believed, and size and digest
  tell in the end.
* A range from before the offset is skipped into; one from after it, or from nobody knows where, is read no further, and
  the whole is asked for.
"""

import re
from typing import TYPE_CHECKING

from dockless.model.descriptor import Descriptor
from dockless.model.errors import InvalidDocument, NetworkFault, RemoteFault, SizeMismatch
from dockless.model.registry_documents import essence
from dockless.net.response import Response
from dockless.net.session import status_fault
from dockless.stores.healing import HealingBody
from dockless.wire.auth import pull_scope
from dockless.wire.http import Request, origin, without_query
from dockless.wire.v2 import routes

if TYPE_CHECKING:
    from dockless.stores.registry.client import RegistryClient

_RANGE = re.compile(r"bytes[ =](?:([0-9]{1,18})-([0-9]{1,18})|\*)/([0-9]{1,18}|\*)", re.IGNORECASE)
_STORAGE_REFUSES = frozenset({400, 403})
_ANSWERS = frozenset({200, 206, 416}) | _STORAGE_REFUSES


class BlobBody(HealingBody):
    """The bytes of a blob of `repository` from `offset` to its end; a Reader."""

    def __init__(self, client: "RegistryClient", repository: str, wanted: Descriptor, offset: int) -> None:
        super().__init__(client.session, f"blob {wanted.digest}", wanted.size, offset)
        self._client = client
        self._wanted = wanted
        self._repository = repository

    def begin(self) -> "BlobBody":
        """Open the blob, if it has bytes to give. Raises NotFound."""
        if self.offset < self._wanted.size:
            self._body = self.open()
        return self

    def open(self) -> Response:
        """Return the body that goes on at the offset."""
        ranged = self._ask(("Range", f"bytes={self.offset}-")) if self.offset else None
        response = ranged or self._ask()
        if response is None:
            raise RemoteFault(
                f"{self._what}: {self._client.url} gives neither the whole nor a range that was asked for"
            )
        return response

    def _ask(self, *headers: tuple[str, str]) -> Response | None:
        path = routes.blob(self._repository, self._wanted.digest)
        scope = pull_scope(self._repository)
        return self._client.ask(Request(path, headers), self._accept, expect=_ANSWERS, scope=scope)

    def _accept(self, response: Response) -> Response | None:
        """Return the answer when it goes on at the offset; None to ask for the whole."""
        try:
            start = self._start(response)
            if start is not None:
                self.begins(start, without_query(response.request.url))
                return response
        except BaseException:
            response.close()
            raise
        response.close()
        return None

    def _start(self, response: Response) -> int | None:
        place = without_query(response.request.url)
        if response.status in _STORAGE_REFUSES:
            fault = status_fault(response)
            if origin(response.request.url) == origin(self._client.url):
                raise fault
            raise NetworkFault(str(fault), status=fault.status)
        length = response.headers.first("content-length")
        if response.status == 200:
            if essence(response.headers.first("content-type")) == "text/html" and length != str(self.size):
                raise InvalidDocument(f"{place} is a web page, and no blob")
            return 0
        found = _RANGE.fullmatch((response.headers.first("content-range") or "").strip())
        if found and found[3] not in {"*", str(self.size)}:
            raise SizeMismatch(f"{place}: the blob has {found[3]} bytes, {self.size} were promised")
        if response.status == 416 or not found or not found[1] or not int(found[1]) <= self.offset <= int(found[2]):
            return None
        return int(found[1])
