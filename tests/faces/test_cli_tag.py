"""Verbs about tags: what they print, and the shape of it as JSON."""

import json

import pytest

from dockless.testing.images import make_image
from dockless.testing.peer import json_reply
from tests.faces.command import at, call, registry
from tests.scripted import NAME

IMAGES = make_image({"a": b"1"}, {"b": b"2"})
TOP, BASE = IMAGES
TAGS = {"latest": TOP.id, "1.0": BASE.id, "0.9": BASE.id}


class TestTags:
    def test_one_a_line_in_order(self, capsys: pytest.CaptureFixture[str]) -> None:
        with registry(*IMAGES, tags=TAGS) as peer:
            assert call(capsys, "tags", at(peer)) == (0, "0.9\n1.0\nlatest\n", "")

    def test_as_json(self, capsys: pytest.CaptureFixture[str]) -> None:
        with registry(*IMAGES, tags=TAGS) as peer:
            code, out, err = call(capsys, "tags", "--json", at(peer))
        assert (code, err) == (0, "")
        assert json.loads(out) == {"name": NAME, "tags": TAGS}

    @pytest.mark.parametrize(("flags", "shown"), [([], ""), (["--json"], {"name": NAME, "tags": {}})])
    def test_none_is_no_error(
        self, capsys: pytest.CaptureFixture[str], flags: list[str], shown: str | dict[str, object]
    ) -> None:
        with registry(*IMAGES, tags={}) as peer:
            code, out, err = call(capsys, "tags", at(peer), *flags)
        assert (code, err) == (0, "")
        assert (json.loads(out) if flags else out) == shown

    def test_a_repository_of_one_word_is_asked_for_as_it_is(self, capsys: pytest.CaptureFixture[str]) -> None:
        with registry(*IMAGES) as peer:
            peer.on("/v1/repositories/demo/images", json_reply([], headers=(("X-Docker-Endpoints", peer.host),)))
            peer.on("/v1/repositories/demo/tags", json_reply({"only": TOP.id}))
            assert call(capsys, "tags", f"v1:{peer.host}/demo") == (0, "only\n", "")


class TestDigest:
    @pytest.mark.parametrize(
        ("which", "image_id"),
        [(":1.0", BASE.id), (":latest", TOP.id), ("", TOP.id), (f"@{BASE.id}", BASE.id)],
        ids=["a tag", "latest", "no tag is latest", "an id"],
    )
    def test_it_is_the_image_id(self, capsys: pytest.CaptureFixture[str], which: str, image_id: str) -> None:
        with registry(*IMAGES, tags=TAGS) as peer:
            assert call(capsys, "digest", at(peer, which)) == (0, f"{image_id}\n", "")

    @pytest.mark.parametrize(
        ("which", "tag", "image_id"), [(":1.0", "1.0", BASE.id), (f"@{BASE.id}", None, BASE.id)], ids=["a tag", "an id"]
    )
    def test_as_json(self, capsys: pytest.CaptureFixture[str], which: str, tag: str | None, image_id: str) -> None:
        with registry(*IMAGES, tags=TAGS) as peer:
            code, out, err = call(capsys, "digest", at(peer, which), "--json")
        assert (code, err) == (0, "")
        assert json.loads(out) == {"name": NAME, "tag": tag, "id": image_id}

    def test_a_tag_that_names_no_id_is_an_error_that_says_which(self, capsys: pytest.CaptureFixture[str]) -> None:
        with registry(*IMAGES, tags={"latest": "../../etc"}) as peer:
            code, out, err = call(capsys, "digest", at(peer))
        assert (code, out) == (1, "")
        assert f"tag 'latest' of {NAME} names no image id" in err
