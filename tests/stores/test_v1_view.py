"""A v1 repository seen as one of OCI images."""

import bz2
import gzip
import json
import lzma
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest

from dockless.model.descriptor import Descriptor, describe
from dockless.model.digest import digest_of
from dockless.model.documents import Manifest, parse_document
from dockless.model.errors import InvalidDocument, NotFound
from dockless.model.events import BlobAdvanced, BlobFinished, BlobStarted, Event, Notice, Observer, ignore
from dockless.model.image_config import parse_image_config
from dockless.model.image_id import ImageId
from dockless.model.media_types import OCI_LAYER, OCI_LAYER_GZIP, OCI_LAYER_ZSTD
from dockless.model.v1_synthesis import EMPTY_LAYER, Layer, oci_from_v1
from dockless.net.session import Session
from dockless.stores.base import NamedFetcher, TagLister
from dockless.stores.memory import MemoryStore
from dockless.stores.v1.registry import V1Index
from dockless.stores.v1.view import V1View
from dockless.testing.contract import got
from dockless.testing.images import MadeImage, make_image
from dockless.testing.peer import Peer, Reply, json_reply
from dockless.wire.stream import Reader
from tests.scripted import NAME, QUICK, asked, endpoint, index, layer_path

try:
    from compression import zstd  # type: ignore[import-not-found, unused-ignore]  # Python 3.14
except ImportError:
    from backports import zstd

BASE = {"etc/motd": b"hello\n" * 500}
IMAGES = make_image(BASE, {}, {"a": b"a" * 3000}, {}, compress=True)
BY_HAND = [
    Layer(describe(image.layer, OCI_LAYER_GZIP), digest_of(gzip.decompress(image.layer))) for image in IMAGES[::-1]
]
EXPECTED = oci_from_v1([image.raw for image in IMAGES[::-1]], [BY_HAND[0], None, BY_HAND[2], None])


@pytest.fixture(name="peer")
def running() -> Iterator[Peer]:
    with Peer() as peer:
        index(peer)
        yield peer


@pytest.fixture(name="events")
def told() -> list[Event]:
    return []


@pytest.fixture(name="session")
def talking(events: list[Event]) -> Iterator[Session]:
    session = Session(QUICK, events.append)
    yield session
    session.close()


def view_of(
    peer: Peer, session: Session, into: MemoryStore | None = None, observe: Observer = ignore, jobs: int = 4
) -> V1View:
    return V1View(V1Index(session, peer.url).repository(NAME), into or MemoryStore(), None, observe, jobs=jobs)


def alone(layer: bytes, **more: object) -> MadeImage:
    """Return an image on nothing, with its layer."""
    image_id = ImageId(digest_of(layer)[7:])
    return MadeImage(image_id, json.dumps({"id": image_id, **more}).encode(), layer)


def test_an_image_becomes_one_of_oci_and_each_layer_is_read_once(peer: Peer, session: Session) -> None:
    endpoint(peer, *IMAGES)
    into = MemoryStore()
    view = view_of(peer, session, into)

    found, raw = view.fetch_named("latest")

    assert (found, raw) == (EXPECTED.manifest, EXPECTED.manifest_raw)
    assert got(view, EXPECTED.config) == EXPECTED.config_raw
    assert got(view, EXPECTED.config, 10) == EXPECTED.config_raw[10:]
    for layer, image in ((BY_HAND[0], IMAGES[3]), (BY_HAND[2], IMAGES[1])):
        assert got(view, layer.descriptor, 5) == image.layer[5:]
        assert into.resolve(layer.descriptor.digest).media_type == OCI_LAYER_GZIP
    assert all(view.exists(one) for one in (EXPECTED.manifest, EXPECTED.config, BY_HAND[0].descriptor))
    assert not view.exists(describe(b"other", OCI_LAYER))
    assert list(view.predecessors(found)) == []
    assert Counter(request.path for request in peer.requests if request.path.endswith("/layer")) == Counter(
        layer_path(image) for image in IMAGES
    )


def test_documents_stay_in_memory_and_empty_layers_go_nowhere(peer: Peer, session: Session) -> None:
    endpoint(peer, *IMAGES)
    into = MemoryStore()
    view_of(peer, session, into).resolve("latest")
    assert not any(into.exists(one) for one in (EXPECTED.manifest, EXPECTED.config, BY_HAND[1].descriptor))


@pytest.mark.parametrize(
    ("layer", "expected"),
    [(b"", 0), (EMPTY_LAYER, 0), (gzip.compress(EMPTY_LAYER, mtime=0), 0), (bytes(1023), 1), (bytes(1025), 1)],
    ids=["no bytes", "Docker's", "packed", "shorter", "longer"],
)
def test_a_layer_that_holds_nothing_is_none(peer: Peer, session: Session, layer: bytes, expected: int) -> None:
    image = alone(layer)
    endpoint(peer, image)
    if not layer:
        peer.on(layer_path(image), Reply(416))
    assert len(layers_of(view_of(peer, session))) == expected


def test_an_empty_layer_stays_one_when_its_image_says_so(peer: Peer, session: Session) -> None:
    endpoint(peer, alone(EMPTY_LAYER, throwaway=False))
    assert layers_of(view_of(peer, session)) == (describe(EMPTY_LAYER, OCI_LAYER),)


def test_the_digest_is_the_same_each_time_and_everywhere(peer: Peer, session: Session) -> None:
    endpoint(peer, *IMAGES)
    once = view_of(peer, session, jobs=1)
    assert once.resolve("latest") == once.resolve("latest") == view_of(peer, session).resolve("latest")


@pytest.mark.parametrize(
    ("packed", "media_type"),
    [
        (bytes, OCI_LAYER),
        (gzip.compress, OCI_LAYER_GZIP),
        (zstd.compress, OCI_LAYER_ZSTD),
        (bz2.compress, OCI_LAYER),
        (lzma.compress, OCI_LAYER),
    ],
    ids=["not", "gzip", "zstd", "bzip2", "xz"],
)
def test_the_media_type_is_what_the_first_bytes_say(
    peer: Peer, session: Session, events: list[Event], packed: Callable[[bytes], bytes], media_type: str
) -> None:
    image = alone(packed(b"content " * 20))
    endpoint(peer, image)
    peer.on(layer_path(image), Reply(body=image.layer, drip=0.0))

    view = view_of(peer, session, observe=events.append)

    assert layers_of(view) == (describe(image.layer, media_type),)
    assert diff_ids_of(view) == (digest_of(b"content " * 20),)
    assert "drip" in peer.faults
    told = [event for event in events if isinstance(event, Notice)]
    assert len(told) == (1 if packed in {bz2.compress, lzma.compress} else 0)


def test_the_media_type_is_ours_whatever_the_place_calls_it(peer: Peer, session: Session) -> None:
    class Nameless(MemoryStore):
        def ingest(self, media_type: str, reader: Reader) -> Descriptor:
            return super().ingest("application/octet-stream", reader)

    endpoint(peer, *IMAGES)
    assert view_of(peer, session, Nameless()).resolve("latest") == EXPECTED.manifest


def test_what_happens_is_told_under_the_image_s_id(peer: Peer, session: Session, events: list[Event]) -> None:
    endpoint(peer, IMAGES[1])
    view_of(peer, session, observe=events.append).resolve("latest")

    size = len(IMAGES[1].layer)
    assert events[0] == BlobStarted(IMAGES[1].id, size, 0)
    assert events[-2:] == [BlobAdvanced(IMAGES[1].id, size), BlobFinished(IMAGES[1].id, size, verified=True)]


def test_what_nobody_vouches_for_is_said_to_be_unverified(peer: Peer, session: Session, events: list[Event]) -> None:
    endpoint(peer, IMAGES[1], checksums=False)
    view_of(peer, session, observe=events.append).resolve("latest")
    assert events[-1] == BlobFinished(IMAGES[1].id, len(IMAGES[1].layer), verified=False)


# names


def test_a_name_is_a_tag_an_image_id_or_a_digest(peer: Peer, session: Session) -> None:
    endpoint(peer, *IMAGES, tags={"1.0": IMAGES[0].id, "base": IMAGES[3].id})
    view = view_of(peer, session)

    with pytest.raises(NotFound):
        view.resolve(EXPECTED.manifest.digest)
    assert view.resolve(IMAGES[0].id) == EXPECTED.manifest
    assert "/v1/repositories/library/demo/tags" not in {request.path for request in peer.requests}
    assert view.resolve("1.0") == view.resolve(EXPECTED.manifest.digest) == EXPECTED.manifest
    assert view.resolve("base") != EXPECTED.manifest
    assert len(asked(peer, layer_path(IMAGES[3]))) == 1
    assert len(asked(peer, f"/v1/images/{IMAGES[0].id}/ancestry")) == 1


def test_sixteen_digits_are_a_tag_if_there_is_one(peer: Peer, session: Session) -> None:
    short = MadeImage(ImageId("0123456789abcdef"), IMAGES[3].raw, IMAGES[3].layer)
    endpoint(peer, short, checksums=False)
    by_id = view_of(peer, session).resolve(short.id)
    assert by_id == view_of(peer, session).resolve("latest")

    endpoint(peer, *IMAGES, tags={short.id: IMAGES[0].id})
    assert view_of(peer, session).resolve(short.id) == EXPECTED.manifest


def test_a_tag_that_moves_names_the_other_image_from_then_on(peer: Peer, session: Session) -> None:
    endpoint(peer, *IMAGES)
    view = view_of(peer, session)
    before = view.resolve("latest")
    peer.on(f"/v1/repositories/{NAME}/tags", json_reply({"latest": IMAGES[2].id}))

    after = view.resolve("latest")

    assert after != before
    assert len(layers_of(view)) == 1
    assert view.resolve(before.digest) == before


def test_tags_are_those_that_name_an_image(peer: Peer, session: Session) -> None:
    endpoint(peer, *IMAGES, tags={"b": IMAGES[0].id, "a": IMAGES[1].id, "c": "deadbeef", "d": None})  # type: ignore[dict-item]
    view = view_of(peer, session)
    assert isinstance(view, TagLister)
    assert isinstance(view, NamedFetcher)
    assert list(view.tags()) == ["a", "b"]


def test_an_empty_repository_has_no_tag(peer: Peer, session: Session) -> None:
    endpoint(peer, *IMAGES, tags={})
    with pytest.raises(NotFound, match="tag 'latest' not found for image library/demo"):
        view_of(peer, session).resolve("latest")


def test_a_cycle_is_refused(peer: Peer, session: Session) -> None:
    endpoint(peer, *IMAGES)
    ids = [IMAGES[0].id, IMAGES[1].id, IMAGES[0].id]
    peer.on(f"/v1/images/{IMAGES[0].id}/ancestry", json_reply(ids))
    with pytest.raises(InvalidDocument, match="cycle"):
        view_of(peer, session).resolve("latest")


# sharing


def test_what_images_share_is_read_once(peer: Peer, session: Session) -> None:
    other = make_image(BASE, {}, {"b": b"b"}, compress=True)
    endpoint(peer, *IMAGES)
    endpoint(peer, *other, tags={"one": IMAGES[0].id, "two": other[0].id})
    view = view_of(peer, session)
    view.resolve("one")
    view.resolve("two")
    assert other[1:] == IMAGES[2:]
    assert all(len(asked(peer, layer_path(image))) == 1 for image in (*IMAGES, other[0]))


def test_many_may_ask_at_once(peer: Peer, session: Session) -> None:
    endpoint(peer, *IMAGES)
    view = view_of(peer, session)
    with ThreadPoolExecutor(8) as pool:
        found = [one.result(60) for one in [pool.submit(view.resolve, "latest") for _ in range(8)]]
    assert found == [EXPECTED.manifest] * 8
    assert all(len(asked(peer, layer_path(image))) == 1 for image in IMAGES)


def manifest_of(view: V1View) -> Manifest:
    document = parse_document(*view.fetch_named("latest"))
    assert isinstance(document, Manifest)
    return document


def layers_of(view: V1View) -> tuple[Descriptor, ...]:
    return manifest_of(view).layers


def diff_ids_of(view: V1View) -> tuple[str, ...] | None:
    return parse_image_config(got(view, manifest_of(view).config), "it").rootfs.diff_ids
