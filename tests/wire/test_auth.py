"""Challenges, token requests, tokens: who is asked, with what, and what is believed."""

from urllib.parse import parse_qsl, urlsplit

import pytest
from rich.pretty import pretty_repr

from dockless.model.errors import InvalidDocument, Unauthorized
from dockless.wire.auth import (
    Challenge,
    Credential,
    Token,
    challenges,
    chosen,
    token_of,
    token_request,
    wanted_scopes,
)
from dockless.wire.http import Headers

REGISTRY = "https://registry.test:5000"
REALM = "https://registry.test:5000/token"
ANN = Credential("ann", "secret")
PULL = "repository:a/b:pull"


def read(*values: str) -> list[tuple[str, dict[str, str]]]:
    found = challenges(Headers([("WWW-Authenticate", value) for value in values]))
    return [(one.scheme, one.parameters) for one in found]


def bearer(realm: str = REALM, **parameters: str) -> Challenge:
    return Challenge("bearer", {"realm": realm, **parameters})


class TestChallenges:
    def test_a_registrys_usual_one(self) -> None:
        value = f'Bearer realm="{REALM}",service="registry.test",scope="repository:a/b:pull,push",error="invalid_token"'
        assert read(value) == [
            (
                "bearer",
                {
                    "realm": REALM,
                    "service": "registry.test",
                    "scope": "repository:a/b:pull,push",
                    "error": "invalid_token",
                },
            )
        ]

    @pytest.mark.parametrize(
        ("value", "expected"),
        [
            ("Basic", [("basic", {})]),
            ("BASIC realm=plain", [("basic", {"realm": "plain"})]),
            ('Basic realm="a, b"', [("basic", {"realm": "a, b"})]),
            (r'Basic realm="a \"b\" \\"', [("basic", {"realm": r'a "b" \ '.strip()})]),
            ('Bearer  realm = "r" , service = "s"', [("bearer", {"realm": "r", "service": "s"})]),
            ("Negotiate", [("negotiate", {})]),
            ("Negotiate abc==", [("negotiate", {})]),
            ('Basic realm=b, Bearer realm="r",a=b', [("basic", {"realm": "b"}), ("bearer", {"realm": "r", "a": "b"})]),
            ("Negotiate, Basic realm=b", [("negotiate", {}), ("basic", {"realm": "b"})]),
            (', Basic realm="b",,', [("basic", {"realm": "b"})]),
            ('Basic realm="Müller"', [("basic", {"realm": "Müller"})]),
            ('bearer REALM="r"', [("bearer", {"realm": "r"})]),
        ],
    )  # fmt: skip
    def test_well_formed(self, value: str, expected: list[tuple[str, dict[str, str]]]) -> None:
        assert read(value) == expected

    @pytest.mark.parametrize(
        "value",
        [
            "",
            "realm=x",
            'Bearer realm="r',
            'Bearer realm="r"x',
            'Bearer realm="r" service="s"',
            'Bearer realm="r",realm="s"',
            'Bearer realm="a\x00b"',
            'Bearer realm="a\r\nb"',
            "Bearer realm=a b",
            "Bearer =",
            "abc==",
            'Bearer realm="' + "r" * 9000 + '"',
        ],
    )
    def test_what_is_not_well_formed_holds_none(self, value: str) -> None:
        assert read(value) == []

    def test_several_headers_count_and_a_broken_one_does_not(self) -> None:
        assert read("Basic realm=b", 'Bearer realm="', "Bearer realm=r") == [
            ("basic", {"realm": "b"}),
            ("bearer", {"realm": "r"}),
        ]

    @pytest.mark.parametrize(
        ("schemes", "credential", "expected"),
        [
            (["basic", "bearer"], ANN, "bearer"),
            (["basic", "bearer"], None, "bearer"),
            (["basic"], ANN, "basic"),
            (["basic"], None, None),
            (["negotiate"], ANN, None),
            ([], ANN, None),
        ],
    )
    def test_bearer_is_preferred_and_basic_wants_a_credential(
        self, schemes: list[str], credential: Credential | None, expected: str | None
    ) -> None:
        found = chosen([Challenge(scheme, {}) for scheme in schemes], credential)
        assert (found.scheme if found else None) == expected

    def test_the_first_of_a_scheme_counts(self) -> None:
        assert chosen([bearer("one"), bearer("two")], None) == bearer("one")


class TestScopes:
    @pytest.mark.parametrize(
        ("stated", "ours", "expected"),
        [
            ("", PULL, [PULL]),
            (PULL, PULL, [PULL]),
            (PULL, "repository:a/b:pull,push", ["repository:a/b:pull,push"]),
            ("repository:a/b:delete", PULL, ["repository:a/b:delete,pull"]),
            ("registry:catalog:*", PULL, ["registry:catalog:*", PULL]),
            ("", f"{PULL} repository:c:pull", [PULL, "repository:c:pull"]),
            ("", "", []),
        ],
    )
    def test_stated_ones_come_first_and_one_resource_once(self, stated: str, ours: str, expected: list[str]) -> None:
        assert list(wanted_scopes(stated, ours)) == expected


class TestTokenRequests:
    def test_service_and_each_scope_are_parameters(self) -> None:
        challenge = bearer(REALM + "?tenant=7", service="a&b=c#d")
        request = token_request(REGISTRY, challenge, [PULL, "repository:c:pull"], None)
        parts = urlsplit(request.url)
        assert request.method == "GET"
        assert parse_qsl(parts.query) == [
            ("tenant", "7"),
            ("service", "a&b=c#d"),
            ("scope", PULL),
            ("scope", "repository:c:pull"),
        ]
        assert (parts.path, parts.fragment) == ("/token", "")
        assert request.headers == ()
        assert not request.cookies

    def test_without_service_and_scopes_there_are_none(self) -> None:
        assert token_request(REGISTRY, bearer(), [], None).url == REALM

    def test_the_credential_goes_to_the_registrys_own_origin(self) -> None:
        assert token_request(REGISTRY, bearer(), [PULL], ANN).headers == (("Authorization", ANN.basic),)

    @pytest.mark.parametrize(
        ("registry", "realm"),
        [
            ("https://registry-1.docker.io", "https://auth.docker.io/token"),
            ("https://registry.gitlab.com", "https://gitlab.com/jwt/auth"),
        ],
    )
    def test_and_to_services_known_to_be_the_registrys(self, registry: str, realm: str) -> None:
        assert token_request(registry, bearer(realm), [], ANN).headers
        host = urlsplit(realm).netloc
        for other in ("x" + host, host + ".evil.test", host + ":444"):
            with pytest.raises(Unauthorized, match="no credentials"):
                token_request(registry, bearer(f"https://{other}/token"), [], ANN)
        with pytest.raises(Unauthorized, match="no credentials"):
            token_request("https://elsewhere.test", bearer(realm), [], ANN)
        plain = [url.replace("https", "http") for url in (registry, realm)]
        with pytest.raises(Unauthorized, match="no credentials"):
            token_request(plain[0], bearer(plain[1]), [], ANN)

    @pytest.mark.parametrize(
        "realm",
        [
            "https://evil.test/token",
            "https://registry.test/token",
            "https://registry.test:5001/token",
            "https://registry.test.evil.test:5000/token",
            "https://xregistry.test:5000/token",
        ],
    )
    def test_nowhere_else_and_then_nothing_is_asked(self, realm: str) -> None:
        with pytest.raises(Unauthorized, match="elsewhere") as caught:
            token_request(REGISTRY, bearer(realm), [PULL], ANN)
        assert "--trust-endpoint" in caught.value.hint
        assert token_request(REGISTRY, bearer(realm), [PULL], None).headers == ()

    @pytest.mark.parametrize("trusted", ["auth.test", "AUTH.test", "auth.test:443"])
    def test_the_caller_may_trust_a_host(self, trusted: str) -> None:
        challenge = bearer("https://auth.test/token")
        assert token_request(REGISTRY, challenge, [], ANN, frozenset({trusted})).headers
        with pytest.raises(Unauthorized):
            token_request(REGISTRY, bearer("https://auth.test:444/token"), [], ANN, frozenset({"auth.test:443"}))

    def test_an_address_of_ipv6_is_trusted_in_brackets(self) -> None:
        challenge = bearer("https://[2001:db8::1]/token")
        assert token_request(REGISTRY, challenge, [], ANN, frozenset({"[2001:db8::1]"})).headers

    @pytest.mark.parametrize("credential", [ANN, None])
    @pytest.mark.parametrize(
        ("realm", "problem"),
        [
            ("http://registry.test:5000/token", "without TLS"),
            ("https://127.0.0.1/token", "this machine"),
            ("https://169.254.169.254/latest/meta-data", "this machine"),
            ("https://[::1]/token", "this machine"),
            ("https://[::ffff:127.0.0.1]/token", "this machine"),
            ("https://0.0.0.0/token", "this machine"),
            ("https://localhost/token", "this machine"),
            ("https://a.localhost/token", "this machine"),
            ("https://user@registry.test:5000/token", "more than"),
            ("https://user:pass@registry.test:5000/token", "more than"),
            ("https://registry.test:5000/token#x", "more than"),
            ("file:///etc/passwd", "not a URL"),
            ("gopher://registry.test/", "not a URL"),
            ("https://registry.test:5000/a b", "not a URL"),
            ("https://registry.test:5000/a\x1b[2J", "not a URL"),
            ("/token", "not a URL"),
            ("", "not a URL"),
        ],
    )
    def test_some_places_are_never_asked(self, realm: str, problem: str, credential: Credential | None) -> None:
        with pytest.raises(Unauthorized, match=problem) as caught:
            token_request(REGISTRY, bearer(realm), [PULL], credential, frozenset({"127.0.0.1", "registry.test"}))
        assert "pass" not in str(caught.value).partition("names")[2].replace("passwd", "")

    def test_a_registry_on_this_machine_may_have_its_service_here(self) -> None:
        challenge = bearer("http://127.0.0.1:5001/token")
        assert token_request("http://127.0.0.1:5000", challenge, [], None).url == "http://127.0.0.1:5001/token"

    def test_a_challenge_without_realm_names_no_service(self) -> None:
        with pytest.raises(Unauthorized, match="not a URL"):
            token_request(REGISTRY, Challenge("bearer", {}), [], None)


class TestTokens:
    @pytest.mark.parametrize(
        ("raw", "text", "life"),
        [
            (b'{"token":"abc","expires_in":300}', "abc", 300),
            (b'{"access_token":"abc"}', "abc", 60),
            (b'{"token":"","access_token":"abc"}', "abc", 60),
            (b'{"token":"abc","access_token":"def"}', "abc", 60),
            (b'{"token":"abc","expires_in":0}', "abc", 60),
            (b'{"token":"abc","expires_in":-5}', "abc", 60),
            (b'{"token":"abc","expires_in":null}', "abc", 60),
            (b'{"token":"abc","expires_in":99.5}', "abc", 99.5),
            (b'{"token":"abc","expires_in":1e300}', "abc", 86400),
            (b'{"token":"abc","expires_in":300,"issued_at":"1999-01-01T00:00:00Z"}', "abc", 300),
        ],
    )
    def test_its_text_and_life(self, raw: bytes, text: str, life: float) -> None:
        assert token_of(raw, "it") == Token(text, life)

    @pytest.mark.parametrize(
        "raw",
        [
            b"{}",
            b"[]",
            b"<html>",
            b'{"token":7}',
            b'{"token":null}',
            b'{"token":"a b"}',
            b'{"token":"a\\r\\nX: y"}',
            b'{"token":"\\u00e9"}',
            b'{"token":"abc","expires_in":"soon"}',
            b'{"token":"' + b"a" * 40000 + b'"}',
        ],
    )
    def test_what_cannot_stand_in_a_header_is_none(self, raw: bytes) -> None:
        with pytest.raises(InvalidDocument):
            token_of(raw, "the answer")

    def test_it_is_sent_as_a_bearer_and_shown_nowhere(self) -> None:
        token = Token("hush", 60)
        assert token.bearer == "Bearer hush"
        for shown in (repr(token), pretty_repr(token), repr([token]), repr(ANN), pretty_repr(ANN)):
            assert "hush" not in shown
            assert "secret" not in shown
