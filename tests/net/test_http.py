"""The contract of a transport: whoever replaces the one we have must pass this."""

import threading
import time
from collections.abc import Iterator
from contextlib import closing

import pytest

from dockless.model.errors import NetworkFault, RemoteFault
from dockless.net.http import Cookies, PooledTransport, Transport
from dockless.net.response import Response
from dockless.testing.peer import Peer, Received, Reply
from dockless.wire.http import Headers, Request
from tests.scripted import QUICK


@pytest.fixture(name="transport")
def pooled() -> Iterator[Transport]:
    with closing(PooledTransport(QUICK)) as transport:
        yield transport


@pytest.fixture(name="peer")
def scripted() -> Iterator[Peer]:
    with Peer() as peer:
        yield peer


def body(transport: Transport, url: str) -> bytes:
    with closing(transport.send(Request(url))) as response:
        return response.read(1 << 20)


def test_any_status_is_an_answer(transport: Transport, peer: Peer) -> None:
    for status in (200, 204, 302, 404, 500):
        peer.on("/", Reply(status, headers=(("Location", "/elsewhere"),)))
        with closing(transport.send(Request(peer.url + "/"))) as response:
            assert response.status == status
    assert {request.path for request in peer.requests} == {"/"}  # no redirect was followed


def test_headers_go_as_given_and_come_repeated(transport: Transport, peer: Peer) -> None:
    peer.on("/", Reply(headers=(("X-Twice", "one"), ("x-twice", "two"))))
    with closing(transport.send(Request(peer.url + "/", (("Authorization", "Token a=b"),)))) as response:
        assert response.headers.all("X-Twice") == ["one", "two"]
    assert peer.requests[0].header("Authorization") == "Token a=b"


def test_nothing_is_unpacked_and_identity_is_asked_for(transport: Transport, peer: Peer) -> None:
    peer.on("/", Reply(body=b"\x1f\x8bnot really", headers=(("Content-Encoding", "gzip"),)))
    assert body(transport, peer.url + "/") == b"\x1f\x8bnot really"
    assert peer.requests[0].header("Accept-Encoding") == "identity"


def test_no_cookie_is_kept_by_itself(transport: Transport, peer: Peer) -> None:
    peer.on("/", Reply(headers=(("Set-Cookie", "a=1; Path=/"),)))
    body(transport, peer.url + "/")
    body(transport, peer.url + "/")
    assert peer.requests[1].header("Cookie") is None


@pytest.mark.parametrize("chunked", [False, True])
@pytest.mark.parametrize("reset", [False, True])
def test_what_came_before_a_cut_is_given_then_the_cut(
    transport: Transport, peer: Peer, chunked: bool, reset: bool
) -> None:
    peer.on("/", Reply(body=b"x" * 500_000, cut_after=300_000, chunked=chunked, reset=reset))
    came: list[int] = []

    def read_on(response: Response) -> None:
        while chunk := response.read_chunk():
            came.append(len(chunk))

    with (
        closing(transport.send(Request(peer.url + "/"))) as response,
        pytest.raises(NetworkFault, match=r"127\.0\.0\.1"),
    ):
        read_on(response)
    assert sum(came) == 300_000
    assert len(peer.faults) == 1


def test_a_body_over_the_limit_is_refused(transport: Transport, peer: Peer) -> None:
    peer.on("/", Reply(body=b"x" * 1001))
    with closing(transport.send(Request(peer.url + "/"))) as response, pytest.raises(RemoteFault, match="1000 bytes"):
        response.read(1000)


def test_an_answer_may_be_closed_twice_and_early(transport: Transport, peer: Peer) -> None:
    peer.on("/", Reply(body=b"x", endless=True))
    response = transport.send(Request(peer.url + "/"))
    assert response.read_chunk()
    response.close()
    response.close()


def test_closing_never_waits_for_a_read_that_hangs(transport: Transport, peer: Peer) -> None:
    peer.on("/", Reply(body=b"x" * 1000, stall_after=10))
    response = transport.send(Request(peer.url + "/"))
    assert response.read_chunk() == b"x" * 10
    ended: list[NetworkFault] = []

    def read_on() -> None:
        try:
            response.read_chunk()
        except NetworkFault as fault:
            ended.append(fault)

    reading = threading.Thread(target=read_on)
    reading.start()
    time.sleep(0.2)
    started = time.monotonic()
    response.close()
    assert time.monotonic() - started < 0.3
    reading.join(5)
    assert ended


def test_a_repeat_does_not_take_another_dead_connection_from_the_pool(transport: Transport, peer: Peer) -> None:
    together = threading.Barrier(4)

    def doomed(request: Received) -> Reply:
        together.wait(10)  # so that four connections lie in the pool afterwards
        return Reply(body=b"ok", close_on_next=True)

    peer.on("/doomed", doomed)
    peer.on("/", Reply(body=b"ok"))
    threads = [threading.Thread(target=body, args=(transport, peer.url + "/doomed")) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(10)
    for _ in range(4):
        assert body(transport, peer.url + "/") == b"ok"
    assert peer.faults == ["closed on next request"] * 4


def test_cookies_belong_to_their_hosts() -> None:
    cookies = Cookies()
    cookies.keep(
        Headers([("Set-Cookie", "a=1; Path=/v1; HttpOnly"), ("Set-Cookie", "b=2; Secure"), ("Set-Cookie", "=;")]),
        "https://one.example/v1/x",
    )
    assert sorted(cookies.matching("https://one.example/v1/y")) == ["a=1", "b=2"]
    assert cookies.matching("http://one.example/v1/y") == ["a=1"]
    assert cookies.matching("https://one.example/") == []
    assert cookies.matching("https://two.example/v1/y") == []
    assert cookies.matching("https://below.one.example/v1/y") == []
