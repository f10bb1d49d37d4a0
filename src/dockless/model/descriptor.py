"""Descriptors: what some content is, and how to know it again (OCI image-spec, descriptor.md)."""

import msgspec

from dockless.model.digest import Digest, digest_of, is_digest
from dockless.model.platform import Platform
from dockless.model.printable import printable

_MOST_BYTES = (1 << 63) - 1


class Descriptor(
    msgspec.Struct,
    frozen=True,
    eq=False,
    omit_defaults=True,
    rename={"media_type": "mediaType", "artifact_type": "artifactType"},
):
    """Content by media type, digest and size in bytes; two are equal when these three are.

    `data` is the content itself, when a document embeds it. Making one raises ValueError when digest or size cannot be.
    """

    media_type: str
    digest: Digest
    size: int
    platform: Platform | None = None
    annotations: dict[str, str] | None = None
    artifact_type: str | None = None
    data: bytes | None = None
    urls: tuple[str, ...] | None = None

    def __post_init__(self) -> None:
        if not is_digest(self.digest):
            raise ValueError(f"not a digest: {printable(self.digest, 160)!r}")
        if not 0 <= self.size <= _MOST_BYTES:
            raise ValueError(f"not a size: {self.size}")

    @property
    def plain(self) -> "Descriptor":
        """The same content, without what one document says of it."""
        return Descriptor(self.media_type, self.digest, self.size)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Descriptor) and self._identity() == other._identity()

    def __hash__(self) -> int:
        return hash(self._identity())

    def _identity(self) -> tuple[str, Digest, int]:
        return self.media_type, self.digest, self.size


def describe(content: bytes, media_type: str) -> Descriptor:
    """Return the descriptor of bytes that are here."""
    return Descriptor(media_type, digest_of(content), len(content))
