"""Verbs about a registry: ping, search and catalog."""

import json

import pytest

from dockless.faces.server.app import EmbeddedRegistry
from dockless.stores.repositories import MemoryRepositories
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
        assert json.loads(out) == {"registry": peer.host, "v2": None, "v1": answer}

    def test_both_protocols_v2_first(self, capsys: pytest.CaptureFixture[str]) -> None:
        with EmbeddedRegistry(MemoryRepositories()) as server:
            lines = call(capsys, "ping", server.host).out.splitlines()
            assert lines == [
                f"{server.host} speaks v2, open to all",
                f"{server.host} speaks v1, standalone, version not said",
            ]
            assert call(capsys, "ping", f"v1:{server.host}").out.splitlines() == lines[1:]
            shown = json.loads(call(capsys, "ping", server.host, "--json").out)
        assert shown["v2"] == {"schemes": []}
        assert shown["v1"]["standalone"] is True

    @pytest.mark.parametrize("status", [401, 404, 500], ids=str)
    def test_v2_alone_whatever_it_says_to_v1(self, capsys: pytest.CaptureFixture[str], status: int) -> None:
        with Peer() as peer:
            peer.on("/v2/", Reply(401, headers=(("WWW-Authenticate", 'Bearer realm="https://auth.example/"'),)))
            peer.on("/v1/_ping", Reply(status))
            ran = call(capsys, "ping", peer.host, "--retries", "0")
        assert ran == (0, f"{peer.host} speaks v2, authorization: bearer\n", "")

    def test_neither_is_3(self, capsys: pytest.CaptureFixture[str]) -> None:
        with Peer() as peer:
            code, out, err = call(capsys, "ping", peer.host)
            assert [request.path for request in peer.requests] == ["/v2/", "/v1/_ping"]
        assert (code, out) == (3, "")
        assert f"{peer.host} speaks neither v2 nor v1" in err

    @pytest.mark.parametrize("verb", ["ping", "catalog", "search"])
    @pytest.mark.parametrize("registry", ["h/a", "v1:h/a", "", "v1:", "a b", "oci:x"])
    def test_what_is_no_registry_is_2(self, capsys: pytest.CaptureFixture[str], verb: str, registry: str) -> None:
        assert call(capsys, verb, registry).code == 2


class TestCatalog:
    def test_one_a_line(self, capsys: pytest.CaptureFixture[str]) -> None:
        repositories = MemoryRepositories()
        for name in ("b", "a/c"):
            repositories.create(name)
        with EmbeddedRegistry(repositories) as server:
            assert call(capsys, "catalog", server.host) == (0, "a/c\nb\n", "")
            shown = json.loads(call(capsys, "catalog", server.host, "--json").out)
            assert shown == {"registry": server.host, "repositories": ["a/c", "b"]}

    def test_of_v1_it_is_all_that_a_search_finds(self, capsys: pytest.CaptureFixture[str]) -> None:
        with Peer() as peer:
            peer.on("/v1/search", json_reply({"results": RESULTS}))
            assert call(capsys, "catalog", f"v1:{peer.host}") == (0, "library/one\nlibrary/two\n", "")
            assert "q=&" in peer.requests[0].target


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
