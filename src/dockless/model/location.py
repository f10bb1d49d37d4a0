"""Locations: one syntax for every place, in the library and on the command line.

    [docker://][REGISTRY/]REPOSITORY[:TAG][@DIGEST]     a v2/OCI registry
    v1:[REGISTRY/]REPOSITORY[:TAG]                      a Docker Registry v1, by tag
    v1:[REGISTRY/]REPOSITORY@IMAGE_ID                   the same, by image id
    v1:REGISTRY  v1:REGISTRY/                           the registry itself
    oci:DIRECTORY[:TAG]  oci-archive:FILE[:TAG]         an OCI image layout, directory or tar
    docker-archive:FILE[:REFERENCE]                     what `docker save` writes
    each of the last three with @DIGEST at its end      the same by digest

Rules:
* Without a slash, `v1:WORD` is a registry when its host holds a dot or is `localhost` or an address, and otherwise an
  image of Docker Hub, as is `v1:WORD:TAG`. With a slash at the end it is a registry. Docker Hub's v1 index is V1_HUB.
* v1 names are freer than v2's: letters of both cases and components that end in a separator were allowed. Here a
  component is letters, digits, dot, dash and underscore, and not `.` or `..`: nothing that changes a path or a URL.
* The path of a layout ends at the last colon after which no slash or backslash follows; that of a docker-archive at the
  first, since a reference holds both. A letter, a colon and a slash at the start are a drive.
* An `@` belongs to a path unless a digest follows it to the end; a tag and a digest may both be given.
"""

import re
from typing import Literal

import msgspec

from dockless.model.digest import Digest, is_digest
from dockless.model.errors import InvalidReference
from dockless.model.image_id import ImageId, is_image_id
from dockless.model.printable import is_printable
from dockless.model.reference import (
    Reference,
    is_docker_hub,
    is_registry,
    is_tag,
    parse_reference,
    shown,
    split_registry,
    split_tag,
)

ArchiveKind = Literal["oci", "oci-archive", "docker-archive"]

V1_HUB = "index.docker.io"

_ARCHIVES: dict[str, ArchiveKind] = {"oci": "oci", "oci-archive": "oci-archive", "docker-archive": "docker-archive"}
_SCHEMES = frozenset({"v1", *_ARCHIVES})

_V1_COMPONENT = r"(?!\.{1,2}(?:/|$))[A-Za-z0-9._-]{1,128}"
_V1_REPOSITORY = re.compile(rf"{_V1_COMPONENT}(?:/{_V1_COMPONENT}){{0,7}}")
_DRIVE = re.compile(r"[A-Za-z]:[\\/]")


class RegistryLocation(msgspec.Struct, frozen=True):
    """A place in a v2/OCI registry."""

    reference: Reference

    def __str__(self) -> str:
        text = str(self.reference)
        return f"docker://{text}" if text.partition(":")[0] in _SCHEMES else text


class V1Location(msgspec.Struct, frozen=True):
    """A place in a Docker Registry v1. `repository` is empty for the registry itself; tag or image id, not both."""

    registry: str
    repository: str = ""
    tag: str | None = None
    image_id: ImageId | None = None

    def __str__(self) -> str:
        tag = f":{self.tag}" if self.tag else ""
        image_id = f"@{self.image_id}" if self.image_id else ""
        return f"v1:{self.registry}/{self.repository}{tag}{image_id}"


class ArchiveLocation(msgspec.Struct, frozen=True):
    """A layout or an archive on this machine; `name` is what follows the path: a tag, or a reference in an archive."""

    kind: ArchiveKind
    path: str
    name: str | None = None
    digest: Digest | None = None

    def __str__(self) -> str:
        name = f":{self.name}" if self.name else ""
        digest = f"@{self.digest}" if self.digest else ""
        return f"{self.kind}:{self.path}{name}{digest}"


Location = RegistryLocation | V1Location | ArchiveLocation


def is_v1_repository(text: str) -> bool:
    """Say whether `text` can name a repository of a v1 registry."""
    return _V1_REPOSITORY.fullmatch(text) is not None


def parse_location(text: str) -> Location:
    """Read a location. Raises InvalidReference."""
    scheme, colon, rest = text.partition(":")
    if colon and scheme == "v1":
        return _v1(text, rest)
    if colon and scheme in _ARCHIVES:
        return _archive(text, _ARCHIVES[scheme], rest)
    return RegistryLocation(parse_reference(text.removeprefix("docker://")))


def _v1(text: str, rest: str) -> V1Location:
    name, at, image_id = rest.partition("@")
    registry, path = split_registry(name)
    if _names_registry(name):
        registry, path = name.removesuffix("/"), ""
    repository, tag = split_tag(path)
    whole = registry and not path and not at
    registry = V1_HUB if not registry or is_docker_hub(registry) else registry
    if not is_registry(registry):
        raise _invalid(text, f"{registry!r} is not a registry")
    if not whole and not is_v1_repository(repository):
        raise _invalid(text, f"{repository!r} is not a repository name")
    if (tag and not is_tag(tag)) or path.endswith(":"):
        raise _invalid(text, f"{tag!r} is not a tag")
    if at and (tag or not is_image_id(image_id)):
        raise _invalid(text, "after @ stands an image id of 16 or 64 hexadecimal digits, with no tag before it")
    return V1Location(registry, repository, tag or None, ImageId(image_id) if at else None)


def _names_registry(name: str) -> bool:
    if name.endswith("/"):
        return "/" not in name[:-1]
    host = name.partition(":")[0]
    return "/" not in name and is_registry(name) and (host == "localhost" or "." in host or name.startswith("["))


def _archive(text: str, kind: ArchiveKind, rest: str) -> ArchiveLocation:
    before, _, last = rest.rpartition("@")
    digest = Digest(last) if before and is_digest(last) else None
    rest = rest if digest is None else before
    drive = rest[:2] if _DRIVE.match(rest) else ""
    whole = rest[len(drive) :]
    path, colon, name = whole.partition(":") if kind == "docker-archive" else whole.rpartition(":")
    if not colon or (kind != "docker-archive" and re.search(r"[/\\]", name)):
        path, colon, name = whole, "", ""
    if colon and not name:
        raise _invalid(text, "a tag is missing after the last colon")
    if not drive + path or not is_printable(rest):
        raise _invalid(text, "the path is missing, or holds what no path should")
    return ArchiveLocation(kind, drive + path, name or None, digest)


def _invalid(text: str, reason: str) -> InvalidReference:
    return InvalidReference(
        f"not a location: {shown(text)!r}: {shown(reason)}",
        hint="Locations look like v1:HOST/REPOSITORY:TAG, HOST/REPOSITORY:TAG or oci:DIRECTORY:TAG.",
    )
