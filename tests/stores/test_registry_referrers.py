"""Referrers in a registry: the API's list, the fallback tag's list, and who keeps that one."""

import json
import time
from typing import Any

import pytest

from dockless.model.descriptor import Descriptor, describe
from dockless.model.documents import make_document
from dockless.model.errors import Conflict, InvalidDocument, RemoteFault
from dockless.model.media_types import OCI_CONFIG, OCI_EMPTY, OCI_INDEX, OCI_MANIFEST
from dockless.model.referrers import fallback_tag
from dockless.stores.registry.manifests import push_manifest
from dockless.stores.registry.referrers import predecessors
from dockless.stores.registry.repository import Repository
from dockless.testing.contract import given
from dockless.testing.peer import Answer, Peer, Received, Reply, redirect
from tests.flaky_registry import REPOSITORY, client_of
from tests.scripted_registry import refusal

MANIFESTS = f"/v2/{REPOSITORY}/manifests"
EMPTY = describe(b"{}", OCI_EMPTY)
SUBJECT, SUBJECT_RAW = make_document({"schemaVersion": 2, "mediaType": OCI_MANIFEST, "config": EMPTY, "layers": []})
REFERRERS = f"/v2/{REPOSITORY}/referrers/{SUBJECT.digest}"
FALLBACK = f"{MANIFESTS}/{fallback_tag(SUBJECT.digest)}"


def referrer(
    kind: str | None = "application/x-sbom", config: Descriptor = EMPTY, **more: Any
) -> tuple[Descriptor, bytes]:
    typed = {} if kind is None else {"artifactType": kind}
    body = {"schemaVersion": 2, "mediaType": OCI_MANIFEST, **typed, "config": config, "layers": [], "subject": SUBJECT}
    return make_document({**body, **more})


ONE, TWO = (Descriptor(OCI_MANIFEST, referrer(kind)[0].digest, 5, artifact_type=kind) for kind in ("a/one", "a/two"))


def index_of(*entries: Descriptor) -> bytes:
    return make_document({"schemaVersion": 2, "mediaType": OCI_INDEX, "manifests": list(entries)})[1]


def document(raw: bytes, media_type: str = OCI_INDEX, *headers: tuple[str, str]) -> Reply:
    return Reply(body=raw, headers=(("Content-Type", media_type), *headers))


def listed(peer: Peer, artifact_type: str = "") -> list[Descriptor]:
    with client_of(peer.url) as client:
        return list(predecessors(client, REPOSITORY, SUBJECT, artifact_type))


# --- The API ----------------------------------------------------------------------------------------------------------


def test_the_api_lists_referrers_with_type_and_annotations() -> None:
    entry = Descriptor(OCI_MANIFEST, ONE.digest, 5, artifact_type="a/one", annotations={"a": "b"})
    with Peer() as peer:
        peer.on(REFERRERS, document(index_of(entry, TWO)))
        found = listed(peer)
        assert len(peer.requests) == 1
    assert found == [entry, TWO]
    assert found[0].artifact_type == "a/one"
    assert found[0].annotations == {"a": "b"}


def test_an_empty_list_is_an_answer() -> None:
    with Peer() as peer:
        peer.on(REFERRERS, document(index_of()))
        assert listed(peer) == []
        assert len(peer.requests) == 1


def test_pages_are_followed_and_each_referrer_comes_once() -> None:
    with Peer() as peer:
        peer.on(REFERRERS, document(index_of(ONE), OCI_INDEX, ("Link", '</next?token=x>; rel="next"')))
        peer.on("/next", document(index_of(ONE, TWO)))
        assert listed(peer) == [ONE, TWO]
        assert peer.requests[1].target == "/next?token=x"


@pytest.mark.parametrize("link", [REFERRERS, "/next"])
def test_pages_that_go_in_a_circle_have_an_end(link: str) -> None:
    with Peer() as peer:
        peer.on(REFERRERS, document(index_of(ONE), OCI_INDEX, ("Link", f'<{link}>; rel="next"')))
        peer.on("/next", document(index_of(TWO), OCI_INDEX, ("Link", f'<{link}>; rel="next"')))
        with pytest.raises(RemoteFault, match="no end"):
            listed(peer)
        assert len(peer.requests) <= 2


def test_pages_do_not_lead_elsewhere() -> None:
    with Peer() as peer, Peer() as other:
        peer.on(REFERRERS, document(index_of(ONE), OCI_INDEX, ("Link", f'<{other.url}/x>; rel="next"')))
        with pytest.raises(RemoteFault, match="elsewhere"):
            listed(peer)
        assert other.requests == []


@pytest.mark.parametrize("page", [Reply(404), document(b"<html>", "text/html")])
def test_a_list_that_breaks_off_is_not_taken_for_a_whole_one(page: Reply) -> None:
    with Peer() as peer:
        peer.on(REFERRERS, document(index_of(ONE), OCI_INDEX, ("Link", '</next>; rel="next"')))
        peer.on("/next", page)
        with pytest.raises(InvalidDocument):
            listed(peer)


UNTYPED = Descriptor(OCI_MANIFEST, referrer("a/three")[0].digest, 5)


@pytest.mark.parametrize(
    ("applied", "expected"),
    [
        ((), [ONE]),
        (("annotation",), [ONE]),
        (("artifactType",), [ONE, TWO, UNTYPED]),  # whatever it means by that
        (("annotation, artifactType",), [ONE, TWO, UNTYPED]),
        (("annotation", "artifactType"), [ONE, TWO, UNTYPED]),
    ],
)
def test_a_type_is_filtered_by_here_unless_the_api_did(applied: tuple[str, ...], expected: list[Descriptor]) -> None:
    headers = [("OCI-Filters-Applied", one) for one in applied]
    with Peer() as peer:
        peer.on(REFERRERS, document(index_of(ONE, TWO, UNTYPED), OCI_INDEX, *headers))
        assert listed(peer, "a/one") == expected
        assert [request.target for request in peer.requests] == [f"{REFERRERS}?artifactType=a%2Fone"]


def test_each_page_says_for_itself_whether_it_was_filtered() -> None:
    with Peer() as peer:
        link, applied = ("Link", '</next>; rel="next"'), ("OCI-Filters-Applied", "artifactType")
        peer.on(REFERRERS, document(index_of(ONE), OCI_INDEX, link, applied))
        peer.on("/next", document(index_of(TWO, UNTYPED)))
        assert listed(peer, "a/one") == [ONE]
        assert len(peer.requests) == 2


# --- The fallback tag, read -------------------------------------------------------------------------------------------

NO_API = {
    "404": Reply(404),
    "400": Reply(400),
    "405": Reply(405),
    "a web page": document(b"<html>login</html>", "text/html"),
    "a redirect to a web page": redirect("/login"),
    "a manifest": document(SUBJECT_RAW, OCI_MANIFEST),
    "json that is no index": document(b"{}"),
    "cut json": document(index_of(ONE)[:-5]),
}


@pytest.mark.parametrize("answer", NO_API.values(), ids=NO_API)
def test_without_an_api_the_fallback_tag_is_read(answer: Reply) -> None:
    with Peer() as peer:
        peer.on(REFERRERS, answer)
        peer.on("/login", document(b"<html>", "text/html"))
        peer.on(FALLBACK, document(index_of(ONE, TWO, ONE)))
        assert listed(peer) == [ONE, TWO]


def test_what_is_under_the_fallback_tag_is_always_filtered_here() -> None:
    with Peer() as peer:
        peer.on(FALLBACK, document(index_of(ONE, TWO, UNTYPED), OCI_INDEX, ("OCI-Filters-Applied", "artifactType")))
        assert listed(peer, "a/two") == [TWO]


def test_without_api_and_tag_there_are_none() -> None:
    with Peer() as peer:
        assert listed(peer) == []
        assert [request.path for request in peer.requests] == [REFERRERS, FALLBACK]


@pytest.mark.parametrize(
    "answer",
    [
        document(SUBJECT_RAW, OCI_MANIFEST),
        document(referrer()[1], OCI_MANIFEST),
        document(b"no document at all"),
    ],
    ids=["the subject itself, as on gitlab", "a manifest", "junk"],
)
def test_a_fallback_tag_that_is_no_list_lists_nothing(answer: Reply) -> None:
    with Peer() as peer:
        peer.on(FALLBACK, answer)
        assert listed(peer) == []


def test_a_fallback_tag_that_is_the_subject_lists_nothing_though_it_is_an_index() -> None:
    raw = index_of(ONE)
    subject = describe(raw, OCI_INDEX)
    with Peer() as peer, client_of(peer.url) as client:
        peer.on(f"{MANIFESTS}/{fallback_tag(subject.digest)}", document(raw))
        assert list(predecessors(client, REPOSITORY, subject)) == []
        assert len(peer.requests) == 2


@pytest.mark.parametrize("path", [REFERRERS, FALLBACK])
def test_a_registry_that_fails_is_not_one_without_referrers(path: str) -> None:
    with Peer() as peer:
        peer.on(path, Reply(503))
        with pytest.raises(RemoteFault):
            listed(peer)


# --- The fallback tag, kept -------------------------------------------------------------------------------------------


class Tagged:
    """A peer's fallback tag that keeps what is put, unless `hidden` writes are overwritten by somebody else's."""

    def __init__(self, peer: Peer, raw: bytes | None = None, media_type: str = OCI_INDEX, hidden: int = 0) -> None:
        self.raw, self.media_type, self.hidden = raw, media_type, hidden
        self.writes = 0
        peer.on(FALLBACK, self.get)
        peer.on(FALLBACK, self.put, method="PUT")

    def get(self, _: Received) -> Reply:
        return Reply(404) if self.raw is None else document(self.raw, self.media_type)

    def put(self, request: Received) -> Reply:
        self.writes += 1
        if self.writes > self.hidden:
            self.raw, self.media_type = request.body, request.header("content-type") or ""
        return Reply(201)

    @property
    def entries(self) -> list[dict[str, Any]]:
        entries: list[dict[str, Any]] = json.loads(self.raw or b"")["manifests"]
        return entries


def push(peer: Peer, made: tuple[Descriptor, bytes], *answers: Answer) -> None:
    peer.on(f"{MANIFESTS}/{made[0].digest}", *(answers or (Reply(201),)), method="PUT")
    with client_of(peer.url) as client:
        push_manifest(client, REPOSITORY, *made)


def test_a_subject_that_the_registry_took_note_of_is_done() -> None:
    with Peer() as peer:
        push(peer, referrer(), Reply(201, headers=(("OCI-Subject", SUBJECT.digest),)))
        assert len(peer.requests) == 1


def test_a_manifest_without_a_subject_is_done() -> None:
    with Peer() as peer:
        push(peer, (SUBJECT, SUBJECT_RAW))
        assert len(peer.requests) == 1


def test_a_subject_that_it_did_not_note_gets_a_list() -> None:
    made = referrer(annotations={"a": "b"})
    with Peer() as peer:
        tagged = Tagged(peer)
        push(peer, made)
    wanted = {"mediaType": OCI_MANIFEST, "digest": made[0].digest, "size": made[0].size}
    assert tagged.entries == [{**wanted, "annotations": {"a": "b"}, "artifactType": "application/x-sbom"}]
    assert tagged.media_type == OCI_INDEX
    assert tagged.writes == 1


def test_without_an_artifact_type_it_is_listed_by_that_of_its_config() -> None:
    with Peer() as peer:
        tagged = Tagged(peer)
        push(peer, referrer(None, describe(b"{}", OCI_CONFIG)))
    assert tagged.entries[0]["artifactType"] == OCI_CONFIG


def test_an_index_may_be_a_referrer() -> None:
    made = make_document({"schemaVersion": 2, "mediaType": OCI_INDEX, "manifests": [], "subject": SUBJECT})
    with Peer() as peer:
        tagged = Tagged(peer)
        push(peer, made)
    assert tagged.entries == [{"mediaType": OCI_INDEX, "digest": made[0].digest, "size": made[0].size}]


def test_a_list_grows_and_holds_each_referrer_once() -> None:
    made = referrer()
    with Peer() as peer:
        tagged = Tagged(peer, index_of(ONE))
        push(peer, made)
        push(peer, made)
    assert [one["digest"] for one in tagged.entries] == [ONE.digest, made[0].digest]
    assert tagged.writes == 1


def test_a_write_that_somebody_else_hid_is_repeated() -> None:
    made = referrer()
    with Peer() as peer:
        tagged = Tagged(peer, index_of(ONE), hidden=2)
        push(peer, made)
    assert [one["digest"] for one in tagged.entries] == [ONE.digest, made[0].digest]
    assert tagged.writes == 3


class Raced(Tagged):
    """A fallback tag that somebody else, who had read it before, writes a moment after the first write."""

    written = float("inf")

    def get(self, request: Received) -> Reply:
        if time.monotonic() > self.written + 0.01:
            self.raw, self.written = index_of(ONE, TWO), float("inf")
        return super().get(request)

    def put(self, request: Received) -> Reply:
        self.written = float("inf") if self.writes else time.monotonic()
        return super().put(request)


def test_a_write_that_somebody_else_hides_a_little_later_is_repeated_too() -> None:
    made = referrer()
    with Peer() as peer:
        tagged = Raced(peer, index_of(ONE))
        push(peer, made)
    assert [one["digest"] for one in tagged.entries] == [ONE.digest, TWO.digest, made[0].digest]
    assert tagged.writes == 2


def test_writes_that_are_always_hidden_are_a_conflict() -> None:
    with Peer() as peer:
        tagged = Tagged(peer, hidden=1000)
        with pytest.raises(Conflict, match="did not keep"):
            push(peer, referrer())
    assert tagged.writes == 8


def refusing(tagged: Tagged, *gone: Descriptor) -> Answer:
    """Answer a PUT as docker-registry does: a list with one that is not there is refused."""

    def put(request: Received) -> Reply:
        unknown = any(one.digest.encode() in request.body for one in gone)
        return refusal(400, "MANIFEST_BLOB_UNKNOWN", "blob unknown to registry") if unknown else tagged.put(request)

    return put


def test_what_was_deleted_leaves_the_list_that_is_refused_for_it() -> None:
    made = referrer()
    with Peer() as peer:
        tagged = Tagged(peer, index_of(ONE, TWO))
        peer.on(FALLBACK, refusing(tagged, ONE), method="PUT")
        for one in (TWO.digest, made[0].digest):
            peer.on(f"{MANIFESTS}/{one}", Reply(200), method="HEAD")
        push(peer, made)
    assert [one["digest"] for one in tagged.entries] == [TWO.digest, made[0].digest]


@pytest.mark.parametrize("code", ["MANIFEST_BLOB_UNKNOWN", "MANIFEST_INVALID"])
def test_a_list_that_is_refused_for_anything_else_stays(code: str) -> None:
    made = referrer()
    with Peer() as peer:
        tagged = Tagged(peer, index_of(ONE))
        peer.on(FALLBACK, refusal(400, code, "no"), method="PUT")
        for one in (ONE.digest, made[0].digest) if code != "MANIFEST_INVALID" else ():
            peer.on(f"{MANIFESTS}/{one}", Reply(200), method="HEAD")
        with pytest.raises(RemoteFault, match=code):
            push(peer, made)
    assert [one["digest"] for one in tagged.entries] == [ONE.digest]


def test_the_subject_itself_under_the_tag_is_replaced() -> None:
    with Peer() as peer:
        tagged = Tagged(peer, SUBJECT_RAW, OCI_MANIFEST)
        push(peer, referrer())
    assert len(tagged.entries) == 1


@pytest.mark.parametrize(("raw", "media_type"), [(referrer("x/y")[1], OCI_MANIFEST), (b"junk", OCI_INDEX)])
def test_anything_else_under_the_tag_stays(raw: bytes, media_type: str) -> None:
    with Peer() as peer:
        tagged = Tagged(peer, raw, media_type)
        with pytest.raises(Conflict, match="no list of referrers"):
            push(peer, referrer())
    assert tagged.raw == raw


@pytest.mark.parametrize("answer", [Reply(201), Reply(503)], ids=["without OCI-Subject, as on quay", "none"])
@pytest.mark.parametrize(("api", "writes"), [(document(index_of()), 0), (Reply(404), 1)])
def test_where_the_answer_does_not_say_it_the_api_does(answer: Reply, api: Reply, writes: int) -> None:
    made = referrer()
    with Peer() as peer:
        tagged = Tagged(peer)
        peer.on(REFERRERS, api)
        peer.on(f"{MANIFESTS}/{made[0].digest}", Reply(200), method="HEAD")
        push(peer, made, answer)
    assert tagged.writes == writes


# --- What is there, and perhaps not listed: who pushed it was killed in between ---------------------------------------


class Held(Tagged):
    """A peer that has a manifest, too."""

    def __init__(self, peer: Peer, made: tuple[Descriptor, bytes], raw: bytes | None = None) -> None:
        super().__init__(peer, raw)
        for method in ("HEAD", "GET"):
            peer.on(f"{MANIFESTS}/{made[0].digest}", document(made[1], OCI_MANIFEST), method=method)


def again(made: tuple[Descriptor, bytes], act: str, repository: Repository) -> None:
    """Do what a second run does."""
    if act == "push":
        repository.push(made[0], given(made[1]))
    elif act == "list":
        repository.list_referrers(SUBJECT, [made[0], ONE])
    else:
        repository.tag(made[0], made[0].digest if act == "digest" else "1.0")


@pytest.mark.parametrize("act", ["push", "tag", "digest", "list"])
@pytest.mark.parametrize("has_api", [False, True])
def test_a_referrer_that_is_there_is_listed_by_the_next_run(act: str, has_api: bool) -> None:
    made = referrer()
    with Peer() as peer, client_of(peer.url) as client:
        held = Held(peer, made, index_of(ONE))
        peer.on(f"{MANIFESTS}/1.0", Reply(201), method="PUT")
        if has_api:
            peer.on(REFERRERS, document(index_of(ONE, made[0])))
        for _ in range(2):
            again(made, act, client.repository(REPOSITORY))
    assert [one["digest"] for one in held.entries] == [ONE.digest, *([] if has_api else [made[0].digest])]
    assert held.writes == (0 if has_api else 1)


def test_what_is_listed_is_not_read() -> None:
    with Peer() as peer, client_of(peer.url) as client:
        Tagged(peer, index_of(ONE, TWO))
        client.repository(REPOSITORY).list_referrers(SUBJECT, [ONE, TWO])
        assert [request.path for request in peer.requests] == [REFERRERS, FALLBACK]


@pytest.mark.parametrize("raw", [SUBJECT_RAW, b"junk"])
def test_what_refers_to_nothing_is_listed_nowhere(raw: bytes) -> None:
    made = describe(raw, OCI_MANIFEST), raw
    with Peer() as peer, client_of(peer.url) as client:
        Held(peer, made)
        client.repository(REPOSITORY).push(made[0], given(raw))
        assert [request.method for request in peer.requests] == ["HEAD", "GET"]
