"""Who sees a credential, over which connection: two origins record all that reaches them."""

import ssl
from collections.abc import Iterator
from pathlib import Path

import msgspec
import pytest
import trustme

from dockless import v1
from dockless.faces import environment
from dockless.model.errors import LocalFault, NetworkFault, RemoteFault, Unauthorized
from dockless.model.events import Notice
from dockless.testing.images import make_image
from dockless.testing.peer import Peer, Received, Reply, json_reply, redirect
from dockless.testing.proxy import ProxyPeer
from tests.scripted import NAME, QUICK, endpoint, index, layer_path

IMAGES = make_image({"a": b"1"}, {"b": b"2"})
ME = v1.Credential("me", "s3cret")
BASIC = "Basic bWU6czNjcmV0"
CANARIES = ("s3cret", "bWU6czNjcmV0", "canary-token", "canary-cookie")


def secrets_seen(peer: Peer) -> list[str]:
    seen = " ".join(f"{name}: {value}" for request in peer.requests for name, value in request.headers)
    return [canary for canary in CANARIES if canary in seen]


@pytest.fixture(scope="module")
def authority() -> trustme.CA:
    return trustme.CA()


@pytest.fixture(scope="module")
def ca_file(authority: trustme.CA, tmp_path_factory: pytest.TempPathFactory) -> str:
    path = tmp_path_factory.mktemp("ca") / "ca.pem"
    authority.cert_pem.write_to_path(str(path))
    return str(path)


@pytest.fixture
def secure(authority: trustme.CA) -> Iterator[Peer]:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("127.0.0.1", "localhost").configure_cert(context)
    with Peer(tls=context) as peer:
        yield peer


@pytest.fixture
def trusting(ca_file: str) -> v1.Settings:
    return msgspec.structs.replace(QUICK, ca_file=ca_file)


class TestIndex:
    def test_basic_goes_to_the_index(self) -> None:
        with Peer() as peer:
            index(peer)
            endpoint(peer, *IMAGES)
            with v1.get_image(NAME, peer.url, credential=ME, settings=QUICK):
                assert peer.requests[0].header("Authorization") == BASIC

    def test_401_is_unauthorized_with_a_hint(self) -> None:
        with Peer() as peer:
            peer.on(f"/v1/repositories/{NAME}/images", json_reply({"error": "Requires authorization"}, 401))
            with pytest.raises(Unauthorized, match="Requires authorization") as caught:
                v1.get_image(NAME, peer.url, settings=QUICK)
            assert (caught.value.status, caught.value.exit_code) == (401, 4)
            assert "--password-stdin" in caught.value.hint

    def test_a_redirect_elsewhere_gets_no_credentials(self) -> None:
        with Peer() as peer, Peer() as other:
            path = f"/v1/repositories/{NAME}/images"
            peer.on(path, redirect(other.url + path, 307))
            index(other, other.host)
            endpoint(other, *IMAGES)
            with v1.get_image(NAME, peer.url, credential=ME, settings=QUICK):
                pass
            assert secrets_seen(peer) == ["bWU6czNjcmV0"]
            assert other.requests
            assert secrets_seen(other) == []


class TestStandaloneOverHttps:
    def test_basic_goes_on_every_request_in_the_tokens_place(self, secure: Peer, trusting: v1.Settings) -> None:
        index(secure, token="canary-token")
        endpoint(secure, *IMAGES)
        secure.on("/v1/_ping", json_reply({}, headers=(("X-Docker-Registry-Standalone", "True"),)))
        with v1.get_image(NAME, secure.url, credential=ME, settings=trusting) as image:
            image.history("latest")
        assert {request.header("Authorization") for request in secure.requests} == {BASIC}

    def test_behind_an_index_the_token_goes_instead(self, secure: Peer, trusting: v1.Settings) -> None:
        index(secure, token="canary-token")
        endpoint(secure, *IMAGES)
        secure.on("/v1/_ping", json_reply({}, headers=(("X-Docker-Registry-Standalone", "False"),)))
        with v1.get_image(NAME, secure.url, credential=ME, settings=trusting) as image:
            image.history("latest")
        after = [request for request in secure.requests if "/images/" in request.path or "/tags" in request.path]
        assert {request.header("Authorization") for request in after} == {"Token canary-token"}

    def test_plain_http_never_gets_basic_beyond_the_index(self) -> None:
        with Peer() as peer:
            index(peer, token="canary-token")
            endpoint(peer, *IMAGES)
            peer.on("/v1/_ping", json_reply({}, headers=(("X-Docker-Registry-Standalone", "True"),)))
            with v1.get_image(NAME, peer.url, credential=ME, settings=QUICK):
                pass
            assert peer.requests[-1].header("Authorization") == "Token canary-token"


class TestEndpoints:
    """`localhost` and `127.0.0.1` are two hosts, and the same machine."""

    def visit(self, settings: v1.Settings) -> tuple[list[str], list[object]]:
        events: list[object] = []
        with Peer() as peer, Peer() as other:
            elsewhere = other.host.replace("127.0.0.1", "localhost")
            index(peer, elsewhere, token="canary-token", headers=(("Set-Cookie", "c=canary-cookie; Path=/"),))
            endpoint(other, *IMAGES)
            with v1.get_image(NAME, peer.url, credential=ME, settings=settings, observe=events.append) as image:
                image.history("latest")
            assert other.requests
            return secrets_seen(other), events

    def test_on_another_host_it_gets_none_and_that_is_said(self) -> None:
        seen, events = self.visit(QUICK)
        assert seen == []
        assert any(isinstance(event, Notice) and "gets no credentials" in event.text for event in events)

    def test_unless_the_caller_allows_it(self) -> None:
        seen, events = self.visit(msgspec.structs.replace(QUICK, trusted_endpoints=frozenset({"localhost"})))
        assert seen == ["canary-token"]  # the cookie belongs to 127.0.0.1 alone
        assert events == []

    def test_another_port_of_the_same_host_gets_them(self) -> None:
        with Peer() as peer, Peer() as other:
            index(peer, other.host, token="canary-token")
            endpoint(other, *IMAGES)
            with v1.get_image(NAME, peer.url, settings=QUICK):
                assert secrets_seen(other) == ["canary-token"]


class TestTls:
    def test_a_private_authority_is_trusted_when_named(self, secure: Peer, trusting: v1.Settings) -> None:
        index(secure)
        endpoint(secure, *IMAGES)
        with v1.get_image(NAME, secure.url, settings=trusting) as image:
            assert image.layer_urls(IMAGES[0].id)[0].startswith("https://")  # the index's scheme

    def test_otherwise_it_is_not(self, secure: Peer) -> None:
        index(secure)
        with pytest.raises(NetworkFault, match=r"(?i)certificate|issuer"):
            v1.get_image(NAME, secure.url, settings=QUICK)
        assert secure.requests == []

    def test_insecure_checks_nothing(self, secure: Peer) -> None:
        index(secure)
        endpoint(secure, *IMAGES)
        with v1.get_image(NAME, secure.url, settings=msgspec.structs.replace(QUICK, insecure=True)) as image:
            assert image.tags() == ["latest"]

    def test_an_endpoint_without_tls_is_passed_over(self, secure: Peer, trusting: v1.Settings) -> None:
        with Peer() as plain:
            index(secure, plain.host, secure.host)
            endpoint(secure, *IMAGES)
            with v1.get_image(NAME, secure.url, settings=trusting) as image:
                assert image.tags() == ["latest"]
            assert plain.connections > 0
            assert plain.requests == []

    def test_from_https_to_http_no_redirect_is_followed(self, secure: Peer, trusting: v1.Settings) -> None:
        with Peer() as plain:
            index(secure)
            endpoint(secure, *IMAGES)
            secure.on(layer_path(IMAGES[0]), redirect(f"{plain.url}/layer"))
            with (
                v1.get_image(NAME, secure.url, settings=trusting) as image,
                image.layer_reader(IMAGES[0].id) as reader,
                pytest.raises(RemoteFault, match="from https to http"),
            ):
                reader.read(1)
            assert plain.connections == 0

    @pytest.mark.parametrize("content", [None, "no certificate here"])
    def test_a_bad_ca_file_is_a_clear_error(self, tmp_path: Path, content: str | None) -> None:
        path = tmp_path / "ca.pem"
        if content is not None:
            path.write_text(content)
        with pytest.raises(LocalFault, match=r"ca\.pem"):
            v1.get_image(NAME, "https://127.0.0.1:1", settings=v1.Settings(ca_file=str(path)))


class TestProxies:
    """A name that resolves to nothing can only be reached through the proxy."""

    def test_every_request_goes_through_it_redirects_too(self, tmp_path: Path) -> None:
        with Peer() as peer, Peer() as storage:
            upstreams = {"registry.test:80": peer.host, "storage.test:80": storage.host}
            with ProxyPeer(upstreams) as proxy:
                index(peer, "registry.test")
                endpoint(peer, *IMAGES)
                peer.on(layer_path(IMAGES[0]), redirect("http://storage.test/x"))
                storage.on("/x", Reply(body=IMAGES[0].layer))
                settings = msgspec.structs.replace(
                    QUICK, proxies=environment.settings({"HTTP_PROXY": proxy.url}).proxies
                )
                with v1.get_image(NAME, "http://registry.test", settings=settings) as image:
                    image.download(IMAGES[0].id, tmp_path / "layer")
                targets = [request.target for request in proxy.requests]
                assert len(targets) == len(peer.requests) + len(storage.requests)
                assert "http://storage.test/x" in targets

    def test_https_is_tunnelled(self, authority: trustme.CA, trusting: v1.Settings) -> None:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        authority.issue_cert("registry.test").configure_cert(context)
        with Peer(tls=context) as peer, ProxyPeer({"registry.test:443": peer.host}) as proxy:
            index(peer, "registry.test")
            endpoint(peer, *IMAGES)
            settings = msgspec.structs.replace(
                trusting, proxies=environment.settings({"https_proxy": proxy.host}).proxies
            )
            with v1.get_image(NAME, "https://registry.test", settings=settings, credential=None) as image:
                assert image.tags() == ["latest"]
            assert {(request.method, request.target) for request in proxy.requests} == {
                ("CONNECT", "registry.test:443")
            }

    def test_no_proxy_is_honoured(self) -> None:
        with ProxyPeer({}) as proxy:
            variables = {"HTTP_PROXY": proxy.url, "NO_PROXY": "registry.test"}
            settings = msgspec.structs.replace(QUICK, proxies=environment.settings(variables).proxies)
            with pytest.raises(NetworkFault):
                v1.get_image(NAME, "http://registry.test", settings=settings)
            assert proxy.connections == 0

    def test_the_environment_of_the_process_counts(self, monkeypatch: pytest.MonkeyPatch) -> None:
        with Peer() as peer, ProxyPeer({"registry.test:80": peer.host}) as proxy:
            index(peer, "registry.test")
            endpoint(peer, *IMAGES)
            for name in ("http_proxy", "HTTP_PROXY", "ALL_PROXY", "all_proxy", "NO_PROXY", "no_proxy"):
                monkeypatch.delenv(name, raising=False)
            monkeypatch.setenv("HTTP_PROXY", f"http://me:s3cret@{proxy.host}")
            with v1.get_image(NAME, "http://registry.test") as image:
                assert image.tags() == ["latest"]
            assert proxy.requests[0].header("Proxy-Authorization") == BASIC
            assert secrets_seen(peer) == []

    def test_settings_without_proxies_read_no_environment(self, monkeypatch: pytest.MonkeyPatch) -> None:
        with Peer() as peer, ProxyPeer({}) as proxy:
            index(peer)
            endpoint(peer, *IMAGES)
            for name in ("http_proxy", "HTTP_PROXY", "ALL_PROXY"):
                monkeypatch.setenv(name, proxy.url)
            with v1.get_image(NAME, peer.url, settings=QUICK) as image:
                assert image.tags() == ["latest"]
            assert proxy.connections == 0

    def test_a_web_server_in_front_may_not_choose_the_proxy(self) -> None:
        assert environment.settings({"HTTP_PROXY": "http://evil", "REQUEST_METHOD": "GET"}).proxies.http == ""


def test_no_secret_in_any_message_or_repr() -> None:
    def refuse(request: Received) -> Reply:
        return json_reply({"error": "go away"}, 403)

    with Peer() as peer:
        index(peer, token="canary-token", headers=(("Set-Cookie", "c=canary-cookie; Path=/"),))
        peer.on(f"/v1/repositories/{NAME}/tags", refuse)
        events: list[object] = []
        url = peer.url.replace("http://", "http://me:s3cret@")
        settings = msgspec.structs.replace(QUICK, proxies=v1.Proxies(http="http://me:s3cret@127.0.0.1:1", no_proxy="*"))
        with pytest.raises(Exception, match="go away") as caught:
            v1.get_image(NAME, url, settings=settings, observe=events.append)
        assert secrets_seen(peer) == ["bWU6czNjcmV0", "canary-token", "canary-cookie"]
        said = f"{caught.value!r} {caught.value} {caught.value.hint} {events} {settings!r} {ME!r}"  # type: ignore[attr-defined]
        assert not [canary for canary in CANARIES if canary in said]
