"""URLs that two readers read differently: refused, so that a credential goes where the check looked."""

import pytest
from pyreqwest.http import Url

from dockless.model.errors import InvalidReference, RemoteFault
from dockless.wire.http import Request, origin, parse_url, redirected, without_query

BACKSLASH = "https://evil.com\\@index.docker.io/"


def test_the_client_reads_a_backslash_as_a_slash() -> None:
    assert Url(BACKSLASH).host_str == "evil.com"  # which is why


@pytest.mark.parametrize(
    "url",
    [
        BACKSLASH,
        "https://index.docker.io\\.evil.com/",
        "http://%65vil/",
        "http://0x7f.1/",
        "http://0177.1/",
        "http://2130706433/",
        "http://1.2.3.999/",
        "http://[.]/",
        "http://[::::]/",
        "http://./",
        "http://a\tb/",
        "http://a/b c",
        "http://\u2025/",
    ],
)
def test_what_could_be_misread_is_refused(url: str) -> None:
    with pytest.raises(InvalidReference):
        parse_url(url)


def test_a_redirect_to_one_takes_no_credential_along() -> None:
    asked = Request("https://index.docker.io/v1/x", (("Authorization", "Token t"),))
    with pytest.raises(RemoteFault):
        redirected(asked, 302, BACKSLASH)


@pytest.mark.parametrize("host", ["a.example", "127.0.0.1", "[::1]", "a-b.c:81", "localhost", "a_b"])
def test_what_is_accepted_the_client_reads_the_same(host: str) -> None:
    url = f"https://{host}/x"
    scheme, name, port = origin(url)
    read = Url(url)
    assert (read.scheme, (read.host_str or "").strip("[]"), read.port_or_known_default) == (scheme, name, port)


def test_a_long_signed_url_is_a_url() -> None:
    assert parse_url("https://s3.example/x?signature=" + "a" * 8000).hostname == "s3.example"


@pytest.mark.parametrize("url", ["http://user:hunter2/x@host/", "http://u:hunter2@ex\u2100mple/", "http://u:hunter2@["])
def test_no_password_in_the_error_or_behind_it(url: str) -> None:
    with pytest.raises(InvalidReference) as caught:
        parse_url(url)
    assert caught.value.__cause__ is None
    assert "hunter2" not in str(caught.value)


def test_what_cannot_be_read_can_be_shown() -> None:
    assert without_query("http://[") == "an unreadable URL"
    assert "unreadable" in repr(Request("http://["))
