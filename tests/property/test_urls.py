"""URLs and redirects: any text is a URL or refused, and no redirect carries a credential to another origin."""

from hypothesis import given, settings
from hypothesis import strategies as st

from dockless.model.errors import InvalidReference, RemoteFault
from dockless.model.printable import printable
from dockless.wire.http import Request, origin, parse_url, redirected, without_query

thoroughly = settings(deadline=None, max_examples=300)

HEADERS = (("authorization", "Token t"), ("Cookie", "a=b"), ("Range", "bytes=1-2"))

rests = st.text() | st.text("ab.:/@[]?#%0 \\\n", max_size=20)
starts = st.sampled_from(
    ["", "/", "//", "http:", "http://", "https://", "https://user:password@", "https://[", "file:///"]
)
texts = st.builds("{}{}".format, starts, rests)
heres = st.sampled_from(["http://a.b/v1/x", "https://a.b/v1/x", "https://a.b:8443/", "http://[::1]:5000/v1/x?q"])


@thoroughly
@given(texts)
def test_any_text_is_a_url_or_refused(text: str) -> None:
    try:
        parse_url(text)
    except InvalidReference:
        return
    scheme, host, port = origin(text)
    assert scheme in {"http", "https"}
    assert host == host.lower()
    assert 0 < port < 65536


@thoroughly
@given(texts)
def test_a_url_is_shown_without_user_and_query(text: str) -> None:
    try:
        parse_url(text)
    except InvalidReference:
        return
    shown = without_query(text)
    assert shown == printable(shown)
    assert "password@" not in shown
    assert "?" not in shown


@thoroughly
@given(heres, texts)
def test_any_location_is_followed_without_leaking_or_refused(here: str, location: str) -> None:
    try:
        followed = redirected(Request(here, HEADERS), 302, location)
    except RemoteFault:
        return
    assert origin(here)[0] == "http" or origin(followed.url)[0] == "https"
    if origin(followed.url) == origin(here):
        assert (followed.headers, followed.cookies) == (HEADERS, True)
    else:
        assert (followed.headers, followed.cookies) == (HEADERS[2:], False)
