"""On a terminal: bars while layers arrive, what a server says stays harmless, and the cursor comes back."""

import json
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import pytest

from dockless.model.digest import digest_of
from dockless.testing.images import MadeImage, make_image
from dockless.testing.peer import Peer, Reply, json_reply
from tests.faces.command import EVIL, TAMED, at, command, registry
from tests.faces.places import LAYERS, place
from tests.scripted import endpoint, index, layer, one_layer

if sys.platform == "win32":
    pytest.skip("no pseudo-terminals there", allow_module_level=True)

import pty

IMAGES = make_image({"a": b"1"}, {"b": b"2"})
BIG = one_layer(3_000_000)
WHOLE = Reply(body=BIG.layer, ranges=True)
BAR = "━"
HIDE, SHOW = "\x1b[?25l", "\x1b[?25h"
COLOUR = re.compile(r"\x1b\[(?:[0-9;]*;)?(?:3[0-9]|4[0-9]|9[0-7])(?:;[0-9;]*)?m")
CONTROL = re.compile(r"[\x00-\x09\x0b\x0c\x0e-\x1f\x7f-\x9f]")


class Terminal:
    """A process with standard error on a terminal, and standard output too if `results`."""

    def __init__(
        self, *arguments: str, cwd: Path, results: bool = False, variables: Mapping[str, str] | None = None
    ) -> None:
        kept = {name: value for name, value in os.environ.items() if name not in {"NO_COLOR", "FORCE_COLOR"}}
        self._master, slave = pty.openpty()
        self.process = subprocess.Popen(
            command(*arguments),
            cwd=cwd,
            stdin=subprocess.DEVNULL,
            stdout=slave if results else subprocess.PIPE,
            stderr=slave,
            env={**kept, "TERM": "xterm-256color", "COLUMNS": "120", **(variables or {})},
        )
        os.close(slave)

    def ended(self) -> tuple[int, bytes, str]:
        """Return the exit code, what went to standard output if that is a pipe, and all that the terminal got."""
        shown = bytearray()
        try:
            while block := os.read(self._master, 1 << 16):
                shown += block
        except OSError:  # Linux: the other end is closed
            pass
        finally:
            os.close(self._master)
        out, _ = self.process.communicate(timeout=60)
        return self.process.returncode, out or b"", shown.decode()


def pull(peer: Peer, to: Path, *flags: str, **variables: str) -> tuple[int, bytes, str]:
    return Terminal("pull", at(peer), "demo", *flags, cwd=to, variables=variables).ended()


class TestPull:
    def test_there_is_a_bar_for_a_layer_and_a_line_when_it_is_done(self, tmp_path: Path) -> None:
        with registry(*IMAGES) as peer:
            code, out, shown = pull(peer, tmp_path)
        assert (code, out) == (0, f"{IMAGES[0].id}\n".encode())
        for image in IMAGES:
            assert re.search(rf"{image.id[:12]} [^\n]*{BAR}", shown)
            assert f"{image.id[:12]}: {len(image.layer) / 1000:.1f} kB, verified\r\n" in shown

    def test_the_cursor_comes_back(self, tmp_path: Path) -> None:
        with registry(*IMAGES) as peer:
            _, _, shown = pull(peer, tmp_path)
        assert HIDE in shown
        assert shown.rindex(SHOW) > shown.rindex(HIDE)

    def test_with_colours(self, tmp_path: Path) -> None:
        with registry(*IMAGES) as peer:
            assert COLOUR.search(pull(peer, tmp_path)[2])

    def test_no_color_is_honoured(self, tmp_path: Path) -> None:
        with registry(*IMAGES) as peer:
            _, _, shown = pull(peer, tmp_path, NO_COLOR="1")
        assert IMAGES[0].id[:12] in shown
        assert COLOUR.search(shown) is None

    def test_a_terminal_that_can_do_nothing_gets_lines(self, tmp_path: Path) -> None:
        with registry(*IMAGES) as peer:
            code, _, shown = pull(peer, tmp_path, TERM="dumb")
        assert code == 0
        assert shown.count(", verified\r\n") == len(IMAGES)
        assert CONTROL.search(shown) is None

    def test_quiet_shows_nothing(self, tmp_path: Path) -> None:
        with registry(*IMAGES) as peer:
            code, _, shown = pull(peer, tmp_path, "-q")
        assert (code, shown) == (0, "")

    def test_what_a_server_says_stays_harmless(self, tmp_path: Path) -> None:
        with registry(BIG) as peer:
            layer(peer, BIG, json_reply({"error": f"{EVIL}[red]x[/red]"}, 503), WHOLE)
            code, _, shown = pull(peer, tmp_path, COLUMNS="1000")
        assert code == 0
        assert f"{TAMED}[red]x[/red]" in shown
        assert not [part for part in ("\x1b[5m", "\x1b]", "\x07", "\x9b", "\x7f", "\u202e", "\u2066") if part in shown]

    def test_a_resumed_layer_is_said_to_be(self, tmp_path: Path) -> None:
        home = tmp_path / "demo" / BIG.id
        home.mkdir(parents=True)
        (home / f".layer.tar.{BIG.id[:16]}.partial").write_bytes(BIG.layer[:2_000_000])
        with registry(BIG) as peer:
            code, _, shown = pull(peer, tmp_path)
        assert code == 0
        assert f"{BIG.id[:12]}: resuming at 2.0 MB\r\n" in shown
        assert "2.0/3.0 MB" in shown

    def test_a_damaged_layer_begins_its_bar_anew(self, tmp_path: Path) -> None:
        with registry(BIG) as peer:
            layer(peer, BIG, Reply(body=bytes(len(BIG.layer))), WHOLE)
            code, _, shown = pull(peer, tmp_path)
            assert len([request for request in peer.requests if request.path.endswith("/layer")]) == 2
        assert code == 0
        assert "retrying in 0.0 s" in shown
        frames = shown.split("verified")[-1]
        assert BIG.id[:12] not in frames.rpartition("\x1b[2K")[2]  # no bar stays behind

    def test_interrupted_the_cursor_comes_back(self, tmp_path: Path) -> None:
        with registry(BIG) as peer:
            layer(peer, BIG, replace(WHOLE, stall_after=1_000_000))
            terminal = Terminal("pull", at(peer), "demo", cwd=tmp_path)
            until = time.monotonic() + 20
            while not peer.faults:
                assert time.monotonic() < until
                time.sleep(0.02)
            time.sleep(0.3)
            terminal.process.send_signal(signal.SIGINT)
            code, _, shown = terminal.ended()
        assert code == 130
        assert shown.rindex(SHOW) > shown.rindex(HIDE)
        assert shown.endswith("interrupted\r\n")


@pytest.mark.parametrize("end", ["oci:out:1", "oci-archive:out:1"])
def test_a_copy_has_bars_one_line_for_each_blob_and_a_last_line(tmp_path: Path, end: str) -> None:
    with place("registry", tmp_path / "places") as where:
        code, out, shown = Terminal("copy", f"{where}:1.0", end, cwd=tmp_path).ended()
    assert code == 0
    assert out.startswith(b"sha256:")
    lines = re.findall(r"([0-9a-f]{12}): [^\r]*, verified\r\n", shown)
    assert len(lines) == len(set(lines)) == 4
    for one in LAYERS:
        assert re.search(rf"{digest_of(one)[7:19]} [^\n]*{BAR}", shown)
    assert shown.rindex(SHOW) > shown.rindex(HIDE)
    assert re.search(r"copied 4 blobs and 3 manifests, [0-9.]+ kB\r\n\Z", shown)


def test_an_error_is_the_same_two_lines(tmp_path: Path) -> None:
    with registry(*IMAGES) as peer:
        code, _, shown = Terminal("digest", at(peer, ":2.0"), cwd=tmp_path).ended()
    assert code == 3
    assert [line[:7] for line in shown.splitlines()] == ["error: ", "try:   "]
    assert CONTROL.search(shown) is None


def test_config_is_escaped_for_a_terminal(tmp_path: Path) -> None:
    plain = one_layer(1000)
    raw = json.dumps({"author": EVIL, "comment": "x" * 5000}, ensure_ascii=False).encode()
    with Peer() as peer:
        index(peer)
        endpoint(peer, MadeImage(plain.id, raw, plain.layer))
        code, _, shown = Terminal("config", at(peer), cwd=tmp_path, results=True).ended()
    assert code == 0
    assert CONTROL.search(shown) is None
    assert "\u202e" not in shown
    assert "x" * 5000 in shown


def test_a_layer_is_refused_for_a_terminal(tmp_path: Path) -> None:
    with registry(BIG) as peer:
        code, _, shown = Terminal("blob", at(peer), "-o", "-", cwd=tmp_path, results=True).ended()
        assert not [request for request in peer.requests if request.path.endswith("/layer")]
    assert code == 2
    assert "a blob is not for a terminal; give -o FILE or a pipe" in shown


def test_results_are_plain_on_a_terminal_too(tmp_path: Path) -> None:
    with registry(*IMAGES) as peer:
        code, _, shown = Terminal("tags", at(peer), cwd=tmp_path, results=True).ended()
    assert (code, shown) == (0, "latest\r\n")
