"""Blobs on their way into a registry that takes them: in one piece, in many, by mount, without a digest."""

import hashlib
import random
from collections.abc import Callable

import pytest

from dockless.model.descriptor import Descriptor, describe
from dockless.model.digest import Digest
from dockless.model.errors import ChecksumMismatch, DocklessError, NetworkFault, RemoteFault, SizeMismatch, Unsupported
from dockless.model.events import BlobAdvanced, BlobFinished, BlobStarted, Event, ignore
from dockless.model.media_types import OCI_LAYER
from dockless.stores.registry.push import ingest, mount, push_blob
from dockless.testing.peer import Peer, Reply, json_reply
from dockless.wire.stream import BytesReader
from dockless.wire.v2.upload import CHUNK
from tests.flaky_registry import BLOBS, REPOSITORY, FlakyRegistry, Given, client_of

UPLOADS = f"{BLOBS}/uploads/"
SMALL = b"a small blob"
BLOB = random.Random(1).randbytes(1_500_000)
BIG = random.Random(2).randbytes(2 * CHUNK + 12345)


def push(registry: FlakyRegistry, content: bytes, source: Given | None = None) -> list[Event]:
    events: list[Event] = []
    with client_of(registry.url) as client:
        push_blob(client, REPOSITORY, describe(content, OCI_LAYER), source or Given(content), events.append)
    assert registry.blobs[describe(content, "").digest] == content
    return events


# --- In one piece -----------------------------------------------------------------------------------------------------


def test_a_blob_goes_by_post_and_put() -> None:
    source = Given(BLOB)
    with FlakyRegistry() as registry:
        push(registry, BLOB, source)
        begin, whole = registry.requests
    assert (begin.method, begin.target, begin.header("content-length")) == ("POST", UPLOADS, "0")
    assert (whole.method, whole.path) == ("PUT", f"{UPLOADS}1")
    assert whole.header("content-length") == str(len(BLOB))
    assert whole.header("content-type") == "application/octet-stream"
    assert source.opened == [0]
    assert source.closed == 1


def test_a_small_blob_goes_with_the_post_where_the_registry_takes_it() -> None:
    with FlakyRegistry(single=True) as registry:
        push(registry, SMALL)
        assert registry.methods == ["POST"]


def test_a_small_blob_goes_by_put_where_it_does_not_and_is_read_once() -> None:
    source = Given(SMALL)
    with FlakyRegistry() as registry:
        push(registry, SMALL, source)
        assert registry.methods == ["POST", "PUT"]
        assert registry.arrived == [len(SMALL), len(SMALL)]
    assert source.opened == [0]


@pytest.mark.parametrize("single", [True, False])
def test_a_blob_of_no_bytes_arrives(single: bool) -> None:
    with FlakyRegistry(single=single) as registry:
        push(registry, b"")


def test_what_is_there_already_may_come_again() -> None:
    with FlakyRegistry() as registry:
        push(registry, BLOB)
        push(registry, BLOB)


def test_a_digest_of_another_algorithm_is_named_from_the_beginning() -> None:
    digest = Digest("sha512:" + hashlib.sha512(BLOB).hexdigest())
    with FlakyRegistry() as registry, client_of(registry.url) as client:
        push_blob(client, REPOSITORY, Descriptor(OCI_LAYER, digest, len(BLOB)), Given(BLOB), ignore)
        assert registry.blobs == {digest: BLOB}
        assert registry.requests[0].target == f"{UPLOADS}?digest-algorithm=sha512"


def test_it_is_told_how_far_a_blob_is() -> None:
    digest = describe(BLOB, "").digest
    with FlakyRegistry() as registry:
        first, *steps, last = push(registry, BLOB)
    assert first == BlobStarted(digest, len(BLOB), 0)
    assert last == BlobFinished(digest, len(BLOB), verified=True)
    done = [step.done for step in steps if isinstance(step, BlobAdvanced)]
    assert len(done) == len(steps)
    assert done == sorted(set(done))
    assert done[-1] == len(BLOB)


def test_a_web_page_is_no_upload() -> None:
    """As a registry of Google's once answered for a repository that was not there."""
    page = Reply(200, b"<!DOCTYPE html>", (("Content-Type", "text/html"), ("Location", "/x")))
    with Peer() as peer, client_of(peer.url) as client:
        peer.on(UPLOADS, page, method="POST")
        with pytest.raises(RemoteFault, match="HTTP 200"):
            push_blob(client, REPOSITORY, describe(BLOB, OCI_LAYER), Given(BLOB), ignore)
        assert len(peer.requests) == 1


# --- In pieces --------------------------------------------------------------------------------------------------------


def test_a_registry_that_takes_so_much_at_once_gets_pieces() -> None:
    source = Given(BLOB)
    with FlakyRegistry(most=1 << 20) as registry:
        push(registry, BLOB, source)
        assert registry.methods == ["POST", "PUT", "GET", "POST", "PATCH", "PATCH", "PUT"]
        pieces = [one for one in registry.requests if one.method == "PATCH"]
        assert [one.header("content-range") for one in pieces] == ["0-749999", f"750000-{len(BLOB) - 1}"]
        assert registry.requests[-1].header("content-length") == "0"
    assert source.opened == [0, 0]  # once for the PUT that was refused: the pieces share one pass


def test_ghcr_says_416_to_a_piece_that_is_too_large() -> None:
    with FlakyRegistry(most=400_000, too_much=416) as registry:
        push(registry, BLOB)
        sizes = [int(one.header("content-length") or 0) for one in registry.requests if one.method == "PATCH"]
    assert max(sizes[1:]) <= 400_000 < sizes[0]


@pytest.mark.parametrize(
    ("accepts", "said"),
    [
        (201, lambda total, piece: "0-0"),
        (202, lambda total, piece: f"0-{total // 2}"),
        (202, lambda total, piece: f"0-{piece - 1}"),
    ],
    ids=["ecr: 201, and a range that sticks", "zot: a range too small", "aliyun: a range within the piece"],
)
def test_pieces_that_were_accepted_count_whatever_the_range_says(accepts: int, said: Callable[[int, int], str]) -> None:
    with FlakyRegistry(most=1 << 19, accepts=accepts, said=said) as registry:
        push(registry, BLOB)
        assert registry.methods.count("PATCH") == 5  # the first of them too large


def test_no_piece_but_the_last_is_shorter_than_the_registry_wants() -> None:
    with FlakyRegistry(most=600_000, least=500_000) as registry:
        push(registry, BLOB)
        taken = [int(one.header("content-length") or 0) for one in registry.requests if one.method == "PATCH"]
    assert all(size >= 500_000 for size in taken[:-1])


@pytest.mark.parametrize(
    "location",
    [
        lambda path: path.rpartition("/")[2],
        lambda path: path,
        lambda path: f"{path}?state=a%2Fb&x=",
        lambda path: f"{path}?",
        lambda path: f"{path}#part",
    ],
    ids=["relative", "a path", "with a query", "with an empty query", "with a fragment"],
)
def test_a_location_of_any_form_is_followed(location: Callable[[str], str]) -> None:
    with FlakyRegistry(location=location, most=1 << 20) as registry:
        push(registry, BLOB)
        target = registry.requests[-1].target
    assert target.endswith("digest=" + describe(BLOB, "").digest.replace(":", "%3A"))
    if "state" in location(""):
        assert "?state=a%2Fb&x=&digest=" in target


def test_an_absolute_location_is_followed() -> None:
    with FlakyRegistry(location=lambda path: f"{registry.url}{path}?a=b") as registry:
        push(registry, BLOB)


# --- What is wrong with the content -----------------------------------------------------------------------------------


@pytest.mark.parametrize("content", [BLOB, SMALL])
@pytest.mark.parametrize("wrong", ["reversed", "short", "long"])
def test_wrong_content_is_refused_before_it_is_whole_there(content: bytes, wrong: str) -> None:
    given = {"reversed": content[::-1], "short": content[:-1], "long": content + b"!"}[wrong]
    source = Given(given)
    with FlakyRegistry() as registry, client_of(registry.url) as client:
        with pytest.raises(ChecksumMismatch if wrong == "reversed" else SizeMismatch):
            push_blob(client, REPOSITORY, describe(content, OCI_LAYER), source, ignore)
        assert registry.blobs == {}
        assert registry.sessions == {}
        assert ("DELETE" in registry.methods) == (content is BLOB)  # what is small is read before anything is asked
    assert all(arrived < len(content) for arrived in registry.arrived)
    assert source.opened == [0]
    assert source.closed == 1


def test_what_the_source_raises_is_raised_as_it_came_and_the_upload_cancelled() -> None:
    source = Given(BLOB, broken_at=700_000)
    with FlakyRegistry() as registry, client_of(registry.url) as client:
        with pytest.raises(NetworkFault) as caught:
            push_blob(client, REPOSITORY, describe(BLOB, OCI_LAYER), source, ignore)
        assert caught.value is source.fault
        assert "DELETE" in registry.methods
        assert registry.sessions == {}
    assert source.opened == [0]  # nothing was tried again
    assert source.closed == 1


# --- Mount ------------------------------------------------------------------------------------------------------------

WANTED = describe(BLOB, OCI_LAYER)


def mounting(*replies: Reply, origin: str | None = "c/d") -> tuple[bool | DocklessError, Peer]:
    with Peer() as peer, client_of(peer.url) as client:
        peer.on(UPLOADS, *replies, method="POST")
        peer.on("/x", Reply(204), method="DELETE")
        return mount(client, REPOSITORY, WANTED, origin), peer


def test_a_blob_is_mounted_from_another_repository() -> None:
    mounted, peer = mounting(Reply(201))
    assert mounted is True
    assert [one.target for one in peer.requests] == [f"{UPLOADS}?mount={WANTED.digest.replace(':', '%3A')}&from=c%2Fd"]


def test_a_blob_is_mounted_from_wherever_the_registry_has_it() -> None:
    mounted, peer = mounting(Reply(201), origin=None)
    assert mounted is True
    assert "from" not in peer.requests[0].target


def test_an_upload_session_in_place_of_a_mount_is_cancelled() -> None:
    mounted, peer = mounting(Reply(202, headers=(("Location", "/x?y"),)))
    assert mounted is False
    assert [(one.method, one.target) for one in peer.requests[1:]] == [("DELETE", "/x?y")]


@pytest.mark.parametrize("status", [400, 401, 403, 404, 405, 500])
def test_a_mount_that_is_refused_is_none(status: int) -> None:
    assert mounting(Reply(status))[0] is False


def test_a_mount_without_a_location_is_none() -> None:
    assert mounting(Reply(202))[0] is False


def test_a_mount_asks_for_the_right_to_read_the_other_repository() -> None:
    with Peer() as peer, client_of(peer.url) as client:
        challenge = f'Bearer realm="{peer.url}/token",service="s"'
        peer.on(UPLOADS, Reply(401, headers=(("WWW-Authenticate", challenge),)), Reply(201), method="POST")
        peer.on("/token", json_reply({"token": "t"}))
        assert mount(client, REPOSITORY, WANTED, "c/d")
        asked = next(one.target for one in peer.requests if one.path == "/token")
    assert "scope=repository%3Aa%2Fb%3Apull%2Cpush" in asked
    assert "scope=repository%3Ac%2Fd%3Apull" in asked


# --- Ingest -----------------------------------------------------------------------------------------------------------


def ingested(registry: FlakyRegistry, content: bytes) -> Given:
    source = Given(content, chunk=1 << 20)
    reader = source(0)
    with client_of(registry.url) as client:
        assert ingest(client, REPOSITORY, OCI_LAYER, reader) == describe(content, OCI_LAYER)
    assert registry.blobs[describe(content, "").digest] == content
    assert source.closed == 0
    return source


def test_what_has_no_digest_yet_goes_in_pieces() -> None:
    with FlakyRegistry() as registry:
        ingested(registry, BIG)
        assert registry.methods == ["POST", "PATCH", "PATCH", "PATCH", "PUT"]
        assert registry.arrived == [0, CHUNK, CHUNK, len(BIG) - 2 * CHUNK, 0]


@pytest.mark.parametrize("content", [b"", SMALL, BLOB])
def test_what_turns_out_to_be_short_goes_as_a_blob_does(content: bytes) -> None:
    with FlakyRegistry() as registry:
        ingested(registry, content)
        assert registry.methods == ["POST", "PUT"]


def test_a_whole_number_of_pieces_has_an_end() -> None:
    with FlakyRegistry() as registry:
        ingested(registry, BIG[: 2 * CHUNK])
        assert registry.methods == ["POST", "PATCH", "PATCH", "PUT"]


def test_ingesting_minds_how_long_a_piece_may_be() -> None:
    with FlakyRegistry(most=5 << 20, least=5 << 20) as registry:
        ingested(registry, BIG)
    with FlakyRegistry(least=33 << 20) as registry, client_of(registry.url) as client:
        with pytest.raises(Unsupported, match="pieces of 34603008 bytes"):
            ingest(client, REPOSITORY, OCI_LAYER, BytesReader(BIG))
        assert registry.sessions == {}


def test_a_reader_that_breaks_is_not_the_registry_s_fault() -> None:
    source = Given(BIG, chunk=1 << 20, broken_at=CHUNK + 1)
    with FlakyRegistry() as registry, client_of(registry.url) as client:
        with pytest.raises(NetworkFault) as caught:
            ingest(client, REPOSITORY, OCI_LAYER, source(0))
        assert caught.value is source.fault
        assert registry.methods == ["POST", "PATCH", "DELETE"]
        assert registry.sessions == {}
