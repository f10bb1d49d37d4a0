"""Credentials, challenges and tokens: who may see what (RFC 9110, section 11; distribution's token authentication).

Rules:
* Several challenges may stand in one header, or in several headers. One that is not well formed is none.
* A token is asked for where the challenge's realm says, with one parameter for each scope. From an https registry no
  realm is followed to http, and from elsewhere none to this machine or to a link-local address.
* The credential goes to the realm only when that has the registry's own origin, when the two are known to belong
  together, or when the caller trusts the realm's host (CVE-2026-48978 and its kin). When it may not, and there is one,
  no token is asked for: what an anonymous one shows is not what was meant.
* A token is text that can stand in a header. It is good for 60 s at least, and if nothing is said for just these; the
  clocks of others do not count, and a 401 is the truth in any case.
"""

import re
from base64 import b64encode
from collections.abc import Iterable, Sequence
from urllib.parse import urlencode, urlsplit, urlunsplit

import msgspec

from dockless.model.errors import InvalidDocument, InvalidReference, Unauthorized
from dockless.model.printable import printable
from dockless.model.v1_documents import decode
from dockless.wire.http import Headers, Request, is_listed, is_near, origin, without_query

_KNOWN = {  # registries, and the hosts of the token services that are theirs
    "registry-1.docker.io": "auth.docker.io",
    "registry.gitlab.com": "gitlab.com",
}

_LONGEST_CHALLENGE = 8 << 10
_SHORTEST_LIFE = 60.0  # seconds
_LONGEST_LIFE = 86400.0

_WORD = r"[!#$%&'*+.^_`|~0-9A-Za-z-]+"
_QUOTED = r'"(?P<quoted>(?:[\t !#-\[\]-~\u0080-\uffff]|\\[\t -~])*)"'
_ITEM = (  # possessive, so that a hostile header is read in one pass; compiled when first used, as that takes 3 ms
    rf"[ \t]*+(?:(?P<scheme>{_WORD})(?: ++|(?=[ \t]*+(?:,|\Z))))?"
    rf"(?:(?P<name>{_WORD})[ \t]*+=[ \t]*+(?:(?P<plain>{_WORD})|{_QUOTED})|(?P<token68>[A-Za-z0-9._~+/-]+=*+))?"
    r"[ \t]*+(?:,|\Z)"
)
_TOKEN = re.compile(r"[\x21-\x7e]{1,32768}")


class Credential(msgspec.Struct, frozen=True):
    """A user's name and password. `__repr__` hides both."""

    username: str
    password: str

    def __repr__(self) -> str:
        return "Credential(hidden)"

    def __rich_repr__(self) -> list[tuple[str, object]]:
        return [("", "hidden")]

    @property
    def basic(self) -> str:
        """The value of an `Authorization` header (RFC 7617)."""
        pair = f"{self.username}:{self.password}".encode(errors="surrogatepass")  # bytes of argv that are no UTF-8
        return "Basic " + b64encode(pair).decode("ascii")


class Challenge(msgspec.Struct, frozen=True):
    """What a server wants: its scheme in lower case, and the parameters that came with it."""

    scheme: str
    parameters: dict[str, str]


def challenges(headers: Headers) -> tuple[Challenge, ...]:
    """Return the challenges of a 401, in order; a header that is not well formed holds none."""
    return tuple(one for value in headers.all("www-authenticate") for one in _read(value))


def _read(value: str) -> list[Challenge]:
    found: list[Challenge] = []
    position = 0
    items = re.compile(_ITEM)
    while position < len(value) <= _LONGEST_CHALLENGE:
        item = items.match(value, position)
        if item is None:
            return []
        position = item.end()
        if item["scheme"]:
            found.append(Challenge(item["scheme"].lower(), {}))
        if item["name"]:
            name = item["name"].lower()
            if not found or name in found[-1].parameters:
                return []
            quoted = item["quoted"]
            found[-1].parameters[name] = item["plain"] if quoted is None else re.sub(r"\\(.)", r"\1", quoted)
        elif item["token68"] and not item["scheme"]:
            return []
    return found


def chosen(offered: Iterable[Challenge], credential: Credential | None) -> Challenge | None:
    """Return the challenge to answer: Bearer before Basic, Basic only with a credential; None for none of them."""
    by_scheme = {one.scheme: one for one in reversed(list(offered))}
    return by_scheme.get("bearer") or (by_scheme.get("basic") if credential else None)


def pull_scope(repository: str) -> str:
    """Return the scope of reading from a repository."""
    return f"repository:{repository}:pull"


def push_scope(repository: str) -> str:
    """Return the scope of writing into a repository."""
    return f"repository:{repository}:pull,push"


def wanted_scopes(stated: str, ours: str) -> tuple[str, ...]:
    """Return the scopes to ask for, at spaces in both: the stated ones first, all actions on a resource in one."""
    actions: dict[str, dict[str, None]] = {}
    for scope in f"{stated} {ours}".split():
        resource, _, wanted = scope.rpartition(":")
        actions.setdefault(resource, {}).update(dict.fromkeys(wanted.split(",")))
    return tuple(f"{resource}:{','.join(wanted)}" for resource, wanted in actions.items())


def token_request(
    registry: str,
    challenge: Challenge,
    scopes: Sequence[str],
    credential: Credential | None,
    trusted: frozenset[str] = frozenset(),
) -> Request:
    """Return the request for a token. `registry` is a URL; `trusted` holds hosts that may see the credential.

    Raises Unauthorized when the realm is no place to ask, or none for the credential.
    """
    realm = challenge.parameters.get("realm", "")
    try:
        there, own = origin(realm), origin(registry)
    except InvalidReference as error:
        raise _refused(registry, "names a token service that is not a URL") from error
    parts = urlsplit(realm)
    place = without_query(realm)
    if parts.username is not None or parts.fragment:
        raise _refused(registry, f"names a token service with more than a URL's place: {place}")
    if own[0] == "https" != there[0]:
        raise _refused(registry, f"names a token service without TLS: {place}")
    if is_near(there[1]) and not is_near(own[1]):
        raise _refused(registry, f"names a token service on this machine or network link: {place}")
    if credential and not _may_see_credential(own, there, trusted):
        raise Unauthorized(
            f"{without_query(registry)} names a token service elsewhere, which gets no credentials: {place}",
            hint=f"If {parts.netloc} is the registry's own, name it with --trust-endpoint; or ask without credentials.",
        )
    service = challenge.parameters.get("service")
    asked = [*([("service", service)] if service else []), *(("scope", scope) for scope in scopes)]
    query = "&".join(filter(None, (parts.query, urlencode(asked))))
    headers = (("Authorization", credential.basic),) if credential else ()
    return Request(urlunsplit(parts._replace(query=query)), headers, cookies=False)


def _may_see_credential(own: tuple[str, str, int], there: tuple[str, str, int], trusted: frozenset[str]) -> bool:
    is_known = there == ("https", _KNOWN.get(own[1]), 443)
    return there == own or is_known or is_listed(there, trusted)


def _refused(registry: str, problem: str) -> Unauthorized:
    return Unauthorized(f"{without_query(registry)} {problem}", hint="The fault is the registry's: tell who runs it.")


class Token(msgspec.Struct, frozen=True):
    """A token, and how many seconds it is good for. `__repr__` hides it."""

    text: str
    life: float

    def __repr__(self) -> str:
        return "Token(hidden)"

    def __rich_repr__(self) -> list[tuple[str, object]]:
        return [("", "hidden")]

    @property
    def bearer(self) -> str:
        """The value of an `Authorization` header (RFC 6750)."""
        return f"Bearer {self.text}"


class _TokenAnswer(msgspec.Struct):
    token: str | None = None
    access_token: str | None = None
    expires_in: float | None = None


def token_of(raw: bytes, what: str) -> Token:
    """Read a token service's answer; `what` names it. Raises InvalidDocument."""
    answer = decode(raw, _TokenAnswer, what)
    text = answer.token or answer.access_token or ""
    if _TOKEN.fullmatch(text) is None:
        raise InvalidDocument(f"{printable(what)} holds no token that can stand in a header")
    return Token(text, min(max(answer.expires_in or 0.0, _SHORTEST_LIFE), _LONGEST_LIFE))
