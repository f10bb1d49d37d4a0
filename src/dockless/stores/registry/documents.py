"""Puts a manifest or an index under a name, as the bytes it is (distribution-spec, "Pushing Manifests").

Rules:
* When no answer to a PUT came, or one that says to try again, it is asked what is there, and then sent again.
* Blobs that are unknown to the PUT and yet there are a matter of time: docker-registry says so while another writes the
  same one, Harbor while its replicas differ. It is sent again.
* A registry that says it stored something else has failed.
"""

from collections.abc import Sequence
from typing import TYPE_CHECKING

from dockless.model.descriptor import Descriptor
from dockless.model.digest import Digest, is_digest
from dockless.model.documents import Document, Opaque, parse_document
from dockless.model.errors import ChecksumMismatch, DocklessError, InvalidDocument, NetworkFault, NotFound, RemoteFault
from dockless.model.printable import printable
from dockless.net.session import Tries
from dockless.stores.registry.push import head_of
from dockless.wire.auth import pull_scope, push_scope
from dockless.wire.http import Headers, Request, body_of, without_query
from dockless.wire.retry import is_transient
from dockless.wire.stream import DigestSum
from dockless.wire.v2 import routes

if TYPE_CHECKING:
    from dockless.stores.registry.client import RegistryClient

_MOST_LOOKED_FOR = 100
_USUAL_LIMIT = 4 << 20  # bytes; what a registry should take at least


def put_document(
    client: "RegistryClient", repository: str, name: str, document: Document, also: Sequence[str] = ()
) -> Headers | None:
    """Put a document under a tag or its digest; return the answer's headers, None when it turned out to be there.

    The tags `also` are asked for in the same trip; `OCI-Tag` says which of them the registry knows of.
    Raises ChecksumMismatch when the registry stored something else, and what it answers.
    """
    own = document.descriptor
    sent = (("Content-Type", own.media_type),)
    request = Request(routes.manifest(repository, name, also), sent, method="PUT", body=body_of(document.raw))
    taken = frozenset({201, 202})
    tries = Tries(client.session)
    while True:
        try:
            url, _, headers = client.ask(request, head_of, expect=taken, scope=push_scope(repository), repeat=False)
        except (NetworkFault, NotFound, RemoteFault) as fault:
            refusal = _refusal(client, repository, document, fault)
            if refusal is not None:
                raise refusal from fault
            tries.after(fault)
            if _is_named(client, repository, name, own):
                return None
            continue
        stored = headers.first("docker-content-digest")
        if stored is not None and stored != _digest(document.raw, like=stored):
            place = without_query(url)
            raise ChecksumMismatch(f"{place}: the registry stored {printable(stored, 160)} in place of {own.digest}")
        return headers


def document_of(client: "RegistryClient", repository: str, known: Descriptor) -> Document | None:
    """Return a document that is there, None when it cannot be read. Raises NotFound."""
    try:
        return parse_document(*client.repository(repository).fetch_named(known.digest))
    except InvalidDocument:
        return None


def parsed(descriptor: Descriptor, raw: bytes) -> Document:
    """Read a document; one that cannot be read is taken as it is, and the registry is left to judge it."""
    try:
        return parse_document(descriptor, raw)
    except InvalidDocument:
        return Opaque(descriptor=descriptor, raw=raw)


def _is_named(client: "RegistryClient", repository: str, name: str, wanted: Descriptor) -> bool:
    """Say whether a tag or a digest names a document there; True only where the registry is clear about it."""
    headers, answers = (("Accept", wanted.media_type),), frozenset({200, 404, 405})
    request = Request(routes.manifest(repository, name), headers, method="HEAD")
    try:
        _, status, said = client.ask(request, head_of, expect=answers, scope=pull_scope(repository), repeat=False)
    except DocklessError:
        return False
    return status == 200 and wanted.digest in {name, said.first("docker-content-digest")}


def _digest(raw: bytes, like: str) -> Digest:
    """Return the digest of a document, by the algorithm of the digest that `like` may be."""
    total = DigestSum.like(like) if is_digest(like) else DigestSum()
    total.update(memoryview(raw))
    return Digest(str(total))


def _refusal(
    client: "RegistryClient", repository: str, document: Document, fault: NetworkFault | NotFound | RemoteFault
) -> DocklessError | None:
    """Return the error for a document that is refused for good, None when sending it again may help."""
    words, hint = str(fault), fault.hint
    if is_transient(fault):
        return None
    if not {"MANIFEST_BLOB_UNKNOWN", "BLOB_UNKNOWN"}.isdisjoint(fault.codes):
        lacks = [one.digest for one in document.successors[:_MOST_LOOKED_FOR] if _is_missing(client, repository, one)]
        if not lacks:
            return None
        words += f"; it lacks {', '.join(lacks)}"
        hint = "Push what a manifest names before it."
    elif fault.status == 413 or len(document.raw) > _USUAL_LIMIT:
        hint = f"The manifest has {len(document.raw)} bytes; registries need not take more than {_USUAL_LIMIT}."
    refusal = type(fault)(words, hint=hint, status=fault.status)
    refusal.codes = fault.codes
    return refusal


def _is_missing(client: "RegistryClient", repository: str, wanted: Descriptor) -> bool:
    request = Request(routes.content(repository, wanted), (("Accept", wanted.media_type),), method="HEAD")
    answers, scope = frozenset({200, 404}), pull_scope(repository)
    try:
        return client.ask(request, head_of, expect=answers, scope=scope, repeat=False)[1] == 404
    except DocklessError:
        return False
