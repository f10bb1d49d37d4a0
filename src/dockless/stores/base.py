"""What a place that holds images can be asked, whoever holds them.

Content is addressed by descriptors: `Readable` and `Store` are what every place of v2 and OCI can do, and the small
protocols after them what only some can; whoever wants such an ability asks for it with `isinstance`.

A v1 image is one layer and one JSON document under an id; its ancestry is the list of ids from itself down to the base.
Ids are arbitrary: they are digests of nothing.
"""

from collections.abc import Iterator, Sequence, Set
from pathlib import Path
from typing import Protocol, runtime_checkable

import msgspec

from dockless.model.descriptor import Descriptor
from dockless.model.digest import Digest
from dockless.model.image_id import ImageId
from dockless.wire.stream import PayloadSum, Promise, Reader, Source


class Readable(Protocol):
    """Content that can be read: one repository, one layout or one archive."""

    def resolve(self, name: str) -> Descriptor:
        """Return what a tag or a digest names. Raises NotFound."""
        ...

    def fetch(self, wanted: Descriptor, offset: int = 0) -> Reader:
        """Open content from `offset` (bytes), as it is stored; the caller verifies and closes. Raises NotFound."""
        ...

    def exists(self, wanted: Descriptor) -> bool:
        """Say whether the content is here."""
        ...

    def predecessors(self, of: Descriptor) -> Iterator[Descriptor]:
        """Yield the manifests here that have `of` as their subject, with their artifact type and annotations."""
        ...


class Store(Readable, Protocol):
    """A place that takes content in."""

    def push(self, expected: Descriptor, source: Source) -> None:
        """Take content in, and verify it; content that is here already is a success.

        Raises SizeMismatch, ChecksumMismatch, what the source raises and what the place does.
        """
        ...

    def tag(self, target: Descriptor, name: str) -> None:
        """Let a tag name a manifest that is here. Raises NotFound."""
        ...


@runtime_checkable
class NamedFetcher(Protocol):
    """A place that gives a name's manifest in one trip instead of two."""

    def fetch_named(self, name: str) -> tuple[Descriptor, bytes]:
        """Return what a tag or a digest names, and its verified bytes. Raises NotFound."""
        ...


@runtime_checkable
class Mounter(Protocol):
    """A place that can take a blob from another place without the bytes going through here."""

    def mount(self, wanted: Descriptor, source: Readable) -> bool:
        """Take `wanted` from `source`; False when that is not possible, and nothing was done."""
        ...


@runtime_checkable
class Ingestor(Protocol):
    """A place that takes in bytes whose digest is known only at their end."""

    def ingest(self, media_type: str, reader: Reader) -> Descriptor:
        """Take in what `reader` gives, and return its descriptor. Closes nothing."""
        ...


@runtime_checkable
class TagLister(Protocol):
    """A place that can say which tags it has."""

    def tags(self) -> Iterator[str]:
        """Yield the tags, each once."""
        ...


@runtime_checkable
class Deleter(Protocol):
    """A place that can let go of content."""

    def delete(self, target: Descriptor) -> None:
        """Remove a manifest, and the tags that name it, or a blob. Raises NotFound, Unsupported."""
        ...

    def untag(self, name: str) -> None:
        """Remove one tag and nothing else. Raises NotFound, Unsupported."""
        ...


@runtime_checkable
class BlobFinder(Protocol):
    """A place that knows a blob by its digest alone."""

    def find_blob(self, digest: Digest) -> Descriptor:
        """Return a blob's descriptor, its media type `application/octet-stream`. Raises NotFound."""
        ...


@runtime_checkable
class Deliverer(Protocol):
    """A place that brings content near by itself before it is asked for it: to the destination of a copy, if it can."""

    @property
    def delivered(self) -> Set[Digest]:
        """What was brought, and told of."""
        ...


@runtime_checkable
class MultiTagger(Protocol):
    """A place that can set several tags in fewer trips than one each."""

    def tag_all(self, target: Descriptor, names: Sequence[str]) -> None:
        """Let tags name a manifest that is here. Raises NotFound."""
        ...


@runtime_checkable
class ReferrerLister(Protocol):
    """A place that may hold a referrer and not list it: who pushed it was stopped in between."""

    def list_referrers(self, of: Descriptor, referrers: Sequence[Descriptor]) -> None:
        """Let manifests that are here, and have `of` as their subject, be among its predecessors. Raises NotFound."""
        ...


@runtime_checkable
class LocalFiles(Protocol):
    """A place whose blobs are files of this machine."""

    def path_of(self, wanted: Descriptor) -> Path | None:
        """Return the file that holds exactly this content, None when there is none."""
        ...


class Repository(Store, TagLister, Deleter, BlobFinder, Protocol):
    """A place that can do all that a registry does."""


@runtime_checkable
class Repositories(Protocol):
    """Repositories by name; what the embedded registry serves over v2."""

    @property
    def scratch(self) -> Path | None:
        """The directory for what is on its way in, on the same disk; None: wherever the system has its own."""
        ...

    def names(self) -> Iterator[str]:
        """Yield the names, in order."""
        ...

    def open(self, name: str) -> Repository:
        """Return a repository that is there. Raises NotFound, InvalidReference."""
        ...

    def create(self, name: str) -> Repository:
        """Return a repository, new if it was not there; it may be there only once something is put into it.

        Raises InvalidReference, and NotFound where none can be.
        """
        ...


class V1Image(msgspec.Struct, frozen=True):
    """One image's JSON as it was stored, with what is known of the layer beside it.

    `size` is the layer's length in bytes; `checksum` is `sha256:` of JSON, newline and layer. None: not known.
    """

    id: ImageId
    raw: bytes
    size: int | None = None
    checksum: str | None = None

    def promise(self) -> Promise:
        """Return what is promised of the layer."""
        return Promise(self.id, self.size, self.checksum, lambda: PayloadSum(self.raw), "layer")


class V1Source(Protocol):
    """Images that can be read by id."""

    def image(self, image_id: ImageId) -> V1Image:
        """Return the image's JSON and what is known of its layer. Raises NotFound."""
        ...

    def ancestry(self, image_id: ImageId) -> list[ImageId]:
        """Return the ids from the image itself down to its base. Raises NotFound."""
        ...

    def layer(self, image: V1Image, offset: int = 0) -> Reader:
        """Open the layer's stored bytes from `offset` (bytes); the caller verifies and closes. Raises NotFound."""
        ...


class V1Repositories(V1Source, Protocol):
    """Images that can be found by repository and tag, too; what the embedded registry serves."""

    def repositories(self) -> Iterator[str]:
        """Yield the names, `namespace/name` each."""
        ...

    def tags(self, repository: str) -> dict[str, ImageId]:
        """Return each tag with its image id. Raises NotFound."""
        ...


class V1Destination(Protocol):
    """A place that takes images in."""

    def add(self, image: V1Image, source: Source) -> bool | None:
        """Take the image in; `source` opens its layer.

        Returns True when the checksum agreed, False when there was none to compare, None when the image was there
        already. Raises SizeMismatch, ChecksumMismatch, LocalFault and whatever the layer raises.
        """
        ...

    def tag(self, repository: str, tag: str, image_id: ImageId) -> None:
        """Let `tag` of `repository` name an image that is complete here. Raises NotFound."""
        ...
