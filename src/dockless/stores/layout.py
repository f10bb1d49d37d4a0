"""What can be asked of an OCI image layout, wherever its files lie.

Rules:
* What is named is here: a name whose manifest is missing is not found. What a manifest points at may be missing.
* By digest, whatever is a manifest or an index is found, listed or not.
* Documents are verified each time they are read, and no other content is.
* What cannot be read as a document is no referrer, and hides none.
"""

from abc import ABC, abstractmethod
from collections.abc import Iterable, Iterator, Sequence
from functools import partial
from pathlib import Path

from dockless.model.descriptor import Descriptor
from dockless.model.digest import Digest, is_digest
from dockless.model.documents import LONGEST_DOCUMENT, Document, Index, parse_document
from dockless.model.errors import InvalidDocument, InvalidReference, NotFound, VerificationFailed
from dockless.model.layout_index import LayoutIndex, document_type
from dockless.model.media_types import INDEXES, MANIFESTS, OCTETS
from dockless.model.printable import printable
from dockless.net.waiting import check
from dockless.wire.stream import Reader, read_document

_MOST_DOCUMENTS = 100_000
_MOST_SHOWN = 20


class Layout(ABC):
    """Readable, NamedFetcher, TagLister and BlobFinder over the layout at `path`."""

    path: Path

    @property
    @abstractmethod
    def index(self) -> LayoutIndex:
        """What is listed. Raises NotFound, InvalidDocument."""

    @abstractmethod
    def size_of(self, digest: Digest) -> int | None:
        """Return how many bytes a blob has, None when it is not here."""

    @abstractmethod
    def fetch(self, wanted: Descriptor, offset: int = 0) -> Reader:
        """Open content. Raises NotFound, LocalFault."""

    def resolve(self, name: str) -> Descriptor:
        """Return what a tag or a digest names; an empty name is for the only image there is.

        Raises NotFound, and InvalidReference when several things have the name.
        """
        index = self.index
        found = index.find(name) if name else self._only(index)
        if found is None and is_digest(name):
            found = self._unlisted(Digest(name))
        if found is None:
            raise NotFound(f"{printable(name, 160)} is not in {self.path}", hint=choice(index.tags()))
        if not self.exists(found):
            raise NotFound(f"{found.digest}, which {self.path} lists, is not there with its {found.size} bytes")
        return found

    def fetch_named(self, name: str) -> tuple[Descriptor, bytes]:
        """Return what a tag or a digest names, and its verified bytes. Raises as `resolve` and `read` do."""
        found = self.resolve(name)
        return found, self.read(found)

    def exists(self, wanted: Descriptor) -> bool:
        """Say whether the content is here, in its right size."""
        return self.size_of(wanted.digest) == wanted.size

    def find_blob(self, digest: Digest) -> Descriptor:
        """Return a blob's descriptor. Raises NotFound."""
        size = self.size_of(digest)
        if size is None:
            raise self.absent(digest)
        return Descriptor(OCTETS, digest, size)

    def predecessors(self, of: Descriptor) -> Iterator[Descriptor]:
        """Yield the manifests that have `of` as their subject, among those that are listed and what these reach."""
        try:
            roots = self.index.entries
        except NotFound:  # nothing is here yet
            return
        for document in self.documents(roots):
            found = document.as_referrer(of)
            if found is not None:
                yield found

    def tags(self) -> Iterator[str]:
        """Yield the tags, in order."""
        return iter(self.index.tags())

    def read(self, wanted: Descriptor) -> bytes:
        """Return a document, verified. Raises NotFound, VerificationFailed, InvalidDocument, LocalFault."""
        return read_document(wanted, partial(self.fetch, wanted))

    def documents(self, roots: Iterable[Descriptor]) -> Iterator[Document]:
        """Yield the manifests and indexes among `roots` and below them, each once. Raises InvalidDocument for too many.

        What cannot be read is left out.
        """
        waiting, seen = list(roots)[::-1], set[Digest]()
        while waiting:
            one = waiting.pop()
            if one.digest in seen or one.media_type not in INDEXES | MANIFESTS:
                continue
            check()
            seen.add(one.digest)
            if len(seen) > _MOST_DOCUMENTS:
                raise InvalidDocument(f"{self.path} lists more than {_MOST_DOCUMENTS} manifests")
            try:
                document = parse_document(one, self.read(one))
            except (NotFound, VerificationFailed, InvalidDocument):
                continue
            yield document
            if isinstance(document, Index):
                waiting.extend(reversed(document.manifests))

    def absent(self, digest: Digest) -> NotFound:
        """Return the error that says that a blob is not here."""
        return NotFound(f"{digest} is not in {self.path}")

    def _only(self, index: LayoutIndex) -> Descriptor:
        found = index.only()
        if found is not None:
            return found
        if not index.entries:
            raise NotFound(f"there is no image in {self.path}")
        raise InvalidReference(f"there are several images in {self.path}: say which", hint=choice(index.tags()))

    def _unlisted(self, digest: Digest) -> Descriptor | None:
        size = self.size_of(digest)
        if size is None or size > LONGEST_DOCUMENT:
            return None
        media_type = document_type(self.read(Descriptor(OCTETS, digest, size)))
        return Descriptor(media_type, digest, size) if media_type else None


def choice(tags: Sequence[str]) -> str:
    """Return the hint that says which tags there are."""
    shown = ", ".join(printable(tag, 160) for tag in tags[:_MOST_SHOWN])
    more = f" and {len(tags) - _MOST_SHOWN} more" if len(tags) > _MOST_SHOWN else ""
    return f"Its tags are {shown}{more}." if tags else "It has no tags: name a digest."
