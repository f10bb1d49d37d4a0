"""Results go to standard output, progress to standard error as plain lines, and a reader may leave."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from dockless.faces.cli import show
from dockless.testing.images import make_image
from dockless.testing.peer import Reply, json_reply
from tests.faces.command import at, call, command, registry, run
from tests.scripted import NAME, layer, one_layer

IMAGES = make_image({"a": b"1"}, {"b": b"2"})
TAGS = f"/v1/repositories/{NAME}/tags"
LONG = one_layer(3_000_000)


class TestProgress:
    def pulled(self, capsys: pytest.CaptureFixture[str], to: Path, *flags: str, checksums: bool = True) -> list[str]:
        with registry(*IMAGES, checksums=checksums) as peer:
            code, out, err = call(capsys, "pull", at(peer), str(to), *flags)
        assert (code, out) == (0, f"{IMAGES[0].id}\n")
        return err.splitlines()

    def check(self, lines: list[str], said: str, last: str = "copied 2 layers") -> None:
        wanted = sorted(f"{one.id[:12]}: {len(one.layer) / 1000:.1f} kB, {said}" for one in IMAGES)
        assert (sorted(lines[:-1]), lines[-1:]) == (wanted, [last])

    def test_each_layer_that_is_done_is_a_line(self, capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
        self.check(self.pulled(capsys, tmp_path), "verified")

    def test_a_layer_without_a_checksum_is_said_to_be_unverified(
        self, capsys: pytest.CaptureFixture[str], tmp_path: Path
    ) -> None:
        said = self.pulled(capsys, tmp_path, checksums=False)
        self.check(said, "unverified: the registry gave no checksum")

    def test_layers_that_are_here_already_are_summed_up_in_the_last_line(
        self, capsys: pytest.CaptureFixture[str], tmp_path: Path
    ) -> None:
        self.pulled(capsys, tmp_path)
        assert self.pulled(capsys, tmp_path) == ["copied 0 layers; 2 there already"]

    def test_verbose_they_have_a_line_each(self, capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
        self.pulled(capsys, tmp_path)
        self.check(self.pulled(capsys, tmp_path, "-v"), "here already", "copied 0 layers; 2 there already")

    @pytest.mark.parametrize("flag", ["-q", "--quiet"])
    def test_quiet_silences_it(self, capsys: pytest.CaptureFixture[str], tmp_path: Path, flag: str) -> None:
        assert self.pulled(capsys, tmp_path, flag, checksums=False) == []

    def test_another_try_is_said(self, capsys: pytest.CaptureFixture[str]) -> None:
        with registry(*IMAGES) as peer:
            peer.on(TAGS, json_reply({"error": "not now"}, 503), json_reply({"latest": IMAGES[0].id}))
            code, out, err = call(capsys, "tags", at(peer))
        assert (code, out) == (0, "latest\n")
        assert err.startswith("retrying in 0.")
        assert "HTTP 503 - not now" in err

    def test_quiet_silences_another_try(self, capsys: pytest.CaptureFixture[str]) -> None:
        with registry(*IMAGES) as peer:
            peer.on(TAGS, Reply(503), json_reply({"latest": IMAGES[0].id}))
            assert call(capsys, "tags", at(peer), "-q") == (0, "latest\n", "")
            assert len([request for request in peer.requests if request.path == TAGS]) == 2

    @pytest.mark.parametrize(("sized", "of"), [(True, "3.0 MB"), (False, "unknown size")])
    def test_a_layer_that_takes_long_is_told_of_now_and_then(
        self,
        *,
        capsys: pytest.CaptureFixture[str],
        tmp_path: Path,
        monkeypatch: pytest.MonkeyPatch,
        sized: bool,
        of: str,
    ) -> None:
        monkeypatch.setattr(show, "_NOW_AND_THEN", 0.0)
        with registry(LONG) as peer:
            if not sized:
                peer.on(f"/v1/images/{LONG.id}/json", Reply(body=LONG.raw))
                layer(peer, LONG, Reply(body=LONG.layer, chunked=True))
            code, _, err = call(capsys, "blob", at(peer), "-o", str(tmp_path / "x"))
        assert code == 0
        *lines, last = err.splitlines()
        assert lines
        assert all(line.startswith(f"{LONG.id[:12]}: ") and line.endswith(f" of {of}") for line in lines)
        assert "verified" in last

    def test_a_layer_that_is_quick_is_told_of_once(self, capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
        with registry(LONG) as peer:
            _, _, err = call(capsys, "blob", at(peer), "-o", str(tmp_path / "x"))
        assert err == f"{LONG.id[:12]}: 3.0 MB, verified\n"

    def test_of_a_process_it_is_on_standard_error_alone(self, tmp_path: Path) -> None:
        with registry(*IMAGES) as peer:
            ended = run("pull", at(peer), "demo", cwd=tmp_path)
        assert (ended.code, ended.out) == (0, f"{IMAGES[0].id}\n".encode())
        self.check(ended.err.decode().splitlines(), "verified")


@pytest.mark.parametrize(
    ("count", "shown"),
    [
        (None, "unknown size"),
        (0, "0 B"),
        (999, "999 B"),
        (1000, "1.0 kB"),
        (1_500_000, "1.5 MB"),
        (2_340_000_000, "2.3 GB"),
        (5_000_000_000_000, "5000.0 GB"),
    ],
)
def test_sizes_for_people(count: int | None, shown: str) -> None:
    assert show.size(count) == shown


@pytest.mark.skipif(sys.platform == "win32", reason="pipes break differently there")
class TestAReaderThatLeft:
    @pytest.mark.parametrize("unbuffered", ["", "1"], ids=["buffered", "unbuffered"])
    @pytest.mark.parametrize("verb", ["tags", "inspect --json", "config", "blob -o -"])
    def test_is_141_without_a_word(self, verb: str, unbuffered: str) -> None:
        with registry(*IMAGES) as peer:
            reading, writing = os.pipe()
            os.close(reading)
            try:
                ended = subprocess.run(
                    command(*verb.split(), at(peer), "-q"),
                    stdout=writing,
                    stderr=subprocess.PIPE,
                    env={**os.environ, "PYTHONUNBUFFERED": unbuffered},
                    timeout=60,
                    check=False,
                )
            finally:
                os.close(writing)
        assert (ended.returncode, ended.stderr) == (141, b"")

    def test_in_mid_layer_is_the_same(self) -> None:
        with registry(LONG) as peer:
            blob = command("blob", at(peer), "-o", "-")
            with subprocess.Popen(blob, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
                assert process.stdout is not None
                assert process.stderr is not None
                assert process.stdout.read(10) == LONG.layer[:10]
                process.stdout.close()
                assert process.stderr.read() == b""
                assert process.wait(60) == 141
