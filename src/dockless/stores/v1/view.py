"""A repository of a v1 registry, seen as one of OCI images.

Rules:
* An image becomes one of OCI when it is asked for (`model.v1_synthesis`). Its layers are read then, once each, through
  all the sums they need, and go straight `into` a place that takes bytes of unknown digest; config and manifest stay
  in memory. From then on the view answers from both.
* Base first and several at once. What a journal knows and the place still has is not read again.
* A layer is compared with the payload's checksum, where the registry gives one, before its last bytes are handed on:
  nothing wrong is ever complete. It is read once more then, from the next endpoint, before that is an error.
* A layer that holds nothing is no layer of OCI, and goes nowhere.
* A name of 64 hexadecimal digits is an image id. One of 16 is a tag, if there is such a tag. What counts is the id that
  a tag names when it is asked for.
"""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from typing import Protocol

from dockless.model.descriptor import Descriptor
from dockless.model.digest import Digest, is_digest
from dockless.model.errors import Cancelled, CopyFault, DocklessError, InvalidDocument, NotFound, VerificationFailed
from dockless.model.events import BlobAdvanced, BlobFinished, BlobStarted, Notice, Observer, Retrying, ignore
from dockless.model.image_id import ImageId, is_image_id
from dockless.model.v1_synthesis import EMPTY_LAYER, Layer, is_layer, layer_media_type, oci_from_v1
from dockless.net.waiting import each
from dockless.stores.base import Ingestor, Readable, V1Image, V1Source
from dockless.stores.v1.journal import Journal
from dockless.stores.v1.registry import image_id_of
from dockless.wire.stream import BytesReader, CheckedReader, Reader, Source
from dockless.wire.unpack import UnpackedSum

_MOST_JSON = 16 << 20  # bytes, of an image and all its ancestors


class V1Reader(V1Source, Protocol):
    """A repository of a v1 registry; `V1Repository` is one."""

    @property
    def name(self) -> str: ...

    @property
    def endpoints(self) -> tuple[str, ...]:
        """The hosts that have its images."""
        ...

    def tags(self) -> dict[str, str]:
        """Return each tag with what it names, unchecked. Raises NotFound."""
        ...


class Taker(Readable, Ingestor, Protocol):
    """A place that layers go into, and are read from."""


class V1View:
    """One repository: a Readable, NamedFetcher, TagLister and Deliverer. Safe to share between threads."""

    def __init__(
        self,
        repository: V1Reader,
        into: Taker,
        journal: Journal | None = None,
        observe: Observer = ignore,
        *,
        jobs: int = 4,
    ) -> None:
        self._repository = repository
        self._into = into
        self._journal = journal
        self._observe = observe
        self._jobs = jobs
        self._registry = ",".join(sorted(repository.endpoints))
        self._layers: dict[ImageId, Layer | None] = {}
        self._made: dict[ImageId, Descriptor] = {}
        self._documents: dict[Digest, tuple[Descriptor, bytes]] = {}
        self.delivered: set[Digest] = set()
        self._lock = threading.Lock()

    def resolve(self, name: str) -> Descriptor:
        """Return the manifest of what a tag, an image id or the digest of a manifest names, made now or before.

        Raises NotFound, InvalidDocument, ChecksumMismatch, SizeMismatch, what the registry raises, and CopyFault when
        it is the place for the layers that fails.
        """
        with self._lock:
            if name in self._documents:
                return self._documents[Digest(name)][0]
            image_id = self._image_id(name)
            if image_id not in self._made:
                self._made[image_id] = self._make(image_id)
            return self._made[image_id]

    def fetch_named(self, name: str) -> tuple[Descriptor, bytes]:
        """Return what a name names, and its bytes. Raises as `resolve` does."""
        return self._documents[self.resolve(name).digest]

    def fetch(self, wanted: Descriptor, offset: int = 0) -> Reader:
        """Open a document that was made, or a layer. Raises NotFound."""
        if wanted.digest in self._documents:
            return BytesReader(self._documents[wanted.digest][1], offset)
        return self._into.fetch(wanted, offset)

    def exists(self, wanted: Descriptor) -> bool:
        """Say whether the content is known by now."""
        return wanted.digest in self._documents or self._into.exists(wanted)

    def predecessors(self, of: Descriptor) -> Iterator[Descriptor]:  # noqa: ARG002 - the protocol's
        """Yield nothing: nothing in v1 refers to an image."""
        return iter(())

    def tags(self) -> Iterator[str]:
        """Yield the tags that name an image, in order. Raises NotFound."""
        return iter(sorted(tag for tag, named in self._repository.tags().items() if is_image_id(named)))

    def _image_id(self, name: str) -> ImageId:
        if is_digest(name):
            raise NotFound(f"{name} is of no image that was asked for here", hint="In v1, name a tag or an image id.")
        if is_image_id(name) and len(name) == 64:
            return ImageId(name)
        tags = self._repository.tags()
        if name not in tags and is_image_id(name):
            return ImageId(name)
        return image_id_of(name, tags, self._repository.name)

    def _make(self, image_id: ImageId) -> Descriptor:
        ids = self._repository.ancestry(image_id)[::-1]
        images = self._images(ids)
        layers = each([partial(self._layer, one) for one in images], self._jobs)
        made = oci_from_v1([image.raw for image in images], layers)
        self._documents[made.config.digest] = made.config, made.config_raw
        self._documents[made.manifest.digest] = made.manifest, made.manifest_raw
        return made.manifest

    def _images(self, ids: list[ImageId]) -> list[V1Image]:
        left = _MOST_JSON

        def read(one: ImageId) -> V1Image:
            nonlocal left
            image = self._repository.image(one)
            left -= len(image.raw)
            if left < 0:
                raise InvalidDocument(f"the JSON of image {ids[-1]} and its ancestors has more than {_MOST_JSON} bytes")
            return image

        return each([partial(read, one) for one in ids], self._jobs)

    def _layer(self, image: V1Image) -> Layer | None:
        if image.id not in self._layers:
            self._layers[image.id] = self._remembered(image) or self._read(image)
        return self._layers[image.id]

    def _remembered(self, image: V1Image) -> Layer | None:
        known = self._journal.find(self._registry, image) if self._journal else None
        with _destination_faults():
            if known is None or not self._into.exists(known.descriptor):
                return None
        self._observe(BlobFinished(image.id, known.descriptor.size, None))
        return known

    def _read(self, image: V1Image) -> Layer | None:
        try:
            return self._take(image)
        except (VerificationFailed, InvalidDocument) as fault:
            self._observe(Retrying(str(fault), 0.0))
            return self._take(image)

    def _take(self, image: V1Image) -> Layer | None:
        """Read a layer once, and let it go where it belongs."""
        arriving = _Arriving(image, lambda offset: self._repository.layer(image, offset), self._observe)
        try:
            arriving.begin()
            is_one = not arriving.diff_id or is_layer(image.raw, arriving.diff_id)
            layer = self._ingest(arriving) if is_one else None
        finally:
            arriving.close()
        if layer is not None and self._journal is not None:
            self._journal.record(self._registry, image, layer)
        self._observe(BlobFinished(image.id, arriving.done, verified=image.checksum is not None))
        return layer

    def _ingest(self, arriving: "_Arriving") -> Layer:
        if arriving.compression in {"bzip2", "xz"}:
            words = "which OCI has no media type for: some tools will not unpack it"
            self._observe(Notice(f"{arriving} is packed with {arriving.compression}, {words}"))
        media_type = layer_media_type(arriving.compression)
        with _destination_faults(arriving):
            taken = self._into.ingest(media_type, arriving)
        self.delivered.add(taken.digest)
        return Layer(Descriptor(media_type, taken.digest, taken.size), arriving.diff_id)


class _Arriving:
    """A layer on its way, which is summed up as it is unpacked, too; a Reader after `begin`.

    `diff_id` is empty until the end has been read; `fault` is what was raised here.
    """

    def __init__(self, image: V1Image, source: Source, observe: Observer) -> None:
        self.diff_id = Digest("")
        self.fault: DocklessError | None = None
        self._image = image
        self._observe = observe
        self._head: Reader = BytesReader(b"")
        self._unpacked = UnpackedSum()
        self._damage: InvalidDocument | None = None
        self._reader = CheckedReader(image.promise(), source)
        observe(BlobStarted(image.id, image.size, 0))

    def __str__(self) -> str:
        return f"layer {self._image.id}"

    @property
    def compression(self) -> str:
        """How it is packed; known once it has begun."""
        return self._unpacked.compression

    @property
    def done(self) -> int:
        """How many bytes came."""
        return self._reader.done

    def begin(self) -> None:
        """Read ahead until it is known how it is packed, and whether it is more than an empty layer."""
        head = bytearray()
        while len(head) <= len(EMPTY_LAYER) and (chunk := self._next()):
            head += chunk
        self._head = BytesReader(bytes(head))

    def read_chunk(self) -> memoryview:
        return self._head.read_chunk() or self._next()

    def close(self) -> None:
        self._reader.close()

    def _next(self) -> memoryview:
        try:
            chunk = self._reader.read_chunk()
            self._sum(chunk)
        except DocklessError as fault:
            self.fault = fault
            raise
        if chunk:
            self._observe(BlobAdvanced(self._image.id, self.done))
        return chunk

    def _sum(self, chunk: memoryview) -> None:
        """What cannot be unpacked is an error at the end only, when the bytes turned out to be those promised."""
        if self._damage is None:
            try:
                if chunk:
                    self._unpacked.update(chunk)
                else:
                    self.diff_id = Digest(str(self._unpacked))
            except InvalidDocument as damage:
                self._damage = damage
        if self._damage is not None and not chunk:
            raise InvalidDocument(f"{self}: {self._damage}", hint=self._damage.hint) from self._damage


@contextmanager
def _destination_faults(arriving: _Arriving | None = None) -> Iterator[None]:
    """Turn what is wrong there, and not with what arrives, into a CopyFault."""
    try:
        yield
    except Cancelled:
        raise
    except DocklessError as fault:
        if arriving is not None and fault is arriving.fault:
            raise
        raise CopyFault(fault, "destination", None) from fault
