"""An OCI image layout in a directory (OCI image-spec, image-layout.md).

Rules:
* Nothing is made before the first write. Then `oci-layout` comes first, blobs after it, and `index.json` last.
* A blob is written beside `blobs/`, flushed, renamed and read-only: whoever looks there sees only what is complete.
* `index.json` is read, changed and replaced in one step under a lock, so that no process loses what another wrote.
* A manifest that is pushed and has a subject is listed without a tag, or nobody would find it again; one without is
  listed when it gets a tag, or its digest for one.
* A link is not followed to a blob, nor to the directories of blobs. Other files are none of our business; our own
  temporary ones begin with a dot.
"""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from dockless.model.descriptor import Descriptor
from dockless.model.digest import Digest, is_digest
from dockless.model.documents import LONGEST_DOCUMENT, parse_document
from dockless.model.errors import InvalidDocument, InvalidReference, LocalFault, NotFound
from dockless.model.events import Observer, ignore
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
from dockless.model.printable import printable
from dockless.stores.files import (
    FileReader,
    ingest,
    keep,
    local_faults,
    locked,
    make_directory,
    regular_size,
    sweep,
    write_whole,
)
from dockless.stores.layout import Layout
from dockless.wire.stream import Reader, Source, pump

_LOCK = ".index.json.lock"


class OciLayout(Layout):
    """The layout in the directory `path`: Store, NamedFetcher, Ingestor, TagLister, Deleter, BlobFinder, LocalFiles.

    Safe to share between threads, and with other processes.
    """

    def __init__(self, path: Path, observe: Observer = ignore) -> None:
        self.path = path
        self._observe = observe
        self._is_ready = False
        self._preparing = threading.Lock()  # threads would wait longer for the one on the file

    @property
    def index(self) -> LayoutIndex:
        """What is listed. Raises NotFound, InvalidDocument, LocalFault, Unsupported."""
        self._check()
        try:
            raw = self._small(INDEX_FILE_NAME)
        except NotFound:
            return EMPTY
        return parse_layout_index(raw, f"{INDEX_FILE_NAME} in {self.path}")

    def size_of(self, digest: Digest) -> int | None:
        """Return how many bytes a blob has, None when it is not here."""
        return regular_size(self._blob(digest))

    def path_of(self, wanted: Descriptor) -> Path | None:
        """Return the file that holds exactly this content, None when there is none."""
        return self._blob(wanted.digest) if self.exists(wanted) else None

    def fetch(self, wanted: Descriptor, offset: int = 0) -> Reader:
        """Open content. Raises NotFound, LocalFault for what is no regular file."""
        try:
            return FileReader(self._blob(wanted.digest), offset)
        except NotFound:
            self._check()
            raise self.absent(wanted.digest) from None

    def push(self, expected: Descriptor, source: Source) -> None:
        """Take content in, and verify it."""
        is_document = expected.media_type in DOCUMENTS
        if is_document and expected.size > LONGEST_DOCUMENT:
            raise InvalidDocument(f"{expected.digest} has {expected.size} bytes, too many for a document")
        if not self.exists(expected):
            self._prepare()
        keep(self._blob(expected.digest), self.path, expected, source, ignore if is_document else self._observe)
        if is_document:
            self._list_referrer(expected)

    def ingest(self, media_type: str, reader: Reader) -> Descriptor:
        """Take in what `reader` gives, and return its descriptor. Closes nothing."""
        self._prepare()
        digest, size = ingest(self.path, reader, self._blob)
        return Descriptor(media_type, digest, size)

    def tag(self, target: Descriptor, name: str) -> None:
        """Let a tag name a manifest that is here; its own digest lists it without a tag. Raises NotFound."""
        if is_digest(name) and name != target.digest:
            raise InvalidReference(f"{name} cannot be a tag of {target.digest}")
        with self._alone():
            if not self.exists(target):
                raise self.absent(target.digest)
            before = self.index
            self._replace(before, before.with_entry(target) if is_digest(name) else before.with_tag(target, name))

    def untag(self, name: str) -> None:
        """Remove one tag; its manifest stays listed. Raises NotFound."""
        with self._alone():
            before = self.index
            if name not in before.tags():
                raise NotFound(f"tag {printable(name, 160)} is not in {self.path}")
            self._replace(before, before.without_tag(name))

    def delete(self, target: Descriptor) -> None:
        """Remove content, and the tags that name it. Raises NotFound."""
        with self._alone():
            before = self.index
            after = before.without(target.digest)
            self._replace(before, after)
            try:
                self._blob(target.digest).unlink()
            except FileNotFoundError:
                if after is before:
                    raise self.absent(target.digest) from None

    def _blob(self, digest: Digest) -> Path:
        path = self.path / blob_path(digest)
        for above in (path.parent, path.parent.parent):
            if above.is_symlink():
                raise LocalFault(
                    f"{above} is a symbolic link, which leads out of the layout",
                    hint="Let the layout's directory itself be the link.",
                )
        return path

    def _list_referrer(self, manifest: Descriptor) -> None:
        """List a manifest that has a subject; one that cannot be read has none."""
        try:
            document = parse_document(manifest, self.read(manifest))
        except InvalidDocument:
            return
        referrer = document.subject and document.as_referrer(document.subject)
        if referrer:
            with self._alone():
                before = self.index
                self._replace(before, before.with_entry(referrer))

    @contextmanager
    def _alone(self) -> Iterator[None]:
        """Keep all other threads and processes from changing what is listed."""
        self._check()
        with local_faults(self.path), locked(self.path / _LOCK, self._observe):
            yield

    def _replace(self, before: LayoutIndex, after: LayoutIndex) -> None:
        if after is not before:
            write_whole(self.path / INDEX_FILE_NAME, after.raw)

    def _prepare(self) -> None:
        """Make a layout where there is none yet."""
        with self._preparing:
            if self._is_ready:
                return
            mark = self.path / LAYOUT_FILE_NAME
            with local_faults(self.path):
                if regular_size(mark) is None:
                    make_directory(self.path)
                    with locked(self.path / _LOCK, self._observe):
                        if regular_size(mark) is None:
                            write_whole(mark, LAYOUT_FILE)
                self._check()
                sweep(self.path)
            self._is_ready = True

    def _check(self) -> None:
        """Raise NotFound unless there is a layout, Unsupported for one of a version that is not known."""
        try:
            raw = self._small(LAYOUT_FILE_NAME)
        except NotFound:
            if not self.path.is_dir():
                hint = "A tar is read as oci-archive:FILE." if self.path.exists() else "Is the path right?"
                raise NotFound(f"there is no directory {self.path}", hint=hint) from None
            raise NotFound(
                f"{self.path} is no OCI image layout: there is no file {LAYOUT_FILE_NAME} in it",
                hint="What holds several layouts is none itself: name one of them.",
            ) from None
        check_layout_version(raw, f"{LAYOUT_FILE_NAME} in {self.path}")

    def _small(self, name: str) -> bytes:
        reader = FileReader(self.path / name)
        try:
            if reader.size > LONGEST_DOCUMENT:
                raise InvalidDocument(f"{self.path / name} has {reader.size} bytes, more than {LONGEST_DOCUMENT}")
            content = bytearray()
            pump(reader, content.extend)
            return bytes(content)
        finally:
            reader.close()
