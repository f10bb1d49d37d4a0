"""Content in memory, for tests and for the embedded registry. Safe to share between threads."""

import threading
from collections.abc import Iterator

from dockless.model.descriptor import Descriptor, describe
from dockless.model.digest import Digest, is_digest
from dockless.model.documents import parse_document
from dockless.model.errors import InvalidDocument, NotFound
from dockless.model.media_types import DOCUMENTS, INDEXES, MANIFESTS, OCTETS
from dockless.model.printable import printable
from dockless.wire.stream import BytesReader, CheckedReader, Reader, Source, promise_of, pump


class MemoryStore:
    """One repository: a Store, NamedFetcher, Ingestor, TagLister, Deleter and BlobFinder."""

    def __init__(self) -> None:
        self._contents: dict[Digest, bytes] = {}
        self._descriptors: dict[Digest, Descriptor] = {}
        self._tags: dict[str, Digest] = {}
        self._lock = threading.Lock()

    def resolve(self, name: str) -> Descriptor:
        """Return what a tag or a digest names. Raises NotFound."""
        with self._lock:
            digest = Digest(name) if is_digest(name) else self._tags.get(name)
            if digest is None or digest not in self._descriptors:
                raise NotFound(f"{printable(name, 160)} is not in memory")
            return self._descriptors[digest]

    def fetch(self, wanted: Descriptor, offset: int = 0) -> Reader:
        """Open content. Raises NotFound."""
        try:
            return BytesReader(self._contents[wanted.digest], offset)
        except KeyError:
            raise NotFound(f"{wanted.digest} is not in memory") from None

    def fetch_named(self, name: str) -> tuple[Descriptor, bytes]:
        """Return what a tag or a digest names, and its bytes. Raises NotFound."""
        found = self.resolve(name)
        reader = self.fetch(found)
        return found, bytes(reader.read_chunk())

    def find_blob(self, digest: Digest) -> Descriptor:
        """Return a blob's descriptor. Raises NotFound."""
        try:
            return Descriptor(OCTETS, digest, len(self._contents[digest]))
        except KeyError:
            raise NotFound(f"{digest} is not in memory") from None

    def exists(self, wanted: Descriptor) -> bool:
        """Say whether the content is here."""
        return wanted.digest in self._contents

    def predecessors(self, of: Descriptor) -> Iterator[Descriptor]:
        """Yield the manifests whose subject is `of`."""
        with self._lock:
            documents = [
                (one, self._contents[one.digest])
                for one in self._descriptors.values()
                if one.media_type in INDEXES | MANIFESTS
            ]
        for one, raw in documents:
            try:
                found = parse_document(one, raw).as_referrer(of)
            except InvalidDocument:
                continue
            if found is not None:
                yield found

    def push(self, expected: Descriptor, source: Source) -> None:
        """Take content in, and verify it."""
        held = self._contents.get(expected.digest)
        if held is None:
            content = bytearray()
            reader = CheckedReader(promise_of(expected), source)
            try:
                pump(reader, content.extend)
            finally:
                reader.close()
            held = bytes(content)
        # what came as a blob may come again as a manifest
        self._keep(Descriptor(expected.media_type, expected.digest, len(held)), held)

    def ingest(self, media_type: str, reader: Reader) -> Descriptor:
        """Take in bytes whose digest is known at their end."""
        content = bytearray()
        pump(reader, content.extend)
        found = describe(bytes(content), media_type)
        self._keep(found, bytes(content))
        return found

    def tag(self, target: Descriptor, name: str) -> None:
        """Let a tag name a manifest that is here. Raises NotFound."""
        with self._lock:
            if target.digest not in self._descriptors:
                raise NotFound(f"{target.digest} is not in memory")
            self._tags[name] = target.digest

    def tags(self) -> Iterator[str]:
        """Yield the tags, in order."""
        return iter(sorted(self._tags))

    def untag(self, name: str) -> None:
        """Remove one tag. Raises NotFound."""
        with self._lock:
            if self._tags.pop(name, None) is None:
                raise NotFound(f"tag {printable(name, 160)} is not in memory")

    def delete(self, target: Descriptor) -> None:
        """Remove content, and the tags that name it. Raises NotFound."""
        with self._lock:
            if self._contents.pop(target.digest, None) is None:
                raise NotFound(f"{target.digest} is not in memory")
            self._descriptors.pop(target.digest, None)
            self._tags = {name: digest for name, digest in self._tags.items() if digest != target.digest}

    def _keep(self, found: Descriptor, content: bytes) -> None:
        with self._lock:
            self._contents[found.digest] = content
            if found.media_type in DOCUMENTS or found.digest not in self._descriptors:
                self._descriptors[found.digest] = found
