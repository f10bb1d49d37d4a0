"""Referrers in a registry: by its API, else under the fallback tag (distribution-spec, "Listing Referrers").

Rules:
* No API is 404, 400 or 405, and whatever 200 brings that is no index. Then the fallback tag is read, and kept up to
  date by whoever pushes or deletes.
* What the tag names may be something else: on GitLab `sha256-HEX` resolves to the subject itself. That lists nothing,
  is replaced when it is the subject, and never when it is not.
* An artifact type is asked for at the API, and filtered by here unless the answer says that it was
  (`OCI-Filters-Applied`); nobody filters what is under the fallback tag.
* There is no lock for the tag. Who wrote waits, twice as long as that took or longer, until those who had read before
  will have written, too; then it reads again, and writes again what they hid. What is hidden later than that is lost:
  by one who took longer from reading to writing, or who read what such a one wrote. In one process writers of the same
  tag come one after the other.
* What was deleted by who does not know of the list stands in it. Where the registry refuses the list for that, it goes.
"""

import random
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing
from typing import TYPE_CHECKING
from urllib.parse import urljoin
from weakref import WeakValueDictionary

from dockless.model.descriptor import Descriptor, describe
from dockless.model.digest import Digest
from dockless.model.documents import LONGEST_DOCUMENT, Document, Index, parse_document
from dockless.model.errors import Conflict, InvalidDocument, NotFound, RemoteFault
from dockless.model.media_types import OCI_INDEX
from dockless.model.referrers import fallback_tag, with_referrer, without_referrers
from dockless.net.response import Response
from dockless.net.waiting import pause
from dockless.stores.registry.documents import parsed, put_document
from dockless.wire.auth import pull_scope
from dockless.wire.http import Request, without_query
from dockless.wire.v2 import routes
from dockless.wire.v2.links import next_page

if TYPE_CHECKING:
    from dockless.stores.registry.client import RegistryClient

_MOST_PAGES = 1000
_MOST_REFERRERS = 20_000
_MOST_WRITES = 8

_NO_API = frozenset({400, 404, 405})
_UNKNOWN = frozenset({"MANIFEST_BLOB_UNKNOWN", "BLOB_UNKNOWN", "MANIFEST_UNKNOWN"})

_Edit = Callable[[Index | None], tuple[Descriptor, bytes] | None]


def predecessors(
    client: "RegistryClient", repository: str, of: Descriptor, artifact_type: str = ""
) -> Iterator[Descriptor]:
    """Yield the manifests that have `of` as their subject, each once; of one artifact type if that is given.

    Raises what the registry answers.
    """
    seen: set[Digest] = set()
    for page in _pages(client, repository, of, artifact_type):
        for one in page:
            if one.digest not in seen:
                seen.add(one.digest)
                yield one
        if len(seen) > _MOST_REFERRERS:
            raise InvalidDocument(f"{client.host}/{repository}: the list of referrers of {of.digest} has no end")


def has_api(client: "RegistryClient", repository: str, of: Descriptor) -> bool:
    """Say whether the registry lists referrers itself."""
    return _page(client, repository, routes.referrers(repository, of.digest)) is not None


def add(client: "RegistryClient", repository: str, subject: Descriptor, referrer: Descriptor) -> None:
    """List a referrer under the fallback tag of `subject`. Raises Conflict when that tag is somebody else's."""
    _edit(client, repository, subject, lambda index: with_referrer(index, referrer))


def remove(client: "RegistryClient", repository: str, subject: Descriptor, referrer: Digest) -> None:
    """List a referrer no longer under the fallback tag of `subject`; that it is not there is fine."""
    _edit(client, repository, subject, lambda index: without_referrers(index, {referrer}) if index else None)


def _pages(
    client: "RegistryClient", repository: str, of: Descriptor, artifact_type: str
) -> Iterator[Sequence[Descriptor]]:
    url = urljoin(client.url, routes.referrers(repository, of.digest, artifact_type))
    found = _page(client, repository, url, artifact_type)
    if found is None:
        try:
            index = _fallback(client, repository, of)
        except Conflict:
            return
        if index is not None:
            yield _filtered(index, artifact_type)
        return
    pages = {url}
    while True:
        page, following = found
        yield page
        if following is None:
            return
        if following in pages or len(pages) == _MOST_PAGES:
            raise RemoteFault(f"{without_query(url)}: the pages of referrers have no end")
        pages.add(following)
        found = _page(client, repository, following, artifact_type)
        if found is None:
            raise InvalidDocument(f"{without_query(url)}: a page of the referrers is no index")


def _page(
    client: "RegistryClient", repository: str, url: str, artifact_type: str = ""
) -> tuple[Sequence[Descriptor], str | None] | None:
    """Return a page of what the API lists, and where the next one is; None when there is no API."""

    def read(response: Response) -> tuple[Sequence[Descriptor], str | None] | None:
        with closing(response):
            if response.status in _NO_API:
                return None
            raw, place = response.read(LONGEST_DOCUMENT), response.request.url
        index = parsed(describe(raw, OCI_INDEX), raw)
        if not isinstance(index, Index):
            return None
        applied = ",".join(response.headers.all("oci-filters-applied")).replace(" ", "").split(",")
        page = index.manifests if "artifactType" in applied else _filtered(index, artifact_type)
        return page, next_page(response.headers, place)

    request = Request(url, (("Accept", OCI_INDEX),))
    return client.ask(request, read, expect=_NO_API | {200}, scope=pull_scope(repository))


def _filtered(index: Index, artifact_type: str) -> Sequence[Descriptor]:
    return [one for one in index.manifests if artifact_type in {"", one.artifact_type}]


def _fallback(client: "RegistryClient", repository: str, subject: Descriptor) -> Index | None:
    """Return the index under the fallback tag, None when there is none yet. Raises Conflict for anything else."""
    tag = fallback_tag(subject.digest)
    try:
        found = parse_document(*client.repository(repository).fetch_named(tag))
    except NotFound:
        return None
    except InvalidDocument as fault:
        raise Conflict(f"the tag {tag} of {client.host}/{repository} is no list of referrers: {fault}") from fault
    if found.descriptor.digest == subject.digest:
        return None
    if not isinstance(found, Index):
        raise Conflict(f"the tag {tag} of {client.host}/{repository} is no list of referrers, and stays")
    return found


def _edit(client: "RegistryClient", repository: str, subject: Descriptor, change: _Edit) -> None:
    """Change what the fallback tag lists until `change` finds nothing more to do."""
    tag, policy = fallback_tag(subject.digest), client.session.settings.retry
    lock = _lock(client.url, repository, tag)
    for write in range(1, _MOST_WRITES + 1):
        with lock:
            began = time.monotonic()
            changed = change(_fallback(client, repository, subject))
            if changed is None:
                return
            _put(client, repository, tag, parsed(*changed))
            took = time.monotonic() - began
        wait = max(policy.first_pause, 2 * took) * write * (1 + random.random())  # noqa: S311 - jitter
        pause(min(wait, policy.longest_pause))
    raise Conflict(
        f"the tag {tag} of {client.host}/{repository} did not keep what was written {_MOST_WRITES} times",
        hint="Others write it all the time; try again later.",
    )


def _put(client: "RegistryClient", repository: str, tag: str, index: Document) -> None:
    try:
        put_document(client, repository, tag, index)
    except (NotFound, RemoteFault) as fault:
        if not isinstance(index, Index) or _UNKNOWN.isdisjoint(fault.codes):
            raise
        store = client.repository(repository)
        gone = {one.digest for one in index.manifests if not store.exists(one)}
        less = without_referrers(index, gone)
        if less is None:
            raise
        put_document(client, repository, tag, parsed(*less))


_locks: WeakValueDictionary[tuple[str, str, str], threading.Lock] = WeakValueDictionary()
_locks_lock = threading.Lock()


def _lock(url: str, repository: str, tag: str) -> threading.Lock:
    with _locks_lock:
        return _locks.setdefault((url, repository, tag), threading.Lock())
