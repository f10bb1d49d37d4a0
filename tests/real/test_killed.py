"""Whoever is killed leaves nothing wrong behind, and the next one goes on where it ended.

The processes are those that users run, and SIGKILL comes at random points: of the bytes that move, before them, and
between the last of them and the end. DOCKLESS_CRASHES=200 in the environment kills more often than there is time for
every day; DOCKLESS_SEED repeats the points of a run. A test prints what it saw (`pytest -s`).
"""

import json
import os
import random
import re
import shutil
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest

from dockless.faces.client import Client
from dockless.faces.server.app import EmbeddedRegistry
from dockless.model.digest import digest_of
from dockless.model.media_types import OCI_CONFIG, OCI_MANIFEST
from dockless.stores.oci_layout import OciLayout
from dockless.stores.repositories import LayoutRoot
from dockless.testing.contract import put
from dockless.testing.images import make_image
from dockless.testing.peer import Peer
from tests.debian_registry import DebianRegistry
from tests.faces.command import command
from tests.front import Front
from tests.graphs import document
from tests.scripted import NAME, endpoint, index

pytestmark = [
    pytest.mark.skipif(sys.platform == "win32", reason="no SIGKILL there"),
    pytest.mark.timeout(3600),
]

CRASHES = int(os.environ.get("DOCKLESS_CRASHES", "20"))
FEWER = 2 + CRASHES // 8
SEED = int(os.environ.get("DOCKLESS_SEED", "0")) or random.randrange(1 << 32)
RATE = 8e6  # bytes per second and connection: as long as a process takes to begin
SIZES = (900_000, 500_000, 300_000, 5_000, 0)
_LEFT = re.compile(
    r"blobs|index\.json|oci-layout|\.(index\.json|oci-layout)\.(new|lock)|\.(ingest-)?[0-9a-f]+\.partial"
)


class Killer:
    """Runs `dockless` and kills it at random points; `seen` counts how far it had got."""

    def __init__(self, front: Front, total: int, cache: Path) -> None:
        self.seen: Counter[str] = Counter()
        self._front = front
        self._total = total
        self._environment = os.environ | {"XDG_CACHE_HOME": str(cache)}
        self._chance = random.Random(SEED)
        print(f"\nDOCKLESS_SEED={SEED}")

    @property
    def killed(self) -> int:
        """How many did not end by themselves."""
        return self.seen.total() - self.seen["ended"]

    def kill(self, *arguments: str) -> None:
        """Run a command, `total` bytes of which pass the front, and kill it."""
        front, point = self._front, self._chance.uniform(-0.1, 1.4)
        front.rate = RATE
        front.forget()
        with subprocess.Popen(command(*arguments, "-q"), env=self._environment, stdout=subprocess.DEVNULL) as process:
            if point < 0:
                time.sleep(-4 * point)  # seconds
            until = time.monotonic() + 30
            while front.passed < point * self._total and front.passed < self._total and process.poll() is None:
                assert time.monotonic() < until
                time.sleep(0.0002)
            time.sleep(max(0.0, point - 1) / 4)
            process.kill()
        assert process.returncode in {0, -9}
        # What the front had not sent yet, the killed one never saw.
        moved = "before" if not front.passed else "in" if front.passed < self._total else "after"
        self.seen["ended" if process.returncode == 0 else f"{moved} the bytes"] += 1
        front.forget()
        front.rate = None


@pytest.fixture(name="source", scope="module")
def _source(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A layout with two images, `old` and `new`, that share a layer. Not to be changed."""
    layout = OciLayout(tmp_path_factory.mktemp("source") / "images" / "source")
    layers = [put(layout, random.Random(size).randbytes(size)) for size in SIZES]
    for tag, some in (("new", layers), ("old", layers[-2:])):
        body = {"architecture": "amd64", "os": "linux", "rootfs": {"diff_ids": [one.digest for one in some]}}
        config = put(layout, json.dumps(body).encode(), OCI_CONFIG)
        layout.tag(document(layout, OCI_MANIFEST, config=config, layers=some), tag)
    return layout.path


@pytest.fixture(name="front")
def _front(source: Path) -> Iterator[Front]:
    """In front of an embedded registry of these images."""
    with EmbeddedRegistry(LayoutRoot(source.parent)) as registry, Front(registry.host) as front:
        yield front


def check_layout(layout: Path) -> Counter[str]:
    """Check whatever may be in a layout after a kill; return how many bytes there are of each blob."""
    assert not [path.name for path in layout.iterdir() if not _LEFT.fullmatch(path.name)]
    have: Counter[str] = Counter()
    for path in layout.glob("blobs/*/*"):
        assert digest_of(path.read_bytes()) == f"sha256:{path.name}"
        have[path.name] = path.stat().st_size
    for path in layout.glob(".*.partial"):
        have[path.name.split(".")[1]] = path.stat().st_size
    if (layout / "index.json").exists():
        json.loads((layout / "index.json").read_bytes())
        check_tags(f"oci:{layout}")
    return have


def check_tags(place: str) -> set[str]:
    """Check that all is there that a tag names, and return the tags."""
    with Client() as client:
        tags = set(client.tags(place))
        for tag in tags:
            assert client.validate(f"{place}:{tag}").ok
        return tags


def test_a_pull(front: Front, source: Path, tmp_path: Path) -> None:
    begun, layout = tmp_path / "begun", tmp_path / "layout"
    with Client() as client:
        client.copy(f"oci:{source}:old", f"oci:{begun}:old")
        blobs = [*client.image(f"oci:{source}:new").manifest.successors]
        wanted = {one.digest.removeprefix("sha256:"): one.size for one in blobs}
    old = check_layout(begun)
    killer = Killer(front, sum(size for digest, size in wanted.items() if digest not in old), tmp_path)
    saved = partials = 0
    while killer.killed < CRASHES:
        shutil.copytree(begun, layout)
        killer.kill("pull", f"{front.host}/source:new", f"oci:{layout}:new")
        have = check_layout(layout)
        partials += any(path.stat().st_size for path in layout.glob(".*.partial"))
        with Client() as client:
            client.pull(f"{front.host}/source:new", f"oci:{layout}:new")
        given = {path.rpartition(":")[2]: count for path, count in front.given.items() if "/blobs/" in path}
        assert given == {digest: size - have[digest] for digest, size in wanted.items() if size > have[digest]}, (
            front.requests
        )
        saved += sum(have[digest] - old[digest] for digest in wanted)
        assert check_tags(f"oci:{layout}") == {"old", "new"}
        check_layout(layout)
        assert {path.name for path in layout.iterdir()} == {"blobs", "index.json", "oci-layout"}
        shutil.rmtree(layout)
    print(f"pulls: {dict(killer.seen)}; {partials} left partial files; {saved} bytes were not fetched again")
    assert partials
    assert killer.seen["in the bytes"] > CRASHES / 3


def test_a_push(source: Path, tmp_path: Path) -> None:
    with DebianRegistry(tmp_path / "registry") as registry, Front(registry.host) as front:
        killer = Killer(front, sum(SIZES), tmp_path)
        while killer.killed < FEWER:
            place = f"{front.host}/images/number-{killer.seen.total()}"
            with Client() as client:
                client.push(f"oci:{source}:old", f"{place}:1")
                killer.kill("push", f"oci:{source}:new", f"{place}:1")
                assert check_tags(place) == {"1"}
                client.push(f"oci:{source}:new", f"{place}:1")
                assert client.digest(f"{place}:1") == client.digest(f"oci:{source}:new")
            assert check_tags(place) == {"1"}
        print(f"pushes: {dict(killer.seen)}")
        assert killer.seen["in the bytes"]


@pytest.mark.parametrize("kind", ["oci-archive", "docker-archive"])
@pytest.mark.parametrize("there", [False, True])
def test_into_an_archive(front: Front, source: Path, tmp_path: Path, kind: str, there: bool) -> None:
    file = tmp_path / "directory" / "archive.tar"
    file.parent.mkdir()
    killer = Killer(front, sum(SIZES), tmp_path)
    name = "example.com/a:{}" if kind == "docker-archive" else "{}"
    before = set()
    while killer.killed < FEWER:
        with Client() as client:
            if there:
                client.copy(f"oci:{source}:old", f"{kind}:{file}:{name.format('old')}")
                before = {name.format("old")}
            killer.kill("copy", f"{front.host}/source:new", f"{kind}:{file}:{name.format('new')}")
            left = {path.name for path in file.parent.iterdir()}
            assert left <= {"archive.tar", ".archive.tar.partial", ".archive.tar.lock"}
            tags = check_tags(f"{kind}:{file}") if "archive.tar" in left else set()
            assert tags in (before, before | {name.format("new")})
            client.copy(f"{front.host}/source:new", f"{kind}:{file}:{name.format('new')}")
        assert check_tags(f"{kind}:{file}") == before | {name.format("new")}
        assert list(file.parent.iterdir()) == [file]
        file.unlink()
    print(f"{kind}: {dict(killer.seen)}")
    assert killer.seen["in the bytes"]


def test_a_migration_from_v1(tmp_path: Path) -> None:
    parts = [{f"file-{number}": random.Random(number).randbytes(300_000)} for number in range(5)]
    images = make_image(*parts)
    layout, cache = tmp_path / "layout", tmp_path / "cache"
    with Peer() as peer, Front(peer.host) as front:
        index(peer, front.host)
        endpoint(peer, *images)
        killer = Killer(front, sum(len(image.layer) for image in images), cache)
        known = 0
        while killer.killed < FEWER:
            killer.kill("copy", f"v1:{front.host}/{NAME}", f"oci:{layout}:1")
            have = check_layout(layout) if layout.exists() else Counter()
            lines = []
            with suppress(FileNotFoundError):
                lines = [json.loads(line) for line in (cache / "dockless/v1/layers").read_bytes().split(b"\n") if line]
            known += len(lines)
            with Client(cache=cache / "dockless") as client:
                client.copy(f"v1:{front.host}/{NAME}", f"oci:{layout}:1")
            # What stands in the journal was complete before.
            assert all(have[line["layer"]["descriptor"]["digest"].removeprefix("sha256:")] for line in lines)
            assert len(front.asked("GET", "/layer")) == len(images) - len(lines)
            assert check_tags(f"oci:{layout}") == {"1"}
            check_layout(layout)
            assert {path.name for path in layout.iterdir()} == {"blobs", "index.json", "oci-layout"}
            shutil.rmtree(layout)
            shutil.rmtree(cache)
        print(f"v1: {dict(killer.seen)}; {known} layers were known from the journal")
        assert known
