"""Manifests on their way into a registry, and their tags."""

import hashlib

import pytest

from dockless.model.descriptor import Descriptor, describe
from dockless.model.documents import make_document
from dockless.model.errors import (
    ChecksumMismatch,
    Denied,
    DocklessError,
    InvalidReference,
    NetworkFault,
    NotFound,
    RemoteFault,
)
from dockless.model.media_types import OCI_CONFIG, OCI_INDEX, OCI_LAYER, OCI_MANIFEST
from dockless.stores.registry.manifests import push_manifest, tag
from dockless.testing.peer import Peer, Reply, json_reply
from tests.flaky_registry import BLOBS, REPOSITORY, client_of

MANIFESTS = f"/v2/{REPOSITORY}/manifests"
CONFIG, LAYER = describe(b"{}", OCI_CONFIG), describe(b"layer", OCI_LAYER)
_, COMPACT = make_document({"schemaVersion": 2, "mediaType": OCI_MANIFEST, "config": CONFIG, "layers": [LAYER]})
RAW = COMPACT.replace(b",", b" ,\n\t")  # as nobody here encodes: what arrives are these very bytes
WANTED = describe(RAW, OCI_MANIFEST)
OWN = f"{MANIFESTS}/{WANTED.digest}"
TAGGED = f"{MANIFESTS}/1.0"
STORED = Reply(201, headers=(("Docker-Content-Digest", WANTED.digest),))
UNKNOWN = json_reply({"errors": [{"code": "MANIFEST_BLOB_UNKNOWN", "message": "m", "detail": "d"}]}, 400)


def push(peer: Peer, wanted: Descriptor = WANTED, raw: bytes = RAW) -> list[str]:
    """Push, and return what was asked."""
    with client_of(peer.url) as client:
        push_manifest(client, REPOSITORY, wanted, raw)
    return [request.method for request in peer.requests]


def failed(peer: Peer, kind: type[DocklessError], wanted: Descriptor = WANTED, raw: bytes = RAW) -> DocklessError:
    with pytest.raises(kind) as caught:
        push(peer, wanted, raw)
    return caught.value


def test_the_exact_bytes_arrive_under_their_digest_and_type() -> None:
    with Peer() as peer:
        peer.on(OWN, STORED, method="PUT")
        assert push(peer) == ["PUT"]
        sent = peer.requests[0]
    assert sent.body == RAW
    assert sent.header("content-type") == OCI_MANIFEST


@pytest.mark.parametrize("status", [201, 202])
def test_a_digest_need_not_be_answered(status: int) -> None:
    with Peer() as peer:
        peer.on(OWN, Reply(status), method="PUT")
        assert push(peer) == ["PUT"]


def test_a_web_page_is_no_answer() -> None:
    page = Reply(200, b"<!DOCTYPE html>", (("Content-Type", "text/html"),))
    with Peer() as peer:
        peer.on(OWN, page, method="PUT")
        assert failed(peer, RemoteFault).status == 200


def test_a_document_that_cannot_be_read_is_the_registry_s_to_judge() -> None:
    raw = b"no manifest"
    wanted = describe(raw, OCI_MANIFEST)
    with Peer() as peer:
        peer.on(f"{MANIFESTS}/{wanted.digest}", Reply(400), method="PUT")
        assert failed(peer, RemoteFault, wanted, raw).status == 400


@pytest.mark.parametrize("said", ["sha256:" + "0" * 64, "junk\x1b"])
def test_a_registry_that_stored_something_else_has_failed(said: str) -> None:
    with Peer() as peer:
        peer.on(OWN, Reply(201, headers=(("Docker-Content-Digest", said),)), method="PUT")
        fault = failed(peer, ChecksumMismatch)
    assert "\x1b" not in str(fault)
    assert WANTED.digest in str(fault)


def test_a_digest_by_another_algorithm_is_compared_by_it() -> None:
    with Peer() as peer:
        for digest, kind in ((hashlib.sha512(RAW).hexdigest(), None), ("0" * 128, ChecksumMismatch)):
            peer.on(OWN, Reply(201, headers=(("Docker-Content-Digest", f"sha512:{digest}"),)), method="PUT")
            if kind is None:
                push(peer)
            else:
                failed(peer, kind)


# --- What goes wrong (F33, F35) ---------------------------------------------------------------------------------------


def test_a_put_without_an_answer_is_looked_for_first() -> None:
    with Peer() as peer:
        peer.on(OWN, Reply(drop=True), method="PUT")
        peer.on(OWN, Reply(200), method="HEAD")
        methods = push(peer)
        assert peer.faults[:1] == ["closed before answer"]
    assert methods[-1] == "HEAD"
    assert methods.count("HEAD") == 1


@pytest.mark.parametrize("look", [404, 405, 500])
def test_a_put_that_failed_for_now_is_repeated_when_the_manifest_is_not_there(look: int) -> None:
    with Peer() as peer:
        peer.on(OWN, Reply(503), STORED, method="PUT")
        peer.on(OWN, Reply(look), method="HEAD")
        assert push(peer) == ["PUT", "HEAD", "PUT"]


def test_a_registry_that_stays_busy_is_given_up() -> None:
    with Peer() as peer:
        peer.on(OWN, Reply(503), method="PUT")
        assert failed(peer, RemoteFault).status == 503
        assert [request.method for request in peer.requests].count("PUT") == 3


def test_no_answer_at_all_is_given_up() -> None:
    with Peer() as peer:
        peer.on(OWN, Reply(drop=True), method="PUT")
        peer.on(OWN, Reply(drop=True), method="HEAD")
        failed(peer, NetworkFault)


def test_a_manifest_whose_blobs_are_unknown_names_them() -> None:
    with Peer() as peer:
        peer.on(OWN, UNKNOWN, method="PUT")
        peer.on(f"{BLOBS}/{CONFIG.digest}", Reply(200), method="HEAD")
        fault = failed(peer, RemoteFault)
    assert LAYER.digest in str(fault)
    assert CONFIG.digest not in str(fault)
    assert fault.status == 400
    assert fault.codes == ("MANIFEST_BLOB_UNKNOWN",)
    assert "Push" in fault.hint


@pytest.mark.parametrize("layer", [Reply(200), Reply(drop=True)])
def test_a_registry_that_has_all_blobs_and_does_not_know_it_yet_is_asked_again(layer: Reply) -> None:
    with Peer() as peer:
        peer.on(OWN, UNKNOWN, UNKNOWN, STORED, method="PUT")
        peer.on(f"{BLOBS}/{CONFIG.digest}", Reply(200), method="HEAD")
        peer.on(f"{BLOBS}/{LAYER.digest}", layer, method="HEAD")
        assert push(peer).count("PUT") == 3
        peer.on(OWN, UNKNOWN, method="PUT")
        assert "MANIFEST_BLOB_UNKNOWN" in str(failed(peer, RemoteFault))


def test_a_manifest_of_an_index_is_asked_for_among_the_manifests() -> None:
    index, raw = make_document({"schemaVersion": 2, "mediaType": OCI_INDEX, "manifests": [WANTED]})
    with Peer() as peer:
        peer.on(f"{MANIFESTS}/{index.digest}", UNKNOWN, method="PUT")
        assert WANTED.digest in str(failed(peer, RemoteFault, index, raw))
        assert peer.requests[-1].path == OWN


@pytest.mark.parametrize(("status", "padding"), [(413, 0), (400, 5 << 20)])
def test_a_manifest_that_is_too_large_says_how_large(status: int, padding: int) -> None:
    raw = RAW + b" " * padding
    wanted = describe(raw, OCI_MANIFEST)
    with Peer() as peer:
        peer.on(f"{MANIFESTS}/{wanted.digest}", Reply(status), method="PUT")
        fault = failed(peer, RemoteFault, wanted, raw)
    assert fault.status == status
    assert f"{len(raw)} bytes" in fault.hint


def test_a_manifest_that_may_not_be_put_is_denied() -> None:
    with Peer() as peer:
        peer.on(OWN, Reply(403), method="PUT")
        failed(peer, Denied)


# --- Tags -------------------------------------------------------------------------------------------------------------


def tagging(peer: Peer, *names: str, wanted: Descriptor = WANTED) -> list[tuple[str, str]]:
    """Tag, and return what was asked."""
    with client_of(peer.url) as client:
        tag(client, REPOSITORY, wanted, names)
    return [(request.method, request.target) for request in peer.requests]


def test_a_tag_is_the_manifest_s_own_bytes_under_another_name() -> None:
    with Peer() as peer:
        peer.on(OWN, Reply(body=RAW, headers=(("Content-Type", OCI_MANIFEST),)))
        peer.on(TAGGED, STORED, method="PUT")
        assert tagging(peer, "1.0") == [("GET", OWN), ("PUT", TAGGED)]
        assert peer.requests[1].body == RAW
        assert peer.requests[1].header("content-type") == OCI_MANIFEST


@pytest.mark.parametrize(
    ("known", "asked"),
    [
        ((("OCI-Tag", "1.0, 1"), ("OCI-Tag", "latest")), ["1.0?tag=1&tag=latest"]),
        ((("OCI-Tag", "1"),), ["1.0?tag=1&tag=latest", "latest"]),
        ((), ["1.0?tag=1&tag=latest", "1?tag=latest", "latest"]),
    ],
)
def test_several_tags_take_one_trip_where_the_registry_says_that_it_took_them(
    known: tuple[tuple[str, str], ...], asked: list[str]
) -> None:
    with Peer() as peer:
        peer.on(OWN, Reply(body=RAW, headers=(("Content-Type", OCI_MANIFEST),)))
        peer.on(TAGGED, Reply(201, headers=known), method="PUT")
        for name in ("1", "latest"):
            peer.on(f"{MANIFESTS}/{name}", STORED, method="PUT")
        puts = [f"{MANIFESTS}/{target}" for target in asked]
        assert tagging(peer, "1.0", "1", "latest") == [("GET", OWN), *(("PUT", target) for target in puts)]


def test_other_bytes_get_no_tag() -> None:
    with Peer() as peer:
        peer.on(OWN, Reply(body=COMPACT, headers=(("Content-Type", OCI_MANIFEST),)))
        with pytest.raises(ChecksumMismatch):
            tagging(peer, "1.0")
        assert len(peer.requests) == 1


def test_what_is_not_there_gets_no_tag() -> None:
    with Peer() as peer, pytest.raises(NotFound):
        tagging(peer, "1.0")


@pytest.mark.parametrize(("names", "methods"), [(WANTED.digest, ["HEAD"]), ("sha256:" + "0" * 64, ["HEAD", "PUT"])])
def test_a_tag_without_an_answer_is_repeated_unless_it_names_the_manifest(names: str, methods: list[str]) -> None:
    with Peer() as peer:
        peer.on(OWN, Reply(body=RAW, headers=(("Content-Type", OCI_MANIFEST),)))
        peer.on(TAGGED, Reply(503), STORED, method="PUT")
        peer.on(TAGGED, Reply(headers=(("Docker-Content-Digest", names),)), method="HEAD")
        assert [method for method, _ in tagging(peer, "1.0")] == ["GET", "PUT", *methods]


def test_its_digest_names_a_manifest_anyway() -> None:
    with Peer() as peer:
        told = (("Content-Type", OCI_MANIFEST), ("Docker-Content-Digest", WANTED.digest))
        peer.on(OWN, Reply(body=RAW, headers=told))
        assert tagging(peer, WANTED.digest) == [("GET", OWN)]


@pytest.mark.parametrize("names_digest", [False, True])
def test_a_document_of_an_unknown_type_is_put_when_it_gets_a_name(names_digest: bool) -> None:
    strange = describe(b"neither JSON nor anything", "application/x-strange")
    name = strange.digest if names_digest else "1.0"
    with Peer() as peer:
        peer.on(f"{BLOBS}/{strange.digest}", Reply(body=b"neither JSON nor anything"))
        peer.on(f"{MANIFESTS}/{name}", Reply(201), method="PUT")
        assert tagging(peer, name, wanted=strange) == [
            ("GET", f"{BLOBS}/{strange.digest}"),
            ("PUT", f"{MANIFESTS}/{name}"),
        ]
        assert peer.requests[1].body == b"neither JSON nor anything"
        assert peer.requests[1].header("content-type") == "application/x-strange"


def test_a_digest_that_is_not_there_names_nothing() -> None:
    with Peer() as peer, pytest.raises(NotFound):
        tagging(peer, WANTED.digest)


def test_another_digest_is_no_tag() -> None:
    with Peer() as peer:
        with pytest.raises(InvalidReference):
            tagging(peer, LAYER.digest)
        assert peer.requests == []
