"""Tokens and Basic, as a registry and its token service ask for them."""

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from urllib.parse import parse_qs

import pytest
from msgspec import structs

from dockless.model.descriptor import describe
from dockless.model.documents import make_document
from dockless.model.errors import Denied, DocklessError, InvalidDocument, NetworkFault, RemoteFault, Unauthorized
from dockless.model.events import Event
from dockless.model.media_types import OCI_INDEX, OCI_LAYER
from dockless.net.session import Session
from dockless.net.settings import Settings
from dockless.net.tokens import Authorizer
from dockless.stores.registry.repository import Repository
from dockless.testing.contract import got
from dockless.testing.peer import Peer, Received, Reply, json_reply, redirect
from dockless.wire.auth import Challenge, Credential
from dockless.wire.http import Request, body_of
from tests.scripted import QUICK
from tests.scripted_registry import (
    ANN,
    NAME,
    TokenService,
    blob_path,
    manifest_path,
    refusal,
    repository,
)
from tests.tls import Authority

INDEX, RAW = make_document({"schemaVersion": 2, "mediaType": OCI_INDEX, "manifests": []})
RIGHT = Reply(body=RAW, headers=(("Content-Type", OCI_INDEX), ("Docker-Content-Digest", INDEX.digest)))
PULL = f"repository:{NAME}:pull"
TRUSTING = structs.replace(QUICK, trusted_endpoints=frozenset({"127.0.0.1"}))


@pytest.fixture(name="peer")
def scripted() -> Iterator[Peer]:
    with Peer() as peer:
        yield peer


@pytest.fixture(name="service")
def serving() -> Iterator[TokenService]:
    with TokenService() as service:
        yield service


Open = Callable[..., Repository]


@pytest.fixture(name="there")
def opening(peer: Peer) -> Iterator[Open]:
    sessions: list[Session] = []

    def there(credential: Credential | None = None, settings: Settings = QUICK) -> Repository:
        sessions.append(Session(settings))
        return repository(peer, credential, session=sessions[-1])

    yield there
    for session in sessions:
        session.close()


def sent(peer: Peer) -> list[str | None]:
    return [request.header("authorization") for request in peer.requests]


class TestBearer:
    def test_nothing_is_sent_until_it_is_asked_for_and_then_at_once(
        self, there: Open, peer: Peer, service: TokenService
    ) -> None:
        peer.on(manifest_path("1"), service.guard(RIGHT))
        repository = there()
        for _ in range(3):
            assert repository.fetch_named("1") == (INDEX, RAW)
        assert sent(peer) == [None, *["Bearer token-1"] * 3]
        assert [request.target for request in service.requests] == [
            "/token?service=registry+%26+friends&scope=repository%3Aa%2Fb%3Apull"
        ]
        assert sent(service) == [None]

    def test_head_is_answered_too(self, there: Open, peer: Peer, service: TokenService) -> None:
        peer.on(manifest_path("1"), service.guard(RIGHT), method="HEAD")
        assert there().resolve("1") == INDEX

    def test_access_token_is_a_token(self, there: Open, peer: Peer) -> None:
        with TokenService(words=lambda token: {"access_token": token}) as service:
            peer.on(manifest_path("1"), service.guard(RIGHT))
            assert there().fetch_named("1")[0] == INDEX

    def test_each_scope_has_a_token_and_a_parameter(self, there: Open, peer: Peer, service: TokenService) -> None:
        peer.on("/v2/x", service.guard(Reply(body=b"{}")))
        client = there().client
        for scope in (PULL, f"{PULL},push repository:c:pull", PULL):
            client.ask(Request("/v2/x"), lambda response: response.close(), scope=scope)
        assert [request.target.partition("&")[2] for request in service.requests] == [
            "scope=repository%3Aa%2Fb%3Apull",
            "scope=repository%3Aa%2Fb%3Apull%2Cpush&scope=repository%3Ac%3Apull",
        ]

    def test_each_act_asks_for_the_right_it_needs(self, there: Open, peer: Peer, service: TokenService) -> None:
        acts: list[tuple[str, str, Reply, Callable[[Repository], object]]] = [
            ("GET", manifest_path("1"), RIGHT, lambda one: one.fetch_named("1")),
            ("GET", f"/v2/{NAME}/tags/list", json_reply({"tags": []}), lambda one: list(one.tags())),
            ("PUT", manifest_path(INDEX.digest), Reply(201), lambda one: one.push(INDEX, body_of(RAW).source)),
            ("DELETE", manifest_path("1"), Reply(202), lambda one: one.untag("1")),
            ("GET", "/v2/_catalog", json_reply({"repositories": []}), lambda one: list(one.client.catalog())),
        ]
        for method, path, reply, act in acts:
            peer.on(path, service.guard(reply, scope=""), method=method)
            act(there())
        own = f"repository:{NAME}:"
        asked = [parse_qs(request.target.partition("?")[2])["scope"] for request in service.requests]
        assert asked == [
            [own + "pull"],
            [own + "pull"],
            [own + "pull,push"],
            [own + "pull,push,delete"],
            ["registry:catalog:*"],
        ]

    def test_a_token_that_expired_is_replaced_and_the_request_repeated_once(
        self, there: Open, peer: Peer, service: TokenService
    ) -> None:
        """F14."""
        service.uses = 2
        peer.on(manifest_path("1"), service.guard(RIGHT))
        repository = there()
        for _ in range(5):
            assert repository.fetch_named("1")[0] == INDEX
        assert service.given == ["token-1", "token-2", "token-3"]

    def test_a_refusal_is_answered_once(self, there: Open, peer: Peer, service: TokenService) -> None:
        service.uses = 0
        peer.on(manifest_path("1"), service.guard(RIGHT))
        with pytest.raises(Unauthorized, match="UNAUTHORIZED: authentication required") as caught:
            there().fetch_named("1")
        assert len(peer.requests) == 2
        assert caught.value.codes == ("UNAUTHORIZED",)
        assert "--password-stdin" in caught.value.hint

    def test_in_the_middle_of_a_transfer_it_is_renewed_once(
        self, there: Open, peer: Peer, service: TokenService
    ) -> None:
        blob = bytes(range(256)) * 4000
        wanted = describe(blob, OCI_LAYER)
        service.uses = 1
        cut, whole = Reply(body=blob, cut_after=500_000), Reply(body=blob, ranges=True)
        peer.on(blob_path(wanted), *[service.guard(cut)] * 2, *[service.guard(whole)] * 2)
        assert got(there(), wanted) == blob
        assert service.given == ["token-1", "token-2"]
        assert peer.faults == ["cut after 500000"]

    def test_a_body_is_opened_anew_for_the_repeat(self, there: Open, peer: Peer, service: TokenService) -> None:
        peer.on("/v2/up", service.guard(Reply(201)), method="PUT")
        request = Request("/v2/up", method="PUT", body=body_of(b"body"))
        there().client.ask(
            request, lambda response: response.close(), expect=frozenset({201}), scope=PULL, repeat=False
        )
        assert [one.body for one in peer.requests] == [b"body", b"body"]

    def test_insufficient_scope_asks_for_what_is_stated_first(
        self, there: Open, peer: Peer, service: TokenService
    ) -> None:
        """F17."""
        stated = "repository:mirror/a:pull"
        peer.on(manifest_path("1"), service.guard(RIGHT, scope=stated, more=',error="insufficient_scope"'))
        assert there().fetch_named("1")[0] == INDEX
        assert service.requests[0].target.endswith(
            "&scope=repository%3Amirror%2Fa%3Apull&scope=repository%3Aa%2Fb%3Apull"
        )

    def test_many_that_wait_cost_one_token(self, there: Open, peer: Peer, service: TokenService) -> None:
        together = threading.Barrier(8)
        peer.on(manifest_path("1"), service.guard(RIGHT))
        give = service._give

        def slowly(request: Received) -> Reply:
            time.sleep(0.3)
            return give(request)

        service.on("/token", slowly)
        repository = there()
        ended: list[object] = []

        def ask() -> None:
            together.wait(10)
            ended.append(repository.fetch_named("1")[0])

        threads = [threading.Thread(target=ask) for _ in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(20)
        assert ended == [INDEX] * 8
        assert service.given == ["token-1"]

    def test_and_its_failure_is_that_of_all(self, there: Open, peer: Peer, service: TokenService) -> None:
        def refuse(request: Received) -> Reply:
            time.sleep(0.3)
            return Reply(401)

        together = threading.Barrier(4)
        peer.on(manifest_path("1"), service.guard(RIGHT))
        service.on("/token", refuse)
        repository = there()
        ended: list[DocklessError] = []

        def ask() -> None:
            together.wait(10)
            try:
                repository.fetch_named("1")
            except DocklessError as fault:
                ended.append(fault)

        threads = [threading.Thread(target=ask) for _ in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(20)
        assert [type(fault) for fault in ended] == [Unauthorized] * 4
        assert len(service.requests) == 1


class TestExpiry:
    """By the clock of this machine; what the service says of the hour does not count (F16)."""

    @pytest.mark.parametrize(("words", "life"), [({}, 60), ({"expires_in": 0}, 60), ({"expires_in": 300}, 300)])
    def test_a_tenth_before_its_end_a_new_one_is_fetched(self, peer: Peer, words: dict[str, int], life: int) -> None:
        now = 1000.0
        answer = lambda token: {"token": token, "issued_at": "1999-01-01T00:00:00Z", **words}  # noqa: E731
        with TokenService(words=answer) as service, closing(Session(QUICK)) as session:
            authorizer = Authorizer(session, peer.url, None, clock=lambda: now)
            assert authorizer.authorization(PULL) == ""
            challenge = Challenge("bearer", {"realm": service.url + "/token"})
            assert authorizer.renewed((challenge,), PULL, "") == "Bearer token-1"
            now += life * 0.9 - 1
            assert authorizer.authorization(PULL) == "Bearer token-1"
            now += 2
            assert authorizer.authorization(PULL) == "Bearer token-2"

    def test_one_that_another_thread_replaced_is_not_fetched_again(self, peer: Peer, service: TokenService) -> None:
        with closing(Session(QUICK)) as session:
            authorizer = Authorizer(session, peer.url, None)
            offered = (Challenge("bearer", {"realm": service.url + "/token"}),)
            first = authorizer.renewed(offered, PULL, "")
            second = authorizer.renewed(offered, PULL, first)
            assert authorizer.renewed(offered, PULL, first) == second == "Bearer token-2"


class TestCredentials:
    def test_they_go_to_the_registrys_own_token_service(self, there: Open, peer: Peer, service: TokenService) -> None:
        peer.on(manifest_path("1"), service.guard(RIGHT, realm=peer.url + "/token"))
        peer.on("/token", service._give)
        assert there(ANN).fetch_named("1")[0] == INDEX
        assert sent(peer) == [None, ANN.basic, "Bearer token-1"]

    def test_and_to_no_other(self, there: Open, peer: Peer, service: TokenService) -> None:
        """A7."""
        peer.on(manifest_path("1"), service.guard(RIGHT))
        with pytest.raises(Unauthorized, match="elsewhere, which gets no credentials") as caught:
            there(ANN).fetch_named("1")
        assert service.host in caught.value.hint
        assert service.requests == []
        assert sent(peer) == [None]

    def test_unless_the_caller_trusts_it(self, there: Open, peer: Peer, service: TokenService) -> None:
        peer.on(manifest_path("1"), service.guard(RIGHT))
        assert there(ANN, TRUSTING).fetch_named("1")[0] == INDEX
        assert sent(service) == [ANN.basic]

    def test_never_without_tls_from_a_registry_with_it(
        self, service: TokenService, tmp_path_factory: pytest.TempPathFactory
    ) -> None:
        """A8."""
        authority = Authority(tmp_path_factory.mktemp("tls"))
        settings = structs.replace(TRUSTING, ca_file=str(authority.file))
        with Peer(tls=authority.server()) as peer, closing(Session(settings)) as session:
            peer.on(manifest_path("1"), service.guard(RIGHT))
            for credential in (ANN, None):
                with pytest.raises(Unauthorized, match="without TLS"):
                    repository(peer, credential, session=session).fetch_named("1")
        assert service.requests == []

    def test_a_token_service_leads_nowhere_else(self, there: Open, peer: Peer, service: TokenService) -> None:
        """A10."""
        with Peer() as inside:
            peer.on(manifest_path("1"), service.guard(RIGHT))
            service.on("/token", redirect(inside.url + "/latest/meta-data"))
            for credential in (ANN, None):
                with pytest.raises(RemoteFault, match="elsewhere, which is not followed"):
                    there(credential, TRUSTING).fetch_named("1")
            assert inside.requests == []

    def test_but_may_lead_to_itself(self, there: Open, peer: Peer, service: TokenService) -> None:
        peer.on(manifest_path("1"), service.guard(RIGHT))
        service.on("/token", redirect("/token2?x=1"))
        service.on("/token2", service._give)
        assert there(ANN, TRUSTING).fetch_named("1")[0] == INDEX
        assert sent(service) == [ANN.basic] * 2

    def test_basic_is_sent_when_it_is_asked_for_and_then_at_once(self, there: Open, peer: Peer) -> None:
        def guard(request: Received) -> Reply:
            right = request.header("authorization") == ANN.basic
            return RIGHT if right else Reply(401, headers=(("WWW-Authenticate", 'Basic realm="r"'),))

        peer.on(manifest_path("1"), guard)
        repository = there(ANN)
        for _ in range(2):
            assert repository.fetch_named("1")[0] == INDEX
        assert sent(peer) == [None, ANN.basic, ANN.basic]

    def test_basic_that_is_refused_is_not_sent_again(self, there: Open, peer: Peer) -> None:
        refused = refusal(401, "UNAUTHORIZED", "wrong password")
        peer.on(manifest_path("1"), Reply(401, refused.body, (("WWW-Authenticate", 'Basic realm="r"'),)))
        repository = there(ANN)
        for _ in range(2):
            with pytest.raises(Unauthorized, match="wrong password"):
                repository.fetch_named("1")
        assert sent(peer) == [None, ANN.basic, ANN.basic]

    @pytest.mark.parametrize("value", ["Basic realm=r", "Negotiate", "nonsense =", ""])
    def test_without_a_credential_there_is_no_answer_to_others(self, there: Open, peer: Peer, value: str) -> None:
        peer.on(manifest_path("1"), Reply(401, headers=(("WWW-Authenticate", value),)))
        with pytest.raises(Unauthorized):
            there().fetch_named("1")
        assert sent(peer) == [None]

    def test_what_is_asked_elsewhere_carries_none(self, there: Open, peer: Peer, service: TokenService) -> None:
        """A12: an upload's location may be anywhere."""
        peer.on(manifest_path("1"), service.guard(RIGHT))
        repository = there()
        repository.fetch_named("1")
        with Peer() as elsewhere:
            elsewhere.on("/up", Reply(401, headers=(("WWW-Authenticate", f'Bearer realm="{service.url}/token"'),)))
            with pytest.raises(Unauthorized):
                repository.client.ask(Request(elsewhere.url + "/up"), lambda response: None, scope=PULL)
            assert sent(elsewhere) == [None]
        assert len(service.given) == 1


class TestTokenServicesThatFail:
    @pytest.mark.parametrize(
        ("reply", "kind"),
        [
            (Reply(401), Unauthorized),
            (Reply(403), Denied),
            (Reply(404), RemoteFault),
            (Reply(400), RemoteFault),
            (Reply(body=b"<html>"), InvalidDocument),
            (json_reply({"token": "a\r\nX-Evil: 1"}), InvalidDocument),
            (Reply(body=b" ", endless=True), RemoteFault),
        ],
    )
    def test_the_error_names_the_service(
        self, there: Open, peer: Peer, service: TokenService, reply: Reply, kind: type[DocklessError]
    ) -> None:
        peer.on(manifest_path("1"), service.guard(RIGHT))
        service.on("/token", reply)
        with pytest.raises(kind, match=f"{service.url}/token") as caught:
            there().fetch_named("1")
        assert "scope" not in str(caught.value)
        assert len(service.requests) == 1

    def test_what_passes_is_tried_again_with_the_request(self, there: Open, peer: Peer, service: TokenService) -> None:
        peer.on(manifest_path("1"), service.guard(RIGHT))
        service.on("/token", Reply(503), service._give)
        assert there().fetch_named("1")[0] == INDEX

    def test_one_that_stalls_is_not_waited_for_twice_over(self, there: Open, peer: Peer, service: TokenService) -> None:
        peer.on(manifest_path("1"), service.guard(RIGHT))
        service.on("/token", Reply(stall_after=-1))
        settings = structs.replace(QUICK, idle_timeout=0.2)
        with pytest.raises(NetworkFault, match="nothing came for"):
            there(None, settings).fetch_named("1")
        assert len(service.requests) == QUICK.retry.attempts


def test_no_secret_is_in_an_error_or_an_event(peer: Peer, service: TokenService) -> None:
    events: list[Event] = []
    service.uses = 0
    peer.on(manifest_path("1"), service.guard(Reply(503)))
    with closing(Session(TRUSTING, events.append)) as session, pytest.raises(Unauthorized) as caught:
        repository(peer, ANN, session=session).fetch_named("1")
    shown = f"{caught.value!r} {caught.value.hint} {events!r}"
    for secret in ("secret", "token-", ANN.basic.split()[1]):
        assert secret not in shown
