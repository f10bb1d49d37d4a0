"""Who may read: Basic at the index, a token at the registry.

Rules:
* With credentials the index wants Basic. Without tokens the registry wants the same, as one behind a proxy does.
* A token names a repository, which must be the route's where the route has one; image routes take any token.
* Every token here says `access=read`, and that allows GET alone: HEAD is refused.
* The signature is this process's own, so that index and endpoints in one process believe each other. (The original
  asks its index about every token, and an index that is standalone believes any signature.)
* A token can be used again; it ends with the process.
"""

import hashlib
import hmac
import re
import secrets
from base64 import b32encode
from collections.abc import Callable

from starlette.requests import Request
from starlette.responses import Response

from dockless.faces.server.basic import CHALLENGE, Basic, same
from dockless.faces.server.v1_messages import UNCACHED, error, repository_of, wire_name

Endpoint = Callable[[Request], Response]

_KEY = secrets.token_bytes(32)
_FIELDS = re.compile(r'\b(signature|repository|access)[:=]"?([^",]+)')


class Access:
    """The guard of the routes; `tokens` and `credentials` as in `V1Options`."""

    def __init__(self, tokens: bool, credentials: tuple[str, str] | None) -> None:
        self._tokens = tokens
        self._basic = Basic(credentials)

    def index(self, endpoint: Endpoint) -> Endpoint:
        """Return `endpoint` behind what the index wants."""
        return _guarded(endpoint, self._basic.allows, CHALLENGE)

    def registry(self, endpoint: Endpoint) -> Endpoint:
        """Return `endpoint` behind what the registry wants."""
        return _guarded(endpoint, _has_token, "Token") if self._tokens else self.index(endpoint)


def token(repository: str) -> str:
    """Return the token to read `repository`, which is named as on the wire."""
    return f'Token signature={_signature(repository)},repository="{repository}",access=read'


def _guarded(endpoint: Endpoint, allows: Callable[[Request], bool], wanted: str) -> Endpoint:
    def guarded(request: Request) -> Response:
        if allows(request):
            return endpoint(request)
        return error("Requires authorization", 401, {**UNCACHED, "WWW-Authenticate": wanted})

    return guarded


def _has_token(request: Request) -> bool:
    """Say whether the request may read: first word `token`, in any case, and then fields wherever they stand."""
    value = request.headers.get("authorization", "")
    fields = dict(_FIELDS.findall(value))
    repository = fields.get("repository", "")
    return (
        request.method == "GET"
        and value.split(" ")[0].lower() == "token"
        and fields.get("access") == "read"
        and same(fields.get("signature", ""), _signature(repository))
        and ("repository" not in request.path_params or wire_name(repository_of(request)) == repository)
    )


def _signature(repository: str) -> str:
    """Return 16 letters and digits, as the original has them."""
    return b32encode(hmac.digest(_KEY, repository.encode(), hashlib.sha256)[:10]).decode("ascii")
