"""Basic credentials, the same for every protocol."""

import hmac

from starlette.requests import Request

from dockless.wire.auth import Credential

CHALLENGE = 'Basic realm="registry"'


class Basic:
    """Wants `credentials`, a name and a password; None wants nothing."""

    def __init__(self, credentials: tuple[str, str] | None) -> None:
        self._wanted = Credential(*credentials).basic if credentials else None

    def allows(self, request: Request) -> bool:
        """Say whether the request carries what is wanted."""
        scheme, _, value = request.headers.get("authorization", "").partition(" ")
        return self._wanted is None or same(f"{scheme.capitalize()} {value}", self._wanted)


def same(given: str, right: str) -> bool:
    """Compare secrets, in a time that does not tell how much was right."""
    return hmac.compare_digest(given.encode(), right.encode())
