"""Manifests on their way into a registry, and the tags that name them (distribution-spec, "Pushing Manifests")."""

from typing import TYPE_CHECKING

from dockless.model.descriptor import Descriptor
from dockless.model.digest import is_digest
from dockless.model.documents import Index, Manifest
from dockless.model.errors import InvalidReference
from dockless.stores.registry import referrers
from dockless.stores.registry.documents import parsed, put_document

if TYPE_CHECKING:
    from dockless.stores.registry.client import RegistryClient


def push_manifest(client: "RegistryClient", repository: str, expected: Descriptor, raw: bytes) -> None:
    """Put a manifest, whose bytes have been compared with `expected`, under its digest.

    When it has a subject, and the registry does not say that it took note of that, it is listed under the fallback tag.
    Raises ChecksumMismatch when the registry stored something else, and what it answers; the message says which blobs
    it lacks.
    """
    document = parsed(expected, raw)
    headers = put_document(client, repository, expected.digest, document)
    if isinstance(document, Manifest | Index) and document.subject is not None:
        subject, referrer = document.subject, document.as_referrer(document.subject)
        is_noted = referrers.has_api(client, repository, subject) if headers is None else headers.first("oci-subject")
        if referrer is not None and not is_noted:
            referrers.add(client, repository, subject, referrer)


def tag(client: "RegistryClient", repository: str, target: Descriptor, name: str, raw: bytes | None = None) -> None:
    """Let a tag name a manifest that is there; its own digest names it anyway. Raises NotFound, InvalidReference.

    `raw` are its bytes, if they are at hand.
    """
    if is_digest(name):
        if name != target.digest:
            raise InvalidReference(f"{target.digest} cannot have the tag {name}", hint="A tag is no digest.")
        client.repository(repository).resolve(name)
        return
    if raw is None:
        _, raw = client.repository(repository).fetch_named(target.digest)
    put_document(client, repository, name, parsed(target, raw))
