"""Requests and answers as values.

Header names are kept as they came and compared in lower case; a name may stand more than once.
"""

import re
from collections.abc import Iterable
from ipaddress import ip_address
from urllib.parse import SplitResult, urljoin, urlsplit

import msgspec
from msgspec import structs

from dockless.model.errors import InvalidReference, RemoteFault
from dockless.model.printable import is_printable, printable
from dockless.model.reference import is_registry
from dockless.wire.stream import BytesReader, Source

MOST_REDIRECTS = 10
REDIRECTS = frozenset({301, 302, 303, 307, 308})

_DEFAULT_PORTS = {"http": 80, "https": 443}
_NOT_IN_URLS = re.compile(r"[\\\s]")
_SECRETS = frozenset({"authorization", "cookie", "proxy-authorization"})
_WARNING = re.compile(r'299 - "((?:[^"\\]|\\.){1,4096})"(?:\s+"[^"]*")?\s*(?:,\s*|\Z)')


class Headers:
    """Headers of an answer, in order."""

    __slots__ = ("_pairs",)

    def __init__(self, pairs: Iterable[tuple[str, str]] = ()) -> None:
        self._pairs = tuple((name.lower(), value) for name, value in pairs)

    def all(self, name: str) -> list[str]:
        """Return every value under `name`."""
        return [value for key, value in self._pairs if key == name.lower()]

    def first(self, name: str) -> str | None:
        """Return the first value under `name`."""
        return next(iter(self.all(name)), None)


class Body(msgspec.Struct, frozen=True):
    """What a request carries: `size` bytes of a source, which is opened anew whenever the request is repeated."""

    size: int
    source: Source


def body_of(content: bytes | memoryview) -> Body:
    """Return bytes that are here as a body."""
    return Body(len(content), lambda offset: BytesReader(content, offset))


class Request(msgspec.Struct, frozen=True):
    """What is asked; `cookies`: whether those of its host may travel with it.

    `__repr__` hides what may be secret: headers and query.
    """

    url: str
    headers: tuple[tuple[str, str], ...] = ()
    cookies: bool = True
    method: str = "GET"
    body: Body | None = None

    def __repr__(self) -> str:
        return f"Request({self.method} {without_query(self.url)!r})"

    def __str__(self) -> str:
        return f"{self.method} {without_query(self.url)}"

    def __rich_repr__(self) -> list[tuple[str, object]]:
        return [("url", without_query(self.url))]


def parse_url(url: str) -> SplitResult:
    """Split an absolute http(s) URL. Raises InvalidReference, without the URL's text: it may hold a password."""
    try:
        parts = urlsplit(url)
    except ValueError:
        parts = urlsplit("")
    host = parts.netloc.rpartition("@")[2]
    # One who reads a backslash or a space differently from the client that sends would mistake the host.
    if (
        parts.scheme not in _DEFAULT_PORTS
        or not is_registry(host.removesuffix(":"))
        or _NOT_IN_URLS.search(url)
        or not is_printable(url)
    ):
        raise InvalidReference("not an http or https URL", hint="A registry's URL looks like https://HOST[:PORT].")
    return parts


def origin(url: str) -> tuple[str, str, int]:
    """Return scheme, host and port: what has to be the same for a credential to travel (RFC 6454, section 4)."""
    parts = parse_url(url)
    return parts.scheme, (parts.hostname or "").rstrip("."), parts.port or _DEFAULT_PORTS[parts.scheme]


def without_query(url: str) -> str:
    """Return the URL for a message: without query, fragment and user, which may hold secrets."""
    try:
        parts = urlsplit(url)
    except ValueError:
        return "an unreadable URL"
    return printable(f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}{parts.path}", 300)


def content_length(headers: Headers) -> int | None:
    """Return the length of the body in bytes, None when the answer does not say."""
    text = headers.first("content-length") or ""
    return int(text) if text.isascii() and text.isdigit() and len(text) < 16 else None


def is_listed(place: tuple[str, str, int], hosts: frozenset[str]) -> bool:
    """Say whether an origin's host is one of `hosts`, with or without a port; an IPv6 address stands in brackets."""
    _, host, port = place
    written = f"[{host}]" if ":" in host else host
    return not {written, f"{written}:{port}"}.isdisjoint(one.lower() for one in hosts)


def is_near(host: str) -> bool:
    """Say whether `host`, as it is written, is this machine or its link, where no server elsewhere should send us."""
    if host == "localhost" or host.endswith(".localhost"):
        return True
    try:
        address = ip_address(host)
    except ValueError:
        return False
    address = getattr(address, "ipv4_mapped", None) or address
    return address.is_loopback or address.is_link_local or address.is_unspecified


def warnings(headers: Headers) -> list[str]:
    """Return the texts of `Warning` headers that are meant for people, printable (distribution-spec, "Warnings")."""
    found: list[str] = []
    for value in headers.all("warning"):
        position = 0
        while warning := _WARNING.match(value, position):
            found.append(printable(re.sub(r"\\(.)", r"\1", warning[1]), 500))
            position = warning.end()
    return found


def redirected(request: Request, status: int, location: str | None) -> Request:
    """Return the request that follows a redirect.

    Another scheme, host or port gets no `Authorization` and no cookie; `Range` stays. Refused is what leads from https
    to http, or from elsewhere to this machine or a link-local address; and for what is no mere question every redirect
    but 307 and 308, which keep method and body (RFC 9110, 15.4). Raises RemoteFault.
    """
    here = without_query(request.url)
    if request.method not in {"GET", "HEAD"} and status not in {307, 308}:
        raise RemoteFault(f"{request}: HTTP {status}, a redirect that would drop what is sent", status=status)
    try:
        target = urljoin(request.url, location or "")
        there = origin(target)
    except (ValueError, InvalidReference) as error:
        raise RemoteFault(f"{here} redirects to something that is not a URL", status=status) from error
    if not location:
        raise RemoteFault(f"{here} redirects to nowhere", status=status)
    if there[0] == "http" and origin(request.url)[0] == "https":
        raise RemoteFault(f"{here} redirects from https to http, which is refused", status=status)
    if is_near(there[1]) and not is_near(origin(request.url)[1]):
        raise RemoteFault(f"{here} redirects to {there[1]}, which is near here and refused", status=status)
    if there == origin(request.url):
        return structs.replace(request, url=target)
    public = tuple(pair for pair in request.headers if pair[0].lower() not in _SECRETS)
    return structs.replace(request, url=target, headers=public, cookies=False)
