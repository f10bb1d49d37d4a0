"""A conversation with servers: redirects, cookies, statuses, and the one place that tries again.

Rules:
* At most ten redirects. What leaves the origin goes without `Authorization` and without cookies.
* Candidates are asked in turn and the first success wins; only when all have failed comes a pause and another round.
* JSON bodies are read up to 8 MiB, error bodies up to 64 KiB.
"""

import random
import time
from collections.abc import Callable, Sequence
from contextlib import closing
from typing import TypeVar

from msgspec import structs

from dockless.model.errors import (
    Denied,
    DocklessError,
    InvalidDocument,
    NetworkFault,
    NotFound,
    RateLimited,
    RemoteFault,
    Unauthorized,
    VerificationFailed,
)
from dockless.model.events import Observer, Retrying, ignore
from dockless.model.v1_documents import error_words
from dockless.net.http import Cookies, PooledTransport, Transport
from dockless.net.response import Response
from dockless.net.settings import Settings
from dockless.net.waiting import pause
from dockless.wire.http import MOST_REDIRECTS, REDIRECTS, Request, redirected, without_query
from dockless.wire.retry import pause_before_retry, retry_after

T = TypeVar("T")

LONGEST_JSON = 8 << 20
_LONGEST_ERROR = 64 << 10

OK = frozenset({200})


class Session:
    """One client of one or more servers. Safe to share between threads."""

    def __init__(self, settings: Settings, observe: Observer = ignore, transport: Transport | None = None) -> None:
        self.settings = settings
        self.cookies = Cookies()
        self.observe = observe
        self._transport = transport or PooledTransport(settings)

    def close(self) -> None:
        """Drop every connection."""
        self._transport.close()

    def first_of(
        self,
        candidates: Sequence[tuple[str, Request]],
        read: Callable[[Response], T],
        *,
        expect: frozenset[int] = OK,
    ) -> tuple[str, T]:
        """Ask the candidates, each with the name it has in messages, until one answers and `read` accepts the answer.

        Returns its name and what `read` returned. `read` closes the answer, or keeps it. Raises one error that lists
        every candidate with its own cause.
        """
        started = time.monotonic()
        tried = 0
        while True:
            faults: list[tuple[str, DocklessError]] = []
            for name, request in candidates:
                try:
                    return name, read(self.exchange(request, expect=expect))
                except _PLACE_FAULTS as fault:
                    faults.append((name, fault))
            tried += 1
            wait = pause_before_retry(
                self.settings.retry,
                [fault for _, fault in faults],
                tried=tried,
                elapsed=time.monotonic() - started,
                chance=random.random(),  # noqa: S311 - jitter
            )
            if wait is None:
                raise everywhere(faults)
            self.observe(Retrying("; ".join(str(fault) for _, fault in faults), wait))
            pause(wait)

    def exchange(self, request: Request, *, expect: frozenset[int] = OK) -> Response:
        """Send one request, follow its redirects and return the answer if its status is expected.

        Raises NetworkFault, or what the status means: NotFound, Unauthorized, Denied, RateLimited, RemoteFault.
        """
        for _ in range(MOST_REDIRECTS + 1):
            response = self._transport.send(self._with_cookies(request))
            if request.cookies:
                self.cookies.keep(response.headers, request.url)
            if response.status not in REDIRECTS or response.status in expect:
                break
            with closing(response):
                request = redirected(request, response.status, response.headers.first("location"))
        else:
            raise RemoteFault(f"{without_query(request.url)}: more than {MOST_REDIRECTS} redirects", status=310)
        if response.status in expect:
            return response
        with closing(response):
            raise _status_fault(response)

    def _with_cookies(self, request: Request) -> Request:
        cookies = self.cookies.matching(request.url) if request.cookies else []
        if not cookies:
            return request
        return structs.replace(request, headers=(*request.headers, ("Cookie", "; ".join(cookies))))


_PLACE_FAULTS = (NetworkFault, RemoteFault, NotFound, Unauthorized, Denied, InvalidDocument, VerificationFailed)


def read_json(response: Response) -> bytes:
    """Read a JSON body to its end and close the answer."""
    with closing(response):
        return response.read(LONGEST_JSON)


def everywhere(faults: Sequence[tuple[str, DocklessError]]) -> DocklessError:
    """Return one error for the faults of all candidates: the kind they share, or that the registry is unavailable."""
    if len(faults) == 1:
        return faults[0][1]
    kinds = {type(fault) for _, fault in faults}
    shared = kinds.pop() if len(kinds) == 1 else RemoteFault
    kind = shared if shared in {NotFound, Unauthorized, Denied, NetworkFault, InvalidDocument} else RemoteFault
    listed = "; ".join(str(fault) for _, fault in faults)
    hint = next((fault.hint for _, fault in faults if fault.hint), "")
    status = next((fault.status for _, fault in faults if fault.status is not None), None)
    return kind(f"none of {len(faults)} endpoints: {listed}", hint=hint, status=status, causes=tuple(faults))


def _status_fault(response: Response) -> DocklessError:
    try:
        words = error_words(response.read(_LONGEST_ERROR))
    except (NetworkFault, RemoteFault):
        words = ""  # the status tells enough
    status = response.status
    said = f" - {words}" if words else ""
    message = f"{response.request}: HTTP {status}{said}"
    if status == 404:
        return NotFound(message, status=status)
    if status == 401:
        return Unauthorized(message, status=status, hint="Give credentials with -u and --password-stdin.")
    if status == 403:
        return Denied(message, status=status, hint="These credentials are not enough for what was asked.")
    wait = retry_after(response.headers.first("retry-after"), time.time())
    hint = "" if wait is None else f"The registry asks for a pause of {wait:g} s."
    if status == 429:
        hint = hint or "The registry limits how often it is asked; try again later."
        return RateLimited(message, status=status, hint=hint, retry_after=wait)
    return RemoteFault(message, status=status, hint=hint, retry_after=wait)
