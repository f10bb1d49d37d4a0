"""What callers name places and platforms by: text, or what it was parsed to."""

from collections.abc import Iterable
from pathlib import Path

from msgspec import structs

from dockless.model.digest import Digest
from dockless.model.errors import InvalidReference
from dockless.model.location import ArchiveLocation, Location, RegistryLocation, V1Location, parse_location
from dockless.model.platform import Platform, parse_platform
from dockless.model.printable import printable
from dockless.model.reference import Reference, parse_reference

Where = str | Location
Platforms = str | Platform | Iterable[str | Platform] | None


def location_of(where: Where) -> Location:
    """Return a location; the path of a layout in a text ends at the colon before which something is there.

    So `oci:DIRECTORY:example.com/a:1` is found, as podman names images. Raises InvalidReference.
    """
    if not isinstance(where, str):
        return where
    location = parse_location(where)
    if not isinstance(location, ArchiveLocation) or location.kind == "docker-archive" or Path(location.path).exists():
        return location
    text = location.path if location.name is None else f"{location.path}:{location.name}"
    for end in (place for place in range(len(text) - 1, 0, -1) if text[place] == ":"):
        if Path(text[:end]).exists():
            return structs.replace(location, path=text[:end], name=text[end + 1 :])
    return location


def parse_registry(text: str) -> V1Location:
    """Read `host[:port]`, with or without `v1:`. Raises InvalidReference."""
    where = parse_location(f"v1:{text.removeprefix('v1:').removesuffix('/')}/")
    if not isinstance(where, V1Location) or where.repository:
        raise InvalidReference(
            f"not a registry: {printable(text, 300)!r}", hint="Registries look like HOST or HOST:PORT."
        )
    return where


def pull_destination(source: Location, destination: Where | None = None) -> ArchiveLocation:
    """Return where a pull goes: where it is told, else an OCI layout beside us, named like the repository.

    Raises InvalidReference when the source is on this machine, or the destination is not.
    """
    if isinstance(source, ArchiveLocation):
        raise InvalidReference(f"{source} is here already", hint="`copy` writes it elsewhere.")
    if destination is not None:
        end = location_of(destination)
        if not isinstance(end, ArchiveLocation):
            raise InvalidReference(
                f"{destination} is not on this machine", hint="Write oci:DIRECTORY; `copy` writes elsewhere."
            )
        return end
    match source:
        case RegistryLocation(reference):
            return ArchiveLocation("oci", reference.repository.rpartition("/")[2], reference.tag)
        case V1Location(repository=repository, tag=tag, image_id=image_id):
            return ArchiveLocation("oci", repository.rpartition("/")[2], tag or image_id or "latest")


def tag_of(where: Location) -> str | None:
    """Return the tag that a location names, None when it names none."""
    match where:
        case RegistryLocation(reference):
            return reference.tag
        case ArchiveLocation(name=name):
            return name
        case V1Location(tag=tag):
            return tag


def platform_of(platform: str | Platform | None) -> Platform | None:
    """Return a platform, None for none in particular. Raises InvalidReference."""
    return parse_platform(platform) if isinstance(platform, str) else platform


def platforms_of(platforms: Platforms) -> tuple[Platform, ...]:
    """Return several platforms, () for all. Raises InvalidReference."""
    if platforms is None or platforms == "all":
        return ()
    several = [platforms] if isinstance(platforms, str | Platform) else platforms
    return tuple(parse_platform(one) if isinstance(one, str) else one for one in several)


def source_name(location: Location) -> str:
    """Return what a location names in its place: a digest, a tag, or nothing for the only image there is."""
    match location:
        case RegistryLocation(reference):
            return reference.digest or reference.tag or ""
        case ArchiveLocation(name=name, digest=digest):
            return digest or name or ""
        case V1Location(tag=tag, image_id=image_id):
            return image_id or tag or "latest"


def target_name(location: Location, source: Location) -> str:
    """Return the name to write: that of the destination, else the source's; nothing where neither has one.

    A docker-archive names images by references, all others by tags. A digest is no name.
    """
    match location:
        case RegistryLocation(reference):
            return reference.tag or reference.digest or ""
        case V1Location(tag=tag):
            return tag or "latest"
        case ArchiveLocation("docker-archive", name=name, digest=digest):
            return name or digest or _reference_from(source)
        case ArchiveLocation(name=name, digest=digest):
            return name or digest or _tag_from(source)


def _reference_from(source: Location) -> str:
    match source:
        case RegistryLocation(Reference(registry, repository, tag)):
            return f"{registry}/{repository}:{tag}" if tag else ""
        case V1Location(registry, repository, tag, image_id):
            return "" if image_id else f"{registry}/{repository}:{tag or 'latest'}"
        case ArchiveLocation("docker-archive", name=name) if name and not name.startswith("@"):
            return name
        case _:
            return ""


def _tag_from(source: Location) -> str:
    match source:
        case RegistryLocation(reference):
            return reference.tag or ""
        case ArchiveLocation("docker-archive", name=name):
            return "" if name is None or name.startswith("@") else parse_reference(name).tag or ""
        case ArchiveLocation(name=name):
            return name or ""
        case V1Location(tag=tag, image_id=image_id):
            return tag or image_id or "latest"


def required_digest(location: Location) -> Digest | None:
    """Return the digest that a destination says its image has to have, None when it says none."""
    match location:
        case RegistryLocation(reference):
            return reference.digest
        case ArchiveLocation(digest=digest):
            return digest
        case V1Location():
            return None
