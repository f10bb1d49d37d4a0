"""What `docker save` writes and `docker load` reads.

Rules of reading:
* The images are those of `manifest.json`. Where an `index.json` lies beside it (Docker 25 and later, and what is
  written here), the manifests are those listed there, and digests survive; what only it names is found, too. An index
  that lists platforms that were not saved gives way to the one manifest that was.
* Otherwise a manifest is made, the same one each time: digests are those of config and layers as they are stored, each
  layer read once for it, and not before its image is wanted. It is one of OCI, since other tools ignore those of Docker
  in a layout.
* A name is a reference by Docker Hub's rules, or `@N`: the image of that number in `manifest.json`, from 0.

Rules of writing:
* The archive is both: an image layout, in which nothing is lost, and a `manifest.json` of the images in it. A tag is a
  reference with a tag.
* Of an image of several platforms `manifest.json` names one: linux/amd64, else the first. That is what Docker, podman
  and skopeo see in this file if they do not read `index.json`. What is no image stands in `index.json` alone.
"""

import re
import tempfile
import threading
from collections.abc import Iterator
from functools import partial
from pathlib import Path

from dockless.model.descriptor import Descriptor, describe
from dockless.model.digest import Digest, digest_of, is_digest
from dockless.model.docker_archive import (
    IMAGES_FILE_NAME,
    OLD_FILE_NAME,
    SavedImage,
    full_name,
    is_image,
    make_saved_images,
    parse_saved_images,
    read_names,
    write_names,
)
from dockless.model.documents import LONGEST_DOCUMENT, Index, Manifest, make_document
from dockless.model.errors import ChecksumMismatch, InvalidDocument, InvalidReference, NotFound, Unsupported
from dockless.model.events import Notice
from dockless.model.image_config import parse_image_config
from dockless.model.layout_index import EMPTY, INDEX_FILE_NAME, REF_NAME, LayoutIndex, blob_path
from dockless.model.media_types import OCI_CONFIG, OCI_LAYER, OCI_LAYER_GZIP, OCI_LAYER_ZSTD, OCI_MANIFEST
from dockless.model.platform import LINUX_AMD64, Platform
from dockless.model.printable import printable
from dockless.model.reference import parse_reference
from dockless.net.waiting import check, each
from dockless.stores.archived_layout import OpenArchive
from dockless.stores.files import local_faults
from dockless.stores.layout import choice
from dockless.stores.oci_archive import OciArchiveWriter
from dockless.stores.shared_file import SharedFile
from dockless.stores.tar import BLOCK, Entry, compression
from dockless.wire.stream import DigestSum, pump

_JOBS = 4
_NUMBER = re.compile(r"[0-9]{1,6}")
_LAYERS = {"": OCI_LAYER, "gzip": OCI_LAYER_GZIP, "zstd": OCI_LAYER_ZSTD}


class DockerArchive(OpenArchive):
    """An archive open for reading: Readable, NamedFetcher, TagLister and BlobFinder. Safe to share between threads."""

    def __init__(self, path: Path) -> None:
        """Open the archive. Raises NotFound, LocalFault, InvalidDocument, Unsupported."""
        self._lock = threading.RLock()
        self._images: dict[int, Descriptor] = {}  # those that were wanted so far, as are the rest
        self._layers: dict[Entry, Descriptor] = {}
        self._places: dict[Digest, tuple[SharedFile, Entry]] = {}
        self._made: SharedFile | None = None
        self._configs: dict[Digest, tuple[Descriptor, Descriptor]] | None = None
        super().__init__(path)
        self._numbers = {full_name(tag): n for n, image in enumerate(self._saved) for tag in image.repo_tags or ()}

    def close(self) -> None:
        """Close the file."""
        super().close()
        if self._made is not None:
            self._made.close()

    def full_index(self) -> LayoutIndex:
        """Return what is listed, and what is made of the images that are not: each layer is read for it."""
        index = self._index
        for number in range(len(self._saved)):
            index = index.with_entry(self._image(number))
        for name, number in self._numbers.items():
            index = index.with_tag(self._named(name, number), name)
        return index

    def resolve(self, name: str) -> Descriptor:
        """Return what a reference, a number or a digest names; an empty name is for the only image there is.

        Raises NotFound, and InvalidReference for a name that is ambiguous.
        """
        if is_digest(name) or not (name or self._saved):
            return super().resolve(name)
        if not name and len(self._saved) > 1:
            raise InvalidReference(f"there are several images in {self.path}: say which", hint=choice([*self.tags()]))
        full = full_name(name)
        number = self._number(name, full)
        found = self._index.find(full) if number is None else self._named(full, number)
        if found is None:
            raise NotFound(f"{printable(name, 300)} is not in {self.path}", hint=choice([*self.tags()]))
        return found

    def tags(self) -> Iterator[str]:
        """Yield the names: those of `manifest.json` as they stand there, then those that only `index.json` has."""
        yield from dict.fromkeys(tag for image in self._saved for tag in image.repo_tags or ())
        yield from (tag for tag in self._index.tags() if tag not in self._numbers)

    def locate(self, digest: Digest) -> tuple[SharedFile, Entry] | None:
        """Return where a blob lies, None when it is not here."""
        found = self._places.get(digest) or super().locate(digest)
        if found is None and not self._index.entries:  # then digests are known of images that were read through
            for number in range(len(self._saved)):
                self._image(number)
            found = self._places.get(digest)
        return found

    def digests(self) -> Iterator[Digest]:
        """Yield the blobs there are."""
        yield from dict.fromkeys((*self._places, *super().digests()))

    def _read_index(self) -> LayoutIndex:
        raw = self.tar.read(IMAGES_FILE_NAME, LONGEST_DOCUMENT)
        index = self.tar.read(INDEX_FILE_NAME, LONGEST_DOCUMENT)
        if raw is None:
            raise self._not_saved(has_index=index is not None)
        self._saved = parse_saved_images(raw, f"{IMAGES_FILE_NAME} in {self.path}")
        return EMPTY if index is None else read_names(index, f"{INDEX_FILE_NAME} in {self.path}")

    def _not_saved(self, *, has_index: bool) -> InvalidDocument | Unsupported:
        if self.tar.find(OLD_FILE_NAME) is not None:
            return Unsupported(
                f"{self.path} is of Docker before 1.10, which wrote no {IMAGES_FILE_NAME}",
                hint="`docker load` and `docker save` with any Docker since then write it anew.",
            )
        hint = "It is an image layout: oci-archive: reads it." if has_index else "Did `docker save` write it?"
        return InvalidDocument(f"{self.path} holds no {IMAGES_FILE_NAME}", hint=hint)

    def _number(self, name: str, full: str) -> int | None:
        """Return the number of the image that a name means, None when it means none."""
        if not name:
            return 0
        if not name.startswith("@"):
            return self._numbers.get(full)
        number = int(name[1:]) if _NUMBER.fullmatch(name[1:]) else len(self._saved)
        return number if number < len(self._saved) else None

    def _named(self, full: str, number: int) -> Descriptor:
        """Return what `index.json` lists under a name, if it is all here, else the image of that number."""
        found = self._index.find(full)
        return found if found is not None and self._is_whole(found) else self._image(number)

    def _image(self, number: int) -> Descriptor:
        with self._lock:
            if number not in self._images:
                self._images[number] = self._found_or_made(self._saved[number])
            return self._images[number]

    def _found_or_made(self, image: SavedImage) -> Descriptor:
        config = self.tar.read(image.config, LONGEST_DOCUMENT)
        if config is None:
            raise self._missing(image.config)
        listed = self._by_config().get(digest_of(config))
        if listed is None:
            return self._make(image, config)
        root, manifest = listed
        return root if self._is_whole(root) else manifest

    def _by_config(self) -> dict[Digest, tuple[Descriptor, Descriptor]]:
        """Return what is listed, and the manifest below it, by the digest of the manifest's config."""
        if self._configs is None:
            self._configs = {}
            for root in self._index.entries:
                for one in self.documents([root]):
                    if isinstance(one, Manifest):
                        self._configs.setdefault(one.config.digest, (root, one.descriptor))
        return self._configs

    def _is_whole(self, root: Descriptor) -> bool:
        """Say whether all manifests that an index lists are here."""
        indexes = (one for one in self.documents([root]) if isinstance(one, Index))
        return all(self.exists(child) for index in indexes for child in index.manifests)

    def _make(self, image: SavedImage, config: bytes) -> Descriptor:
        """Make a manifest. Raises InvalidDocument, Unsupported."""
        entries = [self._entry(path) for path in image.layers or ()]
        unread = [entry for entry in dict.fromkeys(entries) if entry not in self._layers]
        read = each([partial(self._layer, entry) for entry in unread], _JOBS)
        self._layers.update(zip(unread, read, strict=True))
        layers = [self._layers[entry] for entry in entries]
        _check_diff_ids(config, layers, f"{printable(image.config, 160)} in {self.path}")
        body = {
            "schemaVersion": 2,
            "mediaType": OCI_MANIFEST,
            "config": describe(config, OCI_CONFIG),
            "layers": layers,
        }
        descriptor, raw = make_document(body)
        places = {layer.digest: (self.tar.file, entry) for layer, entry in zip(layers, entries, strict=True)}
        places[digest_of(config)] = self.tar.file, self._entry(image.config)
        places[descriptor.digest] = self._keep(raw)
        self._places.update(places)
        return descriptor

    def _layer(self, entry: Entry) -> Descriptor:
        """Read a layer through and describe it."""
        total = DigestSum()
        pump(self.tar.open(entry), total.update, lambda _: check())
        packed = compression(self.tar.file.read(min(BLOCK, entry.size), entry.offset))
        if packed not in _LAYERS:
            raise Unsupported(f"a layer in {self.path} is packed with {packed}, for which there is no media type")
        return Descriptor(_LAYERS[packed], Digest(str(total)), entry.size)

    def _keep(self, raw: bytes) -> tuple[SharedFile, Entry]:
        """Keep a document that the archive does not hold."""
        if self._made is None:
            with local_faults(Path(tempfile.gettempdir())):
                self._made = SharedFile(self.path, tempfile.TemporaryFile())  # noqa: SIM115 - closed with the archive
        entry = Entry(self._made.size, len(raw))
        self._made.write(raw, entry.offset)
        return self._made, entry

    def _entry(self, path: str) -> Entry:
        entry = self.tar.find(path)
        if entry is None:
            raise self._missing(path)
        return entry

    def _missing(self, path: str) -> InvalidDocument:
        return self.tar.broken(f"{IMAGES_FILE_NAME} names {printable(path, 160)}, which is not in it")


def _check_diff_ids(config: bytes, layers: list[Descriptor], what: str) -> None:
    """Compare the layers with the config's list of them, where that costs nothing: a layer that is not packed."""
    diff_ids = parse_image_config(config, what).rootfs.diff_ids or ()
    if len(diff_ids) != len(layers):
        raise InvalidDocument(f"{what} lists {len(diff_ids)} layers, and the image has {len(layers)}")
    for layer, diff_id in zip(layers, diff_ids, strict=True):
        if layer.media_type == OCI_LAYER and layer.digest != diff_id:
            raise ChecksumMismatch(
                f"a layer is not what {what} promises: it is {layer.digest}, {printable(diff_id, 160)} was promised",
                hint="The archive is damaged, or was changed.",
            )


def _tag(entry: Descriptor) -> str:
    return (entry.annotations or {}).get(REF_NAME, "")


class DockerArchiveWriter(OciArchiveWriter):
    """An archive on its way: a Store that can be read, too. Safe to share between threads.

    Its block publishes it at the end, and leaves what was there after an error.
    """

    def resolve(self, name: str) -> Descriptor:
        """Return what a reference or a digest names; an empty name is for the only image there is. Raises NotFound."""
        return super().resolve(name if not name or is_digest(name) else full_name(name))

    def tag(self, target: Descriptor, name: str) -> None:
        """Let a reference name a manifest that is here; its own digest lists it without a name.

        Raises NotFound, InvalidReference.
        """
        if is_digest(name):
            super().tag(target, name)
            return
        reference = parse_reference(name)
        if reference.digest is not None:
            raise InvalidReference(f"{printable(name, 300)} holds a digest, and is no name for an image in an archive")
        super().tag(target, str(reference))

    def _opened(self) -> OpenArchive:
        return DockerArchive(self.path)

    def _files(self) -> dict[str, bytes]:
        images = make_saved_images(self._saved_images())
        return {**super()._files(), INDEX_FILE_NAME: write_names(self.index), IMAGES_FILE_NAME: images}

    def _saved_images(self) -> list[SavedImage]:
        manifests: dict[Digest, Manifest] = {}
        tags: dict[Digest, list[str]] = {}
        for entry in self.index.entries:
            manifest = self._runnable(entry)
            if manifest is not None:
                manifests[manifest.descriptor.digest] = manifest
                tags.setdefault(manifest.descriptor.digest, []).extend(filter(None, [_tag(entry)]))
        if any("zstd" in layer.media_type for one in manifests.values() for layer in one.layers):
            self.observe(Notice(f"layers in {self.path} are packed with zstd, which Docker before 23 cannot load"))
        return [
            SavedImage(
                config=blob_path(one.config.digest),
                repo_tags=tuple(tags[digest]) or None,
                layers=tuple(blob_path(layer.digest) for layer in one.layers),
            )
            for digest, one in manifests.items()
        ]

    def _runnable(self, root: Descriptor) -> Manifest | None:
        """Return the image that stands for a root in `manifest.json`, None when there is none that is all here."""
        images = [one for one in self.documents([root]) if isinstance(one, Manifest) and is_image(one)]
        there = [one for one in images if all(map(self.exists, one.successors))]
        if not there:
            return None
        usual = (one for one in there if (one.descriptor.platform or Platform()).satisfies(LINUX_AMD64))
        chosen = next(usual, there[0])
        if len(there) > 1:
            platforms = printable(", ".join(str(one.descriptor.platform) for one in there), 1000)
            named = printable(str(chosen.descriptor.platform), 100)
            self.observe(
                Notice(
                    f"{printable(_tag(root), 300) or root.digest}: of {platforms} {IMAGES_FILE_NAME} names {named}; "
                    f"only readers of {INDEX_FILE_NAME} see the others"
                )
            )
        return chosen
