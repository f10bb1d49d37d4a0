"""Lists of v2: tags, repositories, referrers (distribution-spec, "Listing Tags", "Listing Referrers").

Rules:
* In order of their bytes, on pages: `n` and `last` choose, and a Link leads on while there is more. A page never has
  more than 10,000 entries, or referrers that take up more than a manifest may.
* A layout's names can be any text; those that cannot be asked for here are not listed.
* Of a repository that is not there the referrers are an empty list, not 404: that would send clients to the tag schema.
"""

import re
from collections.abc import Mapping, Sequence
from urllib.parse import urlencode

import msgspec
from starlette.requests import Request
from starlette.responses import Response

from dockless.faces.server.v2_messages import Refused, digest_in, json_answer, opened, repository_of
from dockless.model.descriptor import Descriptor
from dockless.model.errors import InvalidReference, NotFound
from dockless.model.media_types import OCI_INDEX
from dockless.model.reference import is_tag
from dockless.stores.base import Repositories
from dockless.wire.v2 import routes

_MOST = 10_000
_MOST_BYTES = 3 << 20  # of referrers; clients take an index of 4 MiB
_NUMBER = re.compile(r"[0-9]{1,18}")


class Lists:
    """What there is in `repositories`."""

    def __init__(self, repositories: Repositories) -> None:
        self._repositories = repositories

    def tags(self, request: Request) -> Response:
        """A repository's tags."""
        name, store = repository_of(request), opened(self._repositories, request)
        page, link = _page(sorted(filter(is_tag, store.tags())), request, routes.tags(name))
        return json_answer({"name": name, "tags": page}, headers=link)

    def catalog(self, request: Request) -> Response:
        """The repositories."""
        page, link = _page(list(self._repositories.names()), request, routes.catalog())
        return json_answer({"repositories": page}, headers=link)

    def referrers(self, request: Request) -> Response:
        """The manifests whose subject is this one, of one artifact type if that is asked for."""
        subject = digest_in(request.path_params["digest"])
        name = repository_of(request)
        try:
            store = self._repositories.open(name)
            every = {one.digest: one for one in store.predecessors(Descriptor(OCI_INDEX, subject, 0))}
        except (NotFound, InvalidReference):
            every = {}
        kind = request.query_params.get("artifactType", "")
        last = request.query_params.get("last", "")
        found = [one for digest, one in sorted(every.items()) if digest > last and kind in {"", one.artifact_type}]
        page = _within(found, _MOST_BYTES)
        headers = {"OCI-Filters-Applied": "artifactType"} if kind else {}
        if len(page) < len(found):
            query = {**({"artifactType": kind} if kind else {}), "last": page[-1].digest}
            headers |= _link(routes.referrers(name, subject), query)
        index = {"schemaVersion": 2, "mediaType": OCI_INDEX, "manifests": page}
        return json_answer(index, OCI_INDEX, headers=headers)


def _page(names: Sequence[str], request: Request, path: str) -> tuple[list[str], dict[str, str]]:
    """Return the names that were asked for, and the headers that lead to the rest. Raises Refused."""
    asked, last = request.query_params.get("n", str(_MOST)), request.query_params.get("last", "")
    if _NUMBER.fullmatch(asked) is None:
        raise Refused("UNSUPPORTED", "n is how many, in digits", status=400)
    count = min(int(asked), _MOST)
    found = [name for name in names if name > last]
    page = found[:count]
    return page, _link(path, {"n": str(count), "last": page[-1]}) if page and len(page) < len(found) else {}


def _link(path: str, query: Mapping[str, str]) -> dict[str, str]:
    return {"Link": f'<{path}?{urlencode(query)}>; rel="next"'}


def _within(found: Sequence[Descriptor], most: int) -> list[Descriptor]:
    """Return the first of them, as many as take up `most` bytes, but one at least."""
    page: list[Descriptor] = []
    for one in found[:_MOST]:
        most -= len(msgspec.json.encode(one))
        if page and most < 0:
            break
        page.append(one)
    return page
