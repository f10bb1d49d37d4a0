"""One layout and many who write it: at once, or one after the other was killed.

DOCKLESS_CRASHES=200 in the environment kills more often than there is time for every day.
"""

import os
import random
import subprocess
import sys
import time
from pathlib import Path

import pytest

from dockless.model.digest import digest_of
from dockless.model.documents import Manifest, parse_document
from dockless.stores.oci_layout import OciLayout

CRASHES = int(os.environ.get("DOCKLESS_CRASHES", "15"))

TAGGER = """
import sys
from functools import partial
from pathlib import Path
from dockless.model.descriptor import describe
from dockless.model.documents import make_document
from dockless.model.media_types import OCI_CONFIG, OCI_LAYER, OCI_MANIFEST
from dockless.stores.oci_layout import OciLayout
from dockless.wire.stream import BytesReader

def push(content, media_type):
    wanted = describe(content, media_type)
    layout.push(wanted, partial(BytesReader, content))
    return wanted

layout = OciLayout(Path(sys.argv[1]))
print("ready", flush=True)
sys.stdin.readline()
for tag in sys.argv[2:]:
    parts = {"config": push(b"{}", OCI_CONFIG), "layers": [push(tag.encode(), OCI_LAYER)]}
    manifest, raw = make_document({"schemaVersion": 2, "mediaType": OCI_MANIFEST, **parts})
    layout.push(manifest, partial(BytesReader, raw))
    layout.tag(manifest, tag)
"""

# Pushes one image after the other up to a number, slowly, and goes on where an earlier one stopped.
PUSHER = """
import random, sys, time
from pathlib import Path
from dockless.model.descriptor import describe
from dockless.model.documents import make_document
from dockless.model.events import BlobStarted
from dockless.model.media_types import OCI_CONFIG, OCI_LAYER, OCI_MANIFEST
from dockless.stores.oci_layout import OciLayout
from dockless.wire.stream import BytesReader

class Slow(BytesReader):
    def read_chunk(self):
        time.sleep(0.001)
        chunk, self._rest = self._rest[:16384], self._rest[16384:]
        return chunk

def observe(event):
    if isinstance(event, BlobStarted) and event.offset:
        print("resumed", flush=True)

def push(content, media_type):
    wanted = describe(content, media_type)
    layout.push(wanted, lambda offset: Slow(content, offset))
    return wanted

layout = OciLayout(Path(sys.argv[1]), observe)
first, last = map(int, sys.argv[2:])
print("ready", flush=True)
for number in range(first, last + 1):
    layer = push(random.Random(number).randbytes(1 << 20), OCI_LAYER)
    config = push(b'{"number":%d}' % number, OCI_CONFIG)
    body = {"schemaVersion": 2, "mediaType": OCI_MANIFEST, "config": config, "layers": [layer]}
    manifest, raw = make_document(body)
    layout.push(manifest, lambda offset: BytesReader(raw, offset))
    layout.tag(manifest, "latest")
    layout.tag(manifest, "v%d" % number)
"""


def started(program: str, *arguments: object) -> "subprocess.Popen[str]":
    """Start a program and wait until it says that it is ready."""
    command = [sys.executable, "-c", program, *map(str, arguments)]
    process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    assert process.stdout.readline() == "ready\n"
    return process


def test_eight_processes_and_sixty_tags_and_none_is_lost(tmp_path: Path) -> None:
    tags = [f"v{number:02}" for number in range(60)]
    crowd = [started(TAGGER, tmp_path / "layout", *tags[part::8]) for part in range(8)]
    for one in crowd:
        assert one.stdin is not None
        one.stdin.write("go\n")
        one.stdin.flush()
    for one in crowd:
        one.communicate(timeout=60)
        assert one.returncode == 0
    layout = OciLayout(tmp_path / "layout")
    assert list(layout.tags()) == tags
    for tag in tags:
        found, raw = layout.fetch_named(tag)
        document = parse_document(found, raw)
        assert isinstance(document, Manifest)
        assert document.layers[0].digest == digest_of(tag.encode())
    assert sorted(path.name for path in layout.path.iterdir()) == ["blobs", "index.json", "oci-layout"]


def whole_images(layout: OciLayout) -> int:
    """Check every file that has its final name, and everything that is tagged; return how many numbered tags are."""
    for path in layout.path.glob("blobs/*/*"):
        assert digest_of(path.read_bytes()) == f"sha256:{path.name}"
    tags = list(layout.tags()) if (layout.path / "oci-layout").exists() else []
    for tag in tags:
        found, raw = layout.fetch_named(tag)
        for one in parse_document(found, raw).successors:
            assert layout.exists(one)
    return len(set(tags) - {"latest"})


@pytest.mark.skipif(os.name == "nt", reason="no SIGKILL there")
def test_whoever_is_killed_leaves_what_is_right_and_the_next_goes_on(tmp_path: Path) -> None:
    layout = OciLayout(tmp_path / "layout")
    chance = random.Random(1)
    done = resumed = cut = 0
    for _ in range(CRASHES):
        process = started(PUSHER, layout.path, done, 1_000_000)
        time.sleep(chance.uniform(0.0, 0.2))
        process.kill()
        resumed += process.communicate(timeout=20)[0].count("resumed")
        cut += any(path.stat().st_size for path in layout.path.glob(".*.partial"))
        before, done = done, whole_images(layout)
        assert done >= before
    process = started(PUSHER, layout.path, done, done)
    resumed += process.communicate(timeout=60)[0].count("resumed")
    assert process.returncode == 0
    assert whole_images(layout) == done + 1
    assert not list(layout.path.glob(".*.partial"))
    assert 0 < resumed <= cut  # some were killed before they said so
