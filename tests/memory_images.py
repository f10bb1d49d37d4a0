"""Images in memory, for servers under test."""

import threading
from collections.abc import Iterator, Mapping

import msgspec

from dockless.model.errors import NotFound
from dockless.model.image_id import ImageId
from dockless.stores.base import V1Image
from dockless.wire.stream import PayloadSum

_CHUNK = 64 << 10


class MemoryImages:
    """V1Repositories over `images` (id: JSON and layer) and `repositories` (name: tags).

    `still_open` counts the readers that nobody has closed yet.
    """

    def __init__(
        self, images: Mapping[str, tuple[bytes, bytes]], repositories: Mapping[str, Mapping[str, str]] | None = None
    ) -> None:
        self.images = dict(images)
        self.names = {name: dict(tags) for name, tags in (repositories or {}).items()}
        self.still_open = 0
        self._lock = threading.Lock()

    def repositories(self) -> Iterator[str]:
        """Yield the names, in the order given."""
        return iter(self.names)

    def tags(self, repository: str) -> dict[str, ImageId]:
        """Return each tag with its image id."""
        if repository not in self.names:
            raise NotFound(f"no repository {repository}")
        return {tag: ImageId(image_id) for tag, image_id in self.names[repository].items()}

    def image(self, image_id: ImageId) -> V1Image:
        """Return an image with size and checksum."""
        raw, layer = self._find(image_id)
        total = PayloadSum(raw)
        total.update(memoryview(layer))
        return V1Image(image_id, raw, len(layer), str(total))

    def ancestry(self, image_id: ImageId) -> list[ImageId]:
        """Return the ids from the image down, by the parents in the JSON."""
        ids: list[ImageId] = []
        parent: str | None = image_id
        while parent:
            ids.append(ImageId(parent))
            parent = msgspec.json.decode(self._find(parent)[0]).get("parent")
        return ids

    def layer(self, image: V1Image, offset: int = 0) -> "MemoryReader":
        """Open a layer."""
        return MemoryReader(self, memoryview(self._find(image.id)[1])[offset:])

    def count(self, change: int) -> None:
        """Take note of a reader that was opened (1) or closed (-1)."""
        with self._lock:
            self.still_open += change

    def _find(self, image_id: str) -> tuple[bytes, bytes]:
        if image_id not in self.images:
            raise NotFound(f"no image {image_id}")
        return self.images[image_id]


class MemoryReader:
    """Bytes as a Reader that fills one buffer again and again, as readers of files do."""

    def __init__(self, images: MemoryImages, left: memoryview) -> None:
        self._images = images
        self._left = left
        self._buffer = bytearray(_CHUNK)
        self._closed = False
        images.count(1)

    def read_chunk(self) -> memoryview:
        """Return the next bytes; they are good until the next call."""
        size = min(len(self._left), _CHUNK)
        self._buffer[:size] = self._left[:size]
        self._left = self._left[size:]
        return memoryview(self._buffer)[:size]

    def close(self) -> None:
        """Count as closed, once."""
        if not self._closed:
            self._closed = True
            self._images.count(-1)
