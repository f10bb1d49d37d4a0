"""A repository of a registry as a Store: reading is here, writing in the modules beside it.

Rules:
* A name is resolved by HEAD. Where that is refused, says no digest, size or type, or a digest other than the one that
  was asked for, the document is fetched and its digest computed. A header's digest is believed of a tag only, and
  whoever fetches the content by it compares.
* The `Content-Type` is the media type, without its parameters.
* The digest of a manifest of schema 1 leaves its signatures out; some registries sign each answer anew.
* Manifests are asked for among the manifests and blobs among the blobs, never the other way round.
* Nothing is asked twice: what was just said to be absent is pushed without another question, and the manifest that was
  pushed last gets its tags without being fetched.
"""

from collections.abc import Callable, Iterator, Sequence
from contextlib import closing
from typing import TYPE_CHECKING, TypeVar

from msgspec import structs

from dockless.model.descriptor import Descriptor
from dockless.model.digest import Digest, is_digest, parse_digest
from dockless.model.documents import LONGEST_DOCUMENT, parse_document
from dockless.model.errors import ChecksumMismatch, InvalidReference, NotFound
from dockless.model.events import Observer, ignore
from dockless.model.media_types import ACCEPT, DOCUMENTS, OCTETS, SCHEMA1
from dockless.model.printable import printable
from dockless.model.reference import is_tag
from dockless.model.registry_documents import document_type, essence, tag_list
from dockless.model.schema1 import signed_part
from dockless.net.response import Response
from dockless.net.session import OK, status_fault
from dockless.stores.base import Readable
from dockless.stores.registry import delete, manifests, push, referrers
from dockless.stores.registry.blob import BlobBody
from dockless.wire.auth import pull_scope
from dockless.wire.http import Request, content_length, origin, without_query
from dockless.wire.stream import BytesReader, DigestSum, Reader, Source, pump, read_document
from dockless.wire.v2 import routes

if TYPE_CHECKING:
    from dockless.stores.registry.client import RegistryClient

T = TypeVar("T")

_ACCEPT = ("Accept", ", ".join(ACCEPT))
_NO_HEAD = frozenset({400, 405, 501})  # a HEAD that is refused with these may be a GET that is not
_MOST_ABSENT = 1000
_DAMAGED = "The registry, or what is in front of it, answered with another document."


class Repository:
    """One repository: a Store, NamedFetcher, Mounter, Ingestor, TagLister, BlobFinder, Deleter and ReferrerLister.

    Methods raise what a registry's answers mean, with its own words and codes: NotFound, Unauthorized, Denied,
    RateLimited, RemoteFault; and NetworkFault.
    """

    def __init__(self, client: "RegistryClient", name: str, observe: Observer = ignore) -> None:
        self.client = client
        self.name = name
        self._observe = observe
        self._pull = pull_scope(name)
        self._absent: set[str] = set()  # paths of content, until it is pushed
        self._pushed: tuple[Digest, bytes] | None = None  # the last manifest

    def resolve(self, name: str) -> Descriptor:
        """Return what a tag or a digest names. Raises NotFound, InvalidReference, and what `fetch_named` does."""
        request = Request(routes.manifest(self.name, _checked(name)), (_ACCEPT,), method="HEAD")
        found = self._head(request, lambda response: _described(response, name))
        return found or self.fetch_named(name)[0]

    def fetch_named(self, name: str) -> tuple[Descriptor, bytes]:
        """Return what a tag or a digest names, and its bytes. Raises NotFound, ChecksumMismatch, InvalidDocument."""

        def read(response: Response) -> tuple[Descriptor, bytes]:
            what = without_query(response.request.url)
            raw = _document(response)
            media_type = document_type(response.headers.first("content-type"), raw, what)
            total = DigestSum.like(name) if is_digest(name) else DigestSum()
            total.update(memoryview(signed_part(raw) if media_type in SCHEMA1 else raw))
            if is_digest(name) and str(total) != name:
                raise ChecksumMismatch(f"{what} is not what was asked for: {total} came", hint=_DAMAGED)
            return Descriptor(media_type, Digest(str(total)), len(raw)), raw

        found, raw = self._ask(Request(routes.manifest(self.name, _checked(name)), (_ACCEPT,)), read)
        parse_document(found, raw)
        return found, raw

    def fetch(self, wanted: Descriptor, offset: int = 0) -> Reader:
        """Open content from `offset` (bytes), as it is stored. Raises NotFound."""
        if wanted.media_type not in DOCUMENTS:
            return BlobBody(self.client, self.name, wanted, offset).begin()
        request = Request(routes.manifest(self.name, wanted.digest), (_ACCEPT,))
        return BytesReader(self._ask(request, _document), offset)

    def exists(self, wanted: Descriptor) -> bool:
        """Say whether the content is here."""
        headers = (_ACCEPT,) if wanted.media_type in DOCUMENTS else ()
        path = routes.content(self.name, wanted)
        request = Request(path, headers, method="HEAD")
        try:
            return self._head(request, _found) or self._ask(structs.replace(request, method="GET"), _found)
        except NotFound:
            if len(self._absent) >= _MOST_ABSENT:
                self._absent.clear()
            self._absent.add(path)
            return False

    def find_blob(self, digest: Digest) -> Descriptor:
        """Return a blob's descriptor, its media type `application/octet-stream`. Raises NotFound."""
        request = Request(routes.blob(self.name, parse_digest(digest)), method="HEAD")
        size = self._head(request, _length)
        if size is None:
            size = self._ask(structs.replace(request, method="GET"), _counted)
        return Descriptor(OCTETS, digest, size)

    def _ask(self, request: Request, read: Callable[[Response], T], expect: frozenset[int] = OK) -> T:
        return self.client.ask(request, read, expect=expect, scope=self._pull)

    def _head(self, request: Request, read: Callable[[Response], T | None]) -> T | None:
        """Ask by HEAD; None where GET has to tell."""

        def reading(response: Response) -> T | None:
            with closing(response):
                # Storage that a HEAD was redirected to may want what is signed for a GET.
                if response.status == 403 and origin(response.request.url) == origin(self.client.url):
                    raise status_fault(response)
                return read(response) if response.status == 200 else None

        return self._ask(request, reading, OK | _NO_HEAD | {403})

    def predecessors(self, of: Descriptor, artifact_type: str = "") -> Iterator[Descriptor]:
        """Yield the manifests here that have `of` as their subject, of one artifact type if that is given."""
        return referrers.predecessors(self.client, self.name, of, artifact_type)

    def list_referrers(self, of: Descriptor, referrers: Sequence[Descriptor]) -> None:
        """Let manifests that are here, and have `of` as their subject, be listed. Raises NotFound, Conflict."""
        manifests.list_referrers(self.client, self.name, of, referrers)

    def tags(self, page: int = 0) -> Iterator[str]:
        """Yield the tags, each once, asking for at most `page` at a time; 0 leaves that to the registry."""
        return self.client.names(routes.tags(self.name, page), tag_list, is_tag, self._pull)

    def push(self, expected: Descriptor, source: Source) -> None:
        """Take content in, and verify it; content that is here already is a success."""
        path = routes.content(self.name, expected)
        if path not in self._absent and self.exists(expected):
            manifests.list_again(self.client, self.name, expected)
            return
        self._absent.discard(path)
        if expected.media_type not in DOCUMENTS:
            push.push_blob(self.client, self.name, expected, source, self._observe)
            return
        raw = read_document(expected, source)
        manifests.push_manifest(self.client, self.name, expected, raw)
        self._pushed = expected.digest, raw

    def ingest(self, media_type: str, reader: Reader) -> Descriptor:
        """Take in what `reader` gives, and return its descriptor. Closes nothing."""
        return push.ingest(self.client, self.name, media_type, reader)

    def mount(self, wanted: Descriptor, source: Readable) -> bool:
        """Take a blob from another repository of this registry; False when it is none, or the registry does not."""
        if not isinstance(source, Repository) or source.client.url != self.client.url or source.name == self.name:
            return False
        is_mounted = push.mount(self.client, self.name, wanted, source.name)
        if is_mounted:
            self._absent.discard(routes.content(self.name, wanted))
        return is_mounted

    def tag(self, target: Descriptor, name: str) -> None:
        """Let a tag name a manifest that is here. Raises NotFound, InvalidReference."""
        self.tag_all(target, [name])

    def tag_all(self, target: Descriptor, names: Sequence[str]) -> None:
        """Let tags name a manifest that is here, in as few trips as the registry lets. Raises as `tag`."""
        digest, raw = self._pushed or (None, None)
        known = raw if digest == target.digest else None
        manifests.tag(self.client, self.name, target, [_checked(name) for name in names], known)

    def delete(self, target: Descriptor) -> None:
        """Remove a manifest, and the tags that name it, or a blob. Raises NotFound, Unsupported."""
        self._pushed = None
        delete.delete(self.client, self.name, target)

    def untag(self, name: str) -> None:
        """Remove one tag and nothing else. Raises NotFound, Unsupported."""
        delete.untag(self.client, self.name, _checked(name))


def _checked(name: str) -> str:
    if not (is_tag(name) or is_digest(name)):
        raise InvalidReference(f"neither a tag nor a digest: {printable(name, 160)!r}")
    return name


def _described(response: Response, name: str) -> Descriptor | None:
    headers = response.headers
    media_type = essence(headers.first("content-type"))
    digest = (headers.first("docker-content-digest") or "").strip()
    size = content_length(headers)
    told = digest == name if is_digest(name) else is_digest(digest)
    return Descriptor(media_type, Digest(digest), size) if told and size and media_type in DOCUMENTS else None


def _document(response: Response) -> bytes:
    with closing(response):
        return response.read(LONGEST_DOCUMENT)


def _found(response: Response) -> bool:
    response.close()
    return True


def _length(response: Response) -> int | None:
    return content_length(response.headers)


def _counted(response: Response) -> int:
    with closing(response):
        length = content_length(response.headers)
        return pump(response) if length is None else length
