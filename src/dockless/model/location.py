"""Locations: one syntax for every place, in the library and on the command line.

    [docker://][REGISTRY/]REPOSITORY[:TAG][@DIGEST]     a v2/OCI registry
    v1:[REGISTRY/]REPOSITORY[:TAG]                      a Docker Registry v1, by tag
    v1:[REGISTRY/]REPOSITORY@IMAGE_ID                   the same, by image id
    v1:REGISTRY                                         the registry itself
    oci:DIRECTORY[:TAG]  oci-archive:FILE[:TAG]         an OCI image layout, directory or tar
    docker-archive:FILE[:REFERENCE]                     what `docker save` writes

Rules:
* v1 names are freer than v2's: letters of both cases and components that end in a separator were allowed. Here a
  component is letters, digits, dot, dash and underscore, and not `.` or `..`: nothing that changes a path or a URL.
* The path of a layout ends at the last colon after which no slash or backslash follows; that of a docker-archive at the
  first, since a reference holds both. A letter, a colon and a slash at the start are a drive.
"""

import re
from typing import Literal

import msgspec

from dockless.model.errors import InvalidReference
from dockless.model.image_id import ImageId, is_image_id
from dockless.model.printable import printable
from dockless.model.reference import Reference, is_registry, is_tag, parse_reference, split_registry, split_tag

ArchiveKind = Literal["oci", "oci-archive", "docker-archive"]

V1_HUB = "index.docker.io"

_ARCHIVES: dict[str, ArchiveKind] = {"oci": "oci", "oci-archive": "oci-archive", "docker-archive": "docker-archive"}

_V1_COMPONENT = r"(?!\.{1,2}(?:/|$))[A-Za-z0-9._-]{1,128}"
_V1_REPOSITORY = re.compile(rf"{_V1_COMPONENT}(?:/{_V1_COMPONENT}){{0,7}}")
_DRIVE = re.compile(r"[A-Za-z]:[\\/]")


class RegistryLocation(msgspec.Struct, frozen=True):
    """A place in a v2/OCI registry."""

    reference: Reference

    def __str__(self) -> str:
        return str(self.reference)


class V1Location(msgspec.Struct, frozen=True):
    """A place in a Docker Registry v1. `repository` is empty for the registry itself; tag or image id, not both."""

    registry: str
    repository: str = ""
    tag: str | None = None
    image_id: ImageId | None = None

    def __str__(self) -> str:
        name = f"/{self.repository}" if self.repository else ""
        tag = f":{self.tag}" if self.tag else ""
        image_id = f"@{self.image_id}" if self.image_id else ""
        return f"v1:{self.registry}{name}{tag}{image_id}"


class ArchiveLocation(msgspec.Struct, frozen=True):
    """A layout or an archive on this machine; `name` is what follows the path: a tag, or a reference in an archive."""

    kind: ArchiveKind
    path: str
    name: str | None = None

    def __str__(self) -> str:
        return f"{self.kind}:{self.path}" + (f":{self.name}" if self.name else "")


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
    if not registry and "/" not in name and is_registry(name) and (name == "localhost" or "." in name or ":" in name):
        registry, path = name, ""
    repository, tag = split_tag(path)
    registry = registry or V1_HUB
    whole = not repository and not at and path == ""
    if not is_registry(registry):
        raise _invalid(text, f"{registry!r} is not a registry")
    if not whole and not is_v1_repository(repository):
        raise _invalid(text, f"{repository!r} is not a repository name")
    if (tag and not is_tag(tag)) or path.endswith(":"):
        raise _invalid(text, f"{tag!r} is not a tag")
    if at and (tag or not is_image_id(image_id)):
        raise _invalid(text, "after @ stands an image id of 16 or 64 hexadecimal digits, with no tag before it")
    return V1Location(registry, repository, tag or None, ImageId(image_id) if at else None)


def _archive(text: str, kind: ArchiveKind, rest: str) -> ArchiveLocation:
    drive = rest[:2] if _DRIVE.match(rest) else ""
    path, colon, name = rest[len(drive) :].partition(":")
    if kind != "docker-archive" and colon:
        path, _, name = rest[len(drive) :].rpartition(":")
        if "/" in name or "\\" in name:
            path, name = rest[len(drive) :], ""
        elif not name:
            raise _invalid(text, "a tag is missing after the last colon")
    if not drive + path or "\0" in path:
        raise _invalid(text, "the path is missing")
    return ArchiveLocation(kind, drive + path, name or None)


def _invalid(text: str, reason: str) -> InvalidReference:
    return InvalidReference(
        f"not a location: {printable(text, 300)!r}: {printable(reason, 300)}",
        hint="Locations look like v1:HOST/REPOSITORY:TAG, HOST/REPOSITORY:TAG or oci:DIRECTORY:TAG.",
    )
