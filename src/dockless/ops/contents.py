"""What a place holds, read document by document.

Rules:
* Documents are read whole, up to 8 MiB, and verified; what was read is remembered, up to 16 MiB in all.
* Content that a descriptor embeds (`data`) is used when it is what the descriptor promises, and ignored when it is not.
* What was brought to the destination before a copy asks for it, by the source or by a conversion, is known here.
* Indexes nest at most 32 deep, and below one root there are at most 100,000 pieces of content.
"""

import threading
from collections.abc import Iterable, Iterator
from functools import partial

from dockless.model.descriptor import Descriptor
from dockless.model.digest import Digest
from dockless.model.documents import Document, Index, Manifest, parse_document
from dockless.model.errors import InvalidDocument, SizeMismatch
from dockless.model.image_config import ImageConfig, parse_image_config
from dockless.model.media_types import CONFIGS, INDEXES, MANIFESTS
from dockless.model.platform import Platform
from dockless.stores.base import Deliverer, Readable
from dockless.wire.stream import BytesReader, DigestSum, Reader, read_document

DEEPEST = 32
MOST = 100_000
_MOST_KEPT = 16 << 20  # bytes


class Contents:
    """The content of `source`, and documents that were made from it. Safe to share between threads."""

    def __init__(self, source: Readable) -> None:
        self.source = source
        self.delivered: set[Digest] = set()
        self._kept: dict[Digest, bytes] = {}
        self._room = _MOST_KEPT
        self._lock = threading.Lock()

    def keep(self, made: Descriptor, raw: bytes) -> None:
        """Have a document, whether the source has it or not."""
        self._kept[made.digest] = raw

    def open(self, wanted: Descriptor, offset: int = 0) -> Reader:
        """Open content from `offset` (bytes). Raises what the source raises."""
        here = self._kept.get(wanted.digest) or _embedded(wanted)
        return self.source.fetch(wanted, offset) if here is None else BytesReader(here, offset)

    def document(self, wanted: Descriptor) -> Document:
        """Return a document, verified. Raises InvalidDocument, VerificationFailed and what the source raises."""
        raw = self._kept.get(wanted.digest)
        if raw is None:
            raw = read_document(wanted, partial(self.open, wanted))
            self._remember(wanted, raw)
        elif len(raw) != wanted.size:
            raise SizeMismatch(f"{wanted.digest} has {len(raw)} bytes, {wanted.size} were promised")
        return parse_document(wanted, raw)

    def plain(self, wanted: Descriptor) -> Descriptor:
        """Return a descriptor without what its parent adds to it; what it embeds is remembered."""
        here = _embedded(wanted)
        if here is not None:
            self._remember(wanted, here)
        return wanted.plain

    def is_delivered(self, digest: Digest) -> bool:
        """Say whether content was brought and told of before a copy asks for it."""
        source = self.source
        return digest in self.delivered or (isinstance(source, Deliverer) and digest in source.delivered)

    def _remember(self, wanted: Descriptor, raw: bytes) -> None:
        with self._lock:
            if len(raw) <= self._room:
                self._room -= len(raw)
                self._kept[wanted.digest] = raw


def manifests(contents: Contents, roots: Iterable[Descriptor]) -> Iterator[Descriptor]:
    """Yield the roots and the manifests and indexes below them, as their parents describe them.

    Each comes once, but a manifest that platforms share comes once for each of them. Only indexes are read. Raises
    InvalidDocument and what reading raises.
    """
    seen: set[tuple[Digest, Platform | None]] = set()
    waiting = [(root, 0) for root in roots][::-1]
    while waiting:
        one, depth = waiting.pop()
        key = one.digest, one.platform if one.media_type in MANIFESTS else None
        if key in seen:
            continue
        seen.add(key)
        check_bounds(len(seen), depth)
        yield one
        document = contents.document(one) if one.media_type in INDEXES else None
        if isinstance(document, Index):
            below = document.manifests
            waiting += [(child, depth + 1) for child in reversed(below) if child.media_type in INDEXES | MANIFESTS]


def config_of(contents: Contents, manifest: Manifest) -> ImageConfig | None:
    """Return an image's config, None for an artifact. Raises InvalidDocument, VerificationFailed and others."""
    if manifest.config.media_type not in CONFIGS:
        return None
    return parse_image_config(contents.document(manifest.config).raw, f"the config {manifest.config.digest}")


def check_bounds(count: int, depth: int) -> None:
    """Raise InvalidDocument when a graph is larger than any image is."""
    if count > MOST:
        raise InvalidDocument(f"there are more than {MOST} manifests and blobs", hint=_NO_IMAGE)
    if depth > DEEPEST:
        raise InvalidDocument(f"what it holds is nested more than {DEEPEST} deep", hint=_NO_IMAGE)


_NO_IMAGE = "No image is like that: it was made to keep its readers busy."


def _embedded(wanted: Descriptor) -> bytes | None:
    """Return the content that a descriptor brings along, if it is right (OCI image-spec, descriptor.md, `data`)."""
    if wanted.data is None:
        return None
    total = DigestSum.like(wanted.digest)
    total.update(memoryview(wanted.data))
    return wanted.data if str(total) == wanted.digest else None
