"""Many processes at one place, each of them the command line.

DOCKLESS_ROUNDS=20 in the environment writes the sixty tags more often than there is time for every day.
"""

import json
import os
import random
import subprocess
import sys
import threading
import time
from collections import Counter
from pathlib import Path

import pytest

from dockless.faces.client import Client
from dockless.faces.server.app import EmbeddedRegistry
from dockless.model.media_types import OCI_CONFIG, OCI_MANIFEST
from dockless.stores.oci_layout import OciLayout
from dockless.stores.repositories import LayoutRoot
from dockless.testing.contract import put
from tests.faces.command import command, run
from tests.front import Front
from tests.graphs import document

ROUNDS = int(os.environ.get("DOCKLESS_ROUNDS", "2"))
TAGS = [f"v{number:02}" for number in range(60)]
WRITERS = 8

# Runs the command line for each tag, without the start of a process in between: so they meet more often.
WRITER = """
import sys
from dockless.faces.cli.main import cli
source, destination, *tags = sys.argv[1:]
print("ready", flush=True)
sys.stdin.readline()
for tag in tags:
    cli.main(["copy", "-q", f"{source}:{tag}", f"{destination}:{tag}"], standalone_mode=False)
"""


def add_image(layout: OciLayout, tag: str, *layers: bytes) -> None:
    """Add an image whose config is right, so that everything in it can be checked."""
    held = [put(layout, layer) for layer in layers]
    body = {"architecture": "amd64", "os": "linux", "rootfs": {"diff_ids": [one.digest for one in held]}}
    config = put(layout, json.dumps(body).encode(), OCI_CONFIG)
    layout.tag(document(layout, OCI_MANIFEST, config=config, layers=held), tag)


@pytest.fixture(name="root", scope="module")
def _root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A root with the layout `source`: sixty images that share a layer, and a larger one, `large`."""
    root = tmp_path_factory.mktemp("root")
    layout = OciLayout(root / "source")
    for tag in TAGS:
        add_image(layout, tag, b"shared by all", tag.encode() * 1000)
    add_image(layout, "large", *(random.Random(number).randbytes(600_000) for number in range(3)))
    return root


def check_all(layout: Path, tags: list[str]) -> None:
    """Check that a layout has these tags and nothing half done."""
    with Client() as client:
        assert list(client.tags(f"oci:{layout}")) == tags
        for tag in tags:
            assert client.validate(f"oci:{layout}:{tag}").ok
    assert sorted(path.name for path in layout.iterdir()) == ["blobs", "index.json", "oci-layout"]


def test_eight_write_sixty_tags_and_none_is_lost(root: Path, tmp_path: Path) -> None:
    with EmbeddedRegistry(LayoutRoot(root)) as registry:
        for number in range(ROUNDS):
            layout = tmp_path / str(number)
            # From the registry and from the layout in turn: the one is slower than the other.
            source = f"{registry.host}/source" if number % 2 else f"oci:{root}/source"
            writers = [
                subprocess.Popen(
                    [sys.executable, "-c", WRITER, source, f"oci:{layout}", *TAGS[part::WRITERS]],
                    stdin=subprocess.PIPE,
                    stdout=subprocess.PIPE,
                    text=True,
                )
                for part in range(WRITERS)
            ]
            for one in writers:
                assert one.stdout is not None
                assert one.stdout.readline() == "ready\n"
            for one in writers:
                assert one.stdin is not None
                one.stdin.write("go\n")
                one.stdin.flush()
            seen = watched(layout, writers)
            assert [one.wait(60) for one in writers] == [0] * WRITERS
            for one in writers:
                one.communicate()
            assert seen
            check_all(layout, TAGS)


def watched(layout: Path, writers: "list[subprocess.Popen[str]]") -> int:
    """Read while others write, until all have ended; return how often there was something to be seen."""
    seen, before = 0, set[str]()
    with Client() as client:
        while any(one.poll() is None for one in writers):
            if not (layout / "index.json").exists():
                time.sleep(0.01)
                continue
            tags = list(client.tags(f"oci:{layout}"))
            assert before <= set(tags)
            for tag in tags[:1] + tags[-1:]:
                assert client.validate(f"oci:{layout}:{tag}").ok
            before, seen = set(tags), seen + bool(tags)
    return seen


def test_two_that_pull_the_same_fetch_each_blob_once(root: Path, tmp_path: Path) -> None:
    layout = tmp_path / "layout"
    with EmbeddedRegistry(LayoutRoot(root)) as registry, Front(registry.host, rate=5e4) as front:
        pull = command("pull", "-q", f"{front.host}/source:large", f"oci:{layout}:1")
        both = [subprocess.Popen(pull, stdout=subprocess.DEVNULL) for _ in range(2)]
        until = time.monotonic() + 30
        while len(front.asked("GET", "/manifests/")) < 2:
            assert time.monotonic() < until
            time.sleep(0.01)
        front.rate = None  # both have begun
        assert [one.wait(60) for one in both] == [0, 0]
        asked = Counter(front.asked("GET", "/blobs/"))
        assert len(asked) == 4
        assert set(asked.values()) == {1}
    check_all(layout, ["1"])


def test_a_reader_sees_what_is_whole(root: Path, tmp_path: Path) -> None:
    layout = tmp_path / "layout"
    copy = ["copy", "-q", f"oci:{root}/source:v00"]
    assert run(*copy, f"oci:{layout}:v00").code == 0
    ended = threading.Event()
    codes: list[int] = []

    def write() -> None:
        codes.extend(run(*copy, f"oci:{layout}:v{number:02}").code for number in range(1, 4))
        ended.set()

    writer = threading.Thread(target=write)
    writer.start()
    while not ended.is_set():
        listed = run("tags", f"oci:{layout}")
        assert listed.code == 0
        assert listed.out.split()[0] == b"v00"
        assert run("validate", "-q", f"oci:{layout}:{listed.out.split()[-1].decode()}").code == 0
    writer.join()
    assert codes == [0, 0, 0]
    check_all(layout, ["v00", "v01", "v02", "v03"])
