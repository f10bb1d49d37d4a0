"""Ctrl-C ends a copy at once, whichever side stalls, and leaves what is complete and what can be continued."""

import json
import random
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from dockless.model.descriptor import describe
from dockless.model.documents import make_document
from dockless.model.media_types import OCI_CONFIG, OCI_LAYER, OCI_MANIFEST
from dockless.stores.oci_layout import OciLayout
from dockless.testing.contract import put
from dockless.testing.peer import Peer, Reply
from tests.faces.command import AT_ONCE, run
from tests.faces.test_cli_interrupt import STALL, interrupted
from tests.scripted_registry import NAME, blob_path, manifest, manifest_path

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="a console event there reaches the tests, too")

LAYER = random.Random(1).randbytes(1_000_000)
LAYERS = [describe(LAYER, OCI_LAYER), describe(b"a small one", OCI_LAYER)]
CONFIG = json.dumps({"architecture": "amd64", "os": "linux", "rootfs": {"diff_ids": [one.digest for one in LAYERS]}})
PARTS = {describe(CONFIG.encode(), OCI_CONFIG): CONFIG.encode(), LAYERS[0]: LAYER, LAYERS[1]: b"a small one"}
MANIFEST, RAW = make_document(
    {"schemaVersion": 2, "mediaType": OCI_MANIFEST, "config": next(iter(PARTS)), "layers": LAYERS}
)
UPLOADS = f"/v2/{NAME}/blobs/uploads/"
HALF = Reply(body=LAYER, ranges=True, stall_after=500_000)


@pytest.fixture(name="peer")
def _peer() -> Iterator[Peer]:
    """A registry that has the image under `1`, and takes none."""
    with Peer() as peer:
        for name in ("1", MANIFEST.digest):
            manifest(peer, name, MANIFEST, RAW)
        for part, content in PARTS.items():
            peer.on(blob_path(part), Reply(body=content, ranges=True))
        yield peer


def stopped(peer: Peer, *arguments: str, cwd: Path) -> None:
    """Interrupt a command when the peer stalls, and check how it ends."""
    code, seconds, said = interrupted(peer, *arguments, cwd=cwd)
    assert code == 130
    assert seconds < AT_ONCE
    assert "interrupted" in said
    assert "Traceback" not in said


def source_layout(path: Path) -> None:
    """Write the image as `1` of a layout."""
    layout = OciLayout(path)
    for part, content in PARTS.items():
        put(layout, content, part.media_type)
    layout.tag(put(layout, RAW, OCI_MANIFEST), "1")


@pytest.mark.parametrize("method", ["GET", "HEAD"])
def test_before_the_manifest(peer: Peer, tmp_path: Path, method: str) -> None:
    verb = ["pull"] if method == "GET" else ["digest"]
    peer.on(manifest_path("1"), STALL, method=method)
    stopped(peer, *verb, f"{peer.host}/{NAME}:1", cwd=tmp_path)
    assert not list(tmp_path.iterdir())


def test_a_pull_is_continued_where_it_stopped(peer: Peer, tmp_path: Path) -> None:
    peer.on(blob_path(LAYERS[0]), HALF, replace(HALF, stall_after=None))
    pull = ["pull", f"{peer.host}/{NAME}:1", "oci:layout:1"]
    stopped(peer, *pull, cwd=tmp_path)
    layout = tmp_path / "layout"
    partial = f".{LAYERS[0].digest[7:]}.partial"
    assert {path.name for path in layout.iterdir()} <= {"blobs", "oci-layout", partial}
    assert {path.name for path in layout.glob("blobs/*/*")} <= {part.digest[7:] for part in PARTS} - {partial[1:-8]}
    had = (layout / partial).stat().st_size
    assert had
    assert run(*pull, cwd=tmp_path).code == 0
    assert peer.requests[-1].header("range") == f"bytes={had}-"
    assert run("validate", "oci:layout:1", cwd=tmp_path).code == 0


@pytest.mark.parametrize("kind", ["oci-archive", "docker-archive"])
def test_an_archive_appears_whole_or_not_at_all(peer: Peer, tmp_path: Path, kind: str) -> None:
    peer.on(blob_path(LAYERS[0]), HALF)
    stopped(
        peer,
        "copy",
        f"{peer.host}/{NAME}:1",
        f"{kind}:a.tar:a:1" if kind[0] == "d" else f"{kind}:a.tar:1",
        cwd=tmp_path,
    )
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    "stalls", [("HEAD", manifest_path("2")), ("HEAD", blob_path(LAYERS[0])), ("POST", UPLOADS), ("PUT", f"{UPLOADS}1")]
)
def test_a_push(peer: Peer, tmp_path: Path, stalls: tuple[str, str]) -> None:
    source_layout(tmp_path / "layout")
    for part in PARTS:
        peer.on(blob_path(part), Reply(404), method="HEAD")
    peer.on(manifest_path(MANIFEST.digest), Reply(404), method="HEAD")
    peer.on(UPLOADS, Reply(202, headers=(("Location", f"{UPLOADS}1"),)), method="POST")
    peer.on(stalls[1], STALL, method=stalls[0])
    stopped(peer, "push", "oci:layout:1", f"{peer.host}/{NAME}:2", cwd=tmp_path)
    assert not [one for one in peer.requests if one.method == "PUT" and "manifests" in one.path]


def test_from_one_registry_to_another(peer: Peer, tmp_path: Path) -> None:
    peer.on(blob_path(LAYERS[0]), HALF)
    with Peer() as other:
        other.on(UPLOADS, Reply(202, headers=(("Location", f"{UPLOADS}1"),)), method="POST")
        other.on(f"{UPLOADS}1", Reply(201), method="PUT")
        stopped(peer, "copy", f"{peer.host}/{NAME}:1", f"{other.host}/{NAME}:1", cwd=tmp_path)
        puts = [one for one in other.requests if one.method == "PUT"]
        assert all(f"digest={LAYERS[0].digest.replace(':', '%3A')}" not in one.target for one in puts)
        assert not [one for one in puts if "manifests" in one.path]
