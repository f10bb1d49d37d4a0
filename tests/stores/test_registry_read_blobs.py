"""Blobs from a v2 registry that cuts, stalls, lies and redirects."""

import os
from collections.abc import Iterator
from contextlib import closing

import pytest
from msgspec import structs

from dockless.model.descriptor import describe
from dockless.model.errors import (
    ChecksumMismatch,
    Denied,
    InvalidDocument,
    NetworkFault,
    NotFound,
    RemoteFault,
    SizeMismatch,
    Unauthorized,
)
from dockless.model.events import Event, Retrying
from dockless.model.media_types import OCI_LAYER
from dockless.net.session import Session
from dockless.stores.registry.repository import Repository
from dockless.testing.contract import got
from dockless.testing.peer import Peer, Received, Reply, redirect
from dockless.wire.http import Headers
from dockless.wire.stream import CheckedReader, promise_of, pump
from tests.scripted import QUICK
from tests.scripted_registry import ANN, blob_path, repository
from tests.tls import Authority

BLOB = os.urandom(1_000_000)
LAYER = describe(BLOB, OCI_LAYER)
PATH = blob_path(LAYER)
RIGHT = Reply(body=BLOB, ranges=True)


@pytest.fixture(name="peer")
def scripted() -> Iterator[Peer]:
    with Peer() as peer:
        yield peer


@pytest.fixture(name="events")
def observed() -> list[Event]:
    return []


@pytest.fixture(name="there")
def opened(peer: Peer, events: list[Event]) -> Iterator[Repository]:
    with closing(Session(QUICK, events.append)) as session:
        yield repository(peer, session=session)


def ranges(peer: Peer) -> list[str | None]:
    return [request.header("range") for request in peer.requests]


def partial(start: int, content: bytes, label: str | None = None) -> Reply:
    place = label or f"bytes {start}-{start + len(content) - 1}/{len(BLOB)}"
    return Reply(206, content, (("Content-Range", place),) if label != "" else ())


def checked(there: Repository) -> bytes:
    content = bytearray()
    with closing(CheckedReader(promise_of(LAYER), lambda offset: there.fetch(LAYER, offset))) as reader:
        pump(reader, content.extend)
    return bytes(content)


class TestRanges:
    @pytest.mark.parametrize("offset", [0, 1, 500_000, len(BLOB) - 1])
    def test_an_offset_is_an_open_range(self, there: Repository, peer: Peer, offset: int) -> None:
        peer.on(PATH, RIGHT)
        assert got(there, LAYER, offset) == BLOB[offset:]
        assert ranges(peer) == [f"bytes={offset}-" if offset else None]

    def test_nothing_is_asked_for_no_bytes(self, there: Repository, peer: Peer) -> None:
        assert got(there, LAYER, len(BLOB)) == b""
        assert got(there, describe(b"", OCI_LAYER)) == b""
        assert peer.requests == []

    def test_200_to_a_range_is_the_whole_and_skipped_into(self, there: Repository, peer: Peer) -> None:
        """F18."""
        peer.on(PATH, Reply(body=BLOB))
        assert got(there, LAYER, 400_000) == BLOB[400_000:]

    def test_a_range_from_before_is_skipped_into(self, there: Repository, peer: Peer) -> None:
        """F20: all of it, and called a part."""
        peer.on(PATH, partial(0, BLOB))
        assert got(there, LAYER, 400_000) == BLOB[400_000:]
        assert len(peer.requests) == 1

    @pytest.mark.parametrize(
        "wrong",
        [
            partial(400_001, BLOB[400_001:]),
            partial(400_000, BLOB[400_000:], ""),
            partial(400_000, BLOB[400_000:], "bytes nonsense"),
            partial(400_000, BLOB[400_000:], f"bytes 0-10/{len(BLOB)}"),
            Reply(416, headers=(("Content-Range", f"bytes */{len(BLOB)}"),)),
            Reply(416),
        ],
        ids=["wrong start", "unlabelled", "nonsense", "ends before", "416 with the size", "416"],
    )
    def test_what_does_not_hold_the_offset_is_not_appended(self, there: Repository, peer: Peer, wrong: Reply) -> None:
        """F19, F21."""
        peer.on(PATH, wrong, Reply(body=BLOB))
        assert got(there, LAYER, 400_000) == BLOB[400_000:]
        assert ranges(peer) == ["bytes=400000-", None]

    def test_neither_a_part_nor_the_whole_is_the_end(self, there: Repository, peer: Peer) -> None:
        peer.on(PATH, Reply(416))
        with pytest.raises(RemoteFault, match="neither the whole"):
            got(there, LAYER, 400_000)
        assert ranges(peer) == ["bytes=400000-", None]

    def test_a_range_may_end_early_and_a_total_be_unknown(self, there: Repository, peer: Peer) -> None:
        """F20: shorter than asked."""
        peer.on(PATH, partial(400_000, BLOB[400_000:600_000], "bytes 400000-599999/*"), RIGHT)
        assert got(there, LAYER, 400_000) == BLOB[400_000:]
        assert ranges(peer) == ["bytes=400000-", "bytes=600000-"]

    @pytest.mark.parametrize(
        "wrong",
        [partial(400_000, b"x", "bytes 400000-400000/999999"), Reply(416, headers=(("Content-Range", "bytes */7"),))],
    )
    def test_another_total_is_another_blob(self, there: Repository, peer: Peer, wrong: Reply) -> None:
        peer.on(PATH, wrong)
        with pytest.raises(SizeMismatch, match="were promised"):
            got(there, LAYER, 400_000)


class TestHealing:
    @pytest.mark.parametrize("chunked", [False, True])
    @pytest.mark.parametrize("reset", [False, True])
    def test_a_cut_goes_on_where_it_was(
        self, there: Repository, peer: Peer, events: list[Event], chunked: bool, reset: bool
    ) -> None:
        """F1, F2, F24."""
        peer.on(PATH, Reply(body=BLOB, cut_after=300_000, chunked=chunked, reset=reset), RIGHT)
        assert checked(there) == BLOB
        assert ranges(peer) == [None, "bytes=300000-"]
        assert len(peer.faults) == 1
        assert [type(event) for event in events] == [Retrying]

    def test_a_stall_does_too(self, there: Repository, peer: Peer) -> None:
        """F5."""
        peer.on(PATH, Reply(body=BLOB, stall_after=300_000), RIGHT)
        assert checked(there) == BLOB
        assert peer.faults == ["stall after 300000"]

    def test_cuts_are_counted_since_the_last_progress(self, there: Repository, peer: Peer) -> None:
        """F3."""
        peer.on(PATH, *[Reply(body=BLOB, ranges=True, cut_after=100_000)] * 9, RIGHT)
        assert checked(there) == BLOB
        assert len(peer.faults) == 9 > QUICK.retry.attempts

    def test_one_that_gets_nowhere_ends(self, there: Repository, peer: Peer) -> None:
        peer.on(PATH, Reply(body=BLOB, ranges=True, cut_after=10))
        with pytest.raises(NetworkFault):
            checked(there)
        assert len(peer.faults) == QUICK.retry.attempts

    def test_opening_again_has_its_own_tries_and_they_are_not_multiplied(self, there: Repository, peer: Peer) -> None:
        peer.on(PATH, Reply(body=BLOB, cut_after=300_000), Reply(drop=True, reset=True))
        with pytest.raises(NetworkFault):
            checked(there)
        unanswered = peer.faults[1:]
        assert len(unanswered) <= 2 * QUICK.retry.attempts  # each may cost one repeat on a new connection
        assert set(unanswered) == {"reset before answer"}

    def test_a_passing_error_at_the_start_is_tried_again(self, there: Repository, peer: Peer) -> None:
        peer.on(PATH, Reply(503), RIGHT)
        assert checked(there) == BLOB

    @pytest.mark.parametrize("delta", [-10, 10])
    def test_a_wrong_length_is_not_believed(self, there: Repository, peer: Peer, delta: int) -> None:
        """F22."""
        peer.on(PATH, Reply(body=BLOB, content_length=len(BLOB) + delta), RIGHT)
        assert checked(there) == BLOB
        assert peer.faults == [f"announced {len(BLOB) + delta} for {len(BLOB)}"]

    @pytest.mark.parametrize("reply", [Reply(body=BLOB, chunked=True), Reply(body=BLOB, content_length="absent")])
    def test_no_length_is_none_needed(self, there: Repository, peer: Peer, reply: Reply) -> None:
        """F23."""
        peer.on(PATH, reply)
        assert checked(there) == BLOB

    def test_a_blob_without_end_is_read_to_its_size(self, there: Repository, peer: Peer) -> None:
        """A21."""
        peer.on(PATH, Reply(body=BLOB, endless=True))
        assert got(there, LAYER) == BLOB
        assert peer.faults == ["endless"]

    def test_a_shorter_blob_is_not_the_one(self, there: Repository, peer: Peer) -> None:
        """F26: short, and well-formed."""
        peer.on(PATH, Reply(body=BLOB[:-1], ranges=True))
        with pytest.raises(SizeMismatch, match="has 999999 bytes, 1000000 were promised"):
            checked(there)

    def test_another_blob_is_not_the_one(self, there: Repository, peer: Peer) -> None:
        """F26."""
        peer.on(PATH, Reply(body=BLOB[::-1]))
        with pytest.raises(ChecksumMismatch):
            checked(there)

    def test_what_is_not_there_is_not_found_when_it_is_opened(self, there: Repository, peer: Peer) -> None:
        with pytest.raises(NotFound):
            there.fetch(LAYER)
        peer.on(PATH, Reply(body=BLOB, cut_after=300_000), Reply(404))
        with pytest.raises(NotFound):
            got(there, LAYER)

    def test_a_web_page_is_no_blob(self, there: Repository, peer: Peer) -> None:
        """A bot wall."""
        peer.on(PATH, Reply(body=b"<html>are you human?", headers=(("Content-Type", "text/html; charset=utf-8"),)))
        with pytest.raises(InvalidDocument, match="web page"):
            there.fetch(LAYER)
        peer.on(PATH, Reply(body=BLOB, headers=(("Content-Type", "text/html"),)))
        assert checked(there) == BLOB  # badly labelled, and right


class TestRedirects:
    @pytest.fixture(name="storage")
    def storing(self) -> Iterator[Peer]:
        with Peer() as storage:
            yield storage

    def test_elsewhere_goes_no_credential_and_no_cookie(self, peer: Peer, storage: Peer) -> None:
        peer.on(
            PATH, Reply(401, headers=(("WWW-Authenticate", "Basic realm=x"),)), redirect(storage.url + "/s?sig=1", 307)
        )
        storage.on("/s", RIGHT)
        with closing(Session(QUICK)) as session:
            session.cookies.keep(Headers([("Set-Cookie", "a=1; Path=/")]), peer.url)
            assert got(repository(peer, ANN, session=session), LAYER, 10) == BLOB[10:]
        assert peer.requests[1].header("authorization") == ANN.basic
        assert peer.requests[1].header("cookie") == "a=1"
        received = storage.requests[0]
        assert received.header("authorization") is received.header("cookie") is None
        assert received.header("range") == "bytes=10-"

    def test_a_challenge_from_there_is_not_answered(self, peer: Peer, storage: Peer) -> None:
        """A3."""
        peer.on(PATH, redirect(storage.url + "/s"))
        storage.on("/s", Reply(401, headers=(("WWW-Authenticate", "Basic realm=x"),)))
        with closing(Session(QUICK)) as session, pytest.raises(Unauthorized):
            got(repository(peer, ANN, session=session), LAYER)
        assert len(storage.requests) == 1

    @pytest.mark.parametrize("status", [400, 403])
    def test_a_cut_goes_back_to_the_registry_for_a_new_redirect(
        self, there: Repository, peer: Peer, storage: Peer, status: int
    ) -> None:
        """F28: what was signed is good once."""

        def sign(request: Received) -> Reply:
            return redirect(f"{storage.url}/{len(peer.requests)}", 307)

        peer.on(PATH, sign)
        storage.on("/1", Reply(body=BLOB, cut_after=300_000), Reply(status))
        storage.on("/2", Reply(status, b"<Error>expired</Error>"))
        storage.on("/3", RIGHT)
        assert checked(there) == BLOB
        assert ranges(peer) == [None, "bytes=300000-", "bytes=300000-"]
        assert [request.path for request in storage.requests] == ["/1", "/2", "/3"]

    def test_a_refusal_of_the_registry_itself_is_final(self, there: Repository, peer: Peer) -> None:
        peer.on(PATH, Reply(403))
        with pytest.raises(Denied):
            there.fetch(LAYER)
        assert len(peer.requests) == 1

    def test_a_circle_ends(self, there: Repository, peer: Peer) -> None:
        """A5."""
        peer.on(PATH, redirect(PATH))
        with pytest.raises(RemoteFault, match="more than 10 redirects"):
            there.fetch(LAYER)
        assert len(peer.requests) == 11

    def test_from_https_to_http_is_refused(self, storage: Peer, authority: Authority) -> None:
        """A4."""
        settings = structs.replace(QUICK, ca_file=str(authority.file))
        with Peer(tls=authority.server()) as peer, closing(Session(settings)) as session:
            peer.on(PATH, redirect(storage.url + "/s"))
            with pytest.raises(RemoteFault, match="https to http"):
                repository(peer, session=session).fetch(LAYER)
        assert storage.requests == []

    @pytest.fixture(name="authority")
    def trusted(self, tmp_path_factory: pytest.TempPathFactory) -> Authority:
        return Authority(tmp_path_factory.mktemp("tls"))
