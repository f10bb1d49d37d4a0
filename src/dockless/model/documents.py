"""Manifests and indexes as typed views that keep their raw bytes (OCI image-spec, manifest.md and image-index.md).

Rules:
* The raw bytes are the document: they are what is hashed and copied. Fields that are not known here survive in them.
* A media type that is not known is not an error; such a document has no successors and is copied as it is.
* One that could be read as a manifest and as an index is refused (CVE-2021-41190), as is one whose `mediaType` is not
  the type that it came with.
"""

from typing import Any, ClassVar

import msgspec

from dockless.model.descriptor import Descriptor, describe
from dockless.model.errors import InvalidDocument
from dockless.model.media_types import INDEXES, MANIFESTS
from dockless.model.printable import printable
from dockless.model.v1_documents import decode

LONGEST_DOCUMENT = 8 << 20  # bytes; registries take 4 MiB at least
_MOST_DESCRIPTORS = 10_000


class Manifest(msgspec.Struct, frozen=True, kw_only=True):
    """One image or artifact: a config and layers. `subject` is what it refers to."""

    descriptor: Descriptor
    raw: bytes
    config: Descriptor
    layers: tuple[Descriptor, ...] = ()
    subject: Descriptor | None = None
    artifact_type: str | None = None
    annotations: dict[str, str] | None = None

    @property
    def successors(self) -> tuple[Descriptor, ...]:
        """What has to be there before this document, each once."""
        return tuple(dict.fromkeys((self.config, *self.layers)))

    def as_referrer(self, of: Descriptor) -> Descriptor | None:
        """Return the descriptor that lists this document among the referrers of `of`, None when it is none of them."""
        return (
            _as_referrer(self, self.artifact_type or self.config.media_type)
            if self.subject and self.subject.digest == of.digest
            else None
        )


class Index(msgspec.Struct, frozen=True, kw_only=True):
    """Manifests of several platforms, or of anything; indexes, too."""

    descriptor: Descriptor
    raw: bytes
    manifests: tuple[Descriptor, ...] = ()
    subject: Descriptor | None = None
    artifact_type: str | None = None
    annotations: dict[str, str] | None = None

    @property
    def successors(self) -> tuple[Descriptor, ...]:
        """What has to be there before this document, each once."""
        return tuple(dict.fromkeys(self.manifests))

    def as_referrer(self, of: Descriptor) -> Descriptor | None:
        """Return the descriptor that lists this document among the referrers of `of`, None when it is none of them."""
        return _as_referrer(self, self.artifact_type) if self.subject and self.subject.digest == of.digest else None


class Opaque(msgspec.Struct, frozen=True, kw_only=True):
    """A document of a media type that is not known here."""

    descriptor: Descriptor
    raw: bytes
    subject: ClassVar[None] = None

    @property
    def successors(self) -> tuple[Descriptor, ...]:
        """Nothing that could be known."""
        return ()

    def as_referrer(self, of: Descriptor) -> None:
        """Return None: what it refers to could not be known."""


Document = Manifest | Index | Opaque


class _Body(msgspec.Struct, rename="camel"):
    """What manifests and indexes may hold, told apart afterwards."""

    schema_version: int
    media_type: str | None = None
    config: Descriptor | None = None
    layers: tuple[Descriptor, ...] | None = None
    manifests: tuple[Descriptor, ...] | None = None
    fs_layers: Any = None
    subject: Descriptor | None = None
    artifact_type: str | None = None
    annotations: dict[str, str] | None = None


def parse_document(descriptor: Descriptor, raw: bytes) -> Document:
    """Read a manifest or an index; `raw` has been compared with `descriptor`. Raises InvalidDocument."""
    what = f"the document {descriptor.digest}"
    if descriptor.media_type not in INDEXES | MANIFESTS:
        return Opaque(descriptor=descriptor, raw=raw)
    body = decode(raw, _Body, what)
    if body.media_type not in {None, "", descriptor.media_type}:
        said = printable(body.media_type or "", 100)
        raise InvalidDocument(f"{what} says it is {said!r}, and came as {descriptor.media_type}")
    if body.schema_version != 2 or body.fs_layers is not None:
        raise InvalidDocument(f"{what} is of schema {body.schema_version}, and came as {descriptor.media_type}")
    count = len(body.layers or body.manifests or ())
    if count > _MOST_DESCRIPTORS:
        raise InvalidDocument(f"{what} has {count} entries, more than {_MOST_DESCRIPTORS}")
    if descriptor.media_type in INDEXES:
        return _index(descriptor, raw, body, what)
    return _manifest(descriptor, raw, body, what)


def _index(descriptor: Descriptor, raw: bytes, body: _Body, what: str) -> Index:
    if body.config is not None or body.layers is not None:
        raise InvalidDocument(f"{what} is an index and holds what only a manifest may")
    return Index(
        descriptor=descriptor,
        raw=raw,
        manifests=body.manifests or (),
        subject=body.subject,
        artifact_type=body.artifact_type,
        annotations=body.annotations,
    )


def _manifest(descriptor: Descriptor, raw: bytes, body: _Body, what: str) -> Manifest:
    if body.manifests is not None:
        raise InvalidDocument(f"{what} is a manifest and holds what only an index may")
    if body.config is None:
        raise InvalidDocument(f"{what} is a manifest without a config")
    return Manifest(
        descriptor=descriptor,
        raw=raw,
        config=body.config,
        layers=body.layers or (),
        subject=body.subject,
        artifact_type=body.artifact_type,
        annotations=body.annotations,
    )


def _as_referrer(document: Manifest | Index, artifact_type: str | None) -> Descriptor:
    """Distribution-spec, "Listing Referrers": the descriptor with artifact type and the document's annotations."""
    own = document.descriptor
    return Descriptor(
        own.media_type, own.digest, own.size, artifact_type=artifact_type, annotations=document.annotations
    )


def make_document(body: dict[str, Any]) -> tuple[Descriptor, bytes]:
    """Return a new document's descriptor and its bytes: compact JSON in the order of `body`, UTF-8.

    `body` holds its `mediaType`; descriptors in it are encoded as documents hold them.
    """
    raw = msgspec.json.encode(body)
    return describe(raw, body["mediaType"]), raw
