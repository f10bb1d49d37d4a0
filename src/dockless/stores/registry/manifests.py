"""Manifests on their way into a registry, and the tags that name them (distribution-spec, "Pushing Manifests").

Rules:
* A manifest with a subject that the registry took no note of (`OCI-Subject`) is listed under the fallback tag, unless
  there is an API all the same: Quay has one, and does not say so.
* One that is there already may not be listed: who pushed it may have been stopped in between. It is looked for again.
* What is of an unknown type was pushed as a blob. That it is a document shows when it gets a name: it is put then.
"""

from collections.abc import Iterable, Sequence
from functools import partial
from typing import TYPE_CHECKING

from dockless.model.descriptor import Descriptor
from dockless.model.digest import is_digest
from dockless.model.documents import Document
from dockless.model.errors import InvalidReference
from dockless.model.media_types import DOCUMENTS
from dockless.stores.registry import referrers
from dockless.stores.registry.documents import document_of, parsed, put_document
from dockless.wire.stream import read_document

if TYPE_CHECKING:
    from dockless.stores.registry.client import RegistryClient


def push_manifest(client: "RegistryClient", repository: str, expected: Descriptor, raw: bytes) -> None:
    """Put a manifest, whose bytes have been compared with `expected`, under its digest.

    Raises ChecksumMismatch when the registry stored something else, and what it answers; the message says which blobs
    it lacks.
    """
    document = parsed(expected, raw)
    headers = put_document(client, repository, expected.digest, document)
    if headers is None or not headers.first("oci-subject"):
        _list(client, repository, document)


def list_again(client: "RegistryClient", repository: str, known: Descriptor) -> None:
    """Let content that is there be listed where it should be. Raises NotFound."""
    if known.media_type in DOCUMENTS:
        _list(client, repository, document_of(client, repository, known))


def list_referrers(client: "RegistryClient", repository: str, subject: Descriptor, some: Iterable[Descriptor]) -> None:
    """Let referrers of `subject` that are there be listed. Raises NotFound, Conflict."""
    listed = {one.digest for one in referrers.predecessors(client, repository, subject)}
    for one in some:
        if one.digest not in listed:
            list_again(client, repository, one)


def _list(client: "RegistryClient", repository: str, document: Document | None) -> None:
    subject = document.subject if document else None
    referrer = document.as_referrer(subject) if document and subject else None
    if subject and referrer and not referrers.has_api(client, repository, subject):
        referrers.add(client, repository, subject, referrer)


def tag(
    client: "RegistryClient", repository: str, target: Descriptor, names: Sequence[str], raw: bytes | None = None
) -> None:
    """Let tags name a manifest that is there; its own digest names it anyway. Raises NotFound, InvalidReference.

    `raw` are its bytes, if it was pushed just now. All tags go in one trip where the registry takes them so.
    """
    for name in names:
        if is_digest(name) and name != target.digest:
            raise InvalidReference(f"{target.digest} cannot have the tag {name}", hint="A tag is no digest.")
    is_known = target.media_type in DOCUMENTS
    store = client.repository(repository)
    if raw is None and is_known:
        _, raw = store.fetch_named(target.digest)
        _list(client, repository, parsed(target, raw))
    document = parsed(target, raw or read_document(target, partial(store.fetch, target)))
    waiting = [name for name in names if not (is_known and is_digest(name))]
    while waiting:
        first, *also = waiting
        headers = put_document(client, repository, first, document, also)
        named = ",".join(headers.all("oci-tag") if headers else ())
        waiting = [name for name in also if name not in map(str.strip, named.split(","))]
