"""Ctrl-C works at once in every verb, also while a server stalls, and leaves nothing wrong behind."""

import json
import os
import signal
import socket
import subprocess
import sys
import tempfile
import time
from dataclasses import replace
from pathlib import Path

import pytest

from dockless.faces.client import Client
from dockless.model.descriptor import Descriptor, describe
from dockless.model.digest import digest_of
from dockless.model.documents import make_document
from dockless.model.media_types import OCI_CONFIG, OCI_LAYER, OCI_MANIFEST
from dockless.stores.oci_layout import OciLayout
from dockless.testing.contract import given
from dockless.testing.peer import Listener, Peer, Reply, json_reply
from tests.faces.command import AT_ONCE
from tests.scripted import NAME, endpoint, index, layer, one_layer

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="a console event there reaches the tests, too")

IMAGE = one_layer(1_000_000)
STALL = Reply(stall_after=-1)


class Deaf(Listener):
    """A registry that has nothing, and stops reading as soon as a body comes."""

    def __init__(self) -> None:
        self.faults: list[str] = []
        super().__init__("127.0.0.1", None)

    def talk(self, connection: socket.socket, number: int) -> None:
        self.end_with_close(connection)
        with connection.makefile("rb") as lines:
            while request := lines.readline():
                while lines.readline().strip():
                    pass
                if request.startswith(b"PUT"):
                    self.faults.append("stall in the body")
                    self._closing.wait()
                    return
                status = b"202 Accepted\r\nLocation: /upload" if request.startswith(b"POST") else b"404 Not Found"
                connection.sendall(b"HTTP/1.1 " + status + b"\r\nContent-Length: 0\r\n\r\n")


def interrupted(peer: Peer | Deaf, *arguments: str, cwd: Path) -> tuple[int, float, str]:
    """Run a verb until the peer stalls, interrupt it; return exit code, seconds it took to end, and what it said."""
    command = [sys.executable, "-m", "dockless", *arguments]
    environment = {**os.environ, "XDG_CACHE_HOME": str(cwd / ".cache")}
    with (  # files, not pipes: a process that waits for its reader would not be waiting for the peer
        tempfile.TemporaryFile() as said,
        subprocess.Popen(command, stdout=said, stderr=said, cwd=cwd, env=environment) as process,
    ):
        until = time.monotonic() + 20
        while not any("stall" in fault for fault in peer.faults):
            assert time.monotonic() < until
            assert process.poll() is None, said.read()
            time.sleep(0.02)
        time.sleep(0.1)
        started = time.monotonic()
        process.send_signal(signal.SIGINT)
        code = process.wait(40)
        seconds = time.monotonic() - started
        said.seek(0)
        return code, seconds, said.read().decode(errors="replace")


LAYER = describe(IMAGE.layer, OCI_LAYER)
CONFIG_RAW = json.dumps(
    {"architecture": "amd64", "os": "linux", "rootfs": {"type": "layers", "diff_ids": [LAYER.digest]}}
).encode()
CONFIG = describe(CONFIG_RAW, OCI_CONFIG)


def manifest(layer: Descriptor) -> tuple[Descriptor, bytes]:
    return make_document({"schemaVersion": 2, "mediaType": OCI_MANIFEST, "config": CONFIG, "layers": [layer]})


MANIFEST, MANIFEST_RAW = manifest(LAYER)


def blob(wanted: Descriptor) -> str:
    return f"/v2/a/b/blobs/{wanted.digest}"


def v2(peer: Peer) -> None:
    """Let the peer be a registry with one image in a/b, and take what is pushed to a/c."""
    peer.on("/v2/a/b/tags/list", json_reply({"name": "a/b", "tags": ["1"]}))
    headers = (("Content-Type", MANIFEST.media_type), ("Docker-Content-Digest", MANIFEST.digest))
    for method in ("GET", "HEAD"):
        for name in ("1", MANIFEST.digest):
            peer.on(f"/v2/a/b/manifests/{name}", Reply(body=MANIFEST_RAW, headers=headers), method=method)
        peer.on(blob(CONFIG), Reply(body=CONFIG_RAW), method=method)
        peer.on(blob(LAYER), Reply(body=IMAGE.layer, ranges=True), method=method)
    peer.on("/v2/a/c/blobs/uploads/", Reply(202, headers=(("Location", "/v2/a/c/upload"),)), method="POST")


def layout(root: Path, content: bytes = IMAGE.layer) -> Path:
    """Return a layout that has the same image, with another layer if one is given."""
    store = OciLayout(root / "layout")
    layer = describe(content, OCI_LAYER)
    image, raw = manifest(layer)
    for wanted, held in ((layer, content), (CONFIG, CONFIG_RAW), (image, raw)):
        store.push(wanted, given(held))
    store.tag(image, "1")
    return store.path


def stalled_everywhere(peer: Peer) -> None:
    index(peer)
    endpoint(peer, IMAGE)
    for path in ("/v1/_ping", "/v1/search"):
        peer.on(path, STALL)


@pytest.mark.parametrize(
    ("verb", "path"),
    [
        (["ping", "v1:HOST"], "/v1/_ping"),
        (["search", "v1:HOST", "x"], "/v1/search"),
        (["tags", f"v1:HOST/{NAME}"], f"/v1/repositories/{NAME}/images"),
        (["tags", f"v1:HOST/{NAME}"], f"/v1/repositories/{NAME}/tags"),
        (["digest", f"v1:HOST/{NAME}"], f"/v1/repositories/{NAME}/tags"),
        (["config", f"v1:HOST/{NAME}"], f"/v1/images/{IMAGE.id}/json"),
        (["history", f"v1:HOST/{NAME}"], f"/v1/images/{IMAGE.id}/ancestry"),
        (["inspect", f"v1:HOST/{NAME}"], f"/v1/images/{IMAGE.id}/json"),
        (["layers", f"v1:HOST/{NAME}"], f"/v1/images/{IMAGE.id}/json"),
    ],
)
def test_before_an_answer(tmp_path: Path, verb: list[str], path: str) -> None:
    with Peer() as peer:
        stalled_everywhere(peer)
        peer.on(path, STALL)
        code, seconds, said = interrupted(peer, *[word.replace("HOST", peer.host) for word in verb], cwd=tmp_path)
        assert code == 130
        assert seconds < AT_ONCE
        assert "interrupted" in said
        assert "Traceback" not in said


@pytest.mark.parametrize("verb", [["blob", "-o", "layer"], ["blob", "-o", "-"], ["pull", "image"]], ids=" ".join)
def test_in_the_middle_of_a_layer(tmp_path: Path, verb: list[str]) -> None:
    with Peer() as peer:
        index(peer)
        endpoint(peer, IMAGE)
        whole = Reply(body=IMAGE.layer, ranges=True)
        layer(peer, IMAGE, replace(whole, stall_after=500_000), whole)
        location = f"v1:{peer.host}/{NAME}"
        code, seconds, said = interrupted(peer, verb[0], location, *verb[1:], cwd=tmp_path)
        assert code == 130
        assert seconds < AT_ONCE
        assert "Traceback" not in said
        files = [path for path in tmp_path.rglob("*") if path.is_file()]
        assert all(path.name.endswith(".partial") or path.name == ".lock" for path in files)
        if verb[-1] == "-":
            return
        again = subprocess.run(
            [sys.executable, "-m", "dockless", verb[0], location, *verb[1:]],
            cwd=tmp_path,
            capture_output=True,
            text=True,
            timeout=60,
            check=True,
        )
        assert "resuming at" in again.stderr
        (final,) = [path for path in tmp_path.rglob("*") if path.name in {"layer", "layer.tar"}]
        assert final.read_bytes() == IMAGE.layer


@pytest.mark.parametrize(
    ("verb", "path", "method"),
    [
        (["ping", "HOST"], "/v2/", "GET"),
        (["catalog", "HOST"], "/v2/_catalog", "GET"),
        (["tags", "HOST/a/b"], "/v2/a/b/tags/list", "GET"),
        (["tags", "-l", "HOST/a/b"], "/v2/a/b/manifests/1", "GET"),
        (["digest", "HOST/a/b:1"], "/v2/a/b/manifests/1", "HEAD"),
        (["manifest", "HOST/a/b:1"], "/v2/a/b/manifests/1", "GET"),
        (["config", "HOST/a/b:1"], "/v2/a/b/manifests/1", "GET"),
        (["history", "HOST/a/b:1"], blob(CONFIG), "GET"),
        (["layers", "HOST/a/b:1"], blob(CONFIG), "GET"),
        (["inspect", "HOST/a/b:1"], blob(CONFIG), "GET"),
        (["validate", "HOST/a/b:1"], blob(LAYER), "GET"),
        (["blob", f"HOST/a/b@{LAYER.digest}", "-o", "-"], blob(LAYER), "HEAD"),
        (["pull", "HOST/a/b:1", "oci:pulled"], blob(CONFIG), "GET"),
        (["pull", "HOST/a/b:1", "oci-archive:pulled.tar"], blob(CONFIG), "GET"),
        (["copy", "HOST/a/b:1", "HOST/a/c:1"], "/v2/a/c/manifests/1", "HEAD"),
        (["tag", "HOST/a/b:1", "2"], "/v2/a/b/manifests/2", "PUT"),
        (["untag", "HOST/a/b:1"], "/v2/a/b/manifests/1", "DELETE"),
        (["delete", f"HOST/a/b@{MANIFEST.digest}"], f"/v2/a/b/manifests/{MANIFEST.digest}", "DELETE"),
        (["push", "oci:LAYOUT:1", "HOST/a/c:1"], "/v2/a/c/blobs/uploads/", "POST"),
        (["push", "oci:LAYOUT:1", "HOST/a/c:1"], "/v2/a/c/upload", "PUT"),
        (["copy", f"v1:HOST/{NAME}", "oci:pulled"], f"/v1/images/{IMAGE.id}/layer", "GET"),
        (["copy", f"v1:HOST/{NAME}", "docker-archive:pulled.tar"], f"/v1/images/{IMAGE.id}/layer", "GET"),
        (["tag", f"v1:HOST/{NAME}", "2"], f"/v1/repositories/{NAME}/", "PUT"),
        (["untag", f"v1:HOST/{NAME}:2"], f"/v1/repositories/{NAME}/images", "DELETE"),
    ],
    ids=lambda value: value if isinstance(value, str) else value[0],
)
def test_v2_and_what_writes_before_an_answer(tmp_path: Path, verb: list[str], path: str, method: str) -> None:
    place = str(layout(tmp_path))
    with Peer() as peer:
        stalled_everywhere(peer)
        v2(peer)
        peer.on(path, STALL, method=method)
        words = [word.replace("HOST", peer.host).replace("LAYOUT", place) for word in verb]
        code, seconds, said = interrupted(peer, *words, cwd=tmp_path)
    assert code == 130
    assert seconds < AT_ONCE
    assert "interrupted" in said
    assert "Traceback" not in said
    assert not list(tmp_path.glob("pulled.tar"))
    assert not list(tmp_path.glob("pulled/index.json"))


@pytest.mark.parametrize("end", ["oci:pulled:1", "oci-archive:pulled:1", "docker-archive:pulled:a:1"])
def test_a_pull_in_the_middle_of_a_layer(tmp_path: Path, end: str) -> None:
    whole = Reply(body=IMAGE.layer, ranges=True)
    with Peer() as peer:
        v2(peer)
        peer.on(blob(LAYER), replace(whole, stall_after=500_000), whole)
        code, seconds, said = interrupted(peer, "pull", f"{peer.host}/a/b:1", end, cwd=tmp_path)
        assert code == 130
        assert seconds < AT_ONCE
        assert "Traceback" not in said
        assert not (tmp_path / "pulled").is_file()
        for path in (tmp_path / "pulled").rglob("sha256/*"):
            assert digest_of(path.read_bytes()) == f"sha256:{path.name}"
        again = subprocess.run(
            [sys.executable, "-m", "dockless", "pull", f"{peer.host}/a/b:1", end],
            cwd=tmp_path,
            capture_output=True,
            text=True,
            timeout=60,
            check=True,
        )
    assert again.stdout == f"{MANIFEST.digest}\n"
    assert ("resuming at" in again.stderr) is end.startswith("oci:")
    with Client() as client:
        assert client.validate(end.replace("pulled", str(tmp_path / "pulled"))).ok


def test_a_push_to_a_server_that_stops_reading(tmp_path: Path) -> None:
    place = layout(tmp_path, bytes(32 << 20))  # more than the sockets hold
    with Deaf() as peer:
        code, seconds, said = interrupted(peer, "push", f"oci:{place}:1", f"{peer.host}/a/c:1", cwd=tmp_path)
    assert code == 130
    assert seconds < AT_ONCE
    assert "Traceback" not in said


def test_while_it_waits_for_another_try(tmp_path: Path) -> None:
    with Peer() as peer:
        peer.on(f"/v1/repositories/{NAME}/images", Reply(429, headers=(("Retry-After", "30"),)), STALL)
        command = [sys.executable, "-m", "dockless", "tags", f"v1:{peer.host}/{NAME}"]
        with subprocess.Popen(command, stderr=subprocess.PIPE, text=True, cwd=tmp_path) as process:
            assert process.stderr is not None
            assert "retrying in 30.0 s" in process.stderr.readline()
            started = time.monotonic()
            process.send_signal(signal.SIGINT)
            assert process.wait(20) == 130
            assert time.monotonic() - started < AT_ONCE
