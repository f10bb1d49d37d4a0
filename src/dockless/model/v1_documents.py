"""The documents of Docker Registry v1: image JSON, tags, ancestry, search, errors.

Rules:
* The raw bytes are the document; what is decoded here is a view. Unknown fields are ignored and survive in the bytes.
* A tags map can hold null (a tag whose name needed quoting); such a tag names no image and is left out.
* Old Docker Hub listed tags as `[{"layer": id, "name": tag}]`.
* An ancestry starts with the image itself, holds only image ids and none twice: twice would be a cycle.
"""

from typing import Any, TypeVar

import msgspec

from dockless.model.errors import InvalidDocument
from dockless.model.image_id import ImageId, is_image_id
from dockless.model.printable import printable

T = TypeVar("T")

MOST_ANCESTORS = 4096
_MOST_VALUES = 400_000


class V1Config(msgspec.Struct, rename="pascal", frozen=True, kw_only=True):
    """What a container of the image starts with; `config` and `container_config` of an image's JSON."""

    hostname: str | None = None
    domainname: str | None = None
    user: str | None = None
    env: list[str] | None = None
    cmd: list[str] | str | None = None
    entrypoint: list[str] | str | None = None
    working_dir: str | None = None
    image: str | None = None
    labels: dict[str, str] | None = None
    volumes: dict[str, Any] | None = None
    exposed_ports: dict[str, Any] | None = None
    on_build: list[str] | None = None


class V1ImageConfig(msgspec.Struct, frozen=True, kw_only=True, dict=True):
    """An image's JSON, typed. `raw` holds the bytes it was read from, with everything that has no field here."""

    id: str | None = None
    parent: str | None = None
    created: str | None = None
    comment: str | None = None
    author: str | None = None
    container: str | None = None
    docker_version: str | None = None
    architecture: str | None = None
    os: str | None = None
    config: V1Config | None = None
    container_config: V1Config | None = None
    size: int | None = msgspec.field(default=None, name="Size")

    @property
    def raw(self) -> bytes:
        """The document as the server stored it; empty for one that was not read, or was copied since."""
        raw: bytes = self.__dict__.get("raw", b"")
        return raw


def decode(raw: bytes, into: type[T], what: str) -> T:
    """Decode the JSON `raw` into any type msgspec knows; `what` names the document in the error.

    Raises InvalidDocument, also for more values than are ever meant: a few bytes each may take up twenty times that.
    """
    content = bytes(raw)
    if sum(map(content.count, (b",", b"[", b"{"))) > _MOST_VALUES:
        raise InvalidDocument(f"{what} holds more than {_MOST_VALUES} values")
    try:
        return msgspec.json.decode(content, type=into)
    except (msgspec.DecodeError, RecursionError, UnicodeDecodeError) as error:
        raise InvalidDocument(f"{what} is not what it should be: {printable(str(error), 300)}") from error


def image_config(raw: bytes, into: type[T], what: str) -> T:
    """Decode an image's JSON into the type the caller wants; a `V1ImageConfig` keeps `raw`. Raises InvalidDocument."""
    document = decode(raw, into, what)
    if isinstance(document, V1ImageConfig):
        document.__dict__["raw"] = raw
    return document


class _HubTag(msgspec.Struct):
    layer: str | None
    name: str


def tag_ids(raw: bytes, what: str) -> dict[str, str]:
    """Return each tag with the id it names, unchecked: an id is checked where it is used. Raises InvalidDocument."""
    if raw.lstrip()[:1] == b"[":
        return {tag.name: tag.layer for tag in decode(raw, list[_HubTag], what) if tag.layer}
    return {name: image_id for name, image_id in decode(raw, dict[str, str | None], what).items() if image_id}


def ancestry(raw: bytes, image_id: ImageId, what: str) -> list[ImageId]:
    """Return the ids from the image down to its base. Raises InvalidDocument."""
    ids = decode(raw, list[str], what)
    if not ids or ids[0] != image_id:
        raise InvalidDocument(f"{what} does not start with the image itself")
    if len(ids) > MOST_ANCESTORS:
        raise InvalidDocument(f"{what} has {len(ids)} entries, more than {MOST_ANCESTORS}")
    if not all(map(is_image_id, ids)):
        raise InvalidDocument(f"{what} holds something that is not an image id")
    if len(set(ids)) != len(ids):
        raise InvalidDocument(f"{what} is a cycle: it names an image twice")
    return [ImageId(one) for one in ids]


class SearchResult(msgspec.Struct, frozen=True):
    """A repository that a search found."""

    name: str
    description: str | None = None
    is_official: bool = False
    is_automated: bool = False
    star_count: int = 0


class SearchPage(msgspec.Struct, frozen=True):
    """One page of a search. The original server has no pages and leaves the counts of them out."""

    results: list[SearchResult]
    num_results: int = 0
    page: int = 1
    num_pages: int = 1


class _ErrorBody(msgspec.Struct):
    error: str


def error_words(body: bytes) -> str:
    """Return what an error's body says: the `error` of its JSON, else nothing (it may be HTML, or cut)."""
    try:
        return printable(msgspec.json.decode(body, type=_ErrorBody).error, 500)
    except (msgspec.DecodeError, RecursionError, UnicodeDecodeError):
        return ""
