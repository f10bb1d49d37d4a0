"""The library's face for Docker Registry v1: an image by name, and everything that can be read of it.

What only some methods need is imported when they are called.
"""

from collections.abc import Iterator
from functools import cached_property
from os import PathLike
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Self, TypeVar, overload

import msgspec

from dockless.faces import environment
from dockless.model.events import Observer, ignore
from dockless.model.image_id import ImageId, parse_image_id
from dockless.model.v1_documents import SearchResult, V1ImageConfig, image_config
from dockless.net.session import Session
from dockless.net.settings import Settings
from dockless.net.waiting import off_main
from dockless.stores.v1.registry import V1Index, V1Repository, image_id_of
from dockless.wire.auth import Credential
from dockless.wire.v1.conversation import Ping, authorization

if TYPE_CHECKING:
    from dockless.faces.blob_reader import BlobReader
    from dockless.ops.inspect_v1 import ImageSummary
    from dockless.ops.pull_v1 import Pulled
    from dockless.ops.validate_v1 import CheckedImage

DOCKER_HUB = "https://index.docker.io"

T = TypeVar("T")


class Downloaded(msgspec.Struct, frozen=True):
    """A layer that arrived. `verified`: its checksum agreed; False: the server gave none, only the size was checked."""

    path: Path
    size: int
    verified: bool


class Image:
    """An image of a v1 registry: what the index said, and the tags that its endpoints gave. A context manager.

    `status` is the HTTP status of the index's answer. Methods raise NotFound, NetworkFault and the rest of
    `dockless.model.errors`; an error of several endpoints lists each with its own cause in `causes`.
    """

    def __init__(self, index: V1Index, repository: V1Repository, observe: Observer) -> None:
        self.name = repository.name
        self.status = repository.status
        self._index = index
        self._repository = repository
        self._observe = observe

    @cached_property
    def _tags(self) -> dict[str, str]:
        return self._repository.tags()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Drop the connections."""
        self._index.session.close()

    def tags(self) -> list[str]:
        """Return the tags' names."""
        return list(self._tags)

    def tag_ids(self) -> dict[str, str]:
        """Return every tag with the image id it names."""
        return dict(self._tags)

    def tag_layer_id(self, tag: str) -> ImageId:
        """Return the image id of a tag. Raises NotFound, naming tag and image."""
        return image_id_of(tag, self._tags, self.name)

    @overload
    def metadata(self, tag: str) -> V1ImageConfig: ...

    @overload
    def metadata(self, tag: str, into: type[T]) -> T: ...

    def metadata(self, tag: str, into: type[T] | type[V1ImageConfig] = V1ImageConfig) -> T | V1ImageConfig:
        """Return the image JSON of a tag, decoded into a msgspec Struct, a dataclass, a dict, anything msgspec knows.

        A `V1ImageConfig` keeps the bytes in `raw`. Raises InvalidDocument when the JSON is not of that type.
        """
        image = self._repository.image(self.tag_layer_id(tag))
        return image_config(image.raw, into, f"JSON of image {image.id}")

    def metadata_bytes(self, image_id: str) -> bytes:
        """Return an image's JSON by id, byte for byte as it was pushed."""
        return self._repository.image(parse_image_id(image_id)).raw

    def history(self, tag: str) -> list[ImageId]:
        """Return the ids from the image itself down to its base."""
        return self.ancestry(self.tag_layer_id(tag))

    def ancestry(self, image_id: str) -> list[ImageId]:
        """Return the ids from an image, given by id, down to its base."""
        return self._repository.ancestry(parse_image_id(image_id))

    def inspect(self, image_id: str) -> "ImageSummary":
        """Return an image's JSON with the size, age and command of every layer; asks no layer for its bytes."""
        from dockless.ops.inspect_v1 import inspect

        return inspect(self._repository, parse_image_id(image_id))

    def validate(self, image_id: str, jobs: int = 4) -> "CheckedImage":
        """Read every layer of an image through its checksum, at most `jobs` at once, and say what is wrong."""
        from dockless.ops.validate_v1 import validate

        return validate(self._repository, parse_image_id(image_id), jobs, self._observe)

    def layer_reader(self, image_id: str) -> "BlobReader":
        """Open a layer: a context manager and a raw binary file. See BlobReader."""
        from dockless.faces.blob_reader import BlobReader
        from dockless.wire.stream import CheckedReader

        image = self._repository.image(parse_image_id(image_id))
        reader = CheckedReader(image.promise(), lambda offset: self._repository.layer(image, offset))
        return BlobReader(reader, image.size)

    def layer_urls(self, image_id: str) -> list[str]:
        """Return the layer's URLs, one for each endpoint, in the index's order."""
        return self._repository.layer_urls(parse_image_id(image_id))

    @property
    def authorization_header(self) -> str:
        """The value of `Authorization` that goes with the layers' URLs; empty when the index gave no token."""
        return authorization(self._repository.token)

    def cookie(self, url: str) -> str:
        """Return the first cookie that a request to `url` would carry, as `name=value`; empty without one."""
        return next(iter(self._index.session.cookies.matching(url)), "")

    def download(self, image_id: str, path: str | PathLike[str]) -> Downloaded:
        """Download a layer to `path`, which is replaced only by the complete and checked layer.

        An interrupted download is continued by the next one. Raises VerificationFailed, LocalFault, NetworkFault.
        """
        return off_main(lambda: self._download(parse_image_id(image_id), Path(path)))

    def _download(self, image_id: ImageId, path: Path) -> Downloaded:
        from dockless.stores.files import arrive

        image = self._repository.image(image_id)
        verified = arrive(path, image.promise(), lambda offset: self._repository.layer(image, offset), self._observe)
        return Downloaded(path, path.stat().st_size, verified)

    def download_image(self, tag: str, directory: str | PathLike[str], jobs: int = 4) -> "Pulled":
        """Download an image's metadata and all its layers, at most `jobs` at once; tag it in the directory.

        The directory is laid out as `docker save` first did; what is there already is not fetched again.
        """
        return self.download_by_id(self.tag_layer_id(tag), directory, tag=tag, jobs=jobs)

    def download_by_id(
        self, image_id: str, directory: str | PathLike[str], *, tag: str | None = None, jobs: int = 4
    ) -> "Pulled":
        """Download an image by id, and let `tag` name it in the directory if one is given."""
        from dockless.ops.pull_v1 import pull
        from dockless.stores.v1_directory import V1Directory

        root = Path(directory)
        wanted = parse_image_id(image_id)

        def take() -> "Pulled":
            destination = V1Directory(root, self._observe)
            pulled = pull(self._repository, wanted, destination, jobs)
            if tag is not None:
                name = self.name if "/" in self.name else f"library/{self.name}"
                destination.tag(name, tag, wanted)
            return pulled

        return off_main(take)


def get_image(
    name: str,
    registry_url: str = DOCKER_HUB,
    *,
    credential: Credential | None = None,
    settings: Settings | None = None,
    observe: Observer = ignore,
) -> Image:
    """Ask a v1 index for an image, and its endpoints for the tags.

    `registry_url` is the index's URL, Docker Hub's when empty; a user and password in it count as the credential.
    Without `settings` the proxies of the environment are used. Raises InvalidReference before any request for an empty
    name or a malformed URL, NotFound when there is no such image, other errors with the HTTP status in `status`.
    """
    image = open_image(name, registry_url, credential=credential, settings=settings, observe=observe)
    try:
        image.tags()
    except BaseException:
        image.close()
        raise
    return image


def open_image(
    name: str,
    registry_url: str = DOCKER_HUB,
    *,
    credential: Credential | None = None,
    settings: Settings | None = None,
    observe: Observer = ignore,
) -> Image:
    """Do as `get_image` does, but ask for the tags only when they are needed: for what is read by image id alone."""
    index = _index(registry_url or DOCKER_HUB, credential, settings, observe)
    try:
        return Image(index, index.repository(name), observe)
    except BaseException:
        index.session.close()
        raise


def ping(
    registry_url: str,
    *,
    credential: Credential | None = None,
    settings: Settings | None = None,
    observe: Observer = ignore,
) -> Ping:
    """Ask a registry whether it speaks v1, and how it presents itself. Raises NotFound when it does not."""
    index = _index(registry_url, credential, settings, observe)
    try:
        return index.ping()
    finally:
        index.session.close()


def search(
    query: str,
    registry_url: str = DOCKER_HUB,
    *,
    credential: Credential | None = None,
    settings: Settings | None = None,
    observe: Observer = ignore,
) -> Iterator[SearchResult]:
    """Yield what a v1 index finds for `query`, all pages; an empty query is everything."""
    index = _index(registry_url, credential, settings, observe)
    try:
        yield from index.search(query)
    finally:
        index.session.close()


def _index(url: str, credential: Credential | None, settings: Settings | None, observe: Observer) -> V1Index:
    return V1Index(Session(settings or environment.settings(), observe), url, credential)
