"""What the headers of a v1 conversation mean, and who may see a credential.

Rules:
* `X-Docker-Endpoints` holds hosts, at commas, perhaps in several headers; they have no scheme and take the index's.
* The token is opaque. The original server's value already begins with the word `Token`; it is never sent doubled.
* Credentials (token, cookie, password) go to an endpoint only when it is on the index's own host, when the index is
  Docker Hub over https, or when the caller named it (CVE-2014-5277 and its kin).
* Basic goes to endpoints only over https and only where index and registry are one (standalone), and then it takes the
  token's place: a proxy in front that wants Basic wants it on every request.
"""

import re

import msgspec

from dockless.model.digest import is_digest
from dockless.model.errors import InvalidDocument
from dockless.model.reference import is_registry
from dockless.wire.http import Headers, is_listed, origin

_MOST_ENDPOINTS = 64
_TOKEN = re.compile(r"[\x21-\x7e](?:[\x20-\x7e]{0,8190}[\x21-\x7e])?")
_HUB = re.compile(r"(?:[a-z0-9-]+\.)*docker\.(?:io|com)")


class Ping(msgspec.Struct, frozen=True):
    """How a v1 registry presents itself. `standalone`: it is its own index. `version` is None when it does not say."""

    standalone: bool
    mirror: bool = False
    version: str | None = None


def endpoints(headers: Headers, index: str) -> tuple[str, ...]:
    """Return the endpoints as `host[:port]`, in order. Raises InvalidDocument when there is none, or one is no host."""
    named = [one.strip() for value in headers.all("x-docker-endpoints") for one in value.split(",")]
    hosts = tuple(host for host in named if host)
    if not hosts:
        raise InvalidDocument(
            f"the index {index} names no endpoints: its answer has no X-Docker-Endpoints",
            hint="Is this the URL of a v1 index? `dockless ping v1:HOST` tells.",
        )
    if len(hosts) > _MOST_ENDPOINTS:
        raise InvalidDocument(f"the index {index} names {len(hosts)} endpoints, more than {_MOST_ENDPOINTS}")
    if not all(map(is_registry, hosts)):
        raise InvalidDocument(f"the index {index} names endpoints that are not hosts")
    return hosts


def token(headers: Headers) -> str:
    """Return the token, empty when there is none. Raises InvalidDocument for one that cannot stand in a header."""
    value = (headers.first("x-docker-token") or "").strip()
    if value and _TOKEN.fullmatch(value) is None:
        raise InvalidDocument("the index gives a token that cannot stand in a header")
    return value


def authorization(token: str) -> str:
    """Return the `Authorization` that carries the token, empty without one."""
    if not token:
        return ""
    return token if token[:6].lower() == "token " else f"Token {token}"


def may_see_credentials(index: str, endpoint: str, allowed: frozenset[str]) -> bool:
    """Say whether the endpoint at URL `endpoint` may get what the index at URL `index` gave or was given.

    `allowed` holds hosts, with or without a port, that the caller trusts; an IPv6 address stands in brackets.
    """
    scheme, host, _ = origin(index)
    there = origin(endpoint)
    if scheme == "https" and there[0] != "https":
        return False
    if there[1] == host or is_listed(there, allowed):
        return True
    return scheme == "https" and host == "index.docker.io" and _HUB.fullmatch(there[1]) is not None


def ping(headers: Headers) -> Ping:
    """Read a ping's headers. Without the header a registry counts as standalone, as it did for Docker."""
    said = (headers.first("x-docker-registry-standalone") or "true").strip().lower()
    return Ping(
        standalone=said not in {"false", "0"},
        mirror=said == "mirror",
        version=headers.first("x-docker-registry-version"),
    )


def layer_size(headers: Headers) -> int | None:
    """Return the layer's size in bytes that an image's JSON came with, None when it did not say."""
    text = (headers.first("x-docker-size") or "").strip()
    return int(text) if text.isascii() and text.isdigit() and len(text) < 16 else None


def payload_checksum(headers: Headers) -> str | None:
    """Return the payload checksum that an image's JSON came with; older servers had another name for it."""
    for name in ("x-docker-checksum-payload", "x-docker-payload-checksum"):
        value = (headers.first(name) or "").strip()
        if value.startswith("sha256:") and is_digest(value):
            return value
    return None
