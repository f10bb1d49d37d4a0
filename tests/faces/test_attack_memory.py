"""Documents made to use up memory: whatever a registry answers, a run stays within bounds."""

import json
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from dockless.model.digest import digest_of
from dockless.model.media_types import OCI_CONFIG, OCI_INDEX, OCI_LAYER, OCI_MANIFEST
from dockless.testing.peer import Peer, Received, Reply

pytestmark = pytest.mark.skipif(not Path("/proc/self/status").is_file(), reason="the peak is read from Linux' /proc")

LONGEST = 8 << 20  # bytes
MOST = 100 << 10  # KiB
MOST_OF_LARGE = 360 << 10  # the same where several threads have one of the longest documents each
_LARGE = 48  # of them
_RUN = r"""
import re, sys
from dockless.faces.cli.main import main
try:
    main()
finally:
    with open("/proc/self/status") as status:
        print("peak", re.search(r"VmHWM:\s+([0-9]+)", status.read())[1], file=sys.stderr)
"""


def peak(*arguments: str) -> tuple[int, str]:
    """Run `dockless`; return the most KiB that it had in memory, and what it told."""
    ended = subprocess.run([sys.executable, "-c", _RUN, *arguments], capture_output=True, timeout=100, check=False)
    told = ended.stderr.decode()
    assert "Traceback" not in told
    return int(told.rpartition("peak ")[2]), told


def described(raw: bytes, media_type: str, **more: object) -> dict[str, object]:
    return {"mediaType": media_type, "digest": digest_of(raw), "size": len(raw), **more}


def document(media_type: str, **fields: object) -> bytes:
    return json.dumps({"schemaVersion": 2, "mediaType": media_type, **fields}, separators=(",", ":")).encode()


def filled(raw: bytes, filling: bytes, size: int = LONGEST) -> bytes:
    """Return a document of `size` bytes, with an array of many `filling` where it says "here"."""
    count = (size - len(raw) - 10) // (len(filling) + 1)
    return raw.replace(b'"here"', b"[" + b",".join([filling] * count) + b"]")


def serve(peer: Peer, raw: bytes, media_type: str, name: str = "") -> dict[str, object]:
    """Let the repository `a` have a document, or a blob."""
    reply = Reply(body=raw, headers=(("Content-Type", media_type), ("Docker-Content-Digest", digest_of(raw))))
    kind = "blobs" if media_type in {OCI_CONFIG, OCI_LAYER} else "manifests"
    for one in {digest_of(raw), name or digest_of(raw)}:
        for method in ("GET", "HEAD"):
            peer.on(f"/v2/a/{kind}/{one}", reply, method=method)
    return described(raw, media_type)


@pytest.fixture
def peer() -> Iterator[Peer]:
    with Peer() as peer:
        yield peer


def many_large(peer: Peer) -> None:
    """An index of images that are each as large as they may be, layers with large annotations."""
    config = serve(peer, b"{}", OCI_CONFIG)
    serve(peer, b"a layer", OCI_LAYER)
    layer = json.dumps(described(b"a layer", OCI_LAYER, annotations={"note": "x" * 7500}), separators=(",", ":"))

    def large(number: int) -> bytes:
        raw = document(OCI_MANIFEST, config=config, layers="here", annotations={"number": str(number)})
        return filled(raw, layer.encode())

    def give(number: int, digest: str) -> Callable[[Received], Reply]:
        headers = (("Content-Type", OCI_MANIFEST), ("Docker-Content-Digest", digest))
        return lambda _: Reply(body=large(number), headers=headers)  # made anew: this process has to hold them, too

    images = []
    for number in range(_LARGE):
        images.append(described(large(number), OCI_MANIFEST))
        digest = str(images[-1]["digest"])
        for method in ("GET", "HEAD"):
            peer.on(f"/v2/a/manifests/{digest}", give(number, digest), method=method)
    serve(peer, document(OCI_INDEX, manifests=images), OCI_INDEX, "1")


def test_many_large_manifests_are_not_held_all_at_once(peer: Peer) -> None:
    many_large(peer)
    most, told = peak("validate", f"{peer.host}/a:1")
    assert sum(one.method == "GET" for one in peer.requests) > _LARGE
    assert most < MOST_OF_LARGE, told


@pytest.mark.parametrize("verb", ["manifest --json", "validate"])
@pytest.mark.parametrize(
    "filling", [b"[]", b"1", b"{}", b"[" * 500 + b"]" * 500], ids=["lists", "ints", "maps", "deep"]
)
@pytest.mark.parametrize("field", ["fsLayers", "layers", "manifests"])
def test_a_manifest_of_many_values(peer: Peer, field: str, filling: bytes, verb: str) -> None:
    config = serve(peer, b"{}", OCI_CONFIG)
    serve(peer, filled(document(OCI_MANIFEST, config=config, **{field: "here"}), filling), OCI_MANIFEST, "1")
    most, told = peak(*verb.split(), f"{peer.host}/a:1")
    assert most < MOST, told


@pytest.mark.parametrize("verb", ["config --json", "inspect"])
@pytest.mark.parametrize(
    "body", ['{"history":"here"}', '{"rootfs":{"type":"layers","diff_ids":"here"}}', '{"x":"here"}']
)
def test_a_config_of_many_values(peer: Peer, body: str, verb: str) -> None:
    filling = b'"a"' if "diff_ids" in body else b"{}"
    config = serve(peer, filled(body.encode(), filling), OCI_CONFIG)
    serve(peer, document(OCI_MANIFEST, config=config, layers=[]), OCI_MANIFEST, "1")
    most, told = peak(*verb.split(), f"{peer.host}/a:1")
    assert most < MOST, told


@pytest.mark.parametrize("verb", ["tags", "catalog", "tags --json"])
@pytest.mark.parametrize("many", [1_000_000, 350_000])
def test_a_list_of_many_names(peer: Peer, verb: str, many: int) -> None:
    path, field = ("/v2/_catalog", "repositories") if verb == "catalog" else ("/v2/a/tags/list", "tags")
    pages = iter(range(1000))

    def page(_: Received) -> Reply:
        first = next(pages) * many
        names = ",".join(f'"{number:x}"' for number in range(first, first + many))
        link = ("Link", f'<{path}?page={first}>; rel="next"')
        return Reply(body=f'{{"{field}":[{names}]}}'.encode(), headers=(link,))

    peer.on(path, page)
    most, told = peak(*verb.split(), peer.host if verb == "catalog" else f"{peer.host}/a")
    assert "error" in told
    assert most < MOST, told
