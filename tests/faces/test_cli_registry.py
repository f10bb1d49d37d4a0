"""Verbs about a registry: ping and search."""

import json

import pytest

from dockless.testing.peer import Peer, Reply, json_reply
from tests.faces.command import call

STANDALONE = "X-Docker-Registry-Standalone"
VERSION = "X-Docker-Registry-Version"


class TestPing:
    @pytest.mark.parametrize(
        ("headers", "role"),
        [
            (((STANDALONE, "True"), (VERSION, "0.9.1")), "standalone, version 0.9.1"),
            (((STANDALONE, "False"), (VERSION, "0.8.0")), "behind an index, version 0.8.0"),
            (((STANDALONE, "mirror"),), "mirror, version not said"),
            ((), "standalone, version not said"),
        ],
    )
    @pytest.mark.parametrize("scheme", ["v1:", ""])
    def test_it_says_how_the_registry_presents_itself(
        self, capsys: pytest.CaptureFixture[str], headers: tuple[tuple[str, str], ...], role: str, scheme: str
    ) -> None:
        with Peer() as peer:
            peer.on("/v1/_ping", json_reply({}, headers=headers))
            assert call(capsys, "ping", scheme + peer.host) == (0, f"{peer.host} speaks v1, {role}\n", "")

    @pytest.mark.parametrize(
        ("headers", "answer"),
        [
            (((STANDALONE, "True"), (VERSION, "0.9.1")), {"standalone": True, "mirror": False, "version": "0.9.1"}),
            (((STANDALONE, "False"),), {"standalone": False, "mirror": False, "version": None}),
            (((STANDALONE, "mirror"),), {"standalone": True, "mirror": True, "version": None}),
        ],
    )
    def test_as_json(
        self,
        capsys: pytest.CaptureFixture[str],
        headers: tuple[tuple[str, str], ...],
        answer: dict[str, object],
    ) -> None:
        with Peer() as peer:
            peer.on("/v1/_ping", json_reply({}, headers=headers))
            code, out, err = call(capsys, "ping", peer.host, "--json")
        assert (code, err) == (0, "")
        assert json.loads(out) == {"registry": peer.host, "v1": answer}


RESULTS = [{"name": "library/one", "description": "The first"}, {"name": "library/two", "description": ""}]


class TestSearch:
    def test_one_a_line_with_its_description(self, capsys: pytest.CaptureFixture[str]) -> None:
        with Peer() as peer:
            peer.on("/v1/search", json_reply({"results": RESULTS}))
            code, out, err = call(capsys, "search", peer.host, "li")
            assert (code, out, err) == (0, "library/one  The first\nlibrary/two\n", "")
            assert "q=li&" in peer.requests[0].target

    def test_without_a_query_everything_is_asked_for(self, capsys: pytest.CaptureFixture[str]) -> None:
        with Peer() as peer:
            peer.on("/v1/search", json_reply({"results": RESULTS}))
            assert call(capsys, "search", f"v1:{peer.host}").code == 0
            assert "q=&" in peer.requests[0].target

    def test_nothing_found_is_no_error(self, capsys: pytest.CaptureFixture[str]) -> None:
        with Peer() as peer:
            peer.on("/v1/search", json_reply({"results": []}))
            assert call(capsys, "search", peer.host, "x") == (0, "", "")

    def test_all_pages_are_listed(self, capsys: pytest.CaptureFixture[str]) -> None:
        pages = [json_reply({"results": [result], "num_pages": 2}) for result in RESULTS]
        with Peer() as peer:
            peer.on("/v1/search", *pages, Reply(500))
            code, out, _ = call(capsys, "search", peer.host, "library", "--retries", "0")
        assert (code, out) == (0, "library/one  The first\nlibrary/two\n")

    def test_as_json(self, capsys: pytest.CaptureFixture[str]) -> None:
        starred = {"name": "a/b", "is_official": True, "is_automated": True, "star_count": 7, "is_trusted": True}
        with Peer() as peer:
            peer.on("/v1/search", json_reply({"results": [starred]}))
            code, out, err = call(capsys, "search", peer.host, "--json")
        assert (code, err) == (0, "")
        assert json.loads(out) == [
            {"name": "a/b", "description": None, "is_official": True, "is_automated": True, "star_count": 7}
        ]
