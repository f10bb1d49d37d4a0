"""Uploads that go wrong on the way: what is sent again, and what never is."""

import os
import random
import signal
import threading
import time
from pathlib import Path

import pytest

from dockless.model.descriptor import describe
from dockless.model.errors import ChecksumMismatch, Denied, NetworkFault, NotFound, RateLimited, RemoteFault
from dockless.model.events import Event, Retrying, ignore
from dockless.model.media_types import OCI_LAYER
from dockless.stores.registry.push import ingest, push_blob
from dockless.testing.peer import Peer, Reply
from dockless.wire.auth import Credential
from dockless.wire.stream import Reader, Source
from dockless.wire.v2.upload import CHUNK
from tests.flaky_registry import BLOBS, REPOSITORY, Fault, FlakyRegistry, Given, client_of
from tests.tls import Authority

UPLOADS = f"{BLOBS}/uploads/"
SMALL = b"a small blob"
BLOB = random.Random(1).randbytes(1_500_000)
BIG = random.Random(2).randbytes(2 * CHUNK + 12345)

CUT = Fault("reset", after=700_000)
LOST = Fault("lost")
BUSY = Fault("status", status=503)


def push(registry: FlakyRegistry, content: bytes = BLOB, source: Source | None = None) -> list[Event]:
    """Push, see it arrive, and return what was told of tries."""
    told: list[Event] = []
    with client_of(registry.url, observe=told.append) as client:
        push_blob(client, REPOSITORY, describe(content, OCI_LAYER), source or Given(content), ignore)
    assert registry.blobs == {describe(content, "").digest: content}
    return told


def refused(registry: FlakyRegistry, kind: type[Exception], content: bytes = BLOB) -> str:
    with client_of(registry.url) as client, pytest.raises(kind) as caught:
        push_blob(client, REPOSITORY, describe(content, OCI_LAYER), Given(content), ignore)
    assert registry.blobs == {}
    return str(caught.value)


# --- Cuts (F29) -------------------------------------------------------------------------------------------------------


def test_a_reset_inside_an_upload_goes_on_where_the_registry_stands() -> None:
    source = Given(BLOB)
    with FlakyRegistry() as registry:
        registry.fail("PUT", CUT)
        told = push(registry, source=source)
        assert registry.faults == ["reset PUT after 700000"]
        assert registry.methods == ["POST", "PUT", "HEAD", "GET", "PATCH", "PUT"]
        rest = registry.requests[4]
        assert rest.header("content-range") == f"700000-{len(BLOB) - 1}"
        assert registry.arrived[4] == len(BLOB) - 700_000
    assert [type(one) for one in told] == [Retrying]
    assert source.opened == [0, 0]


def test_a_registry_that_lost_the_session_gets_all_of_it_again() -> None:
    with FlakyRegistry() as registry:
        registry.fail("PUT", Fault("reset", after=700_000, forget=True))
        push(registry)
        assert registry.methods == ["POST", "PUT", "HEAD", "GET", "POST", "PUT"]


def test_cuts_with_progress_between_them_do_not_add_up() -> None:
    with FlakyRegistry() as registry:
        registry.fail("PUT", Fault("reset", after=200_000))
        registry.fail("PATCH", *[Fault("reset", after=200_000)] * 5)
        push(registry)
        assert len(registry.faults) == 6  # twice as many as there are tries


def test_cuts_without_progress_do() -> None:
    with FlakyRegistry() as registry:
        registry.fail("PUT", *[Fault("reset", forget=True)] * 9)
        message = refused(registry, NetworkFault)
        assert registry.faults == ["reset PUT after 0"] * 3
        assert "DELETE" not in registry.methods  # who does not answer is not asked to forget
    assert registry.host in message


@pytest.mark.parametrize(("forget", "opened"), [(False, [0, 16 << 20]), (True, [0, 0])])
def test_going_back_reads_little_again_and_hashes_everything(forget: bool, opened: list[int]) -> None:
    content = random.Random(3).randbytes(18 << 20)
    source = Given(content, chunk=1 << 20)
    with FlakyRegistry() as registry:
        registry.fail("PUT", Fault("reset", after=17 << 20, forget=forget))
        push(registry, content, source)
        assert registry.faults == [f"reset PUT after {17 << 20}"]
    assert source.opened == opened


def test_wrong_content_is_found_after_a_cut_too() -> None:
    """A source that gives other bytes the second time."""
    contents = iter([BLOB, BLOB[:-1] + b"!"])

    def source(offset: int) -> Reader:
        return Given(next(contents))(offset)

    with FlakyRegistry() as registry, client_of(registry.url) as client:
        registry.fail("PUT", CUT)
        with pytest.raises(ChecksumMismatch):
            push_blob(client, REPOSITORY, describe(BLOB, OCI_LAYER), source, ignore)
        assert registry.faults == ["reset PUT after 700000"]
        assert "DELETE" in registry.methods
        assert registry.blobs == {}
        assert registry.sessions == {}


# --- Answers that do not come (F30, F33) ------------------------------------------------------------------------------


def test_a_put_without_an_answer_is_looked_for_first() -> None:
    with FlakyRegistry() as registry:
        registry.fail("PUT", LOST)
        push(registry)
        assert registry.faults == [f"lost PUT after {len(BLOB)}"]
        assert registry.methods == ["POST", "PUT", "HEAD"]


def test_a_single_post_without_an_answer_is_looked_for_first() -> None:
    with FlakyRegistry(single=True) as registry:
        registry.fail("POST", LOST)
        push(registry, SMALL)
        assert registry.methods == ["POST", "HEAD"]


@pytest.mark.parametrize("status", [408, 429, 500, 502, 503, 504])
def test_a_put_that_failed_for_now_is_looked_for_and_repeated(status: int) -> None:
    with FlakyRegistry() as registry:
        registry.fail("PUT", Fault("status", status=status))
        told = push(registry)
        assert registry.methods == ["POST", "PUT", "HEAD", "GET", "POST", "PUT"]
    assert [type(one) for one in told] == [Retrying]


def test_a_piece_without_an_answer_is_never_sent_into_the_session_again() -> None:
    with FlakyRegistry(most=1 << 20) as registry:
        registry.fail("PATCH", LOST)
        push(registry)
        assert registry.faults == ["lost PATCH after 750000"]
        assert registry.methods[4:] == ["PATCH", "GET", "PATCH", "PUT"]
        assert registry.requests[6].header("content-range") == f"750000-{len(BLOB) - 1}"


def test_a_pause_that_the_registry_asks_for_is_kept() -> None:
    with FlakyRegistry() as registry:
        registry.fail("PUT", Fault("status", status=429, headers=(("Retry-After", "1"),)))
        started = time.monotonic()
        told = push(registry)
        assert time.monotonic() - started >= 1
    assert [one.pause for one in told if isinstance(one, Retrying)] == [1.0]


def test_a_registry_that_stays_busy_is_given_up_and_told_so() -> None:
    with FlakyRegistry() as registry:
        registry.fail("PUT", *[BUSY] * 9)
        assert "503" in refused(registry, RemoteFault)
        assert len(registry.faults) == 3
        assert registry.methods[-1] == "DELETE"
        assert len(registry.sessions) == 2  # those it gave up before; the last was cancelled


def test_a_limit_that_stays_is_told_as_one() -> None:
    with FlakyRegistry() as registry:
        registry.fail("POST", *[Fault("status", status=429)] * 9)
        refused(registry, RateLimited)
        assert registry.methods == ["POST"] * 3


# --- Sessions (F31) ---------------------------------------------------------------------------------------------------


def test_a_session_nobody_knows_is_begun_anew() -> None:
    with FlakyRegistry(most=1 << 20) as registry:
        registry.fail("PATCH", None, Fault("status", status=404, forget=True))
        push(registry)
        assert registry.faults == ["status PATCH after 750000"]
        assert registry.methods[4:] == ["PATCH", "PATCH", "POST", "PATCH", "PATCH", "PUT"]


def test_sessions_that_are_lost_again_and_again_have_an_end() -> None:
    with FlakyRegistry() as registry:
        registry.fail("PUT", *[Fault("status", status=404, forget=True)] * 9)
        refused(registry, NotFound)
        assert len(registry.faults) == 3


def test_a_status_that_fails_for_now_is_asked_again() -> None:
    with FlakyRegistry() as registry:
        registry.fail("PUT", CUT)
        registry.fail("GET", BUSY)
        push(registry)
        assert registry.methods == ["POST", "PUT", "HEAD", "GET", "GET", "PATCH", "PUT"]


def test_what_cannot_be_cancelled_is_not_spoken_of() -> None:
    with FlakyRegistry() as registry:
        registry.fail("PUT", Fault("status", status=400))
        registry.fail("DELETE", Fault("status", status=500))
        assert "PUT" in refused(registry, RemoteFault)
        assert registry.methods == ["POST", "PUT", "DELETE"]


def test_a_repository_that_is_not_there_is_not_found() -> None:
    with FlakyRegistry() as registry:
        registry.fail("POST", Fault("status", status=404))
        refused(registry, NotFound)
        assert registry.methods == ["POST"]


# --- Refusals while the body is going out (F34) -----------------------------------------------------------------------


def test_an_early_413_leads_to_pieces() -> None:
    with FlakyRegistry() as registry:
        registry.fail("PUT", Fault("early", after=1000, status=413))
        push(registry)
        assert registry.faults == ["early PUT after 1000"]
        assert "PATCH" in registry.methods


def test_an_early_403_is_told_and_not_a_broken_pipe() -> None:
    with FlakyRegistry() as registry:
        registry.fail("PUT", Fault("early", after=1000, status=403))
        assert "403" in refused(registry, Denied)
        assert registry.faults == ["early PUT after 1000"]


def test_pieces_that_are_always_too_large_are_told_with_413() -> None:
    with FlakyRegistry(most=1000) as registry:
        assert "413" in refused(registry, RemoteFault)
        sizes = [int(one.header("content-length") or 0) for one in registry.requests if one.method == "PATCH"]
        assert sizes == [750_000, 375_000, 262_144]


# --- Credentials (F15, A12) -------------------------------------------------------------------------------------------

SECRET = Credential("user", "secret")
CHALLENGE = (("WWW-Authenticate", 'Basic realm="x"'),)


def test_a_challenge_in_the_middle_of_an_upload_sends_the_body_anew() -> None:
    source = Given(BLOB)
    with FlakyRegistry() as registry, client_of(registry.url, SECRET) as client:
        registry.fail("PUT", Fault("status", status=401, headers=CHALLENGE))
        push_blob(client, REPOSITORY, describe(BLOB, OCI_LAYER), source, ignore)
        assert registry.faults == [f"status PUT after {len(BLOB)}"]
        assert registry.blobs == {describe(BLOB, "").digest: BLOB}
    assert source.opened == [0, 0]


def test_another_origin_gets_no_credentials_and_no_cookies_and_no_answer_to_its_challenge() -> None:
    with Peer() as registry, Peer() as other, client_of(registry.url, SECRET) as client:
        to_other = (("Location", f"{other.url}/signed?key=k"), ("Set-Cookie", "c=d; Path=/"))
        registry.on(UPLOADS, Reply(401, headers=CHALLENGE), Reply(202, headers=to_other), method="POST")
        other.on("/signed", Reply(401, headers=CHALLENGE), method="PUT")
        with pytest.raises(Exception, match="401"):
            push_blob(client, REPOSITORY, describe(BLOB, OCI_LAYER), Given(BLOB), ignore)
        assert registry.requests[1].header("authorization")
        assert [one.method for one in other.requests] == ["PUT", "DELETE"]
        assert other.requests[0].target.startswith("/signed?key=k&digest=sha256%3A")
        assert other.requests[0].body == BLOB
        assert not any(one.header("authorization") or one.header("cookie") for one in other.requests)


def test_a_signed_location_at_another_origin_is_used() -> None:
    with Peer() as registry, Peer() as storage, client_of(registry.url) as client:
        registry.on(UPLOADS, Reply(202, headers=(("Location", f"{storage.url}/signed?key=k"),)), method="POST")
        storage.on("/signed", Reply(201), method="PUT")
        push_blob(client, REPOSITORY, describe(BLOB, OCI_LAYER), Given(BLOB), ignore)
        assert storage.requests[0].body == BLOB


def test_an_upload_stays_on_tls_when_the_registry_does_not_know_of_it(tmp_path: Path) -> None:
    """As behind a proxy that ends TLS."""
    authority = Authority(tmp_path)
    with (
        FlakyRegistry(tls=authority.server(), location=lambda path: f"http://127.0.0.1{path}") as registry,
        client_of(registry.url, ca_file=str(authority.file)) as client,
    ):
        push_blob(client, REPOSITORY, describe(BLOB, OCI_LAYER), Given(BLOB), ignore)
        assert registry.methods == ["POST", "PUT"]


def test_an_upload_is_not_sent_from_tls_to_plain_http_elsewhere(tmp_path: Path) -> None:
    authority = Authority(tmp_path)
    with (
        Peer(host="127.0.0.2") as other,
        FlakyRegistry(tls=authority.server(), location=lambda path: other.url + path) as registry,
        client_of(registry.url, ca_file=str(authority.file)) as client,
    ):
        with pytest.raises(RemoteFault, match="from https to http"):
            push_blob(client, REPOSITORY, describe(BLOB, OCI_LAYER), Given(BLOB), ignore)
        assert other.requests == []
        assert registry.blobs == {}


# --- What can be read only once ---------------------------------------------------------------------------------------


def ingested(registry: FlakyRegistry) -> None:
    with client_of(registry.url) as client:
        assert ingest(client, REPOSITORY, OCI_LAYER, Given(BIG, chunk=1 << 20)(0)) == describe(BIG, OCI_LAYER)
    assert registry.blobs == {describe(BIG, "").digest: BIG}


@pytest.mark.parametrize("fault", [Fault("reset", after=700_000), LOST])
def test_a_piece_that_fails_goes_on_within_it(fault: Fault) -> None:
    with FlakyRegistry() as registry:
        registry.fail("PATCH", None, fault)
        ingested(registry)
        assert len(registry.faults) == 1


def test_the_end_of_an_ingest_without_an_answer_is_looked_for() -> None:
    with FlakyRegistry() as registry:
        registry.fail("PUT", LOST)
        ingested(registry)
        assert registry.methods[-2:] == ["PUT", "HEAD"]


def test_a_first_piece_whose_session_is_lost_is_sent_again() -> None:
    with FlakyRegistry() as registry:
        registry.fail("PATCH", Fault("status", status=404, forget=True))
        ingested(registry)


def test_what_was_dropped_cannot_be_sent_again() -> None:
    with FlakyRegistry() as registry, client_of(registry.url) as client:
        registry.fail("PATCH", None, Fault("status", status=404, forget=True))
        with pytest.raises(RemoteFault, match="lost the first"):
            ingest(client, REPOSITORY, OCI_LAYER, Given(BIG, chunk=1 << 20)(0))
        assert registry.blobs == {}
        assert registry.sessions == {}  # the new one was cancelled


# --- Ctrl-C (F43) -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("method", ["POST", "PUT"])
def test_an_interrupt_stops_an_upload_to_a_registry_that_says_nothing(method: str) -> None:
    with FlakyRegistry() as registry, client_of(registry.url) as client:
        registry.fail(method, *[Fault("stall")] * 9)
        threading.Timer(0.4, os.kill, (os.getpid(), signal.SIGINT)).start()
        started = time.monotonic()
        with pytest.raises(KeyboardInterrupt):
            push_blob(client, REPOSITORY, describe(BLOB, OCI_LAYER), Given(BLOB), ignore)
        assert time.monotonic() - started < 2
        assert registry.faults
