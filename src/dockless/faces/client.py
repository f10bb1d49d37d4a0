"""The library's face for every place: v2/OCI registries, v1 registries, OCI layouts and archives.

A location is text in the syntax of `model.location`, or a parsed one. What a verb needs is imported when it is called.
"""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from os import PathLike
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Self, TypedDict, Unpack

from dockless.faces import environment
from dockless.faces.named import (
    Platforms,
    Where,
    location_of,
    parse_registry,
    platform_of,
    platforms_of,
    pull_destination,
    required_digest,
    source_name,
    tag_of,
)
from dockless.model.digest import Digest, is_digest
from dockless.model.errors import InvalidReference, NotFound, Unsupported, VerificationFailed
from dockless.model.events import Observer, ignore
from dockless.model.location import ArchiveLocation, Location, V1Location
from dockless.model.platform import Platform
from dockless.net.settings import Settings
from dockless.net.waiting import off_main
from dockless.stores.base import BlobFinder, Deleter, MultiTagger, Readable, Store, TagLister
from dockless.stores.open import Places
from dockless.wire.auth import Credential

if TYPE_CHECKING:
    from dockless.faces.blob_reader import BlobReader
    from dockless.faces.protocols import Protocols
    from dockless.model.descriptor import Descriptor
    from dockless.model.documents import Document
    from dockless.model.image_id import ImageId
    from dockless.ops.copy import Copied
    from dockless.ops.image import Image, ImageSummary
    from dockless.ops.tag_table import TagRow
    from dockless.ops.validate import Report


class CopyArguments(TypedDict, total=False):
    """What a copy can be told; see `Client.copy`."""

    platforms: Platforms
    referrers: bool
    clobber: bool
    dry_run: bool
    jobs: int
    to: "Client | None"


class Client:
    """Everything dockless does, on places of every kind. A context manager; safe to share between threads.

    `credentials` are keyed by registry, `host[:port]` as locations name it, and go to that registry alone. Without
    `settings` the proxies of the environment count. `cache` is the directory for what an interrupted migration left;
    `observe` is told what happens, from any thread. Methods raise NotFound, NetworkFault and the rest of
    `dockless.model.errors`.
    """

    def __init__(
        self,
        settings: Settings | None = None,
        *,
        credentials: Mapping[str, Credential] | None = None,
        observe: Observer = ignore,
        cache: str | PathLike[str] | None = None,
    ) -> None:
        self._places = Places(
            environment.settings() if settings is None else settings,
            credentials or {},
            environment.cache_directory() if cache is None else Path(cache),
            observe,
        )
        self._observe = observe

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Drop the connections."""
        self._places.close()

    def copy(
        self,
        source: Where,
        destination: Where,
        *,
        platforms: Platforms = None,
        referrers: bool = False,
        clobber: bool = True,
        dry_run: bool = False,
        jobs: int = 4,
        to: "Client | None" = None,
    ) -> "Copied":
        """Copy an image, or anything a manifest describes, with all its content; see `ops.copy.copy`.

        `platforms` are one, several or (None) all; `referrers` takes signatures and the like along; `clobber=False`
        raises Conflict rather than move a tag; `dry_run` writes nothing; `jobs` blobs travel at once. `to` is the
        client whose settings and credentials the destination is reached with, this one unless it is given. A
        destination with a tag and a digest gets the tag, and Conflict is raised for another digest. Raises CopyFault,
        whose `side` says where it failed.
        """
        from dockless.faces.copying import copy_between
        from dockless.ops.copy import CopyOptions

        start, end = location_of(source), location_of(destination)
        options = CopyOptions(
            jobs=jobs,
            platforms=platforms_of(platforms),
            referrers=referrers,
            clobber=clobber,
            digest=required_digest(end) or "",
            dry_run=dry_run,
        )
        there = (self if to is None else to)._places  # noqa: SLF001
        return copy_between(start, self._places, end, there, options=options, observe=self._observe)

    def pull(self, reference: Where, destination: Where | None = None, **options: Unpack[CopyArguments]) -> "Copied":
        """Copy into an OCI layout beside us, named like the repository, or to `destination`. Options as for `copy`."""
        start = location_of(reference)
        return self.copy(start, pull_destination(start, destination), **options)

    def push(self, source: Where, reference: Where, **options: Unpack[CopyArguments]) -> "Copied":
        """Copy a layout or an archive to a registry. Options as for `copy`."""
        start, end = location_of(source), location_of(reference)
        if isinstance(end, ArchiveLocation):
            raise InvalidReference(f"{reference} is no registry", hint="`copy` writes layouts and archives.")
        if not isinstance(start, ArchiveLocation):
            raise InvalidReference(
                f"{source} is not on this machine", hint="Write oci:DIRECTORY; `copy` copies between registries."
            )
        return self.copy(start, end, **options)

    def tags(self, place: Where) -> Iterator[str]:
        """Yield the tags of a repository, a layout or an archive."""
        location = location_of(place)
        if isinstance(location, V1Location):
            yield from self._places.v1_repository(location).tags()
            return
        with self._places.source(location) as store:
            yield from _lister(store, location).tags()

    def tag_table(self, place: Where, *, platform: str | Platform | None = None, jobs: int = 8) -> "Iterator[TagRow]":
        """Yield each tag with digest, date and size in bytes, in the order of `tags`."""
        from dockless.ops.tag_table import tag_table

        with self._reading(place) as (store, _):
            yield from tag_table(store, _lister(store, place).tags(), platform=platform_of(platform), jobs=jobs)

    def digest(self, location: Where, platform: str | Platform | None = None) -> str:
        """Return the digest of the manifest that a location names; for v1 the image id."""
        where = location_of(location)
        return self._image_id(where) if isinstance(where, V1Location) else self.resolve(where, platform).digest

    def resolve(self, location: Where, platform: str | Platform | None = None) -> "Descriptor":
        """Return the descriptor of what a location names, or of its part for one platform."""
        with self._reading(location) as (store, name):
            return store.resolve(name) if platform is None else _document(store, name, platform).descriptor

    def manifest(self, location: Where, platform: str | Platform | None = None) -> "Document":
        """Return a manifest or an index, whose bytes are in `raw`, verified."""
        with self._reading(location) as (store, name):
            return _document(store, name, platform)

    def image(self, location: Where, platform: str | Platform | None = None) -> "Image":
        """Return an image as a typed view: manifest, config, layers, history, sizes, platforms."""
        from dockless.ops.image import open_image

        with self._reading(location) as (store, name):
            return open_image(store, name, platform_of(platform))

    def inspect(self, location: Where, platform: str | Platform | None = None) -> "ImageSummary":
        """Return the summary of an image: what it is, for which platforms, how large, what it starts, its layers."""
        from dockless.ops.image import inspect

        with self._reading(location) as (store, name):
            return inspect(store, name, platform_of(platform))

    def validate(
        self, location: Where, *, platform: str | Platform | None = None, deep: bool = True, jobs: int = 4
    ) -> "Report":
        """Check every digest, size and diff id that can be reached; `deep=False` asks only for sizes and presence."""
        from dockless.ops.validate import validate

        with self._reading(location) as (store, name):
            return validate(store, name, platform=platform_of(platform), deep=deep, jobs=jobs, observe=self._observe)

    @contextmanager
    def blob(self, location: Where) -> "Iterator[BlobReader]":
        """Open a blob, `PLACE@DIGEST`, as a binary file, checked as it is read; a tag opens its manifest."""
        from dockless.faces.blob_reader import BlobReader
        from dockless.wire.stream import CheckedReader, promise_of

        with self._reading(location) as (store, name):
            found = _found(store, name)
            reader = CheckedReader(promise_of(found), lambda offset: store.fetch(found, offset))
            with BlobReader(reader, found.size) as file:
                yield file

    def download(self, location: Where, path: str | PathLike[str]) -> "Descriptor":
        """Download a blob to `path`, which is replaced only by the complete and checked blob.

        An interrupted download is continued by the next one.
        """
        from dockless.stores.files import arrive
        from dockless.wire.stream import promise_of

        def run() -> "Descriptor":
            with self._reading(location) as (store, name):
                found = _found(store, name)
                arrive(Path(path), promise_of(found), lambda offset: store.fetch(found, offset), self._observe)
                return found

        return off_main(run)

    def tag(self, location: Where, *names: str) -> str:
        """Let more tags of the same place name what a location names; return its digest, for v1 the image id."""
        where = location_of(location)
        if isinstance(where, V1Location):
            image_id = self._image_id(where)
            for name in names:
                self._places.index(where.registry).tag(where.repository, name, image_id)
            return image_id
        with self._places.destination(where) as store:
            found = store.resolve(source_name(where))
            if isinstance(store, MultiTagger):
                store.tag_all(found, names)
            else:
                for name in names:
                    store.tag(found, name)
            return found.digest

    def untag(self, location: Where) -> None:
        """Remove one tag, which has to be named in full, and nothing else."""
        where = location_of(location)
        tag = tag_of(where)
        is_implied = isinstance(location, str) and not location.partition("@")[0].endswith(f":{tag}")
        if not tag or is_implied:
            raise InvalidReference(f"{location} names no tag", hint="Name the tag; `delete` removes by digest.")
        if isinstance(where, V1Location):
            self._places.index(where.registry).untag(where.repository, tag)
            return
        with self._places.destination(where) as store:
            _deleter(store, where).untag(tag)

    def delete(self, location: Where) -> "Descriptor":
        """Remove a manifest with every tag that names it, or a blob, by digest."""
        where = location_of(location)
        if isinstance(where, V1Location):
            raise Unsupported(f"{where}: v1 deletes no image", hint="`dockless untag` removes a tag.")
        name = source_name(where)
        if not is_digest(name):
            raise InvalidReference(
                f"{where} has no digest", hint="Give @DIGEST (`dockless digest` prints it); `untag` removes a tag."
            )
        with self._places.destination(where) as store:
            found = _found(store, name)
            _deleter(store, where).delete(found)
            return found

    def ping(self, registry: str) -> "Protocols":
        """Ask which protocols a registry, `host[:port]`, speaks; `v1:host[:port]` asks for v1 alone.

        Raises NotFound when it speaks none of them.
        """
        from dockless.faces.protocols import Protocols, ask

        host = parse_registry(registry).registry
        if registry.startswith("v1:"):
            return Protocols(host, v1=self._places.index(host).ping())
        return ask(self._places, host)

    def catalog(self, registry: str) -> Iterator[str]:
        """Yield the repositories of a registry, `host[:port]`; of `v1:host[:port]` all that a search finds."""
        host = parse_registry(registry).registry
        if registry.startswith("v1:"):
            return (found.name for found in self._places.index(host).search(""))
        return self._places.registry(host).catalog()

    def _image_id(self, where: V1Location) -> "ImageId":
        from dockless.stores.v1.registry import image_id_of

        if where.image_id:
            return where.image_id
        return image_id_of(source_name(where), self._places.v1_repository(where).tags(), where.repository)

    @contextmanager
    def _reading(self, location: Where) -> Iterator[tuple[Readable, str]]:
        where = location_of(location)
        if isinstance(where, V1Location):
            raise Unsupported(
                f"{where} has no manifest",
                hint="Its JSON is its config (`dockless config`); `copy` makes an OCI image of it.",
            )
        with self._places.source(where) as store:
            yield store, source_name(where)


def copy(source: Where, destination: Where, **options: Unpack[CopyArguments]) -> "Copied":
    """Copy an image with the settings of the environment; see `Client.copy`."""
    with Client() as client:
        return client.copy(source, destination, **options)


def _document(store: Readable, name: str, platform: str | Platform | None) -> "Document":
    from dockless.ops.image import find
    from dockless.ops.platforms import images, pick

    contents, found = find(store, name)
    wanted = platform_of(platform)
    return contents.document(found if wanted is None else pick(images(contents, found), wanted))


def _lister(store: Readable, where: Where) -> TagLister:
    if not isinstance(store, TagLister):
        raise Unsupported(f"{where} cannot list its tags")
    return store


def _deleter(store: Store, where: Location) -> Deleter:
    if not isinstance(store, Deleter):
        raise Unsupported(f"nothing can be removed from {where}", hint="Copy what should stay to a new archive.")
    return store


def _found(store: Readable, name: str) -> "Descriptor":
    """Return the descriptor of a manifest or, where a digest names none, of a blob, be it damaged."""
    try:
        return store.resolve(name)
    except (NotFound, VerificationFailed):
        if not (is_digest(name) and isinstance(store, BlobFinder)):
            raise
        return store.find_blob(Digest(name))
