"""How often a registry is asked: a round trip costs more than most of what it carries."""

import random
import re
from collections import Counter
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from dockless.faces.client import Client
from dockless.faces.server.app import EmbeddedRegistry
from dockless.model.descriptor import describe
from dockless.model.errors import NotFound
from dockless.model.media_types import OCI_CONFIG, OCI_LAYER, OCI_MANIFEST
from dockless.net.session import Session
from dockless.net.settings import Settings
from dockless.stores.oci_layout import OciLayout
from dockless.stores.registry import repository
from dockless.stores.registry.client import RegistryClient
from dockless.stores.repositories import MemoryRepositories
from dockless.testing.contract import given, image, put
from tests.debian_registry import DebianRegistry
from tests.front import Front
from tests.graphs import document

LAYERS = 4
_KINDS = {
    "manifest": r"/v2/[^?]+/manifests/.+",
    "upload": r"/v2/[^?]+/uploads/.*",
    "blob": r"/v2/[^?]+/blobs/sha256:.+",
}


@pytest.fixture(name="layout", scope="module")
def _layout(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A layout with an image of LAYERS layers under `1`."""
    layout = OciLayout(tmp_path_factory.mktemp("source") / "layout")
    config = put(layout, b'{"architecture":"amd64","os":"linux"}', OCI_CONFIG)
    layers = [put(layout, random.Random(number).randbytes(40_000)) for number in range(LAYERS)]
    layout.tag(document(layout, OCI_MANIFEST, config=config, layers=layers), "1")
    return layout.path


@pytest.fixture(name="front", params=["embedded", "Debian's"])
def _front(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Front]:
    """A registry without content, and who counts in front of it."""
    embedded = request.param == "embedded"
    with (
        EmbeddedRegistry(MemoryRepositories()) if embedded else DebianRegistry(tmp_path / "registry") as registry,
        Front(registry.host) as front,
    ):
        yield front


def counted(front: Front) -> Counter[str]:
    """Return how often each kind of request was made since the last call."""
    counts = Counter(
        f"{one.method} {kind}"
        for one in front.requests
        for kind, path in _KINDS.items()
        if re.fullmatch(path, one.target)
    )
    assert counts.total() == len(front.requests), front.requests
    front.forget()
    return counts


def test_nothing_is_asked_twice(front: Front, layout: Path, tmp_path: Path) -> None:
    source, there, beside = f"oci:{layout}:1", f"{front.host}/a/b:1", f"{front.host}/c/d:1"
    with Client() as client:
        client.push(source, there)
        counts = counted(front)
        # Embedded, the config comes with its POST.
        assert counts.pop("PUT upload") in {LAYERS, LAYERS + 1}
        assert counts == {
            "HEAD manifest": 2,  # what has the tag? Is the manifest there?
            "HEAD blob": LAYERS + 1,
            "POST upload": LAYERS + 1,
            "PUT manifest": 2,  # by digest, and with the tag
        }
    with Client() as client:
        assert client.push(source, there).blobs == 0
        assert counted(front) == {"HEAD manifest": 1}
    with Client() as client:
        assert client.copy(there, beside).mounted == LAYERS + 1
        assert counted(front) == {
            "HEAD manifest": 2,
            "GET manifest": 1,
            "HEAD blob": LAYERS + 1,
            "POST upload": LAYERS + 1,
            "PUT manifest": 2,
        }
    with Client() as client:
        assert client.copy(there, beside).mounted == 0
        assert counted(front) == {"HEAD manifest": 2}  # one to each side
    with Client() as client:
        assert client.pull(there, f"oci:{tmp_path}/layout:1").blobs == LAYERS + 1
        assert counted(front) == {"GET manifest": 1, "GET blob": LAYERS + 1}
    with Client() as client:
        assert client.pull(there, f"oci:{tmp_path}/layout:1").blobs == 0
        assert counted(front) == {"HEAD manifest": 1}


def test_what_was_said_to_be_absent_is_believed_once(front: Front) -> None:
    with closing(Session(Settings())) as session:
        store = RegistryClient(session, front.url).repository("a/b")
        blob = describe(b"a blob " * 9000, OCI_LAYER)
        assert not store.exists(blob)
        for _ in range(2):
            store.push(blob, given(b"a blob " * 9000))
        assert counted(front) == {"HEAD blob": 2, "POST upload": 1, "PUT upload": 1}


def test_only_the_manifest_that_was_pushed_last_is_tagged_unseen(front: Front) -> None:
    with closing(Session(Settings())) as session:
        store = RegistryClient(session, front.url).repository("a/b")
        first, second = image(store), image(store, annotations={"it": "is another"})
        front.forget()
        for tag in ("1", "2"):
            store.tag(second, tag)
        assert counted(front) == {"PUT manifest": 2}
        store.tag(first, "3")
        assert counted(front) == {"GET manifest": 1, "PUT manifest": 1}
        store.delete(second)
        with pytest.raises(NotFound):
            store.tag(second, "4")
        assert store.resolve("3") == first


def test_what_was_mounted_is_not_absent_any_more(front: Front) -> None:
    with closing(Session(Settings())) as session:
        client = RegistryClient(session, front.url)
        source, store = client.repository("a/b"), client.repository("c/d")
        blob = put(source, b"a blob " * 9000)
        front.forget()
        assert not store.exists(blob)
        assert store.mount(blob, source)
        store.push(blob, given(b"a blob " * 9000))
        assert counted(front) == {"HEAD blob": 2, "POST upload": 1}


def test_no_more_is_remembered_than_there_is_room_for(front: Front, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(repository, "_MOST_ABSENT", 2)
    with closing(Session(Settings())) as session:
        store = RegistryClient(session, front.url).repository("a/b")
        blobs = [describe(b"a blob " * (9000 + number), OCI_LAYER) for number in range(3)]
        assert not any(map(store.exists, blobs))
        store.push(blobs[0], given(b"a blob " * 9000))
        assert counted(front)["HEAD blob"] == 4
        store.push(blobs[2], given(b"a blob " * 9002))
        assert counted(front)["HEAD blob"] == 0
