"""Deleting in a registry (distribution-spec, "Content Management").

Rules:
* A referrer that is deleted leaves the list under its subject's fallback tag, where the registry has no API for it.
* A tag is removed as a tag. A registry that deletes manifests only (docker-registry up to 2.8) would take every other
  tag of the manifest along, so there the tag is first moved to a manifest that nothing else can name, and that one is
  deleted. When this is refused, the tag is put back.
* What is gone when a deletion is repeated was deleted by the first one.
"""

import secrets
from typing import TYPE_CHECKING

from dockless.model.descriptor import Descriptor, describe
from dockless.model.digest import is_digest
from dockless.model.documents import Document, make_document
from dockless.model.errors import (
    DocklessError,
    InvalidReference,
    NetworkFault,
    NotFound,
    RemoteFault,
    Unsupported,
)
from dockless.model.events import ignore
from dockless.model.media_types import DOCUMENTS, OCI_EMPTY, OCI_MANIFEST
from dockless.net.session import Tries
from dockless.stores.registry import referrers
from dockless.stores.registry.documents import document_of, parsed, put_document
from dockless.stores.registry.push import head_of, push_blob
from dockless.wire.http import Request
from dockless.wire.retry import is_transient
from dockless.wire.stream import BytesReader
from dockless.wire.v2 import routes

if TYPE_CHECKING:
    from dockless.stores.registry.client import RegistryClient

_EMPTY = b"{}"
_REFUSALS = frozenset({400, 405, 501})


def delete(client: "RegistryClient", repository: str, target: Descriptor) -> None:
    """Delete a manifest, with the tags that name it, or a blob. Raises NotFound, Unsupported."""
    if target.media_type not in DOCUMENTS:
        _delete(client, repository, routes.blob(repository, target.digest))
        return
    document = document_of(client, repository, target)
    _delete(client, repository, routes.manifest(repository, target.digest))
    subject = document.subject if document else None
    if subject is not None and not referrers.has_api(client, repository, subject):
        referrers.remove(client, repository, subject, target.digest)


def untag(client: "RegistryClient", repository: str, name: str) -> None:
    """Remove one tag; what it named and its other tags stay. Raises NotFound, Unsupported, InvalidReference."""
    if is_digest(name):  # with it all tags would go
        raise InvalidReference(f"{name} is no tag", hint="A manifest is deleted with `dockless delete`.")
    try:
        _delete(client, repository, routes.manifest(repository, name))
    except Unsupported:
        _untag_by_another(client, repository, name)


def _untag_by_another(client: "RegistryClient", repository: str, name: str) -> None:
    former, raw = client.repository(repository).fetch_named(name)
    config = describe(_EMPTY, OCI_EMPTY)
    push_blob(client, repository, config, lambda offset: BytesReader(_EMPTY, offset), ignore)
    unique, other = make_document(
        {
            "schemaVersion": 2,
            "mediaType": OCI_MANIFEST,
            "artifactType": "application/vnd.dockless.untagged",
            "config": config,
            "layers": [config],
            "annotations": {"dockless.untagged": secrets.token_hex(16)},
        }
    )
    put_document(client, repository, name, parsed(unique, other))
    try:
        _delete(client, repository, routes.manifest(repository, unique.digest))
    except DocklessError:
        _put_back(client, repository, name, parsed(former, raw))
        raise


def _put_back(client: "RegistryClient", repository: str, name: str, former: Document) -> None:
    try:
        put_document(client, repository, name, former)
    except DocklessError as fault:
        place = f"{client.host}/{repository}:{name}"
        raise RemoteFault(
            f"{place} names an empty manifest now: {fault}",
            hint=f"It named {former.descriptor.digest}, which is still there: tag that one again.",
        ) from fault


def _delete(client: "RegistryClient", repository: str, path: str) -> None:
    request, scope = Request(path, method="DELETE"), f"repository:{repository}:pull,push,delete"
    tries, unsure = Tries(client.session), False
    while True:
        try:
            client.ask(request, head_of, expect=frozenset({200, 202, 204}), scope=scope, repeat=False)
        except (NetworkFault, RemoteFault) as fault:
            if fault.status in _REFUSALS:
                raise Unsupported(
                    f"the registry does not delete this: {fault}",
                    status=fault.status,
                    hint="Many registries are run without deleting; docker-registry has `storage.delete.enabled`.",
                ) from fault
            if not is_transient(fault):
                raise
            unsure = True
            tries.after(fault)
        except NotFound:
            if not unsure:
                raise
            return
        else:
            return
