"""What the routes of v1 have in common: the repository that a request names, and how answers are written.

Rules:
* JSON is Python's: `", "` and `": "`, keys sorted, ASCII.
* What may change is never cached; an image never changes, so it may be kept for a year.
* A repository without a namespace is in `library`. Where the server itself names one (token, search), what follows the
  namespace is one quoted word: `a/b/c` is `a/b%2Fc`.
"""

import json
import time
from collections.abc import Mapping
from email.utils import formatdate
from types import MappingProxyType
from urllib.parse import quote_plus

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response

UNCACHED: Mapping[str, str] = MappingProxyType({"Cache-Control": "no-cache", "Expires": "-1", "Pragma": "no-cache"})

_YEAR = 365 * 24 * 3600


def cached() -> dict[str, str]:
    """Return the headers that an image comes with."""
    return {
        "Cache-Control": f"public, max-age={_YEAR}",
        "Expires": formatdate(time.time() + _YEAR, usegmt=True),
        "Last-Modified": formatdate(0, usegmt=True),
    }


def answer(value: object, status: int = 200, headers: Mapping[str, str] = UNCACHED) -> Response:
    """Return `value` as JSON, with `headers`, which say whether it may be cached."""
    return Response(json.dumps(value, sort_keys=True), status, headers, "application/json")


def error(words: str, status: int, headers: Mapping[str, str] = UNCACHED) -> Response:
    """Return an error of the application, as opposed to one of the framework, which is a page."""
    return answer({"error": words}, status, headers)


def repository_of(request: Request) -> str:
    """Return the repository in the path, as stores name it. Raises HTTPException (404) where the path names none."""
    path: str = request.path_params["repository"]
    name = path.rstrip("/")
    if not name or name.startswith("/"):
        raise HTTPException(404)
    return name if "/" in name else f"library/{name}"


def wire_name(repository: str) -> str:
    """Return a repository's name as the server writes it."""
    namespace, _, name = repository.partition("/")
    return f"{namespace}/{quote_plus(name)}"
