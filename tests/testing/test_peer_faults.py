"""Every misbehaviour of the peer happens on the wire, seen with plain sockets, and is recorded."""

import http.client
import time
from collections.abc import Iterator

import pytest

from dockless.testing.peer import Peer, Reply
from tests.testing.client import BODY, GET, body_of, dial, fetch, read_body, read_to_end


@pytest.fixture
def peer() -> Iterator[Peer]:
    with Peer() as peer:
        yield peer


def test_a_cut_ends_cleanly_after_so_many_bytes(peer: Peer) -> None:
    peer.on("/x", Reply(body=BODY, cut_after=200_000))
    with dial(peer, GET) as connection:
        answer = read_to_end(connection)

    assert b"Content-Length: 256000\r\nConnection: keep-alive\r\n" in answer
    assert body_of(answer) == BODY[:200_000]
    assert peer.faults == ["cut after 200000"]


def test_a_chunked_body_is_cut_within_a_chunk(peer: Peer) -> None:
    peer.on("/x", Reply(body=b"0123456789", chunked=True, cut_after=4), Reply(body=b"01", chunked=True, cut_after=2))
    for expected in (b"a\r\n0123", b"2\r\n01"):
        with dial(peer, GET) as connection:
            assert body_of(read_to_end(connection)) == expected
    assert peer.faults == ["cut after 4", "cut after 2"]


def test_a_reset_comes_after_so_many_bytes(peer: Peer) -> None:
    peer.on("/x", Reply(body=BODY, cut_after=200_000, reset=True))
    with dial(peer, GET) as connection:
        assert read_body(connection, 200_000) == BODY[:200_000]
        with pytest.raises(ConnectionResetError):
            connection.recv(1)
    assert peer.faults == ["reset after 200000"]


@pytest.mark.parametrize(
    ("stall_after", "fault", "there"),
    [(-1, "stall before answer", b""), (0, "stall after 0", b""), (3, "stall after 3", b"hel")],
)
def test_a_stall_lasts_until_the_peer_is_closed(peer: Peer, stall_after: int, fault: str, there: bytes) -> None:
    peer.on("/x", Reply(body=b"hello", stall_after=stall_after))
    with dial(peer, GET) as connection:
        if stall_after >= 0:
            assert read_body(connection, stall_after) == there
        connection.settimeout(0.3)
        with pytest.raises(TimeoutError):
            connection.recv(1)
        assert peer.faults == [fault]

        connection.settimeout(10)
        started = time.monotonic()
        peer.close()
        assert connection.recv(1) == b""
        assert time.monotonic() - started < 2


def test_a_drop_is_no_answer_at_all(peer: Peer) -> None:
    peer.on("/x", Reply(drop=True), Reply(drop=True, reset=True))
    with dial(peer, GET) as connection:
        assert read_to_end(connection) == b""
    with dial(peer, GET) as connection, pytest.raises(ConnectionResetError):
        connection.recv(1)

    assert peer.faults == ["closed before answer", "reset before answer"]
    assert len(peer.requests) == 2


def test_raw_bytes_go_out_as_they_are(peer: Peer) -> None:
    peer.on("/x", Reply(raw=b"SSH-2.0-not-http\r\n"))
    with dial(peer, GET) as connection:
        assert read_to_end(connection) == b"SSH-2.0-not-http\r\n"
    assert peer.faults == ["raw answer"]


def test_a_close_that_was_not_announced(peer: Peer) -> None:
    peer.on("/x", Reply(body=b"hello", close=True))
    with dial(peer, GET) as connection:
        answer = read_to_end(connection)
    assert b"Connection: keep-alive\r\n" in answer
    assert body_of(answer) == b"hello"
    assert peer.faults == ["closed unannounced"]


def test_the_stale_connection_of_a_pool(peer: Peer) -> None:
    peer.on("/x", Reply(body=b"hello", close_on_next=True), Reply(body=b"again"))
    with dial(peer, GET) as connection:
        assert read_body(connection, 5) == b"hello"
        connection.settimeout(0.2)
        with pytest.raises(TimeoutError):  # it still looks alive
            connection.recv(1)
        assert peer.faults == []
        connection.settimeout(10)
        connection.sendall(GET)
        assert connection.recv(1) == b""

    assert peer.faults == ["closed on next request"]
    assert len(peer.requests) == 2
    assert fetch(peer, "/x")[1] == b"again"  # the unanswered request took no reply from the script


def test_a_length_that_is_too_long_leaves_the_client_waiting(peer: Peer) -> None:
    peer.on("/x", Reply(body=b"hello", content_length=6))
    with dial(peer, GET) as connection:
        assert read_body(connection, 5) == b"hello"
        connection.settimeout(0.2)
        with pytest.raises(TimeoutError):
            connection.recv(1)
    assert peer.faults == ["announced 6 for 5"]


def test_a_length_that_is_too_long_with_an_end(peer: Peer) -> None:
    peer.on("/x", Reply(body=b"hello", content_length=6, cut_after=5))

    with pytest.raises(http.client.IncompleteRead):
        fetch(peer, "/x")
    assert peer.faults == ["announced 6 for 5", "cut after 5"]


def test_a_length_that_is_too_short_leaves_bytes_behind(peer: Peer) -> None:
    peer.on("/x", Reply(body=b"hello", content_length=2))
    with dial(peer, GET) as connection:
        assert read_body(connection, 5) == b"hello"
    assert fetch(peer, "/x")[1] == b"he"
    assert peer.faults == ["announced 2 for 5"] * 2


def test_a_body_without_a_length_ends_with_the_connection(peer: Peer) -> None:
    peer.on("/x", Reply(body=b"hello", content_length="absent"))
    with dial(peer, GET) as connection:
        answer = read_to_end(connection)
    assert b"content-length" not in answer.lower()
    assert b"Connection: close\r\n" in answer
    assert body_of(answer) == b"hello"
    assert peer.faults == []


@pytest.mark.parametrize("chunked", [False, True])
def test_a_drip_comes_byte_by_byte(peer: Peer, chunked: bool) -> None:
    peer.on("/x", Reply(body=b"hello", drip=0.05, chunked=chunked))
    connection = http.client.HTTPConnection(peer.host, timeout=10)
    connection.request("GET", "/x")
    answer = connection.getresponse()
    started = time.monotonic()
    assert answer.read1(100) == b"h"
    assert answer.read() == b"ello"
    assert time.monotonic() - started > 0.1
    connection.close()

    assert peer.faults == ["drip"]


@pytest.mark.parametrize("body", [b"", b"abc", BODY])
def test_an_endless_body_goes_on_until_the_client_leaves(peer: Peer, body: bytes) -> None:
    peer.on("/x", Reply(body=body, endless=True))
    connection = http.client.HTTPConnection(peer.host, timeout=10)
    connection.request("GET", "/x")
    answer = connection.getresponse()
    got = answer.read(1_000_000)
    assert answer.headers["Content-Length"] is None
    answer.close()
    connection.close()

    unit = body or b"\0"
    assert got == (unit * (1_000_000 // len(unit) + 1))[:1_000_000]
    assert peer.faults == ["endless"]
    started = time.monotonic()
    peer.close()
    assert time.monotonic() - started < 2


def test_an_endless_body_can_be_chunked_and_cut(peer: Peer) -> None:
    peer.on("/x", Reply(body=b"abc", endless=True, cut_after=300_000), Reply(body=b"abc", endless=True, chunked=True))
    assert fetch(peer, "/x")[1] == b"abc" * 100_000
    connection = http.client.HTTPConnection(peer.host, timeout=10)
    connection.request("GET", "/x")
    answer = connection.getresponse()
    assert answer.read(300_000) == b"abc" * 100_000
    answer.close()
    connection.close()
    assert peer.faults == ["endless", "cut after 300000", "endless"]


@pytest.mark.parametrize(
    "refused", [{"cut_after": 1, "stall_after": 1}, {"reset": True}, {"reset": True, "stall_after": 3}]
)
def test_a_script_that_cannot_do_what_it_says_is_refused(refused: dict[str, int]) -> None:
    with pytest.raises(ValueError, match=r"not both|a reset needs"):
        Reply(**refused)  # type: ignore[arg-type]
