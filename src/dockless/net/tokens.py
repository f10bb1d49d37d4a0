"""What goes into `Authorization`, for one registry: Basic, or a token for each scope, kept until it expires.

Rules:
* Nothing is sent before the registry asks for it; what it asked for once is then sent at once.
* One request for a token, however many threads wait for it. What it failed with, they all get.
* A token that was refused is not sent again; it may have been replaced meanwhile.
* A token's life counts from its arrival, by this machine's own clock, and ends a tenth early.
* Asking a token service is one try: whoever asked the registry tries again, and this with it.
"""

import threading
import time
from collections.abc import Callable
from contextlib import closing

from dockless.model.errors import Cancelled, DocklessError, NotFound, RemoteFault, Unauthorized
from dockless.net.session import Session
from dockless.net.waiting import wait_for
from dockless.wire.auth import Challenge, Credential, Token, chosen, token_of, token_request, wanted_scopes
from dockless.wire.http import without_query

_LONGEST_ANSWER = 1 << 20


class _Flight:
    """A request for a token under way, and what it failed with."""

    def __init__(self) -> None:
        self.done = threading.Event()
        self.error: BaseException | None = None


class Authorizer:
    """Says what to send to the registry at a URL. Safe to share between threads."""

    def __init__(
        self,
        session: Session,
        registry: str,
        credential: Credential | None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._session = session
        self._registry = registry
        self._credential = credential
        self._clock = clock
        self._challenge: Challenge | None = None
        self._tokens: dict[str, tuple[str, float]] = {}
        self._flights: dict[str, _Flight] = {}
        self._lock = threading.Lock()

    def authorization(self, scope: str) -> str:
        """Return what to send for a scope (several at spaces); empty while the registry has asked for nothing.

        Raises Unauthorized, and what asking for a token does.
        """
        challenge = self._challenge
        return self._answer(challenge, scope) if challenge else ""

    def renewed(self, offered: tuple[Challenge, ...], scope: str, refused: str) -> str:
        """Return what to send after `refused` (perhaps nothing) was answered with challenges; empty: there is nothing.

        Raises as `authorization` does.
        """
        challenge = chosen(offered, self._credential)
        if challenge is None:
            return ""
        self._challenge = challenge
        answer = self._answer(challenge, scope, challenge.parameters.get("scope", ""), refused)
        return "" if answer == refused else answer

    def _answer(self, challenge: Challenge, scope: str, stated: str = "", refused: str = "") -> str:
        if challenge.scheme == "basic":
            return self._credential.basic if self._credential else ""
        while True:
            with self._lock:
                bearer, until = self._tokens.get(scope, ("", 0.0))
                if bearer not in {"", refused} and self._clock() < until:
                    return bearer
                flight = self._flights.get(scope)
                if flight is None:
                    mine = self._flights[scope] = _Flight()
                    break
            wait_for(flight.done)
            if isinstance(flight.error, DocklessError) and not isinstance(flight.error, Cancelled):
                raise flight.error
        try:
            token = self._fetch(challenge, wanted_scopes(stated, scope))
        except BaseException as error:
            mine.error = error
            raise
        else:
            with self._lock:
                self._tokens[scope] = token.bearer, self._clock() + token.life * 0.9
            return token.bearer
        finally:
            with self._lock:
                del self._flights[scope]
            mine.done.set()

    def _fetch(self, challenge: Challenge, scopes: tuple[str, ...]) -> Token:
        trusted = self._session.settings.trusted_endpoints
        request = token_request(self._registry, challenge, scopes, self._credential, trusted)
        place = without_query(request.url)
        try:
            with closing(self._session.exchange(request, stay=True)) as response:
                return token_of(response.read(_LONGEST_ANSWER), f"the answer of the token service {place}")
        except NotFound as fault:  # not what was asked of the registry
            raise RemoteFault(f"no token: {fault}", status=fault.status) from fault
        except Unauthorized as fault:
            raise Unauthorized(f"no token: {fault}", status=fault.status, hint=fault.hint) from fault
