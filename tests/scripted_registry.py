"""A scripted peer that plays a v2 registry, and one that plays a token service in front of it."""

import json
from collections.abc import Callable
from dataclasses import replace

from dockless.model.descriptor import Descriptor
from dockless.net.session import Session
from dockless.net.settings import Settings
from dockless.stores.registry.client import RegistryClient
from dockless.stores.registry.repository import Repository
from dockless.testing.peer import Peer, Received, Reply, json_reply
from dockless.wire.auth import Credential
from tests.scripted import QUICK

Guard = Callable[[Received], Reply]

NAME = "a/b"
ANN = Credential("ann", "secret")


def repository(
    peer: Peer, credential: Credential | None = None, settings: Settings = QUICK, session: Session | None = None
) -> Repository:
    """Return NAME at the peer; whoever uses it closes `client.session`."""
    return RegistryClient(session or Session(settings), peer.url, credential).repository(NAME)


def manifest(peer: Peer, name: str, descriptor: Descriptor, raw: bytes) -> None:
    """Let `name` be a manifest at the peer, right in every way."""
    reply = Reply(
        body=raw, headers=(("Content-Type", descriptor.media_type), ("Docker-Content-Digest", descriptor.digest))
    )
    for method in ("GET", "HEAD"):
        peer.on(manifest_path(name), reply, method=method)


def manifest_path(name: str) -> str:
    """Return the path of a manifest of NAME."""
    return f"/v2/{NAME}/manifests/{name}"


def blob_path(wanted: Descriptor) -> str:
    """Return the path of a blob of NAME."""
    return f"/v2/{NAME}/blobs/{wanted.digest}"


def refusal(status: int, code: str, message: str) -> Reply:
    """Return an error as a registry words it."""
    return json_reply({"errors": [{"code": code, "message": message, "detail": {}}]}, status)


class TokenService(Peer):
    """A token service, and what the peers that trust it ask for.

    Each token is good for `uses` requests; `given` holds those that were handed out, in order.
    """

    def __init__(self, uses: int = 1_000_000, words: Callable[[str], object] | None = None) -> None:
        self.uses = uses
        self.given: list[str] = []
        self.service = "registry & friends"
        self._words = words or (lambda token: {"token": token, "expires_in": 300})
        self._left: dict[str, int] = {}
        super().__init__()
        self.on("/token", self._give)

    def guard(self, reply: Reply, *, realm: str = "", scope: str = f"repository:{NAME}:pull", more: str = "") -> Guard:
        """Return `reply` for who brings a token, and a challenge for who does not."""
        challenge = f'Bearer realm="{realm or self.url + "/token"}",service="{self.service}",scope="{scope}"{more}'

        def answer(request: Received) -> Reply:
            token = (request.header("authorization") or "").removeprefix("Bearer ")
            if self._left.get(token, 0) > 0:
                self._left[token] -= 1
                return reply
            refused = refusal(401, "UNAUTHORIZED", "authentication required")
            return replace(refused, headers=(*refused.headers, ("WWW-Authenticate", challenge)))

        return answer

    def _give(self, request: Received) -> Reply:
        token = f"token-{len(self.given) + 1}"
        self.given.append(token)
        self._left[token] = self.uses
        return Reply(body=json.dumps(self._words(token)).encode())
