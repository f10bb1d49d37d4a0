"""The endpoints of a v1 registry: each request goes to them in turn, and the first success wins.

Rules:
* The endpoint that last answered well is asked first, so that a dead one costs its timeout once.
* The credential differs between endpoints: who may see one is decided in `wire.v1.conversation`.
"""

from collections.abc import Callable
from typing import TypeVar

from dockless.net.response import Response
from dockless.net.session import OK, Session, read_json
from dockless.wire.http import Request, without_query

T = TypeVar("T")


class Endpoints:
    """Base URLs, in the order the index gave them, each with the `Authorization` it gets (empty: none, nor cookies)."""

    def __init__(self, session: Session, authorizations: tuple[tuple[str, str | None], ...]) -> None:
        self.session = session
        self._authorizations = authorizations
        self._first = 0

    def urls(self, path: str) -> list[str]:
        """Return one URL for each endpoint, in the index's order."""
        return [base + path for base, _ in self._authorizations]

    def rotate(self) -> None:
        """Begin with the next endpoint: the one that is first did not do well."""
        self._first = (self._first + 1) % len(self._authorizations)

    def requests(self, path: str, headers: tuple[tuple[str, str], ...] = ()) -> list[tuple[str, Request]]:
        """Return a request for each endpoint, the preferred one first, each with the endpoint's base URL."""
        order = self._authorizations[self._first :] + self._authorizations[: self._first]
        return [(base, _request(base + path, authorization, headers)) for base, authorization in order]

    def first_of(
        self, candidates: list[tuple[str, Request]], read: Callable[[Response], T], expect: frozenset[int] = OK
    ) -> T:
        """Ask as `Session.first_of` does, and remember who answered."""
        base, answer = self.session.first_of(candidates, read, expect=expect)
        self._first = [base for base, _ in self._authorizations].index(base)
        return answer

    def json(self, path: str, parse: Callable[[bytes, Response, str], T]) -> T:
        """Ask for a JSON document; `parse(body, answer, what)` turns it into what is wanted, or sends to the next."""

        def read(response: Response) -> T:
            return parse(read_json(response), response, without_query(response.request.url))

        return self.first_of(self.requests(path), read)


def _request(url: str, authorization: str | None, headers: tuple[tuple[str, str], ...]) -> Request:
    if authorization is None:
        return Request(url, headers, cookies=False)
    return Request(url, (*headers, ("Authorization", authorization)) if authorization else headers)
