"""An image layout whose blobs lie in tars."""

from abc import abstractmethod
from collections.abc import Iterator
from pathlib import Path
from typing import Self

from dockless.model.descriptor import Descriptor
from dockless.model.digest import Digest, is_digest
from dockless.model.layout_index import LayoutIndex, blob_path
from dockless.stores.layout import Layout
from dockless.stores.shared_file import SharedFile
from dockless.stores.tar import Entry, EntryReader, TarArchive
from dockless.wire.stream import Reader


class ArchivedLayout(Layout):
    """A layout in one archive, or in two while one becomes the other."""

    @abstractmethod
    def locate(self, digest: Digest) -> tuple[SharedFile, Entry] | None:
        """Return where a blob lies, None when it is not here."""

    def size_of(self, digest: Digest) -> int | None:
        """Return how many bytes a blob has, None when it is not here."""
        found = self.locate(digest)
        return found[1].size if found else None

    def fetch(self, wanted: Descriptor, offset: int = 0) -> Reader:
        """Open content. Raises NotFound."""
        found = self.locate(wanted.digest)
        if found is None:
            raise self.absent(wanted.digest)
        return EntryReader(*found, offset)


class OpenArchive(ArchivedLayout):
    """An archive open for reading, until its block ends. Safe to share between threads."""

    def __init__(self, path: Path) -> None:
        """Open the archive. Raises NotFound, LocalFault, InvalidDocument, Unsupported."""
        self.path = path
        self.tar = TarArchive(path)
        try:
            self._index = self._read_index()
        except BaseException:
            self.close()
            raise

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Close the file."""
        self.tar.close()

    @property
    def index(self) -> LayoutIndex:
        """What is listed."""
        return self._index

    def full_index(self) -> LayoutIndex:
        """Return what is listed, and what would be if it were a layout."""
        return self._index

    def locate(self, digest: Digest) -> tuple[SharedFile, Entry] | None:
        """Return where a blob lies, None when it is not here."""
        entry = self.tar.find(blob_path(digest))
        return (self.tar.file, entry) if entry else None

    def digests(self) -> Iterator[Digest]:
        """Yield the blobs there are."""
        for name in self.tar.entries:
            digest = name.removeprefix("blobs/").replace("/", ":")
            if is_digest(digest) and name == blob_path(Digest(digest)):
                yield Digest(digest)

    @abstractmethod
    def _read_index(self) -> LayoutIndex:
        """Read `index.json`. Raises InvalidDocument, Unsupported."""
