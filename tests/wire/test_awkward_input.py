"""Input from elsewhere that once raised something unexpected, or was read wrongly."""

import pytest
from rich.pretty import pretty_repr

from dockless.model.errors import InvalidDocument, InvalidReference, NetworkFault, RemoteFault
from dockless.model.location import RegistryLocation, V1Location, parse_location
from dockless.model.printable import printable
from dockless.model.v1_documents import V1ImageConfig, tag_ids
from dockless.wire.auth import Credential
from dockless.wire.http import Headers, Request
from dockless.wire.proxy import Proxies, proxy_for
from dockless.wire.retry import RetryPolicy, pause_before_retry, retry_after
from dockless.wire.v1 import routes
from dockless.wire.v1.conversation import endpoints, may_see_credentials
from dockless.wire.v1.layer_range import position


@pytest.mark.parametrize("rule", ["a:²", "a:" + "9" * 5000, "[", "[]", "]:", ":::", "*", "1/2/3"])
def test_no_rule_of_no_proxy_raises(rule: str) -> None:
    assert proxy_for("http://foo.com/", Proxies("p", "p", rule)) == (None if rule == "*" else "http://p")


@pytest.mark.parametrize(
    ("rule", "url", "exempt"),
    [
        ("[2001:db8::1]:443", "https://[2001:db8::1]/", True),
        ("[2001:db8::1]:80", "https://[2001:db8::1]/", False),
        ("2001:db8::1", "https://[2001:db8::1]/", True),
        ("*foo.com", "http://foo.com/", False),
        ("*.foo.com", "http://a.foo.com/", True),
        ("foo.com:", "http://foo.com/", True),
        ("::ffff:10.0.0.1", "http://10.0.0.1/", True),
        ("10.0.0.0/8", "http://[::ffff:10.0.0.1]/", True),
        ("10.0.0.1:81", "http://10.0.0.1/", False),
        ("10.0.0.1:80", "http://10.0.0.1/", True),
        ("", "http://[::ffff:127.0.0.1]/", True),
    ],
)
def test_no_proxy_as_go_reads_it(rule: str, url: str, exempt: bool) -> None:
    assert (proxy_for(url, Proxies("p", "p", rule)) is None) == exempt


def test_a_date_beyond_reason_asks_for_nothing() -> None:
    assert retry_after("Mon, 01 Jan 2024 00:00:00 +99999999999999999999", 0.0) is None


def test_a_retry_after_counts_whatever_status_it_comes_with() -> None:
    fault = RemoteFault("busy", status=503, retry_after=7.0)
    assert pause_before_retry(RetryPolicy(), [fault], tried=1, elapsed=0, chance=1) == 7.0


def test_the_thousandth_pause_is_as_long_as_the_longest() -> None:
    policy = RetryPolicy(attempts=5000, total=1e9)
    assert pause_before_retry(policy, [NetworkFault("x")], tried=1100, elapsed=0, chance=1) == policy.longest_pause


def test_text_that_is_no_unicode_can_be_asked_for() -> None:
    assert routes.search("\ud800", 1) == "/v1/search?q=%3F&n=100&page=1"
    assert Credential("\udce4", "x").basic.startswith("Basic ")


def test_more_endpoints_than_anyone_has_are_refused() -> None:
    headers = Headers([("X-Docker-Endpoints", ",".join(["a"] * 65))])
    with pytest.raises(InvalidDocument, match="65 endpoints, more than 64"):
        endpoints(headers, "https://index.example")


@pytest.mark.parametrize("allowed", ["[2001:db8::1]", "[2001:DB8::1]:5000"])
def test_an_address_can_be_allowed(allowed: str) -> None:
    assert may_see_credentials("http://a", "http://[2001:db8::1]:5000", frozenset({allowed}))


def test_an_allowed_host_is_one_in_any_case() -> None:
    assert may_see_credentials("http://a", "http://b.example", frozenset({"B.example"}))


@pytest.mark.parametrize("text", ["docker://v1:5000/a:x", "docker://oci:5000/a:x"])
def test_a_registry_that_is_called_like_a_scheme(text: str) -> None:
    location = parse_location(text)
    assert isinstance(location, RegistryLocation)
    assert str(location) == text


@pytest.mark.parametrize(
    ("text", "location"),
    [
        ("v1:ubuntu:14", V1Location("index.docker.io", "ubuntu", "14")),
        ("v1:ubuntu:14.04", V1Location("index.docker.io", "ubuntu", "14.04")),
        ("v1:registry:5000/", V1Location("registry:5000")),
        ("v1:localhost", V1Location("localhost")),
        ("v1:docker.io/ubuntu", V1Location("index.docker.io", "ubuntu")),
    ],
)
def test_what_a_word_after_v1_means(text: str, location: V1Location) -> None:
    assert parse_location(text) == location


@pytest.mark.parametrize("text", ["oci:d:\x1b[31m", "oci:d:\0", "docker-archive:x:\0", "docker-archive:x:"])
def test_a_place_holds_no_control_character_and_no_empty_name(text: str) -> None:
    with pytest.raises(InvalidReference):
        parse_location(text)


def test_what_is_printable_is_not_longer_than_it_should() -> None:
    assert len(printable("\0" * 2000)) <= 2000


def test_raw_is_empty_for_what_was_not_read() -> None:
    assert V1ImageConfig().raw == b""


def test_a_tag_of_hubs_list_without_a_layer_is_left_out() -> None:
    assert tag_ids(b'[{"layer": null, "name": "a"}, {"layer": "12345678", "name": "b"}]', "tags") == {"b": "12345678"}


@pytest.mark.parametrize(
    "secret", [Credential("me", "s3cret"), Proxies(http="http://s3cret@p"), Request("http://a/?s3cret")]
)
def test_rich_shows_no_secret_either(secret: object) -> None:
    assert "s3cret" not in pretty_repr(secret)


@pytest.mark.parametrize(("value", "usable"), [("Bytes 10-99/100", True), ("bytes 10-3/100", False)])
def test_content_ranges(value: str, usable: bool) -> None:
    assert (position(206, Headers([("Content-Range", value)]), "bytes=10-") is not None) == usable
