"""A v1 registry as a place to copy to: what goes over the wire, and to whom."""

import json
from collections.abc import Iterator
from functools import partial

import pytest

from dockless.model.descriptor import Descriptor, describe
from dockless.model.digest import digest_of
from dockless.model.documents import make_document
from dockless.model.errors import (
    Cancelled,
    ChecksumMismatch,
    CopyFault,
    InvalidDocument,
    InvalidReference,
    NetworkFault,
    NotFound,
    RemoteFault,
    SizeMismatch,
    Unauthorized,
    Unsupported,
)
from dockless.model.events import BlobFinished, Event
from dockless.model.media_types import (
    DOCKER_INDEX,
    DOCKER_SCHEMA1_SIGNED,
    OCI_CONFIG,
    OCI_EMPTY,
    OCI_INDEX,
    OCI_LAYER,
    OCI_LAYER_ZSTD,
    OCI_MANIFEST,
)
from dockless.model.v1_synthesis import EMPTY_LAYER, V1Made, v1_from_oci
from dockless.net.session import Session
from dockless.stores.v1.push import V1Upload
from dockless.stores.v1.registry import V1Index
from dockless.testing.contract import given, got
from dockless.testing.peer import Answer, Peer, Received, Reply, json_reply
from dockless.wire.auth import Credential
from dockless.wire.stream import BytesReader, PayloadSum, Reader
from tests.scripted import NAME, QUICK

CONTENTS = (b"first layer " * 3000, b"second layer " * 3000)
LAYERS = tuple(describe(content, OCI_LAYER) for content in CONTENTS)
CONFIG = json.dumps(
    {
        "architecture": "amd64",
        "os": "linux",
        "config": {"Cmd": ["sh"]},
        "rootfs": {"type": "layers", "diff_ids": [digest_of(content) for content in CONTENTS]},
        "history": [{"created_by": "ADD a"}, {"created_by": "ENV b", "empty_layer": True}, {"created_by": "RUN c"}],
    }
).encode()
IMAGES = v1_from_oci(CONFIG, LAYERS)
BODIES = (CONTENTS[0], EMPTY_LAYER, CONTENTS[1])
TOKEN = f'signature=ABC,repository="{NAME}",access=write'
OK = json_reply(value=True)
REPOSITORY = f"/v1/repositories/{NAME}/"


def manifest(config: bytes = CONFIG, layers: tuple[Descriptor, ...] = LAYERS) -> tuple[Descriptor, bytes]:
    described = describe(config, OCI_CONFIG)
    body = {"schemaVersion": 2, "mediaType": OCI_MANIFEST, "config": described, "layers": layers}
    return make_document(body)


def checksum_of(image: V1Made, layer: bytes) -> str:
    total = PayloadSum(image.raw)
    total.update(memoryview(layer))
    return str(total)


CHECKSUMS = [checksum_of(image, body) for image, body in zip(IMAGES, BODIES, strict=True)]


def path(image: V1Made, what: str) -> str:
    return f"/v1/images/{image.id}/{what}"


def registry(peer: Peer, *, index: bool = True, endpoints: str = "", headers: tuple[tuple[str, str], ...] = ()) -> None:
    """Let `peer` take the image; without `index` as an endpoint only."""
    if index:
        named = (("X-Docker-Token", TOKEN), ("X-Docker-Endpoints", endpoints or peer.host), *headers)
        peer.on(REPOSITORY, json_reply("", headers=named), method="PUT")
        peer.on(f"{REPOSITORY}images", Reply(204), method="PUT")
    peer.on(f"{REPOSITORY}tags/1.0", OK, method="PUT")
    for image in IMAGES:
        for what in ("json", "layer", "checksum"):
            peer.on(path(image, what), OK, method="PUT")


def asked(peer: Peer, *, what: str = "") -> list[Received]:
    return [request for request in peer.requests if request.path.endswith(what)]


def cut(offset: int) -> Reader:
    """A source that breaks off."""

    class Cut(BytesReader):
        def read_chunk(self) -> memoryview:
            chunk = super().read_chunk()
            if not chunk:
                raise NetworkFault("the source broke off")
            return chunk

    return Cut(CONTENTS[0][:10000], offset)


@pytest.fixture(name="peer")
def running() -> Iterator[Peer]:
    with Peer() as peer:
        registry(peer)
        yield peer


@pytest.fixture(name="events")
def told() -> list[Event]:
    return []


@pytest.fixture(name="session")
def talking() -> Iterator[Session]:
    session = Session(QUICK)
    yield session
    session.close()


@pytest.fixture(name="store")
def opened(peer: Peer, session: Session, events: list[Event]) -> V1Upload:
    return V1Upload(V1Index(session, peer.url), NAME, events.append)


def note_blobs(store: V1Upload, config: bytes = CONFIG) -> None:
    store.push(describe(config, OCI_CONFIG), given(config))
    for layer, content in zip(LAYERS, CONTENTS, strict=True):
        store.push(layer, given(content))


def push(store: V1Upload) -> Descriptor:
    note_blobs(store)
    found, raw = manifest()
    store.push(found, given(raw))
    return found


# what goes over the wire


def test_an_image_goes_parents_first_and_is_tagged_at_the_end(peer: Peer, store: V1Upload) -> None:
    note_blobs(store)
    assert peer.requests == []
    store.tag(push(store), "1.0")

    assert [(request.method, request.path) for request in peer.requests] == [
        ("PUT", REPOSITORY),
        *(("PUT", path(image, what)) for image in IMAGES for what in ("json", "layer", "checksum")),
        ("PUT", f"{REPOSITORY}tags/1.0"),
        ("PUT", f"{REPOSITORY}images"),
    ]
    assert [request.body for request in asked(peer, what="/json")] == [image.raw for image in IMAGES]
    assert [request.body for request in asked(peer, what="/layer")] == list(BODIES)
    assert json.loads(asked(peer, what=REPOSITORY)[0].body) == [{"id": image.id} for image in IMAGES]
    assert json.loads(asked(peer, what="/tags/1.0")[0].body) == IMAGES[-1].id
    assert json.loads(asked(peer, what=f"{NAME}/images")[0].body) == [
        {"id": image.id, "checksum": checksum} for image, checksum in zip(IMAGES, CHECKSUMS, strict=True)
    ]


def test_each_request_has_its_headers(peer: Peer, store: V1Upload) -> None:
    store.tag(push(store), "1.0")

    for request in peer.requests:
        expected = {"layer": "application/octet-stream", "checksum": None}
        kind = expected.get(request.path.rpartition("/")[2], "application/json")
        assert request.header("content-type") == kind
    for header in ("x-docker-checksum-payload", "x-docker-checksum"):
        assert [request.header(header) for request in asked(peer, what="/checksum")] == CHECKSUMS
    assert asked(peer, what=REPOSITORY)[0].header("x-docker-token") == "true"
    assert asked(peer, what=f"{NAME}/images")[0].header("x-docker-endpoints") == peer.host


def test_the_token_goes_to_the_endpoint_and_cookies_come_back(peer: Peer, session: Session, store: V1Upload) -> None:
    peer.on(path(IMAGES[0], "layer"), json_reply(True, headers=(("Set-Cookie", "session=sums"),)), method="PUT")
    push(store)
    images = asked(peer)[1:]
    assert {request.header("authorization") for request in images} == {f"Token {TOKEN}"}
    assert asked(peer, what="/layer")[0].header("cookie") is None
    assert asked(peer, what="/checksum")[0].header("cookie") == "session=sums"


def test_a_stranger_gets_the_image_and_no_credentials(peer: Peer, session: Session) -> None:
    with Peer(host="127.0.0.2") as stranger:
        registry(stranger, index=False)
        registry(peer, endpoints=stranger.host, headers=(("Set-Cookie", "a=b"),))
        store = V1Upload(V1Index(session, peer.url, Credential("me", "secret")), NAME)
        store.tag(push(store), "1.0")
        assert len(stranger.requests) == 3 * len(IMAGES) + 1
        for request in stranger.requests:
            assert (request.header("authorization"), request.header("cookie")) == (None, None)
        assert all((request.header("authorization") or "").startswith("Basic ") for request in peer.requests)


def test_an_endpoint_that_is_down_is_passed_over(peer: Peer, session: Session) -> None:
    registry(peer, endpoints=f"127.0.0.1:1, {peer.host}")
    store = V1Upload(V1Index(session, peer.url), NAME)
    store.tag(push(store), "1.0")
    assert len(asked(peer, what="/checksum")) == len(IMAGES)


# what is there already


def test_an_image_that_is_there_is_not_sent(peer: Peer, store: V1Upload, events: list[Event]) -> None:
    peer.on(path(IMAGES[0], "json"), json_reply({"error": "Image already exists"}, 409), method="PUT")
    store.tag(push(store), "1.0")

    assert [request.path for request in asked(peer, what="/layer")] == [path(image, "layer") for image in IMAGES[1:]]
    assert "checksum" not in json.loads(asked(peer, what=f"{NAME}/images")[0].body)[0]
    assert [event for event in events if isinstance(event, BlobFinished)] == [
        BlobFinished(LAYERS[0].digest, LAYERS[0].size, None),
        BlobFinished(LAYERS[1].digest, LAYERS[1].size, verified=True),
    ]


@pytest.mark.parametrize("what", ["layer", "checksum"])
def test_an_image_that_another_completes_meanwhile_is_there(peer: Peer, store: V1Upload, what: str) -> None:
    peer.on(path(IMAGES[1], what), json_reply({"error": "Cannot set this image checksum"}, 409), method="PUT")
    assert store.exists(push(store))


def test_a_manifest_is_sent_once(peer: Peer, store: V1Upload) -> None:
    assert push(store) == push(store)
    assert len(asked(peer, what=REPOSITORY)) == 1


def test_what_was_sent_is_known_and_what_was_noted_is_not(store: V1Upload) -> None:
    found, _ = manifest()
    note_blobs(store)
    assert not any(store.exists(one) for one in (found, describe(CONFIG, OCI_CONFIG), *LAYERS))
    with pytest.raises(NotFound):
        store.resolve(found.digest)
    with pytest.raises(NotFound):
        store.tag(found, "1.0")
    push(store)
    assert store.exists(found)
    assert store.resolve(found.digest) == found
    store.tag(found, "1.0")
    assert store.resolve("1.0") == found
    assert list(store.predecessors(found)) == []
    with pytest.raises(NotFound, match="by their own ids"):
        got(store, found)


def test_a_tag_that_is_there_names_something(peer: Peer, store: V1Upload) -> None:
    endpoints = (("X-Docker-Endpoints", peer.host),)
    peer.on(f"{REPOSITORY}images", json_reply([], headers=endpoints))
    peer.on(f"{REPOSITORY}tags", json_reply({"old": "0" * 64}))
    assert store.resolve("old") == describe(b"0" * 64, "text/plain")
    with pytest.raises(NotFound):
        store.resolve("new")


def test_a_repository_that_is_not_there_has_no_tags(store: V1Upload) -> None:
    with pytest.raises(NotFound):
        store.resolve("old")


# what goes wrong


def test_a_checksum_that_the_registry_refuses_names_the_layer(peer: Peer, store: V1Upload) -> None:
    peer.on(path(IMAGES[0], "checksum"), json_reply({"error": "Checksum mismatch"}, 400), method="PUT")
    with pytest.raises(ChecksumMismatch, match=f"layer {LAYERS[0].digest} of image {IMAGES[0].id}") as raised:
        push(store)
    assert "Push again" in raised.value.hint
    assert not store.exists(manifest()[0])
    assert asked(peer, what=path(IMAGES[1], "json")) == []


@pytest.mark.parametrize("what", ["json", "layer", "checksum"])
@pytest.mark.parametrize("reply", [Reply(503), Reply(drop=True)])
def test_what_fails_for_the_moment_is_sent_again(peer: Peer, store: V1Upload, what: str, reply: Answer) -> None:
    peer.on(path(IMAGES[0], what), reply, OK, method="PUT")
    store.tag(push(store), "1.0")
    sent = asked(peer, what=path(IMAGES[0], what))
    assert len(sent) == 2
    assert sent[0].body == sent[1].body
    checksums = [request.header("x-docker-checksum") for request in asked(peer, what="/checksum")]
    assert list(dict.fromkeys(checksums)) == CHECKSUMS


def test_what_the_registry_refuses_is_said_in_its_words(peer: Peer, store: V1Upload) -> None:
    peer.on(path(IMAGES[0], "json"), json_reply({"error": "Image depends on a non existing parent"}, 400), method="PUT")
    with pytest.raises(RemoteFault, match="non existing parent"):
        push(store)


def test_who_may_not_is_told(peer: Peer, store: V1Upload) -> None:
    peer.on(REPOSITORY, Reply(401), method="PUT")
    with pytest.raises(Unauthorized):
        push(store)


@pytest.mark.parametrize(
    ("source", "fault"),
    [
        (cut, NetworkFault),
        (given(CONTENTS[0][::-1]), ChecksumMismatch),
        (given(CONTENTS[0][:-1]), SizeMismatch),
        (lambda _: (_ for _ in ()).throw(NotFound("gone")), NotFound),
    ],
    ids=["broken off", "wrong", "short", "gone"],
)
def test_a_source_that_fails_is_the_source_s_fault_and_is_not_asked_again(
    peer: Peer, store: V1Upload, source: object, fault: type[Exception]
) -> None:
    opened: list[int] = []

    def counted(offset: int) -> Reader:
        opened.append(offset)
        reader: Reader = source(offset)  # type: ignore[operator]
        return reader

    note_blobs(store)
    store.push(LAYERS[0], counted)
    found, raw = manifest()
    with pytest.raises(CopyFault) as raised:
        store.push(found, given(raw))
    assert (raised.value.side, raised.value.descriptor) == ("source", LAYERS[0])
    assert isinstance(raised.value.__cause__, fault)
    assert opened == [0]
    assert asked(peer, what="/checksum") == []


def test_what_is_stopped_is_nobody_s_fault(store: V1Upload) -> None:
    def stopped(offset: int) -> Reader:
        raise Cancelled("stopped")

    note_blobs(store)
    store.push(LAYERS[0], stopped)
    found, raw = manifest()
    with pytest.raises(Cancelled):
        store.push(found, given(raw))


def test_a_layer_that_was_never_given_is_missed(peer: Peer, store: V1Upload) -> None:
    store.push(describe(CONFIG, OCI_CONFIG), given(CONFIG))
    found, raw = manifest()
    with pytest.raises(NotFound, match=LAYERS[0].digest):
        store.push(found, given(raw))


@pytest.mark.parametrize("media_type", [OCI_INDEX, DOCKER_INDEX])
def test_an_index_is_refused_before_anything_is_sent(peer: Peer, store: V1Upload, media_type: str) -> None:
    found, raw = make_document({"schemaVersion": 2, "mediaType": media_type, "manifests": []})
    for refused in (partial(store.exists, found), partial(store.push, found, given(raw))):
        with pytest.raises(Unsupported, match="several platforms") as raised:
            refused()
        assert "--platform" in raised.value.hint
    assert peer.requests == []


def test_what_is_no_image_is_refused_before_anything_is_sent(peer: Peer, store: V1Upload) -> None:
    note_blobs(store)
    empty = describe(b"{}", OCI_EMPTY)
    artifact, raw = make_document(
        {"schemaVersion": 2, "mediaType": OCI_MANIFEST, "artifactType": "x/y", "config": empty, "layers": []}
    )
    old = describe(raw, DOCKER_SCHEMA1_SIGNED)
    zstd, zstd_raw = manifest(layers=(LAYERS[0], Descriptor(OCI_LAYER_ZSTD, LAYERS[1].digest, LAYERS[1].size)))
    for found, content in ((artifact, raw), (old, raw), (zstd, zstd_raw)):
        with pytest.raises(Unsupported):
            store.push(found, given(content))
    assert peer.requests == []


def test_documents_are_verified_and_bounded(peer: Peer, store: V1Upload) -> None:
    found, raw = manifest()
    with pytest.raises(ChecksumMismatch):
        store.push(found, given(raw[::-1]))
    huge = Descriptor(OCI_MANIFEST, found.digest, 100 << 20)
    with pytest.raises(InvalidDocument, match="too many"):
        store.push(huge, given(raw))
    assert peer.requests == []


@pytest.mark.parametrize("name", ["a b", "a/b", "..", "", "x" * 129])
def test_a_tag_that_v1_would_garble_is_refused(peer: Peer, store: V1Upload, name: str) -> None:
    found = push(store)
    before = len(peer.requests)
    with pytest.raises(InvalidReference):
        store.tag(found, name)
    assert len(peer.requests) == before


def test_a_repository_s_name_is_checked(session: Session, peer: Peer) -> None:
    with pytest.raises(InvalidReference):
        push(V1Upload(V1Index(session, peer.url), "a/../b"))
    assert peer.requests == []
