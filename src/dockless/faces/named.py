"""What callers name places and platforms by: text, or what it was parsed to."""

from collections.abc import Iterable

from dockless.model.errors import InvalidReference
from dockless.model.location import ArchiveLocation, Location, RegistryLocation, V1Location, parse_location
from dockless.model.platform import Platform, parse_platform
from dockless.model.printable import printable

Where = str | Location
Platforms = str | Platform | Iterable[str | Platform] | None


def location_of(where: Where) -> Location:
    """Return a location. Raises InvalidReference."""
    return parse_location(where) if isinstance(where, str) else where


def parse_registry(text: str) -> V1Location:
    """Read `host[:port]`, with or without `v1:`. Raises InvalidReference."""
    where = parse_location(f"v1:{text.removeprefix('v1:').removesuffix('/')}/")
    if not isinstance(where, V1Location) or where.repository:
        raise InvalidReference(
            f"not a registry: {printable(text, 300)!r}", hint="Registries look like HOST or HOST:PORT."
        )
    return where


def pull_destination(source: Location) -> ArchiveLocation:
    """Return the OCI layout that a pull goes to unless it is told another: named like the repository, beside us."""
    match source:
        case RegistryLocation(reference):
            return ArchiveLocation("oci", reference.repository.rpartition("/")[2], reference.tag)
        case V1Location(repository=repository, tag=tag, image_id=image_id):
            return ArchiveLocation("oci", repository.rpartition("/")[2], tag or image_id or "latest")
        case ArchiveLocation():
            raise InvalidReference(f"{source} is here already", hint="`copy` writes it elsewhere.")


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
