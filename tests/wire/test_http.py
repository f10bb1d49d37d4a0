"""Requests, answers, URLs and redirects as values."""

import pytest

from dockless.model.errors import InvalidReference, RemoteFault
from dockless.wire.http import (
    REDIRECTS,
    Headers,
    Request,
    origin,
    parse_url,
    redirected,
    warnings,
    without_query,
)

HERE = "https://r.example/v1/images/x/layer"
HEADERS = (
    ("Authorization", "Token t"),
    ("COOKIE", "a=b"),
    ("proxy-authorization", "Basic p"),
    ("Range", "bytes=10-99"),
    ("Accept", "*/*"),
)
HARMLESS = (("Range", "bytes=10-99"), ("Accept", "*/*"))


def test_header_names_are_compared_in_any_case() -> None:
    headers = Headers([("X-Docker-Token", "t")])

    assert headers.first("x-docker-token") == headers.first("X-DOCKER-TOKEN") == "t"


def test_a_header_may_stand_more_than_once() -> None:
    headers = Headers([("expires", "1"), ("Other", "x"), ("Expires", "2")])

    assert headers.all("EXPIRES") == ["1", "2"]
    assert headers.first("expires") == "1"


def test_a_header_may_be_missing() -> None:
    assert Headers().all("expires") == []
    assert Headers().first("expires") is None


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        ("https://r.example", ("https", "r.example", 443)),
        ("http://r.example/path?query#fragment", ("http", "r.example", 80)),
        ("HTTPS://R.Example:5000/", ("https", "r.example", 5000)),
        ("http://r.example:80", ("http", "r.example", 80)),
        ("http://r.example.:443/", ("http", "r.example", 443)),
        ("https://user:password@r.example/", ("https", "r.example", 443)),
        ("http://r.example:/", ("http", "r.example", 80)),
        ("http://[2001:DB8::1]:5000/", ("http", "2001:db8::1", 5000)),
    ],
)
def test_an_origin_is_scheme_host_and_port(url: str, expected: tuple[str, str, int]) -> None:
    assert origin(url) == expected


@pytest.mark.parametrize(
    "url",
    [
        "",
        "r.example",
        "r.example:5000",
        "/v1/_ping",
        "//r.example/",
        "ftp://r.example/",
        "file:///etc/passwd",
        "https://",
        "https:///path",
        "https://:443/",
        "https://user@/",
        "https://r.example:0/",
        "https://r.example:65536/",
        "https://r.example:port/",
        "https://[::1/",
        "https://[::1]x:port/",
        "https://r.example/a b",
        " https://r.example/",
        "https://r.example/\n",
        "https://r.ex\tample/",
        "https://r.example/\x1b",
        "https://r.example/\0",
        "https://r.example/\u202e",
        "https://r.example/\ud800",
        "https://ex\u2100mple/",
    ],
)
def test_what_is_no_absolute_http_url_is_refused(url: str) -> None:
    with pytest.raises(InvalidReference, match="not a"):
        parse_url(url)
    with pytest.raises(InvalidReference, match="not a"):
        origin(url)


@pytest.mark.parametrize("url", ["ftp://me:hunter2@r.example/", "https://me:hunter2@r.example:port/"])
def test_the_refusal_of_a_url_does_not_show_its_password(url: str) -> None:
    with pytest.raises(InvalidReference) as caught:
        parse_url(url)

    assert "hunter2" not in str(caught.value) + caught.value.hint
    assert "https://HOST" in caught.value.hint


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        ("https://r.example:5000/v1/x", "https://r.example:5000/v1/x"),
        ("https://s3.example/layer?Signature=secret#part", "https://s3.example/layer"),
        ("https://me:secret@r.example/", "https://r.example/"),
        ("https://me:se@cret@[::1]:5000/", "https://[::1]:5000/"),
        ("https://r.example/\x1b[31m", "https://r.example/\\x1b[31m"),
    ],
)
def test_a_url_is_shown_without_what_may_be_secret(url: str, shown: str) -> None:
    assert without_query(url) == shown


def test_a_long_url_is_shown_in_short() -> None:
    assert len(without_query("https://r.example/" + "a" * 1000)) == 300


def test_a_request_is_shown_without_headers_and_query() -> None:
    request = Request("https://me:hunter2@r.example/layer?Signature=secret", (("Authorization", "Token t"),))

    assert repr(request) == "Request(GET 'https://r.example/layer')"
    assert str(request) == "GET https://r.example/layer"


def test_five_statuses_are_redirects_and_304_is_none() -> None:
    assert {301, 302, 303, 307, 308} == REDIRECTS


@pytest.mark.parametrize(
    ("location", "target"),
    [
        ("https://r.example/other?q=1", "https://r.example/other?q=1"),
        ("https://R.example.:443/other", "https://R.example.:443/other"),
        ("/other", "https://r.example/other"),
        ("other", "https://r.example/v1/images/x/other"),
        ("../y/layer", "https://r.example/v1/images/y/layer"),
        ("?q=1", "https://r.example/v1/images/x/layer?q=1"),
        ("//r.example/other", "https://r.example/other"),
    ],
)
@pytest.mark.parametrize("cookies", [True, False])
def test_a_redirect_within_the_origin_keeps_every_header(location: str, target: str, cookies: bool) -> None:
    assert redirected(Request(HERE, HEADERS, cookies), 302, location) == Request(target, HEADERS, cookies)


@pytest.mark.parametrize(
    ("here", "location"),
    [
        (HERE, "https://storage.example/layer?Signature=s"),
        (HERE, "//storage.example/layer"),
        (HERE, "https://sub.r.example/v1/images/x/layer"),
        (HERE, "https://r.example:8443/v1/images/x/layer"),
        ("http://r.example/x", "https://r.example/x"),
        ("http://r.example:443/x", "https://r.example/x"),
        ("http://r.example/x", "http://r.example:5000/x"),
    ],
)
def test_a_redirect_to_another_origin_keeps_range_and_sheds_credentials(here: str, location: str) -> None:
    followed = redirected(Request(here, HEADERS), 302, location)

    assert followed.headers == HARMLESS
    assert followed.cookies is False
    assert origin(followed.url) != origin(here)


def test_credentials_do_not_come_back_when_a_redirect_returns() -> None:
    away = redirected(Request(HERE, HEADERS), 302, "https://storage.example/")

    assert redirected(away, 302, HERE) == Request(HERE, HARMLESS, cookies=False)


@pytest.mark.parametrize("location", ["http://r.example/x", "http://storage.example/x", "HTTP://r.example:443/x"])
def test_a_redirect_from_https_to_http_is_refused(location: str) -> None:
    with pytest.raises(RemoteFault, match="from https to http") as caught:
        redirected(Request(HERE), 307, location)

    assert caught.value.status == 307


def test_a_redirect_from_http_to_http_is_followed() -> None:
    assert redirected(Request("http://a.example/x"), 302, "http://b.example/y").url == "http://b.example/y"


@pytest.mark.parametrize("location", [None, ""])
def test_a_redirect_without_a_location_is_refused(location: str | None) -> None:
    with pytest.raises(RemoteFault, match="redirects to nowhere") as caught:
        redirected(Request(HERE), 301, location)

    assert caught.value.status == 301


@pytest.mark.parametrize(
    "location",
    [
        "file:///etc/passwd",
        "gopher://r.example/",
        "ftp://r.example/",
        "data:text/plain,x",
        "javascript:alert(1)",
        "http://",
        "https://[::1",
        "https://r.example:0/",
        "https://r.example:port/",
        "https://r.example/\x1b[31m",
    ],
)
def test_a_redirect_to_what_is_no_http_url_is_refused(location: str) -> None:
    with pytest.raises(RemoteFault, match="something that is not a URL") as caught:
        redirected(Request(HERE), 308, location)

    assert caught.value.status == 308


@pytest.mark.parametrize("location", [None, "file:///x", "http://r.example/"])
def test_the_refusal_of_a_redirect_names_the_place_without_its_secrets(location: str | None) -> None:
    with pytest.raises(RemoteFault) as caught:
        redirected(Request("https://me:hunter2@r.example/layer?Signature=secret"), 302, location)

    assert str(caught.value).startswith("https://r.example/layer redirects ")
    assert "hunter2" not in str(caught.value)
    assert "secret" not in str(caught.value)


NEAR = ["127.0.0.1", "127.9.9.9", "[::1]", "[::ffff:127.0.0.1]", "169.254.169.254", "[fe80::1]", "0.0.0.0", "localhost"]


@pytest.mark.parametrize("host", [*NEAR, "a.localhost"])
def test_nobody_elsewhere_sends_us_to_this_machine_or_its_link(host: str) -> None:
    """A6: metadata services, and whatever listens here."""
    for here in (HERE, "https://10.0.0.1/x", "https://notlocalhost/x"):
        with pytest.raises(RemoteFault, match="near here"):
            redirected(Request(here, HEADERS), 307, f"https://{host}/latest/meta-data")


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost", "[::1]"])
def test_who_is_here_may_lead_here(host: str) -> None:
    assert redirected(Request("http://127.0.0.1:5000/x"), 307, f"http://{host}/y").url == f"http://{host}/y"


@pytest.mark.parametrize("host", ["10.0.0.1", "192.168.1.1", "storage.internal", "[fd00::1]"])
def test_storage_in_a_private_network_is_followed(host: str) -> None:
    assert redirected(Request(HERE), 307, f"https://{host}/y").url == f"https://{host}/y"


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ('299 - "old"', ["old"]),
        ('299 - "old" "Sat, 25 Aug 2012 23:34:45 GMT"', ["old"]),
        ('299 - "a \\"b\\" \\\\", 299 - "c"', ['a "b" \\', "c"]),
        ('299 - "clear\x9b2J"', ["clear\\x9b2J"]),
        ('299 - ""', []),
        ('199 - "x"', []),
        ('299 host "x"', []),
        ('299 - "x', []),
        ('299 - "x"y', []),
        ("", []),
        (f'299 - "{"x" * 4096}"', ["x" * 499 + "…"]),
        (f'299 - "{"x" * 4097}"', []),
    ],
)
def test_warnings_are_read_when_they_are_for_people(value: str, expected: list[str]) -> None:
    assert warnings(Headers([("Warning", value)])) == expected


def test_warnings_may_stand_in_several_headers() -> None:
    assert warnings(Headers([("Warning", '299 - "a"'), ("warning", '299 - "b"')])) == ["a", "b"]


@pytest.mark.parametrize("status", [301, 302, 303])
@pytest.mark.parametrize("method", ["PUT", "POST", "DELETE"])
def test_what_is_sent_is_not_dropped_by_a_redirect(status: int, method: str) -> None:
    with pytest.raises(RemoteFault, match="would drop"):
        redirected(Request(HERE, method=method), status, "/y")
    assert redirected(Request(HERE, method=method), 307, "/y").method == method
