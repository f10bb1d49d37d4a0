"""Deleting in a registry: manifests, blobs, and one tag without its siblings."""

import json

import pytest

from dockless.model.descriptor import Descriptor, describe
from dockless.model.documents import make_document
from dockless.model.errors import DocklessError, InvalidReference, NetworkFault, NotFound, RemoteFault, Unsupported
from dockless.model.media_types import OCI_EMPTY, OCI_INDEX, OCI_LAYER, OCI_MANIFEST
from dockless.model.referrers import fallback_tag
from dockless.stores.registry.delete import delete, untag
from dockless.testing.peer import Answer, Peer, Received, Reply, json_reply
from tests.flaky_registry import BLOBS, REPOSITORY, client_of

MANIFESTS = f"/v2/{REPOSITORY}/manifests"
EMPTY = describe(b"{}", OCI_EMPTY)
BLOB = describe(b"layer", OCI_LAYER)
SUBJECT, SUBJECT_RAW = make_document({"schemaVersion": 2, "mediaType": OCI_MANIFEST, "config": EMPTY, "layers": []})
REFERRER, REFERRER_RAW = make_document({**json.loads(SUBJECT_RAW), "subject": SUBJECT})
INDEX, INDEX_RAW = make_document({"schemaVersion": 2, "mediaType": OCI_INDEX, "manifests": [SUBJECT]})


def document(wanted: Descriptor, raw: bytes) -> Reply:
    return Reply(body=raw, headers=(("Content-Type", wanted.media_type),))


def deleting(peer: Peer, target: Descriptor, *answers: Answer, raw: bytes | None = None) -> list[tuple[str, str]]:
    """Delete `target`, whose DELETE is answered so; return what was asked."""
    path = f"{MANIFESTS if target.media_type == OCI_MANIFEST else BLOBS}/{target.digest}"
    if raw is not None:
        peer.on(path, document(target, raw))
    peer.on(path, *answers, method="DELETE")
    with client_of(peer.url) as client:
        delete(client, REPOSITORY, target)
    return [(request.method, request.path) for request in peer.requests]


@pytest.mark.parametrize("status", [200, 202, 204])
def test_a_blob_is_deleted_by_its_digest(status: int) -> None:
    with Peer() as peer:
        assert deleting(peer, BLOB, Reply(status)) == [("DELETE", f"{BLOBS}/{BLOB.digest}")]


def test_a_manifest_is_deleted_by_its_digest() -> None:
    with Peer() as peer:
        asked = deleting(peer, SUBJECT, Reply(202), raw=SUBJECT_RAW)
    assert asked[-1] == ("DELETE", f"{MANIFESTS}/{SUBJECT.digest}")


def test_a_manifest_that_cannot_be_read_is_deleted_all_the_same() -> None:
    target = describe(b"junk", OCI_MANIFEST)
    with Peer() as peer:
        assert deleting(peer, target, Reply(202), raw=b"junk")[-1][0] == "DELETE"


@pytest.mark.parametrize("target", [BLOB, SUBJECT])
def test_what_is_not_there_is_not_found(target: Descriptor) -> None:
    with Peer() as peer, pytest.raises(NotFound):
        deleting(peer, target, Reply(404))


@pytest.mark.parametrize("status", [400, 405, 501])
@pytest.mark.parametrize("target", [BLOB, SUBJECT])
def test_a_registry_that_does_not_delete_says_so_with_a_hint(target: Descriptor, status: int) -> None:
    with Peer() as peer, pytest.raises(Unsupported) as caught:
        deleting(peer, target, Reply(status), raw=SUBJECT_RAW if target is SUBJECT else None)
    assert caught.value.status == status
    assert "storage.delete.enabled" in caught.value.hint


def test_what_is_gone_after_a_lost_answer_was_deleted() -> None:
    with Peer() as peer:
        asked = deleting(peer, BLOB, Reply(503), Reply(404))
    assert len(asked) == 2


def test_a_delete_that_fails_for_now_is_repeated_so_often() -> None:
    with Peer() as peer, pytest.raises(RemoteFault):
        deleting(peer, BLOB, Reply(503))
    assert len(peer.requests) == 3


def test_a_delete_that_may_not_be_repeated_is_not() -> None:
    with Peer() as peer, pytest.raises(RemoteFault):
        deleting(peer, BLOB, Reply(409))
    assert len(peer.requests) == 1


# --- Referrers --------------------------------------------------------------------------------------------------------

FALLBACK = f"{MANIFESTS}/{fallback_tag(SUBJECT.digest)}"
API = f"/v2/{REPOSITORY}/referrers/{SUBJECT.digest}"
OTHER = Descriptor(OCI_MANIFEST, BLOB.digest, 1)


def listing(*entries: Descriptor) -> Reply:
    index, raw = make_document({"schemaVersion": 2, "mediaType": OCI_INDEX, "manifests": list(entries)})
    return document(index, raw)


def test_a_deleted_referrer_leaves_the_list_under_the_fallback_tag() -> None:
    with Peer() as peer:
        peer.on(FALLBACK, listing(OTHER, REFERRER), listing(OTHER))
        peer.on(FALLBACK, Reply(201), method="PUT")
        asked = deleting(peer, REFERRER, Reply(202), raw=REFERRER_RAW)
        written = [request for request in peer.requests if request.method == "PUT"]
    assert asked.index(("DELETE", f"{MANIFESTS}/{REFERRER.digest}")) < asked.index(("PUT", FALLBACK))
    assert [one["digest"] for one in json.loads(written[0].body)["manifests"]] == [OTHER.digest]
    assert len(written) == 1


def test_with_an_api_there_is_no_list_to_leave() -> None:
    with Peer() as peer:
        peer.on(API, listing())
        assert (("GET", FALLBACK)) not in deleting(peer, REFERRER, Reply(202), raw=REFERRER_RAW)


@pytest.mark.parametrize("tagged", [Reply(404), listing(OTHER)])
def test_a_referrer_that_was_in_no_list_need_not_leave_it(tagged: Reply) -> None:
    with Peer() as peer:
        peer.on(FALLBACK, tagged)
        assert deleting(peer, REFERRER, Reply(202), raw=REFERRER_RAW)[-1] == ("GET", FALLBACK)


# --- Tags -------------------------------------------------------------------------------------------------------------

TAG = f"{MANIFESTS}/1.0"


class OldRegistry:
    """A peer as docker-registry 2.8 is: a tag is no digest and cannot be deleted. It keeps what is put under `TAG`."""

    def __init__(self, peer: Peer, former: Descriptor, raw: bytes, *answers: Reply, refusal: int = 400) -> None:
        self.peer, self.answers = peer, list(answers)
        self.put: list[tuple[str, bytes]] = []
        self.deleted: list[str] = []
        peer.on(TAG, document(former, raw))
        peer.on(TAG, json_reply({"errors": [{"code": "DIGEST_INVALID"}]}, refusal), method="DELETE")
        peer.on(TAG, self.take, method="PUT")
        peer.on(f"{BLOBS}/uploads/", Reply(201), method="POST")

    def take(self, request: Received) -> Reply:
        self.put.append((request.header("content-type") or "", request.body))
        own = f"{MANIFESTS}/{describe(request.body, '').digest}"
        self.peer.on(own, self.delete, method="DELETE")
        return Reply(201)

    def delete(self, request: Received) -> Reply:
        self.deleted.append(request.path.rpartition("/")[2])
        return self.answers.pop(0)


def untagging(peer: Peer, name: str = "1.0") -> None:
    with client_of(peer.url) as client:
        untag(client, REPOSITORY, name)


def test_a_digest_is_no_tag() -> None:
    with Peer() as peer:
        with pytest.raises(InvalidReference):
            untagging(peer, SUBJECT.digest)
        assert peer.requests == []


def test_a_tag_is_removed_as_a_tag_where_the_registry_can() -> None:
    with Peer() as peer:
        peer.on(TAG, Reply(202), method="DELETE")
        untagging(peer)
        assert len(peer.requests) == 1


def test_a_tag_that_is_not_there_is_not_found() -> None:
    with Peer() as peer, pytest.raises(NotFound):
        untagging(peer)


@pytest.mark.parametrize("refusal", [400, 405])
@pytest.mark.parametrize(("former", "raw"), [(SUBJECT, SUBJECT_RAW), (INDEX, INDEX_RAW)], ids=["manifest", "index"])
def test_where_it_cannot_the_tag_goes_with_a_manifest_of_its_own(former: Descriptor, raw: bytes, refusal: int) -> None:
    with Peer() as peer:
        old = OldRegistry(peer, former, raw, Reply(202), refusal=refusal)
        untagging(peer)
    ((media_type, body),) = old.put
    assert media_type == OCI_MANIFEST
    assert json.loads(body)["config"]["digest"] == EMPTY.digest
    assert old.deleted == [describe(body, "").digest]
    assert former.digest not in old.deleted


def test_each_such_manifest_is_another() -> None:
    bodies = set()
    for _ in range(2):
        with Peer() as peer:
            old = OldRegistry(peer, SUBJECT, SUBJECT_RAW, Reply(202))
            untagging(peer)
        bodies.add(old.put[0][1])
    assert len(bodies) == 2


def test_a_tag_nobody_has_is_not_found_there_either() -> None:
    with Peer() as peer:
        old = OldRegistry(peer, SUBJECT, SUBJECT_RAW)
        peer.on(TAG, Reply(404))
        with pytest.raises(NotFound):
            untagging(peer)
    assert old.put == []


@pytest.mark.parametrize(("status", "kind"), [(405, Unsupported), (403, DocklessError), (409, RemoteFault)])
@pytest.mark.parametrize(("former", "raw"), [(SUBJECT, SUBJECT_RAW), (INDEX, INDEX_RAW)], ids=["manifest", "index"])
def test_when_that_is_refused_the_tag_is_put_back(
    former: Descriptor, raw: bytes, status: int, kind: type[DocklessError]
) -> None:
    with Peer() as peer:
        old = OldRegistry(peer, former, raw, Reply(status))
        with pytest.raises(kind) as caught:
            untagging(peer)
    assert caught.value.status == status
    assert old.put[1] == (former.media_type, raw)


def test_a_tag_that_cannot_be_put_back_is_not_hidden() -> None:
    with Peer() as peer:
        old = OldRegistry(peer, SUBJECT, SUBJECT_RAW, Reply(405))
        peer.on(TAG, old.take, Reply(drop=True), method="PUT")
        peer.on(TAG, Reply(drop=True), method="HEAD")
        with pytest.raises(RemoteFault, match="names an empty manifest now") as caught:
            untagging(peer)
    assert isinstance(caught.value.__cause__, NetworkFault)
    assert SUBJECT.digest in caught.value.hint
