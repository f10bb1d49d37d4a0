"""An OCI image layout in one tar (OCI image-spec, image-layout.md).

Rules:
* Reading takes no file but the archive, in place, unless it is packed.
* Writing keeps what is in an archive that is there. The new one appears when the block ends without an error, in one
  step; when nothing came, nothing is written.
* A manifest that is pushed and that neither a tag nor an index names, as a referrer is, stands in `index.json` without
  a tag.
"""

import threading
from pathlib import Path
from types import TracebackType
from typing import Self

from dockless.model.descriptor import Descriptor
from dockless.model.digest import Digest, is_digest
from dockless.model.documents import LONGEST_DOCUMENT, Index
from dockless.model.errors import InvalidDocument, InvalidReference, SizeMismatch
from dockless.model.events import Notice, Observer, ignore
from dockless.model.layout_index import (
    EMPTY,
    INDEX_FILE_NAME,
    LAYOUT_FILE,
    LAYOUT_FILE_NAME,
    LayoutIndex,
    blob_path,
    check_layout_version,
    parse_layout_index,
)
from dockless.model.media_types import DOCUMENTS
from dockless.stores.archived_layout import ArchivedLayout, OpenArchive
from dockless.stores.files import local_faults
from dockless.stores.shared_file import SharedFile
from dockless.stores.tar import Entry
from dockless.stores.tar_writer import TarWriter
from dockless.wire.stream import CheckedReader, Source, promise_of, pump


class OciArchive(OpenArchive):
    """An archive open for reading: Readable, NamedFetcher, TagLister and BlobFinder. Safe to share between threads."""

    def _read_index(self) -> LayoutIndex:
        version = self.tar.read(LAYOUT_FILE_NAME, LONGEST_DOCUMENT)
        raw = self.tar.read(INDEX_FILE_NAME, LONGEST_DOCUMENT)
        if version is None or raw is None:
            raise InvalidDocument(
                f"{self.path} holds no image layout",
                hint="Did `docker save` write it? Then it is docker-archive: and not oci-archive:.",
            )
        check_layout_version(version, f"{LAYOUT_FILE_NAME} in {self.path}")
        return parse_layout_index(raw, f"{INDEX_FILE_NAME} in {self.path}")


class OciArchiveWriter(ArchivedLayout):
    """An archive on its way: a Store that can be read, too. Safe to share between threads.

    Its block publishes it at the end, and leaves what was there after an error.
    """

    def __init__(self, path: Path, observe: Observer = ignore) -> None:
        """Begin an archive, or go on with the one that is there; waits for whoever writes it.

        Raises LocalFault, InvalidDocument for a file that is no archive.
        """
        self.path = path
        self.observe = observe
        self._tar = TarWriter(path, observe)
        self._before: OpenArchive | None = None
        self._pushed: dict[Digest, Descriptor] = {}
        self._lock = threading.Lock()
        try:
            with local_faults(path, "read"):
                self._before = self._opened() if path.exists() and path.stat().st_size else None
            self._index = self._first = self._before.full_index() if self._before else EMPTY
        except BaseException:
            self._close()
            raise

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, _: TracebackType | None) -> None:
        try:
            if kind is None:
                self._commit()
        finally:
            self._close()

    @property
    def index(self) -> LayoutIndex:
        """What is listed."""
        return self._index

    def locate(self, digest: Digest) -> tuple[SharedFile, Entry] | None:
        """Return where a blob lies, None when it is not here."""
        entry = self._tar.entries.get(blob_path(digest))
        if entry is not None:
            return self._tar.file, entry
        return self._before.locate(digest) if self._before else None

    def push(self, expected: Descriptor, source: Source) -> None:
        """Take content in, and verify it."""
        if not self.exists(expected):
            with self._tar.place(blob_path(expected.digest), expected.size) as place:
                if place is not None:
                    reader = CheckedReader(promise_of(expected), source)
                    try:
                        pump(reader, place.write)
                    finally:
                        reader.close()
        if not self.exists(expected):
            raise SizeMismatch(f"{expected.digest} is here, and has not {expected.size} bytes")
        if expected.media_type in DOCUMENTS and not (self._before and self._before.exists(expected)):
            self._pushed[expected.digest] = expected.plain

    def tag(self, target: Descriptor, name: str) -> None:
        """Let a tag name a manifest that is here; its own digest lists it without a tag. Raises NotFound."""
        if is_digest(name) and name != target.digest:
            raise InvalidReference(f"{name} cannot be a tag of {target.digest}")
        if not self.exists(target):
            raise self.absent(target.digest)
        with self._lock:
            index = self._index
            self._index = index.with_entry(target) if is_digest(name) else index.with_tag(target, name)

    def _close(self) -> None:
        self._tar.discard()
        if self._before:
            self._before.close()

    def _opened(self) -> OpenArchive:
        """Open the archive that is there."""
        return OciArchive(self.path)

    def _files(self) -> dict[str, bytes]:
        """Return the documents beside the blobs."""
        return {LAYOUT_FILE_NAME: LAYOUT_FILE, INDEX_FILE_NAME: self._index.raw}

    def _commit(self) -> None:
        before = self._before
        self._list_roots()
        if not self._tar.entries and self._index is self._first:
            return
        if before is not None:
            if before.tar.compression:
                self.observe(Notice(f"{self.path} was packed with {before.tar.compression}; it is not any more"))
            self._carry_over(before)
        for name, content in self._files().items():
            with self._tar.place(name, len(content)) as place:
                if place is not None:
                    place.write(memoryview(content))
        self._tar.commit()

    def _list_roots(self) -> None:
        """List what was pushed and is below nothing else that was."""
        documents = list(self.documents(self._pushed.values()))
        below = {child.digest for one in documents if isinstance(one, Index) for child in one.manifests}
        for one in documents:
            if one.descriptor.digest not in below:
                referrer = one.subject and one.as_referrer(one.subject)
                self._index = self._index.with_entry(referrer or one.descriptor)

    def _carry_over(self, before: OpenArchive) -> None:
        for digest in before.digests():
            found = before.locate(digest)
            if found is not None:
                file, entry = found
                with self._tar.place(blob_path(digest), entry.size) as place:
                    if place is not None:
                        place.copy(file, entry)
