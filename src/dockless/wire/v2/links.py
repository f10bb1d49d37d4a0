"""The `Link` of a page of a list: where the next one is (RFC 8288; distribution-spec, "Listing Tags").

Rules:
* The target is taken as it is, relative ones against the page's own URL: what it holds is the registry's affair.
* It stays at the page's origin, and leads to no page that was seen.
* Quay once sent it without the angle brackets.
"""

import re
from urllib.parse import urljoin

from dockless.model.errors import InvalidReference, RemoteFault
from dockless.wire.http import Headers, origin, without_query

_LINK = re.compile(
    r"\s*(?:<(?P<target>[^<>]*)>|(?P<bare>[^<>;,\s]+))"
    r'(?P<parameters>(?:\s*;\s*[\w!#$&+.^`|~*-]+(?:\s*=\s*(?:"(?:[^"\\]|\\.)*"|[^";,\s]+))?)*)\s*(?:,|\Z)'
)
_NEXT = re.compile(r';\s*rel\s*=\s*(?:"(?:[^"]*\s)?next(?:\s[^"]*)?"|next(?=[\s;]|\Z))', re.IGNORECASE)


def next_page(headers: Headers, page: str) -> str | None:
    """Return the URL of the page after the one at URL `page`, None when that is the last.

    Raises RemoteFault when the link leads to another origin, or is none.
    """
    for value in headers.all("link"):
        target = _next(value)
        if target is not None:
            return _resolved(page, target)
    return None


def _next(value: str) -> str | None:
    position = 0
    while position < len(value):
        link = _LINK.match(value, position)
        if link is None:
            return None
        if _NEXT.search(link["parameters"]):
            return link["target"] if link["bare"] is None else link["bare"]
        position = link.end()
    return None


def _resolved(page: str, target: str) -> str:
    here = without_query(page)
    try:
        url = urljoin(page, target)
        there = origin(url)
    except (ValueError, InvalidReference) as error:
        raise RemoteFault(f"{here} links to a next page that is not a URL") from error
    if there != origin(page):
        raise RemoteFault(f"{here} links to a next page elsewhere, which is not followed: {without_query(url)}")
    return url
