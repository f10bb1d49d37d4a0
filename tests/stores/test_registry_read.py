"""Reading from a v2 registry: what a client owes it (distribution-spec), and what it does to a client."""

import hashlib
import os
from collections.abc import Iterator
from contextlib import closing
from dataclasses import replace

import pytest
from msgspec import structs

from dockless.model.descriptor import Descriptor, describe
from dockless.model.digest import Digest
from dockless.model.documents import make_document
from dockless.model.errors import (
    ChecksumMismatch,
    Denied,
    InvalidDocument,
    InvalidReference,
    NotFound,
    RemoteFault,
    Unsupported,
)
from dockless.model.events import Event, Notice
from dockless.model.media_types import (
    ACCEPT,
    DOCKER_INDEX,
    DOCKER_MANIFEST,
    DOCKER_SCHEMA1_SIGNED,
    OCI_INDEX,
    OCI_LAYER,
    OCI_MANIFEST,
)
from dockless.net.session import Session
from dockless.stores.memory import MemoryStore
from dockless.stores.registry import client as client_module
from dockless.stores.registry.client import Ping, RegistryClient
from dockless.stores.registry.repository import Repository
from dockless.testing.contract import got
from dockless.testing.peer import Peer, Received, Reply, json_reply, redirect
from tests.scripted import QUICK
from tests.scripted_registry import NAME, blob_path, manifest, manifest_path, refusal, repository

INDEX, RAW = make_document({"schemaVersion": 2, "mediaType": OCI_INDEX, "manifests": []})
BLOB = os.urandom(100_000)
LAYER = describe(BLOB, OCI_LAYER)
TAGS = f"/v2/{NAME}/tags/list"


@pytest.fixture(name="peer")
def scripted() -> Iterator[Peer]:
    with Peer() as peer:
        yield peer


@pytest.fixture(name="events")
def observed() -> list[Event]:
    return []


@pytest.fixture(name="there")
def opened(peer: Peer, events: list[Event]) -> Iterator[Repository]:
    with closing(Session(QUICK, events.append)) as session:
        yield repository(peer, session=session)


def methods(peer: Peer) -> list[str]:
    return [request.method for request in peer.requests]


class TestPullingManifests:
    def test_accept_names_all_that_is_read_in_one_header_without_weights(self, there: Repository, peer: Peer) -> None:
        manifest(peer, "1", INDEX, RAW)
        there.resolve("1")
        there.fetch_named("1")
        manifest(peer, INDEX.digest, INDEX, RAW)
        assert got(there, INDEX, 1) == RAW[1:]
        assert len(peer.requests) == 3
        for request in peer.requests:
            sent = [value for name, value in request.headers if name.lower() == "accept"]
            assert sent == [", ".join(ACCEPT)]
            assert ";" not in sent[0]
        assert {OCI_MANIFEST, OCI_INDEX, DOCKER_MANIFEST, DOCKER_INDEX, DOCKER_SCHEMA1_SIGNED} <= set(ACCEPT)

    def test_content_type_decides_and_its_parameters_do_not_count(self, there: Repository, peer: Peer) -> None:
        content_type = ("Content-Type", f"{OCI_INDEX}; charset=utf-8")
        reply = Reply(body=RAW, headers=(content_type, ("Docker-Content-Digest", INDEX.digest)))
        for method in ("GET", "HEAD"):
            peer.on(manifest_path("1"), reply, method=method)
        assert there.resolve("1") == there.fetch_named("1")[0] == INDEX
        assert methods(peer) == ["HEAD", "GET"]

    def test_a_media_type_that_contradicts_it_is_refused(self, there: Repository, peer: Peer) -> None:
        peer.on(manifest_path("1"), Reply(body=RAW, headers=(("Content-Type", DOCKER_INDEX),)))
        with pytest.raises(InvalidDocument, match="came as"):
            there.fetch_named("1")

    def test_what_is_asked_by_digest_is_compared(self, there: Repository, peer: Peer) -> None:
        """A16: another manifest, well-formed and with a header that says it is the right one."""
        other, raw = make_document({"schemaVersion": 2, "mediaType": OCI_INDEX, "manifests": [], "annotations": {}})
        headers = (("Content-Type", OCI_INDEX), ("Docker-Content-Digest", INDEX.digest))
        peer.on(manifest_path(INDEX.digest), Reply(body=raw, headers=headers))
        with pytest.raises(ChecksumMismatch, match=str(other.digest)):
            there.fetch_named(INDEX.digest)
        peer.on(manifest_path(INDEX.digest), Reply(405), method="HEAD")
        with pytest.raises(ChecksumMismatch):
            there.resolve(INDEX.digest)

    def test_a_digest_in_a_header_is_never_believed_over_the_body(self, there: Repository, peer: Peer) -> None:
        lie = ("Docker-Content-Digest", "sha256:" + "0" * 64)
        peer.on(manifest_path("1"), Reply(body=RAW, headers=(("Content-Type", OCI_INDEX), lie)))
        assert there.fetch_named("1") == (INDEX, RAW)

    def test_sha512_is_a_digest_too(self, there: Repository, peer: Peer) -> None:
        digest = Digest(f"sha512:{hashlib.sha512(RAW).hexdigest()}")
        manifest(peer, digest, INDEX, RAW)  # whose header says sha256
        assert there.resolve(digest) == Descriptor(OCI_INDEX, digest, len(RAW))
        assert there.fetch_named(digest) == (Descriptor(OCI_INDEX, digest, len(RAW)), RAW)

    @pytest.mark.parametrize(
        "name", ["", "a/b", "../x", "a b", "-x", "sha256:/etc/passwd", "sha256:" + "A" * 64, "x" * 129]
    )
    def test_a_name_is_checked_before_it_is_in_a_path(self, there: Repository, peer: Peer, name: str) -> None:
        for act in (there.resolve, there.fetch_named):
            with pytest.raises(InvalidReference):
                act(name)
        with pytest.raises(InvalidReference):
            there.find_blob(Digest(name))
        assert peer.requests == []

    @pytest.mark.parametrize("name", ["", "A/b", "a//b", "../a", "a b", "a/" * 200 + "a"])
    def test_so_is_that_of_a_repository(self, there: Repository, name: str) -> None:
        with pytest.raises(InvalidReference, match="repository name"):
            there.client.repository(name)

    def test_a_manifest_without_end_is_read_no_further(self, there: Repository, peer: Peer) -> None:
        """A19: 2 GiB that the peer would send."""
        peer.on(manifest_path("1"), Reply(body=b" ", endless=True, headers=(("Content-Type", OCI_INDEX),)))
        with pytest.raises(RemoteFault, match="longer than"):
            there.fetch_named("1")
        peer.on(manifest_path(INDEX.digest), Reply(body=b" ", endless=True))
        with pytest.raises(RemoteFault, match="longer than"):
            there.fetch(INDEX)
        assert peer.faults == ["endless", "endless"]

    def test_a_cut_manifest_is_asked_for_again(self, there: Repository, peer: Peer) -> None:
        """F4."""
        right = Reply(body=RAW, headers=(("Content-Type", OCI_INDEX),))
        peer.on(manifest_path("1"), replace(right, cut_after=20), right)
        assert there.fetch_named("1") == (INDEX, RAW)
        assert peer.faults == ["cut after 20"]

    def test_a_web_page_is_no_manifest(self, there: Repository, peer: Peer) -> None:
        """F44: a login page, with 200."""
        page = Reply(body=b"<!DOCTYPE html><title>Log in</title>", headers=(("Content-Type", "text/html"),))
        for method in ("GET", "HEAD"):
            peer.on(manifest_path("1"), page, method=method)
        for act in (there.resolve, there.fetch_named):
            with pytest.raises(InvalidDocument, match="web page") as caught:
                act("1")
            assert "dockless ping" in caught.value.hint

    def test_a_content_encoding_that_nobody_asked_for_is_not_believed(self, there: Repository, peer: Peer) -> None:
        """Pulp and Apache say x-gzip of what is gzip anyway, registry.access.redhat.com packs for who accepts it."""
        labels = (("Content-Type", OCI_INDEX), ("Content-Encoding", "x-gzip"))
        peer.on(manifest_path("1"), Reply(body=RAW, headers=labels))
        peer.on(blob_path(LAYER), Reply(body=BLOB, headers=labels))
        assert there.fetch_named("1") == (INDEX, RAW)
        assert got(there, LAYER) == BLOB
        assert {request.header("accept-encoding") for request in peer.requests} == {"identity"}

    def test_a_manifest_of_a_type_nobody_knows_is_read(self, there: Repository, peer: Peer) -> None:
        peer.on(manifest_path("1"), Reply(body=b"x", headers=(("Content-Type", "application/vnd.new+json"),)))
        assert there.fetch_named("1") == (describe(b"x", "application/vnd.new+json"), b"x")


class TestResolving:
    def test_head_is_enough(self, there: Repository, peer: Peer) -> None:
        manifest(peer, "1", INDEX, RAW)
        manifest(peer, INDEX.digest, INDEX, RAW)
        assert there.resolve("1") == there.resolve(INDEX.digest) == INDEX
        assert methods(peer) == ["HEAD", "HEAD"]

    @pytest.mark.parametrize("status", [400, 405, 501])
    def test_get_takes_over_where_head_is_refused(self, there: Repository, peer: Peer, status: int) -> None:
        peer.on(manifest_path("1"), Reply(status), method="HEAD")
        peer.on(manifest_path("1"), Reply(body=RAW, headers=(("Content-Type", OCI_INDEX),)))
        assert there.resolve("1") == INDEX

    @pytest.mark.parametrize(
        "headers",
        [
            (("Content-Type", OCI_INDEX),),
            (("Docker-Content-Digest", INDEX.digest),),
            (("Content-Type", "application/json"), ("Docker-Content-Digest", INDEX.digest)),
            (("Content-Type", OCI_INDEX), ("Docker-Content-Digest", "sha256:abc")),
        ],
    )
    def test_and_where_it_does_not_say_all(
        self, there: Repository, peer: Peer, headers: tuple[tuple[str, str], ...]
    ) -> None:
        peer.on(manifest_path("1"), Reply(body=RAW, headers=headers), method="HEAD")
        peer.on(manifest_path("1"), Reply(body=RAW, headers=(("Content-Type", OCI_INDEX),)))
        assert there.resolve("1") == INDEX
        assert methods(peer) == ["HEAD", "GET"]

    def test_and_where_it_says_no_length(self, there: Repository, peer: Peer) -> None:
        headers = (("Content-Type", OCI_INDEX), ("Docker-Content-Digest", INDEX.digest))
        peer.on(manifest_path("1"), Reply(headers=headers, content_length="absent"), method="HEAD")
        peer.on(manifest_path("1"), Reply(body=RAW, headers=headers))
        assert there.resolve("1") == INDEX

    def test_and_where_it_says_another_digest_than_the_one_asked_for(self, there: Repository, peer: Peer) -> None:
        manifest(peer, INDEX.digest, structs.replace(INDEX, digest=Digest("sha256:" + "0" * 64)), RAW)
        assert there.resolve(INDEX.digest) == INDEX
        assert methods(peer) == ["HEAD", "GET"]

    def test_what_is_not_there_is_not_found_and_said_so(self, there: Repository, peer: Peer) -> None:
        with pytest.raises(NotFound, match=f"HEAD {peer.url}/v2/a/b/manifests/none: HTTP 404") as caught:
            there.resolve("none")
        assert caught.value.status == 404
        assert methods(peer) == ["HEAD"]


class TestCheckingIfContentExists:
    def test_head_says(self, there: Repository, peer: Peer) -> None:
        manifest(peer, INDEX.digest, INDEX, RAW)
        peer.on(blob_path(LAYER), Reply(body=BLOB), method="HEAD")
        assert there.exists(INDEX)
        assert there.exists(LAYER)
        assert not there.exists(describe(b"other", OCI_LAYER))
        assert not there.exists(describe(b"other", OCI_INDEX))
        assert methods(peer) == ["HEAD"] * 4

    def test_manifests_are_never_looked_for_among_the_blobs(self, there: Repository, peer: Peer) -> None:
        """Artifactory says 200 to HEAD of a manifest there, and 404 to GET."""
        peer.on(blob_path(INDEX), Reply(body=RAW), method="HEAD")
        assert not there.exists(INDEX)
        assert [request.path for request in peer.requests] == [manifest_path(INDEX.digest)]

    @pytest.mark.parametrize("status", [400, 405, 501])
    def test_get_takes_over_where_head_is_refused(self, there: Repository, peer: Peer, status: int) -> None:
        for wanted in (LAYER, describe(b"other", OCI_LAYER)):
            peer.on(blob_path(wanted), Reply(status), method="HEAD")
        peer.on(blob_path(LAYER), Reply(body=BLOB))
        assert there.exists(LAYER)
        assert not there.exists(describe(b"other", OCI_LAYER))

    def test_and_where_storage_refuses_what_is_signed_for_get(self, there: Repository, peer: Peer) -> None:
        with Peer() as storage:
            storage.on("/signed", Reply(403), method="HEAD")
            storage.on("/signed", Reply(body=BLOB))
            for method in ("GET", "HEAD"):
                peer.on(blob_path(LAYER), redirect(storage.url + "/signed", 307), method=method)
            assert there.exists(LAYER)
            assert methods(storage) == ["HEAD", "GET"]

    def test_a_403_of_the_registry_itself_is_denied(self, there: Repository, peer: Peer) -> None:
        peer.on(blob_path(LAYER), Reply(403), method="HEAD")
        with pytest.raises(Denied):
            there.exists(LAYER)

    def test_a_blob_is_found_by_its_digest_alone(self, there: Repository, peer: Peer) -> None:
        found = structs.replace(LAYER, media_type="application/octet-stream")
        peer.on(blob_path(LAYER), Reply(body=BLOB), method="HEAD")
        assert there.find_blob(LAYER.digest) == found
        for answer in (Reply(body=BLOB), Reply(body=BLOB, chunked=True)):
            peer.on(blob_path(LAYER), Reply(405), method="HEAD")
            peer.on(blob_path(LAYER), answer)
            assert there.find_blob(LAYER.digest) == found
        with pytest.raises(NotFound):
            there.find_blob(INDEX.digest)


class TestListingTags:
    def names(self, there: Repository, page: int = 0) -> list[str]:
        return list(there.tags(page))

    def test_all_in_one_page(self, there: Repository, peer: Peer) -> None:
        peer.on(TAGS, json_reply({"name": NAME, "tags": ["b", "a", "b"]}))
        assert self.names(there) == ["b", "a"]  # in the order they came, each once
        assert peer.requests[0].target == TAGS

    @pytest.mark.parametrize("page", [0, 2])
    @pytest.mark.parametrize("absolute", [False, True])
    def test_links_are_followed_verbatim_with_and_without_n(
        self, there: Repository, peer: Peer, page: int, absolute: bool
    ) -> None:
        link = f"{peer.url if absolute else ''}{TAGS}?next_page=gAAA%3D%3D&last=b%2Fc"
        peer.on(
            TAGS,
            json_reply({"tags": ["a", "b"]}, headers=(("Link", f'<{link}>; rel="next"'),)),
            json_reply({"tags": ["c"]}),
        )
        assert self.names(there, page) == ["a", "b", "c"]
        first, second = [request.target for request in peer.requests]
        assert first == (f"{TAGS}?n=2" if page else TAGS)
        assert second == f"{TAGS}?next_page=gAAA%3D%3D&last=b%2Fc"

    def test_null_is_none(self, there: Repository, peer: Peer) -> None:
        peer.on(TAGS, json_reply({"name": NAME, "tags": None}))
        assert self.names(there) == []

    def test_no_such_repository_is_not_found(self, there: Repository, peer: Peer) -> None:
        peer.on(TAGS, refusal(404, "NAME_UNKNOWN", "repository name not known to registry"))
        with pytest.raises(NotFound, match="NAME_UNKNOWN: repository name not known") as caught:
            self.names(there)
        assert caught.value.codes == ("NAME_UNKNOWN",)

    def test_a_circle_ends(self, there: Repository, peer: Peer) -> None:
        """A13."""
        again = (("Link", f'<{TAGS}?last=a>; rel="next"'),)
        peer.on(TAGS, json_reply({"tags": ["a"]}, headers=again))
        with pytest.raises(RemoteFault, match="circle"):
            self.names(there)
        assert len(peer.requests) == 2

    def test_another_origin_is_not_asked(self, there: Repository, peer: Peer) -> None:
        with Peer() as other:
            peer.on(TAGS, json_reply({"tags": ["a"]}, headers=(("Link", f"<{other.url}{TAGS}>; rel=next"),)))
            with pytest.raises(RemoteFault, match="elsewhere"):
                self.names(there)
            assert other.requests == []

    @pytest.mark.parametrize("limit", ["_MOST_PAGES", "_MOST_NAMES"])
    def test_a_list_without_end_ends(
        self, there: Repository, peer: Peer, limit: str, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        def page(request: Received) -> Reply:
            number = len(peer.requests)
            return json_reply({"tags": [f"t{number}"]}, headers=(("Link", f"<{TAGS}?last=t{number}>; rel=next"),))

        peer.on(TAGS, page)
        monkeypatch.setattr(client_module, limit, 5)
        with pytest.raises(InvalidDocument, match="no end"):
            self.names(there)
        assert 5 <= len(peer.requests) <= 6

    def test_a_page_without_end_is_read_no_further(self, there: Repository, peer: Peer) -> None:
        peer.on(TAGS, Reply(body=b" ", endless=True))
        with pytest.raises(RemoteFault, match="longer than"):
            self.names(there)
        assert peer.faults == ["endless"]

    def test_what_is_no_tag_is_left_out_and_told(self, there: Repository, peer: Peer, events: list[Event]) -> None:
        peer.on(TAGS, json_reply({"tags": ["1.0", "\x1b]0;x\x07", "../x"]}))
        assert self.names(there) == ["1.0"]
        assert events == [Notice(f"{peer.host} lists 2 that cannot be names: left out")]

    def test_a_catalog_is_a_list_too(self, there: Repository, peer: Peer) -> None:
        more = (("Link", '</v2/_catalog?last=b>; rel="next"'),)
        peer.on(
            "/v2/_catalog", json_reply({"repositories": ["a", "b"]}, headers=more), json_reply({"repositories": None})
        )
        assert list(there.client.catalog()) == ["a", "b"]

    @pytest.mark.parametrize("path", ["/v2/_catalog", TAGS])
    def test_a_web_page_is_no_list(self, there: Repository, peer: Peer, path: str) -> None:
        """registry.k8s.io sends who asks for what it does not know to a page, with 200."""
        peer.on(path, redirect("/login"))
        peer.on("/login", Reply(body=b"<!DOCTYPE html>", headers=(("Content-Type", "text/html"),)))
        with pytest.raises(InvalidDocument, match="the list from"):
            list(there.client.catalog() if path != TAGS else there.tags())
        assert methods(peer) == ["GET", "GET"]

    def test_a_registry_without_catalog_says_so(self, there: Repository) -> None:
        with pytest.raises(Unsupported, match="does not list"):
            list(there.client.catalog())


class TestDeterminingSupport:
    @pytest.mark.parametrize(
        ("reply", "expected"),
        [
            (Reply(body=b"{}"), Ping()),
            (Reply(401, headers=(("WWW-Authenticate", 'Bearer realm="x"'),)), Ping(("bearer",))),
            (Reply(401, headers=(("WWW-Authenticate", "Basic realm=x"),)), Ping(("basic",))),
            (Reply(401), Ping()),
        ],
    )
    def test_200_and_401_speak_v2(self, there: Repository, peer: Peer, reply: Reply, expected: Ping) -> None:
        peer.on("/v2/", reply)
        assert there.client.ping() == expected

    @pytest.mark.parametrize(
        "reply",
        [Reply(404), Reply(405), Reply(body=b"<html>", headers=(("Content-Type", "text/html; charset=utf-8"),))],
    )
    def test_others_do_not(self, there: Repository, peer: Peer, reply: Reply) -> None:
        peer.on("/v2/", reply)
        with pytest.raises(NotFound, match="speaks no v2"):
            there.client.ping()

    def test_docker_hub_is_asked_where_its_registry_is(self) -> None:
        with closing(Session(QUICK)) as session:
            for name in ("docker.io", "index.docker.io", "registry-1.docker.io"):
                client = RegistryClient(session, f"https://{name}")
                assert (client.url, client.host) == ("https://registry-1.docker.io", "registry-1.docker.io")

    def test_of_a_url_only_scheme_and_host_count(self) -> None:
        with closing(Session(QUICK)) as session:
            assert (
                RegistryClient(session, "https://user:pass@registry.test:5000/v2/").url == "https://registry.test:5000"
            )
            with pytest.raises(InvalidReference):
                RegistryClient(session, "registry.test")


class TestMounting:
    def test_only_from_another_repository_of_the_same_registry(self, there: Repository, peer: Peer) -> None:
        with Peer() as elsewhere, closing(Session(QUICK)) as session:
            other = repository(elsewhere, session=session).client.repository("another")
            for source in (there, other, MemoryStore()):
                assert not there.mount(LAYER, source)
        assert peer.requests == []
