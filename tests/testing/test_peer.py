"""The peer is right where it is not scripted to be wrong, and ends when it is told to."""

import http.client
import json
import socket
import ssl
import threading
import time
from collections.abc import Iterator
from contextlib import suppress

import pytest
import trustme

from dockless.testing.peer import Peer, Received, Reply, json_reply, redirect
from tests.testing.client import BODY, GET, body_of, dial, dial_tls, fetch, read_body, read_to_end


@pytest.fixture
def peer() -> Iterator[Peer]:
    with Peer() as peer:
        yield peer


@pytest.fixture(scope="module")
def authority() -> trustme.CA:
    return trustme.CA()


@pytest.fixture
def tls_peer(authority: trustme.CA) -> Iterator[Peer]:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("127.0.0.1").configure_cert(context)
    with Peer(tls=context) as peer:
        yield peer


# What is right


def test_a_right_answer_keeps_the_connection(peer: Peer) -> None:
    peer.on("/x", Reply(200, b"hello", (("X-Own", "1"), ("X-Own", "2"))))
    connection = http.client.HTTPConnection(peer.host, timeout=10)
    for _ in range(3):
        connection.request("GET", "/x?page=1")
        answer = connection.getresponse()
        assert (answer.status, answer.reason, answer.read()) == (200, "OK", b"hello")
        assert answer.headers.get_all("X-Own") == ["1", "2"]
        assert answer.headers["Connection"] == "keep-alive"
    connection.close()

    assert peer.connections == 1
    assert [(one.target, one.path, one.connection) for one in peer.requests] == [("/x?page=1", "/x", 1)] * 3
    assert peer.faults == []


def test_a_request_is_recorded_as_sent(peer: Peer) -> None:
    own = b"hOsT: peer\r\nX-A: 1\r\nx-a:2\r\nContent-Length: 3\r\n"
    with dial(peer, b"PUT /a HTTP/1.1\r\n" + own + b"\r\nabc") as connection:
        assert connection.recv(1) == b"H"
    chunks = b"3;why=not\r\nabc\r\nA\r\n0123456789\r\n0\r\nTrailer: 1\r\n\r\n"
    with dial(peer, b"PUT /b HTTP/1.1\r\nTransfer-Encoding: chunked\r\nConnection: close\r\n\r\n" + chunks) as second:
        assert b"Connection: close\r\n" in read_to_end(second)

    first, other = peer.requests
    headers = (("hOsT", "peer"), ("X-A", "1"), ("x-a", "2"), ("Content-Length", "3"))
    assert first == Received("PUT", "/a", headers, 1, b"abc")
    assert (first.header("HOST"), first.header("x-A"), first.header("Accept")) == ("peer", "1", None)
    assert (other.body, other.connection) == (b"abc0123456789", 2)


@pytest.mark.parametrize(
    "sent",
    [
        b"GET /x HT",
        b"GET /x HTTP/1.1\r\nHost: peer\r\n",
        b"PUT /x HTTP/1.1\r\nContent-Length: 10\r\n\r\nabc",
        b"PUT /x HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nab",
        b"PUT /x HTTP/1.1\r\nContent-Length: many\r\n\r\n",
        b"GET\r\n\r\n",
        b"\x16\x03\x01\x02\x00\x01",  # a TLS hello
    ],
)
def test_what_is_not_a_whole_request_is_not_recorded_and_ends_the_connection(peer: Peer, sent: bytes) -> None:
    with dial(peer, sent) as connection:
        connection.shutdown(socket.SHUT_WR)
        assert read_to_end(connection) == b""
    assert peer.requests == []


def test_replies_come_in_order_and_the_last_for_ever(peer: Peer) -> None:
    peer.on("/x", Reply(503), lambda request: Reply(200, request.target.encode()))

    assert [fetch(peer, f"/x?{number}")[1] for number in range(3)] == [b"", b"/x?1", b"/x?2"]
    peer.on("/x")
    assert fetch(peer, "/x")[0].status == 404


def test_what_is_not_scripted_is_404(peer: Peer) -> None:
    peer.on("/x", Reply(), method="PUT")

    answer, body = fetch(peer, "/x")
    assert (answer.status, json.loads(body)) == (404, {"error": "not scripted"})


def test_an_answer_to_head_has_a_length_and_no_body(peer: Peer) -> None:
    peer.on("/x", Reply(200, BODY), method="HEAD")
    with dial(peer, b"HEAD /x HTTP/1.1\r\nConnection: close\r\n\r\n") as connection:
        answer = read_to_end(connection)

    assert b"Content-Length: 256000\r\n" in answer
    assert body_of(answer) == b""


def test_the_handy_replies(peer: Peer) -> None:
    peer.on("/json", json_reply({"a": [1]}, 201, (("X-Own", "1"),)))
    peer.on("/there", redirect("/json", 307))

    answer, body = fetch(peer, "/json")
    assert (answer.status, answer.headers["Content-Type"], answer.headers["X-Own"]) == (201, "application/json", "1")
    assert json.loads(body) == {"a": [1]}
    answer, _ = fetch(peer, "/there")
    assert (answer.status, answer.headers["Location"]) == (307, "/json")


def test_a_chunked_body_arrives_whole_and_keeps_the_connection(peer: Peer) -> None:
    peer.on("/x", Reply(body=BODY, chunked=True))

    answer, body = fetch(peer, "/x")
    assert answer.headers["Transfer-Encoding"] == "chunked"
    assert answer.headers["Content-Length"] is None
    assert answer.headers["Connection"] == "keep-alive"
    assert body == BODY


def test_connections_are_served_side_by_side(peer: Peer) -> None:
    together = threading.Barrier(2, timeout=10)

    def met(request: Received) -> Reply:
        together.wait()
        return Reply()

    peer.on("/x", met)
    with dial(peer, GET) as one, dial(peer, GET) as other:
        assert one.recv(1) == other.recv(1) == b"H"
    assert peer.connections == 2


# Ranges


@pytest.mark.parametrize(
    ("wanted", "place", "body"),
    [
        ("bytes=0-9", "bytes 0-9/256000", BODY[:10]),
        ("bytes=1000-", "bytes 1000-255999/256000", BODY[1000:]),
        ("bytes=255999-255999", "bytes 255999-255999/256000", BODY[-1:]),
        ("bytes=255990-999999", "bytes 255990-255999/256000", BODY[-10:]),
    ],
)
def test_a_range_is_answered(peer: Peer, wanted: str, place: str, body: bytes) -> None:
    peer.on("/x", Reply(body=BODY, ranges=True))

    answer, got = fetch(peer, "/x", Range=wanted)
    assert (answer.status, answer.headers["Content-Range"]) == (206, place)
    assert got == body


@pytest.mark.parametrize("wanted", ["bytes=256000-", "bytes=5-2"])
def test_a_range_outside_is_refused(peer: Peer, wanted: str) -> None:
    peer.on("/x", Reply(body=BODY, ranges=True))

    answer, body = fetch(peer, "/x", Range=wanted)
    assert (answer.status, answer.headers["Content-Range"], body) == (416, "bytes */256000", b"")


def test_without_a_range_or_without_ranges_all_of_it_comes(peer: Peer) -> None:
    peer.on("/x", Reply(body=BODY, ranges=True), Reply(body=BODY))

    answer, body = fetch(peer, "/x")
    assert (answer.status, answer.headers["Accept-Ranges"], body) == (200, "bytes", BODY)
    answer, body = fetch(peer, "/x", Range="bytes=1-2")
    assert (answer.status, body) == (200, BODY)


def test_a_cut_counts_the_bytes_of_its_own_answer(peer: Peer) -> None:
    peer.on("/x", Reply(body=BODY, ranges=True, cut_after=100))
    with dial(peer, b"GET /x HTTP/1.1\r\nRange: bytes=1000-\r\n\r\n") as connection:
        answer = read_to_end(connection)

    assert b"Content-Length: 255000\r\n" in answer
    assert body_of(answer) == BODY[1000:1100]
    assert peer.faults == ["cut after 100"]


# The end


def test_close_ends_everything_at_once(peer: Peer) -> None:
    before = threading.active_count()
    peer.on("/x", Reply(stall_after=-1))
    with dial(peer, GET) as stalled, dial(peer) as idle, dial(peer, b"PUT /x HTTP/1.1\r\nContent-Len") as sending:
        while peer.connections < 3 or not peer.faults:
            time.sleep(0.01)
        started = time.monotonic()
        peer.close()
        peer.close()
        assert stalled.recv(1) == idle.recv(1) == b""
        with suppress(ConnectionResetError):  # when what was sent had not been read yet
            assert sending.recv(1) == b""
        assert time.monotonic() - started < 2
    assert threading.active_count() == before - 1  # nor does it listen any more
    with pytest.raises(ConnectionRefusedError):
        dial(peer)


def test_a_reply_can_close_the_peer(peer: Peer) -> None:
    def die(request: Received) -> Reply:
        peer.close()
        return Reply()

    peer.on("/x", die)
    with dial(peer, GET) as connection:
        assert read_to_end(connection) == b""


# TLS


def test_tls_carries_right_answers_and_ends_with_a_goodbye(tls_peer: Peer, authority: trustme.CA) -> None:
    tls_peer.on("/x", Reply(body=BODY, content_length="absent"))
    assert tls_peer.url == f"https://{tls_peer.host}"
    with dial_tls(tls_peer, authority, GET) as connection:
        assert body_of(read_to_end(connection)) == BODY


def test_tls_is_cut_and_reset_and_stalls_too(tls_peer: Peer, authority: trustme.CA) -> None:
    tls_peer.on(
        "/x", Reply(body=BODY, cut_after=100_000), Reply(body=BODY, cut_after=10, reset=True), Reply(stall_after=-1)
    )
    with dial_tls(tls_peer, authority, GET) as connection:
        assert body_of(read_to_end(connection)) == BODY[:100_000]
    with dial_tls(tls_peer, authority, GET) as connection:
        assert read_body(connection, 10) == BODY[:10]
        with pytest.raises(ConnectionResetError):
            socket.socket.recv(connection, 1)  # beneath TLS, which may call it an end
    with dial_tls(tls_peer, authority, GET) as connection:
        connection.settimeout(0.2)
        with pytest.raises(TimeoutError):
            connection.recv(1)
        started = time.monotonic()
        tls_peer.close()
        assert time.monotonic() - started < 2
    assert tls_peer.faults == ["cut after 100000", "reset after 10", "stall before answer"]


def test_a_client_that_does_not_trust_leaves_the_peer_well(tls_peer: Peer, authority: trustme.CA) -> None:
    tls_peer.on("/x", Reply(body=b"hello"))
    with dial(tls_peer) as plain, pytest.raises(ssl.SSLCertVerificationError):
        ssl.create_default_context().wrap_socket(plain, server_hostname="127.0.0.1")
    with dial(tls_peer, GET) as plain, suppress(ConnectionResetError):
        read_to_end(plain)
    with dial_tls(tls_peer, authority, GET) as connection:
        assert read_body(connection, 5) == b"hello"
    assert len(tls_peer.requests) == 1


def test_a_tls_client_is_turned_away_by_a_plain_peer(peer: Peer) -> None:
    with dial(peer) as connection, pytest.raises(ssl.SSLError):
        ssl.create_default_context().wrap_socket(connection, server_hostname="127.0.0.1")
