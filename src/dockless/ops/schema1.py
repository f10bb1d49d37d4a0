"""An image of Docker's schema 1 made one of OCI, on its way to another place.

Rules:
* The manifest knows no sizes and no diff ids: the source is asked for the sizes, and each layer is read once, through
  the sum of what it unpacks to and straight into the destination; one that is there already is read there. Config and
  manifest are kept for the copy of the graph, which follows.
* Layers that Docker marked as holding nothing (`throwaway`) are dropped, and stay in the history. Nothing else is.
* The same manifest gives the same image on any day. That the digest changes is told.
"""

from contextlib import closing
from functools import partial

from dockless.model.descriptor import Descriptor
from dockless.model.digest import Digest
from dockless.model.events import BlobFinished, Notice, Observer, ignore
from dockless.model.schema1 import parse_schema1
from dockless.model.v1_synthesis import Layer, layer_media_type, oci_from_v1
from dockless.net.waiting import each
from dockless.ops.contents import Contents
from dockless.ops.sides import at, send
from dockless.stores.base import BlobFinder, Readable, Store
from dockless.wire.stream import CheckedReader, DigestSum, Reader, Source, promise_of, pump
from dockless.wire.unpack import UnpackedSum


def convert(
    contents: Contents, descriptor: Descriptor, destination: Store, *, jobs: int = 4, observe: Observer = ignore
) -> Descriptor:
    """Copy the layers of a manifest of schema 1, and return the manifest of the OCI image that they make.

    `contents` keeps that and its config, and knows which layers were copied now. Raises CopyFault.
    """
    with at("source", descriptor):
        manifest = parse_schema1(descriptor, contents.document(descriptor).raw)
    digests = tuple(dict.fromkeys(layer.digest for layer in manifest.layers if not layer.throwaway))
    moved = each([partial(_move, contents, digest, destination, observe) for digest in digests], jobs)
    layers = dict(zip(digests, moved, strict=True))
    with at("source", descriptor):
        image = oci_from_v1(
            [layer.v1 for layer in manifest.layers],
            [None if layer.throwaway else layers[layer.digest] for layer in manifest.layers],
        )
    contents.keep(image.config, image.config_raw)
    contents.keep(image.manifest, image.manifest_raw)
    old, new = descriptor.digest, image.manifest.digest
    observe(Notice(f"the digest changes: {old} is a manifest of Docker's schema 1, and becomes {new}"))
    return image.manifest


def _move(contents: Contents, digest: Digest, destination: Store, observe: Observer) -> Layer:
    """Copy one layer, and return what it is."""
    source = contents.source
    with at("source"):
        found = source.find_blob(digest) if isinstance(source, BlobFinder) else source.resolve(digest)
    tee = _Tee(found, partial(source.fetch, found))
    is_copied = send(destination, found, tee, observe)
    total = tee.total if str(tee.digest) == found.digest else _read_again(destination, found)
    with at("source", found):
        diff_id = Digest(str(total))
    if is_copied:
        contents.delivered.add(digest)
        observe(BlobFinished(digest, found.size, verified=True))
    return Layer(Descriptor(layer_media_type(total.compression), digest, found.size), diff_id)


def _read_again(destination: Readable, found: Descriptor) -> UnpackedSum:
    """Return what a layer unpacks to that did not come through the tee in one piece: some of it was there already."""
    total = UnpackedSum()
    with at("destination", found):
        reader = CheckedReader(promise_of(found), partial(destination.fetch, found))
        with closing(reader):
            pump(reader, total.update)
    return total


class _Tee:
    """A Source whose bytes go through two sums, too: each once and in order, wherever and however often it is opened.

    Only the destination knows which of the bytes it kept: `total` is that of the layer if `digest` is.
    """

    def __init__(self, wanted: Descriptor, source: Source) -> None:
        self.digest = DigestSum.like(wanted.digest)
        self.total = UnpackedSum()
        self._seen = 0
        self._source = source

    def __call__(self, offset: int) -> Reader:
        return _TeeReader(self, self._source(offset), offset)

    def take(self, chunk: memoryview, offset: int) -> None:
        if offset <= self._seen:
            fresh = chunk[self._seen - offset :]
            self.digest.update(fresh)
            self.total.update(fresh)
            self._seen += len(fresh)


class _TeeReader:
    """A body on its way through a tee."""

    def __init__(self, tee: _Tee, reader: Reader, offset: int) -> None:
        self._tee = tee
        self._reader = reader
        self._offset = offset

    def read_chunk(self) -> memoryview:
        chunk = self._reader.read_chunk()
        self._tee.take(chunk, self._offset)
        self._offset += len(chunk)
        return chunk

    def close(self) -> None:
        self._reader.close()
