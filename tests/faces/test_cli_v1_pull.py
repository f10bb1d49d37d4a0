"""`pull v1:… DIRECTORY`: the images as they were pushed, laid out as `docker save` first did."""

import json
from pathlib import Path

import pytest

from dockless.stores.oci_layout import OciLayout
from dockless.stores.v1_directory import V1Directory
from dockless.testing.images import make_image
from dockless.testing.peer import Peer, Reply, json_reply
from tests.faces.command import at, call, registry
from tests.scripted import NAME, asked, layer, layer_path, one_layer

IMAGES = make_image({"a": b"1"}, {"b": b"2"}, {"c": b"3"})
TOP = IMAGES[0]
BIG = one_layer(3_000_000)
WHOLE = Reply(body=BIG.layer, ranges=True)


def files(directory: Path) -> list[str]:
    return sorted(str(path.relative_to(directory)) for path in directory.rglob("*") if path.is_file())


class TestPull:
    def test_the_whole_image_into_the_directory(self, capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
        with registry(*IMAGES, tags={"1.0": TOP.id}) as peer:
            code, out, _ = call(capsys, "pull", at(peer, ":1.0"), str(tmp_path / "deep" / "image"))
        assert (code, out) == (0, f"{TOP.id}\n")
        pulled = V1Directory(tmp_path / "deep" / "image")
        assert pulled.tags(NAME) == {"1.0": TOP.id}
        for image in IMAGES:
            assert (pulled.root / image.id / "json").read_bytes() == image.raw
            assert (pulled.root / image.id / "layer.tar").read_bytes() == image.layer

    @pytest.mark.parametrize(
        ("name", "full"), [("library/demo", "library/demo"), ("demo", "library/demo"), ("a/b/c", "a/b/c")]
    )
    def test_the_directory_names_the_repository_in_full(
        self, capsys: pytest.CaptureFixture[str], tmp_path: Path, name: str, full: str
    ) -> None:
        with registry(*IMAGES) as peer:
            peer.on(f"/v1/repositories/{name}/images", json_reply([], headers=(("X-Docker-Endpoints", peer.host),)))
            peer.on(f"/v1/repositories/{name}/tags", json_reply({"latest": TOP.id}))
            assert call(capsys, "pull", f"v1:{peer.host}/{name}", str(tmp_path)).code == 0
        assert json.loads((tmp_path / "repositories").read_bytes()) == {full: {"latest": TOP.id}}

    @pytest.mark.parametrize(("name", "directory"), [("library/demo", "demo"), ("demo", "demo"), ("a/b/c", "c")])
    def test_by_default_it_is_a_layout_under_the_repositorys_last_name(
        self,
        *,
        capsys: pytest.CaptureFixture[str],
        tmp_path: Path,
        monkeypatch: pytest.MonkeyPatch,
        name: str,
        directory: str,
    ) -> None:
        monkeypatch.chdir(tmp_path)
        monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / ".cache"))
        with registry(*IMAGES) as peer:
            peer.on(f"/v1/repositories/{name}/images", json_reply([], headers=(("X-Docker-Endpoints", peer.host),)))
            peer.on(f"/v1/repositories/{name}/tags", json_reply({"latest": TOP.id}))
            code, out, _ = call(capsys, "pull", f"v1:{peer.host}/{name}")
        assert code == 0
        assert sorted(path.name for path in tmp_path.iterdir()) == [".cache", directory]
        layout = OciLayout(tmp_path / directory)
        assert list(layout.tags()) == ["latest"]
        assert out == f"{layout.resolve('latest').digest}\n"

    def test_by_id_it_is_without_a_tag(self, capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
        with registry(*IMAGES) as peer:
            code, out, _ = call(capsys, "pull", at(peer, f"@{IMAGES[1].id}"), str(tmp_path))
        assert (code, out) == (0, f"{IMAGES[1].id}\n")
        assert sorted(path.name for path in tmp_path.iterdir()) == sorted(one.id for one in IMAGES[1:])

    @pytest.mark.parametrize("checksums", [True, False])
    def test_as_json(self, capsys: pytest.CaptureFixture[str], tmp_path: Path, checksums: bool) -> None:
        with registry(*IMAGES, checksums=checksums) as peer:
            code, out, _ = call(capsys, "pull", at(peer), str(tmp_path), "--json")
        assert code == 0
        ids = [one.id for one in IMAGES]
        assert json.loads(out) == {
            "directory": str(tmp_path),
            "id": TOP.id,
            "layers": ids,
            "unverified": [] if checksums else ids,
        }

    def test_a_second_time_no_layer_is_fetched(self, capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
        with registry(*IMAGES) as peer:
            for _ in range(2):
                assert call(capsys, "pull", at(peer), str(tmp_path)).code == 0
            assert [len(asked(peer, layer_path(one))) for one in IMAGES] == [1, 1, 1]

    def test_one_job_takes_one_layer_after_the_other(self, capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
        with registry(*IMAGES) as peer:
            assert call(capsys, "pull", at(peer), str(tmp_path), "-j", "1").code == 0
            fetched = [request.path for request in peer.requests if request.path.endswith("/layer")]
        assert fetched == [layer_path(one) for one in IMAGES]

    def test_an_interrupted_one_is_resumed_and_that_is_said(
        self, capsys: pytest.CaptureFixture[str], tmp_path: Path
    ) -> None:
        (tmp_path / BIG.id).mkdir()
        (tmp_path / BIG.id / f".layer.tar.{BIG.id[:16]}.partial").write_bytes(BIG.layer[:1_500_000])
        with registry(BIG) as peer:
            code, _, err = call(capsys, "pull", at(peer), str(tmp_path))
        assert code == 0
        assert f"{BIG.id[:12]}: resuming at 1.5 MB" in err
        assert (tmp_path / BIG.id / "layer.tar").read_bytes() == BIG.layer

    def test_a_damaged_layer_leaves_no_tag(self, capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
        with registry(*IMAGES) as peer:
            layer(peer, IMAGES[1], Reply(body=bytes(len(IMAGES[1].layer))))
            code, out, _ = call(capsys, "pull", at(peer), str(tmp_path))
        assert (code, out) == (5, "")
        assert "repositories" not in files(tmp_path)
        assert f"{IMAGES[1].id}/layer.tar" not in files(tmp_path)

    def test_a_file_in_place_of_the_directory_is_2(self, capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
        (tmp_path / "file").write_text("mine")
        with Peer() as peer:
            code, out, err = call(capsys, "pull", at(peer), str(tmp_path / "file"))
            assert peer.connections == 0
        assert (code, out) == (2, "")
        assert "is a file" in err

    def test_a_directory_that_cannot_be_made_is_1(self, capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
        (tmp_path / "file").write_text("mine")
        with registry(*IMAGES) as peer:
            code, out, err = call(capsys, "pull", at(peer), str(tmp_path / "file" / "below"))
        assert (code, out) == (1, "")
        assert err.startswith("error: cannot ")
        assert str(tmp_path / "file" / "below") in err
        assert "Traceback" not in err
