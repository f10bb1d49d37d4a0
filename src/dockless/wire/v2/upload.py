"""The upload of one blob, as a conversation (OCI distribution-spec, "Pushing Blobs").

Rules:
* In one piece unless the registry refuses the size: POST, then PUT; what is small goes with the POST, and one that
  answers 202 to that wants the PUT all the same.
* In pieces otherwise: PATCH after PATCH, each where the newest Location says, and an empty PUT. All but the last have
  at least `OCI-Chunk-Min-Length` bytes. A piece that was accepted counts in full: what `Range` says then is often
  wrong (ECR repeats the first, Zot says too little, Aliyun counts within the piece; ECR accepts with 201).
* 413 makes the pieces smaller, and so does 416 when the registry stands where the piece began (GHCR, over 4 MiB).
* Nothing is sent into a session again before it was asked what it has. An answer that cannot be, one byte or none, or a
  session that is gone: a new session. `0-0` is said of one byte as of none.
* After a PUT that may have arrived comes a HEAD: the blob may be there.
* A Location is resolved against what was asked, keeps its query, and never leads from https to http or from a public
  registry to an address of a private network. Another origin is allowed, it may be signed storage; it gets no cookies.
"""

import re
from enum import Enum, auto
from ipaddress import ip_address
from urllib.parse import quote, urldefrag, urljoin, urlsplit, urlunsplit

import msgspec

from dockless.model.digest import Digest
from dockless.model.errors import InvalidReference, RemoteFault
from dockless.wire.http import Headers, Request, origin, without_query
from dockless.wire.v2 import routes

CHUNK = 5 << 20  # bytes of a piece, unless the registry wants it otherwise; ECR takes no less
_SMALLEST_CHUNK = 256 << 10
SMALL = 16 << 10  # bytes that are sent on suspicion

_RANGE = re.compile(r"(?:bytes[ =])?0-([0-9]{1,18})")
_OCTETS = ("Content-Type", "application/octet-stream")


class Kind(Enum):
    """What a request of an upload is for."""

    SINGLE = auto()  # begin, and send all
    BEGIN = auto()
    PIECE = auto()
    CLOSE = auto()  # send the rest, and name the digest
    ASK = auto()  # what does the session have?
    LOOK = auto()  # is the blob there?


_EXPECTED = {
    Kind.SINGLE: frozenset({201, 202}),
    Kind.BEGIN: frozenset({202}),
    Kind.PIECE: frozenset({201, 202, 204}),
    Kind.CLOSE: frozenset({201, 204}),
    Kind.ASK: frozenset({200, 202, 204, 400, 404, 405, 410, 416, 501}),
    Kind.LOOK: frozenset({200, 400, 403, 404, 405, 501}),  # 403: from storage that wants what is signed for a GET
}


class Step(msgspec.Struct, frozen=True):
    """One request, and the bytes of the blob that it carries: from `first` up to, not including, `last`."""

    kind: Kind
    request: Request
    first: int = 0
    last: int = 0

    @property
    def carries(self) -> bool:
        """Whether it has a body; that of an empty blob is one."""
        sends = self.kind in {Kind.SINGLE, Kind.PIECE, Kind.CLOSE}
        return sends and (self.first < self.last or self.last == 0)

    @property
    def expect(self) -> frozenset[int]:
        """The statuses that are answers; `Upload.answered` wants these, `Upload.failed` the others."""
        return _EXPECTED[self.kind]


class Upload:
    """One blob's way into a repository of the registry at the URL `registry`. `chunk`: in pieces from the beginning.

    `offset` is how many bytes the registry has for certain, `done` whether it has the blob. `gains` grows whenever it
    got on or will go on in another way: what comes then is no mere repetition.
    """

    def __init__(self, registry: str, repository: str, chunk: int | None = None) -> None:
        self.offset = 0
        self.done = False
        self.gains = 0
        self._registry = registry
        self._repository = repository
        self._chunk = chunk
        self._least = 0
        self._most = 0
        self._location: str | None = None
        self._single = True
        self._sent = 0  # bytes that the session may have
        self._unsure = False
        self._interrupted = False
        self._perhaps_done = False
        self._refused: Step | None = None

    @property
    def chunk(self) -> int:
        """How many bytes a piece has that is not the last."""
        return max(self._chunk or CHUNK, self._least)

    def next(self, end: int, digest: Digest | None) -> Step:
        """Return what to send when the bytes up to `end` are at hand; `digest` once these are all."""
        if digest is not None and self._perhaps_done:
            return Step(Kind.LOOK, Request(routes.blob(self._repository, digest), method="HEAD"))
        if self._location is None:
            return self._begin(end, digest)
        if self._unsure:
            return Step(Kind.ASK, self._request("GET", self._location))
        first, last = self.offset, end if self._chunk is None else min(end, self.offset + self.chunk)
        if digest is not None and (first == end or (first == 0 and last == end)):
            url = _with_digest(self._location, digest)
            return Step(Kind.CLOSE, self._request("PUT", url, _OCTETS), first, last)
        content_range = ("Content-Range", f"{first}-{last - 1}")
        return Step(Kind.PIECE, self._request("PATCH", self._location, _OCTETS, content_range), first, last)

    def cancel(self) -> Request | None:
        """Return what gives the session up, None when there is none."""
        return None if self._location is None else self._request("DELETE", self._location)

    def answered(self, step: Step, url: str, status: int, headers: Headers) -> None:
        """Learn from an expected answer; `url` is where it came from. Raises RemoteFault."""
        if step.kind is Kind.LOOK:
            self._perhaps_done = False
            self.done = status == 200
        elif step.kind is Kind.CLOSE or (step.kind is Kind.SINGLE and status == 201):
            self.done = True
        elif step.kind is Kind.ASK:
            self._learn(url, status, headers)
        else:
            self._go_on_at(url, headers)
            self._confirm(step.last if step.kind is Kind.PIECE else 0)
            self._single = False

    def failed(self, step: Step, status: int | None, transient: bool) -> bool:
        """Learn that no expected answer came; say whether there is a way on. `transient`: asking again may help."""
        if step.kind in {Kind.LOOK, Kind.ASK, Kind.BEGIN}:
            return transient
        self._perhaps_done = step.kind is not Kind.PIECE and (transient or status in {404, 416})
        if step.kind is Kind.SINGLE:
            self._single = False
            self.gains += not transient
            return True
        self._sent = step.last
        if status == 413 or (status == 416 and step.first == 0):
            self._unsure = True
            return self._shrink(step)
        if transient or status == 416:
            self._unsure = self._interrupted = True
            self._refused = step if status == 416 else None
            return True
        if status != 404 and not self._interrupted:
            return False
        self._forget()
        return True

    def _begin(self, end: int, digest: Digest | None) -> Step:
        if digest is not None and self._single and end <= SMALL:
            url = routes.uploads(self._repository, digest=digest)
            return Step(Kind.SINGLE, Request(url, (_OCTETS,), method="POST"), 0, end)
        algorithm = (digest or "sha256").partition(":")[0]
        other = {} if algorithm == "sha256" else {"digest-algorithm": algorithm}
        return Step(Kind.BEGIN, Request(routes.uploads(self._repository, **other), method="POST"))

    def _learn(self, url: str, status: int, headers: Headers) -> None:
        refused, self._refused = self._refused, None
        self._unsure = False
        found = _RANGE.fullmatch((headers.first("range") or "").strip()) if status < 300 else None
        last = int(found[1]) if found else 0
        if not last or not self.offset <= last + 1 <= self._sent:
            self._forget()
            return
        self._go_on_at(url, headers)
        self._confirm(last + 1)
        if refused is not None and refused.first == self.offset:
            self._shrink(refused)

    def _confirm(self, offset: int) -> None:
        self.offset = offset
        if offset > self._most:
            self._most = offset
            self.gains += 1

    def _shrink(self, refused: Step) -> bool:
        size = refused.last - refused.first
        if size <= max(self._least, _SMALLEST_CHUNK):
            return False
        self._chunk = max(min(CHUNK, size // 2), _SMALLEST_CHUNK)
        self.gains += 1
        return True

    def _forget(self) -> None:
        self._location = None
        self._unsure = self._interrupted = False
        self.offset = self._sent = 0

    def _go_on_at(self, url: str, headers: Headers) -> None:
        location = headers.first("location")
        if location is not None:
            self._location = _resolved(self._registry, url, location)
        elif self._location is None:
            raise RemoteFault(f"{without_query(url)}: the registry does not say where to upload to")
        least = headers.first("oci-chunk-min-length") or ""
        if least.isascii() and least.isdigit():
            self._least = int(least[:18])

    def _request(self, method: str, url: str, *headers: tuple[str, str]) -> Request:
        return Request(url, headers, cookies=origin(url) == origin(self._registry), method=method)


def _with_digest(url: str, digest: Digest) -> str:
    joint = "?" if "?" not in url else "" if url[-1] in "?&" else "&"
    return f"{url}{joint}digest={quote(digest, safe='')}"


def _resolved(registry: str, url: str, location: str) -> str:
    """Return the upload location as an absolute URL. Raises RemoteFault when one must not go there."""
    here = without_query(url)
    try:
        target = urldefrag(urljoin(url, location)).url
        there, own = origin(target), origin(registry)
    except (ValueError, InvalidReference) as error:
        raise RemoteFault(f"{here} names an upload location that is not a URL") from error
    if there[0] == "http" and own[0] == "https":
        if there[1] != own[1]:
            raise RemoteFault(f"{here} sends the upload from https to http, which is refused")
        # A registry behind a proxy that ends TLS often does not know about it.
        target = urlunsplit(urlsplit(target)._replace(scheme="https", netloc=urlsplit(registry).netloc))
    elif _is_private(there[1]) and not _is_private(own[1]):
        raise RemoteFault(f"{here} sends the upload to {there[1]}, an address of a private network, which is refused")
    return target


def _is_private(host: str) -> bool:
    try:
        return not ip_address(host).is_global
    except ValueError:
        return host == "localhost" or host.endswith(".localhost")
