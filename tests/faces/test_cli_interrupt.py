"""Ctrl-C works at once in every verb, also while a server stalls, and leaves nothing wrong behind."""

import signal
import subprocess
import sys
import tempfile
import time
from dataclasses import replace
from pathlib import Path

import pytest

from dockless.testing.peer import Peer, Reply
from tests.scripted import NAME, endpoint, index, layer, one_layer

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="a console event there reaches the tests, too")

IMAGE = one_layer(1_000_000)
STALL = Reply(stall_after=-1)


def interrupted(peer: Peer, *arguments: str, cwd: Path) -> tuple[int, float, str]:
    """Run a verb until the peer stalls, interrupt it; return exit code, seconds it took to end, and what it said."""
    command = [sys.executable, "-m", "dockless", *arguments]
    with (  # files, not pipes: a process that waits for its reader would not be waiting for the peer
        tempfile.TemporaryFile() as said,
        subprocess.Popen(command, stdout=said, stderr=said, cwd=cwd) as process,
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
        assert seconds < 1
        assert "interrupted" in said
        assert "Traceback" not in said


@pytest.mark.parametrize("verb", [["blob", "-o", "layer"], ["blob", "-o", "-"], ["pull"]], ids=" ".join)
def test_in_the_middle_of_a_layer(tmp_path: Path, verb: list[str]) -> None:
    with Peer() as peer:
        index(peer)
        endpoint(peer, IMAGE)
        whole = Reply(body=IMAGE.layer, ranges=True)
        layer(peer, IMAGE, replace(whole, stall_after=500_000), whole)
        location = f"v1:{peer.host}/{NAME}"
        code, seconds, said = interrupted(peer, verb[0], location, *verb[1:], cwd=tmp_path)
        assert code == 130
        assert seconds < 1
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
            assert time.monotonic() - started < 1
