"""OCI images as images of v1, for whoever still speaks it.

Rules:
* A repository's name has two components at least; `demo` is found as `library/demo`.
* A tag that names no image which v1 can hold is not there. Of an index it is the image for linux/amd64, else the first.
* Which image has which id is known once its tag was looked at. An id that is not known makes every tag be looked at,
  once a second at most. What is known takes up to 32 MiB and is forgotten all at once when it grows beyond.
* An image is there as long as the manifest that it came from. Its payload checksum is computed when it is first asked.
"""

import threading
import time
from collections.abc import Iterator
from contextlib import suppress
from functools import partial

from dockless.model.descriptor import Descriptor
from dockless.model.digest import Digest
from dockless.model.documents import Document, Index, Manifest, parse_document
from dockless.model.errors import DocklessError, InvalidDocument, InvalidReference, NotFound
from dockless.model.image_id import ImageId
from dockless.model.media_types import MANIFESTS
from dockless.model.platform import LINUX_AMD64
from dockless.model.v1_synthesis import EMPTY_LAYER, V1Made, v1_from_oci
from dockless.stores.base import Readable, Repositories, V1Image
from dockless.wire.stream import BytesReader, PayloadSum, Reader, pump, read_document

_DEEPEST = 4  # indexes in indexes
_MOST_KNOWN = 32 << 20  # bytes
_OVERHEAD = 1000  # bytes that an image takes up beside its JSON
_BETWEEN_SEARCHES = 1.0  # seconds


class _Known:
    """An image of v1, where it came from, and where it stands in a chain, which begins with the newest."""

    def __init__(self, made: V1Made, repository: str, manifest: Descriptor, chain: list[ImageId], place: int) -> None:
        self.made = made
        self.repository = repository
        self.manifest = manifest
        self.chain = chain
        self.place = place
        self.checksum: str | None = None


class V1Images:
    """The images of `repositories`; V1Repositories."""

    def __init__(self, repositories: Repositories) -> None:
        self._repositories = repositories
        self._newest: dict[Digest, ImageId] = {}  # by manifest
        self._known: dict[ImageId, _Known] = {}
        self._size = 0
        self._searched = float("-inf")
        self._lock = threading.Lock()

    def repositories(self) -> Iterator[str]:
        """Yield the names, `namespace/name` each."""
        names = {name if "/" in name else f"library/{name}" for name in self._repositories.names()}
        return iter(sorted(names))

    def tags(self, repository: str) -> dict[str, ImageId]:
        """Return each tag with its image id. Raises NotFound."""
        return dict(self._tagged(self._name(repository)))

    def image(self, image_id: ImageId) -> V1Image:
        """Return the image's JSON, its layer's size and its checksum. Raises NotFound."""
        known = self._find(image_id)
        image = V1Image(image_id, known.made.raw, known.made.layer.size if known.made.layer else len(EMPTY_LAYER))
        if known.checksum is None:
            total = PayloadSum(image.raw)
            reader = self.layer(image)
            try:
                pump(reader, total.update)
            finally:
                reader.close()
            known.checksum = str(total)
        return V1Image(image_id, image.raw, image.size, known.checksum)

    def ancestry(self, image_id: ImageId) -> list[ImageId]:
        """Return the ids from the image down to its base. Raises NotFound."""
        known = self._find(image_id)
        return known.chain[known.place :]

    def layer(self, image: V1Image, offset: int = 0) -> Reader:
        """Open the layer's stored bytes. Raises NotFound."""
        known = self._find(image.id)
        if known.made.layer is None:
            return BytesReader(EMPTY_LAYER, offset)
        return self._repositories.open(known.repository).fetch(known.made.layer, offset)

    def _name(self, repository: str) -> str:
        """Return the name that the repository has here. Raises NotFound."""
        for name in (repository, repository.removeprefix("library/")):
            with suppress(NotFound, InvalidReference):
                self._repositories.open(name)
                return name
        raise NotFound("no such repository")

    def _tagged(self, name: str) -> Iterator[tuple[str, ImageId]]:
        store = self._repositories.open(name)
        for tag in store.tags():
            with suppress(DocklessError):  # an artifact, or broken, or for newer clients
                yield tag, self._image_of(name, store, tag)

    def _find(self, image_id: ImageId) -> _Known:
        known = self._look(image_id) or (self._search(image_id) if self._may_search() else None)
        if known is None:
            raise NotFound(f"no image {image_id}")
        return known

    def _search(self, image_id: ImageId) -> _Known | None:
        for name in self._repositories.names():
            with suppress(NotFound):  # gone meanwhile
                for _ in self._tagged(name):
                    if (known := self._known.get(image_id)) is not None and known.repository == name:
                        return known
        return None

    def _look(self, image_id: ImageId) -> _Known | None:
        known = self._known.get(image_id)
        with suppress(NotFound):
            if known is not None and self._repositories.open(known.repository).exists(known.manifest):
                return known
        return None

    def _may_search(self) -> bool:
        with self._lock:
            now = time.monotonic()
            if now - self._searched < _BETWEEN_SEARCHES:
                return False
            self._searched = now
            return True

    def _image_of(self, name: str, store: Readable, tag: str) -> ImageId:
        """Return the id of the image that a tag names, and know it from now on."""
        manifest = _manifest(store, tag)
        newest = self._newest.get(manifest.descriptor.digest)
        if newest is not None and self._look(newest) is not None:
            return newest
        made = v1_from_oci(read_document(manifest.config, partial(store.fetch, manifest.config)), manifest.layers)
        made.reverse()
        chain = [one.id for one in made]
        with self._lock:
            self._size += sum(_OVERHEAD + len(one.raw) for one in made)
            if self._size > _MOST_KNOWN:
                self._size = 0
                self._known.clear()
                self._newest.clear()
            for place, one in enumerate(made):
                self._known[one.id] = _Known(one, name, manifest.descriptor, chain, place)
            self._newest[manifest.descriptor.digest] = chain[0]
        return chain[0]


def _manifest(store: Readable, tag: str) -> Manifest:
    """Return the image that a tag names. Raises NotFound, InvalidDocument."""
    document = _document(store, store.resolve(tag))
    for _ in range(_DEEPEST):
        if isinstance(document, Manifest):
            return document
        if not isinstance(document, Index) or not document.manifests:
            break
        usual = [one for one in document.manifests if one.platform and one.platform.satisfies(LINUX_AMD64)]
        images = [one for one in document.manifests if one.media_type in MANIFESTS]
        document = _document(store, (usual or images or document.manifests)[0])
    raise InvalidDocument("no image")


def _document(store: Readable, wanted: Descriptor) -> Document:
    return parse_document(wanted, read_document(wanted, partial(store.fetch, wanted)))
