"""What a migration remembers, so that the next one need not read it again."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import msgspec
import pytest

from dockless.model.descriptor import describe
from dockless.model.digest import digest_of
from dockless.model.errors import NotFound
from dockless.model.events import BlobFinished, Event, Notice, ignore
from dockless.model.media_types import OCI_LAYER
from dockless.model.v1_synthesis import Layer
from dockless.net.session import Session
from dockless.stores.base import V1Image
from dockless.stores.memory import MemoryStore
from dockless.stores.v1.journal import Journal
from dockless.stores.v1.registry import V1Index
from dockless.stores.v1.view import V1View
from dockless.testing.images import make_image
from dockless.testing.peer import Peer, Reply
from tests.scripted import NAME, QUICK, asked, endpoint, index, layer, layer_path

IMAGES = make_image({"a": b"a" * 3000}, {"b": b"b" * 3000}, {"c": b"c" * 3000})
TOP = IMAGES[0]
IMAGE = V1Image(TOP.id, TOP.raw, 7, TOP.checksum)
LAYER = Layer(describe(b"content", OCI_LAYER), digest_of(b"unpacked"))


@pytest.fixture(name="peer")
def running() -> Iterator[Peer]:
    with Peer() as peer:
        index(peer)
        endpoint(peer, *IMAGES)
        yield peer


def migrate(peer: Peer, into: MemoryStore, journal: Journal, events: list[Event] | None = None) -> None:
    session = Session(QUICK)
    observe = ignore if events is None else events.append
    try:
        V1View(V1Index(session, peer.url).repository(NAME), into, journal, observe, jobs=1).resolve("latest")
    finally:
        session.close()


def times(peer: Peer) -> list[int]:
    """Return how often each layer was asked for, base first."""
    return [len(asked(peer, layer_path(image))) for image in reversed(IMAGES)]


def test_an_interrupted_migration_reads_only_what_is_missing(peer: Peer, tmp_path: Path) -> None:
    into, events = MemoryStore(), list[Event]()
    layer(peer, TOP, Reply(404))
    with pytest.raises(NotFound):
        migrate(peer, into, Journal(tmp_path))
    assert times(peer) == [1, 1, 1]

    layer(peer, TOP, Reply(body=TOP.layer))
    migrate(peer, into, Journal(tmp_path), events)

    assert times(peer) == [1, 1, 2]
    finished = [event for event in events if isinstance(event, BlobFinished)]
    assert {event.blob: event.verified for event in finished} == {
        IMAGES[2].id: None,
        IMAGES[1].id: None,
        TOP.id: True,
    }


def test_what_the_place_no_longer_has_is_read_again(peer: Peer, tmp_path: Path) -> None:
    into = MemoryStore()
    migrate(peer, into, Journal(tmp_path))
    into.delete(describe(IMAGES[2].layer, OCI_LAYER))
    migrate(peer, into, Journal(tmp_path))
    assert times(peer) == [2, 1, 1]


def test_it_makes_the_same_image(peer: Peer, tmp_path: Path) -> None:
    session = Session(QUICK)
    repository = V1Index(session, peer.url).repository(NAME)
    into = MemoryStore()
    made = [V1View(repository, into, Journal(tmp_path)).resolve("latest") for _ in range(2)]
    session.close()
    assert made[0] == made[1]


def test_another_registry_or_promise_is_another_layer(tmp_path: Path) -> None:
    journal = Journal(tmp_path)
    journal.record("here", IMAGE, LAYER)
    for known in (journal, Journal(tmp_path)):
        assert known.find("here", IMAGE) == LAYER
        assert known.find("there", IMAGE) is None
        for other in (
            msgspec.structs.replace(IMAGE, id=IMAGES[1].id),
            msgspec.structs.replace(IMAGE, checksum=None),
            msgspec.structs.replace(IMAGE, size=None),
        ):
            assert known.find("here", other) is None


def test_a_line_that_was_cut_short_spoils_no_other(tmp_path: Path) -> None:
    Journal(tmp_path).record("here", IMAGE, LAYER)
    path = tmp_path / "layers"
    whole = path.read_bytes()
    for cut in range(len(whole)):
        path.write_bytes(b"\xff{]\n" + whole + whole[:cut])
        Journal(tmp_path).record("there", IMAGE, LAYER)
        known = Journal(tmp_path)
        assert known.find("here", IMAGE) == known.find("there", IMAGE) == LAYER


@pytest.mark.parametrize("digest", ["sha256:../../etc", "sha256:" + "A" * 64, "md5:" + "a" * 32])
def test_what_is_no_digest_is_not_believed(tmp_path: Path, digest: str) -> None:
    Journal(tmp_path).record("here", IMAGE, LAYER)
    path = tmp_path / "layers"
    path.write_bytes(path.read_bytes().replace(LAYER.descriptor.digest.encode(), digest.encode()))
    assert Journal(tmp_path).find("here", IMAGE) is None


def test_many_may_write_at_once(tmp_path: Path) -> None:
    journals = [Journal(tmp_path) for _ in range(4)]
    with ThreadPoolExecutor(8) as pool:
        for one in [pool.submit(journals[n % 4].record, f"r{n}", IMAGE, LAYER) for n in range(16)]:
            one.result(60)
    known = Journal(tmp_path)
    assert all(known.find(f"r{number}", IMAGE) == LAYER for number in range(16))


def test_a_cache_that_cannot_be_written_costs_a_notice(peer: Peer, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    events: list[Event] = []
    migrate(peer, MemoryStore(), Journal(tmp_path / "file", events.append))
    assert [isinstance(event, Notice) for event in events] == [True] * 3


def test_a_directory_in_its_place_is_no_journal(tmp_path: Path) -> None:
    (tmp_path / "layers").mkdir()
    assert Journal(tmp_path).find("here", IMAGE) is None
