"""The verb `blob`: what arrives where, and what is said of it."""

from dataclasses import replace
from pathlib import Path

import pytest

from dockless.testing.images import MadeImage, make_image
from dockless.testing.peer import Reply
from tests.faces.command import at, call, registry, run
from tests.scripted import asked, layer, layer_path, one_layer

IMAGES = make_image({"a": b"1"}, {"b": b"2"}, {"c": b"3"})
TOP = IMAGES[0]
BIG = one_layer(3_000_000)
WHOLE = Reply(body=BIG.layer, ranges=True)


def files(directory: Path) -> list[str]:
    return sorted(str(path.relative_to(directory)) for path in directory.rglob("*") if path.is_file())


class TestBlob:
    @pytest.mark.parametrize(
        ("which", "image"),
        [("", TOP), (":latest", TOP), (f"@{IMAGES[1].id}", IMAGES[1])],
        ids=["no tag", "a tag", "an id"],
    )
    def test_to_a_file(
        self, *, capsys: pytest.CaptureFixture[str], tmp_path: Path, which: str, image: MadeImage
    ) -> None:
        with registry(*IMAGES) as peer:
            code, out, err = call(capsys, "blob", at(peer, which), "-o", str(tmp_path / "layer"))
        assert (code, out) == (0, "")
        assert err.startswith(f"{image.id[:12]}: ")
        assert (tmp_path / "layer").read_bytes() == image.layer
        assert files(tmp_path) == ["layer"]

    def test_to_a_pipe_exactly_the_bytes(self) -> None:
        with registry(BIG) as peer:
            code, out, err = run("blob", at(peer), "--output", "-")
        assert (code, err) == (0, b"")
        assert out == BIG.layer

    def test_to_a_pipe_a_cut_is_healed_and_said_on_standard_error(self) -> None:
        with registry(BIG) as peer:
            layer(peer, BIG, replace(WHOLE, cut_after=1_000_000), WHOLE)
            code, out, err = run("blob", at(peer), "-o", "-")
            assert "cut after 1000000" in peer.faults
        assert code == 0
        assert out == BIG.layer
        assert b"(at byte 1000000)" in err

    def test_to_a_pipe_damage_is_5_at_the_end(self) -> None:
        with registry(BIG) as peer:
            layer(peer, BIG, Reply(body=bytes(len(BIG.layer))))
            code, out, err = run("blob", at(peer), "-o", "-")
        assert code == 5
        assert len(out) < len(BIG.layer)  # the last bytes are held back, so nobody takes it for whole
        assert out == bytes(len(out))
        assert b"is not what its checksum promises" in err

    def test_damage_leaves_no_file(self, capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
        with registry(BIG) as peer:
            layer(peer, BIG, Reply(body=bytes(len(BIG.layer))))
            assert call(capsys, "blob", at(peer), "-o", str(tmp_path / "layer")).code == 5
        assert files(tmp_path) == []

    def test_an_interrupted_one_is_resumed_and_that_is_said(
        self, capsys: pytest.CaptureFixture[str], tmp_path: Path
    ) -> None:
        (tmp_path / f".layer.{BIG.id[:16]}.partial").write_bytes(BIG.layer[:2_000_000])
        with registry(BIG) as peer:
            code, _, err = call(capsys, "blob", at(peer), "-o", str(tmp_path / "layer"))
            assert asked(peer, layer_path(BIG)) == [f"bytes=2000000-{len(BIG.layer) - 1}"]
        assert code == 0
        assert err.splitlines() == [f"{BIG.id[:12]}: resuming at 2.0 MB", f"{BIG.id[:12]}: 3.0 MB, verified"]
        assert (tmp_path / "layer").read_bytes() == BIG.layer

    def test_a_file_that_cannot_be_written_is_1_and_two_lines(
        self, capsys: pytest.CaptureFixture[str], tmp_path: Path
    ) -> None:
        with registry(TOP) as peer:
            code, out, err = call(capsys, "blob", at(peer), "-o", str(tmp_path / "nowhere" / "layer"))
        assert (code, out) == (1, "")
        assert err.splitlines() == [
            f"error: cannot write {tmp_path / 'nowhere' / 'layer'}: No such file or directory",
            "try:   Is there room, is the path right, and may you?",
        ]
