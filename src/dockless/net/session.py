"""A conversation with servers: redirects, cookies, statuses, and the one place that tries again.

Rules:
* At most ten redirects. What leaves the origin goes without `Authorization` and without cookies.
* Candidates are asked in turn and the first success wins; only when all have failed comes a pause and another round.
* JSON bodies are read up to 8 MiB, error bodies up to 64 KiB.
* What may go on after a fault counts its tries since the last progress (`Tries`), not since the beginning.
* What a server warns of is told once. A pause that it asks for with a 429 is kept by all who ask it.
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
from dockless.model.events import Notice, Observer, Retrying, ignore
from dockless.model.printable import printable
from dockless.model.registry_documents import registry_errors
from dockless.model.v1_documents import error_words
from dockless.net.http import Cookies, PooledTransport, Transport
from dockless.net.response import Response
from dockless.net.settings import Settings
from dockless.net.waiting import pause
from dockless.wire.http import MOST_REDIRECTS, REDIRECTS, Request, origin, redirected, warnings, without_query
from dockless.wire.retry import is_transient, pause_before_retry, retry_after

T = TypeVar("T")

LONGEST_JSON = 8 << 20
_LONGEST_ERROR = 64 << 10
_MOST_WARNINGS = 100

OK = frozenset({200})


class Session:
    """One client of one or more servers. Safe to share between threads."""

    def __init__(self, settings: Settings, observe: Observer = ignore, transport: Transport | None = None) -> None:
        self.settings = settings
        self.cookies = Cookies()
        self.observe = observe
        self._warned: set[str] = set()
        self._resting: dict[tuple[str, str, int], float] = {}  # until when no request goes there
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
        exchange: Callable[[Request], Response] | None = None,
        repeat: bool = True,
    ) -> tuple[str, T]:
        """Ask the candidates, each with the name it has in messages, until one answers and `read` accepts the answer.

        Returns its name and what `read` returned. `read` closes the answer, or keeps it. `exchange` is what sends, by
        default `self.exchange`; without `repeat` there is one round. Raises one error that lists every candidate with
        its own cause.
        """
        send = exchange or (lambda request: self.exchange(request, expect=expect))
        started = time.monotonic()
        tried = 0
        while True:
            faults: list[tuple[str, DocklessError]] = []
            for name, request in candidates:
                try:
                    return name, read(send(request))
                except _PLACE_FAULTS as fault:
                    if fault.hint == InvalidDocument.usual_hint:
                        fault.hint = _NO_REGISTRY
                    faults.append((name, fault))
            tried += 1
            wait = pause_before_retry(
                self.settings.retry,
                [fault for _, fault in faults],
                tried=tried,
                elapsed=time.monotonic() - started,
                chance=random.random(),  # noqa: S311 - jitter
            )
            if wait is None or not repeat:
                raise everywhere(faults)
            self.observe(Retrying("; ".join(str(fault) for _, fault in faults), wait))
            pause(wait)

    def exchange(self, request: Request, *, expect: frozenset[int] = OK, stay: bool = False) -> Response:
        """Send one request, follow its redirects and return the answer if its status is expected.

        `stay`: to no other origin. Raises NetworkFault, or what the status means: NotFound, Unauthorized, Denied,
        RateLimited, RemoteFault.
        """
        for _ in range(MOST_REDIRECTS + 1):
            pause(self._resting.get(origin(request.url), 0.0) - time.monotonic())
            response = self._transport.send(self._with_cookies(request))
            if request.cookies:
                self.cookies.keep(response.headers, request.url)
            self._warn(response)
            if response.status not in REDIRECTS or response.status in expect:
                break
            with closing(response):
                following = redirected(request, response.status, response.headers.first("location"))
            if stay and origin(following.url) != origin(request.url):
                raise RemoteFault(f"{request} redirects to elsewhere, which is not followed", status=response.status)
            request = following
        else:
            raise RemoteFault(f"{without_query(request.url)}: more than {MOST_REDIRECTS} redirects", status=310)
        if response.status in expect:
            return response
        with closing(response):
            fault = status_fault(response)
        wait = fault.retry_after if isinstance(fault, RateLimited) else None
        if wait is not None and wait <= self.settings.retry.longest_wait:
            self._resting[origin(response.request.url)] = time.monotonic() + wait
        raise fault

    def _warn(self, response: Response) -> None:
        host = origin(response.request.url)[1]
        for text in warnings(response.headers):
            if len(self._warned) < _MOST_WARNINGS and text not in self._warned:
                self._warned.add(text)
                self.observe(Notice(f"{host} warns: {text}"))

    def _with_cookies(self, request: Request) -> Request:
        cookies = self.cookies.matching(request.url) if request.cookies else []
        if not cookies:
            return request
        return structs.replace(request, headers=(*request.headers, ("Cookie", "; ".join(cookies))))


class Tries:
    """Counts how often something was tried since it last got on."""

    def __init__(self, session: Session) -> None:
        self._session = session
        self._tried = 0

    def anew(self) -> None:
        """Count from the beginning."""
        self._tried = 0

    def after(self, fault: DocklessError, where: str = "") -> None:
        """Wait until another try is due, and tell of it with `where` it failed. Raises `fault` after the last one."""
        self._tried += 1
        policy = self._session.settings.retry
        wait = policy.first_pause if self._tried < policy.attempts else None
        if is_transient(fault):
            chance = random.random()  # noqa: S311 - jitter
            # No time has passed: a blob that was on its way for an hour is no reason to give up.
            wait = pause_before_retry(policy, [fault], tried=self._tried, elapsed=0.0, chance=chance)
        if wait is None:
            raise fault
        self._session.observe(Retrying(f"{fault}{where}", wait))
        pause(wait)


_WHO = (
    "Give credentials, or others: -u and --password-stdin; for a copy --from-username or --to-username. "
    "Many registries say so of what is not there, too."
)
_NO_REGISTRY = "Is this a registry, and not a page in front of one? `dockless ping` tells."
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


def status_fault(response: Response) -> DocklessError:
    """Read an answer and return what its status means, with the server's own words."""
    try:
        body = response.read(_LONGEST_ERROR)
    except (NetworkFault, RemoteFault):
        body = b""  # the status tells enough
    errors = registry_errors(body)
    fault = _status_fault(response, "; ".join(map(str, errors)) or error_words(body))
    fault.codes = tuple(printable(error.code, 100) for error in errors if error.code)
    return fault


def _status_fault(response: Response, words: str) -> DocklessError:
    status = response.status
    said = f" - {words}" if words else ""
    message = f"{response.request}: HTTP {status}{said}"
    if status == 404:
        return NotFound(message, status=status)
    if status == 401:
        return Unauthorized(message, status=status, hint=_WHO)
    if status == 403:
        return Denied(message, status=status, hint="These credentials are not enough for what was asked.")
    wait = retry_after(response.headers.first("retry-after"), time.time())
    hint = "" if wait is None else f"The registry asks for a pause of {wait:g} s."
    if status == 405:
        hint = "The registry does not do this; it may be there to be read only."
    if status == 429:
        hint = hint or "The registry limits how often it is asked; try again later."
        return RateLimited(message, status=status, hint=hint, retry_after=wait)
    return RemoteFault(message, status=status, hint=hint, retry_after=wait)
