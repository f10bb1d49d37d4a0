"""What the headers of a v1 conversation mean, and who may see a credential."""

from base64 import b64decode

import pytest

from dockless.model.errors import InvalidDocument
from dockless.wire.auth import Credential
from dockless.wire.http import Headers
from dockless.wire.v1.conversation import (
    Ping,
    authorization,
    endpoints,
    layer_size,
    may_see_credentials,
    payload_checksum,
    ping,
    token,
)

INDEX = "https://index.example"
HUB = "https://index.docker.io"
SUM = "sha256:" + "0123456789abcdef" * 4
OTHER_SUM = "sha256:" + "f" * 64
ORIGINAL_TOKEN = 'Token signature=DZ5HO96ZY1NNN3UJ,repository="library/demo",access=write'
PAYLOAD, OLD_PAYLOAD = "X-Docker-Checksum-Payload", "X-Docker-Payload-Checksum"


def naming(*values: str) -> Headers:
    return Headers([("X-Docker-Endpoints", value) for value in values])


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        (["r.example"], ("r.example",)),
        (["127.0.0.1:5081"], ("127.0.0.1:5081",)),
        (["a:1, b:2"], ("a:1", "b:2")),
        (["a:1", "b:2"], ("a:1", "b:2")),
        (["b:2,a:1", " c "], ("b:2", "a:1", "c")),
        (["", " ", ",a,, b ,"], ("a", "b")),
        (["[::1]:5000"], ("[::1]:5000",)),
        ([",".join(f"h{number}" for number in range(64))], tuple(f"h{number}" for number in range(64))),
    ],
)
def test_endpoints_stand_at_commas_in_one_header_or_several(values: list[str], expected: tuple[str, ...]) -> None:
    assert endpoints(naming(*values), INDEX) == expected


@pytest.mark.parametrize("values", [[], [""], [" "], [","], [" , ", "\t"]])
def test_an_index_that_names_no_endpoints_is_refused(values: list[str]) -> None:
    with pytest.raises(InvalidDocument, match=f"{INDEX} names no endpoints") as caught:
        endpoints(naming(*values), INDEX)

    assert "dockless ping" in caught.value.hint


@pytest.mark.parametrize(
    "value",
    [
        "http://a",
        "a/b",
        "a b",
        "user@a",
        "a:0",
        "a:port",
        "a:70000",
        "a?b",
        "a\\b",
        "a\nb",
        "..",
        "-",
        "::1",
        "a" * 256,
        "good, http://a",
        "0x7f.1",
        "[.]",
    ],
)
def test_an_index_that_names_anything_but_some_hosts_is_refused(value: str) -> None:
    with pytest.raises(InvalidDocument, match=f"{INDEX} names endpoints that are not hosts"):
        endpoints(naming(value), INDEX)


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (ORIGINAL_TOKEN, ORIGINAL_TOKEN),
        ("  opaque ", "opaque"),
        ("t", "t"),
        ("", ""),
        (" ", ""),
        ("t" * 8192, "t" * 8192),
    ],
)
def test_a_token_is_kept_as_it_came(value: str, expected: str) -> None:
    assert token(Headers([("x-docker-token", value)])) == expected


def test_there_may_be_no_token() -> None:
    assert token(Headers()) == ""


@pytest.mark.parametrize("value", ["a\r\nX-Evil: b", "a\tb", "a\0b", "a\x7fb", "\xfc", "\u2028a\u2028b", "t" * 8193])
def test_a_token_that_cannot_stand_in_a_header_is_refused_and_not_shown(value: str) -> None:
    with pytest.raises(InvalidDocument, match=r"^the index gives a token that cannot stand in a header$"):
        token(Headers([("x-docker-token", value)]))


@pytest.mark.parametrize(
    ("value", "header"),
    [
        ("", ""),
        ("opaque", "Token opaque"),
        ("signature=x", "Token signature=x"),
        ("Tokenised", "Token Tokenised"),
        ("a Token b", "Token a Token b"),
        (ORIGINAL_TOKEN, ORIGINAL_TOKEN),
        ("token x", "token x"),
        ("TOKEN x", "TOKEN x"),
    ],
)
def test_the_word_token_is_sent_once(value: str, header: str) -> None:
    assert authorization(value) == header


@pytest.mark.parametrize(
    ("index", "endpoint", "allowed", "may"),
    [
        # the index's own host
        (INDEX, INDEX, (), True),
        (INDEX, "https://index.example:5000", (), True),
        (INDEX, "https://INDEX.example.", (), True),
        ("http://localhost:5081", "http://localhost:5082", (), True),
        ("http://index.example", "https://index.example", (), True),
        # other hosts
        (INDEX, "https://other.example", (), False),
        (INDEX, "https://sub.index.example", (), False),
        (INDEX, "https://index.example.evil.example", (), False),
        ("http://index.example", "http://other.example", (), False),
        # in the clear what came encrypted
        (INDEX, "http://index.example", (), False),
        (INDEX, "http://other.example", ("other.example",), False),
        (HUB, "http://registry-1.docker.io", (), False),
        # allowed by the caller
        (INDEX, "https://other.example", ("other.example",), True),
        (INDEX, "https://other.example:5000", ("other.example",), True),
        (INDEX, "https://other.example:5000", ("other.example:5000",), True),
        (INDEX, "https://other.example", ("other.example:443",), True),
        (INDEX, "https://Other.example", ("x", "other.example"), True),
        ("http://index.example", "http://other.example", ("other.example:80",), True),
        (INDEX, "https://other.example:5001", ("other.example:5000",), False),
        (INDEX, "https://sub.other.example", ("other.example",), False),
        # Docker Hub
        (HUB, "https://registry-1.docker.io", (), True),
        (HUB, "https://docker.io", (), True),
        (HUB, "https://cdn-registry-1.docker.com", (), True),
        (HUB, "https://a.b.docker.io:8443", (), True),
        (HUB, "https://evildocker.io", (), False),
        (HUB, "https://evil-docker.io", (), False),
        (HUB, "https://docker.io.evil.example", (), False),
        (HUB, "https://dockerxio", (), False),
        (HUB, "https://docker.org", (), False),
        ("http://index.docker.io", "http://registry-1.docker.io", (), False),
        ("http://index.docker.io", "https://registry-1.docker.io", (), False),
        (INDEX, "https://registry-1.docker.io", (), False),
        ("https://evil.docker.io.example", "https://docker.io", (), False),
    ],
)
def test_credentials_go_only_where_they_belong(index: str, endpoint: str, allowed: tuple[str, ...], may: bool) -> None:
    assert may_see_credentials(index, endpoint, frozenset(allowed)) is may


def test_a_credential_is_basic() -> None:
    value = Credential("me", "p:\xfc").basic

    assert value.startswith("Basic ")
    assert b64decode(value.removeprefix("Basic ")).decode() == "me:p:\xfc"


def test_a_long_credential_is_one_line() -> None:
    assert "\n" not in Credential("me", "p" * 200).basic


def test_a_credential_is_never_shown() -> None:
    credential = Credential("me", "hunter2")

    assert repr(credential) == str(credential) == "Credential(hidden)"


@pytest.mark.parametrize(
    ("said", "expected"),
    [
        (None, Ping(standalone=True)),
        ("", Ping(standalone=True)),
        ("True", Ping(standalone=True)),
        (" true ", Ping(standalone=True)),
        ("1", Ping(standalone=True)),
        ("False", Ping(standalone=False)),
        (" FALSE ", Ping(standalone=False)),
        ("0", Ping(standalone=False)),
        ("mirror", Ping(standalone=True, mirror=True)),
        ("Mirror", Ping(standalone=True, mirror=True)),
    ],
)
def test_a_registry_is_standalone_unless_it_denies_it(said: str | None, expected: Ping) -> None:
    headers = [] if said is None else [("X-Docker-Registry-Standalone", said)]

    assert ping(Headers(headers)) == expected


def test_an_old_registry_says_its_version() -> None:
    assert ping(Headers([("X-Docker-Registry-Version", "0.6.9")])).version == "0.6.9"


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("0", 0),
        ("10263", 10263),
        (" 10263 ", 10263),
        ("9" * 15, 999_999_999_999_999),
        ("9" * 16, None),
        ("", None),
        ("-1", None),
        ("1_000", None),
        ("1.5", None),
        ("None", None),
        ("\xb2", None),
        ("\u0661", None),
    ],
)
def test_a_layer_s_size_is_a_number_or_unknown(text: str, expected: int | None) -> None:
    assert layer_size(Headers([("X-Docker-Size", text)])) == expected


def test_a_layer_s_size_may_be_missing() -> None:
    assert layer_size(Headers()) is None


@pytest.mark.parametrize(
    ("headers", "expected"),
    [
        ([(PAYLOAD, SUM)], SUM),
        ([(OLD_PAYLOAD, SUM)], SUM),
        ([(OLD_PAYLOAD, OTHER_SUM), (PAYLOAD, SUM)], SUM),
        ([(PAYLOAD, "junk"), (OLD_PAYLOAD, SUM)], SUM),
        ([(PAYLOAD, f" {SUM} ")], SUM),
        ([], None),
        ([(PAYLOAD, "")], None),
        ([(PAYLOAD, "junk")], None),
        ([(PAYLOAD, SUM.upper())], None),
        ([(PAYLOAD, SUM[:-1])], None),
        ([(PAYLOAD, SUM.removeprefix("sha256:"))], None),
        ([(PAYLOAD, "tarsum+" + SUM)], None),
        ([(PAYLOAD, "sha512:" + "0" * 128)], None),
        ([("X-Docker-Checksum", SUM)], None),
    ],
)
def test_a_payload_checksum_has_two_names_and_one_form(headers: list[tuple[str, str]], expected: str | None) -> None:
    assert payload_checksum(Headers(headers)) == expected
