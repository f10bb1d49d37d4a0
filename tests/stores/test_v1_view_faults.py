"""A v1 repository that gives, or a place that takes, something else than it should."""

import gzip
import os
import random
import signal
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from msgspec import structs

from dockless.model.descriptor import Descriptor, describe
from dockless.model.errors import (
    Cancelled,
    ChecksumMismatch,
    CopyFault,
    DocklessError,
    InvalidDocument,
    LocalFault,
    NetworkFault,
    NotFound,
)
from dockless.model.events import Event, Retrying
from dockless.model.media_types import OCI_LAYER, OCI_LAYER_GZIP
from dockless.net.session import Session
from dockless.stores.memory import MemoryStore
from dockless.stores.v1.journal import Journal
from dockless.stores.v1.registry import V1Index
from dockless.stores.v1.view import V1View
from dockless.testing.images import MadeImage, make_image
from dockless.testing.peer import Peer, Reply
from dockless.wire.stream import Reader
from tests.scripted import NAME, QUICK, asked, endpoint, index, layer, layer_path

IMAGES = make_image({"a": bytes(range(256)) * 20}, {"b": b"b" * 3000}, compress=True)
BASE = IMAGES[1]
WRONG = bytes([BASE.layer[0]]) + BASE.layer[1:-1] + bytes([BASE.layer[-1] ^ 1])


@pytest.fixture(name="peer")
def running() -> Iterator[Peer]:
    with Peer() as peer:
        index(peer)
        endpoint(peer, *IMAGES)
        yield peer


@pytest.fixture(name="events")
def told() -> list[Event]:
    return []


@pytest.fixture(name="into")
def taking() -> MemoryStore:
    return MemoryStore()


@pytest.fixture(name="view")
def viewing(peer: Peer, events: list[Event], into: MemoryStore) -> Iterator[V1View]:
    session = Session(QUICK)
    yield V1View(V1Index(session, peer.url).repository(NAME), into, None, events.append)
    session.close()


def test_a_layer_that_is_missing_is_named(peer: Peer, view: V1View) -> None:
    layer(peer, BASE, Reply(404))
    with pytest.raises(NotFound, match=layer_path(BASE)):
        view.resolve("latest")


def test_a_wrong_layer_is_read_once_more_and_nothing_of_it_stays(peer: Peer, view: V1View, into: MemoryStore) -> None:
    layer(peer, BASE, Reply(body=WRONG))
    with pytest.raises(ChecksumMismatch, match=BASE.id):
        view.resolve("latest")
    assert len(asked(peer, layer_path(BASE))) == 2
    assert not into.exists(describe(WRONG, OCI_LAYER_GZIP))


def test_a_layer_that_is_wrong_once_is_healed(peer: Peer, view: V1View, events: list[Event]) -> None:
    layer(peer, BASE, Reply(body=WRONG), Reply(body=BASE.layer))
    view.resolve("latest")
    assert len(asked(peer, layer_path(BASE))) == 2
    assert [BASE.id in event.cause for event in events if isinstance(event, Retrying)] == [True]


def test_a_cut_is_healed_and_summed_up_once(peer: Peer, view: V1View, into: MemoryStore) -> None:
    layer(peer, BASE, Reply(body=BASE.layer, cut_after=200, ranges=True), Reply(body=BASE.layer, ranges=True))
    view.resolve("latest")
    assert "cut after 200" in peer.faults
    assert into.exists(describe(BASE.layer, OCI_LAYER_GZIP))


def test_damage_on_the_way_is_no_damage_at_the_source(peer: Peer, view: V1View) -> None:
    (image,) = make_image({"a": random.Random(1).randbytes(500_000)}, compress=True)
    endpoint(peer, image)
    layer(peer, image, Reply(body=image.layer[:10] + b"\x07" + image.layer[11:]))  # no block of deflate begins so
    with pytest.raises(ChecksumMismatch, match=image.id):
        view.resolve("latest")


@pytest.mark.parametrize(
    "damaged", [gzip.compress(bytes(9000))[:-9], b"\x1f\x8b\x08" + b"?" * 2000, gzip.compress(b"a") + b"junk"]
)
def test_a_layer_that_cannot_be_unpacked_is_named_and_not_kept(
    peer: Peer, view: V1View, into: MemoryStore, damaged: bytes
) -> None:
    image = MadeImage(BASE.id, BASE.raw, damaged)
    endpoint(peer, image)
    with pytest.raises(InvalidDocument, match=f"layer {BASE.id}: the content is packed with gzip and|layer {BASE.id}"):
        view.resolve("latest")
    assert not any(into.exists(describe(damaged, kind)) for kind in (OCI_LAYER, OCI_LAYER_GZIP))


class Full(MemoryStore):
    """A place that takes a little and raises `fault`."""

    def __init__(self, fault: DocklessError) -> None:
        super().__init__()
        self.fault = fault

    def ingest(self, media_type: str, reader: Reader) -> Descriptor:
        reader.read_chunk()
        raise self.fault


def test_a_place_that_takes_nothing_is_the_destination_s_fault(peer: Peer) -> None:
    session = Session(QUICK)
    fault = LocalFault("no room", hint="Make some.")
    view = V1View(V1Index(session, peer.url).repository(NAME), Full(fault))
    with pytest.raises(CopyFault, match="destination: no room") as raised:
        view.resolve("latest")
    session.close()
    assert (raised.value.side, raised.value.hint) == ("destination", "Make some.")
    assert raised.value.__cause__ is fault


def test_a_place_that_cannot_be_asked_is_the_destination_s_fault(peer: Peer, tmp_path: Path) -> None:
    class Silent(MemoryStore):
        def exists(self, wanted: Descriptor) -> bool:
            raise NetworkFault("no answer")

    session = Session(QUICK)
    repository = V1Index(session, peer.url).repository(NAME)
    V1View(repository, MemoryStore(), Journal(tmp_path)).resolve("latest")
    with pytest.raises(CopyFault, match="destination: no answer"):
        V1View(repository, Silent(), Journal(tmp_path)).resolve("latest")
    session.close()


def test_more_json_than_any_image_has_is_refused(peer: Peer, view: V1View) -> None:
    images = make_image(*[{"a": b"%d" % number} for number in range(4)])
    long = [MadeImage(image.id, image.raw + b" " * (6 << 20), image.layer) for image in images]
    endpoint(peer, *long)
    with pytest.raises(InvalidDocument, match=f"the JSON of image {images[0].id} and its ancestors"):
        view.resolve("latest")


def test_what_is_stopped_is_nobody_s_fault(peer: Peer) -> None:
    session = Session(QUICK)
    view = V1View(V1Index(session, peer.url).repository(NAME), Full(Cancelled("stopped")))
    with pytest.raises(Cancelled):
        view.resolve("latest")
    session.close()


@pytest.mark.skipif(sys.platform == "win32", reason="os.kill sends no SIGINT there")
def test_an_interrupt_does_not_wait_for_a_layer_that_stalls(peer: Peer) -> None:
    layer(peer, BASE, Reply(body=BASE.layer, stall_after=100))
    session = Session(structs.replace(QUICK, idle_timeout=30.0))
    view = V1View(V1Index(session, peer.url).repository(NAME), MemoryStore())
    threading.Timer(0.3, os.kill, (os.getpid(), signal.SIGINT)).start()
    started = time.monotonic()
    with pytest.raises(KeyboardInterrupt):
        view.resolve("latest")
    assert time.monotonic() - started < 1.5
    assert "stall after 100" in peer.faults
    session.close()


def test_what_failed_can_be_asked_again(peer: Peer, view: V1View) -> None:
    layer(peer, BASE, Reply(404))
    with pytest.raises(NotFound):
        view.resolve("latest")
    layer(peer, BASE, Reply(body=BASE.layer))
    view.resolve("latest")
    assert len(asked(peer, layer_path(IMAGES[0]))) <= 2
