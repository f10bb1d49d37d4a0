"""One registry of v2, which its repositories and threads share: asks it, with authorization.

Rules:
* What is sent to another origin, by redirect or by an upload's location, carries no authorization, and a challenge from
  there is not answered.
* A challenge of the registry's own is answered once; the body's source is then opened anew.
* The tries of a request are counted in `Session.first_of`, those of its token with them.
* A list stays at the registry's origin, and has an end: no page twice, at most 10,000 of them and 200,000 names.
"""

from collections.abc import Callable, Iterator
from contextlib import closing
from typing import TypeVar
from urllib.parse import urljoin

import msgspec
from msgspec import structs

from dockless.model.errors import InvalidDocument, InvalidReference, NotFound, RemoteFault, Unsupported
from dockless.model.events import Notice, Observer, ignore
from dockless.model.printable import printable
from dockless.model.reference import is_docker_hub, is_repository
from dockless.model.registry_documents import catalog_list, essence
from dockless.net.response import Response
from dockless.net.session import OK, Session, read_json, status_fault
from dockless.net.tokens import Authorizer
from dockless.stores.registry.repository import Repository
from dockless.wire.auth import Credential, challenges
from dockless.wire.http import Request, origin, parse_url, without_query
from dockless.wire.v2 import routes
from dockless.wire.v2.links import next_page

T = TypeVar("T")

_HUB = "registry-1.docker.io"
_MOST_PAGES = 10_000
_MOST_NAMES = 200_000


class Ping(msgspec.Struct, frozen=True):
    """How a v2 registry presents itself: the schemes by which it wants to be asked, none when it is open to all."""

    schemes: tuple[str, ...] = ()


class RegistryClient:
    """A registry at `url` (`scheme://host[:port]`), asked with `credential` if it wants one. `host` is `host[:port]`.

    Docker Hub is asked where it has its registry. Raises InvalidReference for what is not such a URL.
    """

    def __init__(self, session: Session, url: str, credential: Credential | None = None) -> None:
        parts = parse_url(url)
        host = parts.netloc.rpartition("@")[2]
        self.session = session
        self.host = _HUB if is_docker_hub(host) else host
        self.url = f"{parts.scheme}://{self.host}"
        self._authorizer = Authorizer(session, self.url, credential)

    def ask(
        self,
        request: Request,
        read: Callable[[Response], T],
        *,
        expect: frozenset[int] = OK,
        scope: str,
        repeat: bool = True,
    ) -> T:
        """Send a request and return what `read` makes of the answer, which it closes or keeps.

        The request's URL may be a path. `scope` is what a token is for, `repository:NAME:pull` say, several at spaces.
        Without `repeat` it is sent once, and once more after a challenge. Errors carry the registry's words and codes.
        """
        request = structs.replace(request, url=urljoin(self.url, request.url))

        def exchange(asked: Request) -> Response:
            return self._exchange(asked, expect, scope)

        return self.session.first_of([(self.url, request)], read, expect=expect, exchange=exchange, repeat=repeat)[1]

    def _exchange(self, request: Request, expect: frozenset[int], scope: str) -> Response:
        if not self._is_here(request.url):
            return self.session.exchange(request, expect=expect)
        sent = self._authorizer.authorization(scope)
        response = self.session.exchange(_with(request, sent), expect=expect | {401})
        if response.status != 401:
            return response
        with closing(response):
            fault = status_fault(response)
        offered = challenges(response.headers) if self._is_here(response.request.url) else ()
        renewed = self._authorizer.renewed(offered, scope, sent)
        if not renewed:
            raise fault
        return self.session.exchange(_with(request, renewed), expect=expect)

    def _is_here(self, url: str) -> bool:
        return origin(url) == origin(self.url)

    def ping(self) -> Ping:
        """Ask whether this is a registry of v2. Raises NotFound when it is none."""

        def read(response: Response) -> Ping:
            with closing(response):
                if response.status == 200 and essence(response.headers.first("content-type")) == "text/html":
                    raise NotFound(f"{self.url} answers with a web page, and speaks no v2", status=200)
                if response.status in {404, 405}:
                    fault = status_fault(response)
                    raise NotFound(f"{self.url} speaks no v2: {fault}", status=response.status)
                return Ping(tuple(dict.fromkeys(one.scheme for one in challenges(response.headers))))

        request = Request(self.url + routes.BASE)
        answers = frozenset({200, 401, 404, 405})
        return self.session.first_of([(self.url, request)], read, expect=answers)[1]

    def catalog(self) -> Iterator[str]:
        """Yield the repositories, each once. Raises Unsupported when the registry does not list them."""
        try:
            yield from self.names(routes.catalog(), catalog_list, is_repository, "registry:catalog:*")
        except NotFound as fault:
            raise Unsupported(
                f"{self.url} does not list its repositories: {fault}",
                status=fault.status,
                hint="Many registries have no catalog; `dockless tags` lists the tags of a repository.",
            ) from fault

    def names(
        self, path: str, parse: Callable[[bytes, str], list[str]], is_name: Callable[[str], bool], scope: str
    ) -> Iterator[str]:
        """Yield the names of a list, page by page, each once; that some cannot be names, and are left out, is told."""

        def read(response: Response) -> tuple[list[str], str | None]:
            what = f"the list from {without_query(response.request.url)}"
            return parse(read_json(response), what), next_page(response.headers, response.request.url)

        seen: set[str] = set()
        pages = {url := self.url + path}
        while True:
            page, following = self.ask(Request(url), read, scope=scope)
            left_out = 0
            for name in page:
                if len(seen) >= _MOST_NAMES:
                    raise InvalidDocument(f"{without_query(url)}: a list of more than {_MOST_NAMES} names has no end")
                if name not in seen:
                    seen.add(name)
                    if is_name(name):
                        yield name
                    else:
                        left_out += 1
            if left_out:
                self.session.observe(Notice(f"{self.host} lists {left_out} that cannot be names: left out"))
            if following is None:
                return
            if following in pages:
                raise RemoteFault(f"{without_query(url)}: the pages go in a circle")
            if len(pages) == _MOST_PAGES:
                raise InvalidDocument(f"{without_query(url)}: a list of more than {_MOST_PAGES} pages has no end")
            pages.add(url := following)

    def repository(self, name: str, observe: Observer = ignore) -> Repository:
        """Return a repository; nothing is asked yet. Raises InvalidReference."""
        if not is_repository(name):
            raise InvalidReference(f"not a repository name: {printable(name, 200)!r}", hint="Names look like a/b/c.")
        return Repository(self, name, observe)


def _with(request: Request, authorization: str) -> Request:
    if not authorization:
        return request
    return structs.replace(request, headers=(*request.headers, ("Authorization", authorization)))
