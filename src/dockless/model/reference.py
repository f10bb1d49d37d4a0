"""References: `[REGISTRY/]REPOSITORY[:TAG][@DIGEST]`, with Docker Hub's rules for short names.

Rules:
* The first component is a registry when it holds a dot or a colon, or is `localhost`; otherwise it is part of the
  repository and the registry is Docker Hub.
* On Docker Hub a repository of one component is below `library/`; `index.docker.io` and `registry-1.docker.io` are it.
* Repository and tag follow the distribution specification ("Pulling manifests"); a tag and a digest may both be given.
* Without tag and digest the tag is `latest`.
"""

import re
from ipaddress import IPv4Address, IPv6Address

import msgspec

from dockless.model.digest import Digest, parse_digest
from dockless.model.errors import InvalidReference
from dockless.model.printable import printable

DOCKER_HUB = "docker.io"

_HUB_NAMES = frozenset({"docker.io", "index.docker.io", "registry-1.docker.io"})
_COMPONENT = r"[a-z0-9]+(?:(?:\.|_|__|-+)[a-z0-9]+)*"
_REPOSITORY = re.compile(rf"{_COMPONENT}(?:/{_COMPONENT})*")
_TAG = re.compile(r"[A-Za-z0-9_][A-Za-z0-9._-]{0,127}")
_LABEL = r"[A-Za-z0-9](?:[A-Za-z0-9_-]*[A-Za-z0-9])?"
_HOST = re.compile(rf"(?:(?P<name>{_LABEL}(?:\.{_LABEL})*)\.?|\[(?P<v6>[0-9A-Fa-f:.]+)\])(?::(?P<port>[0-9]{{1,5}}))?")
_NUMBER = re.compile(r"(?:.*\.)?(?:[0-9]+|0[Xx][0-9A-Fa-f]*)")
_PASSWORD = re.compile(r"(^|//|:)[^/@:]*:[^/@]*@(?=[^@]*/)")  # NAME:PASSWORD@ before what still has a slash
_LONGEST = 255


class Reference(msgspec.Struct, frozen=True):
    """An image in a registry. `str()` gives it in full; `registry` is `host[:port]`."""

    registry: str
    repository: str
    tag: str | None = None
    digest: Digest | None = None

    def __str__(self) -> str:
        tag = f":{self.tag}" if self.tag else ""
        digest = f"@{self.digest}" if self.digest else ""
        return f"{self.registry}/{self.repository}{tag}{digest}"


def is_registry(text: str) -> bool:
    """Say whether `text` is `host[:port]`: a name, an IPv4 address or an IPv6 address in brackets.

    What ends in a number and is no plain IPv4 address (`127.1`, `0x7f.1`) is refused: HTTP clients read such a host as
    an address, each in its own way (WHATWG URL, "ends in a number").
    """
    found = _HOST.fullmatch(text) if len(text) <= _LONGEST else None
    if found is None or not (found["port"] is None or 0 < int(found["port"]) < 65536):
        return False
    try:
        if found["v6"] is not None:
            IPv6Address(found["v6"])
        elif _NUMBER.fullmatch(found["name"]):
            IPv4Address(found["name"])
    except ValueError:
        return False
    return True


def is_docker_hub(registry: str) -> bool:
    """Say whether `registry` is one of Docker Hub's names."""
    return registry.lower() in _HUB_NAMES


def is_repository(text: str) -> bool:
    """Say whether `text` is the name of a repository, without a registry."""
    return len(text) < _LONGEST and _REPOSITORY.fullmatch(text) is not None


def is_tag(text: str) -> bool:
    """Say whether `text` is a tag."""
    return _TAG.fullmatch(text) is not None


def split_registry(name: str) -> tuple[str, str]:
    """Split `[REGISTRY/]REPOSITORY` into both; the registry is empty when none is named."""
    first, slash, rest = name.partition("/")
    if slash and (first == "localhost" or "." in first or ":" in first):
        return first, rest
    return "", name


def split_tag(name: str) -> tuple[str, str]:
    """Split `NAME[:TAG]` into both; a colon before a slash belongs to a port, not to a tag."""
    head, colon, tag = name.rpartition(":")
    return (head, tag) if colon and "/" not in tag else (name, "")


def parse_reference(text: str) -> Reference:
    """Read a reference. Raises InvalidReference, which says what is wrong with it."""
    name, at, digest = text.partition("@")
    registry, rest = split_registry(name)
    repository, tag = split_tag(rest)
    if is_docker_hub(registry) or not registry:
        registry = DOCKER_HUB
        repository = repository if "/" in repository else f"library/{repository}"
    _require(is_registry(registry), text, f"{registry!r} is not a registry")
    _require(_REPOSITORY.fullmatch(repository) is not None, text, f"{repository!r} is not a repository name")
    _require(len(registry) + len(repository) < _LONGEST, text, f"registry and repository exceed {_LONGEST} characters")
    _require(is_tag(tag) if tag else not rest.endswith(":"), text, f"{tag!r} is not a tag")
    return Reference(
        registry=registry,
        repository=repository,
        tag=tag or (None if at else "latest"),
        digest=parse_digest(digest) if at else None,
    )


def shown(text: str) -> str:
    """Return what was typed as a reference or a location, for a message: without the password of a URL."""
    return printable(_PASSWORD.sub(r"\1…@", text), 300)


def _require(condition: bool, text: str, reason: str) -> None:
    if not condition:
        raise InvalidReference(
            f"not a reference: {shown(text)!r}: {shown(reason)}",
            hint="References look like REGISTRY/REPOSITORY:TAG or REGISTRY/REPOSITORY@sha256:…",
        )
