"""Images in a directory, the way `docker save` first laid them out.

    ID/json         the image's JSON, byte for byte as it was served
    ID/layer.tar    the layer, byte for byte as it was served (tar, gzip, anything)
    ID/VERSION      the text 1.0
    ID/checksum     the payload checksum that the registry gave and the layer has; not there when it gave none
    repositories    {"namespace/name": {"tag": "ID"}}

Rules:
* A directory is an image when `json` and `layer.tar` are there; `json` is written last.
* `repositories` is replaced in one step, under a lock, and names only images that are complete.
"""

import stat
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import msgspec

from dockless.model.digest import is_digest
from dockless.model.errors import InvalidDocument, NotFound
from dockless.model.events import BlobFinished, Observer, ignore
from dockless.model.image_id import ImageId, is_image_id, parse_image_id
from dockless.model.printable import printable
from dockless.model.v1_documents import MOST_ANCESTORS, V1ImageConfig, decode, image_config
from dockless.stores.base import V1Image
from dockless.stores.files import FileReader, arrive, local_faults, locked, write_whole
from dockless.wire.stream import Reader, Source

_Repositories = dict[str, dict[str, ImageId]]


class V1Directory:
    """Images in the directory `root`; V1Repositories and V1Destination."""

    def __init__(self, root: Path, observe: Observer = ignore) -> None:
        self.root = root
        self._observe = observe

    def repositories(self) -> Iterator[str]:
        """Yield the names, in order."""
        return iter(sorted(self._names()))

    def tags(self, repository: str) -> dict[str, ImageId]:
        """Return each tag with its image id. Raises NotFound."""
        names = self._names()
        if repository not in names:
            raise NotFound(f"no repository {repository} in {self.root}")
        return names[repository]

    def image(self, image_id: ImageId) -> V1Image:
        """Return an image's JSON, its layer's size, and its checksum if that is known. Raises NotFound."""
        raw = self._read(image_id)
        checksum = ""
        with suppress(FileNotFoundError):
            checksum = (self.root / image_id / "checksum").read_text(encoding="ascii", errors="replace").strip()
        size = self._layer(image_id).stat().st_size
        return V1Image(image_id, raw, size, checksum if is_digest(checksum) else None)

    def ancestry(self, image_id: ImageId) -> list[ImageId]:
        """Return the ids from the image down to its base. Raises NotFound, InvalidDocument for a cycle."""
        ids: list[ImageId] = []
        if not is_image_id(image_id):
            raise NotFound(f"no image {printable(image_id, 80)} in {self.root}")
        parent: str | None = image_id
        while parent:
            if not is_image_id(parent) or parent in ids or len(ids) >= MOST_ANCESTORS:
                raise InvalidDocument(f"the parents of image {image_id} in {self.root} are not a chain")
            ids.append(ImageId(parent))
            parent = image_config(self._read(ids[-1]), V1ImageConfig, f"JSON of image {parent}").parent
        return ids

    def layer(self, image: V1Image, offset: int = 0) -> Reader:
        """Open a layer."""
        return FileReader(self._layer(image.id), offset)

    def add(self, image: V1Image, source: Source) -> bool | None:
        """Take the image in, unless it is here already. See `V1Destination.add`."""
        home = self.root / parse_image_id(image.id)
        with local_faults(home):
            home.mkdir(parents=True, exist_ok=True)
            with locked(home / ".lock", self._observe):
                if self._has(image):
                    self._observe(BlobFinished(image.id, (home / "layer.tar").stat().st_size, None))
                    return None
                (home / "json").unlink(missing_ok=True)
                (home / "checksum").unlink(missing_ok=True)
                verified = arrive(home / "layer.tar", image.promise(), source, self._observe)
                write_whole(home / "VERSION", b"1.0")
                if image.checksum is not None:
                    write_whole(home / "checksum", image.checksum.encode())
                write_whole(home / "json", image.raw)
                return verified

    def tag(self, repository: str, tag: str, image_id: ImageId) -> None:
        """Let a tag name an image that is complete here. Raises NotFound."""
        self.ancestry(image_id)
        with local_faults(self.root), locked(self.root / ".lock", self._observe):
            names = self._names()
            names.setdefault(repository, {})[tag] = image_id
            write_whole(self.root / "repositories", msgspec.json.format(msgspec.json.encode(names)))

    def _has(self, wanted: V1Image) -> bool:
        """Say whether the very image is here; what is not known of either side is not compared."""
        try:
            here = self.image(wanted.id)
        except NotFound:
            return False
        sizes, sums = {here.size, wanted.size} - {None}, {here.checksum, wanted.checksum} - {None}
        return here.raw == wanted.raw and len(sizes) == 1 and len(sums) < 2

    def _names(self) -> _Repositories:
        path = self.root / "repositories"
        with local_faults(path, "read"), suppress(FileNotFoundError):
            return decode(path.read_bytes(), _Repositories, str(path))
        return {}

    def _read(self, image_id: ImageId) -> bytes:
        self._layer(image_id)
        path = self.root / image_id / "json"
        with local_faults(path, "read"), suppress(FileNotFoundError):
            return path.read_bytes()
        raise NotFound(f"no image {image_id} in {self.root}")

    def _layer(self, image_id: ImageId) -> Path:
        path = self.root / image_id / "layer.tar"
        if not is_image_id(image_id) or not path.exists() or not stat.S_ISREG(path.lstat().st_mode):
            raise NotFound(f"no image {image_id} in {self.root}")
        return path
