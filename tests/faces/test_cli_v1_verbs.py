"""Verbs that v1 has and that change or check something, and those it has not."""

import json
from pathlib import Path

import pytest

from dockless.testing.images import MadeImage, make_image
from dockless.testing.peer import Peer, Reply, json_reply
from tests.faces.command import at, call, registry
from tests.scripted import NAME, layer, layer_path

IMAGES = make_image({"a": b"1"}, {"b": b"2"})
TOP, BASE = IMAGES
REPOSITORY = f"/v1/repositories/{NAME}"


def writable(peer: Peer) -> None:
    opened = json_reply("", headers=(("X-Docker-Endpoints", peer.host), ("X-Docker-Token", "write-token")))
    peer.on(f"{REPOSITORY}/", opened, method="PUT")
    peer.on(f"{REPOSITORY}/images", Reply(204, headers=opened.headers), method="DELETE")
    for tag in ("2.0", "3.0"):
        peer.on(f"{REPOSITORY}/tags/{tag}", json_reply(True), method="PUT")
        peer.on(f"{REPOSITORY}/tags/{tag}", json_reply(True), method="DELETE")


class TestTag:
    @pytest.mark.parametrize("which", [":1.0", f"@{BASE.id}"], ids=["a tag", "an id"])
    def test_more_tags_name_the_image(self, capsys: pytest.CaptureFixture[str], which: str) -> None:
        with registry(*IMAGES, tags={"1.0": BASE.id}) as peer:
            writable(peer)
            assert call(capsys, "tag", at(peer, which), "2.0", "3.0") == (0, f"{BASE.id}\n", "")
            put = [one for one in peer.requests if one.method == "PUT" and "/tags/" in one.path]
        assert [one.path for one in put] == [f"{REPOSITORY}/tags/2.0", f"{REPOSITORY}/tags/3.0"]
        assert {one.body for one in put} == {json.dumps(BASE.id).encode()}
        assert {one.header("Authorization") for one in put} == {"Token write-token"}

    def test_what_v1_would_garble_is_2(self, capsys: pytest.CaptureFixture[str]) -> None:
        with registry(*IMAGES) as peer:
            code, _, err = call(capsys, "tag", at(peer), "a/b")
            assert {one.method for one in peer.requests} == {"GET"}
        assert code == 2
        assert "not a tag: 'a/b'" in err

    def test_a_tag_is_removed(self, capsys: pytest.CaptureFixture[str]) -> None:
        with registry(*IMAGES) as peer:
            writable(peer)
            assert call(capsys, "untag", at(peer, ":2.0")) == (0, "", "")
            assert [(one.method, one.path) for one in peer.requests] == [
                ("DELETE", f"{REPOSITORY}/images"),
                ("DELETE", f"{REPOSITORY}/tags/2.0"),
            ]

    def test_one_that_is_not_there_is_3(self, capsys: pytest.CaptureFixture[str]) -> None:
        with registry(*IMAGES) as peer:
            writable(peer)
            gone = json_reply({"error": "Tag not found: 2.0"}, 404)
            peer.on(f"{REPOSITORY}/tags/2.0", gone, method="DELETE")
            code, _, err = call(capsys, "untag", at(peer, ":2.0"))
        assert code == 3
        assert "Tag not found: 2.0" in err

    def test_untag_wants_a_tag(self, capsys: pytest.CaptureFixture[str]) -> None:
        with Peer() as peer:
            assert call(capsys, "untag", at(peer)).code == 2
            assert call(capsys, "untag", at(peer, f"@{TOP.id}")).code == 2
            assert peer.connections == 0


class TestValidate:
    def test_all_is_right(self, capsys: pytest.CaptureFixture[str]) -> None:
        with registry(*IMAGES) as peer:
            code, out, err = call(capsys, "validate", at(peer))
        assert (code, out) == (0, f"{TOP.id}: 2 layers, {_size(IMAGES)}: all right\n")
        assert sorted(err.splitlines()) == sorted(f"{one.id[:12]}: {_size([one])}, verified" for one in IMAGES)

    def test_a_layer_without_a_checksum_is_named_and_no_fault(self, capsys: pytest.CaptureFixture[str]) -> None:
        with registry(*IMAGES, checksums=False) as peer:
            code, out, _ = call(capsys, "validate", at(peer), "-q")
        assert code == 0
        assert out.splitlines()[:2] == [f"{one.id}: the registry gave no checksum to compare" for one in IMAGES]

    def test_damage_is_5_and_the_rest_is_checked_all_the_same(self, capsys: pytest.CaptureFixture[str]) -> None:
        with registry(*IMAGES) as peer:
            layer(peer, TOP, Reply(body=bytes(len(TOP.layer))))
            code, out, err = call(capsys, "validate", at(peer), "-j", "1")
            assert [one.path for one in peer.requests].count(layer_path(BASE)) == 1
        assert code == 5
        damage, last = out.splitlines()
        assert damage.startswith(f"{TOP.id}: ")
        assert last.endswith(": damaged")
        assert err.splitlines()[-1].startswith(f"{BASE.id[:12]}: ")

    def test_a_layer_that_is_missing_is_5(self, capsys: pytest.CaptureFixture[str]) -> None:
        with registry(*IMAGES) as peer:
            layer(peer, BASE, json_reply({"error": "Image not found"}, 404))
            code, out, _ = call(capsys, "validate", at(peer), "--json", "-q")
        shown = json.loads(out)
        assert (code, shown["ok"], shown["id"], shown["name"]) == (5, False, TOP.id, NAME)
        assert [one["id"] for one in shown["layers"]] == [one.id for one in IMAGES]
        assert [one["error"] is None for one in shown["layers"]] == [True, False]
        assert [one["verified"] for one in shown["layers"]] == [True, False]

    def test_no_access_is_4_and_no_finding(self, capsys: pytest.CaptureFixture[str]) -> None:
        with registry(*IMAGES) as peer:
            layer(peer, BASE, Reply(403))
            assert call(capsys, "validate", at(peer), "-q")[:2] == (4, "")

    def test_fast_is_not_for_v1(self, capsys: pytest.CaptureFixture[str]) -> None:
        code, _, err = call(capsys, "validate", "v1:127.0.0.1:1/a", "--fast")
        assert code == 2
        assert "leave out --fast" in err


class TestLongTags:
    def test_with_id_and_date(self, capsys: pytest.CaptureFixture[str]) -> None:
        missing = "0" * 64
        with registry(*IMAGES, tags={"1.0": TOP.id, "gone": missing, "odd": "no id"}) as peer:
            code, out, err = call(capsys, "tags", "-l", at(peer))
        assert (code, err) == (0, "")
        assert [line.split(None, 1) for line in out.splitlines()] == [
            ["1.0", f"{TOP.id}  {json.loads(TOP.raw)['created']}"],
            ["gone", f"{missing}  -"],
            ["odd", "no id" + " " * 61 + "-"],
        ]


def test_what_v1_has_not_says_what_to_do_instead(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    for verb, words in (("manifest", "`dockless config`"), ("delete", "`dockless untag`")):
        code, out, err = call(capsys, verb, f"v1:127.0.0.1:1/a@{TOP.id}")
        assert (code, out) == (1, "")
        assert words in err


def _size(images: list[MadeImage]) -> str:
    return f"{sum(len(one.layer) for one in images) / 1000:.1f} kB"
