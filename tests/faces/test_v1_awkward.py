"""Answers that are awkward rather than hostile."""

from dataclasses import replace
from pathlib import Path

import pytest

from dockless import v1
from dockless.faces.cli.main import cli
from dockless.model.errors import InvalidDocument, NetworkFault, RemoteFault
from dockless.model.events import Retrying
from dockless.testing.images import make_image
from dockless.testing.peer import Peer, Received, Reply, json_reply
from tests.scripted import NAME, QUICK, endpoint, index, layer, layer_path, one_layer

IMAGE = make_image({"a": b"1"})[0]
INDEX_PATH = f"/v1/repositories/{NAME}/images"


def test_a_header_that_is_not_ascii_is_passed_over() -> None:
    with Peer() as peer:
        index(peer, headers=(("Server", "caf\u00e9"), ("X-Docker-Other", "\u00ff")))
        endpoint(peer, IMAGE)
        with v1.get_image(NAME, peer.url, settings=QUICK) as image:
            assert image.tags() == ["latest"]


def test_an_endpoint_that_cannot_be_a_host_is_passed_over() -> None:
    with Peer() as peer:
        index(peer, "xn--a", peer.host)
        endpoint(peer, IMAGE)
        with v1.get_image(NAME, peer.url, settings=QUICK) as image:
            assert image.tags() == ["latest"]
        index(peer, "xn--a")
        with pytest.raises(NetworkFault, match="xn--a"):
            v1.get_image(NAME, peer.url, settings=QUICK)


def test_an_address_of_ipv6_stands_in_brackets() -> None:
    with pytest.raises(NetworkFault, match=r"\[::1\]:1: ") as caught:
        v1.get_image(NAME, "http://[::1]:1", settings=QUICK)
    assert "http://[::1]:1 " in caught.value.hint


def test_by_id_alone_no_tags_are_asked_for(tmp_path: Path) -> None:
    with Peer() as peer:
        index(peer)
        endpoint(peer, IMAGE)
        peer.on(f"/v1/repositories/{NAME}/tags")  # 404
        location = f"v1:{peer.host}/{NAME}@{IMAGE.id}"
        assert not cli.main(["blob", location, "-o", str(tmp_path / "layer")], standalone_mode=False)
        assert (tmp_path / "layer").read_bytes() == IMAGE.layer
        with v1.open_image(NAME, peer.url, settings=QUICK) as image:
            assert image.ancestry(IMAGE.id) == [IMAGE.id]


def test_ping_and_search_say_that_they_try_again() -> None:
    with Peer() as peer:
        peer.on("/v1/_ping", Reply(503), json_reply({}))
        peer.on("/v1/search", Reply(503), json_reply({"results": []}))
        events: list[object] = []
        v1.ping(peer.url, settings=QUICK, observe=events.append)
        list(v1.search("", peer.url, settings=QUICK, observe=events.append))
        assert [type(event) for event in events] == [Retrying, Retrying]


def test_every_error_says_what_to_try() -> None:
    with Peer() as peer:
        for reply in (Reply(500), Reply(404), Reply(401), Reply(403), Reply(429), Reply(200), Reply(drop=True)):
            peer.on(INDEX_PATH, reply)
            with pytest.raises(Exception, match=r".") as caught:
                v1.get_image(NAME, peer.url, settings=QUICK)
            assert caught.value.hint  # type: ignore[attr-defined]


def test_a_part_that_starts_beyond_what_is_there_is_not_appended(tmp_path: Path) -> None:
    image = one_layer(1_000_000)

    def beyond(request: Received) -> Reply:
        if request.header("Range") is None:
            return replace(Reply(body=image.layer), cut_after=500_000)
        return Reply(206, image.layer[600_000:], (("Content-Range", "bytes 600000-999999/1000000"),))

    with Peer() as peer:
        index(peer)
        endpoint(peer, image)
        layer(peer, image, beyond)
        with (
            v1.get_image(NAME, peer.url, settings=QUICK) as found,
            pytest.raises((NetworkFault, RemoteFault, InvalidDocument)),
        ):
            found.download(image.id, tmp_path / "layer")
        assert not (tmp_path / "layer").exists()
        assert any(request.header("Range") for request in peer.requests if request.path == layer_path(image))
