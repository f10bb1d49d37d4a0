"""Turns a location into a place, and shares what the places of one registry have in common.

Rules:
* A registry is spoken to over TLS unless `Settings.url` says otherwise.
* A credential goes to the registry it is given for and to no other.
* An archive that is written appears when its block ends without an error, and otherwise not at all.
* A v1 image becomes an OCI image while it is read: straight into the destination where that takes bytes whose digest is
  not known yet, else into a spool in the cache, which goes when the image has arrived. One process at a time has it.
* Progress is told by whoever moves the bytes; a place itself tells of retries and notices only.
* What a kind of place needs is imported when one is opened.
"""

import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from dockless.model.digest import digest_of
from dockless.model.errors import InvalidReference, LocalFault
from dockless.model.events import Event, Notice, Observer, Retrying, ignore
from dockless.model.location import ArchiveLocation, Location, RegistryLocation, V1Location
from dockless.model.reference import DOCKER_HUB, is_docker_hub
from dockless.net.settings import Settings
from dockless.stores.base import Ingestor, Readable, Store
from dockless.wire.auth import Credential

if TYPE_CHECKING:
    from dockless.net.session import Session
    from dockless.stores.oci_layout import OciLayout
    from dockless.stores.registry.client import RegistryClient
    from dockless.stores.registry.repository import Repository
    from dockless.stores.v1.registry import V1Index, V1Repository
    from dockless.stores.v1.view import V1View


class Places:
    """Opens places with the same settings. Safe to share between threads.

    `credentials` are keyed by registry as locations name it; `cache` is a directory for what outlives a run, if any.
    """

    def __init__(
        self, settings: Settings, credentials: Mapping[str, Credential], cache: Path | None, observe: Observer = ignore
    ) -> None:
        self._settings = settings
        self._observe = observe
        self._credentials = {_account(registry): credential for registry, credential in credentials.items()}
        self._cache = cache
        self._session: Session | None = None
        self._registries: dict[str, RegistryClient] = {}
        self._lock = threading.Lock()

    def close(self) -> None:
        """Drop every connection."""
        if self._session is not None:
            self._session.close()

    def registry(self, registry: str) -> "RegistryClient":
        """Return the client of a v2 registry, the same one each time."""
        from dockless.stores.registry.client import RegistryClient

        with self._lock:
            if registry not in self._registries:
                url = self._settings.url(registry)
                self._registries[registry] = RegistryClient(self._sharing(), url, self._credential(registry))
            return self._registries[registry]

    def index(self, registry: str) -> "V1Index":
        """Return the index of a v1 registry."""
        from dockless.stores.v1.registry import V1Index

        with self._lock:
            session = self._sharing()
        return V1Index(session, self._settings.url(registry), self._credential(registry))

    def v1_repository(self, location: V1Location) -> "V1Repository":
        """Ask a v1 index for a repository. Raises NotFound, InvalidReference for a location without one."""
        return self.index(location.registry).repository(_repository(location))

    @contextmanager
    def source(self, location: Location, destination: Store | None = None, jobs: int = 4) -> Iterator[Readable]:
        """Open a place to read from; `destination` is where it is copied to, if it is. Raises NotFound and others.

        From v1 so many layers are read at once.
        """
        match location:
            case RegistryLocation():
                yield self._v2_repository(location)
            case ArchiveLocation("oci"):
                yield self._layout(Path(location.path))
            case ArchiveLocation("oci-archive"):
                from dockless.stores.oci_archive import OciArchive

                with OciArchive(Path(location.path)) as oci_archive:
                    yield oci_archive
            case ArchiveLocation():
                from dockless.stores.docker_archive import DockerArchive

                with DockerArchive(Path(location.path)) as docker_archive:
                    yield docker_archive
            case V1Location():
                with self._v1_view(location, destination, jobs) as view:
                    yield view

    @contextmanager
    def destination(self, location: Location) -> Iterator[Store]:
        """Open a place to write to."""
        match location:
            case RegistryLocation():
                yield self._v2_repository(location)
            case ArchiveLocation("oci"):
                yield self._layout(Path(location.path))
            case ArchiveLocation("oci-archive"):
                from dockless.stores.oci_archive import OciArchiveWriter

                with OciArchiveWriter(Path(location.path), self._told) as oci_archive:
                    yield oci_archive
            case ArchiveLocation():
                from dockless.stores.docker_archive import DockerArchiveWriter

                with DockerArchiveWriter(Path(location.path), self._told) as docker_archive:
                    yield docker_archive
            case V1Location():
                from dockless.stores.v1.push import V1Upload

                yield V1Upload(self.index(location.registry), _repository(location), self._told)

    def _v2_repository(self, location: RegistryLocation) -> "Repository":
        reference = location.reference
        return self.registry(reference.registry).repository(reference.repository, self._told)

    def _layout(self, path: Path) -> "OciLayout":
        from dockless.stores.oci_layout import OciLayout

        return OciLayout(path, self._told)

    @contextmanager
    def _v1_view(self, location: V1Location, destination: Store | None, jobs: int) -> Iterator["V1View"]:
        import shutil

        from dockless.stores.files import local_faults, locked, make_directory
        from dockless.stores.v1.journal import Journal
        from dockless.stores.v1.view import V1View

        repository = self.v1_repository(location)
        journal = None if self._cache is None else Journal(self._cache / "v1", self._observe)
        if isinstance(destination, Ingestor):
            yield V1View(repository, destination, journal, self._observe, jobs=jobs)
            return
        if self._cache is None:
            raise LocalFault("there is no cache to read the layers into", hint="Set HOME or XDG_CACHE_HOME.")
        spools = self._cache / "spool"
        spool = spools / digest_of(str(location).encode()).rpartition(":")[2][:16]
        with local_faults(spools):
            make_directory(spools)
        with locked(spool.with_suffix(".lock"), self._observe):
            yield V1View(repository, self._layout(spool), journal, self._observe, jobs=jobs)
            shutil.rmtree(spool, ignore_errors=True)

    def _credential(self, registry: str) -> Credential | None:
        return self._credentials.get(_account(registry))

    def _told(self, event: Event) -> None:
        if isinstance(event, Retrying | Notice):
            self._observe(event)

    def _sharing(self) -> "Session":
        from dockless.net.session import Session

        self._session = self._session or Session(self._settings, self._told)
        return self._session


def _account(registry: str) -> str:
    """Return what a registry's credential is kept under: Docker Hub has several names."""
    return DOCKER_HUB if is_docker_hub(registry) else registry.lower()


def _repository(location: V1Location) -> str:
    if not location.repository:
        raise InvalidReference(f"{location} names no repository", hint="Write v1:REGISTRY/REPOSITORY.")
    return location.repository
