"""Everything below a name, checked: that it is there, and is what the documents above it say.

Rules:
* What is wrong is collected, with the way to it; only what keeps us from looking (no network, no access) is raised.
* Every document is read and compared with its digest. A blob is read once, however many name it: size, digest,
  compression and the digest of the tar in it are taken on the way. `deep=False` only asks whether it is there.
* An image's config has to fit: as many diff ids, and as many steps that made a layer, as there are layers, and the
  platform that the index says.
* A foreign layer (one with `urls`) may be missing.
"""

from collections.abc import Iterable, Iterator
from contextlib import closing, contextmanager
from functools import partial

import msgspec

from dockless.model.descriptor import Descriptor
from dockless.model.digest import Digest
from dockless.model.documents import Document, Index, Manifest
from dockless.model.errors import DocklessError, Unsupported
from dockless.model.events import BlobAdvanced, BlobFinished, BlobStarted, Observer, ignore
from dockless.model.image_config import ImageConfig
from dockless.model.media_types import CONFIGS, DOCUMENTS, SCHEMA1
from dockless.model.platform import Platform
from dockless.model.printable import printable
from dockless.net.waiting import check, each, off_main
from dockless.ops.contents import Contents, check_bounds, config_of
from dockless.ops.image import find, is_of_content
from dockless.ops.platforms import images, pick
from dockless.stores.base import Readable
from dockless.wire.stream import CheckedReader, promise_of
from dockless.wire.unpack import UnpackedSum


class Finding(msgspec.Struct, frozen=True):
    """Something wrong with `descriptor`, which is at `path` below the root, such as `manifests[0].layers[2]`."""

    descriptor: Descriptor
    path: str
    message: str


class Report(msgspec.Struct, frozen=True, kw_only=True):
    """What was checked below `root`: so many `manifests` and `blobs`, of so many `bytes` as stored."""

    name: str
    root: Descriptor
    manifests: int
    blobs: int
    bytes: int
    findings: tuple[Finding, ...]

    @property
    def ok(self) -> bool:
        """Whether nothing is wrong."""
        return not self.findings


def validate(
    source: Readable,
    name: str,
    *,
    platform: Platform | None = None,
    deep: bool = True,
    jobs: int = 4,
    observe: Observer = ignore,
) -> Report:
    """Check what a tag or digest names, or the image of it for a platform, and everything below it.

    Raises NotFound for a name or a platform that is not there, and faults that are not of the content.
    """

    def run() -> Report:
        contents, root = find(source, name)
        if platform is not None:
            root = pick(images(contents, root), platform)
        return _Check(contents, deep, jobs, observe).run(name, root)

    return off_main(run)


class _Place(msgspec.Struct, frozen=True):
    """Where a descriptor stands, and for an image's layer the digest of the tar that the config promises there."""

    descriptor: Descriptor
    path: str
    diff_id: str | None = None

    def wrong(self, message: str) -> Finding:
        return Finding(self.descriptor, self.path, message)

    def below(self, name: str, descriptor: Descriptor, diff_id: str | None = None) -> "_Place":
        return _Place(descriptor, f"{self.path}.{name}" if self.path else name, diff_id)

    @contextmanager
    def collecting(self, findings: list[Finding]) -> Iterator[None]:
        try:
            yield
        except DocklessError as error:
            if not is_of_content(error):
                raise
            findings.append(self.wrong(str(error)))


class _Read(msgspec.Struct):
    """What is below a document that was read, and what is wrong with it and with its image's config."""

    below: list[_Place] = []
    findings: list[Finding] = []


class _Check:
    """One check under way: `run` decides, on one thread; `_read` and `_blob` ask, on several."""

    def __init__(self, contents: Contents, deep: bool, jobs: int, observe: Observer) -> None:
        self._contents = contents
        self._deep = deep
        self._jobs = jobs
        self._observe = observe
        self._documents: set[Descriptor] = set()
        self._configs: set[Descriptor] = set()
        self._blobs: dict[tuple[Digest, int], list[_Place]] = {}

    def run(self, name: str, root: Descriptor) -> Report:
        findings: list[Finding] = []
        waiting, depth = self._new_documents([_Place(root, "")]), 0
        while waiting:
            below, depth = list[_Place](), depth + 1
            for start in range(0, len(waiting), self._jobs):
                now = waiting[start : start + self._jobs]
                for one in each([partial(self._read, place) for place in now], self._jobs):
                    findings += one.findings
                    below += self._new_documents(one.below)
                check_bounds(len(self._documents) + len(self._configs) + len(self._blobs), depth)
            waiting = below
        for found in each([partial(self._blob, places) for places in self._blobs.values()], self._jobs):
            findings += found
        small = self._documents | self._configs
        return Report(
            name=name,
            root=root,
            manifests=len(self._documents),
            blobs=len(self._configs) + len(self._blobs),
            bytes=sum(one.size for one in small) + sum(size for _, size in self._blobs),
            findings=tuple(findings),
        )

    def _new_documents(self, places: Iterable[_Place]) -> list[_Place]:
        """Take note of everything, and return the documents that were not met before."""
        new = []
        for place in places:
            one = place.descriptor
            if one.media_type in DOCUMENTS or not place.path:
                if one not in self._documents:
                    new.append(place)
                self._documents.add(one)
            elif one.media_type in CONFIGS:
                self._configs.add(one)
            else:
                self._blobs.setdefault((one.digest, one.size), []).append(place)
        return new

    def _read(self, place: _Place) -> _Read:
        read = _Read()
        document: Document | None = None
        config: ImageConfig | None = None
        with place.collecting(read.findings):
            if place.descriptor.media_type in SCHEMA1:
                raise Unsupported("it is a manifest of Docker's schema 1, which is not checked here")
            document = self._contents.document(place.descriptor)
        if isinstance(document, Manifest):
            of_config = place.below("config", document.config)
            with of_config.collecting(read.findings):
                config = config_of(self._contents, document)
            if config is not None:
                read.findings += map(of_config.wrong, _misfits(document, config, place.descriptor.platform))
        for one in _below(place, document, config):
            self._contents.plain(one.descriptor)  # what it embeds is remembered
            bare = msgspec.structs.replace(one.descriptor, annotations=None, data=None)
            read.below.append(msgspec.structs.replace(one, descriptor=bare))
        return read

    def _blob(self, places: list[_Place]) -> list[Finding]:
        """Check one blob, which several may name."""
        findings: list[Finding] = []
        first, wanted = places[0], places[0].descriptor
        with first.collecting(findings):
            if (wanted.urls or not self._deep) and not self._contents.source.exists(wanted):
                return [] if wanted.urls else [first.wrong("it is not there")]
            if self._deep:
                total = self._read_through(wanted, unpack=any(one.diff_id for one in places))
                for place in places:
                    findings += map(place.wrong, _misreads(place, total))
        return findings

    def _read_through(self, wanted: Descriptor, *, unpack: bool) -> UnpackedSum:
        """Return what a blob unpacks to, if that is asked for, once size and digest agree."""
        total = UnpackedSum()
        self._observe(BlobStarted(wanted.digest, wanted.size, 0))
        reader = CheckedReader(promise_of(wanted), partial(self._contents.open, wanted))
        with closing(reader):
            while chunk := reader.read_chunk():
                check()
                if unpack:
                    total.update(chunk)
                self._observe(BlobAdvanced(wanted.digest, reader.done))
        self._observe(BlobFinished(wanted.digest, wanted.size, verified=True))
        return total


def _below(place: _Place, document: Document | None, config: ImageConfig | None) -> Iterator[_Place]:
    if isinstance(document, Index):
        for number, one in enumerate(document.manifests):
            yield place.below(f"manifests[{number}]", one)
    elif isinstance(document, Manifest):
        yield place.below("config", document.config)
        diff_ids = iter((config and config.rootfs.diff_ids) or ())
        for number, one in enumerate(document.layers):
            diff_id = next(diff_ids, None)
            yield place.below(f"layers[{number}]", one, None if _packing(one) is None else diff_id)


def _packing(layer: Descriptor) -> str | None:
    """Return how a layer should be packed by its media type, None for what cannot be unpacked (encrypted, say)."""
    _, tar, packing = layer.media_type.rpartition(".tar")
    return packing[1:] if tar and packing[1:] in {"", "gzip", "zstd", "bzip2", "xz"} else None


def _misfits(manifest: Manifest, config: ImageConfig, platform: Platform | None) -> Iterator[str]:
    layers = len(manifest.layers)
    diff_ids = len(config.rootfs.diff_ids or ())
    if diff_ids != layers:
        yield f"it has {diff_ids} diff ids for {layers} layers"
    made = sum(not one.empty_layer for one in config.history or ())
    if config.history and made != layers:
        yield f"its history has {made} steps that made a layer, for {layers} layers"
    if platform is None or platform.os == "unknown":  # an attestation
        return
    wanted = platform if config.variant else msgspec.structs.replace(platform, variant=None)
    if not config.platform.satisfies(wanted):
        yield f"it is for {printable(str(config.platform), 100)}, and the index says {printable(str(platform), 100)}"


def _misreads(place: _Place, total: UnpackedSum) -> Iterator[str]:
    if place.diff_id is None:
        return
    if str(total) != place.diff_id:
        yield f"it unpacks to {total}, and the config says {printable(place.diff_id, 160)}"
    packing = _packing(place.descriptor)
    if total.compression != packing:
        yield f"it is packed with {total.compression or 'nothing'}, and its media type says {packing or 'nothing'}"
