"""A repository of a v1 registry as a place to copy to.

Rules:
* v1 wants an image's JSON before its layer, and the JSON is made of the config: a blob is only taken note of, and read
  from its source when the manifest has come. Each layer is read once, and never kept.
* Parents first and one after the other: servers up to 0.6.9 keep a layer's checksum in the one cookie there is.
* An image that is complete there is not sent again (`wire.v1.push`). Until then, everything may be repeated.
* What comes from a source is verified before its last bytes leave. A source that fails is a CopyFault of that side, and
  the registry is not asked again for it.
* There are no manifests in v1: what was sent is known here as long as this object lives.
"""

import threading
from collections.abc import Iterator
from contextlib import contextmanager

import msgspec

from dockless.model.descriptor import Descriptor, describe
from dockless.model.digest import Digest, is_digest
from dockless.model.documents import Manifest, parse_document
from dockless.model.errors import (
    Cancelled,
    ChecksumMismatch,
    CopyFault,
    DocklessError,
    NotFound,
    Unsupported,
)
from dockless.model.events import BlobFinished, Observer, ignore
from dockless.model.image_id import ImageId
from dockless.model.media_types import CONFIGS, DOCUMENTS, INDEXES
from dockless.model.v1_synthesis import EMPTY_LAYER, V1Made, v1_from_oci
from dockless.stores.v1.registry import V1Index, V1Repository, require_tag
from dockless.wire.http import Body, body_of
from dockless.wire.stream import BytesReader, CheckedReader, PayloadSum, Reader, Source, promise_of, read_document
from dockless.wire.v1 import routes
from dockless.wire.v1.push import JSON, LAYER, MISMATCH, PRESENT, checksum_headers, image_list

_TAKEN = frozenset({200, PRESENT})


class _Sent(msgspec.Struct, frozen=True):
    """An image that is there: where, and its ids, base first, with the checksums of those that were sent now."""

    repository: V1Repository
    images: list[tuple[ImageId, str | None]]


class V1Upload:
    """The repository `name` of an index, for writing: a Store that gives nothing back. Safe to share."""

    def __init__(self, index: V1Index, name: str, observe: Observer = ignore) -> None:
        self._index = index
        self._name = name
        self._observe = observe
        self._blobs: dict[Digest, Source] = {}
        self._sent: dict[Digest, _Sent] = {}
        self._names: dict[str, Descriptor] = {}
        self._lock = threading.Lock()

    def resolve(self, name: str) -> Descriptor:
        """Return the manifest that was sent under a name; of another tag that is there, the image id it names, as text.

        Raises NotFound.
        """
        if name in self._names or is_digest(name):
            return self._known(name)
        ids = self._index.repository(self._name).tags()
        return describe(ids[name].encode(), "text/plain") if name in ids else self._known(name)

    def fetch(self, wanted: Descriptor, offset: int = 0) -> Reader:  # noqa: ARG002 - the protocol's
        """Raise NotFound: nothing is kept."""
        raise NotFound(f"{wanted.digest} is not in a v1 registry, which has images by their own ids")

    def exists(self, wanted: Descriptor) -> bool:
        """Say whether this manifest was sent; of a blob, False. Raises Unsupported for what can never be here."""
        if wanted.media_type in INDEXES:
            raise Unsupported(
                f"{wanted.digest} is an index, and v1 knows no images of several platforms",
                hint="Name one with --platform, such as linux/amd64.",
            )
        return wanted.digest in self._sent

    def predecessors(self, of: Descriptor) -> Iterator[Descriptor]:  # noqa: ARG002 - the protocol's
        """Yield nothing."""
        return iter(())

    def push(self, expected: Descriptor, source: Source) -> None:
        """Take note of a blob; send the whole image when its manifest comes.

        Raises Unsupported for what is no image that v1 can hold, ChecksumMismatch when the registry got other bytes
        than were sent, CopyFault when a layer's source fails, and what the registry answers.
        """
        if expected.media_type not in DOCUMENTS:
            self._blobs[expected.digest] = source
            return
        with self._lock:
            if not self.exists(expected):
                self._sent[expected.digest] = self._send(self._images(expected, source))
                self._names[expected.digest] = expected

    def tag(self, target: Descriptor, name: str) -> None:
        """Let a tag name an image that was sent. Raises NotFound, and InvalidReference for what v1 would garble."""
        require_tag(name)
        sent = self._sent[self._known(target.digest).digest]
        sent.repository.tag(name, sent.images[-1][0])
        self._index.end_push(sent.repository, image_list(sent.images))
        self._names[name] = target

    def _known(self, name: str) -> Descriptor:
        if name not in self._names:
            raise NotFound(f"{name} was not sent to {self._name}")
        return self._names[name]

    def _images(self, expected: Descriptor, source: Source) -> list[V1Made]:
        document = parse_document(expected, read_document(expected, source))
        if not isinstance(document, Manifest) or document.config.media_type not in CONFIGS:
            raise Unsupported(f"{expected.digest} is no image that v1 could hold")
        return v1_from_oci(read_document(document.config, self._source(document.config)), document.layers)

    def _send(self, images: list[V1Made]) -> _Sent:
        repository = self._index.begin_push(self._name, image_list((one.id, None) for one in images))
        return _Sent(repository, [(one.id, self._send_image(repository, one)) for one in images])

    def _send_image(self, repository: V1Repository, image: V1Made) -> str | None:
        """Return the checksum, None when the image was there already."""
        layer = _Payload(image, self._source(image.layer) if image.layer else None)
        checksum = None
        if (
            repository.put(routes.image_json(image.id), body_of(image.raw), (JSON,), _TAKEN) != PRESENT
            and repository.put(routes.layer(image.id), Body(layer.size, layer.open), (LAYER,), _TAKEN) != PRESENT
        ):
            checksum = str(layer.sum)
            headers = checksum_headers(checksum)
            if repository.put(routes.checksum(image.id), body_of(b""), headers, _TAKEN | {MISMATCH}) == MISMATCH:
                raise ChecksumMismatch(
                    f"{layer} did not arrive at the registry as it was sent",
                    hint="Push again: what is complete there is not sent again.",
                )
        if image.layer is not None:
            self._observe(BlobFinished(image.layer.digest, layer.size, True if checksum else None))
        return checksum

    def _source(self, wanted: Descriptor) -> Source:
        if wanted.digest not in self._blobs:
            raise NotFound(f"{wanted.digest} was not given before the manifest that names it")
        return self._blobs[wanted.digest]


class _Payload:
    """An image's layer as the body of a request, opened anew for each; `sum` is the checksum of what went last."""

    def __init__(self, image: V1Made, source: Source | None) -> None:
        self.size = image.layer.size if image.layer else len(EMPTY_LAYER)
        self.sum = PayloadSum(image.raw)
        self._image = image
        self._source = source

    def __str__(self) -> str:
        return f"layer {self._image.layer.digest if self._image.layer else 'without files'} of image {self._image.id}"

    def open(self, offset: int) -> Reader:
        """Begin anew."""
        self.sum = PayloadSum(self._image.raw)
        with self.faults():
            return _PayloadReader(self, self._layer(offset))

    @contextmanager
    def faults(self) -> Iterator[None]:
        """Turn what is wrong with the source into a CopyFault."""
        try:
            yield
        except Cancelled:
            raise
        except DocklessError as fault:
            raise CopyFault(fault, "source", self._image.layer) from fault

    def _layer(self, offset: int) -> Reader:
        if self._image.layer is None or self._source is None:
            return BytesReader(EMPTY_LAYER, offset)
        return CheckedReader(promise_of(self._image.layer), self._source)


class _PayloadReader:
    """A layer on its way into the registry."""

    def __init__(self, payload: _Payload, reader: Reader) -> None:
        self._payload = payload
        self._reader = reader

    def read_chunk(self) -> memoryview:
        with self._payload.faults():
            chunk = self._reader.read_chunk()
        self._payload.sum.update(chunk)
        return chunk

    def close(self) -> None:
        self._reader.close()
