"""What a server says beside its answers: cookies without end, cookies of others, answers before the answer."""

from collections.abc import Iterator
from contextlib import closing

import pytest

from dockless.model.errors import NetworkFault
from dockless.net.http import Cookies
from dockless.net.session import Session
from dockless.testing.peer import Peer, Reply
from dockless.wire.http import Headers, Request, body_of
from tests.scripted import QUICK

GOOD = b"HTTP/1.1 200 OK\r\nX-Which: last\r\nContent-Length: 0\r\n\r\n"


@pytest.fixture
def session() -> Iterator[Session]:
    with closing(Session(QUICK)) as session:
        yield session


@pytest.fixture
def peer() -> Iterator[Peer]:
    with Peer() as peer:
        yield peer


def put(peer: Peer) -> Request:
    return Request(f"{peer.url}/x", method="PUT", body=body_of(b"abc"))


def get(peer: Peer) -> Request:
    return Request(f"{peer.url}/x")


@pytest.mark.parametrize("status", [100, 102, 103, 199])
@pytest.mark.parametrize("ask", [get, put])
def test_answers_before_the_answer_are_passed_over(session: Session, peer: Peer, ask: type, status: int) -> None:
    interim = b"HTTP/1.1 %d Soon\r\nX-Which: first\r\n\r\n" % status
    for method in ("GET", "PUT"):
        peer.on("/x", Reply(raw=interim * 3 + GOOD), method=method)
    with closing(session.exchange(ask(peer))) as answer:
        assert answer.headers.all("x-which") == ["last"]


def test_answers_before_the_answer_have_an_end(session: Session, peer: Peer) -> None:
    peer.on("/x", Reply(raw=b"HTTP/1.1 103 Soon\r\n\r\n" * 200_000 + GOOD), method="PUT")
    with pytest.raises(NetworkFault):
        session.exchange(put(peer))


def test_a_switch_of_protocols_is_no_answer_before_the_answer(session: Session, peer: Peer) -> None:
    peer.on("/x", Reply(raw=b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: h2c\r\n\r\n" + GOOD), method="PUT")
    with pytest.raises(Exception, match="101"):
        session.exchange(put(peer))


def test_what_is_no_url_gets_no_cookie() -> None:
    assert Cookies().matching("elsewhere") == []


def test_cookies_without_end_are_not_kept_without_end() -> None:
    cookies = Cookies()
    for page in range(50):
        cookies.keep(Headers([("Set-Cookie", f"c{page}-{n}=x; Path=/") for n in range(100)]), "http://a.example/")
    assert len(cookies.matching("http://a.example/")) <= 100


def test_a_cookie_that_is_too_long_is_not_kept() -> None:
    cookies = Cookies()
    cookies.keep(Headers([("Set-Cookie", f"a={'x' * 5000}"), ("Set-Cookie", "b=1")]), "http://a.example/")
    assert cookies.matching("http://a.example/") == ["b=1"]


def test_a_cookie_that_is_set_anew_takes_no_more_room() -> None:
    cookies = Cookies()
    for turn in range(5000):
        cookies.keep(Headers([("Set-Cookie", f"a={turn}")]), "http://a.example/")
    assert cookies.matching("http://a.example/") == ["a=4999"]


@pytest.mark.parametrize(
    ("domain", "origin", "reached"),
    [
        ("docker.io", "index.docker.io", True),
        ("registry.example.co.uk", "a.registry.example.co.uk", True),
        (".example.co.uk", "a.example.co.uk", True),
        ("com", "a.com", False),
        (".com", "a.com", False),
        ("co.uk", "a.co.uk", False),
        (".CO.UK", "a.co.uk", False),
    ],
)
def test_a_cookie_reaches_others_of_its_domain_and_no_stranger(domain: str, origin: str, reached: bool) -> None:
    cookies = Cookies()
    cookies.keep(Headers([("Set-Cookie", f"a=1; Domain={domain}; Path=/")]), f"https://{origin}/")
    assert cookies.matching(f"https://other.{domain.strip('.').lower()}/") == (["a=1"] if reached else [])
    assert cookies.matching("https://elsewhere.example/") == []


@pytest.mark.parametrize("cookie", ["a=\xe9", "a=\x1b[5m", "a=\x9b"])
def test_a_cookie_that_cannot_be_sent_back_is_not_kept(cookie: str) -> None:
    cookies = Cookies()
    cookies.keep(Headers([("Set-Cookie", cookie)]), "http://a.example/")
    assert cookies.matching("http://a.example/") == []
