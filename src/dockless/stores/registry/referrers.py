"""Referrers in a registry: by its API, else under the fallback tag (distribution-spec, "Listing Referrers").

Rules:
* No API is 404, 400 or 405, and whatever 200 brings that is no index. Then the fallback tag is read, and kept up to
  date by whoever pushes or deletes.
* What the tag names may be something else: on GitLab `sha256-HEX` resolves to the subject itself. That lists nothing,
  is replaced when it is the subject, and never when it is not.
* There is no lock for the tag: what was written is read again, and written again if somebody else's write hid it. In
  one process writers of the same tag wait for each other.
"""

import random
import threading
from collections.abc import Callable, Iterator
from contextlib import closing
from typing import TYPE_CHECKING
from urllib.parse import urljoin
from weakref import WeakValueDictionary

from dockless.model.descriptor import Descriptor, describe
from dockless.model.digest import Digest
from dockless.model.documents import LONGEST_DOCUMENT, Index, parse_document
from dockless.model.errors import Conflict, InvalidDocument, NotFound, RemoteFault
from dockless.model.media_types import OCI_INDEX
from dockless.model.referrers import fallback_tag, with_referrer, without_referrer
from dockless.net.response import Response
from dockless.net.waiting import pause
from dockless.stores.registry.documents import parsed, pull_scope, put_document
from dockless.wire.http import Request, without_query
from dockless.wire.v2 import routes
from dockless.wire.v2.links import next_page

if TYPE_CHECKING:
    from dockless.stores.registry.client import RegistryClient

_MOST_PAGES = 1000
_MOST_WRITES = 8

_NO_API = frozenset({400, 404, 405})

_Edit = Callable[[Index | None], tuple[Descriptor, bytes] | None]


def predecessors(client: "RegistryClient", repository: str, of: Descriptor) -> Iterator[Descriptor]:
    """Yield the manifests that have `of` as their subject, each once. Raises what the registry answers."""
    seen: set[Digest] = set()
    for page in _pages(client, repository, of):
        for one in page.manifests:
            if one.digest not in seen:
                seen.add(one.digest)
                yield one


def has_api(client: "RegistryClient", repository: str, of: Descriptor) -> bool:
    """Say whether the registry lists referrers itself."""
    return _page(client, repository, routes.referrers(repository, of.digest)) is not None


def add(client: "RegistryClient", repository: str, subject: Descriptor, referrer: Descriptor) -> None:
    """List a referrer under the fallback tag of `subject`. Raises Conflict when that tag is somebody else's."""
    _edit(client, repository, subject, lambda index: with_referrer(index, referrer))


def remove(client: "RegistryClient", repository: str, subject: Descriptor, referrer: Digest) -> None:
    """List a referrer no longer under the fallback tag of `subject`; that it is not there is fine."""
    _edit(client, repository, subject, lambda index: without_referrer(index, referrer) if index else None)


def _pages(client: "RegistryClient", repository: str, of: Descriptor) -> Iterator[Index]:
    url = urljoin(client.url, routes.referrers(repository, of.digest))
    found = _page(client, repository, url)
    if found is None:
        try:
            index = _fallback(client, repository, of)
        except Conflict:
            return
        if index is not None:
            yield index
        return
    pages = {url}
    while True:
        index, following = found
        yield index
        if following is None:
            return
        if following in pages or len(pages) == _MOST_PAGES:
            raise RemoteFault(f"{without_query(url)}: the pages of referrers have no end")
        pages.add(following)
        found = _page(client, repository, following)
        if found is None:
            raise InvalidDocument(f"{without_query(url)}: a page of the referrers is no index")


def _page(client: "RegistryClient", repository: str, url: str) -> tuple[Index, str | None] | None:
    """Return a page of what the API lists, and where the next one is; None when there is no API."""

    def read(response: Response) -> tuple[Index, str | None] | None:
        with closing(response):
            if response.status in _NO_API:
                return None
            raw, place = response.read(LONGEST_DOCUMENT), response.request.url
        index = parsed(describe(raw, OCI_INDEX), raw)
        return (index, next_page(response.headers, place)) if isinstance(index, Index) else None

    request = Request(url, (("Accept", OCI_INDEX),))
    return client.ask(request, read, expect=_NO_API | {200}, scope=pull_scope(repository))


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
    tag = fallback_tag(subject.digest)
    with _lock(client.url, repository, tag):
        for write in range(_MOST_WRITES):
            if write > 1:  # twice hidden: there are others, who should not all come back at once
                pause(random.random() * 2 * client.session.settings.retry.first_pause)  # noqa: S311 - jitter
            changed = change(_fallback(client, repository, subject))
            if changed is None:
                return
            put_document(client, repository, tag, parsed(*changed))
    raise Conflict(
        f"the tag {tag} of {client.host}/{repository} did not keep what was written {_MOST_WRITES} times",
        hint="Others write it all the time; try again later.",
    )


_locks: WeakValueDictionary[tuple[str, str, str], threading.Lock] = WeakValueDictionary()
_locks_lock = threading.Lock()


def _lock(url: str, repository: str, tag: str) -> threading.Lock:
    with _locks_lock:
        return _locks.setdefault((url, repository, tag), threading.Lock())
